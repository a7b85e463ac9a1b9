//! Tests of distributions: few values exactly, many in bins, whole or in parts.

use proptest::prelude::*;

use super::*;
use crate::moments::midranks;
use crate::testing::close;

fn of(values: &[f32], most_exact: usize) -> Distribution {
    let mut found = Distribution::with_limit(most_exact);
    found.extend(values);
    found
}

/// The median after a second look.
fn median(values: &[f32], most_exact: usize) -> f64 {
    let mut middle = Middle::new(&of(values, most_exact).sorted());
    // In two parts, as pieces of a table.
    let mut other = middle.clone();
    let (left, right) = values.split_at(values.len() / 3);
    left.iter().for_each(|&value| middle.look(key(value)));
    right.iter().for_each(|&value| other.look(key(value)));
    middle.merge(&other);
    middle.median()
}

#[test]
fn keys_are_ordered_as_their_values() {
    let values = [f32::MIN, -2.0, -1e-40, 0.0, 1e-40, 1e-9, 1.0, 1.000_000_1, f32::MAX];
    assert!(values.map(key).is_sorted_by(|left, right| left < right));
    assert!(values.iter().all(|&original| value(key(original)) == f64::from(original)));
    assert_eq!(key(-0.0), key(0.0));
}

#[test]
fn medians_by_hand() {
    for most_exact in [100, 0] {
        assert_eq!(median(&[3.0], most_exact), 3.0);
        assert_eq!(median(&[3.0, 1.0], most_exact), 2.0);
        assert_eq!(median(&[5.0, 1.0, 1.0], most_exact), 1.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0], most_exact), 2.5);
        assert_eq!(median(&[-4.0, -1.0, 3.0, -0.0], most_exact), -0.5);
    }
}

#[test]
fn quantiles_by_hand() {
    let sorted = of(&[4.0, 1.0, 3.0, 2.0], 100).sorted();
    let found = [0.0, 0.125, 0.5, 0.75, 1.0].map(|share| sorted.quantile(share));
    assert_eq!(found, [1.0, 1.0, 2.5, 3.5, 4.0]);
    // In bins, a value is known to within one part in 2048.
    let values: Vec<f32> = (1..=10_000).map(|index| index as f32 / 1_000.0).collect();
    let (exact, binned) = (of(&values, 10_000).sorted(), of(&values, 9_999).sorted());
    for share in [0.01, 0.3, 0.5, 0.99] {
        let (exact, binned) = (exact.quantile(share), binned.quantile(share));
        assert!((exact / binned - 1.0).abs() < 1.0 / 2_048.0, "{share}: {exact} {binned}");
    }
}

proptest! {
    #[test]
    fn medians_agree_with_sorting(values in prop::collection::vec(-5f32..5.0, 1..40)) {
        let mut sorted = values.clone();
        sorted.sort_by(f32::total_cmp);
        let naive = (f64::from(sorted[(sorted.len() - 1) / 2]) + f64::from(sorted[sorted.len() / 2])) / 2.0;
        prop_assert_eq!(median(&values, 100), naive);
        prop_assert_eq!(median(&values, 3), naive);
    }

    #[test]
    fn parts_merge_to_the_whole_in_any_order(
        values in prop::collection::vec(prop_oneof![Just(0f32), 0f32..9.0], 0..60),
        cuts in [0usize..60, 0usize..60],
        most_exact in 0usize..60,
    ) {
        let whole = of(&values, most_exact).sorted();
        let mut cuts = cuts.map(|cut| cut.min(values.len()));
        cuts.sort_unstable();
        let parts = [&values[..cuts[0]], &values[cuts[0]..cuts[1]], &values[cuts[1]..]];
        for order in [[0, 1, 2], [2, 0, 1]] {
            let mut merged = Distribution::with_limit(most_exact);
            order.into_iter().for_each(|part: usize| merged.merge(&of(parts[part], most_exact)));
            prop_assert_eq!(merged.sorted(), whole.clone());
        }
    }

    #[test]
    fn places_are_midranks(values in prop::collection::vec(prop_oneof![Just(0f32), -1f32..9.0], 1..60)) {
        let ranks = of(&values, 60).sorted().ranks();
        let count = values.len() as f64;
        for (value, rank) in values.iter().zip(midranks(&values)) {
            prop_assert!(close(ranks.of(key(*value)), (rank - 0.5) / count - 0.5));
        }
        // In bins, values of one bin share a place, and all places still balance.
        let sorted = of(&values, 0).sorted();
        let balance: f64 = sorted.centred().map(|(_, count, place)| count as f64 * place).sum();
        prop_assert!(balance.abs() < 1e-9);
        let ranks = sorted.ranks();
        for (left, right) in values.iter().zip(values.iter().skip(1)) {
            let (places, same) = ([ranks.of(key(*left)), ranks.of(key(*right))], key(*left) >> 12 == key(*right) >> 12);
            prop_assert_eq!(places[0] == places[1], same);
            prop_assert!(same || (places[0] < places[1]) == (left < right));
        }
    }
}
