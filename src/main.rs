//! The program: streams, signals and the exit status around [`kvbench::cli`].

use kvbench::cli::{self, Exit, Terminal};
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Columns where the terminal does not tell.
const WIDTH: usize = 100;

fn main() -> ExitCode {
    let interrupted = Arc::new(AtomicBool::new(false));
    stop_on_signal(interrupted.clone());
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut terminal = Terminal {
        color: out.is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        live: err.is_terminal(),
        width: terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0)),
        out: &mut out,
        err: &mut err,
        interrupted,
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

#[expect(clippy::exit, clippy::disallowed_methods, reason = "a second Ctrl-C waits for nobody")]
fn end_at_once() {
    std::process::exit(i32::from(Exit::Interrupted.code()));
}
