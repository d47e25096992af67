//! Leases.

use super::context::{Context, unexpected};
use crate::model::{Body, Request};
use crate::rpc::Failure;
use crate::rpc::etcdserverpb::lease_client::LeaseClient;
use crate::rpc::etcdserverpb::lease_server::Lease;
use crate::rpc::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use crate::rpc::{self};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use std::pin::Pin;
use std::sync::Arc;
use tonic::{Response, Status, Streaming};

/// The service.
pub(super) struct LeaseService(pub(super) Arc<Context>);

type Answer<T> = Result<Response<T>, Status>;

impl Context {
    /// A lease that is not there, or whose time is over, lives 0 seconds. Only the leader knows when leases end.
    async fn keep_alive(&self, id: i64) -> Result<LeaseKeepAliveResponse, Status> {
        if let Some(leader) = self.leader_elsewhere().await? {
            let asked = tokio_stream::iter([LeaseKeepAliveRequest { id }]);
            let answers = LeaseClient::new(leader).lease_keep_alive(asked).await?;
            return answers.into_inner().message().await?.ok_or(Failure::NoLeader.into());
        }
        let ttl = self.node.keep_alive(id).unwrap_or(0);
        Ok(LeaseKeepAliveResponse { header: Some(self.header_now()), id, ttl })
    }
}

#[tonic::async_trait]
impl Lease for LeaseService {
    type LeaseKeepAliveStream =
        Pin<Box<dyn Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_grant(
        &self,
        request: tonic::Request<LeaseGrantRequest>,
    ) -> Answer<LeaseGrantResponse> {
        let LeaseGrantRequest { ttl: ttl_s, id } = request.into_inner();
        match self.0.call(Request::LeaseGrant { id, ttl_s }).await? {
            (header, Body::LeaseGrant { id, ttl_s }) => {
                Ok(Response::new(rpc::lease_grant(header, id, ttl_s)))
            }
            (_, other) => Err(unexpected(&other)),
        }
    }

    async fn lease_revoke(
        &self,
        request: tonic::Request<LeaseRevokeRequest>,
    ) -> Answer<LeaseRevokeResponse> {
        match self.0.call(Request::LeaseRevoke { id: request.into_inner().id }).await? {
            (header, Body::LeaseRevoke) => Ok(Response::new(rpc::lease_revoke(header))),
            (_, other) => Err(unexpected(&other)),
        }
    }

    /// Reads no further than its answers are read.
    async fn lease_keep_alive(
        &self,
        request: tonic::Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Answer<Self::LeaseKeepAliveStream> {
        let start = (self.0.clone(), request.into_inner());
        let answers = try_unfold(start, |(context, mut asked)| async move {
            let next = context.unless_stopped(asked.message()).await.map_err(rpc::as_go_says)?;
            let Some(LeaseKeepAliveRequest { id }) = next else { return Ok(None) };
            let answer = context.keep_alive(id).await?;
            Ok(Some((answer, (context, asked))))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn lease_time_to_live(
        &self,
        request: tonic::Request<LeaseTimeToLiveRequest>,
    ) -> Answer<LeaseTimeToLiveResponse> {
        if let Some(leader) = self.0.leader_elsewhere().await? {
            return LeaseClient::new(leader).lease_time_to_live(request.into_inner()).await;
        }
        let LeaseTimeToLiveRequest { id, keys } = request.into_inner();
        let times = self.0.node.time_to_live(id, keys);
        // Of a lease that is not there etcd says nothing but −1 seconds.
        let granted_ttl = times.status.granted_ttl_s.max(0);
        Ok(Response::new(LeaseTimeToLiveResponse {
            header: Some(self.0.header_now()),
            id,
            ttl: times.remaining_s,
            granted_ttl,
            keys: times.status.keys,
        }))
    }

    async fn lease_leases(
        &self,
        _: tonic::Request<LeaseLeasesRequest>,
    ) -> Answer<LeaseLeasesResponse> {
        match self.0.call(Request::Leases).await? {
            (header, Body::Leases(ids)) => {
                let leases = ids.into_iter().map(|id| LeaseStatus { id }).collect();
                Ok(Response::new(LeaseLeasesResponse { header: Some(header), leases }))
            }
            (_, other) => Err(unexpected(&other)),
        }
    }
}
