//! One system call for what many have to say on one connection. A call costs more than all else that is done for a small answer, since on
//! its way it takes the other side's work along; HTTP/2's library makes one for each frame that is not small. So frames are copied to where
//! they wait for each other, until the runtime has run whoever was ready to add something.

mod turn;

pub use turn::wake_after_ready_tasks;

use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turn::Turns;

/// Bytes that may wait. Whoever has more to say sends first.
const WAITING_MAX: usize = 64 << 10;

/// Room that a connection keeps while nothing waits, bytes.
const ROOM_KEPT: usize = 16 << 10;

/// A stream whose bytes go out in turns, the first that are flushed at once. A later flush before its turn says that it is done, though
/// nothing is sent yet: the turn wakes the task that flushed, which has to flush again whenever it runs, as the tasks of HTTP/2
/// connections do once both sides have said their first word. That task is one that was spawned: tokio may forget the wakers of others.
pub struct Gathered<S> {
    stream: S,
    waiting: BytesMut,
    turns: Turns,
    /// Since the task last looked for what came in, which it does whenever it runs.
    has_flushed: bool,
}

impl<S> Gathered<S> {
    /// Nothing waits yet.
    pub fn new(stream: S) -> Gathered<S> {
        let (waiting, turns) = (BytesMut::new(), Turns::new());
        Gathered { stream, waiting, turns, has_flushed: false }
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// Sends what waits, turn or not.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.waiting.advance(sent),
            }
        }
        self.turns.end();
        // Its capacity is what is left behind the bytes that were sent: not a word on how large it is.
        if self.waiting.try_reclaim(ROOM_KEPT + 1) {
            self.waiting = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.has_flushed = false;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= WAITING_MAX {
            ready!(self.poll_send(cx))?;
        }
        let taken = bytes.len().min(WAITING_MAX - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.waiting.is_empty() {
            let is_asked_again = std::mem::replace(&mut self.has_flushed, true);
            if self.turns.poll_come(cx, is_asked_again).is_pending() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_send(cx))?;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use tokio::io::AsyncWriteExt;
    use tokio::runtime::Builder;
    use tokio::sync::mpsc;

    /// Notes each call and takes no more than it is told, nothing now and then.
    #[derive(Default)]
    struct Noted {
        calls: Vec<Vec<u8>>,
        takes: VecDeque<usize>,
    }

    impl AsyncRead for Noted {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Noted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let takes = self.takes.pop_front().unwrap_or(usize::MAX).min(bytes.len());
            if takes == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.calls.push(bytes[..takes].to_vec());
            Poll::Ready(Ok(takes))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A connection's task, as HTTP/2's are: whenever it runs it looks for what came in, writes what it was given, with a flush for each
    /// frame, and flushes. Ends when nobody can give it anything and all of it is sent.
    async fn connection(mut stream: Gathered<Noted>, mut frames: mpsc::Receiver<Vec<u8>>) -> Noted {
        let mut is_open = true;
        poll_fn(|cx| {
            let mut nothing = ReadBuf::new(&mut []);
            assert!(Pin::new(&mut stream).poll_read(cx, &mut nothing).is_pending());
            while is_open && let Poll::Ready(frame) = frames.poll_recv(cx) {
                is_open = frame.is_some();
                let frame = frame.unwrap_or_default();
                assert!(frame.len() <= WAITING_MAX - stream.waiting.len(), "this test has few");
                assert!(Pin::new(&mut stream).poll_write(cx, &frame).is_ready());
                ready!(Pin::new(&mut stream).poll_flush(cx)).unwrap();
            }
            ready!(Pin::new(&mut stream).poll_flush(cx)).unwrap();
            if is_open || !stream.waiting.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        stream.stream
    }

    #[test]
    fn what_several_say_goes_out_in_one_call_but_for_the_first_word() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let noted = runtime.block_on(async {
            let (give, frames) = mpsc::channel(1);
            give.send(b"settings".to_vec()).await.unwrap();
            let connection = tokio::spawn(connection(Gathered::new(Noted::default()), frames));
            for task in 0..20 {
                let give = give.clone();
                tokio::spawn(async move { give.send(vec![task; 2_000]).await });
            }
            drop(give);
            connection.await.unwrap()
        });
        let whole: Vec<u8> = (0..20).flat_map(|task| vec![task; 2_000]).collect();
        assert_eq!(noted.calls, [b"settings".to_vec(), whole]);
    }

    #[test]
    fn what_waits_is_sent_before_the_end_and_memory_is_bounded() {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut stream = Gathered::new(Noted::default());
            let large = vec![7; 5 * WAITING_MAX];
            stream.write_all(&large).await.unwrap();
            assert!(stream.waiting.len() <= WAITING_MAX);
            stream.shutdown().await.unwrap();
            assert_eq!(stream.stream.calls.concat(), large);
            assert!(stream.stream.calls.len() <= 5);
            assert!(
                !stream.waiting.try_reclaim(ROOM_KEPT + 1),
                "a quiet connection is a small one"
            );
        });
    }

    #[test]
    fn who_takes_nothing_is_an_error() {
        struct Full;
        impl AsyncWrite for Full {
            fn poll_write(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
                _: &[u8],
            ) -> Poll<io::Result<usize>> {
                Poll::Ready(Ok(0))
            }
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut stream = Gathered::new(Full);
            stream.write_all(b"x").await.unwrap();
            let outcome = stream.shutdown().await;
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::WriteZero);
        });
    }

    proptest! {
        /// However the other side takes it.
        #[test]
        fn everything_arrives_once_and_in_order(
            frames in vec(vec(any::<u8>(), 0..200), 0..30),
            takes in vec(0_usize..300, 0..60),
        ) {
            let runtime = Builder::new_current_thread().build().unwrap();
            let noted = runtime.block_on(async {
                let (give, taken) = mpsc::channel(1);
                let stream = Noted { takes: takes.into(), ..Noted::default() };
                let connection = tokio::spawn(connection(Gathered::new(stream), taken));
                for frame in &frames {
                    give.send(frame.clone()).await.unwrap();
                }
                drop(give);
                connection.await.unwrap()
            });
            prop_assert_eq!(noted.calls.concat(), frames.concat());
        }
    }
}
