//! ΔLoss by the entropy of a stronger model.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, Oracle, OracleBin};

use super::Figure;
use super::marks::{MARK_KEY, cut_label};
use crate::format::{self, MARK};
use crate::scale::Linear;
use crate::svg::{Anchor, Svg, TEXT, WIDTH};
use crate::view::{View, estimate, holds, value};

const LEFT: f64 = 78.0;
const RIGHT: f64 = WIDTH - 10.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 290.0;
const RADIUS: f64 = 3.8;

/// A line through the bins' mean Δ at their mean entropies, shaded towards zero in the colour of the better model, with
/// intervals and the placebo. Nothing without bins.
pub fn oracle(comparison: &Comparison) -> Option<Figure> {
    let view = View::new(comparison);
    let found = view.lead().oracle.as_ref()?;
    let bins: Vec<(f64, &OracleBin)> = found
        .bins
        .iter()
        .filter(|bin| bin.mean_entropy_nats.is_finite())
        .filter_map(|bin| Some((value(bin.row.delta_nats)?, bin)))
        .collect();
    if bins.is_empty() {
        return None;
    }
    let x =
        Linear::around(bins.iter().map(|(_, bin)| bin.mean_entropy_nats).chain([0.0]), 0.03, [LEFT, RIGHT]);
    let y = axis_of(&bins);
    let mut svg = Svg::default();
    draw_axes(&mut svg, view, found, [x, y]);
    let points: Vec<[f64; 2]> = bins.iter().map(|(delta, bin)| [bin.mean_entropy_nats, *delta]).collect();
    draw_shades(&mut svg, &points, [x, y]);
    let at = |[entropy, delta]: &[f64; 2]| [x.at(*entropy), y.at(*delta)];
    svg.polyline(&points.iter().map(at).collect::<Vec<_>>(), "dl-curve line-a", "");
    for (delta, bin) in &bins {
        draw_bin(&mut svg, bin, *delta, [x, y]);
    }
    let height = draw_key(&mut svg, view, found);
    let (a, b) = (view.label(Role::A), view.label(Role::B));
    let description = format!(
        "The loss of {a} minus the loss of {b} in bins of equal count by the entropy of {}, against the mean entropy of each bin; below zero {a} is better.",
        found.label
    );
    Some(Figure::new("oracle", "ΔLoss by the entropy of a stronger model".into(), description, height, svg))
}

fn axis_of(bins: &[(f64, &OracleBin)]) -> Linear {
    let ends = bins.iter().flat_map(|(delta, bin)| {
        let interval = estimate(bin.row.delta_nats).and_then(|delta| delta.interval);
        [*delta, value(bin.row.placebo_delta_nats).unwrap_or(0.0)]
            .into_iter()
            .chain(interval.into_iter().flatten())
    });
    Linear::around(ends.chain([0.0]), 0.08, [BOTTOM, TOP])
}

fn draw_axes(svg: &mut Svg, view: View<'_>, found: &Oracle, [x, y]: [Linear; 2]) {
    for (tick, label) in y.ticks(5) {
        svg.line([LEFT, y.at(tick)], [RIGHT, y.at(tick)], "dl-grid");
        svg.text([LEFT - 8.0, y.at(tick) + TEXT * 0.36], Anchor::End, "dl-soft", &label);
    }
    svg.line([LEFT, BOTTOM], [RIGHT, BOTTOM], "dl-axis");
    for (tick, label) in x.ticks(8) {
        svg.line([x.at(tick), BOTTOM], [x.at(tick), BOTTOM + 4.0], "dl-axis");
        svg.text([x.at(tick), BOTTOM + 19.0], Anchor::Middle, "dl-soft", &label);
    }
    svg.line([LEFT, y.at(0.0)], [RIGHT, y.at(0.0)], "dl-zero");
    let words = format!("entropy of {}, nats (mean of the bin)", found.label);
    let cut = cut_label(&words, RIGHT - LEFT);
    svg.text([f64::midpoint(LEFT, RIGHT), BOTTOM + 39.0], Anchor::Middle, "dl-soft", &cut);
    svg.text_upwards([TEXT, f64::midpoint(TOP, BOTTOM)], "dl-soft", "Δ, nats a token", BOTTOM - TOP);
    let half = (RIGHT - LEFT) / 2.0 - 8.0;
    let a = format!("↓ {} better", view.label(Role::A));
    svg.text_within([LEFT, TEXT], Anchor::Start, "dl-bold fill-a", &a, half);
    let b = format!("↑ {} better", view.label(Role::B));
    svg.text_within([RIGHT, TEXT], Anchor::End, "dl-bold fill-b", &b, half);
}

/// Shades between the line and zero, cut where the line crosses it.
fn draw_shades(svg: &mut Svg, points: &[[f64; 2]], [x, y]: [Linear; 2]) {
    let mut area: Vec<[f64; 2]> = Vec::new();
    let mut close = |area: &mut Vec<[f64; 2]>| {
        let (Some(first), Some(last)) = (area.first().copied(), area.last().copied()) else { return };
        let role = if area.iter().map(|point| point[1]).sum::<f64>() < 0.0 { Role::A } else { Role::B };
        let outline = std::mem::take(area).into_iter().chain([[last[0], 0.0], [first[0], 0.0]]);
        let outline: Vec<[f64; 2]> = outline.map(|[entropy, delta]| [x.at(entropy), y.at(delta)]).collect();
        svg.area(&outline, &format!("fill-{} dl-shade", role.name()));
    };
    for (index, &[entropy, delta]) in points.iter().enumerate() {
        if let Some(&[before, from]) = index.checked_sub(1).and_then(|before| points.get(before))
            && from * delta < 0.0
        {
            let crossing = before + (entropy - before) * from / (from - delta);
            area.push([crossing, 0.0]);
            close(&mut area);
            area.push([crossing, 0.0]);
        }
        area.push([entropy, delta]);
    }
    close(&mut area);
}

fn draw_bin(svg: &mut Svg, bin: &OracleBin, delta: f64, [x, y]: [Linear; 2]) {
    let at = x.at(bin.mean_entropy_nats);
    let placebo = value(bin.row.placebo_delta_nats);
    svg.titled(&in_words(bin), "", |svg| {
        if let Some(interval) = estimate(bin.row.delta_nats).and_then(|delta| delta.interval) {
            let [low, high] = interval.map(|end| y.at(end));
            svg.line([at, low], [at, high], "dl-whisker");
            for end in [low, high] {
                svg.line([at - 3.0, end], [at + 3.0, end], "dl-whisker");
            }
        }
        if let Some(placebo) = placebo {
            svg.marker(Role::Placebo, [at, y.at(placebo)], RADIUS, true);
        }
        let role = if delta < 0.0 { Role::A } else { Role::B };
        svg.marker(role, [at, y.at(delta)], RADIUS, false);
        if holds(bin.row.delta_test) {
            // Beyond the interval's end that is further from zero.
            let end = estimate(bin.row.delta_nats).and_then(|delta| delta.interval).unwrap_or([delta; 2]);
            let beyond = if delta < 0.0 { y.at(end[0]) + TEXT } else { y.at(end[1]) - 3.0 };
            svg.text([at, beyond.clamp(TOP, BOTTOM - 2.0)], Anchor::Middle, "", MARK);
        }
    });
}

fn in_words(bin: &OracleBin) -> String {
    let mut words = format!(
        "bin {}: mean entropy {}, Δ {} nats over {}",
        bin.row.name,
        format::nats(bin.mean_entropy_nats),
        format::NumberFormat::Delta.write_estimate(estimate(bin.row.delta_nats)),
        format::counted(bin.row.tokens, "token", "tokens"),
    );
    if let Some(placebo) = value(bin.row.placebo_delta_nats) {
        words.push_str(&format!("; placebo {}", format::delta(placebo)));
    }
    words
}

/// What the marks mean; returns where it ends.
fn draw_key(svg: &mut Svg, view: View<'_>, found: &Oracle) -> f64 {
    let (a, b) = (view.label(Role::A), view.label(Role::B));
    let mut y = BOTTOM + 64.0;
    let title =
        format!("Δ = loss of {a} − loss of {b}, in {} bins of about as many tokens each", found.bins.len());
    svg.text_within([0.0, y], Anchor::Start, "dl-soft", &title, WIDTH);
    if view.has_placebo() {
        y += 20.0;
        svg.marker(Role::Placebo, [6.0, y - 4.5], 4.2, true);
        let text = format!("placebo: loss of {} − loss of {b}, same tokens", view.label(Role::Placebo));
        svg.text_within([18.0, y], Anchor::Start, "dl-soft", &text, WIDTH - 18.0);
    }
    if found.bins.iter().any(|bin| bin.row.delta_test.is_some()) {
        y += 20.0;
        svg.text([0.0, y], Anchor::Start, "dl-soft", MARK_KEY);
    }
    y + 8.0
}
