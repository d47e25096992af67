//! Panics that are part of what is verified, kept off the terminal: a member whose disk fails gives up by one, on a thread of its own.

use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Arc;
use std::thread;

type Hook = Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Until dropped, threads of some names panic in silence; whoever asked them learns of it.
pub(super) struct Quiet(Hook);

impl Quiet {
    /// About threads of these names.
    pub(super) fn about(names: &'static [&'static str]) -> Quiet {
        let before: Hook = Arc::from(take_hook());
        let rest = before.clone();
        set_hook(Box::new(move |panic| {
            if !thread::current().name().is_some_and(|name| names.contains(&name)) {
                rest(panic);
            }
        }));
        Quiet(before)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A thread that panics may not change the hook.
        if !thread::panicking() {
            let before = self.0.clone();
            set_hook(Box::new(move |panic| before(panic)));
        }
    }
}
