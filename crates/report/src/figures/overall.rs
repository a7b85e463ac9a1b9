//! The mean loss and the mean entropy of every model.

use deltaloss_stats::{Comparison, Estimate, ModelSummary};

use super::Figure;
use super::marks::draw_whisker;
use crate::format;
use crate::scale::Linear;
use crate::svg::{Anchor, Svg, TEXT, WIDTH, width_of};
use crate::view::{View, estimate};

const ROW: f64 = 28.0;
const HEADER: f64 = 30.0;

/// The number of a model that a column shows.
type Field = fn(&ModelSummary) -> Option<Estimate>;

/// Dots, one row per model: mean loss on the left, mean entropy on the right.
pub fn overall(comparison: &Comparison) -> Figure {
    let view = View::new(comparison);
    let models = &view.lead().overall.models;
    let mut svg = Svg::default();
    let labels =
        models.iter().map(|model| width_of(&view.label(model.role), false)).fold(40.0, f64::max).min(150.0);
    for (index, model) in models.iter().enumerate() {
        let y = HEADER + ROW * (index as f64 + 0.5) + TEXT * 0.36;
        svg.text_within([0.0, y], Anchor::Start, "", &view.label(model.role), labels);
    }
    let half = (WIDTH - labels - 18.0) / 2.0;
    let columns: [(&str, Field); 2] = [
        ("Mean loss, nats a token", |model| estimate(model.mean_loss_nats)),
        ("Mean entropy, nats", |model| estimate(model.mean_entropy_nats)),
    ];
    if models.is_empty() {
        svg.text([0.0, HEADER + TEXT], Anchor::Start, "dl-soft", "There is no model.");
    }
    for (index, (title, field)) in columns.into_iter().enumerate() {
        let left = labels + 18.0 + index as f64 * half;
        draw_column(&mut svg, [left, left + half - 12.0], title, models, field);
    }
    let height = HEADER + ROW * models.len() as f64 + 28.0;
    let description = "Dots, one row per model: the mean loss on the left, the mean entropy on the right. The axes do not start at zero.";
    Figure::new(
        "overall",
        "Mean loss and mean entropy of every model".into(),
        description.into(),
        height,
        svg,
    )
}

fn draw_column(svg: &mut Svg, [left, right]: [f64; 2], title: &str, models: &[ModelSummary], field: Field) {
    let estimates: Vec<Option<Estimate>> = models.iter().map(field).collect();
    let numbers = estimates.iter().flatten().flat_map(|estimate| {
        let [low, high] = estimate.interval.unwrap_or([estimate.value; 2]);
        [estimate.value, low, high]
    });
    let values = estimates.iter().flatten().map(|estimate| width_of(&format::nats(estimate.value), false));
    let plot_right = right - values.fold(0.0, f64::max) - 8.0;
    let axis = Linear::around(numbers, 0.12, [left, plot_right]);
    let bottom = HEADER + ROW * models.len() as f64;
    svg.text_within([left, TEXT], Anchor::Start, "dl-bold", title, right - left);
    let ticks = if models.is_empty() { Vec::new() } else { axis.ticks(3) };
    for (tick, label) in ticks {
        let x = axis.at(tick);
        svg.line([x, HEADER - 4.0], [x, bottom + 3.0], "dl-grid");
        svg.text([x, bottom + 18.0], Anchor::Middle, "dl-soft", &label);
    }
    for (index, (model, estimate)) in models.iter().zip(&estimates).enumerate() {
        let y = HEADER + ROW * (index as f64 + 0.5);
        let shown =
            estimate.map_or_else(|| format::ABSENT.to_owned(), |estimate| format::nats(estimate.value));
        svg.text([right, y + TEXT * 0.36], Anchor::End, "", &shown);
        let Some(Estimate { value, interval, .. }) = *estimate else { continue };
        svg.line([left, y], [plot_right, y], "dl-rule");
        svg.marker(model.role, [axis.at(value), y], 5.5, false);
        if let Some(interval) = interval {
            draw_whisker(svg, axis, interval, y);
        }
    }
}
