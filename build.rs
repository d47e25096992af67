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

/// Of `google.protobuf.FieldDescriptorProto.Type`.
const TYPE_BYTES: i32 = 12;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=judge");
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rustc-env=KVBENCH_REVISION={}", revision());
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = output(&rustc, &["--version"]).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=KVBENCH_RUSTC={version}");
    println!("cargo::rustc-env=KVBENCH_PROFILE={}", variable("PROFILE"));
    note_how_it_is_built();
    compile_protos()
}

/// What cargo and the flags of the compiler decide about speed and about stacks.
fn note_how_it_is_built() {
    println!("cargo::rerun-if-changed=Cargo.toml");
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let kept = matches!(
        codegen_flag(&flags, "force-frame-pointers").as_deref(),
        Some("" | "yes" | "y" | "on" | "true")
    );
    // Cargo's defaults: thin-local LTO; line numbers and types in debug builds, nothing in release builds.
    let debug_info = if variable("PROFILE") == "debug" { "full" } else { "none" };
    for (name, value) in [
        ("FEATURES", features()),
        ("TARGET", variable("TARGET")),
        ("TARGET_CPU", codegen_flag(&flags, "target-cpu").unwrap_or_else(|| "generic".into())),
        ("OPT_LEVEL", variable("OPT_LEVEL")),
        ("LTO", profile_setting("lto").unwrap_or_else(|| "thin-local".into())),
        ("DEBUG_INFO", profile_setting("debug").unwrap_or_else(|| debug_info.into())),
        ("FRAME_POINTERS", if kept { "kept" } else { "left out" }.into()),
    ] {
        println!("cargo::rustc-env=KVBENCH_{name}={value}");
    }
}

/// Features of this crate that are on.
fn features() -> String {
    let name = |(key, _): (String, String)| {
        key.strip_prefix("CARGO_FEATURE_").map(|name| name.to_lowercase().replace('_', "-"))
    };
    let mut features: Vec<_> = std::env::vars().filter_map(name).collect();
    features.sort();
    if features.is_empty() { "none".into() } else { features.join(", ") }
}

/// The value of `-C name=value` or `-Cname=value`, the last one.
fn codegen_flag(flags: &str, name: &str) -> Option<String> {
    let words: Vec<&str> = flags.split('\x1f').collect();
    let setting = |(place, word): (usize, &&str)| match *word {
        "-C" | "--codegen" => words.get(place + 1).map(|next| (*next).to_owned()),
        word => {
            word.strip_prefix("-C").or_else(|| word.strip_prefix("--codegen=")).map(str::to_owned)
        }
    };
    let settings = words.iter().enumerate().filter_map(setting);
    let value = |setting: String| match setting.split_once('=') {
        Some((key, value)) => (key == name).then(|| value.to_owned()),
        None => (setting == name).then(String::new),
    };
    settings.filter_map(value).next_back()
}

/// A setting of the profile in use: the environment's, else the manifest's. Cargo hands neither to build scripts.
fn profile_setting(key: &str) -> Option<String> {
    let profile = match variable("PROFILE").as_str() {
        "debug" => "dev",
        _ => "release",
    };
    let upper = |text: &str| text.to_uppercase().replace('-', "_");
    let name = format!("CARGO_PROFILE_{}_{}", upper(profile), upper(key));
    println!("cargo::rerun-if-env-changed={name}");
    let typed = std::env::var(name).ok().or_else(|| {
        let manifest = std::fs::read_to_string("Cargo.toml").ok()?;
        let section = manifest.split(&format!("\n[profile.{profile}]")).nth(1)?;
        let lines = section.lines().take_while(|line| !line.starts_with('['));
        let value =
            lines.filter_map(|line| line.split_once('=')).find(|(name, _)| name.trim() == key)?.1;
        Some(value.split('#').next()?.trim().trim_matches('"').to_owned())
    })?;
    Some(match (key, typed.as_str()) {
        ("debug", "true" | "2") => "full".into(),
        ("debug", "1") => "limited".into(),
        ("debug", "false" | "0") => "none".into(),
        ("lto", "true") => "fat".into(),
        ("lto", "false") => "thin-local".into(),
        _ => typed,
    })
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Leaves the types of each package, and the description of all for reflection, in the build's folder.
fn compile_protos() -> Result<(), Box<dyn Error>> {
    let mut protos = protox::Compiler::new(["proto"])?;
    protos.include_imports(true).open_files(PROTOS)?;
    let descriptors = PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(descriptors, protos.encode_file_descriptor_set())?;
    let mut described = protos.file_descriptor_set();
    // What is sent to many watchers is laid out once, elsewhere: to the code that is made here an event is its bytes, which are the same.
    let messages = described.file.iter_mut().flat_map(|file| &mut file.message_type);
    for message in messages.filter(|message| message.name() == "WatchResponse") {
        for field in message.field.iter_mut().filter(|field| field.name() == "events") {
            (field.r#type, field.type_name) = (Some(TYPE_BYTES), None);
        }
    }
    tonic_prost_build::configure()
        .bytes(".etcdserverpb.WatchResponse.events")
        .codec_path("crate::rpc::Codec")
        .emit_rerun_if_changed(false)
        .compile_fds(described)?;
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
