//! Tests of table rows by hand.

use deltaloss_records::Role;

use super::*;
use crate::Estimate;
use crate::testing::{analysed, join_of, model_mut};

fn point(value: f64) -> Option<Estimate> {
    Some(Estimate::point(value))
}

#[test]
fn rows_by_hand() {
    let mut join = join_of(&[Role::A, Role::B, Role::Placebo], &[&["x", " 12", "x"], &["y", "("]]);
    model_mut(&mut join, Role::A).loss = vec![1.0, 2.0, 4.0, 8.0, 5.0];
    model_mut(&mut join, Role::B).loss = vec![2.0, 2.0, 2.0, 2.0, 4.0];
    model_mut(&mut join, Role::Placebo).loss = vec![2.5, 2.0, 2.0, 1.0, 9.0];
    // All: Δ 8 over 5 tokens, the placebo's 4.5.
    let rows = analysed(&join).categories;
    let names: Vec<&str> = rows[..4].iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["Multi-digit numbers", "Opening brackets", "Common variable names", "Indentation"]);
    assert_eq!(
        rows[2],
        DeltaRow {
            name: "Common variable names".to_owned(),
            tokens: 3,
            bytes: 3,
            vocabulary_entries: 2,
            documents: 2,
            loss_a_nats: point(13.0 / 3.0),
            loss_b_nats: point(2.0),
            delta_nats: point(7.0 / 3.0),
            delta_nats_per_byte: point(7.0 / 3.0),
            excess_nats: point(7.0 / 3.0 - 8.0 / 5.0),
            share_of_gap: point(7.0 / 8.0),
            placebo_delta_nats: point(-0.5 / 3.0),
            placebo_excess_nats: point(-0.5 / 3.0 - 4.5 / 5.0),
            placebo_share_of_gap: point(-0.5 / 4.5),
            difference_nats: point(7.5 / 3.0),
            excess_difference_nats: point(7.5 / 3.0 - 3.5 / 5.0),
            ..DeltaRow::default()
        }
    );
    assert_eq!(
        rows[3],
        DeltaRow {
            name: "Indentation".to_owned(),
            share_of_gap: point(0.0),
            placebo_share_of_gap: point(0.0),
            ..DeltaRow::default()
        }
    );
}

#[test]
fn no_share_of_no_gap_and_no_placebo() {
    let mut join = join_of(&[Role::A, Role::B], &[&["x", "("]]);
    model_mut(&mut join, Role::A).loss = vec![1.0, 2.0];
    model_mut(&mut join, Role::B).loss = vec![2.0, 1.0];
    let rows = analysed(&join).categories;
    assert!(rows.iter().all(|row| row.share_of_gap.is_none()));
    let of_placebo =
        |row: &DeltaRow| row.placebo_delta_nats.or(row.difference_nats).or(row.placebo_share_of_gap);
    assert!(rows.iter().all(|row| of_placebo(row).is_none()));
}

#[test]
fn tests_of_a_column_are_one_family() {
    // Twenty documents in which `x` always gains and `(` varies about zero.
    let texts: Vec<&[&str]> = vec![&["x", "(", " if"]; 20];
    let mut join = join_of(&[Role::A, Role::B], &texts);
    let waver = |row: usize| if (row / 3).is_multiple_of(2) { 0.5 } else { -0.5 };
    model_mut(&mut join, Role::A).loss = (0..60)
        .map(|row| match row % 3 {
            0 => 0.2 + 0.01 * waver(row),
            1 => waver(row),
            _ => 0.0,
        })
        .collect();
    let rows = analysed(&join).categories;
    let test = |name: &str| rows.iter().find(|row| row.name == name).and_then(|row| row.delta_test);
    let (gains, wavers) = (test("Common variable names").unwrap(), test("Opening brackets").unwrap());
    assert_eq!((gains.degrees_of_freedom, wavers.p_value), (19, 1.0));
    // Two are tested: `if` has no spread, and the others no tokens.
    assert_eq!(test("Control flow start"), None);
    assert_eq!((gains.q_value, wavers.q_value), (2.0 * gains.p_value, 1.0));
    assert!(rows.iter().filter(|row| row.delta_test.is_some()).count() == 2);
}
