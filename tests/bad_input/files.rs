//! Records, histories and boards that are not what a name promises: cut short, of another version, huge, pipes, devices, links.

use crate::desk::{Desk, Row, usage};
use kvbench::cli::Exit;
use std::fs::File;

const WROTE: &str = "name a folder that `kvbench run` wrote";

/// A file of this length takes no room on the disk.
fn sparse(desk: &Desk, name: &str, bytes: u64) {
    desk.write(name, "");
    File::options().write(true).open(desk.path(name)).unwrap().set_len(bytes).unwrap();
}

/// Folders with a `result.json` that is none, and what is said of it.
fn no_bundles(desk: &Desk) -> Vec<(&'static str, &'static str)> {
    let whole = desk.bundle("sound", |_| {});
    desk.write("empty/result.json", "");
    desk.write("half/result.json", &whole[..whole.len() / 2]);
    desk.write("last/result.json", &whole[..whole.len() - 3]);
    desk.write("binary/result.json", [0, 159, 146, 150]);
    desk.write("bom/result.json", "\u{feff}".to_owned() + &whole);
    desk.write("list/result.json", "[]");
    desk.write("null/result.json", "null");
    desk.write("number/result.json", "{\"schema\": -1}");
    desk.write("other/result.json", "{\"schema\": 1, \"name\": \"x\"}");
    desk.write("deep/result.json", "[".repeat(100_000));
    desk.write("twice/result.json", whole.clone() + &whole);
    desk.write(
        "nan/result.json",
        whole.replacen("\"elapsed_s\": ", "\"elapsed_s\": NaN, \"x\": ", 1),
    );
    desk.write(
        "large/result.json",
        whole.replacen("\"elapsed_s\": ", "\"elapsed_s\": 1e999, \"x\": ", 1),
    );
    desk.write("steers/result.json", "{\"schema\": \"\u{1b}]0;x\u{7}\u{202e}\"}");
    desk.bundle("newer", |run| run.schema = 99);
    desk.bundle("older", |run| run.schema = 0);
    sparse(desk, "huge/result.json", (256 << 20) + 1);
    std::fs::create_dir_all(desk.path("folder/result.json")).unwrap();
    std::fs::create_dir(desk.path("pipe")).unwrap();
    desk.pipe("pipe/result.json");
    for (name, to) in [
        ("zero", "/dev/zero"),
        ("null-device", "/dev/null"),
        ("dangling", "/nowhere/at/all"),
        ("circle", "result.json"),
    ] {
        std::fs::create_dir(desk.path(name)).unwrap();
        desk.link(&format!("{name}/result.json"), to);
    }
    desk.write("text", "x");
    vec![
        ("nowhere", "No such file"),
        ("empty", "is not a run file: EOF"),
        ("half", "is not a run file: "),
        ("last", "is not a run file: EOF"),
        ("binary", "is not a run file: "),
        ("bom", "is not a run file: "),
        ("list", "is not a run file: "),
        ("null", "is not a run file: "),
        ("number", "is not a run file: "),
        ("other", "missing field"),
        ("deep", "is not a run file: "),
        ("twice", "trailing characters"),
        ("nan", "is not a run file: "),
        ("large", "number out of range"),
        ("steers", "is not a run file: "),
        ("newer", "a newer kvbench wrote it; read it with that one"),
        ("older", "no kvbench wrote it"),
        ("huge", "is larger than 256 MiB"),
        ("folder", "is not a regular file"),
        ("pipe", "is not a regular file"),
        ("zero", "is not a regular file"),
        ("null-device", "is not a regular file"),
        ("dangling", "No such file"),
        ("circle", "symbolic link"),
        ("text", "Not a directory"),
    ]
}

#[test]
fn bundles_that_are_none() {
    let desk = Desk::new();
    let places = no_bundles(&desk);
    let sound = "@/sound";
    let places: Vec<(String, &str)> =
        places.iter().map(|(name, says)| (format!("@/{name}"), *says)).collect();
    let mut rows: Vec<(Vec<&str>, [&str; 2])> = Vec::new();
    for (place, says) in &places {
        rows.push((vec!["report", place], [says, WROTE]));
        rows.push((vec!["compare", sound, place], [says, WROTE]));
        rows.push((vec!["history", "add", place, "--in", "@/kept"], [says, WROTE]));
    }
    // Of the other readers, one of each kind.
    for (place, says) in places
        .iter()
        .filter(|(place, _)| ["@/half", "@/newer", "@/pipe", "@/zero"].contains(&place.as_str()))
    {
        rows.push((vec!["report", sound, place], [says, WROTE]));
        rows.push((vec!["report", place, "--csv"], [says, WROTE]));
    }
    rows.push((
        vec!["report", sound, "--hgrm", "after:nowhere@1"],
        ["nothing was measured at", "there are: "],
    ));
    let rows: Vec<Row<'_>> = rows.iter().map(|(args, says)| usage(args, says)).collect();
    desk.check("bundles", &rows);
}

#[test]
fn histories_that_are_none() {
    let desk = Desk::new();
    desk.bundle("sound", |_| {});
    let line = "{\"kind\":\"run\",\"schema\":1}\n";
    desk.write("nonsense/history.ndjson", "nonsense\n");
    desk.write("other/history.ndjson", "{\"schema\":1,\"kind\":\"walk\"}\n");
    desk.write("newer/history.ndjson", "{\"schema\":99}\n");
    desk.write("older/history.ndjson", "{\"schema\":0}\n");
    desk.write("blank/history.ndjson", "\n\n");
    desk.write("lacks/history.ndjson", line);
    desk.write("binary/history.ndjson", [0xff, 0xfe, b'\n']);
    desk.write("long/history.ndjson", vec![b' '; (8 << 20) + 1]);
    sparse(&desk, "huge/history.ndjson", (256 << 20) + 1);
    std::fs::create_dir_all(desk.path("folder/history.ndjson")).unwrap();
    std::fs::create_dir(desk.path("pipe")).unwrap();
    desk.pipe("pipe/history.ndjson");
    std::fs::create_dir(desk.path("zero")).unwrap();
    desk.link("zero/history.ndjson", "/dev/zero");
    let line = "remove that line, or name another folder";
    let mut rows: Vec<([&str; 5], Exit, [&str; 2])> = Vec::new();
    for (place, exit, says) in [
        ("@/nonsense", Exit::Usage, [":1: not a line of a history", line]),
        ("@/other", Exit::Usage, [":1: not a line of a history", line]),
        ("@/newer", Exit::Usage, ["a newer kvbench wrote it", line]),
        ("@/older", Exit::Usage, ["which no kvbench wrote", line]),
        ("@/blank", Exit::Usage, [":1: not a line of a history", line]),
        ("@/lacks", Exit::Usage, [":1: not a line of a history", line]),
        ("@/binary", Exit::Usage, [":1: not a line of a history", line]),
        ("@/long", Exit::Usage, ["it is longer than 8388608 bytes", line]),
        ("@/huge", Exit::Usage, ["is larger than 256 MiB", "begin another one"]),
        ("@/folder", Exit::Failed, ["is not a regular file", "hint: "]),
        ("@/pipe", Exit::Failed, ["is not a regular file", "hint: "]),
        ("@/zero", Exit::Failed, ["is not a regular file", "hint: "]),
    ] {
        rows.push((["history", "trend", "tiny", "--in", place], exit, says));
        rows.push((["history", "add", "@/sound", "--in", place], exit, says));
    }
    rows.push((
        ["history", "list", "nosuch\u{1b}[2J", "--in", "@/none"],
        Exit::Usage,
        ["no run of \"nosuch[2J\"", "there is none yet"],
    ));
    let rows: Vec<Row<'_>> =
        rows.iter().map(|(args, exit, says)| Row { args, exit: *exit, says }).collect();
    desk.check("histories over time", &rows);
    desk.check_one(&usage(
        &["gate", "@/s.toml", "--base", "history:@/none", "--out", "@/out"],
        &["there is no run in", "kvbench history add"],
    ));
}

#[test]
fn recorded_histories_that_are_none() {
    let desk = Desk::new();
    desk.write("empty.edn", "");
    desk.write("binary.edn", [0xff, 0xfe, 0]);
    desk.write("open.edn", "[{:process 0 :type :invoke");
    desk.write("deep.edn", "[".repeat(1 << 16));
    desk.write("wide.edn", format!("{{:process 0 :a [{}]}}", "1 ".repeat(20_000)));
    desk.write("answers.edn", "{:process 0 :type :ok :f :read :value 1}");
    desk.write("append.edn", "{:process 0 :type :invoke :f :append :value 1}");
    desk.write("negative.edn", "{:process 0 :type :invoke :f :write :value -1}");
    desk.write("steers.edn", "\u{1b}]0;x\u{7} :invoke :read nil");
    sparse(&desk, "huge.edn", kvbench::verify::edn::BYTES_MAX as u64 + 1);
    desk.pipe("pipe.edn");
    let jepsens = "Jepsen's history.edn or its log";
    let rows: Vec<(String, [&str; 2])> = [
        ("nowhere.edn", "No such file"),
        ("binary.edn", "is not UTF-8 text"),
        ("open.edn", "line 1: expected"),
        ("deep.edn", "line 1: expected"),
        ("wide.edn", "fewer values in one operation"),
        ("answers.edn", "an invocation before the completion"),
        ("append.edn", "`:read`, `:write` or `:cas`"),
        ("negative.edn", "a number from 0, or nil"),
        ("steers.edn", "line 1: expected"),
        ("huge.edn", "is larger than"),
        ("pipe.edn", "is not a regular file"),
        ("", "is not a regular file"),
    ]
    .map(|(name, says)| (format!("@/{name}"), [says, jepsens]))
    .into();
    let args: Vec<[&str; 3]> = rows.iter().map(|(file, _)| ["verify", "--history", file]).collect();
    let rows: Vec<Row<'_>> =
        args.iter().zip(&rows).map(|(args, (_, says))| usage(args, says)).collect();
    desk.check("recorded histories", &rows);
    desk.check_one(&usage(&["verify", "--history", "/dev/zero"], &["is not a regular file"]));
}

#[test]
fn boards_and_sittings_that_are_none() {
    let desk = Desk::new();
    desk.write("board/scoreboard.json", "{");
    desk.write("newer/scoreboard.json", "{\"schema\": 99}");
    desk.write("gone/scoreboard.json", board("../nowhere"));
    desk.write("leads/scoreboard.json", board("../../../../../../../../etc"));
    desk.write("sitting/verify.json", "{\"schema\": 1}");
    desk.write("cut/verify.json", "{\"schema\"");
    std::fs::create_dir(desk.path("pipe")).unwrap();
    desk.pipe("pipe/verify.json");
    sparse(&desk, "huge/verify.json", (256 << 20) + 1);
    let going_on = |folder: &'static str| {
        ["verify", "--campaign", "equivalence", "--requests", "1", "--out", folder]
    };
    let args = ["@/sitting", "@/cut", "@/pipe", "@/huge"].map(going_on);
    let mut rows = vec![
        usage(&["report", "@/board"], &["is not a scoreboard", WROTE]),
        usage(&["report", "@/newer"], &["is not a scoreboard", WROTE]),
        usage(&["report", "@/gone"], &["No such file", WROTE]),
        usage(&["report", "@/leads"], &["result.json: No such file", WROTE]),
        usage(
            &["history", "index", "@/nowhere"],
            &["is no folder", "the folder that bundles are in"],
        ),
    ];
    let says = ["cannot go on from", "name another --out"];
    rows.extend(args.iter().map(|args| Row { args, exit: Exit::Failed, says: &says }));
    desk.check("boards and sittings", &rows);
}

/// A scoreboard that names one bundle.
fn board(bundle: &str) -> String {
    let run = format!(
        "{{\"scenario\":\"s\",\"workload\":\"\",\"bundle\":\"{bundle}\",\"stamps\":[],\"failed_checks\":[],\"targets\":[]}}"
    );
    format!(
        "{{\"schema\":1,\"kvbench_version\":\"0\",\"started_at\":\"\",\"host\":\"\",\"build\":\"\",\"runs\":[{run}],\"not_measured\":[],\"overall\":[]}}"
    )
}

/// A folder that a program runs on is its own, and says so.
#[test]
fn a_folder_in_use_is_told() {
    let desk = Desk::new();
    let open = kvbench::node::DataFolder::open(&desk.path("data")).unwrap();
    let args = ["serve", "--listen-client-urls", "http://127.0.0.1:0", "--data-dir", "@/data"];
    let row = Row {
        args: &args,
        exit: Exit::Failed,
        says: &["is in use by another node", "a folder of its own"],
    };
    desk.check("folders in use", &[row]);
    drop(open);
    let damaged = [
        ("CURRENT-STATE", &b"state-09"[..]),
        ("CURRENT-STATE", b""),
        ("CURRENT-STATE", b"state\n"),
        ("IDENTITY", b"not two numbers"),
        ("IDENTITY", &[0xff; 8]),
    ];
    for (name, contents) in damaged {
        let name = format!("data/{name}");
        desk.write(&name, contents);
        let says = ["holds something else", "restore the file"];
        desk.check_one(&Row { args: &args, exit: Exit::Failed, says: &says });
        assert_eq!(std::fs::read(desk.path(&name)).unwrap(), contents);
        std::fs::remove_file(desk.path(&name)).unwrap();
    }
    eprintln!("bad input, files of a data folder: {} rows", damaged.len());
}
