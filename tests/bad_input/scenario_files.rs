//! Scenario files that are not text, not small, not files; and numbers that are none. What can be wrong with a key is in
//! `tests/scenario_errors.rs`.

use crate::desk::{Desk, Row, SOUND, usage};
use std::fs::File;

#[test]
fn files_that_are_no_scenarios() {
    let desk = Desk::new();
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(SOUND.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    desk.write("utf16.toml", utf16);
    desk.write(
        "latin1.toml",
        SOUND.replace("tiny", "caf").into_bytes().into_iter().chain([0xe9]).collect::<Vec<u8>>(),
    );
    desk.write("empty.toml", "");
    desk.write("nul.toml", SOUND.replace("tiny", "ti\0ny"));
    desk.write("cr.toml", SOUND.replace('\n', "\r"));
    desk.write("deep.toml", format!("a = {}1{}", "[".repeat(5_000), "]".repeat(5_000)));
    desk.write("deeper.toml", format!("{}b = 1", "a.".repeat(5_000)));
    desk.write("inline.toml", format!("a = {}1{}", "{ a = ".repeat(200), " }".repeat(200)));
    desk.write("yaml.toml", "schema: 1\nname: tiny\n");
    desk.write("json.toml", "{\"schema\": 1}");
    desk.write("binary.toml", [0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    desk.write("long_line.toml", format!("name = \"{}\"", "x".repeat(900_000)));
    desk.write("many_keys.toml", (0..50_000).map(|n| format!("k{n} = 1\n")).collect::<String>());
    desk.write(
        "steers.toml",
        SOUND.replace("seed", "x") + "\u{1b}]0;x\u{7} = 1\n\"\u{202e}\" = 2\n",
    );
    desk.write("large.toml", vec![b'#'; (1 << 20) + 1]);
    desk.write("huge.toml", "");
    File::options().write(true).open(desk.path("huge.toml")).unwrap().set_len(100 << 20).unwrap();
    desk.pipe("pipe.toml");
    desk.link("zero.toml", "/dev/zero");
    desk.link("dangling.toml", "/nowhere.toml");
    desk.link("circle.toml", "circle.toml");
    std::fs::create_dir(desk.path("nothing_in_it")).unwrap();
    let cases = [
        ("none.toml", "cannot be read: No such file"),
        ("utf16.toml", "is not UTF-8 text (first bad byte at offset 0)"),
        ("latin1.toml", "is not UTF-8 text"),
        ("empty.toml", "missing key `schema`"),
        ("nul.toml", "invalid basic string"),
        ("cr.toml", "problem"),
        ("deep.toml", "problem"),
        ("deeper.toml", "problem"),
        ("inline.toml", "problem"),
        ("yaml.toml", "problem"),
        ("json.toml", "problem"),
        ("binary.toml", "problem"),
        ("long_line.toml", "..."),
        ("many_keys.toml", "the first 100 are shown"),
        ("steers.toml", "problem"),
        ("large.toml", "is larger than 1 MiB"),
        ("huge.toml", "is larger than 1 MiB"),
        ("pipe.toml", "is not a regular file"),
        ("zero.toml", "is not a regular file"),
        ("dangling.toml", "cannot be read: No such file"),
        ("circle.toml", "cannot be read: "),
        ("nothing_in_it", "no *.toml file there"),
    ];
    let files: Vec<String> = cases.iter().map(|(name, _)| format!("@/{name}")).collect();
    let mut rows = Vec::new();
    for command in ["check", "run", "plan"] {
        for (file, (_, says)) in files.iter().zip(&cases) {
            rows.push(([command, file.as_str()], [*says]));
        }
    }
    let rows: Vec<Row<'_>> = rows.iter().map(|(args, says)| usage(args, says)).collect();
    desk.check("scenario files", &rows);
}

/// A line of the sound scenario, what it becomes, and what is said of that.
const NUMBERS: [(&str, &str, &str); 34] = [
    ("space = 100", "space = nan", "keys.space"),
    ("space = 100", "space = inf", "keys.space"),
    ("space = 100", "space = -1", "keys.space is \"-1\", which is not a count"),
    ("space = 100", "space = 1e18", "keys.space"),
    ("space = 100", "space = 18446744073709551615", "keys.space"),
    ("space = 100", "space = 999999999999999999999999999999999999999999", "keys.space"),
    ("space = 100", "space = 0x7fffffffffffffff", "keys.space"),
    ("space = 100", "space = \"1e3\"", "keys.space"),
    ("space = 100", "space = \"\"", "keys.space"),
    ("space = 100", "space = []", "keys.space"),
    ("space = 100", "space = {}", "keys.space"),
    ("space = 100", "space = 1979-05-27", "keys.space"),
    ("space = 100", "space = 100\nsize = \"-1B\"", "keys.size"),
    ("space = 100", "space = 100\nsize = \"1e3B\"", "keys.size"),
    ("space = 100", "space = 100\nsize = \"99999999999999999999GiB\"", "too large"),
    ("space = 100", "space = 100\ndist = \"zipf:-0.5\"", "the exponent is above 0, up to 10"),
    ("space = 100", "space = 100\ndist = \"zipf:1e400\"", "the exponent is above 0, up to 10"),
    ("space = 100", "space = 100\ndist = \"zipf:0.99.1\"", "zipf"),
    ("put = {}", "put = { weight = -1 }", "weight is -1; allowed: above 0"),
    ("put = {}", "put = { weight = 1e7 }", "allowed: above 0, up to 1000000"),
    ("put = {}", "put = { weight = \"1\" }", "a number is wanted"),
    ("clients = [2]", "clients = [2, 2]", "clients"),
    ("clients = [2]", "clients = [-1]", "clients"),
    ("clients = [2]", "clients = [4294967298]", "clients"),
    ("clients = [2]", "clients = 2", "an array is wanted"),
    ("\"50ms\"", "\"-20ms\"", "phase.0.duration"),
    ("\"50ms\"", "\"20\"", "the unit is missing"),
    ("\"50ms\"", "\"20 parsecs\"", "unknown unit"),
    ("\"50ms\"", "\"0s\"", "phase.0.duration is 0ns"),
    ("\"50ms\"", "\"721h\"", "phase.0.duration"),
    ("\"50ms\"", "\"99999999999999999999s\"", "too large"),
    ("\">= 0.0001\"", "\">= nan\"", "allowed: a finite number above 0"),
    ("\">= 0.0001\"", "\">= 1e999\"", "allowed: a finite number above 0"),
    ("min = 1, max = 1", "min = 1, max = 18446744073709551615", "trials.pairs.max"),
];

#[test]
fn numbers_that_are_none() {
    let desk = Desk::new();
    let mut files = Vec::new();
    for (at, (from, to, _)) in NUMBERS.iter().enumerate() {
        assert_eq!(SOUND.matches(from).count(), 1, "{from}");
        desk.write(&format!("{at}.toml"), SOUND.replace(from, to));
        files.push(format!("@/{at}.toml"));
    }
    let rows: Vec<([&str; 2], [&str; 2])> = files
        .iter()
        .zip(NUMBERS)
        .map(|(file, (_, _, says))| (["check", file.as_str()], [says, "problem"]))
        .collect();
    let rows: Vec<Row<'_>> = rows.iter().map(|(args, says)| usage(args, says)).collect();
    let before = rows.len();
    for row in &rows {
        desk.check_one(row);
    }
    eprintln!("bad input, numbers in scenario files: {before} rows");
}

/// As Windows writes it.
#[test]
fn a_byte_order_mark_and_carriage_returns_are_no_mistake() {
    let text = format!("\u{feff}{}", SOUND.replace('\n', "\r\n"));
    assert!(kvbench::scenario::parse("s.toml", &text, &Default::default()).is_ok());
}
