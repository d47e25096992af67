//! What the kernel tells of memory, load and its own settings.

use super::files::{Root, field};

const FLAWS: &str = "/sys/devices/system/cpu/vulnerabilities";

/// All memory, bytes; 0 if it cannot be seen.
pub(super) fn memory_bytes(root: &Root) -> u64 {
    let meminfo = root.text("/proc/meminfo").unwrap_or_default();
    let kib = field(&meminfo, "MemTotal").and_then(|value| value.split(' ').next()?.parse().ok());
    kib.map_or(0, |kib: u64| kib * 1024)
}

/// Over one minute; 0 if it cannot be seen.
pub(super) fn load_average(root: &Root) -> f64 {
    let text = root.line("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// The word in brackets of `always [madvise] never`.
pub(super) fn transparent_huge_pages(root: &Root) -> Option<String> {
    let line = root.line("/sys/kernel/mm/transparent_hugepage/enabled")?;
    let (_, rest) = line.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// Randomisation of addresses (kernel documentation, `randomize_va_space`).
pub(super) fn aslr(root: &Root) -> Option<String> {
    let word = match root.number("/proc/sys/kernel/randomize_va_space")? {
        0 => "off",
        1 => "partial",
        _ => "full",
    };
    Some(word.to_owned())
}

/// `2 mitigated, 1 vulnerable (retbleed), 12 not affected`.
pub(super) fn mitigations(root: &Root) -> Option<String> {
    let (mut mitigated, mut unaffected, mut vulnerable) = (0, 0, Vec::new());
    for name in root.names(FLAWS) {
        let state = root.line(format!("{FLAWS}/{name}")).unwrap_or_default();
        match state.as_str() {
            state if state.starts_with("Not affected") => unaffected += 1,
            state if state.contains("Mitigation") => mitigated += 1,
            _ => vulnerable.push(name),
        }
    }
    if mitigated + unaffected + vulnerable.len() == 0 {
        return None;
    }
    let named = match vulnerable.as_slice() {
        [] => "none vulnerable".to_owned(),
        names => format!("{} vulnerable ({})", names.len(), names.join(", ")),
    };
    let command_line = root.line("/proc/cmdline").unwrap_or_default();
    let is_off = command_line.split(' ').any(|word| word == "mitigations=off");
    let off = if is_off { "off: " } else { "" };
    Some(format!("{off}{mitigated} mitigated, {named}, {unaffected} not affected"))
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::Tree;
    use super::*;

    #[test]
    fn settings_are_read_as_the_kernel_writes_them() {
        let tree = Tree::new(&[
            ("/proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\n"),
            ("/proc/loadavg", "1.25 0.80 0.40 2/300 4711\n"),
            ("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            ("/proc/sys/kernel/randomize_va_space", "2\n"),
            ("/proc/cmdline", "root=/dev/vda mitigations=off quiet\n"),
            ("/sys/devices/system/cpu/vulnerabilities/l1tf", "Not affected\n"),
            ("/sys/devices/system/cpu/vulnerabilities/spectre_v1", "Mitigation: usercopy\n"),
            ("/sys/devices/system/cpu/vulnerabilities/retbleed", "Vulnerable\n"),
        ]);
        let root = tree.root();
        assert_eq!(memory_bytes(&root), 8 << 30);
        assert!((load_average(&root) - 1.25).abs() < 1e-9);
        assert_eq!(transparent_huge_pages(&root).as_deref(), Some("madvise"));
        assert_eq!(aslr(&root).as_deref(), Some("full"));
        let wanted = "off: 1 mitigated, 1 vulnerable (retbleed), 1 not affected";
        assert_eq!(mitigations(&root).as_deref(), Some(wanted));
        let bare = Tree::new(&[]);
        assert_eq!((mitigations(&bare.root()), aslr(&bare.root())), (None, None));
    }
}
