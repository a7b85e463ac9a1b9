//! The log-log grids of the models' losses.

use deltaloss_stats::{Comparison, Heatmap, PairCorrelation};

use super::Figure;
use super::marks::cut_label;
use crate::format;
use crate::scale::{Log, extent};
use crate::svg::{Anchor, Svg, TEXT, WIDTH, width_of};
use crate::tables::{Weighing, filled_cells};
use crate::theme::HEAT_STEPS;
use crate::view::{View, value};

/// Room above a grid for r, below it for tick labels and axis title.
const MARGIN_TOP: f64 = 42.0;
const MARGIN_BOTTOM: f64 = 50.0;
/// Room left of a grid beside its tick labels: a tick, the axis title and gaps.
const BESIDE_LABELS: f64 = 25.0;
/// From the left end of that room to the baseline of the axis title, which reads upwards.
const UPWARD_BASELINE: f64 = 12.0;
/// Room for a tick label such as `1e−300`.
const WIDEST_LABEL: f64 = 56.0;
/// Between one grid and the next.
const GAP: f64 = 8.0;
/// A grid that stands alone is no larger.
const LARGEST_SIDE: f64 = 300.0;

/// One panel per pair of models, three in a row, on one colour scale.
pub fn correlation(comparison: &Comparison, weighing: Weighing) -> Figure {
    let view = View::new(comparison);
    let pairs = &view.lead().correlation;
    let mut svg = Svg::default();
    let columns = pairs.len().clamp(1, 3);
    let cell = (WIDTH + GAP) / columns as f64;
    let side_beside = |labels: f64| (cell - labels - BESIDE_LABELS - GAP).min(LARGEST_SIDE);
    // Chosen for the smallest grid, so that the labels fit whatever room they leave.
    let ticks: Vec<Ticks> =
        pairs.iter().map(|pair| ticks_of(weighing.grid_of(pair), side_beside(WIDEST_LABEL))).collect();
    let labels = ticks.iter().flatten().map(|(_, label)| width_of(label, false)).fold(0.0, f64::max);
    let labels = labels.min(WIDEST_LABEL);
    let (side, margin_left) = (side_beside(labels), labels + BESIDE_LABELS);
    let indent = if columns == 1 { (WIDTH - side - margin_left) / 2.0 - 10.0 } else { 0.0 };
    let row = MARGIN_TOP + side + MARGIN_BOTTOM;
    let most =
        pairs.iter().flat_map(|pair| filled_cells(weighing.grid_of(pair))).map(|(_, tokens)| tokens).max();
    let heat = Heat { most: most.unwrap_or(1) };
    for (index, (pair, ticks)) in pairs.iter().zip(&ticks).enumerate() {
        let left = indent + (index % columns) as f64 * cell + margin_left;
        let top = (index / columns) as f64 * row + MARGIN_TOP;
        Panel { view, weighing, pair, ticks, left, top, side, margin_left, heat }.draw(&mut svg);
    }
    let rows = pairs.len().div_ceil(columns);
    let mut height = rows as f64 * row;
    if pairs.is_empty() {
        svg.text([0.0, TEXT], Anchor::Start, "dl-soft", "There is no pair of models.");
        height = 12.0;
    }
    height = heat.draw_bar(&mut svg, height + 10.0);
    let (name, what) = match weighing {
        Weighing::Vocabulary => ("correlation", "vocabulary entries"),
        Weighing::Occurrences => ("correlation_occurrences", "occurrences"),
    };
    let description = format!(
        "Grids on logarithmic axes, one per pair of models, of the losses of {what}; a cell's colour gives its number of tokens, the dashed line is equality."
    );
    Figure::new(name, format!("Losses of each pair of models, {what}"), description, height, svg)
}

/// Places of ticks, nats, and their labels.
type Ticks = Vec<(f64, String)>;

/// Ticks for both axes of a square grid of this size.
fn ticks_of(heatmap: &Heatmap, side: f64) -> Ticks {
    let domain = extent(heatmap.edges_nats.iter().copied());
    domain.and_then(|domain| Log::new(domain, [0.0, side])).map(|axis| axis.ticks()).unwrap_or_default()
}

/// From a count to a step of the sequential scale, logarithmically.
#[derive(Clone, Copy)]
struct Heat {
    most: u64,
}

impl Heat {
    fn step(self, tokens: u64) -> usize {
        let top = HEAT_STEPS - 1;
        if self.most <= 1 {
            return top;
        }
        let share = (tokens.max(1) as f64).ln() / (self.most as f64).ln();
        ((share * HEAT_STEPS as f64) as usize).min(top)
    }

    /// The colour bar with its ticks; returns where it ends.
    fn draw_bar(self, svg: &mut Svg, top: f64) -> f64 {
        let (left, width) = (150.0, 300.0);
        let step = width / HEAT_STEPS as f64;
        svg.text([left - 12.0, top + 12.0], Anchor::End, "dl-soft", "tokens in a cell");
        for index in 0..HEAT_STEPS {
            svg.rect([left + step * index as f64, top, step + 0.4, 14.0], &format!("heat-{index}"));
        }
        let ticks = match Log::new([1.0, self.most as f64], [left, left + width]) {
            Some(axis) => {
                let powers = (self.most as f64).log10().floor() as i32;
                let every = (powers / 5).max(1);
                (0..=powers)
                    .filter(|power| power % every == 0)
                    .map(|power| 10f64.powi(power))
                    .map(|tokens| (axis.at(tokens), tokens))
                    .collect()
            }
            None => vec![(left, 1.0)],
        };
        for (x, tokens) in ticks {
            svg.line([x, top + 14.0], [x, top + 18.0], "dl-axis");
            svg.text([x, top + 32.0], Anchor::Middle, "dl-soft", &short_count(tokens));
        }
        top + 40.0
    }
}

/// A power of ten as a tick label.
fn short_count(tokens: f64) -> String {
    match tokens {
        ..1e4 => format::count(tokens as u64),
        1e4..1e6 => format!("{}k", tokens / 1e3),
        1e6..1e9 => format!("{}M", tokens / 1e6),
        _ => format!("{tokens:.0e}"),
    }
}

struct Panel<'p> {
    view: View<'p>,
    weighing: Weighing,
    pair: &'p PairCorrelation,
    ticks: &'p [(f64, String)],
    left: f64,
    top: f64,
    side: f64,
    /// Room left of the grid.
    margin_left: f64,
    heat: Heat,
}

impl Panel<'_> {
    fn draw(&self, svg: &mut Svg) {
        let Panel { left, top, side, .. } = *self;
        let heatmap = self.weighing.grid_of(self.pair);
        let (r, over) = match self.weighing {
            Weighing::Vocabulary => (value(self.pair.pearson_vocabulary), "vocabulary entries"),
            Weighing::Occurrences => (value(self.pair.pearson_occurrences), "occurrences"),
        };
        let r = r.map_or_else(|| format!("r {}", format::ABSENT), |r| format!("r = {}", format::nats(r)));
        svg.text([left, top - 25.0], Anchor::Start, "dl-bold", &r);
        svg.text_within([left, top - 8.0], Anchor::Start, "dl-soft", over, side + 8.0);
        svg.rect([left, top, side, side], "dl-raised");
        let Some([low, high]) = extent(heatmap.edges_nats.iter().copied()) else {
            return self.draw_absent(svg);
        };
        let x = Log::new([low, high], [left, left + side]);
        let y = Log::new([low, high], [top + side, top]);
        let (Some(x), Some(y)) = (x, y) else { return self.draw_absent(svg) };
        self.draw_cells(svg, heatmap, x, y);
        svg.line([left, top + side], [left + side, top], "dl-diagonal");
        self.draw_axes(svg, x, y);
    }

    fn draw_absent(&self, svg: &mut Svg) {
        let middle = [self.left + self.side / 2.0, self.top + self.side / 2.0];
        svg.text(middle, Anchor::Middle, "dl-soft", "no grid");
    }

    fn draw_cells(&self, svg: &mut Svg, heatmap: &Heatmap, x: Log, y: Log) {
        for ([x_low, x_high, y_low, y_high], tokens) in filled_cells(heatmap) {
            let (left, right, top, bottom) = (x.at(x_low), x.at(x_high), y.at(y_high), y.at(y_low));
            let title = format!(
                "{} at {}–{} × {}–{} nats",
                format::counted(tokens, "token", "tokens"),
                format::significant(x_low),
                format::significant(x_high),
                format::significant(y_low),
                format::significant(y_high)
            );
            svg.titled(&title, "", |svg| {
                svg.rect(
                    [left, top, right - left, bottom - top],
                    &format!("dl-cell heat-{}", self.heat.step(tokens)),
                );
            });
        }
    }

    fn draw_axes(&self, svg: &mut Svg, x: Log, y: Log) {
        let Panel { left, top, side, .. } = *self;
        let bottom = top + side;
        svg.polyline(&[[left, top], [left, bottom], [left + side, bottom]], "dl-axis", "");
        for (tick, label) in self.ticks {
            let (across, up) = (x.at(*tick), y.at(*tick));
            svg.line([across, bottom], [across, bottom + 4.0], "dl-axis");
            svg.text([across, bottom + 18.0], Anchor::Middle, "dl-soft", label);
            svg.line([left - 4.0, up], [left, up], "dl-axis");
            svg.text([left - 7.0, up + TEXT * 0.36], Anchor::End, "dl-soft", label);
        }
        let label = |role, room: f64| {
            let label = cut_label(&self.view.label(role), room - width_of(", nats", false));
            format!("{label}, nats")
        };
        let (across, up) = (side + 10.0, side + 24.0);
        let x_label = label(self.pair.x, across);
        svg.text_within([left + side / 2.0, bottom + 37.0], Anchor::Middle, "", &x_label, across);
        let baseline = left - self.margin_left + UPWARD_BASELINE;
        svg.text_upwards([baseline, top + side / 2.0], "", &label(self.pair.y, up), up);
    }
}
