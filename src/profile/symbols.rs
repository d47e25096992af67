//! Frame names fit for a folded line and a reader: `raft::ready::turn`, `tokio::block_on`, `libc::fdatasync`.
//!
//! Release builds carry line tables only, whose names have no path; the path comes from the source file. A run of
//! frames within one foreign crate is shown as its first, the call that entered it: how an executor polls or a
//! vector grows inside is nobody's lever here.

/// A frame as the sampler saw it.
#[derive(Clone, Debug)]
pub(super) struct RawFrame {
    /// Function name, with or without its path.
    pub(super) name: String,
    /// Source file, if line tables have it.
    pub(super) file: Option<String>,
}

/// Frames of one sample that stand for the sampling itself.
const SAMPLER: &str = "perf_signal_handler";
/// A closure; the function around it is a frame of its own, so it says nothing new.
const CLOSURE: &str = "closure";
/// Where foreign crates' sources lie, and those of the standard library and of what is built into it.
const REGISTRY: &str = "/registry/src/";
const STANDARD: [&str; 2] = ["/library/", "/rust/deps/"];

/// `role;frame;frame` of a thread and its frames, root first.
pub(super) fn stack(thread: &str, frames: impl Iterator<Item = RawFrame>) -> String {
    let mut line = role(thread).to_owned();
    let mut entered: Option<String> = None;
    for frame in frames {
        let origin = Origin::of(&frame);
        let name = short_name(&frame.name);
        if name == SAMPLER {
            break;
        }
        if origin.is_inside(entered.as_deref()) {
            continue;
        }
        if name != CLOSURE && !is_thread_start(&origin, &name, &line) {
            line.push(';');
            line.push_str(&origin.qualify(&name));
        }
        entered = match origin {
            Origin::Foreign(name) => Some(name),
            Origin::Own(_) | Origin::Unknown => None,
        };
    }
    line
}

/// The part of a thread's name before its number; the main thread is `main`.
fn role(thread: &str) -> &str {
    match thread.split('-').next().unwrap_or("") {
        "" => "unnamed",
        "kvbench" => "main",
        role => role,
    }
}

/// Whose code a frame is.
#[derive(Debug, PartialEq, Eq)]
enum Origin {
    /// This crate, with the module.
    Own(String),
    /// Another crate; the standard library's crates count as one, `std`.
    Foreign(String),
    /// No line tables: the C library or the kernel's door.
    Unknown,
}

impl Origin {
    fn of(frame: &RawFrame) -> Origin {
        let Some(file) = frame.file.as_deref() else { return Origin::Unknown };
        if STANDARD.iter().any(|path| file.contains(path)) {
            return Origin::Foreign("std".to_owned());
        }
        if let Some((_, path)) = file.split_once(REGISTRY) {
            let folder = path.split('/').nth(1).unwrap_or(path);
            return Origin::Foreign(without_version(folder).replace('-', "_"));
        }
        match file.rsplit_once("src/").map_or("", |(_, module)| module).strip_suffix(".rs") {
            Some(module) => Origin::Own(module.trim_end_matches("/mod").replace('/', "::")),
            None => Origin::Unknown,
        }
    }

    /// Whether it belongs to the foreign crate that was `entered`; the standard library serves whoever calls it.
    fn is_inside(&self, entered: Option<&str>) -> bool {
        match (self, entered) {
            (Origin::Foreign(krate), Some(entered)) => krate == entered || krate == "std",
            _ => false,
        }
    }

    fn qualify(&self, name: &str) -> String {
        match self {
            Origin::Own(module) => format!("{module}::{name}"),
            Origin::Foreign(krate) => format!("{krate}::{name}"),
            Origin::Unknown => format!("libc::{name}"),
        }
    }
}

/// `tokio` of `tokio-1.54.1`.
fn without_version(folder: &str) -> &str {
    match folder.rsplit_once('-') {
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => name,
        _ => folder,
    }
}

/// Frames between the thread's first instruction and its own work; only at the root.
fn is_thread_start(origin: &Origin, name: &str, line: &str) -> bool {
    let at_root = !line.contains(';');
    at_root
        && match origin {
            Origin::Foreign(krate) => krate == "std",
            Origin::Unknown => {
                ["clone", "start_thread", "_start"].iter().any(|start| name.contains(start))
            }
            Origin::Own(_) => false,
        }
}

/// The last part of a path, without generic arguments, separators and control characters.
fn short_name(symbol: &str) -> String {
    let mut name = String::with_capacity(symbol.len());
    let mut depth = 0u32;
    for letter in symbol.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            ';' | ' ' if depth == 0 => name.push('_'),
            _ if depth == 0 && !letter.is_control() => name.push(letter),
            _ => {}
        }
    }
    let is_named = |part: &&str| !part.starts_with('{') && !part.is_empty();
    match name.split("::").filter(is_named).last() {
        Some(last) => last.to_owned(),
        None if name.is_empty() => "unknown".to_owned(),
        None if name.contains("async") => "async_fn".to_owned(),
        None => CLOSURE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, file: &str) -> RawFrame {
        RawFrame { name: name.to_owned(), file: (!file.is_empty()).then(|| file.to_owned()) }
    }

    #[test]
    fn names_say_whose_code_it_is() {
        let cases = [
            ("turn", "/home/x/kvbench/src/raft/ready.rs", "raft::ready::turn"),
            ("kvbench::load::client::{{closure}}", "src/load/mod.rs", "load::client"),
            ("{async_fn#0}", "src/load/mod.rs", "load::async_fn"),
            ("block_on<T>", "/r/registry/src/index-1f/tokio-1.54.1/src/rt.rs", "tokio::block_on"),
            ("write", "/r/registry/src/index-1f/raft-engine-0.4.2/src/e.rs", "raft_engine::write"),
            ("to_vec<u8, A>", "/rustc/59/library/alloc/src/slice.rs", "std::to_vec"),
            ("fdatasync", "", "libc::fdatasync"),
            ("", "", "libc::unknown"),
        ];
        for (name, file, shown) in cases {
            let frame = frame(name, file);
            assert_eq!(Origin::of(&frame).qualify(&short_name(&frame.name)), shown);
        }
    }

    #[test]
    fn a_run_inside_one_foreign_crate_is_one_frame() {
        let tokio = "/r/registry/src/i/tokio-1.54.1/src/rt.rs";
        let std = "/rustc/59/library/std/src/thread.rs";
        let frames = [
            frame("__GI___clone3", ""),
            frame("spawn_unchecked_", std),
            frame("run_clients", "src/load/mod.rs"),
            frame("block_on", tokio),
            frame("with", std),
            frame("poll", tokio),
            frame("client", "src/load/mod.rs"),
            frame("{closure#0}", "src/load/mod.rs"),
            frame("to_vec", std),
            frame("with_capacity", std),
            frame("malloc", ""),
            frame("perf_signal_handler", "/r/registry/src/i/pprof-0.15.0/src/profiler.rs"),
        ];
        let line = stack("load-0", frames.into_iter());
        let shown = "load;load::run_clients;tokio::block_on;load::client;std::to_vec;libc::malloc";
        assert_eq!(line, shown);
        assert_eq!(stack("", std::iter::empty()), "unnamed");
    }
}
