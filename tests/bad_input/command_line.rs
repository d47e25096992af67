//! Words that are no command, values out of range, options that do not go together.

use crate::desk::{Desk, Row, failed, usage};
use kvbench::cli::Exit;

const S: &str = "@/s.toml";

#[test]
fn words_and_ranges() {
    let desk = Desk::new();
    let unknown = "unknown unit";
    desk.check(
        "command line",
        &[
            usage(&[], &["Usage: kvbench"]),
            usage(&["frobnicate"], &["unrecognized subcommand 'frobnicate'"]),
            usage(&["rum", S], &["a similar subcommand exists: 'run'"]),
            usage(&["frob\u{1b}]0;x\u{7}\u{202e}"], &["unrecognized subcommand"]),
            usage(&["run"], &["required", "<SCENARIO>"]),
            usage(&["run", S, "--quick=yes"], &["unexpected value 'yes'"]),
            usage(&["run", S, "--fast"], &["unexpected argument '--fast'"]),
            usage(&["run", S, "--stalled-after", "5"], &["the unit is missing"]),
            usage(&["run", S, "--stalled-after", "5x"], &[unknown, "\"x\""]),
            usage(&["run", S, "--stalled-after=-1s"], &["a time such as"]),
            usage(&["run", S, "--stalled-after", ""], &["a time such as"]),
            usage(&["run", S, "--stalled-after", "inf"], &["a time such as"]),
            usage(&["run", S, "--stalled-after", "1e3s"], &[unknown]),
            usage(&["run", S, "--stalled-after", "99999999999h"], &["too large"]),
            usage(&["run", S, "--stalled-after", "0.5ns"], &["not a whole number"]),
            usage(&["run", S, "--stalled-after", "1..5s"], &["a time such as"]),
            usage(&["run", S, "--set"], &["a value is required"]),
            usage(&["run", S, "--set", "seed"], &["`=` is missing"]),
            usage(&["run", S, "--set", "a..b=1"], &["a part of the path is empty"]),
            usage(&["run", S, "--set", "nosuch=1"], &["unknown key `nosuch`"]),
            usage(&["run", S, "--set", "sede=1"], &["did you mean `seed`?"]),
            usage(&["run", S, "--set", "seed=-1"], &["seed is -1; allowed: 0 to"]),
            usage(&["run", S, "--set", "phase.9.duration=1s"], &["nothing here is called `9`"]),
            usage(&["run", S, "--set", "a=\u{1b}[2J"], &["control characters"]),
            usage(
                &["run", S, "--set", "trials.pairs.max=18446744073709551615"],
                &["trials.pairs.max is 18446744073709551615"],
            ),
            usage(&["run", S, "--set", "trials.pairs.max=1e18"], &["trials.pairs.max"]),
            usage(&["run", S, "--set", "trials.pairs.min=0"], &["trials.pairs.min is 0"]),
            usage(
                &["run", S, "--set", "phase.a.duration=0s"],
                &["phase.0.duration is 0ns; allowed"],
            ),
            usage(&["run", S, "--set", "phase.a.duration=31d"], &["unknown unit \"d\""]),
            usage(
                &["run", S, "--set", "phase.a.duration=9999h"],
                &["phase.0.duration is", "allowed"],
            ),
            usage(
                &["run", S, "--set", "phase.a.load.closed.clients=[18446744073709551615]"],
                &["clients"],
            ),
            usage(&["run", S, "--set", "phase.a.load.closed.clients=[]"], &["clients"]),
            usage(
                &["run", S, "--set", "phase.a.load.closed.clients=[0]"],
                &["is 0; allowed: 1 to"],
            ),
            usage(&["run", S, "--set", "keys.dist=zipf:0"], &["the exponent is above 0, up to 10"]),
            usage(
                &["run", S, "--set", "keys.dist=zipf:-1"],
                &["the exponent is above 0, up to 10"],
            ),
            usage(
                &["run", S, "--set", "keys.dist=zipf:11"],
                &["the exponent is above 0, up to 10"],
            ),
            usage(
                &["run", S, "--set", "keys.dist=zipf:inf"],
                &["the exponent is above 0, up to 10"],
            ),
            usage(&["run", S, "--set", "keys.dist=zipf:"], &["zipf"]),
            usage(&["run", S, "--set", "keys.space=0"], &["keys.space is 0"]),
            usage(&["run", S, "--set", "keys.space=1e18"], &["keys.space"]),
            usage(&["run", S, "--set", "values.size=-1B"], &["values.size"]),
            usage(&["run", S, "--set", "values.size=99999999999999999999GiB"], &["too large"]),
            usage(&["run", S, "--set", "system.shards=131072"], &["allowed: 1 to 65536"]),
            usage(&["run", S, "--agents", "host"], &["host is not HOST:PORT", "10.0.0.7:2390"]),
            usage(&["run", S, "--agents-cacert", "x"], &["--agents"]),
            usage(&["plan", S, "--what-if", "cores=0"], &["cores"]),
            usage(&["plan", S, "--what-if", "cores"], &["cores"]),
            usage(&["plan", S, "--what-if", "cors=4"], &["did you mean `cores`?"]),
            usage(&["plan", S, "--what-if", "cores=2,cores=3"], &["cores"]),
            usage(&["plan", S, "--what-if", "rtt=9h"], &["rtt"]),
            usage(&["plan", S, "--what-if", "clients=99999"], &["clients"]),
            usage(&["report", "@/b", "--md", "--html"], &["cannot be used with"]),
            usage(&["compare"], &["required", "<BUNDLE[:ARM]>"]),
            usage(&["compare", "a", "b", "--floor", "0%"], &["expected more than 0%"]),
            usage(&["compare", "a", "b", "--floor", "nan%"], &["expected"]),
            usage(&["compare", "a", "b", "--floor", "inf%"], &["expected"]),
            usage(&["compare", "a", "b", "--floor=-5%"], &["expected"]),
            usage(&["compare", "a", "b", "--floor", "5"], &["a percentage such as"]),
            usage(&["compare", "a", "b", "--floor", "1001%"], &["at most 1000%"]),
            usage(&["gate", S], &["required", "--base"]),
            usage(&["gate", S, "--base", "@/b", "--pairs", "0"], &["0 is not in 6..=200"]),
            usage(&["gate", S, "--base", "@/b", "--pairs", "201"], &["201 is not in 6..=200"]),
            usage(&["gate", S, "--base", "@/b", "--pairs", "18446744073709551616"], &["--pairs"]),
            usage(
                &["gate", S, "--base", "@/b", "--inconclusive", "maybe"],
                &["possible values: tell, pass, fail"],
            ),
            usage(&["gate", S, "--base", "@/b", "--quick"], &["a gate is not shortened"]),
            usage(&["gate", S, S, "--base", "@/b"], &["another scenario is called tiny as well"]),
            usage(
                &["gate", S, "--base", "@/b", "--junit", "@/no/such.xml"],
                &["No such file", "a folder that is there"],
            ),
            usage(&["history", "trend", "--floor", "0%"], &["expected more than 0%"]),
            usage(&["history", "forget"], &["unrecognized subcommand 'forget'"]),
            usage(&["history", "bless", "x", "--metric", "a.p99@1"], &["--why"]),
            usage(
                &["profile", S, "--arm", "nope"],
                &["--arm nope is not in the scenario", "before, after"],
            ),
            usage(&["profile", S, "--phase", "\u{1b}[2J"], &["is not in the scenario"]),
            usage(&["profile", S, "--hz", "0"], &["0 is not in 1..=1000"]),
            usage(&["profile", S, "--seconds", "601"], &["601 is not in 1..=600"]),
            usage(&["profile", S, "--clients", "10001"], &["10001 is not in 1..=10000"]),
            usage(&["verify", "--histories", "0"], &["0 is not in 1..=1000000"]),
            usage(&["verify", "--operations", "99"], &["99 is not in 100..=1000000"]),
            usage(&["verify", "--operations", "1e18"], &["invalid digit"]),
            usage(&["verify", "--requests=-1"], &["invalid digit"]),
            usage(&["verify", "--seed", "18446744073709551616"], &["number too large"]),
            usage(&["verify", "--nodes", "6"], &["6 is not in 1..=5"]),
            usage(
                &["verify", "--fault", "plague"],
                &["there is no such fault; there are", "leader-cut-off"],
            ),
            usage(
                &["verify", "--nodes", "1", "--fault", "loss"],
                &["one member alone has none of these faults"],
            ),
            usage(&["verify", "--soak", "0s"], &["from 1s to 720h"]),
            usage(&["verify", "--soak", "721h"], &["from 1s to 720h"]),
            usage(
                &["verify", "--campaign", "everything"],
                &["possible values: all, equivalence, crashes, faults"],
            ),
            usage(&["verify", "--keyed"], &["--history"]),
            usage(&["verify", "--history", "x", "--out", "y"], &["cannot be used with"]),
            usage(&["explain", "fnord\u{1b}[1m"], &["no entry for \"fnord[1m\""]),
            usage(&["doctor", "--data", "@/nowhere"], &["is not a folder"]),
            usage(&["new", "../x"], &["is no name for a scenario"]),
            usage(
                &["new", "mine", "--from", "nosuch"],
                &["there is no template \"nosuch\"", "known are put"],
            ),
            usage(&["new", "mine", "--out", S], &["is there already", "--force"]),
            usage(
                &["new", "mine", "--out", "@/no/such.toml"],
                &["cannot be written: No such file"],
            ),
            usage(&["completions", "tcsh"], &["possible values: bash, elvish, fish"]),
            usage(&["man", "nope"], &["no command \"nope\""]),
            usage(&["schema", "--records"], &["unexpected argument"]),
        ],
    );
}

#[test]
fn servers_and_agents() {
    let desk = Desk::new();
    desk.write("foreign/thesis.tex", "dear");
    desk.write("newer/KVBENCH-DATA", "kvbench data folder, layout 9\n");
    desk.write("garbage/KVBENCH-DATA", [0xff; 9000]);
    desk.write("torn/KVBENCH-DATA", "kvbench data folder, lay");
    desk.write("file", "x");
    desk.write("empty.pem", "");
    let serve = |more: &'static [&'static str], says: &'static [&'static str]| {
        let port = ["serve", "--listen-client-urls", "http://127.0.0.1:0", "--data-dir", "@/data"];
        let has = |flag: &str| more.iter().any(|word| word.split('=').next() == Some(flag));
        let kept = match (has("--listen-client-urls"), has("--data-dir")) {
            (true, true) => &port[..1],
            (true, false) => &[port[0], port[3], port[4]],
            (false, true) => &port[..3],
            (false, false) => &port[..],
        };
        (kept.iter().chain(more).copied().collect::<Vec<&str>>(), says)
    };
    let usages = [
        serve(&["--shards", "3"], &["--shards 3 is not a power of two", "512 is a good start"]),
        serve(&["--shards", "0"], &["--shards 0 is not a power of two"]),
        serve(&["--shards", "131072"], &["up to 65536"]),
        serve(&["--shards", "4294967296"], &["4294967296 is not in"]),
        serve(&["--apply", "both"], &["possible values: global-mutex, sharded"]),
        serve(&["--apply-workers", "65"], &["65 is not in 1..=64"]),
        serve(&["--apply", "global-mutex", "--apply-workers", "2"], &["--apply sharded"]),
        serve(&["--state-sync", "per-op"], &["--engine rocksdb"]),
        serve(&["--batch-ops-max", "0"], &["0 is not in 1..=65536"]),
        serve(&["--batch-bytes-max", "1B"], &["allowed: 1KiB to 64MiB"]),
        serve(&["--batch-linger", "5ms"], &["allowed: 0s, ticker:5ms"]),
        serve(&["--batch-linger", "armed:2s"], &["allowed: 1us to 1s"]),
        serve(&["--fsync", "never"], &["allowed: real, off, delay:TIME"]),
        serve(&["--fsync", "delay:11s"], &["allowed:"]),
        serve(&["--quota-backend-bytes", "2GiB"], &["invalid digit"]),
        serve(&["--quota-backend-bytes", "9223372036854775808"], &["number too large"]),
        serve(&["--max-connections", "0"], &["0 is not in 1..=1000000"]),
        serve(&["--heartbeat-interval", "0"], &["0 is not in 1..=60000"]),
        serve(&["--election-timeout", "100"], &["less than five heartbeats", "1000 and 100"]),
        serve(&["--snapshot-count", "0"], &["0 is not in 1.."]),
        serve(&["--snapshot-bytes", "1B"], &["allowed: 64KiB to 1024GiB"]),
        serve(&["--snapshot-bytes=-1"], &["expected a size such as"]),
        serve(
            &["--listen-client-urls", "127.0.0.1:2379"],
            &["should look like http://127.0.0.1:2379"],
        ),
        serve(&["--listen-client-urls", "ftp://127.0.0.1:1"], &["ftp is not served"]),
        serve(&["--listen-client-urls", "http://127.0.0.1"], &["should look like"]),
        serve(&["--listen-client-urls", "http://127.0.0.1:65536"], &["should look like"]),
        serve(&["--listen-client-urls", ""], &["--listen-client-urls"]),
        serve(
            &["--listen-peer-urls", "http://127.0.0.1:0", "--initial-cluster", "a"],
            &["`a` is not NAME=URL"],
        ),
        serve(
            &["--listen-peer-urls", "http://127.0.0.1:0", "--initial-cluster", "a=b"],
            &["should look like"],
        ),
        serve(
            &["--listen-peer-urls", "http://127.0.0.1:0", "--initial-cluster", "a=http://b:1"],
            &["does not name this member", "--name one of a"],
        ),
        serve(&["--initial-cluster", "default=http://127.0.0.1:1"], &["--listen-peer-urls"]),
        serve(&["--cert-file", "@/empty.pem"], &["--key-file"]),
        serve(&["--client-cert-auth"], &["--trusted-ca-file"]),
        serve(&["--listen-metrics-urls", "https://127.0.0.1:0"], &["plain HTTP only"]),
        serve(&["--enable-pprof"], &["--listen-metrics-urls"]),
        (vec!["agent", "--listen", "127.0.0.1:2390"], &["should look like"]),
        (vec!["agent", "--listen", "http://127.0.0.1:0", "--runs", "0"], &["0 is not in 1.."]),
    ];
    let failures = [
        serve(
            &["--data-dir", "@/foreign"],
            &["not empty and has no KVBENCH-DATA", "name an empty folder"],
        ),
        serve(&["--data-dir", "@/newer"], &["has another layout", "name another folder"]),
        serve(&["--data-dir", "@/garbage"], &["has another layout"]),
        serve(&["--data-dir", "@/torn"], &["has another layout"]),
        serve(&["--data-dir", "@/file"], &["data folder", "hint: "]),
        serve(&["--data-dir", "/proc/nowhere"], &["data folder /proc/nowhere", "hint: "]),
        serve(
            &[
                "--listen-client-urls",
                "https://127.0.0.1:0",
                "--cert-file",
                "@/none",
                "--key-file",
                "@/none",
            ],
            &["cannot read", "No such file", "PEM"],
        ),
        serve(
            &[
                "--listen-client-urls",
                "https://127.0.0.1:0",
                "--cert-file",
                "/dev/zero",
                "--key-file",
                "/dev/zero",
            ],
            &["is not a regular file", "PEM"],
        ),
    ];
    let rows: Vec<Row<'_>> = usages
        .iter()
        .map(|(args, says)| usage(args, says))
        .chain(failures.iter().map(|(args, says)| failed(args, says)))
        .collect();
    desk.check("servers and agents", &rows);
}

/// What is found out only once a folder is there: it is made, and nothing else.
#[test]
fn servers_on_images_that_are_none() {
    let desk = Desk::new();
    desk.write("short.image", "kvbench image 2\n");
    desk.write("other.image", "SQLite format 3\0 and so on, and so forth, until it is long enough");
    desk.pipe("pipe.image");
    let mut rows = 0;
    for (image, says) in [
        ("@/none.image", "No such file"),
        ("@/short.image", "image of the state"),
        ("@/other.image", "begins with something else"),
        ("@/pipe.image", "is not a regular file"),
        ("/dev/zero", "is not a regular file"),
    ] {
        rows += 1;
        let data = format!("@/data-{rows}");
        let args = [
            "serve",
            "--listen-client-urls",
            "http://127.0.0.1:0",
            "--data-dir",
            &data,
            "--from-image",
            image,
        ];
        desk.check_one(&Row { args: &args, exit: Exit::Failed, says: &[says] });
        let left: Vec<_> = std::fs::read_dir(desk.path(&data[2..]))
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert!(left.iter().all(|name| name == "KVBENCH-DATA"), "{image}: {left:?}");
    }
    eprintln!("bad input, images to begin with: {rows} rows");
}
