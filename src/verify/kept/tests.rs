//! Histories as files, read back by our own import.

use super::*;
use crate::model::{
    Body, DeleteRange, Interval, LeaseId, Put, Range, RangeResult, Refusal, Request, RequestOp,
    Response, Txn,
};
use crate::units::Nanos;
use crate::verify::Outcome;
use crate::verify::oracle::Oracle;
use crate::verify::wgl::register::Register;
use crate::verify::wgl::{self, Verdict};

const STEPS_MAX: u64 = 100_000;

fn get(key: &str) -> Request {
    Request::Range(Range { interval: Interval::point(key), ..Range::default() })
}

fn read_nothing() -> Outcome {
    Outcome::Done(Response { revision: 9, result: Ok(Body::Range(RangeResult::default())) })
}

/// What clients asked of a store that is right; each operation touches the next, or overlaps it.
struct Story {
    oracle: Oracle,
    history: Vec<Operation>,
}

impl Story {
    fn new() -> Story {
        Story { oracle: Oracle::new(), history: Vec::new() }
    }

    fn ask(&mut self, client: u64, request: Request) -> &mut Operation {
        let outcome = Outcome::Done(self.oracle.apply(&request));
        let at = 10 * self.history.len() as u64;
        let (invoked, returned) = (Nanos(at), Nanos(at + 12));
        self.history.push(Operation { client, request, invoked, returned, outcome });
        self.history.last_mut().unwrap()
    }
}

/// A bit of everything: two registers, a list, a transaction, a refusal, and an unknown outcome.
fn story() -> Story {
    let mut story = Story::new();
    let leased = Put { key: b"k".into(), value: b"5".into(), lease: 77, ..Put::default() };
    let lease: LeaseId = 3;
    story.ask(0, Request::put("register-0-0", "1"));
    story.ask(1, get("register-0-0"));
    story.ask(0, Request::put("odd \"key\"\n", "2"));
    story.ask(1, Request::Put(leased));
    story.ask(2, Request::LeaseGrant { id: lease, ttl_s: 60 });
    story.ask(0, append("list-0-0", 0, "1.1"));
    story.ask(1, append("list-0-0", 0, "2.1"));
    story.ask(0, get("list-0-0"));
    let success = vec![
        RequestOp::Range(Range { interval: Interval::point("tx-0-0"), ..Range::default() }),
        RequestOp::Put(Put { key: b"tx-0-1".into(), value: b"3".into(), ..Put::default() }),
    ];
    story.ask(1, Request::Txn(Txn { success, ..Txn::default() }));
    story.ask(2, Request::put("tx-0-0", "4")).outcome = Outcome::Unknown;
    story.ask(0, get("tx-0-0"));
    story.ask(1, Request::put("register-0-0", "6")).outcome = Outcome::Refused;
    let interval = Interval::point("register-0-0");
    story.ask(0, Request::DeleteRange(DeleteRange { interval, ..DeleteRange::default() }));
    story
}

fn append(key: &str, mod_revision: i64, value: &str) -> Request {
    use crate::model::{Compare, CompareResult, Operand};
    let (result, operand) = (CompareResult::Equal, Operand::Mod(mod_revision));
    let put = Put { key: key.into(), value: value.into(), ..Put::default() };
    Request::Txn(Txn {
        compares: vec![Compare { interval: Interval::point(key), result, operand }],
        success: vec![RequestOp::Put(put)],
        failure: Vec::new(),
    })
}

fn written(history: &[Operation], accusation: &[String]) -> tempfile::TempDir {
    let parent = tempfile::tempdir().unwrap();
    write(&parent.path().join("kept"), history, accusation).unwrap();
    parent
}

fn text(parent: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(parent.path().join("kept").join(name)).unwrap()
}

fn verdicts(text: &str, keyed: bool) -> Vec<Verdict> {
    let records = edn::import(text, Shape { keyed, versioned: false }).unwrap();
    let registers = edn::calls::<RegisterOp<u64>>(&records).unwrap();
    registers.values().map(|calls| wgl::check(&Register::default(), calls, STEPS_MAX)).collect()
}

/// What every history has to keep: numbered from 0, times that go up, one operation of a process at a time and none after `:info`.
fn keeps_the_rules(text: &str) {
    let (mut busy, mut gone) = (std::collections::BTreeSet::new(), Vec::new());
    let mut last = 0;
    for (number, line) in text.lines().enumerate() {
        let number_at = |name: &str| -> u64 {
            let from = line.find(name).unwrap_or_else(|| panic!("{line}")) + name.len();
            let digits = line[from..].split(|letter: char| !letter.is_ascii_digit()).next();
            digits.unwrap().parse().unwrap_or_else(|_| panic!("{name} of {line}"))
        };
        assert_eq!(number_at(":index "), number as u64, "{line}");
        let (process, time) = (number_at(":process "), number_at(":time "));
        assert!(time >= last, "{line}");
        last = time;
        if line.contains(":type :invoke") {
            assert!(!gone.contains(&process), "{line}");
            assert!(busy.insert(process), "{line}");
        } else {
            assert!(busy.remove(&process), "{line}");
        }
        if line.contains(":type :info") {
            gone.push(process);
        }
    }
    assert!(busy.is_empty());
}

#[test]
fn every_file_keeps_the_rules_of_histories() {
    let kept = written(&story().history, &[]);
    for name in [
        "history.edn",
        "registers.edn",
        "elle-rw-register.edn",
        "elle-list-append.edn",
        "independent/register-0-0/history.edn",
    ] {
        let text = text(&kept, name);
        assert!(text.lines().count() >= 4, "{name}: {text}");
        keeps_the_rules(&text);
    }
    assert_eq!(text(&kept, "history.edn").lines().count(), 2 * story().history.len());
    assert!(!kept.path().join("kept/accusation.txt").exists());
}

#[test]
fn a_register_is_read_back_with_the_same_verdict() {
    let mut story = story();
    for is_wrong in [false, true] {
        if is_wrong {
            // The first read has not seen the write before it.
            story.history[1].outcome = read_nothing();
            story.history[1].invoked = Nanos(15);
        }
        let ours: Vec<Verdict> = registers::of(&story.history)
            .values()
            .map(|calls| wgl::check(&Register::default(), calls, STEPS_MAX))
            .collect();
        let kept = written(&story.history, &[]);
        assert_eq!(verdicts(&text(&kept, "registers.edn"), true), ours);
        let folders = fs::read_dir(kept.path().join("kept/independent")).unwrap();
        let mut each: Vec<_> = folders.map(|folder| folder.unwrap().path()).collect();
        each.sort();
        assert_eq!(each.len(), ours.len());
        let wrong = |verdict: &Verdict| matches!(verdict, Verdict::Violation { .. });
        assert_eq!(ours.iter().any(wrong), is_wrong);
        let found = each.iter().filter(|folder| {
            let text = fs::read_to_string(folder.join(HISTORY)).unwrap();
            verdicts(&text, false).iter().any(wrong)
        });
        let found: Vec<_> = found.map(|folder| folder.file_name().unwrap()).collect();
        assert_eq!(found, if is_wrong { vec!["register-0-0"] } else { vec![] });
    }
}

#[test]
fn our_own_map_has_all_that_was_asked_and_answered() {
    let own = text(&written(&story().history, &[]), "history.edn");
    for line in [
        r#"{:index 0, :time 0, :type :invoke, :process 0, :f :put, :value {:key "register-0-0", :value "1"}}"#,
        r#"{:index 2, :time 12, :type :ok, :process 0, :f :put, :value {:revision 2}}"#,
        r#":type :ok, :process 1, :f :range, :value {:revision 2, :kvs [{:key "register-0-0", :value "1", :create-revision 2, :mod-revision 2, :version 1}], :count 1}}"#,
        r#":f :put, :value {:key "odd \\\"key\\\"\\n", :value "2"}}"#,
        r#":type :fail, :process 1, :f :put, :value {:revision 3}, :error "etcdserver: requested lease not found"}"#,
        r#":f :txn, :value {:compare [{:key "list-0-0", :is :=, :mod-revision 0}], :success [{:put {:key "list-0-0", :value "1.1"}}], :failure []}}"#,
        r#":type :info, :process 2, :f :put, :value {:key "tx-0-0", :value "4"}, :error :no-answer}"#,
        r#":type :fail, :process 1, :f :put, :value {:key "register-0-0", :value "6"}, :error :not-proposed}"#,
    ] {
        assert!(own.contains(line), "{line}\nis not in\n{own}");
    }
    assert_eq!(Refusal::LeaseNotFound.to_string(), "etcdserver: requested lease not found");
}

#[test]
fn elle_is_told_what_transactions_did() {
    let kept = written(&story().history, &[]);
    let lists = text(&kept, "elle-list-append.edn");
    for line in [
        r#":type :invoke, :process 0, :f :txn, :value [[:r "list-0-0" nil] [:append "list-0-0" "1.1"]]}"#,
        r#":type :ok, :process 0, :f :txn, :value [[:r "list-0-0" []] [:append "list-0-0" "1.1"]]}"#,
        r#":type :fail, :process 1, :f :txn, :value [[:r "list-0-0" nil] [:append "list-0-0" "2.1"]]}"#,
        r#":type :ok, :process 0, :f :txn, :value [[:r "list-0-0" ["1.1"]]]}"#,
    ] {
        assert!(lists.contains(line), "{line}\nis not in\n{lists}");
    }
    let cells = text(&kept, "elle-rw-register.edn");
    for line in [
        r#":type :ok, :process 1, :f :txn, :value [[:r "tx-0-0" nil] [:w "tx-0-1" "3"]]}"#,
        r#":type :info, :process 2, :f :txn, :value [[:w "tx-0-0" "4"]]}"#,
        r#":type :ok, :process 0, :f :txn, :value [[:r "tx-0-0" "4"]]}"#,
    ] {
        assert!(cells.contains(line), "{line}\nis not in\n{cells}");
    }
    // One was deleted, the other is on a lease.
    assert!(!cells.contains("register-0-0") && !cells.contains(r#""k""#), "{cells}");
}

#[test]
fn porcupine_gets_a_line_for_each_operation_on_a_register() {
    let history = story().history;
    let lines = text(&written(&history, &[]), "porcupine.jsonl");
    let calls: usize = registers::of(&history).values().map(Vec::len).sum();
    assert_eq!(lines.lines().count(), calls);
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["client"].is_u64() && line["input"]["key"].is_u64(), "{line}");
    }
}

#[test]
fn what_was_there_is_replaced_and_an_accusation_is_kept() {
    let kept = written(&story().history, &["it lied".to_owned()]);
    assert_eq!(text(&kept, "accusation.txt"), "it lied\n\n");
    write(&kept.path().join("kept"), &story().history[..2], &[]).unwrap();
    assert!(!kept.path().join("kept/accusation.txt").exists());
    assert_eq!(text(&kept, "history.edn").lines().count(), 4);
    // Nothing half is left beside it.
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 1);
}
