//! The mix of operations: the [[op]] tables, and what they ask of the rest of the file.

use super::field::{Field, Words};
use super::section::Section;
use crate::scenario::findings::Findings;
use crate::scenario::source::Place;
use crate::scenario::spec::{
    Arm, Checks, Consistency, Keys, Op, OpKind, Range, RangeAnswer, TxnKind, Values, WeightedOp,
};
use crate::units::ByteSize;

const WEIGHT_MAX: f64 = 1e6;
const RANGE_KEYS_MAX: u32 = 100_000;
const TXN_KEYS_MAX: u32 = 64;
const LEASE_KEYS_MAX: u32 = 1_000;
/// Room for a balance that holds the money of all accounts.
const BALANCE_MIN: ByteSize = ByteSize(16);
/// What a transaction may hold; etcd refuses more than 1.5 MiB, and keys and compares need room as well.
const TXN_VALUES_MAX: ByteSize = ByteSize(1 << 20);

/// Operations of the etcd API that clients do not send, with the one that does it, if any.
const OPS_ELSEWHERE: [(&str, &str); 8] = [
    ("lease_grant", "write lease_cycle = { keys = 10 }: it grants, puts and revokes"),
    ("lease_revoke", "write lease_cycle = { keys = 10 }: it grants, puts and revokes"),
    ("compact", ""),
    ("watch", ""),
    ("lease_keep_alive", ""),
    ("lease_time_to_live", ""),
    ("lease_leases", ""),
    ("transfer", "write txn = { kind = \"transfer\" }"),
];

const TXN_KIND: Words<TxnKind> =
    Words { allowed: TxnKind::WORDS, planned: &[], from_word: TxnKind::from_word };

/// An operation, and where it was typed.
pub(super) struct Typed {
    weighted: WeightedOp,
    place: Place,
}

/// Reads the [[op]] tables.
pub(super) fn read(root: &mut Section<'_>, findings: &mut Findings) -> Vec<Typed> {
    let Some(field) = root.require("op", "add [[op]] with put = { weight = 1 }", findings) else {
        return Vec::new();
    };
    let start = findings.count();
    let mut ops = Vec::new();
    for section in field.tables(findings) {
        table(section, &mut ops, findings);
    }
    if ops.is_empty() && findings.count() == start {
        let message = "no operation is sent".to_owned();
        findings.wrong(field.place, message, "write put = { weight = 1 }");
    }
    ops
}

/// The operations without their places.
pub(super) fn weighted(ops: &[Typed]) -> Vec<WeightedOp> {
    ops.iter().map(|typed| typed.weighted).collect()
}

/// Under which names their results are told apart, each once.
pub(super) fn kinds(ops: &[Typed]) -> Vec<OpKind> {
    let mut kinds = Vec::new();
    for kind in ops.iter().flat_map(|typed| typed.weighted.op.kinds()) {
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
    }
    kinds
}

fn table(mut section: Section<'_>, ops: &mut Vec<Typed>, findings: &mut Findings) {
    if section.is_empty() {
        let message = "[[op]] names no operation".to_owned();
        findings.wrong(section.place, message, "write put = { weight = 1 }");
    }
    for word in Op::WORDS {
        let Some(field) = section.take(word) else { continue };
        if ops.iter().any(|typed| typed.weighted.op.word() == word) {
            let message = format!("`{word}` is there twice");
            findings.wrong(field.key_place, message, "give each operation once, with one weight");
        } else if let Some(weighted) = op(word, &field, findings) {
            ops.push(Typed { weighted, place: field.key_place });
        }
    }
    for (word, elsewhere) in OPS_ELSEWHERE {
        let Some(field) = section.take_planned(word) else { continue };
        let allowed = format!("allowed: {}", Op::WORDS.join(", "));
        let hint = if elsewhere.is_empty() { allowed } else { elsewhere.to_owned() };
        findings.wrong(field.key_place, format!("there is no operation `{word}`"), hint);
    }
    section.finish(findings);
}

/// One operation; nothing if its table or its weight cannot be read.
fn op(word: &str, field: &Field<'_>, findings: &mut Findings) -> Option<WeightedOp> {
    let mut section = field.section(findings)?;
    let weight = section.take("weight");
    let op = match word {
        "put" => Op::Put,
        "get" => Op::Get,
        "range" => range(&mut section, findings),
        "delete" => Op::Delete,
        "delete_range" => {
            Op::DeleteRange { keys: keys(&mut section, RANGE_KEYS_MAX, findings).unwrap_or(10) }
        }
        "txn" => txn(&mut section, findings),
        _ => Op::LeaseCycle { keys: keys(&mut section, LEASE_KEYS_MAX, findings).unwrap_or(10) },
    };
    section.finish(findings);
    let weight = weight.map_or(Some(1.0), |field| field.positive(WEIGHT_MAX, findings))?;
    Some(WeightedOp { op, weight })
}

fn keys(section: &mut Section<'_>, most: u32, findings: &mut Findings) -> Option<u32> {
    section.take("keys").and_then(|field| field.count32(1..=most, findings))
}

fn range(section: &mut Section<'_>, findings: &mut Findings) -> Op {
    let keys = keys(section, RANGE_KEYS_MAX, findings).unwrap_or(10);
    let limit = section.take("limit").and_then(|field| field.count32(0..=u32::MAX, findings));
    let (keys_only, count_only) = (section.take("keys_only"), section.take("count_only"));
    let mut is_on = |field: &Option<Field<'_>>| {
        field.as_ref().is_some_and(|field| field.flag(findings).unwrap_or(false))
    };
    let answer = match (is_on(&keys_only), is_on(&count_only)) {
        (false, false) => RangeAnswer::Full,
        (true, false) => RangeAnswer::KeysOnly,
        (false, true) => RangeAnswer::CountOnly,
        (true, true) => {
            let place = section.place;
            let message = "an answer that is only a count has no keys".to_owned();
            findings.wrong(place, message, "leave out keys_only or count_only");
            RangeAnswer::CountOnly
        }
    };
    Op::Range(Range { keys, limit: limit.unwrap_or(0), answer })
}

fn txn(section: &mut Section<'_>, findings: &mut Findings) -> Op {
    let hint = "write kind = \"create\", \"cas\" or \"transfer\"";
    let kind = section.require("kind", hint, findings);
    let kind = kind.and_then(|field| field.word(&TXN_KIND, findings)).unwrap_or(TxnKind::Cas);
    let field = section.take("keys");
    let keys = field.as_ref().and_then(|field| field.count32(1..=TXN_KEYS_MAX, findings));
    if let (Some(field), Some(keys), TxnKind::Transfer) = (&field, keys, kind)
        && keys != 2
    {
        let message = format!("{} is {keys}; money moves between 2 accounts", field.name);
        findings.wrong(field.place, message, "write 2, or leave it out");
    }
    let keys = if kind == TxnKind::Transfer { 2 } else { keys.unwrap_or(1) };
    Op::Txn { kind, keys }
}

/// Reports operations that the keys and values are not made for.
pub(super) fn report_misfits(ops: &[Typed], keys: &Keys, values: Values, findings: &mut Findings) {
    for Typed { weighted, place } in ops {
        let op = weighted.op;
        // Leased puts come one at a time and may meet the same key again.
        if !matches!(op, Op::LeaseCycle { .. }) && u64::from(op.keys()) > keys.space {
            let message =
                format!("`{}` of {} keys, but there are {}", op.word(), op.keys(), keys.space);
            findings.wrong(*place, message, "raise keys.space, or take fewer keys");
        }
        let Op::Txn { keys, .. } = op else { continue };
        if let Values::Fixed(size) = values
            && size.0 * u64::from(keys) > TXN_VALUES_MAX.0
        {
            let message = format!("a transaction of {keys} values of {size} is too large");
            findings.wrong(*place, message, format!("{TXN_VALUES_MAX} of values at most"));
        }
    }
    if let Some(transfer) = ops.iter().find(|typed| typed.weighted.op.is_transfer()) {
        report_transfer(transfer.place, ops, keys, values, findings);
    }
}

/// Money can only be counted if every account is there and nothing but transfers writes to it.
fn report_transfer(
    place: Place,
    ops: &[Typed],
    keys: &Keys,
    values: Values,
    findings: &mut Findings,
) {
    if keys.preload != keys.space {
        let message = "transfers need accounts: every key there from the start".to_owned();
        findings.wrong(place, message, "write preload = true in [keys]");
    }
    if !matches!(values, Values::Fixed(size) if size >= BALANCE_MIN) {
        let message = "transfers need values of one size, with room for a balance".to_owned();
        findings.wrong(
            place,
            message,
            format!("write size = \"{BALANCE_MIN}\" or more in [values]"),
        );
    }
    let writes = |typed: &&Typed| !typed.weighted.op.is_read() && !typed.weighted.op.is_transfer();
    for other in ops.iter().filter(writes) {
        let word = other.weighted.op.word();
        let message = format!("`{word}` would overwrite the balances of the transfers");
        findings.wrong(other.place, message, "beside transfers, only get and range go");
    }
}

/// Reads [check].
pub(super) fn checks(
    root: &mut Section<'_>,
    ops: &[Typed],
    keys: &Keys,
    arms: &[Arm],
    findings: &mut Findings,
) -> Checks {
    let mut checks = Checks::default();
    let Some(mut section) = root.take("check").and_then(|field| field.section(findings)) else {
        return checks;
    };
    if let Some(field) = section.take("bank") {
        checks.bank = field.flag(findings).unwrap_or(false);
        if checks.bank && !ops.iter().any(|typed| typed.weighted.op.is_transfer()) {
            let message = "check.bank is true, but no money is moved".to_owned();
            findings.wrong(field.place, message, "add txn = { kind = \"transfer\" } to [[op]]");
        }
    }
    if let Some(field) = section.take("versions") {
        checks.versions = field.flag(findings).unwrap_or(false);
        let others =
            |typed: &&Typed| !matches!(typed.weighted.op, Op::Put | Op::Get | Op::Range(_));
        if checks.versions
            && let Some(other) = ops.iter().find(others)
        {
            let word = other.weighted.op.word();
            let message = format!("check.versions is true, but `{word}` writes without a put");
            findings.wrong(field.place, message, "beside puts, only get and range go");
        } else if checks.versions && keys.preload > 0 {
            let message =
                "check.versions is true, but keys are there before the first put".to_owned();
            findings.wrong(field.place, message, "leave out preload in [keys]");
        }
    }
    if let Some(field) = section.take("leases") {
        checks.leases = field.flag(findings).unwrap_or(false);
        let has_leases = ops.iter().any(|typed| matches!(typed.weighted.op, Op::LeaseCycle { .. }));
        let holds_some = keys.leases > 0 && keys.preload > 0;
        if checks.leases && !has_leases && !holds_some {
            let message = "check.leases is true, but no key is put on a lease".to_owned();
            let hint = "add lease_cycle = { keys = 10 } to [[op]], or leases and preload to [keys]";
            findings.wrong(field.place, message, hint);
        }
    }
    if let Some(field) = section.take("linearizable") {
        checks.linearizable = linearizable(&field, ops, arms, findings);
    }
    section.finish(findings);
    checks
}

/// Whether a few keys are to be questioned. That needs operations that say what they do to each key, and reads that promise to be new.
fn linearizable(field: &Field<'_>, ops: &[Typed], arms: &[Arm], findings: &mut Findings) -> bool {
    let is_on = field.flag(findings).unwrap_or(false);
    let is_told =
        |typed: &&Typed| matches!(typed.weighted.op, Op::Put | Op::Get | Op::Range(_) | Op::Delete);
    let stale = arms.iter().find(|arm| arm.system.consistency == Consistency::Serializable);
    if let Some(other) = ops.iter().find(|typed| !is_told(typed)).filter(|_| is_on) {
        let word = other.weighted.op.word();
        let message =
            format!("check.linearizable is true, but `{word}` is not about one key at a time");
        findings.wrong(field.place, message, "beside it go put, get, delete and range");
    } else if let Some(arm) = stale.filter(|_| is_on) {
        let message = format!(
            "check.linearizable is true, but reads of arm {} may be old: they are serializable",
            arm.name
        );
        findings.wrong(field.place, message, "leave out consistency, or write \"linearizable\"");
    }
    is_on
}
