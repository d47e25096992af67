//! Profiles as Google's `profile.proto`, gzipped: what pprof, Speedscope, Pyroscope and Parca read. Messages and their
//! numbers are those of github.com/google/pprof/proto/profile.proto.

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use std::collections::HashMap;
use std::io::{self, Write};

#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    /// The first is empty: 0 means none.
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    name: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    /// Innermost first.
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<Label>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    text: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
}

/// Name of the label that says which threads a stack is of.
const THREAD: &str = "thread";

/// Collects samples into a profile.
pub(super) struct Builder {
    profile: Profile,
    strings: HashMap<String, i64>,
    /// A function has one location, since lines are not told apart.
    locations: HashMap<String, u64>,
}

impl Builder {
    /// A profile of such values, each with its unit.
    pub(super) fn new<const N: usize>(values: [(&str, &str); N]) -> Builder {
        let profile = Profile { string_table: vec![String::new()], ..Profile::default() };
        let strings = HashMap::from([(String::new(), 0)]);
        let mut builder = Builder { profile, strings, locations: HashMap::new() };
        let types = values.map(|(name, unit)| ValueType {
            name: builder.string(name),
            unit: builder.string(unit),
        });
        builder.profile.sample_type = types.to_vec();
        builder
    }

    /// One stack, root first, with a value of each type.
    pub(super) fn sample<'a, const N: usize>(
        &mut self,
        thread: &str,
        stack: impl Iterator<Item = &'a str>,
        values: [i64; N],
    ) {
        let mut location_id: Vec<u64> = stack.map(|frame| self.location(frame)).collect();
        location_id.reverse();
        let label = Label { key: self.string(THREAD), text: self.string(thread) };
        let sample = Sample { location_id, value: values.to_vec(), label: vec![label] };
        self.profile.sample.push(sample);
    }

    /// The file.
    pub(super) fn finish(mut self, seconds: f64) -> io::Result<Vec<u8>> {
        self.profile.duration_nanos = (seconds * 1e9) as i64;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&self.profile.encode_to_vec())?;
        gzip.finish()
    }

    fn location(&mut self, function: &str) -> u64 {
        if let Some(id) = self.locations.get(function) {
            return *id;
        }
        let (id, name) = (self.locations.len() as u64 + 1, self.string(function));
        self.profile.function.push(Function { id, name, system_name: name });
        self.profile.location.push(Location { id, line: vec![Line { function_id: id }] });
        self.locations.insert(function.to_owned(), id);
        id
    }

    fn string(&mut self, text: &str) -> i64 {
        if let Some(index) = self.strings.get(text) {
            return *index;
        }
        let index = self.profile.string_table.len() as i64;
        self.profile.string_table.push(text.to_owned());
        self.strings.insert(text.to_owned(), index);
        index
    }
}

/// A profile read again, for tests.
#[cfg(test)]
pub(super) struct Read {
    pub(super) types: Vec<String>,
    pub(super) seconds: f64,
    /// Frames innermost first, thread, values.
    pub(super) samples: Vec<(Vec<String>, String, Vec<i64>)>,
}

#[cfg(test)]
impl Read {
    pub(super) fn of(gzipped: &[u8]) -> Read {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut flate2::read::GzDecoder::new(gzipped), &mut bytes).unwrap();
        let profile = Profile::decode(&bytes[..]).unwrap();
        let string = |index: i64| profile.string_table[index as usize].clone();
        let function = |location: &u64| {
            let is_it = |known: &&Location| known.id == *location;
            let line = profile.location.iter().find(is_it).unwrap().line[0];
            let is_it = |known: &&Function| known.id == line.function_id;
            string(profile.function.iter().find(is_it).unwrap().name)
        };
        let sample = |sample: &Sample| {
            let [label] = sample.label[..] else { panic!("one label: {sample:?}") };
            assert_eq!(string(label.key), THREAD);
            let stack = sample.location_id.iter().map(function).collect();
            (stack, string(label.text), sample.value.clone())
        };
        let name = |of: &ValueType| format!("{}/{}", string(of.name), string(of.unit));
        Read {
            types: profile.sample_type.iter().map(name).collect(),
            seconds: profile.duration_nanos as f64 / 1e9,
            samples: profile.sample.iter().map(sample).collect(),
        }
    }
}
