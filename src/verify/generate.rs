//! Random requests that a server would take, thick with the cases where stores go wrong: few keys, so that requests
//! collide; keys that are prefixes of each other or hold bytes that delimiters are made of; leases that come and go; and
//! revisions close to the newest one, where a request that is evaluated early would see the wrong number.

use crate::model::{
    Alarm, AlarmKind, Compare, CompareResult, DeleteRange, Interval, LeaseId, MainRevision,
    Operand, Put, Range, Request, RequestOp, SortOrder, SortTarget, Txn, validate,
};
use crate::seed::Seed;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Transactions within transactions, the outermost counted.
const DEPTH_MAX: u32 = 3;

/// Steps and comparisons that a transaction tries to have, at most.
const STEPS_MAX: usize = 4;
const COMPARES_MAX: usize = 3;

/// How far from the newest revision a comparison's operand lies; only a few requests away, or hopelessly many.
const AHEAD: [MainRevision; 8] = [0, 0, 1, 1, 2, 5, 50, -1];

/// A longer key than this is shortened where it is described.
const SHOWN_BYTES_MAX: usize = 40;

/// How many things the requests are about.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Different keys, 1 or more.
    pub keys: usize,
    /// Different leases that may be granted, 1 or more.
    pub leases: usize,
}

/// What the generator has to know of the store to aim well.
#[derive(Clone, Copy, Debug)]
pub struct Hint {
    /// Newest revision.
    pub revision: MainRevision,
    /// Revision of the last compaction.
    pub compacted: MainRevision,
}

/// An endless list of requests. The same seed, shape and hints give the same one.
pub struct Generator {
    random: ChaCha8Rng,
    /// Ascending, so that neighbours make a narrow interval.
    keys: Vec<Vec<u8>>,
    leases: i64,
    /// An alarm that was raised and is ended soon: what it refuses is of little interest.
    raised: Option<Alarm>,
}

impl Generator {
    /// Starts the list that belongs to `seed`.
    pub fn new(seed: Seed, shape: Shape) -> Generator {
        let mut keys: Vec<Vec<u8>> = odd_keys();
        keys.extend((0..shape.keys).map(|n| format!("k{n:02}").into_bytes()));
        keys.truncate(shape.keys.max(1));
        keys.sort();
        let leases = i64::try_from(shape.leases.max(1)).unwrap_or(i64::MAX - 1);
        let random = seed.stream("oracle-requests", 0);
        Generator { random, keys, leases, raised: None }
    }

    /// The next request; [`crate::model::validate`] accepts it.
    pub fn next(&mut self, hint: Hint) -> Request {
        if let Some(alarm) = self.raised.take_if(|_| self.random.random_range(0..20) == 0) {
            return Request::AlarmDeactivate(alarm);
        }
        match self.random.random_range(0..100) {
            0..35 => Request::Put(self.put(5)),
            35..47 => Request::Range(self.range(hint, 30)),
            47..55 => Request::DeleteRange(self.delete_point()),
            55..58 => Request::DeleteRange(self.delete_interval()),
            58..88 => Request::Txn(self.txn(hint, 1)),
            88..92 => self.grant(),
            92..94 => Request::LeaseRevoke { id: self.lease() },
            94..95 => self.compact(hint),
            95..98 => {
                let keys = self.chance(75);
                Request::LeaseTimeToLive { id: self.lease(), keys }
            }
            98 => Request::Leases,
            _ => self.alarm(),
        }
    }

    fn alarm(&mut self) -> Request {
        let kind = self.one_of(&AlarmKind::ALL, AlarmKind::NoSpace);
        let alarm = Alarm { kind, member: u64::from(self.chance(30)) };
        match self.random.random_range(0..100) {
            0..30 if self.raised.is_none() => {
                self.raised = Some(alarm);
                Request::AlarmActivate(alarm)
            }
            0..80 => Request::AlarmDeactivate(alarm),
            _ => Request::Alarms,
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn one_of<T: Clone>(&mut self, list: &[T], otherwise: T) -> T {
        list.choose(&mut self.random).cloned().unwrap_or(otherwise)
    }

    // The things requests are made of.

    fn key(&mut self) -> Vec<u8> {
        let at = self.key_index();
        self.keys[at].clone()
    }

    fn key_index(&mut self) -> usize {
        self.random.random_range(0..self.keys.len())
    }

    /// Few values, so that comparisons hold now and then.
    fn value(&mut self) -> Vec<u8> {
        match self.random.random_range(0..20) {
            0 => Vec::new(),
            1 => b"\0\xff\0".to_vec(),
            2 => vec![b'v'; 60],
            n => format!("v{}", n % 6).into_bytes(),
        }
    }

    /// Mostly one that may have been granted.
    fn lease(&mut self) -> LeaseId {
        match self.chance(92) {
            true => self.random.random_range(1..=self.leases),
            false => self.one_of(&[0, self.leases + 1, -1, LeaseId::MAX], 0),
        }
    }

    fn interval(&mut self) -> Interval {
        let at = self.key_index();
        let from = self.keys[at].clone();
        match self.random.random_range(0..100) {
            0..50 => {
                let until = at + self.random.random_range(1..5);
                Interval::between(from, self.keys.get(until).cloned().unwrap_or_else(|| vec![0]))
            }
            50..60 => Interval::between(from, self.key()),
            60..70 => Interval::between(from.clone(), [from.as_slice(), b"\0"].concat()),
            70..90 => self.prefix(from),
            90..95 => Interval::between(from, [0]),
            _ => Interval::everything(),
        }
    }

    fn prefix(&mut self, mut key: Vec<u8>) -> Interval {
        let length = self.random.random_range(1..=3);
        key.truncate(length);
        Interval::prefix(key)
    }

    /// A key or several.
    fn target(&mut self) -> Interval {
        match self.chance(40) {
            true => Interval::point(self.key()),
            false => self.interval(),
        }
    }

    /// A revision that can be read.
    fn past(&mut self, hint: Hint) -> MainRevision {
        let oldest = hint.compacted.max(1);
        let newest = hint.revision.max(oldest);
        let recent = (newest - 8).max(oldest);
        match self.chance(50) {
            true => self.random.random_range(recent..=newest),
            false => self.random.random_range(oldest..=newest),
        }
    }

    // Requests and steps.

    /// `odd_percent`: how often it asks for something that may be refused.
    fn put(&mut self, odd_percent: u32) -> Put {
        let mut put = Put { key: self.key(), prev_kv: self.chance(30), ..Put::default() };
        put.ignore_value = self.chance(odd_percent);
        put.ignore_lease = self.chance(odd_percent);
        if !put.ignore_value {
            put.value = self.value();
        }
        if !put.ignore_lease && self.chance(4 * odd_percent) {
            put.lease = self.lease();
        }
        put
    }

    /// `stray_percent`: how often a revision is not the newest.
    fn range(&mut self, hint: Hint, stray_percent: u32) -> Range {
        let mut range = Range { interval: self.target(), ..Range::default() };
        range.revision = self.range_revision(hint, stray_percent);
        range.serializable = self.chance(20);
        range.keys_only = self.chance(15);
        range.count_only = self.chance(10);
        if self.chance(40) {
            range.limit = self.one_of(&[1, 1, 2, 3, 5, 100, -1], 0);
        }
        if self.chance(35) {
            self.sort(&mut range);
        }
        if self.chance(30) {
            self.filter(&mut range, hint);
        }
        range
    }

    fn range_revision(&mut self, hint: Hint, stray_percent: u32) -> MainRevision {
        if !self.chance(stray_percent) {
            return if self.chance(5) { -1 } else { 0 };
        }
        match self.random.random_range(0..100) {
            0..75 => self.past(hint),
            75..85 => hint.compacted,
            85..92 => hint.compacted - 1,
            _ => hint.revision + self.one_of(&[1, 2, 5, 50], 1),
        }
    }

    fn sort(&mut self, range: &mut Range) {
        range.sort_order =
            self.one_of(&[SortOrder::Ascend, SortOrder::Descend, SortOrder::None], SortOrder::None);
        range.sort_target = self.one_of(
            &[
                SortTarget::Version,
                SortTarget::Create,
                SortTarget::Mod,
                SortTarget::Value,
                SortTarget::Key,
            ],
            SortTarget::Key,
        );
    }

    fn filter(&mut self, range: &mut Range, hint: Hint) {
        let bound = self.near(hint);
        match self.random.random_range(0..5) {
            0 => range.min_mod_revision = bound,
            1 => range.max_mod_revision = bound,
            2 => range.min_create_revision = bound,
            3 => range.max_create_revision = bound,
            _ => {
                range.min_mod_revision = self.past(hint);
                range.max_mod_revision = bound;
            }
        }
    }

    /// A revision as comparisons and filters name it: long gone, about now, or not reached yet.
    fn near(&mut self, hint: Hint) -> MainRevision {
        match self.random.random_range(0..100) {
            0..10 => self.one_of(&[0, 1, 2], 0),
            10..20 => hint.revision / 2,
            20..50 => self.past(hint),
            _ => hint.revision + self.one_of(&AHEAD, 0),
        }
    }

    fn delete_point(&mut self) -> DeleteRange {
        DeleteRange { interval: Interval::point(self.key()), prev_kv: self.chance(30) }
    }

    fn delete_interval(&mut self) -> DeleteRange {
        DeleteRange { interval: self.interval(), prev_kv: self.chance(30) }
    }

    fn grant(&mut self) -> Request {
        let ttl_s = self.one_of(&[60, 600, 2, 1, 0, -5, 9_000_000_000], 60);
        Request::LeaseGrant { id: self.lease(), ttl_s }
    }

    /// Mostly keeps a good part of the history, so that there is something to read.
    fn compact(&mut self, hint: Hint) -> Request {
        let revision = match self.random.random_range(0..100) {
            0..60 => hint.compacted + (hint.revision - hint.compacted) / 2,
            60..75 => hint.revision,
            75..90 => hint.compacted + self.random.random_range(-1..=1),
            _ => hint.revision + 1,
        };
        Request::Compact { revision }
    }

    fn txn(&mut self, hint: Hint, depth: u32) -> Txn {
        let compares = self.random.random_range(0..=COMPARES_MAX);
        Txn {
            compares: (0..compares).map(|_| self.compare(hint)).collect(),
            success: self.steps(hint, depth),
            failure: self.steps(hint, depth),
        }
    }

    fn compare(&mut self, hint: Hint) -> Compare {
        use CompareResult::{Equal, Greater, Less, NotEqual};
        let interval = match self.chance(70) {
            true => Interval::point(self.key()),
            false => self.interval(),
        };
        let result = self.one_of(&[Equal, Greater, Less, NotEqual], Equal);
        Compare { interval, result, operand: self.operand(hint) }
    }

    fn operand(&mut self, hint: Hint) -> Operand {
        match self.random.random_range(0..100) {
            0..20 => Operand::Version(self.random.random_range(0..5)),
            20..40 => Operand::Create(self.near(hint)),
            40..75 => Operand::Mod(self.near(hint)),
            75..90 => Operand::Value(self.value()),
            _ => {
                let lease = self.lease();
                Operand::Lease(self.one_of(&[0, lease], 0))
            }
        }
    }

    /// A branch. A step that would change a key a second time is left out, since a server refuses such a transaction;
    /// this must be asked at every level, as the branches within are part of the one around them.
    fn steps(&mut self, hint: Hint, depth: u32) -> Vec<RequestOp> {
        let wanted = self.random.random_range(0..=STEPS_MAX);
        let mut branch = Txn::default();
        for _ in 0..wanted {
            branch.success.push(self.step(hint, depth));
            let request = Request::Txn(branch);
            let is_fine = validate(&request).is_ok();
            branch = as_txn(request);
            if !is_fine {
                branch.success.pop();
            }
        }
        branch.success
    }

    /// Options that get the whole transaction refused are rarer here than in requests of their own.
    fn step(&mut self, hint: Hint, depth: u32) -> RequestOp {
        match self.random.random_range(0..100) {
            0..45 => RequestOp::Put(self.put(2)),
            45..65 => RequestOp::Range(self.range(hint, 15)),
            65..75 => RequestOp::DeleteRange(self.delete_point()),
            75..80 => RequestOp::DeleteRange(self.delete_interval()),
            _ if depth < DEPTH_MAX => RequestOp::Txn(self.txn(hint, depth + 1)),
            _ => RequestOp::Put(self.put(2)),
        }
    }
}

fn as_txn(request: Request) -> Txn {
    match request {
        Request::Txn(txn) => txn,
        _ => Txn::default(),
    }
}

/// Keys that stores get wrong, the most telling ones first, since a small shape takes only some.
fn odd_keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = [
        b"a".as_slice(),
        b"ab",
        b"b",
        b"a\0",
        b"a\xff",
        b"abc",
        b"\xff",
        b"\0",
        b"a\0b",
        b"\xff\xff",
        b"ab\xff\xff",
        b"\0\0",
        b"\xff\0",
        b"a/1",
        b"a/2",
        b"a/10",
    ]
    .map(<[u8]>::to_vec)
    .into();
    keys.insert(5, [b"ab".repeat(149).as_slice(), b"zz"].concat());
    keys
}

/// `requests` to read, one a line and numbered; options at rest are left out.
pub fn describe(requests: &[Request]) -> String {
    let mut text = String::new();
    for (number, request) in requests.iter().enumerate() {
        text.push_str(&format!("{number:>4}  {}\n", describe_request(request)));
    }
    text
}

fn describe_request(request: &Request) -> String {
    match request {
        Request::Put(put) => describe_put(put),
        Request::Range(range) => describe_range(range),
        Request::DeleteRange(delete) => describe_delete(delete),
        Request::Txn(txn) => describe_txn(txn),
        Request::Compact { revision } => format!("compact {revision}"),
        Request::LeaseGrant { id, ttl_s } => format!("grant {id} ttl={ttl_s}"),
        Request::LeaseRevoke { id } => format!("revoke {id}"),
        Request::LeaseTimeToLive { id, keys } => format!("ttl {id}{}", flag(*keys, "keys")),
        Request::Leases => "leases".to_owned(),
        Request::AlarmActivate(Alarm { kind, member }) => format!("activate {kind:?} {member}"),
        Request::AlarmDeactivate(Alarm { kind, member }) => format!("deactivate {kind:?} {member}"),
        Request::Alarms => "alarms".to_owned(),
    }
}

fn describe_put(put: &Put) -> String {
    let mut text = format!("put {}={}", escaped(&put.key), escaped(&put.value));
    text.push_str(&number("lease", put.lease));
    text.push_str(&flag(put.prev_kv, "prev_kv"));
    text.push_str(&flag(put.ignore_value, "ignore_value"));
    text.push_str(&flag(put.ignore_lease, "ignore_lease"));
    text
}

fn describe_range(range: &Range) -> String {
    let mut text = format!("range {}", describe_interval(&range.interval));
    if range.sort_order != SortOrder::None || range.sort_target != SortTarget::Key {
        text.push_str(&format!(" sort={:?}/{:?}", range.sort_target, range.sort_order));
    }
    for (name, value) in [
        ("rev", range.revision),
        ("limit", range.limit),
        ("min_mod", range.min_mod_revision),
        ("max_mod", range.max_mod_revision),
        ("min_create", range.min_create_revision),
        ("max_create", range.max_create_revision),
    ] {
        text.push_str(&number(name, value));
    }
    text.push_str(&flag(range.keys_only, "keys_only"));
    text.push_str(&flag(range.count_only, "count_only"));
    text.push_str(&flag(range.serializable, "serializable"));
    text
}

fn describe_delete(delete: &DeleteRange) -> String {
    format!("delete {}{}", describe_interval(&delete.interval), flag(delete.prev_kv, "prev_kv"))
}

fn describe_txn(txn: &Txn) -> String {
    let compares: Vec<String> = txn.compares.iter().map(describe_compare).collect();
    let condition = if compares.is_empty() { "true".to_owned() } else { compares.join(" && ") };
    let (success, failure) = (describe_steps(&txn.success), describe_steps(&txn.failure));
    format!("txn if {condition} then {{{success}}} else {{{failure}}}")
}

fn describe_steps(steps: &[RequestOp]) -> String {
    let steps = steps.iter().map(|step| match step {
        RequestOp::Put(put) => describe_put(put),
        RequestOp::Range(range) => describe_range(range),
        RequestOp::DeleteRange(delete) => describe_delete(delete),
        RequestOp::Txn(inner) => describe_txn(inner),
    });
    steps.collect::<Vec<_>>().join("; ")
}

fn describe_compare(compare: &Compare) -> String {
    let operator = match compare.result {
        CompareResult::Equal => "==",
        CompareResult::Greater => ">",
        CompareResult::Less => "<",
        CompareResult::NotEqual => "!=",
    };
    let (name, operand) = match &compare.operand {
        Operand::Version(version) => ("version", version.to_string()),
        Operand::Create(revision) => ("create", revision.to_string()),
        Operand::Mod(revision) => ("mod", revision.to_string()),
        Operand::Value(value) => ("value", escaped(value)),
        Operand::Lease(lease) => ("lease", lease.to_string()),
    };
    format!("{name}({}) {operator} {operand}", describe_interval(&compare.interval))
}

fn describe_interval(interval: &Interval) -> String {
    match (interval.is_point(), interval.end()) {
        (true, _) => escaped(&interval.key),
        (false, Some(end)) => format!("[{}, {})", escaped(&interval.key), escaped(end)),
        (false, None) => format!("[{}, ∞)", escaped(&interval.key)),
    }
}

fn number(name: &str, value: i64) -> String {
    if value == 0 { String::new() } else { format!(" {name}={value}") }
}

fn flag(is_set: bool, name: &str) -> String {
    if is_set { format!(" {name}") } else { String::new() }
}

/// In quotes; of a long one its start and its length.
fn escaped(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    let mut text = format!("\"{}", shown.escape_ascii());
    match bytes.len() - shown.len() {
        0 => text.push('"'),
        _ => text.push_str(&format!("…\" ({} bytes)", bytes.len())),
    }
    text
}
