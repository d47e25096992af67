//! Invented contrasts for the tests of both forms.

use crate::record::SCHEMA;
use crate::record::contrast::{
    Basis, Contrast, ContrastRow, ContrastUnit, Contrasts, RowVerdict, Side, SideMean,
};
use crate::report::sample::HOSTILE;

fn side(bundle: &str, arm: &str, revision: &str) -> Side {
    Side {
        bundle: bundle.into(),
        arm: arm.into(),
        started_at: "2026-11-03T14:12:00Z".into(),
        revision: revision.into(),
        kvbench_version: "0.1.0".into(),
        grade: "B".into(),
        trials: 8,
    }
}

fn mean(value: f64) -> Option<SideMean> {
    Some(SideMean { value, interval: Some((value * 0.98, value * 1.02)), trials: 8 })
}

fn row(
    metric: &str,
    unit: ContrastUnit,
    base: f64,
    ratio: f64,
    verdict: RowVerdict,
) -> ContrastRow {
    ContrastRow {
        metric: metric.into(),
        unit,
        higher_is_better: unit == ContrastUnit::PerSecond,
        base: mean(base),
        other: mean(base * ratio),
        ratio: Some(ratio),
        interval: Some((ratio * 0.98, ratio * 1.02)),
        p_value: Some(0.0002),
        q_value: Some(0.0008),
        asked_floor: 0.05,
        least: 0.0,
        floor: 0.05,
        verdict,
        why: String::new(),
    }
}

fn rows() -> Vec<ContrastRow> {
    let behind = ContrastRow {
        ratio: None,
        interval: None,
        p_value: None,
        q_value: None,
        other: None,
        why: "B did not keep up with the offered rate in 3 of 8 trials".into(),
        ..row("paced.p99", ContrastUnit::Ns, 1.62e6, 1.0, RowVerdict::Undecided)
    };
    let shown = ContrastRow {
        p_value: None,
        q_value: None,
        why: "shown only: 29 observations beyond it in a trial, 100 are needed to judge it".into(),
        ..row("saturate.p999@50", ContrastUnit::Ns, 4.4e6, 1.3, RowVerdict::Shown)
    };
    vec![
        row("saturate.throughput@50", ContrastUnit::PerSecond, 46_900.0, 0.902, RowVerdict::Worse),
        ContrastRow {
            q_value: Some(0.041),
            floor: 0.064,
            ..row("saturate.p50@50", ContrastUnit::Ns, 1.02e6, 0.91, RowVerdict::Better)
        },
        ContrastRow {
            q_value: Some(0.72),
            why: "more trials would narrow the interval".into(),
            ..row("saturate.p99@50", ContrastUnit::Ns, 1.62e6, 1.04, RowVerdict::Undecided)
        },
        row("saturate.cpu_per_op@50", ContrastUnit::Ns, 19_000.0, 1.002, RowVerdict::NotWorse),
        shown,
        behind,
    ]
}

/// Two sittings, two arms of one run, and two sides that are not comparable.
pub(super) fn contrasts() -> Contrasts {
    let sittings = Contrast {
        base: side("reports/put_parallel-20261103T141200-a1b2c3d", "after", "a1b2c3d"),
        other: side("reports/put_parallel-20261105T090000-b2c3d4e", "after", "b2c3d4e"),
        basis: Basis::Sittings,
        not_comparable: vec![],
        notes: vec!["compiler: rustc 1.95.0 against rustc 1.96.0".into()],
        rows: rows(),
        withheld: vec![
            "saturate.p999@1: 3 observations beyond it in a trial, 10 are needed".into(),
        ],
    };
    let pairs = Contrast {
        other: side("reports/put_parallel-20261103T141200-a1b2c3d", "rung-1", "a1b2c3d"),
        basis: Basis::Pairs,
        notes: vec![],
        rows: rows()[..1].to_vec(),
        withheld: vec![],
        ..sittings.clone()
    };
    let refused = Contrast {
        other: side("reports/elsewhere", "after", "b2c3d4e"),
        not_comparable: vec![
            "scenario: the texts differ from line 12 on".into(),
            "kernel: 6.1.0 against 6.18.5".into(),
        ],
        rows: vec![],
        withheld: vec![],
        ..sittings.clone()
    };
    Contrasts {
        schema: SCHEMA,
        kvbench_version: "0.1.0".into(),
        floor: 0.05,
        forced: false,
        contrasts: vec![sittings, pairs, refused],
    }
}

/// [`HOSTILE`] wherever text comes from files.
pub(super) fn hostile() -> Contrasts {
    let bad = || HOSTILE.to_owned();
    let mut all = contrasts();
    all.forced = true;
    for contrast in &mut all.contrasts {
        for side in [&mut contrast.base, &mut contrast.other] {
            (side.bundle, side.arm, side.started_at) = (bad(), bad(), bad());
            (side.revision, side.kvbench_version) = (bad(), bad());
        }
        (contrast.not_comparable, contrast.notes) = (vec![bad()], vec![bad()]);
        contrast.withheld = vec![bad()];
        for row in &mut contrast.rows {
            (row.metric, row.why) = (bad(), bad());
        }
    }
    all
}
