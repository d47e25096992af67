//! What a client sent once and got no answer to may have been done: it is never sent again, however the answer failed to come.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use h2::Reason;
use kvbench::client::Endpoint;
use kvbench::model::Request;
use kvbench::scenario::spec::{Connections, Consistency};
use kvbench::target::{Client, Connect, Dial};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How a server fails to answer.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// The connection breaks once the request is there.
    Hangup,
    /// The stream is reset with a reason that lets HTTP/2 clients try again.
    Refused,
    /// As is gRPC's way of saying "later".
    Unavailable,
    /// It ends in the middle of an answer.
    Half,
}

/// A server that fails in one way, and how many connections and requests it has seen.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

async fn start(failure: Failure) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server { url, connections: Arc::default(), requests: Arc::default() };
    let (connections, requests) = (server.connections.clone(), server.requests.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, failure, requests.clone()));
        }
    });
    server
}

async fn serve(stream: TcpStream, failure: Failure, requests: Arc<AtomicUsize>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        requests.fetch_add(1, Ordering::SeqCst);
        let mut body = request.into_body();
        // The whole request: from here on it may have been done.
        let whole = async { while body.data().await.is_some() {} };
        tokio::select! {
            () = whole => {}
            _ = std::future::poll_fn(|context| connection.poll_closed(context)) => return,
        }
        let head = http::Response::builder().header("content-type", "application/grpc");
        match failure {
            Failure::Hangup => return,
            Failure::Refused => respond.send_reset(Reason::REFUSED_STREAM),
            Failure::Unavailable => {
                let head = head.header("grpc-status", "14").header("grpc-message", "later");
                drop(respond.send_response(head.body(()).unwrap(), true));
            }
            Failure::Half => {
                let mut answer = respond.send_response(head.body(()).unwrap(), false).unwrap();
                // A frame of 100 bytes, of which three come.
                answer.send_data(vec![0, 0, 0, 0, 100, 1, 2, 3].into(), true).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_answer_is_not_sent_again() {
    for failure in [Failure::Hangup, Failure::Refused, Failure::Unavailable, Failure::Half] {
        let server = start(failure).await;
        let dial = Dial {
            endpoint: Endpoint::parse(&server.url, None).unwrap(),
            connections: Connections::Count(1),
            consistency: Consistency::Linearizable,
        };
        let client = dial.connect(1).await.unwrap().remove(0);
        let answer =
            tokio::time::timeout(Duration::from_secs(20), client.call(Request::put("k", "v")));
        assert!(answer.await.expect("it is told at once").is_err(), "{failure:?}");
        // Long enough for a second try.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let seen = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        assert_eq!((seen(&server.connections), seen(&server.requests)), (1, 1), "{failure:?}");
    }
}
