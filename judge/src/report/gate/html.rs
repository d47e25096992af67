//! A gate as a page: no script, and no link but those to the raw trials beside it.

use super::{
    change, conclusion, interval, mark, problems, remarks, rows_of, sides, sitting, verdict, word,
};
use crate::gate::{self, GateOutcome, GateRow, GateVerdict};
use crate::record::gate::GateRecord;
use crate::report::chart::change::{Change, changes};
use crate::report::contrast::{mean, q_value};
use crate::report::html::{self, Table};
use crate::report::markup::{address, text};

/// The whole page.
pub fn render(record: &GateRecord) -> String {
    let mut out = String::with_capacity(1 << 15);
    head(&mut out, record);
    for contrast in &record.first.contrasts {
        let rows = rows_of(record, contrast);
        out.push_str(&format!("<section>\n<h2>{}</h2>\n", text(&contrast.base.bundle)));
        for reason in &contrast.not_comparable {
            out.push_str(&format!("<p class=\"stamp\">NOT COMPARABLE: {}</p>\n", text(reason)));
        }
        if !rows.is_empty() {
            let drawn: Vec<Change> = rows.iter().filter_map(drawn).collect();
            out.push_str(&changes(&drawn));
            table(&mut out, &rows);
        }
        list(&mut out, remarks(record, contrast).iter());
        out.push_str("</section>\n");
    }
    trials(&mut out, record);
    out.push_str(&format!(
        "<section>\n<h2>Method</h2>\n<p>{}</p>\n</section>\n",
        text(&sitting(record))
    ));
    html::some_words(&mut out, &["ratio", "interval"]);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn head(out: &mut String, record: &GateRecord) {
    html::begin(out, "gate");
    out.push_str("<header>\n");
    out.push_str(&format!(
        "<p class=\"kicker\">kvbench · gate · {}</p>\n",
        text(&record.started_at)
    ));
    let (class, name) = badge(gate::outcome(record));
    out.push_str(&format!("<h1><span class=\"badge {class}\">{name}</span></h1>\n"));
    out.push_str(&format!("<p class=\"lead\">{}</p>\n", text(&conclusion(record))));
    for (name, what) in sides(record) {
        out.push_str(&format!("<p class=\"question\">{name}: {}</p>\n", text(&what)));
    }
    for problem in record.scenarios.iter().flat_map(problems) {
        out.push_str(&format!("<p class=\"stamp\">{}</p>\n", text(&problem)));
    }
    out.push_str("</header>\n");
}

fn badge(outcome: GateOutcome) -> (&'static str, &'static str) {
    match outcome {
        GateOutcome::Passed => ("met", "✔ passed"),
        GateOutcome::Regressed => ("missed", "✘ regressed"),
        GateOutcome::WrongAnswer => ("missed", "✘ wrong answer"),
        GateOutcome::Failed => ("missed", "✘ failed"),
        GateOutcome::Inconclusive => ("open", "? not decided"),
    }
}

/// One line of the picture; what has no interval is not in it.
fn drawn(row: &GateRow<'_>) -> Option<Change> {
    let first = row.first;
    let (lower, upper) = first.interval?;
    Some(Change {
        name: format!("{} {}", mark(row.verdict), first.metric),
        said: format!("{}: {} {}", word(row.verdict), change(first), interval(first)),
        ratio: first.ratio?,
        lower,
        upper,
        floor: first.floor,
        higher_is_better: first.higher_is_better,
        is_bad: row.verdict == GateVerdict::Regressed,
    })
}

/// On a narrow screen the last columns are out of sight, so the verdict is not among them.
fn table(out: &mut String, rows: &[GateRow<'_>]) {
    let mut table =
        Table::new("base against head; means over trials with half their interval", "llrrrrr");
    for (name, word) in [
        ("metric", ""),
        ("verdict", ""),
        ("change", "ratio"),
        ("95 % CI", "interval"),
        ("q", ""),
        ("base, mean", ""),
        ("head, mean", ""),
    ] {
        table.column(name, word);
    }
    for row in rows {
        let (first, unit) = (row.first, row.first.unit.into());
        table.row(vec![
            first.metric.clone(),
            verdict(row),
            change(first),
            interval(first),
            q_value(first),
            mean(first.base.as_ref(), unit),
            mean(first.other.as_ref(), unit),
        ]);
    }
    table.write(out);
}

fn list<'a>(out: &mut String, items: impl ExactSizeIterator<Item = &'a String>) {
    if items.len() == 0 {
        return;
    }
    out.push_str("<ul>\n");
    items.for_each(|item| out.push_str(&format!("<li>{}</li>\n", text(item))));
    out.push_str("</ul>\n");
}

/// Where the raw trials are.
fn trials(out: &mut String, record: &GateRecord) {
    if record.scenarios.iter().all(|scenario| scenario.bundles.is_empty()) {
        return;
    }
    out.push_str("<section>\n<h2>Trials</h2>\n<ul>\n");
    for bundle in record.scenarios.iter().flat_map(|scenario| &scenario.bundles) {
        let link = address(&format!("{bundle}/report.html"));
        out.push_str(&format!("<li><a href=\"{link}\">{}</a></li>\n", text(bundle)));
    }
    out.push_str("</ul>\n</section>\n");
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn looks_as_agreed() {
        crate::report::sample::check_golden("gate.html", &render(&sample::gate()));
    }

    #[test]
    fn text_stands_for_itself_and_nothing_is_fetched() {
        for record in [sample::hostile(), GateRecord::default()] {
            let page = render(&record);
            assert!(!page.contains("<script") && !page.contains("://"));
            assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'));
        }
    }
}
