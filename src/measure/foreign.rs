//! What programs that do not belong to a run used: CPU time, and bytes read from disks and written to them, from `/proc/<pid>/{stat,io}` of
//! every process. The kernel's own threads are left out: they write the run's journal, and what they do for others
//! follows from what those did. What cannot be seen is none.
//!
//! Where other processes are hidden (a container with processes of its own), only the machine's user time less the run's tells of
//! them; the kernel has none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::RangeInclusive;

/// Ticks in a second, see proc(5): USER_HZ.
const TICKS_PER_SECOND: f64 = 100.0;
/// Places in `stat` behind the name, which may hold anything (proc(5)).
const PARENT: usize = 1;
const FLAGS: usize = 6;
/// Times in user and kernel mode, of the process and then of the children it has waited for.
const TIMES: RangeInclusive<usize> = 11..=14;
const USER_TIMES: [usize; 2] = [11, 13];
/// The flag of kernel threads, `PF_KTHREAD` in the kernel's sched.h.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// One look at every process.
#[derive(Clone, Debug, Default)]
pub struct ForeignSample {
    processes: BTreeMap<u32, Process>,
    /// User time of everybody, ticks; none where it cannot be seen.
    user_ticks: Option<u64>,
}

/// What the programs of others used between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ForeignUse {
    /// CPU time, seconds over all cores.
    pub cpu_s: Option<f64>,
    /// Bytes read from disks and written to them; without processes whose account may not be read.
    pub disk_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Process {
    parent: u32,
    is_kernel: bool,
    /// With those of children that have ended and were waited for, ticks.
    all_ticks: u64,
    user_ticks: u64,
    /// The same for disks; none if the account may not be read.
    disk_bytes: Option<u64>,
}

impl ForeignSample {
    /// Reads all processes now. One that vanishes meanwhile is left out.
    pub fn now() -> ForeignSample {
        let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let machine = fs::read_to_string("/proc/stat").ok();
        ForeignSample {
            processes: ids.filter_map(|id: u32| Some((id, read_process(id)?))).collect(),
            user_ticks: machine.and_then(|text| parse_user_ticks(&text)),
        }
    }

    /// What others used since `earlier`; this process, those of `own` and all that these started are not others.
    pub fn since(&self, earlier: &ForeignSample, own: &[u32]) -> ForeignUse {
        let own = self.family(earlier, own);
        if self.processes.values().all(|process| !process.is_kernel) {
            let cpu_s = self.user_time_beside(earlier, &own);
            return ForeignUse { cpu_s, disk_bytes: None };
        }
        let sum = |of: fn(&Process) -> u64| self.used_by_others(earlier, &own, of);
        ForeignUse {
            cpu_s: Some(sum(|process| process.all_ticks) as f64 / TICKS_PER_SECOND),
            disk_bytes: Some(sum(|process| process.disk_bytes.unwrap_or(0))),
        }
    }

    /// Everybody's user time less that of `own`, seconds.
    fn user_time_beside(&self, earlier: &ForeignSample, own: &BTreeSet<u32>) -> Option<f64> {
        let ours = |sample: &ForeignSample| -> u64 {
            let ours = sample.processes.iter().filter(|(id, _)| own.contains(id));
            ours.map(|(_, process)| process.user_ticks).sum()
        };
        let all = self.user_ticks?.saturating_sub(earlier.user_ticks?);
        let ours = ours(self).saturating_sub(ours(earlier));
        Some(all.saturating_sub(ours) as f64 / TICKS_PER_SECOND)
    }

    /// What an account of others grew by. When a process ends, whoever waits for it gets all it ever used added to its own
    /// account, so what it had used at the first look is taken off there.
    fn used_by_others(
        &self,
        earlier: &ForeignSample,
        own: &BTreeSet<u32>,
        of: fn(&Process) -> u64,
    ) -> u64 {
        let is_other = |id: &u32, process: &Process| !process.is_kernel && !own.contains(id);
        let mut known: BTreeMap<u32, u64> = BTreeMap::new();
        for (id, process) in earlier.processes.iter().filter(|(id, p)| is_other(id, p)) {
            if let Some(heir) = self.heir(earlier, *id) {
                *known.entry(heir).or_default() += of(process);
            }
        }
        let others = self.processes.iter().filter(|(id, process)| is_other(id, process));
        let grew = |(id, process): (&u32, &Process)| {
            of(process).saturating_sub(known.get(id).copied().unwrap_or(0))
        };
        others.map(grew).sum()
    }

    /// The process itself, or the nearest of those it descends from that is still there.
    fn heir(&self, earlier: &ForeignSample, id: u32) -> Option<u32> {
        let mut id = id;
        while !self.processes.contains_key(&id) {
            id = earlier.processes.get(&id)?.parent;
        }
        Some(id)
    }

    /// This process, those of `roots`, and all that descends from them in either look.
    fn family(&self, earlier: &ForeignSample, roots: &[u32]) -> BTreeSet<u32> {
        let mut family: BTreeSet<u32> = roots.iter().copied().collect();
        family.insert(std::process::id());
        let all = || self.processes.iter().chain(&earlier.processes);
        loop {
            let born: Vec<u32> = all()
                .filter(|(id, process)| !family.contains(id) && family.contains(&process.parent))
                .map(|(id, _)| *id)
                .collect();
            if born.is_empty() {
                return family;
            }
            family.extend(born);
        }
    }
}

fn read_process(id: u32) -> Option<Process> {
    let process = parse_process(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?;
    let disk = || fs::read_to_string(format!("/proc/{id}/io")).ok();
    let disk_bytes = if process.is_kernel { None } else { disk() };
    Some(Process { disk_bytes: disk_bytes.and_then(|text| parse_disk_bytes(&text)), ..process })
}

fn parse_process(stat: &str) -> Option<Process> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Process {
        parent: fields.get(PARENT)?.parse().ok()?,
        is_kernel: number(FLAGS)? & KERNEL_THREAD != 0,
        all_ticks: TIMES.map(number).sum::<Option<u64>>()?,
        user_ticks: USER_TIMES.into_iter().map(number).sum::<Option<u64>>()?,
        disk_bytes: None,
    })
}

/// What reached a disk or was fetched from one; pages that were dropped before they got there are none.
fn parse_disk_bytes(io: &str) -> Option<u64> {
    let field = |name: &str| -> Option<u64> {
        io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    let written = field("write_bytes:")?.saturating_sub(field("cancelled_write_bytes:")?);
    Some(field("read_bytes:")? + written)
}

/// User and nice time in the `cpu` line of `/proc/stat`, ticks.
fn parse_user_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let mut fields = line.split_whitespace().map(str::parse::<u64>);
    Some(fields.next()?.ok()? + fields.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(parent: u32, ticks: u64) -> Process {
        Process {
            parent,
            is_kernel: false,
            all_ticks: ticks,
            user_ticks: ticks,
            disk_bytes: Some(ticks * 10),
        }
    }

    fn sample(processes: &[(u32, Process)]) -> ForeignSample {
        let kernel = Process { is_kernel: true, ..process(0, 0) };
        let all = processes.iter().copied().chain([(2, kernel)]);
        ForeignSample { processes: all.collect(), user_ticks: None }
    }

    fn used(before: &[(u32, Process)], after: &[(u32, Process)], own: &[u32]) -> (f64, u64) {
        let used = sample(after).since(&sample(before), own);
        (used.cpu_s.unwrap(), used.disk_bytes.unwrap())
    }

    #[test]
    fn lines_are_read_as_documented() {
        let stat = "77 (a) b (c) S 5 77 77 0 -1 4194560 9 9 9 9 100 20 3000 400 20 0 1 0";
        let read = parse_process(stat).unwrap();
        assert_eq!((read.parent, read.all_ticks, read.user_ticks), (5, 3520, 3100));
        assert!(!read.is_kernel);
        let kernel = "31 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0 0 0 0 7 0 0 20 0";
        assert!(parse_process(kernel).unwrap().is_kernel);
        assert_eq!(parse_process("77 (cut) S 5 77"), None);
        let io = "rchar: 9\nwchar: 9\nsyscr: 1\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 1024\n";
        assert_eq!(parse_disk_bytes(io), Some(4096 + 8192 - 1024));
        assert_eq!(parse_disk_bytes("rchar: 9\n"), None);
        assert_eq!(parse_user_ticks("cpu  100 20 50 1 1\ncpu0 1 1\n"), Some(120));
    }

    #[test]
    fn others_are_who_is_neither_the_run_nor_the_kernel() {
        let own = std::process::id();
        let kernel = Process { is_kernel: true, ..process(2, 900) };
        let before = [(1, process(0, 5)), (own, process(1, 50)), (3, process(1, 10))];
        let after = [
            (1, process(0, 5)),
            (own, process(1, 500)),
            // A child of the run's, a server of the run's, a kernel thread, a stranger, a newcomer.
            (9_000_001, process(own, 300)),
            (9_000_002, process(1, 300)),
            (9_000_003, kernel),
            (3, process(1, 110)),
            (9_000_004, process(3, 7)),
        ];
        assert_eq!(used(&before, &after, &[9_000_002]), (1.07, 1070));
    }

    /// A compiler starts and ends processes all the time.
    #[test]
    fn what_ended_meanwhile_counts_once() {
        let before = [(1, process(0, 0)), (10, process(1, 40)), (11, process(10, 1_000))];
        // 11 went on for 60 ticks and ended; 12 began, used 30 and ended. 10 waited for both.
        let after = [(1, process(0, 0)), (10, process(1, 40 + 1_060 + 30))];
        assert_eq!(used(&before, &after, &[]), (0.9, 900));
        // The same if 10 ended as well and 1 waited for it.
        let after = [(1, process(0, 40 + 1_060 + 30))];
        assert_eq!(used(&before, &after, &[]), (0.9, 900));
        // Nobody waited for 11: what it did at the end is lost, and nothing is made up.
        let after = [(1, process(0, 0)), (10, process(1, 40))];
        assert_eq!(used(&before, &after, &[]), (0.0, 0));
    }

    #[test]
    fn where_others_are_hidden_the_users_time_tells() {
        let own = std::process::id();
        let hidden = |user_ticks, ours| ForeignSample {
            processes: BTreeMap::from([(own, process(0, ours))]),
            user_ticks: Some(user_ticks),
        };
        let used = hidden(1_000, 250).since(&hidden(500, 50), &[]);
        assert_eq!(used, ForeignUse { cpu_s: Some(3.0), disk_bytes: None });
    }

    #[test]
    fn the_runs_own_work_is_not_foreign() {
        let before = ForeignSample::now();
        let mut child = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"])
            .spawn()
            .unwrap();
        child.wait().unwrap();
        let after = ForeignSample::now();
        let own = after.family(&before, &[]);
        assert!(own.contains(&std::process::id()));
        let mine = |sample: &ForeignSample| {
            sample.processes.get(&std::process::id()).map_or(0, |own| own.all_ticks)
        };
        // Where there is no /proc there is nothing to see.
        assert!(after.processes.is_empty() || mine(&after) > mine(&before));
    }
}
