//! Tests of intervals and standard errors: against materialised resamples, by simulation, at the edges.

use deltaloss_records::{Joined, Role};

use super::*;
use crate::estimate::Resampled;
use crate::moments::pearson;
use crate::student::upper_quantile;
use crate::testing::{close, clustered, compared, join_of, model_mut, normal};
use crate::{Comparison, Estimate, Options, Rules, classify_rows};

/// Documents, and the tail that belongs to them.
const TAILS: [(usize, f64); 4] =
    [(10, 0.008_550_6), (20, 0.015_880_8), (60, 0.021_801_8), (1000, 0.024_804_3)];

/// How often a document came up in a replicate.
fn times(resamples: &Resamples, document: u32, replicate: usize) -> u8 {
    let length = BLOCK.min(resamples.replicates - replicate / BLOCK * BLOCK);
    let place = |slot: usize| slot * length + replicate % BLOCK;
    resamples.slot(document).map_or(0, |slot| resamples.blocks[replicate / BLOCK][place(slot)])
}

/// The documents of a join that have rows.
fn with_rows(join: &Joined) -> Vec<u32> {
    let documents = (0..).zip(&join.documents).filter(|(_, document)| !document.rows.is_empty());
    documents.map(|(index, _)| index).collect()
}

/// Documents with a row of a group.
fn documents_with(join: &Joined, holds: &dyn Fn(usize) -> bool) -> usize {
    join.documents.iter().filter(|document| document.rows.clone().any(holds)).count()
}

/// The interval of a statistic of rows of so many documents, from the rows of each resample written out.
fn naive(
    join: &Joined,
    resamples: &Resamples,
    documents: usize,
    statistic: impl Fn(&[usize]) -> f64,
) -> [f64; 2] {
    let mut values = Vec::new();
    for replicate in 0..resamples.replicates {
        let mut rows = Vec::new();
        for (index, document) in join.documents.iter().enumerate() {
            for _ in 0..times(resamples, index as u32, replicate) {
                rows.extend(document.rows.clone());
            }
        }
        values.push(statistic(&rows));
    }
    values.sort_by(f64::total_cmp);
    let place = tail(documents) * (values.len() - 1) as f64;
    let at = |place: f64| {
        let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
        below + (above - below) * place.fract()
    };
    [at(place), at((values.len() - 1) as f64 - place)]
}

fn assert_close(found: Option<Estimate>, expected: [f64; 2], what: &str) {
    let Some([low, high]) = found.and_then(|estimate| estimate.interval) else { panic!("{what}: none") };
    assert!(close(low, expected[0]) && close(high, expected[1]), "{what}: {low} {high}, not {expected:?}");
}

#[test]
fn agrees_with_resamples_written_out() {
    let join = clustered(40, 3);
    let options = Options { replicates: 201, ..Options::default() };
    let found = compared(&join, &options);
    let resamples = Resamples::new(&with_rows(&join), options.replicates, options.seed);
    let loss = |role: Role| join.model(role).unwrap().loss.iter().map(|&loss| f64::from(loss));
    let (a, b): (Vec<f64>, Vec<f64>) = (loss(Role::A).collect(), loss(Role::B).collect());
    let placebo: Vec<f64> = loss(Role::Placebo).collect();
    let mean = |rows: &[usize], of: &dyn Fn(usize) -> f64| {
        rows.iter().map(|&row| of(row)).sum::<f64>() / rows.len() as f64
    };
    let whole =
        |of: &dyn Fn(usize) -> f64| naive(&join, &resamples, resamples.documents(), |rows| mean(rows, of));
    let share = |holds: bool| f64::from(u8::from(holds));
    let models = &found.all.overall.models[0];
    let model = join.model(Role::A).unwrap();
    assert_close(Some(models.mean_loss_nats), whole(&|row| a[row]), "mean loss");
    assert_close(Some(models.perplexity), whole(&|row| a[row]).map(f64::exp), "perplexity");
    let ranks = &model.guesses.as_ref().unwrap().rank;
    assert_close(models.top1_accuracy, whole(&|row| share(ranks[row] == 0)), "top-1");
    let entropy = whole(&|row| f64::from(model.entropy[row]));
    assert_close(Some(models.mean_entropy_nats), entropy, "entropy");
    let bits = |rows: &[usize]| {
        let bytes: usize = rows.iter().map(|&row| join.token_bytes(row).len()).sum();
        rows.iter().map(|&row| a[row]).sum::<f64>() / std::f64::consts::LN_2 / bytes as f64
    };
    assert_close(
        Some(models.bits_per_byte),
        naive(&join, &resamples, resamples.documents(), bits),
        "bits per byte",
    );
    let low = whole(&|row| share(model.entropy[row] < 0.2));
    assert_close(Some(found.all.entropy[0].share_below_0_2), low, "share below 0.2");
    let pair = &found.all.overall.pairs[0];
    assert_close(Some(pair.mean_delta_nats), whole(&|row| a[row] - b[row]), "Δ");
    assert_close(Some(pair.first_wins_tokens), whole(&|row| share(a[row] < b[row])), "tokens won");
    let pick = |rows: &[usize], values: &[f64]| rows.iter().map(|&row| values[row]).collect::<Vec<f64>>();
    let r = |rows: &[usize]| pearson(&pick(rows, &a), &pick(rows, &b), None).unwrap();
    assert_close(
        found.all.correlation[0].pearson_occurrences,
        naive(&join, &resamples, resamples.documents(), r),
        "Pearson",
    );
    let cell = found.all.confidence[0].a_confident.delta_nats;
    let b_entropy = &join.model(Role::B).unwrap().entropy;
    let held = |row: usize| model.entropy[row] < 0.25 && b_entropy[row] > 1.0;
    let of_group = |rows: &[usize], holds: &dyn Fn(usize) -> bool, of: &dyn Fn(usize) -> f64| {
        let rows: Vec<usize> = rows.iter().copied().filter(|&row| holds(row)).collect();
        mean(&rows, of)
    };
    let delta = |row: usize| a[row] - b[row];
    let expected =
        naive(&join, &resamples, documents_with(&join, &held), |rows| of_group(rows, &held, &delta));
    assert_close(cell, expected, "confidence");
    for category in found.all.categories.iter().filter(|row| row.tokens > 0) {
        let index = Rules::builtin().names().iter().position(|name| *name == category.name).unwrap();
        let of_row = classify_rows(&join, &Rules::builtin()).unwrap();
        let holds = |row: usize| usize::from(of_row[row]) == index;
        let documents = documents_with(&join, &holds);
        let group = |of: &dyn Fn(usize) -> f64| {
            naive(&join, &resamples, documents, |rows| of_group(rows, &holds, of))
        };
        assert_close(category.loss_a_nats, group(&|row| a[row]), &category.name);
        assert_close(category.delta_nats, group(&delta), &category.name);
        assert_close(category.placebo_delta_nats, group(&|row| placebo[row] - b[row]), &category.name);
        let part = naive(&join, &resamples, documents, |rows| {
            let part: f64 = rows.iter().filter(|&&row| holds(row)).map(|&row| delta(row)).sum();
            part / rows.iter().map(|&row| delta(row)).sum::<f64>()
        });
        assert_close(category.share_of_gap, part, &category.name);
        let excess = |of: &dyn Fn(usize) -> f64| {
            naive(&join, &resamples, documents, |rows| of_group(rows, &holds, of) - mean(rows, of))
        };
        assert_close(category.excess_nats, excess(&delta), &category.name);
        let of_placebo = |row: usize| placebo[row] - b[row];
        assert_close(category.placebo_excess_nats, excess(&of_placebo), &category.name);
        let difference = |row: usize| a[row] - placebo[row];
        assert_close(category.difference_nats, group(&difference), &category.name);
        assert_close(category.excess_difference_nats, excess(&difference), &category.name);
    }
    // A difference over different tokens.
    let placebo_entropy = &join.model(Role::Placebo).unwrap().entropy;
    let held_by_placebo = |row: usize| placebo_entropy[row] < 1.0 && b_entropy[row] > 1.0;
    let held = |row: usize| model.entropy[row] < 1.0 && b_entropy[row] > 1.0;
    let of_placebo = |row: usize| placebo[row] - b[row];
    let cells =
        |rows: &[usize]| of_group(rows, &held, &delta) - of_group(rows, &held_by_placebo, &of_placebo);
    let row = found.all.confidence.iter().find(|row| row.confident_below_nats == 1.0).unwrap();
    let [of_delta, of_excess] = row.a_difference.map(|found| [found.delta_nats, found.excess_nats]).unwrap();
    let fewer = documents_with(&join, &held).min(documents_with(&join, &held_by_placebo));
    assert_close(of_delta, naive(&join, &resamples, fewer, cells), "difference of cells");
    let excesses = |rows: &[usize]| cells(rows) - mean(rows, &delta) + mean(rows, &of_placebo);
    assert_close(of_excess, naive(&join, &resamples, fewer, excesses), "difference of excesses");
    let overall = found.all.overall.placebo_difference.unwrap();
    assert_close(Some(overall.mean_delta_nats), whole(&|row| a[row] - placebo[row]), "placebo's Δ");
    let wins = whole(&|row| share(a[row] < b[row]) - share(placebo[row] < b[row]));
    assert_close(Some(overall.first_wins_tokens), wins, "placebo's tokens won");
    let entropies = whole(&|row| f64::from(model.entropy[row]) - f64::from(b_entropy[row]));
    assert_close(Some(found.all.entropy_pairs[0].mean_nats), entropies, "mean entropies");
    let low = whole(&|row| share(model.entropy[row] < 0.2) - share(placebo_entropy[row] < 0.2));
    assert_close(Some(found.all.entropy_pairs[2].share_below_0_2), low, "shares below 0.2");
}

#[test]
fn every_replicate_draws_as_many_documents_as_there_are() {
    let documents: Vec<u32> = (0..40).filter(|document| document % 4 != 0).collect();
    let resamples = Resamples::new(&documents, 300, 5);
    assert_eq!((resamples.documents, resamples.slot(4), resamples.slot(5)), (30, None, Some(3)));
    for replicate in 0..300 {
        let drawn = documents.iter().map(|&document| u32::from(times(&resamples, document, replicate)));
        assert_eq!(drawn.sum::<u32>(), 30);
    }
    // Each document comes up 300 times on average, with standard deviation 17.
    for &document in &documents {
        let total: u32 = (0..300).map(|replicate| u32::from(times(&resamples, document, replicate))).sum();
        assert!((230..370).contains(&total), "{total}");
    }
}

#[test]
fn the_seed_alone_decides() {
    let join = clustered(30, 9);
    let seeded = |seed| compared(&join, &Options { seed, replicates: 300, ..Options::default() });
    assert_eq!(seeded(1), seeded(1));
    let interval = |found: Comparison| found.all.overall.pairs[0].mean_delta_nats.interval;
    assert_ne!(interval(seeded(1)), interval(seeded(2)));
}

#[test]
fn a_standard_error_by_hand() {
    // With documents of one token it is the standard error of a mean: 1 to 10 have variance 55 / 6.
    let cells: Vec<Cell<2>> =
        (0..10).map(|document| Cell { document, sums: [1.0, f64::from(document) + 1.0] }).collect();
    let resamples = Resamples::new(&Vec::from_iter(0..10), 0, 1);
    let found = Resampled::new(cells, &resamples).ratio(|sums| sums[1], 0, &resamples);
    assert!(close(found.standard_error.unwrap(), (55.0f64 / 6.0 / 10.0).sqrt()));
    assert_eq!(found.interval, None);
    assert_eq!(resamples.note().none_because.unwrap(), "no replicates were asked for");
}

#[test]
fn too_few_documents_carry_nothing() {
    for (documents, rows) in [(1, 1), (10, 9)] {
        let found = compared(&clustered(documents, 2), &Options::default());
        assert_eq!((found.all.intervals.documents, found.all.intervals.replicates), (rows, 2_000));
        let holds = if rows == 1 { "only 1 document holds" } else { "only 9 documents hold" };
        assert!(found.all.intervals.none_because.is_some_and(|why| why.contains(holds)));
        let pair = &found.all.overall.pairs[0];
        assert_eq!((pair.mean_delta_nats.interval, pair.mean_delta_nats.standard_error), (None, None));
        assert_eq!(pair.equivalence, None);
        assert!(found.all.categories.iter().all(|row| {
            row.share_of_gap.is_none_or(|share| share.interval.is_none() && share.standard_error.is_none())
        }));
    }
    let found = compared(&clustered(11, 2), &Options::default());
    assert_eq!((found.all.intervals.documents, found.all.intervals.none_because), (10, None));
    assert!(found.all.overall.pairs[0].mean_delta_nats.interval.is_some());
}

#[test]
fn a_group_of_few_documents_carries_nothing() {
    let mut texts: Vec<&[&str]> = vec![&["x", " if"]; 30];
    texts[..9].fill(&["x", ")"]);
    let found = compared(&join_of(&[Role::A, Role::B], &texts), &Options::default());
    let row = |name: &str| found.all.categories.iter().find(|row| row.name == name).unwrap();
    let brackets = row("Closing brackets").delta_nats.unwrap();
    assert_eq!((brackets.interval, brackets.standard_error), (None, None));
    assert!(row("Control flow start").delta_nats.unwrap().interval.is_some());
    assert!(row("Digits").delta_nats.is_none());
}

#[test]
fn equal_documents_have_no_width_and_an_unclear_gap_no_share() {
    let mut join = join_of(&[Role::A, Role::B], &[&["x", ")"][..]; 20]);
    model_mut(&mut join, Role::A).loss = [1.0, 2.0].repeat(20);
    let found = compared(&join, &Options::default());
    let delta = found.all.overall.pairs[0].mean_delta_nats;
    assert_eq!((delta.interval, delta.standard_error), (Some([1.5, 1.5]), Some(0.0)));
    assert_eq!(found.all.correlation[0].pearson_occurrences, None);
    assert!(found.all.categories[0].share_of_gap.unwrap().interval.is_some());
    // Of twenty documents these many with a gap of −1, the others of 1: some standard errors from zero.
    for (negative, clear) in [(9, false), (4, false), (3, false), (2, true)] {
        let signs = (0..40).map(|row| if row < 2 * negative { -1.0 } else { 1.0 });
        model_mut(&mut join, Role::A).loss = signs.collect();
        let found = compared(&join, &Options::default());
        let gap = found.all.overall.pairs[0].mean_delta_nats;
        assert_eq!(gap.value / gap.standard_error.unwrap() >= 5.0, clear, "{gap:?}");
        let share = found.all.categories[0].share_of_gap.unwrap();
        assert_eq!((share.interval.is_some(), share.standard_error.is_some()), (clear, clear), "{negative}");
    }
}

#[test]
fn replicates_without_a_number() {
    let with_missing = |missing: usize| {
        percentiles((0..1000).map(move |index| (index >= missing).then_some(index as f64)), 60)
    };
    let [low, high] = with_missing(0).unwrap();
    assert!((low - 999.0 * tail(60)).abs() < 1e-9 && (low + high - 999.0).abs() < 1e-9);
    assert!(with_missing(50).is_some() && with_missing(51).is_none());
    assert_eq!(percentiles(std::iter::empty(), 60), None);
    assert_eq!(percentiles([Some(f64::INFINITY); 9].into_iter(), 60), None);
}

#[test]
fn the_fewer_the_documents_the_wider_the_interval() {
    // pnorm(-qt(0.975, n - 1) * sqrt(n / (n - 1))) in R.
    for (documents, expected) in TAILS {
        assert!((tail(documents) - expected).abs() < 2e-6, "{documents}: {} not {expected}", tail(documents));
        // The quantile is that of the tests' own t distribution.
        let t = upper_quantile(0.025, documents as u64 - 1);
        let of_t = libm::erfc(t * (documents as f64 / (documents as f64 - 1.0) / 2.0).sqrt()) / 2.0;
        assert!((tail(documents) - of_t).abs() < 2e-6, "{documents}");
    }
    assert!((tail(10_000_000) - 0.025).abs() < 1e-7);
}

/// Of 600 corpora of 60 clustered documents, in how many each interval holds the true mean of 0: by
/// resampling documents, by clustered t, and by taking tokens for independent.
fn coverage() -> [f64; 3] {
    const CORPORA: usize = 600;
    const DOCUMENTS: u32 = 60;
    let mut draws = Draws::new(11);
    let mut held = [0usize; 3];
    let quantile = upper_quantile(0.025, u64::from(DOCUMENTS) - 1);
    for corpus in 0..CORPORA {
        let resamples = Resamples::new(&Vec::from_iter(0..DOCUMENTS), 500, corpus as u64);
        let (mut cells, mut squares) = (Vec::new(), 0.0);
        for document in 0..DOCUMENTS {
            let (tokens, shift) = (20 + draws.below(80), 0.5 * normal(&mut draws));
            let mut sum = 0.0;
            for _ in 0..tokens {
                let value = shift + normal(&mut draws);
                sum += value;
                squares += value * value;
            }
            cells.push(Cell { document, sums: [tokens as f64, sum] });
        }
        let totals = |column: usize| cells.iter().map(|cell| cell.sums[column]).sum::<f64>();
        let (tokens, mean) = (totals(0), totals(1) / totals(0));
        let found = Resampled::new(cells, &resamples).ratio(|sums| sums[1], 0, &resamples);
        let [low, high] = found.interval.unwrap();
        let token_error = ((squares / tokens - mean * mean) / tokens).sqrt();
        held[0] += usize::from(low <= 0.0 && 0.0 <= high);
        held[1] += usize::from(mean.abs() <= quantile * found.standard_error.unwrap());
        held[2] += usize::from(mean.abs() <= 1.96 * token_error);
    }
    held.map(|held| held as f64 / CORPORA as f64)
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let [bootstrap, clustered, tokens] = coverage();
    // Three Monte Carlo standard errors of a share of 0.95 over 600 corpora are 0.027.
    assert!((0.923..0.977).contains(&bootstrap), "{bootstrap}");
    assert!((0.923..0.977).contains(&clustered), "{clustered}");
    assert!(tokens < 0.7, "tokens are not independent, and their interval must show it: {tokens}");
}
