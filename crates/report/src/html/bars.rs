//! Bars in the cells of a column of Δ, with whiskers for the intervals: the numbers beside them say the same.

use std::fmt::Write as _;

use deltaloss_stats::Estimate;

use crate::format::NumberFormat;
use crate::table::{Kind, Table};

/// Width of a bar's room and its height, CSS pixels.
const WIDTH: f64 = 84.0;
const HEIGHT: f64 = 9.0;

/// The columns that get bars: one a table, by their names in its file.
const COLUMNS: [&str; 2] = ["delta_nats", "difference_nats"];

/// The scale of a column's bars: zero in the middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bars {
    /// What half of the width stands for, nats.
    half: f64,
}

impl Bars {
    /// The bars of a column; nothing where it has none, or fewer than two numbers to compare.
    pub(super) fn of(table: &Table, column: usize) -> Option<Self> {
        let found =
            table.columns.get(column).filter(|found| COLUMNS.contains(&found.key) && found.on_page)?;
        if !matches!(found.kind, Kind::Estimate(NumberFormat::Delta) | Kind::Tested(NumberFormat::Delta)) {
            return None;
        }
        let cells = table.rows.iter().filter_map(|row| row.get(column)?.estimate_value());
        let sizes: Vec<f64> =
            cells.map(|estimate| estimate.value.abs()).filter(|size| size.is_finite()).collect();
        let most = sizes.iter().copied().fold(0.0, f64::max);
        // Room for whiskers; those of rare groups may go on beyond it.
        (sizes.len() > 1 && most > 0.0).then_some(Bars { half: 1.5 * most })
    }

    /// The bar of a number, to the left for a and to the right for b.
    pub(super) fn draw(self, estimate: Estimate) -> String {
        let at = |value: f64| (WIDTH / 2.0 * (1.0 + value / self.half)).clamp(0.5, WIDTH - 0.5);
        let (zero, end, middle) = (at(0.0), at(estimate.value), HEIGHT / 2.0);
        let side = if estimate.value < 0.0 { "a" } else { "b" };
        let mut out = format!(
            "<svg class=\"bar\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" aria-hidden=\"true\">\
             <rect class=\"fill-{side}\" x=\"{:.1}\" y=\"1.5\" width=\"{:.1}\" height=\"{}\"/>",
            zero.min(end),
            (zero - end).abs(),
            HEIGHT - 3.0
        );
        if let Some([low, high]) = estimate.interval.filter(|ends| ends.iter().all(|end| end.is_finite())) {
            let (low, high) = (at(low), at(high));
            let _ = write!(
                out,
                "<path class=\"dl-whisker\" d=\"M{low:.1} {middle}H{high:.1}M{low:.1} 2V{0}M{high:.1} 2V{0}\"/>",
                HEIGHT - 2.0
            );
        }
        let _ = write!(out, "<path class=\"dl-zero\" d=\"M{zero:.1} 0V{HEIGHT}\"/></svg>");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sample, tables};

    #[test]
    fn the_largest_number_reaches_two_thirds_and_signs_have_sides() {
        let table = tables::categories(&sample::with_intervals());
        let index = table.columns.iter().position(|column| column.key == "delta_nats").unwrap();
        let bars = Bars::of(&table, index).unwrap();
        let largest = bars.half / 1.5;
        let left = bars.draw(Estimate::point(-largest));
        assert!(left.contains("class=\"fill-a\" x=\"14.0\" y=\"1.5\" width=\"28.0\""), "{left}");
        let right = bars.draw(Estimate { interval: Some([0.0, 1e9]), ..Estimate::point(largest) });
        assert!(right.contains("class=\"fill-b\" x=\"42.0\"") && right.contains("H83.5"), "{right}");
        assert!(Bars::of(&table, 0).is_none(), "words");
        assert!(Bars::of(&tables::categories(&sample::identical()), index).is_none(), "nothing but zeros");
    }
}
