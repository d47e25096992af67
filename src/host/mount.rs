//! What lies under a folder: file system, its options, its block device (proc_pid_mountinfo(5)).

use super::files::Root;
use std::path::{Path, PathBuf};

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// `major:minor`; major 0 is no block device.
    number: String,
    /// The part of the file system that is mounted.
    pub(super) root: PathBuf,
    /// Where.
    pub(super) point: PathBuf,
    /// Type of the file system.
    pub(super) filesystem: String,
    /// Device or whatever else it is of.
    source: String,
    /// Options of the mount and of the file system, each once.
    pub(super) options: String,
}

/// The mount that holds `folder`, an absolute path without links: the longest point above it, the last if it was mounted over.
pub(super) fn under(root: &Root, folder: &Path) -> Option<Mount> {
    let above = mounts(root).into_iter().filter(|mount| folder.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.components().count())
}

/// Every mount this process sees, in the order in which they were made.
pub(super) fn mounts(root: &Root) -> Vec<Mount> {
    let text = root.text("/proc/self/mountinfo").unwrap_or_default();
    text.lines().filter_map(parse).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
fn parse(line: &str) -> Option<Mount> {
    let (of_mount, of_filesystem) = line.split_once(" - ")?;
    let mut mount = of_mount.split(' ').skip(2);
    let (number, root, point, own) = (mount.next()?, mount.next()?, mount.next()?, mount.next()?);
    let mut filesystem = of_filesystem.splitn(3, ' ');
    let (kind, source) = (filesystem.next()?, filesystem.next()?);
    let mut options: Vec<&str> = own.split(',').collect();
    for option in filesystem.next().unwrap_or_default().split(',') {
        if !option.is_empty() && !options.contains(&option) {
            options.push(option);
        }
    }
    Some(Mount {
        number: number.to_owned(),
        root: PathBuf::from(unescaped(root)),
        point: PathBuf::from(unescaped(point)),
        filesystem: kind.to_owned(),
        source: unescaped(source),
        options: options.join(","),
    })
}

/// Space, tab, line end and backslash are written as three octal digits.
fn unescaped(text: &str) -> String {
    let codes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    codes.iter().fold(text.to_owned(), |text, (code, letter)| text.replace(code, letter))
}

impl Mount {
    /// Whether `option` is among its options.
    pub(super) fn has_option(&self, option: &str) -> bool {
        self.options.split(',').any(|own| own == option)
    }

    /// Name of its block device.
    pub(super) fn device(&self, root: &Root) -> Option<String> {
        let of_number = || root.link_name(format!("/sys/dev/block/{}", self.number));
        // Some file systems (btrfs) have numbers of their own and name their device instead.
        let of_source = || {
            let name = Path::new(&self.source).file_name()?.to_str()?.to_owned();
            root.has_folder(format!("/sys/class/block/{name}")).then_some(name)
        };
        of_number().or_else(of_source)
    }

    /// Whether the device has turning parts.
    pub(super) fn rotational(&self, root: &Root) -> Option<bool> {
        self.queue(root, "rotational").map(|flag| flag == "1")
    }

    /// What the kernel takes the device's cache for.
    pub(super) fn write_cache(&self, root: &Root) -> Option<String> {
        self.queue(root, "write_cache")
    }

    /// A fact of the device's queue; a partition's is that of its disk.
    fn queue(&self, root: &Root, name: &str) -> Option<String> {
        let folder = format!("/sys/class/block/{}", self.device(root)?);
        let places = [format!("{folder}/queue/{name}"), format!("{folder}/../queue/{name}")];
        places.iter().find_map(|place| root.line(place))
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::Tree;
    use super::*;

    const MOUNTS: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda1 rw,discard
28 27 0:40 / /data rw - tmpfs tmpfs rw,size=1k
29 27 254:16 / /data rw,noatime - xfs /dev/vdb rw,noatime,attr2
30 27 0:41 / /with\\040space rw - overlay overlay rw,lowerdir=/a
31 27 0:42 / /b rw - btrfs /dev/vdc rw,subvol=/
broken line
";

    fn machine() -> Tree {
        let tree = Tree::new(&[
            ("/proc/self/mountinfo", MOUNTS),
            ("/sys/devices/vda/vda1/partition", "1"),
            ("/sys/devices/vda/queue/rotational", "1"),
            ("/sys/devices/vdb/queue/rotational", "0"),
            ("/sys/devices/vdb/queue/write_cache", "write back"),
            ("/sys/class/block/vdc/queue/rotational", "0"),
        ]);
        tree.link("/sys/dev/block/254:0", "../../devices/vda/vda1");
        tree.link("/sys/dev/block/254:16", "../../devices/vdb");
        tree.link("/sys/class/block/vda1", "../../devices/vda/vda1");
        tree.link("/sys/class/block/vdb", "../../devices/vdb");
        tree
    }

    #[test]
    fn the_nearest_and_latest_mount_holds_a_folder() {
        let tree = machine();
        let check = |folder: &str, filesystem: &str, device: Option<&str>| {
            let mount = under(&tree.root(), Path::new(folder)).unwrap();
            assert_eq!(mount.filesystem, filesystem, "{folder}");
            assert_eq!(mount.device(&tree.root()).as_deref(), device, "{folder}");
        };
        check("/home/x", "ext4", Some("vda1"));
        check("/data/node", "xfs", Some("vdb"));
        check("/database", "ext4", Some("vda1"));
        check("/with space/x", "overlay", None);
        check("/b", "btrfs", Some("vdc"));
    }

    #[test]
    fn a_partition_is_on_its_disk() {
        let (tree, of) = (machine(), |tree: &Tree, folder: &str| {
            let mount = under(&tree.root(), Path::new(folder)).unwrap();
            (mount.rotational(&tree.root()), mount.write_cache(&tree.root()))
        });
        assert_eq!(of(&tree, "/"), (Some(true), None));
        assert_eq!(of(&tree, "/data"), (Some(false), Some("write back".to_owned())));
        assert_eq!(of(&tree, "/with space"), (None, None));
    }

    #[test]
    fn options_stand_once() {
        let mount = under(&machine().root(), Path::new("/data")).unwrap();
        assert_eq!(mount.options, "rw,noatime,attr2");
        assert!(mount.has_option("noatime") && !mount.has_option("atime"));
    }
}
