//! Where members reach one another: each behind a gate of this process, which passes on what comes and can break all connections at once,
//! as a router does that forgets them.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// All gates of a group.
pub(super) struct Gates {
    /// Counts the times that everything was broken.
    breaks: watch::Sender<u64>,
    /// Connections that were; relaxed, it orders nothing.
    broken: Arc<AtomicU64>,
    /// Ends with its tasks.
    _runtime: Runtime,
}

impl Gates {
    /// Opens a gate for each listener, before the port beside it.
    pub(super) fn open(gates: Vec<(std::net::TcpListener, u16)>) -> io::Result<Gates> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("gates")
            .enable_all()
            .build()?;
        let (breaks, _) = watch::channel(0);
        let broken = Arc::new(AtomicU64::new(0));
        for (listener, to) in gates {
            listener.set_nonblocking(true)?;
            let _within = runtime.enter();
            let listener = TcpListener::from_std(listener)?;
            runtime.spawn(stand(listener, to, breaks.subscribe(), broken.clone()));
        }
        Ok(Gates { breaks, broken, _runtime: runtime })
    }

    /// Breaks every connection: both ends are told that it was reset.
    pub(super) fn break_all(&self) {
        self.breaks.send_modify(|breaks| *breaks += 1);
    }

    /// Connections that were broken so far.
    pub(super) fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }
}

async fn stand(
    listener: TcpListener,
    to: u16,
    breaks: watch::Receiver<u64>,
    broken: Arc<AtomicU64>,
) {
    // What cannot be taken is not there for whoever wanted to connect, who tries again.
    while let Ok((from, _)) = listener.accept().await {
        tokio::spawn(pass(from, to, breaks.clone(), broken.clone()));
    }
}

/// Until one end closes, or everything is broken.
async fn pass(
    mut from: TcpStream,
    to: u16,
    mut breaks: watch::Receiver<u64>,
    broken: Arc<AtomicU64>,
) {
    breaks.mark_unchanged();
    let onward = TcpStream::connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, to)).await;
    let Ok(mut onward) = onward else { return };
    for side in [&from, &onward] {
        // Slower without, nothing else.
        let _ = side.set_nodelay(true);
    }
    tokio::select! {
        // However it ended, both ends are closed.
        _ = copy_bidirectional(&mut from, &mut onward) => {}
        _ = breaks.changed() => {
            let reset = from.set_zero_linger().and(onward.set_zero_linger());
            broken.fetch_add(u64::from(reset.is_ok()), Ordering::Relaxed);
        }
    }
}
