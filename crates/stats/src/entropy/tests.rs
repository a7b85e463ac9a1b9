//! Tests of analysis 5 against known densities and a naive sum.

use deltaloss_records::Role;
use proptest::prelude::*;

use super::density::bandwidth_nats;
use super::*;
use crate::testing::{analysed, close, join_of, model_mut};

fn analyse(a: &[f32], b: &[f32]) -> Vec<EntropyDistribution> {
    let tokens = vec!["x"; a.len()];
    let mut join = join_of(&[Role::A, Role::B], &[&tokens]);
    model_mut(&mut join, Role::A).entropy = a.to_vec();
    model_mut(&mut join, Role::B).entropy = b.to_vec();
    analysed(&join).entropy
}

fn integral(distribution: &EntropyDistribution) -> f64 {
    let (grid, density) = (&distribution.grid_nats, &distribution.density_per_nat);
    assert_eq!(grid.len(), density.len());
    let trapezoids = grid.array_windows().zip(density.array_windows());
    trapezoids.map(|([x0, x1], [y0, y1])| (x1 - x0) * (y0 + y1) / 2.0).sum()
}

/// Quantiles of an exponential distribution: `count` values whose density is exp(−x / mean) / mean.
fn exponential(count: usize, mean: f64) -> Vec<f32> {
    (0..count).map(|index| (-mean * (1.0 - (index as f64 + 0.5) / count as f64).ln()) as f32).collect()
}

#[test]
fn numbers_by_hand() {
    let found = analyse(&[0.0, 0.1, 0.2, 1.7], &[2.0, 2.0, 2.0, 8.0]);
    assert_eq!((found[0].role, found[1].role), (Role::A, Role::B));
    assert!((found[0].mean_nats.value - 0.5).abs() < 1e-7);
    assert!((found[0].median_nats.value - 0.15).abs() < 1e-7);
    // 0.2 in single precision is above 0.2.
    assert_eq!(found[0].share_below_0_2.value, 0.5);
    assert_eq!((found[1].mean_nats.value, found[1].median_nats.value), (3.5, 2.0));
    assert_eq!((found[0].grid_nats.len(), found[0].grid_nats[0]), (401, 0.0));
    assert!(close(found[0].grid_nats[400], 8.0));
}

#[test]
fn a_density_that_falls_from_zero_is_not_halved_there() {
    // The post's curves peak below 0.1 at 0.56 and 0.60.
    let values = exponential(100_000, 1.7);
    let found = analyse(&values, &values).remove(0);
    for (x, density) in found.grid_nats.iter().zip(&found.density_per_nat) {
        let exact = (-x / 1.7).exp() / 1.7;
        assert!((density - exact).abs() < 0.02, "at {x}: {density} where {exact} is due");
    }
    assert!(found.density_per_nat[0] > 0.56);
}

#[test]
fn the_density_of_one_value_is_a_gaussian() {
    let found = analyse(&[4.0025; 100], &[0.0; 100]).remove(0);
    let sigma = bandwidth_nats(100);
    for (x, density) in found.grid_nats.iter().zip(&found.density_per_nat) {
        let z = (x - 4.0025) / sigma;
        let exact = (-0.5 * z * z).exp() / (sigma * std::f64::consts::TAU.sqrt());
        assert!((density - exact).abs() < 0.01, "at {x}: {density} where {exact} is due");
    }
}

#[test]
fn the_grid_grows_to_the_largest_entropy_of_any_model_up_to_what_can_be() {
    let ends = |largest: f32| {
        let found = analyse(&[1.0, 2.0], &[largest, 1.0]);
        assert_eq!(found[0].grid_nats, found[1].grid_nats);
        (*found[0].grid_nats.last().unwrap(), integral(&found[0]), integral(&found[1]))
    };
    for (largest, end, share) in [(8.0, 8.0, 1.0), (10.81, 10.82, 1.0), (3e38, 23.0, 0.5)] {
        let (found, a, b) = ends(largest);
        assert!(close(found, end), "{found}");
        assert!(close(a, 1.0) && close(b, share), "{a} {b}");
    }
}

#[test]
fn bandwidths() {
    assert_eq!((bandwidth_nats(1), bandwidth_nats(u64::MAX)), (0.15, 0.03));
    assert!((bandwidth_nats(100_000) - 0.05).abs() < 1e-12);
}

/// The density as a sum over values and their mirror images, at the centres of their bins.
fn naive_density(values: &[f32], x: f64, end: f64, sigma: f64) -> f64 {
    let gaussian =
        |centre: f64| (-0.5 * ((x - centre) / sigma).powi(2)).exp() / (sigma * std::f64::consts::TAU.sqrt());
    let centres = values.iter().map(|&value| ((f64::from(value) / 0.005).floor() + 0.5) * 0.005);
    centres.map(|c| gaussian(c) + gaussian(-c) + gaussian(2.0 * end - c)).sum::<f64>() / values.len() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_integral_is_the_share_within_the_grid(
        a in prop::collection::vec(-0.001f32..12.0, 1..200),
        skew in 1i32..6,
    ) {
        // Raised to a power, values crowd towards zero.
        let b: Vec<f32> = a.iter().map(|value| 8.0 * (value.abs() / 12.0).powi(skew)).collect();
        for found in analyse(&a, &b) {
            prop_assert!((integral(&found) - 1.0).abs() < 1e-9);
            prop_assert!(found.density_per_nat.iter().all(|density| *density >= 0.0));
        }
    }

    #[test]
    fn agrees_with_a_sum_of_gaussians(values in prop::collection::vec(0f32..8.0, 1..60)) {
        let found = analyse(&values, &values).remove(0);
        let sigma = bandwidth_nats(values.len() as u64);
        for (&x, &density) in found.grid_nats.iter().zip(&found.density_per_nat) {
            let naive = naive_density(&values, x, 8.0, sigma);
            prop_assert!((density - naive).abs() < 0.02, "at {}: {} and {}", x, density, naive);
        }
    }
}
