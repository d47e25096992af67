//! Readers hold no lock on what they read. What they may rely on is one number: a request's versions carry stamps until
//! they become its revision, and only then is that revision published. This is the same order of the same operations as
//! in `publication.rs` and `kv.rs`, with nothing else around it.

use loom::sync::atomic::{AtomicI64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// As in `kv.rs`: larger than any revision.
const STAMP: i64 = 1 << 62;
/// More preemptions than any known bug of this kind takes.
const PREEMPTIONS_MAX: usize = 3;
/// Versions written by each request.
const VERSIONS: usize = 2;

/// A store of two requests; the versions of each lie where readers find them.
struct Store {
    /// The newest revision that was given.
    turn: Mutex<i64>,
    published: AtomicI64,
    versions: [[AtomicI64; VERSIONS]; 2],
    /// The order that `published` is stored with.
    release: Ordering,
}

impl Store {
    fn new(release: Ordering) -> Store {
        let stamped = || [AtomicI64::new(STAMP), AtomicI64::new(STAMP)];
        Store {
            turn: Mutex::new(1),
            published: AtomicI64::new(1),
            versions: [stamped(), stamped()],
            release,
        }
    }

    /// As `Publication::settle`.
    fn settle(&self, request: usize) -> i64 {
        let mut turn = self.turn.lock().unwrap();
        *turn += 1;
        for version in &self.versions[request] {
            assert_eq!(version.load(Ordering::Relaxed), STAMP);
            version.store(*turn, Ordering::Relaxed);
        }
        self.published.store(*turn, self.release);
        *turn
    }

    /// As `reading::answer`: which versions of each request a reader sees, and the revision it says.
    fn read(&self) -> (i64, [usize; 2]) {
        let published = self.published.load(Ordering::Acquire);
        let is_seen = |version: &&AtomicI64| version.load(Ordering::Relaxed) <= published;
        let seen = |request: &[AtomicI64; VERSIONS]| request.iter().filter(is_seen).count();
        (published, [seen(&self.versions[0]), seen(&self.versions[1])])
    }
}

/// A published request is seen whole and any other not at all, so the revision says how many are seen.
fn check_read(store: &Store) -> i64 {
    let (revision, seen) = store.read();
    assert!(seen.iter().all(|seen| [0, VERSIONS].contains(seen)), "{seen:?} at {revision}");
    let expected = (revision - 1) as usize * VERSIONS;
    assert_eq!(seen.iter().sum::<usize>(), expected, "{seen:?} at {revision}");
    revision
}

/// Two writers beside a reader that looks twice.
fn check(release: Ordering) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS_MAX);
    builder.check(move || {
        let store = Arc::new(Store::new(release));
        let writers = [0, 1].map(|request| {
            let store = store.clone();
            thread::spawn(move || {
                let revision = store.settle(request);
                // Whoever was answered finds what it wrote.
                assert!(store.read().0 >= revision && store.read().1[request] == VERSIONS);
            })
        });
        let first = check_read(&store);
        assert!(check_read(&store) >= first, "a reader does not go back");
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(check_read(&store), 3);
    });
}

#[test]
fn what_is_published_is_settled() {
    check(Ordering::Release);
}

/// Shows that the model would find it.
#[test]
#[should_panic(expected = "] at ")]
fn publishing_without_release_would_show_stamps() {
    check(Ordering::Relaxed);
}
