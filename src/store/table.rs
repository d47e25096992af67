//! A set of keys with their values and revisions, and what each request does to it.
//! Pure data: locks and revision counters belong to the paths above.

use crate::model::{Body, KeyValue, MainRevision, Request};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use xxhash_rust::xxh3::Xxh3;

/// Keys and what is known of each.
#[derive(Debug, Default)]
pub(super) struct Table {
    keys: HashMap<Vec<u8>, Versioned>,
}

#[derive(Debug)]
struct Versioned {
    value: Vec<u8>,
    create_revision: MainRevision,
    mod_revision: MainRevision,
    version: i64,
}

impl Table {
    /// Whether executing `request` now would change something, and so use up a revision.
    pub(super) fn would_change(&self, request: &Request) -> bool {
        match request {
            Request::Put { .. } => true,
            Request::Get { .. } => false,
            Request::Delete { key } => self.keys.contains_key(key),
        }
    }

    /// Executes `request`; what it changes is stamped with `revision`.
    pub(super) fn execute(&mut self, request: Request, revision: MainRevision) -> Body {
        match request {
            Request::Put { key, value } => self.put(key, value, revision),
            Request::Get { key } => Body::Get(self.get(key)),
            Request::Delete { key } => Body::Delete(u64::from(self.keys.remove(&key).is_some())),
        }
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>, revision: MainRevision) -> Body {
        match self.keys.entry(key) {
            Entry::Occupied(mut present) => {
                let present = present.get_mut();
                present.value = value;
                present.mod_revision = revision;
                present.version += 1;
            }
            Entry::Vacant(absent) => {
                absent.insert(Versioned {
                    value,
                    create_revision: revision,
                    mod_revision: revision,
                    version: 1,
                });
            }
        }
        Body::Put
    }

    fn get(&self, key: Vec<u8>) -> Option<KeyValue> {
        self.keys.get(&key).map(|found| KeyValue {
            value: found.value.clone(),
            create_revision: found.create_revision,
            mod_revision: found.mod_revision,
            version: found.version,
            key,
        })
    }

    /// Keys present.
    pub(super) fn len(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Wrapping sum of each key's hash: equal for equal contents, whatever the order.
    pub(super) fn hash(&self) -> u128 {
        self.keys.iter().fold(0, |sum, (key, found)| sum.wrapping_add(hash_key(key, found)))
    }
}

/// Hashes lengths too, so that no two different keys and values give the same bytes.
fn hash_key(key: &[u8], found: &Versioned) -> u128 {
    let mut hasher = Xxh3::new();
    for field in [key, &found.value] {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field);
    }
    for number in [found.create_revision, found.mod_revision, found.version] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.digest128()
}
