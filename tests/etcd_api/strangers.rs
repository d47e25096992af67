//! Who comes without an invitation: tools that ask what is served, and those who send what they should not.

use crate::served::{sleep, with_server};
use bytes::Bytes;
use h2::client::SendRequest;
use kvbench::rpc::etcdserverpb::watch_request::RequestUnion;
use kvbench::rpc::etcdserverpb::{LeaseGrantRequest, PutRequest, WatchCreateRequest, WatchRequest};
use kvbench::rpc::v3lockpb::{LockRequest, UnlockRequest};
use kvbench::server::Server;
use prost::Message;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tokio_stream::once;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

async fn channel(server: &Server) -> Channel {
    let url = format!("http://{}", server.clients()[0]);
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

async fn stop(server: Server) {
    tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
}

#[test]
fn tools_find_out_what_is_served_and_that_it_is() {
    with_server(|server, _| async move {
        let channel = channel(&server).await;
        let health = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
        assert_eq!(health.unwrap().into_inner().status(), ServingStatus::Serving);
        let list = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut reflection = ServerReflectionClient::new(channel);
        let mut told = reflection.server_reflection_info(once(list)).await.unwrap().into_inner();
        let told = told.message().await.unwrap().unwrap().message_response.unwrap();
        let MessageResponse::ListServicesResponse(services) = told else {
            panic!("no services: {told:?}")
        };
        let names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
        for name in
            ["etcdserverpb.KV", "etcdserverpb.Watch", "v3lockpb.Lock", "v3electionpb.Election"]
        {
            assert!(names.iter().any(|found| found == name), "{names:?}");
        }
        stop(server).await;
    });
}

#[test]
fn a_message_beyond_every_request_is_not_even_decoded() {
    with_server(|server, client| async move {
        let huge =
            PutRequest { key: b"k".into(), value: vec![0; 3 << 20], ..PutRequest::default() };
        let refused = client.kv.clone().put(huge).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        // A key's and a value's head, before three MiB.
        let text = "grpc: received message larger than max (3145736 vs. 2097152)";
        assert_eq!(refused.message(), text);
        let key = vec![0; 3 << 20];
        let create = WatchCreateRequest { key, ..WatchCreateRequest::default() };
        let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        let mut told = client.watch.clone().watch(once(create)).await.unwrap().into_inner();
        assert_eq!(told.message().await.unwrap_err().code(), Code::ResourceExhausted);
        assert_eq!(client.get("k").await, None);
        stop(server).await;
    });
}

/// The frames of a request for the status, from a client that takes its endpoint's URL for a host.
fn status_request() -> Vec<u8> {
    let text = |first: u8, text: &str| {
        let length = u8::try_from(text.len()).unwrap();
        [&[first, length], text.as_bytes()].concat()
    };
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let headers = [
        vec![0x83, 0x86],
        text(0x44, "/etcdserverpb.Maintenance/Status"),
        text(0x41, "http://127.0.0.1:2379"),
        text(0x5f, "application/grpc"),
        text(0x40, "te"),
        text(0x08, "trailers")[1..].to_vec(),
    ];
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        frame(1, 4, 1, &headers.concat()),
        frame(0, 1, 1, &[0; 5]),
    ]
    .concat()
}

#[test]
fn a_client_that_takes_a_url_for_a_host_is_served() {
    with_server(|server, _| async move {
        let address = server.clients()[0];
        let told = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            stream.write_all(&status_request()).unwrap();
            let (mut told, mut piece) = (Vec::new(), [0; 4096]);
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                told.extend_from_slice(&piece[..length]);
            }
            String::from_utf8_lossy(&told).into_owned()
        });
        // Its version is in the answer's body, which is not encoded.
        assert!(told.await.unwrap().contains("3.5.0"));
        stop(server).await;
    });
}

/// Asks for a lock by hand, since a client's library would give up by itself: the headers of the answer, and what keeps the connection.
async fn lock_within(
    server: &Server,
    lease: i64,
    time: &str,
) -> (http::HeaderMap, SendRequest<Bytes>) {
    let address = server.clients()[0];
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{address}/v3lockpb.Lock/Lock"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", time)
        .body(())
        .unwrap();
    let (answer, mut body) = requests.send_request(request, false).unwrap();
    let message = LockRequest { name: b"l".into(), lease }.encode_to_vec();
    let framed = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
    body.send_data(framed.into(), true).unwrap();
    (answer.await.unwrap().headers().clone(), requests)
}

#[test]
fn whoever_waits_no_longer_is_told_and_leaves_the_line() {
    with_server(|server, client| async move {
        for id in [1, 2] {
            let grant = LeaseGrantRequest { ttl: 3_600, id };
            client.lease.clone().lease_grant(grant).await.unwrap();
        }
        let (free, _holder) = lock_within(&server, 1, "10S").await;
        assert_eq!(free.get("grpc-status"), None, "it is said after the message");
        let (late, _waiter) = lock_within(&server, 2, "500m").await;
        assert_eq!(late["grpc-status"], "4");
        assert_eq!(late["grpc-message"], "context%20deadline%20exceeded");
        let is_gone = async {
            while client.get("l/2").await.is_some() {
                sleep(10).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), is_gone).await;
        waited.expect("the place is given up long before its lease ends");
        assert!(client.get("l/1").await.is_some(), "whoever holds it keeps it");
        stop(server).await;
    });
}

#[test]
fn whoever_was_told_so_and_asks_again_at_once_has_a_place_of_its_own() {
    with_server(|server, client| async move {
        for id in [1, 2] {
            let grant = LeaseGrantRequest { ttl: 3_600, id };
            client.lease.clone().lease_grant(grant).await.unwrap();
        }
        let unlock = async |key: &[u8]| {
            client.lock.clone().unlock(UnlockRequest { key: key.to_vec() }).await.unwrap();
        };
        for _ in 0..10 {
            let (free, _holder) = lock_within(&server, 1, "10S").await;
            assert_eq!(free.get("grpc-status"), None);
            let (late, _waiter) = lock_within(&server, 2, "20m").await;
            assert_eq!(late["grpc-status"], "4");
            let release = async {
                sleep(20).await;
                unlock(b"l/1").await;
            };
            let ((again, _waiter), ()) = tokio::join!(lock_within(&server, 2, "10S"), release);
            assert_eq!(again.get("grpc-status"), None, "{again:?}");
            assert!(client.get("l/2").await.is_some(), "it is held");
            unlock(b"l/2").await;
        }
        stop(server).await;
    });
}
