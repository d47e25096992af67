//! Notes what is being built: the source's revision and the compiler, for the record of every run. And makes the wire
//! types of `rpc` from `proto/`, without protoc.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

/// The services and what they name, in `proto/`.
const PROTOS: [&str; 10] = [
    "kv.proto",
    "watch.proto",
    "lease.proto",
    "maintenance.proto",
    "cluster.proto",
    "auth.proto",
    "lock.proto",
    "election.proto",
    "peer.proto",
    "agent.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rustc-env=KVBENCH_REVISION={}", revision());
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = output(&rustc, &["--version"]).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=KVBENCH_RUSTC={version}");
    println!("cargo::rustc-env=KVBENCH_PROFILE={}", std::env::var("PROFILE").unwrap_or_default());
    compile_protos()
}

/// Leaves the types of each package, and the description of all for reflection, in the build's folder.
fn compile_protos() -> Result<(), Box<dyn Error>> {
    let mut protos = protox::Compiler::new(["proto"])?;
    protos.include_imports(true).open_files(PROTOS)?;
    let descriptors = PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(descriptors, protos.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .compile_fds(protos.file_descriptor_set())?;
    Ok(())
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
