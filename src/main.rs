//! The program: streams, signals and the exit status around [`kvbench::cli`].

use kvbench::cli::{self, Exit, Terminal};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Counts, for `allocs_per_op`.
#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// Columns where the terminal does not tell.
const WIDTH: usize = 100;

fn main() -> ExitCode {
    let interrupted = Arc::new(AtomicBool::new(false));
    stop_on_signal(interrupted.clone());
    raise_handles();
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut terminal = Terminal {
        color: out.is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        live: err.is_terminal(),
        width: terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0)),
        out: &mut out,
        err: &mut err,
        interrupted,
        end: end_with,
    };
    ExitCode::from(cli::run(std::env::args_os(), &mut terminal).code())
}

/// The first Ctrl-C, SIGTERM or SIGHUP asks for an early end with a report; the second ends at once.
fn stop_on_signal(interrupted: Arc<AtomicBool>) {
    let handler = move || {
        if interrupted.swap(true, Ordering::Relaxed) {
            end_at_once();
        }
    };
    ctrlc::set_handler(handler).expect("the handler is set once");
}

/// As many open files as the system lets this process have, and those that it starts: a connection is one. The usual soft limit of 1024 is
/// for programs that use `select`.
fn raise_handles() {
    let limit = getrlimit(Resource::Nofile);
    // Where that is not allowed, whoever needs many says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "a thread that hangs cannot be joined")]
fn end_with(said: &str, exit: Exit) {
    // A reader that went away changes nothing now.
    let _ = writeln!(io::stderr(), "{said}");
    std::process::exit(i32::from(exit.code()));
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "a second Ctrl-C waits for nobody")]
fn end_at_once() {
    std::process::exit(i32::from(Exit::Interrupted.code()));
}
