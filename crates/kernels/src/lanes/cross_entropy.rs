//! Softmax cross-entropy of all lanes at once and its gradient in the logits, in place: what training needs of a tile of logits.

use super::{load, rows_of, store};
use crate::exp::exp_nonpositive_lanes;
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

/// Entries summed in f32 before the sums go to f64.
const BLOCK: usize = 16;

/// The largest entry of each of `A` vectors of lanes.
#[inline(always)]
fn largest<V: Vector, const A: usize>(logits: &[f32], lanes: usize, first: usize) -> [V; A] {
    let mut max = [V::splat(f32::NEG_INFINITY); A];
    for row in logits.chunks_exact(lanes) {
        let row: [V; A] = load(row, first);
        for v in 0..A {
            max[v] = max[v].larger(row[v]);
        }
    }
    max
}

/// Turns logits into exp(logit − max), and gives each lane's sum of them.
#[inline(always)]
fn exponentials<V: Vector, const A: usize>(
    logits: &mut [f32],
    lanes: usize,
    first: usize,
    max: [V; A],
) -> [[f64; LANES]; A] {
    let mut totals = [[0.0f64; LANES]; A];
    for block in logits.chunks_mut(BLOCK * lanes) {
        let mut sums = [V::splat(0.0); A];
        for row in block.chunks_exact_mut(lanes) {
            let mut row_lanes: [V; A] = load(row, first);
            for v in 0..A {
                row_lanes[v] = exp_nonpositive_lanes(row_lanes[v].subtract(max[v]));
                sums[v] = sums[v].add(row_lanes[v]);
            }
            store(row_lanes, row, first);
        }
        for v in 0..A {
            let mut own = [0.0; LANES];
            sums[v].store(&mut own);
            for lane in 0..LANES {
                totals[v][lane] += f64::from(own[lane]);
            }
        }
    }
    totals
}

/// One part of the lanes; gives the sum of its tokens' losses.
#[inline(always)]
fn part<V: Vector, const A: usize>(
    logits: &mut [f32],
    targets: &[u32],
    lanes: usize,
    scale: f32,
    first: usize,
) -> f64 {
    let max: [V; A] = largest(logits, lanes, first);
    let mut centred = [0.0f64; LANES * 4];
    let tokens = targets.len().saturating_sub(first).min(A * LANES);
    for lane in 0..tokens {
        let mut own = [0.0; LANES];
        max[lane / LANES].store(&mut own);
        let logit = logits[targets[first + lane] as usize * lanes + first + lane];
        centred[lane] = f64::from(logit) - f64::from(own[lane % LANES]);
    }
    let totals = exponentials::<V, A>(logits, lanes, first, max);
    let (mut loss, mut factors) = (0.0f64, [V::splat(0.0); A]);
    for v in 0..A {
        let mut own = [0.0f32; LANES];
        for lane in 0..LANES {
            if v * LANES + lane < tokens {
                loss += totals[v][lane].ln() - centred[v * LANES + lane];
                own[lane] = (f64::from(scale) / totals[v][lane]) as f32;
            }
        }
        factors[v] = V::load(&own);
    }
    for row in logits.chunks_exact_mut(lanes) {
        let mut own: [V; A] = load(row, first);
        for v in 0..A {
            own[v] = own[v].multiply(factors[v]);
        }
        store(own, row, first);
    }
    for lane in 0..tokens {
        logits[targets[first + lane] as usize * lanes + first + lane] -= scale;
    }
    loss
}

#[inline(always)]
fn lanes_cross_entropy_gradient_body<V: Vector>(
    logits: &mut [f32],
    targets: &[u32],
    lanes: usize,
    scale: f32,
) -> f64 {
    let vocabulary = rows_of("lanes_cross_entropy_gradient", logits, lanes);
    assert!(targets.len() <= lanes, "lanes_cross_entropy_gradient: {} targets", targets.len());
    for &target in targets {
        assert!(
            (target as usize) < vocabulary,
            "lanes_cross_entropy_gradient: target {target} of {vocabulary}"
        );
    }
    let (mut loss, mut first) = (0.0, 0);
    while first < lanes {
        let left = (lanes - first) / LANES;
        if V::ACROSS >= 4 && left >= 4 {
            loss += part::<V, 4>(logits, targets, lanes, scale, first);
            first += 4 * LANES;
        } else {
            loss += part::<V, 1>(logits, targets, lanes, scale, first);
            first += LANES;
        }
    }
    loss
}

dispatch! {
    /// Sum over the tokens of the loss −ln p(target), nats, in f64, p the softmax of a lane's logits; turns `logits` `[V][lanes]` into `scale`
    /// times its gradient, scale·(softmax − one at the target), zero in the lanes past the last target. Each loss within 1e-6 nats (2e-6
    /// relative above 1 nat), gradients within 2e-6·scale. Not finite where a logit is NaN or +∞.
    pub fn lanes_cross_entropy_gradient(logits: &mut [f32], targets: &[u32], lanes: usize, scale: f32) -> f64
        = vector lanes_cross_entropy_gradient_body
}

#[cfg(test)]
mod tests {
    use super::super::testing::{rows, tiles};
    use super::*;
    use crate::testing::Random;
    use crate::{Isa, reference};

    #[test]
    fn equals_the_reference_from_flat_to_certain() {
        let mut random = Random::new(33);
        for (tokens, vocabulary) in [(2, 1), (2, 2), (20, 15), (64, 16), (3, 17), (33, 160), (64, 2048)] {
            for spread in [0.0, 1.0, 5.0, 40.0] {
                let logits: Vec<f32> =
                    random.normals(tokens * vocabulary).iter().map(|v| v * spread).collect();
                let targets: Vec<u32> =
                    (0..tokens).map(|_| (random.uniform() * vocabulary as f32) as u32).collect();
                let (mut expected_loss, mut expected) = (0.0, Vec::new());
                for (row, &target) in logits.chunks(vocabulary).zip(&targets) {
                    let (loss, d) = reference::cross_entropy_gradient(row, target as usize, 0.25);
                    expected_loss += loss;
                    expected.extend(d);
                }
                let (lanes, tile) = tiles(&logits, vocabulary, 0.0).remove(0);
                for isa in Isa::available() {
                    let mut d = tile.clone();
                    let loss = lanes_cross_entropy_gradient(isa, &mut d, &targets, lanes, 0.25);
                    let bound = 2e-6 * f64::max(1.0, expected_loss);
                    assert!((loss - expected_loss).abs() <= bound, "{isa}: {loss}, not {expected_loss}");
                    for (d, e) in rows(&d, lanes, tokens).iter().zip(&expected) {
                        assert!((d - e).abs() <= 5e-7, "{isa}: {d} not {e}");
                    }
                    for row in d.chunks_exact(lanes) {
                        assert!(row[tokens..].iter().all(|&d| d == 0.0), "{isa}: past the last token");
                    }
                }
            }
        }
    }

    #[test]
    fn a_poisoned_logit_is_not_hidden() {
        for isa in Isa::available() {
            for (bad, at) in [(f32::NAN, 3), (f32::NAN, 38), (f32::INFINITY, 3)] {
                let mut logits = vec![0.0; 40 * 16];
                logits[at * 16 + 5] = bad;
                let loss = lanes_cross_entropy_gradient(isa, &mut logits, &[0; 8], 16, 1.0);
                assert!(!loss.is_finite(), "{isa}: {bad} at {at}");
            }
        }
    }
}
