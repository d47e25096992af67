//! `[check] linearizable`: what clients see of a few keys while they are measured, on every layer, and on a system that lies.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::agent::Agents;
use kvbench::clock::Clock;
use kvbench::compare::{self, Outcome};
use kvbench::model::{Request, Response};
use kvbench::record::{Check, Run};
use kvbench::runner::{self, Options, Progress};
use kvbench::scenario::{self, spec::Arm};
use kvbench::store::Digest;
use kvbench::target::{
    Answer, Builtin, CallError, Client, Connect, Launch, LaunchError, System, SystemClient, Target,
    Watched,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

struct Nobody;

impl runner::Watcher for Nobody {
    fn progress(&mut self, _progress: &Progress<'_>) {}
}

/// One block of a mix on few keys, so that clients meet. After `system` may come its arms.
fn scenario(system: &str, load: &str, check: &str) -> scenario::spec::Scenario {
    let arms = if system.contains("[arms.") { "" } else { "[arms.before]\n[arms.after]" };
    let text = format!(
        "schema = 1\nname = \"x\"\n[system]\n{system}\n{arms}\n\
         [keys]\nspace = 500\n[values]\nsize = \"32B\"\n\
         [[op]]\nput = {{ weight = 4 }}\nget = {{ weight = 3 }}\ndelete = {{ weight = 1 }}\n\
         [[phase]]\nname = \"a\"\nload = {{ {load} }}\nwarmup = \"20ms\"\nduration = \"150ms\"\n\
         [check]\nlinearizable = {check}\n\
         [trials]\naa = false\non_disturbed = \"keep\"\npairs = {{ min = 1, max = 1 }}\n"
    );
    scenario::parse("x.toml", &text, &scenario::Options::default()).unwrap()
}

fn builtin() -> Builtin {
    Builtin { program: PathBuf::from(env!("CARGO_BIN_EXE_kvbench")) }
}

fn run<L: Launch>(system: &str, load: &str, check: &str, launch: &L) -> Run {
    let scratch = tempfile::tempdir().unwrap();
    let options = Options {
        path: "x.toml".to_owned(),
        quick: false,
        profile: None,
        scratch: scratch.path().to_path_buf(),
        count_syscalls: false,
        agents: Agents::default(),
        interrupted: Default::default(),
    };
    let scenario = scenario(system, load, check);
    let finished = runner::run(&scenario, &options, launch, &mut Nobody).unwrap();
    assert!(finished.failure.is_none(), "{:?}", finished.failure);
    finished.run
}

fn check_of(run: &Run) -> Option<&Check> {
    run.checks.iter().find(|check| check.id == "linearizable")
}

const CLOSED: &str = "closed = { clients = [1, 8] }";
const OPEN: &str = "open = { rate = \"2k/s\" }";

/// That something was looked at in every trial, and nothing wrong was found.
fn holds(system: &str, load: &str) {
    let run = run(system, load, "true", &builtin());
    let check = check_of(&run).unwrap();
    assert!(check.passed, "{system}: {}", check.detail);
    for trial in &run.trials {
        let sampled = trial.end.sampled.as_ref().unwrap();
        assert!(sampled.keys > 0 && sampled.operations > 20, "{system}: {sampled:?}");
        // Before and after the load each key is read; within it, too, but seldom.
        assert!(sampled.reads >= 2 * sampled.keys, "{system}: {sampled:?}");
        assert!(sampled.wrong.is_empty() && sampled.undecided == 0, "{system}: {sampled:?}");
    }
}

#[test]
fn an_order_explains_what_every_layer_says() {
    for system in ["layer = \"store\"", "layer = \"apply\"", "layer = \"raft\"\nnodes = 3"] {
        holds(system, CLOSED);
    }
    holds("layer = \"raft\"", OPEN);
    holds("layer = \"rpc\"", CLOSED);
}

/// Servers that somebody else runs, with revisions from before.
#[test]
fn an_order_explains_what_servers_in_use_say() {
    let folder = tempfile::tempdir().unwrap();
    let arm = scenario("layer = \"rpc\"", CLOSED, "false").before().clone();
    let servers = ["one", "other"].map(|name| {
        let data = folder.path().join(name);
        std::fs::create_dir(&data).unwrap();
        let running = builtin().launch(&arm, &data, Clock::start()).unwrap();
        let puts: Vec<_> = (0..50).map(|n| Request::put(format!("k{n}"), "v")).collect();
        assert!(running.call_any(&puts).iter().all(Result::is_ok));
        let deletes: Vec<_> = (0..50).map(|n| Request::delete(format!("k{n}"))).collect();
        assert!(running.call_any(&deletes).iter().all(Result::is_ok));
        running
    });
    let arm = |name: &str, running: &System| {
        let Watched::Server(endpoint) = running.watched() else { panic!("a server") };
        format!("[arms.{name}]\netcd.endpoints = [\"{}\"]\n", endpoint.url())
    };
    let arms = arm("before", &servers[0]) + &arm("after", &servers[1]);
    holds(&format!("layer = \"etcd\"\n{arms}"), CLOSED);
}

#[test]
fn nobody_looks_unless_asked() {
    let run = run("layer = \"store\"", CLOSED, "false", &builtin());
    assert!(check_of(&run).is_none());
    assert!(run.trials.iter().all(|trial| trial.end.sampled.is_none()));
}

/// A store whose reads answer what was there at the first look at a key.
struct Forgetful(System);

struct ForgetfulClient {
    inner: SystemClient,
    /// By key.
    first: Rc<RefCell<BTreeMap<Vec<u8>, Response>>>,
}

impl Connect for Forgetful {
    type Client = ForgetfulClient;

    async fn connect(&self, clients: u32) -> Result<Vec<ForgetfulClient>, CallError> {
        let first = Rc::new(RefCell::new(BTreeMap::new()));
        let client = |inner| ForgetfulClient { inner, first: first.clone() };
        Ok(self.0.connect(clients).await?.into_iter().map(client).collect())
    }
}

impl Client for ForgetfulClient {
    async fn call(&self, request: Request) -> Answer {
        let key = match &request {
            Request::Range(range) => Some(range.interval.key.clone()),
            _ => None,
        };
        let mut answer = self.inner.call(request).await;
        if let (Some(key), Ok(delivered)) = (key, &mut answer) {
            let mut first = self.first.borrow_mut();
            let told = first.entry(key).or_insert_with(|| delivered.reply.clone());
            // It does not even lie about the revision.
            delivered.reply.result = told.result.clone();
        }
        answer
    }
}

impl Target for Forgetful {
    fn call_all(&self, requests: &[Request]) -> Vec<Answer> {
        self.0.call_all(requests)
    }

    fn digests(&self) -> Result<Vec<Digest>, CallError> {
        self.0.digests()
    }
}

struct Forgetting;

impl Launch for Forgetting {
    type Target = Forgetful;

    fn launch(&self, arm: &Arm, folder: &Path, clock: Clock) -> Result<Forgetful, LaunchError> {
        Ok(Forgetful(builtin().launch(arm, folder, clock)?))
    }
}

#[test]
fn a_store_that_forgets_is_a_wrong_answer_by_name() {
    let run = run("layer = \"raft\"\nfsync = \"off\"", CLOSED, "true", &Forgetting);
    let check = check_of(&run).unwrap();
    assert!(check.is_wrong(), "{}", check.detail);
    for words in ["in block 0, key 0", "no order explains more than", "nothing explains `get 0"] {
        assert!(check.detail.contains(words), "{words}: {}", check.detail);
    }
    // By revisions, too: the answer's own says that there is something newer.
    let wrong = run.trials.iter().filter_map(|trial| trial.end.sampled.as_ref());
    let wrong: Vec<&String> = wrong.flat_map(|sampled| &sampled.wrong).collect();
    assert!(wrong.iter().any(|words| words.contains("should have found what was newest")));
    assert_eq!(compare::compare(&run).outcome, Outcome::WrongAnswer);
}
