//! etcd: its own processes, fresh for each trial, or servers that the user names.

use super::LaunchError;
use super::process::{Process, address, initial_cluster, name, ports, url};
use super::remote::{Member, Numbers, Remote};
use crate::client::{Endpoint, Tls};
use crate::clock::Clock;
use crate::measure::cpu::listening_on;
use crate::scenario::spec::{self, Etcd};
use std::path::Path;
use std::process::Command;

/// Ports of one member: for clients and for members.
const PORTS: usize = 2;
/// What is started where no endpoints are named.
const PROGRAM: &str = "etcd";
/// Ends etcd with this process, even if this one is killed. Part of every Debian.
const LEASH: [&str; 3] = ["setpriv", "--pdeathsig", "KILL"];

/// Connects to the servers that `system` names, or starts etcd in `folder`; returns when they answer.
pub(super) fn launch(
    system: &spec::System,
    folder: &Path,
    clock: Clock,
) -> Result<Remote, LaunchError> {
    match system.etcd.endpoints.as_slice() {
        [] => start(system, folder, clock),
        _ => connect(system, clock),
    }
}

fn start(system: &spec::System, folder: &Path, clock: Clock) -> Result<Remote, LaunchError> {
    let size = usize::from(system.nodes);
    let ports = ports(folder, size * PORTS)?;
    let ports: Vec<&[u16]> = ports.chunks(PORTS).collect();
    let group = initial_cluster(ports.iter().map(|its| its[1]));
    let mut members = Vec::new();
    for (index, mine) in ports.iter().enumerate() {
        let folder = folder.join(format!("member-{}", index + 1));
        let (clients, peers) = (url(mine[0]), url(mine[1]));
        let mut command = program();
        command.args(["--name", &name(index)]);
        command.arg("--data-dir").arg(folder.join("data"));
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &group, "--log-level", "error"]);
        command.args(["--logger", "zap"]);
        if system.auto_compaction > 0 {
            command.args(["--auto-compaction-mode", "revision"]);
            command.args(["--auto-compaction-retention", &system.auto_compaction.to_string()]);
        }
        members.push(Member {
            endpoint: Endpoint::parse(&clients, None)?,
            numbers: Some(address(mine[0])),
            process: Some(Process::start(command, &folder).map_err(hinted)?),
        });
    }
    Remote::of(members, Numbers::ETCD, system, clock)
}

/// etcd, on the leash where there is one.
fn program() -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| std::env::split_paths(&path).any(|at| at.join(program).is_file());
    if !(has(LEASH[0]) && has(PROGRAM)) {
        return Command::new(PROGRAM);
    }
    let mut command = Command::new(LEASH[0]);
    command.args(&LEASH[1..]).arg(PROGRAM);
    command
}

fn hinted(error: LaunchError) -> LaunchError {
    match error {
        LaunchError::Program { source, .. } => LaunchError::Other(format!(
            "etcd cannot be started: {source}; ./scripts/setup etcd installs Debian's, or name running servers in etcd.endpoints"
        )),
        other => other,
    }
}

fn connect(system: &spec::System, clock: Clock) -> Result<Remote, LaunchError> {
    let tls = tls(&system.etcd)?;
    let user = user(&system.etcd)?;
    let mut members = Vec::new();
    for url in &system.etcd.endpoints {
        let endpoint = Endpoint::parse(url, tls.as_ref())?;
        let endpoint = match &user {
            Some((name, password)) => endpoint.with_user(name.clone(), password.clone()),
            None => endpoint,
        };
        let numbers = url.starts_with("http://").then(|| endpoint.address().to_owned());
        members.push(Member { endpoint, numbers, process: None });
    }
    let local = members.iter().filter_map(|member| local_port(member.endpoint.address()));
    let processes = local.filter_map(listening_on).collect();
    Remote::of_strangers(members, processes, Numbers::ETCD, system, clock)
}

/// The port of an address on this machine.
fn local_port(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    ["127.0.0.1", "localhost", "[::1]"].contains(&host).then(|| port.parse().ok())?
}

fn tls(etcd: &Etcd) -> Result<Option<Tls>, LaunchError> {
    let Some(ca) = &etcd.ca_file else { return Ok(None) };
    let own = match (&etcd.cert_file, &etcd.key_file) {
        (Some(certificate), Some(key)) => Some((text(certificate)?, text(key)?)),
        _ => None,
    };
    Ok(Some(Tls { ca: text(ca)?, own }))
}

fn text(path: &str) -> Result<String, LaunchError> {
    std::fs::read_to_string(path).map_err(|source| LaunchError::File { path: path.into(), source })
}

/// Name and password; the password comes from the environment, so that it is in no file and no report.
fn user(etcd: &Etcd) -> Result<Option<(String, String)>, LaunchError> {
    let (Some(name), Some(variable)) = (&etcd.user, &etcd.password_env) else { return Ok(None) };
    match std::env::var(variable) {
        Ok(password) => Ok(Some((name.clone(), password))),
        Err(_) => Err(LaunchError::Other(format!(
            "the environment has no {variable}, which etcd.password_env names as the password of {name}"
        ))),
    }
}
