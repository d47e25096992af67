//! The locks and atomics under the store, by one name: `shuttle/` compiles the store with stand-ins that try out
//! interleavings, `loom/` one file of it with stand-ins that try out memory orders.

pub(crate) use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    TryLockError,
};
