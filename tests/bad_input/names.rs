//! Names that lead elsewhere or steer whoever reads them: of scenarios, phases, targets; in records; as links in a bundle.

use crate::desk::{Desk, Row, SOUND, usage};
use kvbench::cli::Exit;
use kvbench::record::bundle::Bundle;
use std::fs;

/// TOML strings that are no names of files.
const HOSTILE: [&str; 18] = [
    "../../etc/x",
    "/etc/passwd",
    "a/b",
    "a\\\\b",
    ".",
    "..",
    ".hidden",
    "-rf",
    "",
    " ",
    "a b",
    "a\\u0000b",
    "\\u001b]0;x\\u0007",
    "\\u202egnp.exe",
    "\\\"><script>alert(1)</script>",
    "]]>",
    "${jndi:ldap://x}",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

#[test]
fn names_in_scenarios() {
    let desk = Desk::new();
    let mut rows = Vec::new();
    for (at, name) in HOSTILE.iter().enumerate() {
        for (place, line) in [
            ("name", "name = \"tiny\""),
            ("phase.0.name", "name = \"a\""),
            ("target.0.id", "id = \"some\""),
        ] {
            let (key, _) = line.split_once(" = ").unwrap();
            let text = SOUND.replace(line, &format!("{key} = \"{name}\""));
            assert_ne!(text, SOUND);
            let file = format!("{place}-{at}.toml");
            desk.write(&file, text);
            rows.push((
                ["run".to_owned(), format!("@/{file}"), "--out=@/out".to_owned()],
                format!("{place} is \""),
            ));
        }
    }
    let args: Vec<Vec<&str>> =
        rows.iter().map(|(args, _)| args.iter().map(String::as_str).collect()).collect();
    let says: Vec<[&str; 2]> =
        rows.iter().map(|(_, says)| [says.as_str(), "allowed: 1 to 64 of letters"]).collect();
    let rows: Vec<Row<'_>> = args.iter().zip(&says).map(|(args, says)| usage(args, says)).collect();
    desk.check("names in scenarios", &rows);
}

/// A picture that a record names is read from the bundle itself or not at all.
#[test]
fn names_in_records_stay_within_the_bundle() {
    let desk = Desk::new();
    desk.write("secret.svg", "<svg>the secret</svg>");
    let names = [
        "../secret.svg",
        "/etc/passwd",
        "..",
        ".",
        "",
        "sub/../../secret.svg",
        "link.svg",
        "pipe.svg",
        "zero.svg",
    ];
    let mut rows = 0;
    for (at, name) in names.iter().enumerate() {
        let folder = format!("bundle-{at}");
        desk.bundle(&folder, |run| {
            for profile in &mut run.profiles {
                profile.flame_file = (*name).to_owned();
            }
            assert!(!run.profiles.is_empty());
        });
        desk.link(&format!("{folder}/link.svg"), desk.path("secret.svg"));
        desk.link(&format!("{folder}/zero.svg"), "/dev/zero");
        desk.pipe(&format!("{folder}/pipe.svg"));
        let page = rendered(&desk, &folder);
        assert!(!page.contains("the secret") && !page.contains("root:"), "{name}");
        let bundle = Bundle::open(&desk.path(&folder));
        assert!(bundle.read(name).is_err(), "{name}");
        rows += 1;
    }
    eprintln!("bad input, names in records: {rows} rows");
}

fn rendered(desk: &Desk, folder: &str) -> String {
    let place = format!("@/{folder}");
    let args = ["report", &place];
    desk.check_quiet(&args);
    fs::read_to_string(desk.path(folder).join("report.html")).unwrap()
}

/// What is written takes the place of a link, and does not go where it leads.
#[test]
fn links_in_a_bundle_are_replaced_not_followed() {
    let desk = Desk::new();
    desk.bundle("bundle", |_| {});
    desk.write("theirs", "dear");
    desk.link("bundle/report.html", desk.path("theirs"));
    desk.link("bundle/report.md", desk.path("new"));
    desk.check_quiet(&["report", "@/bundle"]);
    assert_eq!(fs::read_to_string(desk.path("theirs")).unwrap(), "dear");
    assert!(!desk.path("new").exists());
    for page in ["report.html", "report.md"] {
        assert!(fs::symlink_metadata(desk.path("bundle").join(page)).unwrap().is_file());
    }
    let bundle = Bundle::open(&desk.path("bundle"));
    for name in ["../x", "/tmp/x", "a/b", "..", ".", ""] {
        assert!(bundle.write(name, b"x").is_err(), "{name}");
    }
    assert!(!desk.path("x").exists());
    eprintln!("bad input, links in bundles: 8 rows");
}

/// A data folder whose files lead elsewhere is nobody's.
#[test]
fn links_in_a_data_folder() {
    let desk = Desk::new();
    desk.write("theirs", "");
    fs::create_dir(desk.path("data")).unwrap();
    desk.link("data/KVBENCH-DATA", desk.path("theirs"));
    fs::create_dir(desk.path("piped")).unwrap();
    desk.pipe("piped/KVBENCH-DATA");
    let serve = |data: &'static str| {
        ["serve", "--listen-client-urls", "http://127.0.0.1:0", "--data-dir", data]
    };
    let says = ["has no KVBENCH-DATA file: it is not ours", "name an empty folder"];
    let rows = [serve("@/data"), serve("@/piped")];
    let rows: Vec<Row<'_>> =
        rows.iter().map(|args| Row { args, exit: Exit::Failed, says: &says }).collect();
    desk.check("links in data folders", &rows);
}
