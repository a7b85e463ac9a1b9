//! What happens where one model is confident and the other is not.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, ConfidenceCell, ConfidenceRow};

use super::Figure;
use super::marks::{
    MARK_KEY, cut_label, draw_faint_key, draw_marked, draw_marker, draw_whisker, draw_winners, faint_if,
    mark_width,
};
use crate::format;
use crate::scale::{Linear, extent};
use crate::svg::{Anchor, BOLD, Svg, TEXT, WIDTH, width_of};
use crate::view::{FEW_TOKENS, View, estimate, holds, value};

const HEADER: f64 = 66.0;
const GROUP_GAP: f64 = 8.0;
const GAP: f64 = 14.0;
/// Room for 99,999,999; what is longer is cut and shown in full on hovering.
const WIDEST_NUMBER: f64 = 84.0;
const LABELS: f64 = 146.0;

/// Columns of the figure and the axis of its dots.
struct Layout<'v> {
    view: View<'v>,
    axis: Linear,
    plot: [f64; 2],
    /// Right ends of Δ and N, for a confident and for b confident.
    columns: [[f64; 2]; 2],
    /// Widths of Δ and N.
    widths: [f64; 2],
    row: f64,
    has_faint: bool,
    /// Whether some mark lies beyond the axis.
    reaches_beyond: bool,
    /// Whether some number was tested.
    has_tests: bool,
}

/// Paired dots, one row per pair of thresholds, grouped by c: filled for (a, b), hollow for (placebo, b).
pub fn confidence(comparison: &Comparison) -> Figure {
    let view = View::new(comparison);
    let rows = &view.lead().confidence;
    let mut svg = Svg::default();
    let layout = Layout::new(view, rows);
    let mut y = HEADER;
    let mut places = Vec::with_capacity(rows.len());
    let mut group = None;
    for row in rows {
        if group.is_some_and(|c| c != row.confident_below_nats) {
            y += GROUP_GAP;
        }
        places.push((y + layout.row / 2.0, group != Some(row.confident_below_nats)));
        group = Some(row.confident_below_nats);
        y += layout.row;
    }
    layout.draw_frame(&mut svg, y);
    for (row, (middle, first)) in rows.iter().zip(places) {
        layout.draw_row(&mut svg, row, middle, first);
    }
    let height = layout.draw_key(&mut svg, y + 52.0);
    let (a, b) = (view.label(Role::A), view.label(Role::B));
    let description = format!(
        "Dots, one row per pair of thresholds, of the loss of {a} minus the loss of {b} where one model's entropy is below c nats and the other's above u nats; left of zero {a} is better."
    );
    Figure::new("confidence", "ΔLoss where only one model is confident".into(), description, height, svg)
}

impl<'v> Layout<'v> {
    fn new(view: View<'v>, rows: &[ConfidenceRow]) -> Self {
        let cells = || rows.iter().flat_map(cells_of).flatten();
        let widest = |text: &dyn Fn(&ConfidenceCell) -> String, least: &str| {
            cells().map(|cell| width_of(&text(&cell), false)).fold(width_of(least, false), f64::max)
        };
        let tokens = widest(&|cell| format::count(cell.tokens), "tokens").min(WIDEST_NUMBER);
        let deltas = widest(&|cell| shown_delta(cell), "Δ nats").min(WIDEST_NUMBER);
        let block = deltas + mark_width() + 8.0 + tokens;
        let columns = [WIDTH - block - GAP, WIDTH].map(|end| [end - tokens - 8.0, end]);
        let plot = [LABELS, WIDTH - 2.0 * (block + GAP)];
        let axis = axis_of(&cells().collect::<Vec<_>>(), plot);
        Layout {
            view,
            axis,
            plot,
            columns,
            widths: [deltas, tokens],
            row: if view.has_placebo() { 27.0 } else { 22.0 },
            has_faint: cells().any(|cell| cell.tokens < FEW_TOKENS && value(cell.delta_nats).is_some()),
            has_tests: cells().any(|cell| cell.delta_test.is_some()),
            reaches_beyond: cells().filter_map(|cell| value(cell.delta_nats)).any(|delta| !axis.holds(delta)),
        }
    }

    fn draw_frame(&self, svg: &mut Svg, bottom: f64) {
        let line = HEADER - 12.0;
        svg.text([0.0, line], Anchor::Start, "dl-soft", "one < c");
        svg.text([LABELS - 12.0, line], Anchor::End, "dl-soft", "other > u");
        for (role, [delta, tokens]) in [Role::A, Role::B].into_iter().zip(self.columns) {
            let class = format!("dl-bold fill-{}", role.name());
            let block = self.columns[1][1] - self.columns[0][1] - GAP;
            svg.text_within([tokens, TEXT], Anchor::End, &class, &self.view.label(role), block / BOLD);
            svg.text([tokens, TEXT + 18.0], Anchor::End, &class, "confident");
            svg.text([delta, line], Anchor::End, "dl-soft", "Δ nats");
            svg.text([tokens, line], Anchor::End, "dl-soft", "tokens");
        }
        svg.line([0.0, HEADER - 6.0], [WIDTH, HEADER - 6.0], "dl-rule");
        for (tick, label) in self.axis.ticks(4) {
            let x = self.axis.at(tick);
            svg.line([x, HEADER - 2.0], [x, bottom + 3.0], "dl-grid");
            svg.text([x, bottom + 18.0], Anchor::Middle, "dl-soft", &label);
        }
        let zero = self.axis.at(0.0);
        svg.line([zero, HEADER - 2.0], [zero, bottom + 3.0], "dl-zero");
        draw_winners(svg, self.view, zero, bottom + 38.0, WIDTH);
    }

    fn draw_row(&self, svg: &mut Svg, row: &ConfidenceRow, middle: f64, first_of_group: bool) {
        let baseline = middle + TEXT * 0.36;
        let (c, u) = (format::plain(row.confident_below_nats), format::plain(row.uncertain_above_nats));
        if first_of_group {
            svg.text([0.0, baseline], Anchor::Start, "dl-bold", &format!("c = {c}"));
        }
        svg.text([LABELS - 12.0, baseline], Anchor::End, "", &format!("u = {u}"));
        for (cell, [delta, tokens]) in [row.a_confident, row.b_confident].into_iter().zip(self.columns) {
            let count = format::count(cell.tokens);
            let class = if cell.tokens < FEW_TOKENS { "dl-soft" } else { "" };
            let marked = holds(cell.delta_test);
            draw_marked(svg, [delta, baseline], class, &shown_delta(&cell), marked, self.widths[0]);
            svg.text_within([tokens, baseline], Anchor::End, "dl-soft", &count, self.widths[1]);
        }
        svg.line([self.plot[0], middle], [self.plot[1], middle], "dl-grid");
        let [a, b, placebo, over_placebo] = cells_of(row);
        let shift = if placebo.is_some() || over_placebo.is_some() { 5.5 } else { 0.0 };
        let mut marks = [
            (Role::Placebo, placebo, true, middle + shift),
            (Role::B, over_placebo, true, middle + shift),
            (Role::A, a, false, middle - shift),
            (Role::B, b, false, middle - shift),
        ];
        // Faint marks go below the others.
        marks.sort_by_key(|(_, cell, ..)| cell.is_some_and(|cell| cell.tokens >= FEW_TOKENS));
        for (role, cell, hollow, y) in marks {
            let Some(cell) = cell else { continue };
            self.draw_mark(svg, role, hollow, y, cell);
        }
    }

    fn draw_mark(&self, svg: &mut Svg, role: Role, hollow: bool, y: f64, cell: ConfidenceCell) {
        let Some(delta) = estimate(cell.delta_nats) else { return };
        let pair = if hollow { "placebo − b" } else { "a − b" };
        let title = format!(
            "{} confident: Δ ({pair}) {} nats over {}",
            self.view.label(role),
            format::NumberFormat::Delta.write_estimate(Some(delta)),
            format::counted(cell.tokens, "token", "tokens")
        );
        svg.titled(&title, faint_if(cell.tokens < FEW_TOKENS), |svg| {
            if let Some(interval) = delta.interval {
                draw_whisker(svg, self.axis, interval, y);
            }
            draw_marker(svg, role, self.axis, delta.value, y, 4.4, hollow);
        });
    }

    /// What every mark means; returns where it ends.
    fn draw_key(&self, svg: &mut Svg, top: f64) -> f64 {
        let name = |role| cut_label(&self.view.label(role), 120.0);
        let (a, b) = (name(Role::A), name(Role::B));
        let mut lines = vec![
            (Role::A, false, format!("{a} confident, {b} not: Δ = {a} − {b}")),
            (Role::B, false, format!("{b} confident, {a} not: Δ = {a} − {b}")),
        ];
        if self.view.has_placebo() {
            let placebo = name(Role::Placebo);
            lines.push((Role::Placebo, true, format!("{placebo} confident, {b} not: Δ = {placebo} − {b}")));
            lines.push((Role::B, true, format!("{b} confident, {placebo} not: Δ = {placebo} − {b}")));
        }
        let mut y = top + TEXT;
        for (role, hollow, text) in lines {
            svg.marker(role, [6.0, y - 4.5], 4.4, hollow);
            svg.text_within([20.0, y], Anchor::Start, "dl-soft", &text, WIDTH - 20.0);
            y += 20.0;
        }
        if self.has_tests {
            svg.text([20.0, y], Anchor::Start, "dl-soft", MARK_KEY);
            y += 20.0;
        }
        if self.has_faint {
            draw_faint_key(svg, [20.0, y], self.reaches_beyond);
            y += 20.0;
        }
        y - 6.0
    }
}

/// a confident, b confident, placebo confident, b confident over placebo.
fn cells_of(row: &ConfidenceRow) -> [Option<ConfidenceCell>; 4] {
    [Some(row.a_confident), Some(row.b_confident), row.placebo_confident, row.b_confident_over_placebo]
}

/// An axis that holds zero and every cell with enough tokens to be taken seriously.
fn axis_of(cells: &[ConfidenceCell], range: [f64; 2]) -> Linear {
    let numbers = |least: u64| {
        let kept = cells.iter().filter(move |cell| cell.tokens >= least);
        kept.filter_map(|cell| estimate(cell.delta_nats)).flat_map(|estimate| {
            let [low, high] = estimate.interval.unwrap_or([estimate.value; 2]);
            [estimate.value, low, high]
        })
    };
    let least = if extent(numbers(FEW_TOKENS)).is_some() { FEW_TOKENS } else { 0 };
    Linear::around(numbers(least).chain([0.0]), 0.07, range)
}

fn shown_delta(cell: &ConfidenceCell) -> String {
    estimate(cell.delta_nats).map_or_else(|| format::ABSENT.to_owned(), |delta| format::delta(delta.value))
}
