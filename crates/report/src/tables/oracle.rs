//! ΔLoss by the entropy of a stronger model: its bins and its trend.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, OracleTrend, Sections};

use super::groups::{OnPage, columns, delta_cells};
use super::of_sets;
use crate::format::NumberFormat::{Delta, Nats};
use crate::table::{Cell, Column, Kind, Table};
use crate::view::View;

/// ΔLoss by bins of equal count; no rows without an oracle.
pub fn oracle_bins(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let bins =
        |sections: &Sections| sections.oracle.as_ref().map_or_else(Vec::new, |found| found.bins.clone());
    let lead = bins(view.lead());
    let on_page = OnPage {
        placebo: view.has_placebo(),
        discovery: false,
        difference: lead.iter().any(|bin| bin.row.difference_nats.is_some()),
        excess: false,
        share: false,
        tests: lead.iter().any(|bin| bin.row.delta_test.is_some()),
    };
    let mut columns = columns(view, Column::new("bin", "Bin", Kind::Text), &on_page);
    let entropy = |key, heading: &str| Column::new(key, heading, Kind::Number(Nats));
    columns.splice(
        1..1,
        [
            entropy("mean_entropy_nats", "Mean entropy (nats)"),
            entropy("up_to_nats", "Up to (nats)").only_in_file(),
        ],
    );
    for column in &mut columns {
        // Both losses are what the post's figure sets side by side.
        column.on_page |= ["loss_a_nats", "loss_b_nats"].contains(&column.key);
    }
    let rows = |sections: &Sections| {
        let cells = |bin: &deltaloss_stats::OracleBin| {
            let mut cells = delta_cells(&bin.row, None);
            cells.splice(1..1, [bin.mean_entropy_nats, bin.up_to_nats].map(|nats| Cell::Number(Some(nats))));
            cells
        };
        bins(sections).iter().map(cells).collect()
    };
    let label = view.label(Role::Oracle);
    let caption = format!(
        "Tokens in bins of equal count by the entropy of {label}. Each set of documents has its own bins."
    );
    of_sets(view, "oracle_bins", caption, columns, rows)
}

/// The straight line of Δ on the oracle's entropy; no rows without one.
pub fn oracle_trend(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        Column::new("pair", "Pair", Kind::Text),
        Column::new("slope", "Slope (nats a nat)", Kind::Tested(Delta)),
        Column::new("intercept_nats", "Δ at entropy 0 (nats)", Kind::Estimate(Delta)),
        Column::new("crossing_nats", "Crosses zero at (nats)", Kind::Estimate(Nats)),
    ];
    let pair = |first, second| format!("{} − {}", view.short_label(first), view.short_label(second));
    let row = |name: String, trend: &OracleTrend| {
        vec![
            Cell::Text(name),
            Cell::Tested(Some(trend.slope), trend.slope_test),
            Cell::estimate(trend.intercept_nats),
            Cell::estimate(trend.crossing_nats),
        ]
    };
    let rows = |sections: &Sections| {
        let Some(found) = &sections.oracle else { return Vec::new() };
        let trends = [(&found.trend, Role::A), (&found.placebo_trend, Role::Placebo)];
        let trends = trends.into_iter().filter_map(|(trend, role)| Some((trend.as_ref()?, role)));
        let mut rows: Vec<Vec<Cell>> = trends.map(|(trend, role)| row(pair(role, Role::B), trend)).collect();
        rows.extend(found.slope_difference.map(|difference| {
            let slope = Cell::Tested(Some(difference), found.slope_difference_test);
            vec![Cell::Text("difference".to_owned()), slope, Cell::Estimate(None), Cell::Estimate(None)]
        }));
        rows
    };
    let caption = "Least squares of Δ on the entropy over tokens, errors clustered by document.".to_owned();
    of_sets(view, "oracle_trend", caption, columns, rows)
}
