//! Correlations of losses, and the grids of their figures as tables.

use deltaloss_stats::{Comparison, Heatmap, PairCorrelation, Sections};

use super::of_sets;
use crate::format::NumberFormat::{Nats, Significant};
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

/// Correlations of every pair of models.
pub fn correlation(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        Column::new("x", "x", Kind::Text),
        Column::new("y", "y", Kind::Text),
        Column::new("pearson_vocabulary", "r, vocabulary entries", Kind::Estimate(Nats)),
        Column::new("pearson_vocabulary_weighted", "r, entries weighted by count", Kind::Estimate(Nats)),
        Column::new("pearson_occurrences", "r, occurrences", Kind::Estimate(Nats)),
        Column::new("spearman_occurrences", "Spearman’s ρ, occurrences", Kind::Estimate(Nats)),
        Column::new("vocabulary_entries", "Vocabulary entries", Kind::Count),
        Column::new("tokens_outside_grid_vocabulary", "Outside the grid, entries", Kind::Count)
            .only_in_file(),
        Column::new("tokens_outside_grid_occurrences", "Outside the grid, occurrences", Kind::Count)
            .only_in_file(),
    ];
    let rows = |sections: &Sections| {
        let pairs = sections.correlation.iter();
        pairs
            .map(|pair| {
                vec![
                    Cell::Text(view.label(pair.x)),
                    Cell::Text(view.label(pair.y)),
                    Cell::estimate(pair.pearson_vocabulary),
                    Cell::estimate(pair.pearson_vocabulary_weighted),
                    Cell::estimate(pair.pearson_occurrences),
                    Cell::estimate(pair.spearman_occurrences),
                    Cell::Count(Some(pair.vocabulary_entries)),
                    Cell::Count(Some(pair.heatmap_vocabulary.outside)),
                    Cell::Count(Some(pair.heatmap_occurrences.outside)),
                ]
            })
            .collect()
    };
    let caption = "Correlation of the models’ losses, four ways.".into();
    of_sets(view, "correlation", caption, columns, rows)
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
    for pair in &view.lead().correlation {
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
    let caption = format!("Filled cells of the grid of {what}.");
    Table { name, caption, columns, rows, more_rows: Vec::new(), is_data: true }
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
