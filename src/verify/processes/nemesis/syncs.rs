//! Disks that fail, are full, are slow, or are cut off in the midst of a sync: strace puts it into the calls of a running member.

use super::{SPAN_MAX, Strike, Turn};
use crate::client::scrape;
use crate::raft::MemberId;
use crate::units::Nanos;
use crate::verify::processes::member::{Start, address};
use crate::verify::processes::trace::Trace;
use rand::Rng;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Which sync of a thread it is, counted from the fault on.
const SYNCS: std::ops::Range<u32> = 1..40;
/// How much longer syncs take that are slow, µs as strace counts.
const DELAY_US: u64 = 20_000;
/// How long they are.
const SLOW: Nanos = Nanos::from_millis(1_000);
/// How long it is waited for an end before the leader is looked at again.
const GLANCE: Nanos = Nanos::from_millis(30);
/// What the server ends with when its log fails.
const FAILED: i32 = 5;

impl Turn<'_, '_> {
    /// SIGKILL within the k-th sync: the process ends by it, and nobody else sent it.
    pub(super) fn dies_at_sync(&mut self, me: MemberId) -> Strike {
        let inject =
            format!("fsync,fdatasync:signal=KILL:when={}", self.random.random_range(SYNCS));
        self.ends_by(me, &inject, |status, seen| {
            status.signal() == Some(9) && seen.contains("killed by SIGKILL")
        })
    }

    /// EIO at the k-th sync: the server ends by itself, and acknowledges nothing any more.
    pub(super) fn sync_fails(&mut self, me: MemberId) -> Strike {
        let inject = format!("fsync,fdatasync:error=EIO:when={}", self.random.random_range(SYNCS));
        self.ends_by(me, &inject, |status, seen| {
            status.code() == Some(FAILED) && seen.contains("EIO")
        })
    }

    /// No room from the k-th write on, of anybody.
    pub(super) fn disk_full(&mut self) -> Strike {
        let all = self.group.all();
        let me = all[self.random.random_range(0..all.len())];
        let inject = format!("pwrite64:error=ENOSPC:when={}+", self.random.random_range(SYNCS));
        self.ends_by(me, &inject, |status, seen| {
            status.code() == Some(FAILED) && seen.contains("ENOSPC")
        })
    }

    /// Puts `inject` into a member and waits until it ends as `is_right`; then it is started again.
    fn ends_by(
        &mut self,
        me: MemberId,
        inject: &str,
        is_right: fn(ExitStatus, &str) -> bool,
    ) -> Strike {
        let (clock, member) = (self.group.clock, self.group.member(me));
        let failed = Strike::at(clock.now(), false);
        let Some(id) = member.id() else { return failed };
        let Ok(trace) = Trace::attach(id, inject, clock, &member.file("")) else { return failed };
        let (began, mut led_then, mut ended) = (clock.now(), false, None);
        while ended.is_none() && clock.now().since(began) < SPAN_MAX {
            // A member that is traced is slow, and may lose the lead before it ends.
            led_then = self.group.leader(self.way) == Some(me);
            ended = member.ended(clock, clock.now().after(GLANCE));
        }
        let struck = clock.now();
        let led = if led_then { self.led_again(me, struck) } else { None };
        let seen = trace.end(clock);
        let Some(status) = ended else { return failed };
        self.a_while(super::SPAN);
        let happened = is_right(status, &seen) && self.back(me, &Start::default());
        Strike { happened, struck, led }
    }

    /// The leader's own account of its syncs shows the delay.
    pub(super) fn slow_syncs(&mut self) -> Strike {
        let (clock, member) = (self.group.clock, self.group.member(self.leader));
        let failed = Strike::at(clock.now(), false);
        let numbers = address(member.ports.numbers);
        let counts = || {
            let page = scrape(&numbers).ok()?;
            Some((
                page.count("kvbench_fsyncs_total"),
                page.count("kvbench_fsync_nanoseconds_total"),
            ))
        };
        let Some(id) = member.id() else { return failed };
        let inject = format!("fsync,fdatasync:delay_exit={DELAY_US}");
        let Ok(trace) = Trace::attach(id, &inject, clock, &member.file("")) else { return failed };
        let (struck, before) = (clock.now(), counts());
        clock.sleep(SLOW);
        let after = counts();
        trace.end(clock);
        let is_slow = before.zip(after).is_some_and(|(before, after)| {
            let (syncs, nanos) =
                (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
            // The first was under way when it began.
            syncs > 1 && nanos >= (syncs - 1) * DELAY_US * 1_000
        });
        Strike::at(struck, is_slow)
    }
}
