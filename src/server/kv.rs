//! Reading and writing keys.

use super::context::{Context, unexpected};
use super::pieces::Pieces;
use crate::model::{Body, Range, Request, RequestOp, Response, Txn, validate};
use crate::rpc;
use crate::rpc::Failure;
use crate::rpc::etcdserverpb::kv_server::Kv;
use crate::rpc::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};
use crate::store::Portion;
use std::sync::Arc;
use tonic::Status;

/// The service.
pub(super) struct KvService(pub(super) Arc<Context>);

type Answer<T> = Result<tonic::Response<T>, Status>;

impl KvService {
    /// A read that may be behind asks this node's state; everything else goes through the log or waits for it.
    async fn read(&self, request: Request, here: bool) -> Result<(ResponseHeader, Body), Status> {
        if here { self.0.ask_here(&request) } else { self.0.call(request).await }
    }

    /// Walks over keys in the state as this node has it, for a linearizable range once it has what was committed, so that the raft thread,
    /// which everybody waits for, is not busy with it.
    async fn walk(&self, range: Range) -> Answer<RangeResponse> {
        validate(&Request::Range(range.clone()))?;
        if !range.serializable {
            self.0.catch_up().await?;
        }
        match self.0.node.read_here_within(TOGETHER, &range) {
            Some(Response { revision, result }) => {
                let header = self.0.header(revision);
                in_one((header, result?))
            }
            None => self.range_in_pieces(range).await,
        }
    }

    /// Looks on a thread of its own, so that a connection's is not busy either while a million keys are found.
    async fn range_in_pieces(&self, range: Range) -> Answer<RangeResponse> {
        let turn = self.0.turn_to_look().await?;
        let context = self.0.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let _until_found = turn;
            let (revision, held) = context.node.hold(&range);
            Pieces::of(held?, context.header(revision))
        });
        let pieces = looking.await.map_err(|failed| match failed.is_panic() {
            true => Status::internal("kvbench: the keys could not be looked for"),
            false => Failure::Stopped.into(),
        })??;
        let mut answer = tonic::Response::new(RangeResponse::default());
        answer.extensions_mut().insert(Arc::new(pieces));
        Ok(answer)
    }
}

/// What a connection's thread walks over, and answers for in one piece.
const TOGETHER: Portion = Portion { keys: 128, value_bytes: 1 << 20 };

fn in_one((header, body): (ResponseHeader, Body)) -> Answer<RangeResponse> {
    match body {
        Body::Range(result) => Ok(tonic::Response::new(rpc::range(header, result))),
        other => Err(unexpected(&other)),
    }
}

/// Whether every step may be behind. A transaction without steps may not.
fn is_serializable(txn: &Txn) -> bool {
    let mut ops = txn.success.iter().chain(&txn.failure).peekable();
    let all = |op: &RequestOp| matches!(op, RequestOp::Range(Range { serializable: true, .. }));
    ops.peek().is_some() && ops.all(all)
}

#[tonic::async_trait]
impl Kv for KvService {
    async fn range(&self, request: tonic::Request<RangeRequest>) -> Answer<RangeResponse> {
        let range = Range::try_from(request.into_inner())?;
        if !range.interval.is_point() {
            return self.walk(range).await;
        }
        let here = range.serializable;
        in_one(self.read(Request::Range(range), here).await?)
    }

    async fn put(&self, request: tonic::Request<PutRequest>) -> Answer<PutResponse> {
        match self.0.call(Request::Put(request.into_inner().into())).await? {
            (header, Body::Put { prev_kv }) => Ok(tonic::Response::new(rpc::put(header, prev_kv))),
            (_, other) => Err(unexpected(&other)),
        }
    }

    async fn delete_range(
        &self,
        request: tonic::Request<DeleteRangeRequest>,
    ) -> Answer<DeleteRangeResponse> {
        match self.0.call(Request::DeleteRange(request.into_inner().into())).await? {
            (header, Body::DeleteRange { deleted, prev_kvs }) => {
                Ok(tonic::Response::new(rpc::delete_range(header, deleted, prev_kvs)))
            }
            (_, other) => Err(unexpected(&other)),
        }
    }

    async fn txn(&self, request: tonic::Request<TxnRequest>) -> Answer<TxnResponse> {
        let txn = Txn::try_from(request.into_inner())?;
        let here = is_serializable(&txn);
        match self.read(Request::Txn(txn), here).await? {
            (header, Body::Txn { succeeded, responses }) => {
                Ok(tonic::Response::new(rpc::txn(header, succeeded, responses)))
            }
            (_, other) => Err(unexpected(&other)),
        }
    }

    /// What is forgotten cannot be read any more when this answers, so `physical` asks for nothing more.
    async fn compact(
        &self,
        request: tonic::Request<CompactionRequest>,
    ) -> Answer<CompactionResponse> {
        let revision = request.into_inner().revision;
        match self.0.call(Request::Compact { revision }).await? {
            (header, Body::Compact) => Ok(tonic::Response::new(rpc::compaction(header))),
            (_, other) => Err(unexpected(&other)),
        }
    }
}
