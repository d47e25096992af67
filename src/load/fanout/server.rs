//! Watchers at a server: watches of one stream, as one client of etcd has them.

use super::{Given, Orders, Reached};
use crate::client::{ClientError, Connection, Endpoint, WatchNews, Watching};
use crate::clock::Clock;
use crate::model::{Event, Interval, MainRevision, Range, Request};
use crate::units::Nanos;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

/// The thread: listens until it is told to end. `ready` is told when all watches are there, or why not.
pub(super) fn serve(
    endpoint: &Endpoint,
    watchers: u32,
    orders: &Orders,
    clock: Clock,
    ready: &Sender<Result<(), String>>,
) -> Vec<Reached> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // Whoever started the thread waits for this.
            let _ = ready.send(Err(error.to_string()));
            return Vec::new();
        }
    };
    runtime.block_on(async {
        let mut listener = match Listener::start(endpoint, watchers, clock).await {
            Ok(listener) => listener,
            Err(error) => {
                let _ = ready.send(Err(error.to_string()));
                return Vec::new();
            }
        };
        let _ = ready.send(Ok(()));
        // A stream that breaks gives nothing more: its watchers are not served, and that is what is reported.
        let _ = listener.listen(orders).await;
        listener.readers.into_values().collect()
    })
}

struct Listener {
    connection: Connection,
    watching: Watching,
    /// By the numbers of their watches.
    readers: BTreeMap<i64, Reached>,
    /// What is resumed after a compaction, until its new watch has a number.
    resumed: Vec<Reached>,
    /// The revision that everybody must have, once the load has ended.
    until: Option<MainRevision>,
    clock: Clock,
}

impl Listener {
    async fn start(
        endpoint: &Endpoint,
        watchers: u32,
        clock: Clock,
    ) -> Result<Listener, ClientError> {
        let connection = Connection::open(endpoint).await?;
        let start = revision(&connection).await? + 1;
        let mut watching = connection.watch_all(watchers, start).await?;
        let mut readers = BTreeMap::new();
        while readers.len() < watchers as usize {
            if let WatchNews::Created { watch } = watching.next().await? {
                readers.insert(watch, Reached { given: Given::nothing(start), reached: None });
            }
        }
        let resumed = Vec::new();
        Ok(Listener { connection, watching, readers, resumed, until: None, clock })
    }

    async fn listen(&mut self, orders: &Orders) -> Result<(), ClientError> {
        while !orders.stop.load(Ordering::Relaxed) && !self.all_served() {
            if self.until.is_none() && orders.ending.load(Ordering::Relaxed) {
                self.until = Some(revision(&self.connection).await?);
                self.look_who_is_done();
                continue;
            }
            tokio::select! {
                news = self.watching.next() => self.take(news?, orders)?,
                () = orders.bell.notified() => {}
            }
        }
        Ok(())
    }

    fn all_served(&self) -> bool {
        let is_served = |reader: &Reached| reader.reached.is_some();
        self.until.is_some() && self.resumed.is_empty() && self.readers.values().all(is_served)
    }

    fn take(&mut self, news: WatchNews, orders: &Orders) -> Result<(), ClientError> {
        match news {
            WatchNews::Events { watch, events } => {
                orders.delivered.fetch_add(events.len() as u64, Ordering::Relaxed);
                let Some(reader) = self.readers.get_mut(&watch) else { return Ok(()) };
                for revision in events.chunk_by(same_revision) {
                    reader.given.take(revision[0].kv.mod_revision, revision);
                }
                mark(reader, self.until, self.clock.now());
            }
            // It is not taken at its word: etcd 3.4 tells it to watches that have yet to be given what came before.
            WatchNews::Progress { .. } => {}
            WatchNews::Ended { watch, compact_revision } if compact_revision > 0 => {
                if let Some(mut reader) = self.readers.remove(&watch) {
                    let next = reader.given.resume(compact_revision);
                    self.resumed.push(reader);
                    self.watching.again(next)?;
                }
            }
            WatchNews::Ended { .. } => return Err(ClientError::Cut),
            WatchNews::Created { watch } => {
                // Those that were asked for first are created first.
                if !self.resumed.is_empty() {
                    self.readers.insert(watch, self.resumed.remove(0));
                }
            }
        }
        Ok(())
    }

    fn look_who_is_done(&mut self) {
        let (until, now) = (self.until, self.clock.now());
        self.readers.values_mut().for_each(|reader| mark(reader, until, now));
    }
}

/// Every revision has changes, so whoever was given the last one is through; what is missing before it is counted.
fn mark(reader: &mut Reached, until: Option<MainRevision>, now: Nanos) {
    if let Some(until) = until
        && reader.given.next > until
    {
        reader.reached.get_or_insert((until, now));
    }
}

fn same_revision(a: &Event, b: &Event) -> bool {
    a.kv.mod_revision == b.kv.mod_revision
}

/// The newest revision there is.
async fn revision(connection: &Connection) -> Result<MainRevision, ClientError> {
    let interval = Interval::everything();
    let count = Range { interval, count_only: true, limit: 1, ..Range::default() };
    Ok(connection.call(Request::Range(count)).await?.revision)
}
