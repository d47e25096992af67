//! The floors of the house: who may name whom, and which outside crate lives where.
//! ARCHITECTURE.md shows the same two tables; this test reads them there, so they cannot drift from the code.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The packages whose modules are the floors, as folders.
const PACKAGES: [&str; 2] = ["", "judge"];

/// Every source file, with the top-level module it belongs to.
fn sources() -> Vec<(String, PathBuf, String)> {
    let of_package = |package| {
        let src = root().join(package).join("src");
        let mut files = Vec::new();
        collect(&src, &mut files);
        files.into_iter().map(move |path| {
            let inside = path.strip_prefix(&src).unwrap().to_path_buf();
            let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            (module, inside, text)
        })
    };
    PACKAGES.into_iter().flat_map(of_package).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

/// Code without comments, string literals and what follows the first `#[cfg(test)]`.
fn code(text: &str) -> String {
    let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut code = String::new();
    for line in production.lines() {
        let line = line.split("//").next().unwrap();
        let outside: Vec<_> = line.split('"').step_by(2).collect();
        code.push_str(&outside.join("\"\""));
        code.push('\n');
    }
    code
}

/// The rows of the Markdown table that follows `heading`: cells without backticks.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let after = text.split_once(heading).unwrap_or_else(|| panic!("no heading {heading}")).1;
    after
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
        })
        .collect()
}

fn words(cell: &str) -> BTreeSet<String> {
    cell.split([',', ' '])
        .filter(|word| !word.is_empty() && *word != "–")
        .map(str::to_owned)
        .collect()
}

/// Module → modules it may name.
fn floors() -> (BTreeMap<String, BTreeSet<String>>, BTreeMap<String, u32>) {
    let (mut may, mut floor) = (BTreeMap::new(), BTreeMap::new());
    for row in table("## Floors") {
        for module in words(&row[1]) {
            may.insert(module.clone(), words(&row[3]));
            floor.insert(module, row[0].parse().unwrap());
        }
    }
    (may, floor)
}

/// Modules of this crate that `code` names, by `crate::x` and by `crate::{x::…, y::…}`.
fn named_modules(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let mut part = String::new();
                for letter in group.chars() {
                    match letter {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            named.insert(identifier(&part));
                            part.clear();
                            continue;
                        }
                        _ => {}
                    }
                    part.push(letter);
                }
                named.insert(identifier(&part));
            }
            None => {
                named.insert(identifier(rest));
            }
        }
    }
    named.remove("");
    named
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn imports_go_down_only() {
    let (may, floor) = floors();
    let mut wrong = Vec::new();
    for (module, file, text) in sources() {
        if module == "lib" || module == "main" {
            continue;
        }
        let allowed = may.get(&module).unwrap_or_else(|| panic!("{module} has no floor"));
        for named in named_modules(&code(&text)) {
            if named == module || !floor.contains_key(&named) {
                continue;
            }
            if !allowed.contains(&named) && !allowed.contains("all") {
                wrong.push(format!("{} names {named}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against ARCHITECTURE.md, Floors:\n{}", wrong.join("\n"));
}

/// Else a module could name one of the other package around the floors.
#[test]
fn the_other_package_is_named_in_one_place() {
    let names = |(module, _, text): &(String, PathBuf, String)| {
        module != "lib" && code(text).contains("kvbench_judge")
    };
    let wrong: Vec<_> = sources().into_iter().filter(names).map(|(_, file, _)| file).collect();
    assert_eq!(wrong, Vec::<PathBuf>::new(), "say crate:: instead");
}

#[test]
fn every_permission_leads_down() {
    let (may, floor) = floors();
    for (module, allowed) in &may {
        for other in allowed.iter().filter(|other| *other != "all") {
            assert!(
                floor[other] < floor[module],
                "{module} may name {other}, which is not below it"
            );
        }
    }
}

#[test]
fn every_module_has_a_floor_and_every_floor_a_module() {
    let (may, _) = floors();
    let modules: BTreeSet<_> = sources()
        .into_iter()
        .map(|(module, ..)| module)
        .filter(|module| module != "lib" && module != "main")
        .collect();
    assert_eq!(modules, may.keys().cloned().collect());
}

#[test]
fn every_outside_crate_has_its_homes_and_no_other() {
    let homes: BTreeMap<String, BTreeSet<String>> = table("## Outside crates")
        .into_iter()
        .map(|row| (row[0].clone(), words(&row[1])))
        .collect();
    let names: BTreeMap<String, String> =
        homes.keys().map(|name| (name.replace('-', "_"), name.clone())).collect();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, _, text) in sources() {
        let code = code(&text);
        for (identifier, name) in &names {
            if names_crate(&code, identifier, &module) {
                used.entry(name.clone()).or_default().insert(module.clone());
            }
        }
    }
    for (name, homes) in &homes {
        let used = used.remove(name).unwrap_or_default();
        assert_eq!(
            &used, homes,
            "homes of {name}: left as found in the code, right as in ARCHITECTURE.md"
        );
    }
}

/// Whether `code` of `module` reaches into the crate `name`: a path that starts with it.
fn names_crate(code: &str, name: &str, module: &str) -> bool {
    // A module may share its name with a crate; then its own files mean the crate, others the module.
    if name == "raft" && module != "raft" {
        let imports = |line: &str| line.trim_start().starts_with("use raft::");
        return code.lines().any(imports)
            || code.contains(" ::raft::")
            || code.contains("(::raft::");
    }
    let path = format!("{name}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].chars().last();
        before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':'))
    })
}

#[test]
fn every_dependency_is_in_the_table() {
    let mut dependencies = BTreeSet::new();
    for package in PACKAGES {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        let section =
            manifest.split("\n[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        let named = section.lines().filter_map(|line| line.split_once('='));
        let name = |(name, _): (&str, &str)| name.trim().trim_end_matches(".workspace").to_owned();
        dependencies.extend(named.map(name));
    }
    dependencies.remove("kvbench-judge");
    let listed: BTreeSet<_> =
        table("## Outside crates").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(dependencies, listed);
}

#[test]
fn modules_say_why_they_exist_and_nothing_is_global() {
    let mut wrong = Vec::new();
    for (_, file, text) in sources() {
        if !text.starts_with("//!") {
            wrong.push(format!("{}: no module documentation", file.display()));
        }
        for line in code(&text).lines() {
            let line = line.trim_start();
            // An allocator is a static by its nature; this one is there in builds that count.
            if line.contains("stats_alloc::StatsAlloc") {
                continue;
            }
            let is_static = line.starts_with("static ") || line.starts_with("pub static ");
            if is_static || line.contains("thread_local!") || line.contains("lazy_static") {
                wrong.push(format!("{}: global state: {line}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names of sites are nowhere in the program, so nothing can be armed there. Only those with a hyphen are looked for: the others could be paths.
#[cfg(not(feature = "failpoints"))]
#[test]
fn a_build_without_failpoints_carries_none() {
    let list = fs::read_to_string(root().join("src/failpoint/sites.rs")).unwrap();
    let is_name = |word: &&str| word.contains("::") && word.contains('-');
    let names: Vec<&str> = list.split('"').skip(1).step_by(2).filter(is_name).collect();
    assert!(names.len() > 40, "{names:?}");
    let program = fs::read(env!("CARGO_BIN_EXE_kvbench")).unwrap();
    let program = String::from_utf8_lossy(&program);
    let found: Vec<_> = names.into_iter().filter(|name| program.contains(name)).collect();
    assert_eq!(found, Vec::<&str>::new());
}
