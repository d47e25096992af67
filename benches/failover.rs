//! How long a group of three is without a leader when it loses one: from the moment the leader is cut off until a put at one
//! of the others is answered. Puts go to both others all the time, one each 2 ms, whether or not earlier ones were answered.
//!
//! `cargo bench --bench failover`; `-- 100 200` for so many rounds at an election timeout of so many ms.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::Request;
use kvbench::node::{Compaction, Config, Node, Peers};
use kvbench::raft::{
    self, ApplyOn, Batch, Fsync, Group, MemberId, Network, Propose, Publish, Reads, Role, Timing,
};
use kvbench::seed::Seed;
use kvbench::store::{self, PathKind};
use kvbench::units::Nanos;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::LocalSet;

const ROUNDS: u64 = 100;
/// etcd's default.
const ELECTION_MS: u64 = 1_000;
const BETWEEN_PUTS: Duration = Duration::from_millis(2);
const PATIENCE: Nanos = Nanos::from_millis(60_000);

fn main() {
    let mut asked = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let rounds = asked.next().unwrap_or(ROUNDS).max(1);
    let election = Nanos::from_millis(asked.next().unwrap_or(ELECTION_MS).clamp(20, 60_000));
    let timing = Timing { heartbeat: Nanos(election.0 / 10), election };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clock = Clock::start();
    let group = Trio::start(folder.path(), timing, clock);
    let (mut spans, mut refusals) = (Vec::new(), BTreeMap::new());
    for round in 0..rounds {
        spans.push(group.lose_leader(round, &mut refusals));
    }
    spans.sort_unstable();
    let at = |share: f64| spans[((spans.len() - 1) as f64 * share).round() as usize];
    println!("{rounds} leaders lost, election timeout {election}, heartbeat {}", timing.heartbeat);
    println!(
        "until a put is answered: p50 {}, p90 {}, p99 {}, most {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    let ratio = at(0.99).as_secs_f64() / election.as_secs_f64();
    println!("p99 is {ratio:.2} election timeouts");
    for (refusal, count) in refusals {
        println!("  {count:>8} puts meanwhile: {refusal}");
    }
}

struct Trio {
    network: Network,
    nodes: Vec<Rc<Node>>,
    clock: Clock,
}

impl Trio {
    fn start(folder: &std::path::Path, timing: Timing, clock: Clock) -> Trio {
        let network = Network::start(clock, Seed(1), Probe::off()).expect("a network");
        let mut nodes = Vec::new();
        for me in 1..=3 {
            let group = Group { timing, ..Group::of(me, 3) };
            let peers = Peers { group, transport: network.port(me) };
            let folder = folder.join(format!("member-{me}"));
            let node = Node::start_among(config(), peers, &folder, clock, Probe::off());
            let node = node.expect("a member starts");
            network.join(me, node.door(), &node.incoming());
            nodes.push(Rc::new(node));
        }
        Trio { network, nodes, clock }
    }

    /// Cuts the leader off; gives the time until a put was answered. Heals what it cut.
    fn lose_leader(&self, round: u64, refusals: &mut BTreeMap<String, u64>) -> Nanos {
        let leader = self.settled();
        self.network.isolate(leader);
        let span = self.until_answered(leader, round, refusals);
        self.network.heal();
        span
    }

    /// The leader, once all follow it and have applied what it has.
    fn settled(&self) -> MemberId {
        let began = self.clock.now();
        loop {
            let views: Vec<_> = self.nodes.iter().map(|node| node.status()).collect();
            if let Some(leader) = views.iter().find(|view| view.role == Role::Leader)
                && views.iter().all(|view| view.leader == leader.me && view.applied == leader.last)
            {
                return leader.me;
            }
            assert!(self.clock.now().since(began) < PATIENCE, "the group does not settle");
            self.clock.sleep(Nanos::from_millis(5));
        }
    }

    fn until_answered(
        &self,
        lost: MemberId,
        round: u64,
        refusals: &mut BTreeMap<String, u64>,
    ) -> Nanos {
        let began = self.clock.now();
        let answered = Rc::new(Cell::new(None));
        let refused = Rc::new(RefCell::new(Vec::new()));
        let left = || self.nodes.iter().filter(|node| node.status().me != lost);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let tasks = LocalSet::new();
        tasks.block_on(&runtime.expect("a runtime"), async {
            for put in 0u64.. {
                for node in left() {
                    let (node, clock) = (node.clone(), self.clock);
                    let (answered, refused) = (answered.clone(), refused.clone());
                    tokio::task::spawn_local(async move {
                        let request = Request::put(format!("{round}-{put}"), "v");
                        match node.call(request).await {
                            Ok(_) if answered.get().is_none() => answered.set(Some(clock.now())),
                            Ok(_) => {}
                            Err(rejected) => refused.borrow_mut().push(rejected.to_string()),
                        }
                    });
                }
                tokio::time::sleep(BETWEEN_PUTS).await;
                if answered.get().is_some() {
                    break;
                }
                assert!(self.clock.now().since(began) < PATIENCE, "nobody answers");
            }
        });
        for refusal in refused.borrow_mut().drain(..) {
            *refusals.entry(refusal).or_default() += 1;
        }
        answered.get().expect("a put was answered").since(began)
    }
}

fn config() -> Config {
    Config {
        store: store::Config::in_memory(PathKind::Sharded { shards: 512, workers: 1 }),
        compaction: Compaction { keep_revisions: 100_000 },
        pipeline: raft::Config {
            propose: Propose::Batched(Batch::default()),
            apply_on: ApplyOn::RaftThread,
            publish: Publish::Ready,
            fsync: Fsync::Real,
            reads: Reads::Index,
        },
    }
}
