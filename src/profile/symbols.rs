//! Frame names fit for a folded line: no separators, no hashes, no generic arguments, no scaffolding.

/// Frames that every Rust thread has above its own work.
const SCAFFOLDING: [&str; 9] = [
    "std::rt::",
    "std::sys::backtrace::",
    "std::sys::thread::",
    "std::sys::pal::",
    "std::thread::",
    "std::panic::",
    "std::panicking::",
    "core::ops::function::",
    "<core::panic::unwind_safe::",
];

/// Libc's entry frames.
const ENTRY: [&str; 5] = ["clone3", "__clone3", "start_thread", "_start", "__libc_start_main"];

/// `role;frame;frame` of a thread and its frames, root first.
pub(super) fn stack(thread: &str, frames: impl Iterator<Item = String>) -> String {
    let mut line = role(thread).to_owned();
    for frame in frames {
        let frame = frame_name(&frame);
        if !is_scaffolding(&frame) {
            line.push(';');
            line.push_str(&frame);
        }
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

fn is_scaffolding(frame: &str) -> bool {
    ENTRY.contains(&frame)
        || SCAFFOLDING.iter().any(|prefix| frame.starts_with(prefix))
        || frame.starts_with("<alloc::boxed::Box") && frame.contains("FnOnce")
        || frame.contains("perf_signal_handler")
}

/// Without generic arguments, hash, separators and control characters.
fn frame_name(symbol: &str) -> String {
    let symbol = symbol.strip_prefix('<').map_or(symbol, |_| symbol);
    let mut name = String::with_capacity(symbol.len());
    let mut depth = 0u32;
    let keep_outer = symbol.starts_with('<');
    for (index, letter) in symbol.chars().enumerate() {
        match letter {
            '<' if keep_outer && index == 0 => name.push('<'),
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            ';' | ' ' if depth == 0 => name.push(if letter == ';' { ':' } else { '_' }),
            _ if depth == 0 && !letter.is_control() => name.push(letter),
            _ => {}
        }
    }
    let name = name.replace("::{{closure}}", "").replace("{{closure}}", "closure");
    if name.is_empty() { "unknown".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_a_reader_does_not_need() {
        let cases = [
            ("alloc::vec::Vec<T,A>::push", "alloc::vec::Vec::push"),
            ("<kvbench::raft::ready::ReadyLoop<M,W,L> as X>::run", "<kvbench::raft::ready::ReadyLoop_as_X>::run"),
            ("kvbench::load::client::{{closure}}", "kvbench::load::client"),
            ("a;b", "a:b"),
            ("", "unknown"),
        ];
        for (symbol, name) in cases {
            assert_eq!(frame_name(symbol), name);
        }
    }

    #[test]
    fn scaffolding_goes_and_threads_become_roles() {
        let frames = ["clone3", "std::thread::Builder::spawn", "kvbench::raft::run", "fdatasync"];
        let line = stack("raft-1", frames.iter().map(|frame| (*frame).to_owned()));
        assert_eq!(line, "raft;kvbench::raft::run;fdatasync");
        assert_eq!(stack("", std::iter::empty()), "unnamed");
    }
}
