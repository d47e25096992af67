//! Every operation of a history, with all that was asked and answered. An invocation's `:value` is the request, that of an `:ok` the
//! answer; what is not there has its usual value. A refusal by the store is `:fail` with its words, since it changed nothing.

use super::text::quoted;
use super::turns::{Span, Turn, by_time};
use crate::model::{
    Alarm, Body, Compare, CompareResult, Interval, KeyValue, OpResponse, Operand, Put, Range,
    Request, RequestOp, Response, SortOrder, Txn,
};
use crate::verify::history::{Operation, Outcome};
use std::io::{self, Write};

/// A map per record and line.
pub(super) fn write(out: &mut impl Write, history: &[Operation]) -> io::Result<()> {
    let span = |one: &Operation| Span {
        process: one.client,
        invoked: one.invoked.0,
        returned: (!one.is_unknown()).then_some(one.returned.0),
    };
    let spans: Vec<Span> = history.iter().map(span).collect();
    for (index, turn) in by_time(&spans).into_iter().enumerate() {
        let Turn { at, operation, is_begin } = turn;
        let operation = &history[operation];
        let (f, asked) = request(&operation.request);
        let (kind, value, error) = match (&operation.outcome, is_begin) {
            (_, true) => ("invoke", asked, None),
            (Outcome::Done(Response { revision, result: Ok(body) }), false) => {
                ("ok", answer(*revision, body), None)
            }
            (Outcome::Done(Response { revision, result: Err(refusal) }), false) => {
                let words = Map::new().number("revision", *revision);
                ("fail", words.0, Some(quoted(refusal.to_string().as_bytes())))
            }
            (Outcome::Refused, false) => ("fail", asked, Some(":not-proposed".to_owned())),
            (Outcome::Unknown, false) => ("info", asked, Some(":no-answer".to_owned())),
        };
        let error = error.map_or_else(String::new, |error| format!(", :error {error}"));
        writeln!(
            out,
            "{{:index {index}, :time {at}, :type :{kind}, :process {}, :f :{f}, :value {{{value}}}{error}}}",
            operation.client
        )?;
    }
    Ok(())
}

/// The inside of a map, in the order in which it was told.
struct Map(String);

impl Map {
    fn new() -> Map {
        Map(String::new())
    }

    fn with(mut self, name: &str, value: &str) -> Map {
        let between = if self.0.is_empty() { "" } else { ", " };
        self.0.push_str(&format!("{between}:{name} {value}"));
        self
    }

    fn bytes(self, name: &str, value: &[u8]) -> Map {
        self.with(name, &quoted(value))
    }

    fn number(self, name: &str, value: i64) -> Map {
        self.with(name, &value.to_string())
    }

    /// Left out if it is nothing special.
    fn unless_zero(self, name: &str, value: i64) -> Map {
        if value == 0 { self } else { self.number(name, value) }
    }

    fn flag(self, name: &str, is_on: bool) -> Map {
        if is_on { self.with(name, "true") } else { self }
    }

    fn interval(self, interval: &Interval) -> Map {
        let map = self.bytes("key", &interval.key);
        if interval.is_point() { map } else { map.bytes("range-end", &interval.range_end) }
    }

    fn each<T>(self, name: &str, all: &[T], one: impl Fn(&T) -> String) -> Map {
        let all: Vec<String> = all.iter().map(|each| format!("{{{}}}", one(each))).collect();
        self.with(name, &format!("[{}]", all.join(" ")))
    }
}

fn request(request: &Request) -> (&'static str, String) {
    let alarm = |alarm: &Alarm| {
        Map::new().with("kind", &kind(*alarm)).with("member", &alarm.member.to_string()).0
    };
    match request {
        Request::Put(one) => ("put", put(one)),
        Request::Range(one) => ("range", range(one)),
        Request::DeleteRange(one) => {
            ("delete-range", Map::new().interval(&one.interval).flag("prev-kv", one.prev_kv).0)
        }
        Request::Txn(one) => ("txn", txn(one)),
        Request::Compact { revision } => ("compact", Map::new().number("revision", *revision).0),
        Request::LeaseGrant { id, ttl_s } => {
            ("lease-grant", Map::new().number("id", *id).number("ttl-s", *ttl_s).0)
        }
        Request::LeaseRevoke { id } => ("lease-revoke", Map::new().number("id", *id).0),
        Request::LeaseTimeToLive { id, keys } => {
            ("lease-time-to-live", Map::new().number("id", *id).flag("keys", *keys).0)
        }
        Request::Leases => ("leases", String::new()),
        Request::AlarmActivate(one) => ("alarm-activate", alarm(one)),
        Request::AlarmDeactivate(one) => ("alarm-deactivate", alarm(one)),
        Request::Alarms => ("alarms", String::new()),
    }
}

fn kind(alarm: Alarm) -> String {
    format!(":{:?}", alarm.kind).to_lowercase()
}

fn put(put: &Put) -> String {
    let map = Map::new().bytes("key", &put.key);
    let map = if put.ignore_value { map } else { map.bytes("value", &put.value) };
    map.unless_zero("lease", put.lease)
        .flag("prev-kv", put.prev_kv)
        .flag("ignore-value", put.ignore_value)
        .flag("ignore-lease", put.ignore_lease)
        .0
}

fn range(range: &Range) -> String {
    let map = Map::new()
        .interval(&range.interval)
        .unless_zero("limit", range.limit)
        .unless_zero("revision", range.revision.max(0));
    let map = match range.sort_order {
        SortOrder::None => map,
        order => map
            .with("sort-order", &format!(":{order:?}").to_lowercase())
            .with("sort-target", &format!(":{:?}", range.sort_target).to_lowercase()),
    };
    map.flag("serializable", range.serializable)
        .flag("keys-only", range.keys_only)
        .flag("count-only", range.count_only)
        .unless_zero("min-mod-revision", range.min_mod_revision)
        .unless_zero("max-mod-revision", range.max_mod_revision)
        .unless_zero("min-create-revision", range.min_create_revision)
        .unless_zero("max-create-revision", range.max_create_revision)
        .0
}

fn txn(txn: &Txn) -> String {
    Map::new()
        .each("compare", &txn.compares, compare)
        .each("success", &txn.success, step)
        .each("failure", &txn.failure, step)
        .0
}

fn step(step: &RequestOp) -> String {
    let (f, value) = match step {
        RequestOp::Put(one) => ("put", put(one)),
        RequestOp::Range(one) => ("range", range(one)),
        RequestOp::DeleteRange(one) => {
            ("delete-range", Map::new().interval(&one.interval).flag("prev-kv", one.prev_kv).0)
        }
        RequestOp::Txn(one) => ("txn", txn(one)),
    };
    Map::new().with(f, &format!("{{{value}}}")).0
}

fn compare(compare: &Compare) -> String {
    let result = match compare.result {
        CompareResult::Equal => ":=",
        CompareResult::Greater => ":>",
        CompareResult::Less => ":<",
        CompareResult::NotEqual => ":not=",
    };
    let map = Map::new().interval(&compare.interval).with("is", result);
    match &compare.operand {
        Operand::Version(number) => map.number("version", *number),
        Operand::Create(number) => map.number("create-revision", *number),
        Operand::Mod(number) => map.number("mod-revision", *number),
        Operand::Value(value) => map.bytes("value", value),
        Operand::Lease(number) => map.number("lease", *number),
    }
    .0
}

fn answer(revision: i64, body: &Body) -> String {
    told(Map::new().number("revision", revision), body).0
}

fn told(map: Map, body: &Body) -> Map {
    match body {
        Body::Put { prev_kv: Some(kv) } => map.with("prev-kv", &format!("{{{}}}", key_value(kv))),
        Body::Put { prev_kv: None } | Body::Compact | Body::LeaseRevoke => map,
        Body::Range(found) => map
            .each("kvs", &found.kvs, key_value)
            .number("count", found.count)
            .flag("more", found.more),
        Body::DeleteRange { deleted, prev_kvs } => {
            map.number("deleted", *deleted).each("prev-kvs", prev_kvs, key_value)
        }
        Body::Txn { succeeded, responses } => map
            .with("succeeded", if *succeeded { "true" } else { "false" })
            .each("responses", responses, |OpResponse { revision, body }| answer(*revision, body)),
        Body::LeaseGrant { id, ttl_s } => map.number("id", *id).number("ttl-s", *ttl_s),
        Body::LeaseTimeToLive(status) => map
            .number("id", status.id)
            .number("granted-ttl-s", status.granted_ttl_s)
            .each("keys", &status.keys, |key| Map::new().bytes("key", key).0),
        Body::Leases(ids) => map.each("leases", ids, |id| Map::new().number("id", *id).0),
        Body::Alarms(alarms) => map.each("alarms", alarms, |alarm| {
            Map::new().with("kind", &kind(*alarm)).with("member", &alarm.member.to_string()).0
        }),
    }
}

fn key_value(kv: &KeyValue) -> String {
    Map::new()
        .bytes("key", &kv.key)
        .bytes("value", &kv.value)
        .number("create-revision", kv.create_revision)
        .number("mod-revision", kv.mod_revision)
        .number("version", kv.version)
        .unless_zero("lease", kv.lease)
        .0
}
