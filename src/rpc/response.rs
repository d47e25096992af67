//! What requests brought, to and from the wire. Every answer begins with a header; those within a transaction tell
//! nothing but the revision, as etcd's do.

use super::etcdserverpb::response_op::Response as WireOp;
use super::etcdserverpb::{
    CompactionResponse, DeleteRangeResponse, LeaseGrantResponse, LeaseRevokeResponse, PutResponse,
    RangeResponse, ResponseHeader, ResponseOp, TxnResponse,
};
use super::mvccpb;
use crate::model::{Body, KeyValue, LeaseId, OpResponse, RangeResult};
use bytes::BytesMut;
use prost::{Message, length_delimiter_len};

/// Of a field whose number is below 16.
const TAG_BYTES: usize = 1;

/// The answer to a put.
pub fn put(header: ResponseHeader, prev_kv: Option<KeyValue>) -> PutResponse {
    PutResponse { header: Some(header), prev_kv: prev_kv.map(Into::into) }
}

/// The answer to a range.
pub fn range(header: ResponseHeader, result: RangeResult) -> RangeResponse {
    let RangeResult { kvs, more, count } = result;
    RangeResponse { header: Some(header), kvs: to_wire(kvs), more, count }
}

/// What comes before the keys in the bytes of a range's answer.
pub fn range_head(header: ResponseHeader) -> Vec<u8> {
    RangeResponse { header: Some(header), ..RangeResponse::default() }.encode_to_vec()
}

/// Adds one of its keys to these bytes.
pub fn range_key(kv: KeyValue, to: &mut BytesMut) {
    let message = RangeResponse { kvs: vec![kv.into()], ..RangeResponse::default() };
    message.encode(to).expect("bytes grow as they are added to");
}

/// How many bytes [`range_key`] adds for a key of `numbers`, whose key and value, so many bytes long, were left out.
pub fn range_key_bytes(numbers: KeyValue, key_bytes: usize, value_bytes: usize) -> usize {
    let field = |bytes: usize| TAG_BYTES + length_delimiter_len(bytes) + bytes;
    let some = |bytes: usize| if bytes == 0 { 0 } else { field(bytes) };
    let numbers = mvccpb::KeyValue::from(numbers).encoded_len();
    field(numbers + some(key_bytes) + some(value_bytes))
}

/// What comes behind the keys.
pub fn range_tail(more: bool, count: i64) -> Vec<u8> {
    RangeResponse { more, count, ..RangeResponse::default() }.encode_to_vec()
}

/// The answer to a deletion.
pub fn delete_range(
    header: ResponseHeader,
    deleted: i64,
    prev_kvs: Vec<KeyValue>,
) -> DeleteRangeResponse {
    DeleteRangeResponse { header: Some(header), deleted, prev_kvs: to_wire(prev_kvs) }
}

/// The answer to a transaction.
pub fn txn(header: ResponseHeader, succeeded: bool, responses: Vec<OpResponse>) -> TxnResponse {
    let responses = responses.into_iter().filter_map(op_to).collect();
    TxnResponse { header: Some(header), succeeded, responses }
}

/// The answer to a compaction.
pub fn compaction(header: ResponseHeader) -> CompactionResponse {
    CompactionResponse { header: Some(header) }
}

/// The answer to a new lease.
pub fn lease_grant(header: ResponseHeader, id: LeaseId, ttl_s: i64) -> LeaseGrantResponse {
    LeaseGrantResponse { header: Some(header), id, ttl: ttl_s, error: String::new() }
}

/// The answer to a lease's end.
pub fn lease_revoke(header: ResponseHeader) -> LeaseRevokeResponse {
    LeaseRevokeResponse { header: Some(header) }
}

fn to_wire(kvs: Vec<KeyValue>) -> Vec<mvccpb::KeyValue> {
    kvs.into_iter().map(Into::into).collect()
}

fn from_wire(kvs: Vec<mvccpb::KeyValue>) -> Vec<KeyValue> {
    kvs.into_iter().map(Into::into).collect()
}

/// One step's answer; none for what is no step of a transaction.
fn op_to(step: OpResponse) -> Option<ResponseOp> {
    let header = ResponseHeader { revision: step.revision, ..ResponseHeader::default() };
    let response = match step.body {
        Body::Put { prev_kv } => WireOp::ResponsePut(put(header, prev_kv)),
        Body::Range(result) => WireOp::ResponseRange(range(header, result)),
        Body::DeleteRange { deleted, prev_kvs } => {
            WireOp::ResponseDeleteRange(delete_range(header, deleted, prev_kvs))
        }
        Body::Txn { succeeded, responses } => {
            WireOp::ResponseTxn(txn(header, succeeded, responses))
        }
        Body::Compact
        | Body::LeaseGrant { .. }
        | Body::LeaseRevoke
        | Body::LeaseTimeToLive(_)
        | Body::Leases(_)
        | Body::Alarms(_) => return None,
    };
    Some(ResponseOp { response: Some(response) })
}

/// One step's answer, from the wire; none if it says nothing.
pub fn op_from(wire: ResponseOp) -> Option<OpResponse> {
    let (header, body) = match wire.response? {
        WireOp::ResponsePut(put) => (put.header, put.into()),
        WireOp::ResponseRange(range) => (range.header, Body::Range(range.into())),
        WireOp::ResponseDeleteRange(delete) => (delete.header, delete.into()),
        WireOp::ResponseTxn(txn) => (txn.header, txn.into()),
    };
    Some(OpResponse { revision: header.unwrap_or_default().revision, body })
}

impl From<PutResponse> for Body {
    fn from(wire: PutResponse) -> Body {
        Body::Put { prev_kv: wire.prev_kv.map(Into::into) }
    }
}

impl From<RangeResponse> for RangeResult {
    fn from(wire: RangeResponse) -> RangeResult {
        RangeResult { kvs: from_wire(wire.kvs), more: wire.more, count: wire.count }
    }
}

impl From<DeleteRangeResponse> for Body {
    fn from(wire: DeleteRangeResponse) -> Body {
        Body::DeleteRange { deleted: wire.deleted, prev_kvs: from_wire(wire.prev_kvs) }
    }
}

impl From<TxnResponse> for Body {
    fn from(wire: TxnResponse) -> Body {
        let responses = wire.responses.into_iter().filter_map(op_from).collect();
        Body::Txn { succeeded: wire.succeeded, responses }
    }
}

impl From<LeaseGrantResponse> for Body {
    fn from(wire: LeaseGrantResponse) -> Body {
        Body::LeaseGrant { id: wire.id, ttl_s: wire.ttl }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_the_wire() {
        let kv = KeyValue {
            key: b"k".to_vec(),
            value: b"v".to_vec(),
            create_revision: 2,
            mod_revision: 5,
            version: 3,
            lease: 9,
        };
        let step = |body| OpResponse { revision: 6, body };
        let range = RangeResult { kvs: vec![kv.clone()], more: true, count: 4 };
        let responses = vec![
            step(Body::Put { prev_kv: Some(kv.clone()) }),
            step(Body::Range(range)),
            step(Body::DeleteRange { deleted: 1, prev_kvs: vec![kv] }),
            step(Body::Txn {
                succeeded: false,
                responses: vec![step(Body::Put { prev_kv: None })],
            }),
        ];
        let sent = txn(ResponseHeader::default(), true, responses.clone());
        assert_eq!(Body::from(sent), Body::Txn { succeeded: true, responses });
    }
}
