//! The levers of [system], of an arm or of a ladder step, laid over the levers they start from.

use super::field::{Field, Words};
use super::section::Section;
use crate::scenario::findings::Findings;
use crate::scenario::problem::quoted;
use crate::scenario::raw::Value;
use crate::scenario::source::Place;
use crate::scenario::spec::{
    self, Apply, ApplyOn, Batch, CommitPublish, Connections, Consistency, Engine, Etcd, Fsync,
    Layer, Linger, Propose, Reads, ShardLayout, StateSync, System,
};
use crate::units::{ByteSize, Nanos, parse_nanos};

const LAYER: Words<Layer> =
    Words { allowed: Layer::WORDS, planned: &[], from_word: Layer::from_word };
const ENGINE: Words<Engine> =
    Words { allowed: Engine::WORDS, planned: &[], from_word: Engine::from_word };
const STATE_SYNC: Words<StateSync> =
    Words { allowed: StateSync::WORDS, planned: &[], from_word: StateSync::from_word };
const APPLY: Words<Apply> =
    Words { allowed: Apply::WORDS, planned: &[], from_word: Apply::from_word };
const SHARD_LAYOUT: Words<ShardLayout> =
    Words { allowed: ShardLayout::WORDS, planned: &[], from_word: ShardLayout::from_word };
const APPLY_ON: Words<ApplyOn> =
    Words { allowed: ApplyOn::WORDS, planned: &[], from_word: ApplyOn::from_word };
const PROPOSE: Words<Propose> =
    Words { allowed: Propose::WORDS, planned: &[], from_word: Propose::from_word };
const COMMIT_PUBLISH: Words<CommitPublish> =
    Words { allowed: CommitPublish::WORDS, planned: &[], from_word: CommitPublish::from_word };
const READS: Words<Reads> =
    Words { allowed: Reads::WORDS, planned: &[], from_word: Reads::from_word };
const CONSISTENCY: Words<Consistency> =
    Words { allowed: Consistency::WORDS, planned: &[], from_word: Consistency::from_word };

/// Levers that do something where there is a log only.
const WITH_LOG: [&str; 7] =
    ["apply_on", "propose", "batch", "commit_publish", "fsync", "reads", "consistency"];

/// Levers that do something with batches only, which the store layer has none of.
const NOT_IN_STORE: [&str; 1] = ["apply_workers"];

/// Levers that etcd has as well; the last two only where it is started for the trial.
const OF_ETCD: [&str; 6] =
    ["layer", "connections", "etcd", "consistency", "nodes", "auto_compaction"];

/// Longest URL, path or name in an `etcd` table.
const TEXT_BYTES_MAX: usize = 1024;
/// Most servers that are named.
const ENDPOINTS_MAX: usize = 16;

/// A lever that was typed, and where.
#[derive(Clone, Copy)]
pub(super) struct Typed {
    /// Its key.
    pub(super) lever: &'static str,
    /// Where the key stands.
    pub(super) place: Place,
}

/// Reads the levers in `section` over `system` and returns which were typed.
pub(super) fn read(
    mut section: Section<'_>,
    system: &mut System,
    findings: &mut Findings,
) -> Vec<Typed> {
    let mut reader = Reader { section: &mut section, typed: Vec::new(), findings };
    reader.lever("layer", &mut system.layer, |field, findings| field.word(&LAYER, findings));
    reader.lever("engine", &mut system.engine, |field, findings| field.word(&ENGINE, findings));
    reader.lever("state_sync", &mut system.state_sync, |field, findings| {
        field.word(&STATE_SYNC, findings)
    });
    reader.lever("nodes", &mut system.nodes, nodes);
    reader.lever("apply", &mut system.apply, |field, findings| field.word(&APPLY, findings));
    reader.lever("shards", &mut system.shards, shards);
    reader.lever("shard_layout", &mut system.shard_layout, |field, findings| {
        field.word(&SHARD_LAYOUT, findings)
    });
    reader
        .lever("apply_on", &mut system.apply_on, |field, findings| field.word(&APPLY_ON, findings));
    reader.lever("apply_workers", &mut system.apply_workers, |field, findings| {
        field.count32(1..=64, findings)
    });
    reader.lever("auto_compaction", &mut system.auto_compaction, |field, findings| {
        field.count(0..=1_000_000_000_000, findings)
    });
    reader.lever("propose", &mut system.propose, |field, findings| field.word(&PROPOSE, findings));
    let start = system.batch;
    reader.lever("batch", &mut system.batch, |field, findings| batch(field, start, findings));
    reader.lever("commit_publish", &mut system.commit_publish, |field, findings| {
        field.word(&COMMIT_PUBLISH, findings)
    });
    reader.lever("fsync", &mut system.fsync, fsync);
    reader.lever("reads", &mut system.reads, |field, findings| field.word(&READS, findings));
    reader.lever("consistency", &mut system.consistency, |field, findings| {
        field.word(&CONSISTENCY, findings)
    });
    reader.lever("instruments", &mut system.instruments, Field::flag);
    reader.lever("lock_profile", &mut system.lock_profile, Field::flag);
    reader.lever("connections", &mut system.connections, connections);
    reader.lever("etcd", &mut system.etcd, etcd);
    let typed = reader.typed;
    section.finish(findings);
    typed
}

/// Reports connections that were typed for `systems` and are more than a server here takes: it would keep the rest waiting.
pub(super) fn report_crowded(
    typed: &[Typed],
    meant: Connections,
    systems: &[&System],
    room: Option<u32>,
    findings: &mut Findings,
) {
    let (Connections::Count(count), Some(room)) = (meant, room) else { return };
    let is_theirs = |system: &&System| system.layer == Layer::Rpc && system.connections == meant;
    let typed = typed.iter().find(|typed| typed.lever == "connections");
    if let Some(typed) = typed
        && count > room
        && systems.iter().any(is_theirs)
    {
        let message =
            format!("connections is {count}; allowed: 1 to {room} here, or \"per-client\"");
        findings.wrong(typed.place, message, HINT_ROOM);
    }
}

/// Why a server takes no more connections.
pub(super) const HINT_ROOM: &str =
    "a server takes as many connections as open files leave: ulimit -n, or fewer connections";

/// Reports levers that were typed although none of `layers` makes anything of them.
pub(super) fn report_ignored(typed: &[Typed], layers: &[Layer], findings: &mut Findings) {
    for typed in typed {
        let better: Option<Vec<_>> =
            layers.iter().map(|layer| Some((layer, better(typed.lever, *layer)?))).collect();
        if let Some((layer, better)) = better.and_then(|better| better.first().copied()) {
            let message = format!("layer `{layer}` ignores `{}`", typed.lever);
            let hint = format!("leave it out, or use layer = \"{better}\"");
            findings.wrong(typed.place, message, hint);
        }
    }
}

/// A layer that makes something of `lever`, if `layer` does not.
fn better(lever: &str, layer: Layer) -> Option<Layer> {
    match layer {
        Layer::Store | Layer::Apply | Layer::Raft if lever == "connections" => Some(Layer::Rpc),
        Layer::Store | Layer::Apply | Layer::Raft | Layer::Rpc if lever == "etcd" => {
            Some(Layer::Etcd)
        }
        Layer::Store | Layer::Apply if WITH_LOG.contains(&lever) => Some(Layer::Raft),
        Layer::Store if NOT_IN_STORE.contains(&lever) => Some(Layer::Apply),
        Layer::Rpc if lever == "instruments" || lever == "lock_profile" => Some(Layer::Raft),
        Layer::Etcd if !OF_ETCD.contains(&lever) => Some(Layer::Rpc),
        _ => None,
    }
}

/// Reports levers that were typed for `systems` although none of these makes anything of them.
pub(super) fn report_idle(typed: &[Typed], systems: &[&System], findings: &mut Findings) {
    for typed in typed {
        let idle: Option<Vec<_>> = systems.iter().map(|system| idle(typed.lever, system)).collect();
        if let Some((ignoring, hint)) = idle.and_then(|idle| idle.first().copied()) {
            let message = format!("{ignoring} ignores `{}`", typed.lever);
            findings.wrong(typed.place, message, hint);
        }
    }
}

/// Who ignores `lever` in `system`, and what to do about it.
fn idle(lever: &str, system: &System) -> Option<(&'static str, &'static str)> {
    match lever {
        "state_sync" if system.engine == Engine::Memory => Some((
            "engine `memory`",
            "use engine = \"rocksdb\", or leave it out: what is in memory is not synced",
        )),
        "apply_workers" if system.apply == Apply::GlobalMutex && system.apply_workers > 1 => {
            Some(("apply `global-mutex`", "use apply = \"sharded\", or leave it out"))
        }
        "shard_layout"
            if system.apply == Apply::GlobalMutex && system.shard_layout == ShardLayout::Packed =>
        {
            Some(("apply `global-mutex`", "use apply = \"sharded\", or leave it out"))
        }
        "lock_profile" if system.lock_profile && !system.instruments => {
            Some(("an arm with instruments = false", "leave its instruments on, or leave it out"))
        }
        "reads" if system.reads == Reads::Lease && system.nodes == 1 => Some((
            "a node on its own",
            "use nodes = 3, or leave it out: it is its own quorum, so reads ask nobody anyway",
        )),
        "nodes" | "auto_compaction"
            if system.layer == Layer::Etcd && !system.etcd.endpoints.is_empty() =>
        {
            Some(("an etcd that runs already", "leave it out: the servers are as they are"))
        }
        _ => None,
    }
}

struct Reader<'r, 'a> {
    section: &'r mut Section<'a>,
    typed: Vec<Typed>,
    findings: &'r mut Findings,
}

impl<'a> Reader<'_, 'a> {
    /// Sets `target` if `lever` was typed and can be read.
    fn lever<T>(
        &mut self,
        lever: &'static str,
        target: &mut T,
        read: impl FnOnce(&Field<'a>, &mut Findings) -> Option<T>,
    ) {
        let Some(field) = self.section.take(lever) else { return };
        self.typed.push(Typed { lever, place: field.key_place });
        if let Some(value) = read(&field, self.findings) {
            *target = value;
        }
    }
}

fn nodes(field: &Field<'_>, findings: &mut Findings) -> Option<u8> {
    let count = field.count(0..=u64::MAX, findings)?;
    let found = [1, 3, 5].into_iter().find(|size| u64::from(*size) == count);
    if found.is_none() {
        let message = format!("{} is {count}; allowed: 1, 3 and 5", field.name);
        findings.wrong(
            field.place,
            message,
            "an even number stands no more failures than the odd one below",
        );
    }
    found
}

fn connections(field: &Field<'_>, findings: &mut Findings) -> Option<Connections> {
    match field.value {
        Value::Text(text) if text == &Connections::PerClient.to_string() => {
            Some(Connections::PerClient)
        }
        Value::Text(text) if text.parse::<f64>().is_err() => {
            let (name, shown) = (&field.name, quoted(text));
            let message = format!("{name} is \"{shown}\"; allowed: 1 to 10000, or \"per-client\"");
            findings.wrong(field.place, message, "clients share connections in turn");
            None
        }
        _ => field.count32(1..=10_000, findings).map(Connections::Count),
    }
}

fn etcd(field: &Field<'_>, findings: &mut Findings) -> Option<Etcd> {
    let mut section = field.section(findings)?;
    let endpoints = section.take("endpoints").and_then(|field| endpoints(&field, findings));
    let mut text = |key| section.take(key).and_then(|field| short(&field, findings));
    let etcd = Etcd {
        endpoints: endpoints.unwrap_or_default(),
        ca_file: text("ca_file"),
        cert_file: text("cert_file"),
        key_file: text("key_file"),
        user: text("user"),
        password_env: text("password_env"),
    };
    for (one, other, has_one, has_other) in [
        ("cert_file", "key_file", etcd.cert_file.is_some(), etcd.key_file.is_some()),
        ("user", "password_env", etcd.user.is_some(), etcd.password_env.is_some()),
    ] {
        if has_one != has_other {
            let (there, absent) = if has_one { (one, other) } else { (other, one) };
            let message = format!("{} has `{there}` without `{absent}`", field.name);
            findings.wrong(field.place, message, "they belong together");
        }
    }
    if etcd.endpoints.is_empty() && etcd != Etcd::default() {
        let message = format!("{} has no endpoints", field.name);
        let hint = "name the servers that the rest is for, or leave all of it out: then etcd is started for each trial";
        findings.wrong(field.place, message, hint);
    }
    section.finish(findings);
    Some(etcd)
}

fn endpoints(field: &Field<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let items = field.list(findings)?;
    if items.len() > ENDPOINTS_MAX {
        let message =
            format!("{} has {} servers; allowed: up to {ENDPOINTS_MAX}", field.name, items.len());
        findings.wrong(field.place, message, "");
        return None;
    }
    items.iter().map(|item| endpoint(item, findings)).collect()
}

fn endpoint(field: &Field<'_>, findings: &mut Findings) -> Option<String> {
    let text = short(field, findings)?;
    let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let port = rest.and_then(|rest| rest.rsplit_once(':')?.1.parse::<u16>().ok());
    if port.is_none() {
        let message = format!("{} is \"{}\", which is no endpoint", field.name, quoted(&text));
        findings.wrong(field.place, message, "write \"http://127.0.0.1:2379\"");
    }
    port.map(|_| text)
}

fn short(field: &Field<'_>, findings: &mut Findings) -> Option<String> {
    let text = field.text(findings)?;
    let is_good = (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
    if !is_good {
        let message = format!(
            "{} has {} bytes; allowed: 1 to {TEXT_BYTES_MAX}, no control characters",
            field.name,
            text.len()
        );
        findings.wrong(field.place, message, "");
    }
    is_good.then(|| text.to_owned())
}

fn shards(field: &Field<'_>, findings: &mut Findings) -> Option<u32> {
    let count = field.count32(1..=65_536, findings)?;
    if !count.is_power_of_two() {
        let message = format!("{} is {count}; allowed: powers of two from 1 to 65536", field.name);
        findings.wrong(
            field.place,
            message,
            format!("the next one is {}", count.next_power_of_two()),
        );
    }
    count.is_power_of_two().then_some(count)
}

fn batch(field: &Field<'_>, start: Batch, findings: &mut Findings) -> Option<Batch> {
    let mut section = field.section(findings)?;
    let mut batch = start;
    if let Some(field) = section.take("ops_max") {
        batch.ops_max = field.count32(1..=65_536, findings).unwrap_or(batch.ops_max);
    }
    if let Some(field) = section.take("bytes_max") {
        let allowed = ByteSize(1 << 10)..=ByteSize(64 << 20);
        batch.bytes_max = field.size(allowed, findings).unwrap_or(batch.bytes_max);
    }
    if let Some(field) = section.take("linger") {
        batch.linger = linger(&field, findings).unwrap_or(batch.linger);
    }
    if let Some(field) = section.take("in_flight") {
        batch.in_flight = field.count32(1..=1024, findings).unwrap_or(batch.in_flight);
    }
    section.finish(findings);
    Some(batch)
}

fn linger(field: &Field<'_>, findings: &mut Findings) -> Option<Linger> {
    const FORMS: &str = "write \"0s\" (never wait), \"ticker:5ms\" (a fixed beat), \"armed:1ms\" (after the first request) or \"siblings:50us\" (for whoever was just answered)";
    let text = field.text(findings)?;
    match text.split_once(':') {
        Some((kind, span)) if Linger::of(kind, Nanos::ZERO).is_some() => {
            Linger::of(kind, suffix(field, span, spec::LINGER, findings)?)
        }
        None if parse_nanos(text) == Ok(Nanos::ZERO) => Some(Linger::None),
        _ => {
            let message =
                format!("{} is \"{}\"; it does not say how to wait", field.name, quoted(text));
            findings.wrong(field.place, message, FORMS);
            None
        }
    }
}

fn fsync(field: &Field<'_>, findings: &mut Findings) -> Option<Fsync> {
    let text = field.text(findings)?;
    match (text, text.strip_prefix("delay:")) {
        ("real", _) => Some(Fsync::Real),
        ("off", _) => Some(Fsync::Off),
        (_, Some(span)) => suffix(field, span, spec::FSYNC_DELAY, findings).map(Fsync::Delay),
        _ => {
            let (name, shown) = (&field.name, quoted(text));
            let message = format!("{name} is \"{shown}\"; allowed: real, off, delay:<time>");
            findings.wrong(
                field.place,
                message,
                "a delay models another disk, e.g. \"delay:22ms\"",
            );
            None
        }
    }
}

/// Reads the time behind the colon of `field`.
fn suffix(
    field: &Field<'_>,
    span: &str,
    (least, most): (Nanos, Nanos),
    findings: &mut Findings,
) -> Option<Nanos> {
    let value = Value::Text(span.to_owned());
    Field { name: field.name.clone(), value: &value, ..*field }.time(least..=most, findings)
}
