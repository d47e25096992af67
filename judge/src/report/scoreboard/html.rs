//! The scoreboard as a page: the look of a run's page, no script, and no link but those to the bundles beside it.

use super::{
    OVERALL_NOTE, REFUTED_NOTE, claims, is_any_refuted, mark, overall, subject, totals, word,
};
use crate::record::scoreboard::{BoardRun, BoardTarget, BoardVerdict, Scoreboard};
use crate::report::html;
use crate::report::markup::{address, text};

/// The whole page.
pub fn render(board: &Scoreboard) -> String {
    let mut out = String::with_capacity(1 << 15);
    head(&mut out, board);
    overview(&mut out, board);
    for (place, run) in board.runs.iter().enumerate() {
        of_run(&mut out, place, run);
    }
    notes(&mut out, board);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn head(out: &mut String, board: &Scoreboard) {
    html::begin(out, "scoreboard");
    out.push_str("<header>\n");
    let about = format!("kvbench · {} · {}", board.host, board.build);
    out.push_str(&format!("<p class=\"kicker\">{}</p>\n<h1>Scoreboard</h1>\n", text(&about)));
    out.push_str(&format!("<p class=\"lead\">{}</p>\n", text(&totals(board))));
    if let Some(claims) = claims(board) {
        out.push_str(&format!("<p class=\"lead\">{}</p>\n", text(&claims)));
    }
    if is_any_refuted(board) {
        out.push_str(&format!("<p class=\"question\">{}</p>\n", text(REFUTED_NOTE)));
    }
    out.push_str("</header>\n");
}

/// Every target on one line, leading to its card.
fn overview(out: &mut String, board: &Scoreboard) {
    out.push_str(
        "<section id=\"overview\">\n<h2>At a glance</h2>\n<div class=\"scroll\"><table>\n",
    );
    out.push_str("<thead><tr><th scope=\"col\">verdict</th><th scope=\"col\">claim or target</th>");
    out.push_str("<th scope=\"col\">measured</th></tr></thead>\n<tbody>\n");
    for (place, run) in board.runs.iter().enumerate() {
        for target in &run.targets {
            out.push_str(&format!(
                "<tr><th scope=\"row\">{}</th><td class=\"wide\"><a href=\"#run-{place}\">{}</a></td>\
                 <td class=\"wide\">{}</td></tr>\n",
                badge(target),
                text(subject(target)),
                text(&target.measured)
            ));
        }
    }
    out.push_str("</tbody></table></div>\n</section>\n");
}

fn badge(target: &BoardTarget) -> String {
    let (class, mark, word) = (class(target), mark(target), word(target));
    format!("<span class=\"badge {class}\">{mark} {word}</span>")
}

fn class(target: &BoardTarget) -> &'static str {
    match target.verdict {
        BoardVerdict::Met => "met",
        BoardVerdict::Missed => "missed",
        BoardVerdict::Inconclusive => "open",
    }
}

fn of_run(out: &mut String, place: usize, run: &BoardRun) {
    let link = address(&format!("{}/report.html", run.bundle));
    out.push_str(&format!(
        "<section id=\"run-{place}\">\n<h2>{}</h2>\n<p class=\"question\">{} · <a href=\"{link}\">report</a></p>\n",
        text(&run.scenario),
        text(&run.workload)
    ));
    for stamp in &run.stamps {
        out.push_str(&format!("<p class=\"stamp\">{}</p>\n", text(stamp)));
    }
    for check in &run.failed_checks {
        out.push_str(&format!("<p class=\"stamp\">WRONG ANSWER: {}</p>\n", text(check)));
    }
    for target in &run.targets {
        card(out, target);
    }
    out.push_str("</section>\n");
}

fn card(out: &mut String, target: &BoardTarget) {
    out.push_str(&format!(
        "<div class=\"card {}\"><p>{} <b>{}</b></p>\n<p>{} <span class=\"asked\">{}</span></p>\n",
        class(target),
        badge(target),
        text(subject(target)),
        text(&target.measured),
        text(&target.asked)
    ));
    if !target.why.is_empty() {
        out.push_str(&format!("<p class=\"question\">Why: {}.</p>\n", text(&target.why)));
    }
    out.push_str("</div>\n");
}

fn notes(out: &mut String, board: &Scoreboard) {
    if !board.overall.is_empty() {
        out.push_str(&format!(
            "<section>\n<h2>Overall</h2>\n<p>{}</p>\n<ul>\n",
            text(OVERALL_NOTE)
        ));
        for figure in &board.overall {
            out.push_str(&format!("<li>{}</li>\n", text(&overall(figure))));
        }
        out.push_str("</ul>\n</section>\n");
    }
    if !board.not_measured.is_empty() {
        out.push_str("<section>\n<h2>Not measured</h2>\n<ul>\n");
        for left_out in &board.not_measured {
            let (scenario, reason) = (text(&left_out.scenario), text(&left_out.reason));
            out.push_str(&format!("<li>{scenario}: {reason}</li>\n"));
        }
        out.push_str("</ul>\n</section>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn links_lead_to_bundles_and_nowhere_else() {
        let page = render(&sample::board());
        assert!(page.contains("href=\"../c01_memory_10x-1/report.html\""), "{page}");
        for outside in ["http:", "https:", "url(", "@import", "<script", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn text_stays_text() {
        let page = render(&sample::hostile());
        for raw in ["<script>alert", "\u{1b}", "\u{202e}", "]]>$", "\u{7}"] {
            assert!(!page.contains(raw), "{raw:?}");
        }
        assert!(page.contains("javascript") == page.contains("javascript%3A"));
    }
}
