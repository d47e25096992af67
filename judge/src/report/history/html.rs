//! Trends as a page: the look of a run's page, no script, no network. Every drawing stands beside a table of its runs.

use super::{
    NOTE, conclusion, mark, method, minute, partings, remarks, revision, size, subject, told,
};
use crate::record::trend::{Direction, Trend, TrendChange, TrendPoint, Trends};
use crate::report::chart::trend as chart;
use crate::report::contrast::mean;
use crate::report::html::{self, Table};
use crate::report::markup::text;
use crate::report::words::{self, count};

/// Series on a page, at most; the page says how many are left out.
const SERIES_MAX: usize = 60;
/// Runs in the table of a series: the newest.
const RUNS_MAX: usize = 60;

/// The whole page.
pub fn render(trends: &Trends) -> String {
    let mut out = String::with_capacity(1 << 16);
    html::begin(&mut out, "trend");
    head(&mut out, trends);
    for (place, trend) in trends.series.iter().take(SERIES_MAX).enumerate() {
        section(&mut out, place, trend);
    }
    list(&mut out, "Parted", &partings(trends));
    list(&mut out, "Remarks", &remarks(trends));
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn head(out: &mut String, trends: &Trends) {
    let mut scenarios: Vec<&str> =
        trends.series.iter().map(|trend| trend.name.conditions.scenario.as_str()).collect();
    scenarios.dedup();
    let about = format!("kvbench · {}", scenarios.join(", "));
    out.push_str(&format!("<header>\n<p class=\"kicker\">{}</p>\n<h1>Trend</h1>\n", text(&about)));
    out.push_str(&format!("<p class=\"lead\">{}</p>\n", text(&conclusion(trends))));
    out.push_str(&format!("<p class=\"question\">{}. {}</p>\n", text(&method(trends)), text(NOTE)));
    let left_out = trends.series.len().saturating_sub(SERIES_MAX);
    if left_out > 0 {
        out.push_str(&format!(
            "<p class=\"stamp\">{} left out: name an arm or a metric to see them</p>\n",
            count(left_out, "series is", "series are")
        ));
    }
    out.push_str("</header>\n");
}

fn section(out: &mut String, place: usize, trend: &Trend) {
    let name = format!("{}: {}", trend.name.conditions.scenario, subject(trend));
    out.push_str(&format!("<section id=\"series-{place}\">\n<h2>{}</h2>\n", text(&name)));
    for change in &trend.changes {
        card(out, trend, change);
    }
    if let Some(drawing) = chart::render(trend) {
        out.push_str(&format!("<figure class=\"scroll\">\n{drawing}</figure>\n"));
    }
    runs(out, trend);
    out.push_str("</section>\n");
}

fn card(out: &mut String, trend: &Trend, change: &TrendChange) {
    let class = match (&change.blessed, change.direction) {
        (Some(_), _) => "open",
        (None, Direction::Better) => "met",
        (None, Direction::Worse) => "missed",
    };
    let (mark, told) = (mark(change), text(&told(trend, change)));
    out.push_str(&format!(
        "<div class=\"card {class}\"><p><span class=\"badge {class}\">{mark}</span>{told}</p></div>\n"
    ));
}

fn runs(out: &mut String, trend: &Trend) {
    let older = trend.points.len().saturating_sub(RUNS_MAX);
    let caption = match older {
        0 => String::new(),
        older => {
            format!("The newest {RUNS_MAX}; {} not listed.", count(older, "run is", "runs are"))
        }
    };
    let mut table = Table::new(&caption, "lllrrl");
    for name in ["start, UTC", "revision", "grade", "mean", "trials", "what happened"] {
        table.column(name, "");
    }
    for (at, point) in trend.points.iter().enumerate().skip(older) {
        table.row(vec![
            minute(&point.started_at),
            revision(&point.revision, point.dirty),
            point.grade.clone(),
            mean(Some(&point.mean), trend.unit.into()),
            words::grouped(point.mean.trials as f64),
            events(trend, at, point),
        ]);
    }
    let n = count(trend.points.len(), "run", "runs");
    out.push_str(&format!("<details><summary>{n}</summary>\n"));
    table.write(out);
    out.push_str("</details>\n");
}

/// What happened at a run, in full.
fn events(trend: &Trend, at: usize, point: &TrendPoint) -> String {
    let change = trend.changes.iter().find(|change| change.at == at as u64);
    let change = change.map(|change| format!("{} {}", mark(change), size(change)));
    let blessed = point.blessed.as_ref().map(|why| format!("accepted: {why}"));
    let cut_short = (!point.complete).then(|| "incomplete".to_owned());
    let all: Vec<String> = [change, blessed, cut_short].into_iter().flatten().collect();
    all.join(", ")
}

fn list(out: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    out.push_str(&format!("<section>\n<h2>{heading}</h2>\n<ul>\n"));
    for line in lines {
        out.push_str(&format!("<li>{}</li>\n", text(line)));
    }
    out.push_str("</ul>\n</section>\n");
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn every_series_has_a_drawing_and_its_runs() {
        let trends = sample::trends();
        let page = render(&trends);
        assert_eq!(page.matches("<svg class=\"chart\"").count(), trends.series.len());
        assert_eq!(page.matches("<table>").count(), trends.series.len());
        for wanted in ["0.880×", "accepted: ", "Parted", "default-src 'none'"] {
            assert!(page.contains(wanted), "{wanted}: {page}");
        }
        for outside in ["http:", "https:", "url(", "@import", "<script", "<link", "script-src"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page, render(&trends));
    }

    #[test]
    fn text_stays_text() {
        let page = render(&sample::hostile());
        for raw in ["<script>alert", "\u{1b}", "\u{202e}", "]]>$", "\u{7}"] {
            assert!(!page.contains(raw), "{raw:?}");
        }
    }

    #[test]
    fn what_is_left_out_is_told() {
        let mut trends = sample::one();
        trends.series = vec![trends.series[0].clone(); SERIES_MAX + 2];
        let page = render(&trends);
        assert!(page.contains("2 series are left out: name an arm"), "{page}");
        assert_eq!(page.matches("<svg class=\"chart\"").count(), SERIES_MAX);
        assert!(render(&Trends::default()).contains("No run has a number to show."));
    }
}
