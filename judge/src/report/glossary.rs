//! What each number and word means, once, for tooltips, the page's glossary and `explain`.
//! Definitions say how a number is obtained, not whether it is good.

/// Word and meaning, in the order a reader meets them.
pub const GLOSSARY: &[(&str, &str)] = &[
    (
        "arm",
        "One configuration under comparison: a point in the space of levers. The first is before, the last is after, those between are rungs of the ladder.",
    ),
    ("lever", "One named setting of the system in which two arms may differ."),
    (
        "trial",
        "One fresh start of one arm: new process state, new data folder, same seed. The unit of replication: every statistic has one number per trial, never one per request.",
    ),
    ("block", "One trial of each arm, in an order drawn from the seed."),
    (
        "pair",
        "The trials of two arms within one block. Each pair gives one ratio, so a slow drift of the host cancels out.",
    ),
    (
        "throughput",
        "Operations finished within the measured span, divided by its real length. The table shows the Hodges-Lehmann location of the logarithm over an arm's trials; ± is half its 95 % interval.",
    ),
    (
        "ratio",
        "After divided by before: the Hodges-Lehmann estimate (median of Walsh averages) of the logarithms of the ratios of the pairs. 1 means no change.",
    ),
    (
        "interval",
        "Exact 95 % confidence interval of the ratio, by inverting the Wilcoxon signed-rank test. Exists from 6 pairs on; below that nothing can be decided at 5 %. Its ends are printed rounded outwards.",
    ),
    (
        "A/A floor",
        "What a comparison of an arm with itself gives: the wider end of the 95 % interval of the ratio between two trials of the same arm in one block (before in even blocks, after in odd ones). A ratio closer to 1 than this carries no mark.",
    ),
    (
        "closed loop",
        "Each client sends its next request when its last was answered. It shows capacity; it hides waiting, because a slow answer also delays the next question.",
    ),
    (
        "service time, closed loop",
        "From sending a request to its answer, with closed-loop clients. Not the latency a user sees at a given rate: requests that were not sent while the system was slow are not in it.",
    ),
    (
        "open loop",
        "Operations are sent when they are due, by a schedule drawn from the seed, whatever became of those before: the same operations at the same instants for every arm. Latency counts from the intended send time, so a stall delays everything that was due meanwhile, as it would for users.",
    ),
    (
        "offered",
        "Operations due per second in an open loop: as typed, or a share of what an arm reached in a closed loop of the same block, and then the same rate for all arms of it. The median over trials.",
    ),
    (
        "unsustainable",
        "An arm did not keep up with an open load in some trial: more than 5 % of what was due (and more than 10 operations) had no answer when the span ended, or was never sent because 4 000 were under way. Its latency then grows with the length of the span, so no percentile is given.",
    ),
    (
        "send lag",
        "From the intended to the real send time of an operation, the 99th percentile of a trial, the median over trials: how late the generator is. Above 1 ms the load is invalid. It is part of the latency.",
    ),
    (
        "search",
        "The highest rate at which a percentile of latency stays within a bound and the arm keeps up, found anew in every trial by halving the rates that are left, which lie 10 % apart.",
    ),
    (
        "steady",
        "A measurement is flat if its throughput, in 20 windows or more, has one level; warmed up if it rose and then stayed at least 8 windows; slowed down if it fell; else unsteady. Levels by PELT, drifts by Mann-Kendall; changes below 5 % are none.",
    ),
    (
        "p50",
        "Median: half the operations of a trial took at most this long. Computed per trial, then the median over trials.",
    ),
    (
        "p99",
        "99 % of the operations of a trial took at most this long. Withheld if any trial had fewer than 10 observations beyond it.",
    ),
    (
        "p99.9",
        "99.9 % of the operations of a trial took at most this long. Withheld if any trial had fewer than 10 observations beyond it.",
    ),
    (
        "ladder",
        "The arms from before to after, one lever moved at a time, all run in the same blocks. It shows which lever earned the gain.",
    ),
    (
        "both ways",
        "What a step of the ladder gives alone, on before (first), and what it gives when all other steps are there (last): after over all steps but this one. A step may give nothing alone and much at the end, or much alone and nothing once others do the same.",
    ),
    ("step", "Throughput of a rung divided by the rung before it, over the same blocks."),
    ("total", "Throughput of a rung divided by the first arm, over the same blocks."),
    (
        "ceiling",
        "Amdahl's bound, 1 / (1 - f): what removing all waiting in the queue stage would give if everything else in a before operation cost the same. f is the queue stage's share of it.",
    ),
    (
        "lock ceiling",
        "Amdahl's bound, 1 / (1 - f), with f = the share of a before operation spent waiting for the store's lock: the most that any change of locking alone could give.",
    ),
    (
        "simpler is faster",
        "A rung with fewer levers moved is faster than after, beyond noise: the levers above it cost more than they give. That rung was picked as the fastest, which favours it: a hint, not a verdict.",
    ),
    (
        "operation",
        "What a client does as one and waits for: a put, a get, a transaction. A transfer takes several requests and counts once, with the time of them all. In a mix each kind has a row of its own; the figures above it are those of the whole mix.",
    ),
    (
        "watchers",
        "Who is told of every change of the whole key space while a phase runs, all served by one thread. They begin before the warm-up and end when each was given everything.",
    ),
    (
        "watch events",
        "Events given to all watchers together within the measured span, divided by its real length: a write that 100 watch is 100 events. The median over trials.",
    ),
    (
        "resyncs",
        "Times a watcher was too slow for its buffer and read what it missed from the history, or was resumed after a compaction had taken some of that: of all watchers, warm-up and end included, the median over trials.",
    ),
    (
        "watch lag",
        "From the end of the load until the last watcher had everything. The median over trials.",
    ),
    (
        "scalability law",
        "X(N) = λN / (1 + σ(N − 1) + κN(N − 1)), Gunther's universal scalability law, fitted by least squares over all trials of an arm with at least 6 client counts, 1 among them; intervals by resampling whole trials (BCa). Where throughput grows faster than clients at first, as it does while more of them share a sync, it is fitted from there on (column from), or not at all. It says nothing beyond the largest count measured.",
    ),
    (
        "contention",
        "σ of the scalability law: the share of the work that only one client can have done at a time. With nothing else in the way throughput cannot exceed λ/σ.",
    ),
    (
        "coherency",
        "κ of the scalability law: what each further client costs each other one, in millionths. Above zero, throughput falls again beyond √((1 − σ)/κ) clients.",
    ),
    (
        "stage",
        "One step of a request through the pipeline, timed by its stage clock. The stages of an operation add up to its service time.",
    ),
    ("queue", "Stage: from submit to being taken by the proposer. Waiting one's turn."),
    ("propose", "Stage: from being taken to being handed to the log."),
    ("append", "Stage: encoding and writing to the log, without the sync."),
    (
        "fsync",
        "Stage: the sync of the log (fdatasync), which makes the write survive a crash. Requests that share one sync all wait for it.",
    ),
    ("replicate", "Stage: from persisted here to persisted by a quorum. 0 on one node."),
    ("commit", "Stage: from quorum to being handed to apply."),
    (
        "apply_wait",
        "Stage: waiting for the applier, for earlier operations of the same batch and for the lock.",
    ),
    ("apply", "Stage: executing under the lock."),
    ("respond", "Stage: from done to the client having resumed."),
    (
        "sum",
        "The stages added up. Differs from measured by at most 2 %, else a warning is printed.",
    ),
    (
        "measured",
        "Mean service time as the client saw it, against which the sum of the stages is checked.",
    ),
    (
        "fsyncs per op",
        "Syncs of the log during the span divided by operations finished in it. 1 means each operation paid for its own.",
    ),
    ("ops per fsync", "The inverse of fsyncs per op: how many operations share one sync."),
    (
        "CPU per op",
        "CPU time of the whole process, load generator included, divided by operations.",
    ),
    (
        "cores busy",
        "CPU time of the whole process divided by elapsed time: how many cores it kept busy on average.",
    ),
    (
        "resident peak",
        "The most memory that this process, and those of the system on this machine, held within the measured span (VmHWM, set back at its begin). What the allocator keeps of earlier trials and what the load generator holds are in it.",
    ),
    (
        "resident drift",
        "Resident memory at the end of the measured span divided by that at its begin. 1 means that nothing grew.",
    ),
    (
        "throughput drift",
        "Operations of the last third of the measured span divided by those of the first, by the slots of its time series. 1 means no change.",
    ),
    (
        "p99 drift",
        "The median over the slots of the last third of the measured span of what the 99th percentile was in each, divided by that of the first third. A slot's percentile is known to one digit, so a drift below 7 % is none.",
    ),
    (
        "io calls per op",
        "Calls of read, write and their kin by all threads, load included, divided by operations (/proc/PID/io). Other system calls are not among them: syscalls_per_op has those.",
    ),
    (
        "syscalls per op",
        "System calls of all threads of the process and of the servers it measures on this machine, load and watchers included, divided by operations finished (the kernel's tracepoint raw_syscalls:sys_enter, counted for each thread). Counted where a target or a gate is about it, or with kvbench run --count-syscalls, of all arms alike, since counting slows every call; the record has them by thread role. Counting takes root, or kernel.perf_event_paranoid = -1 and a readable /sys/kernel/tracing.",
    ),
    (
        "disk bytes per op",
        "Bytes that the processes caused to be sent to storage within the measured span, divided by operations (write_bytes of /proc/PID/io): whole pages, so small syncs cost more than they hold.",
    ),
    (
        "allocs per op",
        "Calls of the allocator that give memory, by all threads of the process, load included, divided by operations. Told by builds with feature count-allocations, whose speed means nothing.",
    ),
    (
        "alloc bytes per op",
        "Bytes asked of the allocator by all threads of the process, load included, divided by operations. Told by builds with feature count-allocations.",
    ),
    (
        "requests per Ready",
        "Requests taken through one round of the raft library's Ready loop, over rounds that had log entries. How well group commit fills.",
    ),
    (
        "system cores busy",
        "Cores busy without the threads that offer load or watch: CPU time of the system under test divided by elapsed time.",
    ),
    (
        "log bytes per op",
        "Bytes written to the log during the span divided by operations finished in it.",
    ),
    (
        "switches per op",
        "How often a thread of the process was put on a CPU (third number of schedstat), load and watchers included, divided by operations finished.",
    ),
    (
        "entries per op",
        "Log entries during the span divided by operations finished in it. Below 1, requests share entries.",
    ),
    (
        "in flight",
        "Mean number of operations between being taken for the log and being committed: their rate times the mean time in those stages (Little's law).",
    ),
    (
        "appliers mean",
        "Mean number of requests under execution in the store: their rate times the mean time under their locks (Little's law). One whose thread lost its CPU meanwhile is counted.",
    ),
    (
        "appliers max",
        "The most requests that were found under execution in the store at once, by those among them that looked: every sixteenth of each thread.",
    ),
    ("entries per Ready", "Log entries per round of the Ready loop that had any."),
    (
        "lock profile",
        "Call stacks of who waited for a lock and who held it, taken in a trial of its own: one at random in every 2 ms of waiting at a lock, and of holding it, so that they stand for all of that time. Threads of a role are on a CPU, wait for one, wait for a lock, sync the log, or do something else, above all wait for work. In a group of several members only the leader's locks are told, and no disk; an engine on disk waits within everything else.",
    ),
    ("lock wait", "Time spent waiting for a lock, per operation. All locks of one name together."),
    (
        "lock wait share",
        "Time waited for all locks of the store, those on its keys and those that order what becomes visible, divided by the time that the operations took, all of them together.",
    ),
    (
        "lock contended",
        "Share of the acquisitions of the store's lock, or of its shards' locks, that found it held by somebody else.",
    ),
    (
        "locks per op",
        "Locks of the store taken during the span divided by operations finished in it. If only transactions are sent that is shards per transaction.",
    ),
    (
        "lock hold",
        "Time a lock was held, per operation; in batches of more than 64 requests one in eight is timed and counts eight times.",
    ),
    ("contended", "Share of a lock's acquisitions that found it held by somebody else."),
    (
        "load generator",
        "The threads that send requests. If they are on CPU most of the time they, not the system, may set the pace; above the limit the cell is marked invalid.",
    ),
    (
        "Little's law",
        "Mean requests in flight = rate × mean time. In a closed loop it must give the number of clients; a gap means that the generator or a clock is wrong.",
    ),
    (
        "invalid",
        "A cell whose load was not what it claims to be: its generator was the bottleneck, rate times time misses the client count, or agents measured different spans. Its rates, ratios and times are shown as the word and not as numbers, and targets on it are inconclusive.",
    ),
    (
        "generator's wait",
        "Share of the load threads' time that they were ready and had no CPU. Above 5 % it is told, and a verdict stands only if it would with the interval widened by what those waits can have cost: at most 1 / (1 - share).",
    ),
    (
        "disturbed",
        "A block in which others had more than a tenth of the machine's cores, or moved more than 1 MiB/s on its disks, or in which the slowest sync probe took more than 3 times as long as the fastest. Judged by the host alone, never by what was measured. It is measured again, kept and marked, or ends the run ([trials] on_disturbed). If more than a quarter are, every figure is from the others alone, and with fewer than six of those nothing is decided, unless the scenario keeps them.",
    ),
    (
        "measured again",
        "A disturbed block is run anew, at most three times, and the last try counts whatever it shows. All of a run's repeats together may cost half of its plan, in blocks and in time. The tries that do not count stand in the record with all they measured.",
    ),
    (
        "foreign",
        "Programs that do not belong to the run: every process but this one, those it started and those that serve it. The kernel's own threads are not among them. Where other processes are hidden, the machine's user time less the run's.",
    ),
    (
        "disk drift",
        "The slowest over the fastest of a block's sync probes: the median of up to 15 syncs of 4 KiB in the data folder, while no load runs, before the first measurement, between each two client counts and after the last.",
    ),
    ("mean", "Mean service time of the operations of a trial."),
    (
        "max",
        "Longest service time of a trial: one observation, so it varies more than any percentile.",
    ),
    (
        "value",
        "What a target on one arm judges: the Hodges-Lehmann location of the arm's trials with its exact 95 % signed-rank interval. It is of this host and this hour, which a ratio is less.",
    ),
    (
        "scoreboard",
        "Every target of several runs, with the verdict and what explains it. Where a target decides a claim, the claim holds, is refuted, or is undecided.",
    ),
    (
        "refuted",
        "A claim whose whole interval lies on the other side of what was claimed. An answer, not a failure of the run.",
    ),
    (
        "versions",
        "Check: the versions of all keys together are the acknowledged puts, no two keys share a last change, and the newest of these is the store's revision.",
    ),
    ("leases", "Check: a key hangs on a lease exactly if the lease lists it."),
    ("met", "Verdict: the whole interval is on the good side of the bound."),
    ("missed", "Verdict: the whole interval is on the bad side of the bound."),
    (
        "inconclusive",
        "Verdict: the interval contains the bound, or there are too few pairs for one. Not the same as no change.",
    ),
    ("wrong answer", "A check of the answers failed. Speed does not count then."),
    ("quick", "The plan was shortened: fewer pairs and client counts than the scenario asks for."),
    ("incomplete", "The run was interrupted: only finished trials are shown."),
    (
        "flame graph",
        "Where CPU time went: the width of a box is its share of samples, boxes stand on their callers. Time off CPU (waiting for a disk, a lock, a turn) is not in it.",
    ),
    (
        "grade",
        "How far to trust numbers from this machine and program, A to D, from the facts in the record. A fact that could not be seen costs 1 point, all of those at most 3; one that makes results vary 2; one that pushes them to one side 4. A is 0 points, B 1 to 3, C 4 to 7, D more, or one fact that voids everything: a debug build, a file system in memory. It is no verdict: pairs in random order hold on a poor machine too, only wider.",
    ),
    (
        "machine key",
        "A short hash over what stays the same from boot to boot: CPU, cores, memory, kernel, hypervisor, clock source, governor, file system. Runs with the same key ran on machines that look alike; load and disk times are not in it.",
    ),
    (
        "not visible",
        "A fact that this process could not see, as in a container or a virtual machine. It is not taken for good: it lowers the grade.",
    ),
    (
        "governor",
        "What sets the clock of a CPU. performance keeps it high; powersave keeps it low, or raises it late, so that a quiet system looks slower than it is.",
    ),
    (
        "turbo",
        "A clock above the nominal one, for as long as heat and power allow it: the same work takes longer once more cores are busy.",
    ),
    (
        "clock source",
        "Where the kernel reads time. With tsc or kvm-clock a reading costs tens of nanoseconds and no system call.",
    ),
    (
        "cgroup CPU",
        "CPU time that the control group grants per period, as cores. Once it is used up, all threads stand still until the next period.",
    ),
    (
        "transparent huge pages",
        "Whether the kernel puts memory together into pages of 2 MiB by itself (always), only where asked (madvise), or never. Making room for them stops threads.",
    ),
    (
        "mitigations",
        "What the kernel does about flaws of the CPU. Each makes system calls or jumps dearer; servers run with them, so they are shown and not judged.",
    ),
    (
        "ASLR",
        "Whether addresses are drawn at random at each start. Then the layout differs from run to run, which is shown and not judged: a mean over many layouts is what one wants.",
    ),
    (
        "load average",
        "Tasks that ran or waited for CPU or disk, a mean over the minute before the run began.",
    ),
    (
        "fdatasync",
        "A probe on the data folder before the run: 4 KiB appended and synced, again and again. It bounds what one operation per sync can reach.",
    ),
    (
        "wake-up lag",
        "How much longer than asked for a sleep of 200 µs takes: timer slack, the way to a CPU, and the queue before it. A probe of doctor.",
    ),
    (
        "foreign cores",
        "Cores kept busy by processes that do not belong to the run, and by the kernel: CPU time of the machine without that of this program, over the span.",
    ),
    (
        "stolen cores",
        "Cores' worth of time in which this machine was ready to run and its hypervisor ran somebody else.",
    ),
    ("CPU pressure", "Share of the time in which some task was ready and had no CPU (PSI)."),
    ("I/O pressure", "Share of the time in which some task waited for input or output (PSI)."),
    (
        "schedstat",
        "The kernel's account of each thread: time on a CPU, and time ready without one. CPU per op and the share of the load generator come from it.",
    ),
    (
        "SIGPROF sampler",
        "Interrupts whoever uses the CPU, so many times per CPU-second, and notes the stack. It runs in trials of its own.",
    ),
    (
        "unwinder",
        "What finds the callers of a frame. It reads the tables that the compiler wrote for panics, so it needs no frame pointers; before glibc 2.35 looking a table up takes a lock.",
    ),
];

/// The meaning of a word, whatever its case; measures may be spelled as in scenario files.
pub fn definition(word: &str) -> Option<&'static str> {
    let spaced = word.replace('_', " ");
    let is_it = |name: &str| name.eq_ignore_ascii_case(word) || name.eq_ignore_ascii_case(&spaced);
    GLOSSARY.iter().find(|(name, _)| is_it(name)).map(|(_, meaning)| *meaning)
}

/// The spelling of a word in the glossary, if it is in it.
pub(super) fn canonical(word: &str) -> Option<&'static str> {
    GLOSSARY.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_defined_once_and_in_a_sentence() {
        for (place, (word, meaning)) in GLOSSARY.iter().enumerate() {
            assert!(meaning.ends_with('.'), "{word}");
            assert!(
                GLOSSARY[..place].iter().all(|(earlier, _)| !earlier.eq_ignore_ascii_case(word)),
                "{word}"
            );
        }
        assert!(definition("Ratio").is_some() && definition("little's law").is_some());
        assert!(definition("lock_wait_share").is_some() && definition("apply_wait").is_some());
        assert_eq!(definition("vibes"), None);
    }
}
