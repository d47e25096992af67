//! Reads by lease: a leader that nobody hears answers them for a while, and none of them once another leader may have taken a write.

use super::*;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often it is tried.
const ROUNDS: usize = 8;

/// One answered read.
struct Read {
    begun: Nanos,
    answered: Nanos,
    found: Vec<u8>,
}

/// Reads `k` at one member all the time, whether earlier reads were answered or not.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<Read>>,
}

impl Reader {
    fn start(node: &Arc<Node>, clock: Clock) -> Reader {
        let (stop, node) = (Arc::new(AtomicBool::new(false)), node.clone());
        let stopped = stop.clone();
        let all = async move {
            let mut reads = JoinSet::new();
            while !stopped.load(Ordering::Relaxed) {
                reads.spawn(read(node.clone(), clock));
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            reads.join_all().await.into_iter().flatten().collect()
        };
        Reader { stop, thread: thread::spawn(|| block_on_time(all)) }
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The answered ones, once all are answered or refused.
    fn reads(self) -> Vec<Read> {
        self.stop();
        self.thread.join().unwrap()
    }
}

async fn read(node: Arc<Node>, clock: Clock) -> Option<Read> {
    let begun = clock.now();
    let answer = node.call(Request::get("k")).await.ok()?;
    match answer.reply.result {
        Ok(Body::Range(mut found)) => {
            let found = found.kvs.remove(0).value;
            Some(Read { begun, answered: clock.now(), found })
        }
        other => panic!("{other:?}"),
    }
}

fn with_leases() -> Cluster {
    let mut config = config(EngineKind::Memory, SHARDED);
    config.pipeline.reads = Reads::Lease;
    Cluster::start(config, 3, OFTEN)
}

/// Members but `me`.
fn others(me: MemberId) -> [MemberId; 2] {
    match me {
        1 => [2, 3],
        2 => [1, 3],
        _ => [1, 2],
    }
}

/// Waits until another leader than `old` has taken `value`, and for as long as the old one could still believe in itself; says when
/// the put was acknowledged. It is heard by everybody afterwards.
fn overwritten(cluster: &Cluster, old: MemberId, value: &str, clock: Clock) -> Nanos {
    let new = cluster.leader_but(old);
    until("an acknowledged put", || call(cluster.node(new), Request::put("k", value)).ok());
    let acknowledged = clock.now();
    clock.sleep(TIMING.election.after(TIMING.election));
    acknowledged
}

/// Reads that were begun after the value was overwritten found it, or were not answered; says how many the leader answered alone,
/// between `cut` and then.
fn check(reads: &[Read], cut: Nanos, acknowledged: Nanos, value: &str) -> usize {
    for read in reads.iter().filter(|read| read.begun > acknowledged) {
        let late = read.begun.since(acknowledged);
        let found = String::from_utf8_lossy(&read.found);
        assert_eq!(found, value, "a read begun {late} after a put was acknowledged missed it");
    }
    reads.iter().filter(|read| read.begun > cut && read.answered < acknowledged).count()
}

#[test]
fn a_leader_alone_answers_reads_until_its_lease_has_run_out() {
    let (cluster, clock) = (with_leases(), Clock::start());
    let mut alone = 0;
    for round in 0..ROUNDS {
        put_surely(&cluster, "k", "before");
        let old = cluster.leader();
        let reader = Reader::start(cluster.node(old), clock);
        // Long enough that the leader has a lease.
        clock.sleep(Nanos::from_millis(100));
        cluster.network.isolate(old);
        let cut = clock.now();
        let value = format!("after {round}");
        let acknowledged = overwritten(&cluster, old, &value, clock);
        reader.stop();
        cluster.network.heal();
        alone += check(&reader.reads(), cut, acknowledged, &value);
    }
    // Asking a quorum, it would have answered none.
    assert!(alone > 0, "no read was answered by a lease");
    cluster.check_equal();
}

/// A member that agreed that the leader leads, and was started again before that ran out, does not help another one to lead.
#[test]
fn a_restarted_member_keeps_the_promise_it_forgot() {
    let (mut cluster, clock) = (with_leases(), Clock::start());
    for round in 0..ROUNDS {
        put_surely(&cluster, "k", "before");
        let old = cluster.leader();
        let [restarted, eager] = others(old);
        // It wants to lead and is heard by nobody.
        cluster.network.isolate(eager);
        clock.sleep(TIMING.election.after(TIMING.election));
        let reader = Reader::start(cluster.node(old), clock);
        clock.sleep(Nanos::from_millis(100));
        cluster.nodes.remove(&restarted);
        cluster.network.heal();
        cluster.network.isolate(old);
        let cut = clock.now();
        cluster.start_one(Group::of(restarted, 3));
        let value = format!("after {round}");
        let acknowledged = overwritten(&cluster, old, &value, clock);
        reader.stop();
        cluster.network.heal();
        check(&reader.reads(), cut, acknowledged, &value);
    }
    cluster.check_equal();
}

/// A leader that hands over has no lease any more, and reads go on at whoever leads.
#[test]
fn leadership_is_handed_over_without_a_stale_read() {
    let (cluster, clock) = (with_leases(), Clock::start());
    for round in 0..ROUNDS {
        put_surely(&cluster, "k", "before");
        let old = cluster.leader();
        let [next, _] = others(old);
        let reader = Reader::start(cluster.node(old), clock);
        clock.sleep(Nanos::from_millis(100));
        let cut = clock.now();
        // Refused if the other one is not up to date at once.
        let _ = block_on_time(cluster.node(old).hand_over(next));
        cluster.network.isolate(old);
        let value = format!("after {round}");
        let acknowledged = overwritten(&cluster, old, &value, clock);
        reader.stop();
        cluster.network.heal();
        check(&reader.reads(), cut, acknowledged, &value);
    }
    cluster.check_equal();
}
