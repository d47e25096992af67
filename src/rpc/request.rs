//! Requests about keys, to and from the wire.

use super::Failure;
use super::etcdserverpb::range_request::{SortOrder as WireOrder, SortTarget as WireTarget};
use super::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest};
use crate::model::{DeleteRange, Interval, Put, Range, SortOrder, SortTarget};

impl TryFrom<RangeRequest> for Range {
    type Error = Failure;

    fn try_from(wire: RangeRequest) -> Result<Range, Failure> {
        let (sort_order, sort_target) = sort(wire.sort_order, wire.sort_target)?;
        Ok(Range {
            interval: Interval { key: wire.key, range_end: wire.range_end },
            limit: wire.limit,
            revision: wire.revision,
            sort_order,
            sort_target,
            serializable: wire.serializable,
            keys_only: wire.keys_only,
            count_only: wire.count_only,
            min_mod_revision: wire.min_mod_revision,
            max_mod_revision: wire.max_mod_revision,
            min_create_revision: wire.min_create_revision,
            max_create_revision: wire.max_create_revision,
        })
    }
}

fn sort(order: i32, target: i32) -> Result<(SortOrder, SortTarget), Failure> {
    let order = match WireOrder::try_from(order) {
        Ok(WireOrder::None) => SortOrder::None,
        Ok(WireOrder::Ascend) => SortOrder::Ascend,
        Ok(WireOrder::Descend) => SortOrder::Descend,
        Err(_) => return Err(Failure::InvalidSortOption),
    };
    let target = match WireTarget::try_from(target) {
        Ok(WireTarget::Key) => SortTarget::Key,
        Ok(WireTarget::Version) => SortTarget::Version,
        Ok(WireTarget::Create) => SortTarget::Create,
        Ok(WireTarget::Mod) => SortTarget::Mod,
        Ok(WireTarget::Value) => SortTarget::Value,
        Err(_) => return Err(Failure::InvalidSortOption),
    };
    Ok((order, target))
}

impl From<Range> for RangeRequest {
    fn from(range: Range) -> RangeRequest {
        let sort_order = match range.sort_order {
            SortOrder::None => WireOrder::None,
            SortOrder::Ascend => WireOrder::Ascend,
            SortOrder::Descend => WireOrder::Descend,
        };
        let sort_target = match range.sort_target {
            SortTarget::Key => WireTarget::Key,
            SortTarget::Version => WireTarget::Version,
            SortTarget::Create => WireTarget::Create,
            SortTarget::Mod => WireTarget::Mod,
            SortTarget::Value => WireTarget::Value,
        };
        RangeRequest {
            key: range.interval.key,
            range_end: range.interval.range_end,
            limit: range.limit,
            revision: range.revision,
            sort_order: sort_order.into(),
            sort_target: sort_target.into(),
            serializable: range.serializable,
            keys_only: range.keys_only,
            count_only: range.count_only,
            min_mod_revision: range.min_mod_revision,
            max_mod_revision: range.max_mod_revision,
            min_create_revision: range.min_create_revision,
            max_create_revision: range.max_create_revision,
        }
    }
}

impl From<PutRequest> for Put {
    fn from(wire: PutRequest) -> Put {
        let PutRequest { key, value, lease, prev_kv, ignore_value, ignore_lease } = wire;
        Put { key, value, lease, prev_kv, ignore_value, ignore_lease }
    }
}

impl From<Put> for PutRequest {
    fn from(put: Put) -> PutRequest {
        let Put { key, value, lease, prev_kv, ignore_value, ignore_lease } = put;
        PutRequest { key, value, lease, prev_kv, ignore_value, ignore_lease }
    }
}

impl From<DeleteRangeRequest> for DeleteRange {
    fn from(wire: DeleteRangeRequest) -> DeleteRange {
        let DeleteRangeRequest { key, range_end, prev_kv } = wire;
        DeleteRange { interval: Interval { key, range_end }, prev_kv }
    }
}

impl From<DeleteRange> for DeleteRangeRequest {
    fn from(delete: DeleteRange) -> DeleteRangeRequest {
        let DeleteRange { interval: Interval { key, range_end }, prev_kv } = delete;
        DeleteRangeRequest { key, range_end, prev_kv }
    }
}
