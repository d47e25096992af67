//! The watches of a stream, by their numbers. Only those that have news are looked at, however many there are.

use crate::store::{WatchResponse, Watcher};
use futures_util::Stream;
use futures_util::StreamExt;
use futures_util::stream::{AbortHandle, Abortable, SelectAll};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// All watches of a stream.
#[derive(Default)]
pub(super) struct Watches {
    by_id: HashMap<i64, Watch>,
    responses: SelectAll<Abortable<Responses>>,
    /// The next number that the server chooses, unless a client chose it before.
    next_id: i64,
}

struct Watch {
    /// Shared with its [`Responses`], in the same task.
    watcher: Arc<Mutex<Watcher>>,
    end: AbortHandle,
    /// Whether it wants to hear of progress now and then.
    wants_progress: bool,
    /// Whether it was told something since it was last asked.
    was_told: bool,
}

struct Responses {
    id: i64,
    watcher: Arc<Mutex<Watcher>>,
}

impl Stream for Responses {
    type Item = (i64, WatchResponse);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        watcher.poll_next(cx).map(|response| Some((self.id, response)))
    }
}

impl Watches {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The numbers of all.
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.by_id.keys().copied()
    }

    /// The number for a watch that wants to be `wanted`, 0 if it does not care; none if that is taken.
    pub(super) fn free_id(&mut self, wanted: i64) -> Option<i64> {
        if wanted != 0 {
            return (!self.by_id.contains_key(&wanted)).then_some(wanted);
        }
        while self.by_id.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Some(self.next_id - 1)
    }

    /// Adds a watch; `id` is free.
    pub(super) fn add(&mut self, id: i64, watcher: Watcher) {
        let wants_progress = watcher.spec().progress;
        let watcher = Arc::new(Mutex::new(watcher));
        let (end, ended) = AbortHandle::new_pair();
        self.responses.push(Abortable::new(Responses { id, watcher: watcher.clone() }, ended));
        self.by_id.insert(id, Watch { watcher, end, wants_progress, was_told: true });
    }

    /// Ends a watch; false if there is none of that number.
    pub(super) fn remove(&mut self, id: i64) -> bool {
        let removed = self.by_id.remove(&id);
        removed.is_some_and(|watch| {
            watch.end.abort();
            true
        })
    }

    /// The next response of any of them; waits for ever if there are none.
    pub(super) async fn next(&mut self) -> (i64, WatchResponse) {
        loop {
            match self.responses.next().await {
                Some((id, response)) => {
                    if let Some(watch) = self.by_id.get_mut(&id) {
                        watch.was_told = true;
                        return (id, response);
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// What watch `id` has ready now, without waiting for more.
    pub(super) fn ready(&self, id: i64) -> Option<WatchResponse> {
        let watcher = &self.by_id.get(&id)?.watcher;
        watcher.lock().unwrap_or_else(PoisonError::into_inner).try_next()
    }

    /// Asks every watch that wants it and heard nothing since the last time to tell its progress.
    pub(super) fn ask_quiet(&mut self) {
        for watch in self.by_id.values_mut().filter(|watch| watch.wants_progress) {
            if !std::mem::take(&mut watch.was_told) {
                watch.ask();
            }
        }
    }

    /// Asks every watch to tell its progress.
    pub(super) fn ask_all(&self) {
        self.by_id.values().for_each(Watch::ask);
    }

    /// Whether a watch wants to hear of progress now and then.
    pub(super) fn wants_progress(&self, id: i64) -> bool {
        self.by_id.get(&id).is_some_and(|watch| watch.wants_progress)
    }
}

impl Watch {
    fn ask(&self) {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner).request_progress();
    }
}
