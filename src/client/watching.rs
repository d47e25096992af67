//! Watches, of everything many on one stream, of some keys one.

use super::connection::{check, next_chunk};
use super::grpc::{Frames, frame};
use super::{ClientError, Connection};
use crate::model::{Event, Interval, MainRevision};
use crate::rpc::etcdserverpb::watch_request::RequestUnion;
use crate::rpc::etcdserverpb::{
    WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};
use crate::rpc::event_from;
use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream};

/// A stream of watches.
pub struct Watching {
    requests: SendStream<Bytes>,
    answers: RecvStream,
    frames: Frames,
}

/// What a stream of watches is told.
#[derive(Debug, PartialEq)]
pub enum WatchNews {
    /// A watch is there.
    Created {
        /// Its number.
        watch: i64,
    },
    /// Changes, in the order of their revisions, whole revisions only.
    Events {
        /// For which watch.
        watch: i64,
        /// The changes; an event's place in its revision counts up from 0 in each answer.
        events: Vec<Event>,
    },
    /// The stream has come to this revision, as the server says.
    Progress {
        /// The revision.
        revision: MainRevision,
    },
    /// A watch ended.
    Ended {
        /// Which.
        watch: i64,
        /// Revision of the compaction that took what it wanted; 0 if it was something else.
        compact_revision: MainRevision,
    },
}

impl Connection {
    /// Opens a stream with `watches` watches of every key, from `start` on.
    pub async fn watch_all(
        &self,
        watches: u32,
        start: MainRevision,
    ) -> Result<Watching, ClientError> {
        self.watching((0..watches).map(|_| create(start))).await
    }

    /// Opens a stream with one watch of `interval`, from `start` on; with `prev_kv`, changes tell what was there before.
    pub async fn watch(
        &self,
        interval: Interval,
        start: MainRevision,
        prev_kv: bool,
    ) -> Result<Watching, ClientError> {
        let Interval { key, range_end } = interval;
        let some = WatchCreateRequest {
            key,
            range_end,
            start_revision: start,
            prev_kv,
            ..Default::default()
        };
        self.watching(std::iter::once(asked(RequestUnion::CreateRequest(some)))).await
    }

    async fn watching(
        &self,
        first: impl Iterator<Item = WatchRequest>,
    ) -> Result<Watching, ClientError> {
        let (mut requests, answer) = self.open_stream("/etcdserverpb.Watch/Watch").await?;
        // Together: each frame of HTTP/2 costs a server memory besides its bytes, and h2 hangs up on whoever sends thousands
        // of small ones ("too_many_data_frames").
        let first: BytesMut = first.flat_map(|request| frame(&request)).collect();
        requests.send_data(first.freeze(), false)?;
        let (head, answers) = answer.await?.into_parts();
        check(&head.headers)?;
        Ok(Watching { requests, answers, frames: Frames::default() })
    }
}

impl Watching {
    /// Watches once more, from `start` on.
    pub fn again(&mut self, start: MainRevision) -> Result<(), ClientError> {
        Ok(self.requests.send_data(frame(&create(start)), false)?)
    }

    /// Asks up to which revision everything was told; [`WatchNews::Progress`] answers.
    pub fn ask_progress(&mut self) -> Result<(), ClientError> {
        let progress = asked(RequestUnion::ProgressRequest(WatchProgressRequest {}));
        Ok(self.requests.send_data(frame(&progress), false)?)
    }

    /// What comes next; waits for it. Nothing is lost if that is given up.
    pub async fn next(&mut self) -> Result<WatchNews, ClientError> {
        loop {
            if let Some(answer) = self.frames.next::<WatchResponse>()? {
                return news(answer);
            }
            match next_chunk(&mut self.answers).await? {
                Some(chunk) => self.frames.add(&chunk),
                None => {
                    check(&self.answers.trailers().await?.unwrap_or_default())?;
                    return Err(ClientError::Cut);
                }
            }
        }
    }
}

fn create(start: MainRevision) -> WatchRequest {
    let everything = WatchCreateRequest {
        key: vec![0],
        range_end: vec![0],
        start_revision: start,
        ..WatchCreateRequest::default()
    };
    asked(RequestUnion::CreateRequest(everything))
}

fn asked(what: RequestUnion) -> WatchRequest {
    WatchRequest { request_union: Some(what) }
}

fn news(answer: WatchResponse) -> Result<WatchNews, ClientError> {
    let watch = answer.watch_id;
    if answer.canceled {
        return Ok(WatchNews::Ended { watch, compact_revision: answer.compact_revision });
    }
    if answer.created {
        return Ok(WatchNews::Created { watch });
    }
    if answer.events.is_empty() {
        return Ok(WatchNews::Progress { revision: answer.header.unwrap_or_default().revision });
    }
    let (mut revision, mut sub) = (0, 0);
    let events = answer.events.into_iter().map(|event| {
        let event = event_from(event, 0)?;
        sub = if event.kv.mod_revision == revision { sub + 1 } else { 0 };
        revision = event.kv.mod_revision;
        Ok(Event { sub, ..event })
    });
    Ok(WatchNews::Events { watch, events: events.collect::<Result<_, ClientError>>()? })
}
