//! Standing in line, which locks and elections share (as etcd's concurrency package): each who waits puts a key under a
//! common prefix, named after its lease; the oldest has its turn, everybody else waits for the one before to go.

use super::context::{Context, unexpected};
use crate::model::{
    Body, Compare, CompareResult, DeleteRange, EventKind, Interval, KeyValue, LeaseId,
    MainRevision, Operand, Put, Range, RangeResult, Request, RequestOp, SortOrder, SortTarget, Txn,
};
use crate::node::Node;
use crate::rpc::Failure;
use crate::rpc::etcdserverpb::ResponseHeader;
use crate::store::{SharedEvent, WatchResponse, WatchSpec, Watcher, watch};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{self, Waker};
use std::thread::panicking;
use tokio::runtime::Handle;
use tonic::Status;

/// A place in a line. Whoever made it gives it up when it is dropped before its turn, as when the client goes away. Who found it does not:
/// another call of the same lease stands there, or holds what the line is for.
pub(super) struct Place {
    context: Arc<Context>,
    prefix: Vec<u8>,
    /// The key that stands for it.
    pub(super) key: Vec<u8>,
    /// The revision that created the key.
    pub(super) created: MainRevision,
    /// What the key held, if it was there already.
    pub(super) found: Option<KeyValue>,
    is_kept: bool,
}

/// Where those stand who wait for `name`.
pub(super) fn prefix(name: &[u8]) -> Vec<u8> {
    [name, b"/"].concat()
}

impl Place {
    /// Gets in line for `name`, or finds the place that `lease` has there already.
    pub(super) async fn take(
        context: &Arc<Context>,
        name: &[u8],
        lease: LeaseId,
        value: Vec<u8>,
    ) -> Result<(ResponseHeader, Place), Status> {
        let prefix = prefix(name);
        let key = [&prefix[..], format!("{lease:x}").as_bytes()].concat();
        let put = Put { key: key.clone(), value, lease, ..Put::default() };
        let (header, succeeded, found) =
            if_created_at(context, &key, 0, RequestOp::Put(put)).await?;
        let created = match &found {
            Some(found) if !succeeded => found.create_revision,
            _ => header.revision,
        };
        let context = context.clone();
        Ok((header, Place { context, prefix, key, created, found, is_kept: false }))
    }

    /// Waits until everybody who came before is gone. The place stays taken from then on. Its lease may have ended in the
    /// meantime, and the place with it.
    pub(super) async fn wait_turn(mut self) -> Result<(ResponseHeader, Place), Status> {
        loop {
            let before = Range {
                sort_order: SortOrder::Descend,
                max_create_revision: self.created - 1,
                ..oldest(&self.prefix)
            };
            let (header, mut result) = look(&self.context, before).await?;
            match result.kvs.pop() {
                Some(before) => gone(&self.context, before.key, header.revision).await,
                None => break,
            }
        }
        let own = Range { interval: Interval::point(&*self.key), ..Range::default() };
        let (header, result) = ranged(self.context.call(Request::Range(own)).await?)?;
        self.is_kept = true;
        match result.kvs.first().is_some_and(|kv| kv.create_revision == self.created) {
            true => Ok((header, self)),
            false => Err(Failure::SessionExpired.into()),
        }
    }
}

impl Drop for Place {
    /// The deletion is proposed before this returns, so that whoever asks again finds the place gone, and goes on by itself. If it fails, the
    /// lease ends the place.
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.is_kept && self.found.is_none() {
            let (context, created) = (self.context.clone(), self.created);
            let key = std::mem::take(&mut self.key);
            let mut left = Box::pin(async move { leave(&context, &key, created).await });
            let mut propose = || left.as_mut().poll(&mut task::Context::from_waker(Waker::noop()));
            // A second panic would end the process.
            if panicking() || propose().is_pending() {
                runtime.spawn(left);
            }
        }
    }
}

/// Who stands first under `prefix`.
pub(super) fn oldest(prefix: &[u8]) -> Range {
    Range {
        interval: Interval::prefix(prefix),
        sort_order: SortOrder::Ascend,
        sort_target: SortTarget::Create,
        limit: 1,
        ..Range::default()
    }
}

/// Asks for keys, linearizably. Every key that is there is looked at, so that as many look at as many: not on the raft thread.
pub(super) async fn look(
    context: &Arc<Context>,
    range: Range,
) -> Result<(ResponseHeader, RangeResult), Status> {
    match context.look(&range).await? {
        Some(found) => ranged(found),
        None => {
            // However long that takes: who stands in line waits.
            let turn = context.turn_to_look().await?;
            let look = move |context: &Context| context.ask_here(&Request::Range(range));
            ranged(context.look_aside(turn, look).await?)
        }
    }
}

fn ranged((header, body): (ResponseHeader, Body)) -> Result<(ResponseHeader, RangeResult), Status> {
    match body {
        Body::Range(result) => Ok((header, result)),
        other => Err(unexpected(&other)),
    }
}

/// Does `op` if `key` was created at `revision`, 0 for "is not there"; else gives what is there.
pub(super) async fn if_created_at(
    context: &Context,
    key: &[u8],
    revision: MainRevision,
    op: RequestOp,
) -> Result<(ResponseHeader, bool, Option<KeyValue>), Status> {
    let interval = Interval::point(key);
    let look = Range { interval: interval.clone(), ..Range::default() };
    let operand = Operand::Create(revision);
    let txn = Txn {
        compares: vec![Compare { interval, result: CompareResult::Equal, operand }],
        success: vec![op],
        failure: vec![RequestOp::Range(look)],
    };
    match context.call(Request::Txn(txn)).await? {
        (header, Body::Txn { succeeded, mut responses }) => {
            let found = match responses.pop().map(|step| step.body) {
                Some(Body::Range(mut result)) => result.kvs.pop(),
                _ => None,
            };
            Ok((header, succeeded, found))
        }
        (_, other) => Err(unexpected(&other)),
    }
}

/// Deletes `key` if it is still the one that was created at `revision`.
pub(super) async fn leave(
    context: &Context,
    key: &[u8],
    revision: MainRevision,
) -> Result<ResponseHeader, Status> {
    let delete =
        RequestOp::DeleteRange(DeleteRange { interval: Interval::point(key), prev_kv: false });
    let (header, ..) = if_created_at(context, key, revision, delete).await?;
    Ok(header)
}

/// Waits until `key`, which was there at `revision`, is deleted. May end early: whoever waits looks again.
async fn gone(context: &Context, key: Vec<u8>, revision: MainRevision) {
    let mut changes = Changes::of(&context.node, Interval::point(key), revision + 1);
    while changes.next().await.is_some_and(|event| event.kind != EventKind::Delete) {}
}

/// The changes of some keys, one by one.
pub(super) struct Changes {
    watcher: Watcher,
    waiting: VecDeque<Arc<SharedEvent>>,
}

impl Changes {
    /// Those from revision `from` on.
    pub(super) fn of(node: &Node, interval: Interval, from: MainRevision) -> Changes {
        let spec = WatchSpec { interval, start_revision: from, ..WatchSpec::default() };
        Changes { watcher: watch(&node.store(), spec), waiting: VecDeque::new() }
    }

    /// The next one; none if a compaction took it.
    pub(super) async fn next(&mut self) -> Option<Arc<SharedEvent>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            match poll_fn(|cx| self.watcher.poll_next(cx)).await {
                WatchResponse::Events { events, .. } => self.waiting.extend(events),
                WatchResponse::Progress { .. } => {}
                WatchResponse::Cancelled { .. } => return None,
            }
        }
    }
}
