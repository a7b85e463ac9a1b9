//! Whether each model's probabilities mean what they say: a reliability diagram a model.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, Reliability, ReliabilityBin, ReliabilityDiagram};

use super::Figure;
use super::marks::{draw_faint_key, faint_if};
use crate::format;
use crate::scale::Linear;
use crate::svg::{Anchor, Svg, TEXT, WIDTH};
use crate::view::{FEW_TOKENS, View};

const GAP: f64 = 20.0;
const PANEL: f64 = (WIDTH - GAP) / 2.0;
/// Left of the plot, for its axis.
const LEFT: f64 = 48.0;
/// Right of it, for half of the last number.
const RIGHT: f64 = 13.0;
const TITLE: f64 = 28.0;
const PLOT: f64 = PANEL - LEFT - RIGHT;
/// Height of the strip with the numbers of tokens.
const STRIP: f64 = 44.0;
const STRIP_GAP: f64 = 26.0;
const HEIGHT: f64 = TITLE + PLOT + STRIP_GAP + STRIP + 42.0;
const RADIUS: f64 = 3.6;

/// How a diagram is drawn: as scored hollow and dashed, calibrated filled and solid.
#[derive(Clone, Copy)]
struct Look {
    hollow: bool,
    dashes: &'static str,
    words: &'static str,
}

const AS_SCORED: Look = Look { hollow: true, dashes: "4 3", words: "as scored" };
const CALIBRATED: Look = Look { hollow: false, dashes: "", words: "calibrated" };

/// A panel a model: accuracy against the mean probability of the likeliest token, fifteen bins, and below how many
/// tokens each bin has. Nothing where no diagram has a bin.
pub fn reliability(comparison: &Comparison) -> Option<Figure> {
    let view = View::new(comparison);
    let models = &view.lead().reliability;
    if models.iter().all(|model| model.as_scored.bins.is_empty()) {
        return None;
    }
    let mut svg = Svg::default();
    for (index, model) in models.iter().enumerate() {
        let x = (PANEL + GAP) * (index % 2) as f64;
        let y = HEIGHT * (index / 2) as f64;
        draw_panel(&mut svg, [x, y], view, model);
    }
    let bottom = HEIGHT * models.len().div_ceil(2) as f64;
    let height = draw_key(&mut svg, bottom, models);
    let description = "One panel a model. The share of tokens that are the model's likeliest one is plotted against the probability it gave them, in fifteen bins, as scored and calibrated; on the diagonal the two are equal. Bars below show how many tokens each bin has.";
    Some(Figure::new(
        "reliability",
        "Whether the models’ probabilities mean what they say".into(),
        description.into(),
        height,
        svg,
    ))
}

/// The diagrams of a model, those drawn last on top.
fn diagrams(model: &Reliability) -> impl Iterator<Item = (Look, &ReliabilityDiagram)> {
    let calibrated = model.calibrated.as_ref().map(|diagram| (CALIBRATED, diagram));
    std::iter::once((AS_SCORED, &model.as_scored)).chain(calibrated)
}

fn draw_panel(svg: &mut Svg, [left, top]: [f64; 2], view: View<'_>, model: &Reliability) {
    let x = Linear::new([0.0, 1.0], [left + LEFT, left + LEFT + PLOT]);
    let y = Linear::new([0.0, 1.0], [top + TITLE + PLOT, top + TITLE]);
    svg.text_within([left, top + TEXT], Anchor::Start, "dl-bold", &view.label(model.role), PANEL);
    for tick in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
        let label = format!("{tick:.1}");
        svg.line([x.at(0.0), y.at(tick)], [x.at(1.0), y.at(tick)], "dl-grid");
        svg.text([x.at(0.0) - 6.0, y.at(tick) + TEXT * 0.36], Anchor::End, "dl-soft", &label);
        svg.line([x.at(tick), y.at(0.0)], [x.at(tick), y.at(0.0) + 4.0], "dl-axis");
        svg.text([x.at(tick), y.at(0.0) + 18.0], Anchor::Middle, "dl-soft", &label);
    }
    svg.line([x.at(0.0), y.at(0.0)], [x.at(1.0), y.at(0.0)], "dl-axis");
    svg.line([x.at(0.0), y.at(0.0)], [x.at(1.0), y.at(1.0)], "dl-diagonal");
    svg.text_upwards([left + TEXT - 2.0, y.at(0.5)], "dl-soft", "accuracy", PLOT);
    for (look, diagram) in diagrams(model) {
        draw_curve(svg, [x, y], model.role, look, diagram);
    }
    draw_strip(svg, x, y.at(0.0) + STRIP_GAP, model);
}

/// A bin's mean probability and accuracy, where it has tokens.
fn point(bin: &ReliabilityBin) -> Option<[f64; 2]> {
    Some([bin.mean_probability?, bin.accuracy?]).filter(|point| point.iter().all(|end| end.is_finite()))
}

fn draw_curve(svg: &mut Svg, [x, y]: [Linear; 2], role: Role, look: Look, diagram: &ReliabilityDiagram) {
    let at = |[probability, accuracy]: [f64; 2]| [x.at(probability), y.at(accuracy)];
    let enough: Vec<[f64; 2]> =
        diagram.bins.iter().filter(|bin| bin.tokens >= FEW_TOKENS).filter_map(point).map(at).collect();
    svg.polyline(&enough, &format!("dl-curve line-{}", role.name()), look.dashes);
    for bin in &diagram.bins {
        let Some(found) = point(bin) else { continue };
        let title = format!(
            "{}: mean probability {}, accuracy {}, {}",
            look.words,
            format::nats(found[0]),
            format::nats(found[1]),
            format::counted(bin.tokens, "token", "tokens")
        );
        svg.titled(&title, faint_if(bin.tokens < FEW_TOKENS), |svg| {
            svg.marker(role, at(found), RADIUS, look.hollow);
        });
    }
}

/// How many tokens each bin has: outlined as scored, filled calibrated.
fn draw_strip(svg: &mut Svg, x: Linear, top: f64, model: &Reliability) {
    let bottom = top + STRIP;
    let most = diagrams(model).flat_map(|(_, diagram)| &diagram.bins).map(|bin| bin.tokens).max();
    let most = most.unwrap_or(0).max(1);
    let height = Linear::new([0.0, most as f64], [0.0, STRIP]);
    let both = model.calibrated.is_some();
    for (look, diagram) in diagrams(model) {
        for bin in &diagram.bins {
            let [from, to] = [x.at(bin.above) + 1.0, x.at(bin.up_to) - 1.0];
            let width = if both { (to - from) / 2.0 } else { to - from };
            let from = if look.hollow { from } else { to - width };
            let tall = height.at(bin.tokens as f64);
            let class = if look.hollow { "hollow" } else { "fill" };
            svg.titled(&count_in_words(look, bin), "", |svg| {
                svg.rect([from, bottom - tall, width, tall], &format!("{class}-{}", model.role.name()));
            });
        }
    }
    svg.line([x.at(0.0), bottom], [x.at(1.0), bottom], "dl-axis");
    let room = PLOT - 4.0;
    let words = format!("tokens by bin, at most {}", format::count(most));
    svg.text_within([x.at(0.5), bottom + 17.0], Anchor::Middle, "dl-soft", &words, room);
}

fn count_in_words(look: Look, bin: &ReliabilityBin) -> String {
    format!(
        "{}, probability above {} to {}: {}",
        look.words,
        format::nats(bin.above),
        format::nats(bin.up_to),
        format::counted(bin.tokens, "token", "tokens")
    )
}

/// What every mark means; returns where it ends.
fn draw_key(svg: &mut Svg, top: f64, models: &[Reliability]) -> f64 {
    let mut y = top + TEXT;
    svg.text(
        [0.0, y],
        Anchor::Start,
        "dl-soft",
        "x: probability of the likeliest token; on the diagonal it is as often right as it says",
    );
    let calibrated = models.iter().any(|model| model.calibrated.is_some());
    for look in std::iter::once(AS_SCORED).chain(calibrated.then_some(CALIBRATED)) {
        y += 20.0;
        svg.polyline(&[[0.0, y - 4.5], [40.0, y - 4.5]], "dl-curve line-a", look.dashes);
        svg.marker(Role::A, [20.0, y - 4.5], RADIUS, look.hollow);
        let how = if look.hollow { "hollow and dashed" } else { "filled" };
        svg.text([50.0, y], Anchor::Start, "dl-soft", &format!("{how}: {}", look.words));
    }
    let few = |diagram: &ReliabilityDiagram| {
        diagram.bins.iter().any(|bin| bin.tokens < FEW_TOKENS && point(bin).is_some())
    };
    if models.iter().flat_map(diagrams).any(|(_, diagram)| few(diagram)) {
        y += 20.0;
        draw_faint_key(svg, [50.0, y], false);
    }
    y + 8.0
}
