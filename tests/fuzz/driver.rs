//! Draws inputs and gives them to a target, and notes how each was answered.

use crate::mutate::Mutator;
use kvbench::clock::Clock;
use kvbench::seed::Seed;
use kvbench::units::Nanos;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// One input may take so long: far beyond any, and a loop that does not end is found.
const INPUT_SPAN_MAX: Nanos = Nanos::from_millis(5_000);
/// Bytes that an input may make its target ask for, beside those for each of its own.
const ALLOCATED_MAX: usize = 32 << 20;
/// The same for each byte of the input.
const ALLOCATED_PER_BYTE_MAX: usize = 20_000;
/// Samples that are kept because they were answered in a new way, at most.
const KEPT_MAX: usize = 2_000;
/// Longest input, bytes, where the samples are not longer.
const INPUT_BYTES_MAX: usize = 4_096;

/// One after the other: what they allocate and how fast they are is counted for the process.
static ALONE: Mutex<()> = Mutex::new(());

/// How an input was answered: a few words that tell kinds of answers apart, not every answer.
pub(crate) type Answer = Cow<'static, str>;

/// What is to be tried.
pub(crate) struct Plan<'a> {
    /// The target's name; part of the seed.
    pub(crate) name: &'static str,
    /// Inputs in every test.
    pub(crate) execs: u64,
    /// Valid inputs.
    pub(crate) samples: Vec<Vec<u8>>,
    /// What is worth inserting.
    pub(crate) words: &'a [&'a [u8]],
    /// Whether what the target asks of the allocator is counted; not where it has threads that go on by themselves.
    pub(crate) counts_bytes: bool,
}

/// Says what was tried if the target does not return.
struct Telling<'a> {
    name: &'static str,
    number: u64,
    input: &'a [u8],
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Telling { name, number, input } = self;
            let text = String::from_utf8_lossy(input);
            eprintln!("fuzz {name}: input {number} of seed {}, {} bytes:", seed(), input.len());
            eprintln!("{:?}\n{}", text.chars().take(2_000).collect::<String>(), hex(input));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(2_000).map(|byte| format!("{byte:02x}")).collect()
}

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

fn seed() -> u64 {
    asked("FUZZ_SEED").unwrap_or(1)
}

/// Tries broken samples on `target`; first the samples themselves.
pub(crate) fn fuzz(plan: Plan<'_>, mut target: impl FnMut(&[u8]) -> Answer) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let execs = asked("FUZZ_EXECS").unwrap_or(plan.execs);
    let longest = plan.samples.iter().map(Vec::len).max().unwrap_or(0);
    let mut mutator = Mutator {
        rng: Seed(seed()).stream(plan.name, 0),
        words: plan.words,
        bytes_max: INPUT_BYTES_MAX.max(longest + longest / 4),
    };
    let (mut samples, given) = (plan.samples, clock_reading());
    let first = samples.len();
    let mut answers: HashMap<Answer, u64> = HashMap::new();
    for number in 0..execs.max(first as u64) {
        let input = match samples.get(number as usize).filter(|_| (number as usize) < first) {
            Some(sample) => sample.clone(),
            None => mutator.broken(&samples),
        };
        let telling = Telling { name: plan.name, number, input: &input };
        let (began, asked) = (clock_reading(), allocated());
        let answer = target(&input);
        let (took, bytes) = (clock_reading().since(began), allocated().wrapping_sub(asked));
        assert!(took < INPUT_SPAN_MAX, "it took {took}");
        let allowed = ALLOCATED_MAX + ALLOCATED_PER_BYTE_MAX * input.len();
        assert!(!plan.counts_bytes || bytes <= allowed, "it asked for {bytes} bytes");
        drop(telling);
        let seen = answers.entry(answer).or_default();
        *seen += 1;
        if *seen == 1 && samples.len() < first + KEPT_MAX {
            samples.push(input);
        }
    }
    tell(plan.name, execs, clock_reading().since(given), &answers);
}

fn tell(name: &str, execs: u64, span: Nanos, answers: &HashMap<Answer, u64>) {
    let seconds = span.as_secs_f64();
    let mut most: Vec<_> = answers.iter().collect();
    most.sort_by_key(|(answer, seen)| (std::cmp::Reverse(**seen), answer.to_string()));
    let most: Vec<_> =
        most.iter().take(4).map(|(answer, seen)| format!("{answer} {seen}")).collect();
    eprintln!(
        "fuzz {name}: {execs} inputs in {seconds:.1} s, {:.0}/s, answered in {} ways: {}",
        execs as f64 / seconds,
        answers.len(),
        most.join(", ").chars().take(300).collect::<String>()
    );
    assert!(answers.len() > 1, "every input was answered alike: nothing was tried");
}

/// Bytes ever asked of the allocator.
fn allocated() -> usize {
    crate::ALLOCATOR.stats().bytes_allocated
}

fn clock_reading() -> Nanos {
    static CLOCK: std::sync::OnceLock<Clock> = std::sync::OnceLock::new();
    CLOCK.get_or_init(Clock::start).now()
}
