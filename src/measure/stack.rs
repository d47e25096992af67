//! Where a thread is: its call stack as addresses, taken outside any signal, and named only when somebody wants to read it.

use backtrace::Backtrace;
use std::sync::Arc;

/// A thread's name and the addresses it will return to, innermost first. Equal ones are the same place in the program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stack {
    thread: Arc<str>,
    addresses: Vec<usize>,
}

/// A function on a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name, with or without a path.
    pub name: String,
    /// Its source file, if line tables have it.
    pub file: Option<String>,
}

impl Stack {
    /// Of the calling thread. Takes some microseconds and a lock of the unwinder's own.
    pub fn here() -> Stack {
        let taken = Backtrace::new_unresolved();
        let addresses = taken.frames().iter().map(|frame| frame.ip().addr()).collect();
        Stack { thread: std::thread::current().name().unwrap_or_default().into(), addresses }
    }

    /// Name of the thread; empty if it has none.
    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// The functions, root first, inlined ones included. Slow: it reads debug information.
    pub fn frames(&self) -> Vec<Frame> {
        let mut frames = Vec::new();
        for address in &self.addresses {
            backtrace::resolve(std::ptr::without_provenance_mut(*address), |symbol| {
                let name = symbol.name().map(|name| format!("{name:#}")).unwrap_or_default();
                let file = symbol.filename().map(|file| file.to_string_lossy().into_owned());
                frames.push(Frame { name, file });
            });
        }
        frames.reverse();
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn a_place_of_its_own() -> Stack {
        std::hint::black_box(Stack::here())
    }

    #[test]
    fn a_stack_knows_its_thread_and_its_callers() {
        let worker = std::thread::Builder::new().name("apply-7".into()).spawn(a_place_of_its_own);
        let stack = worker.unwrap().join().unwrap();
        assert_eq!(stack.thread(), "apply-7");
        let frames = stack.frames();
        let is_it = |frame: &Frame| frame.name.contains("a_place_of_its_own");
        assert_eq!(frames.iter().filter(|frame| is_it(frame)).count(), 1, "{frames:?}");
    }

    #[test]
    fn the_same_place_is_the_same_stack() {
        let twice: Vec<_> = (0..2).map(|_| a_place_of_its_own()).collect();
        assert_eq!(twice[0], twice[1]);
    }
}
