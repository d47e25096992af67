//! Versions as bytes, and where they lie. All in one column family, told apart by the first byte of the key, so that a flush
//! without a write-ahead log keeps either all of a batch or nothing of it:
//!
//! | key | value |
//! |---|---|
//! | `k` key | the newest version of the key, or its tombstone |
//! | `r` main sub | every version and tombstone by revision, until it is compacted |
//! | `l` lease | its time to live |
//! | `a` kind member | an alarm; nothing |
//! | `m` | revision, compaction, how far old versions are deleted, applied position, bytes of all versions |
//!
//! A row names the revision of the version before it, so that versions of a key form a chain: nothing is moved when a
//! key is overwritten, and what was written in order is read in order when a watch resumes. It also says how large that one is, so that
//! whoever forgets it need not look.

use crate::model::{Alarm, AlarmKind, LeaseId, MainRevision, Position, Revision};
use crate::store::kv::{Kv, Written};
use crate::store::size;

pub(super) const META: &[u8] = b"m";
pub(super) const ALARMS: u8 = b'a';
pub(super) const LEASES: u8 = b'l';
pub(super) const KEYS: u8 = b'k';
/// First byte after that of keys: where walking over keys ends.
pub(super) const KEYS_END: u8 = KEYS + 1;
const REVISIONS: u8 = b'r';

/// Numbers before the key: create, main, sub, version, lease, main and sub of the version before, length of the key, bytes of the version
/// before.
const HEAD_BYTES: usize = 8 + 8 + 4 + 8 + 8 + 8 + 4 + 4 + 4;
/// Set in the length of the key if the bytes of the version before follow. Rows of before there were any have neither.
const SAYS_BYTES_BEFORE: u32 = 1 << 31;

/// What is kept of a version.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) kv: Kv,
    pub(super) before: Before,
}

/// What a row says of the version or tombstone before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// Main 0 if there is none.
    pub(super) revision: Revision,
    /// Of its key and value together, if it is a version and its successor says so. Of a tombstone nobody says it: it may be forgotten
    /// before it has a successor.
    pub(super) bytes: Option<u32>,
}

/// A row as it lies in the database, without a copy of its key and value.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowView<'a> {
    pub(super) written: Written,
    pub(super) before: Before,
    pub(super) key: &'a [u8],
    value: &'a [u8],
}

impl Row {
    pub(super) fn revision(&self) -> Revision {
        Revision { main: self.kv.modified(), sub: self.kv.sub() }
    }

    /// As its successor names it.
    pub(super) fn as_before(&self) -> Before {
        let bytes = (self.kv.key().len() + self.kv.value().len()) as u32;
        Before { revision: self.revision(), bytes: (!self.kv.is_tombstone()).then_some(bytes) }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (key, value) = (self.kv.key(), self.kv.value());
        let mut bytes = Vec::with_capacity(HEAD_BYTES + key.len() + value.len());
        let length = key.len() as u32 | self.before.bytes.map_or(0, |_| SAYS_BYTES_BEFORE);
        let mut number = |number: &[u8]| bytes.extend_from_slice(number);
        number(&self.kv.create().to_le_bytes());
        number(&self.kv.modified().to_le_bytes());
        number(&self.kv.sub().to_le_bytes());
        number(&self.kv.version().to_le_bytes());
        number(&self.kv.lease().to_le_bytes());
        number(&self.before.revision.main.to_le_bytes());
        number(&self.before.revision.sub.to_le_bytes());
        number(&length.to_le_bytes());
        if let Some(before) = self.before.bytes {
            number(&before.to_le_bytes());
        }
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        bytes
    }

    /// The row in `bytes`; none if they are not one.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Row> {
        let RowView { written, before, key, value } = RowView::from_bytes(bytes)?;
        Some(Row { kv: Kv::new(key, value, written), before })
    }
}

impl<'a> RowView<'a> {
    /// The row in `bytes`; none if they are not one.
    pub(super) fn from_bytes(bytes: &'a [u8]) -> Option<RowView<'a>> {
        let mut rest = bytes;
        let create = number(&mut rest)?;
        let modified = number(&mut rest)?;
        let sub = small(&mut rest)?;
        let version = number(&mut rest)?;
        let lease = number(&mut rest)?;
        let revision = Revision { main: number(&mut rest)?, sub: small(&mut rest)? };
        let length = small(&mut rest)?;
        let bytes = match length & SAYS_BYTES_BEFORE {
            0 => None,
            _ => Some(small(&mut rest)?),
        };
        let (key, value) = rest.split_at_checked((length & !SAYS_BYTES_BEFORE) as usize)?;
        let written = Written { create, modified, version, lease, sub };
        Some(RowView { written, before: Before { revision, bytes }, key, value })
    }

    pub(super) fn revision(&self) -> Revision {
        Revision { main: self.written.modified, sub: self.written.sub }
    }

    pub(super) fn is_tombstone(&self) -> bool {
        self.written.version == 0
    }

    /// As [`size::of_version`].
    pub(super) fn bytes_of_version(&self) -> u64 {
        size::of_version_with(self.key.len() + self.value.len())
    }
}

fn number(rest: &mut &[u8]) -> Option<i64> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(i64::from_le_bytes(*number))
}

fn small(rest: &mut &[u8]) -> Option<u32> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_le_bytes(*number))
}

/// Where the newest version of `key` lies.
pub(super) fn place_of_key(key: &[u8]) -> Vec<u8> {
    [&[KEYS], key].concat()
}

/// Where the version of `revision` lies; places ascend with revisions.
pub(super) fn place_of_revision(revision: Revision) -> Vec<u8> {
    let main = revision.main.to_be_bytes();
    [&[REVISIONS], main.as_slice(), revision.sub.to_be_bytes().as_slice()].concat()
}

/// Where lease `id` lies.
pub(super) fn place_of_lease(id: LeaseId) -> Vec<u8> {
    [&[LEASES], id.to_be_bytes().as_slice()].concat()
}

/// The lease that lies at `place`.
pub(super) fn lease_at(place: &[u8]) -> Option<LeaseId> {
    let (&kind, id) = place.split_first()?;
    (kind == LEASES).then_some(i64::from_be_bytes(id.try_into().ok()?))
}

/// Where `alarm` lies.
pub(super) fn place_of_alarm(alarm: Alarm) -> Vec<u8> {
    [&[ALARMS, alarm.kind.number()], alarm.member.to_be_bytes().as_slice()].concat()
}

/// The alarm that lies at `place`.
pub(super) fn alarm_at(place: &[u8]) -> Option<Alarm> {
    let (&[what, kind], member) = place.split_first_chunk()?;
    let member = u64::from_be_bytes(member.try_into().ok()?);
    let kind = AlarmKind::from_number(kind)?;
    (what == ALARMS).then_some(Alarm { kind, member })
}

/// Where the store stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) revision: MainRevision,
    pub(super) compacted: MainRevision,
    /// What was superseded up to this revision is deleted.
    pub(super) forgotten: MainRevision,
    pub(super) position: Position,
    /// Bytes of the versions that are there; none where they have yet to be counted.
    pub(super) held: Option<u64>,
}

impl Meta {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(44);
        for number in [self.revision, self.compacted, self.forgotten] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.position.index.to_le_bytes());
        bytes.extend_from_slice(&self.position.offset.to_le_bytes());
        if let Some(held) = self.held {
            bytes.extend_from_slice(&held.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Meta> {
        let mut rest = bytes;
        Some(Meta {
            revision: number(&mut rest)?,
            compacted: number(&mut rest)?,
            forgotten: number(&mut rest)?,
            position: Position { index: number(&mut rest)? as u64, offset: small(&mut rest)? },
            held: number(&mut rest).map(i64::cast_unsigned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back(
            key in any::<Vec<u8>>(),
            value in any::<Vec<u8>>(),
            numbers in any::<(i64, i64, i64, i64)>(),
            before in any::<(i64, u32, Option<u32>)>(),
            sub in any::<u32>(),
        ) {
            let (create, modified, version, lease) = numbers;
            let written = Written { create, modified, version, lease, sub };
            let revision = Revision { main: before.0, sub: before.1 };
            let before = Before { revision, bytes: before.2 };
            let row = Row { kv: Kv::new(&key, value, written), before };
            let bytes = row.to_bytes();
            let back = Row::from_bytes(&bytes).unwrap();
            prop_assert_eq!(back.kv.key_value(), row.kv.key_value());
            prop_assert_eq!((back.revision(), back.before), (row.revision(), row.before));
            let view = RowView::from_bytes(&bytes).unwrap();
            prop_assert_eq!(view.bytes_of_version(), size::of_version(&row.kv));
            prop_assert_eq!(view.revision(), row.revision());
            prop_assert_eq!((view.key, view.is_tombstone()), (row.kv.key(), row.kv.is_tombstone()));
        }

        #[test]
        fn places_ascend_like_revisions(a in (0..i64::MAX, any::<u32>()), b in (0..i64::MAX, any::<u32>())) {
            let of = |(main, sub)| Revision { main, sub };
            let places = place_of_revision(of(a)).cmp(&place_of_revision(of(b)));
            prop_assert_eq!(places, of(a).cmp(&of(b)));
        }

        #[test]
        fn any_bytes_are_a_row_or_none(bytes in any::<Vec<u8>>()) {
            let _ = Row::from_bytes(&bytes);
            let _ = Meta::from_bytes(&bytes);
        }
    }

    #[test]
    fn leases_alarms_and_meta_come_back() {
        for id in [1, -5, i64::MAX] {
            assert_eq!(lease_at(&place_of_lease(id)), Some(id));
        }
        let position = Position { index: 7, offset: 9 };
        for held in [None, Some(u64::MAX)] {
            let meta = Meta { revision: 4, compacted: 3, forgotten: 2, position, held };
            assert_eq!(Meta::from_bytes(&meta.to_bytes()), Some(meta));
        }
        let alarm = Alarm { kind: AlarmKind::Corrupt, member: 7 };
        assert_eq!(alarm_at(&place_of_alarm(alarm)), Some(alarm));
        assert_eq!((alarm_at(&place_of_lease(7)), alarm_at(META)), (None, None));
    }
}
