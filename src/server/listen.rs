//! Connections: counted, so that strangers cannot take all file handles, and given up if they do not speak.

use super::authority::Blanking;
use futures_util::Stream;
use futures_util::stream::unfold;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Most connections at once: fewer than the file handles a process usually has, minus what the log and engine need.
/// Whoever comes later waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 768;

/// How long a new connection may be silent.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// Pause after a connection could not be taken, which mostly means that handles ran out.
const PAUSE: Duration = Duration::from_millis(50);

/// Places for connections, shared by all that a server listens on.
pub(super) fn slots() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(CONNECTIONS_MAX))
}

/// Connections as they come, as long as there are places. Called within a runtime.
pub(super) fn incoming(
    listener: std::net::TcpListener,
    slots: Arc<Semaphore>,
) -> io::Result<impl Stream<Item = io::Result<Connection>>> {
    let listener = TcpListener::from_std(listener)?;
    Ok(unfold((listener, slots), |(listener, slots)| async move {
        let slot = slots.clone().acquire_owned().await.ok()?;
        let stream = accept(&listener).await;
        Some((Ok(Connection::new(stream, slot)), (listener, slots)))
    }))
}

/// The next connection; one that breaks at once is nobody's loss.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Slower, but not broken, where the system does not take it.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// A client's connection, with its place.
pub(super) struct Connection {
    stream: TcpStream,
    blanking: Blanking,
    /// Until its first word.
    silence: Option<Pin<Box<Sleep>>>,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, slot: OwnedSemaphorePermit) -> Connection {
        let silence = Some(Box::pin(sleep(FIRST_WORD)));
        Connection { stream, blanking: Blanking::new(), silence, _slot: slot }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.blanking.pass(&mut buffer.filled_mut()[before..]);
        match (&read, &mut self.silence) {
            (Poll::Ready(_), _) => self.silence = None,
            (Poll::Pending, Some(silence)) => {
                ready!(silence.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            (Poll::Pending, None) => {}
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}
