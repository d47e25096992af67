//! Answering questions. A reader holds one published revision still and looks at nothing newer, so it needs no lock for
//! longer than one lookup.

use super::compare;
use super::core::Core;
use super::engine::{Engine, Hashed, Show};
use super::kv::Kv;
use super::leases::Leases;
use super::look::{At, EachKey, Look};
use super::range::{self, Bounds, HeldRange, Portion};
use crate::model::{
    Body, MainRevision, OpResponse, Range, Refusal, Request, RequestOp, Response, Txn,
};

/// How a reader gets at what a path guards. Each call takes the lock it needs and gives it back, unless the path's one
/// lock is held all along.
pub(super) trait Guarded<P> {
    /// Shows the part that holds the keys of `hash`.
    fn part(&self, hash: u64, look: Show<'_, P>);

    /// Shows the lease table, with no request half done.
    fn leases(&self, look: &mut dyn FnMut(&Leases));
}

/// A key space at one revision.
pub(super) struct Reader<'a, E, G> {
    engine: &'a E,
    revision: MainRevision,
    guarded: &'a G,
    hash_seed: u64,
}

impl<E: Engine, G: Guarded<E::Part>> Reader<'_, E, G> {
    fn revision_of(&self, at: At) -> MainRevision {
        match at {
            At::Now => self.revision,
            At::Revision(revision) => revision,
        }
    }
}

impl<E: Engine, G: Guarded<E::Part>> Look for Reader<'_, E, G> {
    fn get(&self, key: &[u8], at: At) -> Option<Kv> {
        let key = Hashed { key, hash: super::hash(key, self.hash_seed) };
        let part = |hash, look: Show<'_, E::Part>| self.guarded.part(hash, look);
        self.engine.read(&part, key, self.revision_of(at))
    }

    fn scan(&self, from: &[u8], end: Option<&[u8]>, at: At, visit: EachKey<'_>) {
        self.engine.scan(from, end, At::Revision(self.revision_of(at)), visit);
    }
}

/// Answers `request`.
///
/// # Panics
/// If it is a write.
pub(super) fn answer<E: Engine>(
    request: &Request,
    core: &Core<E>,
    guarded: &impl Guarded<E::Part>,
) -> Response {
    assert!(!request.is_write(), "only what changes nothing goes around the log");
    let publication = &core.publication;
    let mut look = |reader: &Reader<'_, E, _>, bounds: Bounds| {
        let mut revision = bounds.current;
        // The lease table is shown as of the newest publication, perhaps newer than that.
        let mut show_leases = |show: &mut dyn FnMut(&Leases)| {
            guarded.leases(&mut |leases| {
                revision = publication.published();
                show(leases);
            });
        };
        let result = match request {
            Request::Range(range) => read_range(reader, range, bounds).map(Body::Range),
            Request::Txn(txn) => read_txn(reader, txn, bounds),
            Request::LeaseTimeToLive { id, keys } => {
                let mut status = None;
                show_leases(&mut |leases| status = Some(leases.status(*id, *keys)));
                Ok(Body::LeaseTimeToLive(status.expect("the lease table is shown")))
            }
            Request::Leases => {
                let mut ids = Vec::new();
                show_leases(&mut |leases| ids = leases.ids());
                Ok(Body::Leases(ids))
            }
            Request::Alarms => Ok(Body::Alarms(core.alarms.list())),
            _ => unreachable!("writes were refused"),
        };
        Response { revision, result }
    };
    unless_overtaken(core, guarded, &mut look)
}

/// Finds what `range` asks for and holds on to it; with it the revision at which it was looked.
pub(super) fn hold<E: Engine>(
    range: &Range,
    core: &Core<E>,
    guarded: &impl Guarded<E::Part>,
) -> (MainRevision, Result<HeldRange, Refusal>) {
    let mut look = |reader: &Reader<'_, E, _>, bounds: Bounds| {
        let at = bounds.at(range.revision, At::Now);
        at.map(|at| range::find(reader, range, at).held())
    };
    let (bounds, found) = without_gaps(core, guarded, range.revision, &mut look);
    (bounds.current, found)
}

/// What `look` makes of `revision`, or of the newest if that is 0. It may take long, and compactions may come faster: if one overtakes it,
/// it looks once more, and compactions wait for that.
pub(super) fn without_gaps<E: Engine, G: Guarded<E::Part>, T>(
    core: &Core<E>,
    guarded: &G,
    revision: MainRevision,
    look: &mut impl FnMut(&Reader<'_, E, G>, Bounds) -> T,
) -> (Bounds, T) {
    let (bounds, seen) = at_one_revision(core, guarded, look);
    let looked_at = if revision > 0 { revision } else { bounds.current };
    // A compaction takes nothing from who looks at its revision or at a later one.
    if core.publication.compacted() <= looked_at {
        return (bounds, seen);
    }
    let _waiting = core.compactions.hold(&core.engine);
    at_one_revision(core, guarded, look)
}

/// Answers `range` unless that is more than `portion`.
pub(super) fn answer_within<E: Engine>(
    portion: Portion,
    range: &Range,
    core: &Core<E>,
    guarded: &impl Guarded<E::Part>,
) -> Option<Response> {
    let mut look = |reader: &Reader<'_, E, _>, bounds: Bounds| {
        let result = match bounds.at(range.revision, At::Now) {
            Ok(at) => Ok(Body::Range(range::find_within(portion, reader, range, at)?.result())),
            Err(refusal) => Err(refusal),
        };
        Some(Response { revision: bounds.current, result })
    };
    unless_overtaken(core, guarded, &mut look)
}

/// What `look` makes of the newest published revision. If a compaction overtook it, what it saw may have gaps: it looks again, at a newer
/// revision.
fn unless_overtaken<E: Engine, G: Guarded<E::Part>, T>(
    core: &Core<E>,
    guarded: &G,
    look: &mut impl FnMut(&Reader<'_, E, G>, Bounds) -> T,
) -> T {
    loop {
        let (bounds, seen) = at_one_revision(core, guarded, look);
        if core.publication.compacted() == bounds.compacted {
            return seen;
        }
    }
}

/// What `look` makes of the newest published revision, and the bounds that it had.
fn at_one_revision<E: Engine, G: Guarded<E::Part>, T>(
    core: &Core<E>,
    guarded: &G,
    look: &mut impl FnMut(&Reader<'_, E, G>, Bounds) -> T,
) -> (Bounds, T) {
    let Core { engine, publication, hash_seed, .. } = core;
    // Before the revision: a compaction in between is then noticed afterwards, whatever it covers.
    let compacted = publication.compacted();
    let revision = publication.published();
    let reader = Reader { engine, revision, guarded, hash_seed: *hash_seed };
    let bounds = Bounds { current: revision, compacted };
    (bounds, look(&reader, bounds))
}

fn read_range(
    look: &impl Look,
    range: &Range,
    bounds: Bounds,
) -> Result<crate::model::RangeResult, Refusal> {
    let at = bounds.at(range.revision, At::Now)?;
    Ok(range::find(look, range, at).result())
}

fn read_txn(look: &impl Look, txn: &Txn, bounds: Bounds) -> Result<Body, Refusal> {
    let path = compare::path(look, txn, At::Now);
    read_steps(look, txn, &mut path.into_iter(), bounds)
}

fn read_steps(
    look: &impl Look,
    txn: &Txn,
    path: &mut std::vec::IntoIter<bool>,
    bounds: Bounds,
) -> Result<Body, Refusal> {
    let succeeded = path.next().expect("every transaction on the way was decided");
    let steps = compare::taken(txn, succeeded).iter().map(|op| {
        let body = match op {
            RequestOp::Range(range) => Body::Range(read_range(look, range, bounds)?),
            RequestOp::Txn(inner) => read_steps(look, inner, path, bounds)?,
            RequestOp::Put(_) | RequestOp::DeleteRange(_) => {
                unreachable!("a transaction that reads has no step that writes")
            }
        };
        Ok(OpResponse { revision: bounds.current, body })
    });
    Ok(Body::Txn { succeeded, responses: steps.collect::<Result<_, _>>()? })
}
