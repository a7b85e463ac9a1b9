//! Every table of a comparison: what the page shows and what `tables/*.csv` holds.
//!
//! The page shows the headline numbers; a file has the same of every set of documents and on either basis, told
//! apart by its first columns.

mod calibration;
mod confidence;
mod grid;
mod groups;
mod halves;
mod held_fixed;
mod models;
mod oracle;
#[cfg(test)]
mod tests;

use deltaloss_records::Basis;
use deltaloss_stats::{Comparison, Sections};

use crate::table::{Cell, Column, Kind, Table};
use crate::view::{View, basis_name};

pub use calibration::{calibration, calibration_confidence, calibration_deltas, reliability};
pub use confidence::confidence;
pub(crate) use grid::filled_cells;
pub use grid::{Weighing, correlation, correlation_grid};
pub use groups::{brackets_by_count, brackets_by_depth, brackets_by_token, categories};
pub use halves::{confirmation, placebo};
pub use held_fixed::{held_fixed, held_fixed_slopes};
pub use models::{entropy, entropy_density, entropy_pairs, overall_models, overall_pairs, setup};
pub use oracle::{oracle_bins, oracle_trend};

/// Every table that the comparison has numbers for, in the order of the report.
pub fn tables(comparison: &Comparison) -> Vec<Table> {
    let mut tables = vec![
        setup(comparison),
        overall_models(comparison),
        overall_pairs(comparison),
        correlation(comparison),
        correlation_grid(comparison, Weighing::Vocabulary),
        correlation_grid(comparison, Weighing::Occurrences),
        categories(comparison),
        brackets_by_token(comparison),
        brackets_by_count(comparison),
        brackets_by_depth(comparison),
        entropy(comparison),
        entropy_density(comparison),
        confidence(comparison),
    ];
    if comparison.calibrated.is_some() {
        let of_calibration = [calibration, calibration_deltas, calibration_confidence];
        tables.extend(of_calibration.map(|table| table(comparison)));
    }
    let others = [
        entropy_pairs,
        oracle_bins,
        oracle_trend,
        placebo,
        reliability,
        held_fixed,
        held_fixed_slopes,
        confirmation,
    ]
    .map(|table| table(comparison));
    tables.extend(others.into_iter().filter(|table| !table.rows.is_empty()));
    tables
}

/// Which documents a row of a file is about.
fn set_column() -> Column {
    Column::new("document_set", "Documents", Kind::Text).only_in_file()
}

/// Which losses and entropies a row of a file is about.
fn basis_column() -> Column {
    Column::new("basis", "Basis", Kind::Text).only_in_file()
}

/// A table that the page has of the headline numbers, and the file of every set of documents on either basis.
fn of_sets(
    view: View<'_>,
    name: &'static str,
    caption: String,
    columns: Vec<Column>,
    rows: impl Fn(&Sections) -> Vec<Vec<Cell>>,
) -> Table {
    let mut sets = view.sets().into_iter().map(|(basis, part, sections)| {
        let with_set = |row: Vec<Cell>| {
            let set = [basis_name(basis), part.name()].map(|name| Cell::Text(name.to_owned()));
            set.into_iter().chain(row).collect::<Vec<_>>()
        };
        rows(sections).into_iter().map(with_set).collect::<Vec<_>>()
    });
    let rows = sets.next().unwrap_or_default();
    let more_rows = sets.flatten().collect();
    let columns = [basis_column(), set_column()].into_iter().chain(columns).collect();
    Table { name, caption, columns, rows, more_rows, is_data: true }
}

/// The heading of a column with the same numbers on the other basis.
fn other_basis_heading(view: View<'_>) -> &'static str {
    match view.other_basis() {
        Some(Basis::AsScored) => "As scored",
        _ => "Calibrated",
    }
}
