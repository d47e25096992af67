//! The bytes of an entry: how many commands, then each with its length; and the id that matches an entry that
//! comes back committed to the clients that wait for it.

use super::Command;
use std::fmt;

/// Names one proposal, or one question, for good: unique over nodes, restarts and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EntryId {
    /// Whose it is.
    pub(super) node: u64,
    /// Which start of that node; counted up in its log before anything is proposed or asked.
    pub(super) incarnation: u64,
    /// Which of that start.
    pub(super) sequence: u64,
}

impl EntryId {
    /// How long it is as bytes.
    pub(super) const BYTES: usize = 24;

    /// As the context of an entry, or a question.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        [self.node, self.incarnation, self.sequence].map(u64::to_le_bytes).concat()
    }

    /// From an entry's context; none if the entry carries no id (the leader's empty entry).
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<EntryId> {
        let (numbers, []) = bytes.as_chunks::<8>() else { return None };
        let [node, incarnation, sequence] = numbers else { return None };
        let [node, incarnation, sequence] =
            [node, incarnation, sequence].map(|bytes| u64::from_le_bytes(*bytes));
        Some(EntryId { node, incarnation, sequence })
    }
}

/// Bytes that are not packed commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a committed entry does not hold packed commands")
    }
}

/// What precedes each command: its length.
const HEAD_BYTES: usize = 4;

/// Appends the command that `write` appends, packed, to `bytes`; says how long it is without its head. One that panics leaves nothing there,
/// or what others append after it would be read as part of it.
pub(super) fn pack(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> usize {
    let mut begun = Begun { end: bytes.len(), bytes };
    begun.bytes.extend_from_slice(&[0; HEAD_BYTES]);
    write(begun.bytes);
    let length = begun.bytes.len() - begun.end - HEAD_BYTES;
    let head = u32::try_from(length).expect("commands are far below 4 GiB");
    begun.bytes[begun.end..][..HEAD_BYTES].copy_from_slice(&head.to_le_bytes());
    begun.end = begun.bytes.len();
    length
}

/// Takes away what was appended beyond `end`.
struct Begun<'a> {
    bytes: &'a mut Vec<u8>,
    end: usize,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.bytes.truncate(self.end);
    }
}

/// How long a command of `length` bytes is when it is packed.
pub(super) fn packed(length: usize) -> usize {
    HEAD_BYTES + length
}

/// Appends the commands in the bytes of entry `index` to `commands`; says how many there were.
pub(super) fn unpack<'a>(
    index: u64,
    mut rest: &'a [u8],
    commands: &mut Vec<Command<'a>>,
) -> Result<usize, Corrupt> {
    let before = commands.len();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<HEAD_BYTES>().ok_or(Corrupt)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (bytes, after) = after.split_at_checked(length).ok_or(Corrupt)?;
        let offset = (commands.len() - before) as u32;
        commands.push(Command { index, offset, bytes });
        rest = after;
    }
    Ok(commands.len() - before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed_all<'a>(commands: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for command in commands {
            let length = pack(&mut bytes, |to| to.extend_from_slice(command));
            assert_eq!(length, command.len());
        }
        bytes
    }

    proptest! {
        #[test]
        fn packed_commands_unpack(commands in any::<Vec<Vec<u8>>>()) {
            let bytes = packed_all(commands.iter().map(Vec::as_slice));
            let mut unpacked = Vec::new();
            prop_assert_eq!(unpack(7, &bytes, &mut unpacked), Ok(commands.len()));
            for (offset, (command, bytes)) in unpacked.iter().zip(&commands).enumerate() {
                let offset = offset as u32;
                prop_assert_eq!(*command, Command { index: 7, offset, bytes });
            }
        }

        #[test]
        fn any_bytes_unpack_or_are_refused(bytes in any::<Vec<u8>>()) {
            let mut commands = Vec::new();
            if unpack(7, &bytes, &mut commands).is_ok() {
                prop_assert_eq!(packed_all(commands.iter().map(|command| command.bytes)), bytes);
            }
        }
    }

    #[test]
    fn a_command_that_panics_leaves_nothing() {
        let mut bytes = packed_all([&b"before"[..]].into_iter());
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pack(&mut bytes, |to| {
                to.extend_from_slice(b"half");
                panic!("on purpose");
            })
        }));
        assert!(panics.is_err());
        pack(&mut bytes, |to| to.extend_from_slice(b"after"));
        assert_eq!(bytes, packed_all([&b"before"[..], b"after"].into_iter()));
    }

    #[test]
    fn ids_survive_the_log_and_other_contexts_are_none() {
        let id = EntryId { node: 1, incarnation: u64::MAX, sequence: 7 };
        assert_eq!(EntryId::from_bytes(&id.to_bytes()), Some(id));
        assert_eq!(EntryId::from_bytes(&[]), None);
        assert_eq!(EntryId::from_bytes(&[0; 23]), None);
    }
}
