//! Histories that other tools recorded.

use crate::driver::{Answer, Plan, fuzz};
use kvbench::verify::edn::{Shape, calls, import, write_edn, write_porcupine};
use kvbench::verify::wgl::register::{Register, RegisterOp, VersionedOp, VersionedRegister};
use kvbench::verify::wgl::{self, Verdict};

/// Steps in search of an order: enough to get into every part of the search.
const STEPS_MAX: u64 = 5_000;

const PLAIN: &str = r#"
{:process 0, :type :invoke, :f :write, :value 3, :time 10, :index 0}
{:process :nemesis, :type :info, :f :start-partition, :value {"n1" #{"n2"}}, :time 11, :index 1}
{:process 1, :type :invoke, :f :read, :value nil, :time 12, :index 2}
{:process 2, :type :invoke, :f :cas, :value [1 2], :time 13, :index 3}
{:process 0, :type :ok, :f :write, :value 3, :time 14, :index 4}
{:process 2, :type :fail, :f :cas, :value [1 2], :time 15, :error :did-not-succeed, :index 5}
{:process 1, :type :ok, :f :read, :value 3, :time 16, :index 6}
{:process 0, :type :invoke, :f :cas, :value [3 4], :time 20, :index 9}
{:process 0, :type :info, :f :cas, :value :timed-out, :time 22, :error [:timeout "5 s"], :index 11}
"#;
const FULL: &str = "
{:process 0 :type :invoke :f :write :value [7 [nil 3]]}
{:process 0 :type :ok :f :write :value [7 [5 3]]}
{:process 1 :type :invoke :f :read :value [7 nil]}
{:process 1 :type :ok :f :read :value [7 [5 3]]}
{:process 0 :type :invoke :f :cas :value [7 [nil [nil 4]]]}
{:process 0 :type :ok :f :cas :value [7 [6 [nil 4]]]}";
const LOG: &str = "INFO  jepsen.core - Worker 1 starting
INFO  jepsen.util - :nemesis\t:info\t:start\t\"Cut off {:n1 #{:n4}}\"
INFO  jepsen.util - 1\t:invoke\t:cas\t[2 4]\r
INFO  jepsen.util - 0   :invoke :read   nil
0\t:ok\t:read\t9
INFO  jepsen.util - 0\t:ok\t:read\t2
INFO  jepsen.util - 1\t:info\t:cas\t:timed-out
INFO  jepsen.util - 6\t:invoke\t:write\t1\n";

/// What is read is written and read again; whatever is a history is judged or given up.
fn check(input: &[u8]) -> Answer {
    let Some((shape, text)) = input.split_first() else { return "nothing".into() };
    let shape = Shape { keyed: shape & 1 == 1, versioned: shape & 2 == 2 };
    let text = String::from_utf8_lossy(text);
    let records = match import(&text, shape) {
        Ok(records) => records,
        Err(error) => {
            let words = error.to_string();
            assert!(!words.contains(|c: char| c.is_control()), "{words:?}");
            let kind = words.split_once("expected ").map_or("else", |(_, expected)| expected);
            let kind = kind.split_once(", found").map_or(kind, |(kind, _)| kind);
            return kind.chars().take(30).collect::<String>().into();
        }
    };
    let mut out = Vec::new();
    write_edn(&mut out, &records, shape).unwrap();
    let written = String::from_utf8(out).unwrap();
    assert_eq!(import(&written, shape).as_ref(), Ok(&records), "{written}");
    write_porcupine(&mut Vec::new(), &records).unwrap();
    let verdict = match shape.versioned {
        true => calls::<VersionedOp<u64>>(&records).map(|registers| {
            let model = VersionedRegister::default();
            registers.values().map(|calls| word(&wgl::check(&model, calls, STEPS_MAX))).max()
        }),
        false => calls::<RegisterOp<u64>>(&records).map(|registers| {
            registers
                .values()
                .map(|calls| word(&wgl::check(&Register::default(), calls, STEPS_MAX)))
                .max()
        }),
    };
    match verdict {
        Ok(worst) => worst.unwrap_or("empty").into(),
        Err(error) => {
            error.to_string().chars().filter(|c| !c.is_ascii_digit()).collect::<String>().into()
        }
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Linearizable => "linearizable",
        Verdict::Undecided { .. } => "undecided",
        Verdict::Violation { .. } => "violation",
    }
}

#[test]
fn histories_of_others() {
    let samples = [(0, PLAIN), (3, FULL), (0, LOG), (1, FULL), (2, PLAIN)];
    let samples =
        samples.iter().map(|(shape, text)| [&[*shape], text.as_bytes()].concat()).collect();
    let words: &[&[u8]] = &[
        b":ok",
        b":info",
        b":fail",
        b":invoke",
        b":cas",
        b":write",
        b"nil",
        b"[",
        b"]",
        b"{",
        b"}",
        b"#_",
        b"#{",
        b"\"",
        b"\\",
        b";",
        b"18446744073709551615",
        b"-1",
        b"##NaN",
        b":process 0",
        b":time 1",
        b"\n",
        b"[[",
        b"#a #b",
        "ü".as_bytes(),
    ];
    fuzz(Plan { name: "edn", execs: 4_000, samples, words, counts_bytes: true }, check);
}
