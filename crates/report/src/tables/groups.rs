//! ΔLoss of groups of tokens: categories and closing brackets.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, DeltaRow, Sections};

use super::of_sets;
use crate::format::NumberFormat::{Delta, Nats, Probability, Share, Significant};
use crate::table::{Cell, Column, Kind, Table};
use crate::view::{View, delta_of, row_named, value};

/// ΔLoss of every category.
pub fn categories(comparison: &Comparison) -> Table {
    let first = Column::new("category", "Category", Kind::Text);
    let what = "ΔLoss by category, most negative first.";
    delta_table(comparison, "categories", what, first, |sections| &sections.categories)
}

/// ΔLoss of every token made only of closing brackets.
pub fn brackets_by_token(comparison: &Comparison) -> Table {
    let first = Column::new("token", "Token", Kind::Token);
    let what = "Tokens made only of closing brackets.";
    delta_table(comparison, "brackets_by_token", what, first, |sections| &sections.brackets.by_token)
}

/// ΔLoss by the number of closing brackets in a token.
pub fn brackets_by_count(comparison: &Comparison) -> Table {
    let first = Column::new("closing_brackets", "Closing brackets", Kind::Text);
    let what = "Tokens of closing brackets, colons and white space, by how many closing brackets they hold.";
    delta_table(comparison, "brackets_by_count", what, first, |sections| &sections.brackets.by_count)
}

/// ΔLoss of tokens that hold a closing bracket, by nesting depth.
pub fn brackets_by_depth(comparison: &Comparison) -> Table {
    let first = Column::new("depth", "Depth", Kind::Text);
    let what = "Tokens that hold a closing bracket, by the nesting depth where they start.";
    delta_table(comparison, "brackets_by_depth", what, first, |sections| &sections.brackets.by_depth)
}

/// What of a table of groups the page has room for.
pub(super) struct OnPage {
    pub(super) placebo: bool,
    pub(super) discovery: bool,
    pub(super) difference: bool,
    pub(super) excess: bool,
    pub(super) share: bool,
    pub(super) tests: bool,
}

fn delta_table(
    comparison: &Comparison,
    name: &'static str,
    what: &str,
    first: Column,
    rows_of: fn(&Sections) -> &[DeltaRow],
) -> Table {
    let view = View::new(comparison);
    let rows = rows_of(view.lead());
    // Excess and share are questions to all categories together.
    let of_categories = name == "categories";
    let on_page = OnPage {
        placebo: view.has_placebo(),
        discovery: view.beside().is_some(),
        difference: rows.iter().any(|row| row.difference_nats.is_some()),
        excess: of_categories && rows.iter().any(|row| row.excess_nats.is_some()),
        share: of_categories,
        tests: rows.iter().any(|row| row.delta_test.is_some()),
    };
    let mut caption = what.to_owned();
    if on_page.placebo {
        caption.push_str(&format!(
            " The placebo’s Δ is {} − {} on the same tokens.",
            view.label(Role::Placebo),
            view.label(Role::B)
        ));
    }
    if on_page.discovery {
        caption.push_str(" The discovery half’s Δ is given without its interval and mark.");
    }
    if on_page.excess {
        caption.push_str(" Excess: Δ less the mean Δ of all tokens.");
    }
    let rows = |sections: &Sections| {
        rows_of(sections).iter().map(|row| delta_cells(row, view.beside().map(rows_of))).collect()
    };
    of_sets(view, name, caption, columns(view, first, &on_page), rows)
}

/// The columns of a table of groups, that of the groups' names first.
pub(super) fn columns(view: View<'_>, first: Column, on_page: &OnPage) -> Vec<Column> {
    let (a, b) = (view.short_label(Role::A), view.short_label(Role::B));
    vec![
        first,
        Column::new("tokens", "Tokens", Kind::Count),
        Column::new("vocabulary_entries", "Entries", Kind::Count).only_in_file(),
        Column::new("documents", "Documents", Kind::Count).only_in_file(),
        Column::new("loss_a_nats", format!("Loss, {a}"), Kind::Estimate(Nats)).only_in_file(),
        Column::new("loss_b_nats", format!("Loss, {b}"), Kind::Estimate(Nats)).only_in_file(),
        Column::new("delta_nats", "Δ (nats)", Kind::Tested(Delta)),
        Column::new("bytes", "Bytes", Kind::Count).only_in_file(),
        Column::new("delta_nats_per_byte", "Δ a byte (nats)", Kind::Estimate(Significant))
            .on_page_if(view.tokens_differ()),
        Column::new("q", "q", Kind::Number(Probability)).only_on_page().on_page_if(on_page.tests),
        Column::new("discovery", "Δ, discovery half", Kind::Number(Delta))
            .only_on_page()
            .on_page_if(on_page.discovery),
        Column::new("placebo", "Placebo Δ", Kind::Number(Delta)).only_on_page().on_page_if(on_page.placebo),
        Column::new("placebo_delta_nats", "Placebo Δ (nats)", Kind::Tested(Delta)).only_in_file(),
        Column::new("difference_nats", "Δ − placebo Δ", Kind::Tested(Delta)).on_page_if(on_page.difference),
        Column::new("excess_nats", "Excess", Kind::Tested(Delta)).on_page_if(on_page.excess),
        Column::new("share_of_gap", "Share of the gap", Kind::Estimate(Share)).on_page_if(on_page.share),
        Column::new("placebo_excess_nats", "Placebo excess", Kind::Tested(Delta)).only_in_file(),
        Column::new("placebo_share_of_gap", "Placebo share", Kind::Estimate(Share)).only_in_file(),
        Column::new("excess_difference_nats", "Excess − placebo excess", Kind::Tested(Delta)).only_in_file(),
    ]
}

/// The cells of a row, with the discovery half's rows where they stand beside it.
pub(super) fn delta_cells(row: &DeltaRow, discovery: Option<&[DeltaRow]>) -> Vec<Cell> {
    vec![
        Cell::Text(row.name.clone()),
        Cell::Count(Some(row.tokens)),
        Cell::Count(Some(row.vocabulary_entries)),
        Cell::Count(Some(row.documents)),
        Cell::estimate(row.loss_a_nats),
        Cell::estimate(row.loss_b_nats),
        Cell::Tested(row.delta_nats, row.delta_test),
        Cell::Count(Some(row.bytes)),
        Cell::estimate(row.delta_nats_per_byte),
        Cell::Number(row.delta_test.map(|test| test.q_value)),
        Cell::Number(discovery.and_then(|rows| row_named(rows, &row.name)).and_then(delta_of)),
        Cell::Number(value(row.placebo_delta_nats)),
        Cell::Tested(row.placebo_delta_nats, row.placebo_delta_test),
        Cell::Tested(row.difference_nats, row.difference_test),
        Cell::Tested(row.excess_nats, row.excess_test),
        Cell::estimate(row.share_of_gap),
        Cell::Tested(row.placebo_excess_nats, row.placebo_excess_test),
        Cell::estimate(row.placebo_share_of_gap),
        Cell::Tested(row.excess_difference_nats, row.excess_difference_test),
    ]
}
