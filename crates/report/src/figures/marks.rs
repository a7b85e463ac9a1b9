//! Marks that several figures share: a role's marker and an interval on an axis that may not reach them, which model
//! is better on either side of zero, and the key to what is faint.

use deltaloss_records::Role;

use crate::escape;
use crate::format::MARK;
use crate::scale::Linear;
use crate::svg::{Anchor, BOLD, Svg, cut_to, width_of};
use crate::view::{FEW_TOKENS, View};

/// Class of what rests on too few tokens to be taken seriously.
const FAINT: &str = "dl-faint";

/// What [`MARK`] says, in a key.
pub(super) const MARK_KEY: &str = "* differs from zero at q < 0.05";

/// Room for [`MARK`] behind a number.
pub(super) fn mark_width() -> f64 {
    width_of(MARK, false) + 1.0
}

/// A number that ends before `x` with room for its mark, and the mark where its test holds; the number is cut to
/// `width`.
pub(super) fn draw_marked(
    svg: &mut Svg,
    [x, y]: [f64; 2],
    class: &str,
    number: &str,
    marked: bool,
    width: f64,
) {
    let end = x - mark_width();
    svg.text_within([end, y], Anchor::End, class, number, width);
    if marked {
        svg.text([end + 1.0, y], Anchor::Start, class, MARK);
    }
}

/// The class of a group's marks.
pub(super) fn faint_if(few: bool) -> &'static str {
    if few { FAINT } else { "" }
}

/// A role's marker at `value`; at the end of the axis, with an arrow onwards, where the axis does not reach it.
pub(super) fn draw_marker(svg: &mut Svg, role: Role, axis: Linear, value: f64, y: f64, r: f64, hollow: bool) {
    let x = axis.at(value);
    if axis.holds(value) {
        return svg.marker(role, [x, y], r, hollow);
    }
    let inwards = axis.inwards(value);
    svg.marker(role, [x + inwards * (r + 5.0), y], r, hollow);
    let tail = x + inwards * 3.5;
    let class = format!("dl-arrow dl-mark line-{}", role.name());
    svg.polyline(&[[tail, y - 4.0], [x, y], [tail, y + 4.0]], &class, "");
}

/// A horizontal interval, with a cap at each end that the axis reaches.
pub(super) fn draw_whisker(svg: &mut Svg, axis: Linear, interval: [f64; 2], y: f64) {
    let [low, high] = interval.map(|end| axis.at(end));
    svg.line([low, y], [high, y], "dl-whisker");
    for end in interval.into_iter().filter(|end| axis.holds(*end)) {
        let x = axis.at(end);
        svg.line([x, y - 3.5], [x, y + 3.5], "dl-whisker");
    }
}

/// On either side of zero, which model is better there; the right one ends before `right`.
pub(super) fn draw_winners(svg: &mut Svg, view: View<'_>, zero: f64, baseline: f64, right: f64) {
    let words = width_of("←  better", false);
    let cut = |role, room: f64| cut_label(&view.label(role), room / BOLD - words);
    let a = format!("← {} better", cut(Role::A, zero - 9.0));
    svg.text([zero - 9.0, baseline], Anchor::End, "dl-bold fill-a", &a);
    let b = format!("{} better →", cut(Role::B, right - zero - 9.0));
    svg.text([zero + 9.0, baseline], Anchor::Start, "dl-bold fill-b", &b);
}

/// What faint marks are, on the baseline `y`, its words from `x` on.
pub(super) fn draw_faint_key(svg: &mut Svg, [x, y]: [f64; 2], beyond: bool) {
    for (role, left) in [(Role::A, 0.0), (Role::B, 6.0)] {
        svg.rect([left, y - 9.5, 6.0, 9.0], &format!("fill-{} {FAINT}", role.name()));
    }
    let mut text = format!("faint: fewer than {FEW_TOKENS} tokens");
    if beyond {
        text.push_str("; arrow or break: beyond the scale");
    }
    svg.text([x, y], Anchor::Start, "dl-soft", &text);
}

/// `label` cut to `width` where it is one part of a line.
pub(super) fn cut_label(label: &str, width: f64) -> String {
    cut_to(&escape::visible(label), width, false)
}
