//! The words of the key-value API: requests, responses, revisions, and their bytes in the log. No I/O, no state.

pub mod codec;

/// A key-value request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Write a key.
    Put {
        /// The key.
        key: Vec<u8>,
        /// Its new value.
        value: Vec<u8>,
    },
    /// Read a key.
    Get {
        /// The key.
        key: Vec<u8>,
    },
    /// Delete a key.
    Delete {
        /// The key.
        key: Vec<u8>,
    },
}

impl Request {
    /// Whether it has to go through the log.
    pub fn is_write(&self) -> bool {
        !matches!(self, Request::Get { .. })
    }

    /// The key it is about.
    pub fn key(&self) -> &[u8] {
        match self {
            Request::Put { key, .. } | Request::Get { key } | Request::Delete { key } => key,
        }
    }
}

/// The store-wide change number: 1 when empty, one more for each request that changed something (as etcd).
pub type MainRevision = i64;

/// A key with its value and its history's numbers (as etcd's mvccpb.KeyValue).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// Revision at which this life of the key began.
    pub create_revision: MainRevision,
    /// Revision of the last write.
    pub mod_revision: MainRevision,
    /// Writes in this life of the key, from 1.
    pub version: i64,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Revision of the store once the request was executed.
    pub revision: MainRevision,
    /// What it brought.
    pub body: Body,
}

/// What a request brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Written.
    Put,
    /// The key, if it is there.
    Get(Option<KeyValue>),
    /// How many keys were deleted: 0 or 1.
    Delete(u64),
}
