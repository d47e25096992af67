//! Flame graphs, embedded so that they stay searchable and zoomable.
//!
//! Each drawing carries a script. It runs in a frame with an origin of its own (`sandbox` without `allow-same-origin`),
//! so it can read or change nothing of the page; `allow-modals` is for the search prompt. `srcdoc` rather than a
//! `data:` address keeps the policy free of schemes and needs a third less room. The drawing as a file lies beside
//! the page too. A drawing that would make the page too large is linked and not embedded.

use super::sections::{close, open, paragraph};
use crate::record::{Run, Warning};
use crate::report::markup;
use crate::report::story;

/// One flame graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flame {
    /// What it shows, e.g. `on-CPU, before`.
    pub title: String,
    /// The drawing, as an SVG document.
    pub svg: String,
    /// One line on how it was taken: samples, clients, what is not in it.
    pub note: String,
    /// Name of the same drawing as a file beside the page, e.g. `flame-before.svg`.
    pub file: String,
}

/// The flame graphs of a run, in the order in which they are shown.
pub type Flames = [Flame];

/// Bytes of all embedded drawings together; the page stays below 2 MB with them.
const EMBEDDED_BYTES_MAX: usize = 1_500_000;
/// Height of a drawing that does not give its own.
const HEIGHT_DEFAULT: u32 = 480;
const HEIGHT_MAX: u32 = 1_600;

/// The drawing's own script keeps its state in the address, which an origin of its own may not change; and it must not hear of a
/// time at which the drawing is narrower than its margins, for which it would compute a negative width.
const BEFORE: &str = "History.prototype.replaceState=function(){};\
    function kvbenchWide(){var d=document.querySelector('svg');return d&&d.width.baseVal.value>20}\
    addEventListener('resize',function(e){if(!kvbenchWide())e.stopImmediatePropagation()});";
/// In place of the drawing's `onload` attribute, which no hash in a policy covers; once the drawing is wide enough.
const AFTER: &str = "(function f(){kvbenchWide()?init():requestAnimationFrame(f)})();";

/// A drawing made ready for its frame.
pub(super) struct Frame {
    /// The document.
    pub(super) document: String,
    /// Every script in it, exactly as a browser reads it.
    pub(super) scripts: Vec<String>,
    height: u32,
}

/// One frame per flame graph that fits; nothing in the place of one that does not.
pub(super) fn frames(flames: &Flames) -> Vec<Option<Frame>> {
    let mut room = EMBEDDED_BYTES_MAX;
    let mut take = |flame: &Flame| {
        room = room.checked_sub(flame.svg.len())?;
        frame(&flame.svg)
    };
    flames.iter().map(&mut take).collect()
}

/// Wraps a drawing into a document; nothing if it is no SVG.
fn frame(svg: &str) -> Option<Frame> {
    let svg = &svg[svg.find("<svg")?..];
    let svg = svg.replacen(" onload=\"init(evt)\"", "", 1).replace("\r\n", "\n");
    let svg = without_width(&svg);
    let mut scripts = scripts(&svg);
    let init = if scripts.is_empty() { String::new() } else { format!("<script>{AFTER}</script>") };
    if !scripts.is_empty() {
        scripts.extend([BEFORE.to_string(), AFTER.to_string()]);
    }
    let document = format!(
        "<!DOCTYPE html><meta charset=\"utf-8\"><style>body{{margin:0}}svg{{display:block;width:100%}}</style>\
         <script>{BEFORE}</script>{svg}{init}"
    );
    Some(Frame { document, scripts, height: height(&svg) })
}

/// The drawing without the width it gives itself: it is as wide as its frame then, and says so when asked.
fn without_width(svg: &str) -> String {
    let tag = svg.find('>').unwrap_or(svg.len());
    let width = svg[..tag].find(" width=\"").and_then(|start| {
        let value = start + " width=\"".len();
        Some((start, value + svg[value..tag].find('"')? + 1))
    });
    width.map_or(svg.to_string(), |(start, end)| format!("{}{}", &svg[..start], &svg[end..]))
}

/// The text of every script element, without the CDATA marks around it.
fn scripts(svg: &str) -> Vec<String> {
    let mut scripts = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find("<script") {
        rest = &rest[start..];
        let (Some(open), Some(end)) = (rest.find('>'), rest.find("</script>")) else { break };
        if open < end {
            scripts.push(rest[open + 1..end].replace("<![CDATA[", "").replace("]]>", ""));
        }
        rest = &rest[end + "</script>".len()..];
    }
    scripts
}

/// The `height` of the outermost element.
fn height(svg: &str) -> u32 {
    let tag = svg.split('>').next().unwrap_or(svg);
    let value = tag.split(" height=\"").nth(1).and_then(|rest| rest.split('"').next());
    value
        .and_then(|text| text.parse().ok())
        .map_or(HEIGHT_DEFAULT, |height: u32| height.min(HEIGHT_MAX))
}

/// The section; it says why if there is nothing to show.
pub(super) fn section(out: &mut String, run: &Run, flames: &Flames, frames: &[Option<Frame>]) {
    open(out, "flames", "Flame graphs", "flame graph");
    if flames.is_empty() {
        let reason =
            run.warnings.iter().find(|warning| matches!(warning, Warning::NoProfile { .. }));
        paragraph(out, &reason.map_or("No profile was taken.".to_string(), story::warning));
    }
    for (flame, frame) in flames.iter().zip(frames) {
        figure(out, flame, frame.as_ref());
    }
    close(out);
}

fn figure(out: &mut String, flame: &Flame, frame: Option<&Frame>) {
    let (title, note) = (markup::text(&flame.title), markup::text(&flame.note));
    out.push_str(&format!(
        "<figure><figcaption><b>{title}</b> {note} {}</figcaption>\n",
        link(&flame.file)
    ));
    match frame {
        Some(frame) => out.push_str(&format!(
            "<iframe title=\"{title}\" sandbox=\"allow-scripts allow-modals\" loading=\"lazy\" \
             style=\"height:{}px\" srcdoc=\"{}\"></iframe>\n",
            frame.height,
            markup::attribute(&frame.document)
        )),
        None => out.push_str("<p>Too large to embed; open the file.</p>\n"),
    }
    out.push_str("</figure>\n");
}

/// A link to a file beside the page; a name that is more than a plain file name becomes no link.
fn link(file: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let safe = !file.is_empty() && !file.starts_with('.') && file.chars().all(plain);
    if safe { format!("<a href=\"{file}\">{file}</a>") } else { markup::text(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found_as_a_browser_reads_them() {
        let svg = "<svg height=\"321\" width=\"5\"><script type=\"x\"><![CDATA[\na < b\n]]></script><script>c</script></svg>";
        assert_eq!(scripts(svg), ["\na < b\n", "c"]);
        assert_eq!(height(svg), 321);
        assert_eq!(height("<svg><rect height=\"9\"/></svg>"), HEIGHT_DEFAULT);
        assert!(scripts("<svg><script>").is_empty());
        assert_eq!(
            without_width("<svg a=\"b\" width=\"5\" height=\"6\"><rect width=\"9\"/></svg>"),
            "<svg a=\"b\" height=\"6\"><rect width=\"9\"/></svg>"
        );
        assert_eq!(without_width("<svg><rect width=\"9\"/>"), "<svg><rect width=\"9\"/>");
    }

    #[test]
    fn what_is_too_large_or_no_drawing_is_linked() {
        let flame = |svg: String| Flame {
            title: "t".into(),
            svg,
            note: String::new(),
            file: "flame-a.svg".into(),
        };
        let large = flame(format!("<svg>{}</svg>", " ".repeat(EMBEDDED_BYTES_MAX)));
        let frames = frames(&[large, flame("<svg></svg>".into()), flame("text".into())]);
        assert!(
            frames[0].is_none() && frames[1].is_none()
                || frames[1].is_some() && frames[2].is_none()
        );
        assert_eq!(link("flame-a.svg"), "<a href=\"flame-a.svg\">flame-a.svg</a>");
        assert_eq!(link("../x.svg"), "../x.svg");
        assert_eq!(link("javascript:x"), "javascript:x");
    }
}
