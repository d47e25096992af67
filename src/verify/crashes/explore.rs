//! All that a crash may leave of a life, step by step, and what a member makes of it.

use super::Look;
use super::journal::{LOG, Step};
use super::judge::{Bounds, Found, Judge};
use super::life::{Life, Script};
use super::platter::{Leftover, Names, Platter, Unsynced, Word};
use crate::node::NodeError;
use crate::seed::Seed;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

/// Violations that are put into words, at most: of acknowledged changes that were lost, and of anything else.
const WORDS_MAX: u64 = 10;
/// A bit is turned at every so many moments.
const FLIP_EVERY: u64 = 2;

const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// What is tried where a crash has a choice, each with names as the seed has it.
const CHOICES: [Unsynced; 14] = [
    Unsynced::Torn(SECTOR),
    Unsynced::Torn(SECTOR),
    Unsynced::Torn(PAGE),
    Unsynced::Torn(1),
    Unsynced::Torn(1),
    Unsynced::Torn(1),
    Unsynced::Reordered(SECTOR),
    Unsynced::Reordered(SECTOR),
    Unsynced::Reordered(SECTOR),
    Unsynced::Reordered(PAGE),
    Unsynced::Noise(SECTOR),
    Unsynced::Noise(SECTOR),
    Unsynced::Noise(SECTOR),
    Unsynced::Dropped,
];

/// What was tried, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Leftovers on which a member was started, by what had become of unsynced bytes; no two with the same files.
    pub images: BTreeMap<&'static str, u64>,
    /// Of those, how many lacked names.
    pub names_lost: u64,
    /// Moments at which a crash was tried.
    pub moments: u64,
    /// Bits that were turned in synced bytes: refused at the start.
    pub flips_refused: u64,
    /// Bits that were turned where nobody reads any more.
    pub flips_harmless: u64,
    /// Bits that were turned in the last record of the log, which cannot be told from a torn write.
    pub flips_in_last: u64,
    /// Starts that were refused in words since of a sector that was being written anything was left; nothing was lost.
    pub noise_refused: u64,
    /// Leftovers after which acknowledged changes were lost.
    pub lost: u64,
    /// Leftovers of which a member made anything else than it should.
    pub wrong: u64,
    /// Some of both, in words.
    pub violations: Vec<String>,
}

impl Tally {
    /// Leftovers of all kinds, those with turned bits included.
    pub fn images_in_all(&self) -> u64 {
        let flips = self.flips_refused + self.flips_harmless + self.flips_in_last;
        self.images.values().sum::<u64>() + flips
    }

    /// Counts what another one counted as well.
    pub fn add(&mut self, other: &Tally) {
        for (kind, count) in &other.images {
            *self.images.entry(kind).or_default() += count;
        }
        self.names_lost += other.names_lost;
        self.moments += other.moments;
        self.flips_refused += other.flips_refused;
        self.flips_harmless += other.flips_harmless;
        self.flips_in_last += other.flips_in_last;
        self.noise_refused += other.noise_refused;
        self.lost += other.lost;
        self.wrong += other.wrong;
        self.violations.extend(other.violations.iter().cloned());
        self.violations.truncate(2 * WORDS_MAX as usize);
    }

    fn violate(&mut self, is_loss: bool, words: String) {
        let count = if is_loss { &mut self.lost } else { &mut self.wrong };
        *count += 1;
        if *count <= WORDS_MAX {
            self.violations.push(words);
        }
    }
}

/// A leftover from which another life may begin: the files, and how many requests of the script it holds.
pub(super) type Start = (Leftover, usize);

/// Goes through a life.
pub(super) struct Explorer<'a> {
    pub(super) script: &'a Script,
    pub(super) judge: &'a mut Judge,
    pub(super) word: Word,
    /// For whoever wants to see it again.
    pub(super) label: String,
    /// Whether bits are turned: not where a failed write left half a record, since the one before is the last then.
    pub(super) turns_bits: bool,
    pub(super) tally: Tally,
    random: ChaCha8Rng,
    seen: HashSet<(u64, usize)>,
    start: Option<Start>,
    starts: u32,
}

/// What leftovers are called in which a sector may hold anything.
const NOISE: &str = "noise";
/// What the log's library says of a file whose head is none of its own.
const BAD_HEAD: &str = "magic header mismatch";

/// One crash that is tried.
struct Crash {
    kind: &'static str,
    left: Leftover,
    lacks_names: bool,
}

impl<'a> Explorer<'a> {
    pub(super) fn new(script: &'a Script, judge: &'a mut Judge, word: Word, seed: Seed) -> Self {
        let (random, label) = (seed.stream("crashes", 0), format!("seed {}", seed.0));
        let (tally, seen) = (Tally::default(), HashSet::new());
        Explorer {
            script,
            judge,
            word,
            label,
            turns_bits: true,
            tally,
            random,
            seen,
            start: None,
            starts: 0,
        }
    }

    /// Tries crashes before the steps of `life` and after the last, as closely as `look` says. Gives one of the leftovers, drawn from all;
    /// none if it was called off.
    pub(super) fn explore(
        &mut self,
        life: &Life,
        look: Look<'_>,
    ) -> Result<Option<Start>, NodeError> {
        let mut platter = Platter::with(&self.script.begin, self.word);
        let (mut asked, mut answered) = (0, 0);
        let every = look.every.max(1);
        let first = self.random.random_range(0..every);
        for number in 0..=life.steps.len() {
            if number % every == first || number == life.steps.len() {
                let before = self.tally.images_in_all();
                self.moment(number, &platter, (answered, asked))?;
                if !(look.goes_on)(self.tally.images_in_all() - before) {
                    return Ok(None);
                }
            }
            match life.steps.get(number) {
                Some(Step::Asked { number }) => asked = number + 1,
                Some(Step::Answered { number }) => answered = answered.max(number + 1),
                Some(step) => platter.follow(step),
                None => {}
            }
        }
        Ok(self.start.take())
    }

    /// Crashes at one moment.
    fn moment(
        &mut self,
        step: usize,
        platter: &Platter,
        (answered, asked): (usize, usize),
    ) -> Result<(), NodeError> {
        let bounds = Bounds { digests: &self.script.digests, answered, asked };
        let mut has_any = false;
        for crash in self.crashes(platter) {
            if !self.seen.insert((fingerprint(&crash.left), answered)) {
                continue;
            }
            has_any = true;
            let found = self.judge.judge(&crash.left, bounds)?;
            *self.tally.images.entry(crash.kind).or_default() += 1;
            self.tally.names_lost += u64::from(crash.lacks_names);
            self.note(step, crash, found, bounds);
        }
        if has_any && self.turns_bits && self.tally.moments.is_multiple_of(FLIP_EVERY) {
            self.flip(step, platter, bounds)?;
        }
        self.tally.moments += u64::from(has_any);
        Ok(())
    }

    fn crashes(&mut self, platter: &Platter) -> Vec<Crash> {
        let mut tried = vec![(Unsynced::Dropped, Names::Lost)];
        if !platter.is_all_synced() {
            tried.push((Unsynced::Dropped, Names::Kept));
            tried.push((Unsynced::Kept, Names::Lost));
            tried.push((Unsynced::Kept, Names::Kept));
            for unsynced in CHOICES {
                let all = [Names::Lost, Names::Kept, Names::UpToOne, Names::Any];
                tried.push((unsynced, *all.choose(&mut self.random).unwrap_or(&Names::Any)));
            }
        }
        let everything = platter.crash(Unsynced::Kept, Names::Kept, &mut self.random);
        let crash = |(unsynced, names)| {
            let left = platter.crash(unsynced, names, &mut self.random);
            let lacks_names = !left.keys().eq(everything.keys());
            Crash { kind: kind(unsynced), left, lacks_names }
        };
        tried.into_iter().map(crash).collect()
    }

    fn note(&mut self, step: usize, crash: Crash, found: Found, bounds: Bounds<'_>) {
        let Bounds { answered, asked, .. } = bounds;
        let is_loss = matches!(found, Found::Lost(_));
        let words = match found {
            Found::Right(executed) => {
                self.draw(crash.left, executed);
                return;
            }
            // The head of a new file of the log, as if of another version: the library will not guess.
            Found::Refused(why) if crash.kind == NOISE && why.contains(BAD_HEAD) => {
                self.tally.noise_refused += 1;
                return;
            }
            Found::Lost(executed) => {
                format!("{answered} of {asked} requests were acknowledged, {executed} are there")
            }
            Found::Refused(why) => format!("the member does not start: {why}"),
            Found::Wrong(what) => what,
        };
        let files: Vec<String> = crash.left.keys().map(|name| name.display().to_string()).collect();
        let (label, kind, files) = (&self.label, crash.kind, files.join(", "));
        self.tally
            .violate(is_loss, format!("{label}, step {step}, {kind}: {words}; files: {files}"));
    }

    /// Each leftover that holds requests has the same chance to be the one from which another life begins.
    fn draw(&mut self, left: Leftover, executed: usize) {
        self.starts += 1;
        if self.random.random_range(0..self.starts) == 0 {
            self.start = Some((left, executed));
        }
    }

    /// Turns a bit of what was synced. It must be found out, unless nobody reads it.
    fn flip(
        &mut self,
        step: usize,
        platter: &Platter,
        bounds: Bounds<'_>,
    ) -> Result<(), NodeError> {
        let mut left = platter.crash(Unsynced::Dropped, Names::Lost, &mut self.random);
        let Some((name, place)) = self.place_in(&left) else { return Ok(()) };
        let is_newest =
            left.keys().rfind(|other| other.extension() == name.extension()) == Some(&name);
        let last_record = platter.last_record(&name);
        // Where the last record of an earlier life begins nobody knows.
        if is_newest && last_record.is_none() && name.starts_with(LOG) {
            return Ok(());
        }
        let Some(byte) = left.get_mut(&name).and_then(|bytes| bytes.get_mut(place)) else {
            return Ok(());
        };
        *byte ^= 1 << self.random.random_range(0..8);
        let is_last = is_newest && last_record.is_some_and(|begin| place >= begin);
        match self.judge.judge(&left, bounds)? {
            Found::Right(_) => self.tally.flips_harmless += 1,
            Found::Refused(_) => self.tally.flips_refused += 1,
            Found::Lost(_) if is_last => self.tally.flips_in_last += 1,
            found => {
                let (label, name) = (&self.label, name.display());
                let words = format!(
                    "{label}, step {step}, a bit of byte {place} of {name} turned: {found:?}"
                );
                self.tally.violate(false, words);
            }
        }
        Ok(())
    }

    /// A byte of a file, not of the zeros at its end.
    fn place_in(&mut self, left: &Leftover) -> Option<(PathBuf, usize)> {
        let written = |bytes: &Vec<u8>| bytes.iter().rposition(|byte| *byte != 0);
        let places: Vec<(&PathBuf, usize)> =
            left.iter().filter_map(|(name, bytes)| Some((name, written(bytes)?))).collect();
        let (name, last) = *places.choose(&mut self.random)?;
        Some((name.clone(), self.random.random_range(0..=last)))
    }
}

fn kind(unsynced: Unsynced) -> &'static str {
    match unsynced {
        Unsynced::Dropped => "dropped",
        Unsynced::Kept => "kept",
        Unsynced::Torn(SECTOR) => "torn at 512 B",
        Unsynced::Torn(PAGE) => "torn at 4 KiB",
        Unsynced::Torn(_) => "torn anywhere",
        Unsynced::Reordered(SECTOR) => "reordered, 512 B",
        Unsynced::Reordered(_) => "reordered, 4 KiB",
        Unsynced::Noise(_) => NOISE,
    }
}

/// Two leftovers with the same one are the same.
fn fingerprint(left: &Leftover) -> u64 {
    let mut hasher = DefaultHasher::new();
    left.hash(&mut hasher);
    hasher.finish()
}
