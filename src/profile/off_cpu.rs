//! What threads wait for when they are not on a CPU, by call stack: the kernel's scheduler told by `perf`, where that is installed and
//! allowed. Every switch is seen, none is sampled, so a stack's width is the time that threads were off a CPU from there. User frames are
//! few without frame pointers; those of the kernel say what was waited for: a futex, a sync, the network, a CPU.

use super::Folded;
use crate::units::Nanos;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The program, in the path.
const PERF: &str = "perf";
/// The event of each switch from one thread to another.
const EVENT: &str = "sched:sched_switch";
/// Frames that every switch has: the scheduler's own.
const SCHEDULER: [&str; 3] = ["__schedule", "schedule", "preempt_schedule_common"];
/// A thread that was ready and had to give its CPU away has this state.
const READY: char = 'R';
/// Lines of what `perf` says that are quoted.
const LAST_WORDS: usize = 2;

/// Why there is no picture of it.
#[derive(Debug, thiserror::Error)]
pub enum NoOffCpu {
    /// `perf` is not there.
    #[error("perf is not installed")]
    NotInstalled,
    /// It is there and does not work, as where tracepoints are not for everybody.
    #[error("perf cannot read the scheduler's tracepoints: {0}")]
    Refused(String),
    /// A file or a process.
    #[error("perf: {0}")]
    Io(#[from] io::Error),
    /// No thread of the program was switched away and back.
    #[error("no thread left its CPU")]
    Nothing,
}

/// A recording under way.
pub struct OffCpu {
    child: Child,
    data: PathBuf,
    said: PathBuf,
}

impl OffCpu {
    /// Records every switch on this machine from or to threads of these names (`load`, `raft`, …) for `span`; files go to `folder`.
    pub fn start(folder: &Path, names: &[&str], span: Nanos) -> Result<OffCpu, NoOffCpu> {
        let (data, said) = (folder.join("sched.perf"), folder.join("perf.txt"));
        let of = |side: &str| {
            names.iter().map(move |name| format!("{side}_comm ~ \"{name}*\"")).collect::<Vec<_>>()
        };
        let filter = [of("prev"), of("next")].concat().join(" || ");
        let seconds = format!("{:.3}", span.as_secs_f64());
        let mut command = Command::new(PERF);
        command.args(["record", "-q", "-a", "-g", "-e", EVENT, "--filter", &filter, "-o"]);
        command.arg(&data).args(["--", "sleep", &seconds]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said)?);
        match command.spawn() {
            Ok(child) => Ok(OffCpu { child, data, said }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(NoOffCpu::NotInstalled),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for its end; the stacks of the threads whose role `role` knows, in ns off CPU.
    pub fn finish(
        mut self,
        role: impl Fn(u32) -> Option<&'static str>,
    ) -> Result<Folded, NoOffCpu> {
        if !self.child.wait()?.success() {
            return Err(NoOffCpu::Refused(last_words(&fs::read_to_string(&self.said)?)));
        }
        let mut command = Command::new(PERF);
        command.args(["script", "-F", "comm,tid,time,event,trace,ip,sym", "-i"]).arg(&self.data);
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(NoOffCpu::Refused(last_words(&String::from_utf8_lossy(&output.stderr))));
        }
        let folded = fold(&String::from_utf8_lossy(&output.stdout), role);
        if folded.samples() == 0 { Err(NoOffCpu::Nothing) } else { Ok(folded) }
    }
}

fn last_words(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[..lines.len().min(LAST_WORDS)].join(" ")
}

/// One switch.
struct Switch<'a> {
    at: Nanos,
    from: u32,
    to: u32,
    was_ready: bool,
    /// Innermost first.
    frames: Vec<&'a str>,
}

/// Pairs each switch away from a thread with the next one to it.
fn fold(script: &str, role: impl Fn(u32) -> Option<&'static str>) -> Folded {
    let mut away: BTreeMap<u32, (Nanos, String)> = BTreeMap::new();
    let mut folded = Folded::default();
    for switch in switches(script) {
        if let Some((left, stack)) = away.remove(&switch.to) {
            *folded.stacks.entry(stack).or_default() += switch.at.since(left).0;
        }
        if let Some(role) = role(switch.from) {
            away.insert(switch.from, (switch.at, stack(role, &switch)));
        }
    }
    folded
}

/// Root first, as everywhere: the role, the program's frames, the kernel's, and a word where nothing was waited for but a CPU.
fn stack(role: &str, switch: &Switch<'_>) -> String {
    let inner = switch.frames.iter().skip_while(|frame| SCHEDULER.contains(frame));
    let mut frames: Vec<&str> = inner.copied().collect();
    frames.reverse();
    if switch.was_ready {
        frames.push("[ready, no CPU]");
    }
    std::iter::once(role).chain(frames).collect::<Vec<_>>().join(";")
}

/// What `perf script` printed: a line for each switch, then one for each frame, then an empty one.
fn switches(script: &str) -> impl Iterator<Item = Switch<'_>> {
    script.split("\n\n").filter_map(|record| {
        let mut lines = record.trim_start_matches('\n').lines();
        let head = lines.next()?;
        let (before, what) = head.split_once(EVENT)?;
        let at = before.split_whitespace().last()?.trim_end_matches(':');
        let (prev, next) = what.rsplit_once(" ==> ")?;
        let number = |text: &str, key: &str| -> Option<u32> {
            let rest = &text[text.rfind(key)? + key.len()..];
            rest.split_whitespace().next()?.parse().ok()
        };
        let state = &prev[prev.rfind("prev_state=")? + "prev_state=".len()..];
        Some(Switch {
            at: seconds(at)?,
            from: number(prev, "prev_pid=")?,
            to: number(next, "next_pid=")?,
            was_ready: state.starts_with(READY),
            frames: lines.filter_map(frame).collect(),
        })
    })
}

/// `ffffffff821f94c3 schedule+0x23`: its symbol.
fn frame(line: &str) -> Option<&str> {
    let (_, symbol) = line.trim().split_once(' ')?;
    let symbol = symbol.rsplit_once("+0x").map_or(symbol, |(symbol, _)| symbol).trim();
    // A stack is one line with semicolons between its frames; what has no name says nothing.
    let is_named = !symbol.is_empty() && symbol != "[unknown]";
    (is_named && !symbol.contains([';', '\n'])).then_some(symbol)
}

/// `38121.907080`, exactly.
fn seconds(text: &str) -> Option<Nanos> {
    let (whole, part) = text.split_once('.')?;
    let digits = part.len().min(9);
    let part: u64 = part.get(..digits)?.parse().ok()?;
    let scale = 10_u64.pow(9 - digits as u32);
    let whole: u64 = whole.parse().ok()?;
    Some(Nanos(whole.checked_mul(1_000_000_000)?.checked_add(part * scale)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
raft-1   901  38121.000100: sched:sched_switch: prev_comm=raft-1 prev_pid=901 prev_prio=120 prev_state=S ==> next_comm=load-0 next_pid=900 next_prio=120
\tffffffff821f8b58 __schedule+0x618
\tffffffff821f94c3 schedule+0x23
\tffffffff8143f416 futex_do_wait+0x46
\t          5da6d5 kvbench::raft::inbox::Inbox::take+0x85

load-0   900  38121.000350: sched:sched_switch: prev_comm=load-0 prev_pid=900 prev_prio=120 prev_state=R+ ==> next_comm=x next_pid=5 prev_pid=901 next_pid=901 next_prio=120
\tffffffff821f8b58 __schedule+0x618
\tffffffff81415441 exit_to_user_mode_loop+0x51

x ==> y    5  38121.001350: sched:sched_switch: prev_comm=x prev_pid=5 prev_prio=120 prev_state=S ==> next_comm=load-0 next_pid=900 next_prio=120

garbage that is no switch
";

    fn role(thread: u32) -> Option<&'static str> {
        [(900, "load"), (901, "raft")].iter().find(|(id, _)| *id == thread).map(|(_, role)| *role)
    }

    #[test]
    fn a_switch_away_lasts_until_the_switch_back() {
        let text = fold(SCRIPT, role).to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "load;exit_to_user_mode_loop;[ready, no CPU] 1000000",
                "raft;kvbench::raft::inbox::Inbox::take;futex_do_wait 250000",
            ]
        );
    }

    #[test]
    fn what_is_no_switch_is_passed_over() {
        assert_eq!(fold("", role).samples(), 0);
        assert_eq!(fold("a b c\n\n\tframe only\n\nsched:sched_switch: ==> \n", role).samples(), 0);
        assert_eq!(seconds("12.5"), Some(Nanos(12_500_000_000)));
        assert_eq!(seconds("12.123456789123"), Some(Nanos(12_123_456_789)));
        for wrong in ["", "1", "x.y", "99999999999999999999.1"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
