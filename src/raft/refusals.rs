//! What other members sent and was not taken: how much of it and why, and who did it for the first time.

use super::transport::MemberId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Senders that are told of; a stranger may call itself anything.
const SENDERS_MAX: usize = 64;

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refused {
    /// Its address names another group.
    #[error("it is for another cluster")]
    OtherCluster,
    /// Its address, or what it says itself, names another member.
    #[error("it is for another member")]
    OtherMember,
    /// Nobody in the group knows who sent it.
    #[error("its sender is no member")]
    Stranger,
    /// It says that it comes from somebody else than whoever brought it.
    #[error("it names another sender")]
    OtherSender,
    /// Its bytes are no message, or nest deeper than any.
    #[error("it cannot be read")]
    Unreadable,
    /// Too many or too large.
    #[error("it is larger than any message")]
    TooLarge,
    /// A member sends no such thing to another.
    #[error("members do not send one another such messages")]
    Kind,
    /// A term that is none, or that nobody can have reached.
    #[error("its term cannot be")]
    Term,
    /// Only whoever leads the term sends it.
    #[error("another member leads its term")]
    NotTheLeader,
    /// Entries with gaps, or of terms that go back.
    #[error("its entries do not follow one another")]
    Entries,
    /// It takes for replicated or committed what the log has not got. A member that lost a part of its log hears this of its leader.
    #[error("it speaks of entries that are not in this log")]
    BeyondLog,
    /// What it wants in the log is no request, or is not its sender's to want.
    #[error("it proposes what cannot be applied")]
    Proposal,
    /// It brings no image where it should, one where it should not, or a damaged one.
    #[error("its image of the state is missing or damaged")]
    Image,
}

impl Refused {
    /// As the value of a label.
    pub fn label(self) -> &'static str {
        match self {
            Refused::OtherCluster => "other_cluster",
            Refused::OtherMember => "other_member",
            Refused::Stranger => "stranger",
            Refused::OtherSender => "other_sender",
            Refused::Unreadable => "unreadable",
            Refused::TooLarge => "too_large",
            Refused::Kind => "kind",
            Refused::Term => "term",
            Refused::NotTheLeader => "not_the_leader",
            Refused::Entries => "entries",
            Refused::BeyondLog => "beyond_log",
            Refused::Proposal => "proposal",
            Refused::Image => "image",
        }
    }
}

/// What was refused since the start.
#[derive(Debug, Default)]
pub struct Refusals {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<Refused, u64>,
    senders: BTreeSet<MemberId>,
    /// Of senders that were not told of yet; at most [`SENDERS_MAX`] in all.
    news: Vec<(MemberId, Refused)>,
}

impl Refusals {
    /// Counts a message of `from` that was not taken.
    pub fn note(&self, from: MemberId, why: Refused) {
        let mut state = self.state();
        *state.counts.entry(why).or_default() += 1;
        if state.senders.len() < SENDERS_MAX && state.senders.insert(from) {
            state.news.push((from, why));
        }
    }

    /// How many were refused for which reason.
    pub fn counts(&self) -> Vec<(Refused, u64)> {
        self.state().counts.iter().map(|(why, count)| (*why, *count)).collect()
    }

    /// Whoever was refused for the first time since this was last asked, and why.
    pub fn take_news(&self) -> Vec<(MemberId, Refused)> {
        std::mem::take(&mut self.state().news)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_and_each_sender_is_news_once() {
        let refusals = Refusals::default();
        for (from, why) in [(7, Refused::Term), (7, Refused::Term), (8, Refused::Kind)] {
            refusals.note(from, why);
        }
        assert_eq!(refusals.counts(), [(Refused::Kind, 1), (Refused::Term, 2)]);
        assert_eq!(refusals.take_news(), [(7, Refused::Term), (8, Refused::Kind)]);
        refusals.note(7, Refused::Kind);
        assert_eq!(refusals.take_news(), []);
        (0..1_000).for_each(|from| refusals.note(from, Refused::Stranger));
        assert_eq!(refusals.take_news().len(), SENDERS_MAX - 2, "strangers choose their numbers");
    }
}
