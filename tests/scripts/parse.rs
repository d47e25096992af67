//! Requests as scripts write them:
//!
//! ```text
//! put KEY VALUE [lease=N] [prev] [ignore_value] [ignore_lease]
//! get KEY [rev=N …]            range KEY END | prefix KEY | from KEY | all   [limit= rev= sort= order= min_mod= …]
//! del KEY [prev]               delrange KEY END [prev]
//! txn if(KEY.mod = 3, [a,c).value != x) then(put a 1; get b) else(txn if() then(del a) else())
//! compact N · grant N ttl=N · revoke N · ttl N [keys] · leases
//! activate KIND member=N · deactivate KIND member=N · alarms   KIND: nospace, corrupt
//! ```
//!
//! A key `""` is empty, `\0` is the zero byte.

use kvbench::model::{
    Alarm, AlarmKind, Compare, CompareResult, DeleteRange, Interval, Operand, Put, Range, Request,
    RequestOp, SortOrder, SortTarget, Txn,
};

type Parsed<T> = Result<T, String>;

/// The request in `text`.
pub(crate) fn request(text: &str) -> Parsed<Request> {
    let words = words(text);
    let (name, rest) = words.split_first().ok_or("an empty request")?;
    let number = || number(rest.first().ok_or("a number is missing")?);
    Ok(match *name {
        "compact" => Request::Compact { revision: number()? },
        "grant" => Request::LeaseGrant { id: number()?, ttl_s: option(rest, "ttl")?.unwrap_or(60) },
        "revoke" => Request::LeaseRevoke { id: number()? },
        "ttl" => Request::LeaseTimeToLive { id: number()?, keys: rest.contains(&"keys") },
        "leases" => Request::Leases,
        "activate" => Request::AlarmActivate(alarm(rest)?),
        "deactivate" => Request::AlarmDeactivate(alarm(rest)?),
        "alarms" => Request::Alarms,
        _ => match op(text)? {
            RequestOp::Put(put) => Request::Put(put),
            RequestOp::Range(range) => Request::Range(range),
            RequestOp::DeleteRange(delete) => Request::DeleteRange(delete),
            RequestOp::Txn(txn) => Request::Txn(txn),
        },
    })
}

fn alarm(words: &[&str]) -> Parsed<Alarm> {
    let kind = match words.first() {
        Some(&"nospace") => AlarmKind::NoSpace,
        Some(&"corrupt") => AlarmKind::Corrupt,
        other => return Err(format!("no kind of alarm {other:?}")),
    };
    Ok(Alarm { kind, member: option(words, "member")?.unwrap_or(0).cast_unsigned() })
}

fn op(text: &str) -> Parsed<RequestOp> {
    let words = words(text);
    let (name, rest) = words.split_first().ok_or("an empty step")?;
    let key = |place: usize| rest.get(place).map(|key| bytes(key)).ok_or("a key is missing");
    let flag = |flag: &str| rest.contains(&flag);
    let interval = match *name {
        "range" | "delrange" => Interval::between(key(0)?, key(1)?),
        "prefix" => Interval::prefix(key(0)?),
        "from" => Interval { key: key(0)?, range_end: vec![0] },
        "all" => Interval::everything(),
        "txn" => Interval::default(),
        _ => Interval::point(key(0)?),
    };
    Ok(match *name {
        "put" => RequestOp::Put(Put {
            key: interval.key,
            value: if flag("ignore_value") { Vec::new() } else { key(1)? },
            lease: option(rest, "lease")?.unwrap_or(0),
            prev_kv: flag("prev"),
            ignore_value: flag("ignore_value"),
            ignore_lease: flag("ignore_lease"),
        }),
        "get" | "range" | "prefix" | "from" | "all" => RequestOp::Range(range(interval, rest)?),
        "del" | "delrange" => {
            RequestOp::DeleteRange(DeleteRange { interval, prev_kv: flag("prev") })
        }
        "txn" => RequestOp::Txn(txn(rest)?),
        name => return Err(format!("no request {name}")),
    })
}

fn range(interval: Interval, words: &[&str]) -> Parsed<Range> {
    let number = |name| Ok::<_, String>(option(words, name)?.unwrap_or(0));
    let word = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
    Ok(Range {
        interval,
        limit: number("limit")?,
        revision: number("rev")?,
        sort_order: match word("order=") {
            None => SortOrder::None,
            Some("asc") => SortOrder::Ascend,
            Some("desc") => SortOrder::Descend,
            Some(other) => return Err(format!("no order {other}")),
        },
        sort_target: match word("sort=") {
            None | Some("key") => SortTarget::Key,
            Some("version") => SortTarget::Version,
            Some("create") => SortTarget::Create,
            Some("mod") => SortTarget::Mod,
            Some("value") => SortTarget::Value,
            Some(other) => return Err(format!("no target {other}")),
        },
        serializable: false,
        keys_only: words.contains(&"keys_only"),
        count_only: words.contains(&"count_only"),
        min_mod_revision: number("min_mod")?,
        max_mod_revision: number("max_mod")?,
        min_create_revision: number("min_create")?,
        max_create_revision: number("max_create")?,
    })
}

fn txn(words: &[&str]) -> Parsed<Txn> {
    let group = |name: &str| {
        let inside = |word: &&str| Some(word.strip_prefix(name)?.strip_prefix('(')?.to_owned());
        let found = words.iter().find_map(inside).unwrap_or_default();
        found.strip_suffix(')').unwrap_or_default().to_owned()
    };
    let ops = |name| -> Parsed<Vec<RequestOp>> {
        split(&group(name), ';').iter().map(|text| op(text)).collect()
    };
    let compares = group("if");
    let compares = split(&compares, ',');
    Ok(Txn {
        compares: compares.iter().map(|text| compare(text)).collect::<Parsed<_>>()?,
        success: ops("then")?,
        failure: ops("else")?,
    })
}

/// `KEY.TARGET RESULT OPERAND`, the key perhaps an interval `[a b)`.
fn compare(text: &str) -> Parsed<Compare> {
    let (subject, rest) = text.trim().rsplit_once('.').ok_or("KEY.TARGET is missing")?;
    let words: Vec<_> = rest.split_whitespace().collect();
    let [target, result, operand] = words.as_slice() else {
        return Err(format!("not a comparison: {text}"));
    };
    let interval = match subject.strip_prefix('[').and_then(|inside| inside.strip_suffix(')')) {
        None => Interval::point(bytes(subject)),
        Some(inside) => {
            let (key, end) = inside.split_once(' ').ok_or("an interval is [a b)")?;
            Interval::between(bytes(key), bytes(end))
        }
    };
    let result = match *result {
        "=" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        "<" => CompareResult::Less,
        ">" => CompareResult::Greater,
        other => return Err(format!("no comparison {other}")),
    };
    let operand = match *target {
        "value" => Operand::Value(bytes(operand)),
        "version" => Operand::Version(number(operand)?),
        "create" => Operand::Create(number(operand)?),
        "mod" => Operand::Mod(number(operand)?),
        "lease" => Operand::Lease(number(operand)?),
        other => return Err(format!("no target {other}")),
    };
    Ok(Compare { interval, result, operand })
}

fn bytes(word: &str) -> Vec<u8> {
    match word {
        "\"\"" => Vec::new(),
        word => word.replace("\\0", "\0").into_bytes(),
    }
}

fn number(word: &str) -> Parsed<i64> {
    word.parse().map_err(|_| format!("{word} is not a number"))
}

fn option(words: &[&str], name: &str) -> Parsed<Option<i64>> {
    let value = words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value.map(number).transpose()
}

/// Words of `text`; what stands in parentheses does not end one.
fn words(text: &str) -> Vec<&str> {
    split(text, ' ')
}

/// Parts of `text` between separators outside of parentheses and brackets, trimmed, without empty ones.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' => depth -= 1,
            letter if letter == separator && depth == 0 => {
                parts.push(&text[from..at]);
                from = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}
