//! Density curves of the models' entropies.

use deltaloss_stats::{Comparison, EntropyDistribution};

use super::{Figure, dashes_of};
use crate::format;
use crate::scale::Linear;
use crate::svg::{Anchor, Svg, TEXT, WIDTH};
use crate::view::{View, value};

const LEFT: f64 = 58.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 270.0;
const LEGEND_ROW: f64 = 21.0;
/// Right ends of the legend's three number columns.
const COLUMNS: [(&str, f64); 3] = [("mean", WIDTH - 186.0), ("median", WIDTH - 108.0), ("< 0.2 nats", WIDTH)];

/// Density curves of all models with mean, median and the share below 0.2 nats in the legend.
pub fn entropy(comparison: &Comparison) -> Figure {
    let view = View::new(comparison);
    let models = &view.lead().entropy;
    let mut svg = Svg::default();
    let entropies = models.iter().flat_map(|model| model.grid_nats.iter().copied());
    let densities = models.iter().flat_map(|model| model.density_per_nat.iter().copied());
    let x = Linear::around(entropies.chain([0.0, 8.0]), 0.0, [LEFT, WIDTH - 8.0]);
    let highest = densities.filter(|density| density.is_finite()).fold(0.0, f64::max);
    let y = Linear::new([0.0, if highest > 0.0 { highest * 1.06 } else { 1.0 }], [BOTTOM, TOP]);
    draw_axes(&mut svg, x, y);
    for model in models {
        let points = points_of(model, x, y);
        svg.polyline(&points, &format!("dl-curve line-{}", model.role.name()), dashes_of(model.role));
    }
    for (index, model) in models.iter().enumerate() {
        draw_identity_marks(&mut svg, index, model, x, y);
    }
    let height = draw_legend(&mut svg, view, models);
    let description = "Density of each model's entropy from 0 to 8 nats, one curve a model; mean, median and the share below 0.2 nats stand in the legend.";
    Figure::new("entropy", "Distribution of the models’ entropies".into(), description.into(), height, svg)
}

fn points_of(model: &EntropyDistribution, x: Linear, y: Linear) -> Vec<[f64; 2]> {
    let points = model.grid_nats.iter().zip(&model.density_per_nat);
    points
        .filter(|(entropy, density)| entropy.is_finite() && density.is_finite())
        .map(|(entropy, density)| [x.at(*entropy), y.at(*density)])
        .collect()
}

fn draw_axes(svg: &mut Svg, x: Linear, y: Linear) {
    for (tick, label) in y.ticks(5) {
        let at = y.at(tick);
        svg.line([LEFT, at], [WIDTH - 8.0, at], "dl-grid");
        svg.text([LEFT - 8.0, at + TEXT * 0.36], Anchor::End, "dl-soft", &label);
    }
    svg.line([LEFT, BOTTOM], [WIDTH - 8.0, BOTTOM], "dl-axis");
    for (tick, label) in x.ticks(8) {
        let at = x.at(tick);
        svg.line([at, BOTTOM], [at, BOTTOM + 4.0], "dl-axis");
        svg.text([at, BOTTOM + 19.0], Anchor::Middle, "dl-soft", &label);
    }
    svg.text([f64::midpoint(LEFT, WIDTH), BOTTOM + 39.0], Anchor::Middle, "dl-soft", "entropy, nats");
    svg.text_upwards([TEXT, f64::midpoint(TOP, BOTTOM)], "dl-soft", "density, per nat", BOTTOM - TOP);
}

/// The role's marker here and there on its curve, staggered, so that curves are told apart without colour.
fn draw_identity_marks(svg: &mut Svg, index: usize, model: &EntropyDistribution, x: Linear, y: Linear) {
    let points = points_of(model, x, y);
    let spacing = (WIDTH - LEFT) / 5.0;
    for repeat in 0..5 {
        let wanted = LEFT + spacing * (f64::from(repeat) + 0.15 + 0.22 * (index % 5) as f64);
        let nearest =
            points.iter().min_by(|one, other| (one[0] - wanted).abs().total_cmp(&(other[0] - wanted).abs()));
        if let Some(point) = nearest {
            svg.marker(model.role, *point, 4.0, false);
        }
    }
}

fn draw_legend(svg: &mut Svg, view: View<'_>, models: &[EntropyDistribution]) -> f64 {
    let mut y = BOTTOM + 66.0;
    for (heading, end) in COLUMNS {
        svg.text([end, y], Anchor::End, "dl-soft", heading);
    }
    svg.line([0.0, y + 7.0], [WIDTH, y + 7.0], "dl-rule");
    y += 5.0;
    for model in models {
        y += LEGEND_ROW;
        let line = y - TEXT * 0.36;
        svg.polyline(
            &[[0.0, line], [40.0, line]],
            &format!("dl-curve line-{}", model.role.name()),
            dashes_of(model.role),
        );
        svg.marker(model.role, [20.0, line], 4.0, false);
        svg.text_within([50.0, y], Anchor::Start, "", &view.label(model.role), COLUMNS[0].1 - 50.0 - 60.0);
        let write = |number: Option<f64>, write: fn(f64) -> String| {
            number.map_or_else(|| format::ABSENT.to_owned(), write)
        };
        let numbers = [
            write(value(model.mean_nats), format::nats),
            write(value(model.median_nats), format::nats),
            write(value(model.share_below_0_2), format::share),
        ];
        for ((_, end), number) in COLUMNS.into_iter().zip(numbers) {
            svg.text([end, y], Anchor::End, "", &number);
        }
    }
    y + 10.0
}
