//! `kvbench serve` as a program: what it refuses, what it says, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use assert_cmd::cargo::cargo_bin;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

fn serve(args: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin("kvbench"));
    command.arg("serve").args(args);
    command
}

fn refused(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stderr, .. } = serve(args).current_dir(&folder).output().unwrap();
    assert_eq!(status.code(), Some(2), "{args:?}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "{args:?} left something behind");
    String::from_utf8(stderr).unwrap()
}

#[test]
fn whoever_is_not_on_this_machine_needs_tls_or_a_word() {
    for flag in ["--listen-client-urls", "--listen-metrics-urls"] {
        let said = refused(&[flag, "http://0.0.0.0:0"]);
        assert!(said.contains("http://0.0.0.0:0 can be reached from other machines"), "{said}");
        assert!(said.contains("--insecure-allow-remote"), "{said}");
    }
}

#[test]
fn what_does_not_fit_together_is_refused_with_a_hint() {
    for (args, expected) in [
        (&["--listen-client-urls", "https://127.0.0.1:0"][..], "hint: --cert-file and --key-file"),
        (&["--listen-client-urls", "127.0.0.1:0"], "it should look like http://127.0.0.1:2379"),
        (&["--listen-metrics-urls", "https://127.0.0.1:0"], "plain HTTP only"),
        (&["--cert-file", "a.pem"], "--key-file"),
        (&["--client-cert-auth"], "--trusted-ca-file"),
        (&members(&[]), "https://127.0.0.1:2 needs a certificate of this member's, too"),
        (&members(&CERTIFICATE), "hint: --peer-trusted-ca-file"),
        (&["--max-connections", "1000000"], "hint: ulimit -n"),
        (&["--shards", "3"], "is not a power of two"),
        (&["--state-sync", "per-op"], "hint: --engine rocksdb"),
        (&["--apply", "global-mutex", "--apply-workers", "2"], "hint: --apply sharded"),
        (&["--snapshot-bytes", "1KiB"], "allowed: 64KiB to 1024GiB"),
        (&["--snapshot-bytes", "100000"], "the unit is missing"),
    ] {
        let said = refused(args);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

const CERTIFICATE: [&str; 4] = ["--peer-cert-file", "a.pem", "--peer-key-file", "a.key"];

/// Flags of a member whose other member speaks TLS; itself only with a certificate.
fn members<'a>(certificate: &[&'a str]) -> Vec<&'a str> {
    let (listen, cluster) = match certificate {
        [] => ("http://127.0.0.1:1", "a=http://127.0.0.1:1,b=https://127.0.0.1:2"),
        _ => ("https://127.0.0.1:1", "a=https://127.0.0.1:1,b=https://127.0.0.1:2"),
    };
    let flags = ["--name", "a", "--listen-peer-urls", listen, "--initial-cluster", cluster];
    [&flags, certificate].concat()
}

/// A server and its first line.
fn started(folder: &std::path::Path) -> (Child, String) {
    let args = ["--listen-client-urls", "http://127.0.0.1:0", "--fsync", "off", "--data-dir", "n"];
    let mut child = serve(&args).current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (child, line)
}

#[test]
fn it_says_one_line_when_it_is_ready_and_ends_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["-TERM", "-INT"] {
        let (mut child, line) = started(folder.path());
        assert!(line.starts_with("kvbench serve: ready, clients at http://127.0.0.1:"), "{line}");
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn the_help_has_examples() {
    let Output { stdout, .. } = serve(&["--help"]).output().unwrap();
    let help = String::from_utf8(stdout).unwrap();
    assert!(help.contains("Examples:") && help.contains("etcdctl --endpoints"), "{help}");
}
