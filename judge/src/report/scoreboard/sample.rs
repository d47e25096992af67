//! A fixed board, made up but plausible, for the tests of every form.

use crate::record::SCHEMA;
use crate::record::scoreboard::{
    BoardRun, BoardTarget, BoardVerdict, NotMeasured, OverallRatio, Scoreboard,
};
use crate::report::sample::HOSTILE;

pub(super) fn board() -> Scoreboard {
    let met = BoardTarget {
        id: "c1".into(),
        claim: "C1: in memory, 975 to 10 000 ops/s and more at 50 clients, 10x".into(),
        asked: "asked: saturate.throughput@50 >= 10".into(),
        measured: "14.6×, at least 13.4× with 95 % confidence".into(),
        estimate: Some(14.6),
        interval: Some((13.4, 16.0)),
        n: 8,
        verdict: BoardVerdict::Met,
        why: "propose pipelined earned most of it (10.7×), the lock lever gave nothing that shows (0.960×); \
              operations per fsync 1.00 → 49.7"
            .into(),
    };
    let missed = BoardTarget {
        id: "c1b".into(),
        claim: "C1b: removing the global lock alone brings 10x".into(),
        measured: "1.01×, at most 1.06× with 95 % confidence".into(),
        estimate: Some(1.01),
        interval: Some((0.97, 1.06)),
        verdict: BoardVerdict::Missed,
        why: "0.02 % of a before operation is waiting for the store's lock, worth at most 1.00×; 62.0 % of a \
              before operation is fsync"
            .into(),
        ..met.clone()
    };
    let open = BoardTarget {
        id: "c4".into(),
        claim: "C4: CPU use rises from 15 % to 70 %, 4.7x".into(),
        asked: "asked: saturate.system_cores_busy@50 >= 4.7".into(),
        measured: "4.60× [4.1, 5.2] after 8 pairs".into(),
        verdict: BoardVerdict::Inconclusive,
        why: "about 14 more pairs would decide it at this noise".into(),
        ..met.clone()
    };
    let check = BoardTarget {
        id: "acked".into(),
        claim: String::new(),
        asked: "asked: check acked-once passes".into(),
        measured: "12 876 acknowledged changes used up as many revisions: none lost, none twice"
            .into(),
        estimate: None,
        interval: None,
        n: 0,
        verdict: BoardVerdict::Met,
        why: String::new(),
    };
    let run = |scenario: &str, targets| BoardRun {
        scenario: scenario.into(),
        workload: "put, keys 16B of 100000, values 256B".into(),
        bundle: format!("../{scenario}-1"),
        stamps: Vec::new(),
        failed_checks: Vec::new(),
        targets,
    };
    let mut quick = run("c04_cpu_use", vec![open, check]);
    quick.stamps = vec!["QUICK: a shortened plan, good for a first look".into()];
    Scoreboard {
        schema: SCHEMA,
        kvbench_version: "0.1.0".into(),
        started_at: "2026-11-03T14:12:00Z".into(),
        host: "AMD EPYC · 2 cores · KVM · Linux 6.18".into(),
        build: "a1b2c3d · release · rustc 1.95 · kvbench 0.1.0".into(),
        runs: vec![run("c01_memory_10x", vec![met]), run("c01b_lock_alone", vec![missed]), quick],
        not_measured: vec![NotMeasured {
            scenario: "c02_rocksdb_8x".into(),
            reason: "engine rocksdb is not in this build".into(),
        }],
        overall: vec![OverallRatio {
            measure: "throughput".into(),
            layer: "raft".into(),
            fsync: "real".into(),
            ratio: 3.84,
            interval: Some((3.61, 4.02)),
            scenarios: 2,
        }],
    }
}

/// The board with hostile text wherever text comes from a file.
pub(super) fn hostile() -> Scoreboard {
    let mut board = board();
    let bad = || HOSTILE.to_string();
    (board.host, board.build, board.started_at) = (bad(), bad(), bad());
    for run in &mut board.runs {
        (run.scenario, run.workload, run.bundle) = (bad(), bad(), format!("javascript:{HOSTILE}"));
        (run.stamps, run.failed_checks) = (vec![bad()], vec![bad()]);
        for target in &mut run.targets {
            (target.id, target.asked, target.measured, target.why) = (bad(), bad(), bad(), bad());
            if !target.claim.is_empty() {
                target.claim = bad();
            }
        }
    }
    board.not_measured = vec![NotMeasured { scenario: bad(), reason: bad() }];
    for figure in &mut board.overall {
        (figure.measure, figure.layer, figure.fsync) = (bad(), bad(), bad());
    }
    board
}
