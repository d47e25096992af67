//! The CPU: model, shape, clock, and who stands between it and this program.

use super::files::{Root, field};
use std::collections::BTreeSet;

const CPUS: &str = "/sys/devices/system/cpu";

/// How hardware threads make up the machine; all of it, not only what this process may use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Topology {
    /// Distinct sockets.
    pub(super) sockets: Option<u32>,
    /// Distinct cores.
    pub(super) cores: Option<u32>,
    /// Hardware threads of the first core.
    pub(super) threads_per_core: Option<u32>,
}

/// The model's name, where the architecture has one.
pub(super) fn model(cpuinfo: &str) -> Option<String> {
    let names = ["model name", "cpu model", "Model", "cpu"];
    names.iter().find_map(|name| field(cpuinfo, name)).map(str::to_owned)
}

/// Which virtual machine this is, as far as it tells.
pub(super) fn hypervisor(root: &Root, cpuinfo: &str) -> String {
    let product = root.line("/sys/class/dmi/id/product_name");
    let is_flagged = field(cpuinfo, "flags")
        .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    match (is_flagged, product) {
        (false, _) => "none visible".to_owned(),
        (true, None) => "virtual machine".to_owned(),
        (true, Some(product)) => product,
    }
}

/// Counts packages and cores of the CPUs that are on.
pub(super) fn topology(root: &Root) -> Topology {
    let (mut sockets, mut cores) = (BTreeSet::new(), BTreeSet::new());
    for name in root.names(CPUS) {
        if !is_numbered(&name, "cpu") {
            continue;
        }
        let folder = format!("{CPUS}/{name}/topology");
        let Some(socket) = root.line(format!("{folder}/physical_package_id")) else { continue };
        if let Some(core) = root.line(format!("{folder}/core_id")) {
            let die = root.line(format!("{folder}/die_id"));
            cores.insert((socket.clone(), die, core));
        }
        sockets.insert(socket);
    }
    let count = |count: usize| u32::try_from(count).ok().filter(|count| *count > 0);
    let siblings = root.line(format!("{CPUS}/cpu0/topology/thread_siblings_list"));
    Topology {
        sockets: count(sockets.len()),
        cores: count(cores.len()),
        threads_per_core: siblings.and_then(|list| list_length(&list)),
    }
}

/// Nodes of memory that CPUs are nearer to or farther from.
pub(super) fn numa_nodes(root: &Root) -> Option<u32> {
    let names = root.names("/sys/devices/system/node");
    let nodes = names.iter().filter(|name| is_numbered(name, "node")).count();
    u32::try_from(nodes).ok().filter(|nodes| *nodes > 0)
}

/// `on` or `off`; each frequency driver says it elsewhere.
pub(super) fn turbo(root: &Root) -> Option<String> {
    let intel = root.line(format!("{CPUS}/intel_pstate/no_turbo"));
    let is_on = match intel.as_deref() {
        Some("0") => Some(true),
        Some("1") => Some(false),
        _ => match root.line(format!("{CPUS}/cpufreq/boost")).as_deref() {
            Some("1") => Some(true),
            Some("0") => Some(false),
            _ => None,
        },
    };
    is_on.map(|is_on| if is_on { "on" } else { "off" }.to_owned())
}

/// `cpu12` of `cpu`, but not `cpuidle`.
fn is_numbered(name: &str, kind: &str) -> bool {
    let number = name.strip_prefix(kind).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
}

/// How many a list such as `0-1,4` names.
fn list_length(list: &str) -> Option<u32> {
    let part = |part: &str| -> Option<u32> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(',').map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::Tree;
    use super::*;

    #[test]
    fn sockets_cores_and_threads_are_told_apart() {
        let mut files = Vec::new();
        // Two sockets of two cores of two threads; core ids repeat on each socket.
        for cpu in 0..8 {
            let folder = format!("{CPUS}/cpu{cpu}/topology");
            files.push((format!("{folder}/physical_package_id"), (cpu / 4 % 2).to_string()));
            files.push((format!("{folder}/core_id"), (cpu % 2).to_string()));
        }
        files.push((format!("{CPUS}/cpu0/topology/thread_siblings_list"), "0,2\n".to_owned()));
        files.push((format!("{CPUS}/cpuidle/current_driver"), "none".to_owned()));
        let files: Vec<_> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let found = topology(&Tree::new(&files).root());
        let wanted = Topology { sockets: Some(2), cores: Some(4), threads_per_core: Some(2) };
        assert_eq!(found, wanted);
        assert_eq!(topology(&Tree::new(&[]).root()), Topology::default());
    }

    #[test]
    fn lists_of_cpus_are_counted() {
        let cases = [("0", Some(1)), ("0-1,4", Some(3)), ("7-3", None), ("", None), ("x", None)];
        for (list, length) in cases {
            assert_eq!(list_length(list), length, "{list}");
        }
    }

    #[test]
    fn each_driver_says_in_its_own_way_whether_it_boosts() {
        let check = |path: &str, text: &str, wanted: Option<&str>| {
            let tree = Tree::new(&[(path, text)]);
            assert_eq!(turbo(&tree.root()).as_deref(), wanted, "{path} {text}");
        };
        check("/sys/devices/system/cpu/intel_pstate/no_turbo", "1\n", Some("off"));
        check("/sys/devices/system/cpu/intel_pstate/no_turbo", "0\n", Some("on"));
        check("/sys/devices/system/cpu/cpufreq/boost", "1\n", Some("on"));
        check("/sys/devices/system/cpu/cpufreq/boost", "0\n", Some("off"));
        check("/sys/devices/system/cpu/online", "0\n", None);
    }

    #[test]
    fn a_hypervisor_is_known_by_its_flag() {
        let tree = Tree::new(&[("/sys/class/dmi/id/product_name", "KVM\n")]);
        assert_eq!(hypervisor(&tree.root(), "flags : fpu hypervisor lahf_lm"), "KVM");
        assert_eq!(hypervisor(&tree.root(), "flags : fpu"), "none visible");
        let bare = Tree::new(&[]);
        assert_eq!(hypervisor(&bare.root(), "flags : hypervisor"), "virtual machine");
    }
}
