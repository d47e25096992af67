//! Members that come and go, as an operator asks for it.

use super::{SPAN, Strike, Turn};
use crate::raft::MemberId;
use crate::rpc::etcdserverpb::{
    Member, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
    MemberPromoteRequest, MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse,
};
use crate::verify::processes::member::{Start, url};
use std::time::Duration;

/// How long a change may take.
const CHANGE_MAX: Duration = Duration::from_secs(5);

impl Turn<'_, '_> {
    /// A fourth member learns, votes for a while, and is removed.
    pub(super) fn comes_and_goes(&mut self) -> Strike {
        let (struck, number) = (self.now(), self.group.spare().number);
        let id = self.joins(number);
        self.group.clock.sleep(SPAN);
        let is_gone = id.is_some_and(|id| self.remove(id));
        let was_there = self.group.kill(number);
        let happened = id.is_some() && is_gone && was_there;
        Strike::at(struck, happened && self.group.spare().forget().is_ok())
    }

    /// A follower is removed, loses everything, and comes back as somebody else.
    pub(super) fn replace(&mut self) -> Strike {
        let (struck, me) = (self.now(), self.follower);
        let Some(old) = self.listed(me) else { return Strike::at(struck, false) };
        let is_gone = self.remove(old.id);
        let was_there = self.group.kill(me);
        let is_empty = self.group.member(me).forget().is_ok();
        let is_another = is_gone && is_empty && self.joins(me).is_some_and(|new| new != old.id);
        Strike::at(struck, was_there && is_another)
    }

    /// Adds a learner, starts it and has it vote as soon as it may; gives its number in the group.
    fn joins(&mut self, me: MemberId) -> Option<u64> {
        let peer_ur_ls = vec![url(self.group.member(me).ports.gate)];
        let added = self.until(|turn| {
            let asked = MemberAddRequest { peer_ur_ls: peer_ur_ls.clone(), is_learner: true };
            let path = "/etcdserverpb.Cluster/MemberAdd";
            let _: Option<MemberAddResponse> = turn.ask(path, &asked);
            // Whatever was answered, the list tells.
            turn.listed(me).map(|member| member.id)
        });
        let id = added?;
        let is_back = self.back(me, &Start { joins: true, ..Start::default() });
        let votes = self.until(|turn| {
            let path = "/etcdserverpb.Cluster/MemberPromote";
            let _: Option<MemberPromoteResponse> = turn.ask(path, &MemberPromoteRequest { id });
            turn.listed(me).filter(|member| !member.is_learner)
        });
        (is_back && votes.is_some()).then_some(id)
    }

    fn remove(&mut self, id: u64) -> bool {
        let gone = self.until(|turn| {
            let path = "/etcdserverpb.Cluster/MemberRemove";
            let _: Option<MemberRemoveResponse> = turn.ask(path, &MemberRemoveRequest { id });
            let listed = turn.members()?;
            listed.iter().all(|member| member.id != id).then_some(())
        });
        gone.is_some()
    }

    /// Asks whoever leads.
    fn ask<Q: prost::Message, A: prost::Message + Default>(
        &mut self,
        path: &'static str,
        request: &Q,
    ) -> Option<A> {
        let leader = self.group.leader(self.way)?;
        self.way.ask(leader, path, request, CHANGE_MAX)
    }

    /// Who belongs to the group, as a quorum has it.
    fn members(&mut self) -> Option<Vec<Member>> {
        let asked = MemberListRequest { linearizable: true };
        let list: MemberListResponse = self.ask("/etcdserverpb.Cluster/MemberList", &asked)?;
        Some(list.members)
    }

    /// The member that is reached where this one is.
    fn listed(&mut self, me: MemberId) -> Option<Member> {
        let gate = url(self.group.member(me).ports.gate);
        self.members()?.into_iter().find(|member| member.peer_ur_ls.contains(&gate))
    }

    /// Does it again until it is so, but not for long.
    fn until<T>(&mut self, mut is_so: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
        let group = self.group;
        group.wait_for(super::SPAN_MAX, || is_so(self))
    }
}
