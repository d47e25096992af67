//! The applier of a member, on its raft thread or on a thread of its own: all of a batch is executed, then its clients are answered
//! one after the other.

use super::{Event, LEADER, World};

impl World<'_> {
    pub(super) fn execute(&mut self, at: usize, from: u64) {
        let costs = self.question.costs;
        let requests = self.requests(from, self.members[at].handed) as f64;
        let mut work_ns = costs.execute_ns * requests;
        if at == LEADER {
            let clients = self.clients_of(from, self.members[at].handed);
            self.members[at].answers.extend(clients.into_iter().map(|client| (client, false)));
        } else {
            // Its replies are made and dropped.
            work_ns += costs.answer_ns * requests;
        }
        self.engine.work(self.members[at].thread, work_ns, Event::Executed(at));
    }

    /// Entries for the apply thread.
    pub(super) fn hand_over(&mut self, at: usize, from: u64) {
        let member = &mut self.members[at];
        let (thread, handed) = (member.thread, member.handed);
        let mut work_ns = 0.0;
        if handed > from {
            member.jobs.push_back(handed);
            if !std::mem::replace(&mut member.applier_runs, true) {
                work_ns = self.question.costs.wakes.signal_ns;
                let wake_ns = self.wake_ns();
                self.engine.after(wake_ns, Event::ApplierLooks(at));
            }
        }
        self.engine.work(thread, work_ns, Event::Executed(at));
    }

    pub(super) fn executed(&mut self, at: usize) {
        let member = &mut self.members[at];
        while at == LEADER && member.first_read_is_due() {
            let reads = member.reads.pop_front().map_or(Vec::new(), |reads| reads.clients);
            member.answers.extend(reads.into_iter().map(|client| (client, true)));
        }
        self.answer_next(at);
    }

    pub(super) fn answer_next(&mut self, at: usize) {
        let Some((client, is_read)) = self.members[at].answers.pop_front() else {
            if self.members[at].apply_thread.is_none() {
                let handed = self.members[at].handed;
                self.note_applied(at, handed);
            }
            return self.turn(at);
        };
        let costs = self.question.costs;
        let execute_ns = if is_read { costs.execute_ns } else { 0.0 };
        let signal_ns = if self.answer(client) { costs.wakes.signal_ns } else { 0.0 };
        let work_ns = costs.answer_ns + execute_ns + signal_ns;
        self.engine.work(self.members[at].thread, work_ns, Event::Answers(at));
    }

    pub(super) fn note_applied(&mut self, at: usize, to: u64) {
        let member = &mut self.members[at];
        if at == LEADER {
            member.in_flight -= (to - member.applied) as usize;
        }
        member.applied = to;
        let everywhere = self.members.iter().map(|member| member.applied).min().unwrap_or(0);
        while self.log_from <= everywhere {
            self.log.pop_front();
            self.log_from += 1;
        }
    }

    pub(super) fn apply_next(&mut self, at: usize) {
        let member = &mut self.members[at];
        let thread = member.apply_thread.expect("only apply threads get here");
        let Some(to) = member.jobs.pop_front() else {
            member.applier_runs = false;
            return;
        };
        let costs = self.question.costs;
        let requests = self.requests(self.members[at].applied, to) as f64;
        let answers_ns = if at == LEADER { 0.0 } else { costs.answer_ns * requests };
        let work_ns = costs.apply_round_ns + costs.execute_ns * requests + answers_ns;
        self.engine.work(thread, work_ns, Event::ApplierExecuted(at, to));
    }

    pub(super) fn applier_executed(&mut self, at: usize, to: u64) {
        if at == LEADER {
            let clients = self.clients_of(self.members[at].applied, to);
            self.members[at].apply_answers.extend(clients);
        }
        self.applier_answers(at, to);
    }

    pub(super) fn applier_answers(&mut self, at: usize, to: u64) {
        let costs = self.question.costs;
        let thread = self.members[at].apply_thread.expect("only apply threads get here");
        match self.members[at].apply_answers.pop_front() {
            Some(client) => {
                let signal_ns = if self.answer(client) { costs.wakes.signal_ns } else { 0.0 };
                let work_ns = costs.answer_ns + signal_ns;
                self.engine.work(thread, work_ns, Event::ApplierAnswers(at, to));
            }
            None => {
                self.note_applied(at, to);
                let signal_ns = if self.signal(at) { costs.wakes.signal_ns } else { 0.0 };
                self.engine.work(thread, signal_ns, Event::ApplierLooks(at));
            }
        }
    }
}
