//! The search against plain minimisation over logits that are kept.

use std::convert::Infallible;

use deltaloss_kernels::{Isa, TemperedRow, loss_row_tempered, reference};

use super::*;

/// Rows of logits with their targets.
struct Rows {
    logits: Vec<Vec<f32>>,
    targets: Vec<usize>,
}

/// A small seeded generator (SplitMix64, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Roughly normal.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

impl Rows {
    /// `rows` rows of `vocabulary` logits of their own spread; targets are drawn from their softmax, and then the logits
    /// multiplied by `sharpened`: the best temperature of many rows is about that.
    fn drawn(seed: u64, rows: usize, vocabulary: usize, spread: f64, sharpened: f64) -> Self {
        let mut random = Random(seed);
        let (mut all, mut targets) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            let spread = spread * (0.2 + 1.8 * random.uniform());
            let logits: Vec<f64> = (0..vocabulary).map(|_| spread * random.normal()).collect();
            let total: f64 = logits.iter().map(|l| l.exp()).sum();
            let mut left = random.uniform() * total;
            let drawn = logits.iter().position(|l| {
                left -= l.exp();
                left < 0.0
            });
            targets.push(drawn.unwrap_or(vocabulary - 1));
            all.push(logits.iter().map(|l| (l * sharpened) as f32).collect());
        }
        Rows { logits: all, targets }
    }

    /// What the engine sums, by the fast kernel.
    fn sums(&self, betas: &[f32]) -> Vec<LossSums> {
        let mut sums = vec![LossSums::default(); betas.len()];
        let mut tempered = vec![TemperedRow::default(); betas.len()];
        for (logits, &target) in self.logits.iter().zip(&self.targets) {
            loss_row_tempered(Isa::best(), logits, target, betas, &mut tempered);
            for (sum, row) in sums.iter_mut().zip(&tempered) {
                sum.loss_nats += row.loss_nats;
                sum.entropy_nats += row.entropy_nats;
            }
        }
        sums
    }

    /// The temperature with the least mean loss, by golden section over ln β on the kept logits, in plain f64.
    fn best_temperature(&self) -> f64 {
        let loss = |place: f64| -> f64 {
            let beta = place.exp();
            let rows = self.logits.iter().zip(&self.targets).map(|(logits, &target)| {
                let max = logits.iter().copied().fold(f32::MIN, f32::max);
                let at = |l: f32| beta * (f64::from(l) - f64::from(max));
                logits.iter().map(|&l| at(l).exp()).sum::<f64>().ln() - at(logits[target])
            });
            rows.sum()
        };
        let golden = (5f64.sqrt() - 1.0) / 2.0;
        let [mut low, mut high] = ends();
        while high - low > 1e-7 {
            let (left, right) = (high - golden * (high - low), low + golden * (high - low));
            if loss(left) < loss(right) { high = right } else { low = left }
        }
        (-f64::midpoint(low, high)).exp()
    }

    /// What the search finds, with the pilot made of the first `pilot` rows, and its passes over all rows.
    fn fit(&self, pilot: usize) -> (Fit, usize) {
        let first = Rows { logits: self.logits[..pilot].to_vec(), targets: self.targets[..pilot].to_vec() };
        let mut passes = 0;
        let found: Result<Fit, Infallible> = fit(|extent, betas| {
            passes += usize::from(extent == Extent::All);
            Ok(if extent == Extent::Pilot { first.sums(betas) } else { self.sums(betas) })
        });
        let Ok(found) = found;
        (found, passes)
    }
}

fn temperature(fit: Fit) -> f64 {
    match fit {
        Fit::Minimum { beta, at_edge: false } => 1.0 / f64::from(beta),
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_is_the_minimum_over_kept_logits_within_1e_4() {
    let mut seed = 0;
    for vocabulary in [2, 50, 1000] {
        for spread in [0.5, 2.0, 5.0] {
            for sharpened in [0.25, 0.9, 1.0, 1.3, 4.0] {
                seed += 1;
                let rows = Rows::drawn(seed, 200, vocabulary, spread, sharpened);
                let expected = rows.best_temperature();
                // Few tokens, nearly flat or nearly certain, may have no minimum within the range.
                if !(0.12..8.0).contains(&expected) {
                    continue;
                }
                let (found, passes) = rows.fit(60);
                let found = temperature(found);
                assert!(
                    (found - expected).abs() <= 1e-4,
                    "V {vocabulary}, spread {spread}, {sharpened}: {found}, not {expected}"
                );
                assert!(passes <= 4, "{passes} passes");
            }
        }
    }
}

/// Where one entry meets very many equal ones near β = 1 the loss turns as sharply as it can.
#[test]
fn the_sharpest_turn_a_vocabulary_allows_is_found() {
    let vocabulary = 50_257;
    for right in [3, 5, 9] {
        let gap = f64::from(vocabulary as u32).ln() as f32;
        let mut row = vec![0.0f32; vocabulary];
        row[0] = gap;
        let targets = (0..10).map(|i| if i < right { 0 } else { 1 + i }).collect();
        let rows = Rows { logits: vec![row; 10], targets };
        let (found, expected) = (temperature(rows.fit(10).0), rows.best_temperature());
        assert!((found - expected).abs() <= 1e-4, "{right} of 10 right: {found}, not {expected}");
    }
}

#[test]
fn a_pilot_that_misleads_costs_passes_only() {
    let mut rows = Rows::drawn(90, 20, 100, 2.0, 8.0);
    let rest = Rows::drawn(91, 300, 100, 2.0, 0.4);
    rows.logits.extend(rest.logits);
    rows.targets.extend(rest.targets);
    let (found, passes) = rows.fit(20);
    let expected = rows.best_temperature();
    assert!((temperature(found) - expected).abs() <= 1e-4, "{found:?}, not {expected}");
    assert!(passes > 1);
}

#[test]
fn the_usual_case_takes_one_pass() {
    let rows = Rows::drawn(5, 4000, 60, 2.0, 1.3);
    let (found, passes) = rows.fit(1500);
    // The slope's standard error over its own slope: about 1 % here.
    assert!((temperature(found) - 1.3).abs() < 0.05, "{found:?}");
    assert_eq!(passes, 1);
}

#[test]
fn where_the_loss_falls_to_the_end_of_the_range_it_says_so() {
    let mut rows = Rows::drawn(7, 50, 20, 2.0, 1.0);
    // Always right: the sharper the better.
    for (logits, target) in rows.logits.iter().zip(&mut rows.targets) {
        *target = reference::loss_row(logits, 0).top as usize;
    }
    assert_eq!(rows.fit(50).0, Fit::Minimum { beta: 10f64.exp().ln() as f32, at_edge: true });
    // Always the least likely: the flatter the better.
    for (logits, target) in rows.logits.iter().zip(&mut rows.targets) {
        let least = logits.iter().copied().fold(f32::MAX, f32::min);
        *target = logits.iter().position(|&l| l == least).unwrap_or(0);
    }
    assert_eq!(rows.fit(50).0, Fit::Minimum { beta: 0.1, at_edge: true });
}

#[test]
fn equal_logits_have_no_temperature() {
    let rows = Rows { logits: vec![vec![3.5; 40]; 8], targets: (0..8).collect() };
    assert_eq!(rows.fit(8).0, Fit::Flat);
    let one = Rows { logits: vec![vec![-2.0]; 8], targets: vec![0; 8] };
    assert_eq!(one.fit(4).0, Fit::Flat);
}
