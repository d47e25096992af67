//! Scenario files seen from outside: what a user who mistypes is told, that the files we ship are good, and that
//! no text whatsoever makes the reader panic.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use kvbench::scenario::plan::Plan;
use kvbench::scenario::problem::Problems;
use kvbench::scenario::spec::{Bound, Expectation, Scenario};
use kvbench::scenario::{FILE_BYTES_MAX, Options, load, parse};
use kvbench::units::Nanos;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

const FLAGSHIP: &str = include_str!("../scenarios/put_parallel.toml");

fn with_set(set: &[&str]) -> Options {
    Options { set: set.iter().map(|set| (*set).to_owned()).collect(), ..Options::default() }
}

fn problems(text: &str, set: &[&str]) -> Problems {
    parse("x.toml", text, &with_set(set)).expect_err("the scenario has mistakes")
}

fn scenario_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let inside = |folder: &str| root.join(folder).read_dir().unwrap();
    let folders = [".", "claims", "curated", "scale"].into_iter().flat_map(inside);
    let files = folders.map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

/// Ten mistakes of ten kinds; the tab and the umlaut are there to trip the carets.
const TEN_MISTAKES: &str = r#"schema = 2
name = "ten mistakes"
[system]
engine = "rocksd"
[arms.before]
apply = "global-mutx"
[arms.after]
propse = "batched"
[keys]
	space = 0
[[op]]
put = { weight = 0 }
[[phase]]
name = "sättigung"
load = { closed = { clients = [1, 10] } }
[[phase]]
name = "short"
load = { closed = { clients = [1, 10] } }
duration = 10 # seconds
[[target]]
id = "10x"
metric = "short.throughput@50"
ratio = "> 10"
"#;

const TEN_PROBLEMS: &str = r#"x.toml:1:10: schema is 2; allowed: 1
   |
 1 | schema = 2
   |          ^
   = hint: this version reads `schema = 1`

x.toml:2:8: name is "ten mistakes"; allowed: 1 to 64 of letters, digits, `.`, `_`, `-`, not beginning with `.` or `-`
   |
 2 | name = "ten mistakes"
   |        ^^^^^^^^^^^^^^
   = hint: for example "ten_mistakes"

x.toml:4:10: system.engine is "rocksd"; allowed: memory, rocksdb
   |
 4 | engine = "rocksd"
   |          ^^^^^^^^
   = hint: did you mean `rocksdb`?

x.toml:6:9: arms.before.apply is "global-mutx"; allowed: global-mutex, sharded
   |
 6 | apply = "global-mutx"
   |         ^^^^^^^^^^^^^
   = hint: did you mean `global-mutex`?

x.toml:8:1: unknown key `propse` in [arms.after]
   |
 8 | propse = "batched"
   | ^^^^^^
   = hint: did you mean `propose`?

x.toml:10:10: keys.space is 0; allowed: 1 to 100M
   |
10 |     space = 0
   |             ^

x.toml:12:18: op.0.put.weight is 0; allowed: above 0, up to 1000000
   |
12 | put = { weight = 0 }
   |                  ^

x.toml:14:8: phase.0.name is "sättigung"; allowed: 1 to 64 of letters, digits, `_`, `-`, not beginning with `.` or `-`
   |
14 | name = "sättigung"
   |        ^^^^^^^^^^^
   = hint: for example "s_ttigung"

x.toml:19:12: phase.1.duration is 10: the unit is missing
   |
19 | duration = 10 # seconds
   |            ^^
   = hint: write a time such as "500ms" or "10s" (ns, us, ms, s, m, h)

x.toml:23:9: target.0.ratio does not begin with >= or <=
   |
23 | ratio = "> 10"
   |         ^^^^^^
   = hint: write ">= 10" (at least ten times) or "<= 0.1" (at most a tenth)

10 problems in x.toml"#;

#[test]
fn ten_mistakes_are_ten_problems() {
    let problems = problems(TEN_MISTAKES, &[]);
    assert_eq!(problems.to_string(), TEN_PROBLEMS);
    let positions: Vec<_> = problems.list.iter().filter_map(|problem| problem.position).collect();
    let expected =
        [(1, 10), (2, 8), (4, 10), (6, 9), (8, 1), (10, 10), (12, 18), (14, 8), (19, 12), (23, 9)];
    assert_eq!(positions, expected);
}

/// A scenario with nothing but what must be there.
const SHORTEST: &str = r#"schema = 1
name = "shortest"
[arms.before]
[arms.after]
[[op]]
put = {}
[[phase]]
name = "a"
load = { closed = { clients = [1, 50] } }
[[target]]
id = "t"
metric = "a.throughput@50"
ratio = ">= 1"
"#;

/// `from` in the shortest scenario becomes `to`; the one problem must say `expected` on line `line`.
fn one_mistake(from: &str, to: &str, line: usize, expected: &str) {
    assert_eq!(SHORTEST.matches(from).count(), 1, "`{from}` is in the text once");
    let text = SHORTEST.replace(from, to);
    let problems = problems(&text, &[]);
    let shown = problems.to_string();
    assert_eq!(problems.total, 1, "{to}: {shown}");
    assert_eq!(problems.list[0].position.map(|(line, _)| line), Some(line), "{shown}");
    assert!(shown.contains(expected), "{to}: wanted {expected}\n{shown}");
}

#[test]
fn the_top_level_is_checked() {
    one_mistake("schema = 1\n", "", 1, "missing key `schema` at the top level");
    one_mistake("schema = 1", "schema = \"1\"", 1, "schema is a string; an integer is wanted");
    one_mistake("schema = 1", "extends = \"y\"\nschema = 1", 1, "unknown key `extends`");
    one_mistake("schema = 1", "schema = 1\nsede = 3", 2, "did you mean `seed`?");
    one_mistake(
        "schema = 1",
        "schema = 1\nseed = 9223372036854775808",
        2,
        "seed is 9223372036854775808",
    );
    one_mistake("schema = 1", "schema = 1\nseed = -1", 2, "allowed: 0 to 9223372036854775807");
    one_mistake("schema = 1", "schema = 1\nseed = 1.5", 2, "seed is a float; an integer is wanted");
    one_mistake("\"shortest\"", "\"../x\"", 2, "for example \"x\"");
    one_mistake("\"shortest\"", "\"a/b\"", 2, "for example \"a_b\"");
    one_mistake("\"shortest\"", "\"\"", 2, "allowed: 1 to 64 of letters");
    one_mistake("schema = 1", "schema = 1\nanalysis = \"\\u001b[2J\"", 2, "control characters");
    one_mistake("\"shortest\"", "\"\\u202e\\u001b\"", 2, "name is \"??\"");
}

#[test]
fn levers_are_checked() {
    let system = |levers: &str, line, expected| {
        one_mistake("[arms.before]", &format!("[system]\n{levers}\n[arms.before]"), line, expected);
    };
    system("layer = \"disk\"", 4, "allowed: store, apply, raft, rpc, etcd");
    system("nodes = 4", 4, "nodes is 4; allowed: 1, 3 and 5");
    system("shards = 100", 4, "powers of two from 1 to 65536");
    system("shards = 131072", 4, "shards is 131072; allowed: 1 to 65536");
    system("apply_workers = 65", 4, "apply_workers is 65; allowed: 1 to 64");
    system("apply_workers = 0", 4, "apply_workers is 0; allowed: 1 to 64");
    system("engine = \"rocksdb\"\nstate_sync = \"never\"", 5, "raft-log-only, per-batch, per-op");
    system("state_sync = \"per-op\"", 4, "engine `memory` ignores `state_sync`");
    system("state_sync = \"per-op\"", 4, "use engine = \"rocksdb\", or leave it out");
    system("apply_on = \"raft\"", 4, "allowed: raft-thread, apply-thread");
    system("propose = true", 4, "propose is a boolean; a string is wanted");
    system("commit_publish = \"next\"", 4, "allowed: ready, next-ready");
    system("batch = { ops_max = 0 }", 4, "batch.ops_max is 0; allowed: 1 to 65536");
    system("batch = { bytes_max = 4096 }", 4, "batch.bytes_max is 4096: the unit is missing");
    system("batch = { bytes_max = \"1B\" }", 4, "allowed: 1KiB to 64MiB");
    system("batch = { linger = \"5ms\" }", 4, "\"ticker:5ms\" (a fixed beat)");
    system("batch = { linger = \"ticker:5\" }", 4, "the unit is missing");
    system("batch = { linger = \"armed:2s\" }", 4, "linger is 2s; allowed: 1us to 1s");
    system("batch = { in_fligth = 1 }", 4, "did you mean `in_flight`?");
    system("batch = 7", 4, "batch is an integer; a table is wanted");
    system("reads = \"quorum\"", 4, "allowed: read-index, lease");
    system("reads = \"lease\"", 4, "a node on its own ignores `reads`");
    system("reads = \"lease\"", 4, "use nodes = 3, or leave it out");
    system(
        "layer = \"store\"\nconsistency = \"serializable\"",
        5,
        "layer `store` ignores `consistency`",
    );
    system("layer = \"etcd\"\nnodes = 3\nreads = \"lease\"", 6, "layer `etcd` ignores `reads`");
    system("consistency = \"eventual\"", 4, "allowed: linearizable, serializable");
    system("fsync = \"none\"", 4, "allowed: real, off, delay:<time>");
    system("fsync = \"delay:1d\"", 4, "unknown unit \"d\"");
    let blind = "instruments = false\nlock_profile = true";
    system(blind, 5, "an arm with instruments = false ignores `lock_profile`");
    system("instruments = 1", 4, "instruments is an integer; true or false is wanted");
    system("layer = \"store\"\nfsync = \"off\"", 5, "layer `store` ignores `fsync`");
    system("layer = \"store\"\napply_workers = 2", 5, "or use layer = \"apply\"");
    let apply = "apply = \"global-mutex\"\napply_workers = 2";
    system(apply, 5, "apply `global-mutex` ignores `apply_workers`");
    let apply = "apply = \"global-mutex\"\nshard_layout = \"packed\"";
    system(apply, 5, "apply `global-mutex` ignores `shard_layout`");
    system("shard_layout = \"tight\"", 4, "shard_layout is \"tight\"; allowed: padded, packed");
    system("layer = \"apply\"\nbatch = { ops_max = 2 }", 5, "layer `apply` ignores `batch`");
    system("connections = 2", 4, "layer `raft` ignores `connections`");
    system("etcd = { endpoints = [\"http://h:1\"] }", 4, "or use layer = \"etcd\"");
    let rpc = |lever: &str, expected| system(&format!("layer = \"rpc\"\n{lever}"), 5, expected);
    rpc("lock_profile = true", "layer `rpc` ignores `lock_profile`");
    rpc("instruments = false", "layer `rpc` ignores `instruments`");
    rpc("connections = 0", "connections is 0; allowed: 1 to 10k");
    rpc(
        "connections = \"each\"",
        "connections is \"each\"; allowed: 1 to 10000, or \"per-client\"",
    );
    let etcd = |lever: &str, expected| {
        let text = format!("layer = \"etcd\"\n{lever}\n[trials]\naa = false");
        system(&text, 5, expected);
    };
    etcd("propose = \"serial\"", "layer `etcd` ignores `propose`");
    etcd("etcd = { endpoints = [\"localhost:2379\"] }", "which is no endpoint");
    etcd("etcd = { user = \"root\", password_env = \"P\" }", "etcd has no endpoints");
    etcd("etcd = { endpoints = [], key = 1 }", "unknown key `key`");
    for (more, expected) in [
        ("user = \"u\"", "`user` without `password_env`"),
        ("key_file = \"k\"", "`key_file` without `cert_file`"),
    ] {
        let etcd = format!("layer = \"etcd\"\netcd = {{ endpoints = [\"http://h:1\"], {more} }}");
        let text = SHORTEST.replace("[arms.before]", &format!("[arms.before]\n{etcd}"));
        let text =
            text.replace("[arms.after]", "[trials]\naa = false\n[arms.after]\nlayer = \"rpc\"");
        let shown = problems(&text, &[]);
        assert!(shown.total == 1 && shown.to_string().contains(expected), "{shown}");
    }
}

/// Told where it is typed, before a server is started that would keep the rest of the connections waiting.
#[test]
fn more_connections_than_a_server_here_takes_are_refused() {
    let here = Options { connections_max: Some(768), ..Options::default() };
    let of = |layer: &str, connections: &str, clients: &str| {
        let system = format!("[system]\nlayer = {layer}\n{connections}\n[arms.before]");
        let text = SHORTEST.replace("[arms.before]", &system);
        text.replace("clients = [1, 50]", &format!("clients = [50, {clients}]"))
    };
    let refused = |text: &str, line, expected: &str| {
        let problems = parse("x.toml", text, &here).expect_err("it does not fit");
        assert_eq!((problems.total, problems.list[0].source.as_str()), (1, "x.toml"), "{problems}");
        assert_eq!(problems.list[0].position.map(|(line, _)| line), Some(line), "{problems}");
        assert!(problems.to_string().contains(expected), "{problems}");
        assert!(problems.to_string().contains("ulimit -n"), "{problems}");
        assert!(parse("x.toml", text, &Options::default()).is_ok(), "elsewhere it may fit");
    };
    let count = "connections is 769; allowed: 1 to 768 here, or \"per-client\"";
    refused(&of("\"rpc\"", "connections = 769", "1"), 5, count);
    let clients = "is 769; allowed: 1 to 768 here, with connections = \"per-client\"";
    let each = of("\"rpc\"", "connections = \"per-client\"", "769");
    let line = each.lines().position(|line| line.contains("769")).unwrap() + 1;
    refused(&each, line, clients);
    let arm = of("\"rpc\"", "connections = 2", "1");
    let arm = arm.replace("[arms.after]", "[arms.after]\nconnections = 10000");
    refused(&arm, 8, "connections is 10000; allowed: 1 to 768 here");
    for fits in [
        of("\"rpc\"", "connections = 768", "769"),
        of("\"rpc\"", "connections = \"per-client\"", "768"),
        of("\"etcd\"", "connections = 769", "1") + "\n[trials]\naa = false\n",
        of("\"raft\"", "", "769"),
    ] {
        parse("x.toml", &fits, &here).unwrap_or_else(|problems| panic!("{problems}"));
    }
}

#[test]
fn a_running_etcd_takes_one_trial_at_a_time() {
    let etcd = "layer = \"etcd\"\netcd = { endpoints = [\"http://h:1\"] }\n";
    let text = SHORTEST.replace("[arms.before]", &format!("[arms.before]\n{etcd}"));
    let text = text.replace("[arms.after]", "[arms.after]\nlayer = \"rpc\"");
    let shown = problems(&text, &[]).to_string();
    assert!(shown.contains("would run two trials on them at once"), "{shown}");
    let alone = format!("{text}\n[trials]\naa = false\n");
    assert!(kvbench::scenario::parse("x.toml", &alone, &Default::default()).is_ok());
    let both = alone.replace("[arms.after]\nlayer = \"rpc\"", &format!("[arms.after]\n{etcd}"));
    let shown = problems(&both, &[]).to_string();
    assert!(shown.contains("before and after name the same servers"), "{shown}");
}

#[test]
fn only_rpc_and_etcd_are_compared_with_each_other() {
    let text = SHORTEST.replace("[arms.before]", "[arms.before]\nlayer = \"etcd\"");
    let shown = problems(&text, &[]).to_string();
    assert!(shown.contains("layer is etcd before and raft after"), "{shown}");
    let text = text.replace("[arms.after]", "[arms.after]\nlayer = \"rpc\"");
    let scenario = kvbench::scenario::parse("x.toml", &text, &Default::default()).unwrap();
    assert_eq!(scenario.after().lever, "layer rpc");
    let names = |levers: Vec<(&'static str, String)>| -> Vec<&str> {
        levers.into_iter().map(|(name, _)| name).collect()
    };
    let etcds = names(scenario.before().system.levers());
    assert_eq!(etcds, ["layer", "nodes", "auto_compaction", "consistency", "connections", "etcd"]);
}

#[test]
fn arms_and_ladder_are_checked() {
    one_mistake("[arms.after]\n", "", 3, "missing key `after` in [arms]");
    one_mistake("[arms.after]", "[arms.after]\n[arms.third]", 5, "unknown key `third` in [arms]");
    one_mistake(
        "[arms.after]",
        "[arms.after]\nlayer = \"store\"",
        5,
        "layer is raft before and store after",
    );
    let ladder = |steps: &str, expected| {
        let to = format!("[arms.after]\napply = \"global-mutex\"\n[ladder]\n{steps}");
        one_mistake("[arms.after]", &to, 7, expected);
    };
    ladder("steps = [{}]", "this step changes nothing");
    ladder("steps = [{ apply = \"sharded\" }]", "this step changes nothing");
    ladder("steps = [{ shards = 4 }]", "apply is sharded, not global-mutex, shards is 4, not 512");
    ladder("steps = [{ layer = \"apply\" }]", "a step may not change the layer");
    ladder("steps = [3]", "ladder.steps.0 is an integer; a table is wanted");
    ladder("step = 1\nsteps = [{ apply = \"global-mutex\" }]", "did you mean `steps`?");
}

#[test]
fn the_workload_is_checked() {
    let keys = |line: &str, expected| {
        one_mistake("[[op]]", &format!("[keys]\n{line}\n[[op]]"), 6, expected)
    };
    keys("space = \"200M\"", "keys.space is 200M; allowed: 1 to 100M");
    keys("size = \"2B\"", "keys of 2B cannot tell 100000 keys apart");
    keys("size = \"0B\"", "allowed: 1B to 1KiB");
    keys("preload = 100001", "keys.preload is 100001; allowed: 0 to 100k");
    keys("preload = \"all\"", "keys.preload is \"all\", which is not a count");
    keys("leases = \"2M\"", "keys.leases is 2M; allowed: 0 to 100k");
    keys("preload = 0.5", "keys.preload is a float; true, false or a count is wanted");
    keys("dist = \"lates\"", "did you mean `latest`?");
    keys("dist = \"zipf\"", "write \"zipf:0.99\"");
    keys("dist = \"zipf:nan\"", "the exponent is above 0, up to 10");
    keys("dist = \"zpif:0.99\"", "allowed: uniform, zipf:<exponent>");
    let values = |size: &str, expected| {
        one_mistake("[[op]]", &format!("[values]\nsize = {size}\n[[op]]"), 6, expected);
    };
    values("256", "values.size is 256: the unit is missing");
    values("\"2MiB\"", "allowed: 0B to 1MiB");
    values("{ lognormal = { median = \"256B\" } }", "missing key `p99`");
    values(
        "{ lognormal = { median = \"2KiB\", p99 = \"1KiB\" } }",
        "the median 2KiB is above the p99 1KiB",
    );
    values("{ normal = 1, lognormal = { median = \"1B\", p99 = \"1B\" } }", "unknown key `normal`");
    let op = |text: &str, line, expected| one_mistake("put = {}", text, line, expected);
    op("", 5, "[[op]] names no operation");
    op("watch = {}", 6, "there is no operation `watch`");
    op("lease_grant = {}", 6, "write lease_cycle = { keys = 10 }");
    op("txn = {}", 6, "missing key `kind` in [op.0.txn]");
    op("txn = { kind = \"swap\" }", 6, "allowed: create, cas, transfer");
    op("txn = { kind = \"cas\", keys = 65 }", 6, "txn.keys is 65; allowed: 1 to 64");
    op("txn = { kind = \"transfer\", keys = 3 }", 6, "money moves between 2 accounts");
    op("put = { keys = 2 }", 6, "unknown key `keys` in [op.0.put]");
    op("range = { keys = 0 }", 6, "range.keys is 0; allowed: 1 to 100k");
    op("range = { limit = -1 }", 6, "range.limit is \"-1\", which is not a count");
    op("range = { keys_only = true, count_only = true }", 6, "leave out keys_only or count_only");
    op("range = { keys_only = 1 }", 6, "keys_only is an integer; true or false is wanted");
    op("delete_range = { limit = 1 }", 6, "known keys: weight, keys");
    op("lease_cycle = { keys = 1001 }", 6, "lease_cycle.keys is 1001; allowed: 1 to 1k");
    op(
        "range = { keys = 5 }\nput = {}\n[keys]\nspace = 4",
        6,
        "`range` of 5 keys, but there are 4",
    );
    let large = "txn = { kind = \"cas\", keys = 64 }\n[values]\nsize = \"32KiB\"";
    op(large, 6, "a transaction of 64 values of 32KiB is too large");
    op("putt = {}", 6, "did you mean `put`?");
    op("put = { weight = inf }", 6, "weight is inf; allowed: above 0");
    op("put = { weight = nan }", 6, "weight is NaN; allowed: above 0");
    op("put = {}\n[[op]]\nput = {}", 8, "`put` is there twice");
    one_mistake("[[op]]\n", "[op]\n", 5, "write [[op]]");
    one_mistake("[[op]]\nput = {}\n", "", 1, "missing key `op` at the top level");
}

/// A few keys can be questioned alone if each operation says what it does to each.
#[test]
fn what_cannot_be_questioned_key_by_key_is_refused() {
    let on = "[check]\nlinearizable = true";
    let with = |ops: &str, rest: &str| SHORTEST.replace("put = {}", &format!("{ops}\n{rest}"));
    let sound = with("put = {}\nget = {}\nrange = {}\ndelete = {}", on);
    assert!(parse("x.toml", &sound, &Options::default()).unwrap().checks.linearizable);
    for (op, word) in [
        ("txn = { kind = \"cas\" }", "txn"),
        ("lease_cycle = {}", "lease_cycle"),
        ("delete_range = {}", "delete_range"),
    ] {
        let problems = problems(&with(op, on), &[]).to_string();
        let expected = format!("`{word}` is not about one key at a time");
        assert!(problems.contains(&expected), "{problems}");
    }
    let stale = problems(&with("put = {}", on), &["system.consistency=serializable"]).to_string();
    assert!(stale.contains("reads of arm before may be old"), "{stale}");
}

#[test]
fn transfers_need_accounts_that_nothing_else_writes() {
    const ACCOUNTS: &str = "[keys]\npreload = true\n[values]\nsize = \"16B\"";
    let transfer = "txn = { kind = \"transfer\" }";
    let with = |ops: &str, rest: &str| SHORTEST.replace("put = {}", &format!("{ops}\n{rest}"));
    let bank = |ops: &str, rest: &str, line: usize, expected: &str| {
        let problems = problems(&with(ops, rest), &[]);
        let shown = problems.to_string();
        assert_eq!((problems.total, problems.list[0].position.map(|at| at.0)), (1, Some(line)));
        assert!(shown.contains(expected), "wanted {expected}\n{shown}");
    };
    let sound =
        with(&format!("{transfer}\nget = {{}}"), &format!("{ACCOUNTS}\n[check]\nbank = true"));
    let scenario = parse("x.toml", &sound, &Options::default()).unwrap();
    assert!(scenario.checks.bank && scenario.is_bank());
    assert_eq!(scenario.keys.preload, scenario.keys.space);
    bank(transfer, "[values]\nsize = \"16B\"", 6, "write preload = true in [keys]");
    bank(transfer, "[keys]\npreload = 10\n[values]\nsize = \"16B\"", 6, "every key there");
    bank(transfer, "[keys]\npreload = true\n[values]\nsize = \"8B\"", 6, "room for a balance");
    bank(&format!("{transfer}\nput = {{}}"), ACCOUNTS, 7, "`put` would overwrite the balances");
    bank("put = {}", "[check]\nbank = true", 8, "check.bank is true, but no money is moved");
    bank("put = {}", "[check]\nbanc = true", 8, "did you mean `bank`?");
    bank("put = {}", "[check]\nbank = 1", 8, "true or false is wanted");
}

/// Checked and planned anywhere, run only where the engine is.
#[test]
fn an_engine_that_is_not_in_the_build_is_a_reason_not_to_run() {
    let missing = |engine: &str| {
        let text =
            SHORTEST.replace("[arms.after]", &format!("[arms.after]\nengine = \"{engine}\""));
        kvbench::runner::missing("x.toml", &parse("x.toml", &text, &Options::default()).unwrap())
    };
    assert_eq!(missing("memory"), None);
    let shown = missing("rocksdb").map(|problems| problems.to_string());
    let expected = "`cargo build --release --features rocksdb` (./scripts/setup rocksdb installs what it needs)";
    match cfg!(feature = "rocksdb") {
        true => assert_eq!(shown, None),
        false => {
            let shown = shown.unwrap();
            assert!(shown.starts_with("x.toml: engine rocksdb is not in this build"), "{shown}");
            assert!(shown.contains(expected), "{shown}");
        }
    }
}

#[test]
fn phases_and_trials_are_checked() {
    let load = |text: &str, expected| {
        one_mistake("load = { closed = { clients = [1, 50] } }", text, 9, expected);
    };
    load("load = {}", "phase.0.load says no load");
    load("load = { closed = { clients = [] } }", "has 0 client counts; allowed: 1 to 16");
    load("load = { closed = { clients = [50, 50] } }", "50 clients are there twice");
    load("load = { closed = { clients = [0, 50] } }", "clients.0 is 0; allowed: 1 to 10k");
    load("load = { closed = { clients = 50 } }", "clients is an integer; an array is wanted");
    one_mistake(
        "[1, 50] } }",
        "[1, 50] } }\nwarmup = \"61s\"",
        10,
        "warmup is 61s; allowed: 0ns to 60s",
    );
    one_mistake("[1, 50] } }", "[1, 50] } }\nduration = \"5x\"", 10, "unknown unit \"x\"");
    let watchers = |value: &str, expected| {
        let to = format!("[1, 50] }} }}\nwatchers = {value}");
        one_mistake("[1, 50] } }", &to, 10, expected);
    };
    watchers("10001", "phase.0.watchers is 10001; allowed: 0 to 10k");
    watchers("-1", "phase.0.watchers is \"-1\", which is not a count");
    watchers("1.5", "phase.0.watchers is 1.5: not a whole number");
    watchers("true", "phase.0.watchers is a boolean; a count is wanted");
    watchers("[100]", "phase.0.watchers is an array; a count is wanted");
    one_mistake("[1, 50] } }", "[1, 50] } }\nwatcher = 5", 10, "did you mean `watchers`?");
    one_mistake("name = \"a\"\n", "", 7, "missing key `name` in [[phase]]");
    let second = "[[phase]]\nname = \"a\"\nload = { closed = { clients = [1] } }\n[[target]]";
    one_mistake("[[target]]", second, 11, "an earlier phase is called `a`");
    let trials = |line: &str, expected| {
        one_mistake("[[target]]", &format!("[trials]\n{line}\n[[target]]"), 11, expected);
    };
    trials("order = \"abab\"", "allowed: random-pairs");
    trials("pairs = { min = 9, max = 8 }", "trials.pairs.min is 9, above max, which is 8");
    trials("pairs = { max = 201 }", "allowed: 1 to 200");
    trials("precision = \"5\"", "write a percentage such as \"5%\"");
    trials("precision = 5", "trials.precision is \"5\", which is not a percentage");
    trials("precision = \"100%\"", "precision is 100%; allowed: above 0%, below 100%");
    trials(
        "on_disturbed = \"ignore\"",
        "trials.on_disturbed is \"ignore\"; allowed: retry, keep, abort",
    );
    trials("on_disturbed = \"retyr\"", "did you mean `retry`?");
    trials("on_disturbed = true", "trials.on_disturbed is a boolean; a string is wanted");
    trials("on_disturbd = \"keep\"", "unknown key `on_disturbd`");
    trials("aa = \"yes\"", "aa is a string; true or false is wanted");
}

#[test]
fn watchers_are_kept_whatever_is_shortened() {
    let text = SHORTEST.replace("[1, 50] } }", "[1, 50] } }\nwatchers = \"1k\"");
    let text = text.replace("a.throughput@50", "a.watch_events@50");
    let watchers = |text: &str, quick| {
        parse("x.toml", text, &Options { quick, ..Options::default() }).unwrap().phases[0].watchers
    };
    assert_eq!((watchers(&text, false), watchers(&text, true)), (1000, 1000));
    assert_eq!(watchers(SHORTEST, false), 0);
    assert!(parse("x.toml", &text, &with_set(&["phase.a.watchers=10000"])).is_ok());
}

#[test]
fn open_loads_are_checked() {
    let load = |load: &str, expected: &str| {
        let phase = format!("[1, 50] }} }}\n[[phase]]\nname = \"b\"\nload = {{ {load} }}");
        one_mistake("[1, 50] } }", &phase, 12, expected);
    };
    load("", "phase.1.load says no load");
    load("open = { rate = \"1/s\" }, closed = { clients = [1] }", "more than one of closed, open");
    let open = |open: &str, expected| load(&format!("open = {{ {open} }}"), expected);
    open("", "missing key `rate` in [phase.1.load.open]");
    open("rate = \"1/s\", steps = [\"1/s\"]", "more than one of rate, steps, ramp");
    open("rate = 100", "rate is an integer; a string is wanted");
    open("rate = \"100\"", "the unit is missing");
    open("rate = \"0/s\"", "rate is 0/s; allowed: 0.1/s to 10M/s");
    open("rate = \"11M/s\"", "allowed: 0.1/s to 10M/s");
    open("rate = \"1k/s\", arival = \"poisson\"", "did you mean `arrival`?");
    open("rate = \"1k/s\", arrival = \"even\"", "allowed: poisson, constant");
    open("rate = \"1k/s\", clients = 0", "clients is 0; allowed: 1 to 10k");
    open("rate = \"70% of a@50\"", "which is not arm.phase@clients");
    open("rate = \"70% of befor.a@50\"", "did you mean `before`?");
    open("rate = \"70% of before.b@50\"", "which is no closed loop before this one");
    open("rate = \"70% of before.a@5\"", "its client counts: 1, 50");
    open("rate = \"70 of before.a@50\"", "write a percentage such as \"5%\"");
    open("rate = \"0% of before.a@50\"", "is 0%; allowed: above 0, up to 200 %");
    open("rate = \"201% of before.a@50\"", "allowed: above 0, up to 200 %");
    open("steps = []", "steps has 0 rates; allowed: 1 to 16");
    open("ramp = [\"1k/s\"]", "ramp has 1 rates; allowed: 2 to 16");
    let search = |search: &str, expected| load(&format!("search = {{ {search} }}"), expected);
    let rates = "rates = [\"1k/s\", \"9k/s\"]";
    search("until = \"p99 <= 5ms\"", "missing key `rates`");
    search(rates, "missing key `until`");
    search("rates = [\"1k/s\"], until = \"p99 <= 5ms\"", "rates has 1 rates; allowed: 2");
    search("rates = [\"2k/s\", \"1k/s\"], until = \"p99 <= 5ms\"", "is not below the second");
    search(&format!("{rates}, until = \"p98 <= 5ms\""), "percentiles: p50, p90, p99");
    search(&format!("{rates}, until = \"p99 <= 5\""), "the unit is missing");
    search(&format!("{rates}, until = \"p99 <= 0s\""), "bounds at 0");
    let think = |think: &str, expected| {
        one_mistake("[1, 50] } }", &format!("[1, 50], think = \"{think}\" }} }}"), 9, expected);
    };
    think("10us", "think is 10us; allowed: 0s, or 1ms to 60s");
    think("2m", "think is 120s; allowed: 0ns to 60s");
}

#[test]
fn open_loads_fit_the_layer_the_operations_and_the_targets() {
    let open = "load = { open = { rate = \"2k/s\" } }";
    let text = SHORTEST.replace("load = { closed = { clients = [1, 50] } }", open);
    let shown = problems(&text, &[]).to_string();
    assert!(shown.contains("names 50 clients, but `a` is no closed loop"), "{shown}");
    let good = text.replace("a.throughput@50", "a.p99");
    let scenario = parse("x.toml", &good, &Options::default()).unwrap();
    assert_eq!(scenario.targets[0].metric().unwrap().to_string(), "a.p99");
    assert_eq!(scenario.phases[0].load.to_string(), "open loop, poisson at 2k/s");
    let store = good.replace("[arms.before]", "[system]\nlayer = \"store\"\n[arms.before]");
    let shown = problems(&store, &[]).to_string();
    assert!(shown.contains("keeps its caller until it has answered"), "{shown}");
    let leases = good.replace("put = {}", "lease_cycle = {}");
    let shown = problems(&leases, &[]).to_string();
    assert!(shown.contains("a lease_cycle waits for its answers"), "{shown}");
}

#[test]
fn value_sizes_are_drawn_from_what_is_named() {
    let size = |size: &str, expected| {
        one_mistake("[[op]]", &format!("[values]\nsize = {size}\n[[op]]"), 6, expected);
    };
    size("{}", "values.size says no distribution");
    size("{ uniform = { min = \"2B\", max = \"1B\" } }", "the min 2B is above the max 1B");
    size("{ uniform = { min = \"2B\" } }", "missing key `max` in [values.size.uniform]");
    size("{ uniform = { min = \"0B\", max = \"2MiB\" } }", "allowed: 0B to 1MiB");
    let text = SHORTEST.replace(
        "[[op]]",
        "[values]\nsize = { uniform = { min = \"0B\", max = \"64B\" } }\n[keys]\ndist = \"latest\"\n[[op]]",
    );
    assert!(parse("x.toml", &text, &Options::default()).is_ok());
}

#[test]
fn targets_are_checked() {
    let metric = |metric: &str, expected| one_mistake("a.throughput@50", metric, 12, expected);
    metric("throughput", "which is not phase.measure@clients");
    metric("a.throughput", "says no client count of the closed loop `a`");
    metric("a.max_rate@50", "what a search finds, but `a` searches nothing");
    metric("b.throughput@50", "names phase `b`, which does not exist");
    metric("a.througput@50", "did you mean `throughput`?");
    metric("a.throughput@51", "its client counts: 1, 50");
    metric("a.throughput@-1", "which is not phase.measure@clients");
    metric("a.watch_events@50", "is about watchers, but `a` has none");
    let ratio = |ratio: &str, expected| one_mistake("\">= 1\"", ratio, 13, expected);
    ratio("10", "does not begin with >= or <=");
    ratio("\"< 0.1\"", "does not begin with >= or <=");
    ratio("\">= inf\"", "allowed: a finite number above 0");
    ratio("\">= -1\"", "allowed: a finite number above 0");
    ratio("\"é\"", "does not begin with >= or <=");
    ratio("\"5 .. 2\"", "allowed: from the smaller to the larger");
    ratio("\"2 ..\"", "allowed: a finite number above 0");
    metric("a.get.p99@50", "kinds of operation: put");
    metric("a.put.fsyncs_per_op@50", "is of the whole mix");
    metric("a.put.p99.x@50", "allowed: throughput, mean");
    one_mistake("id = \"t\"\n", "", 10, "missing key `id` in [[target]]");
    let again =
        "ratio = \">= 1\"\n[[target]]\nid = \"t\"\nmetric = \"a.p50@1\"\nratio = \"<= 1\"\n";
    one_mistake("ratio = \">= 1\"\n", again, 15, "an earlier target has the id `t`");
}

#[test]
fn gates_are_checked() {
    let gate = |lines: &str, line, expected| {
        let to = format!("ratio = \">= 1\"\n[[gate]]\n{lines}");
        one_mistake("ratio = \">= 1\"\n", &to, line, expected);
    };
    gate("worse = \"5%\"\n", 14, "missing key `metric` in [[gate]]");
    gate("metric = \"a.througput@50\"\n", 15, "did you mean `throughput`?");
    gate("metric = \"a.in_flight@50\"\n", 15, "more in_flight is neither better nor worse");
    let metric = "metric = \"a.p99@50\"\n";
    gate(&format!("{metric}worse = \"0%\"\n"), 16, "allowed: above 0% to 1000%");
    gate(&format!("{metric}worse = 0.05\n"), 16, "worse is a float");
    gate(&format!("{metric}least = \"100\"\n"), 16, "the unit is missing");
    gate(&format!("{metric}least = \"1%\"\n"), 16, "it is in the unit of p99");
    gate(&format!("{metric}arm = \"aftr\"\n"), 16, "did you mean `after`?");
    gate(&format!("{metric}ratio = \">= 1\"\n"), 16, "unknown key `ratio` in [[gate]]");
    gate(&format!("{metric}[[gate]]\n{metric}"), 17, "an earlier gate is on a.p99@50 of after");
}

/// What a target may be about besides a ratio: one arm's own value, and a check.
#[test]
fn targets_on_values_and_checks_are_checked() {
    let value =
        |lines: &str, line, expected| one_mistake("ratio = \">= 1\"", lines, line, expected);
    value("value = \">= 1/s\"", 10, "missing key `arm` in [[target]]");
    value(
        "value = \">= 1\"\narm = \"after\"",
        13,
        "; the unit is missing: expected a rate such as",
    );
    value("value = \">= -1/s\"\narm = \"after\"", 13, "; a rate is not negative");
    value("value = \">= 10k/s\"\narm = \"rung-1\"", 14, "arms: before, after");
    value("value = \">= 10k/s\"\narm = \"aftr\"", 14, "did you mean `after`?");
    value(
        "value = \">= 10k/s\"\narm = \"after\"\nratio = \">= 1\"",
        15,
        "a ratio or a value, not both",
    );
    value("ratio = \">= 1\"\narm = \"after\"", 14, "a ratio is of both arms");
    value("ratio = \">= 1\"\ncheck = \"acked-once\"", 12, "a check or about a metric, not both");
    let line = "metric = \"a.throughput@50\"\nratio = \">= 1\"";
    let check = |check: &str, expected| {
        one_mistake(line, &format!("check = \"{check}\""), 12, expected);
    };
    check("acked-onse", "did you mean `acked-once`?");
    check("bank", "write bank = true in [check]");
    check("versions", "write versions = true in [check]");
    check("leases", "write leases = true in [check]");
    check("linearizable", "write linearizable = true in [check]");
    check("watch-complete", "write watchers = 100 in a [[phase]]");
    check("members-agree", "write nodes = 3 in [system]");
    let good = SHORTEST.replace(line, "check = \"acked-once\"\nclaim = \"it holds\"");
    let scenario = parse("x.toml", &good, &Options::default()).unwrap();
    assert_eq!(
        (scenario.targets[0].claim.as_str(), scenario.targets[0].metric()),
        ("it holds", None)
    );
    one_mistake(
        "id = \"t\"",
        "id = \"t\"\nclaim = \"\"",
        12,
        "is not one line of 1 to 120 characters",
    );
}

/// What only this process shows is not asked of other layers.
#[test]
fn measures_exist_where_they_are_measured() {
    let problem = |measure: &str, set: &[&str]| {
        let text = SHORTEST.replace("throughput", measure);
        problems(&text, set).to_string()
    };
    for measure in ["in_flight", "entries_per_op", "log_bytes_per_op", "fsyncs_per_op"] {
        let shown = problem(measure, &["system.layer=store"]);
        assert!(shown.contains("layer `store` has no log"), "{shown}");
    }
    for measure in ["in_flight", "appliers_max", "lock_wait_share", "locks_per_op"] {
        let shown = problem(measure, &["system.layer=rpc"]);
        assert!(shown.contains("servers of layer `rpc` are not looked into"), "{shown}");
    }
    let shown = problem("appliers_mean", &["arms.after.instruments=false"]);
    assert!(shown.contains("an arm has instruments = false"), "{shown}");
    let shown = problem("system_cores_busy", &["system.layer=store"]);
    assert!(shown.contains("runs on the clients' threads"), "{shown}");
}

/// Checks that only some mixes allow.
#[test]
fn checks_of_the_state_need_the_operations_they_count() {
    let check = |line: &str, expected| {
        one_mistake("[[phase]]", &format!("[check]\n{line}\n[[phase]]"), 8, expected)
    };
    check("leases = true", "add lease_cycle = { keys = 10 }");
    let held = |keys: &str| {
        let text = SHORTEST.replace("[[op]]", &format!("[keys]\n{keys}\n[[op]]"));
        parse("x.toml", &format!("{text}\n[check]\nleases = true"), &Options::default())
    };
    assert!(held("leases = 5\npreload = true").is_ok());
    assert!(held("leases = 5").unwrap_err().to_string().contains("leases and preload to [keys]"));
    let deletes = SHORTEST.replace("put = {}", "put = {}\ndelete = {}\n[check]\nversions = true");
    assert!(problems(&deletes, &[]).to_string().contains("`delete` writes without a put"));
    let preload = SHORTEST.replace("[[op]]", "[keys]\npreload = 5\n[[op]]");
    let preload = preload.replace("[[phase]]", "[check]\nversions = true\n[[phase]]");
    assert!(problems(&preload, &[]).to_string().contains("leave out preload"));
}

#[test]
fn syntax_errors_are_collected_with_the_rest() {
    let text = SHORTEST.replace("put = {}", "put = { weight = }\nput = {}").replace("\"t\"", "t");
    let text = text.replace("[arms.after]", "[arms.after]\npropse = \"serial\"");
    let problems = problems(&text, &[]);
    let lines: Vec<_> =
        problems.list.iter().filter_map(|problem| problem.position).map(|at| at.0).collect();
    assert_eq!(lines, [5, 7, 8, 13], "{problems}");
    let shown = problems.to_string();
    for expected in ["the value is missing", "duplicate key `put`", "did you mean `propose`?"] {
        assert!(shown.contains(expected), "{problems}");
    }
}

#[test]
fn quantities_and_words_without_quotes_are_explained() {
    one_mistake(
        "[arms.after]",
        "[arms.after]\nfsync = delay:5ms",
        5,
        "`delay:5ms` is not a TOML value",
    );
    one_mistake("[1, 50] } }", "[1, 50] } }\nduration = 5s", 10, "text and quantities need quotes");
    one_mistake("[arms.after]", "[arms.after", 4, "expected `]`");
}

#[test]
fn crlf_and_a_byte_order_mark_are_fine() {
    let text = format!("\u{feff}{}", SHORTEST.replace('\n', "\r\n"));
    assert!(parse("x.toml", &text, &Options::default()).is_ok());
    let problems = problems(&text.replace("schema = 1", "schema = 3"), &[]);
    assert_eq!(problems.list[0].position, Some((1, 10)));
}

#[test]
fn set_changes_what_the_file_says() {
    let scenario = |set: &[&str]| parse("x.toml", SHORTEST, &with_set(set)).unwrap();
    let changed = scenario(&[
        "arms.before.apply=global-mutex",
        "phase.0.duration=1s",
        "phase.a.warmup=\"20ms\"",
        "phase.a.load.closed.clients=[50, 3]",
        "trials.pairs.min=4",
        "trials.precision=5%",
        "target.t.ratio=<= 0.5",
        "values.size=1KiB",
    ]);
    assert_eq!(changed.after().lever, "apply sharded");
    assert_eq!(changed.phases[0].duration, Nanos::from_millis(1_000));
    assert_eq!(changed.phases[0].warmup, Nanos::from_millis(20));
    assert_eq!(changed.phases[0].clients, [3, 50]);
    assert_eq!((changed.trials.pairs_min, changed.trials.pairs_max), (4, 20));
    assert!(changed.trials.precision_required);
    let expected = Bound::AtMost(0.5);
    assert!(
        matches!(&changed.targets[0].expectation, Expectation::Ratio { bound, .. } if *bound == expected)
    );
    assert!(changed.text.starts_with(SHORTEST));
    assert!(changed.text.ends_with("# --set values.size=1KiB\n"));
}

#[test]
fn problems_of_a_set_point_to_it() {
    let expected = "\
--set trials.pairs.min=0: trials.pairs.min is 0; allowed: 1 to 200
   |
   | trials.pairs.min=0
   |                  ^

1 problem in x.toml";
    assert_eq!(problems(SHORTEST, &["trials.pairs.min=0"]).to_string(), expected);
    let unknown = problems(SHORTEST, &["system.layr=store"]);
    assert!(unknown.to_string().contains("did you mean `layer`?"), "{unknown}");
    let mixed = problems(SHORTEST, &["phase.a.load.closed.clients=[1]"]);
    assert!(
        mixed.to_string().contains("x.toml:12:10: target.0.metric names 50 clients"),
        "{mixed}"
    );
}

#[test]
fn every_shipped_scenario_is_good() {
    let files = scenario_files();
    assert!(files.len() >= 5, "{files:?}");
    for path in files {
        let scenario =
            load(&path, &Options::default()).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(path.file_stem().unwrap().to_str(), Some(scenario.name.as_str()));
        assert!(!scenario.analysis.is_empty() && !scenario.targets.is_empty());
        let quick = load(&path, &Options { quick: true, ..Options::default() }).unwrap();
        let plan = Plan::of(&quick);
        assert_eq!(plan.trials_min(), plan.trials_max());
        assert!(plan.estimated_max <= Nanos::from_millis(30_000), "{}", plan.estimated_max);
        assert!(quick.phases.iter().all(|phase| !phase.clients.is_empty()));
        for metric in quick.targets.iter().filter_map(|target| target.metric()) {
            let phase = quick.phases.iter().find(|phase| phase.name == metric.phase);
            let clients = |clients| phase.is_some_and(|phase| phase.clients.contains(&clients));
            assert!(phase.is_some() && metric.clients.is_none_or(clients));
        }
    }
}

/// Every claim is decided by a target that says so, within half an hour for all of them.
#[test]
fn claims_are_named_and_take_half_an_hour() {
    let mut total = Nanos::ZERO;
    let files: Vec<_> = scenario_files()
        .into_iter()
        .filter(|path| path.parent().unwrap().ends_with("claims"))
        .collect();
    assert!(files.len() >= 35, "{files:?}");
    for path in files {
        let scenario = load(&path, &Options::default()).unwrap();
        let number = scenario.name[1..].trim_start_matches('0');
        let claim: String = number.chars().take_while(|c| *c != '_').collect();
        let wanted = format!("C{}:", if claim.is_empty() { "0" } else { &claim });
        let claims: Vec<_> = scenario.targets.iter().map(|target| target.claim.as_str()).collect();
        assert!(
            claims.iter().any(|text| text.starts_with(&wanted)),
            "{}: {claims:?}",
            scenario.name
        );
        assert!(scenario.analysis.contains("efuted") || scenario.analysis.contains("Met if"));
        let plan = Plan::of(&scenario);
        assert!(
            plan.estimated_max <= Nanos::from_millis(90_000),
            "{}: {}",
            scenario.name,
            plan.estimated_max
        );
        total = total.after(plan.estimated_max);
    }
    assert!(total <= Nanos::from_millis(25 * 60_000), "{total}");
}

#[test]
fn the_flagship_attributes_its_gain() {
    let scenario = parse("put_parallel.toml", FLAGSHIP, &Options::default()).unwrap();
    let arms: Vec<_> =
        scenario.arms.iter().map(|arm| (arm.name.as_str(), arm.lever.as_str())).collect();
    let expected = [
        ("before", ""),
        ("rung-1", "propose pipelined"),
        ("rung-2", "apply sharded"),
        ("rung-3", "propose batched"),
        ("after", "batch.linger siblings:50us"),
    ];
    assert_eq!(arms, expected);
    assert_eq!(scenario.phases[0].clients, [1, 10, 50, 100]);
}

#[test]
fn a_ladder_can_be_left_out_without_editing_the_file() {
    let scenario = parse("put_parallel.toml", FLAGSHIP, &with_set(&["ladder.steps=[]"])).unwrap();
    let arms: Vec<_> = scenario.arms.iter().map(|arm| arm.name.as_str()).collect();
    assert_eq!(arms, ["before", "after"]);
}

/// The sync of the engine has rungs of its own, so that neither batches nor shards are credited with it.
#[test]
fn the_flagship_on_disk_attributes_its_gain_too() {
    let text = include_str!("../scenarios/put_parallel_rocksdb.toml");
    let scenario = parse("put_parallel_rocksdb.toml", text, &Options::default()).unwrap();
    let levers: Vec<_> = scenario.arms.iter().map(|arm| arm.lever.as_str()).collect();
    let expected = [
        "",
        "propose pipelined",
        "state_sync per-batch",
        "state_sync raft-log-only",
        "apply sharded",
        "propose batched",
        "batch.linger siblings:50us",
        "apply_on apply-thread, batch.linger 0s, batch.in_flight 2",
    ];
    assert_eq!(levers, expected);
}

#[test]
fn arms_without_a_difference_are_allowed() {
    let scenario: Scenario = parse("x.toml", SHORTEST, &Options::default()).unwrap();
    assert_eq!(scenario.before().system, scenario.after().system);
    assert_eq!(scenario.after().lever, "");
}

#[test]
fn only_regular_small_utf8_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, bytes: &[u8], expected: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let problems = load(&path, &Options::default()).unwrap_err().to_string();
        assert!(problems.contains(expected), "{problems}");
    };
    check("utf16.toml", b"\xff\xfes\0", "is not UTF-8 text (first bad byte at offset 0)");
    check("large.toml", &vec![b'#'; FILE_BYTES_MAX as usize + 1], "is larger than 1 MiB");
    check("empty.toml", b"", "missing key `schema`");
    let problems = load(folder.path(), &Options::default()).unwrap_err().to_string();
    assert!(problems.contains("is not a regular file"), "{problems}");
    let problems = load(Path::new("/dev/zero"), &Options::default()).unwrap_err().to_string();
    assert!(problems.contains("is not a regular file"), "{problems}");
    let problems = load(&folder.path().join("absent"), &Options::default()).unwrap_err();
    assert!(problems.to_string().contains("cannot be read: No such file"), "{problems}");
}

#[test]
fn a_hopeless_file_is_answered_briefly() {
    let size = 1 << 20;
    for text in [
        "=".repeat(size),
        "[".repeat(size),
        "a={".repeat(size / 3),
        "x\n".repeat(size / 2),
        "a.".repeat(size / 2),
    ] {
        let problems = problems(&text, &[]);
        assert!(problems.list.len() <= 100 && problems.total >= problems.list.len());
        assert!(problems.to_string().len() < 64 << 10);
    }
}

/// One edit: at a place, remove some bytes and put in a snippet that means something in TOML or here.
fn edit() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
    let snippets = prop::sample::select(vec![
        "",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "\"",
        "'",
        "\"\"\"",
        "=",
        ".",
        ",",
        "#",
        "\n",
        "\r",
        "\t",
        "-1",
        "0",
        "1e999",
        "nan",
        "\u{0}",
        "\u{1b}",
        "ü",
        "键",
        "\u{202e}",
        "a.b.c",
        "[arms.before]",
        "[[phase]]",
        "999999999999",
        "\"5ms\"",
        "true",
        "1979-05-27",
        "steps",
        "weight",
    ]);
    (any::<prop::sample::Index>(), 0usize..12, snippets.prop_map(str::to_owned))
}

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, String)>> {
    prop::collection::vec(edit(), 1..8)
}

/// What is tried as the text of a `--set`.
const SET: &str = r#"[a-z0-9.=\[\]{}"]{0,24}"#;

fn edited(text: &str, edits: &[(prop::sample::Index, usize, String)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (at, removed, inserted) in edits {
        let at = at.index(bytes.len() + 1);
        let end = (at + removed).min(bytes.len());
        bytes.splice(at..end, inserted.bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_edit_of_a_scenario_panics(edits in edits(), set in SET) {
        let options = Options { set: vec![set], quick: true, ..Options::default() };
        match parse("x.toml", &edited(FLAGSHIP, &edits), &options) {
            Ok(scenario) => prop_assert!(!Plan::of(&scenario).blocks.is_empty()),
            Err(problems) => {
                let shown = problems.to_string();
                prop_assert!(problems.total > 0 && !shown.contains(char::from(0x1b)), "unprintable");
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(parse("x.toml", &text, &Options::default()).is_err());
    }
}
