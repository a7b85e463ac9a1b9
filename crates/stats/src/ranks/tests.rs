//! Tests of what the second pass finds.

use super::*;
use crate::bootstrap::TestDraws;
use crate::moments::{midranks, pearson};
use crate::testing::{analysed, close, clustered};

#[test]
fn coarse_bins_cover_all_values() {
    let bins = [0.0f32, 1e-9, 1e-6, 0.9, 1.0, 1.1, 1.2, 20.0, 31.0, 1e9].map(|loss| coarse(key(loss)));
    assert!(bins.is_sorted());
    assert_eq!((bins[0], bins[1], bins[9]), (0, 0, COARSE - 1));
    assert!(bins[3] < bins[4] && bins[5] < bins[6] && bins[7] < bins[8]);
}

#[test]
fn h_is_what_a_token_does_to_the_ranks_of_the_others() {
    // Ten tokens on a diagonal, one coarse bin apart: E[1{x < X} v(Y)] sums the places above, half its own.
    let losses: Vec<f32> = (0..10).map(|index| 2f32.powi(index - 5)).collect();
    let mut first = DistributionSums::new(2);
    first.halves.discovery.losses.iter_mut().for_each(|column| column.extend(&losses));
    for &loss in &losses {
        first.halves.discovery.joint[0][coarse(key(loss)) * (COARSE + 1)] += 1;
    }
    let found = influence(&first.halves.discovery.joint[0], &first.halves.discovery.losses[1].sorted());
    for (index, &loss) in losses.iter().enumerate() {
        let place = |other: usize| (other as f64 + 0.5) / 10.0 - 0.5;
        let above: f64 = (index + 1..10).map(place).sum();
        assert!(close(found[coarse(key(loss))], (above + place(index) / 2.0) / 10.0));
    }
}

#[test]
fn intervals_lie_around_their_values() {
    let found = analysed(&clustered(60, 5));
    for pair in &found.correlation {
        let rho = pair.spearman_occurrences.unwrap();
        let ([low, high], error) = (rho.interval.unwrap(), rho.standard_error.unwrap());
        assert!(low < rho.value && rho.value < high && low > -1.0 && high < 1.0, "{rho:?}");
        assert!((2.0..6.0).contains(&((high - low) / error)), "{rho:?}");
    }
    for model in &found.overall.models {
        let median = model.median_entropy_nats;
        let ([low, high], error) = (median.interval.unwrap(), median.standard_error.unwrap());
        assert!(low < median.value && median.value < high, "{median:?}");
        assert!((2.0..6.0).contains(&((high - low) / error)), "{median:?}");
    }
}

#[test]
fn rho_of_ranks_in_bins_is_close() {
    // Just more tokens than are ranked exactly.
    let mut draws = TestDraws::new(84);
    let mut value = || -((draws.below(1 << 40) as f64 + 0.5) / (1u64 << 40) as f64).ln();
    let x: Vec<f32> = (0..(1 << 18) + 1).map(|_| value() as f32).collect();
    let y: Vec<f32> = x.iter().map(|x| (f64::from(*x) + value()) as f32).collect();
    let exact = pearson(&midranks(&x), &midranks(&y), None).unwrap();
    let places = [&x, &y].map(|values| {
        let mut distribution = Distribution::default();
        distribution.extend(values);
        let (sorted, ranks) = (distribution.sorted(), distribution.sorted().ranks());
        assert!(!sorted.is_exact());
        values.iter().map(|&value| ranks.of(key(value))).collect::<Vec<f64>>()
    });
    let binned = pearson(&places[0], &places[1], None).unwrap();
    assert!((exact - binned).abs() < 1e-6 && exact != binned, "{exact} {binned}");
}
