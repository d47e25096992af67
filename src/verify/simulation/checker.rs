//! What has to hold at every tick, whatever goes wrong. The log's part of it is Raft's own (Ongaro and Ousterhout 2014, figure 3).
//!
//! Members are looked at when what they did last has happened: one that waits for its disk may yet crash and never have done it.

use super::invariants::Violation;
use super::member::Member;
use crate::measure::stage::Probe;
use crate::node::Stepped;
use crate::raft::{Logged, MemberId, Role, View, newest_image};
use crate::store::{self, Digest};
use crate::units::Nanos;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// A hash of a log up to an entry, so that two logs are compared by their ends.
type Chain = u64;

/// An entry that is committed.
#[derive(Clone, Copy)]
struct Committed {
    term: u64,
    chain: Chain,
    /// The term in which anybody first knew.
    in_term: u64,
}

/// The last entry of a chain, and the chain before it.
#[derive(Clone, Copy)]
struct Link {
    before: Chain,
    term: u64,
    proposal: Option<[u64; 3]>,
}

/// What is known of a member from earlier looks.
#[derive(Default)]
struct Known {
    life: u64,
    view: Option<View>,
    /// The highest term, and the vote in it, over all lives.
    term: u64,
    vote: MemberId,
    /// The index before the first of `log`.
    cut: u64,
    /// Term and chain of each entry.
    log: VecDeque<(u64, Chain)>,
    /// The member's newest image that was looked at.
    imaged: u64,
    digested: Option<(u64, u64)>,
}

impl Known {
    fn at(&self, index: u64) -> Option<(u64, Chain)> {
        let place = index.checked_sub(self.cut + 1)?;
        self.log.get(usize::try_from(place).ok()?).copied()
    }
}

/// All that was seen so far.
#[derive(Default)]
pub(super) struct Checker {
    members: BTreeMap<MemberId, Known>,
    leaders: HashMap<u64, MemberId>,
    chains: HashMap<(u64, u64), Chain>,
    /// What each chain ends with.
    links: HashMap<Chain, Link>,
    /// From index 1 on.
    committed: Vec<Committed>,
    proposals: HashMap<[u64; 3], u64>,
    states: HashMap<u64, Digest>,
    /// Voters and learners after each change of the group.
    groups: BTreeMap<u64, (Vec<MemberId>, Vec<MemberId>)>,
    /// Looks at members.
    pub(super) looks: u64,
}

fn chained(before: Chain, entry: &Logged) -> Chain {
    let mut hasher = DefaultHasher::new();
    (before, entry.index, entry.term, entry.digest).hash(&mut hasher);
    hasher.finish()
}

impl Checker {
    /// The voters and learners of the latest change of the group.
    pub(super) fn group(&self) -> Option<&(Vec<MemberId>, Vec<MemberId>)> {
        self.groups.last_key_value().map(|(_, group)| group)
    }

    /// How many entries are known to be committed.
    pub(super) fn committed(&self) -> u64 {
        self.committed.len() as u64
    }

    /// Looks at everybody at `now`.
    pub(super) fn look(&mut self, members: &mut [Member], now: Nanos) -> Result<(), Violation> {
        let mut advanced = Vec::new();
        for member in members.iter_mut() {
            if member.node.is_none() || !member.is_free(now) {
                continue;
            }
            self.looks += 1;
            let (id, life) = (member.id, member.life);
            let Some(node) = &mut member.node else { continue };
            let view = node.view();
            let known = self.members.entry(id).or_default();
            if known.life != life {
                (known.life, known.view, known.digested) = (life, None, None);
            }
            self.take_log(id, node, &view)?;
            self.check_terms(id, &view)?;
            self.check_progress(id, node, &view)?;
            self.check_group(id, node, &view)?;
            if view.committed > self.committed() {
                advanced.push((id, view));
            }
        }
        for (id, view) in advanced {
            self.commit(id, &view, members, now)?;
        }
        for member in members.iter() {
            if let Some((node, view)) = member.settled(now).map(|node| (node, node.view())) {
                self.check_committed(member.id, &view)?;
                self.check_state(member.id, node, &view)?;
                if let Some(known) = self.members.get_mut(&member.id) {
                    known.view = Some(view);
                }
            }
        }
        self.check_quorum(members, now)?;
        check_leases(members, now)
    }

    /// What is new in a member's log.
    fn take_log(&mut self, id: MemberId, node: &mut Stepped, view: &View) -> Result<(), Violation> {
        let Some(changed) = node.take_changed() else { return Ok(()) };
        let (cut, cut_term) = node.cut();
        let known = self.members.entry(id).or_default();
        let led = known.view.is_some_and(|before| {
            before.role == Role::Leader && view.role == Role::Leader && before.term == view.term
        });
        let before = led.then(|| (known.cut, known.log.clone()));
        let from = if known.cut == cut && changed > cut { changed } else { cut + 1 };
        if known.cut != cut {
            known.cut = cut;
            known.log.clear();
        }
        known.log.truncate(usize::try_from(from - cut - 1).unwrap_or(usize::MAX));
        let mut chain = match known.log.back() {
            Some((_, chain)) => *chain,
            None if cut == 0 => 0,
            None => match self.chains.get(&(cut, cut_term)) {
                Some(chain) => *chain,
                None => {
                    return Violation::of(
                        "logs-match",
                        format!(
                            "the log of member {id} goes on after entry {cut} of term {cut_term}, which nobody had"
                        ),
                    );
                }
            },
        };
        for entry in node.entries(from) {
            let before = chain;
            chain = chained(before, &entry);
            self.links.insert(chain, Link { before, term: entry.term, proposal: entry.proposal });
            let place = (entry.index, entry.term);
            if *self.chains.entry(place).or_insert(chain) != chain {
                return Violation::of(
                    "logs-match",
                    format!(
                        "the log of member {id} differs from another's up to entry {} of term {}",
                        entry.index, entry.term
                    ),
                );
            }
            known.log.push_back((entry.term, chain));
        }
        let Some((cut, log)) = before else { return Ok(()) };
        for (index, was) in (cut + 1..).zip(log) {
            if index > known.cut && known.at(index) != Some(was) {
                return Violation::of(
                    "leader-appends-only",
                    format!("member {id}, which leads term {}, changed entry {index}", view.term),
                );
            }
        }
        Ok(())
    }

    fn check_terms(&mut self, id: MemberId, view: &View) -> Result<(), Violation> {
        let known = self.members.entry(id).or_default();
        if view.term < known.term {
            return Violation::of(
                "term-never-back",
                format!("member {id} was in term {} and is in {}", known.term, view.term),
            );
        }
        if view.term == known.term && known.vote != 0 && view.vote != known.vote {
            return Violation::of(
                "one-vote-per-term",
                format!(
                    "in term {} member {id} had voted for {} and has for {}",
                    view.term, known.vote, view.vote
                ),
            );
        }
        (known.term, known.vote) = (view.term, view.vote);
        if view.role != Role::Leader {
            return Ok(());
        }
        let leader = *self.leaders.entry(view.term).or_insert(id);
        if leader != id {
            return Violation::of(
                "one-leader-per-term",
                format!("members {leader} and {id} lead term {}", view.term),
            );
        }
        let is_new =
            known.view.is_none_or(|before| before.role != Role::Leader || before.term != view.term);
        let earlier = self.committed.partition_point(|entry| entry.in_term < view.term);
        let Some(last) = self.committed[..earlier].last().filter(|_| is_new) else { return Ok(()) };
        let index = earlier as u64;
        if index > known.cut && known.at(index) != Some((last.term, last.chain)) {
            return Violation::of(
                "leader-has-all-committed",
                format!(
                    "member {id} leads term {} without entry {index} of term {}, committed in term {}",
                    view.term, last.term, last.in_term
                ),
            );
        }
        Ok(())
    }

    fn check_progress(&self, id: MemberId, node: &Stepped, view: &View) -> Result<(), Violation> {
        let last = node.last();
        if view.committed > last {
            return Violation::of(
                "commit-within-log",
                format!(
                    "member {id} takes {} for committed and has {last} entries",
                    view.committed
                ),
            );
        }
        if view.applied > view.committed {
            return Violation::of(
                "applied-within-commit",
                format!(
                    "member {id} has applied {} and knows {} to be committed",
                    view.applied, view.committed
                ),
            );
        }
        let Some(before) = self.members.get(&id).and_then(|known| known.view) else {
            return Ok(());
        };
        if view.committed < before.committed {
            return Violation::of(
                "commit-never-back",
                format!(
                    "member {id} knew {} to be committed and knows {}",
                    before.committed, view.committed
                ),
            );
        }
        if view.applied < before.applied {
            return Violation::of(
                "applied-never-back",
                format!("member {id} had applied {} and has {}", before.applied, view.applied),
            );
        }
        Ok(())
    }

    fn check_group(&mut self, id: MemberId, node: &Stepped, view: &View) -> Result<(), Violation> {
        let (voters, learners) = (sorted(node.voters()), sorted(node.learners()));
        // Who joins begins with the group of later, and catches up with itself in the end.
        let is_in_it = voters.contains(&id) || learners.contains(&id);
        if !is_in_it {
            return Ok(());
        }
        let group = (voters, learners);
        let known = self.groups.entry(view.members_at).or_insert_with(|| group.clone());
        if *known != group {
            return Violation::of(
                "one-group-at-one-change",
                format!(
                    "after entry {} member {id} knows {group:?}, another {known:?}",
                    view.members_at
                ),
            );
        }
        Ok(())
    }

    /// Somebody knows more to be committed than anybody did.
    fn commit(
        &mut self,
        id: MemberId,
        view: &View,
        members: &[Member],
        now: Nanos,
    ) -> Result<(), Violation> {
        let (count, end) = (self.committed(), self.end_of_committed(id, view, members));
        if view.committed <= count {
            // Somebody who was looked at before knows as much.
            return Ok(());
        }
        // Of a log without a beginning that anybody had, an earlier look has complained.
        let Some(mut chain) = end else { return Ok(()) };
        let in_term = self.committed.last().map_or(0, |last| last.in_term).max(view.term);
        let mut new = Vec::new();
        for index in (count + 1..=view.committed).rev() {
            let Some(link) = self.links.get(&chain) else { return Ok(()) };
            new.push((index, link.proposal, Committed { term: link.term, chain, in_term }));
            chain = link.before;
        }
        if self.committed.last().map_or(0, |last| last.chain) != chain {
            return Violation::of(
                "committed-never-changes",
                format!("up to entry {count} member {id} has another log than was committed"),
            );
        }
        for (index, proposal, committed) in new.into_iter().rev() {
            self.committed.push(committed);
            let Some(proposal) = proposal else { continue };
            if let Some(first) = self.proposals.insert(proposal, index) {
                let [member, start, number] = proposal;
                return Violation::of(
                    "one-entry-per-proposal",
                    format!(
                        "proposal {number} of start {start} of member {member} is committed as entry {first} and as entry {index}"
                    ),
                );
            }
        }
        if let Some((index, have)) = self.lacking(members, now) {
            return Violation::of(
                "committed-on-a-quorum",
                format!(
                    "member {id} takes entry {index} for committed, which is on the disks of {have:?} only"
                ),
            );
        }
        Ok(())
    }

    /// The chain of what a member takes for committed.
    fn end_of_committed(&self, id: MemberId, view: &View, members: &[Member]) -> Option<Chain> {
        let known = self.members.get(&id)?;
        if let Some((_, chain)) = known.at(view.committed) {
            return Some(chain);
        }
        let cut = members.iter().find(|member| member.id == id)?.node.as_ref()?.cut();
        self.chains.get(&cut).copied().filter(|_| cut.0 == view.committed)
    }

    /// The last committed entry and whose disks have it, if those are no majority of the group as it is or was before its last
    /// change: a change counts for whoever has applied it.
    fn lacking(&self, members: &[Member], now: Nanos) -> Option<(u64, Vec<MemberId>)> {
        let last = self.committed.last()?;
        let index = self.committed();
        let has = |member: &&Member| member.disk.keeps(index, last.term, member.local(now));
        let have: Vec<MemberId> = members.iter().filter(has).map(|member| member.id).collect();
        let is_enough = |(voters, _): &(Vec<MemberId>, Vec<MemberId>)| {
            let of_them = voters.iter().filter(|voter| have.contains(voter)).count();
            of_them > voters.len() / 2
        };
        let is_kept = self.groups.values().rev().take(2).any(is_enough);
        (!is_kept && !self.groups.is_empty()).then_some((index, have))
    }

    fn check_quorum(&self, members: &[Member], now: Nanos) -> Result<(), Violation> {
        match self.lacking(members, now) {
            None => Ok(()),
            Some((index, have)) => Violation::of(
                "committed-stays-on-a-quorum",
                format!("entry {index} was committed and is on the disks of {have:?} only"),
            ),
        }
    }

    fn check_committed(&self, id: MemberId, view: &View) -> Result<(), Violation> {
        let Some(known) = self.members.get(&id) else { return Ok(()) };
        for (index, invariant) in
            [(view.committed, "committed-never-changes"), (view.applied, "same-entries-applied")]
        {
            let place = index.checked_sub(1).and_then(|place| usize::try_from(place).ok());
            let committed = place.and_then(|place| self.committed.get(place));
            if let (Some((term, chain)), Some(committed)) = (known.at(index), committed)
                && (term, chain) != (committed.term, committed.chain)
            {
                return Violation::of(
                    invariant,
                    format!(
                        "up to entry {index} of term {term}, member {id} has another log than was committed, which ends with term {}",
                        committed.term
                    ),
                );
            }
        }
        if view.applied > self.committed() && known.at(view.applied).is_some() {
            return Violation::of(
                "same-entries-applied",
                format!(
                    "member {id} has applied {}, and {} are committed",
                    view.applied,
                    self.committed()
                ),
            );
        }
        Ok(())
    }

    fn check_state(&mut self, id: MemberId, node: &Stepped, view: &View) -> Result<(), Violation> {
        let known = self.members.entry(id).or_default();
        let store = node.store();
        // What an engine kept over a crash may be ahead of what was applied since.
        let index = view.applied.max(store.applied().index);
        if known.digested != Some((known.life, index)) {
            known.digested = Some((known.life, index));
            let digest = store.digest();
            let first = *self.states.entry(index).or_insert(digest);
            if first != digest {
                return Violation::of(
                    "equal-state-at-equal-index",
                    format!(
                        "after entry {index} member {id} has {digest:?}, another had {first:?}"
                    ),
                );
            }
        }
        if view.imaged != known.imaged {
            known.imaged = view.imaged;
            return self.check_image(id, &node.incoming(), view.imaged);
        }
        Ok(())
    }

    fn check_image(&mut self, id: MemberId, folder: &Path, index: u64) -> Result<(), Violation> {
        let unreadable = |why: String| Violation {
            invariant: "image-is-its-state",
            words: format!("the image of member {id} at entry {index} cannot be read: {why}"),
        };
        let found = newest_image(folder).map_err(|error| unreadable(error.to_string()))?;
        let Some((_, path)) = found.filter(|(found, _)| *found == index) else { return Ok(()) };
        let mut file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let config = store::Config::in_memory(store::PathKind::GlobalMutex);
        let loaded = store::load(config, folder, Probe::off(), &mut file)
            .map_err(|error| unreadable(error.to_string()))?;
        let digest = loaded.digest();
        let state = *self.states.entry(index).or_insert(digest);
        match state == digest {
            true => Ok(()),
            false => Violation::of(
                "image-is-its-state",
                format!(
                    "the image of member {id} at entry {index} holds {digest:?}, the state was {state:?}"
                ),
            ),
        }
    }
}

fn sorted(ids: &[MemberId]) -> Vec<MemberId> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

/// A member that stands still answers nobody, whatever it would if it went on.
fn check_leases(members: &[Member], now: Nanos) -> Result<(), Violation> {
    let running = || members.iter().filter(|member| !member.is_paused(now));
    let views = || running().filter_map(|member| Some((member.id, member.view(now)?)));
    for (holder, lease) in views().filter(|(_, view)| view.has_lease) {
        let other = views().find(|(_, view)| view.role == Role::Leader && view.term > lease.term);
        if let Some((leader, view)) = other {
            return Violation::of(
                "lease-excludes-others",
                format!(
                    "member {holder} may answer by its lease of term {}, and member {leader} leads term {}",
                    lease.term, view.term
                ),
            );
        }
    }
    Ok(())
}
