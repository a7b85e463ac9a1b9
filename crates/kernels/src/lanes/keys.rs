//! Sixteen-bit keys of sixteen lanes, two rows of which lie side by side: what the compiler does not turn into vector operations by
//! itself.

use crate::select::MAGNITUDE;
use crate::vector::{LANES, Portable, Vector};

/// Keys of two rows: a lane's first row's, then its second's, lane after lane.
pub(super) const PAIR: usize = 2 * LANES;
/// Pairs whose counts fit into 16 bits.
const COUNTED: usize = (1 << 16) - 1;

/// A bound for each lane.
pub(super) type Bounds = [u16; LANES];

/// Operations on keys.
pub(super) trait Keys: Vector {
    /// Writes the upper 16 bits of the magnitudes of two rows.
    #[inline(always)]
    fn store_pair(first: Self, second: Self, to: &mut [u16]) {
        let mut lanes = [[0.0f32; LANES]; 2];
        first.store(&mut lanes[0]);
        second.store(&mut lanes[1]);
        for (lane, to) in to[..PAIR].chunks_exact_mut(2).enumerate() {
            to[0] = ((lanes[0][lane].to_bits() & MAGNITUDE) >> 16) as u16;
            to[1] = ((lanes[1][lane].to_bits() & MAGNITUDE) >> 16) as u16;
        }
    }

    /// How many keys of each lane, in at most `COUNTED` pairs, are at least its bound, for two bounds (from 1 to 2¹⁵ − 1).
    #[inline(always)]
    fn count(keys: &[u16], bounds: &[Bounds; 2]) -> [[u32; LANES]; 2] {
        let mut counts = [[0u32; LANES]; 2];
        for pair in keys.chunks_exact(PAIR) {
            for (counts, bounds) in counts.iter_mut().zip(bounds) {
                for lane in 0..LANES {
                    let (first, second) = (pair[2 * lane], pair[2 * lane + 1]);
                    counts[lane] += u32::from(first >= bounds[lane]) + u32::from(second >= bounds[lane]);
                }
            }
        }
        counts
    }

    /// Writes the numbers of the pairs that hold keys of some lane from its `low` on, fewer than its `range` above it; and
    /// which: bit 2·lane + row. Gives how many; `to` has room for one more than all.
    #[inline(always)]
    fn pairs_within(keys: &[u16], low: &Bounds, range: &Bounds, to: &mut [(u32, u32)]) -> usize {
        let mut count = 0;
        for (index, pair) in keys.chunks_exact(PAIR).enumerate() {
            let mut which = 0;
            for (i, &key) in pair.iter().enumerate() {
                which |= u32::from(key.wrapping_sub(low[i / 2]) < range[i / 2]) << i;
            }
            to[count] = (index as u32, which);
            count += usize::from(which != 0);
        }
        count
    }
}

impl<const FMA: bool> Keys for Portable<FMA> {}

/// The keys of 16 lanes, from lane `first` on, of a matrix with rows of `lanes`; an odd row is followed by zeros. Counts them as
/// [`Keys::count`] does.
#[inline(always)]
pub(super) fn write_and_count<V: Keys>(
    x: &[f32],
    lanes: usize,
    first: usize,
    keys: &mut [u16],
    bounds: &[Bounds; 2],
) -> [[u32; LANES]; 2] {
    let mut total = [[0; LANES]; 2];
    // Chunks that stay in the first-level cache until they are counted.
    for (x, keys) in x.chunks(64 * lanes).zip(keys.chunks_mut(32 * PAIR)) {
        let mut rows = x.chunks_exact(2 * lanes);
        for (pair, to) in (&mut rows).zip(keys.chunks_exact_mut(PAIR)) {
            V::store_pair(V::load(&pair[first..]), V::load(&pair[lanes + first..]), to);
        }
        if !rows.remainder().is_empty() {
            let to = keys.len() - PAIR;
            V::store_pair(V::load(&rows.remainder()[first..]), V::splat(0.0), &mut keys[to..]);
        }
        add(&mut total, V::count(keys, bounds));
    }
    total
}

/// [`Keys::count`] of any number of pairs.
#[inline(always)]
pub(super) fn count_keys<V: Keys>(keys: &[u16], bounds: &[Bounds; 2]) -> [[u32; LANES]; 2] {
    let mut total = [[0; LANES]; 2];
    for keys in keys.chunks(COUNTED * PAIR) {
        add(&mut total, V::count(keys, bounds));
    }
    total
}

#[inline(always)]
fn add(total: &mut [[u32; LANES]; 2], counts: [[u32; LANES]; 2]) {
    for i in 0..2 {
        for lane in 0..LANES {
            total[i][lane] += counts[i][lane];
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Bounds, COUNTED, Keys, LANES, PAIR};
    use crate::vector::{Avx2, Avx512};

    /// Each lane's bound for both of its rows, as the halves of a number.
    #[inline(always)]
    fn doubled(bounds: &Bounds) -> [u32; LANES] {
        let mut out = [0; LANES];
        for lane in 0..LANES {
            out[lane] = u32::from(bounds[lane]) * 0x0001_0001;
        }
        out
    }

    // SAFETY, for every block below: as in `vector.rs`; loads and stores are of arrays and slices that have as many.
    impl Keys for Avx512 {
        #[inline(always)]
        fn store_pair(first: Self, second: Self, to: &mut [u16]) {
            let to = &mut to[..PAIR];
            // SAFETY: as above.
            unsafe {
                let low = _mm512_srli_epi32::<16>(_mm512_castps_si512(first.register()));
                let high = _mm512_castps_si512(second.register());
                // The third's bits choose between the others'.
                let upper = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
                let both = _mm512_ternarylogic_epi32::<0xd8>(low, high, upper);
                let keys = _mm512_and_si512(both, _mm512_set1_epi16(0x7fff));
                _mm512_storeu_si512(to.as_mut_ptr().cast(), keys);
            }
        }

        #[inline(always)]
        fn count(keys: &[u16], bounds: &[Bounds; 2]) -> [[u32; LANES]; 2] {
            assert!(keys.len() <= COUNTED * PAIR);
            // SAFETY: as above; each row of the pairs is counted in its half, so that 16 bits are enough.
            unsafe {
                let low = _mm512_loadu_si512(doubled(&bounds[0]).as_ptr().cast());
                let high = _mm512_loadu_si512(doubled(&bounds[1]).as_ptr().cast());
                // Were it known to be 1, the compiler would make a register of each mask to subtract it, one operation more.
                let one = _mm512_set1_epi16(std::hint::black_box(1));
                let (mut of_low, mut of_high) = (_mm512_setzero_si512(), _mm512_setzero_si512());
                for pair in keys.chunks_exact(PAIR) {
                    let keys = _mm512_loadu_si512(pair.as_ptr().cast());
                    of_low = _mm512_mask_add_epi16(of_low, _mm512_cmpge_epi16_mask(keys, low), of_low, one);
                    of_high =
                        _mm512_mask_add_epi16(of_high, _mm512_cmpge_epi16_mask(keys, high), of_high, one);
                }
                let mut out = [[0u32; LANES]; 2];
                for (counts, out) in [of_low, of_high].into_iter().zip(&mut out) {
                    let first = _mm512_and_si512(counts, _mm512_set1_epi32(0xffff));
                    let both = _mm512_add_epi32(first, _mm512_srli_epi32::<16>(counts));
                    _mm512_storeu_si512(out.as_mut_ptr().cast(), both);
                }
                out
            }
        }

        #[inline(always)]
        fn pairs_within(keys: &[u16], low: &Bounds, range: &Bounds, to: &mut [(u32, u32)]) -> usize {
            assert!(to.len() > keys.len() / PAIR);
            let mut count = 0;
            // SAFETY: as above.
            unsafe {
                let low = _mm512_loadu_si512(doubled(low).as_ptr().cast());
                let range = _mm512_loadu_si512(doubled(range).as_ptr().cast());
                for (index, pair) in keys.chunks_exact(PAIR).enumerate() {
                    let above = _mm512_sub_epi16(_mm512_loadu_si512(pair.as_ptr().cast()), low);
                    let which = _mm512_cmplt_epu16_mask(above, range);
                    to[count] = (index as u32, which);
                    count += usize::from(which != 0);
                }
            }
            count
        }
    }

    impl Keys for Avx2 {
        #[inline(always)]
        fn store_pair(first: Self, second: Self, to: &mut [u16]) {
            let to = &mut to[..PAIR];
            let (first, second) = (first.registers(), second.registers());
            for half in 0..2 {
                // SAFETY: as above.
                unsafe {
                    let low = _mm256_srli_epi32::<16>(_mm256_castps_si256(first[half]));
                    let both = _mm256_blend_epi16::<0xaa>(low, _mm256_castps_si256(second[half]));
                    let keys = _mm256_and_si256(both, _mm256_set1_epi16(0x7fff));
                    _mm256_storeu_si256(to[LANES * half..].as_mut_ptr().cast(), keys);
                }
            }
        }

        #[inline(always)]
        fn count(keys: &[u16], bounds: &[Bounds; 2]) -> [[u32; LANES]; 2] {
            assert!(keys.len() <= COUNTED * PAIR);
            let mut out = [[0u32; LANES]; 2];
            // SAFETY: as above. Keys and bounds are below 2¹⁵; less one for 'greater'.
            unsafe {
                for (bounds, out) in bounds.iter().zip(&mut out) {
                    let bounds = doubled(bounds);
                    for half in 0..2 {
                        let bound = _mm256_loadu_si256(bounds[8 * half..].as_ptr().cast());
                        let below = _mm256_sub_epi16(bound, _mm256_set1_epi16(1));
                        let mut counts = _mm256_setzero_si256();
                        for pair in keys.chunks_exact(PAIR) {
                            let keys = _mm256_loadu_si256(pair[LANES * half..].as_ptr().cast());
                            counts = _mm256_sub_epi16(counts, _mm256_cmpgt_epi16(keys, below));
                        }
                        let first = _mm256_and_si256(counts, _mm256_set1_epi32(0xffff));
                        let both = _mm256_add_epi32(first, _mm256_srli_epi32::<16>(counts));
                        _mm256_storeu_si256(out[8 * half..].as_mut_ptr().cast(), both);
                    }
                }
            }
            out
        }

        #[inline(always)]
        fn pairs_within(keys: &[u16], low: &Bounds, range: &Bounds, to: &mut [(u32, u32)]) -> usize {
            assert!(to.len() > keys.len() / PAIR);
            let (low, range) = (doubled(low), doubled(range));
            let mut count = 0;
            // SAFETY: as above. Below `range` is what its subtraction leaves something of.
            unsafe {
                for (index, pair) in keys.chunks_exact(PAIR).enumerate() {
                    let mut halves = [_mm256_setzero_si256(); 2];
                    for half in 0..2 {
                        let keys = _mm256_loadu_si256(pair[LANES * half..].as_ptr().cast());
                        let low = _mm256_loadu_si256(low[8 * half..].as_ptr().cast());
                        let range = _mm256_loadu_si256(range[8 * half..].as_ptr().cast());
                        let left = _mm256_subs_epu16(range, _mm256_sub_epi16(keys, low));
                        halves[half] = _mm256_cmpeq_epi16(left, _mm256_setzero_si256());
                    }
                    // Bytes of the halves of both registers, in their order.
                    let bytes = _mm256_permute4x64_epi64::<0xd8>(_mm256_packs_epi16(halves[0], halves[1]));
                    let which = !_mm256_movemask_epi8(bytes).cast_unsigned();
                    to[count] = (index as u32, which);
                    count += usize::from(which != 0);
                }
            }
            count
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::dispatch;
    use crate::testing::Random;

    type Pairs = Vec<(u32, u32)>;

    #[inline(always)]
    fn all_body<V: Keys>(
        x: &[f32],
        lanes: usize,
        first: usize,
        bounds: &[Bounds; 2],
        range: &Bounds,
    ) -> (Vec<u16>, [[[u32; LANES]; 2]; 2], Pairs) {
        let pairs = (x.len() / lanes).div_ceil(2);
        let mut keys = vec![7; pairs * PAIR];
        let counts = write_and_count::<V>(x, lanes, first, &mut keys, bounds);
        let again = count_keys::<V>(&keys, bounds);
        let mut within = vec![(0, 0); pairs + 1];
        let count = V::pairs_within(&keys, &bounds[0], range, &mut within);
        within.truncate(count);
        (keys, [counts, again], within)
    }

    dispatch! {
        fn all(x: &[f32], lanes: usize, first: usize, bounds: &[Bounds; 2], range: &Bounds)
            -> (Vec<u16>, [[[u32; LANES]; 2]; 2], Pairs) = vector all_body
    }

    #[test]
    fn every_instruction_set_counts_and_finds_the_same() {
        let mut random = Random::new(51);
        for width in [1, 2, 7, 63, 64, 65, 300, 140_001] {
            let (lanes, first) = (32, 16);
            let mut x = random.normals(width * lanes);
            (x[first], x[width * lanes - 1]) = (f32::NAN, f32::NEG_INFINITY);
            let key = |row: usize, lane: usize| {
                ((x[row * lanes + first + lane].to_bits() & MAGNITUDE) >> 16) as u16
            };
            let mut bounds = [std::array::from_fn(|lane| key(width / 2, lane)), [0x3f80; LANES]];
            (bounds[0][1], bounds[0][2], bounds[0][3], bounds[1][4]) = (1, 0x7fff, 0x3f80, 0x7fff);
            let mut range = [3; LANES];
            (range[0], range[5]) = (0, 0x4000);
            let counts = [0, 1].map(|bound| {
                std::array::from_fn(|lane| {
                    (0..width).filter(|&row| key(row, lane) >= bounds[bound][lane]).count() as u32
                })
            });
            let within = (0..width.div_ceil(2)).map(|pair| {
                let is_in = |i: usize| {
                    let (row, lane) = (2 * pair + i % 2, i / 2);
                    let key = if row < width { key(row, lane) } else { 0 };
                    key.wrapping_sub(bounds[0][lane]) < range[lane]
                };
                (pair as u32, (0..PAIR).fold(0, |bits, i| bits | u32::from(is_in(i)) << i))
            });
            let within: Pairs = within.filter(|(_, which)| *which != 0).collect();
            for isa in crate::Isa::available() {
                let (keys, found, pairs) = all(isa, &x, lanes, first, &bounds, &range);
                for (place, &found) in keys.iter().enumerate() {
                    let (row, lane) = (place / PAIR * 2 + place % 2, place % PAIR / 2);
                    assert_eq!(found, if row < width { key(row, lane) } else { 0 }, "{isa}");
                }
                assert_eq!(found, [counts; 2], "{isa}: {width} rows");
                assert_eq!(pairs, within, "{isa}: {width} rows");
            }
        }
    }
}
