//! Histories for other checkers: EDN as Knossos and Elle read it, and lines of JSON for a Go program with Porcupine.

use super::calls::{Told, times, told};
use super::{Function, Kind, Record, Shape, Value};
use serde_json::{Map, Value as Json, json};
use std::io::{self, Write};

/// Writes one map per record and line. Knossos' `cas-register` wants a history of one register, so keys only show if
/// `shape` says so.
///
/// # Errors
/// If `out` cannot be written.
pub fn write_edn(out: &mut impl Write, records: &[Record], shape: Shape) -> io::Result<()> {
    for (index, record) in records.iter().enumerate() {
        let Record { process, kind, f, .. } = record;
        write!(out, "{{:process {process}, :type :{}, :f :{}, ", kind.word(), f.word())?;
        write!(out, ":value {}", payload(record, shape))?;
        if let Some(time) = record.time_ns {
            write!(out, ", :time {time}")?;
        }
        if *kind == Kind::Missed {
            write!(out, ", :error :did-not-succeed")?;
        }
        writeln!(out, ", :index {index}}}")?;
    }
    Ok(())
}

fn payload(record: &Record, shape: Shape) -> String {
    let mut text = match record.value {
        Value::Nil => "nil".to_owned(),
        Value::One(value) => value.to_string(),
        Value::Pair(from, to) => format!("[{} {to}]", or_nil(from)),
    };
    if shape.versioned {
        text = format!("[{} {text}]", or_nil(record.version));
    }
    if shape.keyed {
        text = format!("[{} {text}]", or_nil(record.key));
    }
    text
}

fn or_nil(value: Option<u64>) -> String {
    value.map_or_else(|| "nil".to_owned(), |value| value.to_string())
}

/// Writes one object per operation and line, with the fields of Porcupine's `Operation`:
/// `{"client":0,"input":{"f":"cas","key":7,"from":1,"to":2},"output":{"succeeded":true},"call":10,"return":25}`.
/// Times are nanoseconds, or record numbers where times are missing. `output` and `return` are null where the outcome
/// is unknown: the operation then returns after all others, and its answer may be anything.
///
/// # Errors
/// If `out` cannot be written, or, as `InvalidInput`, if the records are not a history.
pub fn write_porcupine(out: &mut impl Write, records: &[Record]) -> io::Result<()> {
    let times = times(records);
    let told = told(records).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    for one in told {
        let invocation = &records[one.invocation];
        let line = json!({
            "client": invocation.process,
            "input": input(invocation),
            "output": one.is_known.then(|| output(&one)),
            "call": times[one.invocation],
            "return": one.is_known.then(|| times[one.last]),
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn input(invocation: &Record) -> Json {
    let mut input = Map::new();
    input.insert("f".into(), invocation.f.word().into());
    if let Some(key) = invocation.key {
        input.insert("key".into(), key.into());
    }
    match (invocation.f, invocation.value) {
        (Function::Read, _) => {}
        (_, Value::Nil) => drop(input.insert("value".into(), Json::Null)),
        (_, Value::One(value)) => drop(input.insert("value".into(), value.into())),
        (_, Value::Pair(from, to)) => {
            input.insert("from".into(), from.into());
            input.insert("to".into(), to.into());
        }
    }
    input.into()
}

fn output(told: &Told) -> Json {
    let mut output = Map::new();
    match (told.parts.f, told.parts.read) {
        (Function::Read, Value::One(value)) => drop(output.insert("value".into(), value.into())),
        (Function::Read, _) => drop(output.insert("value".into(), Json::Null)),
        (Function::Cas, _) => drop(output.insert("succeeded".into(), (!told.parts.missed).into())),
        (Function::Write, _) => {}
    }
    if let Some(version) = told.parts.version {
        output.insert("version".into(), version.into());
    }
    output.into()
}
