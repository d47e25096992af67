//! What the host did around a block, and what of it disturbed. These facts alone decide whether a block is measured again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the host did while one block was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlockHost {
    /// Which block.
    pub block: u32,
    /// Which try at it, from 1.
    pub attempt: u32,
    /// What was seen.
    pub host: HostSpan,
    /// Mean of the log's own syncs in all its measurements, ns; shown beside the probes and never judged, since it belongs to
    /// what is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_sync_ns: Option<f64>,
    /// What was beyond its limit; empty if nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disturbed: Vec<Disturbance>,
}

/// What happened on the host from the start of a block's systems to their end. What could not be seen is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostSpan {
    /// Length, seconds.
    pub elapsed_s: f64,
    /// Cores kept busy by programs that do not belong to the run; the kernel's own threads are not among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_cores: Option<f64>,
    /// Cores' worth of time that the hypervisor gave to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stolen_cores: Option<f64>,
    /// Bytes per second that those programs read from disks and wrote to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_disk_bytes_per_s: Option<f64>,
    /// Share of the span in which some task was ready and had no CPU, 0..=1 (PSI); the run's own are among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_pressure: Option<f64>,
    /// Share of the span in which some task waited for input or output, 0..=1 (PSI); the run's own are among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_pressure: Option<f64>,
    /// Median fdatasync of each probe of the data folder, ns: before the first measurement, between each two client counts,
    /// after the last. No load runs meanwhile. Empty if nothing was synced for real on this machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes_ns: Vec<u64>,
}

impl HostSpan {
    /// Largest of the probes over the smallest; none below two of them.
    pub fn disk_drift(&self) -> Option<f64> {
        let (least, most) = (self.probes_ns.iter().min()?, self.probes_ns.iter().max()?);
        (self.probes_ns.len() > 1).then(|| *most as f64 / (*least).max(1) as f64)
    }

    /// Cores that others kept busy or that the hypervisor gave away, as far as either can be seen.
    pub fn cores_lost(&self) -> Option<f64> {
        let known = [self.foreign_cores, self.stolen_cores];
        known.into_iter().flatten().reduce(|sum, cores| sum + cores)
    }
}

/// One fact beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Disturbance {
    /// Others had the CPUs.
    Cpu {
        /// Cores that other programs kept busy, or that the hypervisor gave away.
        cores: f64,
        /// So many may be.
        limit: f64,
    },
    /// Other programs used the disks.
    Disk {
        /// What they moved, bytes per second.
        bytes_per_s: f64,
        /// So much may be.
        limit: f64,
    },
    /// The disk changed its pace.
    Drift {
        /// Slowest probe over fastest.
        factor: f64,
        /// So much may be.
        limit: f64,
    },
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: f64 = (1 << 20) as f64;
        match self {
            Disturbance::Cpu { cores, limit } => {
                write!(f, "others had {cores:.2} cores (limit {limit:.2})")
            }
            Disturbance::Disk { bytes_per_s, limit } => {
                let (moved, limit) = (bytes_per_s / MIB, limit / MIB);
                write!(f, "others moved {moved:.1} MiB/s on disks (limit {limit:.1})")
            }
            Disturbance::Drift { factor, limit } => {
                write!(
                    f,
                    "syncs took up to {factor:.1} times as long as at best (limit {limit:.1})"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_the_slowest_probe_over_the_fastest() {
        let drift = |probes: &[u64]| {
            HostSpan { probes_ns: probes.to_vec(), ..HostSpan::default() }.disk_drift()
        };
        assert_eq!(drift(&[200, 100, 400]), Some(4.0));
        assert_eq!(drift(&[200]), None);
        assert_eq!(drift(&[]), None);
        assert_eq!(drift(&[0, 5]), Some(5.0));
    }

    #[test]
    fn what_cannot_be_seen_adds_nothing() {
        let span = HostSpan { stolen_cores: Some(0.25), ..HostSpan::default() };
        assert_eq!(span.cores_lost(), Some(0.25));
        let both = HostSpan { foreign_cores: Some(0.5), ..span };
        assert_eq!(both.cores_lost(), Some(0.75));
        assert_eq!(HostSpan::default().cores_lost(), None);
    }
}
