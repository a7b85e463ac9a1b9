//! Tests of analysis 2 by hand and against grouping by token.

use std::collections::BTreeMap;

use deltaloss_records::{Joined, Role};
use proptest::prelude::*;

use super::*;
use crate::moments::{midranks, pearson};
use crate::testing::{FOUR, analysed, any_join, close, join_of, model_mut};

fn correlate(join: &Joined) -> Vec<PairCorrelation> {
    analysed(join).correlation
}

#[test]
fn every_pair_once_and_the_reference_on_the_x_axis() {
    let roles = [Role::A, Role::B, Role::Placebo, Role::Benchmark];
    let pairs = correlate(&join_of(&roles, &[&["x", "y"]]));
    let axes: Vec<(Role, Role)> = pairs.iter().map(|pair| (pair.x, pair.y)).collect();
    assert_eq!(
        axes,
        [
            (Role::B, Role::A),
            (Role::Benchmark, Role::A),
            (Role::Benchmark, Role::B),
            (Role::Placebo, Role::A),
            (Role::B, Role::Placebo),
            (Role::Benchmark, Role::Placebo),
        ]
    );
}

#[test]
fn vocabulary_entries_lie_at_their_mean_losses() {
    // Means: p at b 2, a 1; q at b 4, a 4; r at b 9, a 1. Over entries r = 0, over occurrences not.
    let mut join = join_of(&[Role::A, Role::B], &[&["p", "q", "p"], &["r", "q", "p", "p"]]);
    model_mut(&mut join, Role::B).loss = vec![1.0, 4.0, 3.0, 9.0, 4.0, 0.5, 3.5];
    model_mut(&mut join, Role::A).loss = vec![0.5, 3.0, 1.5, 1.0, 5.0, 1.0, 1.0];
    let pairs = correlate(&join);
    let [pair] = &pairs[..] else { panic!("{pairs:?}") };
    assert_eq!(pair.vocabulary_entries, 3);
    let (x, y) = ([2.0, 4.0, 9.0], [1.0, 4.0, 1.0]);
    assert_eq!(pair.pearson_vocabulary.unwrap().value, pearson(&x, &y, None).unwrap());
    assert_eq!(
        pair.pearson_vocabulary_weighted.unwrap().value,
        pearson(&x, &y, Some(&[4.0, 2.0, 1.0])).unwrap()
    );
    let cell =
        |value: f64| pair.heatmap_vocabulary.edges_nats.iter().rposition(|edge| *edge <= value).unwrap();
    let counts = &pair.heatmap_vocabulary.counts;
    assert_eq!(counts[cell(1.0)][cell(2.0)], 4);
    assert_eq!(counts[cell(4.0)][cell(4.0)], 2);
    assert_eq!(counts[cell(1.0)][cell(9.0)], 1);
    assert_eq!(counts.iter().flatten().sum::<u64>(), 7);
}

#[test]
fn the_vocabulary_grid_grows_with_the_data_within_limits() {
    let range = |losses: [f32; 2]| {
        let mut join = join_of(&[Role::A, Role::B], &[&["p", "q"]]);
        model_mut(&mut join, Role::A).loss = losses.to_vec();
        model_mut(&mut join, Role::B).loss = vec![1.0, 2.0];
        let map = correlate(&join).remove(0).heatmap_vocabulary;
        (map.edges_nats[0], map.edges_nats[20], map.outside)
    };
    assert_eq!(range([1.0, 2.0]), (0.3, 18.0, 0));
    assert_eq!(range([0.0625, 19.0]), (0.0625, 19.0, 0));
    assert_eq!(range([0.001, 30.0]), (0.01, 20.0, 2));
}

#[test]
fn losses_off_the_occurrence_grid_are_reported() {
    let mut join = join_of(&[Role::A, Role::B], &[&["p", "q", "r", "p"]]);
    model_mut(&mut join, Role::A).loss = vec![1.0, 0.0, 21.0, 1.0];
    model_mut(&mut join, Role::B).loss = vec![1.0, 2.0, 2.0, 0.0005];
    let map = correlate(&join).remove(0).heatmap_occurrences;
    assert_eq!((map.outside, map.counts.iter().flatten().sum::<u64>()), (3, 1));
    assert_eq!((map.edges_nats[0], map.edges_nats[20]), (0.001, 20.0));
}

#[test]
fn no_coefficient_for_constant_losses() {
    let mut join = join_of(&[Role::A, Role::B], &[&["p", "q", "p"]]);
    model_mut(&mut join, Role::A).loss = vec![1.0, 2.0, 3.0];
    let pair = correlate(&join).remove(0);
    assert_eq!((pair.pearson_occurrences, pair.spearman_occurrences), (None, None));
    assert_eq!((pair.pearson_vocabulary, pair.pearson_vocabulary_weighted), (None, None));
}

proptest! {
    #[test]
    fn agrees_with_grouping_by_token(join in any_join()) {
        let agrees = |found: Option<Estimate>, expected: Option<f64>| match (found, expected) {
            (Some(found), Some(expected)) => close(found.value, expected),
            (found, expected) => found.is_none() && expected.is_none(),
        };
        let pairs = correlate(&join);
        prop_assert_eq!(pairs.len(), join.models.len() * (join.models.len() - 1) / 2);
        for pair in &pairs {
            let (x, y) = (&join.model(pair.x).unwrap().loss, &join.model(pair.y).unwrap().loss);
            let mut entries: BTreeMap<u32, (f64, f64, f64)> = BTreeMap::new();
            for row in 0..join.rows() {
                let entry = entries.entry(join.token[row]).or_default();
                *entry = (entry.0 + f64::from(x[row]), entry.1 + f64::from(y[row]), entry.2 + 1.0);
            }
            let xs: Vec<f64> = entries.values().map(|entry| entry.0 / entry.2).collect();
            let ys: Vec<f64> = entries.values().map(|entry| entry.1 / entry.2).collect();
            let counts: Vec<f64> = entries.values().map(|entry| entry.2).collect();
            let weighted = pearson(&xs, &ys, Some(&counts));
            prop_assert!(agrees(pair.pearson_vocabulary, pearson(&xs, &ys, None)));
            prop_assert!(agrees(pair.pearson_vocabulary_weighted, weighted));
            let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<f64>>();
            prop_assert!(agrees(pair.pearson_occurrences, pearson(&wide(x), &wide(y), None)));
            let spearman = pearson(&midranks(x), &midranks(y), None);
            prop_assert!(agrees(pair.spearman_occurrences, spearman));
            prop_assert_eq!(pair.vocabulary_entries, entries.len() as u64);
            for map in [&pair.heatmap_occurrences, &pair.heatmap_vocabulary] {
                prop_assert_eq!(map.counts.iter().flatten().sum::<u64>() + map.outside, join.rows() as u64);
            }
        }
    }

    #[test]
    fn a_model_goes_perfectly_with_itself(mut join in any_join()) {
        join.models.truncate(2);
        join.models[1].loss = join.models[0].loss.clone();
        let pair = correlate(&join).remove(0);
        let over_occurrences = [pair.pearson_occurrences, pair.spearman_occurrences];
        for r in over_occurrences.into_iter().chain([pair.pearson_vocabulary]).flatten() {
            prop_assert!(close(r.value, 1.0));
        }
    }
}

#[test]
fn four_models_share_one_vocabulary_grid() {
    let mut join = join_of(&FOUR, &[&["p", "q"]]);
    model_mut(&mut join, Role::Placebo).loss = vec![0.125, 1.0];
    let pairs = correlate(&join);
    assert!(
        pairs.iter().all(|pair| pair.heatmap_vocabulary.edges_nats == pairs[0].heatmap_vocabulary.edges_nats)
    );
    // Zero means of the other models hold the grid at its limit.
    assert_eq!(pairs[0].heatmap_vocabulary.edges_nats[0], 0.01);
}
