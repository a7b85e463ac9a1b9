//! What happens where one model is confident and the other is not.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, ConfidenceCell, ConfidenceDifference, ConfidenceRow, Sections};

use super::of_sets;
use crate::format::NumberFormat::{Delta, Plain, Share};
use crate::table::{Cell, Column, Kind, Table};
use crate::view::{View, value};

/// Columns of one way: of the two compared, of the placebo in its place, of their difference.
struct Way {
    confident: Role,
    ours: [&'static str; 5],
    placebo: [&'static str; 5],
    difference: [&'static str; 2],
}

const WAYS: [Way; 2] = [
    Way {
        confident: Role::A,
        ours: [
            "a_confident_tokens",
            "a_confident_documents",
            "a_confident_delta_nats",
            "a_confident_excess_nats",
            "a_confident_share_of_gap",
        ],
        placebo: [
            "placebo_confident_tokens",
            "placebo_confident_documents",
            "placebo_confident_delta_nats",
            "placebo_confident_excess_nats",
            "placebo_confident_share_of_gap",
        ],
        difference: ["a_difference_delta_nats", "a_difference_excess_nats"],
    },
    Way {
        confident: Role::B,
        ours: [
            "b_confident_tokens",
            "b_confident_documents",
            "b_confident_delta_nats",
            "b_confident_excess_nats",
            "b_confident_share_of_gap",
        ],
        placebo: [
            "b_confident_over_placebo_tokens",
            "b_confident_over_placebo_documents",
            "b_confident_over_placebo_delta_nats",
            "b_confident_over_placebo_excess_nats",
            "b_confident_over_placebo_share_of_gap",
        ],
        difference: ["b_difference_delta_nats", "b_difference_excess_nats"],
    },
];

/// What happens where one model is confident and the other is not.
pub fn confidence(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let mut columns = vec![
        Column::new("confident_below_nats", "One below c", Kind::Number(Plain)),
        Column::new("uncertain_above_nats", "The other above u", Kind::Number(Plain)),
    ];
    for way in &WAYS {
        columns.extend(columns_of(view, way));
    }
    let rows = |sections: &Sections| sections.confidence.iter().map(cells_of).collect();
    let mut caption = "Tokens where one model’s entropy is below c nats and the other’s above u nats. Δ is a − b throughout.".to_owned();
    if view.has_placebo() {
        caption.push_str(" The placebo’s Δ is placebo − b on the tokens that the same rule chooses with the placebo in the place of a: what choosing by entropy does of itself.");
    }
    of_sets(view, "confidence", caption, columns, rows)
}

fn columns_of(view: View<'_>, way: &Way) -> Vec<Column> {
    let other = if way.confident == Role::A { Role::B } else { Role::A };
    let group = format!("{} confident, {} not", view.short_label(way.confident), view.short_label(other));
    let with_placebo = view.has_placebo();
    let difference =
        view.lead().confidence.iter().any(|row| row.a_difference.is_some() || row.b_difference.is_some());
    let [tokens, documents, delta, excess, share] = way.ours;
    let columns = [
        Column::new(tokens, "Tokens", Kind::Count),
        Column::new(documents, "Documents", Kind::Count).only_in_file(),
        Column::new(delta, "Δ", Kind::Tested(Delta)),
        Column::new(excess, "Excess", Kind::Tested(Delta)).only_in_file(),
        Column::new(share, "Share of the gap", Kind::Estimate(Share)).only_in_file(),
    ];
    let [tokens, documents, delta, excess, share] = way.placebo;
    let placebo = [
        Column::new(tokens, "Placebo tokens", Kind::Count).only_in_file(),
        Column::new(documents, "Placebo documents", Kind::Count).only_in_file(),
        Column::new("placebo", "Placebo Δ", Kind::Number(Delta)).only_on_page().on_page_if(with_placebo),
        Column::new(delta, "Placebo Δ", Kind::Tested(Delta)).only_in_file(),
        Column::new(excess, "Placebo excess", Kind::Tested(Delta)).only_in_file(),
        Column::new(share, "Placebo share", Kind::Estimate(Share)).only_in_file(),
        Column::new(way.difference[0], "Δ − placebo Δ", Kind::Tested(Delta)).on_page_if(difference),
        Column::new(way.difference[1], "Excess − placebo excess", Kind::Tested(Delta)).only_in_file(),
    ];
    columns.into_iter().chain(placebo).map(|column| column.grouped(&group)).collect()
}

fn cells_of(row: &ConfidenceRow) -> Vec<Cell> {
    let mut cells =
        vec![Cell::Number(Some(row.confident_below_nats)), Cell::Number(Some(row.uncertain_above_nats))];
    let ways = [
        (row.a_confident, row.placebo_confident, row.a_difference),
        (row.b_confident, row.b_confident_over_placebo, row.b_difference),
    ];
    for (ours, placebo, difference) in ways {
        cells.extend(cells_of_way(Some(ours)));
        let [tokens, documents, delta, excess, share] = cells_of_way(placebo);
        cells.extend([tokens, documents]);
        cells.push(Cell::Number(placebo.and_then(|cell| value(cell.delta_nats))));
        cells.extend([delta, excess, share]);
        let difference = difference.unwrap_or(ConfidenceDifference::default());
        cells.push(Cell::Tested(difference.delta_nats, difference.delta_test));
        cells.push(Cell::Tested(difference.excess_nats, difference.excess_test));
    }
    cells
}

fn cells_of_way(cell: Option<ConfidenceCell>) -> [Cell; 5] {
    let count = |number: fn(&ConfidenceCell) -> u64| Cell::Count(cell.as_ref().map(number));
    let (tokens, documents) = (count(|cell| cell.tokens), count(|cell| cell.documents));
    let cell = cell.unwrap_or_default();
    [
        tokens,
        documents,
        Cell::Tested(cell.delta_nats, cell.delta_test),
        Cell::Tested(cell.excess_nats, cell.excess_test),
        Cell::estimate(cell.share_of_gap),
    ]
}
