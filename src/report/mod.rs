//! Three forms of one answer: the terminal, Markdown for a pull request, and a self-contained HTML page.
//!
//! Everything here renders a [`Run`](crate::record::Run) and its [`Comparison`](crate::compare::Comparison). It
//! refuses to compute statistics, to read clocks or files, and to print what was not measured: an absent interval is
//! worded as what it needs, and a run that was cut short, shortened or not synced says so on every form.
//! The same input gives the same bytes.

mod chart;
mod glossary;
pub mod html;
pub mod markdown;
mod markup;
mod open_loop;
mod ops;
#[cfg(test)]
mod sample;
mod scaling;
mod story;
pub mod terminal;
mod view;
mod watch;
pub mod words;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare;
    use crate::record::Run;

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
}
