//! The few shapes the drawings need. Coordinates are rounded to a tenth, so equal input gives equal bytes.

use crate::report::markup;

/// A drawing under construction.
pub(super) struct Svg {
    out: String,
}

/// How a text hangs on its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64, title: &str, desc: &str) -> Svg {
        let (title, desc) = (markup::text(title), markup::text(desc));
        Svg {
            out: format!(
                "<svg class=\"chart\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\
                 <title>{title}</title><desc>{desc}</desc>\n"
            ),
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.push(&format!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
        ));
    }

    /// A box with a tooltip, unless that is empty.
    pub(super) fn rect(&mut self, class: &str, corner: (f64, f64), size: (f64, f64), tip: &str) {
        let ((x, y), (width, height)) = (corner, size);
        let shape =
            format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"");
        self.tipped("rect", class, &shape, tip);
    }

    pub(super) fn circle(&mut self, class: &str, center: (f64, f64), radius: f64, tip: &str) {
        let (x, y) = center;
        self.tipped(
            "circle",
            class,
            &format!("cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\""),
            tip,
        );
    }

    /// A triangle that points up, around its center.
    pub(super) fn triangle(&mut self, class: &str, center: (f64, f64), radius: f64, tip: &str) {
        let (x, y) = center;
        let (left, right, top, base) = (x - radius, x + radius, y - radius, y + radius * 0.8);
        let points = format!("points=\"{left:.1},{base:.1} {right:.1},{base:.1} {x:.1},{top:.1}\"");
        self.tipped("polygon", class, &points, tip);
    }

    /// A triangle that points down, around its center.
    pub(super) fn triangle_down(
        &mut self,
        class: &str,
        center: (f64, f64),
        radius: f64,
        tip: &str,
    ) {
        let (x, y) = center;
        let (left, right, top, base) = (x - radius, x + radius, y - radius * 0.8, y + radius);
        let points = format!("points=\"{left:.1},{top:.1} {right:.1},{top:.1} {x:.1},{base:.1}\"");
        self.tipped("polygon", class, &points, tip);
    }

    pub(super) fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let ((x, y), text) = (at, markup::text(text));
        self.push(&format!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n"
        ));
    }

    fn tipped(&mut self, element: &str, class: &str, shape: &str, tip: &str) {
        if tip.is_empty() {
            return self.push(&format!("<{element} class=\"{class}\" {shape}/>\n"));
        }
        let tip = markup::text(tip);
        self.push(&format!(
            "<{element} class=\"{class}\" {shape}><title>{tip}</title></{element}>\n"
        ));
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }
}
