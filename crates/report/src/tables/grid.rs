//! The grids of the correlation figures as tables.

use deltaloss_stats::{Comparison, Heatmap, PairCorrelation};

use crate::format::NumberFormat::Significant;
use crate::table::{Cell, Column, Kind, Table};
use crate::view::View;

/// Which of the two grids of a pair of models is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighing {
    /// Each vocabulary entry lies at its mean losses and adds its occurrences: the post's Figure 33.
    Vocabulary,
    /// Each occurrence lies at its own losses.
    Occurrences,
}

/// The filled cells of every pair's grid, one row a cell.
pub fn correlation_grid(comparison: &Comparison, weighing: Weighing) -> Table {
    let view = View::new(comparison);
    let edge = |key, heading: &str| Column::new(key, heading, Kind::Number(Significant));
    let columns = vec![
        Column::new("x", "x", Kind::Text),
        Column::new("y", "y", Kind::Text),
        edge("x_low_nats", "x from (nats)"),
        edge("x_high_nats", "x to (nats)"),
        edge("y_low_nats", "y from (nats)"),
        edge("y_high_nats", "y to (nats)"),
        Column::new("tokens", "Tokens", Kind::Count),
    ];
    let mut rows = Vec::new();
    for pair in &comparison.all.correlation {
        let (heatmap, x, y) = (weighing.grid_of(pair), view.label(pair.x), view.label(pair.y));
        for (cell, tokens) in filled_cells(heatmap) {
            let mut row = vec![Cell::Text(x.clone()), Cell::Text(y.clone())];
            row.extend(cell.map(|edge| Cell::Number(Some(edge))));
            row.push(Cell::Count(Some(tokens)));
            rows.push(row);
        }
    }
    let (name, what) = match weighing {
        Weighing::Vocabulary => ("correlation_grid_vocabulary", "vocabulary entries"),
        Weighing::Occurrences => ("correlation_grid_occurrences", "occurrences"),
    };
    Table { name, caption: format!("Filled cells of the grid of {what}."), columns, rows, is_data: true }
}

impl Weighing {
    /// The grid of this kind.
    pub(crate) fn grid_of(self, pair: &PairCorrelation) -> &Heatmap {
        match self {
            Weighing::Vocabulary => &pair.heatmap_vocabulary,
            Weighing::Occurrences => &pair.heatmap_occurrences,
        }
    }
}

/// The cells of a grid that hold tokens: `[x low, x high, y low, y high]` in nats, and the tokens.
pub(crate) fn filled_cells(heatmap: &Heatmap) -> impl Iterator<Item = ([f64; 4], u64)> {
    let edges = heatmap.edges_nats.windows(2);
    heatmap.counts.iter().zip(edges.clone()).flat_map(move |(row, y)| {
        row.iter().zip(edges.clone()).filter(|(tokens, _)| **tokens > 0).filter_map(
            move |(tokens, x)| match (x, y) {
                ([x_low, x_high], [y_low, y_high]) => Some(([*x_low, *x_high, *y_low, *y_high], *tokens)),
                _ => None,
            },
        )
    })
}
