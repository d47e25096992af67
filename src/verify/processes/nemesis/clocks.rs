//! Wall clocks that jump or run: libfaketime shows a member another time. What it takes for the time it says itself, in the `Date` of its
//! page of numbers; another look at it, or at somebody who sees the real time, tells the difference.

use super::{Strike, Turn};
use crate::client::date;
use crate::raft::MemberId;
use crate::verify::processes::member::{Start, address};
use chrono::DateTime;
use std::fs;

/// How far it jumps, s.
const JUMP_S: i64 = 3_600;
/// How many times as fast it runs.
const SPEED: i64 = 10;
/// What is seen at least of that: the page's date is of whole seconds and up to one second old.
const SEEN_S: i64 = 20;

impl Turn<'_, '_> {
    /// An hour ahead, seen, and back again.
    pub(super) fn clock_jumps(&mut self) -> Strike {
        let struck = self.now();
        let Some(me) = self.under_another_clock() else { return Strike::at(struck, false) };
        let before = self.time(me);
        let jumped = self.set_clock(me, &format!("+{JUMP_S}"));
        let is_ahead = jumped
            && self.wait_for_time(me, |time| before.is_some_and(|before| time - before >= JUMP_S));
        // What it takes for the time now, nobody can tell from outside: the date is not set back.
        let is_back = self.set_clock(me, "+0");
        self.a_while(super::SPAN);
        Strike::at(struck, is_ahead && is_back && self.under_its_own_clock(me))
    }

    /// Ten times as fast for a while.
    pub(super) fn clock_runs(&mut self) -> Strike {
        let struck = self.now();
        let Some(me) = self.under_another_clock() else { return Strike::at(struck, false) };
        let ahead_of =
            |from: Option<i64>| move |time: i64| from.is_some_and(|from| time - from >= SEEN_S);
        let before = self.time(me);
        let is_set = self.set_clock(me, &format!("+0 x{SPEED}"));
        // It counts from the member's start, so that it begins with a jump.
        let jumps = is_set && self.wait_for_time(me, ahead_of(before));
        let (after, began) = (self.time(me), self.now());
        let runs = jumps && self.wait_for_time(me, ahead_of(after));
        let really_s = self.now().since(began).as_secs_f64();
        let is_faster = really_s * 2.0 < SEEN_S as f64;
        Strike::at(struck, runs && is_faster && self.under_its_own_clock(me))
    }

    /// Starts a member again with the library before everything else; it sees the real time for now.
    fn under_another_clock(&mut self) -> Option<MemberId> {
        let library = self.group.tools.faketime.clone().ok()?;
        let me = self.follower;
        let file = self.group.member(me).file("clock");
        let was_there = self.group.kill(me);
        let is_set = self.set_clock(me, "+0");
        let variables = vec![
            ("LD_PRELOAD", library.to_string_lossy().into_owned()),
            ("FAKETIME_TIMESTAMP_FILE", file.to_string_lossy().into_owned()),
            // Looked at once a second.
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            // Time that nobody sets stays what it is, as on a real machine.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ];
        let start = Start { variables, ..Start::default() };
        (was_there && is_set && self.back(me, &start)).then_some(me)
    }

    fn under_its_own_clock(&mut self, me: MemberId) -> bool {
        self.group.kill(me) && self.back(me, &Start::default())
    }

    fn set_clock(&self, me: MemberId, setting: &str) -> bool {
        fs::write(self.group.member(me).file("clock"), format!("{setting}\n")).is_ok()
    }

    /// What a member takes for the time, s since 1970.
    fn time(&self, me: MemberId) -> Option<i64> {
        time_at(&address(self.group.member(me).ports.numbers))
    }

    fn wait_for_time(&mut self, me: MemberId, is_so: impl Fn(i64) -> bool) -> bool {
        let numbers = address(self.group.member(me).ports.numbers);
        self.wait(|_, _| time_at(&numbers).is_some_and(&is_so))
    }
}

fn time_at(numbers: &str) -> Option<i64> {
    let said = date(numbers).ok()?;
    DateTime::parse_from_rfc2822(&said).ok().map(|time| time.timestamp())
}
