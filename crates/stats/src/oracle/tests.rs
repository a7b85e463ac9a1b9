//! Bins and trends by hand, against plain versions, and their coverage.

use deltaloss_records::{Joined, JoinedOracle, Role};
use proptest::prelude::*;

use crate::bootstrap::TestDraws as Draws;
use crate::testing::{close, clustered, compared, join_of, model_mut, normal, with_oracle};
use crate::{Options, Sections};

const TRIO: [Role; 3] = [Role::A, Role::B, Role::Placebo];

fn set_oracle(join: &mut Joined, entropy: Vec<Option<f32>>) {
    let run = join.models[0].run.clone();
    join.oracle = Some(JoinedOracle { label: "seer".to_owned(), run, entropy });
}

fn found(join: &Joined, replicates: u32) -> Sections {
    compared(join, &Options { replicates, ..Options::default() }).all
}

#[test]
fn without_an_oracle_there_is_no_section() {
    assert_eq!(found(&clustered(12, 1), 10).oracle, None);
}

#[test]
fn bins_and_line_by_hand() {
    let tokens = ["a"; 40];
    let mut join = join_of(&TRIO, &[&tokens, &["b", "c"]]);
    // 20 bins of two tokens: entropies 0.0, 0.1, … in the order of the text, Δ = entropy − 1; two tokens without a value.
    let entropies: Vec<f32> = (0..40).map(|index| index as f32 / 10.0).collect();
    model_mut(&mut join, Role::A).loss =
        entropies.iter().map(|entropy| entropy + 4.0).chain([9.0, 9.0]).collect();
    model_mut(&mut join, Role::B).loss = vec![5.0; 42];
    model_mut(&mut join, Role::Placebo).loss = vec![4.5; 42];
    set_oracle(&mut join, entropies.iter().copied().map(Some).chain([None, None]).collect());
    let oracle = found(&join, 10).oracle.unwrap();
    assert_eq!((oracle.label.as_str(), oracle.tokens, oracle.without_value), ("seer", 40, 2));
    assert_eq!(oracle.bins.len(), 20);
    for (index, bin) in oracle.bins.iter().enumerate() {
        let mean = 0.2 * index as f64 + 0.05;
        assert_eq!((bin.row.tokens, bin.row.bytes, bin.row.documents), (2, 2, 1));
        assert_eq!(bin.row.name, (index + 1).to_string());
        assert!((bin.mean_entropy_nats - mean).abs() < 1e-6 && (bin.up_to_nats - mean - 0.05).abs() < 1e-6);
        assert!((bin.row.delta_nats.unwrap().value - (mean - 1.0)).abs() < 1e-6);
        assert_eq!(bin.row.placebo_delta_nats.unwrap().value, -0.5);
    }
    assert!(oracle.crossings_nats.len() == 1 && (oracle.crossings_nats[0] - 1.0).abs() < 1e-6);
    let trend = oracle.trend.unwrap();
    assert!((trend.slope.value - 1.0).abs() < 1e-6 && (trend.intercept_nats.value + 1.0).abs() < 1e-6);
    assert!((trend.crossing_nats.unwrap().value - 1.0).abs() < 1e-6);
    let placebo = oracle.placebo_trend.unwrap();
    assert_eq!(placebo.crossing_nats, None);
    assert!(placebo.slope.value.abs() < 1e-9 && (placebo.intercept_nats.value + 0.5).abs() < 1e-9);
    assert!((oracle.slope_difference.unwrap().value - 1.0).abs() < 1e-6);
    // One document: no interval, no error, no test.
    assert_eq!((trend.slope.interval, trend.slope.standard_error, trend.slope_test), (None, None, None));
}

#[test]
fn equal_entropies_share_a_bin() {
    let mut join = join_of(&TRIO, &[&["a"; 30]]);
    set_oracle(&mut join, (0..30).map(|index| Some(if index < 20 { 0.0 } else { index as f32 })).collect());
    let oracle = found(&join, 0).oracle.unwrap();
    assert_eq!(oracle.bins[0].row.tokens, 20);
    assert_eq!((oracle.bins[0].up_to_nats, oracle.bins[0].mean_entropy_nats), (0.0, 0.0));
    assert_eq!(oracle.bins.iter().map(|bin| bin.row.tokens).sum::<u64>(), 30);
    // All equal: one bin, no line. None known: no bin.
    set_oracle(&mut join, vec![Some(1.5); 30]);
    let oracle = found(&join, 0).oracle.unwrap();
    assert_eq!((oracle.bins.len(), oracle.trend), (1, None));
    set_oracle(&mut join, vec![None; 30]);
    let oracle = found(&join, 0).oracle.unwrap();
    assert_eq!((oracle.bins.len(), oracle.tokens, oracle.without_value, oracle.trend), (0, 0, 30, None));
}

/// Slope and clustered standard error, written out.
fn plain_slope(join: &Joined) -> (f64, f64) {
    let oracle = join.oracle.as_ref().unwrap();
    let (a, b) = (&join.models[0].loss, &join.models[1].loss);
    let rows: Vec<(u32, f64, f64)> = (0..join.rows())
        .filter_map(|row| {
            let y = f64::from(a[row]) - f64::from(b[row]);
            Some((join.document[row], f64::from(oracle.entropy[row]?), y))
        })
        .collect();
    let n = rows.len() as f64;
    let mean = |of: fn(&(u32, f64, f64)) -> f64| rows.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|row| row.1), mean(|row| row.2));
    let spread: f64 = rows.iter().map(|row| (row.1 - x).powi(2)).sum();
    let slope = rows.iter().map(|row| (row.1 - x) * (row.2 - y)).sum::<f64>() / spread;
    let (mut squares, mut documents) = (0.0, 0.0);
    for of_document in rows.chunk_by(|left, right| left.0 == right.0) {
        let score: f64 = of_document.iter().map(|row| (row.1 - x) * (row.2 - y - slope * (row.1 - x))).sum();
        squares += (score / spread).powi(2);
        documents += 1.0;
    }
    (slope, (squares * documents / (documents - 1.0)).sqrt())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn agrees_with_sorting_and_with_least_squares_written_out(seed in 0u64..1 << 40) {
        let mut join = clustered(40, seed);
        with_oracle(&mut join, seed + 1);
        let oracle = found(&join, 20).oracle.unwrap();
        let entropies = &join.oracle.as_ref().unwrap().entropy;
        let mut rows: Vec<usize> = (0..join.rows()).filter(|&row| entropies[row].is_some()).collect();
        rows.sort_by(|left, right| entropies[*left].unwrap().total_cmp(&entropies[*right].unwrap()));
        prop_assert_eq!(oracle.tokens as usize, rows.len());
        prop_assert_eq!(oracle.without_value as usize, join.rows() - rows.len());
        // Where no two are equal, bin k ends with the value of rank ⌈k n / 20⌉.
        let distinct = rows.windows(2).all(|pair| entropies[pair[0]] != entropies[pair[1]]);
        if distinct {
            for (index, bin) in oracle.bins.iter().enumerate() {
                let [start, end] = [index, index + 1].map(|k| (k * rows.len()).div_ceil(20));
                let delta = |row: usize| f64::from(join.models[0].loss[row]) - f64::from(join.models[1].loss[row]);
                let mean = rows[start..end].iter().map(|&row| delta(row)).sum::<f64>() / (end - start) as f64;
                prop_assert_eq!(bin.row.tokens as usize, end - start);
                prop_assert_eq!(bin.up_to_nats, f64::from(entropies[rows[end - 1]].unwrap()));
                prop_assert!(close(bin.row.delta_nats.unwrap().value, mean));
            }
        }
        let trend = oracle.trend.unwrap();
        let (slope, error) = plain_slope(&join);
        prop_assert!(close(trend.slope.value, slope), "{} {slope}", trend.slope.value);
        prop_assert!(close(trend.slope.standard_error.unwrap(), error), "{:?} {error}", trend.slope);
    }
}

#[test]
fn the_slope_is_covered_about_as_often_as_it_says() {
    // Δ = 0.3 (x − 1) + what the document adds to level and slope.
    let (documents, repetitions) = (50, 200);
    let mut covered = 0;
    for repetition in 0..repetitions {
        let mut draws = Draws::new(1000 + repetition);
        let texts: Vec<Vec<&str>> = (0..documents).map(|_| vec!["a"; 5 + draws.below(30)]).collect();
        let texts: Vec<&[&str]> = texts.iter().map(Vec::as_slice).collect();
        let mut join = join_of(&TRIO[..2], &texts);
        let mut entropies = Vec::new();
        for document in join.documents.clone() {
            let (level, slope) = (0.3 * normal(&mut draws), 0.3 + 0.1 * normal(&mut draws));
            for row in document.rows {
                let x = normal(&mut draws).abs() * 1.5;
                let delta = slope * (x - 1.0) + level + normal(&mut draws);
                (join.models[0].loss[row], join.models[1].loss[row]) = ((10.0 + delta) as f32, 10.0);
                entropies.push(Some(x as f32));
            }
        }
        set_oracle(&mut join, entropies);
        let trend = found(&join, 200).oracle.unwrap().trend.unwrap();
        let [low, high] = trend.slope.interval.unwrap();
        covered += u32::from(low <= 0.3 && 0.3 <= high);
    }
    // At 95 %, fewer than 180 of 200 come once in some hundreds.
    assert!((180..=199).contains(&covered), "{covered}");
}
