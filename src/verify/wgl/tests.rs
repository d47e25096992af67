//! The search against histories whose verdict is known, and against a brute force.

use super::register::{Register, RegisterOp, Versioned, VersionedOp, VersionedRegister};
use super::*;
use crate::seed::Seed;
use RegisterOp::{Cas, Delete, Read, Write};
use rand::Rng;
use rand::seq::IndexedRandom;

const STEPS_MAX: u64 = 1_000_000;
const EMPTY: Register<u64> = Register { initial: None };

fn call<O>(op: O, invoked: u64, returned: u64) -> Call<O> {
    Call { op, invoked, returned: Some(returned) }
}

fn unknown<O>(op: O, invoked: u64) -> Call<O> {
    Call { op, invoked, returned: None }
}

fn cas(from: u64, to: u64, succeeded: bool) -> RegisterOp<u64> {
    Cas { from: Some(from), to, succeeded }
}

fn verdict(calls: &[Call<RegisterOp<u64>>]) -> Verdict {
    check(&EMPTY, calls, STEPS_MAX)
}

fn violation(longest: &[usize], stuck: &[usize]) -> Verdict {
    Verdict::Violation { longest: longest.to_vec(), stuck: stuck.to_vec() }
}

#[test]
fn nothing_is_linearizable() {
    assert_eq!(verdict(&[]), Verdict::Linearizable);
    assert_eq!(verdict(&[unknown(Write(1), 0)]), Verdict::Linearizable);
    assert_eq!(check(&EMPTY, &[unknown(Write(1), 0)], 0), Verdict::Linearizable);
}

#[test]
fn a_stale_read() {
    let stale = [call(Write(1), 0, 1), call(Write(2), 2, 3), call(Read(Some(1)), 4, 5)];
    assert_eq!(verdict(&stale), violation(&[0, 1], &[2]));
    // Overlapping the second write it may come before it; so it may when both touch.
    for invoked in [2, 3] {
        let fresh = [stale[0], stale[1], call(Read(Some(1)), invoked, 5)];
        assert_eq!(verdict(&fresh), Verdict::Linearizable);
    }
}

/// Herlihy & Wing 1990: what a read has seen no later read may miss, though the write still runs.
#[test]
fn a_write_that_was_seen_stays_seen() {
    let calls = [call(Write(1), 0, 9), call(Read(Some(1)), 1, 2), call(Read(None), 3, 4)];
    assert_eq!(verdict(&calls), violation(&[0, 1], &[2]));
}

#[test]
fn a_lost_update() {
    let calls = [
        call(Write(1), 0, 1),
        call(cas(1, 2, true), 2, 5),
        call(cas(1, 3, true), 3, 6),
        call(Read(Some(3)), 7, 8),
    ];
    assert_eq!(verdict(&calls), violation(&[0, 1], &[2]));
    let mut told = calls;
    told[1].op = cas(1, 2, false);
    assert_eq!(verdict(&told), Verdict::Linearizable);
}

#[test]
fn a_cas_that_failed_though_it_must_succeed() {
    let calls = [call(Write(1), 0, 1), call(cas(1, 2, false), 2, 3)];
    assert_eq!(verdict(&calls), violation(&[0], &[1]));
    let absent = [call(Cas { from: None, to: 2, succeeded: true }, 0, 1)];
    assert_eq!(verdict(&absent), Verdict::Linearizable);
}

#[test]
fn an_unknown_write_may_be_seen_late_or_never() {
    let seen = [call(Write(1), 0, 1), unknown(Write(2), 2), call(Read(Some(2)), 50, 51)];
    assert_eq!(verdict(&seen), Verdict::Linearizable);
    let never = [seen[0], seen[1], call(Read(Some(1)), 50, 51)];
    assert_eq!(verdict(&never), Verdict::Linearizable);
    let twice = [seen[0], seen[1], seen[2], call(Write(3), 60, 61), call(Read(Some(2)), 70, 71)];
    assert_eq!(verdict(&twice), violation(&[0, 1, 2, 3], &[4]));
    let before_invoked = [unknown(Write(2), 5), call(Read(Some(2)), 0, 1)];
    assert_eq!(verdict(&before_invoked), violation(&[], &[1]));
}

#[test]
fn unknown_calls_may_need_each_other() {
    let calls = [
        unknown(cas(1, 2, true), 0),
        unknown(cas(2, 3, true), 0),
        unknown(Write(1), 0),
        call(Read(Some(3)), 5, 6),
    ];
    assert_eq!(verdict(&calls), Verdict::Linearizable);
    assert_eq!(verdict(&calls[1..]), violation(&[], &[2]));
}

#[test]
fn a_delete_leaves_nothing() {
    let calls = [call(Write(1), 0, 1), call(Delete, 2, 3), call(Read(None), 4, 5)];
    assert_eq!(verdict(&calls), Verdict::Linearizable);
    assert_eq!(verdict(&[calls[0], calls[2]]), violation(&[0], &[1]));
}

#[test]
fn versions_tell_what_values_do_not() {
    let write = |version| VersionedOp::Write { value: 1, version };
    let read = |version| call(VersionedOp::Read(Some((1, version))), 8, 9);
    let judge =
        |calls: &[Call<VersionedOp<u64>>]| check(&VersionedRegister::default(), calls, STEPS_MAX);
    let writes = [call(write(Some(1)), 0, 1), call(write(None), 2, 3)];
    assert_eq!(judge(&[writes[0], writes[1], read(2)]), Verdict::Linearizable);
    assert_eq!(judge(&[writes[0], writes[1], read(1)]), violation(&[0, 1], &[2]));
    let gap = [writes[0], unknown(write(None), 2), call(write(Some(3)), 4, 5)];
    assert_eq!(judge(&gap), Verdict::Linearizable);
    let again = [writes[0], call(VersionedOp::Delete, 2, 3), call(write(Some(1)), 4, 5), read(1)];
    assert_eq!(judge(&again), Verdict::Linearizable);
    let twice = |succeeded, version| VersionedOp::Cas { from: Some(1), to: 2, succeeded, version };
    let from_seven = VersionedRegister { initial: Versioned { value: Some(1), version: 7 } };
    let calls = [call(twice(true, Some(8)), 0, 3), call(twice(false, None), 1, 2)];
    assert_eq!(check(&from_seven, &calls, STEPS_MAX), Verdict::Linearizable);
    assert_eq!(judge(&calls), violation(&[1], &[0]));
}

#[test]
fn too_few_steps_are_undecided() {
    let calls = Simulated { values: 3, ..Simulated::default() }.history(1);
    let (decided, steps) = check_counting(&EMPTY, &calls, u64::MAX);
    assert_eq!(decided, Verdict::Linearizable);
    assert_eq!(check(&EMPTY, &calls, steps), decided);
    for few in [0, 1, steps / 2, steps - 1] {
        assert_eq!(check(&EMPTY, &calls, few), Verdict::Undecided { steps: few });
    }
}

/// A real register under clients that overlap in random ways.
struct Simulated {
    clients: usize,
    calls: usize,
    /// Values that are written; 0: each write has its own.
    values: u64,
    /// Share of outcomes that are not known.
    unknown: f64,
}

impl Default for Simulated {
    fn default() -> Self {
        Simulated { clients: 6, calls: 200, values: 0, unknown: 0.05 }
    }
}

impl Simulated {
    /// Calls in the order of their invocation. Each tick one client does what comes next: it invokes, its operation
    /// takes effect, or it returns.
    fn history(&self, number: u64) -> Vec<Call<RegisterOp<u64>>> {
        let mut rng = Seed(7).stream("wgl", number);
        let mut calls: Vec<Call<RegisterOp<u64>>> = Vec::new();
        // The call of each client, and whether it took effect.
        let mut running: Vec<Option<(usize, bool)>> = vec![None; self.clients];
        // Unknown calls that may still take effect.
        let mut late: Vec<usize> = Vec::new();
        let mut held = None;
        for tick in 0.. {
            if calls.len() >= self.calls && running.iter().all(Option::is_none) {
                break;
            }
            if !late.is_empty() && rng.random_bool(0.1) {
                let index = late.swap_remove(rng.random_range(0..late.len()));
                held = take_effect(&mut calls[index].op, held);
            }
            let client = rng.random_range(0..self.clients);
            running[client] = match running[client] {
                None if calls.len() >= self.calls => None,
                None => {
                    calls.push(unknown(self.random_op(&mut rng, calls.len()), tick));
                    Some((calls.len() - 1, false))
                }
                Some((index, false)) if rng.random_bool(self.unknown) => {
                    late.extend(rng.random_bool(0.7).then_some(index));
                    None
                }
                Some((index, false)) => {
                    held = take_effect(&mut calls[index].op, held);
                    Some((index, true))
                }
                Some((_, true)) if rng.random_bool(self.unknown) => None,
                Some((index, true)) => {
                    calls[index].returned = Some(tick);
                    None
                }
            };
        }
        calls
    }

    fn random_op(&self, rng: &mut impl Rng, number: usize) -> RegisterOp<u64> {
        let mut value = |own: u64| match self.values {
            0 => own,
            values => rng.random_range(0..values),
        };
        let (from, to) = (value(number.saturating_sub(3) as u64), value(number as u64));
        match rng.random_range(0..20) {
            0..8 => Read(None),
            8..14 => Write(to),
            14..19 => cas(from, to, false),
            _ => Delete,
        }
    }
}

/// The answer of `op`, and what the register holds then.
fn take_effect(op: &mut RegisterOp<u64>, held: Option<u64>) -> Option<u64> {
    match op {
        Read(answer) => *answer = held,
        Cas { from, succeeded, .. } => *succeeded = *from == held,
        Write(_) | Delete => {}
    }
    EMPTY.step(&held, op, true).unwrap()
}

/// Fails unless `order` keeps to real time and the register could have answered that.
fn assert_legal(calls: &[Call<RegisterOp<u64>>], order: &[usize]) {
    let mut held = None;
    for (at, &index) in order.iter().enumerate() {
        let (op, known) = (&calls[index].op, calls[index].returned.is_some());
        held = EMPTY.step(&held, op, known).unwrap();
        let later = &order[at + 1..];
        assert!(later.iter().all(|later| !comes_before(&calls[*later], &calls[index])));
        assert!(!later.contains(&index));
    }
}

fn comes_before<O>(a: &Call<O>, b: &Call<O>) -> bool {
    a.returned.is_some_and(|returned| returned.max(a.invoked) < b.invoked)
}

#[test]
fn what_a_register_did_is_linearizable() {
    for number in 0..200 {
        let values = [0, 3, 10][number as usize % 3];
        let calls = Simulated { values, ..Simulated::default() }.history(number);
        assert_eq!(verdict(&calls), Verdict::Linearizable, "history {number}");
    }
}

#[test]
fn a_value_that_nobody_wrote_is_a_violation() {
    for number in 0..50 {
        let mut calls = Simulated::default().history(number);
        let mut rng = Seed(8).stream("wgl", number);
        let is_read = |i: &usize| matches!(calls[*i].op, Read(_)) && calls[*i].returned.is_some();
        let reads: Vec<usize> = (0..calls.len()).filter(is_read).collect();
        let read = *reads.choose(&mut rng).unwrap();
        calls[read].op = Read(Some(u64::MAX));
        let Verdict::Violation { longest, stuck } = verdict(&calls) else {
            panic!("history {number}")
        };
        assert_legal(&calls, &longest);
        assert!(stuck.contains(&read) && !longest.contains(&read), "history {number}");
    }
}

/// With values of their own, and a write that was over when the next one began, which was over when the read began.
#[test]
fn a_stale_read_among_many_calls_is_a_violation() {
    let mut checked = 0;
    for number in 0..50 {
        let mut calls = Simulated::default().history(number);
        let written: Vec<usize> =
            (0..calls.len()).filter(|i| matches!(calls[*i].op, Write(_))).collect();
        let stale =
            (0..calls.len()).rev().filter(|i| calls[*i].returned.is_some()).find_map(|read| {
                let Read(Some(_)) = calls[read].op else { return None };
                let second = *written.iter().rfind(|w| comes_before(&calls[**w], &calls[read]))?;
                let first = *written.iter().rfind(|w| comes_before(&calls[**w], &calls[second]))?;
                Some((read, first))
            });
        let Some((read, first)) = stale else { continue };
        let Write(value) = calls[first].op else { unreachable!() };
        calls[read].op = Read(Some(value));
        assert!(matches!(verdict(&calls), Verdict::Violation { .. }), "history {number}");
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

/// A call that is open from the first to the last leaves a window of more than 64 bits.
#[test]
fn a_call_may_be_open_during_all_others() {
    let mut calls: Vec<_> = (0..300).map(|i| call(Write(i), 10 * i + 1, 10 * i + 2)).collect();
    calls.push(call(Read(Some(250)), 0, 9_999));
    assert_eq!(verdict(&calls), Verdict::Linearizable);
    calls[300].op = Read(Some(300));
    let Verdict::Violation { longest, stuck } = verdict(&calls) else { panic!() };
    assert_eq!((longest.len(), stuck), (300, vec![300]));
}

#[test]
fn a_long_history_needs_no_deep_stack() {
    let calls = Simulated { calls: 100_000, unknown: 0.0, ..Simulated::default() }.history(3);
    assert_eq!(check(&EMPTY, &calls, u64::MAX), Verdict::Linearizable);
}

/// Most known calls that an order of some of the calls can have, by trying all orders.
fn brute_force(calls: &[Call<RegisterOp<u64>>], taken: u32, held: Option<u64>) -> usize {
    let left = || (0..calls.len()).filter(move |index| taken >> index & 1 == 0);
    let next = left().filter(|&i| !left().any(|other| comes_before(&calls[other], &calls[i])));
    let lengths = next.filter_map(|i| {
        let known = calls[i].returned.is_some();
        let held = EMPTY.step(&held, &calls[i].op, known)?;
        Some(usize::from(known) + brute_force(calls, taken | 1 << i, held))
    });
    lengths.max().unwrap_or(0)
}

#[test]
fn agrees_with_trying_all_orders() {
    let mut rng = Seed(9).stream("wgl", 0);
    let mut violations = 0;
    for number in 0..20_000 {
        let unknown = [0.1, 0.3, 0.6][number as usize % 3];
        let simulated = Simulated { clients: 3, calls: 6, values: 3, unknown };
        let mut calls: Vec<_> = match number % 2 {
            0 => simulated.history(number),
            _ => {
                let count = rng.random_range(1..=6);
                (0..count).map(|_| random_call(&simulated, &mut rng)).collect()
            }
        };
        if number % 4 == 0 {
            let index = rng.random_range(0..calls.len());
            calls[index].op = random_call(&simulated, &mut rng).op;
        }
        let known = calls.iter().filter(|call| call.returned.is_some()).count();
        let most = brute_force(&calls, 0, None);
        match verdict(&calls) {
            Verdict::Linearizable => assert_eq!(most, known, "{calls:?}"),
            Verdict::Undecided { .. } => panic!("{calls:?}"),
            Verdict::Violation { longest, stuck } => {
                assert_legal(&calls, &longest);
                let known_in = longest.iter().filter(|i| calls[**i].returned.is_some()).count();
                assert_eq!(known_in, most, "{calls:?}");
                assert!(most < known && !stuck.is_empty(), "{calls:?}");
                violations += 1;
            }
        }
    }
    assert!((5_000..15_000).contains(&violations), "{violations}");
}

fn random_call(simulated: &Simulated, rng: &mut impl Rng) -> Call<RegisterOp<u64>> {
    let mut op = simulated.random_op(rng, 0);
    take_effect(&mut op, [None, Some(0), Some(1), Some(2)][rng.random_range(0..4)]);
    let invoked = rng.random_range(0..12);
    let returned = (!rng.random_bool(simulated.unknown)).then(|| invoked + rng.random_range(0..8));
    Call { op, invoked, returned }
}
