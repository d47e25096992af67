//! Transactions, to and from the wire. How deep they nest is bounded by the decoder, before anything is converted.

use super::Failure;
use super::etcdserverpb::compare::{
    CompareResult as WireResult, CompareTarget as WireTarget, TargetUnion,
};
use super::etcdserverpb::request_op::Request as WireOp;
use super::etcdserverpb::{Compare as WireCompare, RequestOp as WireRequestOp, TxnRequest};
use crate::model::{Compare, CompareResult, Interval, Operand, Refusal, RequestOp, Txn};
use tonic::Status;

impl TryFrom<TxnRequest> for Txn {
    type Error = Status;

    fn try_from(wire: TxnRequest) -> Result<Txn, Status> {
        let compares = wire.compare.into_iter().map(Compare::try_from).collect::<Result<_, _>>()?;
        Ok(Txn { compares, success: ops(wire.success)?, failure: ops(wire.failure)? })
    }
}

fn ops(wire: Vec<WireRequestOp>) -> Result<Vec<RequestOp>, Status> {
    wire.into_iter().map(RequestOp::try_from).collect()
}

impl From<Txn> for TxnRequest {
    fn from(txn: Txn) -> TxnRequest {
        TxnRequest {
            compare: txn.compares.into_iter().map(Into::into).collect(),
            success: txn.success.into_iter().map(Into::into).collect(),
            failure: txn.failure.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<WireRequestOp> for RequestOp {
    type Error = Status;

    /// A step that asks nothing is refused with etcd's words for it.
    fn try_from(wire: WireRequestOp) -> Result<RequestOp, Status> {
        Ok(match wire.request.ok_or(Refusal::KeyNotFound)? {
            WireOp::RequestRange(range) => RequestOp::Range(range.try_into()?),
            WireOp::RequestPut(put) => RequestOp::Put(put.into()),
            WireOp::RequestDeleteRange(delete) => RequestOp::DeleteRange(delete.into()),
            WireOp::RequestTxn(txn) => RequestOp::Txn(txn.try_into()?),
        })
    }
}

impl From<RequestOp> for WireRequestOp {
    fn from(op: RequestOp) -> WireRequestOp {
        let request = match op {
            RequestOp::Range(range) => WireOp::RequestRange(range.into()),
            RequestOp::Put(put) => WireOp::RequestPut(put.into()),
            RequestOp::DeleteRange(delete) => WireOp::RequestDeleteRange(delete.into()),
            RequestOp::Txn(txn) => WireOp::RequestTxn(txn.into()),
        };
        WireRequestOp { request: Some(request) }
    }
}

impl TryFrom<WireCompare> for Compare {
    type Error = Failure;

    fn try_from(wire: WireCompare) -> Result<Compare, Failure> {
        let result = match WireResult::try_from(wire.result) {
            Ok(WireResult::Equal) => CompareResult::Equal,
            Ok(WireResult::Greater) => CompareResult::Greater,
            Ok(WireResult::Less) => CompareResult::Less,
            Ok(WireResult::NotEqual) => CompareResult::NotEqual,
            Err(_) => return Err(Failure::InvalidCompare),
        };
        let target = WireTarget::try_from(wire.target).map_err(|_| Failure::InvalidCompare)?;
        let interval = Interval { key: wire.key, range_end: wire.range_end };
        Ok(Compare { interval, result, operand: operand(target, wire.target_union) })
    }
}

/// The target says what is compared. An operand of another kind counts as zero or empty, as in etcd.
fn operand(target: WireTarget, union: Option<TargetUnion>) -> Operand {
    match (target, union) {
        (WireTarget::Version, Some(TargetUnion::Version(number))) => Operand::Version(number),
        (WireTarget::Version, _) => Operand::Version(0),
        (WireTarget::Create, Some(TargetUnion::CreateRevision(number))) => Operand::Create(number),
        (WireTarget::Create, _) => Operand::Create(0),
        (WireTarget::Mod, Some(TargetUnion::ModRevision(number))) => Operand::Mod(number),
        (WireTarget::Mod, _) => Operand::Mod(0),
        (WireTarget::Value, Some(TargetUnion::Value(value))) => Operand::Value(value),
        (WireTarget::Value, _) => Operand::Value(Vec::new()),
        (WireTarget::Lease, Some(TargetUnion::Lease(lease))) => Operand::Lease(lease),
        (WireTarget::Lease, _) => Operand::Lease(0),
    }
}

impl From<Compare> for WireCompare {
    fn from(compare: Compare) -> WireCompare {
        let result = match compare.result {
            CompareResult::Equal => WireResult::Equal,
            CompareResult::Greater => WireResult::Greater,
            CompareResult::Less => WireResult::Less,
            CompareResult::NotEqual => WireResult::NotEqual,
        };
        let (target, union) = match compare.operand {
            Operand::Version(number) => (WireTarget::Version, TargetUnion::Version(number)),
            Operand::Create(number) => (WireTarget::Create, TargetUnion::CreateRevision(number)),
            Operand::Mod(number) => (WireTarget::Mod, TargetUnion::ModRevision(number)),
            Operand::Value(value) => (WireTarget::Value, TargetUnion::Value(value)),
            Operand::Lease(lease) => (WireTarget::Lease, TargetUnion::Lease(lease)),
        };
        WireCompare {
            result: result.into(),
            target: target.into(),
            key: compare.interval.key,
            range_end: compare.interval.range_end,
            target_union: Some(union),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeleteRange, Put, Range, SortOrder, SortTarget};

    fn compare(operand: Operand) -> Compare {
        let interval = Interval::between("a", "b");
        Compare { interval, result: CompareResult::NotEqual, operand }
    }

    #[test]
    fn a_transaction_survives_the_wire() {
        let range = Range {
            interval: Interval::prefix("p"),
            limit: 3,
            sort_order: SortOrder::Descend,
            sort_target: SortTarget::Mod,
            min_create_revision: 4,
            ..Range::default()
        };
        let delete = DeleteRange { interval: Interval::point("d"), prev_kv: true };
        let put = Put { key: b"k".to_vec(), lease: 7, ignore_value: true, ..Put::default() };
        let inner = Txn { success: vec![RequestOp::Range(range)], ..Txn::default() };
        let txn = Txn {
            compares: vec![
                compare(Operand::Version(1)),
                compare(Operand::Create(2)),
                compare(Operand::Mod(3)),
                compare(Operand::Value(b"v".to_vec())),
                compare(Operand::Lease(5)),
            ],
            success: vec![RequestOp::Put(put), RequestOp::Txn(inner)],
            failure: vec![RequestOp::DeleteRange(delete)],
        };
        assert_eq!(Txn::try_from(TxnRequest::from(txn.clone())).unwrap(), txn);
    }

    #[test]
    fn what_names_nothing_is_refused_as_etcd_does() {
        let nothing =
            TxnRequest { success: vec![WireRequestOp::default()], ..TxnRequest::default() };
        let refused = Txn::try_from(nothing).unwrap_err();
        assert_eq!(refused.message(), "etcdserver: key not found");
        let wire = WireCompare { target: 9, ..WireCompare::default() };
        assert_eq!(Compare::try_from(wire), Err(Failure::InvalidCompare));
        let wire = super::super::etcdserverpb::RangeRequest { sort_order: 9, ..Default::default() };
        assert_eq!(Range::try_from(wire), Err(Failure::InvalidSortOption));
    }

    #[test]
    fn the_target_decides_what_is_compared() {
        let union = Some(TargetUnion::Version(4));
        let wire = WireCompare {
            target: WireTarget::Mod.into(),
            target_union: union,
            ..WireCompare::default()
        };
        assert_eq!(Compare::try_from(wire).unwrap().operand, Operand::Mod(0));
    }
}
