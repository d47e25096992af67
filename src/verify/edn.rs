//! Histories as others write and read them: Jepsen's EDN and logs come in, EDN for Knossos and lines for Porcupine go
//! out. So a history from elsewhere can be judged here, and one from here elsewhere.
//!
//! A history is a list of [`Record`]s, two for each operation of a register: its invocation and its completion.
//! `:ok` is done, `:fail` is surely not done, `:info` may be done now, later or never. After `:info` a process is never
//! seen again: whoever goes on does so under a new number, the old one plus the number of processes. A process that
//! still waits where the history ends is as one with `:info`. These are the rules of Jepsen's `jepsen.history`.
//!
//! What comes in is not trusted: its length, its nesting and its size per operation are limited.

mod calls;
mod edn_reader;
mod export;
mod import;

pub use calls::{ClientCall, HistoryError, Parts, Recorded, calls, records};
pub use export::{write_edn, write_porcupine};
pub use import::{BYTES_MAX, ImportError, import};

/// One line of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who does it, one operation at a time.
    pub process: u64,
    /// Whether the operation begins here, or how it ended.
    pub kind: Kind,
    /// The register; None if there is only one.
    pub key: Option<u64>,
    /// What is done.
    pub f: Function,
    /// In an invocation what is asked; in the `Ok` of a read what was read; else it means nothing.
    pub value: Value,
    /// In an `Ok` the version that was read or written, if the answer told it.
    pub version: Option<u64>,
    /// When, nanoseconds since some moment; None if only the order is known.
    pub time_ns: Option<u64>,
}

/// Which of the two records of an operation it is, and how the operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It begins.
    Invoke,
    /// It was done.
    Ok,
    /// A compare-and-set was answered: the register held something else. EDN: `:fail` with `:error :did-not-succeed`.
    Missed,
    /// It was surely not done, nor will it be.
    Fail,
    /// It may be done now, later or never.
    Info,
}

/// What is done to a register. A delete is a write of [`Value::Nil`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Reads the value.
    Read,
    /// Writes a value.
    Write,
    /// Writes a value if the register holds another.
    Cas,
}

/// A value of a [`Record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// No value, or none that matters.
    Nil,
    /// What is written, or was read.
    One(u64),
    /// What a compare-and-set compares with, None being no value, and what it writes.
    Pair(Option<u64>, u64),
}

/// How `:value` is laid out in EDN. It cannot be told from the text: `[1 2]` may be any of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// `[key value]`, a tuple of `jepsen.independent`.
    pub keyed: bool,
    /// `[version value]`, inside the key, as in Jepsen's test of etcd.
    pub versioned: bool,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Invoke => "invoke",
            Kind::Ok => "ok",
            Kind::Missed | Kind::Fail => "fail",
            Kind::Info => "info",
        }
    }
}

impl Function {
    fn word(self) -> &'static str {
        match self {
            Function::Read => "read",
            Function::Write => "write",
            Function::Cas => "cas",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use crate::verify::wgl::Call;
    use crate::verify::wgl::register::{RegisterOp, VersionedOp};
    use RegisterOp::{Cas, Delete, Read, Write};
    use rand::Rng;
    use serde_json::{Value as Json, json};
    use std::collections::{BTreeMap, BTreeSet};

    const PLAIN: Shape = Shape { keyed: false, versioned: false };
    const FULL: Shape = Shape { keyed: true, versioned: true };

    fn call<O>(op: O, invoked: u64, returned: impl Into<Option<u64>>) -> Call<O> {
        Call { op, invoked, returned: returned.into() }
    }

    fn imported<O: Recorded>(text: &str, shape: Shape) -> BTreeMap<Option<u64>, Vec<Call<O>>> {
        calls(&import(text, shape).unwrap()).unwrap()
    }

    fn edn(records: &[Record], shape: Shape) -> String {
        let mut out = Vec::new();
        write_edn(&mut out, records, shape).unwrap();
        String::from_utf8(out).unwrap()
    }

    const HISTORY: &str = r#"
{:process 0, :type :invoke, :f :write, :value 3, :time 10, :index 0}
{:process :nemesis, :type :info, :f :start-partition, :value {"n1" #{"n2"}}, :time 11, :index 1}
{:process 1, :type :invoke, :f :read, :value nil, :time 12, :index 2}
{:process 2, :type :invoke, :f :cas, :value [1 2], :time 13, :index 3}
{:process 0, :type :ok, :f :write, :value 3, :time 14, :index 4}
{:process 2, :type :fail, :f :cas, :value [1 2], :time 15, :index 5}
{:process 1, :type :ok, :f :read, :value 3, :time 16, :index 6}
{:process 2, :type :invoke, :f :cas, :value [9 2], :time 17, :index 7}
{:process 2, :type :fail, :f :cas, :value [9 2], :time 18, :error :did-not-succeed, :index 8}
{:process 0, :type :invoke, :f :cas, :value [3 4], :time 20, :index 9}
{:process 1, :type :invoke, :f :read, :value nil, :time 21, :index 10}
{:process 0, :type :info, :f :cas, :value :timed-out, :time 22, :error [:timeout "5 s"], :index 11}
{:process 1, :type :fail, :f :read, :value :timed-out, :time 23, :index 12}
{:process 3, :type :invoke, :f :write, :value nil, :time 24, :index 13}
"#;

    fn history() -> Vec<Call<RegisterOp<u64>>> {
        vec![
            call(Write(3), 10, 14),
            call(Read(Some(3)), 12, 16),
            call(Cas { from: Some(9), to: 2, succeeded: false }, 17, 18),
            call(Cas { from: Some(3), to: 4, succeeded: true }, 20, None),
            call(Delete, 24, None),
        ]
    }

    #[test]
    fn jepsens_edn() {
        let wanted = BTreeMap::from([(None, history())]);
        assert_eq!(imported(HISTORY, PLAIN), wanted);
        assert_eq!(imported(&format!("; a vector\n[{HISTORY}]\n"), PLAIN), wanted);
        let tagged = HISTORY.replace("{:process", "#jepsen.history.Op{:process");
        assert_eq!(imported(&tagged, PLAIN), wanted);
        assert!(import(" \n", PLAIN).unwrap().is_empty());
    }

    #[test]
    fn keys_and_versions() {
        let text = "
            {:process 0 :type :invoke :f :write :value [7 [nil 3]]}
            {:process 0 :type :ok :f :write :value [7 [5 3]]}
            {:process 0 :type :invoke :f :read :value [8 [nil nil]]}
            {:process 0 :type :ok :f :read :value [8 [nil nil]]}
            {:process 0 :type :invoke :f :cas :value [7 [nil [nil 4]]]}
            {:process 1 :type :invoke :f :read :value [7 nil]}
            {:process 1 :type :ok :f :read :value [7 [5 3]]}
            {:process 0 :type :ok :f :cas :value [7 [6 [nil 4]]]}";
        // Without times the order counts.
        let seven = vec![
            call(VersionedOp::Write { value: 3, version: Some(5) }, 0, 1),
            call(VersionedOp::Cas { from: None, to: 4, succeeded: true, version: Some(6) }, 4, 7),
            call(VersionedOp::Read(Some((3, 5))), 5, 6),
        ];
        let eight = vec![call(VersionedOp::Read(None), 2, 3)];
        let wanted = BTreeMap::from([(Some(7), seven), (Some(8), eight)]);
        assert_eq!(imported(text, FULL), wanted);
    }

    #[test]
    fn logs_of_jepsen() {
        let log = "INFO  jepsen.core - Worker 1 starting\n\
            INFO  jepsen.util - :nemesis\t:info\t:start\t\"Cut off {:n1 #{:n4}}\"\n\
            INFO  jepsen.util - 1\t:invoke\t:cas\t[2 4]\r\n\
            INFO  jepsen.util - 0   :invoke :read   nil\n\
            0\t:ok\t:read\t9\n\
            INFO  jepsen.util - 0\t:ok\t:read\t2\n\
            INFO  jepsen.util - 1\t:info\t:cas\t:timed-out\n\
            INFO  jepsen.util - 6\t:invoke\t:write\t1\n";
        let cas = Cas { from: Some(2), to: 4, succeeded: true };
        let wanted = vec![call(cas, 0, None), call(Read(Some(2)), 1, 2), call(Write(1), 4, None)];
        let wanted = BTreeMap::from([(None, wanted)]);
        assert_eq!(imported(log, PLAIN), wanted);
        let marked = |line: &&str| line.contains("util");
        let columns: Vec<_> =
            log.lines().filter(marked).map(|l| &l["INFO  jepsen.util - ".len()..]).collect();
        assert_eq!(imported(&columns.join("\n"), PLAIN), wanted);
    }

    fn error(text: &str, shape: Shape) -> String {
        import(text, shape).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_line_and_what_was_expected() {
        let one =
            |text: &str| error(&format!("{{:process 0 :type :invoke :f :read}}\n{text}"), PLAIN);
        let cases = [
            ("17", "an operation, `{:process 0, :type :invoke, …}`, found `17`"),
            (
                "{:process nil}",
                "a process: a number, or a keyword such as `:nemesis`, found `{:process nil}`",
            ),
            (
                "{:process 1 :f :append}",
                "an operation of a register: `:read`, `:write` or `:cas`, found",
            ),
            (
                "{:process 1 :f :read :type 3}",
                "a type: `:invoke`, `:ok`, `:fail` or `:info`, found",
            ),
            (
                "{:process 1 :f :write :type :invoke :value -3}",
                "a value to write: a number from 0, or nil",
            ),
            (
                "{:process 1 :f :cas :type :invoke :value [1]}",
                "two values, `[old new]`: numbers from 0",
            ),
            (
                "{:process 0 :f :read :type :ok :value x}",
                "a value that was read: a number from 0, or nil",
            ),
            (
                "{:process 0 :f :read :type :invoke}",
                "a completion, since the process waits for one",
            ),
            ("{:process 1 :f :read :type :ok}", "an invocation before the completion"),
            (
                "{:process 0 :f :write :type :ok}",
                "the completion of the operation that was invoked",
            ),
            ("{:process 1", "a value, found ``"),
            ("]", "a value, found `]`"),
        ];
        for (text, wanted) in cases {
            let wanted = format!("line 2: expected {wanted}");
            assert!(one(text).starts_with(&wanted), "{}, wanted {wanted}", one(text));
        }
        let again = "{:process 0 :f :read :type :info}\n{:process 0 :f :read :type :invoke}";
        assert!(
            one(again).starts_with("line 3: expected no process again that ended with `:info`")
        );
        let keyed = error("{:process 0 :type :invoke :f :read :value nil}", FULL);
        assert!(keyed.starts_with("line 1: expected a value `[key value]`, found `{:process"));
        assert_eq!(error("[{:process :n}\n] 3", PLAIN), {
            "line 2: expected nothing after the vector, found `3`"
        });
        assert_eq!(error("[\n", PLAIN), "line 2: expected the end of the vector, found ``");
        let short = error("0 :invoke :read\n0 :ok\n0 :ok :read 1\n", PLAIN);
        assert_eq!(short, "line 2: expected a value, found ``");
        let empty = error("\nINFO  jepsen.util - \nINFO", PLAIN);
        assert_eq!(empty, "line 2: expected a value, found ``");
        let log = error("x\u{1b}[31m :invoke", PLAIN);
        assert_eq!(
            log,
            "line 1: expected a process: a number, or a keyword such as `:nemesis`, found `x[31m :invoke`"
        );
    }

    #[test]
    fn hostile_text_is_an_error() {
        for text in
            ["[[[[".repeat(1 << 18), "{:a ".repeat(1 << 18), "0 :invoke :read ((((".repeat(99)]
        {
            assert!(matches!(import(&text, PLAIN), Err(ImportError::Unexpected { .. })));
        }
        let long = " ".repeat(BYTES_MAX + 1);
        assert_eq!(import(&long, PLAIN), Err(ImportError::TooLong(BYTES_MAX + 1)));
    }

    /// Every text that is cut off, or has one byte exchanged, is read or refused.
    #[test]
    fn broken_text_never_panics() {
        let mut rng = Seed(1).stream("edn", 0);
        for at in 0..HISTORY.len() {
            let _ = import(&HISTORY[..at], PLAIN).is_ok();
            for _ in 0..20 {
                let other = *br#"{}[]()#"\:;_ 09n"#.get(rng.random_range(0..16)).unwrap();
                let mut bytes = HISTORY.as_bytes().to_vec();
                bytes[at] = other;
                if let Ok(records) = import(std::str::from_utf8(&bytes).unwrap(), PLAIN) {
                    let _ = calls::<RegisterOp<u64>>(&records).is_ok();
                }
            }
        }
    }

    /// Calls of 5 clients on 3 keys, some of unknown outcome, with touching times.
    fn random_calls(number: u64) -> Vec<ClientCall<VersionedOp<u64>>> {
        let mut rng = Seed(2).stream("edn", number);
        let mut calls = Vec::new();
        for client in 0..5 {
            let mut now = rng.random_range(0..5);
            for _ in 0..rng.random_range(0..20) {
                let mut one = || rng.random_range(0..u64::MAX);
                let (from, to, version) = (Some(one()), one(), Some(one()));
                let op = match rng.random_range(0..6) {
                    0 => VersionedOp::Read(None),
                    1 => VersionedOp::Read(Some((to, 1))),
                    2 => VersionedOp::Write { value: to, version },
                    3 => VersionedOp::Cas { from, to, succeeded: true, version },
                    4 => VersionedOp::Cas { from: None, to, succeeded: false, version: None },
                    _ => VersionedOp::Delete,
                };
                let invoked = now + rng.random_range(0..3);
                now = invoked + rng.random_range(0..9);
                let returned = rng.random_bool(0.8).then_some(now);
                let key = Some(rng.random_range(0..3));
                calls.push(ClientCall { client, key, call: Call { op, invoked, returned } });
            }
        }
        calls
    }

    /// What can be known of a call after it went out and came in again.
    fn told(one: &ClientCall<VersionedOp<u64>>) -> Option<Call<VersionedOp<u64>>> {
        let call = one.call;
        let op = match call.op {
            op if call.returned.is_some() => op,
            VersionedOp::Read(_) => return None,
            VersionedOp::Write { value, .. } => VersionedOp::Write { value, version: None },
            VersionedOp::Cas { from, to, .. } => {
                VersionedOp::Cas { from, to, succeeded: true, version: None }
            }
            VersionedOp::Delete => VersionedOp::Delete,
        };
        Some(Call { op, ..call })
    }

    fn sorted<O: std::fmt::Debug>(calls: impl Iterator<Item = (Option<u64>, O)>) -> Vec<String> {
        let mut lines: Vec<String> = calls.map(|call| format!("{call:?}")).collect();
        lines.sort();
        lines
    }

    #[test]
    fn what_goes_out_comes_in_again() {
        for number in 0..200 {
            let out = random_calls(number);
            let records = records(&out, 5).unwrap();
            let text = edn(&records, FULL);
            assert_eq!(import(&text, FULL).unwrap(), records, "{text}");
            let back = imported::<VersionedOp<u64>>(&text, FULL);
            let back =
                back.into_iter().flat_map(|(key, calls)| calls.into_iter().map(move |c| (key, c)));
            let wanted = out.iter().filter_map(|one| Some((one.key, told(one)?)));
            assert_eq!(sorted(back), sorted(wanted), "{text}");
        }
    }

    #[test]
    fn a_process_is_not_seen_again_after_info() {
        for number in 0..50 {
            let records = records(&random_calls(number), 5).unwrap();
            let mut gone = BTreeSet::new();
            for record in &records {
                assert!(!gone.contains(&record.process));
                if record.kind == Kind::Info {
                    gone.insert(record.process);
                }
            }
        }
        let once = |invoked, returned| ClientCall {
            client: 1,
            key: None,
            call: call(Write(1), invoked, returned),
        };
        let records = records(&[once(0, None), once(5, None), once(7, Some(8))], 4).unwrap();
        let processes: Vec<_> =
            records.iter().map(|r| (r.process, r.kind, r.time_ns.unwrap())).collect();
        let (invoke, info, ok) = (Kind::Invoke, Kind::Info, Kind::Ok);
        assert_eq!(
            processes,
            [
                (1, invoke, 0),
                (1, info, 5),
                (5, invoke, 5),
                (5, info, 7),
                (9, invoke, 7),
                (9, ok, 8),
            ]
        );
    }

    #[test]
    fn clients_do_one_thing_at_a_time() {
        let one = |client, invoked, returned| ClientCall {
            client,
            key: None,
            call: call(Write(1), invoked, returned),
        };
        let overlap = records(&[one(0, 3, 9), one(0, 8, 10)], 1);
        assert_eq!(overlap, Err(HistoryError::Overlap { client: 0, invoked: 8 }));
        let stranger = records(&[one(3, 3, 9)], 3);
        assert_eq!(stranger, Err(HistoryError::NoSuchClient { client: 3, clients: 3 }));
        let alone = Record { kind: Kind::Ok, ..records(&[one(0, 3, 9)], 1).unwrap()[0] };
        let expected = "an invocation before the completion";
        let refused = calls::<RegisterOp<u64>>(&[alone]);
        assert_eq!(refused, Err(HistoryError::Record { number: 1, expected }));
    }

    #[test]
    fn knossos_edn() {
        let records = import(HISTORY, PLAIN).unwrap();
        let text = edn(&records, PLAIN);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "{:process 0, :type :invoke, :f :write, :value 3, :time 10, :index 0}"
        );
        assert_eq!(
            lines[7],
            "{:process 2, :type :fail, :f :cas, :value [9 2], :time 18, :error :did-not-succeed, :index 7}"
        );
        assert_eq!(import(&text, PLAIN).unwrap(), records);
    }

    #[test]
    fn lines_for_porcupine() {
        let mut out = Vec::new();
        write_porcupine(&mut out, &import(HISTORY, PLAIN).unwrap()).unwrap();
        let lines: Vec<Json> = String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        let line = |client: u64, input: Json, output: Json, call: u64, returned: Option<u64>| {
            json!({
                "client": client, "input": input, "output": output, "call": call,
                "return": returned,
            })
        };
        let cas = |from, to| json!({"f": "cas", "from": from, "to": to});
        assert_eq!(
            lines,
            [
                line(0, json!({"f": "write", "value": 3}), json!({}), 10, Some(14)),
                line(1, json!({"f": "read"}), json!({"value": 3}), 12, Some(16)),
                line(2, cas(9, 2), json!({"succeeded": false}), 17, Some(18)),
                line(0, cas(3, 4), Json::Null, 20, None),
                line(3, json!({"f": "write", "value": null}), Json::Null, 24, None),
            ]
        );
    }
}
