//! Which agents offer a run's load, and whether they may and can.

use crate::agent::Agents;
use crate::cli::listening::text;
use crate::scenario::spec::{Arm, Layer, Scenario};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

#[derive(Debug, Args)]
#[command(next_help_heading = "Load from other machines")]
pub(super) struct AgentsArgs {
    /// Where `kvbench agent` listens; the clients are shared out among them [default: this process offers the load]
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    agents: Vec<String>,
    /// Who signed the agents' certificates, PEM; without it they are spoken to in the clear
    #[arg(long, value_name = "FILE", requires = "agents")]
    agents_cacert: Option<PathBuf>,
    /// The certificate that agents are shown, PEM
    #[arg(long, value_name = "FILE", requires_all = ["agents_cacert", "agents_key"])]
    agents_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "agents_cert")]
    agents_key: Option<PathBuf>,
}

impl AgentsArgs {
    /// What the addresses say that cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        for (index, address) in self.agents.iter().enumerate() {
            let is_one = address.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty()
                    && !host.contains('/')
                    && port.parse::<u16>().is_ok_and(|port| port > 0)
            });
            if !is_one {
                return Err(format!("--agents: {address} is not HOST:PORT, such as 10.0.0.7:2390"));
            }
            if self.agents[..index].contains(address) {
                return Err(format!(
                    "--agents: {address} is named twice; an agent serves one run at a time\n  hint: name each once"
                ));
            }
        }
        Ok(())
    }

    /// Why these agents cannot or should not offer the load of `scenario`.
    pub(super) fn check_for(&self, scenario: &Scenario) -> Result<(), String> {
        let afar = self.agents.iter().find(|address| !is_local(address));
        for arm in &scenario.arms {
            if self.agents.is_empty() {
                break;
            }
            check_arm(arm, afar, self.agents_cacert.is_some())
                .map_err(|why| format!("--agents: arm {}: {why}", arm.name))?;
        }
        Ok(())
    }

    /// With the certificates read.
    pub(super) fn read(&self) -> anyhow::Result<Agents> {
        let mut agents = Agents { addresses: self.agents.clone(), tls: None };
        if let Some(ca) = &self.agents_cacert {
            let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(text(ca)?));
            if let (Some(certificate), Some(key)) = (&self.agents_cert, &self.agents_key) {
                tls = tls.identity(Identity::from_pem(text(certificate)?, text(key)?));
            }
            agents.tls = Some(tls);
        }
        Ok(agents)
    }
}

/// `afar` is an agent on another machine.
fn check_arm(arm: &Arm, afar: Option<&String>, is_secured: bool) -> Result<(), String> {
    let system = &arm.system;
    let etcd = &system.etcd;
    if !system.layer.is_remote() {
        return Err(format!(
            "layer {} runs within this process, where no agent gets in\n  hint: layer = \"rpc\" or \"etcd\"",
            system.layer
        ));
    }
    let Some(afar) = afar else { return Ok(()) };
    if system.layer == Layer::Rpc || etcd.endpoints.is_empty() {
        return Err(format!(
            "its servers would listen on this machine only, where {afar} cannot get\n  hint: start servers (kvbench serve, etcd) where the agent reaches them and name them with layer = \"etcd\", etcd.endpoints"
        ));
    }
    if let Some(endpoint) = etcd.endpoints.iter().find(|url| is_local(without_scheme(url))) {
        return Err(format!(
            "{endpoint} is this machine's own address, which means another machine to {afar}\n  hint: name servers by addresses that agents reach"
        ));
    }
    if !is_secured && (etcd.user.is_some() || etcd.key_file.is_some()) {
        return Err(format!(
            "its password or key would go to {afar} in the clear\n  hint: give the agents certificates, and --agents-cacert here"
        ));
    }
    Ok(())
}

fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, address)| address)
}

fn is_local(address: &str) -> bool {
    match address.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => address.starts_with("localhost:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{self, Options};

    fn args(agents: &[&str]) -> AgentsArgs {
        AgentsArgs {
            agents: agents.iter().map(|agent| (*agent).to_owned()).collect(),
            agents_cacert: None,
            agents_cert: None,
            agents_key: None,
        }
    }

    /// What is said of agents with these levers before and after.
    fn refused(agents: &[&str], before: &str, after: &str) -> String {
        let text = format!(
            r#"schema = 1
name = "a"
arms.before = {{ {before} }}
arms.after = {{ {after} }}
keys = {{ space = "1k", size = "16B" }}
values = {{ size = "16B" }}
op = [{{ put = {{ weight = 1 }} }}]
trials = {{ aa = false }}
[[phase]]
name = "p"
load = {{ closed = {{ clients = [1] }} }}
"#
        );
        let scenario = scenario::parse("a.toml", &text, &Options::default());
        let scenario = scenario.unwrap_or_else(|problems| panic!("{problems}"));
        args(agents).check_for(&scenario).err().unwrap_or_default()
    }

    #[test]
    fn agents_need_a_way_in_and_secrets_a_cover() {
        let (near, far) = (["127.0.0.1:2390"], ["127.0.0.1:2390", "10.0.0.7:2390"]);
        let etcd = |url: &str| format!(r#"layer = "etcd", etcd.endpoints = ["{url}"]"#);
        let (raft, rpc) = (r#"layer = "raft""#, r#"layer = "rpc""#);
        assert_eq!(refused(&near, rpc, rpc), "");
        assert_eq!(refused(&[], raft, raft), "");
        assert!(refused(&near, raft, raft).contains("arm before: layer raft runs within"));
        assert!(refused(&far, rpc, rpc).contains("this machine only, where 10.0.0.7"));
        let (here, there) = (etcd("http://127.0.0.1:2379"), etcd("http://10.0.0.2:2379"));
        assert!(refused(&far, &there, &here).contains("arm after: http://127.0.0.1:2379 is this"));
        assert_eq!(refused(&near, &there, &here), "");
        let other = etcd("http://10.0.0.3:2379");
        assert_eq!(refused(&far, &there, &other), "");
        let user = format!(r#"{other}, etcd.user = "me", etcd.password_env = "SECRET""#);
        assert!(refused(&far, &there, &user).contains("in the clear"));
        assert_eq!(refused(&near, &there, &user), "");
    }

    #[test]
    fn addresses_are_a_host_and_a_port_each_once() {
        assert_eq!(args(&["10.0.0.7:2390", "[::1]:1", "host:2"]).check(), Ok(()));
        for wrong in ["", "host", "host:0", ":1", "http://host:1", "host:x"] {
            assert!(args(&[wrong]).check().unwrap_err().contains("HOST:PORT"), "{wrong}");
        }
        assert!(args(&["a:1", "a:1"]).check().unwrap_err().contains("twice"));
    }
}
