//! Connections: counted, so that strangers cannot take all file handles, and given up if they do not speak.

use super::authority::Blanking;
use super::lanes::{Lane, Place};
use crate::failpoint;
use crate::gather::Gathered;
use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
    set_tcp_user_timeout,
};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// How long a new connection may be silent, and how long it may take to agree on a key.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// A connection that says nothing this long is asked whether its client's host is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long that host has to answer (etcd's default for the question that HTTP/2 asks).
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause after a connection could not be taken, which mostly means that handles ran out.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections as they come.
pub(super) type Incoming = ReceiverStream<io::Result<Connection>>;

/// Slots for connections, shared by all addresses where the same kind of strangers comes.
pub(super) fn slots(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count))
}

/// Connections as they come, as long as there are slots, for each of `lanes` those that live there. Called within a runtime, which waits for
/// them; ends when nobody takes them.
pub(super) fn incoming(
    listener: std::net::TcpListener,
    slots: Arc<Semaphore>,
    acceptor: Option<TlsAcceptor>,
    lanes: &[Lane],
) -> io::Result<Vec<(Lane, Incoming)>> {
    let listener = TcpListener::from_std(listener)?;
    let (mut ways, mut taken) = (Vec::new(), Vec::new());
    for lane in lanes {
        let (give, take) = mpsc::channel(1);
        ways.push(Way { lane: lane.clone(), give });
        taken.push((lane.clone(), ReceiverStream::new(take)));
    }
    tokio::spawn(async move {
        let Some(first) = ways.first() else { return };
        loop {
            let connected = tokio::select! {
                connected = accept(&listener, &slots) => connected,
                () = first.give.closed() => return,
            };
            // One that nobody serves any more would always have the fewest.
            let open = ways.iter().filter(|way| !way.give.is_closed());
            let way = open.min_by_key(|way| way.lane.taken()).unwrap_or(first);
            // Each agrees on its key by itself: one that takes its time does not keep others waiting.
            let place = way.lane.take();
            way.lane.handle.spawn(welcome(connected, place, acceptor.clone(), way.give.clone()));
        }
    });
    Ok(taken)
}

/// How a connection comes to where it lives.
struct Way {
    lane: Lane,
    give: mpsc::Sender<io::Result<Connection>>,
}

/// A connection with its slot, not yet at home anywhere.
type Taken = (std::net::TcpStream, OwnedSemaphorePermit);

/// The next connection, once there is a slot for it; one that breaks at once is nobody's loss.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Taken {
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return std::future::pending().await;
        };
        let accepted = listener.accept().await.and_then(|(stream, _)| stream.into_std());
        match failpoint::may_fail("server::accept").and(accepted) {
            Ok(stream) => {
                // Slower, or held for longer, but not broken, where the system does not take it.
                let _ = stream.set_nodelay(true);
                let _ = keep_alive(&stream);
                return (stream, slot);
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Has the system end a connection whose client is gone without a word, or takes nothing of what is sent to it. HTTP/2 could ask as well, but
/// then the library looks at the clock twice for each request.
fn keep_alive(stream: &std::net::TcpStream) -> io::Result<()> {
    let patience = KEEPALIVE + KEEPALIVE_TIMEOUT;
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, KEEPALIVE)?;
    set_tcp_keepintvl(stream, KEEPALIVE_TIMEOUT)?;
    set_tcp_keepcnt(stream, 1)?;
    set_tcp_user_timeout(stream, u32::try_from(patience.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

/// Gives a connection to whoever serves it; one that does not agree on a key in time is dropped.
async fn welcome(
    (stream, slot): Taken,
    place: Place,
    acceptor: Option<TlsAcceptor>,
    give: mpsc::Sender<io::Result<Connection>>,
) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let stream: Box<dyn Stream> = match acceptor {
        None => Box::new(stream),
        Some(acceptor) => match timeout(FIRST_WORD, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Box::new(stream),
            Ok(Err(_)) | Err(_) => return,
        },
    };
    // If nobody serves any more, the client sees its connection end.
    let _ = give.send(Ok(Connection::new(stream, slot, place))).await;
}

/// Bytes both ways, in the clear for whoever reads them here.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A client's connection, with its place.
pub(super) struct Connection {
    stream: Gathered<Box<dyn Stream>>,
    blanking: Blanking,
    /// Until its first word.
    silence: Option<Pin<Box<Sleep>>>,
    _slot: OwnedSemaphorePermit,
    _place: Place,
}

impl Connection {
    fn new(stream: Box<dyn Stream>, slot: OwnedSemaphorePermit, place: Place) -> Connection {
        let silence = Some(Box::pin(sleep(FIRST_WORD)));
        let (stream, blanking) = (Gathered::new(stream), Blanking::new());
        Connection { stream, blanking, silence, _slot: slot, _place: place }
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt::{
        socket_keepalive, tcp_keepcnt, tcp_keepidle, tcp_keepintvl, tcp_user_timeout,
    };

    #[test]
    fn the_system_is_told_when_to_give_a_connection_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!socket_keepalive(&stream).unwrap());
        keep_alive(&stream).unwrap();
        assert!(socket_keepalive(&stream).unwrap());
        assert_eq!(tcp_keepidle(&stream).unwrap(), KEEPALIVE);
        assert_eq!(tcp_keepintvl(&stream).unwrap(), KEEPALIVE_TIMEOUT);
        assert_eq!(tcp_keepcnt(&stream).unwrap(), 1);
        assert_eq!(tcp_user_timeout(&stream).unwrap(), 80_000);
    }
}
