//! Elections for clients that cannot watch: whoever stands first in line leads, and its value is what it proclaims.

use super::context::Context;
use super::queue::{Changes, Place, if_created_at, leave, look, oldest, prefix};
use crate::model::{EventKind, Interval, KeyValue, LeaseId, Put, RequestOp};
use crate::rpc::Failure;
use crate::rpc::etcdserverpb::ResponseHeader;
use crate::rpc::v3electionpb::election_server::Election;
use crate::rpc::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest,
    ProclaimResponse, ResignRequest, ResignResponse,
};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Leaders that wait for an observer; then the watch behind them waits too.
const OBSERVED_MAX: usize = 16;

/// The service.
pub(super) struct ElectionService(pub(super) Arc<Context>);

type Answer<T> = Result<Response<T>, Status>;
type Told = mpsc::Sender<Result<LeaderResponse, Status>>;

impl ElectionService {
    async fn stand(&self, request: CampaignRequest) -> Result<CampaignResponse, Status> {
        let CampaignRequest { name, lease, value } = request;
        let lease = self.0.session(lease).await?;
        let (header, place) = Place::take(&self.0, &name, lease, value.clone()).await?;
        if place.found.as_ref().is_some_and(|found| found.value != value) {
            self.proclaim_as(&place.key, place.created, lease, value).await?;
        }
        let (_, place) = place.wait_turn().await?;
        let leader = LeaderKey { name, key: place.key.clone(), rev: place.created, lease };
        Ok(CampaignResponse { header: Some(header), leader: Some(leader) })
    }

    async fn proclaim_as(
        &self,
        key: &[u8],
        created: i64,
        lease: LeaseId,
        value: Vec<u8>,
    ) -> Result<ResponseHeader, Status> {
        let put = Put { key: key.to_vec(), value, lease, ..Put::default() };
        match if_created_at(&self.0, key, created, RequestOp::Put(put)).await? {
            (header, true, _) => Ok(header),
            (_, false, _) => Err(Failure::NotElected.into()),
        }
    }
}

#[tonic::async_trait]
impl Election for ElectionService {
    type ObserveStream = ReceiverStream<Result<LeaderResponse, Status>>;

    /// A client that goes away before it is elected is no candidate any more.
    async fn campaign(&self, request: Request<CampaignRequest>) -> Answer<CampaignResponse> {
        self.0.unless_stopped(self.stand(request.into_inner())).await.map(Response::new)
    }

    async fn proclaim(&self, request: Request<ProclaimRequest>) -> Answer<ProclaimResponse> {
        let ProclaimRequest { leader, value } = request.into_inner();
        let leader = leader.ok_or(Failure::MissingLeaderKey)?;
        let header = self.proclaim_as(&leader.key, leader.rev, leader.lease, value).await?;
        Ok(Response::new(ProclaimResponse { header: Some(header) }))
    }

    async fn leader(&self, request: Request<LeaderRequest>) -> Answer<LeaderResponse> {
        let (header, mut result) =
            look(&self.0, oldest(&prefix(&request.into_inner().name))).await?;
        let leader = result.kvs.pop().ok_or(Failure::NobodyElected)?;
        Ok(Response::new(told(header, leader)))
    }

    async fn observe(&self, request: Request<LeaderRequest>) -> Answer<Self::ObserveStream> {
        let (tell, told) = mpsc::channel(OBSERVED_MAX);
        let (context, prefix) = (self.0.clone(), prefix(&request.into_inner().name));
        tokio::spawn(async move {
            let observed = tokio::select! {
                observed = context.unless_stopped(observe(&context, &prefix, &tell)) => observed,
                () = tell.closed() => return,
            };
            if let Err(status) = observed {
                // Whoever observed may be gone as well.
                let _ = tell.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(told)))
    }

    async fn resign(&self, request: Request<ResignRequest>) -> Answer<ResignResponse> {
        let leader = request.into_inner().leader.ok_or(Failure::MissingLeaderKey)?;
        let header = leave(&self.0, &leader.key, leader.rev).await?;
        Ok(Response::new(ResignResponse { header: Some(header) }))
    }
}

fn told(header: ResponseHeader, leader: KeyValue) -> LeaderResponse {
    LeaderResponse { header: Some(header), kv: Some(leader.into()) }
}

/// Tells every leader, and everything it proclaims, until the observer goes away.
async fn observe(context: &Arc<Context>, prefix: &[u8], tell: &Told) -> Result<(), Status> {
    loop {
        let (header, mut result) = look(context, oldest(prefix)).await?;
        let mut told_at = header.revision;
        let leader = match result.kvs.pop() {
            Some(leader) => Some(leader),
            None => first_put(context, prefix, header.revision + 1).await,
        };
        let Some(leader) = leader else { continue };
        told_at = told_at.max(leader.mod_revision);
        let key = leader.key.clone();
        if tell.send(Ok(told(context.header(told_at), leader))).await.is_err() {
            return Ok(());
        }
        let mut changes = Changes::of(&context.node, Interval::point(key), told_at + 1);
        while let Some(event) = changes.next().await {
            if event.kind == EventKind::Delete {
                break;
            }
            let header = context.header(event.kv.mod_revision);
            if tell.send(Ok(told(header, event.kv.clone()))).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// The first who stands for election from revision `from` on; none if a compaction took it.
async fn first_put(context: &Context, prefix: &[u8], from: i64) -> Option<KeyValue> {
    let mut changes = Changes::of(&context.node, Interval::prefix(prefix), from);
    loop {
        let event = changes.next().await?;
        if event.kind == EventKind::Put {
            return Some(event.kv.clone());
        }
    }
}
