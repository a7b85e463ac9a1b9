//! ΔLoss by category beside what it is held against: the placebo's, and the other half of the documents.

use deltaloss_stats::{Comparison, DeltaRow, Sections};

use super::{basis_column, of_sets};
use crate::format::NumberFormat::Delta;
use crate::table::{Cell, Column, Kind, Table};
use crate::view::{Part, View, basis_name, delta_of, holds, row_named};

/// ΔLoss of every category, the placebo's, and the difference of the two.
pub fn placebo(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        Column::new("category", "Category", Kind::Text),
        Column::new("tokens", "Tokens", Kind::Count),
        Column::new("delta_nats", "Δ (nats)", Kind::Tested(Delta)),
        Column::new("placebo_delta_nats", "Placebo Δ (nats)", Kind::Tested(Delta)),
        Column::new("difference_nats", "Δ − placebo Δ", Kind::Tested(Delta)),
    ];
    let rows = |sections: &Sections| {
        let held = sections.categories.iter().filter(|row| row.difference_nats.is_some());
        held.map(|row| {
            vec![
                Cell::Text(row.name.clone()),
                Cell::Count(Some(row.tokens)),
                Cell::Tested(row.delta_nats, row.delta_test),
                Cell::Tested(row.placebo_delta_nats, row.placebo_delta_test),
                Cell::Tested(row.difference_nats, row.difference_test),
            ]
        })
        .collect()
    };
    of_sets(
        view,
        "placebo",
        "Each category’s Δ beside the placebo’s on the same tokens.".into(),
        columns,
        rows,
    )
}

/// ΔLoss of every category in the discovery half and in the confirmation half; empty where they are not told apart.
pub fn confirmation(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        basis_column(),
        Column::new("category", "Category", Kind::Text),
        Column::new("discovery_tokens", "Tokens", Kind::Count).grouped("Discovery half"),
        Column::new("discovery_delta_nats", "Δ (nats)", Kind::Tested(Delta)).grouped("Discovery half"),
        Column::new("tokens", "Tokens", Kind::Count).grouped("Confirmation half"),
        Column::new("delta_nats", "Δ (nats)", Kind::Tested(Delta)).grouped("Confirmation half"),
        Column::new("confirmed", "Confirmed", Kind::Text),
    ];
    let bases = [Some(view.basis()), view.other_basis()].into_iter().flatten();
    let mut rows = bases.map(|basis| {
        let halves = [Part::Discovery, Part::Confirmation].map(|part| view.sections(basis, part));
        let [Some(discovery), Some(confirmation)] = halves else { return Vec::new() };
        let row = |row: &DeltaRow| {
            let found = row_named(&discovery.categories, &row.name);
            vec![
                Cell::Text(basis_name(basis).to_owned()),
                Cell::Text(row.name.clone()),
                Cell::Count(found.map(|found| found.tokens)),
                Cell::Tested(
                    found.and_then(|found| found.delta_nats),
                    found.and_then(|found| found.delta_test),
                ),
                Cell::Count(Some(row.tokens)),
                Cell::Tested(row.delta_nats, row.delta_test),
                Cell::Text(confirmed(found, row).to_owned()),
            ]
        };
        confirmation.categories.iter().map(row).collect()
    });
    let own = if view.beside().is_some() { rows.next().unwrap_or_default() } else { Vec::new() };
    let more_rows = if own.is_empty() { Vec::new() } else { rows.flatten().collect() };
    Table {
        name: "confirmation",
        caption: "Each category’s Δ in both halves. Confirmed: what differs from zero in the discovery half does so in the confirmation half too, with the same sign.".into(),
        columns,
        rows: own,
        more_rows,
        is_data: true,
    }
}

/// Whether what one half showed the other shows too.
fn confirmed(discovery: Option<&DeltaRow>, confirmation: &DeltaRow) -> &'static str {
    let Some(discovery) = discovery.filter(|row| holds(row.delta_test)) else { return "nothing to confirm" };
    let signs = [delta_of(discovery), delta_of(confirmation)].map(|delta| delta.map(|delta| delta < 0.0));
    match (holds(confirmation.delta_test), signs[0] == signs[1]) {
        (true, true) => "yes",
        (true, false) => "reversed",
        (false, true) => "no (same sign)",
        (false, false) => "no (other sign)",
    }
}
