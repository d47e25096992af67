//! What was in a store before the load: nothing, in a fresh one. Answers of one that is not are told as a fresh one would
//! give them, so that arms can be compared.

use crate::model::{Body, KeyValue, LeaseId, MainRevision, Response};

/// A store before the load began. It had no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Before {
    /// Its revision.
    pub(super) revision: MainRevision,
    /// Leases of others, ascending.
    pub(super) leases: Vec<LeaseId>,
}

impl Before {
    /// A fresh store is at revision 1.
    pub(super) const FRESH: Before = Before { revision: 1, leases: Vec::new() };

    /// `response` without what was there before.
    pub(super) fn without(&self, mut response: Response) -> Response {
        self.shift(&mut response.revision);
        if let Ok(body) = &mut response.result {
            self.take_from(body);
        }
        response
    }

    fn take_from(&self, body: &mut Body) {
        match body {
            Body::Put { prev_kv } => prev_kv.iter_mut().for_each(|kv| self.shift_key(kv)),
            Body::Range(found) => found.kvs.iter_mut().for_each(|kv| self.shift_key(kv)),
            Body::DeleteRange { prev_kvs, .. } => {
                prev_kvs.iter_mut().for_each(|kv| self.shift_key(kv));
            }
            Body::Txn { responses, .. } => {
                for step in responses {
                    self.shift(&mut step.revision);
                    self.take_from(&mut step.body);
                }
            }
            Body::Leases(leases) => leases.retain(|lease| !self.leases.contains(lease)),
            Body::Compact
            | Body::LeaseGrant { .. }
            | Body::LeaseRevoke
            | Body::LeaseTimeToLive(_)
            | Body::Alarms(_) => {}
        }
    }

    fn shift_key(&self, kv: &mut KeyValue) {
        self.shift(&mut kv.create_revision);
        self.shift(&mut kv.mod_revision);
    }

    /// Where nothing was told there is nothing to shift.
    fn shift(&self, revision: &mut MainRevision) {
        if *revision >= self.revision {
            *revision -= self.revision - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OpResponse, RangeResult};

    fn kv(revision: MainRevision) -> KeyValue {
        KeyValue {
            key: b"a".to_vec(),
            value: b"1".to_vec(),
            create_revision: revision,
            mod_revision: revision + 1,
            version: 2,
            lease: 0,
        }
    }

    /// What a store says in which `revision` was the last before.
    fn said(revision: MainRevision, leases: &[LeaseId]) -> Vec<Response> {
        let at = |number| revision - 1 + number;
        let range = Body::Range(RangeResult { kvs: vec![kv(at(2))], more: false, count: 1 });
        let step = OpResponse { revision: at(4), body: range.clone() };
        let bodies = [
            Body::Put { prev_kv: Some(kv(at(2))) },
            Body::Put { prev_kv: None },
            range,
            Body::DeleteRange { deleted: 1, prev_kvs: vec![kv(at(2))] },
            Body::Txn { succeeded: true, responses: vec![step] },
            Body::Leases(leases.to_vec()),
        ];
        bodies.map(|body| Response { revision: at(4), result: Ok(body) }).into()
    }

    #[test]
    fn a_store_in_use_answers_as_a_fresh_one() {
        let used = Before { revision: 900, leases: vec![5, 9] };
        let told = said(900, &[5, 7, 9]).into_iter().map(|response| used.without(response));
        assert_eq!(told.collect::<Vec<_>>(), said(1, &[7]));
        let fresh = said(1, &[7]).into_iter().map(|response| Before::FRESH.without(response));
        assert_eq!(fresh.collect::<Vec<_>>(), said(1, &[7]));
    }
}
