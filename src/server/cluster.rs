//! Who belongs to the cluster, and changes of that. Only the leader takes them; another member sends them on.

use super::context::{Context, rejected};
use super::member_id;
use crate::peer::{About, member_on_the_wire};
use crate::raft::{Change, Member};
use crate::rpc::Failure;
use crate::rpc::etcdserverpb::cluster_client::ClusterClient;
use crate::rpc::etcdserverpb::cluster_server::Cluster;
use crate::rpc::etcdserverpb::{
    self, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
    MemberPromoteRequest, MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse,
    MemberUpdateRequest, MemberUpdateResponse,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service.
pub(super) struct ClusterService(pub(super) Arc<Context>);

/// Who belongs to the cluster is not in the store, so these answers are of no revision, as in etcd.
const NO_REVISION: i64 = 0;

type Answer<T> = Result<Response<T>, Status>;

impl ClusterService {
    fn members(&self) -> Vec<etcdserverpb::Member> {
        self.0.node.status().members.iter().map(member_on_the_wire).collect()
    }

    fn known(&self, id: u64) -> Result<Member, Failure> {
        let members = self.0.node.status().members;
        let known = members.iter().find(|member| member.id == id);
        known.cloned().ok_or(Failure::MemberNotFound)
    }

    async fn change(&self, change: Change) -> Result<(), Status> {
        self.0.node.change_group(change).await.map_err(|why| rejected(&why))
    }

    /// Whether somebody else is reached there already.
    fn check_urls(&self, peer_urls: &[String], but: u64) -> Result<(), Status> {
        if peer_urls.is_empty() || !peer_urls.iter().all(|url| is_url(url)) {
            return Err(Status::invalid_argument("etcdserver: given member URLs are invalid"));
        }
        let members = self.0.node.status().members;
        let mut others = members.iter().filter(|member| member.id != but);
        let taken = |member: &Member| {
            let urls = About::from_bytes(&member.about).peer_urls;
            urls.iter().any(|url| peer_urls.contains(url))
        };
        match others.any(taken) {
            true => Err(Status::failed_precondition("etcdserver: Peer URLs already exists")),
            false => Ok(()),
        }
    }
}

/// Whether a member could be there: `http://host:port`, nothing behind it. One that never can would count in every majority all the same.
fn is_url(url: &str) -> bool {
    let place = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let Some((host, port)) = place.and_then(|place| place.rsplit_once(':')) else { return false };
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    !host.is_empty() && host.chars().all(fits) && port.parse().is_ok_and(|port: u16| port > 0)
}

#[tonic::async_trait]
impl Cluster for ClusterService {
    async fn member_list(&self, request: Request<MemberListRequest>) -> Answer<MemberListResponse> {
        if request.into_inner().linearizable {
            self.0.catch_up().await?;
        }
        let header = Some(self.0.header(NO_REVISION));
        Ok(Response::new(MemberListResponse { header, members: self.members() }))
    }

    /// The newcomer's number also depends on the log, so that one who comes back after leaving is another member.
    async fn member_add(&self, request: Request<MemberAddRequest>) -> Answer<MemberAddResponse> {
        if let Some(leader) = self.0.leader_elsewhere().await? {
            return ClusterClient::new(leader).member_add(request.into_inner()).await;
        }
        let MemberAddRequest { peer_ur_ls: peer_urls, is_learner } = request.into_inner();
        self.check_urls(&peer_urls, 0)?;
        let salt = format!("{}/{}", self.0.identity.cluster_id, self.0.node.status().last);
        let id = member_id(&peer_urls, &salt);
        let about = About { peer_urls, ..About::default() };
        let member = Member { id, is_learner, about: about.to_bytes() };
        self.change(Change::Add(member.clone())).await?;
        Ok(Response::new(MemberAddResponse {
            header: Some(self.0.header(NO_REVISION)),
            member: Some(member_on_the_wire(&member)),
            members: self.members(),
        }))
    }

    async fn member_remove(
        &self,
        request: Request<MemberRemoveRequest>,
    ) -> Answer<MemberRemoveResponse> {
        if let Some(leader) = self.0.leader_elsewhere().await? {
            return ClusterClient::new(leader).member_remove(request.into_inner()).await;
        }
        let id = self.known(request.into_inner().id)?.id;
        self.change(Change::Remove(id)).await?;
        let header = Some(self.0.header(NO_REVISION));
        Ok(Response::new(MemberRemoveResponse { header, members: self.members() }))
    }

    async fn member_update(
        &self,
        request: Request<MemberUpdateRequest>,
    ) -> Answer<MemberUpdateResponse> {
        if let Some(leader) = self.0.leader_elsewhere().await? {
            return ClusterClient::new(leader).member_update(request.into_inner()).await;
        }
        let MemberUpdateRequest { id, peer_ur_ls: peer_urls } = request.into_inner();
        let known = self.known(id)?;
        self.check_urls(&peer_urls, id)?;
        let about = About { peer_urls, ..About::from_bytes(&known.about) };
        self.change(Change::Describe(id, about.to_bytes())).await?;
        let header = Some(self.0.header(NO_REVISION));
        Ok(Response::new(MemberUpdateResponse { header, members: self.members() }))
    }

    async fn member_promote(
        &self,
        request: Request<MemberPromoteRequest>,
    ) -> Answer<MemberPromoteResponse> {
        if let Some(leader) = self.0.leader_elsewhere().await? {
            return ClusterClient::new(leader).member_promote(request.into_inner()).await;
        }
        let id = self.known(request.into_inner().id)?.id;
        self.change(Change::Promote(id)).await?;
        let header = Some(self.0.header(NO_REVISION));
        Ok(Response::new(MemberPromoteResponse { header, members: self.members() }))
    }
}
