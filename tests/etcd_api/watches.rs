//! Watches over the wire.

use crate::served::{Client, served, sleep};
use kvbench::model::{Event, EventKind};
use kvbench::rpc::etcdserverpb::watch_create_request::FilterType;
use kvbench::rpc::etcdserverpb::watch_request::RequestUnion;
use kvbench::rpc::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, WatchCancelRequest, WatchCreateRequest,
    WatchProgressRequest, WatchRequest, WatchResponse,
};
use kvbench::rpc::event_from;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// A stream of watches.
struct Stream {
    ask: mpsc::Sender<WatchRequest>,
    told: Streaming<WatchResponse>,
}

impl Stream {
    async fn open(client: &Client) -> Stream {
        let (ask, asked) = mpsc::channel(16);
        let told = client.watch.clone().watch(ReceiverStream::new(asked)).await.unwrap();
        Stream { ask, told: told.into_inner() }
    }

    async fn ask(&self, request: RequestUnion) {
        self.ask.send(WatchRequest { request_union: Some(request) }).await.unwrap();
    }

    /// Creates a watch and gives the first response.
    async fn create(&mut self, create: WatchCreateRequest) -> WatchResponse {
        self.ask(RequestUnion::CreateRequest(create)).await;
        let created = self.next().await;
        assert!(created.created, "{created:?}");
        created
    }

    async fn next(&mut self) -> WatchResponse {
        self.told.message().await.unwrap().unwrap()
    }
}

fn all() -> WatchCreateRequest {
    WatchCreateRequest { key: vec![0], range_end: vec![0], ..WatchCreateRequest::default() }
}

fn keys(response: &WatchResponse) -> Vec<String> {
    events(response).into_iter().map(|event| String::from_utf8(event.kv.key).unwrap()).collect()
}

fn events(response: &WatchResponse) -> Vec<Event> {
    response.events.iter().map(|event| event_from(event.clone(), 0).unwrap()).collect()
}

#[test]
fn the_past_and_the_present_are_told_in_order() {
    served(|client| async move {
        client.put("a", "1").await;
        client.put("b", "2").await;
        let mut stream = Stream::open(&client).await;
        let past = WatchCreateRequest { start_revision: 3, prev_kv: true, ..all() };
        let created = stream.create(past).await;
        assert_eq!((created.watch_id, created.header.unwrap().revision), (0, 3));
        assert_eq!(keys(&stream.next().await), ["b"]);
        client.put("b", "3").await;
        let put = stream.next().await;
        assert_eq!(put.header.as_ref().unwrap().revision, 4);
        assert_eq!(events(&put)[0].prev_kv.as_ref().unwrap().value, b"2");
        let delete = DeleteRangeRequest { key: vec![0], range_end: vec![0], prev_kv: false };
        client.kv.clone().delete_range(delete).await.unwrap();
        let deleted = stream.next().await;
        assert_eq!(keys(&deleted), ["a", "b"]);
        assert!(events(&deleted).iter().all(|event| event.kind == EventKind::Delete));
    });
}

#[test]
fn many_watches_share_a_stream_and_each_can_be_cancelled() {
    served(|client| async move {
        let mut stream = Stream::open(&client).await;
        let point = |key: &str, watch_id| WatchCreateRequest {
            key: key.into(),
            watch_id,
            ..WatchCreateRequest::default()
        };
        assert_eq!(stream.create(point("a", 7)).await.watch_id, 7);
        assert_eq!(stream.create(point("b", 0)).await.watch_id, 0);
        assert_eq!(stream.create(point("b", 0)).await.watch_id, 1);
        let twice = stream.create(point("a", 7)).await;
        assert_eq!((twice.watch_id, twice.canceled), (-1, true));
        assert_eq!(twice.cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
        let backwards = WatchCreateRequest { range_end: b"A".into(), ..point("a", 0) };
        let empty = stream.create(backwards).await;
        assert_eq!(
            (empty.canceled, empty.cancel_reason.as_str()),
            (true, "mvcc: watcher range is empty")
        );
        client.put("a", "1").await;
        assert_eq!(stream.next().await.watch_id, 7);
        let cancel = RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 7 });
        stream.ask(cancel).await;
        let cancelled = stream.next().await;
        assert_eq!((cancelled.watch_id, cancelled.canceled), (7, true));
        client.put("a", "2").await;
        client.put("b", "3").await;
        let mut told = [stream.next().await, stream.next().await].map(|told| told.watch_id);
        told.sort_unstable();
        assert_eq!(told, [0, 1]);
    });
}

#[test]
fn a_watch_from_what_is_compacted_is_created_and_cancelled() {
    served(|client| async move {
        for _ in 0..4 {
            client.put("k", "v").await;
        }
        let compact = CompactionRequest { revision: 4, physical: false };
        client.kv.clone().compact(compact).await.unwrap();
        let mut stream = Stream::open(&client).await;
        let created = stream.create(WatchCreateRequest { start_revision: 2, ..all() }).await;
        assert!(!created.canceled);
        let cancelled = stream.next().await;
        assert_eq!((cancelled.canceled, cancelled.compact_revision), (true, 4));
        stream.create(WatchCreateRequest { start_revision: 4, ..all() }).await;
        assert_eq!(events(&stream.next().await)[0].kv.mod_revision, 4);
    });
}

#[test]
fn progress_is_told_when_asked_for_and_when_it_is_quiet() {
    served(|client| async move {
        let mut stream = Stream::open(&client).await;
        let ask = || RequestUnion::ProgressRequest(WatchProgressRequest {});
        stream.ask(ask()).await;
        assert_eq!(stream.next().await.watch_id, -1);
        stream.create(WatchCreateRequest { start_revision: 2, ..all() }).await;
        client.put("k", "v").await;
        assert_eq!(stream.next().await.events.len(), 1);
        stream.ask(ask()).await;
        let progress = stream.next().await;
        assert_eq!((progress.watch_id, progress.events.len()), (-1, 0));
        assert_eq!(progress.header.unwrap().revision, 2);
        let created = stream.create(WatchCreateRequest { progress_notify: true, ..all() }).await;
        let quiet = stream.next().await;
        assert_eq!((quiet.watch_id, quiet.events.len()), (created.watch_id, 0));
    });
}

#[test]
fn filters_leave_out_and_fragments_split() {
    served(|client| async move {
        let mut stream = Stream::open(&client).await;
        let deletions = vec![FilterType::Noput.into()];
        stream.create(WatchCreateRequest { filters: deletions, ..all() }).await;
        client.put("k", "v").await;
        let delete = DeleteRangeRequest { key: b"k".into(), ..DeleteRangeRequest::default() };
        client.kv.clone().delete_range(delete).await.unwrap();
        assert_eq!(events(&stream.next().await)[0].kind, EventKind::Delete);
        let large = "x".repeat(1_000_000);
        for key in ["a", "b", "c"] {
            client.put(key, &large).await;
        }
        let mut stream = Stream::open(&client).await;
        stream.create(WatchCreateRequest { fragment: true, prev_kv: true, ..all() }).await;
        let delete = DeleteRangeRequest { key: vec![0], range_end: vec![0], prev_kv: false };
        client.kv.clone().delete_range(delete).await.unwrap();
        let told = [stream.next().await, stream.next().await, stream.next().await];
        assert_eq!(told.each_ref().map(|part| part.fragment), [true, true, false]);
        assert_eq!(told.each_ref().map(keys).concat(), ["a", "b", "c"]);
    });
}

#[test]
fn a_client_that_reads_late_loses_nothing() {
    served(|client| async move {
        let mut stream = Stream::open(&client).await;
        stream.create(all()).await;
        let value = "x".repeat(20_000);
        for n in 0..2_000 {
            client.put(&format!("{n}"), &value).await;
        }
        sleep(100).await;
        let mut told = Vec::new();
        while told.len() < 2_000 {
            told.extend(keys(&stream.next().await));
        }
        let expected: Vec<_> = (0..2_000).map(|n| n.to_string()).collect();
        assert_eq!(told, expected);
    });
}
