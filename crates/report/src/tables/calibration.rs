//! What calibration does: to each model, and to the differences between them.

use deltaloss_records::{Basis, Role};
use deltaloss_stats::{
    Comparison, ConfidenceCell, DeltaRow, Estimate, Reliability, ReliabilityBin, ReliabilityDiagram,
    Sections, Test,
};

use super::{basis_column, set_column};
use crate::format::NumberFormat::{Delta, Nats, Plain, Share, Significant};
use crate::table::{Cell, Column, Kind, Table};
use crate::view::{Part, View, basis_name, pair_of, row_named};

/// The sections of some documents on both bases; nothing without temperatures.
type Both<'c> = [&'c Sections; 2];

/// Both bases of the leading documents, then of the others.
fn every_both(view: View<'_>) -> Vec<(Part, Both<'_>)> {
    let both = |part| {
        let of = |basis| view.sections(basis, part);
        Some((part, [of(Basis::AsScored)?, of(Basis::Calibrated)?]))
    };
    let mut sets: Vec<(Part, Both<'_>)> =
        [Part::Confirmation, Part::Discovery, Part::All].into_iter().filter_map(both).collect();
    sets.sort_by_key(|(part, _)| *part != view.part());
    sets
}

fn of_both(
    view: View<'_>,
    name: &'static str,
    caption: &str,
    columns: Vec<Column>,
    rows: impl Fn(Both<'_>) -> Vec<Vec<Cell>>,
) -> Table {
    let mut sets = every_both(view).into_iter().map(|(part, both)| {
        let with_part = |mut row: Vec<Cell>| {
            row.insert(0, Cell::Text(part.name().to_owned()));
            row
        };
        rows(both).into_iter().map(with_part).collect::<Vec<_>>()
    });
    let rows = sets.next().unwrap_or_default();
    let more_rows = sets.flatten().collect();
    let columns = std::iter::once(set_column()).chain(columns).collect();
    Table { name, caption: caption.to_owned(), columns, rows, more_rows, is_data: true }
}

/// Each model's temperature, and its mean loss and calibration errors as scored and at that temperature.
pub fn calibration(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let halves = view.beside().is_some();
    let group = if halves { "Mean loss, confirmation half (nats)" } else { "Mean loss (nats)" };
    let discovery = |key, heading: &str| {
        Column::new(key, heading, Kind::Number(Nats))
            .grouped("Mean loss, discovery half (nats)")
            .only_on_page()
            .on_page_if(halves)
    };
    let columns = vec![
        Column::new("role", "Role", Kind::Text).only_in_file(),
        Column::new("model", "Model", Kind::Text),
        Column::new("temperature", "Temperature", Kind::Number(Significant)),
        discovery("discovery_as_scored", "as scored"),
        discovery("discovery_calibrated", "calibrated"),
        Column::new("mean_loss_as_scored_nats", "as scored", Kind::Estimate(Nats)).grouped(group),
        Column::new("mean_loss_calibrated_nats", "calibrated", Kind::Estimate(Nats)).grouped(group),
        Column::new("ece_as_scored", "as scored", Kind::Estimate(Share)).grouped("Calibration error"),
        Column::new("ece_calibrated", "calibrated", Kind::Estimate(Share)).grouped("Calibration error"),
        Column::new("overconfidence_as_scored", "as scored", Kind::Estimate(Share)).only_in_file(),
        Column::new("overconfidence_calibrated", "calibrated", Kind::Estimate(Share)).only_in_file(),
    ];
    let discovery = [Basis::AsScored, Basis::Calibrated].map(|basis| view.sections(basis, Part::Discovery));
    let rows = |both: Both<'_>| {
        let models = comparison.setup.models.iter();
        models
            .map(|model| {
                let losses = both.map(|sections| loss_of(sections, model.role));
                let before = discovery.map(|sections| loss_of(sections?, model.role));
                let found = both[0].reliability.iter().find(|found| found.role == model.role);
                let diagrams = [found.map(|found| &found.as_scored), found.and_then(calibrated_of)];
                let error = |diagram: Option<&ReliabilityDiagram>| {
                    Cell::Estimate(diagram.map(|diagram| diagram.expected_calibration_error))
                };
                let over = |diagram: Option<&ReliabilityDiagram>| {
                    Cell::Estimate(diagram.map(|diagram| diagram.overconfidence))
                };
                let mut cells = vec![
                    Cell::Text(model.role.name().to_owned()),
                    Cell::Text(view.label(model.role)),
                    Cell::Number(model.run.temperature),
                ];
                cells.extend(before.map(|loss| Cell::Number(loss.map(|loss| loss.value))));
                cells.extend(losses.map(Cell::Estimate));
                cells.extend(diagrams.map(error));
                cells.extend(diagrams.map(over));
                cells
            })
            .collect()
    };
    let caption = "Each model as scored and with its logits divided by its temperature, which was fitted on the discovery half. Calibration error: the expected one of the likeliest token, fifteen bins.";
    of_both(view, "calibration", caption, columns, rows)
}

fn loss_of(sections: &Sections, role: Role) -> Option<Estimate> {
    let models = &sections.overall.models;
    models.iter().find(|model| model.role == role).map(|model| model.mean_loss_nats)
}

fn calibrated_of(found: &Reliability) -> Option<&ReliabilityDiagram> {
    found.calibrated.as_ref()
}

/// ΔLoss over all tokens, by category and by closing brackets, as scored and calibrated.
pub fn calibration_deltas(comparison: &Comparison) -> Table {
    let columns = vec![
        Column::new("group", "Group", Kind::Text).only_in_file(),
        Column::new("name", "Tokens of", Kind::Text),
        Column::new("tokens", "Tokens", Kind::Count),
        Column::new("delta_as_scored_nats", "Δ as scored (nats)", Kind::Tested(Delta)),
        Column::new("delta_calibrated_nats", "Δ calibrated (nats)", Kind::Tested(Delta)),
    ];
    let rows = |both: Both<'_>| {
        let overall = both.map(|sections| {
            pair_of(sections, Role::A, Role::B)
                .map_or((None, None), |pair| (Some(pair.mean_delta_nats), pair.mean_delta_test))
        });
        let mut rows = vec![delta_cells(["overall", "All tokens"], both[0].tokens, overall)];
        let of_groups = |group, prefix: &str, rows_of: fn(&Sections) -> &[DeltaRow]| {
            let again = |row: &DeltaRow| {
                let found = both.map(|sections| {
                    row_named(rows_of(sections), &row.name)
                        .map_or((None, None), |row| (row.delta_nats, row.delta_test))
                });
                delta_cells([group, &format!("{prefix}{}", row.name)], row.tokens, found)
            };
            rows_of(both[0]).iter().map(again).collect::<Vec<_>>()
        };
        rows.extend(of_groups("category", "", |sections| &sections.categories));
        rows.extend(of_groups("closing_brackets", "Closing brackets: ", |sections| {
            &sections.brackets.by_count
        }));
        rows
    };
    let caption = "What calibration does to Δ: over all tokens, by category, and by how many closing brackets a token holds.";
    of_both(View::new(comparison), "calibration_deltas", caption, columns, rows)
}

fn delta_cells(
    [group, name]: [&str; 2],
    tokens: u64,
    both: [(Option<Estimate>, Option<Test>); 2],
) -> Vec<Cell> {
    let mut cells =
        vec![Cell::Text(group.to_owned()), Cell::Text(name.to_owned()), Cell::Count(Some(tokens))];
    cells.extend(both.map(|(delta, test)| Cell::Tested(delta, test)));
    cells
}

/// The confidence table, as scored and calibrated.
pub fn calibration_confidence(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let mut columns = vec![
        Column::new("confident_below_nats", "One below c", Kind::Number(Plain)),
        Column::new("uncertain_above_nats", "The other above u", Kind::Number(Plain)),
    ];
    let keys = [
        (
            Role::A,
            Role::B,
            [
                "a_tokens_as_scored",
                "a_delta_as_scored_nats",
                "a_tokens_calibrated",
                "a_delta_calibrated_nats",
            ],
        ),
        (
            Role::B,
            Role::A,
            [
                "b_tokens_as_scored",
                "b_delta_as_scored_nats",
                "b_tokens_calibrated",
                "b_delta_calibrated_nats",
            ],
        ),
    ];
    for (confident, other, keys) in keys {
        let group = format!("{} confident, {} not", view.short_label(confident), view.short_label(other));
        let [tokens, delta, tokens_calibrated, delta_calibrated] = keys;
        columns.extend(
            [
                Column::new(tokens, "Tokens", Kind::Count),
                Column::new(delta, "Δ as scored", Kind::Tested(Delta)),
                Column::new(tokens_calibrated, "Tokens", Kind::Count),
                Column::new(delta_calibrated, "Δ calibrated", Kind::Tested(Delta)),
            ]
            .map(|column| column.grouped(&group)),
        );
    }
    let rows = |[as_scored, calibrated]: Both<'_>| {
        let pairs = as_scored.confidence.iter().zip(&calibrated.confidence);
        pairs
            .map(|(before, after)| {
                let mut cells = vec![
                    Cell::Number(Some(before.confident_below_nats)),
                    Cell::Number(Some(before.uncertain_above_nats)),
                ];
                let four = [before.a_confident, after.a_confident, before.b_confident, after.b_confident];
                cells.extend(four.into_iter().flat_map(confidence_cells));
                cells
            })
            .collect()
    };
    let caption = "The confidence table on both bases. The entropies that choose the tokens are calibrated too, so the two are about different tokens.";
    of_both(view, "calibration_confidence", caption, columns, rows)
}

fn confidence_cells(cell: ConfidenceCell) -> [Cell; 2] {
    [Cell::Count(Some(cell.tokens)), Cell::Tested(cell.delta_nats, cell.delta_test)]
}

/// Every bin of the reliability diagrams.
pub fn reliability(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let number = |key, heading: &str| Column::new(key, heading, Kind::Number(Significant));
    let columns = vec![
        set_column(),
        basis_column(),
        Column::new("role", "Role", Kind::Text),
        Column::new("model", "Model", Kind::Text),
        number("above", "Probability above"),
        number("up_to", "Up to"),
        Column::new("tokens", "Tokens", Kind::Count),
        number("mean_probability", "Mean probability"),
        number("accuracy", "Accuracy"),
        Column::new("gap", "Accuracy − probability", Kind::Estimate(Share)),
    ];
    let of_set = |(part, sections): (Part, &Sections)| -> Vec<Vec<Cell>> {
        let mut rows = Vec::new();
        for model in &sections.reliability {
            let diagrams =
                [(Basis::AsScored, Some(&model.as_scored)), (Basis::Calibrated, calibrated_of(model))];
            for (basis, diagram) in diagrams {
                let bins = diagram.map_or(&[][..], |diagram| &diagram.bins);
                rows.extend(bins.iter().map(|bin| bin_cells(part, basis, model, bin)));
            }
        }
        rows
    };
    // The diagrams are the same on either basis of a comparison.
    let sets = view.sets().into_iter().filter(|(basis, ..)| *basis == view.basis());
    let mut sets = sets.map(|(_, part, sections)| of_set((part, sections)));
    let rows = sets.next().unwrap_or_default();
    let more_rows = sets.flatten().collect();
    let caption =
        "Bins of the reliability diagrams: tokens by the probability of their likeliest entry.".to_owned();
    Table { name: "reliability", caption, columns, rows, more_rows, is_data: true }
}

fn bin_cells(part: Part, basis: Basis, model: &Reliability, bin: &ReliabilityBin) -> Vec<Cell> {
    vec![
        Cell::Text(part.name().to_owned()),
        Cell::Text(basis_name(basis).to_owned()),
        Cell::Text(model.role.name().to_owned()),
        Cell::Text(model.label.clone()),
        Cell::Number(Some(bin.above)),
        Cell::Number(Some(bin.up_to)),
        Cell::Count(Some(bin.tokens)),
        Cell::Number(bin.mean_probability),
        Cell::Number(bin.accuracy),
        Cell::estimate(bin.gap),
    ]
}
