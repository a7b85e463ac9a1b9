//! Simulations at reduced size: do intervals hold the truth as often as they say, do tests err as seldom?
//!
//! Seeds are fixed. Of `CORPORA` corpora three Monte Carlo standard errors of a share of 0.95 are 0.046; bounds are
//! somewhat wider.

use deltaloss_records::{Joined, Role};

use super::*;
use crate::bootstrap::TestDraws as Draws;
use crate::testing::{FOUR, compared, join_of, model_mut, normal};

const CORPORA: u64 = 200;
const DOCUMENTS: usize = 40;

/// Token texts, each of another category, with the mean Δ of (a, b).
const GROUPS: [(&str, &str, f64); 4] = [
    (" if", "Control flow start", 0.5),
    (")", "Closing brackets", -0.1),
    ("x", "Common variable names", 0.2),
    (" 12", "Multi-digit numbers", 0.2),
];

/// The correlation of the normal numbers behind the losses of b and of the benchmark.
const NORMAL_R: f64 = 0.8;
/// Mean and median of the normal entropies of a.
const MEDIAN_NATS: f64 = 4.0;

/// Clustered documents with known truth: every effect of a model and a group has a part by document, and `scale` times the
/// means of `GROUPS`.
fn corpus(seed: u64, scale: f64) -> Joined {
    let mut draws = Draws::new(seed);
    let texts: Vec<Vec<&str>> = (0..DOCUMENTS)
        .map(|_| (0..20 + draws.below(40)).map(|_| GROUPS[draws.below(GROUPS.len())].0).collect())
        .collect();
    let texts: Vec<&[&str]> = texts.iter().map(Vec::as_slice).collect();
    let mut join = join_of(&FOUR, &texts);
    for (index, text) in texts.iter().enumerate() {
        let mut shift = |size: f64| size * normal(&mut draws);
        let (shift_a, shift_placebo, shift_entropy) = (shift(0.2), shift(0.2), shift(0.5));
        let by_group = GROUPS.map(|_| shift(0.15));
        let shared = [shift(0.5), shift(0.5)];
        let first = join.documents[index].rows.start;
        for (row, token) in (first..).zip(text.iter()) {
            let group = GROUPS.iter().position(|(text, ..)| text == token).unwrap();
            let mut noise = |size: f64| size * normal(&mut draws);
            let own = [noise(0.75f64.sqrt()), noise(0.75f64.sqrt())];
            let (u, v) = (shared[0] + own[0], shared[1] + own[1]);
            let b = (0.5 * u).exp();
            let delta = scale * GROUPS[group].2 + shift_a + by_group[group] + noise(0.4);
            let placebo = shift_placebo + noise(0.4);
            let benchmark = (0.5 * (NORMAL_R * u + (1.0 - NORMAL_R * NORMAL_R).sqrt() * v)).exp();
            model_mut(&mut join, Role::B).loss[row] = b as f32;
            model_mut(&mut join, Role::A).loss[row] = (b + delta) as f32;
            model_mut(&mut join, Role::Placebo).loss[row] = (b + placebo) as f32;
            model_mut(&mut join, Role::Benchmark).loss[row] = benchmark as f32;
            let entropy = MEDIAN_NATS + shift_entropy + noise(1.0);
            join.models.iter_mut().for_each(|model| model.entropy[row] = entropy as f32);
        }
    }
    join
}

fn options(seed: u64) -> Options {
    let (confident_below_nats, uncertain_above_nats) = (vec![3.0], vec![1.0]);
    Options { replicates: 300, seed, confident_below_nats, uncertain_above_nats, ..Options::default() }
}

/// Numbers with their truths.
fn known(found: &Sections) -> Vec<(&'static str, Estimate, f64)> {
    let overall = GROUPS.iter().map(|group| group.2).sum::<f64>() / 4.0;
    let row = |index: usize| found.categories.iter().find(|row| row.name == GROUPS[index].1).unwrap();
    let (gain, loss) = (row(0), row(1));
    let pair = found.correlation.iter().find(|pair| pair.x == Role::Benchmark && pair.y == Role::B).unwrap();
    // Spearman's ρ of normal numbers with this r; losses are increasing functions of them.
    let rho = 6.0 / std::f64::consts::PI * (NORMAL_R / 2.0).asin();
    vec![
        ("mean Δ", found.overall.pairs[0].mean_delta_nats, overall),
        ("placebo difference", found.overall.placebo_difference.unwrap().mean_delta_nats, overall),
        ("category", gain.delta_nats.unwrap(), 0.5),
        ("excess", loss.excess_nats.unwrap(), -0.1 - overall),
        ("difference", loss.difference_nats.unwrap(), -0.1),
        ("excess difference", gain.excess_difference_nats.unwrap(), 0.5 - overall),
        ("placebo excess", gain.placebo_excess_nats.unwrap(), 0.0),
        ("median", found.overall.models[0].median_entropy_nats, MEDIAN_NATS),
        ("Spearman", pair.spearman_occurrences.unwrap(), rho),
        // Conditioned on nothing: entropies of all models are alike, so the cells are about the same tokens.
        ("confidence difference", found.confidence[0].a_difference.unwrap().delta_nats.unwrap(), overall),
    ]
}

#[test]
fn intervals_of_every_kind_hold_the_truth() {
    let quantile = crate::student::upper_quantile(0.025, DOCUMENTS as u64 - 1);
    let mut held: Vec<(&str, [u64; 2])> = Vec::new();
    let (mut shares, mut shares_held) = (0, 0);
    for seed in 0..CORPORA {
        let found = compared(&corpus(seed, 1.0), &options(seed)).all;
        for (index, (name, estimate, truth)) in known(&found).into_iter().enumerate() {
            let Estimate { value, interval, standard_error } = estimate;
            let [low, high] = interval.unwrap_or_else(|| panic!("{name}: none"));
            let within =
                [low <= truth && truth <= high, (value - truth).abs() <= quantile * standard_error.unwrap()];
            if held.len() == index {
                held.push((name, [0; 2]));
            }
            held[index].1.iter_mut().zip(within).for_each(|(held, within)| *held += u64::from(within));
        }
        // A share has an interval where the gap's sign is sure; here the truth is 0.5 / 0.8.
        let share =
            found.categories.iter().find(|row| row.name == GROUPS[0].1).unwrap().share_of_gap.unwrap();
        if let Some([low, high]) = share.interval {
            shares += 1;
            shares_held += u64::from(low <= 0.625 && 0.625 <= high);
        }
    }
    for (name, held) in held {
        let [bootstrap, clustered] = held.map(|held| held as f64 / CORPORA as f64);
        assert!((0.90..0.995).contains(&bootstrap), "{name}, resampled: {bootstrap}");
        assert!((0.90..0.995).contains(&clustered), "{name}, clustered t: {clustered}");
    }
    assert!(shares > CORPORA / 2, "{shares}");
    let share = shares_held as f64 / shares as f64;
    assert!((0.87..0.995).contains(&share), "share of the gap: {share}");
}

#[test]
fn false_discoveries_are_as_rare_as_they_should_be() {
    let mut discoveries = [0u64; 3];
    for seed in 0..CORPORA {
        let rows =
            compared(&corpus(10_000 + seed, 0.0), &Options { replicates: 0, ..options(seed) }).all.categories;
        let tests = [
            rows.iter().map(|row| row.delta_test).collect::<Vec<_>>(),
            rows.iter().map(|row| row.excess_test).collect(),
            rows.iter().map(|row| row.difference_test).collect(),
        ];
        for (discoveries, tests) in discoveries.iter_mut().zip(tests) {
            assert_eq!(tests.iter().flatten().count(), GROUPS.len());
            *discoveries += u64::from(tests.iter().flatten().any(|test| test.q_value < 0.05));
        }
    }
    // Where nothing is there, any discovery is false: the rate is 0.05 or less, 10 of 200 corpora with standard error 3.
    assert!(discoveries.iter().all(|&count| count <= 20), "{discoveries:?}");
    assert!(discoveries.iter().sum::<u64>() > 0, "tests that never err cannot find anything either");
}

/// Two models whose losses on a vocabulary entry share a part, on Zipf-like entries.
fn vocabulary_corpus(seed: u64, effects: &[[f64; 2]]) -> Joined {
    let mut draws = Draws::new(seed);
    let texts: Vec<Vec<&str>> = (0..DOCUMENTS).map(|_| vec!["x"; 40 + draws.below(40)]).collect();
    let texts: Vec<&[&str]> = texts.iter().map(Vec::as_slice).collect();
    let mut join = join_of(&[Role::A, Role::B], &texts);
    for index in 0..DOCUMENTS {
        let shift = 0.2 * normal(&mut draws);
        for row in join.documents[index].rows.clone() {
            let uniform = (draws.below(1 << 30) as f64 + 0.5) / f64::from(1 << 30);
            let entry = ((effects.len() as f64).powf(uniform) as usize - 1).min(effects.len() - 1);
            join.token[row] = entry as u32;
            let shared = shift + 0.5 * normal(&mut draws);
            for (model, effect) in join.models.iter_mut().zip(effects[entry]) {
                model.loss[row] = (3.0 + effect + shared + 0.5 * normal(&mut draws)) as f32;
            }
        }
    }
    join
}

#[test]
fn intervals_over_vocabulary_entries_hold_the_coefficient_to_be_expected() {
    let mut draws = Draws::new(99);
    let effects: Vec<[f64; 2]> = (0..150)
        .map(|_| {
            let (shared, own) = (normal(&mut draws), normal(&mut draws));
            [shared, 0.9 * shared + 0.4 * own]
        })
        .collect();
    let found: Vec<[Estimate; 2]> = (0..CORPORA)
        .map(|seed| {
            let pair = compared(&vocabulary_corpus(seed, &effects), &options(seed)).all.correlation.remove(0);
            [pair.pearson_vocabulary.unwrap(), pair.pearson_vocabulary_weighted.unwrap()]
        })
        .collect();
    for (which, name) in [(0, "unweighted"), (1, "weighted")] {
        let expected = found.iter().map(|found| found[which].value).sum::<f64>() / CORPORA as f64;
        let holds = |found: &&[Estimate; 2]| {
            let [low, high] = found[which].interval.unwrap();
            low <= expected && expected <= high
        };
        let held = found.iter().filter(holds).count() as f64 / CORPORA as f64;
        assert!((0.885..0.998).contains(&held), "{name}: {held} hold {expected}");
    }
}
