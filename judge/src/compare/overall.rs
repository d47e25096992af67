//! Ratios of several runs as one figure. Only like goes with like: one measure at one layer with one way of syncing; each
//! scenario gives the first target of that kind, so that one with many targets weighs no more than another.

use super::align;
use super::metric::Metric;
use crate::record::Run;
use crate::stats::{self, Overall};

/// Layers at which nothing is synced.
const WITHOUT_LOG: [&str; 2] = ["store", "apply"];

/// What a ratio is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Measure, as in target files.
    pub measure: String,
    /// Layer of the last arm.
    pub layer: String,
    /// How the last arm syncs; empty where there is no log.
    pub fsync: String,
}

/// The log-ratios that a run gives to one figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Of what.
    pub kind: Kind,
    /// One per pair, never empty.
    pub log_ratios: Vec<f64>,
}

/// What `run` gives: for each measure that a target bounds as a ratio, the pairs of the first such target.
pub fn shares(run: &Run) -> Vec<Share> {
    let Some(after) = run.arms.last() else { return Vec::new() };
    let lever = |name: &str| after.levers.get(name).cloned().unwrap_or_default();
    let mut shares: Vec<Share> = Vec::new();
    let ratios = run.targets.iter().filter(|target| target.arm.is_none() && target.check.is_none());
    for target in ratios {
        let Some(metric) = Metric::parse(&target.metric, run).filter(|metric| metric.op.is_none())
        else {
            continue;
        };
        let path = target.metric.rsplit_once('@').map_or(target.metric.as_str(), |(path, _)| path);
        let word = path.rsplit_once('.');
        let measure = word.map_or("", |(_, measure)| measure).to_owned();
        let layer = lever("layer");
        let has_log = !WITHOUT_LOG.contains(&layer.as_str());
        let fsync = if has_log { lever("fsync") } else { String::new() };
        let kind = Kind { measure, layer, fsync };
        let pairs = align::before_after(run, metric.place);
        let log_ratios = align::log_ratios_of(&pairs, |cell| metric.reading(cell));
        if !log_ratios.is_empty() && shares.iter().all(|share| share.kind != kind) {
            shares.push(Share { kind, log_ratios });
        }
    }
    shares
}

/// One figure for each kind that at least two scenarios have, in order of appearance.
pub fn overall(shares: &[Share]) -> Vec<(Kind, Overall)> {
    let kinds = super::costs::distinct(shares.iter().map(|share| share.kind.clone()));
    let figure = |kind: Kind| {
        let alike = shares.iter().filter(|share| share.kind == kind);
        let logs: Vec<&[f64]> = alike.map(|share| share.log_ratios.as_slice()).collect();
        let overall = stats::overall_ratio(&logs).filter(|overall| overall.scenarios > 1)?;
        Some((kind, overall))
    };
    kinds.filter_map(figure).collect()
}
