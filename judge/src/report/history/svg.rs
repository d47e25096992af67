//! Trends as one SVG file: a drawing for each series, one under the other, that needs nothing beside it.

use super::subject;
use crate::record::trend::{Trend, Trends};
use crate::report::chart::{WIDTH, trend as chart};
use crate::report::html::CSS;
use crate::report::markup::text;
use crate::report::words::count;

/// Drawings in a file, at most; more of them nobody looks at.
pub const DRAWINGS_MAX: usize = 40;
/// The look of the name above each drawing, which the page's style sheet does not know.
const HEADING_STYLE: &str = "fill=\"var(--ink)\" font-family=\"system-ui, DejaVu Sans, sans-serif\" font-size=\"15\" font-weight=\"600\"";
/// Room for the name above each drawing.
const HEADING: f64 = 26.0;
/// Room around all of it.
const MARGIN: f64 = 12.0;

/// The whole file.
pub fn render(trends: &Trends) -> String {
    let drawn: Vec<(&Trend, String)> = trends
        .series
        .iter()
        .take(DRAWINGS_MAX)
        .filter_map(|trend| Some((trend, chart::render(trend)?)))
        .collect();
    let step = HEADING + chart::HEIGHT + MARGIN;
    let (width, height) = (WIDTH + 2.0 * MARGIN, MARGIN + step * drawn.len().max(1) as f64);
    let title = format!("{} over time", count(drawn.len(), "metric", "metrics"));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\
         <title>{title}</title><desc>{}</desc>\n<style>\n{CSS}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"var(--paper)\"/>\n",
        text(&super::conclusion(trends))
    );
    for (place, (trend, drawing)) in drawn.iter().enumerate() {
        let y = MARGIN + step * place as f64;
        let name = format!("{}: {}", trend.name.conditions.scenario, subject(trend));
        out.push_str(&format!(
            "<text x=\"{MARGIN:.0}\" y=\"{:.0}\" {HEADING_STYLE}>{}</text>\n",
            y + 15.0,
            text(&crate::report::words::short(&name, 110))
        ));
        out.push_str(&format!(
            "<svg x=\"{MARGIN:.0}\" y=\"{:.0}\" width=\"{WIDTH:.0}\" height=\"{:.0}\">\n{drawing}</svg>\n",
            y + HEADING,
            chart::HEIGHT
        ));
    }
    if drawn.is_empty() {
        let nothing = text(&super::conclusion(trends));
        out.push_str(&format!(
            "<text x=\"{MARGIN:.0}\" y=\"40\" {HEADING_STYLE}>{nothing}</text>\n"
        ));
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn it_stands_alone_and_tells_those_who_cannot_see_it() {
        let svg = render(&sample::trends());
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
        for wanted in ["<title>", "<desc>", "prefers-color-scheme: dark", "0.880×", "accepted: "] {
            assert!(svg.contains(wanted), "{wanted}: {svg}");
        }
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
        let beyond = svg.replacen("http://www.w3.org/2000/svg", "", 1);
        for outside in ["http:", "https:", "url(", "@import", "<script", "href"] {
            assert!(!beyond.contains(outside), "{outside}");
        }
        assert_eq!(svg, render(&sample::trends()));
    }

    #[test]
    fn text_stays_text_and_nothing_is_something() {
        let svg = render(&sample::hostile());
        for raw in ["<script>alert", "\u{1b}", "\u{202e}", "]]>$", "\u{7}"] {
            assert!(!svg.contains(raw), "{raw:?}");
        }
        assert!(render(&Trends::default()).contains("No run has a number to show."));
    }
}
