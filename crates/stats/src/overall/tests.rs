//! Tests of analysis 1 by hand and against the rows.

use deltaloss_records::{Joined, Role};
use proptest::prelude::*;

use super::*;
use crate::testing::{analysed, any_join, close, guesses_mut, join_of, model_mut};

fn analyse(join: &Joined) -> Overall {
    analysed(join).overall
}

#[test]
fn numbers_by_hand() {
    let mut join = join_of(&[Role::A, Role::B, Role::Placebo], &[&["ab", "c"], &[], &["é", "d"], &["e"]]);
    let a = model_mut(&mut join, Role::A);
    a.loss = vec![1.0, 2.0, 4.0, 0.5, 2.5];
    a.entropy = vec![3.0, 1.0, 0.0, 2.0, 9.0];
    guesses_mut(a).rank = vec![0, 3, 0, 1, 0];
    model_mut(&mut join, Role::B).loss = vec![2.0, 1.5, 4.0, 0.0, 3.0];
    model_mut(&mut join, Role::Placebo).loss = vec![2.0, 1.0, 5.0, 0.0, 2.0];
    let overall = analyse(&join);

    let a = &overall.models[0];
    assert_eq!((a.role, a.label.as_str()), (Role::A, "model-a"));
    assert_eq!(a.mean_loss_nats.value, 2.0);
    assert!(close(a.bits_per_byte.value, 10.0 / LN_2 / 7.0));
    assert!(close(a.perplexity.value, std::f64::consts::E.powi(2)));
    assert_eq!(a.top1_accuracy.unwrap().value, 0.6);
    assert_eq!((a.mean_entropy_nats.value, a.median_entropy_nats.value), (3.0, 2.0));

    // Δ of (a, b): −1, 0.5 | 0, 0.5 | −0.5; of (placebo, b): 0, −0.5 | 1, 0 | −1.
    let [ab, placebo] = &overall.pairs[..] else { panic!("{:?}", overall.pairs) };
    assert_eq!((ab.first, ab.second), (Role::A, Role::B));
    assert_eq!(ab.mean_delta_nats.value, -0.1);
    assert!(close(ab.delta_nats_per_byte.unwrap().value, -0.5 / 7.0));
    assert_eq!(ab.first_wins_tokens.value, 0.4);
    assert_eq!(ab.first_wins_documents.value, 2.0 / 3.0);
    assert_eq!((placebo.first, placebo.second), (Role::Placebo, Role::B));
    assert_eq!(placebo.mean_delta_nats.value, -0.1);
    assert_eq!(placebo.first_wins_tokens.value, 0.4);
    assert_eq!(placebo.first_wins_documents.value, 2.0 / 3.0);
}

#[test]
fn perplexity_stays_a_number() {
    let mut join = join_of(&[Role::A, Role::B], &[&["x"]]);
    model_mut(&mut join, Role::A).loss = vec![3e38];
    let overall = analyse(&join);
    assert_eq!(overall.models[0].perplexity.value, f64::MAX);
    assert_eq!(overall.models[1].perplexity.value, 1.0);
}

proptest! {
    #[test]
    fn agrees_with_going_through_the_rows(join in any_join()) {
        let overall = analyse(&join);
        let n = join.rows() as f64;
        for (summary, model) in overall.models.iter().zip(&join.models) {
            let total: f64 = model.loss.iter().copied().map(f64::from).sum();
            let bytes: usize = (0..join.rows()).map(|row| join.token_bytes(row).len()).sum();
            prop_assert_eq!(summary.role, model.role);
            prop_assert!(close(summary.mean_loss_nats.value, total / n));
            prop_assert!(close(summary.perplexity.value, (total / n).exp()));
            prop_assert!(close(summary.bits_per_byte.value, total * std::f64::consts::LOG2_E / bytes as f64));
            let first = model.guesses.as_ref().unwrap().rank.iter().filter(|&&rank| rank == 0).count() as f64;
            prop_assert!(close(summary.top1_accuracy.unwrap().value * n, first));
        }
        let (a, b) = (&join.models[0].loss, &join.models[1].loss);
        let wins = (0..join.rows()).filter(|&row| a[row] < b[row]).count() as f64;
        prop_assert!(close(overall.pairs[0].first_wins_tokens.value * n, wins));
        prop_assert_eq!(overall.pairs.len(), if join.model(Role::Placebo).is_some() { 2 } else { 1 });
    }
}
