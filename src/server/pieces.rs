//! Large ranges, sent piece by piece. gRPC's library lays a message out as a whole before the first of its bytes goes out. The answer to a
//! range may be as large as the state, so here its length is found first, and then its keys are laid out as the connection takes them: it
//! costs a pointer for each key, and one piece.

use crate::rpc::etcdserverpb::ResponseHeader;
use crate::rpc::{range_head, range_key, range_key_bytes, range_tail};
use crate::store::HeldRange;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use std::convert::Infallible;
use std::iter::{from_fn, once};
use std::sync::Arc;
use tonic::body::Body;
use tonic::codegen::http::header::{HeaderName, HeaderValue};
use tonic::codegen::http::{HeaderMap, Response};
use tonic::{Code, Status};

/// Bytes of keys that are laid out at once, or one key.
const PIECE_BYTES: usize = 64 << 10;

/// gRPC's head of a message: whether it is compressed, a byte, and its length, four.
const PREFIX_BYTES: usize = 5;

/// The answer to a range, before it is laid out.
pub(super) struct Pieces {
    head: Vec<u8>,
    held: HeldRange,
    tail: Vec<u8>,
    bytes: u32,
}

impl Pieces {
    /// Of what was found.
    ///
    /// # Errors
    /// If it is longer than a message of gRPC can be.
    pub(super) fn of(held: HeldRange, header: ResponseHeader) -> Result<Pieces, Status> {
        let head = range_head(header);
        let tail = range_tail(held.more(), held.count());
        let bytes_of = |(numbers, key, value)| range_key_bytes(numbers, key, value);
        let keys: usize = held.lengths().map(bytes_of).sum();
        let bytes = head.len() + keys + tail.len();
        match u32::try_from(bytes) {
            Ok(bytes) => Ok(Pieces { head, held, tail, bytes }),
            Err(_) => Err(Status::resource_exhausted(format!(
                "kvbench: the answer has {bytes} bytes, a message at most {}; ask with a limit, and go on behind the last key",
                u32::MAX
            ))),
        }
    }

    /// The message, cut into pieces, and that all went well. What was laid out is held no longer.
    fn frames(self) -> impl Iterator<Item = Result<Frame<Bytes>, Infallible>> {
        let Pieces { head, held, tail, bytes } = self;
        let mut next = BytesMut::with_capacity(PIECE_BYTES.min(PREFIX_BYTES + bytes as usize));
        next.put_u8(0);
        next.put_u32(bytes);
        next.put_slice(&head);
        let mut keys = held.into_key_values();
        let mut is_whole = false;
        let pieces = from_fn(move || {
            if is_whole {
                return None;
            }
            while next.len() < PIECE_BYTES && !is_whole {
                match keys.next() {
                    Some(key) => range_key(key, &mut next),
                    None => {
                        next.put_slice(&tail);
                        is_whole = true;
                    }
                }
            }
            Some(next.split().freeze())
        });
        pieces.map(Frame::data).chain(once(Frame::trailers(went_well()))).map(Ok)
    }
}

fn went_well() -> HeaderMap {
    HeaderMap::from_iter([(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from(Code::Ok as i32),
    )])
}

/// An answer that has [`Pieces`] beside an empty message, with these in its place.
pub(super) fn in_pieces(mut answer: Response<Body>) -> Response<Body> {
    let Some(pieces) = answer.extensions_mut().remove::<Arc<Pieces>>() else { return answer };
    let pieces = Arc::into_inner(pieces).expect("the answer alone had them");
    answer.map(|_| Body::new(StreamBody::new(stream::iter(pieces.frames()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::stage::Probe;
    use crate::model::{
        Body, DeleteRange, Interval, MainRevision, Position, Put, Range, Refusal, Request,
    };
    use crate::rpc;
    use crate::store::{
        self, ApplyPath, Command, Config, EngineKind, PathKind, Portion, StateSync,
    };
    use prost::Message;
    use std::path::Path;

    fn header(revision: MainRevision) -> ResponseHeader {
        ResponseHeader { cluster_id: 7, revision, ..ResponseHeader::default() }
    }

    fn pieces(store: &dyn ApplyPath, range: &Range) -> Pieces {
        let (revision, held) = store.hold(range);
        Pieces::of(held.unwrap(), header(revision)).unwrap()
    }

    /// What is sent.
    fn sent(pieces: Pieces) -> Vec<Bytes> {
        let mut frames: Vec<_> = pieces.frames().map(Result::unwrap).collect();
        let trailers = frames.pop().unwrap().into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        frames.into_iter().map(|frame| frame.into_data().unwrap()).collect()
    }

    /// What a message laid out as a whole is.
    fn whole(store: &dyn ApplyPath, range: Range) -> Vec<u8> {
        let response = store.read(&Request::Range(range)).response;
        let Ok(Body::Range(found)) = response.result else { panic!("a range finds a range") };
        let message = rpc::range(header(response.revision), found).encode_to_vec();
        [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat()
    }

    fn all() -> Range {
        Range { interval: Interval::everything(), ..Range::default() }
    }

    /// Puts of the same 400 keys, whose values are as long as lengths on the wire change at, and longer than a piece.
    fn put_all(store: &dyn ApplyPath, byte: u8) {
        let lengths = [0, 1, 127, 128, 300, 16_383, 16_384, 70_000].into_iter().cycle();
        let puts = lengths.take(400).enumerate().map(|(place, bytes)| {
            let key = format!("k{place:04}").into();
            Request::Put(Put { key, value: vec![byte; bytes], ..Put::default() })
        });
        apply(store, puts);
    }

    fn apply(store: &dyn ApplyPath, requests: impl Iterator<Item = Request>) {
        let command = |request| Command { position: Position::default(), request };
        store.apply(&mut requests.map(command).collect(), &mut Vec::new());
    }

    fn stores(folder: &Path) -> Vec<Arc<dyn ApplyPath>> {
        let mut engines = vec![EngineKind::Memory];
        if cfg!(feature = "rocksdb") {
            engines.push(EngineKind::RocksDb { state_sync: StateSync::RaftLogOnly });
        }
        let paths = [PathKind::GlobalMutex, PathKind::Sharded { shards: 8, workers: 1 }];
        let both = |engine| paths.map(|path| Config { engine, ..Config::in_memory(path) });
        let open = |(place, config): (usize, Config)| {
            let folder = folder.join(place.to_string());
            std::fs::create_dir(&folder).unwrap();
            store::open(config, &folder, Probe::off()).unwrap()
        };
        engines.into_iter().flat_map(both).enumerate().map(open).collect()
    }

    #[test]
    fn pieces_are_the_message_and_none_is_large() {
        let folder = tempfile::tempdir().unwrap();
        for store in stores(folder.path()) {
            put_all(&*store, b'v');
            for range in [
                all(),
                Range { keys_only: true, ..all() },
                Range { limit: 130, ..all() },
                Range { revision: 200, ..all() },
                Range { interval: Interval::prefix("none"), ..Range::default() },
            ] {
                let sent = sent(pieces(&*store, &range));
                let whole = whole(&*store, range);
                let largest = PIECE_BYTES + 80_000;
                assert!(sent.iter().all(|piece| (1..largest).contains(&piece.len())));
                assert_eq!(sent.len() > 1, whole.len() > largest);
                assert!(sent.concat() == whole, "{} bytes", whole.len());
            }
        }
    }

    #[test]
    fn what_is_held_stays_whatever_is_overwritten_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        for store in stores(folder.path()) {
            put_all(&*store, b'v');
            let before = whole(&*store, all());
            let held = pieces(&*store, &all());
            put_all(&*store, b'w');
            apply(&*store, std::iter::once(Request::Compact { revision: store.published() }));
            store.defragment();
            assert!(whole(&*store, all()) != before);
            assert!(sent(held).concat() == before);
        }
    }

    #[test]
    fn what_cannot_be_found_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for store in stores(folder.path()) {
            put_all(&*store, b'v');
            apply(&*store, std::iter::once(Request::Compact { revision: 300 }));
            let refusal = |revision| store.hold(&Range { revision, ..all() }).1.err();
            assert_eq!(refusal(299), Some(Refusal::Compacted));
            assert_eq!(refusal(402), Some(Refusal::FutureRevision));
            assert_eq!(refusal(401), None);
        }
    }

    #[test]
    fn a_portion_ends_at_the_key_that_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        for store in stores(folder.path()) {
            put_all(&*store, b'v');
            // What is 50 times in 400 keys.
            let value_bytes = 50 * (1 + 127 + 128 + 300 + 16_383 + 16_384 + 70_000);
            let whole = Portion { keys: 400, value_bytes };
            let [fewer, shorter] =
                [Portion { keys: 399, ..whole }, Portion { value_bytes: value_bytes - 1, ..whole }];
            let answer = |range| Some(store.read(&Request::Range(range)).response);
            assert_eq!(store.read_within(whole, &all()), answer(all()));
            assert_eq!(store.read_within(fewer, &all()), None);
            assert_eq!(store.read_within(shorter, &all()), None);
            for of_keys in [
                Range { count_only: true, ..all() },
                Range { keys_only: true, ..all() },
                Range { limit: 1, ..all() },
            ] {
                assert_eq!(store.read_within(shorter, &of_keys), answer(of_keys.clone()));
                assert_eq!(store.read_within(fewer, &of_keys), None);
            }
            // Keys that came later or are gone are walked over all the same.
            let early = Range { revision: 2, ..all() };
            assert_eq!(store.read_within(whole, &early), answer(early.clone()));
            assert_eq!(store.read_within(fewer, &early), None);
            let delete = DeleteRange { interval: Interval::everything(), prev_kv: false };
            apply(&*store, std::iter::once(Request::DeleteRange(delete)));
            assert_eq!(store.read_within(whole, &all()), answer(all()));
            assert_eq!(store.read_within(fewer, &all()), None);

            apply(&*store, std::iter::once(Request::Compact { revision: 300 }));
            for (revision, refusal) in [(299, Refusal::Compacted), (403, Refusal::FutureRevision)] {
                let refused = store.read_within(fewer, &Range { revision, ..all() }).unwrap();
                assert_eq!(refused.result, Err(refusal));
            }
        }
    }
}
