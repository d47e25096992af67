//! Reading and writing keys.

use super::context::{Context, unexpected};
use super::pieces::Pieces;
use crate::model::{Body, Range, Request, RequestOp, Txn};
use crate::rpc;
use crate::rpc::etcdserverpb::kv_server::Kv;
use crate::rpc::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};
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

    /// A range of few keys is answered in one piece, a longer one in as many as it takes.
    async fn walk(&self, range: Range) -> Answer<RangeResponse> {
        if let Some(found) = self.0.look(&range).await? {
            return in_one(found);
        }
        let look = move |context: &Context| {
            let (revision, held) = context.node.hold(&range);
            Pieces::of(held?, context.header(revision))
        };
        let turn = self.0.turn_in_time().await?;
        let pieces = self.0.look_aside(turn, look).await?;
        let mut answer = tonic::Response::new(RangeResponse::default());
        answer.extensions_mut().insert(Arc::new(pieces));
        Ok(answer)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::measure::stage::Probe;
    use crate::node::{self, Compaction, Node};
    use crate::peer::{Hearsay, Security};
    use crate::raft::{self, ApplyOn, Fsync, Propose, Publish, Reads};
    use crate::server::{Config, Identity, PROGRESS_INTERVAL, Quota};
    use crate::store::{self, PathKind};
    use std::path::Path;
    use tokio::sync::watch;

    fn service(path: PathKind, folder: &Path) -> KvService {
        let pipeline = raft::Config {
            propose: Propose::Pipelined,
            apply_on: ApplyOn::RaftThread,
            publish: Publish::Ready,
            fsync: Fsync::Off,
            reads: Reads::Index,
        };
        let store = store::Config::in_memory(path);
        let config = node::Config { store, compaction: Compaction::NEVER, pipeline };
        let node = Node::start(config, folder, Clock::start(), Probe::off()).unwrap();
        let config = Config {
            clients: Vec::new(),
            metrics: Vec::new(),
            profiles: false,
            identity: Identity::alone("n1", Vec::new(), Vec::new()),
            tls: None,
            peers: Vec::new(),
            peer_tls: None,
            peer_security: Security::default(),
            hearsay: Hearsay::default(),
            progress_interval: PROGRESS_INTERVAL,
            connections_max: 1,
            quota: Quota::NONE,
        };
        // Without its sender the server counts as ended, which no range asks about.
        let (_, stopping) = watch::channel(false);
        KvService(Arc::new(Context::new(Arc::new(node), &config, stopping)))
    }

    impl KvService {
        async fn put_keys(&self, prefix: &str, keys: usize, value_bytes: usize) {
            for number in 0..keys {
                let key = format!("{prefix}/{number:04}").into();
                let value = vec![b'v'; value_bytes];
                let put = PutRequest { key, value, ..PutRequest::default() };
                self.put(tonic::Request::new(put)).await.unwrap();
            }
        }

        /// Whether all that begins with `prefix` and a slash, as `asked` changes the question, is answered in pieces.
        async fn is_in_pieces(&self, prefix: &str, asked: impl FnOnce(&mut RangeRequest)) -> bool {
            let (key, range_end) = (format!("{prefix}/"), format!("{prefix}0"));
            let (key, range_end) = (key.into_bytes(), range_end.into_bytes());
            let mut request = RangeRequest { key, range_end, ..RangeRequest::default() };
            asked(&mut request);
            let answer = self.range(tonic::Request::new(request)).await.unwrap();
            answer.extensions().get::<Arc<Pieces>>().is_some()
        }
    }

    #[tokio::test]
    async fn little_is_answered_in_one_piece_and_much_in_several() {
        for path in [PathKind::GlobalMutex, PathKind::Sharded { shards: 4, workers: 1 }] {
            let folder = tempfile::tempdir().unwrap();
            let service = service(path, folder.path());
            let as_it_is = |_: &mut RangeRequest| {};
            assert!(!service.is_in_pieces("nothing", as_it_is).await);
            service.put_keys("few", 128, 1).await;
            assert!(!service.is_in_pieces("few", as_it_is).await);
            service.put_keys("many", 129, 1).await;
            assert!(service.is_in_pieces("many", as_it_is).await);
            assert!(service.is_in_pieces("many", |request| request.serializable = true).await);
            assert!(service.is_in_pieces("many", |request| request.limit = 1).await);
            assert!(service.is_in_pieces("many", |request| request.count_only = true).await);
            service.put_keys("long", 2, 600 << 10).await;
            assert!(service.is_in_pieces("long", as_it_is).await);
            assert!(!service.is_in_pieces("long", |request| request.keys_only = true).await);
        }
    }
}
