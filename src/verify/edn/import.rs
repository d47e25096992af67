//! Jepsen's histories: `history.edn`, one map per line or a vector of maps; `history.txt`, four columns per line; and
//! logs of a test run, in which `jepsen.util` wrote the same columns. Porcupine's histories of etcd are such logs.

use super::calls::Pairing;
use super::edn_reader::{Edn, Reader, Unexpected};
use super::{Function, Kind, Record, Shape, Value};

/// Largest text, bytes.
pub const BYTES_MAX: usize = 256 << 20;
/// Most letters of the text that an error shows.
const SHOWN_MAX: usize = 40;
/// What stands before the columns in a log.
const LOG_MARK: &str = "jepsen.util - ";

/// What is expected as `:process`.
const PROCESS: &str = "a process: a number, or a keyword such as `:nemesis`";

/// A text that is not a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It has more than [`BYTES_MAX`].
    #[error("a history of {0} bytes is too long, at most {BYTES_MAX} are read")]
    TooLong(usize),
    /// Something else should stand at some place.
    #[error("line {line}: expected {expected}, found `{found}`")]
    Unexpected {
        /// The line, from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
        /// What begins there, without control characters; empty at the end.
        found: String,
    },
}

/// The records of clients in `text`, in its order. Those of the nemesis and of others without a number are left out.
///
/// # Errors
/// If the text is too long, is neither EDN nor a log, has an operation that no register has, or if a process does not
/// invoke and complete by turns.
pub fn import(text: &str, shape: Shape) -> Result<Vec<Record>, ImportError> {
    if text.len() > BYTES_MAX {
        return Err(ImportError::TooLong(text.len()));
    }
    let mut history = History { shape, records: Vec::new(), pairing: Pairing::default() };
    let read = match text.trim_start().starts_with(['{', '[', '(', '#', ';']) {
        true => history.read_edn(text),
        false => history.read_log(text),
    };
    read.map_err(|wrong| shown(text, wrong))?;
    Ok(history.records)
}

fn shown(text: &str, Unexpected { at, expected }: Unexpected) -> ImportError {
    let line = text[..at].matches('\n').count() + 1;
    let found = text[at..].lines().next().unwrap_or("");
    let found = found.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
    ImportError::Unexpected { line, expected, found }
}

/// What was read so far.
struct History {
    shape: Shape,
    records: Vec<Record>,
    pairing: Pairing,
}

/// The columns of a record.
struct Columns<'e, 'a> {
    process: &'e Edn<'a>,
    kind: &'e Edn<'a>,
    f: &'e Edn<'a>,
    value: &'e Edn<'a>,
    error: &'e Edn<'a>,
    time: &'e Edn<'a>,
}

impl History {
    fn read_edn(&mut self, text: &str) -> Result<(), Unexpected> {
        let mut reader = Reader::new(text, 0);
        let close = match reader.peek()? {
            Some((b'[', _)) => Some(b']'),
            Some((b'(', _)) => Some(b')'),
            _ => None,
        };
        if close.is_some() {
            reader.take();
        }
        loop {
            match (reader.peek()?, close) {
                (Some((byte, _)), Some(close)) if byte == close => {
                    reader.take();
                    return end(&mut reader);
                }
                (None, None) => return Ok(()),
                (None, Some(_)) => {
                    return Err(Unexpected { at: text.len(), expected: "the end of the vector" });
                }
                (Some((_, at)), _) => self.map(&reader.value()?, at)?,
            }
        }
    }

    fn map(&mut self, map: &Edn<'_>, at: usize) -> Result<(), Unexpected> {
        if !matches!(map, Edn::Map(_)) {
            return Err(Unexpected {
                at,
                expected: "an operation, `{:process 0, :type :invoke, …}`",
            });
        }
        let get = |keyword| map.get(keyword).unwrap_or(&Edn::Nil);
        let columns = Columns {
            process: get("process"),
            kind: get("type"),
            f: get("f"),
            value: get("value"),
            error: get("error"),
            time: get("time"),
        };
        self.add(&columns, at)
    }

    /// In a log only marked lines count: what else is in it may look like a record, e.g. Knossos' worlds.
    fn read_log(&mut self, text: &str) -> Result<(), Unexpected> {
        let is_log = text.contains(LOG_MARK);
        let mut begin = 0;
        for line in text.split_inclusive('\n') {
            let end = begin + line.len();
            let columns = match line.find(LOG_MARK) {
                Some(mark) => Some(begin + mark + LOG_MARK.len()),
                None => (!is_log && !line.trim().is_empty()).then_some(begin),
            };
            if let Some(columns) = columns {
                self.line(&text[..begin + line.trim_end_matches(['\r', '\n']).len()], columns)?;
            }
            begin = end;
        }
        Ok(())
    }

    /// The columns from `at` to the end of `text`.
    fn line(&mut self, text: &str, at: usize) -> Result<(), Unexpected> {
        let mut reader = Reader::new(text, at);
        let process = reader.value()?;
        match process {
            Edn::Keyword(_) => return Ok(()),
            Edn::Int(_) => {}
            _ => return Err(Unexpected { at, expected: PROCESS }),
        }
        let (kind, f) = (reader.value()?, reader.value()?);
        let value = match reader.peek()? {
            Some(_) => reader.value()?,
            None => Edn::Nil,
        };
        let [error, time] = [&Edn::Nil; 2];
        self.add(&Columns { process: &process, kind: &kind, f: &f, value: &value, error, time }, at)
    }

    fn add(&mut self, columns: &Columns<'_, '_>, at: usize) -> Result<(), Unexpected> {
        let unexpected = |expected| Unexpected { at, expected };
        if let Some(record) = columns.record(self.shape).map_err(unexpected)? {
            self.pairing.add(&record, self.records.len()).map_err(unexpected)?;
            self.records.push(record);
        }
        Ok(())
    }
}

fn end(reader: &mut Reader<'_>) -> Result<(), Unexpected> {
    match reader.peek()? {
        None => Ok(()),
        Some((_, at)) => Err(Unexpected { at, expected: "nothing after the vector" }),
    }
}

/// What is in `:value`.
type Payload = (Option<u64>, Option<u64>, Value);

impl Columns<'_, '_> {
    /// The record; None if no client made it.
    fn record(&self, shape: Shape) -> Result<Option<Record>, &'static str> {
        let process = match self.process {
            Edn::Keyword(_) => return Ok(None),
            other => other.number().ok_or(PROCESS)?,
        };
        let f = match self.f {
            Edn::Keyword("read") => Function::Read,
            Edn::Keyword("write") => Function::Write,
            Edn::Keyword("cas") => Function::Cas,
            _ => return Err("an operation of a register: `:read`, `:write` or `:cas`"),
        };
        let kind = self.kind(f)?;
        let (key, version, value) = match kind {
            Kind::Invoke | Kind::Ok => self.payload(shape, f, kind)?,
            // Often it is an error message.
            _ => self.payload(shape, f, kind).unwrap_or((None, None, Value::Nil)),
        };
        let time_ns = self.time.number();
        Ok(Some(Record { process, kind, key, f, value, version, time_ns }))
    }

    fn kind(&self, f: Function) -> Result<Kind, &'static str> {
        match (self.kind, self.error) {
            (Edn::Keyword("invoke"), _) => Ok(Kind::Invoke),
            (Edn::Keyword("ok"), _) => Ok(Kind::Ok),
            (Edn::Keyword("fail"), Edn::Keyword("did-not-succeed")) if f == Function::Cas => {
                Ok(Kind::Missed)
            }
            (Edn::Keyword("fail"), _) => Ok(Kind::Fail),
            (Edn::Keyword("info"), _) => Ok(Kind::Info),
            _ => Err("a type: `:invoke`, `:ok`, `:fail` or `:info`"),
        }
    }

    fn payload(&self, shape: Shape, f: Function, kind: Kind) -> Result<Payload, &'static str> {
        let (mut key, mut version, mut value) = (None, None, self.value);
        if shape.keyed {
            let Some((first, second)) = pair(value) else { return Err("a value `[key value]`") };
            key = Some(first.number().ok_or("a key that is a number from 0")?);
            value = second;
        }
        if shape.versioned && *value != Edn::Nil {
            let Some((first, second)) = pair(value) else {
                return Err("a value `[version value]`");
            };
            version = optional(first).ok_or("a version: a number from 0, or nil")?;
            value = second;
        }
        Ok((key, version, asked_or_read(value, f, kind)?))
    }
}

fn asked_or_read(value: &Edn<'_>, f: Function, kind: Kind) -> Result<Value, &'static str> {
    let one = optional(value).map(|one| one.map_or(Value::Nil, Value::One));
    let two = pair(value).and_then(|(from, to)| Some(Value::Pair(optional(from)?, to.number()?)));
    match (f, kind) {
        (Function::Read, Kind::Invoke) => Ok(Value::Nil),
        (Function::Read, _) => one.ok_or("a value that was read: a number from 0, or nil"),
        (Function::Write, Kind::Invoke) => one.ok_or("a value to write: a number from 0, or nil"),
        (Function::Cas, Kind::Invoke) => two.ok_or("two values, `[old new]`: numbers from 0"),
        (Function::Write, _) => Ok(one.unwrap_or(Value::Nil)),
        (Function::Cas, _) => Ok(two.unwrap_or(Value::Nil)),
    }
}

fn pair<'e, 'a>(value: &'e Edn<'a>) -> Option<(&'e Edn<'a>, &'e Edn<'a>)> {
    match value {
        Edn::Vector(values) => match values.as_slice() {
            [first, second] => Some((first, second)),
            _ => None,
        },
        _ => None,
    }
}

/// A number from 0 or nil.
fn optional(value: &Edn<'_>) -> Option<Option<u64>> {
    match value {
        Edn::Nil => Some(None),
        other => other.number().map(Some),
    }
}
