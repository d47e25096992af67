//! `kvbench serve`: a node for any etcd v3 client, alone or as a member of a cluster, until it is stopped.

use super::listening::{ListenUrl, TlsArgs, check_local, check_secured, stop_with_stdin};
use super::{Exit, Terminal, mistaken};
use crate::clock::Clock;
use crate::measure::handles::handles_max;
use crate::measure::stage::Probe;
use crate::node::{DataFolder, Node, Peers};
use crate::peer::{About, GrpcTransport, Hearsay, Security};
use crate::raft::Member;
use crate::server::{Config, Identity, PEER_CONNECTIONS_MAX, PROGRESS_INTERVAL, Quota, Server};
use crate::units::Nanos;
use clap::Args;
use levers::LeverArgs;
use membership::{ClusterArgs, Membership};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

mod levers;
mod membership;

/// How often it is looked whether somebody asked for the end.
const LOOK: Nanos = Nanos::from_millis(50);

/// Most connections of clients where nothing is said: a load of ten thousand, and whoever looks on.
const CONNECTIONS_MAX: u32 = 12_288;

/// Open files beside clients' connections: other members', scrapers', the log's and the engine's.
const HANDLES_KEPT: u64 = PEER_CONNECTIONS_MAX as u64 + 128;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench serve --data-dir /var/lib/kvbench --listen-metrics-urls http://127.0.0.1:2381
  kvbench serve --engine rocksdb --apply sharded --apply-workers 4
  kvbench serve --name a --listen-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 \\
                --initial-cluster a=http://127.0.0.1:2380,b=http://127.0.0.1:3380,c=http://127.0.0.1:4380
  kvbench serve --listen-client-urls https://10.0.0.5:2379 --cert-file server.crt --key-file server.key \\
                --trusted-ca-file ca.crt --client-cert-auth

Then, with etcd's own client:
  etcdctl --endpoints http://127.0.0.1:2379 put greeting hello")]
pub(super) struct ServeArgs {
    /// The member's name
    #[arg(long, default_value = "default")]
    name: String,
    /// Folder of the log and the state, created if absent [default: <NAME>.kvbench]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Where clients connect; port 0 lets the system choose
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:2379"
    )]
    listen_client_urls: Vec<ListenUrl>,
    /// Begin with the state in FILE, written by `etcdctl snapshot save` from such a server; only for a folder without a log
    #[arg(long, value_name = "FILE")]
    from_image: Option<PathBuf>,
    /// What clients are told of where to connect [default: where they can]
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    advertise_client_urls: Vec<String>,
    /// Where /metrics and /health are served over plain HTTP [default: nowhere]
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    listen_metrics_urls: Vec<ListenUrl>,
    /// Give profiles of this process under /debug/pprof/ of the metrics' address, to whoever asks on this machine
    #[arg(long, requires = "listen_metrics_urls")]
    enable_pprof: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    tls: TlsArgs,
    /// Most connections of clients at once [default: 12288, or as many as open files allow]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: Option<u32>,
    /// Most bytes of the state (keys, values, history and leases), beyond which writes are refused until an operator has made room:
    /// 0 for 2 GiB, negative for no limit, up to 2^63 - 1
    #[arg(long, value_name = "BYTES", default_value_t = 0, allow_negative_numbers = true)]
    quota_backend_bytes: i64,
    /// Listen beyond this machine without TLS: whoever can connect can read and write everything
    #[arg(long)]
    insecure_allow_remote: bool,
    #[command(flatten)]
    levers: LeverArgs,
    /// End when standard input ends, as it does when whoever started this has gone
    #[arg(long)]
    until_stdin_closes: bool,
}

pub(super) fn serve(args: &ServeArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    if let Err(wrong) = check(args) {
        return mistaken(&wrong, terminal);
    }
    #[cfg(feature = "failpoints")]
    if let Err(wrong) = arm(terminal)? {
        writeln!(terminal.err, "error: {wrong}")?;
        return Ok(Exit::Usage);
    }
    if args.until_stdin_closes {
        stop_with_stdin(terminal.interrupted.clone())?;
    }
    // Looked at before anything is made: a mistake in them leaves no folder behind.
    let (tls, peer_tls) = (args.tls.read()?, args.cluster.tls()?);
    let folder = args.data_dir.clone().unwrap_or_else(|| format!("{}.kvbench", args.name).into());
    let clock = Clock::start();
    let open = DataFolder::open(&folder)?;
    let runtime = Server::runtime()?;
    let found = runtime.block_on(membership::find(args, &open));
    let Membership { identity, group } = match found? {
        Ok(membership) => membership,
        Err(wrong) => return mistaken(&wrong, terminal),
    };
    if let Some(image) = &args.from_image
        && !open.plant(image)?
    {
        let folder = folder.display();
        let wrong = format!(
            "{folder} has a log already, --from-image is for a new one\n  hint: name another --data-dir"
        );
        return mistaken(&wrong, terminal);
    }
    let security = Security { tls: args.cluster.outward()? };
    let hearsay = Hearsay::default();
    let config = Config {
        connections_max: places(args.max_connections, handles_max()).unwrap_or(1) as usize,
        tls,
        peer_tls,
        ..config(args, identity, security.clone(), hearsay.clone())
    };
    let (cluster_id, me) = (config.identity.cluster_id, config.identity.member_id);
    open.keep_identity(cluster_id, me)?;
    let transport = GrpcTransport::new(cluster_id, me, security, runtime.handle().clone());
    let transport = Arc::new(transport);
    let peers = Peers { group, transport: transport.clone() };
    let node = Node::start_in(args.levers.config(), peers, open, clock, Probe::off())?;
    let node = Arc::new(node);
    let members = Arc::downgrade(&node);
    transport.open(node.door(), move |id| {
        let members = members.upgrade().map(|node| node.status().members);
        let found = members.and_then(|all| all.iter().find(|member| member.id == id).cloned());
        let told = |member: Member| About::from_bytes(&member.about).peer_urls;
        found.map_or_else(|| hearsay.peer_urls(id), told)
    });
    let (has_tls, mut identity) = (config.tls.is_some(), config.identity.clone());
    let server = Server::start_on(runtime, node.clone(), config)?;
    if args.advertise_client_urls.is_empty() {
        identity.client_urls = urls(has_tls, server.clients());
    }
    if let Some(threads) = server.handle() {
        threads.spawn(membership::introduce(Arc::downgrade(&node), identity));
    }
    announce(&server, has_tls, &folder, terminal)?;
    while !terminal.interrupted.load(Ordering::Relaxed) {
        if node.status().stopped {
            writeln!(terminal.err, "error: the log failed, nothing is acknowledged any more")?;
            return Ok(Exit::Failed);
        }
        if server.is_deaf() {
            writeln!(terminal.err, "error: an address is not served any more")?;
            return Ok(Exit::Failed);
        }
        tell_refusals(&node, terminal)?;
        clock.sleep(LOOK);
    }
    server.stop();
    writeln!(terminal.err, "kvbench serve: stopped")?;
    Ok(Exit::Met)
}

/// Arms what the environment names, and says so loudly: this server will fail.
#[cfg(feature = "failpoints")]
fn arm(terminal: &mut Terminal<'_>) -> anyhow::Result<Result<(), String>> {
    let armed = match crate::failpoint::from_environment() {
        Ok(environment) => environment.armed,
        Err(wrong) => return Ok(Err(wrong)),
    };
    writeln!(terminal.err, "kvbench serve: WITH FAILPOINTS, armed: {}", armed.len())?;
    for site in armed {
        writeln!(terminal.err, "  {site}")?;
    }
    Ok(Ok(()))
}

/// What the command line says that cannot be, or should not.
fn check(args: &ServeArgs) -> Result<(), String> {
    args.levers.check()?;
    places(args.max_connections, handles_max())?;
    for url in &args.listen_client_urls {
        check_secured(url, args.tls.cert_file.is_some(), args.insecure_allow_remote)?;
    }
    args.cluster.check(args)?;
    for url in &args.listen_metrics_urls {
        if url.is_https {
            return Err(format!(
                "{url}: metrics are served over plain HTTP only\n  hint: write http://{}",
                url.address
            ));
        }
        check_local(url, args.insecure_allow_remote)?;
    }
    Ok(())
}

/// How many connections of clients a server has room for that is started here without a word on them.
pub(super) fn room_for_clients() -> u32 {
    places(None, handles_max()).unwrap_or(CONNECTIONS_MAX)
}

/// How many connections of clients there is room for.
fn places(wanted: Option<u32>, handles_max: Option<u64>) -> Result<u32, String> {
    let handles = handles_max.unwrap_or(u64::MAX);
    // With few handles, clients get half.
    let room = handles.saturating_sub(HANDLES_KEPT).max(handles / 2).max(1);
    match wanted.map(u64::from) {
        Some(wanted) if wanted > room => Err(format!(
            "--max-connections {wanted} takes {} open files, and this process may have {handles}\n  hint: ulimit -n, or LimitNOFILE= of its unit, or at most {room} connections",
            wanted + HANDLES_KEPT
        )),
        wanted => Ok(wanted.unwrap_or(u64::from(CONNECTIONS_MAX)).min(room) as u32),
    }
}

fn config(
    args: &ServeArgs,
    identity: Identity,
    peer_security: Security,
    hearsay: Hearsay,
) -> Config {
    let addresses = |urls: &[ListenUrl]| urls.iter().map(|url| url.address).collect();
    Config {
        clients: addresses(&args.listen_client_urls),
        metrics: addresses(&args.listen_metrics_urls),
        profiles: args.enable_pprof,
        peers: addresses(&args.cluster.listen_peer_urls),
        peer_tls: None,
        peer_security,
        hearsay,
        identity,
        tls: None,
        progress_interval: PROGRESS_INTERVAL,
        connections_max: CONNECTIONS_MAX as usize,
        quota: Quota::of_bytes(args.quota_backend_bytes),
    }
}

/// Says who sent what was not taken, each once: something is set up wrongly, or worse.
fn tell_refusals(node: &Node, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    for (from, why) in node.refusals().take_news() {
        writeln!(
            terminal.err,
            "kvbench serve: refused a message of member {from:x}: {why}; what else it sends is counted in /metrics"
        )?;
    }
    Ok(())
}

/// The one line that says that clients can connect.
fn announce(
    server: &Server,
    has_tls: bool,
    folder: &Path,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let clients = urls(has_tls, server.clients()).join(",");
    let metrics = match server.metrics() {
        [] => String::new(),
        addresses => format!(", metrics at {}", urls(false, addresses).join(",")),
    };
    let folder = folder.display();
    writeln!(
        terminal.out,
        "kvbench serve: ready, clients at {clients}{metrics}, data in {folder}"
    )?;
    terminal.out.flush()?;
    Ok(())
}

/// Addresses as a client is given them.
fn urls(has_tls: bool, addresses: &[SocketAddr]) -> Vec<String> {
    let scheme = if has_tls { "https" } else { "http" };
    addresses.iter().map(|at| format!("{scheme}://{at}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: ServeArgs,
    }

    #[test]
    fn the_quota_is_etcds_flag() {
        for (flags, bytes) in [
            (&[][..], 0),
            (&["--quota-backend-bytes", "8589934592"], 8 << 30),
            (&["--quota-backend-bytes", "-1"], -1),
            (&["--quota-backend-bytes=-1"], -1),
        ] {
            let args = std::iter::once(&"serve").chain(flags);
            let parsed = Flags::try_parse_from(args).unwrap().args;
            assert_eq!(parsed.quota_backend_bytes, bytes, "{flags:?}");
        }
        for wrong in ["2GiB", "9223372036854775808", ""] {
            assert!(Flags::try_parse_from(["serve", "--quota-backend-bytes", wrong]).is_err());
        }
    }

    #[test]
    fn there_is_room_for_clients_as_far_as_open_files_go() {
        for (wanted, handles, room) in [
            (None, Some(20_000), 12_288),
            (None, Some(1_024), 768),
            (None, Some(100), 50),
            (None, None, 12_288),
            (Some(10), Some(1_024), 10),
            (Some(768), Some(1_024), 768),
            (Some(40_000), Some(u64::MAX), 40_000),
        ] {
            assert_eq!(places(wanted, handles), Ok(room), "{wanted:?} of {handles:?}");
        }
        let wrong = places(Some(769), Some(1_024)).unwrap_err();
        assert!(wrong.contains("takes 1025 open files, and this process may have 1024"), "{wrong}");
    }
}
