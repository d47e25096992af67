//! The record of an invented sitting: everything that the judge does not look at is left as empty as a reader allows.

use super::{AFTER, BEFORE, World};
use kvbench::record::{Cell, Run, SCHEMA, Target, Trial};
use serde_json::json;

/// Where the throughput is measured.
const PHASE: &str = "saturate";
const CLIENTS: u32 = 50;

/// A record without trials, and a trial without a throughput.
pub(crate) struct Blank {
    run: Run,
    trial: Trial,
}

impl Blank {
    /// For the plan of `world`, with a target for each of these bounds on the ratio of throughputs.
    pub(crate) fn of(world: &World, bounds: &[&str]) -> Blank {
        let mut run = empty_run();
        (run.plan.pairs_min, run.plan.pairs_max) = world.pairs;
        run.plan.precision = world.precision;
        let target = |bound: &&str| Target {
            id: (*bound).to_owned(),
            metric: format!("{PHASE}.throughput@{CLIENTS}"),
            bound: (*bound).to_owned(),
            claim: String::new(),
            arm: None,
            check: None,
        };
        run.targets = bounds.iter().map(target).collect();
        Blank { run, trial: trial(vec![cell(PHASE, CLIENTS, 1.0)]) }
    }

    pub(crate) fn run(&self) -> Run {
        self.run.clone()
    }

    pub(crate) fn trial(
        &self,
        block: u32,
        position: u32,
        arm: &str,
        aa: bool,
        throughput_per_s: f64,
    ) -> Trial {
        let mut trial = Trial { block, arm: arm.to_owned(), aa, ..self.trial.clone() };
        trial.cells[0].position = position;
        trial.cells[0].throughput_per_s = throughput_per_s;
        trial
    }
}

/// A trial with a throughput at each of these client counts.
pub(crate) fn sweep(block: u32, arm: &str, measured: &[(u32, f64)]) -> Trial {
    let cells = measured.iter().map(|(clients, per_s)| cell(PHASE, *clients, *per_s)).collect();
    Trial { block, arm: arm.to_owned(), ..trial(cells) }
}

/// A record of two arms. It is read as a reader reads one, so what later versions add takes its default.
fn empty_run() -> Run {
    let arm = |name| json!({ "name": name, "lever": "", "levers": {} });
    let run = json!({
        "schema": SCHEMA,
        "kvbench_version": "",
        "started_at": "",
        "elapsed_s": 0.0,
        "complete": true,
        "quick": false,
        "scenario": {
            "name": "", "analysis": "", "path": "", "text": "", "workload": "", "seed": 0
        },
        "host": {
            "cpu": "", "cores": 2, "hypervisor": "", "kernel": "", "memory_bytes": 0, "governor": "", "clocksource": "",
            "filesystem": "", "data_folder": "", "fdatasync_p50_ns": 0, "fdatasync_p99_ns": 0, "load_average": 0.0
        },
        "build": { "revision": "", "profile": "", "rustc": "" },
        "arms": [arm(BEFORE), arm(AFTER)],
        "targets": [],
        "plan": { "pairs_min": 8, "pairs_max": 20, "precision": 0.1, "precision_required": false },
        "trials": [],
        "checks": [],
        "profiles": [],
        "warnings": [],
    });
    serde_json::from_value(run).expect("it is a record")
}

fn trial(cells: Vec<Cell>) -> Trial {
    let trial = json!({
        "block": 0,
        "arm": "",
        "aa": false,
        "started_s": 0.0,
        "prepare_s": 0.0,
        "cells": [],
        "end": {
            "revision": 0, "keys": 0, "state_hash": "", "writes_acked": 0, "changes_acked": 0, "replayed": null
        },
    });
    let trial: Trial = serde_json::from_value(trial).expect("it is a trial");
    Trial { cells, ..trial }
}

/// One second at one client count.
fn cell(phase: &str, clients: u32, throughput_per_s: f64) -> Cell {
    let cell = json!({
        "phase": phase,
        "clients": clients,
        "position": 0,
        "started_s": 0.0,
        "elapsed_s": 1.0,
        "ops": 1000,
        "errors": 0,
        "throughput_per_s": throughput_per_s,
        "service": {
            "count": 1000, "mean_ns": 1.0, "p50_ns": 1, "p90_ns": 1, "p99_ns": 1, "p999_ns": 1, "max_ns": 1,
            "histogram": ""
        },
        "in_flight_mean": f64::from(clients),
        "stages": [],
        "counters": {
            "fsyncs": 0, "fsync_ns": 0, "readies": 0, "entries": 0, "requests": 0, "apply_batches": 0, "log_bytes": 0
        },
        "locks": [],
        "cpu": [],
        "load_threads": 1,
    });
    serde_json::from_value(cell).expect("it is a cell")
}
