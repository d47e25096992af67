//! The page: one file that needs no network and no script, and that prints.
//!
//! All text from files enters through `markup`; the page has no script of its own, no link that leaves the bundle and
//! no date of its own. Flame graphs keep their search and zoom inside sandboxed frames (see `flames`). Raw trials are
//! listed, histograms are not: those stay in the run file.

mod appendix;
mod by_op;
mod curves;
mod flames;
mod locks;
mod open_loop;
mod policy;
mod scaling;
mod sections;
mod table;
mod watch;

use crate::compare::Comparison;
use crate::record::Run;
use crate::report::markup::text;
use crate::report::profiles;
use crate::report::story;
use crate::report::view;
pub(in crate::report) use appendix::some_words;
pub use flames::{Flame, Flames};
pub(in crate::report) use table::Table;

/// The look of every page.
pub(super) const CSS: &str = include_str!("style.css");

/// The whole page.
pub fn render(run: &Run, cmp: &Comparison, flames: &Flames) -> String {
    let frames = flames::frames(flames);
    let mut out = String::with_capacity(1 << 17);
    head(&mut out, &run.scenario.name, &policy::meta(&frames));
    if profiles::is_all_there_is(run) {
        profiled(&mut out, run);
    } else {
        verdict(&mut out, run, cmp);
        measured(&mut out, run, cmp);
    }
    locks::section(&mut out, run);
    flames::section(&mut out, run, flames, &frames);
    if !profiles::is_all_there_is(run) {
        sections::checks(&mut out, run, cmp);
    }
    sections::warnings(&mut out, run);
    appendix::environment(&mut out, run);
    appendix::arms(&mut out, run);
    appendix::scenario(&mut out, run);
    appendix::trials(&mut out, run);
    appendix::blocks(&mut out, run);
    appendix::glossary(&mut out);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// What was measured, and what follows from it.
fn measured(out: &mut String, run: &Run, cmp: &Comparison) {
    sections::targets(out, run, cmp);
    sections::throughput(out, run, cmp);
    scaling::section(out, run, cmp);
    open_loop::section(out, run, cmp);
    watch::section(out, run, cmp);
    by_op::section(out, run, cmp);
    if let Some(headline) = view::headline(cmp) {
        let withheld = story::withheld(&headline);
        match &withheld {
            Some(why) => sections::paragraph(out, why),
            None => {
                sections::pairs(out, run, &headline);
                curves::over_time(out, run, &headline);
            }
        }
        sections::ladders(out, run, cmp);
        if withheld.is_none() {
            sections::stages(out, run, &headline);
            sections::costs(out, run, &headline);
        }
        sections::latency(out, run, cmp);
        if withheld.is_none() {
            curves::percentiles(out, run, &headline);
        }
    }
}

/// Everything before the content of a page without flame graphs.
pub(super) fn begin(out: &mut String, title: &str) {
    head(out, title, &policy::meta(&[]));
}

fn head(out: &mut String, title: &str, policy: &str) {
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str(policy);
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    out.push_str("<meta name=\"referrer\" content=\"no-referrer\">\n");
    out.push_str(&format!("<title>{} · kvbench</title>\n", text(title)));
    out.push_str(&format!("<style>\n{CSS}</style>\n</head>\n<body>\n<main>\n"));
}

/// What a reader in a hurry sees: stamps, the outcome, one sentence.
fn verdict(out: &mut String, run: &Run, cmp: &Comparison) {
    let scenario = &run.scenario;
    out.push_str("<header>\n");
    out.push_str(&format!(
        "<p class=\"kicker\">kvbench · {} · {}</p>\n",
        text(&scenario.name),
        text(&scenario.workload)
    ));
    for stamp in story::stamps(run) {
        out.push_str(&format!("<p class=\"stamp\">{}</p>\n", text(&stamp)));
    }
    let class = sections::outcome_class(cmp.outcome);
    out.push_str(&format!("<h1 class=\"{class}\">{}</h1>\n", text(story::outcome(cmp.outcome))));
    out.push_str(&format!(
        "<p class=\"lead\">{}</p>\n",
        text(&capital(&story::conclusion(run, cmp)))
    ));
    if !scenario.analysis.is_empty() {
        out.push_str(&format!("<p class=\"question\">{}</p>\n", text(&scenario.analysis)));
    }
    out.push_str("</header>\n");
}

/// The same of a record that holds profiles alone.
fn profiled(out: &mut String, run: &Run) {
    let scenario = &run.scenario;
    out.push_str("<header>\n");
    out.push_str(&format!("<p class=\"kicker\">kvbench · {}</p>\n", text(&scenario.workload)));
    out.push_str(&format!("<h1>Profile of {}</h1>\n", text(&scenario.name)));
    out.push_str(&format!("<p class=\"lead\">{}</p>\n", profiles::NOT_MEASURED));
    for line in profiles::cpu_lines(run) {
        sections::paragraph(out, &line);
    }
    out.push_str("</header>\n");
}

pub(super) fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn flame() -> Flame {
        let svg = "<?xml version=\"1.0\"?>\n<svg width=\"1200\" height=\"300\" onload=\"init(evt)\" \
                   xmlns=\"http://www.w3.org/2000/svg\"><script type=\"text/ecmascript\"><![CDATA[\n\
                   function init(evt) {}\n]]></script><g id=\"frames\"/></svg>";
        let words = |word: &str| word.to_string();
        Flame {
            title: words("on-CPU, before"),
            svg: words(svg),
            note: words("3 000 samples"),
            file: words("flame-before.svg"),
        }
    }

    #[test]
    fn the_page_carries_every_section() {
        let (run, cmp) = sample::sample();
        let page = render(&run, &cmp, &[flame()]);
        for id in [
            "targets",
            "throughput",
            "operations",
            "watchers",
            "pairs",
            "gain",
            "stages",
            "costs",
            "latency",
            "flames",
            "checks",
            "warnings",
            "environment",
            "arms",
            "scenario",
            "trials",
            "words",
        ] {
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
        assert!(page.len() < 1 << 20, "{}", page.len());
        assert_eq!(page, render(&run, &cmp, &[flame()]));
    }

    #[test]
    fn text_stays_text() {
        let (run, cmp) = sample::hostile();
        let bad = || sample::HOSTILE.to_string();
        let flame = Flame { title: bad(), note: bad(), file: bad(), ..flame() };
        let page = render(&run, &cmp, &[flame]);
        for raw in ["<script>alert", "\u{1b}", "\u{202e}", "]]>$", "\u{7}"] {
            assert!(!page.contains(raw), "{raw:?}");
        }
    }

    #[test]
    fn nothing_leaves_the_page() {
        let (run, cmp) = sample::sample();
        let page = render(&run, &cmp, &[]);
        assert!(page.contains("default-src 'none'") && !page.contains("script-src"));
        for outside in ["http:", "https:", "url(", "@import", "<script", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn an_empty_run_says_so() {
        let (run, cmp) = sample::empty();
        let page = render(&run, &cmp, &[]);
        assert!(page.contains("INCOMPLETE: interrupted; only finished trials are below"));
        assert!(page.contains("Nothing was measured"));
    }

    #[test]
    fn what_is_missing_is_worded() {
        let (run, cmp) = sample::short();
        let page = render(&run, &cmp, &[]);
        for wanted in ["QUICK", "FSYNC NOT REAL", "needs 6 pairs", "needs 6 A/A", "withheld"] {
            assert!(page.contains(wanted), "{wanted}");
        }
    }

    /// Writes the pages to look at: `KVBENCH_LOOK=folder [KVBENCH_LOOK_FLAME=file.svg]`.
    #[test]
    fn pages_to_look_at() {
        let Some(folder) = std::env::var_os("KVBENCH_LOOK").map(std::path::PathBuf::from) else {
            return;
        };
        let mut flame = flame();
        if let Some(file) = std::env::var_os("KVBENCH_LOOK_FLAME") {
            flame.svg = std::fs::read_to_string(file).unwrap();
        }
        let after = Flame {
            title: "on-CPU, after".into(),
            file: "flame-after.svg".into(),
            ..flame.clone()
        };
        for (name, (run, cmp)) in [
            ("page", sample::sample()),
            ("short", sample::short()),
            ("empty", sample::empty()),
            ("hostile", sample::hostile()),
        ] {
            std::fs::write(
                folder.join(name).with_extension("html"),
                render(&run, &cmp, &[flame.clone(), after.clone()]),
            )
            .unwrap();
        }
    }
}
