//! The instruments the store uses, on shuttle's locks.

#[path = "../../src/measure/lock.rs"]
pub mod lock;
#[path = "../../src/measure/stage.rs"]
pub mod stage;

/// The stand-ins.
pub(crate) mod sync {
    pub(crate) use shuttle::sync::atomic::{
        AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    };
    pub(crate) use shuttle::sync::{
        Condvar, Mutex, MutexGuard,
    };
    pub(crate) use std::sync::{PoisonError, TryLockError};
}
