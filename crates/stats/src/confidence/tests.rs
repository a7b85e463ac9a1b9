//! Tests of analysis 6 by hand and against filtering rows.

use deltaloss_records::{Joined, Role};
use proptest::prelude::*;

use super::*;
use crate::testing::{any_join, close, compared, join_of, model_mut};
use crate::{Estimate, Options};

fn analyse(join: &Joined, below: &[f64], above: &[f64]) -> Vec<ConfidenceRow> {
    let (confident_below_nats, uncertain_above_nats) = (below.to_vec(), above.to_vec());
    compared(join, &Options { confident_below_nats, uncertain_above_nats, replicates: 50, seed: 1 })
        .all
        .confidence
}

#[test]
fn cells_by_hand() {
    let mut join = join_of(&[Role::A, Role::B, Role::Placebo], &[&["p", "q"], &["r", "s", "t"]]);
    let a = model_mut(&mut join, Role::A);
    (a.entropy, a.loss) = (vec![0.25, 0.125, 0.0, 3.0, 2.0], vec![1.0, 2.0, 3.0, 4.0, 5.0]);
    let b = model_mut(&mut join, Role::B);
    (b.entropy, b.loss) = (vec![4.0, 2.0, 1.5, 0.1, 0.2], vec![3.0, 3.0, 3.0, 3.0, 3.0]);
    let placebo = model_mut(&mut join, Role::Placebo);
    (placebo.entropy, placebo.loss) = (vec![0.1, 2.0, 0.2, 0.1, 9.0], vec![2.0, 3.0, 2.5, 3.0, 7.0]);
    let rows = analyse(&join, &[0.25, 1.0], &[1.0, 2.0]);
    let cell = |tokens, delta: Option<f64>| (tokens, delta.map(Estimate::point));
    let short = |cell: ConfidenceCell| (cell.tokens, cell.delta_nats);
    let thresholds: Vec<(f64, f64)> =
        rows.iter().map(|row| (row.confident_below_nats, row.uncertain_above_nats)).collect();
    assert_eq!(thresholds, [(0.25, 1.0), (0.25, 2.0), (1.0, 1.0), (1.0, 2.0)]);
    // Entropies that equal a threshold are neither below nor above it.
    assert_eq!(short(rows[0].a_confident), cell(2, Some(-0.5)));
    assert_eq!(short(rows[0].b_confident), cell(2, Some(1.5)));
    assert_eq!(rows[0].placebo_confident.map(short), Some(cell(2, Some(-0.75))));
    assert_eq!(rows[0].b_confident_over_placebo.map(short), Some(cell(1, Some(4.0))));
    assert_eq!(short(rows[1].a_confident), cell(0, None));
    assert_eq!(short(rows[1].b_confident), cell(1, Some(1.0)));
    assert_eq!(short(rows[3].a_confident), cell(1, Some(-2.0)));
}

#[test]
fn no_placebo_no_cells() {
    let rows = analyse(&join_of(&[Role::A, Role::B], &[&["p"]]), &[0.5], &[1.0]);
    assert_eq!((rows[0].placebo_confident, rows[0].b_confident_over_placebo), (None, None));
}

proptest! {
    #[test]
    fn agrees_with_filtering_rows(join in any_join(), below in 0.1f64..4.0, above in 0.5f64..8.0) {
        let row = analyse(&join, &[below], &[above]).remove(0);
        let naive = |confident: Role, uncertain: Role, first: Role| {
            let model = |role| join.model(role).unwrap();
            let held: Vec<f64> = (0..join.rows())
                .filter(|&row| f64::from(model(confident).entropy[row]) < below)
                .filter(|&row| f64::from(model(uncertain).entropy[row]) > above)
                .map(|row| f64::from(model(first).loss[row]) - f64::from(model(Role::B).loss[row]))
                .collect();
            (held.len() as u64, held.iter().sum::<f64>() / held.len() as f64)
        };
        let mut pairs = vec![
            (row.a_confident, naive(Role::A, Role::B, Role::A)),
            (row.b_confident, naive(Role::B, Role::A, Role::A)),
        ];
        if join.model(Role::Placebo).is_some() {
            pairs.push((row.placebo_confident.unwrap(), naive(Role::Placebo, Role::B, Role::Placebo)));
            pairs.push((row.b_confident_over_placebo.unwrap(), naive(Role::B, Role::Placebo, Role::Placebo)));
        }
        for (cell, (tokens, delta)) in pairs {
            prop_assert_eq!(cell.tokens, tokens);
            prop_assert_eq!(cell.delta_nats.is_some(), tokens > 0);
            prop_assert!(cell.delta_nats.is_none_or(|found| close(found.value, delta)));
        }
    }
}
