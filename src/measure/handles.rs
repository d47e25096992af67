//! How many files and connections this process may have open at once, and has; and how many threads.

use std::fs;

/// The soft limit of open files; none where the system does not tell.
pub fn handles_max() -> Option<u64> {
    soft_limit(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// Open files and connections of this process now; none where the system does not tell.
pub fn handles() -> Option<u64> {
    entries("/proc/self/fd")
}

/// Threads of this process now; none where the system does not tell.
pub fn threads() -> Option<u64> {
    entries("/proc/self/task")
}

fn entries(folder: &str) -> Option<u64> {
    u64::try_from(fs::read_dir(folder).ok()?.count()).ok()
}

/// From the table of limits: name, soft limit, hard limit, unit.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_and_there_is_one_here() {
        let table = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n";
        assert_eq!(soft_limit(table), Some(1024));
        assert_eq!(soft_limit("Max open files unlimited unlimited files"), Some(u64::MAX));
        assert_eq!(soft_limit("Max processes 7 7 processes"), None);
        assert!(handles_max().is_some());
        let before = (handles().unwrap(), threads().unwrap());
        assert!(before.0 >= 3 && before.1 >= 1, "{before:?}");
    }
}
