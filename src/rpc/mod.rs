//! etcd's API v3 on the wire: the types that `build.rs` makes from `proto/`, and how they and the model become each
//! other, for a server and for a client. No I/O, no state.

mod alarm;
mod event;
mod failure;
mod request;
mod response;
mod txn;
mod wire;

pub use alarm::{alarm_kind, alarm_request, alarm_text};
pub use event::{event_from, event_to};
pub use failure::{Failure, as_go_says, refusal};
pub use response::{
    compaction, delete_range, lease_grant, lease_revoke, op_from, put, range, range_head,
    range_key, range_key_bytes, range_tail, txn,
};
pub use wire::{
    Codec, DESCRIPTORS, authpb, etcdserverpb, kvbenchpb, mvccpb, v3electionpb, v3lockpb,
};

/// Largest message that is decoded: a request of the largest size with what is around it (etcd's default and its slack
/// for gRPC, 1.5 MiB + 512 KiB).
pub const MESSAGE_BYTES_MAX: usize = crate::model::REQUEST_BYTES_MAX + 512 * 1024;
