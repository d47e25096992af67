//! An event on its way to all who watch its key.

use crate::model::Event;
use bytes::Bytes;
use std::ops::Deref;
use std::sync::OnceLock;

/// An event that many watchers are told, and its bytes on a wire once somebody has needed them: what is sent to thousands is laid out
/// once.
#[derive(Debug)]
pub struct SharedEvent {
    event: Event,
    encoded: OnceLock<Bytes>,
}

impl SharedEvent {
    /// Its bytes, which `encode` makes for whoever asks first. Everyone has to bring the same.
    pub fn encoded(&self, encode: impl FnOnce(&Event) -> Bytes) -> Bytes {
        self.encoded.get_or_init(|| encode(&self.event)).clone()
    }
}

impl From<Event> for SharedEvent {
    fn from(event: Event) -> SharedEvent {
        SharedEvent { event, encoded: OnceLock::new() }
    }
}

impl Deref for SharedEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

/// Equal events are, whoever has needed their bytes.
impl PartialEq for SharedEvent {
    fn eq(&self, other: &SharedEvent) -> bool {
        self.event == other.event
    }
}

impl Eq for SharedEvent {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_made_once() {
        let event = SharedEvent::from(Event {
            kind: crate::model::EventKind::Put,
            kv: crate::model::KeyValue::default(),
            prev_kv: None,
            sub: 0,
        });
        let first = event.encoded(|_| Bytes::from(vec![1, 2]));
        let next = event.encoded(|_| unreachable!("they are there"));
        assert!(std::ptr::eq(first.as_ptr(), next.as_ptr()));
    }
}
