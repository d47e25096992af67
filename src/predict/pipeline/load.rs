//! The load thread: it takes an answer, notes it, and sends the client's next request; it sleeps when no answer is left.

use super::{Doings, Event, LEADER, LOAD, World};
use crate::predict::member::Client;
use rand::Rng;

impl World<'_> {
    pub(super) fn take_answer(&mut self) {
        let Some(client) = self.answered.pop_front() else {
            self.load_runs = false;
            return;
        };
        let doings = self.clients[client];
        if doings.began && !doings.then_writes {
            let (now_ns, used_ns) = (self.engine.now_ns(), self.used_ns());
            let service_ns = now_ns - doings.sent_ns;
            self.seen.done(service_ns, !doings.was_answered, now_ns, used_ns);
            self.clients[client].was_answered = true;
        }
        self.engine.work(LOAD, self.question.costs.send_ns, Event::Sends(client));
    }

    pub(super) fn send(&mut self, client: Client) {
        let doings = &mut self.clients[client];
        if doings.then_writes {
            (doings.reads, doings.then_writes) = (false, false);
        } else {
            let draw: f64 = self.op_chance.random();
            let mix = self.question.mix;
            let transfers = (mix.reads..mix.reads + mix.transfers).contains(&draw);
            let reads = draw < mix.reads || transfers;
            let sent_ns = self.engine.now_ns();
            *doings = Doings { began: true, sent_ns, reads, then_writes: transfers, ..*doings };
        }
        let leader = &mut self.members[LEADER];
        let inbox = if doings.reads { &mut leader.new_reads } else { &mut leader.new_writes };
        inbox.push(client);
        match self.signal(LEADER) {
            true => self.engine.work(LOAD, self.question.costs.wakes.signal_ns, Event::LoadLooks),
            false => self.take_answer(),
        }
    }

    /// An answer for a client; whether the load thread had to be signalled.
    pub(super) fn answer(&mut self, client: Client) -> bool {
        self.answered.push_back(client);
        let must_signal = !self.load_runs;
        if must_signal {
            self.load_runs = true;
            let wake_ns = self.wake_ns();
            self.engine.after(wake_ns, Event::LoadRuns);
        }
        must_signal
    }
}
