//! The program: what its build noted, and its size.

use crate::record::{Build, BuildDetails, NOT_VISIBLE};

/// The program that runs, as noted when it was built.
pub fn build() -> Build {
    let revision = env!("KVBENCH_REVISION");
    let tree = match revision {
        "unknown" => NOT_VISIBLE,
        dirty if dirty.ends_with("-dirty") => "dirty",
        _ => "clean",
    };
    let program = std::env::current_exe().and_then(|path| path.metadata());
    Build {
        revision: revision.to_owned(),
        profile: env!("KVBENCH_PROFILE").to_owned(),
        rustc: env!("KVBENCH_RUSTC").to_owned(),
        details: BuildDetails {
            tree: tree.to_owned(),
            features: env!("KVBENCH_FEATURES").to_owned(),
            target: env!("KVBENCH_TARGET").to_owned(),
            target_cpu: env!("KVBENCH_TARGET_CPU").to_owned(),
            opt_level: env!("KVBENCH_OPT_LEVEL").to_owned(),
            lto: env!("KVBENCH_LTO").to_owned(),
            debug_info: env!("KVBENCH_DEBUG_INFO").to_owned(),
            frame_pointers: env!("KVBENCH_FRAME_POINTERS").to_owned(),
            allocator: allocator().to_owned(),
            binary_bytes: program.ok().map(|file| file.len()),
        },
    }
}

/// No other `#[global_allocator]` is declared than the one that counts (a test looks), so it is the C library's.
fn allocator() -> &'static str {
    match () {
        () if cfg!(feature = "count-allocations") => "malloc of the system, counted",
        () if cfg!(target_env = "gnu") => "malloc of glibc",
        () if cfg!(target_env = "musl") => "malloc of musl",
        () => "malloc of the system",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn what_was_built_is_known() {
        let build = build();
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        assert_eq!(build.profile, profile);
        let details = build.details;
        assert!(["0", "1", "2", "3", "s", "z"].contains(&details.opt_level.as_str()));
        assert_eq!(details.features.contains("rocksdb"), cfg!(feature = "rocksdb"));
        assert!(details.target.starts_with(std::env::consts::ARCH), "{}", details.target);
        assert!(details.binary_bytes.is_some_and(|bytes| bytes > 1 << 20));
        // As the manifest of this crate has it.
        let debug_info = if cfg!(debug_assertions) { "full" } else { "line-tables-only" };
        if std::env::var_os("CARGO_PROFILE_RELEASE_DEBUG").is_none() {
            assert_eq!(details.debug_info, debug_info);
        }
    }

    #[test]
    fn nobody_declared_another_allocator() {
        fn look(folder: &Path, attribute: &str) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    look(&path, attribute);
                } else if path.extension().is_some_and(|end| end == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    let counting = "#[cfg(feature = \"count-allocations\")]\n#[global_allocator]";
                    let text = text.replace(counting, "");
                    let declares =
                        text.lines().any(|line| line.trim_start().starts_with(attribute));
                    assert!(!declares, "{}", path.display());
                }
            }
        }
        for sources in ["src", "judge/src"] {
            look(&Path::new(env!("CARGO_MANIFEST_DIR")).join(sources), "#[global_allocator]");
        }
    }
}
