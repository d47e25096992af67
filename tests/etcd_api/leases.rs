//! Leases over the wire.

use crate::served::{served, sleep};
use kvbench::rpc::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
};
use tokio_stream::iter;

#[test]
fn a_lease_is_granted_kept_alive_asked_for_and_revoked() {
    served(|client| async move {
        let mut lease = client.lease.clone();
        let granted = lease.lease_grant(LeaseGrantRequest { ttl: 60, id: 0 }).await;
        let granted = granted.unwrap().into_inner();
        assert!(granted.id != 0 && granted.ttl == 60);
        client.put_leased("k", "v", granted.id).await;
        let asked = LeaseTimeToLiveRequest { id: granted.id, keys: true };
        let times = lease.lease_time_to_live(asked).await.unwrap().into_inner();
        assert_eq!((times.granted_ttl, times.keys), (60, vec![b"k".to_vec()]));
        assert!((58..=60).contains(&times.ttl));
        let pings = [granted.id, 99].map(|id| LeaseKeepAliveRequest { id });
        let mut pongs = lease.lease_keep_alive(iter(pings)).await.unwrap().into_inner();
        assert_eq!(pongs.message().await.unwrap().unwrap().ttl, 60);
        assert_eq!(pongs.message().await.unwrap().unwrap().ttl, 0);
        assert_eq!(pongs.message().await.unwrap(), None);
        let all = lease.lease_leases(LeaseLeasesRequest {}).await.unwrap().into_inner();
        assert_eq!(all.leases.len(), 1);
        lease.lease_revoke(LeaseRevokeRequest { id: granted.id }).await.unwrap();
        assert_eq!(client.get("k").await, None);
        let times = lease.lease_time_to_live(asked).await.unwrap().into_inner();
        assert_eq!((times.ttl, times.granted_ttl), (-1, 0));
    });
}

#[test]
fn a_lease_that_is_left_alone_ends() {
    served(|client| async move {
        let grant = LeaseGrantRequest { ttl: 1, id: 5 };
        client.lease.clone().lease_grant(grant).await.unwrap();
        client.put_leased("k", "v", 5).await;
        while client.get("k").await.is_some() {
            sleep(100).await;
        }
    });
}
