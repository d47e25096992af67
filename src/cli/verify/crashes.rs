//! The campaign of crashes: leftovers until there are enough, then every mishap at many moments. Several seeds at once, each on a thread of
//! its own: a start mostly waits for threads to begin and to end.

use super::quiet::Quiet;
use super::{Sitting, VerifyArgs, Watched};
use crate::cli::Terminal;
use crate::clock::Clock;
use crate::node::NodeError;
use crate::raft::Fsync;
use crate::record::verification::{Crashes, MishapRecord};
use crate::report::words::{count, plain};
use crate::verify::crashes::{self, Explored, Look, Mishap, Plan, Survived, Tally, Word};
use anyhow::Context;
use std::io::{self, Write};
use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Requests of each life.
const REQUESTS: usize = 120;
/// From so many leftovers on, lives are looked at at every moment; with fewer, at one in so many more.
const WHOLE_FROM: u64 = 15_000;
/// The same, for lives with a mishap.
const MISHAPS_WHOLE_FROM: u64 = 200_000;
/// Mishaps of each kind: one for so many leftovers, and at least so many.
const IMAGES_PER_MISHAP: u64 = 2_000;
const MISHAPS_MIN: u64 = 6;
/// Between two mishaps of a kind, the disk is asked so often more.
const STEP: u64 = 3;
/// Mishaps of one seed.
const MISHAPS_PER_SEED: u64 = 20;
/// Lives looked at at once, on a host with fewer CPUs.
const AT_ONCE_MIN: usize = 4;
/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Sitting {
    /// Crashes and mishaps, in the record.
    pub(super) fn crashes(
        &mut self,
        args: &VerifyArgs,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let clock = Clock::start();
        let mut sum = Crashes { seed: args.seed, ..Crashes::default() };
        let mut tally = Tally::default();
        // Members whose disk fails give up, as they should, and say so where they fail.
        let quiet = Quiet::about(&["raft-1", "apply-1", "image-1"]);
        let mut lookers = Lookers::of(args, terminal);
        let mut seeds = args.seed..;
        let plan = |seed| Plan { seed, requests: REQUESTS, word: Word::Kept, fsync: Fsync::Real };
        let every = one_in(WHOLE_FROM, args.images);
        lookers.look(
            Phase {
                doing: "leftovers of crashes",
                planned: args.images,
                is_of_lives: false,
                every,
            },
            |tried| seeds.next().filter(|_| tried < args.images).map(plan),
            |plan, look| crashes::explore(&plan, look),
            |explored: Explored| {
                sum.seeds += 1;
                sum.lives += explored.lives;
                sum.answered += explored.answered;
                tally.add(&explored.tally);
                tally.violations.is_empty()
            },
        )?;
        let each = (args.images / IMAGES_PER_MISHAP).max(MISHAPS_MIN);
        let kinds = Mishap::ALL;
        sum.mishaps = kinds
            .map(|kind| MishapRecord { kind: kind.name().to_owned(), ..Default::default() })
            .into();
        let mut tries = (0..each).flat_map(|number| kinds.map(|kind| (kind, number)));
        let planned = each * kinds.len() as u64;
        let every = one_in(MISHAPS_WHOLE_FROM, args.images);
        if tally.violations.is_empty() {
            lookers.look(
                Phase { doing: "disks that fail", planned, is_of_lives: true, every },
                |_| tries.next(),
                |(kind, number), look| {
                    let (round, step) = (number / MISHAPS_PER_SEED, number % MISHAPS_PER_SEED);
                    crashes::survive(args.seed + round, kind, step * STEP, look)
                },
                |survived: Survived| {
                    let of_kind = kinds.iter().zip(&mut sum.mishaps);
                    of_kind
                        .filter(|(kind, _)| **kind == survived.mishap)
                        .for_each(|(_, record)| add(record, &survived));
                    tally.add(&survived.tally);
                    tally.violations.is_empty()
                },
            )?;
        }
        drop((lookers, quiet));
        sum.elapsed_s = clock.now().as_secs_f64();
        let sum = recorded(sum, tally);
        if !args.json {
            tell(terminal.out, &sum)?;
        }
        self.record.crashes = Some(sum);
        self.keep()
    }
}

fn one_in(whole_from: u64, images: u64) -> usize {
    (whole_from / images).clamp(1, 200) as usize
}

fn add(record: &mut MishapRecord, survived: &Survived) {
    record.tried += 1;
    record.happened += u64::from(survived.happened);
    record.stopped += u64::from(survived.stopped);
    record.images += survived.tally.images_in_all();
}

/// Threads that look at lives.
const LOOKER: &str = "crashes";

struct Lookers {
    threads: usize,
    interrupted: Arc<AtomicBool>,
    shown: Watched,
}

/// What is looked at, and how long that takes.
struct Phase {
    doing: &'static str,
    /// Leftovers, or lives.
    planned: u64,
    is_of_lives: bool,
    /// Moments of a life, one in so many.
    every: usize,
}

impl Lookers {
    fn of(args: &VerifyArgs, terminal: &Terminal<'_>) -> Lookers {
        let threads = std::thread::available_parallelism().map_or(1, |cpus| cpus.get());
        Lookers {
            threads: threads.max(AT_ONCE_MIN),
            interrupted: terminal.interrupted.clone(),
            shown: Watched::new(terminal.live && !args.json),
        }
    }

    /// Looks at what `next` gives when it is told how many leftovers were tried so far, until it gives nothing, `take` has had enough of what
    /// came out, or somebody interrupts.
    fn look<Life: Send, Came: Send>(
        &mut self,
        phase: Phase,
        next: impl FnMut(u64) -> Option<Life> + Send,
        look: impl Fn(Life, Look<'_>) -> Result<Came, NodeError> + Sync,
        mut take: impl FnMut(Came) -> bool,
    ) -> anyhow::Result<()> {
        let (tried, has_enough, next) =
            (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(next));
        // Relaxed throughout: counts and flags that order nothing.
        let goes_on = |more| {
            tried.fetch_add(more, Ordering::Relaxed);
            !has_enough.load(Ordering::Relaxed) && !self.interrupted.load(Ordering::Relaxed)
        };
        let closely = Look { every: phase.every, goes_on: &goes_on };
        let look_on = || {
            let life = next.lock().ok()?(tried.load(Ordering::Relaxed));
            life.filter(|_| goes_on(0)).map(|life| look(life, closely))
        };
        std::thread::scope(|scope| {
            let (done, came) = channel();
            for _ in 0..self.threads {
                let (done, look_on) = (done.clone(), &look_on);
                let looker = std::thread::Builder::new().name(LOOKER.to_owned());
                // Whoever takes what came may have had enough.
                let all = move || iter::from_fn(look_on).try_for_each(|one| done.send(one));
                looker.spawn_scoped(scope, all).context("starting a thread")?;
            }
            drop(done);
            let mut lives = 0;
            loop {
                match came.recv_timeout(LOOK_EVERY) {
                    Ok(one) => {
                        lives += 1;
                        if !take(one.context("a member's folder")?) {
                            has_enough.store(true, Ordering::Relaxed);
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
                let done = if phase.is_of_lives { lives } else { tried.load(Ordering::Relaxed) };
                self.shown.at(phase.doing, done, phase.planned);
            }
        })
    }
}

/// The campaign with what was counted in all its lives.
fn recorded(campaign: Crashes, tally: Tally) -> Crashes {
    let images = tally.images.into_iter();
    Crashes {
        moments: tally.moments,
        images_by_kind: images.map(|(kind, images)| (kind.to_owned(), images)).collect(),
        names_lost: tally.names_lost,
        flips_refused: tally.flips_refused,
        flips_harmless: tally.flips_harmless,
        flips_in_last: tally.flips_in_last,
        noise_refused: tally.noise_refused,
        lost: tally.lost,
        wrong: tally.wrong,
        violations: tally.violations,
        ..campaign
    }
}

fn tell(out: &mut dyn Write, sum: &Crashes) -> io::Result<()> {
    let verdict = match sum.lost + sum.wrong {
        0 => "nothing acknowledged was lost, and nothing wrong was believed".to_owned(),
        _ => {
            format!("WRONG: after {} something acknowledged was lost, {} more", sum.lost, sum.wrong)
        }
    };
    writeln!(
        out,
        "crashes: {} different leftovers at {} moments of {}: {verdict} ({:.1} s, {:.0} a minute)",
        sum.images(),
        sum.moments,
        count(sum.lives as usize, "life", "lives"),
        sum.elapsed_s,
        sum.images() as f64 * 60.0 / sum.elapsed_s.max(f64::MIN_POSITIVE)
    )?;
    let kinds: Vec<String> =
        sum.images_by_kind.iter().map(|(kind, images)| format!("{kind} {images}")).collect();
    writeln!(
        out,
        "  unsynced bytes: {}; names lost in {}; {} refused, since a new file's head was noise",
        kinds.join(", "),
        sum.names_lost,
        sum.noise_refused
    )?;
    writeln!(
        out,
        "  bits turned in synced bytes: {} refused, {} where nobody reads, {} in the last record, as if torn",
        sum.flips_refused, sum.flips_harmless, sum.flips_in_last
    )?;
    for one in &sum.mishaps {
        writeln!(
            out,
            "  {}: happened {} of {} times, the member gave up {} times, {} leftovers",
            one.kind, one.happened, one.tried, one.stopped, one.images
        )?;
    }
    for words in &sum.violations {
        writeln!(out, "  {}", plain(words))?;
    }
    Ok(())
}
