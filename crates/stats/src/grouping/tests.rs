//! Tests of table rows by hand.

use deltaloss_records::Role;

use super::*;
use crate::testing::{join_of, model_mut};

#[test]
fn rows_by_hand() {
    let mut join = join_of(&[Role::A, Role::B, Role::Placebo], &[&["x", "y", "x"], &["z", "w"]]);
    model_mut(&mut join, Role::A).loss = vec![1.0, 2.0, 4.0, 8.0, 5.0];
    model_mut(&mut join, Role::B).loss = vec![2.0, 2.0, 2.0, 2.0, 4.0];
    model_mut(&mut join, Role::Placebo).loss = vec![2.5, 2.0, 2.0, 1.0, 9.0];
    let join = CheckedJoin::new(&join).unwrap();
    let grouping = Grouping {
        names: vec!["most".to_owned(), "none".to_owned(), "y".to_owned()],
        of_row: vec![Some(0), Some(2), Some(0), Some(0), None],
    };
    let resamples = Resamples::of_join(&join, 200, 1);
    let whole = Whole::new(&join, &resamples);
    assert_eq!(whole.sums, Sums { tokens: 5, loss_a: 20.0, loss_b: 12.0, delta: 8.0, delta_placebo: 4.5 });
    let rows = grouping.delta_rows(&join, &resamples, &whole);
    assert_eq!(
        rows[0],
        DeltaRow {
            name: "most".to_owned(),
            tokens: 3,
            vocabulary_entries: 2,
            documents: 2,
            loss_a_nats: Some(Estimate::point(13.0 / 3.0)),
            loss_b_nats: Some(Estimate::point(2.0)),
            delta_nats: Some(Estimate::point(7.0 / 3.0)),
            share_of_gap: Some(Estimate::point(7.0 / 8.0)),
            placebo_delta_nats: Some(Estimate::point(-0.5 / 3.0)),
            ..DeltaRow::default()
        }
    );
    assert_eq!((rows[1].tokens, rows[1].vocabulary_entries, rows[1].documents), (0, 0, 0));
    assert_eq!((rows[1].loss_a_nats, rows[1].delta_nats, rows[1].placebo_delta_nats), (None, None, None));
    assert_eq!(rows[1].share_of_gap, Some(Estimate::point(0.0)));

    let mut sorted = rows.clone();
    sort_by_delta(&mut sorted);
    let names: Vec<&str> = sorted.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["y", "most", "none"]);
}

#[test]
fn no_share_of_no_gap() {
    assert_eq!(share(0.0, 0.0), None);
    assert_eq!(share(1.0, 0.0), None);
    assert_eq!(share(1e300, 1e-300), None);
    assert_eq!(share(-1.0, 4.0), Some(Estimate::point(-0.25)));
}
