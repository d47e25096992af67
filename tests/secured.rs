//! Three members as programs, with certificates asked of clients and of members alike, as the shipped units start them: what only the
//! leader knows can be asked of any of them.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use assert_cmd::cargo::cargo_bin;
use kvbench::clock::Clock;
use kvbench::rpc::etcdserverpb::cluster_client::ClusterClient;
use kvbench::rpc::etcdserverpb::kv_client::KvClient;
use kvbench::rpc::etcdserverpb::lease_client::LeaseClient;
use kvbench::rpc::etcdserverpb::maintenance_client::MaintenanceClient;
use kvbench::rpc::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseTimeToLiveRequest, MemberAddRequest,
    MemberListRequest, MemberRemoveRequest, PutRequest, StatusRequest,
};
use kvbench::units::Nanos;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// Far beyond what any wait here takes.
const PATIENCE: Nanos = Nanos::from_millis(60_000);

/// Who signs, and one certificate that everybody shows.
struct Papers {
    ca: String,
    certificate: String,
    key: String,
}

fn papers() -> Papers {
    let mut of_ca = CertificateParams::new(Vec::new()).unwrap();
    of_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca = of_ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let params = CertificateParams::new(names).unwrap();
    let signed = params.signed_by(&key, &Issuer::new(of_ca, ca_key)).unwrap();
    Papers { ca, certificate: signed.pem(), key: key.serialize_pem() }
}

/// A member as a program; it ends with the test.
struct Member(Child);

impl Drop for Member {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Secured {
    papers: Papers,
    folder: tempfile::TempDir,
    clients: Vec<String>,
    peers: Vec<String>,
    members: Vec<Member>,
}

impl Secured {
    fn start() -> Secured {
        let papers = papers();
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("ca.crt", &papers.ca), ("m.crt", &papers.certificate), ("m.key", &papers.key)]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        // The ports are free again when they are used: nobody else asks for fixed ones here.
        let listeners: Vec<_> = (0..6).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let url = |one: &TcpListener| format!("https://{}", one.local_addr().unwrap());
        let (clients, peers) = listeners.split_at(3);
        let (clients, peers) = (clients.iter().map(url).collect(), peers.iter().map(url).collect());
        drop(listeners);
        let mut secured = Secured { papers, folder, clients, peers, members: Vec::new() };
        let members = (0..3).map(|at| start_one(&secured, at)).collect();
        secured.members = members;
        for member in &mut secured.members {
            let mut line = String::new();
            BufReader::new(member.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            assert!(line.starts_with("kvbench serve: ready"), "{line}");
        }
        secured
    }

    async fn channel(&self, at: usize) -> Channel {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.papers.ca))
            .identity(Identity::from_pem(&self.papers.certificate, &self.papers.key));
        let endpoint = Endpoint::from_shared(self.clients[at].clone()).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await.unwrap()
    }

    /// Two members that follow, once all three agree on whom.
    async fn followers(&self) -> [usize; 2] {
        let clock = Clock::start();
        loop {
            assert!(clock.now() < PATIENCE, "waited in vain for a leader");
            let mut views = Vec::new();
            for at in 0..3 {
                let mut maintenance = MaintenanceClient::new(self.channel(at).await);
                let status = maintenance.status(StatusRequest {}).await.unwrap().into_inner();
                views.push((status.header.unwrap().member_id, status.leader));
            }
            let leader = views[0].1;
            if leader != 0 && views.iter().all(|(_, view)| *view == leader) {
                let following = (0..3).filter(|at| views[*at].0 != leader);
                return following.collect::<Vec<_>>().try_into().unwrap();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

fn start_one(secured: &Secured, at: usize) -> Member {
    let file = |name: &str| secured.folder.path().join(name);
    let cluster: Vec<_> =
        (0..3).map(|other| format!("m{other}={}", secured.peers[other])).collect();
    let mut command = Command::new(cargo_bin("kvbench"));
    command.arg("serve").args(["--name", &format!("m{at}"), "--fsync", "off"]);
    command.args(["--listen-client-urls", &secured.clients[at]]);
    command.args(["--listen-peer-urls", &secured.peers[at]]);
    command.args(["--initial-cluster", &cluster.join(",")]);
    command.arg("--data-dir").arg(file(&format!("m{at}")));
    for prefix in ["--", "--peer-"] {
        let named = [("cert-file", "m.crt"), ("key-file", "m.key"), ("trusted-ca-file", "ca.crt")];
        for (flag, name) in named {
            command.arg(format!("{prefix}{flag}")).arg::<&Path>(&file(name));
        }
    }
    command.args(["--client-cert-auth", "--until-stdin-closes"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    Member(child)
}

#[test]
fn what_only_the_leader_knows_is_told_by_every_member() {
    let secured = Secured::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let [first, second] = secured.followers().await;
        let mut lease = LeaseClient::new(secured.channel(first).await);
        let granted = lease.lease_grant(LeaseGrantRequest { id: 7, ttl: 60 }).await.unwrap();
        assert_eq!(granted.into_inner().ttl, 60);
        let put = PutRequest { key: b"k".into(), lease: 7, ..PutRequest::default() };
        KvClient::new(secured.channel(first).await).put(put).await.unwrap();

        let asked = tokio_stream::iter([7, 7, 8].map(|id| LeaseKeepAliveRequest { id }));
        let mut kept = lease.lease_keep_alive(asked).await.unwrap().into_inner();
        let mut ttls = Vec::new();
        while let Some(answer) = kept.message().await.unwrap() {
            ttls.push((answer.id, answer.ttl));
        }
        assert_eq!(ttls, [(7, 60), (7, 60), (8, 0)]);

        let asked = LeaseTimeToLiveRequest { id: 7, keys: true };
        let times = lease.lease_time_to_live(asked).await.unwrap().into_inner();
        assert_eq!((times.granted_ttl, &times.keys), (60, &vec![b"k".to_vec()]));
        assert!((55..=60).contains(&times.ttl), "{times:?}");

        let mut cluster = ClusterClient::new(secured.channel(second).await);
        let peer_ur_ls = vec!["https://127.0.0.1:1".to_owned()];
        let newcomer = MemberAddRequest { peer_ur_ls, is_learner: true };
        let added = cluster.member_add(newcomer).await.unwrap().into_inner();
        assert_eq!(added.members.len(), 4);
        let id = added.member.unwrap().id;
        let list = MemberListRequest { linearizable: true };
        let listed = cluster.member_list(list).await.unwrap().into_inner().members;
        assert!(listed.iter().any(|member| member.id == id && member.is_learner), "{listed:?}");
        let left = cluster.member_remove(MemberRemoveRequest { id }).await.unwrap().into_inner();
        assert_eq!(left.members.len(), 3);
    });
}

/// The keep-alives of a client go on when another member leads: nothing of the first connection is kept too long.
#[test]
fn a_lease_is_kept_through_a_follower_when_the_leader_ends() {
    let mut secured = Secured::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let [first, second] = secured.followers().await;
        let leader = 3 - first - second;
        let mut lease = LeaseClient::new(secured.channel(first).await);
        lease.lease_grant(LeaseGrantRequest { id: 7, ttl: 600 }).await.unwrap();
        keep(&mut lease).await.unwrap();
        secured.members[leader].0.kill().unwrap();
        let clock = Clock::start();
        while keep(&mut lease).await.is_err() {
            assert!(clock.now() < PATIENCE, "nobody keeps the lease any more");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
}

async fn keep(lease: &mut LeaseClient<Channel>) -> Result<(), tonic::Status> {
    let asked = tokio_stream::iter([LeaseKeepAliveRequest { id: 7 }]);
    let mut kept = lease.lease_keep_alive(asked).await?.into_inner();
    assert_eq!(kept.message().await?.unwrap().ttl, 600);
    Ok(())
}
