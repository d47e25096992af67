//! What machine this is and what program this is, read from `/proc` and `/sys`, and a few seconds of trying them out
//! ([`probe`]). It judges nothing: which of it is fit to measure on is said in `compare`. What cannot be seen is said to
//! be not visible; nothing here is guessed, and nothing is changed but for a file in the data folder that vanishes.

mod build;
mod cgroup;
mod cpu;
mod files;
mod kernel;
mod key;
mod mount;
pub mod probe;

use crate::record::{Host, HostDetails, NOT_VISIBLE};
use files::Root;
use std::io;
use std::path::Path;

pub use build::build;

/// The machine, with a probe of the disk under `data`, an existing folder; at most a second.
///
/// # Errors
/// If no file can be written there.
pub fn facts(data: &Path) -> io::Result<Host> {
    let disk = probe::disk(data)?;
    let root = Root::new("/");
    let folder = data.canonicalize().unwrap_or_else(|_| data.to_path_buf());
    let mut host = of(&root, &folder);
    host.cores = cores();
    host.data_folder = data.display().to_string();
    (host.fdatasync_p50_ns, host.fdatasync_p99_ns) = (disk.p50_ns, disk.p99_ns);
    host.details.machine_key = key::of(&host);
    Ok(host)
}

/// Lets facts that a program looked at which might use one core only be of the whole machine, of which it was.
pub fn with_cores(host: &mut Host, cores: u32) {
    host.cores = cores;
    host.details.machine_key = key::of(host);
}

/// Cores that this process may use, at least 1.
pub fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
}

/// What the files under `root` tell; the rest is zero.
fn of(root: &Root, folder: &Path) -> Host {
    let cpuinfo = root.text("/proc/cpuinfo").unwrap_or_default();
    let topology = cpu::topology(root);
    let mount = mount::under(root, folder);
    let cgroup = cgroup::limits(root);
    Host {
        cpu: seen(cpu::model(&cpuinfo)),
        cores: 0,
        hypervisor: cpu::hypervisor(root, &cpuinfo),
        kernel: seen(root.line("/proc/sys/kernel/osrelease")),
        memory_bytes: kernel::memory_bytes(root),
        governor: seen(root.line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        clocksource: seen(
            root.line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        ),
        filesystem: seen(mount.as_ref().map(|mount| mount.filesystem.clone())),
        data_folder: String::new(),
        fdatasync_p50_ns: 0,
        fdatasync_p99_ns: 0,
        load_average: kernel::load_average(root),
        details: HostDetails {
            machine_key: NOT_VISIBLE.to_owned(),
            sockets: topology.sockets,
            physical_cores: topology.cores,
            threads_per_core: topology.threads_per_core,
            numa_nodes: cpu::numa_nodes(root),
            turbo: seen(cpu::turbo(root)),
            microcode: seen(files::field(&cpuinfo, "microcode").map(str::to_owned)),
            cgroup_cpu_millicores: cgroup.cpu_millicores,
            cgroup_memory_bytes: cgroup.memory_bytes,
            transparent_huge_pages: seen(kernel::transparent_huge_pages(root)),
            mitigations: seen(kernel::mitigations(root)),
            aslr: seen(kernel::aslr(root)),
            mount_options: seen(mount.as_ref().map(|mount| mount.options.clone())),
            block_device: seen(mount.as_ref().and_then(|mount| mount.device(root))),
            rotational: mount.as_ref().and_then(|mount| mount.rotational(root)),
            write_cache: seen(mount.as_ref().and_then(|mount| mount.write_cache(root))),
        },
    }
}

fn seen(fact: Option<String>) -> String {
    fact.filter(|fact| !fact.is_empty()).unwrap_or_else(|| NOT_VISIBLE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::files::tests::Tree;
    use super::*;

    #[test]
    fn a_machine_that_shows_nothing_is_not_guessed() {
        let tree = Tree::new(&[]);
        let host = of(&tree.root(), Path::new("/data"));
        assert_eq!(host.details, HostDetails::default());
        let facts = [host.cpu, host.kernel, host.governor, host.clocksource, host.filesystem];
        assert!(facts.iter().all(|fact| fact == NOT_VISIBLE), "{facts:?}");
    }

    #[test]
    fn this_machine_is_described_and_keeps_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (facts(folder.path()).unwrap(), facts(folder.path()).unwrap());
        assert_eq!(first.details.machine_key, second.details.machine_key);
        assert_eq!(first.details.machine_key.len(), 12);
        assert!(first.cores >= 1 && first.memory_bytes > 0 && first.kernel != NOT_VISIBLE);
        assert!(first.fdatasync_p50_ns <= first.fdatasync_p99_ns);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "the probe leaves nothing");
    }
}
