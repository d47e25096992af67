//! How much CPU and memory the control groups of this process leave it, version 2 or 1: the least of what the group and
//! those above it allow, as far up as can be seen from here.

use super::files::Root;
use super::mount::{Mount, mounts};
use crate::record::Limit;
use std::path::{Path, PathBuf};

/// From here on version 1 means that there is none: the largest number of whole pages.
const NO_MEMORY_LIMIT: u64 = 1 << 60;

/// What the groups allow.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// CPU time, thousandths of a core.
    pub(super) cpu_millicores: Limit,
    /// Memory, bytes.
    pub(super) memory_bytes: Limit,
}

/// Reads the limits of this process.
pub(super) fn limits(root: &Root) -> Limits {
    let mounts = mounts(root);
    let memberships = root.text("/proc/self/cgroup").unwrap_or_default();
    let unified = folders(root, &mounts, &memberships, "");
    let of = |controller: &str| folders(root, &mounts, &memberships, controller);
    Limits {
        cpu_millicores: least(
            unified.iter().map(|folder| cpu_v2(root, folder)),
            of("cpu").iter().map(|folder| cpu_v1(root, folder)),
        ),
        memory_bytes: least(
            unified.iter().map(|folder| memory_v2(root, folder)),
            of("memory").iter().map(|folder| memory_v1(root, folder)),
        ),
    }
}

/// The group of this process and those above it, as folders; `""` is version 2.
fn folders(root: &Root, mounts: &[Mount], memberships: &str, controller: &str) -> Vec<PathBuf> {
    let belongs = |list: &str| match controller {
        "" => list.is_empty(),
        controller => list.split(',').any(|name| name == controller),
    };
    let group = memberships.lines().find_map(|line| {
        let (list, path) = line.split_once(':')?.1.split_once(':')?;
        belongs(list).then_some(path)
    });
    let mount = mounts.iter().find(|mount| match controller {
        "" => mount.filesystem == "cgroup2",
        controller => mount.filesystem == "cgroup" && mount.has_option(controller),
    });
    let (Some(group), Some(mount)) = (group, mount) else { return Vec::new() };
    let group = Path::new(group);
    let inside = group.strip_prefix(&mount.root).or_else(|_| group.strip_prefix("/"));
    let whole = mount.point.join(inside.unwrap_or(Path::new("")));
    // In a container the group may be named as the host sees it; then only the mount itself is there.
    let first = if root.has_folder(&whole) { whole } else { mount.point.clone() };
    let above = first.ancestors().take_while(|folder| folder.starts_with(&mount.point));
    above.map(Path::to_path_buf).collect()
}

/// The least of all; none only where some group was seen to set none.
fn least(unified: impl Iterator<Item = Limit>, separate: impl Iterator<Item = Limit>) -> Limit {
    unified.chain(separate).fold(Limit::NotVisible, |least, limit| match (least, limit) {
        (Limit::At(a), Limit::At(b)) => Limit::At(a.min(b)),
        (Limit::At(a), _) | (_, Limit::At(a)) => Limit::At(a),
        (Limit::None, _) | (_, Limit::None) => Limit::None,
        _ => Limit::NotVisible,
    })
}

/// `cpu.max` is `max 100000` or `150000 100000`, quota and period. The topmost group has none.
fn cpu_v2(root: &Root, folder: &Path) -> Limit {
    let Some(line) = root.line(folder.join("cpu.max")) else { return Limit::NotVisible };
    let mut words = line.split(' ');
    match (words.next(), words.next().and_then(|period| period.parse().ok())) {
        (Some("max"), _) => Limit::None,
        (Some(quota), Some(period)) => {
            quota.parse().map_or(Limit::NotVisible, |q| share(q, period))
        }
        _ => Limit::NotVisible,
    }
}

fn cpu_v1(root: &Root, folder: &Path) -> Limit {
    let quota = root.line(folder.join("cpu.cfs_quota_us"));
    let period = root.number(folder.join("cpu.cfs_period_us"));
    match (quota.as_deref(), period) {
        (Some("-1"), _) => Limit::None,
        (Some(quota), Some(period)) => {
            quota.parse().map_or(Limit::NotVisible, |q| share(q, period))
        }
        _ => Limit::NotVisible,
    }
}

fn share(quota_us: u64, period_us: u64) -> Limit {
    match quota_us.saturating_mul(1000).checked_div(period_us) {
        Some(millicores) => Limit::At(millicores),
        None => Limit::NotVisible,
    }
}

fn memory_v2(root: &Root, folder: &Path) -> Limit {
    match root.line(folder.join("memory.max")).as_deref() {
        Some("max") => Limit::None,
        Some(bytes) => bytes.parse().map_or(Limit::NotVisible, Limit::At),
        None => Limit::NotVisible,
    }
}

fn memory_v1(root: &Root, folder: &Path) -> Limit {
    match root.number(folder.join("memory.limit_in_bytes")) {
        Some(bytes) if bytes >= NO_MEMORY_LIMIT => Limit::None,
        Some(bytes) => Limit::At(bytes),
        None => Limit::NotVisible,
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::Tree;
    use super::*;

    const V2: &str = "30 20 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

    fn check(files: &[(&str, &str)], cpu_millicores: Limit, memory_bytes: Limit) {
        let found = limits(&Tree::new(files).root());
        assert_eq!(found, Limits { cpu_millicores, memory_bytes });
    }

    #[test]
    fn the_tightest_group_above_counts() {
        check(
            &[
                ("/proc/self/mountinfo", V2),
                ("/proc/self/cgroup", "0::/a/b\n"),
                ("/sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
                ("/sys/fs/cgroup/a/memory.max", "max\n"),
                ("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
                ("/sys/fs/cgroup/a/b/memory.max", "1073741824\n"),
            ],
            Limit::At(1500),
            Limit::At(1 << 30),
        );
    }

    #[test]
    fn version_1_has_a_folder_for_each_controller() {
        check(
            &[
                ("/proc/self/mountinfo", V1),
                ("/proc/self/cgroup", "4:memory:/x\n2:cpu,cpuacct:/x\n0::/\n"),
                ("/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n"),
                ("/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n"),
                ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
            Limit::None,
            Limit::None,
        );
    }

    #[test]
    fn in_a_container_the_mount_itself_is_the_group() {
        check(
            &[
                ("/proc/self/mountinfo", V2),
                ("/proc/self/cgroup", "0::/docker/1234\n"),
                ("/sys/fs/cgroup/cpu.max", "200000 100000\n"),
                ("/sys/fs/cgroup/memory.max", "max\n"),
            ],
            Limit::At(2000),
            Limit::None,
        );
        check(&[], Limit::NotVisible, Limit::NotVisible);
    }
}
