//! The whole state as bytes: what a replica that is too far behind gets, and what a restart begins with. An image holds every
//! version that is not forgotten, oldest first, so that whoever loads it has the same history as well as the same keys.
//!
//! Writing one stops nobody for longer than it takes to copy the lease table: versions are immutable, those newer than the image are
//! left out, and compactions forget nothing meanwhile. A hash at the end covers every byte before it.

use super::StoreError;
use super::core::Core;
use super::engine::{Engine, Kept};
use super::kv::{Kv, STAMP, Written};
use super::reading::Guarded;
use crate::failpoint;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, Visit};
use crate::measure::stage::Probe;
use crate::model::{Alarm, AlarmKind, MainRevision, Position};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use xxhash_rust::xxh3::Xxh3;

const MAGIC: &[u8; 16] = b"kvbench image 2\n";
/// What images began with before there were alarms.
const MAGIC_WITHOUT_ALARMS: &[u8; 16] = b"kvbench image 1\n";
/// In place of a key's length: no version follows.
const END: u32 = u32::MAX;
/// Longest key or value that is believed; a request can carry far less.
const BYTES_MAX: u32 = 64 << 20;

/// Bytes of a key and its value for which there is room before they are there; few have more.
const BELIEVED: usize = 64 << 10;

/// Why an image could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The bytes could not be had.
    #[error("an image of the state could not be read: {0}")]
    Io(#[from] io::Error),
    /// They are not what was written.
    #[error("an image of the state is damaged: {0}")]
    Damaged(&'static str),
    /// There is no store to put it into.
    #[error(transparent)]
    Store(#[from] Box<StoreError>),
}

/// Compactions that wait for images being written, and for transactions that read the past.
pub(super) struct Compactions {
    state: MeasuredMutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    holders: u32,
    /// The newest that waits, 0 if none.
    due: MainRevision,
}

impl Compactions {
    /// None waits.
    pub(super) fn new(probe: Probe) -> Compactions {
        Compactions { state: MeasuredMutex::new(Waiting::default(), probe) }
    }

    /// Shows its lock.
    pub(super) fn visit_locks(&self, visit: Visit<'_>) {
        visit("compaction", &self.state);
    }

    /// Lets the engine forget up to `revision`, now or when nobody needs it any more.
    pub(super) fn compact(&self, engine: &impl Engine, revision: MainRevision) {
        failpoint::pass("store::forget");
        let mut state = self.state();
        match state.holders {
            0 => engine.compact(revision),
            _ => state.due = state.due.max(revision),
        }
    }

    /// Has `engine` forget nothing more until what this gives is dropped.
    pub(super) fn hold<'a, E: Engine>(&'a self, engine: &'a E) -> Held<'a, E> {
        self.state().holders += 1;
        Held { compactions: self, engine }
    }

    fn state(&self) -> MeasuredGuard<'_, Waiting> {
        self.state.lock()
    }
}

/// Somebody who looks at what a compaction would let go.
pub(super) struct Held<'a, E: Engine> {
    compactions: &'a Compactions,
    engine: &'a E,
}

impl<E: Engine> Drop for Held<'_, E> {
    fn drop(&mut self) {
        let mut state = self.compactions.state();
        state.holders -= 1;
        if state.holders == 0 && state.due > 0 {
            self.engine.compact(std::mem::take(&mut state.due));
        }
    }
}

/// Writes the state as it is now, between two apply calls. `held` is called as soon as the next one may come.
pub(super) fn write<E: Engine>(
    core: &Core<E>,
    guarded: &impl Guarded<E::Part>,
    to: &mut dyn Write,
    held: &mut dyn FnMut(),
) -> io::Result<()> {
    let compactions = core.compactions.hold(&core.engine);
    let mut leases = Vec::new();
    guarded.leases(&mut |table| leases = table.granted());
    let compacted = core.publication.compacted();
    let revision = core.publication.published();
    let position = core.publication.position();
    let alarms = core.alarms.list();
    held();
    let mut out = Hashed { inner: io::BufWriter::with_capacity(1 << 20, to), hash: Xxh3::new() };
    let kept = Kept { revision, compacted, position, leases, alarms, ..Kept::default() };
    let mut outcome = write_head(&mut out, &kept).and_then(|()| failpoint::may_fail("image::head"));
    core.engine.versions(revision, &mut |kv| {
        if outcome.is_ok() {
            outcome =
                write_version(&mut out, kv).and_then(|()| failpoint::may_fail("image::version"));
        }
        outcome.is_ok()
    });
    drop(compactions);
    outcome?;
    failpoint::may_fail("image::end")?;
    out.write_all(&END.to_le_bytes())?;
    let hash = out.hash.digest128();
    out.inner.write_all(&hash.to_le_bytes())?;
    out.inner.flush()
}

/// What stands before the versions.
fn write_head(out: &mut impl Write, kept: &Kept) -> io::Result<()> {
    let Kept { revision, compacted, position, leases, alarms, .. } = kept;
    out.write_all(MAGIC)?;
    out.write_all(&revision.to_le_bytes())?;
    out.write_all(&compacted.to_le_bytes())?;
    out.write_all(&position.index.to_le_bytes())?;
    out.write_all(&position.offset.to_le_bytes())?;
    out.write_all(&(leases.len() as u64).to_le_bytes())?;
    for (id, ttl_s) in leases {
        out.write_all(&id.to_le_bytes())?;
        out.write_all(&ttl_s.to_le_bytes())?;
    }
    out.write_all(&(alarms.len() as u64).to_le_bytes())?;
    for alarm in alarms {
        out.write_all(&[alarm.kind.number()])?;
        out.write_all(&alarm.member.to_le_bytes())?;
    }
    Ok(())
}

fn write_version(out: &mut impl Write, kv: &Kv) -> io::Result<()> {
    let (key, value) = (kv.key(), kv.value());
    let mut head = [0; 44];
    head[0..4].copy_from_slice(&(key.len() as u32).to_le_bytes());
    head[4..8].copy_from_slice(&(value.len() as u32).to_le_bytes());
    head[8..16].copy_from_slice(&kv.create().to_le_bytes());
    head[16..24].copy_from_slice(&kv.modified().to_le_bytes());
    head[24..32].copy_from_slice(&kv.version().to_le_bytes());
    head[32..40].copy_from_slice(&kv.lease().to_le_bytes());
    head[40..44].copy_from_slice(&kv.sub().to_le_bytes());
    out.write_all(&head)?;
    out.write_all(key)?;
    out.write_all(&value)
}

/// Reads an image: what an engine would say it had kept, and each version, oldest first, to `keep`. Only once this has returned
/// is it known that the versions are those that were written.
pub(super) fn read(
    from: &mut dyn Read,
    keep: &mut dyn FnMut(Kv) -> Result<(), StoreError>,
) -> Result<Kept, ImageError> {
    let mut input =
        Hashed { inner: io::BufReader::with_capacity(1 << 20, from), hash: Xxh3::new() };
    let (mut kept, has_alarms) = read_head(&mut input)?;
    let mut order = Order::within(&kept)?;
    for _ in 0..input.long()? {
        let (id, ttl_s) = (input.long()?, input.long()?);
        require(kept.leases.last().is_none_or(|(last, _)| *last < id), "leases are in no order")?;
        kept.leases.push((id, ttl_s));
    }
    let alarms = if has_alarms { input.long()? } else { 0 };
    for _ in 0..alarms {
        kept.alarms.push(read_alarm(&mut input)?);
    }
    let mut attached = HashMap::new();
    while let Some(kv) = read_version(&mut input)? {
        order.check(&kv)?;
        match kv.lease() {
            0 => drop(attached.remove(kv.key())),
            lease => drop(attached.insert(kv.key().to_vec(), lease)),
        }
        keep(kv).map_err(Box::new)?;
    }
    failpoint::may_fail("image::read")?;
    let hash = input.hash.digest128();
    if u128::from_le_bytes(input.exactly()?) != hash {
        return Err(ImageError::Damaged("its bytes do not match their hash"));
    }
    kept.attached = attached.into_iter().map(|(key, lease)| (lease, key)).collect();
    Ok(kept)
}

/// What every store's versions are like. The hash says that an image arrived as it was sent, not that a store wrote it.
struct Order {
    revision: MainRevision,
    /// Revision of the last version, and its place among the changes of its request.
    last: (MainRevision, u32),
}

impl Order {
    /// Of an image with this head.
    fn within(kept: &Kept) -> Result<Order, ImageError> {
        let Kept { revision, compacted, .. } = *kept;
        require((0..STAMP).contains(&revision), "its revision cannot be")?;
        require((0..=revision).contains(&compacted), "its compaction is beyond its revision")?;
        Ok(Order { revision, last: (0, 0) })
    }

    fn check(&mut self, kv: &Kv) -> Result<(), ImageError> {
        let place = (kv.modified(), kv.sub());
        require(place > self.last && place.0 <= self.revision, "versions are in no order")?;
        let begins = if kv.is_tombstone() { 0 } else { 1 };
        let may_be = kv.version() >= 0 && (begins..=kv.modified()).contains(&kv.create());
        require(may_be, "the numbers of a version cannot be")?;
        require(!kv.is_tombstone() || kv.lease() == 0, "a deletion hangs on a lease")?;
        self.last = place;
        Ok(())
    }
}

fn require(holds: bool, what: &'static str) -> Result<(), ImageError> {
    if holds { Ok(()) } else { Err(ImageError::Damaged(what)) }
}

/// The last command whose effects are in an image, as its head says; only loading it tells whether that is true.
pub fn position_of_image(from: &mut dyn Read) -> Result<Position, ImageError> {
    Ok(read_head(&mut Hashed { inner: from, hash: Xxh3::new() })?.0.position)
}

/// Reads an image to its end and keeps nothing: the last command whose effects are in it, if it is what was written.
pub fn check_image(from: &mut dyn Read) -> Result<Position, ImageError> {
    Ok(read(from, &mut |_| Ok(()))?.position)
}

/// What stands before leases, alarms and versions; and whether there are alarms in it.
fn read_head<R: Read>(input: &mut Hashed<R>) -> Result<(Kept, bool), ImageError> {
    let has_alarms = match &input.exactly()? {
        MAGIC => true,
        MAGIC_WITHOUT_ALARMS => false,
        _ => return Err(ImageError::Damaged("it begins with something else")),
    };
    let kept = Kept {
        revision: input.long()?,
        compacted: input.long()?,
        position: Position { index: input.long()? as u64, offset: input.short()? },
        ..Kept::default()
    };
    Ok((kept, has_alarms))
}

fn read_alarm<R: Read>(input: &mut Hashed<R>) -> Result<Alarm, ImageError> {
    let [number] = input.exactly()?;
    let kind = AlarmKind::from_number(number);
    let kind = kind.ok_or(ImageError::Damaged("an alarm is of no kind"))?;
    Ok(Alarm { kind, member: input.long()?.cast_unsigned() })
}

fn read_version<R: Read>(input: &mut Hashed<R>) -> Result<Option<Kv>, ImageError> {
    let key_bytes = input.short()?;
    if key_bytes == END {
        return Ok(None);
    }
    let value_bytes = input.short()?;
    if key_bytes > BYTES_MAX || value_bytes > BYTES_MAX {
        return Err(ImageError::Damaged("a key or value is longer than any request"));
    }
    let (create, modified) = (input.long()?, input.long()?);
    let (version, lease, sub) = (input.long()?, input.long()?, input.short()?);
    let joined = input.bytes((key_bytes + value_bytes) as usize)?;
    let (key, value) = joined.split_at(key_bytes as usize);
    let written = Written { create, modified, version, lease, sub };
    Ok(Some(Kv::new(key, value, written)))
}

/// Bytes on their way, with the hash of all that went by.
struct Hashed<T> {
    inner: T,
    hash: Xxh3,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Hashed<R> {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.hash.update(bytes);
        Ok(())
    }

    /// As many bytes; of what is claimed no more is made room for than twice what was there.
    fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count.min(BELIEVED)];
        self.fill(&mut bytes)?;
        while bytes.len() < count {
            let from = bytes.len();
            bytes.resize(count.min(2 * from), 0);
            self.fill(&mut bytes[from..])?;
        }
        Ok(bytes)
    }

    fn exactly<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn long(&mut self) -> io::Result<i64> {
        self.exactly().map(i64::from_le_bytes)
    }

    fn short(&mut self) -> io::Result<u32> {
        self.exactly().map(u32::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head and no versions.
    fn image(magic: &[u8], fields: &[&[u8]]) -> Vec<u8> {
        let numbers = [5i64, 2, 9].map(i64::to_le_bytes);
        let head = [magic, &numbers.concat(), &1u32.to_le_bytes()].concat();
        let mut bytes = [&head, &fields.concat()[..], &END.to_le_bytes()].concat();
        let mut hash = Xxh3::new();
        hash.update(&bytes);
        bytes.extend_from_slice(&hash.digest128().to_le_bytes());
        bytes
    }

    fn kept(image: &[u8]) -> Result<Kept, ImageError> {
        read(&mut &image[..], &mut |_| Ok(()))
    }

    #[test]
    fn an_image_from_before_there_were_alarms_is_read() {
        let lease = [1i64, 7, 60].map(i64::to_le_bytes).concat();
        let kept = kept(&image(MAGIC_WITHOUT_ALARMS, &[&lease])).unwrap();
        assert_eq!((kept.revision, kept.compacted, kept.position.index), (5, 2, 9));
        assert_eq!((kept.leases, kept.alarms), (vec![(7, 60)], Vec::new()));
    }

    #[test]
    fn alarms_are_in_an_image() {
        let none = 0u64.to_le_bytes();
        let two =
            [&2u64.to_le_bytes()[..], &[1], &7u64.to_le_bytes(), &[2], &u64::MAX.to_le_bytes()];
        let kept = kept(&image(MAGIC, &[&none, &two.concat()])).unwrap();
        let expected = [
            Alarm { kind: AlarmKind::NoSpace, member: 7 },
            Alarm { kind: AlarmKind::Corrupt, member: u64::MAX },
        ];
        assert_eq!(kept.alarms, expected);
        let mut head = Vec::new();
        write_head(&mut head, &kept).unwrap();
        assert!(image(MAGIC, &[&none, &two.concat()]).starts_with(&head));
    }

    #[test]
    fn what_no_store_writes_is_damage_whatever_its_hash_says() {
        let none = 0u64.to_le_bytes();
        let leased = |modified: i64, sub: u32, create: i64, version: i64, lease: i64| {
            let lengths = [1u32, 0].map(u32::to_le_bytes).concat();
            let numbers = [create, modified, version, lease].map(i64::to_le_bytes).concat();
            [lengths, numbers, sub.to_le_bytes().to_vec(), b"k".to_vec()].concat()
        };
        let version = |modified, sub, create, version| leased(modified, sub, create, version, 0);
        let of = |versions: &[Vec<u8>]| kept(&image(MAGIC, &[&none, &none, &versions.concat()]));
        assert!(of(&[version(2, 0, 2, 1), version(3, 0, 0, 0), version(3, 1, 3, 1)]).is_ok());
        for versions in [
            vec![version(3, 0, 3, 1), version(2, 0, 2, 1)],
            vec![version(3, 0, 3, 1), version(3, 0, 3, 2)],
            vec![version(6, 0, 6, 1)],
            vec![version(0, 0, 0, 1)],
            vec![version(2, 0, 3, 1)],
            vec![version(2, 0, 0, 1)],
            vec![version(2, 0, 2, -1)],
            vec![version(STAMP, 0, 2, 1)],
            vec![version(2, 0, 2, 1), leased(3, 0, 0, 0, 7)],
        ] {
            assert!(matches!(of(&versions), Err(ImageError::Damaged(_))), "{versions:?}");
        }
        let twice = [2i64, 7, 60, 7, 60].map(i64::to_le_bytes).concat();
        assert!(matches!(kept(&image(MAGIC, &[&twice, &none])), Err(ImageError::Damaged(_))));
    }

    #[test]
    fn an_alarm_of_no_kind_is_damage() {
        let odd = [&1u64.to_le_bytes()[..], &[3], &7u64.to_le_bytes()].concat();
        let damaged = kept(&image(MAGIC, &[&0u64.to_le_bytes(), &odd]));
        assert!(matches!(damaged, Err(ImageError::Damaged("an alarm is of no kind"))));
    }
}
