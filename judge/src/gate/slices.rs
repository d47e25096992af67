//! Runs of programs that shared one CPU by slices: what each took from the others is nobody else's.

use crate::record::{Run, Warning};

/// Takes out of what a run saw of its host what `sharers` programs by turns took of one CPU, itself among them: to each, the others are
/// foreign, and have all of it but its own share. What others did met all of them alike, so it disturbed no comparison.
pub fn without_sharers(run: &mut Run, sharers: u32) {
    let theirs = f64::from(sharers.saturating_sub(1)) / f64::from(sharers.max(1));
    let less = |cores: &mut Option<f64>| *cores = cores.map(|cores| (cores - theirs).max(0.0));
    for block in &mut run.blocks {
        less(&mut block.host.foreign_cores);
        block.disturbed.clear();
    }
    for cell in run.trials.iter_mut().flat_map(|trial| &mut trial.cells) {
        cell.host.iter_mut().for_each(|host| less(&mut host.foreign_cores));
    }
    let is_of_others =
        |warning: &Warning| matches!(warning, Warning::Disturbed { .. } | Warning::BusyHost { .. });
    run.warnings.retain(|warning| !is_of_others(warning));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::tests;
    use crate::record::{BlockHost, Disturbance, HostSpan, HostUse};

    #[test]
    fn what_the_others_had_is_not_foreign() {
        let mut run = tests::empty(&["after"]);
        run.trials.push(tests::trial(0, "after", 100.0));
        let seen = HostUse { foreign_cores: Some(0.7), ..HostUse::default() };
        run.trials[0].cells[0].host = Some(seen);
        let disturbed = |cores| BlockHost {
            block: 0,
            attempt: 1,
            host: HostSpan { foreign_cores: Some(cores), ..HostSpan::default() },
            log_sync_ns: None,
            disturbed: vec![Disturbance::Cpu { cores, limit: 0.1 }],
        };
        run.blocks = vec![disturbed(0.7), disturbed(0.9)];
        without_sharers(&mut run, 3);
        let close = |cores: Option<f64>, wanted: f64| (cores.unwrap() - wanted).abs() < 1e-9;
        assert!(close(run.trials[0].cells[0].host.unwrap().foreign_cores, 0.7 - 2.0 / 3.0));
        assert!(close(run.blocks[1].host.foreign_cores, 0.9 - 2.0 / 3.0));
        assert!(run.blocks.iter().all(|block| block.disturbed.is_empty()), "{:?}", run.blocks);
        without_sharers(&mut run, 3);
        assert!(close(run.blocks[0].host.foreign_cores, 0.0));
    }
}
