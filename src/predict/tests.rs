//! The simulated pipeline against what can be worked out by hand.

use super::*;
use crate::raft::{ApplyOn, Batch, Config, Fsync, Linger, Propose, Publish, Reads};

const MS: f64 = 1e6;

/// Stages that cost next to nothing, threads that wake at once: what is left are syncs.
fn light() -> Costs {
    Costs {
        send_ns: 1.0,
        load_round_ns: 0.0,
        propose_ns: 1.0,
        round_ns: 0.0,
        execute_ns: 1.0,
        answer_ns: 1.0,
        apply_round_ns: 0.0,
        log_bytes: Line { per_request: 300.0, per_round: 100.0 },
        wakes: Wakes { latency: Spread::fixed(0.0), signal_ns: 0.0 },
    }
}

/// About what a small virtual machine takes.
fn usual() -> Costs {
    Costs {
        send_ns: 1_200.0,
        load_round_ns: 2_000.0,
        propose_ns: 400.0,
        round_ns: 6_000.0,
        execute_ns: 200.0,
        answer_ns: 200.0,
        apply_round_ns: 1_000.0,
        wakes: Wakes { latency: Spread::fixed(25_000.0), signal_ns: 3_000.0 },
        ..light()
    }
}

fn alike(span_ns: f64) -> Syncs {
    Syncs::Alike(Spread::fixed(span_ns))
}

fn levers(propose: Propose) -> Config {
    let (apply_on, publish) = (ApplyOn::RaftThread, Publish::Ready);
    Config { propose, apply_on, publish, fsync: Fsync::Real, reads: Reads::Index }
}

fn batched(linger: Linger) -> Propose {
    Propose::Batched(Batch { linger, ..Batch::default() })
}

fn ask<'a>(propose: Propose, clients: u32, costs: &'a Costs, syncs: &'a Syncs) -> Question<'a> {
    Question {
        levers: levers(propose),
        nodes: 1,
        costs,
        syncs,
        cores: 2,
        rtt: Nanos::ZERO,
        clients,
        mix: Mix::default(),
        warmup: Nanos::from_millis(100),
        duration: Nanos::from_millis(1000),
        seed: Seed(1),
    }
}

fn assert_close(is: f64, should: f64, tolerance: f64, what: &str) {
    assert!((is / should - 1.0).abs() <= tolerance, "{what}: {is}, should be {should}");
}

#[test]
fn a_serial_pipeline_gives_one_operation_per_sync() {
    let (costs, syncs) = (light(), alike(5.0 * MS));
    for clients in [1, 7, 1000] {
        let predicted = predict(&ask(Propose::Serial, clients, &costs, &syncs));
        assert_close(predicted.throughput_per_s, 200.0, 0.001, "rate");
        assert_close(predicted.mean_ns, f64::from(clients) * 5.0 * MS, 0.001, "Little's law");
        assert_close(predicted.fsyncs_per_op, 1.0, 0.001, "syncs");
    }
}

#[test]
fn one_client_waits_for_every_stage_in_turn() {
    let costs = usual();
    for syncs in [Syncs::Off, alike(100_000.0)] {
        let predicted = predict(&ask(Propose::Serial, 1, &costs, &syncs));
        let cpu_ns = 1_200.0 + 2_000.0 + 400.0 + 6_000.0 + 200.0 + 200.0 - 200.0;
        let sync_ns = syncs.quantile_ns(0.0, 0.5);
        // The answer's work overlaps with the wake-up it causes, as the signals do.
        let cycle_ns = cpu_ns + 2.0 * 25_000.0 + sync_ns;
        assert_close(predicted.throughput_per_s, 1e9 / cycle_ns, 0.001, "rate");
    }
}

#[test]
fn clients_that_miss_a_sync_form_two_halves() {
    // With one batch in flight, a batch that leaves at once leaves without those who were just answered; the two halves take
    // turns, so all of them are served in two syncs. If each waits for its siblings it is one sync.
    let (costs, syncs) = (usual(), alike(10.0 * MS));
    let two = predict(&ask(batched(Linger::None), 50, &costs, &syncs));
    assert_close(two.throughput_per_s, 50.0 / 0.020, 0.05, "two halves");
    let one = predict(&ask(batched(Linger::Siblings(Nanos(1_000_000))), 50, &costs, &syncs));
    assert_close(one.throughput_per_s, 50.0 / 0.010, 0.05, "siblings");
    assert_close(one.fsyncs_per_op, 1.0 / 50.0, 0.02, "one sync for all");
    assert!(one.p99_ns < two.p99_ns);
}

#[test]
fn publishing_late_costs_a_sync_or_two() {
    // Every client waits for two syncs, and for a third if it came back when the next one had begun.
    let (costs, syncs) = (usual(), alike(22.0 * MS));
    for clients in [10, 20, 50] {
        let mut question = ask(Propose::Pipelined, clients, &costs, &syncs);
        question.levers.publish = Publish::NextReady;
        let late = predict(&question).throughput_per_s;
        let (two, three) = (f64::from(clients) / 0.044, f64::from(clients) / 0.066);
        assert!((three * 0.97..two * 1.01).contains(&late), "{clients}: {late}");
        question.levers.publish = Publish::Ready;
        assert!(predict(&question).throughput_per_s > late * 1.2);
    }
}

#[test]
fn without_syncs_the_busier_thread_sets_the_pace() {
    let costs = usual();
    let predicted = predict(&ask(batched(Linger::None), 1000, &costs, &Syncs::Off));
    assert_close(predicted.throughput_per_s, 1e9 / 1_200.0, 0.1, "the load thread");
    assert!(predicted.load_share > 0.95, "{predicted:?}");
}

#[test]
fn one_core_does_the_work_of_both_threads() {
    let costs = usual();
    let mut question = ask(batched(Linger::None), 1000, &costs, &Syncs::Off);
    let two = predict(&question);
    question.cores = 1;
    let one = predict(&question);
    let busy = one.load_share + one.raft_share;
    assert!(busy > 0.98 && busy < 1.001, "{one:?}");
    assert!(one.throughput_per_s < two.throughput_per_s * 0.85, "{one:?} {two:?}");
    question.cores = 64;
    assert_eq!(predict(&question), two, "two threads need no more than two cores");
}

#[test]
fn a_quorum_costs_a_round_trip_and_a_second_disk() {
    let (costs, syncs) = (light(), alike(2.0 * MS));
    let mut question = ask(Propose::Serial, 1, &costs, &syncs);
    question.nodes = 3;
    let near = predict(&question);
    assert_close(near.throughput_per_s, 500.0, 0.001, "both sync at once");
    question.rtt = Nanos::from_millis(3);
    let far = predict(&question);
    assert_close(far.throughput_per_s, 200.0, 0.001, "there, sync, back");
    question.levers.publish = Publish::NextReady;
    let late = predict(&question);
    assert_close(late.throughput_per_s, 1000.0 / 7.0, 0.001, "and another sync");
}

#[test]
fn reads_go_around_the_log() {
    let (costs, syncs) = (light(), alike(1.0 * MS));
    let mut question = ask(batched(Linger::None), 1, &costs, &syncs);
    question.mix = Mix { reads: 1.0, transfers: 0.0 };
    let reads = predict(&question);
    assert!(reads.fsyncs_per_op < 1e-9 && reads.throughput_per_s > 1e6, "{reads:?}");
    question.mix = Mix { reads: 0.5, transfers: 0.0 };
    assert_close(predict(&question).throughput_per_s, 2000.0, 0.05, "half of them wait");
    question.mix = Mix { reads: 0.0, transfers: 1.0 };
    assert_close(predict(&question).throughput_per_s, 1000.0, 0.01, "a read, then a write");
    question.nodes = 3;
    question.rtt = Nanos::from_millis(1);
    assert_close(predict(&question).throughput_per_s, 1000.0 / 3.0, 0.02, "both over the network");
}

#[test]
fn an_apply_thread_does_its_part_of_the_work() {
    let costs = usual();
    let mut question = ask(Propose::Pipelined, 50, &costs, &Syncs::Off);
    question.levers.apply_on = ApplyOn::ApplyThread;
    question.cores = 3;
    let predicted = predict(&question);
    assert!(predicted.apply_share > 0.05, "{predicted:?}");
    let one = predict(&Question { clients: 1, ..question });
    // What was applied is reported to the raft thread: it wakes for that while the answer wakes the load thread.
    let cycle_ns = 1e9 / one.throughput_per_s;
    assert!(cycle_ns > 55_000.0 && cycle_ns < 65_000.0, "{cycle_ns}");
}

#[test]
fn a_seed_gives_one_prediction() {
    let costs = usual();
    let spread = Spread::of_spans((1..=100).map(|n| f64::from(n) * 10_000.0).collect()).unwrap();
    let syncs = Syncs::Alike(spread);
    let mut question = ask(Propose::Pipelined, 50, &costs, &syncs);
    question.mix = Mix { reads: 0.3, transfers: 0.1 };
    let first = predict(&question);
    assert_eq!(predict(&question), first);
    question.seed = Seed(2);
    let other = predict(&question);
    assert_ne!(other, first);
    assert_close(other.throughput_per_s, first.throughput_per_s, 0.03, "and chance evens out");
}
