//! Trends on the terminal: a line for each series with its course, then each change in words.

use super::{
    Event, NOTE, around, by_run, conclusion, day, host_hint, mark, method, minute, p_value,
    partings, remarks, revision, run, size, subject, word,
};
use crate::record::trend::{Trend, TrendPoint, Trends};
use crate::report::contrast::mean;
use crate::report::terminal::{Grid, Page, Style};
use crate::report::words::{self, NOTHING, count};

/// Heights of a course, low to high.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Runs of a course: the newest.
const COURSE_RUNS: usize = 24;
/// The same where there is less room.
const COURSE_RUNS_NARROW: usize = 16;
/// Series up to which their runs are listed one by one.
const LISTED_SERIES_MAX: usize = 3;
/// Runs listed: the newest.
const LISTED_RUNS: usize = 20;

/// All of them as text, with a line end after each line.
pub fn render(trends: &Trends, style: Style) -> String {
    let mut page = Page::new(style);
    for of_scenario in trends.series.chunk_by(|a, b| scenario(a) == scenario(b)) {
        courses(&mut page, of_scenario);
    }
    if trends.series.len() <= LISTED_SERIES_MAX {
        let drawn = trends.series.iter().filter(|trend| !trend.points.is_empty());
        drawn.for_each(|trend| runs(&mut page, trend));
    }
    changes(&mut page, trends);
    for (heading, lines) in [("PARTED", partings(trends)), ("REMARKS", remarks(trends))] {
        if !lines.is_empty() {
            page.heading(heading, "");
            lines.iter().for_each(|line| page.prose(line));
        }
    }
    page.blank();
    page.prose_at(1, &conclusion(trends));
    page.finish()
}

fn scenario(trend: &Trend) -> &str {
    &trend.name.conditions.scenario
}

fn courses(page: &mut Page, series: &[Trend]) {
    let Some(first) = series.first() else { return };
    page.blank();
    page.title(scenario(first));
    let mut wide =
        Grid::new("llrrll", &["metric", "arm", "runs", "newest", "last change", "course"]);
    let mut narrow = Grid::new("llrll", &["metric", "arm", "newest", "change", "course"]);
    for trend in series.iter().filter(|trend| !trend.points.is_empty()) {
        let (metric, arm) = (trend.name.metric.clone(), trend.name.arm.clone());
        let (newest, change) = (newest(trend), last_change(trend));
        let n = trend.points.len().to_string();
        let bare = newest.split(" ±").next().unwrap_or_default().to_owned();
        let short = change.split(',').next().unwrap_or_default().to_owned();
        narrow.row(vec![
            metric.clone(),
            arm.clone(),
            bare,
            short,
            course(trend, COURSE_RUNS_NARROW),
        ]);
        wide.row(vec![metric, arm, n, newest, change, course(trend, COURSE_RUNS)]);
    }
    page.grid(&[wide, narrow]);
}

fn newest(trend: &Trend) -> String {
    mean(trend.points.last().map(|point| &point.mean), trend.unit.into())
}

/// `✘ 0.877×, 2026-11-03`.
fn last_change(trend: &Trend) -> String {
    let Some(change) = trend.changes.last() else { return NOTHING.to_owned() };
    let when = around(trend, change).map_or("", |(_, after)| day(&after.started_at));
    format!("{} {}, {when}", mark(change), words::ratio(change.ratio))
}

/// The newest runs as bars, from the lowest to the highest of them on a logarithmic scale.
fn course(trend: &Trend, runs: usize) -> String {
    let newest = &trend.points[trend.points.len().saturating_sub(runs)..];
    let logs: Vec<f64> = newest.iter().map(|point| point.mean.value.ln()).collect();
    let low = logs.iter().copied().fold(f64::INFINITY, f64::min);
    let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |log: f64| {
        let share = if high > low { (log - low) / (high - low) } else { 0.5 };
        BARS[((share * BARS.len() as f64) as usize).min(BARS.len() - 1)]
    };
    logs.into_iter().map(bar).collect()
}

fn runs(page: &mut Page, trend: &Trend) {
    let older = trend.points.len().saturating_sub(LISTED_RUNS);
    let note = match older {
        0 => String::new(),
        older => format!("the newest {LISTED_RUNS}; {} more", count(older, "run", "runs")),
    };
    page.heading(&format!("RUNS  {}", words::short(&subject(trend), 50)), &note);
    let head = ["start, UTC", "revision", "grade", "mean", "trials", ""];
    let mut grid = Grid::new("lllrrl", &head);
    for (at, point) in trend.points.iter().enumerate().skip(older) {
        grid.row(vec![
            minute(&point.started_at),
            words::short(&revision(&point.revision, point.dirty), 16),
            point.grade.clone(),
            mean(Some(&point.mean), trend.unit.into()),
            point.mean.trials.to_string(),
            events(trend, at, point),
        ]);
    }
    page.grid(&[grid]);
}

/// What happened at a run: a change, a level that was accepted, an early end.
fn events(trend: &Trend, at: usize, point: &TrendPoint) -> String {
    let change = trend.changes.iter().find(|change| change.at == at as u64);
    let change = change.map(|change| format!("{} {}", mark(change), size(change)));
    let blessed = point.blessed.as_ref().map(|_| "accepted".to_owned());
    let cut_short = (!point.complete).then(|| "incomplete".to_owned());
    let all: Vec<String> = [change, blessed, cut_short].into_iter().flatten().collect();
    all.join(", ")
}

fn changes(page: &mut Page, trends: &Trends) {
    let events = by_run(trends);
    if events.is_empty() {
        return;
    }
    page.heading("CHANGES", "");
    page.prose(&format!("{}.", method(trends)));
    for event in &events {
        of_run(page, event);
    }
    page.blank();
    page.prose(NOTE);
}

/// What changed at one run: a line for each metric, then why it is accepted.
fn of_run(page: &mut Page, event: &Event<'_>) {
    let (before, after) = event.around;
    page.blank();
    page.prose(&format!("{}, after {}:", run(after), run(before)));
    let mut wide = Grid::new("lllrrl", &[""; 6]);
    let mut narrow = Grid::new("lllrrl", &[""; 6]);
    for (trend, change) in &event.changes {
        let row = |size: String, word: &str| {
            let (metric, arm) = (trend.name.metric.clone(), trend.name.arm.clone());
            vec![
                mark(change).to_owned(),
                metric,
                arm,
                size,
                p_value(change.p_value),
                word.to_owned(),
            ]
        };
        let word = word(change);
        wide.row(row(size(change), &word));
        // That it was accepted is in the mark as well.
        narrow.row(row(words::ratio(change.ratio), word.split(',').next().unwrap_or_default()));
    }
    page.grid(&[wide, narrow]);
    let mut reasons: Vec<&str> =
        event.changes.iter().filter_map(|(_, change)| change.blessed.as_deref()).collect();
    reasons.dedup();
    reasons.iter().for_each(|why| page.prose(&format!("accepted: {why}")));
    if let Some(hint) = host_hint(event) {
        page.prose(&hint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn looks_as_agreed() {
        for width in [80, 100] {
            let text = render(&sample::trends(), Style { color: false, width });
            crate::report::sample::check_golden(&format!("trend-{width}.txt"), &text);
        }
    }

    #[test]
    fn lines_fit_whatever_stands_in_them() {
        for trends in [sample::trends(), sample::one(), sample::hostile(), Trends::default()] {
            for width in [60, 72, 80, 100] {
                let text = render(&trends, Style { color: false, width });
                for line in text.lines() {
                    assert!(line.chars().count() <= width, "{width}: {line}");
                    assert_eq!(line.trim_end(), line);
                }
                assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
                assert!(!text.contains('\u{202e}'));
            }
        }
    }

    #[test]
    fn a_course_goes_from_its_lowest_to_its_highest() {
        let trend = &sample::one().series[0];
        let course = course(trend, 100);
        assert_eq!(course.chars().count(), trend.points.len());
        assert!(course.contains('▁') && course.contains('█'), "{course}");
        let mut flat = trend.clone();
        flat.points.truncate(1);
        assert_eq!(super::course(&flat, 100), "▅");
        flat.points.clear();
        assert_eq!(super::course(&flat, 100), "");
    }

    #[test]
    fn a_single_series_lists_its_runs() {
        let text = render(&sample::one(), Style { color: false, width: 100 });
        for wanted in ["RUNS  saturate.throughput@50 of after", "accepted", "5d6e7f8-dirty"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        let nothing = render(&Trends::default(), Style { color: false, width: 80 });
        assert_eq!(nothing.trim(), "No run has a number to show.");
    }
}
