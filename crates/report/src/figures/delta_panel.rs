//! Horizontal bars of Δ, one row per group of tokens: what the category and bracket figures are made of.

use deltaloss_records::Role;
use deltaloss_stats::{DeltaRow, Estimate};

use super::marks::{
    MARK_KEY, draw_faint_key, draw_marked, draw_marker, draw_whisker, draw_winners, faint_if, mark_width,
};
use crate::escape;
use crate::format;
use crate::scale::{Linear, extent};
use crate::svg::{Anchor, Svg, TEXT, WIDTH, width_of};
use crate::view::{FEW_TOKENS, View, delta_of, estimate, holds, value};

const ROW: f64 = 24.0;
const BAR: f64 = 12.0;
const GAP: f64 = 12.0;
const HEADER: f64 = 48.0;
const FOOTER: f64 = 26.0;
/// Room for 99,999,999,999; what is longer is cut and shown in full on hovering.
const WIDEST_COUNT: f64 = 112.0;
/// More rows than this are a table's business; the rarest are left out.
const MOST_ROWS: usize = 28;

/// The columns and the scale that all panels of a figure share.
pub(super) struct DeltaPanels<'v> {
    view: View<'v>,
    label_width: f64,
    count_end: f64,
    axis: Linear,
    code_labels: bool,
    has_faint: bool,
    /// Whether some number lies beyond the axis.
    reaches_beyond: bool,
    /// Whether some number was tested.
    has_tests: bool,
    quantity: Quantity,
}

/// What the bars are, and what stands hollow beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Δ, beside the placebo's.
    Delta,
    /// Δ less the placebo's.
    BeyondPlacebo,
    /// Δ of the confirmation half, beside the discovery half's.
    Halves,
}

impl Quantity {
    /// The hollow mark's name and the role that it is drawn as.
    fn hollow(self) -> Option<(&'static str, Role)> {
        match self {
            Quantity::Delta => Some(("placebo", Role::Placebo)),
            Quantity::BeyondPlacebo => None,
            // No model, so a shape of none that takes part in Δ.
            Quantity::Halves => Some(("discovery half", Role::Benchmark)),
        }
    }

    /// The heading of the numbers.
    fn heading(self) -> &'static str {
        match self {
            Quantity::Delta | Quantity::Halves => "Δ nats",
            Quantity::BeyondPlacebo => "difference",
        }
    }
}

/// One panel of bars.
pub(super) struct DeltaPanel<'r> {
    /// Bold line above it; none where the figure is its only panel.
    pub(super) title: Option<&'r str>,
    /// Heading of the label column.
    pub(super) heading: &'r str,
    /// Its rows, top to bottom.
    pub(super) rows: &'r [DeltaRow],
    /// Whether labels are token texts.
    pub(super) tokens: bool,
}

impl<'v> DeltaPanels<'v> {
    /// Lays out the columns for every row of `panels`.
    pub(super) fn new(view: View<'v>, panels: &[DeltaPanel<'_>], quantity: Quantity) -> Self {
        let rows = || panels.iter().flat_map(|panel| panel.rows);
        let labels = panels.iter().flat_map(|panel| {
            panel.rows.iter().map(|row| width_of(&label_of(row, panel.tokens), panel.tokens))
        });
        let headings = panels.iter().map(|panel| width_of(panel.heading, false));
        let widest = |widths: &mut dyn Iterator<Item = f64>| widths.fold(0.0, f64::max);
        let label_width = widest(&mut labels.chain(headings)).min(200.0);
        let counts = widest(&mut rows().map(|row| width_of(&format::count(row.tokens), false)));
        let values =
            widest(&mut rows().filter_map(delta_of).map(|delta| width_of(&format::delta(delta), false)));
        let count_end = label_width + GAP + counts.max(width_of("tokens", false)).min(WIDEST_COUNT);
        let values = (values + mark_width()).max(width_of(quantity.heading(), false));
        let bars = [count_end + GAP + 4.0, WIDTH - values - GAP];
        let axis = axis_of(&rows().collect::<Vec<_>>(), bars);
        let has_faint = rows().any(|row| row.tokens < FEW_TOKENS && delta_of(row).is_some());
        let reaches_beyond = rows()
            .flat_map(|row| [delta_of(row), value(row.placebo_delta_nats)])
            .flatten()
            .any(|delta| !axis.holds(delta));
        let has_tests = rows().any(|row| row.delta_test.is_some());
        DeltaPanels {
            view,
            label_width,
            count_end,
            axis,
            code_labels: false,
            has_faint,
            reaches_beyond,
            has_tests,
            quantity,
        }
    }

    /// Draws a panel from `top` down; returns where it ends.
    pub(super) fn draw(&mut self, svg: &mut Svg, top: f64, panel: &DeltaPanel<'_>) -> f64 {
        self.code_labels = panel.tokens;
        let mut y = top;
        if let Some(title) = panel.title {
            svg.text([0.0, y + TEXT], Anchor::Start, "dl-bold", title);
            y += 24.0;
        }
        if panel.rows.is_empty() {
            svg.text([0.0, y + TEXT], Anchor::Start, "dl-soft", "No such token in this corpus.");
            return y + ROW;
        }
        let (kept, left_out) = most_frequent(panel.rows);
        self.draw_header(svg, y, panel.heading);
        let first = y + HEADER;
        let bottom = first + ROW * kept.len() as f64;
        self.draw_axis(svg, first, bottom);
        for (index, row) in kept.iter().enumerate() {
            self.draw_row(svg, first + ROW * (index as f64 + 0.5), row);
        }
        if left_out == 0 {
            return bottom + FOOTER;
        }
        let note = format!("and {} rarer, in the table", format::count(left_out as u64));
        svg.text([0.0, bottom + 18.0], Anchor::Start, "dl-soft", &note);
        bottom + FOOTER
    }

    /// Axis title and the key to what is drawn; returns where it ends.
    pub(super) fn draw_key(&self, svg: &mut Svg, top: f64) -> f64 {
        let (a, b) = (self.view.label(Role::A), self.view.label(Role::B));
        let mut y = top + TEXT;
        let placebo = self.view.label(Role::Placebo);
        let title = match self.quantity {
            Quantity::Delta | Quantity::Halves => format!("Δ = loss of {a} − loss of {b}, nats a token"),
            Quantity::BeyondPlacebo => {
                "difference = Δ − placebo’s Δ on the same tokens, nats a token".to_owned()
            }
        };
        svg.text_within([0.0, y], Anchor::Start, "dl-soft", &title, WIDTH);
        let hollow =
            self.quantity.hollow().filter(|_| self.quantity == Quantity::Halves || self.view.has_placebo());
        if let Some((name, role)) = hollow {
            y += 20.0;
            svg.marker(role, [6.0, y - 4.5], 4.2, true);
            let text = match self.quantity {
                Quantity::Halves => {
                    "discovery half: Δ on the other documents; bars are the confirmation half".to_owned()
                }
                _ => format!("{name}: loss of {placebo} − loss of {b}, same tokens"),
            };
            svg.text_within([18.0, y], Anchor::Start, "dl-soft", &text, WIDTH - 18.0);
        }
        if self.has_tests {
            y += 20.0;
            svg.text([0.0, y], Anchor::Start, "dl-soft", MARK_KEY);
        }
        if !self.has_faint {
            return y + 8.0;
        }
        y += 20.0;

        draw_faint_key(svg, [18.0, y], self.reaches_beyond);
        y + 8.0
    }

    fn draw_header(&self, svg: &mut Svg, top: f64, heading: &str) {
        draw_winners(svg, self.view, self.axis.at(0.0), top + TEXT, WIDTH);
        let line = top + 2.0 * TEXT + 8.0;
        svg.text([0.0, line], Anchor::Start, "dl-soft", heading);
        svg.text([self.count_end, line], Anchor::End, "dl-soft", "tokens");
        svg.text([WIDTH, line], Anchor::End, "dl-soft", self.quantity.heading());
        svg.line([0.0, top + HEADER - 5.0], [WIDTH, top + HEADER - 5.0], "dl-rule");
    }

    fn draw_axis(&self, svg: &mut Svg, top: f64, bottom: f64) {
        for (tick, label) in self.axis.ticks(4) {
            let x = self.axis.at(tick);
            svg.line([x, top - 3.0], [x, bottom + 3.0], "dl-grid");
            svg.text([x, bottom + 18.0], Anchor::Middle, "dl-soft", &label);
        }
        let zero = self.axis.at(0.0);
        svg.line([zero, top - 5.0], [zero, bottom + 3.0], "dl-zero");
    }

    fn draw_row(&self, svg: &mut Svg, middle: f64, row: &DeltaRow) {
        let baseline = middle + TEXT * 0.36;
        let class = if self.code_labels { "dl-code" } else { "" };
        let label = label_of(row, self.code_labels);
        svg.text_within([0.0, baseline], Anchor::Start, class, &label, self.label_width);
        svg.text_within(
            [self.count_end, baseline],
            Anchor::End,
            "dl-soft",
            &format::count(row.tokens),
            WIDEST_COUNT,
        );
        let Some(delta) = estimate(row.delta_nats) else {
            svg.text([WIDTH, baseline], Anchor::End, "dl-soft", format::ABSENT);
            return;
        };
        draw_marked(svg, [WIDTH, baseline], "", &format::delta(delta.value), holds(row.delta_test), f64::MAX);
        let placebo = value(row.placebo_delta_nats);
        let bar_middle = if placebo.is_some() { middle - 3.0 } else { middle };
        let class = faint_if(row.tokens < FEW_TOKENS);
        svg.titled(&self.row_in_words(row, delta, placebo), class, |svg| {
            self.draw_bar(svg, bar_middle, delta);
            if let (Some(placebo), Some((_, role))) = (placebo, self.quantity.hollow()) {
                draw_marker(svg, role, self.axis, placebo, middle + 6.5, 4.2, true);
            }
        });
    }

    fn draw_bar(&self, svg: &mut Svg, middle: f64, delta: Estimate) {
        let (zero, end) = (self.axis.at(0.0), self.axis.at(delta.value));
        let winner = if delta.value < 0.0 { Role::A } else { Role::B };
        let class = format!("fill-{}", winner.name());
        svg.rect([zero.min(end), middle - BAR / 2.0, (end - zero).abs(), BAR], &class);
        if !self.axis.holds(delta.value) {
            // The bar goes on beyond the axis: its end is broken off.
            let inwards = 5.0 * self.axis.inwards(delta.value);
            for step in [1.0, 2.2] {
                let x = end + inwards * step;
                svg.line(
                    [x - 2.0, middle + BAR / 2.0 + 1.0],
                    [x + 2.0, middle - BAR / 2.0 - 1.0],
                    "dl-whisker",
                );
            }
        }
        if let Some(interval) = delta.interval {
            draw_whisker(svg, self.axis, interval, middle);
        }
    }

    fn row_in_words(&self, row: &DeltaRow, delta: Estimate, placebo: Option<f64>) -> String {
        let mut words = format!(
            "{}: Δ {} nats over {}",
            label_of(row, self.code_labels),
            format::NumberFormat::Delta.write_estimate(Some(delta)),
            format::counted(row.tokens, "token", "tokens"),
        );
        if let Some(placebo) = placebo {
            let name = self.quantity.hollow().map_or("", |(name, _)| name);
            words.push_str(&format!("; {name} {}", format::delta(placebo)));
        }
        if let Some(test) = row.delta_test {
            words.push_str(&format!("; q {}", format::probability(test.q_value)));
        }
        words
    }
}

fn label_of(row: &DeltaRow, token: bool) -> String {
    if token { escape::visible_token(&row.name) } else { escape::visible(&row.name) }
}

/// An axis around zero that holds every row with enough tokens to be taken seriously, with room on both sides.
fn axis_of(rows: &[&DeltaRow], range: [f64; 2]) -> Linear {
    let numbers = |least: u64| {
        let kept = rows.iter().filter(move |row| row.tokens >= least);
        extent(kept.flat_map(|row| {
            let delta = estimate(row.delta_nats);
            let ends = delta.and_then(|delta| delta.interval).map_or([f64::NAN; 2], |interval| interval);
            [delta.map_or(f64::NAN, |delta| delta.value), value(row.placebo_delta_nats).unwrap_or(f64::NAN)]
                .into_iter()
                .chain(ends)
        }))
    };
    let [low, high] = numbers(FEW_TOKENS).or_else(|| numbers(0)).unwrap_or([0.0, 0.0]);
    let (low, high) = (low.min(0.0), high.max(0.0));
    let extent = high - low;
    if extent == 0.0 {
        return Linear::new([-0.1, 0.1], range);
    }
    Linear::new([low.min(-0.3 * extent) - 0.04 * extent, high.max(0.3 * extent) + 0.04 * extent], range)
}

/// The rows to draw, in their order, and how many were left out.
fn most_frequent(rows: &[DeltaRow]) -> (Vec<&DeltaRow>, usize) {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(rows.get(index).map_or(0, |row| row.tokens)));
    order.truncate(MOST_ROWS);
    order.sort_unstable();
    let kept: Vec<&DeltaRow> = order.into_iter().filter_map(|index| rows.get(index)).collect();
    let left_out = rows.len() - kept.len();
    (kept, left_out)
}
