//! The machine key: equal for runs on machines that look alike, today and after the next boot.

use crate::record::Host;
use sha2::{Digest, Sha256};

/// Changed whenever other facts go in.
const KIND: &str = "machine key 1";
/// Memory differs by a few pages from boot to boot.
const MEMORY_STEP_BYTES: u64 = 256 << 20;
/// Bytes of the hash that are shown.
const KEY_BYTES: usize = 6;

/// First 12 hexadecimal digits of the SHA-256 of the facts that only a change of the machine changes. How busy it is, and
/// how quick its disk, is not among them.
pub(super) fn of(host: &Host) -> String {
    let memory = (host.memory_bytes + MEMORY_STEP_BYTES / 2) / MEMORY_STEP_BYTES;
    let (cores, memory) = (host.cores.to_string(), memory.to_string());
    let facts = [
        KIND,
        &host.cpu,
        &cores,
        &memory,
        &host.kernel,
        &host.hypervisor,
        &host.clocksource,
        &host.governor,
        &host.filesystem,
    ];
    let hash = Sha256::digest(facts.join("\n"));
    hash.iter().take(KEY_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::Tree;
    use super::*;
    use std::path::Path;

    #[test]
    fn only_what_outlives_a_boot_changes_it() {
        let tree = Tree::new(&[("/proc/cpuinfo", "model name : X\n")]);
        let host = super::super::of(&tree.root(), Path::new("/"));
        let host = Host { memory_bytes: 8 << 30, cores: 2, ..host };
        let key = of(&host);
        assert_eq!(key.len(), 2 * KEY_BYTES);
        let same = [
            Host { load_average: 9.0, ..host.clone() },
            Host { fdatasync_p50_ns: 1, fdatasync_p99_ns: 2, ..host.clone() },
            Host { data_folder: "/elsewhere".into(), ..host.clone() },
            Host { memory_bytes: (8 << 30) - 70_000, ..host.clone() },
        ];
        assert!(same.iter().all(|host| of(host) == key));
        let other = [
            Host { cpu: "Y".into(), ..host.clone() },
            Host { cores: 4, ..host.clone() },
            Host { memory_bytes: 16 << 30, ..host.clone() },
            Host { kernel: "6.9".into(), ..host.clone() },
            Host { hypervisor: "KVM".into(), ..host.clone() },
            Host { clocksource: "hpet".into(), ..host.clone() },
            Host { governor: "powersave".into(), ..host.clone() },
            Host { filesystem: "xfs".into(), ..host.clone() },
        ];
        assert!(other.iter().all(|host| of(host) != key));
    }
}
