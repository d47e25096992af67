//! Messages of other members from bytes. The protobuf library follows nested groups as deep as they go, on the stack
//! (RUSTSEC-2024-0437): so the bytes are walked before it sees them, and what has groups, which none of these messages has, is refused.

use super::refusals::Refused;
use protobuf::Message as _;
use raft::eraftpb::{ConfChange, Message};

/// Which fields of a message are messages themselves, and of what form.
struct Form(&'static [(u64, &'static Form)]);

const FLAT: Form = Form(&[]);
const METADATA: Form = Form(&[(1, &FLAT)]);
const SNAPSHOT: Form = Form(&[(2, &METADATA)]);
/// Entries are field 7, what an image holds is field 9 (`eraftpb.proto`).
const MESSAGE: Form = Form(&[(7, &FLAT), (9, &SNAPSHOT)]);

/// A message to this member.
pub(super) fn message(bytes: &[u8]) -> Result<Message, Refused> {
    let mut message = Message::default();
    match is_plain(bytes, &MESSAGE) && message.merge_from_bytes(bytes).is_ok() {
        true => Ok(message),
        false => Err(Refused::Unreadable),
    }
}

/// A change of the group, from the entry that carries it.
pub(super) fn change(bytes: &[u8]) -> Result<ConfChange, Refused> {
    let mut change = ConfChange::default();
    match is_plain(bytes, &FLAT) && change.merge_from_bytes(bytes).is_ok() {
        true => Ok(change),
        false => Err(Refused::Unreadable),
    }
}

/// Whether these are whole fields, none of them a group, as far down as the library would look.
fn is_plain(mut rest: &[u8], form: &Form) -> bool {
    while !rest.is_empty() {
        match field(rest, form) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// What follows the first field; none if it is not plain.
fn field<'a>(bytes: &'a [u8], form: &Form) -> Option<&'a [u8]> {
    let (tag, rest) = number(bytes)?;
    // The library keeps 32 bits of it, and might see another field.
    let tag = u32::try_from(tag).ok()?;
    match tag & 7 {
        0 => number(rest).map(|(_, after)| after),
        1 => rest.get(8..),
        2 => {
            let (length, rest) = number(rest)?;
            let (inner, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            let nested = form.0.iter().find(|(number, _)| *number == u64::from(tag >> 3));
            nested.is_none_or(|(_, form)| is_plain(inner, form)).then_some(after)
        }
        5 => rest.get(4..),
        _ => None,
    }
}

/// A number of up to ten bytes, and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if place == 9 && bits > 1 {
            return None;
        }
        number |= bits << (7 * place);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use raft::eraftpb::{Entry, Snapshot};

    fn sample() -> Message {
        let entry = Entry { index: u64::MAX, data: vec![7; 300].into(), ..Entry::default() };
        let mut snapshot = Snapshot { data: vec![1; 3].into(), ..Snapshot::default() };
        snapshot.mut_metadata().mut_conf_state().voters = vec![1, u64::MAX];
        let mut message = Message { from: 1, to: 2, priority: -1, ..Message::default() };
        message.set_entries(vec![entry.clone(), entry].into());
        message.set_snapshot(snapshot);
        message
    }

    /// A field 7, 9, or within what 9 holds, with groups in it, `depth` deep.
    fn nested(path: &[u8], depth: usize) -> Vec<u8> {
        let mut bytes = vec![0x1b; depth];
        for field in path.iter().rev() {
            let mut outer = vec![field << 3 | 2];
            let mut length = bytes.len();
            while length >= 0x80 {
                outer.push(length as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(bytes);
            bytes = outer;
        }
        bytes
    }

    #[test]
    fn messages_come_through_and_groups_do_not_wherever_they_hide() {
        let bytes = sample().write_to_bytes().unwrap();
        assert_eq!(message(&bytes).unwrap(), sample());
        // Any of these would take the library's stack.
        for path in [&[][..], &[7], &[9], &[9, 2], &[9, 2, 1]] {
            assert_eq!(message(&nested(path, 1 << 20)), Err(Refused::Unreadable), "{path:?}");
        }
        assert_eq!(change(&nested(&[], 1 << 20)), Err(Refused::Unreadable));
        // Field 7 for whoever drops the upper bits of its tag.
        let wide = [&[0xba, 0x80, 0x80, 0x80, 0x80, 0x01, 2][..], &[0x1b, 0x1b]].concat();
        assert_eq!(message(&wide), Err(Refused::Unreadable));
    }

    proptest! {
        #[test]
        fn whatever_the_library_reads_without_groups_is_read(cut in 0_usize..400, with: u8) {
            let mut bytes = sample().write_to_bytes().unwrap();
            let place = cut % bytes.len();
            bytes[place] = with;
            // No panic, and nothing is read that the library would not read.
            if let Ok(read) = message(&bytes) {
                let mut by_library = Message::default();
                prop_assert!(by_library.merge_from_bytes(&bytes).is_ok());
                prop_assert_eq!(read, by_library);
            }
        }
    }
}
