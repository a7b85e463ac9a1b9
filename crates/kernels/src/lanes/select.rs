//! AbsTopK of all lanes at once: a search for each lane's threshold, where one pass over the rows counts for sixteen lanes.
//!
//! 1. The upper 16 bits of every magnitude are written out, sixteen lanes side by side: keys that order as the magnitudes do, and of
//!    which twice as many fit into a register and the first-level cache.
//! 2. Each lane's threshold is searched for by counting how many keys reach two bounds at a time, first from where the last lanes'
//!    thresholds were, until few keys are left between a bound that enough reach and one that too few do.
//! 3. These few are sorted by the whole of their bits, and by their rows where they are equal.

use super::keys::{Bounds, Keys, PAIR, count_keys, write_and_count};
use super::{TILE, rows_of};
use crate::isa::dispatch;
use crate::select::MAGNITUDE;
use crate::vector::LANES;

/// Keys lie below this.
const END: u32 = 1 << 15;
/// So many entries are sorted rather than counted once more.
const FEW: u32 = 16;
/// Rounds that guess from counts; later ones cut what is left into three.
const GUESSES: u32 = 8;

/// Where the search begins: what the last thresholds were. It makes the search short; what is kept does not depend on it.
#[derive(Clone, Copy, Debug)]
pub struct SelectGuess {
    /// Mean of the threshold keys.
    key: f32,
    /// Mean distance from it.
    spread: f32,
}

impl Default for SelectGuess {
    fn default() -> Self {
        // 1.0's key, give or take half an octave.
        SelectGuess { key: (1.0f32.to_bits() >> 16) as f32, spread: 64.0 }
    }
}

/// Room for [`lanes_abs_top_k`], kept between calls.
#[derive(Clone, Debug, Default)]
pub struct SelectScratch {
    /// `[width / 2][16][2]`, of sixteen lanes.
    keys: Vec<u16>,
    /// Pairs of rows that hold a candidate, and where.
    pairs: Vec<(u32, u32)>,
    candidates: Vec<Candidate>,
}

/// An entry that may be kept or not: they sort by lane, then by falling magnitude, then by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate(u64);

impl Candidate {
    const ROW_BITS: u32 = 29;

    #[inline(always)]
    fn new(lane: usize, value: f32, row: usize) -> Self {
        let lacks = u64::from(MAGNITUDE - (value.to_bits() & MAGNITUDE));
        Candidate((lane as u64) << 60 | lacks << Self::ROW_BITS | row as u64)
    }

    fn lane(self) -> usize {
        (self.0 >> 60) as usize
    }

    fn row(self) -> usize {
        (self.0 & ((1 << Self::ROW_BITS) - 1)) as usize
    }
}

/// Sixteen searches, lane by lane, for the largest bound that at least `due` keys reach.
struct Search {
    due: u32,
    /// At least `due` reach `low`, fewer reach `high`.
    low: [u32; LANES],
    reach_low: [u32; LANES],
    high: [u32; LANES],
    reach_high: [u32; LANES],
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
        let mut over = true;
        for lane in 0..LANES {
            over &= (self.reach_low[lane] - self.reach_high[lane] <= FEW)
                | (self.reach_low[lane] == self.due)
                | (self.high[lane] - self.low[lane] == 1);
        }
        over
    }

    /// Takes in how many keys reach bounds.
    #[inline(always)]
    fn learn(&mut self, bounds: &Bounds, reached: &[u32; LANES]) {
        for lane in 0..LANES {
            let (bound, reached) = (u32::from(bounds[lane]), reached[lane]);
            let (low, high) = (self.low[lane], self.high[lane]);
            let (enough, few) =
                ((reached >= self.due) & (bound > low), (reached < self.due) & (bound < high));
            self.low[lane] = if enough { bound } else { low };
            self.reach_low[lane] = if enough { reached } else { self.reach_low[lane] };
            self.high[lane] = if few { bound } else { high };
            self.reach_high[lane] = if few { reached } else { self.reach_high[lane] };
        }
    }

    /// Two bounds, between those that are known, that the threshold probably lies between: by the one count there is while nothing is
    /// known on the other side, by both counts after that.
    #[inline(always)]
    fn next_bounds(&mut self) -> [Bounds; 2] {
        self.rounds += 1;
        let cuts = self.rounds > GUESSES;
        let due = self.due as f32;
        let [mut firsts, mut seconds] = [[0; LANES]; 2];
        for lane in 0..LANES {
            let (low, high) = (self.low[lane], self.high[lane]);
            let (reach_low, reach_high) = (self.reach_low[lane], self.reach_high[lane]);
            let span = high - low;
            // Where a quarter is kept of normal numbers, their count falls with about the square of the bound.
            let (known, reached) = if low == 0 { (high, reach_high) } else { (low, reach_low) };
            let newton = (f32::from_bits(known << 16) * (reached as f32 / due).sqrt()).to_bits() >> 16;
            let newton_off = newton.abs_diff(known) as f32 * 0.25 + 1.0;
            // Between both by their counts; off by what such a guess is off.
            let per_step = (reach_low - reach_high) as f32 / span as f32;
            let (above, below) = ((reach_low - self.due) as f32, (self.due - reach_high) as f32);
            let between = low as f32 + (above + 0.5) / per_step;
            let between_off = (above.min(below) + 1.0).sqrt() * 0.8 / per_step;
            let one_sided = (low == 0) | (high == END);
            let guess = if one_sided { newton as f32 } else { between };
            let off = if one_sided { newton_off } else { between_off };
            let first = if cuts { low + span / 3 } else { rounded(guess - off) };
            let second = if cuts { low + span / 3 * 2 } else { rounded(guess + off) };
            firsts[lane] = first.min(high - 1).max(low + 1).min(END - 1) as u16;
            // A lane that has found its place at the end is given a bound that is still one.
            seconds[lane] = second.min(high - 1).max(low + 1).min(END - 1) as u16;
        }
        [firsts, seconds]
    }
}

/// Writes the keys of 16 lanes from `first` on, and searches for each one's threshold.
#[inline(always)]
fn search_keys<V: Keys>(
    x: &[f32],
    lanes: usize,
    first: usize,
    k: usize,
    guess: &mut SelectGuess,
    keys: &mut [u16],
) -> Search {
    let mut search = Search {
        due: k as u32,
        low: [0; LANES],
        reach_low: [(x.len() / lanes) as u32; LANES],
        high: [END; LANES],
        reach_high: [0; LANES],
        rounds: 0,
    };
    let off = 1.5 * guess.spread + 1.0;
    let start = [guess.key - off, guess.key + off].map(|key| [rounded(key).clamp(1, END - 1) as u16; LANES]);
    let reached = write_and_count::<V>(x, lanes, first, keys, &start);
    search.learn(&start[0], &reached[0]);
    search.learn(&start[1], &reached[1]);
    while !search.is_over() {
        let bounds = search.next_bounds();
        let reached = count_keys::<V>(keys, &bounds);
        search.learn(&bounds[0], &reached[0]);
        search.learn(&bounds[1], &reached[1]);
    }
    let mean = search.low.iter().sum::<u32>() as f32 / LANES as f32;
    let spread = search.low.iter().map(|&low| (low as f32 - mean).abs()).sum::<f32>() / LANES as f32;
    *guess = SelectGuess { key: mean, spread };
    search
}

/// Sets the entries of 16 lanes to zero that lie between the bounds of their lane's search and are not kept. What is below `low` is left to
/// the caller.
#[inline(always)]
fn drop_between<V: Keys>(
    x: &mut [f32],
    lanes: usize,
    first: usize,
    search: &Search,
    SelectScratch { keys, pairs, candidates }: &mut SelectScratch,
) {
    let (mut low, mut range) = ([0; LANES], [0; LANES]);
    let mut without_key = 0;
    for lane in 0..LANES {
        low[lane] = search.low[lane] as u16;
        if search.reach_low[lane] == search.due {
            // All that reach `low` are kept.
        } else if search.high[lane] == 1 {
            // Fewer than are kept have a key, as after a relu.
            without_key |= 1 << lane;
        } else {
            range[lane] = (search.high[lane] - search.low[lane]) as u16;
        }
    }
    if without_key != 0 {
        without_key &= lanes_with_tiny(x, lanes, first);
        for lane in (0..LANES).filter(|lane| without_key >> lane & 1 == 1) {
            keep_in_lane(x, lanes, first + lane, search.due as usize);
        }
    }
    if range == [0; LANES] {
        return;
    }
    pairs.resize(keys.len() / PAIR + 1, (0, 0));
    let count = V::pairs_within(keys, &low, &range, pairs);
    candidates.clear();
    for &(pair, mut which) in &pairs[..count] {
        while which != 0 {
            let bit = which.trailing_zeros() as usize;
            which &= which - 1;
            let (row, lane) = (2 * pair as usize + bit % 2, bit / 2);
            if let Some(&value) = x.get(row * lanes + first + lane) {
                candidates.push(Candidate::new(lane, value, row));
            }
        }
    }
    candidates.sort_unstable();
    for of_lane in candidates.chunk_by(|a, b| a.lane() == b.lane()) {
        let lane = of_lane[0].lane();
        for candidate in &of_lane[(search.due - search.reach_high[lane]) as usize..] {
            x[candidate.row() * lanes + first + lane] = 0.0;
        }
    }
}

/// Which of 16 lanes hold numbers that have no key and are not zero, one bit each.
#[inline(always)]
fn lanes_with_tiny(x: &[f32], lanes: usize, first: usize) -> u32 {
    let mut tiny = [0; LANES];
    for row in x.chunks_exact(lanes) {
        let row = &row[first..][..LANES];
        for lane in 0..LANES {
            let magnitude = row[lane].to_bits() & MAGNITUDE;
            tiny[lane] |= if magnitude >> 16 == 0 { magnitude } else { 0 };
        }
    }
    (0..LANES).fold(0, |bits, lane| bits | u32::from(tiny[lane] != 0) << lane)
}

/// Keeps `k` entries of one lane, the plain way; where no more are not zero there is nothing to do.
fn keep_in_lane(x: &mut [f32], lanes: usize, lane: usize, k: usize) {
    let is_zero = |x: &[f32], row: usize| x[row * lanes + lane].to_bits() & MAGNITUDE == 0;
    let rows = (0..x.len() / lanes).filter(|&row| !is_zero(x, row));
    let mut candidates: Vec<Candidate> =
        rows.map(|row| Candidate::new(0, x[row * lanes + lane], row)).collect();
    if candidates.len() > k {
        candidates.sort_unstable();
        for candidate in &candidates[k..] {
            x[candidate.row() * lanes + lane] = 0.0;
        }
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
    assert!(width < 1 << Candidate::ROW_BITS, "lanes_abs_top_k: {width} rows");
    scratch.keys.resize(width.div_ceil(2) * PAIR, 0);
    // Bits, in the form in which vectors load them.
    let mut from = [0.0; TILE];
    for first in (0..lanes).step_by(LANES) {
        let search = search_keys::<V>(x, lanes, first, k, guess, &mut scratch.keys);
        drop_between::<V>(x, lanes, first, &search, scratch);
        for lane in 0..LANES {
            from[first + lane] = f32::from_bits(search.low[lane] << 16);
        }
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
    fn check(x: &[f32], width: usize, k: usize) {
        check_from(SelectGuess::default(), x, width, k);
    }

    #[track_caller]
    fn check_from(guess: SelectGuess, x: &[f32], width: usize, k: usize) {
        let mut expected = x.to_vec();
        expected.chunks_exact_mut(width).for_each(|row| reference::abs_top_k(row, k));
        for isa in Isa::available() {
            let (lanes, mut tile) = tiles(x, width, 1.0).remove(0);
            let scratch = &mut SelectScratch::default();
            lanes_abs_top_k(isa, &mut tile, lanes, k, &mut { guess }, scratch);
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
        check(&[1.0, -1.0, 1.0, -1.0, 0.5], 5, 2);
        check(&[0.0, -0.0, 0.0, 2.0], 4, 2);
        check(&[3.0; 28], 7, 3);
    }

    #[test]
    fn handles_the_ends_and_odd_values() {
        for k in [0, 1, 2, 5] {
            check(&[1.0, 2.0, -3.0, 1e-45], 2, k);
        }
        check(&[f32::INFINITY, f32::NEG_INFINITY, 1.0, f32::MIN_POSITIVE, 1e-45], 5, 3);
        check(&[f32::NAN, 1.0, 2.0, f32::INFINITY], 4, 2);
    }

    #[test]
    fn no_guess_changes_what_is_kept() {
        let mut random = Random::new(44);
        let x = random.normals(50 * 200);
        for key in [0.0, 16_256.0, 16_275.0, -3.0, 1e30, f32::NAN, f32::INFINITY] {
            for spread in [0.0, 10.0, 1e30, f32::NAN] {
                check_from(SelectGuess { key, spread }, &x, 200, 50);
            }
        }
    }

    #[test]
    fn tells_apart_what_differs_in_the_last_bits_alone() {
        let mut random = Random::new(50);
        let near: Vec<f32> = (0..40 * 300)
            .map(|_| f32::from_bits(1.5f32.to_bits() + (random.uniform() * 500.0) as u32))
            .collect();
        for k in [1, 17, 150, 299] {
            check(&near, 300, k);
        }
        let tiny: Vec<f32> = (0..30 * 100).map(|i| f32::from_bits(i % 97)).collect();
        check(&tiny, 100, 40);
    }

    #[test]
    fn the_largest_key_ends_the_search_of_its_lane() {
        let mut random = Random::new(52);
        // Lanes that are nothing but it, beside lanes that are not done when these are, and a guess that it made for the next sixteen.
        let mut x = random.normals(64 * 300);
        for token in (0..64).filter(|token| token % 16 < 8) {
            x[token * 300..][..300].fill(f32::from_bits(0x7fff_ffff));
        }
        check(&x, 300, 75);
    }

    #[test]
    fn what_a_relu_leaves_is_kept_whole() {
        let mut random = Random::new(45);
        let x: Vec<f32> = random.normals(20 * 100).iter().map(|v| (v - 1.0).max(0.0)).collect();
        check(&x, 100, 40);
        check(&x, 100, 10);
    }

    proptest! {
        #[test]
        fn equals_sorting(
            x in prop::collection::vec(prop_oneof![-3f32..3.0, Just(0.0), Just(1.0), Just(-1.0)], 64..600),
            tokens in 1usize..64,
            k in 0usize..40,
        ) {
            let width = x.len() / tokens;
            check(&x[..width * tokens], width, k);
        }
    }
}
