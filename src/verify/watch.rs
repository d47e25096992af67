//! What watchers were told, against what happened. Of etcd's watch properties (its API guarantees) this finds breaches of: ordered,
//! unique, atomic, reliable, resumable, bookmarkable, filtered, and that of previous versions; creations and modifications are told apart
//! by their revisions, which are compared as part of the event.

use crate::model::{Event, Interval, MainRevision};
use std::sync::Arc;

/// What one watcher was told, over all its resumptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Who, for people.
    pub name: String,
    /// Which keys.
    pub interval: Interval,
    /// Whether the version before was asked for.
    pub prev_kv: bool,
    /// The first revision that it must be told, if there was a change of its keys.
    pub from: MainRevision,
    /// Whether it may have been told of earlier ones: it asked for what comes from then on.
    pub may_begin_before: bool,
    /// Whether events carry their place among the changes of their revision; etcd's API does not.
    pub knows_places: bool,
    /// Whole revisions, in the order told.
    pub told: Vec<(MainRevision, Vec<Arc<Event>>)>,
    /// Up to which revision it was told everything, as progress said.
    pub progress: MainRevision,
    /// Times it began again after what it had.
    pub resumed: u64,
}

/// Checks one watcher against `truth`, every change in order; `all` if it waited for the end. Gives the number of events.
pub fn check(watched: &Watched, truth: &[Event], all: bool) -> Result<u64, String> {
    let wrong = |words: String| Err(format!("{}: {words}", watched.name));
    let told: Vec<(MainRevision, &Event)> = watched
        .told
        .iter()
        .flat_map(|(revision, events)| events.iter().map(|event| (*revision, &**event)))
        .collect();
    let begin = match told.first() {
        Some((revision, _)) if watched.may_begin_before => watched.from.min(*revision),
        _ => watched.from,
    };
    let mut due = truth
        .iter()
        .filter(|event| event.kv.mod_revision >= begin && watched.interval.contains(&event.kv.key));
    for (revision, event) in &told {
        if *revision != event.kv.mod_revision {
            let of = event.kv.mod_revision;
            return wrong(format!("an event of revision {of} was told as one of {revision}"));
        }
        let Some(expected) = due.next() else {
            return wrong(format!("{event:?} was told and did not happen"));
        };
        let is_it = expected.kind == event.kind
            && expected.kv == event.kv
            && (expected.sub == event.sub || !watched.knows_places)
            && event.prev_kv == expected.prev_kv.clone().filter(|_| watched.prev_kv);
        if !is_it {
            return wrong(format!("{event:?} was told where this was due: {expected:?}"));
        }
    }
    let last_told = told.last().map_or(0, |(revision, _)| *revision);
    let complete = if all { MainRevision::MAX } else { last_told.max(watched.progress) };
    match due.next() {
        Some(missing) if missing.kv.mod_revision <= complete => {
            wrong(format!("{missing:?} was never told, up to revision {last_told} was"))
        }
        _ => Ok(told.len() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventKind, KeyValue};

    fn event(revision: MainRevision, sub: u32, key: &str) -> Event {
        let kv = KeyValue {
            key: key.into(),
            create_revision: revision,
            mod_revision: revision,
            version: 1,
            ..KeyValue::default()
        };
        Event { kind: EventKind::Put, kv, prev_kv: None, sub }
    }

    fn truth() -> Vec<Event> {
        vec![
            event(2, 0, "a"),
            event(3, 0, "b"),
            event(3, 1, "c"),
            event(4, 0, "a"),
            event(5, 0, "b"),
        ]
    }

    fn watched(told: &[(MainRevision, &[Event])]) -> Watched {
        let whole = |(revision, events): &(MainRevision, &[Event])| {
            (*revision, events.iter().cloned().map(Arc::new).collect())
        };
        Watched {
            name: "w".into(),
            interval: Interval::everything(),
            prev_kv: false,
            from: 3,
            may_begin_before: false,
            knows_places: true,
            told: told.iter().map(whole).collect(),
            progress: 0,
            resumed: 0,
        }
    }

    #[test]
    fn what_happened_is_what_must_be_told() {
        let truth = truth();
        let whole = watched(&[(3, &truth[1..3]), (4, &truth[3..4]), (5, &truth[4..])]);
        assert_eq!(check(&whole, &truth, true), Ok(4));
        let filtered = Watched { interval: Interval::point("a"), ..watched(&[(4, &truth[3..4])]) };
        assert_eq!(check(&filtered, &truth, true), Ok(1));
        let unfinished = watched(&[(3, &truth[1..3])]);
        assert_eq!(check(&unfinished, &truth, false), Ok(2));
    }

    #[test]
    fn each_breach_is_found() {
        let truth = truth();
        let breach =
            |told: &[(MainRevision, &[Event])]| check(&watched(told), &truth, true).is_err();
        assert!(breach(&[(3, &truth[1..3]), (5, &truth[4..])]), "a gap");
        assert!(breach(&[(3, &truth[1..3]), (3, &truth[1..3]), (4, &truth[3..4])]), "a repetition");
        assert!(breach(&[(4, &truth[3..4]), (3, &truth[1..3]), (5, &truth[4..])]), "out of order");
        assert!(
            breach(&[(3, &truth[1..2]), (4, &truth[3..4]), (5, &truth[4..])]),
            "half a revision"
        );
        assert!(breach(&[(3, &truth[1..3]), (4, &truth[3..4])]), "an end that is missing");
        assert!(breach(&[(2, &truth[..1]), (3, &truth[1..3])]), "earlier than asked for");
        let early = Watched { progress: 4, ..watched(&[(3, &truth[1..3])]) };
        assert!(check(&early, &truth, false).is_err(), "progress before what it covers");
        let mut other = truth.clone();
        other[3].kv.version = 7;
        assert!(
            breach(&[(3, &truth[1..3]), (4, &other[3..4]), (5, &truth[4..])]),
            "another version"
        );
    }
}
