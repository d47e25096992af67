//! Images of the state, from a disk or from another member.

use crate::driver::{Answer, Plan, fuzz};
use kvbench::measure::stage::Probe;
use kvbench::model::{Interval, Position, Put, Range, Request};
use kvbench::store::{
    self, ApplyPath, Command, Config, ImageError, PathKind, check_image, position_of_image,
};
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// Bytes of the hash that ends an image.
const HASH: usize = 16;
/// Where the length of the first version's value stands, behind magic, revisions, position, no leases, no alarms, and the key's length.
const VALUE_LENGTH: usize = 16 + 3 * 8 + 4 + 8 + 8 + 4;
/// The first byte of an input says whether its hash is made to fit.
const FITTING: u8 = 1;

fn store(path: PathKind) -> Arc<dyn ApplyPath> {
    store::open(Config::in_memory(path), Path::new("unused"), Probe::off()).unwrap()
}

fn apply(store: &dyn ApplyPath, from: u64, requests: &[Request]) {
    let at = |index| Position { index, offset: 0 };
    let commands = requests.iter().zip(from..);
    let commands =
        commands.map(|(request, index)| Command { position: at(index), request: request.clone() });
    store.apply(&mut commands.collect(), &mut Vec::new());
}

fn image_of(store: &dyn ApplyPath) -> Vec<u8> {
    let mut image = Vec::new();
    store.write_image(&mut image, &mut || ()).unwrap();
    image
}

fn samples() -> Vec<Vec<u8>> {
    let put = |key: &str, lease| {
        Request::Put(Put { key: key.into(), value: b"value".to_vec(), lease, ..Put::default() })
    };
    let grant = |id| Request::LeaseGrant { id, ttl_s: 60 };
    let logs = [
        vec![],
        vec![put("a", 0), put("b", 0), put("a", 0), Request::delete("b")],
        vec![
            grant(7),
            grant(9),
            put("a", 7),
            put("b", 9),
            put("c", 0),
            Request::LeaseRevoke { id: 9 },
            put("b", 7),
            Request::Compact { revision: 3 },
        ],
    ];
    let written = logs.iter().map(|log| {
        let store = store(PathKind::GlobalMutex);
        apply(&*store, 1, log);
        image_of(&*store)
    });
    written.collect()
}

/// The bytes with the hash of what stands before it.
fn fitted(bytes: &[u8]) -> Vec<u8> {
    let body = &bytes[..bytes.len().saturating_sub(HASH)];
    [body, &xxh3_128(body).to_le_bytes()].concat()
}

/// An image that is taken is a state like any other: it can be written, read and gone on from.
fn check_taken(image: &[u8]) -> usize {
    let mut digests = Vec::new();
    for path in [PathKind::GlobalMutex, PathKind::Sharded { shards: 4, workers: 1 }] {
        let config = Config::in_memory(path);
        let load = |mut image: &[u8]| {
            store::load(config, Path::new("unused"), Probe::off(), &mut image).unwrap()
        };
        let store = load(image);
        let again = load(&image_of(&*store));
        assert_eq!(store.digest(), again.digest());
        assert_eq!(store.dump(), again.dump());
        let everything = Range { interval: Interval::everything(), ..Range::default() };
        store.read(&Request::Range(everything));
        let published = store.published();
        let _ = store.events(1, published);
        let next = store.applied().index.saturating_add(1);
        if next < 1 << 62 && published < 1 << 61 {
            let delete = Request::DeleteRange(kvbench::model::DeleteRange {
                interval: Interval::everything(),
                prev_kv: true,
            });
            apply(
                &*store,
                next,
                &[
                    Request::put("a", "x"),
                    Request::LeaseRevoke { id: 7 },
                    Request::Compact { revision: published },
                    delete,
                ],
            );
            store.defragment();
        }
        digests.push((store.digest(), store.dump().keys.len()));
    }
    assert_eq!(digests[0], digests[1]);
    digests[0].1
}

fn check(input: &[u8], originals: &[Vec<u8>]) -> Answer {
    let Some((kind, bytes)) = input.split_first() else { return "nothing".into() };
    let bytes = if kind & 1 == FITTING { fitted(bytes) } else { bytes.to_vec() };
    let position = position_of_image(&mut &bytes[..]);
    match check_image(&mut &bytes[..]) {
        Ok(checked) => {
            assert_eq!(position.unwrap(), checked);
            let is_ours = originals.iter().any(|image| bytes.starts_with(image));
            assert!(kind & 1 == FITTING || is_ours, "a changed image was taken");
            check_taken(&bytes);
            "taken".into()
        }
        Err(ImageError::Damaged(what)) => what.into(),
        Err(ImageError::Io(error)) => error.kind().to_string().into(),
        Err(other) => other.to_string().into(),
    }
}

#[test]
fn images() {
    let originals = samples();
    let mut samples = Vec::new();
    for image in &originals {
        samples.extend([0, FITTING].map(|kind| [&[kind], &image[..]].concat()));
    }
    // A value that is said to be long, and is not there.
    let mut claims = originals[1].clone();
    claims[VALUE_LENGTH..VALUE_LENGTH + 4].copy_from_slice(&(60_u32 << 20).to_le_bytes());
    samples.push([&[0], &claims[..]].concat());
    let words: &[&[u8]] =
        &[&[0xff; 4], &[0; 8], &[1, 0, 0, 0, 0, 0, 0, 0], &[1, 0, 0, 0], b"kvbench image 1\n"];
    let check = |input: &[u8]| check(input, &originals);
    fuzz(Plan { name: "image", execs: 4_000, samples, words, counts_bytes: true }, check);
}
