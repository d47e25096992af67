//! Versions as bytes, and where they lie. All in one column family, told apart by the first byte of the key, so that a flush
//! without a write-ahead log keeps either all of a batch or nothing of it:
//!
//! | key | value |
//! |---|---|
//! | `r` main sub | every version and tombstone by revision, until it is forgotten |
//! | `l` lease | its time to live |
//! | `a` kind member | an alarm; nothing |
//! | `s` | where the store stands: revision, compaction, applied position |
//! | `m` | the number of the format, one byte |
//!
//! The first format had at `m` where the store stood, from which programs of then see that they cannot read this one; the newest version
//! of each key once more at `k` key; and in each row what came before it. Such rows are read, and stay as they are.

use crate::model::{Alarm, AlarmKind, LeaseId, MainRevision, Position, Revision};
use crate::store::kv::{Kv, Written};

pub(super) const FORMAT: &[u8] = b"m";
pub(super) const PRESENT_FORMAT: u8 = 2;
pub(super) const FIRST_FORMAT_KEYS: u8 = b'k';
pub(super) const META: &[u8] = b"s";
pub(super) const ALARMS: u8 = b'a';
pub(super) const LEASES: u8 = b'l';
const REVISIONS: u8 = b'r';

/// Numbers before the key: create, main, sub, version, lease, length of the key.
const HEAD_BYTES: usize = 8 + 8 + 4 + 8 + 8 + 4;
/// Set in the sub revision of a row that says nothing of the version before.
const IS_ALONE: u32 = 1 << 31;
/// Set in the length of the key, in the first format, if the bytes of the version before follow.
pub(super) const SAYS_BYTES_BEFORE: u32 = 1 << 31;

/// A version or tombstone as it lies in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) written: Written,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

impl<'a> Row<'a> {
    /// Of a version that is settled.
    pub(super) fn of(kv: &'a Kv, value: &'a [u8]) -> Row<'a> {
        Row { written: kv.written(), key: kv.key(), value }
    }

    pub(super) fn append_to(&self, bytes: &mut Vec<u8>) {
        let Row { written, key, value } = *self;
        bytes.reserve(HEAD_BYTES + key.len() + value.len());
        bytes.extend_from_slice(&written.create.to_le_bytes());
        bytes.extend_from_slice(&written.modified.to_le_bytes());
        bytes.extend_from_slice(&(written.sub | IS_ALONE).to_le_bytes());
        bytes.extend_from_slice(&written.version.to_le_bytes());
        bytes.extend_from_slice(&written.lease.to_le_bytes());
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
    }

    /// The row in `bytes`; none if they are not one.
    pub(super) fn from_bytes(bytes: &'a [u8]) -> Option<Row<'a>> {
        let mut rest = bytes;
        let create = number(&mut rest)?;
        let modified = number(&mut rest)?;
        let sub = small(&mut rest)?;
        let version = number(&mut rest)?;
        let lease = number(&mut rest)?;
        let length = match sub & IS_ALONE {
            0 => length_in_first_format(&mut rest)?,
            _ => small(&mut rest)?,
        };
        let (key, value) = rest.split_at_checked(length as usize)?;
        let written = Written { create, modified, version, lease, sub: sub & !IS_ALONE };
        Some(Row { written, key, value })
    }
}

impl From<Row<'_>> for Kv {
    fn from(Row { written, key, value }: Row<'_>) -> Kv {
        Kv::new(key, value, written)
    }
}

/// The length of the key, behind main and sub of the version before and perhaps before its bytes.
fn length_in_first_format(rest: &mut &[u8]) -> Option<u32> {
    number(rest)?;
    small(rest)?;
    let length = small(rest)?;
    if length & SAYS_BYTES_BEFORE != 0 {
        small(rest)?;
    }
    Some(length & !SAYS_BYTES_BEFORE)
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

/// Where the version of `revision` lies; places ascend with revisions.
pub(super) fn place_of_revision(revision: Revision) -> [u8; 13] {
    let mut place = [REVISIONS; 13];
    place[1..9].copy_from_slice(&revision.main.to_be_bytes());
    place[9..].copy_from_slice(&revision.sub.to_be_bytes());
    place
}

/// Where the versions of the revisions in `from..=to` begin, and where they have ended.
pub(super) fn places_of_revisions(from: MainRevision, to: MainRevision) -> (Vec<u8>, Vec<u8>) {
    let first = place_of_revision(Revision { main: from, sub: 0 }).to_vec();
    let end = match to.checked_add(1) {
        Some(main) => place_of_revision(Revision { main, sub: 0 }).to_vec(),
        None => vec![REVISIONS + 1],
    };
    (first, end)
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
    pub(super) position: Position,
}

impl Meta {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(28);
        bytes.extend_from_slice(&self.revision.to_le_bytes());
        bytes.extend_from_slice(&self.compacted.to_le_bytes());
        bytes.extend_from_slice(&self.position.index.to_le_bytes());
        bytes.extend_from_slice(&self.position.offset.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Meta> {
        let mut rest = bytes;
        Some(Meta {
            revision: number(&mut rest)?,
            compacted: number(&mut rest)?,
            position: position(&mut rest)?,
        })
    }

    /// There it also said how far old versions were deleted, and perhaps their bytes.
    pub(super) fn from_first_format(bytes: &[u8]) -> Option<Meta> {
        let mut rest = bytes;
        let (revision, compacted) = (number(&mut rest)?, number(&mut rest)?);
        number(&mut rest)?;
        Some(Meta { revision, compacted, position: position(&mut rest)? })
    }
}

fn position(rest: &mut &[u8]) -> Option<Position> {
    Some(Position { index: number(rest)?.cast_unsigned(), offset: small(rest)? })
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::row_of_first_format;
    use super::*;
    use proptest::prelude::*;

    fn written((create, modified, version, lease): (i64, i64, i64, i64), sub: u32) -> Written {
        Written { create, modified, version, lease, sub: sub & !IS_ALONE }
    }

    proptest! {
        #[test]
        fn rows_come_back(
            key in any::<Vec<u8>>(),
            value in any::<Vec<u8>>(),
            numbers in any::<(i64, i64, i64, i64)>(),
            sub in any::<u32>(),
        ) {
            let row = Row { written: written(numbers, sub), key: &key, value: &value };
            let mut bytes = Vec::new();
            row.append_to(&mut bytes);
            prop_assert_eq!(Row::from_bytes(&bytes), Some(row));
        }

        #[test]
        fn rows_of_the_first_format_are_read(
            key in any::<Vec<u8>>(),
            value in any::<Vec<u8>>(),
            numbers in any::<(i64, i64, i64, i64)>(),
            sub in any::<u32>(),
            before in any::<(i64, u32, Option<u32>)>(),
        ) {
            let row = Row { written: written(numbers, sub), key: &key, value: &value };
            let bytes = row_of_first_format(row, before);
            prop_assert_eq!(Row::from_bytes(&bytes), Some(row));
        }

        #[test]
        fn places_ascend_like_revisions(a in (0..i64::MAX, any::<u32>()), b in (0..i64::MAX, any::<u32>())) {
            let of = |(main, sub)| Revision { main, sub };
            let places = place_of_revision(of(a)).cmp(&place_of_revision(of(b)));
            prop_assert_eq!(places, of(a).cmp(&of(b)));
            let (first, end) = places_of_revisions(a.0, b.0);
            let place = place_of_revision(of(a)).to_vec();
            prop_assert_eq!(first <= place && place < end, a.0 <= b.0);
        }

        #[test]
        fn any_bytes_are_a_row_or_none(bytes in any::<Vec<u8>>()) {
            let _ = Row::from_bytes(&bytes);
            let _ = Meta::from_bytes(&bytes);
            let _ = Meta::from_first_format(&bytes);
        }
    }

    #[test]
    fn leases_alarms_and_meta_come_back() {
        for id in [1, -5, i64::MAX] {
            assert_eq!(lease_at(&place_of_lease(id)), Some(id));
        }
        let meta = Meta { revision: 4, compacted: 3, position: Position { index: 7, offset: 9 } };
        assert_eq!(Meta::from_bytes(&meta.to_bytes()), Some(meta));
        let alarm = Alarm { kind: AlarmKind::Corrupt, member: 7 };
        assert_eq!(alarm_at(&place_of_alarm(alarm)), Some(alarm));
        assert_eq!((alarm_at(&place_of_lease(7)), alarm_at(META)), (None, None));
    }
}
