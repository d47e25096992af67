//! One life of a member: it starts on what a crash left, is asked for changes, and ends. What its disk was asked for meanwhile is written
//! down, with the moments at which its clients were answered.

use super::disk::WatchedDisk;
use super::journal::{Journal, Step};
use super::mishap::Trouble;
use super::platter::Leftover;
use crate::clock::Clock;
use crate::measure::stage::Probe;
use crate::model::{Put, Request, Response};
use crate::node::{Compaction, Config, DataFolder, Node, NodeError, Outcome, Peers};
use crate::raft::{
    self, ApplyOn, Batch, Fsync, Group, ImagePolicy, Linger, Medium, Propose, Publish, Reads,
};
use crate::seed::Seed;
use crate::store::{self, Digest, PathKind};
use crate::units::ByteSize;
use crate::verify::generate::{Generator, Hint, Shape};
use crate::verify::oracle::Oracle;
use rand::Rng;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Files of the log are short, so that another one is begun, given back and used again all the time.
const LOG_FILE: ByteSize = ByteSize(8 << 10);
const LOG_FILES: ByteSize = ByteSize(24 << 10);
/// Images after few entries, so that the log is cut all the time.
const IMAGES: ImagePolicy = ImagePolicy { entries: 12, bytes: ByteSize(1 << 20), keep: 3 };
/// Keys and leases that requests are about.
const SHAPE: Shape = Shape { keys: 12, leases: 3 };
/// No lease ends by itself.
const TTL_S: i64 = 9_000;
/// The largest value; several sectors.
const VALUE_BYTES_MAX: usize = 1_500;
/// Requests that are under way at once, at most.
const WINDOW_MAX: usize = 8;
/// How it is said that a member did not start because it panicked.
pub(super) const PANICKED: &str = "it panicked: ";
/// Far beyond what an answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The levers of a member, and how much it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) config: Config,
    pub(super) requests: usize,
    /// Requests under way at once.
    window: usize,
}

/// What a life began with, and what it was asked.
pub(super) struct Script {
    pub(super) begin: Leftover,
    base: Oracle,
    requests: Vec<Request>,
    responses: Vec<Response>,
    /// The state after so many requests; the first is that in the beginning.
    pub(super) digests: Vec<Digest>,
}

/// What happened in a life.
#[derive(Default)]
pub(super) struct Life {
    pub(super) steps: Vec<Step>,
    /// Why it did not even start.
    pub(super) did_not_start: Option<String>,
    /// Requests that were answered; the others were not, as far as their clients know.
    pub(super) answered: u64,
    /// Whether it gave up by itself.
    pub(super) stopped: bool,
    /// Whether the disk had its mishap.
    pub(super) mishap_happened: bool,
    /// What was wrong with its answers.
    pub(super) violations: Vec<String>,
}

impl Way {
    /// The levers that belong to a seed.
    pub(super) fn of(seed: Seed, requests: usize, fsync: Fsync) -> Way {
        let mut random = seed.stream("way", 0);
        let mut one_in = |count: u32| random.random_range(0..count) == 0;
        let bytes_max = ByteSize(1 << 20);
        let in_flight = if one_in(2) { 1 } else { 4 };
        let batch = Batch { ops_max: 4, bytes_max, linger: Linger::None, in_flight };
        let propose = match (one_in(4), one_in(2)) {
            (true, _) => Propose::Serial,
            (_, true) => Propose::Pipelined,
            _ => Propose::Batched(batch),
        };
        let pipeline = raft::Config {
            propose,
            apply_on: if one_in(2) { ApplyOn::RaftThread } else { ApplyOn::ApplyThread },
            publish: if one_in(3) { Publish::NextReady } else { Publish::Ready },
            fsync,
            reads: Reads::Index,
        };
        let path = match one_in(2) {
            true => PathKind::GlobalMutex,
            false => PathKind::Sharded { shards: 16, workers: 1 },
        };
        let config = Config {
            store: store::Config::in_memory(path),
            compaction: Compaction::NEVER,
            pipeline,
        };
        Way { config, requests, window: random.random_range(1..=WINDOW_MAX) }
    }
}

impl Script {
    /// What is asked on a disk on which there is nothing.
    pub(super) fn first(seed: Seed, way: &Way) -> Script {
        Script::on(Leftover::new(), Oracle::new(), seed, way)
    }

    /// What is asked next if, of this script, the first `executed` requests were executed and a crash left these files.
    pub(super) fn next(&self, left: Leftover, executed: usize, seed: Seed, way: &Way) -> Script {
        let mut base = self.base.clone();
        self.requests[..executed].iter().for_each(|request| drop(base.apply(request)));
        Script::on(left, base, seed, way)
    }

    fn on(begin: Leftover, base: Oracle, seed: Seed, way: &Way) -> Script {
        let mut oracle = base.clone();
        let mut writes = Writes::new(seed);
        let mut script = Script {
            begin,
            base,
            requests: Vec::new(),
            responses: Vec::new(),
            digests: vec![oracle.dump().digest()],
        };
        for _ in 0..way.requests {
            let request = writes.next(&oracle);
            script.responses.push(oracle.apply(&request));
            script.digests.push(oracle.dump().digest());
            script.requests.push(request);
        }
        script
    }

    /// Lives it in the folder `root`, which is emptied before.
    pub(super) fn live(&self, way: &Way, trouble: Trouble, root: &Path) -> Result<Life, NodeError> {
        let folder = laid_out(&self.begin, root)?;
        let journal = Journal::begin(root, self.begin.keys().cloned());
        let trouble = Arc::new(trouble);
        let disk = Arc::new(WatchedDisk { journal: journal.clone(), trouble: trouble.clone() });
        let mut life = Life::default();
        match start(way.config, Medium { disk, ..medium() }, folder) {
            Ok(node) => {
                let outcomes = ask(&node, &self.requests, way.window, &journal);
                life.stopped = node.status().stopped;
                drop(node);
                life.steps = journal.steps();
                life.look_at(&outcomes, &self.responses);
            }
            Err(why) => {
                life.steps = journal.steps();
                life.did_not_start = Some(why);
            }
        }
        life.mishap_happened = trouble.happened();
        Ok(life)
    }
}

impl Life {
    fn look_at(&mut self, outcomes: &BTreeMap<usize, Outcome>, expected: &[Response]) {
        for (number, outcome) in outcomes {
            match outcome {
                Ok(delivered) => {
                    self.answered += 1;
                    let (given, expected) = (&delivered.reply, &expected[*number]);
                    if given != expected {
                        let words = format!("request {number}: expected {expected:?}, {given:?}");
                        self.violations.push(words);
                    }
                }
                // It woke its client, but only to say that there is no answer.
                Err(_) => self.steps.retain(
                    |step| !matches!(step, Step::Answered { number: told } if told == number),
                ),
            }
        }
        let unheard = expected.len() - outcomes.len();
        if unheard > 0 {
            self.violations.push(format!("{unheard} requests were never heard of again"));
        }
    }
}

/// The pieces of the log, on the host's disk.
pub(super) fn medium() -> Medium {
    // A log this short is read sooner than more threads are begun.
    Medium { log_file: LOG_FILE, log_files: LOG_FILES, readers: 1, ..Medium::default() }
}

/// A data folder with these files, and nothing else.
pub(super) fn laid_out(files: &Leftover, root: &Path) -> Result<DataFolder, NodeError> {
    let io =
        |source| NodeError::Folder(crate::node::FolderError::Io { path: root.to_owned(), source });
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let folder = DataFolder::open(root)?;
    for (name, bytes) in files {
        let path: PathBuf = root.join(name);
        fs::create_dir_all(path.parent().unwrap_or(root)).map_err(io)?;
        fs::write(path, bytes).map_err(io)?;
    }
    Ok(folder)
}

/// A member on its own; or why there is none, a panic included.
pub(super) fn start(config: Config, medium: Medium, folder: DataFolder) -> Result<Node, String> {
    let group = Group { images: IMAGES, ..Group::alone() };
    let peers = Peers { group, ..Peers::none() };
    let start = || Node::start_on(medium, config, peers, folder, Clock::start(), Probe::off());
    match catch_unwind(AssertUnwindSafe(start)) {
        Ok(Ok(node)) => Ok(node),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or(panic.downcast_ref::<&str>().copied());
            Err(format!("{PANICKED}{}", words.unwrap_or("without words")))
        }
    }
}

/// Random changes.
struct Writes {
    generator: Generator,
    random: rand_chacha::ChaCha8Rng,
    made: u64,
}

impl Writes {
    fn new(seed: Seed) -> Writes {
        let random = seed.stream("writes", 0);
        Writes { generator: Generator::new(seed, SHAPE), random, made: 0 }
    }

    fn next(&mut self, oracle: &Oracle) -> Request {
        self.made += 1;
        if self.random.random_range(0..3) == 0 {
            return Request::Put(self.large());
        }
        let hint = Hint { revision: oracle.revision(), compacted: oracle.compacted() };
        loop {
            match self.generator.next(hint) {
                Request::LeaseGrant { id, .. } if id > 0 => {
                    return Request::LeaseGrant { id, ttl_s: TTL_S };
                }
                // Whoever is not told an id makes one up; an alarm would refuse most of the rest.
                Request::LeaseGrant { .. } => {}
                request if request.is_write() && !request.is_alarm() => return request,
                _ => {}
            }
        }
    }

    fn large(&mut self) -> Put {
        let key = format!("large{}", self.random.random_range(0..4)).into_bytes();
        let mut value = format!("{}:", self.made).into_bytes();
        value.resize(self.random.random_range(8..VALUE_BYTES_MAX), b'.');
        Put { key, value, ..Put::default() }
    }
}

/// Tells the moment at which a request is answered: it is woken by the thread that answers.
struct Client {
    number: usize,
    journal: Arc<Journal>,
    woken: Sender<usize>,
}

impl Wake for Client {
    fn wake(self: Arc<Self>) {
        self.journal.note(Step::Answered { number: self.number });
        // Whoever waits may have given up.
        let _ = self.woken.send(self.number);
    }
}

/// Asks in this order, so many at once; whatever is not there was never heard of again.
fn ask(
    node: &Node,
    requests: &[Request],
    window: usize,
    journal: &Arc<Journal>,
) -> BTreeMap<usize, Outcome> {
    let (woken, wakes) = channel();
    let mut under_way: BTreeMap<usize, Pin<Box<dyn Future<Output = Outcome> + '_>>> =
        BTreeMap::new();
    let mut outcomes = BTreeMap::new();
    let mut left = requests.iter().enumerate();
    loop {
        while under_way.len() < window
            && let Some((number, request)) = left.next()
        {
            journal.note(Step::Asked { number });
            let mut call = Box::pin(node.call(request.clone()));
            let (journal, woken) = (journal.clone(), woken.clone());
            let waker = Waker::from(Arc::new(Client { number, journal: journal.clone(), woken }));
            match call.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => drop(under_way.insert(number, call)),
                Poll::Ready(outcome) => {
                    journal.note(Step::Answered { number });
                    outcomes.insert(number, outcome);
                }
            }
        }
        if under_way.is_empty() {
            return outcomes;
        }
        let Ok(number) = wakes.recv_timeout(PATIENCE) else { return outcomes };
        let Some(mut call) = under_way.remove(&number) else { continue };
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => drop(outcomes.insert(number, outcome)),
            Poll::Pending => drop(under_way.insert(number, call)),
        }
    }
}
