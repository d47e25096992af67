//! What happens around a block: who else uses the CPUs and the disks, and how long a sync takes while no load runs.
//! It only looks; what is too much is said in `validity`.

use crate::clock::Clock;
use crate::measure::foreign::ForeignSample;
use crate::measure::host::HostSample;
use crate::record::HostSpan;
use crate::units::Nanos;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Appends of one probe, and their size in bytes.
const SYNCS: usize = 15;
const SYNC_BYTES: usize = 4096;
/// Longest time of one probe; a slow disk gives fewer of them, at least one.
const PROBE_MAX: Nanos = Nanos::from_millis(50);

/// Looks at the host around a block. Tests tell of hosts that they invent.
pub trait Surroundings {
    /// A block begins: nothing of it has been started.
    fn begin(&mut self);

    /// Its systems run, and no load; `own` are processes that do their work and were not started from this one.
    fn between(&mut self, own: &[u32]);

    /// It ended with everything it had started. What happened since it began.
    fn end(&mut self) -> HostSpan;
}

/// The host that this process runs on.
pub(super) struct ThisHost {
    clock: Clock,
    disk: Option<DiskProbe>,
    /// Agents may run here, and nobody knows which processes they are.
    has_agents: bool,
    began: Look,
    own: Vec<u32>,
    probes_ns: Vec<u64>,
}

struct Look {
    at: Nanos,
    host: HostSample,
    foreign: ForeignSample,
}

impl ThisHost {
    /// Probes the disk under `synced`, if anything is synced there.
    pub(super) fn new(
        clock: Clock,
        synced: Option<&Path>,
        has_agents: bool,
    ) -> io::Result<ThisHost> {
        Ok(ThisHost {
            clock,
            disk: synced.map(|folder| DiskProbe::new(folder, clock)).transpose()?,
            has_agents,
            began: Look::now(clock),
            own: Vec::new(),
            probes_ns: Vec::new(),
        })
    }
}

impl Surroundings for ThisHost {
    fn begin(&mut self) {
        self.own.clear();
        self.probes_ns.clear();
        self.began = Look::now(self.clock);
    }

    fn between(&mut self, own: &[u32]) {
        self.own.extend(own.iter().filter(|id| !self.own.contains(id)).collect::<Vec<_>>());
        // A disk that fails now fails the system under test as well, which says more about it.
        self.probes_ns.extend(self.disk.as_mut().and_then(|disk| disk.median_ns().ok()));
    }

    fn end(&mut self) -> HostSpan {
        let (began, ended) = (&self.began, Look::now(self.clock));
        let elapsed_s = ended.at.since(began.at).as_secs_f64().max(f64::MIN_POSITIVE);
        let per_second = |amount: Option<f64>| amount.map(|amount| amount / elapsed_s);
        let host = ended.host.since(&began.host);
        let mut foreign = ended.foreign.since(&began.foreign, &self.own);
        if self.has_agents {
            foreign = Default::default();
        }
        HostSpan {
            elapsed_s,
            foreign_cores: per_second(foreign.cpu_s),
            stolen_cores: per_second(host.stolen_s),
            foreign_disk_bytes_per_s: per_second(foreign.disk_bytes.map(|bytes| bytes as f64)),
            cpu_pressure: per_second(host.cpu_wait_s),
            io_pressure: per_second(host.io_wait_s),
            probes_ns: std::mem::take(&mut self.probes_ns),
        }
    }
}

impl Look {
    fn now(clock: Clock) -> Look {
        Look { at: clock.now(), host: HostSample::now(), foreign: ForeignSample::now() }
    }
}

/// Appends to a file of its own and syncs it, in the folder where the systems keep their logs.
struct DiskProbe {
    file: File,
    clock: Clock,
}

impl DiskProbe {
    /// The file has no name, so it vanishes with this.
    fn new(folder: &Path, clock: Clock) -> io::Result<DiskProbe> {
        Ok(DiskProbe { file: tempfile::tempfile_in(folder)?, clock })
    }

    /// Median fdatasync now, ns.
    fn median_ns(&mut self) -> io::Result<u64> {
        let began = self.clock.now();
        let mut spans = Vec::with_capacity(SYNCS);
        while spans.is_empty() || spans.len() < SYNCS && self.clock.now().since(began) < PROBE_MAX {
            self.file.write_all(&[0x6b; SYNC_BYTES])?;
            let before = self.clock.now();
            self.file.sync_data()?;
            spans.push(self.clock.now().since(before).0);
        }
        spans.sort_unstable();
        Ok(spans[spans.len() / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_tells_what_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let mut host = ThisHost::new(clock, Some(folder.path()), false).unwrap();
        for _ in 0..2 {
            host.begin();
            host.between(&[]);
            host.between(&[7, 7]);
            let span = host.end();
            assert_eq!(span.probes_ns.len(), 2);
            assert!(span.probes_ns.iter().all(|ns| *ns > 0) && span.elapsed_s > 0.0, "{span:?}");
            assert!(span.foreign_cores.is_none_or(|cores| cores >= 0.0), "{span:?}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn agents_may_be_here_so_nobody_counts_as_foreign() {
        let mut host = ThisHost::new(Clock::start(), None, true).unwrap();
        host.begin();
        host.between(&[]);
        let span = host.end();
        assert_eq!((span.foreign_cores, span.foreign_disk_bytes_per_s), (None, None));
        assert!(span.probes_ns.is_empty());
    }
}
