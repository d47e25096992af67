//! A request as bytes, for the log: a tag, a byte of flags where there are options, then the fields. Numbers are
//! little-endian, byte strings follow their u32 length. Decoding bounds every length by what is there, bounds the
//! nesting, and refuses unknown tags and flags and trailing bytes.

use super::{
    Alarm, AlarmKind, Compare, CompareResult, DeleteRange, Interval, Operand, Put, Range, Request,
    RequestOp, SortOrder, SortTarget, Txn,
};

/// Deepest nesting of transactions that is decoded; the limit on operations allows no more.
const DEPTH_MAX: usize = 129;

const PUT: u8 = 1;
const RANGE: u8 = 2;
const DELETE_RANGE: u8 = 3;
const TXN: u8 = 4;
const COMPACT: u8 = 5;
const LEASE_GRANT: u8 = 6;
const LEASE_REVOKE: u8 = 7;
const LEASE_TIME_TO_LIVE: u8 = 8;
const LEASES: u8 = 9;
const ALARM_ACTIVATE: u8 = 10;
const ALARM_DEACTIVATE: u8 = 11;
const ALARMS: u8 = 12;

/// Bytes that are not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end within a field.
    #[error("request is cut short")]
    CutShort,
    /// A byte that names nothing where a tag, a flag or an option should be.
    #[error("unknown tag or option {0}")]
    Unknown(u8),
    /// Transactions within transactions, too deep.
    #[error("transactions are nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// Bytes follow the request.
    #[error("{0} bytes follow the request")]
    TrailingBytes(usize),
}

/// The bytes of `request`.
pub fn encode(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_hint(request));
    encode_into(request, &mut bytes);
    bytes
}

/// Appends the bytes of `request`.
pub fn encode_into(request: &Request, bytes: &mut Vec<u8>) {
    Writer { bytes }.request(request);
}

/// The request in `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Request, CodecError> {
    let mut input = Reader { rest: bytes };
    let request = input.request()?;
    match input.rest.len() {
        0 => Ok(request),
        more => Err(CodecError::TrailingBytes(more)),
    }
}

/// Exact for plain puts, which are most of what is written.
fn size_hint(request: &Request) -> usize {
    match request {
        Request::Put(put) => 18 + put.key.len() + put.value.len(),
        _ => 64,
    }
}

/// The bits of `flags` that are set, first one lowest.
fn bits<const N: usize>(flags: [bool; N]) -> u8 {
    flags.into_iter().enumerate().fold(0, |bits, (at, set)| bits | u8::from(set) << at)
}

struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    fn number(&mut self, number: i64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    fn length(&mut self, length: usize) {
        let length = u32::try_from(length).expect("a request is far below 4 GiB");
        self.bytes.extend_from_slice(&length.to_le_bytes());
    }

    fn string(&mut self, string: &[u8]) {
        self.length(string.len());
        self.bytes.extend_from_slice(string);
    }

    fn interval(&mut self, interval: &Interval) {
        self.string(&interval.key);
        self.string(&interval.range_end);
    }

    fn request(&mut self, request: &Request) {
        match request {
            Request::Put(put) => self.put(put),
            Request::Range(range) => self.range(range),
            Request::DeleteRange(delete) => self.delete_range(delete),
            Request::Txn(txn) => self.txn(txn),
            Request::Compact { revision } => {
                self.byte(COMPACT);
                self.number(*revision);
            }
            Request::LeaseGrant { id, ttl_s } => {
                self.byte(LEASE_GRANT);
                self.number(*id);
                self.number(*ttl_s);
            }
            Request::LeaseRevoke { id } => {
                self.byte(LEASE_REVOKE);
                self.number(*id);
            }
            Request::LeaseTimeToLive { id, keys } => {
                self.byte(LEASE_TIME_TO_LIVE);
                self.byte(bits([*keys]));
                self.number(*id);
            }
            Request::Leases => self.byte(LEASES),
            Request::AlarmActivate(alarm) => self.alarm(ALARM_ACTIVATE, *alarm),
            Request::AlarmDeactivate(alarm) => self.alarm(ALARM_DEACTIVATE, *alarm),
            Request::Alarms => self.byte(ALARMS),
        }
    }

    fn alarm(&mut self, tag: u8, alarm: Alarm) {
        self.byte(tag);
        self.byte(alarm.kind.number());
        self.bytes.extend_from_slice(&alarm.member.to_le_bytes());
    }

    fn put(&mut self, put: &Put) {
        self.byte(PUT);
        let has_lease = put.lease != 0;
        self.byte(bits([has_lease, put.prev_kv, put.ignore_value, put.ignore_lease]));
        if has_lease {
            self.number(put.lease);
        }
        self.string(&put.key);
        self.string(&put.value);
    }

    fn range(&mut self, range: &Range) {
        self.byte(RANGE);
        let plain = range.is_plain();
        self.byte(bits([!plain, range.serializable, range.keys_only, range.count_only]));
        self.interval(&range.interval);
        if plain {
            return;
        }
        self.byte(match range.sort_order {
            SortOrder::None => 0,
            SortOrder::Ascend => 1,
            SortOrder::Descend => 2,
        });
        self.byte(match range.sort_target {
            SortTarget::Key => 0,
            SortTarget::Version => 1,
            SortTarget::Create => 2,
            SortTarget::Mod => 3,
            SortTarget::Value => 4,
        });
        for number in [
            range.limit,
            range.revision,
            range.min_mod_revision,
            range.max_mod_revision,
            range.min_create_revision,
            range.max_create_revision,
        ] {
            self.number(number);
        }
    }

    fn delete_range(&mut self, delete: &DeleteRange) {
        self.byte(DELETE_RANGE);
        self.byte(bits([delete.prev_kv]));
        self.interval(&delete.interval);
    }

    fn txn(&mut self, txn: &Txn) {
        self.byte(TXN);
        self.length(txn.compares.len());
        txn.compares.iter().for_each(|compare| self.compare(compare));
        for ops in [&txn.success, &txn.failure] {
            self.length(ops.len());
            for op in ops {
                match op {
                    RequestOp::Put(put) => self.put(put),
                    RequestOp::Range(range) => self.range(range),
                    RequestOp::DeleteRange(delete) => self.delete_range(delete),
                    RequestOp::Txn(inner) => self.txn(inner),
                }
            }
        }
    }

    fn compare(&mut self, compare: &Compare) {
        self.byte(match compare.result {
            CompareResult::Equal => 0,
            CompareResult::Greater => 1,
            CompareResult::Less => 2,
            CompareResult::NotEqual => 3,
        });
        let (target, number) = match &compare.operand {
            Operand::Version(number) => (0, *number),
            Operand::Create(number) => (1, *number),
            Operand::Mod(number) => (2, *number),
            Operand::Lease(number) => (3, *number),
            Operand::Value(value) => {
                self.byte(4);
                self.string(value);
                return self.interval(&compare.interval);
            }
        };
        self.byte(target);
        self.number(number);
        self.interval(&compare.interval);
    }
}

impl Range {
    /// Whether the options that take room are all at their defaults.
    fn is_plain(&self) -> bool {
        let numbers = [
            self.limit,
            self.revision,
            self.min_mod_revision,
            self.max_mod_revision,
            self.min_create_revision,
            self.max_create_revision,
        ];
        numbers == [0; 6]
            && self.sort_order == SortOrder::None
            && self.sort_target == SortTarget::Key
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, CodecError> {
        let (&byte, rest) = self.rest.split_first().ok_or(CodecError::CutShort)?;
        self.rest = rest;
        Ok(byte)
    }

    fn number(&mut self) -> Result<i64, CodecError> {
        let (number, rest) = self.rest.split_first_chunk().ok_or(CodecError::CutShort)?;
        self.rest = rest;
        Ok(i64::from_le_bytes(*number))
    }

    fn length(&mut self) -> Result<usize, CodecError> {
        let (length, rest) = self.rest.split_first_chunk().ok_or(CodecError::CutShort)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*length) as usize)
    }

    fn string(&mut self) -> Result<Vec<u8>, CodecError> {
        let length = self.length()?;
        let (string, rest) = self.rest.split_at_checked(length).ok_or(CodecError::CutShort)?;
        self.rest = rest;
        Ok(string.to_vec())
    }

    fn flags<const N: usize>(&mut self) -> Result<[bool; N], CodecError> {
        let byte = self.byte()?;
        match byte >> N {
            0 => Ok(std::array::from_fn(|at| byte >> at & 1 == 1)),
            _ => Err(CodecError::Unknown(byte)),
        }
    }

    fn interval(&mut self) -> Result<Interval, CodecError> {
        Ok(Interval { key: self.string()?, range_end: self.string()? })
    }

    fn request(&mut self) -> Result<Request, CodecError> {
        Ok(match self.byte()? {
            PUT => Request::Put(self.put()?),
            RANGE => Request::Range(self.range()?),
            DELETE_RANGE => Request::DeleteRange(self.delete_range()?),
            TXN => Request::Txn(self.txn(1)?),
            COMPACT => Request::Compact { revision: self.number()? },
            LEASE_GRANT => Request::LeaseGrant { id: self.number()?, ttl_s: self.number()? },
            LEASE_REVOKE => Request::LeaseRevoke { id: self.number()? },
            LEASE_TIME_TO_LIVE => {
                let [keys] = self.flags()?;
                Request::LeaseTimeToLive { keys, id: self.number()? }
            }
            LEASES => Request::Leases,
            ALARM_ACTIVATE => Request::AlarmActivate(self.alarm()?),
            ALARM_DEACTIVATE => Request::AlarmDeactivate(self.alarm()?),
            ALARMS => Request::Alarms,
            unknown => return Err(CodecError::Unknown(unknown)),
        })
    }

    fn alarm(&mut self) -> Result<Alarm, CodecError> {
        let number = self.byte()?;
        let kind = AlarmKind::from_number(number).ok_or(CodecError::Unknown(number))?;
        Ok(Alarm { kind, member: self.number()?.cast_unsigned() })
    }

    fn put(&mut self) -> Result<Put, CodecError> {
        let [has_lease, prev_kv, ignore_value, ignore_lease] = self.flags()?;
        let lease = if has_lease { self.number()? } else { 0 };
        let (key, value) = (self.string()?, self.string()?);
        Ok(Put { key, value, lease, prev_kv, ignore_value, ignore_lease })
    }

    fn range(&mut self) -> Result<Range, CodecError> {
        let [has_options, serializable, keys_only, count_only] = self.flags()?;
        let interval = self.interval()?;
        let plain = Range { interval, serializable, keys_only, count_only, ..Range::default() };
        if !has_options {
            return Ok(plain);
        }
        let sort_order = match self.byte()? {
            0 => SortOrder::None,
            1 => SortOrder::Ascend,
            2 => SortOrder::Descend,
            unknown => return Err(CodecError::Unknown(unknown)),
        };
        let sort_target = match self.byte()? {
            0 => SortTarget::Key,
            1 => SortTarget::Version,
            2 => SortTarget::Create,
            3 => SortTarget::Mod,
            4 => SortTarget::Value,
            unknown => return Err(CodecError::Unknown(unknown)),
        };
        Ok(Range {
            sort_order,
            sort_target,
            limit: self.number()?,
            revision: self.number()?,
            min_mod_revision: self.number()?,
            max_mod_revision: self.number()?,
            min_create_revision: self.number()?,
            max_create_revision: self.number()?,
            ..plain
        })
    }

    fn delete_range(&mut self) -> Result<DeleteRange, CodecError> {
        let [prev_kv] = self.flags()?;
        Ok(DeleteRange { interval: self.interval()?, prev_kv })
    }

    fn txn(&mut self, depth: usize) -> Result<Txn, CodecError> {
        if depth > DEPTH_MAX {
            return Err(CodecError::TooDeep);
        }
        let compares = self.list(Reader::compare)?;
        let success = self.list(|input| input.op(depth))?;
        let failure = self.list(|input| input.op(depth))?;
        Ok(Txn { compares, success, failure })
    }

    /// Grows with what is really there, whatever length is claimed.
    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Vec<T>, CodecError> {
        (0..self.length()?).map(|_| item(self)).collect()
    }

    fn op(&mut self, depth: usize) -> Result<RequestOp, CodecError> {
        Ok(match self.byte()? {
            PUT => RequestOp::Put(self.put()?),
            RANGE => RequestOp::Range(self.range()?),
            DELETE_RANGE => RequestOp::DeleteRange(self.delete_range()?),
            TXN => RequestOp::Txn(self.txn(depth + 1)?),
            unknown => return Err(CodecError::Unknown(unknown)),
        })
    }

    fn compare(&mut self) -> Result<Compare, CodecError> {
        let result = match self.byte()? {
            0 => CompareResult::Equal,
            1 => CompareResult::Greater,
            2 => CompareResult::Less,
            3 => CompareResult::NotEqual,
            unknown => return Err(CodecError::Unknown(unknown)),
        };
        let operand = match self.byte()? {
            0 => Operand::Version(self.number()?),
            1 => Operand::Create(self.number()?),
            2 => Operand::Mod(self.number()?),
            3 => Operand::Lease(self.number()?),
            4 => Operand::Value(self.string()?),
            unknown => return Err(CodecError::Unknown(unknown)),
        };
        Ok(Compare { interval: self.interval()?, result, operand })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..20)
    }

    fn interval() -> impl Strategy<Value = Interval> {
        (bytes(), bytes()).prop_map(|(key, range_end)| Interval { key, range_end })
    }

    fn put() -> impl Strategy<Value = Put> {
        let flags = any::<(bool, bool, bool)>();
        (bytes(), bytes(), any::<i64>(), flags).prop_map(|(key, value, lease, flags)| {
            let (prev_kv, ignore_value, ignore_lease) = flags;
            Put { key, value, lease, prev_kv, ignore_value, ignore_lease }
        })
    }

    fn range() -> impl Strategy<Value = Range> {
        let order =
            prop::sample::select(vec![SortOrder::None, SortOrder::Ascend, SortOrder::Descend]);
        let target = prop::sample::select(vec![
            SortTarget::Key,
            SortTarget::Version,
            SortTarget::Create,
            SortTarget::Mod,
            SortTarget::Value,
        ]);
        let numbers = prop::array::uniform6(prop_oneof![Just(0), any::<i64>()]);
        let flags = any::<(bool, bool, bool)>();
        (interval(), order, target, numbers, flags).prop_map(
            |(interval, sort_order, sort_target, numbers, flags)| Range {
                interval,
                sort_order,
                sort_target,
                limit: numbers[0],
                revision: numbers[1],
                min_mod_revision: numbers[2],
                max_mod_revision: numbers[3],
                min_create_revision: numbers[4],
                max_create_revision: numbers[5],
                serializable: flags.0,
                keys_only: flags.1,
                count_only: flags.2,
            },
        )
    }

    fn delete_range() -> impl Strategy<Value = DeleteRange> {
        (interval(), any::<bool>())
            .prop_map(|(interval, prev_kv)| DeleteRange { interval, prev_kv })
    }

    fn compare() -> impl Strategy<Value = Compare> {
        let result = prop::sample::select(vec![
            CompareResult::Equal,
            CompareResult::Greater,
            CompareResult::Less,
            CompareResult::NotEqual,
        ]);
        let operand = prop_oneof![
            any::<i64>().prop_map(Operand::Version),
            any::<i64>().prop_map(Operand::Create),
            any::<i64>().prop_map(Operand::Mod),
            any::<i64>().prop_map(Operand::Lease),
            bytes().prop_map(Operand::Value),
        ];
        (interval(), result, operand).prop_map(|(interval, result, operand)| Compare {
            interval,
            result,
            operand,
        })
    }

    fn txn() -> impl Strategy<Value = Txn> {
        let flat = prop_oneof![
            put().prop_map(RequestOp::Put),
            range().prop_map(RequestOp::Range),
            delete_range().prop_map(RequestOp::DeleteRange),
        ];
        let op = flat.prop_recursive(3, 20, 4, |op| {
            let ops = prop::collection::vec(op, 0..4);
            (prop::collection::vec(compare(), 0..3), ops.clone(), ops).prop_map(
                |(compares, success, failure)| RequestOp::Txn(Txn { compares, success, failure }),
            )
        });
        let ops = prop::collection::vec(op, 0..4);
        (prop::collection::vec(compare(), 0..3), ops.clone(), ops)
            .prop_map(|(compares, success, failure)| Txn { compares, success, failure })
    }

    fn alarm() -> impl Strategy<Value = Alarm> {
        let kind = prop::sample::select(AlarmKind::ALL.to_vec());
        (kind, any::<u64>()).prop_map(|(kind, member)| Alarm { kind, member })
    }

    fn request() -> impl Strategy<Value = Request> {
        prop_oneof![
            put().prop_map(Request::Put),
            range().prop_map(Request::Range),
            delete_range().prop_map(Request::DeleteRange),
            txn().prop_map(Request::Txn),
            any::<i64>().prop_map(|revision| Request::Compact { revision }),
            any::<(i64, i64)>().prop_map(|(id, ttl_s)| Request::LeaseGrant { id, ttl_s }),
            any::<i64>().prop_map(|id| Request::LeaseRevoke { id }),
            any::<(i64, bool)>().prop_map(|(id, keys)| Request::LeaseTimeToLive { id, keys }),
            Just(Request::Leases),
            alarm().prop_map(Request::AlarmActivate),
            alarm().prop_map(Request::AlarmDeactivate),
            Just(Request::Alarms),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(request in request()) {
            prop_assert_eq!(decode(&encode(&request)), Ok(request));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(tag in 0u8..14, bytes in any::<Vec<u8>>()) {
            let bytes = [vec![tag], bytes].concat();
            if let Ok(request) = decode(&bytes) {
                prop_assert_eq!(decode(&encode(&request)), Ok(request));
            }
        }

        #[test]
        fn every_beginning_of_a_request_is_refused(request in request(), cut in 0.0..1.0) {
            let bytes = encode(&request);
            let cut = (bytes.len() as f64 * cut) as usize;
            prop_assert!(decode(&bytes[..cut]).is_err());
        }
    }

    /// What older logs hold.
    #[test]
    fn the_tags_of_older_logs_stay_what_they_were() {
        for (bytes, request) in [
            (&[COMPACT, 5, 0, 0, 0, 0, 0, 0, 0][..], Request::Compact { revision: 5 }),
            (&[LEASE_REVOKE, 7, 0, 0, 0, 0, 0, 0, 0], Request::LeaseRevoke { id: 7 }),
            (&[1, 0, 1, 0, 0, 0, b'k', 1, 0, 0, 0, b'v'], Request::put("k", "v")),
        ] {
            assert_eq!(decode(bytes), Ok(request));
        }
        assert_eq!([COMPACT, LEASE_GRANT, LEASE_REVOKE], [5, 6, 7]);
    }

    #[test]
    fn an_alarm_of_no_kind_is_refused() {
        for number in [0, 3] {
            let bytes = [&[ALARM_ACTIVATE, number][..], &[0; 8]].concat();
            assert_eq!(decode(&bytes), Err(CodecError::Unknown(number)));
        }
    }

    #[test]
    fn endless_nesting_is_refused() {
        // No comparisons, one step that is a transaction: again and again.
        let bytes = [TXN, 0, 0, 0, 0, 1, 0, 0, 0].repeat(100_000);
        assert_eq!(decode(&bytes), Err(CodecError::TooDeep));
    }
}
