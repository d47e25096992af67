//! Keys and their changes, to and from the wire.

use super::mvccpb;
use super::mvccpb::event::EventType;
use crate::model::{Event, EventKind, KeyValue};
use bytes::Bytes;
use prost::{DecodeError, Message};

impl From<KeyValue> for mvccpb::KeyValue {
    fn from(kv: KeyValue) -> mvccpb::KeyValue {
        let KeyValue { key, value, create_revision, mod_revision, version, lease } = kv;
        mvccpb::KeyValue { key, value, create_revision, mod_revision, version, lease }
    }
}

impl From<mvccpb::KeyValue> for KeyValue {
    fn from(wire: mvccpb::KeyValue) -> KeyValue {
        let mvccpb::KeyValue { key, value, create_revision, mod_revision, version, lease } = wire;
        KeyValue { key, value, create_revision, mod_revision, version, lease }
    }
}

/// An event as it is on the wire, which does not carry its place among the changes of its revision. To the generated types the events of
/// an answer are bytes, so that who has a thousand watchers does this once.
pub fn event_to(event: &Event) -> Bytes {
    let kind = match event.kind {
        EventKind::Put => EventType::Put,
        EventKind::Delete => EventType::Delete,
    };
    let wire = mvccpb::Event {
        r#type: kind.into(),
        kv: Some(event.kv.clone().into()),
        prev_kv: event.prev_kv.clone().map(Into::into),
    };
    wire.encode_to_vec().into()
}

/// An event from the wire that is number `sub` of its revision. A kind that is not known counts as a write, as in etcd.
///
/// # Errors
/// If these are not the bytes of an event.
pub fn event_from(bytes: Bytes, sub: u32) -> Result<Event, DecodeError> {
    let wire = mvccpb::Event::decode(bytes)?;
    let kind = match wire.r#type() {
        EventType::Put => EventKind::Put,
        EventType::Delete => EventKind::Delete,
    };
    let kv = wire.kv.unwrap_or_default().into();
    Ok(Event { kind, kv, prev_kv: wire.prev_kv.map(Into::into), sub })
}
