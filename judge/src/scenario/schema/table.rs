//! Every table of a scenario file with its keys: the one place to add a key to, for editors. The checker that reads the key
//! stands in `check`; where the two differ a test fails.

use crate::scenario::spec::{
    Apply, ApplyOn, Arrival, CheckId, CommitPublish, Consistency, Engine, Layer, Measure,
    OnDisturbed, Propose, Reads, ShardLayout, StateSync, TxnKind,
};

/// A table and what it is for.
pub(super) struct Section {
    /// Its name among the schema's definitions.
    pub(super) name: &'static str,
    /// One sentence.
    pub(super) says: &'static str,
    /// Its keys, in the order of the documentation.
    pub(super) keys: &'static [Key],
}

/// A key of a table.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// As typed.
    pub(super) name: &'static str,
    /// What it takes.
    pub(super) is: Is,
    /// Whether it has to be there.
    pub(super) must: bool,
    /// What it is where it is left out: as JSON, or a word.
    pub(super) default: Option<&'static str>,
    /// One sentence or two, as an editor shows them.
    pub(super) says: &'static str,
}

/// What a key takes. Bounds are inclusive.
#[derive(Clone, Copy)]
pub(super) enum Is {
    /// true or false.
    Flag,
    /// Any string.
    Text,
    /// A string of this pattern.
    Like(&'static str),
    /// One of some words.
    Words(&'static [&'static str]),
    /// One of some numbers.
    Numbers(&'static [u64]),
    /// An integer.
    Integer { least: i64, most: i64 },
    /// An integer, or a string such as `100k`.
    Count { least: u64, most: u64 },
    /// A number above 0.
    Positive { most: f64 },
    /// A time, ns.
    Time { least: u64, most: u64 },
    /// One of some words, a colon, and a time.
    TimeAfter(&'static [&'static str]),
    /// A size, bytes.
    Size { least: u64, most: u64 },
    /// A percentage.
    Percent,
    /// `phase.measure@clients`.
    Metric(&'static [&'static str]),
    /// A table.
    Table(&'static Section),
    /// An array of tables.
    Tables { of: &'static Section, least: usize, most: usize },
    /// An array.
    List { of: &'static Is, least: usize, most: usize },
    /// Any of several.
    Any(&'static [Is]),
}

const fn key(name: &'static str, is: Is, says: &'static str) -> Key {
    Key { name, is, must: false, default: None, says }
}

impl Key {
    const fn required(self) -> Key {
        Key { must: true, ..self }
    }

    const fn or(self, default: &'static str) -> Key {
        Key { default: Some(default), ..self }
    }
}

const MS: u64 = 1_000_000;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Also in file names.
const NAME: Is = Is::Like("^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$");
/// Also in metrics.
const LABEL: Is = Is::Like("^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$");
/// A path, a name.
const SHORT: Is = Is::Like("^[^\\x00-\\x1f\\x7f]{1,1024}$");

pub(super) const ROOT: Section = Section {
    name: "scenario",
    says: "One question with its setup and its expectation. `kvbench check` tells the rest.",
    keys: &[
        key("schema", Is::Integer { least: 1, most: 1 }, "Layout of this file.").required(),
        key("name", NAME, "Reports are filed under it.").required(),
        key("analysis", Is::Text, "The question in words, and how to read the answer."),
        key(
            "seed",
            Is::Integer { least: 0, most: i64::MAX },
            "Root of all randomness: same seed, same operations, same order of trials.",
        )
        .or("42"),
        key("system", Is::Table(&LEVERS), "Levers that all arms share."),
        key("arms", Is::Table(&ARMS), "What is compared.").required(),
        key(
            "ladder",
            Is::Table(&LADDER),
            "Arms between before and after, so that the gain is attributed.",
        ),
        key("keys", Is::Table(&KEYS), "Which keys are touched."),
        key("values", Is::Table(&VALUES), "How large the values are."),
        key("op", Is::Tables { of: &OP, least: 1, most: 64 }, "What clients send.").required(),
        key("phase", Is::Tables { of: &PHASE, least: 1, most: 16 }, "How they send it.").required(),
        key("trials", Is::Table(&TRIALS), "How often, and in which order."),
        key("target", Is::Tables { of: &TARGET, least: 0, most: 64 }, "What is expected."),
        key(
            "gate",
            Is::Tables { of: &GATE, least: 0, most: 64 },
            "What may not get worse from revision to revision, for `kvbench gate`.",
        ),
        key("check", Is::Table(&CHECK), "What is checked besides what every run checks."),
    ],
};

const ARMS: Section = Section {
    name: "arms",
    says: "An arm is a point in the space of levers.",
    keys: &[
        key(
            "before",
            Is::Table(&LEVERS),
            "Levers of the arm that the comparison starts from; may be empty.",
        )
        .required(),
        key("after", Is::Table(&LEVERS), "Levers of the arm under test; may be empty.").required(),
    ],
};

const LEVERS: Section = Section {
    name: "levers",
    says: "What can be set about a system.",
    keys: &[
        key("layer", Is::Words(Layer::WORDS), "Where the load enters: propose to reply through the log; an applier without a log; the bare apply path; servers of this program over gRPC; etcd.").or("raft"),
        key("engine", Is::Words(Engine::WORDS), "What keeps the state.").or("memory"),
        key("state_sync", Is::Words(StateSync::WORDS), "When engine rocksdb syncs its own files.").or("raft-log-only"),
        key("nodes", Is::Numbers(&[1, 3, 5]), "Members of the raft group.").or("1"),
        key("apply", Is::Words(Apply::WORDS), "Who may touch the store at once.").or("sharded"),
        key("shards", Is::Count { least: 1, most: 65_536 }, "Shard locks of the sharded path, a power of two.").or("512"),
        key("shard_layout", Is::Words(ShardLayout::WORDS), "How the shard locks lie in memory: each on a cache line of its own, or without gaps.").or("padded"),
        key("apply_on", Is::Words(ApplyOn::WORDS), "Which thread applies.").or("raft-thread"),
        key("apply_workers", Is::Count { least: 1, most: 64 }, "Threads that evaluate the requests of one batch.").or("1"),
        key("auto_compaction", Is::Count { least: 0, most: 1_000_000_000_000 }, "Revisions of history that stay readable, at least; 0 for all.").or("100k"),
        key("propose", Is::Words(Propose::WORDS), "How requests become proposals.").or("batched"),
        key("batch", Is::Table(&BATCH), "Bounds of the batched proposer."),
        key("commit_publish", Is::Words(CommitPublish::WORDS), "When committed entries go to apply: at once, or after the next sync.").or("ready"),
        key("fsync", Is::Any(&[Is::Words(&["real", "off"]), Is::TimeAfter(&["delay"])]), "What a sync of the log means; `delay:22ms` sleeps in place of it. Anything but real is stamped on every report.").or("real"),
        key("reads", Is::Words(Reads::WORDS), "How the leader knows that it still leads before it answers a read: a quorum says so, or a lease of its own clock.").or("read-index"),
        key("consistency", Is::Words(Consistency::WORDS), "What clients ask of reads: the latest state, or whatever the member has.").or("linearizable"),
        key("instruments", Is::Flag, "Stage and lock clocks.").or("true"),
        key("lock_profile", Is::Flag, "Call stacks of who waits for locks and who holds them; profile trials switch it on by themselves.").or("false"),
        key("connections", Is::Any(&[Is::Count { least: 1, most: 10_000 }, Is::Words(&["per-client"])]), "Connections that clients share in turn (layers rpc and etcd).").or("1"),
        key("etcd", Is::Table(&ETCD), "Which etcd is measured; without endpoints one is started for each trial."),
    ],
};

const BATCH: Section = Section {
    name: "batch",
    says: "Bounds of the batched proposer.",
    keys: &[
        key("ops_max", Is::Count { least: 1, most: 65_536 }, "Most requests in one entry.").or("1024"),
        key("bytes_max", Is::Size { least: KIB, most: 64 * MIB }, "Most bytes in one entry.").or("1MiB"),
        key("linger", Is::Any(&[Is::Words(&["0s"]), Is::TimeAfter(&["siblings", "ticker", "armed"])]), "How long to wait for company: `0s` takes what is there, `siblings:50us` waits for whoever was just answered, `ticker:5ms` is a fixed beat, `armed:1ms` counts from the first request.").or("0s"),
        key("in_flight", Is::Count { least: 1, most: 1024 }, "Most batches proposed and not yet applied.").or("1"),
    ],
};

const ETCD: Section = Section {
    name: "etcd",
    says: "Running servers of one empty group, and how to reach them.",
    keys: &[
        key(
            "endpoints",
            Is::List { of: &Is::Like("^https?://.+:[0-9]{1,5}$"), least: 0, most: 16 },
            "`http://host:port` of each.",
        ),
        key("ca_file", SHORT, "PEM file of who signed the servers' certificates."),
        key("cert_file", SHORT, "PEM file of the clients' certificate, together with its key."),
        key("key_file", SHORT, "PEM file of that key."),
        key("user", SHORT, "Who the clients are."),
        key("password_env", SHORT, "The environment variable that holds the user's password."),
    ],
};

const LADDER: Section = Section {
    name: "ladder",
    says: "Steps from before to after.",
    keys: &[
        key(
            "steps",
            Is::List { of: &Is::Table(&LEVERS), least: 0, most: 16 },
            "Levers that each step moves; the last has to arrive at after. None: no ladder.",
        )
        .required(),
        key(
            "both_ways",
            Is::Flag,
            "Whether each step is also measured alone, and as the last one: order matters.",
        )
        .or("false"),
    ],
};

const KEYS: Section = Section {
    name: "keys",
    says: "Which keys are touched.",
    keys: &[
        key("space", Is::Count { least: 1, most: 100_000_000 }, "Distinct keys.").or("100k"),
        key("size", Is::Size { least: 1, most: KIB }, "Length of every key.").or("16B"),
        key("dist", Is::Any(&[Is::Words(&["uniform", "hotspot", "sequential", "shared", "latest"]), Is::Like(r"^zipf:[0-9]*\.?[0-9]+$")]), "How they are drawn: all equally likely, 90 % from 10 % of them, one after the other, all clients the same, those written last, or by Zipf's law (`zipf:0.99`).").or("uniform"),
        key("preload", Is::Any(&[Is::Flag, Is::Count { least: 0, most: 100_000_000 }]), "How many are there before the warm-up of every trial: all, none, or the first so many.").or("false"),
        key("leases", Is::Count { least: 0, most: 100_000 }, "Leases that are held from before the warm-up of every trial on; the preloaded keys hang on them in turn until they are put again.").or("0"),
    ],
};

const VALUES: Section = Section {
    name: "values",
    says: "How large the values are.",
    keys: &[key(
        "size",
        Is::Any(&[Is::Size { least: 0, most: MIB }, Is::Table(&VALUE_SIZES)]),
        "All the same size, or a distribution of sizes.",
    )
    .or("256B")],
};

const VALUE_SIZES: Section = Section {
    name: "value_sizes",
    says: "A distribution of sizes.",
    keys: &[
        key("lognormal", Is::Table(&LOGNORMAL), "Lognormal, given by two of its quantiles."),
        key("uniform", Is::Table(&UNIFORM), "All sizes of a range equally likely."),
    ],
};

const UNIFORM: Section = Section {
    name: "uniform",
    says: "A range.",
    keys: &[
        key("min", Is::Size { least: 0, most: MIB }, "The smallest.").required(),
        key("max", Is::Size { least: 0, most: MIB }, "The largest.").required(),
    ],
};

const LOGNORMAL: Section = Section {
    name: "lognormal",
    says: "Two quantiles.",
    keys: &[
        key("median", Is::Size { least: 1, most: MIB }, "Half the values are smaller.").required(),
        key("p99", Is::Size { least: 1, most: MIB }, "99 % of the values are smaller.").required(),
    ],
};

const OP: Section = Section {
    name: "op",
    says: "Operations with their weights.",
    keys: &[
        key("put", Is::Table(&OP_PLAIN), "Write a key."),
        key("get", Is::Table(&OP_PLAIN), "Read a key, linearizably."),
        key("range", Is::Table(&OP_RANGE), "Read neighbouring keys, linearizably."),
        key("delete", Is::Table(&OP_PLAIN), "Delete a key."),
        key("delete_range", Is::Table(&OP_DELETE_RANGE), "Delete neighbouring keys, one revision."),
        key("txn", Is::Table(&OP_TXN), "Compare and act on several keys, atomically."),
        key(
            "lease_cycle",
            Is::Table(&OP_LEASE_CYCLE),
            "Grant a lease, put keys under it, revoke it; one request per turn.",
        ),
    ],
};

const WEIGHT: Key = key("weight", Is::Positive { most: 1e6 }, "Relative frequency.").or("1");

const OP_PLAIN: Section = Section { name: "op_plain", says: "One key.", keys: &[WEIGHT] };

const OP_RANGE: Section = Section {
    name: "op_range",
    says: "A read of neighbouring keys.",
    keys: &[
        WEIGHT,
        key("keys", Is::Count { least: 1, most: 100_000 }, "Neighbouring keys it spans.").or("10"),
        key(
            "limit",
            Is::Count { least: 0, most: u32::MAX as u64 },
            "Most keys in the answer, 0 for all.",
        )
        .or("0"),
        key("keys_only", Is::Flag, "Without values.").or("false"),
        key("count_only", Is::Flag, "Just how many there are.").or("false"),
    ],
};

const OP_DELETE_RANGE: Section = Section {
    name: "op_delete_range",
    says: "A delete of neighbouring keys.",
    keys: &[
        WEIGHT,
        key("keys", Is::Count { least: 1, most: 100_000 }, "Neighbouring keys it spans.").or("10"),
    ],
};

const OP_TXN: Section = Section {
    name: "op_txn",
    says: "A transaction.",
    keys: &[
        WEIGHT,
        key("kind", Is::Words(TxnKind::WORDS), "create: if none of the keys is there put all, else read all; cas: compare versions, put all; transfer: move money between two accounts.").required(),
        key("keys", Is::Count { least: 1, most: 64 }, "Distinct keys it touches; 2 for transfers.").or("1"),
    ],
};

const OP_LEASE_CYCLE: Section = Section {
    name: "op_lease_cycle",
    says: "A lease from grant to revoke.",
    keys: &[
        WEIGHT,
        key("keys", Is::Count { least: 1, most: 1_000 }, "Puts between grant and revoke.").or("10"),
    ],
};

const PHASE: Section = Section {
    name: "phase",
    says: "One way of sending the load.",
    keys: &[
        key("name", LABEL, "Metrics name it; unique.").required(),
        key("load", Is::Table(&LOAD), "Who sends when.").required(),
        key(
            "warmup",
            Is::Time { least: 0, most: 60_000 * MS },
            "Load before each measurement that is not measured.",
        )
        .or("150ms"),
        key(
            "duration",
            Is::Time { least: 50 * MS, most: 24 * 3_600_000 * MS },
            "Length of each measurement.",
        )
        .or("500ms"),
        key(
            "watchers",
            Is::Count { least: 0, most: 10_000 },
            "Watchers of the whole key space while it runs.",
        )
        .or("0"),
    ],
};

const LOAD: Section = Section {
    name: "load",
    says: "Who sends when: one of three.",
    keys: &[
        key(
            "closed",
            Is::Table(&CLOSED),
            "Each client sends its next request when the last was answered.",
        ),
        key(
            "open",
            Is::Table(&OPEN),
            "Operations are sent when they are due, whatever became of those before.",
        ),
        key(
            "search",
            Is::Table(&SEARCH),
            "Open loads one after the other, until the highest rate is known that meets a condition.",
        ),
    ],
};

const CLOSED: Section = Section {
    name: "closed",
    says: "A closed loop.",
    keys: &[
        key(
            "clients",
            Is::List { of: &Is::Count { least: 1, most: 10_000 }, least: 1, most: 16 },
            "Client counts, each measured on its own.",
        )
        .required(),
        key(
            "think",
            Is::Any(&[Is::Words(&["0s"]), Is::Time { least: MS, most: 60_000 * MS }]),
            "What each client waits after an answer.",
        )
        .or("0s"),
    ],
};

/// `2k/s`.
const RATE: Is = Is::Like(r"^[ \t]*[0-9]*\.?[0-9]+[ \t]*[kM]?[ \t]*/s[ \t]*$");
/// The same, or a share of what an arm reached in a closed loop before.
const RATE_OR_SHARE: Is = Is::Any(&[
    RATE,
    Is::Like(
        r"^[ \t]*[0-9]*\.?[0-9]+[ \t]*%[ \t]+of[ \t]+[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+@[0-9]+[ \t]*$",
    ),
]);
const ARRIVAL: Key =
    key("arrival", Is::Words(Arrival::WORDS), "How operations are spaced.").or("poisson");
const STREAMS: Key = key(
    "clients",
    Is::Count { least: 1, most: 10_000 },
    "Streams that the operations are taken from in turn.",
)
.or("64");

const OPEN: Section = Section {
    name: "open",
    says: "An open load: one of rate, steps and ramp.",
    keys: &[
        key(
            "rate",
            RATE_OR_SHARE,
            "Operations per second: `2k/s`, or `70% of before.saturate@50`, the same for every arm.",
        ),
        key(
            "steps",
            Is::List { of: &RATE_OR_SHARE, least: 1, most: 16 },
            "Rates that hold for equal parts of the duration.",
        ),
        key(
            "ramp",
            Is::List { of: &RATE_OR_SHARE, least: 2, most: 16 },
            "Rates from each straight to the next.",
        ),
        ARRIVAL,
        STREAMS,
    ],
};

const SEARCH: Section = Section {
    name: "search",
    says: "A search for the highest rate that meets a condition.",
    keys: &[
        key(
            "rates",
            Is::List { of: &RATE, least: 2, most: 2 },
            "The lowest and the highest rate to try.",
        )
        .required(),
        key(
            "until",
            Is::Like(r"^[ \t]*p(50|90|99)[ \t]*<=[ \t]*[0-9.]+(ns|us|ms|s|m|h)[ \t]*$"),
            "What has to hold, e.g. `p99 <= 5ms`.",
        )
        .required(),
        ARRIVAL,
        STREAMS,
    ],
};

const TRIALS: Section = Section {
    name: "trials",
    says: "How often, and in which order.",
    keys: &[
        key("order", Is::Words(&["random-pairs"]), "Order of the arms within a block.")
            .or("random-pairs"),
        key("pairs", Is::Table(&PAIRS), "How many pairs."),
        key(
            "precision",
            Is::Percent,
            "Half-width of the judged ratios at which no more pairs are added; a target that does not get it stays undecided.",
        ),
        key("aa", Is::Flag, "Whether arms are also compared with themselves.").or("true"),
        key("on_disturbed", Is::Words(OnDisturbed::WORDS), "What happens to a block in which others used the host: it is measured again, kept, or ends the run.").or("retry"),
    ],
};

const PAIRS: Section = Section {
    name: "pairs",
    says: "Bounds on the number of pairs.",
    keys: &[
        key("min", Is::Count { least: 1, most: 200 }, "At least; 6 for an interval.").or("8"),
        key("max", Is::Count { least: 1, most: 200 }, "At most.").or("20"),
    ],
};

const TARGET: Section = Section {
    name: "target",
    says: "One expectation: a bound on a ratio, on one arm's own value, or a check that has to hold.",
    keys: &[
        key("id", LABEL, "Verdicts name it; unique.").required(),
        key("claim", Is::Text, "What is claimed, in one line, for scoreboards."),
        key(
            "metric",
            Is::Metric(Measure::WORDS),
            "`phase.measure@clients`, e.g. `saturate.throughput@50`; `paced.p99` where the load is open; `mix.get.p99@50` for one kind of operation.",
        ),
        key(
            "ratio",
            Is::Like(RATIO),
            "Bound on after / before: `>= 10`, `<= 0.1` or `2 .. 5`; met only if the whole 95 % interval is.",
        ),
        key(
            "value",
            Is::Like(r"^[ \t]*(>=|<=|[^ \t].*\.\.).+$"),
            "Bound on one arm's own value, in its unit: `<= 1%`, `>= 10k/s`, `1 .. 5`.",
        ),
        key("arm", LABEL, "Whose value."),
        key("check", Is::Words(CheckId::WORDS), "A check of the answers; met if it passed."),
    ],
};

const GATE: Section = Section {
    name: "gate",
    says: "One metric that `kvbench gate` watches: how much worse it may be than at the base.",
    keys: &[
        key(
            "metric",
            Is::Metric(Measure::WORDS),
            "`phase.measure@clients`, as in a target; of a measure of which more is better or worse.",
        )
        .required(),
        key("arm", LABEL, "Whose value.").or("after"),
        key("worse", Is::Percent, "Least change that counts, as a share.").or("5%"),
        key("least", Is::Text, "Least change that counts, in the metric's own unit, e.g. `100us`."),
    ],
};

/// A bound on a ratio.
const RATIO: &str =
    r"^[ \t]*((>=|<=)[ \t]*[0-9.eE+-]+|[0-9.eE+-]+[ \t]*\.\.[ \t]*[0-9.eE+-]+)[ \t]*$";

const CHECK: Section = Section {
    name: "check",
    says: "What is checked besides what every run checks.",
    keys: &[
        key("bank", Is::Flag, "Transfers neither make nor lose money.").or("false"),
        key("versions", Is::Flag, "The versions of all keys together are the acknowledged puts.")
            .or("false"),
        key("leases", Is::Flag, "A key hangs on a lease exactly if the lease lists it.")
            .or("false"),
        key(
            "linearizable",
            Is::Flag,
            "An order explains what clients see of a few keys while they are measured.",
        )
        .or("false"),
    ],
};
