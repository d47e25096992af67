//! Whether a message can be another member's. The raft library takes for granted that members run the same code, and ends the process
//! where one does not (a commit index beyond the log, a gap between entries); so nothing gets to it that a member in its right
//! mind would not send.
//!
//! Caveat: this is no defence against a member that lies within the rules. Raft has none; that is what certificates are for.

use super::members::Members;
use super::packing::EntryId;
use super::refusals::Refused;
use super::transport::MemberId;
use super::wire;
use raft::eraftpb::{ConfState, Entry, EntryType, Message, MessageType, Snapshot};
use std::collections::BTreeSet;

/// Terms that a sender may be ahead. Elections take milliseconds at least, so that nobody gets so far by them; and one message does
/// not bring the term to where it cannot be counted up any more.
const TERMS_AHEAD_MAX: u64 = 1 << 32;
/// Far beyond any log, and far below where counting on would overflow.
const INDEX_MAX: u64 = 1 << 62;

/// What a message is held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) me: MemberId,
    pub(super) term: u64,
    /// Who leads the term, 0 if nobody is known to.
    pub(super) leader: MemberId,
    /// Last entry of the log.
    pub(super) last: u64,
}

/// Whether the library may see a message that `sender` brought.
pub(super) fn check(message: &Message, sender: MemberId, view: &View) -> Result<(), Refused> {
    require(message.from == sender, Refused::OtherSender)?;
    require(message.to == view.me, Refused::OtherMember)?;
    check_term(message, view.term)?;
    // Nobody here asks for an image on its own account.
    require(message.request_snapshot == 0, Refused::Kind)?;
    if message.term != 0 && message.term < view.term {
        // Of the past: the library answers with its term, if at all, and looks no further.
        return Ok(());
    }
    if is_of_a_leader(message.get_msg_type()) && message.term == view.term {
        require(view.leader == 0 || view.leader == sender, Refused::NotTheLeader)?;
    }
    check_body(message, view)
}

/// Proposals and questions have no term; everything else has, and kinds that only a member sends itself are refused.
fn check_term(message: &Message, term: u64) -> Result<(), Refused> {
    use MessageType::*;
    match message.get_msg_type() {
        MsgPropose | MsgReadIndex => require(message.term == 0, Refused::Term),
        MsgAppend
        | MsgAppendResponse
        | MsgRequestVote
        | MsgRequestVoteResponse
        | MsgSnapshot
        | MsgHeartbeat
        | MsgHeartbeatResponse
        | MsgTimeoutNow
        | MsgReadIndexResp
        | MsgRequestPreVote
        | MsgRequestPreVoteResponse => {
            let reached = 1..=term.saturating_add(TERMS_AHEAD_MAX);
            require(reached.contains(&message.term), Refused::Term)
        }
        MsgHup | MsgBeat | MsgUnreachable | MsgSnapStatus | MsgCheckQuorum | MsgTransferLeader => {
            Err(Refused::Kind)
        }
    }
}

fn is_of_a_leader(kind: MessageType) -> bool {
    use MessageType::*;
    matches!(kind, MsgAppend | MsgHeartbeat | MsgSnapshot | MsgTimeoutNow | MsgReadIndexResp)
}

fn check_body(message: &Message, view: &View) -> Result<(), Refused> {
    use MessageType::*;
    // Only then is it held against what was sent in this term.
    let is_for_leader = view.leader == view.me && message.term == view.term;
    match message.get_msg_type() {
        MsgAppend => check_append(message),
        MsgHeartbeat => require(message.commit <= view.last, Refused::BeyondLog),
        MsgSnapshot => check_snapshot(message.get_snapshot(), message.term),
        MsgAppendResponse if is_for_leader => {
            let is_known = message.index.max(message.commit) <= view.last
                && (!message.reject || message.reject_hint <= message.index);
            require(is_known, Refused::BeyondLog)
        }
        MsgHeartbeatResponse if is_for_leader => {
            require(message.commit <= view.last, Refused::BeyondLog)
        }
        MsgRequestVote | MsgRequestPreVote => {
            check_place(message.index, message.log_term, message.term)?;
            let is_own = message.commit <= message.index && message.commit_term <= message.log_term;
            require(is_own, Refused::BeyondLog)
        }
        MsgPropose => require(!message.entries.is_empty(), Refused::Proposal),
        MsgReadIndex => {
            let is_own = |entry: &Entry| {
                EntryId::from_bytes(&entry.data).is_some_and(|id| id.node == message.from)
            };
            let is_question = matches!(message.get_entries(), [entry] if is_own(entry));
            require(is_question, Refused::Entries)
        }
        MsgReadIndexResp => require(message.entries.len() == 1, Refused::Entries),
        _ => Ok(()),
    }
}

/// The entry before the first one, and the entries, of terms up to the leader's.
fn check_append(message: &Message) -> Result<(), Refused> {
    check_place(message.index, message.log_term, message.term)?;
    let (mut index, mut term) = (message.index, message.log_term.max(1));
    for entry in message.get_entries() {
        let follows = entry.index == index + 1 && (term..=message.term).contains(&entry.term);
        require(follows, Refused::Entries)?;
        check_change(entry)?;
        (index, term) = (entry.index, entry.term);
    }
    Ok(())
}

/// A place in a log whose owner has reached `term`.
fn check_place(index: u64, log_term: u64, term: u64) -> Result<(), Refused> {
    let is_place = index <= INDEX_MAX && log_term <= term && (index == 0) == (log_term == 0);
    require(is_place, Refused::Entries)
}

/// Once committed, a change has to be understood.
fn check_change(entry: &Entry) -> Result<(), Refused> {
    match entry.get_entry_type() {
        EntryType::EntryNormal => Ok(()),
        EntryType::EntryConfChange => wire::change(&entry.data).map(drop),
        // Nobody here proposes one.
        EntryType::EntryConfChangeV2 => Err(Refused::Entries),
    }
}

/// What is said about an image: where it stands, and who belongs.
fn check_snapshot(snapshot: &Snapshot, term: u64) -> Result<(), Refused> {
    let metadata = snapshot.get_metadata();
    require(metadata.index > 0, Refused::Entries)?;
    check_place(metadata.index, metadata.term, term)?;
    let members = Members::from_bytes(&snapshot.data).ok_or(Refused::Unreadable)?;
    let conf = metadata.get_conf_state();
    require(members.conf == *conf && is_simple(conf), Refused::Image)
}

/// A group that is not in the middle of a change: each member once, at least one with a vote.
fn is_simple(conf: &ConfState) -> bool {
    let ids = || conf.voters.iter().chain(&conf.learners);
    let different: BTreeSet<_> = ids().collect();
    !conf.voters.is_empty()
        && conf.voters_outgoing.is_empty()
        && conf.learners_next.is_empty()
        && !conf.auto_leave
        && !different.contains(&0)
        && different.len() == ids().count()
}

fn require(is_so: bool, otherwise: Refused) -> Result<(), Refused> {
    if is_so { Ok(()) } else { Err(otherwise) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::members::Member;

    const VIEW: View = View { me: 1, term: 5, leader: 2, last: 100 };

    fn message(kind: MessageType) -> Message {
        let mut message = Message { from: 2, to: 1, term: 5, ..Message::default() };
        message.set_msg_type(kind);
        message
    }

    fn entries(places: &[(u64, u64)]) -> Vec<Entry> {
        let entry =
            |(index, term): &(u64, u64)| Entry { index: *index, term: *term, ..Entry::default() };
        places.iter().map(entry).collect()
    }

    fn append(index: u64, log_term: u64, places: &[(u64, u64)]) -> Message {
        let mut append = Message { index, log_term, ..message(MessageType::MsgAppend) };
        append.set_entries(entries(places).into());
        append
    }

    fn told(message: &Message) -> Result<(), Refused> {
        check(message, 2, &VIEW)
    }

    #[test]
    fn what_a_leader_sends_is_heard() {
        let heartbeat = Message { commit: 100, ..message(MessageType::MsgHeartbeat) };
        assert_eq!(told(&heartbeat), Ok(()));
        // Entries beyond the log are asked for again; a commit index is bounded by what came with it.
        let far = Message { commit: 9_999, ..append(900, 4, &[(901, 4), (902, 5)]) };
        assert_eq!(told(&far), Ok(()));
        assert_eq!(told(&append(0, 0, &[(1, 1)])), Ok(()));
        assert_eq!(told(&append(7, 2, &[])), Ok(()));
    }

    #[test]
    fn what_would_end_the_process_is_refused() {
        let heartbeat = Message { commit: 101, ..message(MessageType::MsgHeartbeat) };
        assert_eq!(told(&heartbeat), Err(Refused::BeyondLog));
        let gap = append(100, 5, &[(101, 5), (103, 5)]);
        for wrong in [
            gap,
            append(100, 5, &[(100, 5)]),
            append(100, 5, &[(101, 4)]),
            append(100, 5, &[(101, 6)]),
            append(100, 6, &[]),
            // Of term 0 is what the log does not have, so it would be taken for there.
            append(900, 0, &[(901, 5)]),
            append(0, 0, &[(1, 0)]),
            append(u64::MAX, 5, &[(0, 5)]),
        ] {
            assert_eq!(told(&wrong), Err(Refused::Entries), "{wrong:?}");
        }
        let mut unclear = append(100, 5, &[(101, 5)]);
        unclear.mut_entries()[0].set_entry_type(EntryType::EntryConfChange);
        unclear.mut_entries()[0].data = vec![0xff; 9].into();
        assert_eq!(told(&unclear), Err(Refused::Unreadable));
        unclear.mut_entries()[0].set_entry_type(EntryType::EntryConfChangeV2);
        assert_eq!(told(&unclear), Err(Refused::Entries));
        let nothing = Message { term: 0, ..message(MessageType::MsgPropose) };
        assert_eq!(told(&nothing), Err(Refused::Proposal));
    }

    #[test]
    fn a_question_is_named_by_who_asks_it() {
        let asked = |questions: &[Vec<u8>]| {
            let mut message = Message { term: 0, ..message(MessageType::MsgReadIndex) };
            for data in questions {
                let entry = Entry { data: data.clone().into(), ..Entry::default() };
                message.mut_entries().push(entry);
            }
            told(&message)
        };
        let of = |node| EntryId { node, incarnation: 1, sequence: 7 }.to_bytes();
        assert_eq!(asked(&[of(2)]), Ok(()));
        for wrong in [vec![], vec![of(2), of(2)], vec![of(3)], vec![[of(2), of(2)].concat()]] {
            assert_eq!(asked(&wrong), Err(Refused::Entries), "{wrong:?}");
        }
    }

    #[test]
    fn senders_and_terms_are_what_they_can_be() {
        let heartbeat = message(MessageType::MsgHeartbeat);
        assert_eq!(check(&heartbeat, 3, &VIEW), Err(Refused::OtherSender));
        assert_eq!(check(&heartbeat, 2, &View { me: 4, ..VIEW }), Err(Refused::OtherMember));
        assert_eq!(check(&heartbeat, 2, &View { leader: 3, ..VIEW }), Err(Refused::NotTheLeader));
        assert_eq!(check(&heartbeat, 2, &View { leader: 1, ..VIEW }), Err(Refused::NotTheLeader));
        assert_eq!(check(&heartbeat, 2, &View { leader: 0, ..VIEW }), Ok(()));
        for term in [0, u64::MAX, 5 + TERMS_AHEAD_MAX + 1] {
            assert_eq!(told(&Message { term, ..heartbeat.clone() }), Err(Refused::Term));
        }
        // Another leader's, later: that one has been elected.
        let later = Message { term: 6, ..heartbeat };
        assert_eq!(check(&later, 2, &View { leader: 3, ..VIEW }), Ok(()));
        for kind in [MessageType::MsgHup, MessageType::MsgBeat, MessageType::MsgTransferLeader] {
            assert_eq!(told(&message(kind)), Err(Refused::Kind));
        }
        let dated = Message { term: 4, commit: 9_999, ..message(MessageType::MsgHeartbeat) };
        assert_eq!(told(&dated), Ok(()), "the library answers it with the term");
    }

    #[test]
    fn a_leader_hears_of_no_more_than_it_sent() {
        let leads = View { leader: 1, ..VIEW };
        let answer = |index, reject_hint| {
            let kind = MessageType::MsgAppendResponse;
            Message { index, reject_hint, reject: reject_hint > 0, ..message(kind) }
        };
        assert_eq!(check(&answer(100, 0), 2, &leads), Ok(()));
        assert_eq!(check(&answer(90, 80), 2, &leads), Ok(()));
        for wrong in [answer(101, 0), answer(90, 91), answer(90, u64::MAX)] {
            assert_eq!(check(&wrong, 2, &leads), Err(Refused::BeyondLog), "{wrong:?}");
        }
        let heard = Message { commit: 101, ..message(MessageType::MsgHeartbeatResponse) };
        assert_eq!(check(&heard, 2, &leads), Err(Refused::BeyondLog));
        let asks = Message { request_snapshot: 9, ..answer(1, 1) };
        assert_eq!(check(&asks, 2, &leads), Err(Refused::Kind));
    }

    #[test]
    fn an_image_comes_with_a_group() {
        let members = [1, 2].map(|id| Member { id, ..Member::default() });
        let members = Members::founded_by(&members);
        let with = |index, term, voters: &[u64]| {
            let mut snapshot = Snapshot { data: members.to_bytes().into(), ..Snapshot::default() };
            let metadata = snapshot.mut_metadata();
            (metadata.index, metadata.term) = (index, term);
            metadata.mut_conf_state().voters = voters.to_vec();
            let mut told = message(MessageType::MsgSnapshot);
            told.set_snapshot(snapshot);
            told
        };
        assert_eq!(told(&with(500, 5, &[1, 2])), Ok(()));
        assert_eq!(told(&with(500, 6, &[1, 2])), Err(Refused::Entries));
        assert_eq!(told(&with(0, 0, &[1, 2])), Err(Refused::Entries));
        assert_eq!(told(&with(500, 5, &[1, 2, 3])), Err(Refused::Image));
        assert_eq!(told(&message(MessageType::MsgSnapshot)), Err(Refused::Entries));
        let conf = |voters: &[u64], learners: &[u64]| ConfState {
            voters: voters.to_vec(),
            learners: learners.to_vec(),
            ..ConfState::default()
        };
        assert!(is_simple(&conf(&[1], &[2])));
        for conf in [conf(&[], &[1]), conf(&[1, 1], &[]), conf(&[1], &[1]), conf(&[0], &[])] {
            assert!(!is_simple(&conf), "{conf:?}");
        }
    }
}
