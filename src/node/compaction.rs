//! When history is compacted: a node keeps a number of revisions, as etcd's `--auto-compaction-mode=revision`. Whoever
//! applies notices; the compaction itself goes the way of every write, so that all replicas forget the same.

use crate::model::{MainRevision, Request};
use crate::store::Answer;

/// Compactions come this often, in revisions: seldom enough to cost nothing, often enough to bound what is kept.
const EVERY: MainRevision = 10_000;

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Revisions that stay readable, at least; 0 keeps all.
    pub keep_revisions: u64,
}

impl Compaction {
    /// Keeps everything.
    pub const NEVER: Compaction = Compaction { keep_revisions: 0 };

    /// The compaction that is due after these answers, if one is. Each multiple of the period is given to one request,
    /// so that of several appliers one asks.
    pub fn due(self, answers: &[Answer]) -> Option<Request> {
        let keep = MainRevision::try_from(self.keep_revisions).ok().filter(|keep| *keep > 0)?;
        let is_turn =
            |answer: &&Answer| answer.response.revision % EVERY == 0 && answer.response.changed();
        let revision = answers.iter().rev().find(is_turn)?.response.revision - keep;
        (revision > 0).then_some(Request::Compact { revision })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::stage::Stamps;
    use crate::model::{Body, Response};

    fn put_at(revision: MainRevision) -> Answer {
        let response = Response { revision, result: Ok(Body::Put { prev_kv: None }) };
        Answer { response, stamps: Stamps::default() }
    }

    #[test]
    fn it_is_due_once_a_period_and_keeps_what_it_should() {
        let keeping = |keep_revisions| Compaction { keep_revisions };
        let answers: Vec<_> = (29_990..30_010).map(put_at).collect();
        assert_eq!(keeping(5_000).due(&answers), Some(Request::Compact { revision: 25_000 }));
        assert_eq!(keeping(5_000).due(&answers[..10]), None);
        assert_eq!(keeping(30_000).due(&answers), None);
        assert_eq!(Compaction::NEVER.due(&answers), None);
    }
}
