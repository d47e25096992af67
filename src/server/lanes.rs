//! Threads for connections. Whatever is done for a connection, from reading its frames to answering its requests, is done on one thread: an
//! answer and the connection that it goes out on then never wait for each other's lock, and who becomes ready together is sent together.
//! A connection that comes goes where the fewest are.

use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::sleep;

/// Well below what a request is given at most.
const TICK: Duration = Duration::from_secs(1);

/// More than one thread of the log can feed; each has three open files.
const LANES_MAX: usize = 16;

/// Threads of clients' connections, one for each CPU.
pub(super) struct Lanes {
    runtimes: Vec<Runtime>,
    lanes: Vec<Lane>,
}

/// Where a connection may live.
#[derive(Clone)]
pub(super) struct Lane {
    pub(super) handle: Handle,
    /// A clone for each connection there.
    places: Arc<()>,
}

/// A connection's place on its lane.
pub(super) struct Place(#[expect(dead_code, reason = "counted while it is there")] Arc<()>);

impl Lanes {
    pub(super) fn start() -> io::Result<Lanes> {
        let count = available_parallelism()?.get().min(LANES_MAX);
        let start = |_| {
            // One worker of the kind that has many: it is woken once for all that others leave to it while it is awake.
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(1).thread_name("rpc").enable_io().enable_time().build()
        };
        let runtimes = (0..count).map(start).collect::<io::Result<Vec<Runtime>>>()?;
        runtimes.iter().for_each(|runtime| drop(runtime.spawn(keep_time())));
        let lanes = runtimes.iter().map(|runtime| Lane::on(runtime.handle().clone())).collect();
        Ok(Lanes { runtimes, lanes })
    }

    pub(super) fn all(&self) -> &[Lane] {
        &self.lanes
    }

    /// Ends them, at the latest after `grace`.
    pub(super) fn stop(self, grace: Duration) {
        std::thread::scope(|scope| {
            for runtime in self.runtimes {
                scope.spawn(move || runtime.shutdown_timeout(grace));
            }
        });
    }
}

/// Has the runtime of a lane wait for something sooner than a request's end of patience. Whoever asks to be woken sooner than anything else
/// that a runtime waits for wakes the runtime, by a system call; without this, each request did whose predecessors were all answered.
async fn keep_time() {
    loop {
        sleep(TICK).await;
    }
}

impl Lane {
    /// On threads that there are.
    pub(super) fn on(handle: Handle) -> Lane {
        Lane { handle, places: Arc::new(()) }
    }

    /// How many connections there are, and as many more on each lane as it has clones.
    pub(super) fn taken(&self) -> usize {
        Arc::strong_count(&self.places)
    }

    pub(super) fn take(&self) -> Place {
        Place(self.places.clone())
    }
}
