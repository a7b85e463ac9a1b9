//! Tests of correlations over vocabulary entries: replicates written out, errors, parts.

use std::collections::BTreeMap;

use super::*;
use crate::CheckedJoin;
use crate::testing::{close, clustered};
use deltaloss_records::Joined;

fn sums(join: &Joined, holds: impl Fn(u32) -> bool) -> VocabularySums {
    let mut sums = VocabularySums::new(join.models.len());
    CheckedJoin::new(join).unwrap().for_each_document(0, &vec![0; join.rows()], |rows| {
        if holds(rows.document) {
            sums.add_document(rows);
        }
    });
    sums
}

fn set(join: &Joined) -> Vec<u32> {
    (0..)
        .zip(&join.documents)
        .filter(|(_, document)| !document.rows.is_empty())
        .map(|(index, _)| index)
        .collect()
}

/// A join in which vocabulary ids tell more apart than five texts.
fn varied(documents: usize, seed: u64) -> Joined {
    let mut join = clustered(documents, seed);
    for row in 0..join.rows() {
        join.token[row] = (row * row % 23) as u32;
    }
    join
}

#[test]
fn replicates_agree_with_resamples_written_out() {
    let join = varied(30, 7);
    let sums = sums(&join, |_| true);
    let resamples = Resamples::new(&set(&join), 300, 2);
    let entries = sums.entries(None);
    let places: Vec<u32> =
        sums.entries.iter().map(|id| entries.ids.binary_search(id).unwrap() as u32).collect();
    let found = sums.replicates(&entries, &places, &resamples);
    assert_eq!((found.len(), found[0].len()), (300, 6));
    let blocks: Vec<(&[u8], usize)> = resamples.blocks().collect();
    for replicate in [0, 100, 255, 256, 299] {
        let (block, length) = blocks[replicate / 256];
        let mut of_entry: BTreeMap<u32, [f64; 3]> = BTreeMap::new();
        for (slot, document) in set(&join).into_iter().enumerate() {
            let times = f64::from(block[slot * length + replicate % 256]);
            for row in join.documents[document as usize].rows.clone().filter(|_| times > 0.0) {
                let total = of_entry.entry(join.token[row]).or_default();
                total[0] += times;
                total[1] += times * f64::from(join.models[0].loss[row]);
                total[2] += times * f64::from(join.models[1].loss[row]);
            }
        }
        let column =
            |index: usize| of_entry.values().map(|total| total[index] / total[0]).collect::<Vec<f64>>();
        let counts: Vec<f64> = of_entry.values().map(|total| total[0]).collect();
        let naive = [pearson(&column(1), &column(2), None), pearson(&column(1), &column(2), Some(&counts))];
        for (found, naive) in found[replicate][0].iter().zip(naive) {
            // Sums of documents are in single precision here.
            assert!((found.unwrap() - naive.unwrap()).abs() < 1e-6, "{found:?} {naive:?}");
        }
    }
}

#[test]
fn the_weighted_error_is_that_of_leaving_documents_out() {
    // The jackknife estimates the same variance without derivatives.
    let join = varied(40, 3);
    let all = sums(&join, |_| true);
    let documents = set(&join);
    let resamples = Resamples::new(&documents, 0, 1);
    let found = all.correlate(&all.entries(None), &resamples)[0].weighted.unwrap();
    let without = |left_out: u32| {
        let part = sums(&join, |document| document != left_out);
        let kept: Vec<u32> = documents.iter().copied().filter(|document| *document != left_out).collect();
        part.correlate(&part.entries(None), &Resamples::new(&kept, 0, 1))[0].weighted.unwrap().value
    };
    let values: Vec<f64> = documents.iter().map(|&document| without(document)).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let jackknife =
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() * (count - 1.0) / count).sqrt();
    let ratio = found.standard_error.unwrap() / jackknife;
    assert!((0.75..1.1).contains(&ratio), "{ratio}");
}

#[test]
fn parts_merge_to_the_same_bits() {
    let join = varied(30, 5);
    let whole = sums(&join, |_| true);
    let mut merged = sums(&join, |document| document % 3 == 1);
    merged.merge(sums(&join, |document| document % 3 == 2));
    merged.merge(sums(&join, |document| document % 3 == 0));
    let resamples = Resamples::new(&set(&join), 100, 2);
    let of = |sums: &VocabularySums| sums.correlate(&sums.entries(None), &resamples);
    assert_eq!(of(&merged), of(&whole));
    assert!(of(&whole)[0].unweighted.unwrap().interval.is_some());
}

#[test]
fn intervals_are_moved_to_their_value() {
    let replicates = (0..1000).map(|index| Some((0.001 * f64::from(index) - 0.2).tanh()));
    let [low, high] = recentred(0.9, replicates, 1_000_000).unwrap();
    assert!(close(low.atanh() + high.atanh(), 2.0 * 0.9f64.atanh()));
    let width = 0.999 * (1.0 - 2.0 * crate::bootstrap::tail(1_000_000));
    assert!(close(high.atanh() - low.atanh(), width));
    assert_eq!(recentred(1.0, [Some(0.5); 9].into_iter(), 20), None);
    assert_eq!(recentred(0.5, std::iter::empty(), 20), None);
}
