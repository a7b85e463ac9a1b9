//! Each category beside what is left of it with other things held fixed.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, HeldFixed, HeldFixedPair, Sections};

use super::of_sets;
use crate::format::NumberFormat::{Delta, Probability, Significant};
use crate::table::{Cell, Column, Kind, Table};
use crate::view::{View, row_named};

/// The pairs of a set of documents, that of a and b first.
fn pairs_of(sections: &Sections) -> &[HeldFixedPair] {
    sections.held_fixed.as_ref().map_or(&[], |found| &found.pairs)
}

/// The categories' effects as they are and with the covariates held fixed.
pub fn held_fixed(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        Column::new("first", "First", Kind::Text).only_in_file(),
        Column::new("second", "Second", Kind::Text).only_in_file(),
        Column::new("category", "Category", Kind::Text),
        Column::new("tokens", "Tokens", Kind::Count),
        Column::new("documents", "Documents", Kind::Count).only_in_file(),
        Column::new("raw", "as it is", Kind::Tested(Delta)).grouped("Δ (nats)").only_on_page(),
        Column::new("delta_nats", "held fixed", Kind::Estimate(Delta)).grouped("Δ (nats)"),
        Column::new("raw_excess", "as it is", Kind::Tested(Delta)).grouped("Excess (nats)").only_on_page(),
        Column::new("excess_nats", "held fixed", Kind::Tested(Delta)).grouped("Excess (nats)"),
        Column::new("q", "q, held fixed", Kind::Number(Probability)).only_on_page(),
    ];
    let rows = |sections: &Sections| {
        let mut rows = Vec::new();
        for pair in pairs_of(sections) {
            let ours = (pair.first, pair.second) == (Role::A, Role::B);
            for category in &pair.categories {
                let raw = row_named(&sections.categories, &category.name).filter(|_| ours);
                rows.push(vec![
                    Cell::Text(pair.first.name().to_owned()),
                    Cell::Text(pair.second.name().to_owned()),
                    Cell::Text(category.name.clone()),
                    Cell::Count(Some(category.tokens)),
                    Cell::Count(Some(category.documents)),
                    Cell::Tested(raw.and_then(|row| row.delta_nats), raw.and_then(|row| row.delta_test)),
                    Cell::estimate(category.delta_nats),
                    Cell::Tested(raw.and_then(|row| row.excess_nats), raw.and_then(|row| row.excess_test)),
                    Cell::Tested(category.excess_nats, category.excess_test),
                    Cell::Number(category.excess_test.map(|test| test.q_value)),
                ]);
            }
        }
        rows
    };
    let caption = "Each category as it is, and as it would be if its tokens had the mean covariates of all tokens. Excess: less the mean Δ of all tokens. Held fixed, the intervals are t intervals.";
    only_first_pair_on_page(view, of_sets(view, "held_fixed", caption.into(), columns, rows), |pair| {
        pair.categories.len()
    })
}

/// What each covariate does to Δ.
pub fn held_fixed_slopes(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        Column::new("first", "First", Kind::Text).only_in_file(),
        Column::new("second", "Second", Kind::Text).only_in_file(),
        Column::new("covariate", "Held fixed", Kind::Text),
        Column::new("mean", "Mean", Kind::Number(Significant)),
        Column::new("standard_deviation", "Standard deviation", Kind::Number(Significant)),
        Column::new("delta_nats_per_unit", "Δ per unit (nats)", Kind::Tested(Delta)),
        Column::new("q", "q", Kind::Number(Probability)).only_on_page(),
        Column::new("dropped_because", "Left out because", Kind::Text).on_page_if(dropped(view.lead()) > 0),
    ];
    let rows = |sections: &Sections| {
        let found = sections.held_fixed.as_ref();
        found.map_or_else(Vec::new, |found| {
            found.pairs.iter().flat_map(|pair| slope_rows(found, pair)).collect()
        })
    };
    let caption =
        "What is held fixed, and how Δ changes with one unit of it, the category and the rest held fixed.";
    only_first_pair_on_page(view, of_sets(view, "held_fixed_slopes", caption.into(), columns, rows), |pair| {
        pair.slopes.len()
    })
}

/// How many covariates take no part.
fn dropped(sections: &Sections) -> usize {
    let covariates = sections.held_fixed.iter().flat_map(|found| &found.covariates);
    covariates.filter(|covariate| covariate.dropped_because.is_some()).count()
}

fn slope_rows(found: &HeldFixed, pair: &HeldFixedPair) -> Vec<Vec<Cell>> {
    let slopes = pair.slopes.iter().zip(&found.covariates);
    slopes
        .map(|(slope, covariate)| {
            vec![
                Cell::Text(pair.first.name().to_owned()),
                Cell::Text(pair.second.name().to_owned()),
                Cell::Text(slope.name.clone()),
                Cell::Number(Some(covariate.mean)),
                Cell::Number(Some(covariate.standard_deviation)),
                Cell::Tested(slope.delta_nats_per_unit, slope.delta_test),
                Cell::Number(slope.delta_test.map(|test| test.q_value)),
                Cell::Text(covariate.dropped_because.clone().unwrap_or_default()),
            ]
        })
        .collect()
}

/// The page has the pair (a, b) alone; the file has the pairs with the placebo too.
fn only_first_pair_on_page(view: View<'_>, table: Table, rows: fn(&HeldFixedPair) -> usize) -> Table {
    let kept = pairs_of(view.lead()).first().map_or(0, rows).min(table.rows.len());
    let Table { rows: mut page, more_rows, .. } = table;
    let mut more = page.split_off(kept);
    more.extend(more_rows);
    Table { rows: page, more_rows: more, ..table }
}
