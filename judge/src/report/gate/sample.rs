//! An invented gate for the tests of its forms: a regression, one that was not confirmed, a refusal and a wrong answer.

use crate::record::contrast::{
    Basis, Contrast, ContrastRow, ContrastUnit, Contrasts, RowVerdict, Side, SideMean,
};
use crate::record::gate::{GateRecord, GatedScenario};
use crate::report::sample::HOSTILE;

fn row(
    metric: &str,
    unit: ContrastUnit,
    base: f64,
    ratio: f64,
    verdict: RowVerdict,
) -> ContrastRow {
    let mean = |value: f64| {
        Some(SideMean { value, interval: Some((value * 0.98, value * 1.02)), trials: 10 })
    };
    ContrastRow {
        metric: metric.into(),
        unit,
        higher_is_better: unit == ContrastUnit::PerSecond,
        base: mean(base),
        other: mean(base * ratio),
        ratio: Some(ratio),
        interval: Some((ratio * 0.985, ratio * 1.015)),
        p_value: Some(0.002),
        q_value: Some(0.004),
        asked_floor: 0.05,
        least: 0.0,
        floor: 0.05,
        verdict,
        why: String::new(),
    }
}

fn contrast(name: &str, rows: Vec<ContrastRow>) -> Contrast {
    let side = |arm: &str| Side {
        bundle: name.into(),
        arm: arm.into(),
        started_at: "2026-11-03T14:12:00Z".into(),
        revision: "a1b2c3d".into(),
        kvbench_version: "0.1.0".into(),
        grade: "B".into(),
        trials: 10,
    };
    Contrast {
        base: side("base"),
        other: side("head"),
        basis: Basis::Pairs,
        not_comparable: vec![],
        notes: vec![],
        rows,
        withheld: vec![],
    }
}

pub(super) fn gate() -> GateRecord {
    let throughput =
        row("saturate.throughput@50", ContrastUnit::PerSecond, 46_900.0, 0.902, RowVerdict::Worse);
    let tail = row("saturate.p99@50", ContrastUnit::Ns, 1.62e6, 1.08, RowVerdict::Worse);
    let behind = ContrastRow {
        ratio: None,
        interval: None,
        p_value: None,
        q_value: None,
        other: None,
        why: "the load of B is invalid: its generator was the bottleneck".into(),
        ..row("saturate.cpu_per_op@50", ContrastUnit::Ns, 19_000.0, 1.0, RowVerdict::Undecided)
    };
    let first = vec![
        throughput.clone(),
        tail.clone(),
        row("saturate.fsyncs_per_op@50", ContrastUnit::Count, 0.028, 0.93, RowVerdict::Better),
        row("saturate.p50@50", ContrastUnit::Ns, 1.02e6, 1.004, RowVerdict::NotWorse),
        behind,
    ];
    let mut put = contrast("put_parallel · after", first);
    put.notes = vec!["LTO: thin at base, fat at head".into()];
    let again = vec![
        ContrastRow { ratio: Some(0.911), ..throughput },
        ContrastRow {
            ratio: Some(1.01),
            interval: Some((0.99, 1.03)),
            verdict: RowVerdict::NotWorse,
            ..tail
        },
    ];
    let mut refused = contrast("txn · after", vec![]);
    refused.not_comparable = vec!["method version: 1 against 2".into()];
    let scenario = |name: &str| GatedScenario {
        name: name.into(),
        path: format!("scenarios/{name}.toml"),
        bundles: vec![name.into()],
        ..GatedScenario::default()
    };
    GateRecord {
        schema: 1,
        kvbench_version: "0.1.0".into(),
        started_at: "2026-11-03T14:12:00Z".into(),
        elapsed_s: 131.0,
        complete: true,
        confirms: true,
        base: "git:main 9f8e7d6".into(),
        head: "a1b2c3d".into(),
        scenarios: vec![
            scenario("put_parallel"),
            GatedScenario {
                not_comparable: "base does not know key `gate`".into(),
                ..scenario("txn")
            },
        ],
        first: Contrasts {
            schema: 1,
            kvbench_version: "0.1.0".into(),
            floor: 0.05,
            forced: false,
            contrasts: vec![put.clone(), refused],
        },
        second: Some(Contrasts {
            contrasts: vec![Contrast { rows: again, ..put }],
            ..Contrasts::default()
        }),
        ..GateRecord::default()
    }
}

/// [`HOSTILE`] wherever text comes from files.
pub(super) fn hostile() -> GateRecord {
    let bad = || HOSTILE.to_owned();
    let mut record = gate();
    (record.base, record.head, record.started_at) = (bad(), bad(), bad());
    for scenario in &mut record.scenarios {
        (scenario.name, scenario.path, scenario.failure) = (bad(), bad(), bad());
        (scenario.not_comparable, scenario.wrong, scenario.bundles) =
            (bad(), vec![bad()], vec![bad()]);
    }
    let all = record
        .first
        .contrasts
        .iter_mut()
        .chain(record.second.iter_mut().flat_map(|all| &mut all.contrasts));
    for contrast in all {
        for side in [&mut contrast.base, &mut contrast.other] {
            (side.bundle, side.arm, side.revision) = (bad(), bad(), bad());
        }
        (contrast.not_comparable, contrast.notes, contrast.withheld) =
            (vec![bad()], vec![bad()], vec![bad()]);
        for row in &mut contrast.rows {
            (row.metric, row.why) = (bad(), bad());
        }
    }
    record
}
