//! Softmax, loss, entropy, rank and likeliest entry of a row of logits, at temperature 1 and others.

use crate::exp::exp_nonpositive;
use crate::isa::dispatch;

/// Running sums in f64, so that a vocabulary of any size loses nothing.
const LANES: usize = 16;

/// What one row of logits says about its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossRow {
    /// −ln of the softmax at the target, nats.
    pub loss_nats: f64,
    /// −Σ p ln p over the row, nats.
    pub entropy_nats: f64,
    /// Entries strictly larger than the target's.
    pub rank: u32,
    /// Index of the largest entry, the lowest of equal ones.
    pub top: u32,
    /// Its probability.
    pub top_probability: f64,
}

impl LossRow {
    /// Whether loss and entropy are finite: they are not where a logit was NaN or +∞, or the target's −∞.
    pub fn is_finite(&self) -> bool {
        self.loss_nats.is_finite() && self.entropy_nats.is_finite()
    }
}

/// What one row of logits, divided by a temperature, says about its target.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TemperedRow {
    /// −ln of the softmax at the target, nats.
    pub loss_nats: f64,
    /// −Σ p ln p over the row, nats.
    pub entropy_nats: f64,
    /// Probability of the largest entry.
    pub top_probability: f64,
}

impl TemperedRow {
    /// Whether loss and entropy are finite, as [`LossRow::is_finite`].
    pub fn is_finite(&self) -> bool {
        self.loss_nats.is_finite() && self.entropy_nats.is_finite()
    }
}

#[inline(always)]
fn loss_row_body<const FMA: bool>(logits: &[f32], target: usize) -> LossRow {
    loss_row_tempered_body::<FMA>(logits, target, &[], &mut [])
}

#[inline(always)]
fn loss_row_tempered_body<const FMA: bool>(
    logits: &[f32],
    target: usize,
    betas: &[f32],
    tempered: &mut [TemperedRow],
) -> LossRow {
    assert!(target < logits.len(), "loss_row: target {target} of {} logits", logits.len());
    assert_eq!(betas.len(), tempered.len(), "loss_row_tempered: a row for each inverse temperature");
    let reference = logits[target];
    let max = row_max(logits);
    let plain = tempered_row::<FMA>(logits, reference, max, 1.0);
    let mut rank = 0u32;
    for &logit in logits {
        rank += u32::from(logit > reference);
    }
    for (row, &beta) in tempered.iter_mut().zip(betas) {
        *row = tempered_row::<FMA>(logits, reference, max, beta);
    }
    LossRow {
        loss_nats: plain.loss_nats,
        entropy_nats: plain.entropy_nats,
        rank,
        top: first_place(logits, max) as u32,
        top_probability: plain.top_probability,
    }
}

/// The row's softmax at one inverse temperature. At 1 the product with it is exact, so that the plain row and a
/// tempered one are the same code and the same bits.
#[inline(always)]
fn tempered_row<const FMA: bool>(logits: &[f32], reference: f32, max: f32, beta: f32) -> TemperedRow {
    let (mut totals, mut weighted) = ([0.0f64; LANES], [0.0f64; LANES]);
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        accumulate::<FMA>(chunk, max, beta, &mut totals, &mut weighted);
    }
    // What is beyond the last logit adds nothing.
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..rest.len()].copy_from_slice(rest);
    accumulate::<FMA>(&last, max, beta, &mut totals, &mut weighted);
    let total: f64 = totals.iter().sum();
    let weighted: f64 = weighted.iter().sum();
    let log_total = total.ln();
    let entropy = log_total - weighted / total;
    TemperedRow {
        loss_nats: log_total - f64::from(beta) * (f64::from(reference) - f64::from(max)),
        // Rounding can take a certain prediction below zero; NaN stays.
        entropy_nats: if entropy < 0.0 { 0.0 } else { entropy },
        top_probability: 1.0 / total,
    }
}

/// The largest entry; NaN where there is one.
#[inline(always)]
fn row_max(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut poisoned = [0u32; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            poisoned[i] |= u32::from(chunk[i].is_nan());
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    for (i, &logit) in rest.iter().enumerate() {
        poisoned[i] |= u32::from(logit.is_nan());
        lanes[i] = if logit > lanes[i] { logit } else { lanes[i] };
    }
    if poisoned != [0; LANES] { f32::NAN } else { lanes.iter().copied().fold(f32::NEG_INFINITY, f32::max) }
}

/// Where the first entry lies that equals `value`; 0 where none does.
#[inline(always)]
fn first_place(logits: &[f32], value: f32) -> usize {
    // A chunk at a time without leaving it early, which keeps it in vectors.
    let is_in = |chunk: &[f32]| chunk.iter().fold(false, |found, &logit| found | (logit == value));
    let chunk = logits.chunks(4 * LANES).position(is_in).unwrap_or(0) * 4 * LANES;
    let within = logits[chunk..].iter().position(|&logit| logit == value);
    within.map_or(0, |place| chunk + place)
}

/// Adds exp(x) and exp(x)·x of each entry to its lane, x = β·(l − max).
#[inline(always)]
fn accumulate<const FMA: bool>(
    chunk: &[f32; LANES],
    max: f32,
    beta: f32,
    totals: &mut [f64; LANES],
    weighted: &mut [f64; LANES],
) {
    for i in 0..LANES {
        let x = (chunk[i] - max) * beta;
        let e = exp_nonpositive::<FMA>(x);
        totals[i] += f64::from(e);
        // 0·(−∞) would be NaN; an entry of probability zero adds nothing.
        let term = if x == f32::NEG_INFINITY { 0.0 } else { f64::from(e) * f64::from(x) };
        weighted[i] += term;
    }
}

dispatch! {
    /// Loss, entropy, rank and likeliest entry of a row of logits `[V]`. Loss and entropy within 1e-6 nats of the
    /// exact values for the given logits (2e-6 relative above 1 nat); rank and likeliest entry exact. Not finite
    /// where a logit is NaN or +∞ (see [`LossRow::is_finite`]); −∞ is a probability of zero.
    pub fn loss_row(logits: &[f32], target: usize) -> LossRow = loss_row_body
}

dispatch! {
    /// [`loss_row`], and from the same logits what softmax(β·logits) gives the target for each inverse temperature
    /// β = 1/T > 0 in `betas` `[K]`, into `tempered` `[K]`: one more exponential a logit for each. Loss and entropy within
    /// the bounds of [`loss_row`], for β as given; at β = 1 equal to it bit for bit.
    pub fn loss_row_tempered(logits: &[f32], target: usize, betas: &[f32], tempered: &mut [TemperedRow]) -> LossRow
        = loss_row_tempered_body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Random;
    use crate::{Isa, reference};

    const BETAS: [f32; 8] = [0.1, 0.37, 0.9, 1.0, 1.1, 1.7, 4.3, 10.0];

    fn tempered(isa: Isa, logits: &[f32], target: usize) -> (LossRow, [TemperedRow; BETAS.len()]) {
        let mut rows = [TemperedRow::default(); BETAS.len()];
        let plain = loss_row_tempered(isa, logits, target, &BETAS, &mut rows);
        (plain, rows)
    }

    #[track_caller]
    fn check(logits: &[f32], target: usize) {
        let expected = reference::loss_row(logits, target);
        for isa in Isa::available() {
            let row = loss_row(isa, logits, target);
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * f64::max(1.0, 2.0 * b.abs());
            let (plain, rows) = tempered(isa, logits, target);
            assert_eq!(plain, row, "{isa}: the plain row does not depend on what else is asked for");
            for (row, beta) in rows.iter().zip(BETAS) {
                let expected = reference::tempered_row(logits, target, beta);
                assert!(close(row.loss_nats, expected.loss_nats), "{isa} {beta}: {row:?}, not {expected:?}");
                assert!(
                    close(row.entropy_nats, expected.entropy_nats),
                    "{isa} {beta}: {row:?}, {expected:?}"
                );
                assert!(
                    close(row.top_probability, expected.top_probability),
                    "{isa} {beta}: {row:?}, {expected:?}"
                );
            }
            let one = rows[3];
            assert_eq!(
                (one.loss_nats, one.entropy_nats, one.top_probability),
                (row.loss_nats, row.entropy_nats, row.top_probability),
                "{isa}: T = 1 is no temperature"
            );
            assert!(close(row.loss_nats, expected.loss_nats), "{isa}: {row:?}, not {expected:?}");
            assert!(close(row.entropy_nats, expected.entropy_nats), "{isa}: {row:?}, not {expected:?}");
            assert!(close(row.top_probability, expected.top_probability), "{isa}: {row:?}, not {expected:?}");
            assert_eq!((row.rank, row.top), (expected.rank, expected.top), "{isa}");
        }
    }

    #[test]
    fn equals_the_reference_from_flat_to_certain() {
        let mut random = Random::new(7);
        for vocabulary in [1, 2, 15, 16, 17, 160, 2048, 50_257] {
            for scale in [0.0, 0.1, 1.0, 5.0, 40.0] {
                let logits: Vec<f32> = random.normals(vocabulary).iter().map(|v| v * scale).collect();
                check(&logits, (random.uniform() * vocabulary as f32) as usize);
            }
        }
    }

    #[test]
    fn infinities_are_zero_probability_or_not_finite() {
        check(&[0.0, f32::NEG_INFINITY, 1.0], 0);
        for isa in Isa::available() {
            let mut long = vec![0.0; 40];
            for (bad, at) in [(f32::NAN, 3), (f32::NAN, 38), (f32::INFINITY, 3), (f32::INFINITY, 38)] {
                long[at] = bad;
                assert!(!loss_row(isa, &long, 0).is_finite(), "{isa}: {bad} at {at}");
                let (_, rows) = tempered(isa, &long, 0);
                assert!(rows.iter().all(|row| !row.is_finite()), "{isa}: {bad} at {at}: {rows:?}");
                long[at] = 0.0;
            }
            assert!(!loss_row(isa, &[0.0, f32::NEG_INFINITY], 1).is_finite());
            assert!(!loss_row(isa, &[f32::NEG_INFINITY; 3], 1).is_finite());
        }
    }

    proptest! {
        #[test]
        fn shifting_the_logits_changes_nothing(logits in prop::collection::vec(-20f32..20.0, 1..100), shift in -8i8..8) {
            // Shifts by a power of two of numbers on a coarse grid are exact in f32.
            let grid: Vec<f32> = logits.iter().map(|l| (l * 64.0).round() / 64.0).collect();
            let shifted: Vec<f32> = grid.iter().map(|l| l + f32::from(shift)).collect();
            for isa in Isa::available() {
                let (a, b) = (loss_row(isa, &grid, 0), loss_row(isa, &shifted, 0));
                prop_assert!((a.loss_nats - b.loss_nats).abs() < 1e-12);
                prop_assert_eq!(a.entropy_nats, b.entropy_nats);
                prop_assert_eq!(a.rank, b.rank);
            }
        }
    }
}
