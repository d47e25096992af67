//! The campaign of crashes: leftovers until there are enough, then every mishap at many moments.

use super::{Sitting, VerifyArgs};
use crate::cli::Terminal;
use crate::clock::Clock;
use crate::raft::Fsync;
use crate::record::verification::{Crashes, MishapRecord};
use crate::report::words::{count, plain};
use crate::verify::crashes::{self, Mishap, Plan, Tally, Word};
use anyhow::Context;
use std::io::{self, Write};
use std::sync::atomic::Ordering;

/// Requests of each life.
const REQUESTS: usize = 120;
/// Mishaps of each kind: one for so many leftovers, and at least so many.
const IMAGES_PER_MISHAP: u64 = 2_000;
const MISHAPS_MIN: u64 = 6;
/// Between two mishaps of a kind, the disk is asked so often more.
const STEP: u64 = 3;
/// Mishaps of one seed.
const MISHAPS_PER_SEED: u64 = 20;

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
        let interrupted = terminal.interrupted.clone();
        let is_over =
            |tally: &Tally| !tally.violations.is_empty() || interrupted.load(Ordering::Relaxed);
        while tally.images_in_all() < args.images && !is_over(&tally) {
            let seed = args.seed + sum.seeds;
            let plan = Plan { seed, requests: REQUESTS, word: Word::Kept, fsync: Fsync::Real };
            let explored = crashes::explore(&plan, &interrupted).context("a member's folder")?;
            sum.seeds += 1;
            sum.lives += explored.lives;
            sum.answered += explored.answered;
            tally.add(&explored.tally);
        }
        let each = (args.images / IMAGES_PER_MISHAP).max(MISHAPS_MIN);
        for mishap in Mishap::ALL {
            let mut record = MishapRecord { kind: mishap.name().to_owned(), ..Default::default() };
            while record.tried < each && !is_over(&tally) {
                let (round, step) =
                    (record.tried / MISHAPS_PER_SEED, record.tried % MISHAPS_PER_SEED);
                let survived =
                    crashes::survive(args.seed + round, mishap, step * STEP, &interrupted)
                        .context("a member's folder")?;
                record.tried += 1;
                record.happened += u64::from(survived.happened);
                record.stopped += u64::from(survived.stopped);
                record.images += survived.tally.images_in_all();
                tally.add(&survived.tally);
            }
            sum.mishaps.push(record);
        }
        sum.elapsed_s = clock.now().as_secs_f64();
        let sum = recorded(sum, tally);
        if !args.json {
            tell(terminal.out, &sum)?;
        }
        self.record.crashes = Some(sum);
        self.keep()
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
