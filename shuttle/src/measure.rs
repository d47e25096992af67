//! The instruments the store uses, on shuttle's locks.

#[path = "../../src/measure/contention.rs"]
pub mod contention;
#[path = "../../src/measure/lock/mod.rs"]
pub mod lock;
#[path = "../../src/measure/spans.rs"]
pub mod spans;
#[path = "../../src/measure/stage.rs"]
pub mod stage;

/// No call stacks here: no probe asks for them.
pub mod stack {
    /// Nowhere.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct Stack;

    impl Stack {
        /// Nowhere.
        pub fn here() -> Stack {
            Stack
        }
    }
}

/// The stand-ins.
pub(crate) mod sync {
    pub(crate) use shuttle::sync::atomic::{
        AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    };
    pub(crate) use shuttle::sync::{
        Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    };
    pub(crate) use std::sync::{PoisonError, TryLockError};
}
