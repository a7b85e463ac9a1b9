//! A small SVG writer: shapes with classes, escaped text, text widths good enough to lay out labels.

use std::fmt::Write as _;

use deltaloss_records::Role;

use crate::escape;

/// Size of all text in figures, user units; the style sheet says the same. A figure is [`WIDTH`] and two margins
/// wide, so its text is 8.1 pt when it is set 12 cm wide.
pub(crate) const TEXT: f64 = 13.6;

/// Width that a figure may draw in, user units.
pub(crate) const WIDTH: f64 = 560.0;

/// Empty border around every figure, user units.
pub(crate) const MARGIN: f64 = 6.0;

/// Where text hangs on its x coordinate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// The outline that stands for a role, so that no reader needs its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Diamond,
    Triangle,
    Cross,
}

/// The shape of a role's markers in every figure.
pub(crate) fn shape_of(role: Role) -> Shape {
    match role {
        Role::A => Shape::Circle,
        Role::B => Shape::Square,
        Role::Benchmark => Shape::Diamond,
        Role::Placebo => Shape::Triangle,
        Role::Oracle => Shape::Cross,
    }
}

/// The body of an SVG under construction.
#[derive(Debug, Default)]
pub(crate) struct Svg {
    body: String,
}

impl Svg {
    /// What was drawn.
    pub(crate) fn into_body(self) -> String {
        self.body
    }

    /// A rectangle; nothing when it has no extent.
    pub(crate) fn rect(&mut self, [x, y, width, height]: [f64; 4], class: &str) {
        if width > 0.0 && height > 0.0 {
            self.element("rect", &[("x", x), ("y", y), ("width", width), ("height", height)], class);
        }
    }

    /// A straight line.
    pub(crate) fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], class: &str) {
        self.element("line", &[("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2)], class);
    }

    /// A line through `points`, with a dash pattern where one is given.
    pub(crate) fn polyline(&mut self, points: &[[f64; 2]], class: &str, dashes: &str) {
        let mut data = String::new();
        for (index, [x, y]) in points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(data, "{command}{} {}", number(*x), number(*y));
        }
        self.path(&data, class, dashes);
    }

    /// A closed area.
    pub(crate) fn area(&mut self, points: &[[f64; 2]], class: &str) {
        let mut data = String::new();
        for (index, [x, y]) in points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(data, "{command}{} {}", number(*x), number(*y));
        }
        if points.len() > 2 {
            data.push('Z');
            self.path(&data, class, "");
        }
    }

    /// A path.
    fn path(&mut self, data: &str, class: &str, dashes: &str) {
        let dashes =
            if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        let _ = writeln!(self.body, "<path class=\"{class}\" d=\"{data}\"{dashes}/>");
    }

    /// Text on the baseline `y`; escaped.
    pub(crate) fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, text: &str) {
        self.text_element([x, y], anchor, class, "", &escape::markup(text));
    }

    /// Text cut to `width` with an ellipsis; what was cut is shown in full on hovering.
    pub(crate) fn text_within(&mut self, at: [f64; 2], anchor: Anchor, class: &str, text: &str, width: f64) {
        let text = escape::visible(text);
        let code = class.contains("dl-code");
        let cut = cut_to(&text, width, code);
        let title =
            if cut == text { String::new() } else { format!("<title>{}</title>", escape::markup(&text)) };
        self.text_element(at, anchor, class, "", &format!("{title}{}", escape::markup(&cut)));
    }

    /// Text that reads upwards, centred on the point.
    pub(crate) fn text_upwards(&mut self, [x, y]: [f64; 2], class: &str, text: &str, width: f64) {
        let text = escape::visible(text);
        let cut = cut_to(&text, width, false);
        let title =
            if cut == text { String::new() } else { format!("<title>{}</title>", escape::markup(&text)) };
        let turn = format!(" transform=\"rotate(-90 {} {})\"", number(x), number(y));
        self.text_element([x, y], Anchor::Middle, class, &turn, &format!("{title}{}", escape::markup(&cut)));
    }

    fn text_element(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, extra: &str, inner: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let class = if class.is_empty() { "dl-text".to_owned() } else { format!("dl-text {class}") };
        let (x, y) = (number(x), number(y));
        let _ =
            writeln!(self.body, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{anchor}{extra}>{inner}</text>");
    }

    /// A role's marker of radius `r`, filled or hollow.
    pub(crate) fn marker(&mut self, role: Role, [x, y]: [f64; 2], r: f64, hollow: bool) {
        let class = format!("{}-{} dl-mark", if hollow { "hollow" } else { "fill" }, role.name());
        let n = |v: f64| number(v);
        match shape_of(role) {
            Shape::Circle => self.element("circle", &[("cx", x), ("cy", y), ("r", r)], &class),
            Shape::Square => self.rect([x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8], &class),
            Shape::Diamond => {
                let d = r * 1.25;
                let data = format!(
                    "M{} {}L{} {}L{} {}L{} {}Z",
                    n(x),
                    n(y - d),
                    n(x + d),
                    n(y),
                    n(x),
                    n(y + d),
                    n(x - d),
                    n(y)
                );
                self.path(&data, &class, "");
            }
            Shape::Triangle => {
                let (w, up, down) = (r * 1.15, r * 1.2, r * 0.8);
                let data = format!(
                    "M{} {}L{} {}L{} {}Z",
                    n(x),
                    n(y - up),
                    n(x + w),
                    n(y + down),
                    n(x - w),
                    n(y + down)
                );
                self.path(&data, &class, "");
            }
            Shape::Cross => {
                let (a, b) = (r * 0.4, r);
                let data = format!(
                    "M{} {}h{}v{}h{}v{}h{}v{}h{}v{}h{}v{}h{}Z",
                    n(x - a),
                    n(y - b),
                    n(2.0 * a),
                    n(b - a),
                    n(b - a),
                    n(2.0 * a),
                    n(a - b),
                    n(b - a),
                    n(-2.0 * a),
                    n(a - b),
                    n(a - b),
                    n(-2.0 * a),
                    n(b - a)
                );
                self.path(&data, &class, "");
            }
        }
    }

    /// What `draw` draws, in a group of this class (none where it is empty) that shows `title` on hovering.
    pub(crate) fn titled(&mut self, title: &str, class: &str, draw: impl FnOnce(&mut Svg)) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let _ = writeln!(self.body, "<g{class}><title>{}</title>", escape::markup(title));
        draw(self);
        self.body.push_str("</g>\n");
    }

    fn element(&mut self, name: &str, attributes: &[(&str, f64)], class: &str) {
        let _ = write!(self.body, "<{name} class=\"{class}\"");
        for (key, value) in attributes {
            let _ = write!(self.body, " {key}=\"{}\"", number(*value));
        }
        self.body.push_str("/>\n");
    }
}

/// A coordinate with at most two decimals; 0 for what is not finite, so that no file is ever malformed.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{:.2}", value.clamp(-1e6, 1e6));
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Advances of the printable ASCII characters from the space on in thousandths of the text size, as DejaVu Sans has
/// them: the widest of the usual system fonts, so that labels laid out by it fit in all of them.
const ADVANCES: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, // space to /
    636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, // 0 to ?
    1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787, // @ to O
    603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, // P to _
    500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, // ` to o
    635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838, // p to ~
];

/// An upper estimate of the width of `text` at size [`TEXT`], user units.
pub(crate) fn width_of(text: &str, code: bool) -> f64 {
    let thousandths: u32 = text
        .chars()
        .map(|character| match (u32::from(character), code) {
            (0x1100.., _) if is_wide(character) => 1050,
            (_, true) => 605,
            (code @ 0x20..=0x7e, false) => {
                ADVANCES.get((code - 0x20) as usize).copied().unwrap_or(640).into()
            }
            (0x2190..=0x2bff, false) => 900,
            _ => 700,
        })
        .sum();
    f64::from(thousandths) / 1000.0 * TEXT
}

/// How much wider bold text is, at most.
pub(crate) const BOLD: f64 = 1.13;

/// Whether a character takes two columns of a terminal: East Asian scripts and emoji, by block.
pub(crate) fn is_wide(character: char) -> bool {
    matches!(u32::from(character),
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
}

/// `text` cut so that it and an ellipsis fit `width`.
pub(crate) fn cut_to(text: &str, width: f64, code: bool) -> String {
    if width_of(text, code) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    for character in text.chars() {
        cut.push(character);
        if width_of(&cut, code) + TEXT > width {
            cut.pop();
            break;
        }
    }
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short_and_always_numbers() {
        assert_eq!(number(1.0), "1");
        assert_eq!(number(1.25), "1.25");
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(f64::NAN), "0");
        assert_eq!(number(1e300), "1000000");
    }

    #[test]
    fn long_labels_are_cut_and_keep_their_text_as_a_title() {
        let mut svg = Svg::default();
        svg.text_within([0.0, 0.0], Anchor::Start, "", &"x".repeat(60), 100.0);
        let body = svg.into_body();
        assert!(body.contains(&format!("<title>{}</title>", "x".repeat(60))), "{body}");
        assert!(body.contains('…'));
    }

    #[test]
    fn short_labels_are_left_alone() {
        assert_eq!(cut_to("dense", 100.0, false), "dense");
        assert!(width_of(&cut_to(&"wide label ".repeat(9), 120.0, false), false) <= 120.0);
    }
}
