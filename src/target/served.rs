//! `kvbench serve` as processes of its own, so that load and system have separate accounts of CPU time.

use super::process::{Process, address, initial_cluster, name, ports, url};
use super::remote::{Member, Numbers, Remote};
use super::{LaunchError, levers};
use crate::client::Endpoint;
use crate::clock::Clock;
use crate::scenario::spec;
use std::path::Path;
use std::process::Command;

/// Ports of one member: for clients, for members, for its numbers.
const PORTS: usize = 3;

/// Starts the members that `system` describes in `folder`; returns when they answer.
pub(super) fn launch(
    program: &Path,
    system: &spec::System,
    folder: &Path,
    clock: Clock,
) -> Result<Remote, LaunchError> {
    let size = usize::from(system.nodes);
    let ports = ports(folder, size * PORTS)?;
    let ports: Vec<&[u16]> = ports.chunks(PORTS).collect();
    let group = initial_cluster(ports.iter().map(|its| its[1]));
    let mut members = Vec::new();
    for (index, mine) in ports.iter().enumerate() {
        let folder = folder.join(format!("member-{}", index + 1));
        let mut command = Command::new(program);
        command.args(["serve", "--until-stdin-closes", "--name", &name(index)]);
        command.arg("--data-dir").arg(folder.join("data"));
        command.args(["--listen-client-urls", &url(mine[0])]);
        command.args(["--listen-metrics-urls", &url(mine[2])]);
        // What is measured in this process has no quota either.
        command.arg("--quota-backend-bytes=-1");
        if size > 1 {
            command.args(["--listen-peer-urls", &url(mine[1])]);
            command.args(["--initial-cluster", &group]);
        }
        command.args(levers::flags(system));
        members.push(Member {
            endpoint: Endpoint::parse(&url(mine[0]), None)?,
            numbers: Some(address(mine[2])),
            process: Some(Process::start(command, &folder)?),
        });
    }
    Remote::of(members, Numbers::KVBENCH, system, clock)
}
