//! Which cluster a server belongs to, and who it is in it: from its folder, else from etcd's own flags.

use super::ServeArgs;
use crate::cli::listening::{ListenUrl, check_form, check_local, text};
use crate::node::{DataFolder, Node};
use crate::peer::{About, group_of};
use crate::raft::{Change, Group, ImagePolicy, Member, Timing};
use crate::server::{Identity, Tls, cluster_id, member_id};
use crate::units::{ByteSize, Nanos, parse_bytes};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::Weak;
use std::time::Duration;
use tonic::transport::{Certificate, ClientTlsConfig, Identity as Pair};

/// Where a server on its own says that others would reach it.
const ALONE: &str = "http://127.0.0.1:2380";
/// Pause before a member introduces itself again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long it waits to hear that it was heard.
const HEARD: Duration = Duration::from_secs(1);
/// Attempts to find a cluster to join.
const ATTEMPTS: u32 = 20;

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArgs {
    /// Where other members connect [default: nowhere, a server on its own]
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub(super) listen_peer_urls: Vec<ListenUrl>,
    /// Where other members are told to connect [default: --listen-peer-urls]
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    initial_advertise_peer_urls: Vec<String>,
    /// All members of the cluster, this one included
    #[arg(long, value_name = "NAME=URL,…", value_delimiter = ',', requires = "listen_peer_urls")]
    initial_cluster: Vec<String>,
    /// Tells clusters of the same addresses apart
    #[arg(long, default_value = "kvbench-cluster")]
    initial_cluster_token: String,
    /// Found a new cluster, or join one that knows this member (member add)
    #[arg(long, value_enum, default_value_t = State::New)]
    initial_cluster_state: State,
    /// Milliseconds between two heartbeats
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    heartbeat_interval: u64,
    /// Milliseconds without a leader's word after which a member asks for votes
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(5..=300_000))]
    election_timeout: u64,
    /// Log entries after which an image of the state is written and the log is cut
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    snapshot_count: u64,
    /// Log entries before the image that stay, for members that are a little behind
    #[arg(long, value_name = "COUNT", default_value_t = 5_000)]
    snapshot_catchup_entries: u64,
    /// Bytes of log after which that is done, if it is earlier
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = snapshot_bytes)]
    snapshot_bytes: ByteSize,
    /// This member's certificate chain for other members, PEM
    #[arg(long, value_name = "FILE", requires = "peer_key_file")]
    peer_cert_file: Option<PathBuf>,
    /// That certificate's key, PEM
    #[arg(long, value_name = "FILE", requires = "peer_cert_file")]
    peer_key_file: Option<PathBuf>,
    /// Who signs the members' certificates, PEM; those without one are turned away
    #[arg(long, value_name = "FILE", requires = "peer_cert_file")]
    peer_trusted_ca_file: Option<PathBuf>,
}

/// Fewest and most bytes of log between two images.
const SNAPSHOT_BYTES: (u64, u64) = (64 << 10, 1 << 40);

fn snapshot_bytes(text: &str) -> Result<ByteSize, String> {
    let size = parse_bytes(text).map_err(|error| error.to_string())?;
    match (SNAPSHOT_BYTES.0..=SNAPSHOT_BYTES.1).contains(&size.0) {
        true => Ok(size),
        false => Err("allowed: 64KiB to 1024GiB".to_owned()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    New,
    Existing,
}

/// Who a server is, and among whom.
pub(super) struct Membership {
    pub(super) identity: Identity,
    pub(super) group: Group,
}

/// A member as `--initial-cluster` names it.
struct Named {
    name: String,
    urls: Vec<String>,
}

impl ClusterArgs {
    /// What cannot be, or should not.
    pub(super) fn check(&self, args: &ServeArgs) -> Result<(), String> {
        if self.election_timeout < 5 * self.heartbeat_interval {
            return Err(format!(
                "--election-timeout {} is less than five heartbeats of {} ms\n  hint: etcd's are 1000 and 100",
                self.election_timeout, self.heartbeat_interval
            ));
        }
        for url in &self.listen_peer_urls {
            match (url.is_https, self.peer_cert_file.is_some()) {
                (true, false) => {
                    return Err(format!(
                        "{url} needs a certificate\n  hint: --peer-cert-file and --peer-key-file"
                    ));
                }
                (false, true) => {
                    return Err(format!("{url} is not https, but there is a certificate for it"));
                }
                (false, false) => check_local(url, args.insecure_allow_remote)?,
                (true, true) => {}
            }
        }
        if !self.initial_cluster.is_empty() {
            let names = self.named()?;
            if !names.iter().any(|named| named.name == args.name) {
                return Err(format!(
                    "--initial-cluster does not name this member\n  hint: it needs {}=<URL>, or --name one of {}",
                    args.name,
                    names.iter().map(|named| named.name.as_str()).collect::<Vec<_>>().join(", ")
                ));
            }
            self.check_others_are_trusted(&args.name, &names)?;
        }
        Ok(())
    }

    /// Whether a member has what it takes to connect to the others: without it, it would follow nobody and send nothing on.
    fn check_others_are_trusted(&self, me: &str, named: &[Named]) -> Result<(), String> {
        let others = named.iter().filter(|named| named.name != me).flat_map(|named| &named.urls);
        let Some(secured) = others.into_iter().find(|url| url.starts_with("https")) else {
            return Ok(());
        };
        match (&self.peer_cert_file, &self.peer_trusted_ca_file) {
            (None, _) => Err(format!(
                "--initial-cluster: {secured} needs a certificate of this member's, too\n  hint: --peer-cert-file, --peer-key-file and --peer-trusted-ca-file"
            )),
            (Some(_), None) => Err(format!(
                "--initial-cluster: nobody says who signs the certificate of {secured}\n  hint: --peer-trusted-ca-file"
            )),
            (Some(_), Some(_)) => Ok(()),
        }
    }

    fn named(&self) -> Result<Vec<Named>, String> {
        let mut all: Vec<Named> = Vec::new();
        for pair in &self.initial_cluster {
            let parts = pair.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, url) = parts.ok_or_else(|| {
                format!(
                    "--initial-cluster: `{pair}` is not NAME=URL\n  hint: a=http://127.0.0.1:2380"
                )
            })?;
            check_form(url).map_err(|why| format!("--initial-cluster: {url}: {why}"))?;
            match all.iter_mut().find(|named| named.name == name) {
                Some(named) => named.urls.push(url.to_owned()),
                None => all.push(Named { name: name.to_owned(), urls: vec![url.to_owned()] }),
            }
        }
        Ok(all)
    }

    /// Certificates that are shown to members that connect.
    pub(super) fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let (Some(certificate), Some(key)) = (&self.peer_cert_file, &self.peer_key_file) else {
            return Ok(None);
        };
        Ok(Some(Tls {
            certificate: text(certificate)?,
            key: text(key)?,
            client_ca: self.peer_trusted_ca_file.as_deref().map(text).transpose()?,
        }))
    }

    /// How members that are connected to are trusted, and what they are shown.
    pub(super) fn outward(&self) -> anyhow::Result<Option<ClientTlsConfig>> {
        let Some(Tls { certificate, key, client_ca }) = self.tls()? else { return Ok(None) };
        let mut tls = ClientTlsConfig::new().identity(Pair::from_pem(certificate, key));
        if let Some(ca) = client_ca {
            tls = tls.ca_certificate(Certificate::from_pem(ca));
        }
        Ok(Some(tls))
    }

    fn advertised(&self) -> Vec<String> {
        match (&self.initial_advertise_peer_urls[..], &self.listen_peer_urls[..]) {
            ([], []) => vec![ALONE.to_owned()],
            ([], listened) => listened.iter().map(ToString::to_string).collect(),
            (told, _) => told.to_vec(),
        }
    }

    fn tuned(&self, group: Group) -> Group {
        let timing = Timing {
            heartbeat: Nanos::from_millis(self.heartbeat_interval),
            election: Nanos::from_millis(self.election_timeout),
        };
        let (entries, bytes) = (self.snapshot_count, self.snapshot_bytes);
        let images = ImagePolicy { entries, bytes, keep: self.snapshot_catchup_entries };
        Group { timing, images, ..group }
    }
}

/// Who this server is. A folder that was used before knows; what the flags say of the cluster is not looked at then.
pub(super) async fn find(
    args: &ServeArgs,
    folder: &DataFolder,
) -> anyhow::Result<Result<Membership, String>> {
    let cluster = &args.cluster;
    let client_urls = match args.advertise_client_urls.is_empty() {
        true => args.listen_client_urls.iter().map(ToString::to_string).collect(),
        false => args.advertise_client_urls.clone(),
    };
    let mut identity = Identity::alone(&args.name, cluster.advertised(), client_urls);
    let mut group = identity.group();
    if let Some((cluster_id, member_id)) = folder.identity()? {
        (identity.cluster_id, identity.member_id) = (cluster_id, member_id);
        group = Group { me: member_id, ..identity.group() };
    } else if !cluster.initial_cluster.is_empty() {
        let founders = match cluster.initial_cluster_state {
            State::New => Ok(found(cluster, &mut identity)),
            State::Existing => join(cluster, &mut identity).await?,
        };
        match founders {
            Ok(founders) => group = Group { founders, ..Group::of(identity.member_id, 1) },
            Err(wrong) => return Ok(Err(wrong)),
        }
    }
    Ok(Ok(Membership { identity, group: cluster.tuned(group) }))
}

/// The members of a new cluster; all of them make the same of the same flags.
fn found(cluster: &ClusterArgs, identity: &mut Identity) -> Vec<Member> {
    let named = cluster.named().unwrap_or_default();
    let token = &cluster.initial_cluster_token;
    let mut founders = Vec::new();
    for Named { name, urls } in named {
        let id = member_id(&urls, token);
        if name == identity.name {
            identity.member_id = id;
            identity.peer_urls = urls.clone();
        }
        let about = About { name, peer_urls: urls, client_urls: Vec::new() };
        founders.push(Member { id, is_learner: false, about: about.to_bytes() });
    }
    let ids: Vec<u64> = founders.iter().map(|member| member.id).collect();
    identity.cluster_id = cluster_id(&ids, token);
    founders
}

/// Asks the others who belongs to the cluster; this member has to be one of them already.
async fn join(
    cluster: &ClusterArgs,
    identity: &mut Identity,
) -> anyhow::Result<Result<Vec<Member>, String>> {
    let named = cluster.named().unwrap_or_default();
    let others: Vec<&String> = named
        .iter()
        .filter(|named| named.name != identity.name)
        .flat_map(|named| &named.urls)
        .collect();
    let tls = cluster.outward()?;
    for _ in 0..ATTEMPTS {
        for url in &others {
            let Ok((cluster_id, members)) = group_of(url, tls.clone()).await else { continue };
            let is_me = |member: &&Member| {
                let urls = About::from_bytes(&member.about).peer_urls;
                urls.iter().any(|url| identity.peer_urls.contains(url))
            };
            let Some(me) = members.iter().find(is_me) else {
                return Ok(Err(format!(
                    "the cluster at {url} does not know {}\n  hint: member add {} --peer-urls={} first",
                    identity.peer_urls.join(","),
                    identity.name,
                    identity.peer_urls.join(",")
                )));
            };
            (identity.cluster_id, identity.member_id) = (cluster_id, me.id);
            let me = me.id;
            return Ok(Ok(members.into_iter().filter(|member| member.id != me).collect()));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Err("no member of --initial-cluster answers\n  hint: are they running, and is --initial-cluster-state new meant?".into()))
}

/// Tells the cluster this member's name and where its clients connect, until it knows.
pub(super) async fn introduce(node: Weak<Node>, identity: Identity) {
    while let Some(running) = node.upgrade() {
        let status = running.status();
        let known = status.members.iter().find(|member| member.id == identity.member_id);
        if let Some(known) = known {
            let told = About::from_bytes(&known.about);
            let about = About { peer_urls: told.peer_urls.clone(), ..identity.about() };
            if told == about {
                return;
            }
            // Refused while there is no leader, and lost while another change is under way: then again.
            let change = Change::Describe(identity.member_id, about.to_bytes());
            let _ = tokio::time::timeout(HEARD, running.change_group(change)).await;
        }
        if status.stopped {
            return;
        }
        drop(running);
        tokio::time::sleep(PAUSE).await;
    }
}
