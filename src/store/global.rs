//! The baseline: one lock around each request, readers included. The lock covers the execution of one request
//! and nothing else: no encoding, no I/O, no waiting.

use super::table::Table;
use super::{Answer, ApplyPath, Digest};
use crate::measure::lock::{LockTally, MeasuredMutex};
use crate::measure::stage::Probe;
use crate::model::{MainRevision, Request, Response};

/// All keys behind one mutex.
pub struct GlobalMutex {
    state: MeasuredMutex<State>,
}

struct State {
    table: Table,
    revision: MainRevision,
}

impl GlobalMutex {
    /// An empty store.
    pub fn new(probe: Probe) -> GlobalMutex {
        GlobalMutex {
            state: MeasuredMutex::new(State { table: Table::default(), revision: 1 }, probe),
        }
    }

    fn apply_one(&self, request: Request) -> Answer {
        let mut state = self.state.lock();
        let locked = state.entered();
        let changes = state.table.would_change(&request);
        let revision = state.revision + MainRevision::from(changes);
        let body = state.table.execute(request, revision);
        state.revision = revision;
        let applied = state.leave();
        Answer { response: Response { revision, body }, locked, applied }
    }
}

impl ApplyPath for GlobalMutex {
    fn apply(&self, batch: Vec<Request>, answers: &mut Vec<Answer>) {
        answers.extend(batch.into_iter().map(|request| self.apply_one(request)));
    }

    fn digest(&self) -> Digest {
        let state = self.state.lock();
        Digest { revision: state.revision, keys: state.table.len(), hash: state.table.hash() }
    }

    fn locks(&self) -> (LockTally, u32) {
        (self.state.tally(), 1)
    }
}
