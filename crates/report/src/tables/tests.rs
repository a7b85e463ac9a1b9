//! What the page and the files have of each set of documents.

use super::*;
use crate::format::ABSENT;
use crate::sample;

/// The rows of a CSV file as `column -> field`.
fn read(table: &Table) -> Vec<std::collections::HashMap<String, String>> {
    let csv = table.to_csv();
    let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    lines
        .map(|fields| {
            assert_eq!(fields.len(), header.len(), "{}: {fields:?}", table.name);
            header.iter().cloned().zip(fields).collect()
        })
        .collect()
}

/// The cells of a row as the page shows them, by heading.
fn shown(table: &Table, name: &str) -> Vec<(String, String)> {
    let row = table.rows.iter().find(|row| row.contains(&Cell::Text(name.to_owned()))).unwrap();
    let cell = |(index, column): (usize, &Column)| (column.heading.clone(), row[index].shown(column.kind));
    table.page_columns().map(cell).collect()
}

#[test]
fn what_one_half_shows_is_confirmed_by_the_other_or_not() {
    let mut comparison = sample::halves();
    let verdict =
        |comparison: &Comparison, name: &str| shown(&confirmation(comparison), name).pop().unwrap().1;
    assert_eq!(verdict(&comparison, "Digits"), "yes");
    assert_eq!(verdict(&comparison, "Punctuation"), "nothing to confirm");
    let halves = comparison.confirmation.as_mut().unwrap();
    let digits = halves.categories.iter_mut().find(|row| row.name == "Digits").unwrap();
    digits.delta_nats =
        digits.delta_nats.map(|delta| deltaloss_stats::Estimate { value: -delta.value, ..delta });
    assert_eq!(verdict(&comparison, "Digits"), "reversed");
    let halves = comparison.confirmation.as_mut().unwrap();
    halves.categories.iter_mut().for_each(|row| row.delta_test = None);
    assert_eq!(verdict(&comparison, "Digits"), "no (other sign)");
    // Either basis is in the file; without halves there is no table.
    let bases: std::collections::HashSet<String> =
        read(&confirmation(&comparison)).into_iter().map(|mut row| row.remove("basis").unwrap()).collect();
    assert_eq!(bases.len(), 2);
    assert!(confirmation(&sample::with_intervals()).rows.is_empty());
}

#[test]
fn a_file_has_every_set_and_the_page_the_confirmation_half() {
    let comparison = sample::halves();
    let table = categories(&comparison);
    let rows = read(&table);
    assert_eq!(rows.len(), 19 * 6);
    let delta = |basis: &str, set: &str| -> f64 {
        let found = rows
            .iter()
            .find(|row| row["basis"] == basis && row["document_set"] == set && row["category"] == "Digits");
        found.unwrap()["delta_nats"].parse().unwrap()
    };
    for (set, expected) in [("all", -0.09), ("discovery", -0.1), ("confirmation", -0.08)] {
        assert!((delta("as_scored", set) - expected).abs() < 1e-12);
        assert!((delta("calibrated", set) - expected / 2.0).abs() < 1e-12);
    }
    let expected = [
        ("Category", "Digits"),
        ("Tokens", "50,986"),
        ("Δ (nats)", "−0.080* [−0.085, −0.075]"),
        ("q", "<\u{a0}0.001"),
        ("Δ, discovery half", "−0.100"),
        ("Placebo Δ", "−0.018"),
        ("Δ − placebo Δ", "−0.062* [−0.067, −0.057]"),
        ("Excess", "−0.095* [−0.100, −0.090]"),
    ];
    let page = shown(&table, "Digits");
    let expected = expected.map(|(heading, text)| (heading.to_owned(), text.to_owned()));
    assert_eq!(page[..8], expected);
    assert_eq!(page[8].0, "Share of the gap");
}

#[test]
fn only_what_was_tested_and_holds_is_marked() {
    let mut comparison = sample::halves();
    let rows = &mut comparison.confirmation.as_mut().unwrap().categories;
    // Far from zero but untested; and exactly at the level.
    rows[0].delta_test = None;
    rows[1].delta_test.as_mut().unwrap().q_value = 0.05;
    let table = categories(&comparison);
    for (name, delta, q) in [
        ("Logical operators", "−0.310 [−0.347, −0.273]", ABSENT),
        ("Compound closing brackets", "−0.200 [−0.206, −0.194]", "0.050"),
    ] {
        let page = shown(&table, name);
        assert_eq!([page[2].1.as_str(), page[3].1.as_str()], [delta, q], "{name}");
    }
    // The base sample has no test at all, and no mark anywhere.
    for table in tables(&sample::with_intervals()) {
        for row in &table.rows {
            for (index, column) in table.page_columns() {
                let marked =
                    matches!(column.kind, Kind::Tested(_)) && row[index].shown(column.kind).contains('*');
                assert!(!marked, "{}: {row:?}", table.name);
            }
        }
    }
}

#[test]
fn every_row_fits_its_columns_and_no_file_names_a_column_twice() {
    for comparison in [sample::halves(), sample::comparison(), sample::empty()] {
        for table in tables(&comparison) {
            for row in table.rows.iter().chain(&table.more_rows) {
                assert_eq!(row.len(), table.columns.len(), "{}", table.name);
            }
            let csv = table.to_csv();
            let mut names: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{}: {names:?}", table.name);
        }
    }
}

#[test]
fn calibration_stands_before_and_after() {
    let comparison = sample::halves();
    let page = shown(&calibration_deltas(&comparison), "All tokens");
    assert_eq!(page[2].1, "+0.015 [+0.011, +0.019]");
    assert_eq!(page[3].1, "+0.007 [+0.003, +0.011]");
    let page = shown(&calibration_deltas(&comparison), "Closing brackets: 3");
    assert_eq!(
        (page[2].1.split(' ').next(), page[3].1.split(' ').next()),
        (Some("−0.700*"), Some("−0.350*"))
    );
    // As scored stays as scored where the calibrated numbers lead.
    let mut leading = comparison.clone();
    leading.setup.basis = Basis::Calibrated;
    assert_eq!(calibration_deltas(&leading), calibration_deltas(&comparison));
    assert_eq!(shown(&categories(&leading), "Digits")[2].1, "−0.040 [−0.045, −0.035]");
    assert!(tables(&sample::comparison()).iter().all(|table| !table.name.starts_with("calibration")));
}

#[test]
fn what_is_held_fixed_stands_beside_the_category_as_it_is() {
    let table = held_fixed(&sample::halves());
    assert_eq!(table.rows.len(), 19, "the page has the pair of a and b alone");
    let page = shown(&table, "Digits");
    let values: Vec<&str> = page.iter().map(|(_, text)| text.split(' ').next().unwrap()).collect();
    assert_eq!(values, ["Digits", "50,986", "−0.080*", "−0.033", "−0.095*", "−0.048", "0.341"]);
    let rows = read(&table);
    assert_eq!(rows.len(), 19 * 3 * 6);
    assert_eq!(rows.iter().filter(|row| row["first"] == "placebo").count(), 19 * 6);
    let slopes = held_fixed_slopes(&sample::halves());
    let page = shown(&slopes, "occurred before in the window");
    assert_eq!(page.last().unwrap().1, "it is the same for every token");
}
