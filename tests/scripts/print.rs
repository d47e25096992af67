//! Answers as scripts show them.

use kvbench::model::{Alarm, Body, Event, EventKind, KeyValue, RangeResult, Response};
use kvbench::store::Dump;

pub(crate) fn response(response: &Response) -> String {
    let answer = match &response.result {
        Ok(body_of) => body(body_of),
        Err(refusal) => format!("refused: {refusal}"),
    };
    format!("rev {}: {answer}", response.revision)
}

fn body(body_of: &Body) -> String {
    match body_of {
        Body::Put { prev_kv: None } => "put".to_owned(),
        Body::Put { prev_kv: Some(prev) } => format!("put, was {}", key_value(prev)),
        Body::Range(result) => range(result),
        Body::DeleteRange { deleted, prev_kvs } => match prev_kvs.is_empty() {
            true => format!("deleted {deleted}"),
            false => format!("deleted {deleted}, were {}", key_values(prev_kvs)),
        },
        Body::Txn { succeeded, responses } => {
            let steps =
                responses.iter().map(|step| format!("{}: {}", step.revision, body(&step.body)));
            let list = if *succeeded { "then" } else { "else" };
            format!("{list} ({})", steps.collect::<Vec<_>>().join("; "))
        }
        Body::Compact => "compacted".to_owned(),
        Body::LeaseGrant { id, ttl_s } => format!("granted {id} for {ttl_s} s"),
        Body::LeaseRevoke => "revoked".to_owned(),
        Body::LeaseTimeToLive(status) => {
            let keys: Vec<_> = status.keys.iter().map(|key| text(key)).collect();
            format!("lease {} ttl {} keys [{}]", status.id, status.granted_ttl_s, keys.join(" "))
        }
        Body::Leases(ids) => format!("leases {ids:?}"),
        Body::Alarms(alarms) => {
            let alarms: Vec<_> = alarms.iter().map(|alarm| alarm_text(*alarm)).collect();
            format!("alarms [{}]", alarms.join(", "))
        }
    }
}

fn range(result: &RangeResult) -> String {
    let more = if result.more { " and more" } else { "" };
    format!("{}{more}, count {}", key_values(&result.kvs), result.count)
}

fn key_values(kvs: &[KeyValue]) -> String {
    let kvs: Vec<_> = kvs.iter().map(key_value).collect();
    format!("[{}]", kvs.join(", "))
}

/// `key=value create/mod/version`, and the lease if there is one.
fn key_value(kv: &KeyValue) -> String {
    let numbers = format!("{}/{}/{}", kv.create_revision, kv.mod_revision, kv.version);
    let lease = if kv.lease == 0 { String::new() } else { format!(" lease {}", kv.lease) };
    format!("{}={} {numbers}{lease}", text(&kv.key), text(&kv.value))
}

pub(crate) fn event(event: &Event) -> String {
    let prev =
        event.prev_kv.as_ref().map_or(String::new(), |prev| format!(", was {}", key_value(prev)));
    match event.kind {
        EventKind::Put => format!("{} PUT {}{prev}", event.revision(), key_value(&event.kv)),
        EventKind::Delete => format!("{} DELETE {}{prev}", event.revision(), text(&event.kv.key)),
    }
}

pub(crate) fn dump(dump: &Dump) -> Vec<String> {
    let mut lines = vec![format!("revision {} compacted {}", dump.revision, dump.compacted)];
    lines.extend(dump.keys.iter().map(key_value));
    lines.extend(dump.leases.iter().map(|lease| {
        let keys: Vec<_> = lease.keys.iter().map(|key| text(key)).collect();
        format!("lease {} ttl {} keys [{}]", lease.id, lease.granted_ttl_s, keys.join(" "))
    }));
    lines.extend(dump.alarms.iter().map(|alarm| format!("alarm {}", alarm_text(*alarm))));
    lines
}

fn alarm_text(alarm: Alarm) -> String {
    format!("{:?} of {}", alarm.kind, alarm.member)
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
