//! Programs that need not be there, and the C library. The programs are looked for, not started.

use crate::record::{NOT_VISIBLE, Tool};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

/// Each tool with the names it goes by.
const TOOLS: [(&str, &[&str]); 4] = [
    ("etcd", &["etcd"]),
    ("etcdctl", &["etcdctl"]),
    ("perf", &["perf"]),
    ("chromium", &["chromium", "chromium-browser", "google-chrome"]),
];

/// Where each is in the path.
pub(super) fn found() -> Vec<Tool> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    found_in(&path)
}

fn found_in(path: &OsStr) -> Vec<Tool> {
    let place = |name: &&str| -> Option<PathBuf> {
        std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    let tool = |(name, names): (&str, &[&str])| Tool {
        name: name.to_owned(),
        path: names.iter().find_map(place).map(|path| path.display().to_string()),
    };
    TOOLS.into_iter().map(tool).collect()
}

/// `glibc 2.36`, as `getconf` tells it.
pub(super) fn c_library() -> String {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let text = text.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
    let text = text.trim();
    if text.is_empty() { NOT_VISIBLE.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_found_in_the_path_under_any_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["etcd", "google-chrome"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = found_in(folder.path().as_os_str());
        let here: Vec<_> = found.iter().filter(|tool| tool.path.is_some()).collect();
        let names: Vec<_> = here.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["etcd", "chromium"]);
        assert_eq!(found.len(), TOOLS.len());
    }
}
