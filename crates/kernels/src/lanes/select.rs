//! AbsTopK of all lanes at once: a search for each lane's threshold, where one pass over the rows counts for sixteen lanes.
//!
//! 1. The upper 16 bits of every magnitude are written out, sixteen lanes a row: keys that order as the magnitudes do, and of which
//!    twice as many fit into a register and the first-level cache.
//! 2. Each lane's threshold key is searched for by counting how many keys reach a guess, from where the last lanes' thresholds were.
//! 3. Where more entries share the threshold key than are to be kept, the search goes on in their lower bits, in the few rows that hold
//!    one.

use super::keys::{Keys, count_keys};
use super::rows_of;
use crate::isa::dispatch;
use crate::select::MAGNITUDE;
use crate::vector::LANES;

/// Keys lie below this.
const END: u32 = 1 << 15;
/// Guesses from counts before the search halves what is left.
const GUESSES: u32 = 8;

/// Where the search begins: what the last thresholds were. It makes the search short; what is kept does not depend on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SelectGuess(f32);

/// Room for [`lanes_abs_top_k`], kept between calls.
#[derive(Clone, Debug, Default)]
pub struct SelectScratch {
    /// `[lanes / 16][width][16]`.
    keys: Vec<u16>,
    /// Rows in which some lane's key is its threshold.
    rows: Vec<u32>,
    /// Their magnitudes `[rows][16]`, zero where the key is another.
    magnitudes: Vec<[u32; LANES]>,
}

/// Sixteen searches, lane by lane, for the largest bound that at least `due` numbers reach.
struct Search {
    due: [u32; LANES],
    guess: [u32; LANES],
    /// At least `due` reach `low`, fewer reach `high`.
    low: [u32; LANES],
    reach_low: [u32; LANES],
    high: [u32; LANES],
    reach_high: [u32; LANES],
    /// Exactly `due` reach the guess.
    found: [bool; LANES],
    rounds: u32,
}

/// The integer nearest to a number up to 2²²; what is less is 0. A conversion that the compiler keeps in vectors, unlike `as`.
#[inline(always)]
fn rounded(number: f32) -> u32 {
    /// Above it f32 are integers, and their bits count them.
    const INTEGERS: f32 = (1 << 23) as f32;
    (number.clamp(0.0, 4_194_304.0) + INTEGERS).to_bits() - INTEGERS.to_bits()
}

impl Search {
    fn is_over(&self) -> bool {
        (0..LANES)
            .fold(true, |over, lane| over & (self.found[lane] | (self.high[lane] - self.low[lane] == 1)))
    }

    /// Narrows every search by how many numbers reach its guess, and guesses again: by the guess's count alone while nothing is known
    /// on its other side, between the two by their counts after that, in the middle if that takes long.
    #[inline(always)]
    fn narrow(&mut self, reached: [u32; LANES]) {
        self.rounds += 1;
        let halves = self.rounds > GUESSES;
        for lane in 0..LANES {
            let (found, guess, reached, due) =
                (self.found[lane], self.guess[lane], reached[lane], self.due[lane]);
            let (enough, few) = (!found & (reached >= due), !found & (reached < due));
            let low = if enough { guess } else { self.low[lane] };
            let reach_low = if enough { reached } else { self.reach_low[lane] };
            let high = if few { guess } else { self.high[lane] };
            let reach_high = if few { reached } else { self.reach_high[lane] };
            let next = if (low == 0) | (high == END) {
                // Where a quarter is kept of normal numbers, their count falls with about the square of the bound. A little further,
                // so that the other side becomes known.
                let bound = f32::from_bits(guess << 16) * (reached as f32 / due as f32).sqrt();
                let newton = bound.to_bits() >> 16;
                let further = 1 + newton.abs_diff(guess) / 4;
                if reached > due { newton + further } else { newton.saturating_sub(further) }
            } else {
                // Between them by their counts, and beyond by what such a guess is off, so that the far side comes near.
                let per_step = (reach_low - reach_high) as f32 / (high - low) as f32;
                let steps = ((reach_low - due) as f32 + 0.5) / per_step;
                let off = ((reach_low - due).min(due - reach_high) as f32 + 1.0).sqrt() * 0.7 / per_step;
                let beyond = if 2.0 * steps < (high - low) as f32 { off } else { -off };
                (low + rounded(steps + beyond)).min(high - 1).max(low + 1)
            };
            let within = !halves & (low < next) & (next < high);
            let next = if within { next } else { low + (high - low) / 2 };
            let found = found | (reached == due);
            self.guess[lane] = if found { guess } else { next };
            (self.low[lane], self.reach_low[lane]) = (low, reach_low);
            (self.high[lane], self.reach_high[lane]) = (high, reach_high);
            self.found[lane] = found;
        }
    }
}

/// The keys of all lanes.
#[inline(always)]
fn write_keys<V: Keys>(x: &[f32], lanes: usize, keys: &mut [u16]) {
    let width = x.len() / lanes;
    for (row, x) in x.chunks_exact(lanes).enumerate() {
        for group in 0..lanes / LANES {
            V::load(&x[group * LANES..]).store_keys(&mut keys[(group * width + row) * LANES..]);
        }
    }
}

/// Each lane's search for its threshold key.
#[inline(always)]
fn search_keys<V: Keys>(keys: &[u16], k: usize, guess: f32) -> Search {
    let width = (keys.len() / LANES) as u32;
    let start = (guess.to_bits() >> 16).clamp(1, END - 1);
    let mut search = Search {
        due: [k as u32; LANES],
        guess: [start; LANES],
        low: [0; LANES],
        reach_low: [width; LANES],
        high: [END; LANES],
        reach_high: [0; LANES],
        found: [false; LANES],
        rounds: 0,
    };
    while !search.is_over() {
        let reached = count_keys::<V>(keys, &search.guess);
        search.narrow(reached);
    }
    search
}

/// No key: what a lane that is decided seeks.
const NONE: u16 = u16::MAX;

/// Each lane's threshold: its entries whose magnitude reaches it are kept. Where ties or zeros decide, they are settled here, and the
/// lane's threshold is 0.
#[inline(always)]
fn thresholds<V: Keys>(
    x: &mut [f32],
    lanes: usize,
    first: usize,
    keys: &[u16],
    search: &Search,
    rows: &mut Vec<u32>,
    magnitudes: &mut Vec<[u32; LANES]>,
) -> [u32; LANES] {
    let (mut from, mut sought) = ([0; LANES], [NONE; LANES]);
    for lane in 0..LANES {
        if search.found[lane] {
            from[lane] = search.guess[lane] << 16;
        } else if search.low[lane] == 0 {
            // Most entries are zero or nearly so, as after a relu.
            keep_in_lane(x, lanes, first + lane, search.due[lane] as usize);
        } else {
            sought[lane] = search.low[lane] as u16;
        }
    }
    if sought == [NONE; LANES] {
        return from;
    }
    rows.resize(keys.len() / LANES + 1, 0);
    let count = V::rows_with(keys, &sought, rows);
    magnitudes.resize(count, [0; LANES]);
    let sought_bits = sought.map(u32::from);
    for (&row, to) in rows[..count].iter().zip(&mut *magnitudes) {
        let from = &x[row as usize * lanes + first..][..LANES];
        for lane in 0..LANES {
            let magnitude = from[lane].to_bits() & MAGNITUDE;
            to[lane] = if magnitude >> 16 == sought_bits[lane] { magnitude } else { 0 };
        }
    }
    let lower = search_lower_bits(search, &sought, magnitudes);
    for lane in (0..LANES).filter(|&lane| sought[lane] != NONE) {
        if lower.found[lane] {
            from[lane] = lower.guess[lane];
        } else {
            keep_ties(x, lanes, first + lane, lower.high[lane], lower.due[lane] - lower.reach_high[lane]);
        }
    }
    from
}

/// The searches of lanes that seek a key, among the magnitudes that have it.
#[inline(always)]
fn search_lower_bits(search: &Search, sought: &[u16; LANES], magnitudes: &[[u32; LANES]]) -> Search {
    let mut lower = Search {
        due: [1; LANES],
        guess: [1; LANES],
        low: [0; LANES],
        reach_low: [1; LANES],
        high: [2; LANES],
        reach_high: [0; LANES],
        found: [true; LANES],
        rounds: 0,
    };
    for (lane, _) in sought.iter().enumerate().filter(|(_, key)| **key != NONE) {
        lower.due[lane] = search.due[lane] - search.reach_high[lane];
        lower.low[lane] = search.low[lane] << 16;
        lower.reach_low[lane] = search.reach_low[lane] - search.reach_high[lane];
        lower.high[lane] = search.high[lane] << 16;
        lower.guess[lane] = lower.low[lane] + (1 << 15);
        lower.found[lane] = false;
    }
    while !lower.is_over() {
        let mut reached = [0; LANES];
        for magnitudes in magnitudes {
            for lane in 0..LANES {
                reached[lane] += u32::from(magnitudes[lane] >= lower.guess[lane]);
            }
        }
        lower.narrow(reached);
    }
    lower
}

/// In one lane keeps what reaches `from`, and of the entries just below it, which are tied, the first `spare`.
fn keep_ties(x: &mut [f32], lanes: usize, lane: usize, from: u32, mut spare: u32) {
    for value in x[lane..].iter_mut().step_by(lanes) {
        let magnitude = value.to_bits() & MAGNITUDE;
        if magnitude + 1 == from && spare > 0 {
            spare -= 1;
        } else if magnitude < from {
            *value = 0.0;
        }
    }
}

/// Keeps `k` entries of one lane, the plain way; where no more are not zero there is nothing to do.
fn keep_in_lane(x: &mut [f32], lanes: usize, lane: usize, k: usize) {
    let magnitude = |row: usize| x[row * lanes + lane].to_bits() & MAGNITUDE;
    let mut rows: Vec<usize> = (0..x.len() / lanes).filter(|&row| magnitude(row) > 0).collect();
    rows.sort_by_key(|&row| std::cmp::Reverse(magnitude(row)));
    for row in rows.into_iter().skip(k) {
        x[row * lanes + lane] = 0.0;
    }
}

#[inline(always)]
fn lanes_abs_top_k_body<V: Keys>(
    x: &mut [f32],
    lanes: usize,
    k: usize,
    guess: &mut SelectGuess,
    scratch: &mut SelectScratch,
) {
    let width = rows_of("lanes_abs_top_k", x, lanes);
    if k >= width {
        return;
    }
    if k == 0 {
        x.fill(0.0);
        return;
    }
    scratch.keys.resize(x.len(), 0);
    write_keys::<V>(x, lanes, &mut scratch.keys);
    // Bits, in the form in which vectors load them.
    let mut from = [0.0; super::TILE];
    for (group, keys) in scratch.keys.chunks_exact(width * LANES).enumerate() {
        let search = search_keys::<V>(keys, k, guess.0);
        let last: f32 = (0..LANES).map(|lane| f32::from_bits(search.guess[lane] << 16)).sum();
        guess.0 = last / LANES as f32;
        let (rows, magnitudes) = (&mut scratch.rows, &mut scratch.magnitudes);
        let of_group = thresholds::<V>(x, lanes, group * LANES, keys, &search, rows, magnitudes);
        from[group * LANES..][..LANES].copy_from_slice(&of_group.map(f32::from_bits));
    }
    for row in x.chunks_exact_mut(lanes) {
        for (part, from) in row.chunks_exact_mut(LANES).zip(from.chunks_exact(LANES)) {
            V::load(part).keep_reaching(V::load(from)).store(part);
        }
    }
}

dispatch! {
    /// AbsTopK of every lane of `x` `[width][lanes]`: keeps its `k` entries of largest magnitude (of equal ones those
    /// of lower index) and sets the others to zero. Exact; where no more than k entries are not zero, zeros may change their sign.
    /// NaN counts as larger than infinity. `guess` belongs to this place of a model.
    pub fn lanes_abs_top_k(
        x: &mut [f32],
        lanes: usize,
        k: usize,
        guess: &mut SelectGuess,
        scratch: &mut SelectScratch,
    ) = vector lanes_abs_top_k_body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{rows, tiles};
    use super::*;
    use crate::testing::Random;
    use crate::{Isa, reference};

    /// Tokens' rows, each keeping `k` of `width`.
    #[track_caller]
    fn check(x: &[f32], width: usize, k: usize, guess: f32) {
        let mut expected = x.to_vec();
        expected.chunks_exact_mut(width).for_each(|row| reference::abs_top_k(row, k));
        for isa in Isa::available() {
            let (lanes, mut tile) = tiles(x, width, 1.0).remove(0);
            let scratch = &mut SelectScratch::default();
            lanes_abs_top_k(isa, &mut tile, lanes, k, &mut SelectGuess(guess), scratch);
            let kept = rows(&tile, lanes, x.len() / width);
            for (token, (kept, expected)) in kept.chunks(width).zip(expected.chunks(width)).enumerate() {
                // A zero's sign apart.
                let bits = |row: &[f32]| row.iter().map(|v| (v + 0.0).to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(kept), bits(expected), "{isa}: token {token} keeping {k} of {width}");
            }
        }
    }

    #[test]
    fn keeps_the_lower_index_of_equal_magnitudes() {
        check(&[1.0, -1.0, 1.0, -1.0, 0.5], 5, 2, 0.0);
        check(&[0.0, -0.0, 0.0, 2.0], 4, 2, 0.0);
        check(&[3.0; 28], 7, 3, 0.0);
    }

    #[test]
    fn handles_the_ends_and_odd_values() {
        for k in [0, 1, 2, 5] {
            check(&[1.0, 2.0, -3.0, 1e-45], 2, k, 0.0);
        }
        check(&[f32::INFINITY, f32::NEG_INFINITY, 1.0, f32::MIN_POSITIVE, 1e-45], 5, 3, 0.0);
        check(&[f32::NAN, 1.0, 2.0, f32::INFINITY], 4, 2, 0.0);
    }

    #[test]
    fn no_guess_changes_what_is_kept() {
        let mut random = Random::new(44);
        let x = random.normals(50 * 200);
        for guess in [0.0, 1.0, 1.15, -3.0, 1e30, f32::NAN, f32::INFINITY] {
            check(&x, 200, 50, guess);
        }
    }

    #[test]
    fn tells_apart_what_differs_in_the_last_bits_alone() {
        let mut random = Random::new(50);
        let near: Vec<f32> = (0..40 * 300)
            .map(|_| f32::from_bits(1.5f32.to_bits() + (random.uniform() * 500.0) as u32))
            .collect();
        for k in [1, 17, 150, 299] {
            check(&near, 300, k, 0.0);
        }
        let tiny: Vec<f32> = (0..30 * 100).map(|i| f32::from_bits(i % 97)).collect();
        check(&tiny, 100, 40, 0.0);
    }

    #[test]
    fn what_a_relu_leaves_is_kept_whole() {
        let mut random = Random::new(45);
        let x: Vec<f32> = random.normals(20 * 100).iter().map(|v| (v - 1.0).max(0.0)).collect();
        check(&x, 100, 40, 0.0);
        check(&x, 100, 10, 0.0);
    }

    proptest! {
        #[test]
        fn equals_sorting(
            x in prop::collection::vec(prop_oneof![-3f32..3.0, Just(0.0), Just(1.0), Just(-1.0)], 64..600),
            tokens in 1usize..64,
            k in 0usize..40,
        ) {
            let width = x.len() / tokens;
            check(&x[..width * tokens], width, k, 0.0);
        }
    }
}
