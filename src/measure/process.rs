//! What processes hold and ask of the kernel, from `/proc/<pid>/{status,io,clear_refs}` (proc(5)). What cannot be seen is none.

use std::fs;

/// One look at this process and others, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessSample {
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// The most of it since [`mark_peaks`], or since the process began where that fails, bytes; each process at its own moment.
    pub peak_bytes: u64,
    /// Calls of read and write and their kin since the processes began.
    pub io_calls: Option<u64>,
    /// Bytes that they caused to be sent to storage since they began.
    pub disk_bytes: Option<u64>,
}

impl ProcessSample {
    /// This process and `others`; none if one of them cannot be looked at.
    pub fn with(others: &[u32]) -> Option<ProcessSample> {
        let others = others.iter().map(|process| ProcessSample::of(&process.to_string()));
        others.fold(ProcessSample::of("self"), |sum, one| Some(sum?.plus(one?)))
    }

    fn of(process: &str) -> Option<ProcessSample> {
        let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}"));
        let (resident_bytes, peak_bytes) = parse_status(&read("status").ok()?)?;
        let (io_calls, disk_bytes) = read("io").ok().and_then(|text| parse_io(&text)).unzip();
        Some(ProcessSample { resident_bytes, peak_bytes, io_calls, disk_bytes })
    }

    fn plus(self, other: ProcessSample) -> ProcessSample {
        let both = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        ProcessSample {
            resident_bytes: self.resident_bytes + other.resident_bytes,
            peak_bytes: self.peak_bytes + other.peak_bytes,
            io_calls: both(self.io_calls, other.io_calls),
            disk_bytes: both(self.disk_bytes, other.disk_bytes),
        }
    }
}

/// Sets the mark of the most memory held back to what is held now. False where the kernel does not allow it.
pub fn mark_peaks(others: &[u32]) -> bool {
    /// What `clear_refs` takes for this.
    const RESET_PEAK: &str = "5";
    let mark = |process: &str| fs::write(format!("/proc/{process}/clear_refs"), RESET_PEAK).is_ok();
    let others = || others.iter().all(|process| mark(&process.to_string()));
    mark("self") && others()
}

/// Resident memory and the most of it, bytes.
fn parse_status(text: &str) -> Option<(u64, u64)> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1 << 10)
    };
    Some((bytes("VmRSS:")?, bytes("VmHWM:")?))
}

/// Calls of read and write, and bytes sent to storage.
fn parse_io(text: &str) -> Option<(u64, u64)> {
    let count = |name: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
    };
    Some((count("syscr:")? + count("syscw:")?, count("write_bytes:")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn files_are_read_as_documented() {
        let status =
            "Name:\tkvbench\nVmPeak:\t  9999 kB\nVmHWM:\t     300 kB\nVmRSS:\t     200 kB\n";
        assert_eq!(parse_status(status), Some((204_800, 307_200)));
        assert_eq!(parse_status("VmRSS:\t200 kB\n"), None);
        let io = "rchar: 1\nwchar: 2\nsyscr: 30\nsyscw: 12\nread_bytes: 5\nwrite_bytes: 4096\n";
        assert_eq!(parse_io(io), Some((42, 4096)));
        assert_eq!(parse_io("syscr: x\n"), None);
    }

    #[test]
    fn memory_that_was_held_for_a_while_shows_in_the_peak() {
        const HELD: usize = 64 << 20;
        let Some(before) = ProcessSample::with(&[]) else { return };
        let marked = mark_peaks(&[]);
        drop(black_box(vec![1_u8; HELD]));
        let after = ProcessSample::with(&[]).unwrap();
        // Other tests hold and let go meanwhile; half of it is out of their reach.
        if marked {
            assert!(after.peak_bytes > before.resident_bytes + (HELD as u64) / 2, "{after:?}");
        }
        assert_eq!(ProcessSample::with(&[u32::MAX]), None);
    }
}
