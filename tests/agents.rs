//! Load from agents: processes of their own, on addresses of their own, as on machines of their own.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::clock::Clock;
use kvbench::record::Run;
use kvbench::units::Nanos;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kvbench");

/// A `kvbench agent` that ends with this test.
struct Agent {
    child: Child,
    address: String,
}

impl Agent {
    fn start(url: &str, further: &[&str]) -> Agent {
        let mut command = Command::new(PROGRAM);
        command.args(["agent", "--until-stdin-closes", "--listen", url]).args(further);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit("//").next().unwrap().to_owned();
        assert!(line.starts_with("kvbench agent: ready, runs at http"), "{line}");
        Agent { child, address }
    }

    fn two() -> [Agent; 2] {
        ["http://127.0.0.1:0", "http://127.0.0.2:0"].map(|url| Agent::start(url, &[]))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn scenario(folder: &Path, nodes: u32, pairs: u32) -> String {
    let path = folder.join("agents.toml");
    let text = format!(
        r#"
schema   = 1
name     = "agents"
analysis = "Do agents offer the load that this process would?"
[system]
layer = "rpc"
nodes = {nodes}
[arms.before]
propose = "serial"
[arms.after]
propose = "batched"
[keys]
space = "1k"
size  = "16B"
[values]
size = "64B"
[[op]]
put = {{ weight = 1 }}
[[op]]
get = {{ weight = 1 }}
[[phase]]
name     = "mixed"
load     = {{ closed = {{ clients = [1, 5] }} }}
warmup   = "50ms"
duration = "300ms"
[trials]
on_disturbed = "keep"
pairs = {{ min = {pairs}, max = {pairs} }}
"#
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn command(scenario: &str, agents: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["run", scenario, "--no-profile", "--json", "--out"]).arg(folder.join("out"));
    command.args(["--agents", &agents.join(",")]);
    command
}

fn run(scenario: &str, agents: &[&str], folder: &Path) -> Output {
    command(scenario, agents, folder).output().unwrap()
}

fn record(output: &Output) -> Run {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{said}"))
}

fn addresses(agents: &[Agent]) -> Vec<&str> {
    agents.iter().map(|agent| agent.address.as_str()).collect()
}

/// Every acknowledged write is in the store of three members, every operation in the record, and each agent's clock is
/// known.
#[test]
fn two_agents_offer_the_load_of_three_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let agents = Agent::two();
    let output = run(&scenario(folder.path(), 3, 1), &addresses(&agents), folder.path());
    let run = record(&output);
    assert!(run.complete && run.voided.is_empty(), "{:?}", run.warnings);
    let told: Vec<&str> = run.agents.iter().map(|agent| agent.address.as_str()).collect();
    assert_eq!(told, addresses(&agents));
    for trial in &run.trials {
        for cell in &trial.cells {
            let clients: Vec<u32> = cell.agents.iter().map(|agent| agent.clients).collect();
            assert_eq!(clients, if cell.clients == 1 { [1, 0] } else { [3, 2] });
            assert_eq!(cell.agents.iter().map(|agent| agent.ops).sum::<u64>(), cell.ops);
            assert_eq!((cell.errors, cell.load_threads), (0, clients[1].min(1) + 1));
            assert!(cell.ops > 0 && cell.by_op.len() == 2, "{cell:?}");
            assert!(cell.agents.iter().all(|agent| agent.clock_error_ns > 0), "{cell:?}");
            let load: u64 = cell.agents.iter().map(|agent| agent.cpu_ns).sum();
            let named = cell.cpu.iter().find(|role| role.role == "load").unwrap();
            assert!(load > 0 && named.cpu_ns == load, "{cell:?}");
        }
        assert_eq!(trial.end.members.len(), 3);
        assert!(trial.end.members.iter().all(|hash| *hash == trial.end.state_hash));
    }
    let failed: Vec<_> = run.checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(run.checks.iter().any(|check| check.id == "acked-once"), "{:?}", run.checks);
}

/// What was measured with a lost agent does not count; the block is run again once the agent is back.
#[test]
fn a_lost_agent_voids_its_block() {
    let folder = tempfile::tempdir().unwrap();
    let [stays, goes] = Agent::two();
    let (scenario, first) = (scenario(folder.path(), 1, 2), stays.address.clone());
    let second = goes.address.clone();
    let running = command(&scenario, &[&first, &second], folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A block takes some 2 s, so this is within the first or the second.
    Clock::start().sleep(Nanos::from_millis(1500));
    drop(goes);
    Clock::start().sleep(Nanos::from_millis(1000));
    let _back = Agent::start(&format!("http://{second}"), &[]);
    let output = running.wait_with_output().unwrap();
    let run = record(&output);
    assert!(run.complete, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(run.voided.len(), 1, "{:?}", run.voided);
    assert!(run.voided[0].reason.contains(&format!("agent {second} was lost")), "{:?}", run.voided);
    assert!(run.trials.iter().all(|trial| trial.cells.len() == 2));
    assert_eq!(run.trials.iter().map(|trial| trial.block).max(), Some(1));
    let told = format!("{:?}", run.warnings);
    assert!(told.contains("BlocksVoided"), "{told}");
}

/// Nobody there, or somebody else: said before anything is started.
#[test]
fn agents_that_cannot_serve_are_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = scenario(folder.path(), 1, 1);
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let output = run(&scenario, &[&nobody], folder.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains(&format!("agent {nobody}:")) && said.contains("hint:"), "{said}");

    let agent = Agent::start("http://127.0.0.1:0", &[]);
    let output = command(&scenario, &[&agent.address], folder.path())
        .args(["--agents-cacert", &scenario])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{said}");

    let output = run(&scenario, &["10.0.0.7:2390"], folder.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("this machine only"), "{said}");
}

/// For jobs that should end with what they are for.
#[test]
fn an_agent_ends_after_its_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Agent::start("http://127.0.0.1:0", &["--runs", "1"]);
    let output = run(&scenario(folder.path(), 1, 1), &[&agent.address], folder.path());
    assert!(record(&output).complete, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(agent.child.wait().unwrap().success());
}

/// One run at a time: a second is told so and disturbs nothing.
#[test]
fn an_agent_serves_one_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let agent = Agent::start("http://127.0.0.1:0", &[]);
    let scenario = scenario(folder.path(), 1, 2);
    let mut running = command(&scenario, &[&agent.address], folder.path());
    let running = running.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    Clock::start().sleep(Nanos::from_millis(1000));
    let second = run(&scenario, &[&agent.address], other.path());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(5), "{said}");
    assert!(said.contains("serves another run"), "{said}");
    let first = record(&running.wait_with_output().unwrap());
    assert!(first.complete && first.voided.is_empty(), "{:?}", first.voided);
}
