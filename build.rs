//! Notes what is being built: the source's revision and the compiler, for the record of every run.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rustc-env=KVBENCH_REVISION={}", revision());
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = output(&rustc, &["--version"]).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=KVBENCH_RUSTC={version}");
    println!("cargo::rustc-env=KVBENCH_PROFILE={}", std::env::var("PROFILE").unwrap_or_default());
}

/// Short git revision, with `-dirty` if the working tree differs from it; `unknown` outside a repository.
fn revision() -> String {
    let Some(revision) = output("git", &["rev-parse", "--short=7", "HEAD"]) else {
        return "unknown".into();
    };
    match output("git", &["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if !changes.is_empty() => format!("{revision}-dirty"),
        _ => revision,
    }
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
