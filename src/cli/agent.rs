//! `kvbench agent`: offers load for runs on other machines, until it is stopped.

use super::listening::{ListenUrl, TlsArgs, check_secured, stop_with_stdin};
use super::{Exit, Terminal, mistaken};
use crate::agent::{AgentServer, Listen};
use crate::clock::Clock;
use crate::units::Nanos;
use clap::Args;
use std::sync::atomic::Ordering;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// How often it is looked whether somebody asked for the end.
const LOOK: Nanos = Nanos::from_millis(50);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench agent                         on this machine, for a first look
  kvbench agent --listen https://10.0.0.7:2390 --cert-file agent.crt \\
                --key-file agent.key --trusted-ca-file ca.crt --client-cert-auth

Then, where the run is, with servers that the scenario names by etcd.endpoints:
  kvbench run three_hosts.toml --agents 10.0.0.7:2390,10.0.0.8:2390 \\
              --agents-cacert ca.crt --agents-cert run.crt --agents-key run.key

Agents and runs have to be the same build. An agent serves one run at a time; whoever may connect decides what it sends, and to whom.")]
pub(super) struct AgentArgs {
    /// Where runs connect; port 0 lets the system choose
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:2390")]
    listen: ListenUrl,
    /// Listen beyond this machine without TLS: whoever can connect decides what this machine sends
    #[arg(long)]
    insecure_allow_remote: bool,
    /// End once so many runs have ended, each of one scenario [default: never]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// End when standard input ends, as it does when whoever started this has gone
    #[arg(long)]
    until_stdin_closes: bool,
    #[command(flatten)]
    tls: TlsArgs,
}

pub(super) fn agent(args: &AgentArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let has_tls = args.tls.cert_file.is_some();
    if let Err(wrong) = check_secured(&args.listen, has_tls, args.insecure_allow_remote) {
        return mistaken(&wrong, terminal);
    }
    if args.until_stdin_closes {
        stop_with_stdin(terminal.interrupted.clone())?;
    }
    let clock = Clock::start();
    let listen = Listen { address: args.listen.address, tls: tls(&args.tls)? };
    let server = AgentServer::start(listen, clock)?;
    let scheme = if has_tls { "https" } else { "http" };
    writeln!(terminal.out, "kvbench agent: ready, runs at {scheme}://{}", server.address())?;
    terminal.out.flush()?;
    let mut served = 0;
    while !terminal.interrupted.load(Ordering::Relaxed)
        && args.runs.is_none_or(|runs| served < runs)
    {
        clock.sleep(LOOK);
        if server.runs() > served {
            served = server.runs();
            writeln!(terminal.err, "kvbench agent: {served} served")?;
        }
    }
    drop(server);
    writeln!(terminal.err, "kvbench agent: stopped")?;
    Ok(Exit::Met)
}

/// As the gRPC library takes it.
fn tls(args: &TlsArgs) -> anyhow::Result<Option<ServerTlsConfig>> {
    Ok(args.read()?.map(|tls| {
        let own = Identity::from_pem(tls.certificate, tls.key);
        let config = ServerTlsConfig::new().identity(own);
        match tls.client_ca {
            Some(ca) => config.client_ca_root(Certificate::from_pem(ca)),
            None => config,
        }
    }))
}
