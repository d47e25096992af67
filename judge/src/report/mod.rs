//! Three forms of one answer for people: the terminal, Markdown for a pull request, and a self-contained HTML page. And the
//! formats that other programs read.
//!
//! Everything here renders a [`Run`](crate::record::Run) and its [`Comparison`](crate::compare::Comparison). It
//! refuses to compute statistics, to read clocks or files, and to print what was not measured: an absent interval is
//! worded as what it needs, and a run that was cut short, shortened or not synced says so on every form.
//! The same input gives the same bytes.

mod chart;
pub mod contrast;
pub mod formats;
pub mod gate;
mod glossary;
pub mod history;
pub mod html;
pub mod markdown;
mod markup;
mod open_loop;
mod ops;
mod path;
pub mod profiles;
#[cfg(test)]
mod sample;
mod scaling;
pub mod scoreboard;
mod story;
pub mod terminal;
pub mod verification;
mod view;
mod watch;
pub mod words;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare;
    use crate::record::{BlockHost, Disturbance, HostSpan, Run, Voided, Warning};

    fn all_forms(run: &Run) -> [String; 3] {
        let cmp = compare(run);
        let style = terminal::Style { color: false, width: 100 };
        [
            terminal::render(run, &cmp, style),
            markdown::render(run, &cmp),
            html::render(run, &cmp, &[]),
        ]
    }

    #[test]
    fn what_compare_computes_can_be_rendered() {
        let (run, _) = sample::sample();
        for text in all_forms(&run) {
            assert!(text.contains("18.") && text.contains("▲"), "{text}");
            assert_eq!(text.matches("NaN").count() + text.matches("inf ").count(), 0);
        }
    }

    #[test]
    fn the_sample_is_good_by_the_published_schema() {
        let schema = serde_json::from_str(&crate::record::schema::json()).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        for run in [sample::sample().0, sample::hostile().0, sample::empty().0] {
            let record = serde_json::from_slice(&run.to_json().unwrap()).unwrap();
            schema.validate(&record).unwrap();
        }
    }

    #[test]
    fn a_run_cut_short_within_its_first_block_claims_nothing() {
        let (mut run, _) = sample::sample();
        run.complete = false;
        run.trials.retain(|trial| trial.block == 0 && trial.arm == "after" && !trial.aa);
        assert_eq!(run.trials.len(), 1);
        for text in all_forms(&run) {
            assert!(text.contains("nothing can be compared"), "{text}");
            assert!(text.contains("INCOMPLETE") && !text.contains("times faster"), "{text}");
        }
    }

    #[test]
    fn an_invalid_cell_is_no_number_in_any_form() {
        let (mut run, _) = sample::sample();
        assert!(all_forms(&run).iter().all(|text| text.contains("times faster than before")));
        let (arm, cell) = ("before".to_owned(), "saturate@50".to_owned());
        run.warnings.push(Warning::LoadGeneratorBusy { arm, cell, share: 0.9 });
        for text in all_forms(&run) {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains("invalid: generator"), "{text}");
            assert!(text.contains("othing can be said about after and before"), "{text}");
            assert!(text.contains("no numbers of before and after"), "{text}");
            for number in ["18.2×", "18.3×", "18.4×", "times faster"] {
                assert!(!text.contains(number), "{number}: {text}");
            }
        }
    }

    #[test]
    fn every_form_tells_which_blocks_were_measured_again_and_which_are_disturbed() {
        let (mut run, _) = sample::sample();
        let host = |block, attempt, cores: f64| BlockHost {
            block,
            attempt,
            host: HostSpan {
                elapsed_s: 9.5,
                foreign_cores: Some(cores),
                probes_ns: vec![120_000, 180_000],
                ..HostSpan::default()
            },
            log_sync_ns: Some(2e5),
            disturbed: (cores > 0.2)
                .then_some(Disturbance::Cpu { cores, limit: 0.2 })
                .into_iter()
                .collect(),
        };
        run.blocks = (0..12).map(|n| host(n, 1, if n == 3 { 0.7 } else { 0.01 })).collect();
        let voided = host(5, 1, 0.9);
        let reason = voided.disturbed[0].to_string();
        let trials = run.trials[..4].to_vec();
        run.voided = vec![Voided { block: 5, reason: reason.clone(), host: Some(voided), trials }];
        let repeated = Warning::BlocksRepeated { blocks: 1, of: 12, repeats: 1, reason };
        let kept = Warning::BlocksDisturbed { blocks: 1, of: 12, asked: false, reason: "x".into() };
        run.warnings = vec![repeated, kept];
        for text in all_forms(&run) {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('\\', "");
            for wanted in [
                "DISTURBED HOST: others used the machine, or its disk changed pace, in 1 of 12 blocks",
                "DISTURBED: 1 of 12 after measuring again (1 in all)",
                "1 of 12 blocks were measured again, since the host was disturbed: others had 0.90 cores (limit 0.20)",
                "1 of 12 blocks were disturbed at the last try (measuring again was used up): x",
                "other programs on at most 0.70 cores",
                "0.120 ms to 0.180 ms without load, at most 1.50× apart",
            ] {
                assert!(text.contains(wanted), "{wanted}: {text}");
            }
        }
        let page = html::render(&run, &compare(&run), &[]);
        assert!(page.contains("measured again</td>") && page.contains("counts, though disturbed"));
    }
}
