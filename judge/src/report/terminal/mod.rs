//! The first screen, for people at a terminal: verdict last, where the eye rests.
//!
//! Never wider than asked (at most 100 columns); a table that does not fit takes a narrower form. Colour repeats what a
//! mark already says, so nothing is lost without it. It prints to nobody: the caller writes the text and the exit word.

mod grid;
mod page;
mod tables;

use crate::compare::{Comparison, TargetVerdict};
use crate::record::Run;
use crate::report::view::{self, Headline};
use crate::report::words;
use crate::report::{path, profiles, story, words::NOTHING};
pub(super) use grid::Grid;
pub(super) use page::Page;

/// How the text may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether ANSI colours are welcome.
    pub color: bool,
    /// Columns to use; taken as 60 if fewer, as 100 if more.
    pub width: usize,
}

/// The whole answer as text, with a line end after each line.
pub fn render(run: &Run, cmp: &Comparison, style: Style) -> String {
    let mut page = Page::new(style);
    if profiles::is_all_there_is(run) {
        page.title(&format!("profile of {}", run.scenario.name));
        page.prose(profiles::NOT_MEASURED);
        profiles::lines(run).iter().for_each(|text| page.prose(text));
        return page.finish();
    }
    header(&mut page, run, cmp);
    for table in cmp.phases.iter().filter(|table| !view::is_open(table)) {
        tables::throughput(&mut page, run, table);
        tables::scaling(&mut page, run, table);
    }
    for ladder in &cmp.ladders {
        tables::gain(&mut page, run, cmp, ladder);
    }
    tables::open_loop(&mut page, run, cmp);
    tables::highest_rates(&mut page, run, cmp);
    tables::watchers(&mut page, run, cmp);
    if let Some(headline) = view::headline(cmp) {
        match story::withheld(&headline) {
            Some(why) => page.item("WITHHELD", &why),
            None => of_headline(&mut page, &headline),
        }
    }
    for sentence in profiles::lock_sentences(run) {
        page.item("LOCKS", &sentence);
    }
    checks(&mut page, run);
    if let Some(load) = story::load(run, cmp) {
        page.item("LOAD", &load);
    }
    if let Some(steadiness) = story::steadiness(cmp) {
        page.item("STEADY", &steadiness);
    }
    if let Some(host) = story::blocks(run) {
        page.item("BLOCKS", &host);
    }
    warnings(&mut page, run);
    verdicts(&mut page, run, cmp);
    page.finish()
}

fn header(page: &mut Page, run: &Run, cmp: &Comparison) {
    for stamp in story::stamps(run) {
        page.stamp(&stamp);
    }
    page.title(&format!("{} · {}", run.scenario.name, run.scenario.workload));
    arms(page, run);
    page.item("host", &story::host(run));
    if let Some(agents) = story::agents(run) {
        page.item("agents", &agents);
    }
    page.item("build", &story::build(run));
    page.item("grade", &story::grade(run));
    page.item("plan", &story::plan(run));
    for sharing in story::sharing(run) {
        page.item("workers", &sharing);
    }
    if let Some(ceiling) = cmp.ladders.first().and_then(story::ceiling) {
        page.item("ceiling", &ceiling);
    }
}

/// The levers in which the first and the last arm differ.
fn arms(page: &mut Page, run: &Run) {
    let (Some(first), Some(last)) = (run.arms.first(), run.arms.last()) else { return };
    let levers = view::differing_levers(first, last);
    if levers.is_empty() {
        return page.item("levers", "the same in both arms");
    }
    let of = |pick: fn(&(&str, &str, &str)) -> String| {
        // Systems of different layers have different levers; each is told by its own.
        let own = levers.iter().filter(|lever| pick(lever) != view::NOT_SET);
        own.map(|lever| format!("{} {}", lever.0, pick(lever))).collect::<Vec<_>>().join(" · ")
    };
    page.item(&first.name, &of(|lever| lever.1.to_string()));
    page.item(&last.name, &of(|lever| lever.2.to_string()));
}

fn of_headline(page: &mut Page, headline: &Headline<'_>) {
    tables::by_op(page, headline);
    tables::stages(page, headline);
    for sentence in path::sentences(headline) {
        page.item("PATH", &sentence);
    }
    tables::costs(page, headline);
    latency(page, headline);
}

/// Service times at the headline, labelled so that nobody takes them for open-loop latency.
fn latency(page: &mut Page, headline: &Headline<'_>) {
    if headline.row.open.is_some() {
        return;
    }
    let at = view::load(headline.row);
    page.heading("LATENCY", &format!("service time, closed loop, {at}"));
    let (before, after) = (&headline.before.costs, &headline.after.costs);
    let time = |ns: Option<f64>| ns.map_or(NOTHING.to_string(), words::millis);
    page.prose(&format!("p50 {} → {}", words::millis(before.p50_ns), words::millis(after.p50_ns)));
    page.prose(&match (before.p99_ns, after.p99_ns) {
        (None, None) => {
            "p99 withheld: a trial had fewer than 10 observations beyond it".to_string()
        }
        (b, a) => format!("p99 {} → {}", time(b), time(a)),
    });
    page.blank();
}

fn checks(page: &mut Page, run: &Run) {
    if run.checks.is_empty() {
        return page.item("CHECKS", "none ran");
    }
    for (place, check) in run.checks.iter().enumerate() {
        let label = if place == 0 { "CHECKS" } else { "" };
        let mark = check.mark();
        page.item(label, &format!("{mark} {}: {}", check.id, check.detail));
    }
}

fn warnings(page: &mut Page, run: &Run) {
    for (place, warning) in run.warnings.iter().enumerate() {
        let label = if place == 0 { "WARNING" } else { "" };
        page.item(label, &format!("! {}", story::warning(warning)));
    }
}

fn verdicts(page: &mut Page, run: &Run, cmp: &Comparison) {
    page.blank();
    for verdict in &cmp.verdicts {
        verdict_lines(page, verdict);
    }
    if cmp.verdicts.is_empty() {
        page.prose_at(1, "no target set");
    }
    for ladder in &cmp.ladders {
        if let Some((arm, estimate)) = &ladder.simpler_is_faster {
            page.prose_at(
                1,
                &format!("! simpler is faster: {}", story::simpler(run, ladder, arm, estimate)),
            );
        }
    }
    page.blank();
    page.prose_at(1, &story::conclusion(run, cmp));
}

fn verdict_lines(page: &mut Page, verdict: &TargetVerdict) {
    let target = &verdict.target;
    let mark = story::verdict_mark(verdict.verdict);
    let asked = story::asked(target);
    page.verdict(mark, &target.id, &format!("{} · {asked}", story::evidence(verdict)));
    if !target.claim.is_empty() {
        page.verdict(" ", "", &format!("claim: {}", target.claim));
    }
    if !verdict.reason.is_empty() {
        page.verdict(" ", "", &verdict.reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::AgentHost;
    use crate::report::sample;

    const PLAIN: Style = Style { color: false, width: 100 };

    fn check_width(width: usize) {
        for (run, cmp) in [sample::sample(), sample::short(), sample::empty(), sample::hostile()] {
            let text = render(&run, &cmp, Style { color: false, width });
            for line in text.lines() {
                assert!(
                    line.chars().count() <= width,
                    "{} > {width}: {line}",
                    line.chars().count()
                );
                assert_eq!(line.trim_end(), line);
            }
        }
    }

    #[test]
    fn lines_fit() {
        check_width(60);
        check_width(72);
        check_width(80);
        check_width(100);
    }

    #[test]
    fn looks_as_agreed() {
        let (run, cmp) = sample::sample();
        sample::check_golden("terminal.txt", &render(&run, &cmp, PLAIN));
        let (run, cmp) = sample::short();
        sample::check_golden(
            "terminal-short-80.txt",
            &render(&run, &cmp, Style { width: 80, ..PLAIN }),
        );
    }

    #[test]
    fn colour_only_when_asked() {
        let (run, cmp) = sample::sample();
        let colored = render(&run, &cmp, Style { color: true, ..PLAIN });
        assert!(colored.contains("\u{1b}["));
        assert!(!render(&run, &cmp, PLAIN).contains('\u{1b}'));
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let (run, cmp) = sample::hostile();
        let text = render(&run, &cmp, PLAIN);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(!text.contains('\u{202e}'));
    }

    #[test]
    fn an_empty_run_says_so() {
        let (run, cmp) = sample::empty();
        let text = render(&run, &cmp, PLAIN);
        assert!(text.contains("INCOMPLETE: interrupted; only finished trials are below"));
        assert!(text.contains("nothing was measured"));
    }

    #[test]
    fn what_is_missing_is_worded() {
        let (run, cmp) = sample::short();
        let text = render(&run, &cmp, PLAIN);
        for wanted in
            ["QUICK", "FSYNC NOT REAL: after", "needs 6 pairs", "needs 6 A/A", "p99 withheld"]
        {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
    }

    #[test]
    fn agents_are_named_with_how_well_they_kept_step() {
        let (mut run, cmp) = sample::sample();
        assert!(!render(&run, &cmp, PLAIN).contains("agent"));
        let (address, host, kernel) = ("10.0.0.7:2390".into(), "load-1".into(), "6.1".into());
        run.agents = vec![AgentHost { address, host, cores: 8, kernel }];
        run.trials[0].cells[0].agents = vec![sample::an_agent()];
        let text = render(&run, &cmp, PLAIN).split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = "agents load from 1 agent: 10.0.0.7:2390 (load-1, 8 cores) · clocks known to ± 0.0400 ms, \
                      began at most 0.120 ms late";
        assert!(text.contains(wanted), "{text}");
    }
}
