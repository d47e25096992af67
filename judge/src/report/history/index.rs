//! All bundles of a folder on one page: when, what, which revision, and the verdict in a sentence, with a link to each report.

use super::{minute, revision};
use crate::compare::{Comparison, Outcome};
use crate::record::Run;
use crate::report::html;
use crate::report::markup::{address, text};
use crate::report::words::count;
use crate::report::{profiles, story};

/// A folder of bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Its bundles, in any order.
    pub entries: Vec<Entry>,
    /// Names of the folders whose record cannot be read, each with why.
    pub unreadable: Vec<(String, String)>,
}

/// One bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    bundle: String,
    has_report: bool,
    started_at: String,
    scenario: String,
    workload: String,
    revision: String,
    stamps: Vec<String>,
    outcome: &'static str,
    class: &'static str,
    sentence: String,
}

impl Entry {
    /// Of a run whose bundle is a folder of that name beside the page.
    pub fn of(run: &Run, cmp: &Comparison, bundle: String, has_report: bool) -> Entry {
        let is_profile = profiles::is_all_there_is(run);
        let dirty = run.build.details.tree == "dirty";
        let (outcome, sentence) = match is_profile {
            true => ("Profile", profiles::NOT_MEASURED.to_owned()),
            false => (story::outcome(cmp.outcome), html::capital(&story::conclusion(run, cmp))),
        };
        Entry {
            bundle,
            has_report,
            started_at: run.started_at.clone(),
            scenario: run.scenario.name.clone(),
            workload: run.scenario.workload.clone(),
            revision: revision(&run.build.revision, Some(dirty)),
            stamps: story::stamps(run),
            outcome,
            class: class(cmp.outcome, is_profile),
            sentence,
        }
    }
}

fn class(outcome: Outcome, is_profile: bool) -> &'static str {
    match outcome {
        _ if is_profile => "open",
        Outcome::Met => "met",
        Outcome::Missed | Outcome::WrongAnswer => "missed",
        Outcome::Inconclusive | Outcome::NoTarget => "open",
    }
}

/// The whole page, the newest run first.
pub fn render(index: &Index) -> String {
    let mut entries: Vec<&Entry> = index.entries.iter().collect();
    entries.sort_by(|a, b| (&b.started_at, &a.bundle).cmp(&(&a.started_at, &b.bundle)));
    let mut out = String::with_capacity(1 << 15);
    html::begin(&mut out, "runs");
    let n = count(entries.len(), "run", "runs");
    out.push_str("<header>\n<p class=\"kicker\">kvbench</p>\n<h1>Runs</h1>\n");
    out.push_str(&format!("<p class=\"lead\">{n}, the newest first.</p>\n</header>\n"));
    if !entries.is_empty() {
        table(&mut out, &entries);
    }
    unreadable(&mut out, &index.unreadable);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn table(out: &mut String, entries: &[&Entry]) {
    out.push_str("<section id=\"runs\">\n<div class=\"scroll\"><table>\n<thead><tr>");
    for head in ["start, UTC", "scenario", "revision", "verdict", "in a sentence"] {
        out.push_str(&format!("<th scope=\"col\">{head}</th>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for entry in entries {
        row(out, entry);
    }
    out.push_str("</tbody></table></div>\n</section>\n");
}

fn row(out: &mut String, entry: &Entry) {
    let name = match entry.has_report {
        true => format!(
            "<a href=\"{}\">{}</a>",
            address(&format!("{}/report.html", entry.bundle)),
            text(&entry.scenario)
        ),
        false => text(&entry.scenario),
    };
    let mut sentence = text(&entry.sentence);
    for stamp in &entry.stamps {
        sentence.push_str(&format!("<br><b>{}</b>", text(stamp)));
    }
    out.push_str(&format!(
        "<tr><th scope=\"row\">{}</th><td class=\"wide\">{name}<br><span class=\"question\">{}</span></td><td>{}</td>\
         <td><span class=\"badge {}\">{}</span></td><td class=\"wide\">{sentence}</td></tr>\n",
        text(&minute(&entry.started_at)),
        text(&entry.workload),
        text(&entry.revision),
        entry.class,
        text(&verdict(entry.outcome))
    ));
}

/// The outcome up to its explanation.
fn verdict(outcome: &str) -> String {
    outcome.split(':').next().unwrap_or(outcome).to_owned()
}

fn unreadable(out: &mut String, folders: &[(String, String)]) {
    if folders.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Not readable</h2>\n<ul>\n");
    for (folder, why) in folders {
        out.push_str(&format!("<li>{}: {}</li>\n", text(folder), text(why)));
    }
    out.push_str("</ul>\n</section>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn entry((run, cmp): (Run, Comparison), started_at: &str, bundle: &str) -> Entry {
        let run = Run { started_at: started_at.to_owned(), ..run };
        Entry::of(&run, &cmp, bundle.to_owned(), true)
    }

    #[test]
    fn the_newest_comes_first_and_links_lead_to_reports() {
        let index = Index {
            entries: vec![
                entry(sample::sample(), "2026-11-01T00:00:00Z", "old"),
                entry(sample::empty(), "2026-11-03T00:00:00Z", "new x"),
                Entry {
                    has_report: false,
                    ..entry(sample::short(), "2026-11-02T00:00:00Z", "mid")
                },
            ],
            unreadable: vec![("half".into(), "half/result.json: no such file".into())],
        };
        let page = render(&index);
        let at = |wanted: &str| page.find(wanted).unwrap_or_else(|| panic!("{wanted}: {page}"));
        assert!(at("2026-11-03 00:00") < at("2026-11-02 00:00"));
        assert!(at("href=\"new%20x/report.html\"") < at("href=\"old/report.html\""));
        assert!(!page.contains("mid/report.html"));
        for wanted in
            ["3 runs", "All targets met", "times faster than", "INCOMPLETE", "half: half/"]
        {
            at(wanted);
        }
        for outside in ["http:", "https:", "url(", "@import", "<script", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("default-src 'none'"));
        assert!(render(&Index::default()).contains("0 runs"));
    }

    #[test]
    fn text_stays_text() {
        let bad = sample::HOSTILE;
        let index = Index {
            entries: vec![entry(sample::hostile(), bad, &format!("javascript:{bad}"))],
            unreadable: vec![(bad.into(), bad.into())],
        };
        let page = render(&index);
        for raw in ["<script>alert", "\u{1b}", "\u{202e}", "]]>$", "\u{7}", "javascript:"] {
            assert!(!page.contains(raw), "{raw:?}");
        }
    }
}
