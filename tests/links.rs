//! Links in the project's pages lead somewhere: to a file that is there, and in a page to a heading that it has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Folders that are not the project's own pages: what is built, and what runs left behind.
const ELSEWHERE: [&str; 3] = ["target", ".git", "reports"];

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !ELSEWHERE.contains(&name.as_str()) {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// A page without its code, in which brackets are no links and hashes no headings.
fn prose(text: &str) -> String {
    let outside = text.split("```").step_by(2).collect::<String>();
    outside.split('`').step_by(2).collect()
}

/// What Markdown's links name.
fn links(text: &str) -> Vec<String> {
    let ends = text.split("](").skip(1);
    ends.map(|rest| rest.split([')', ' ']).next().unwrap().to_owned()).collect()
}

/// The names by which a page's headings are linked to, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let outside = text.split("```").step_by(2).collect::<String>();
    let headings = outside.lines().filter_map(|line| line.strip_prefix('#'));
    headings.map(|heading| anchor(heading.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// What is wrong with a link of the page at `path`.
fn wrong(path: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = link.split_once('#').map_or((link, None), |(f, h)| (f, Some(h)));
    let target = match file {
        "" => path.to_owned(),
        file => path.parent().unwrap().join(file),
    };
    if !target.exists() {
        return Some(format!("{}: {link} is not there", path.display()));
    }
    let heading = heading.filter(|_| target.extension().is_some_and(|end| end == "md"))?;
    let is_there = anchors(&fs::read_to_string(&target).unwrap()).contains(heading);
    (!is_there).then(|| format!("{}: {link} has no such heading", path.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    pages(&root(), &mut found);
    assert!(found.len() > 30, "the pages are not where they were: {found:?}");
    let mut seen = 0;
    let mut broken = Vec::new();
    for path in found {
        let links = links(&prose(&fs::read_to_string(&path).unwrap()));
        seen += links.len();
        broken.extend(links.iter().filter_map(|link| wrong(&path, link)));
    }
    assert!(seen > 100, "{seen} links are too few");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_broken_link_is_told() {
    let page = root().join("README.md");
    for link in ["docs/nowhere.md", "docs/performance.md#nowhere", "#nowhere"] {
        assert!(wrong(&page, link).is_some(), "{link}");
    }
    for link in ["docs/performance.md#applying", "https://example.com/nowhere", "Cargo.toml"] {
        assert_eq!(wrong(&page, link), None, "{link}");
    }
    assert_eq!(links("a [b](c.md) and [d](e.md#f \"g\")"), ["c.md", "e.md#f"]);
    assert_eq!(anchor("Build from nothing, 6 min (2 cores)"), "build-from-nothing-6-min-2-cores");
}
