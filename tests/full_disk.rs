//! A disk that is full before a command is done: it says so and ends with 5, and what was there before is untouched.
//!
//! Where this may mount, the disk is a tmpfs of a few KiB; everywhere, files may not grow beyond a few KiB (`ulimit -f`).

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]
#![expect(clippy::print_stderr, reason = "what was skipped, and why, is said")]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const KVBENCH: &str = env!("CARGO_BIN_EXE_kvbench");
/// Room on the disk, or most of one file, KiB.
const POINTS: [u64; 10] = [4, 8, 12, 20, 32, 48, 64, 96, 160, 256];

const TINY: &str = r#"schema = 1
name = "tiny"
[arms.before]
[arms.after]
[keys]
space = 100
[[op]]
put = {}
[[phase]]
name = "a"
load = { closed = { clients = [2] } }
warmup = "1ms"
duration = "50ms"
[trials]
pairs = { min = 1, max = 1 }
aa = false
on_disturbed = "keep"
"#;

/// A folder, with a disk of its own where there is one.
struct Place {
    folder: TempDir,
    mounted: Option<PathBuf>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(at) = &self.mounted {
            let _ = Command::new("umount").arg("-l").arg(at).status();
        }
    }
}

impl Place {
    fn new() -> Place {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
        fs::create_dir(folder.path().join("disk")).unwrap();
        Place { folder, mounted: None }
    }

    /// None where this may not mount.
    fn of_kib(kib: u64) -> Option<Place> {
        let mut place = Place::new();
        let disk = place.disk();
        let size = format!("size={kib}k");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&disk).output();
        let is_mounted = mount.is_ok_and(|mount| mount.status.success());
        place.mounted = is_mounted.then_some(disk);
        is_mounted.then_some(place)
    }

    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs kvbench; files may have `kib` at most, if that is said.
    fn kvbench(&self, args: &[&str], kib: Option<u64>) -> Output {
        let place = |word: &&str| {
            word.strip_prefix("@/").map_or_else(|| (*word).to_owned(), |rest| self.at(rest))
        };
        let mut command = match kib {
            None => Command::new(KVBENCH),
            Some(kib) => {
                // In blocks of 512 bytes or of 1024, as the shell has it: twice or once as much.
                let mut shell = Command::new("sh");
                shell.args([
                    "-c",
                    &format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", kib * 2),
                    "sh",
                    KVBENCH,
                ]);
                shell
            }
        };
        command.args(args.iter().map(place)).output().unwrap()
    }
}

/// Files below `folder`, with what is in them.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => all.extend(contents(&path)),
            path => all.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    all.sort();
    all
}

/// It ended well, or said what is wrong and what to do, and left nothing half done.
fn check(place: &Place, output: &Output, before: &[(PathBuf, Vec<u8>)], what: &str) -> bool {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{what}: {said}");
    let is_done = match output.status.code() {
        Some(0 | 1 | 3) => true,
        Some(5) => {
            let words = ["No space left", "File too large", "the log failed", "cannot be written"];
            assert!(words.iter().any(|word| said.contains(word)), "{what}: {said}");
            false
        }
        other => panic!("{what}: {other:?} {:?}\n{said}", output.status),
    };
    let after = contents(&place.disk());
    for (path, bytes) in before {
        let kept = after.iter().find(|(other, _)| other == path).map(|(_, bytes)| bytes);
        let is_rewritten = is_done
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("report."));
        assert!(is_rewritten || kept == Some(bytes), "{what}: {} was touched", path.display());
    }
    for (path, bytes) in after {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            !name.starts_with(".tmp") && !path.to_string_lossy().contains(".running-"),
            "{what}: {} is left",
            path.display()
        );
        if name.ends_with(".json") {
            serde_json::from_slice::<Value>(&bytes)
                .unwrap_or_else(|error| panic!("{what}: {}: {error}", path.display()));
        }
        if name.ends_with(".html") {
            assert!(bytes.ends_with(b"</html>\n"), "{what}: {} is half a page", path.display());
        }
        if name == "history.ndjson" {
            assert!(bytes.is_empty() || bytes.ends_with(b"}\n"), "{what}: a torn line");
        }
    }
    is_done
}

/// A bundle that was there before, on the disk if it fits.
fn old_bundle(place: &Place) {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("reports/reference/put_parallel-2026-11-23/result.json");
    fs::create_dir(place.folder.path().join("old")).unwrap();
    fs::copy(reference, place.at("old/result.json")).unwrap();
    fs::create_dir(place.at("disk/out")).unwrap();
    fs::write(place.at("disk/out/kept.md"), "dear").unwrap();
}

/// Commands that write to the disk.
const WRITERS: [(&str, &[&str]); 6] = [
    (
        "a run's bundle",
        &[
            "run",
            "@/tiny.toml",
            "--no-profile",
            "--out",
            "@/disk/out",
            "--data",
            "@/data",
            "--set",
            "system.layer=store",
        ],
    ),
    (
        "a run's log",
        &["run", "@/tiny.toml", "--no-profile", "--out", "@/elsewhere", "--data", "@/disk/data"],
    ),
    ("a history", &["history", "add", "@/old", "--in", "@/disk/out"]),
    (
        "a sitting",
        &["verify", "--campaign", "equivalence", "--requests", "1000", "--out", "@/disk/out"],
    ),
    ("manual pages", &["man", "--out", "@/disk/out"]),
    ("a scoreboard", &["report", "@/old", "@/old", "--out", "@/disk/out"]),
];

#[test]
fn a_full_disk_is_told_and_nothing_is_half_done() {
    let (mut points, mut done) = (0, 0);
    for kib in POINTS {
        for (name, args) in WRITERS {
            let Some(place) = Place::of_kib(kib) else {
                eprintln!("skipped: this user may not mount a tmpfs");
                return;
            };
            old_bundle(&place);
            let before = contents(&place.disk());
            let output = place.kvbench(args, None);
            done += u32::from(check(&place, &output, &before, &format!("{name} on {kib} KiB")));
            points += 1;
        }
    }
    assert!(done > 0 && done < points, "{done} of {points} had room: no point is the last one");
    eprintln!("full disk: {points} points, {done} of them had room");
}

#[test]
fn a_file_that_may_not_grow_is_told_and_nothing_is_half_done() {
    let (mut points, mut done) = (0, 0);
    for kib in POINTS {
        for (name, args) in WRITERS {
            let place = Place::new();
            old_bundle(&place);
            let before = contents(&place.disk());
            let output = place.kvbench(args, Some(kib));
            done +=
                u32::from(check(&place, &output, &before, &format!("{name} of {kib} KiB at most")));
            points += 1;
        }
    }
    assert!(done > 0 && done < points, "{done} of {points} had room: no point is the last one");
    eprintln!("files that may not grow: {points} points, {done} of them had room");
}

/// A page that was there before stays as it was if the new one does not fit.
#[test]
fn an_earlier_report_is_not_lost() {
    let Some(place) = Place::of_kib(1400) else {
        eprintln!("skipped: this user may not mount a tmpfs");
        return;
    };
    let reference = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("reports/reference/put_parallel-2026-11-23/result.json");
    fs::create_dir(place.at("disk/old")).unwrap();
    fs::copy(reference, place.at("disk/old/result.json")).unwrap();
    fs::write(place.at("disk/old/report.html"), "<html>an earlier one</html>\n").unwrap();
    // All that is left but one page.
    let free = || {
        let df =
            Command::new("df").args(["--output=avail", "-k"]).arg(place.disk()).output().unwrap();
        String::from_utf8(df.stdout)
            .unwrap()
            .lines()
            .last()
            .unwrap()
            .trim()
            .parse::<usize>()
            .unwrap()
    };
    fs::write(place.at("disk/ballast"), vec![0; free().saturating_sub(8) << 10]).unwrap();
    let before = contents(&place.disk());
    let output = place.kvbench(&["report", "@/disk/old"], None);
    assert!(!check(&place, &output, &before, "a report"), "{} KiB were free", free());
    assert!(String::from_utf8_lossy(&output.stderr).contains("report."), "it says which file");
}
