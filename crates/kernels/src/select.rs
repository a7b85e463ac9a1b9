//! AbsTopK of one row: the search for what it keeps.

pub(crate) const MAGNITUDE: u32 = 0x7fff_ffff;
/// Guesses between two counts before the search halves what is left.
const GUESSES: u32 = 8;

/// What a row keeps: every magnitude of at least `from`, and of those equal to `tied`, the next below, the first `spare`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) from: u32,
    pub(crate) tied: u32,
    pub(crate) spare: u32,
}

/// The cut that keeps `k` entries, 0 < k < the row's length. `first_guess` times the row's mean magnitude is where the search
/// begins: see [`first_guess`].
///
/// The bits of a non-negative f32 order as the numbers do. The search narrows down between a threshold that more
/// than k entries reach and one that fewer do, by linear interpolation of the counts and then by halving, and ends as soon as
/// exactly k reach one, or between neighbours: then entries are tied. Exact.
#[inline(always)]
pub(crate) fn cut(row: &[f32], k: u32, first_guess: f32) -> Cut {
    let mut guess = (sum_of_magnitudes(row) / row.len() as f32 * first_guess).to_bits();
    let (mut low, mut reach_low) = (0u32, row.len() as u32);
    let (mut high, mut reach_high) = (MAGNITUDE + 1, 0u32);
    let mut guesses = 0;
    while high - low > 1 {
        if guesses > GUESSES || !(low < guess && guess < high) {
            guess = low + (high - low) / 2;
        }
        guesses += 1;
        let reached = count(row, |magnitude| magnitude >= guess);
        if reached == k {
            return Cut { from: guess, tied: 0, spare: 0 };
        }
        if reached > k {
            (low, reach_low) = (guess, reached);
        } else {
            (high, reach_high) = (guess, reached);
        }
        let (below, above) = (f32::from_bits(low), f32::from_bits(high));
        // Nothing is known above yet where this is not finite: then half as much again.
        let between =
            below + (above - below) * ((reach_low - k) as f32 + 0.5) / (reach_low - reach_high) as f32;
        guess = if high > MAGNITUDE { below * 1.5 } else { between }.to_bits();
    }
    Cut { from: high, tied: low, spare: k - reach_high }
}

/// Roughly: in lanes, so that it takes few steps.
#[inline(always)]
fn sum_of_magnitudes(row: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for chunk in row.chunks_exact(16) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value.abs();
        }
    }
    let rest = row.chunks_exact(16).remainder();
    lanes.iter().chain(rest).map(|value| value.abs()).sum()
}

/// The magnitude that `k` of `width` normal numbers exceed, over their mean magnitude (Hastings 1955, sheet 67).
pub(crate) fn first_guess(width: usize, k: usize) -> f32 {
    let t = (-2.0 * (k as f64 / width as f64 / 2.0).ln()).sqrt();
    let quantile = t - (2.30753 + 0.27061 * t) / (1.0 + 0.99229 * t + 0.04481 * t * t);
    (quantile * (std::f64::consts::PI / 2.0).sqrt()).max(0.0) as f32
}

#[inline(always)]
pub(crate) fn count(row: &[f32], holds: impl Fn(u32) -> bool) -> u32 {
    row.iter().map(|value| u32::from(holds(value.to_bits() & MAGNITUDE))).sum()
}
