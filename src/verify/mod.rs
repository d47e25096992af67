//! Is the answer right? Histories of what clients saw, checkers that question them, and faults under which they are made.
//!
//! - `oracle`: the state machine once more, as plainly as it can be written; `equivalence` holds every apply path against it.
//! - `history`, `witness`: operations under faults, in the order that the server itself names.
//! - `wgl`: the same without believing the server's revisions, key by key. `edn`: histories of other tools.
//! - `sampled`: a few keys of a load that is measured, without the rest.
//! - `kept`: histories as files, for other checkers.
//! - `watch`: what watchers were told, against what happened.
//! - `crashes`: what a crash may leave of a member's disk, and what a start makes of it.
//! - `processes`: the same with servers of their own, killed and starved.
//! - `simulation`: groups on one thread, with time, disks and a network that one seed makes, watched at every step.
//! - `faults`: groups of nodes, what goes wrong in them, and campaigns that put it all together.

pub mod crashes;
pub mod edn;
pub mod equivalence;
pub mod faults;
pub mod generate;
pub mod history;
pub mod kept;
pub mod oracle;
pub mod processes;
pub mod registers;
mod requests;
pub mod sampled;
pub mod simulation;
mod transactions;
pub mod watch;
pub mod wgl;
pub mod witness;

pub use history::{Operation, Outcome};
