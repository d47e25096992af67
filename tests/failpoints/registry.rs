//! The list of sites is what is in the source, and what docs/verify.md says.

use kvbench::failpoint::SITES;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Fewer would leave out whole parts of the way of a request.
const SITES_MIN: usize = 45;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Whether a site of this name is in this build at all.
fn is_built(name: &str) -> bool {
    cfg!(feature = "rocksdb") || !name.starts_with("rocksdb::")
}

/// Names that follow `call` in the source.
fn named(text: &str, call: &str) -> Vec<String> {
    let after = text.split(call).skip(1);
    after.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn every_site_of_the_list_is_in_the_source_and_none_else() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut can_fail = BTreeMap::new();
    for path in files(&src) {
        let text = fs::read_to_string(path).unwrap();
        for (call, fails) in [("failpoint::pass(\"", false), ("failpoint::may_fail(\"", true)] {
            let names = named(&text, call).into_iter().filter(|name| is_built(name));
            can_fail.extend(names.map(|name| (name, fails)));
        }
    }
    let listed: BTreeMap<_, _> =
        SITES.iter().map(|site| (site.name.to_owned(), site.error.is_some())).collect();
    assert_eq!(can_fail, listed, "left as found in src/, right as in failpoint::SITES");
    assert_eq!(listed.len(), SITES.len(), "a name is given twice");
    assert!(listed.len() >= SITES_MIN, "{}", listed.len());
}

#[test]
fn the_documentation_lists_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify.md");
    let text = fs::read_to_string(path).unwrap();
    let section = text.split("## Failpoints").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let told: BTreeSet<_> =
        rows.map(|row| row.split('`').next().unwrap()).filter(|name| is_built(name)).collect();
    assert_eq!(told, SITES.iter().map(|site| site.name).collect());
}
