//! From records to the calls that a checker takes, and back.

use super::{Function, Kind, Record, Value};
use crate::verify::wgl::Call;
use crate::verify::wgl::register::{RegisterOp, VersionedOp};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Records, or calls, that are not a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A record that cannot be there.
    #[error("record {number}: expected {expected}")]
    Record {
        /// Its number, from 1.
        number: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// A client that does two things at once.
    #[error("client {client}: a call at {invoked} ns before the one before it returned")]
    Overlap {
        /// Which client.
        client: u64,
        /// When the second call was invoked, nanoseconds.
        invoked: u64,
    },
    /// A client with a number that is too high.
    #[error("client {client}: there are only {clients}")]
    NoSuchClient {
        /// Its number.
        client: u64,
        /// How many there are.
        clients: u64,
    },
}

/// An operation of a register as its two records tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// What is done.
    pub f: Function,
    /// The value of the invocation.
    pub asked: Value,
    /// The value of the completion, for a read.
    pub read: Value,
    /// The version in the answer.
    pub version: Option<u64>,
    /// Whether the answer was that a compare-and-set found something else.
    pub missed: bool,
}

/// An operation that records can tell.
pub trait Recorded: Sized {
    /// What its records say.
    fn parts(&self) -> Parts;

    /// The operation that records tell.
    ///
    /// # Errors
    /// What was expected and is missing.
    fn of(parts: Parts) -> Result<Self, &'static str>;
}

impl Recorded for RegisterOp<u64> {
    fn parts(&self) -> Parts {
        let parts = |f, asked| Parts { f, asked, read: Value::Nil, version: None, missed: false };
        match *self {
            RegisterOp::Read(read) => {
                Parts { read: of_option(read), ..parts(Function::Read, Value::Nil) }
            }
            RegisterOp::Write(value) => parts(Function::Write, Value::One(value)),
            RegisterOp::Cas { from, to, succeeded } => {
                Parts { missed: !succeeded, ..parts(Function::Cas, Value::Pair(from, to)) }
            }
            RegisterOp::Delete => parts(Function::Write, Value::Nil),
        }
    }

    fn of(parts: Parts) -> Result<Self, &'static str> {
        match (parts.f, parts.asked, parts.read) {
            (Function::Read, _, Value::Nil) => Ok(RegisterOp::Read(None)),
            (Function::Read, _, Value::One(value)) => Ok(RegisterOp::Read(Some(value))),
            (Function::Write, Value::Nil, _) => Ok(RegisterOp::Delete),
            (Function::Write, Value::One(value), _) => Ok(RegisterOp::Write(value)),
            (Function::Cas, Value::Pair(from, to), _) => {
                Ok(RegisterOp::Cas { from, to, succeeded: !parts.missed })
            }
            _ => Err(VALUE_THAT_FITS),
        }
    }
}

impl Recorded for VersionedOp<u64> {
    fn parts(&self) -> Parts {
        let plain = match *self {
            VersionedOp::Read(read) => RegisterOp::Read(read.map(|(value, _)| value)),
            VersionedOp::Write { value, .. } => RegisterOp::Write(value),
            VersionedOp::Cas { from, to, succeeded, .. } => RegisterOp::Cas { from, to, succeeded },
            VersionedOp::Delete => RegisterOp::Delete,
        };
        let version = match *self {
            VersionedOp::Read(read) => read.map(|(_, version)| version),
            VersionedOp::Write { version, .. } | VersionedOp::Cas { version, .. } => version,
            VersionedOp::Delete => None,
        };
        Parts { version, ..plain.parts() }
    }

    fn of(parts: Parts) -> Result<Self, &'static str> {
        let version = parts.version;
        Ok(match RegisterOp::of(parts)? {
            RegisterOp::Read(None) => VersionedOp::Read(None),
            RegisterOp::Read(Some(value)) => {
                VersionedOp::Read(Some((value, version.ok_or("the version that was read")?)))
            }
            RegisterOp::Write(value) => VersionedOp::Write { value, version },
            RegisterOp::Cas { from, to, succeeded } => {
                VersionedOp::Cas { from, to, succeeded, version }
            }
            RegisterOp::Delete => VersionedOp::Delete,
        })
    }
}

const VALUE_THAT_FITS: &str = "a value that fits the operation";

fn of_option(value: Option<u64>) -> Value {
    value.map_or(Value::Nil, Value::One)
}

/// The calls on each register, in the order of their invocation. Left out: what failed, which was surely not done, and
/// reads of unknown outcome, which tell nothing. Of an unknown compare-and-set `succeeded` is true, and means nothing.
///
/// Times are those of the records if all have one and none goes back, else the records' numbers.
///
/// # Errors
/// If a process does not invoke and complete by turns, or a value does not fit its operation.
pub fn calls<O: Recorded>(
    records: &[Record],
) -> Result<BTreeMap<Option<u64>, Vec<Call<O>>>, HistoryError> {
    let times = times(records);
    let mut calls: BTreeMap<Option<u64>, Vec<Call<O>>> = BTreeMap::new();
    for told in told(records)? {
        let invocation = &records[told.invocation];
        let op = O::of(told.parts)
            .map_err(|expected| HistoryError::Record { number: told.last + 1, expected })?;
        let returned = told.is_known.then(|| times[told.last]);
        let call = Call { op, invoked: times[told.invocation], returned };
        calls.entry(invocation.key).or_default().push(call);
    }
    Ok(calls)
}

/// One operation that may have been done.
pub(super) struct Told {
    /// Index of the record of the invocation.
    pub(super) invocation: usize,
    /// Index of the completion; that of the invocation if there is none.
    pub(super) last: usize,
    /// Whether the outcome is.
    pub(super) is_known: bool,
    pub(super) parts: Parts,
}

/// The operations that [`calls`] does not leave out, in the order of their invocation.
pub(super) fn told(records: &[Record]) -> Result<Vec<Told>, HistoryError> {
    let mut pairing = Pairing::default();
    for (index, record) in records.iter().enumerate() {
        pairing
            .add(record, index)
            .map_err(|expected| HistoryError::Record { number: index + 1, expected })?;
    }
    let pairs = pairing.pairs.into_iter();
    Ok(pairs.filter_map(|(invocation, completion)| one(records, invocation, completion)).collect())
}

fn one(records: &[Record], invocation: usize, completion: Option<usize>) -> Option<Told> {
    let last = completion.unwrap_or(invocation);
    let (first, second) = (&records[invocation], &records[last]);
    let is_known = matches!(second.kind, Kind::Ok | Kind::Missed);
    let is_silent = first.f == Function::Read && !is_known;
    let is_read = first.f == Function::Read;
    (second.kind != Kind::Fail && !is_silent).then(|| Told {
        invocation,
        last,
        is_known,
        parts: Parts {
            f: first.f,
            asked: first.value,
            read: if is_read { second.value } else { Value::Nil },
            version: second.version.filter(|_| second.kind == Kind::Ok),
            missed: second.kind == Kind::Missed,
        },
    })
}

/// The time of each record.
pub(super) fn times(records: &[Record]) -> Vec<u64> {
    let told: Option<Vec<u64>> = records.iter().map(|record| record.time_ns).collect();
    told.filter(|times| times.is_sorted()).unwrap_or_else(|| (0..records.len() as u64).collect())
}

/// Which completion belongs to which invocation.
#[derive(Default)]
pub(super) struct Pairing {
    /// Indices of the invocation and of the completion, by invocation.
    pairs: Vec<(usize, Option<usize>)>,
    /// Index into `pairs` and operation of each process that waits.
    open: HashMap<u64, (usize, Function)>,
    /// Processes that ended with an unknown outcome.
    gone: HashSet<u64>,
}

impl Pairing {
    /// Takes the record at `index`, or tells what was expected instead.
    pub(super) fn add(&mut self, record: &Record, index: usize) -> Result<(), &'static str> {
        let process = record.process;
        if record.kind == Kind::Invoke {
            if self.gone.contains(&process) {
                return Err("no process again that ended with `:info`");
            }
            if self.open.insert(process, (self.pairs.len(), record.f)).is_some() {
                return Err("a completion, since the process waits for one");
            }
            self.pairs.push((index, None));
            return Ok(());
        }
        let Some((pair, f)) = self.open.remove(&process) else {
            return Err("an invocation before the completion");
        };
        if f != record.f {
            return Err("the completion of the operation that was invoked");
        }
        if record.kind == Kind::Missed && f != Function::Cas {
            return Err("a compare-and-set, since only that can miss");
        }
        if record.kind == Kind::Info {
            self.gone.insert(process);
        }
        self.pairs[pair].1 = Some(index);
        Ok(())
    }
}

/// A call and who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCall<O> {
    /// The client, from 0.
    pub client: u64,
    /// The register; None if there is only one.
    pub key: Option<u64>,
    /// What it did.
    pub call: Call<O>,
}

/// The history of `clients` clients that did `calls`, which may be in any order. Client c is process c at first, and
/// c + `clients` more after each unknown outcome. Such an outcome is recorded when its client goes on, or at the end.
///
/// # Errors
/// If a client is not below `clients`, or has calls that overlap.
pub fn records<O: Recorded>(
    calls: &[ClientCall<O>],
    clients: u64,
) -> Result<Vec<Record>, HistoryError> {
    let mut of_client: BTreeMap<u64, Vec<&ClientCall<O>>> = BTreeMap::new();
    for call in calls {
        if call.client >= clients {
            return Err(HistoryError::NoSuchClient { client: call.client, clients });
        }
        of_client.entry(call.client).or_default().push(call);
    }
    let end = calls.iter().map(|one| returned(one).max(one.call.invoked)).max().unwrap_or(0);
    let mut moments = Vec::new();
    for calls in of_client.values_mut() {
        calls.sort_by_key(|call| (call.call.invoked, call.call.returned));
        moments.extend(of_one_client(calls, clients, end)?);
    }
    moments.sort_by_key(|moment| (moment.at, moment.turn, moment.record.kind != Kind::Invoke));
    Ok(moments.into_iter().map(|moment| moment.record).collect())
}

/// A record with its place in the history.
struct Moment {
    at: u64,
    /// How many records of the same client come before it at the same time.
    turn: usize,
    record: Record,
}

fn of_one_client<O: Recorded>(
    calls: &[&ClientCall<O>],
    clients: u64,
    end: u64,
) -> Result<Vec<Moment>, HistoryError> {
    let mut moments: Vec<Moment> = Vec::with_capacity(2 * calls.len());
    let mut process = calls.first().map_or(0, |call| call.client);
    for (index, one) in calls.iter().enumerate() {
        let invoked = one.call.invoked;
        let next = calls.get(index + 1).map(|next| next.call.invoked);
        let done = one.call.returned.map(|_| returned(one));
        if let (Some(next), Some(done)) = (next, done)
            && next < done
        {
            return Err(HistoryError::Overlap { client: one.client, invoked: next });
        }
        let parts = one.call.op.parts();
        let record = |kind, value, version, at| Record {
            process,
            kind,
            key: one.key,
            f: parts.f,
            value,
            version,
            time_ns: Some(at),
        };
        let (kind, version) = match (done, parts.missed) {
            (None, _) => (Kind::Info, None),
            (Some(_), true) => (Kind::Missed, None),
            (Some(_), false) => (Kind::Ok, parts.version),
        };
        let is_read = kind == Kind::Ok && parts.f == Function::Read;
        let value = if is_read { parts.read } else { parts.asked };
        let completed = done.or(next).unwrap_or(end);
        push(&mut moments, invoked, record(Kind::Invoke, parts.asked, None, invoked));
        push(&mut moments, completed, record(kind, value, version, completed));
        if kind == Kind::Info {
            process += clients;
        }
    }
    Ok(moments)
}

fn push(moments: &mut Vec<Moment>, at: u64, record: Record) {
    let turn = moments.last().filter(|last| last.at == at).map_or(0, |last| last.turn + 1);
    moments.push(Moment { at, turn, record });
}

/// When a call returned; when it was invoked if that is not known.
fn returned<O>(one: &ClientCall<O>) -> u64 {
    one.call.returned.unwrap_or(0).max(one.call.invoked)
}
