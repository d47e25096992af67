//! Locks and elections: one at a time, in the order in which they came.

use crate::served::{Client, served, sleep, with_server};
use kvbench::rpc::etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest};
use kvbench::rpc::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest,
};
use kvbench::rpc::v3lockpb::{LockRequest, UnlockRequest};
use std::collections::VecDeque;
use std::time::Duration;
use tonic::{Code, Status};

async fn lease(client: &Client, id: i64) -> i64 {
    let grant = LeaseGrantRequest { ttl: 60, id };
    client.lease.clone().lease_grant(grant).await.unwrap();
    id
}

async fn lock(client: Client, lease: i64) -> Result<Vec<u8>, Status> {
    let request = LockRequest { name: b"l".into(), lease };
    client.lock.clone().lock(request).await.map(|response| response.into_inner().key)
}

async fn campaign(client: Client, lease: i64, value: &'static str) -> CampaignResponse {
    let stand = CampaignRequest { name: b"e".into(), lease, value: value.into() };
    client.election.clone().campaign(stand).await.unwrap().into_inner()
}

#[test]
fn a_lock_is_held_by_one_and_goes_to_the_next() {
    served(|client| async move {
        let (first, second) = (lease(&client, 0x10).await, lease(&client, 0x20).await);
        let held = lock(client.clone(), first).await.unwrap();
        assert_eq!(held, b"l/10");
        assert_eq!(lock(client.clone(), first).await.unwrap(), held, "whoever holds it has it");
        let waiting = tokio::spawn(lock(client.clone(), second));
        sleep(100).await;
        assert!(!waiting.is_finished());
        client.lock.clone().unlock(UnlockRequest { key: held }).await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), b"l/20");
        let unleased = tokio::spawn(lock(client.clone(), 0));
        client.lease.clone().lease_revoke(LeaseRevokeRequest { id: second }).await.unwrap();
        assert!(unleased.await.unwrap().unwrap().starts_with(b"l/"));
    });
}

#[test]
fn whoever_goes_away_leaves_the_line() {
    served(|client| async move {
        let [first, second, third] =
            [lease(&client, 1).await, lease(&client, 2).await, lease(&client, 3).await];
        let held = lock(client.clone(), first).await.unwrap();
        let impatient = lock(client.clone(), second);
        assert!(tokio::time::timeout(Duration::from_millis(100), impatient).await.is_err());
        let ended = tokio::spawn(lock(client.clone(), third));
        while client.get("l/2").await.is_some() || client.get("l/3").await.is_none() {
            sleep(20).await;
        }
        client.lease.clone().lease_revoke(LeaseRevokeRequest { id: third }).await.unwrap();
        client.lock.clone().unlock(UnlockRequest { key: held }).await.unwrap();
        assert_eq!(ended.await.unwrap().unwrap_err().message(), "mutex: session is expired");
    });
}

#[test]
fn a_second_call_that_goes_away_leaves_the_first_its_place() {
    served(|client| async move {
        let [holder, waiting] = [lease(&client, 1).await, lease(&client, 2).await];
        let held = lock(client.clone(), holder).await.unwrap();
        let first = tokio::spawn(lock(client.clone(), waiting));
        while client.get("l/2").await.is_none() {
            sleep(10).await;
        }
        let second = lock(client.clone(), waiting);
        assert!(tokio::time::timeout(Duration::from_millis(200), second).await.is_err());
        // What it might have deleted would be gone by then.
        sleep(300).await;
        client.lock.clone().unlock(UnlockRequest { key: held }).await.unwrap();
        assert_eq!(first.await.unwrap().unwrap(), b"l/2");
    });
}

#[test]
fn a_long_line_keeps_its_order() {
    served(|client| async move {
        // More than a connection's thread walks over.
        let mut line = VecDeque::new();
        for id in 1..=150 {
            let lease = lease(&client, id).await;
            line.push_back((format!("l/{lease:x}"), tokio::spawn(lock(client.clone(), lease))));
            while client.get(&line[line.len() - 1].0).await.is_none() {
                sleep(1).await;
            }
        }
        while let Some((key, first)) = line.pop_front() {
            let held = first.await.unwrap().unwrap();
            assert_eq!(held, key.as_bytes());
            assert!(
                line.iter().all(|(_, waiting)| !waiting.is_finished()),
                "one holds it at a time"
            );
            client.lock.clone().unlock(UnlockRequest { key: held }).await.unwrap();
        }
    });
}

#[test]
fn an_election_has_a_leader_who_proclaims_and_resigns() {
    served(|client| async move {
        let (first, second) = (lease(&client, 1).await, lease(&client, 2).await);
        let name = LeaderRequest { name: b"e".into() };
        let mut seen = client.election.clone().observe(name.clone()).await.unwrap().into_inner();
        let leader = campaign(client.clone(), first, "one").await.leader.unwrap();
        assert_eq!((leader.key.as_slice(), leader.lease), (&b"e/1"[..], 1));
        let next = tokio::spawn(campaign(client.clone(), second, "two"));
        let proclaim = |leader: LeaderKey, value: &str| {
            let mut election = client.election.clone();
            let request = ProclaimRequest { leader: Some(leader), value: value.into() };
            async move { election.proclaim(request).await }
        };
        let told = async |seen: &mut tonic::Streaming<_>| {
            let response: kvbench::rpc::v3electionpb::LeaderResponse =
                seen.message().await.unwrap().unwrap();
            String::from_utf8(response.kv.unwrap().value).unwrap()
        };
        assert_eq!(told(&mut seen).await, "one");
        proclaim(leader.clone(), "uno").await.unwrap();
        assert_eq!(told(&mut seen).await, "uno");
        let found = client.election.clone().leader(name).await.unwrap().into_inner();
        assert_eq!(found.kv.unwrap().value, b"uno");
        let resign = ResignRequest { leader: Some(leader.clone()) };
        client.election.clone().resign(resign).await.unwrap();
        assert_eq!(next.await.unwrap().leader.unwrap().key, b"e/2");
        assert_eq!(told(&mut seen).await, "two");
        let late = proclaim(leader, "late").await.unwrap_err();
        assert_eq!((late.code(), late.message()), (Code::Unknown, "election: not leader"));
    });
}

#[test]
fn a_server_that_stops_tells_those_who_wait() {
    with_server(|server, client| async move {
        lock(client.clone(), 0).await.unwrap();
        let waiting = tokio::spawn(lock(client.clone(), 0));
        sleep(100).await;
        tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
        let told = waiting.await.unwrap().unwrap_err();
        let expected = (Code::Unavailable, "etcdserver: server stopped");
        assert_eq!((told.code(), told.message()), expected);
    });
}
