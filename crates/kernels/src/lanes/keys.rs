//! Sixteen-bit keys of sixteen lanes a row: what the compiler does not turn into vector operations by itself.

use crate::select::MAGNITUDE;
use crate::vector::{LANES, Portable, Vector};

/// Rows whose counts fit into 16 bits, in pairs.
const COUNTED: usize = 1 << 16;

/// Operations on rows of keys.
pub(super) trait Keys: Vector {
    /// Writes the upper 16 bits of the magnitudes.
    fn store_keys(self, to: &mut [u16]) {
        let mut lanes = [0.0f32; LANES];
        self.store(&mut lanes);
        for (to, lane) in to[..LANES].iter_mut().zip(lanes) {
            *to = ((lane.to_bits() & MAGNITUDE) >> 16) as u16;
        }
    }

    /// How many keys of each lane, in an even number of rows of at most `COUNTED`, are at least its bound.
    fn count(keys: &[u16], bounds: &[u16; LANES]) -> [u32; LANES] {
        let mut counts = [0u32; LANES];
        for row in keys.chunks_exact(LANES) {
            for lane in 0..LANES {
                counts[lane] += u32::from(row[lane] >= bounds[lane]);
            }
        }
        counts
    }

    /// Writes the numbers of the rows in which some lane has the key it seeks, and gives how many; `to` has room for one more than all.
    fn rows_with(keys: &[u16], sought: &[u16; LANES], to: &mut [u32]) -> usize {
        let mut count = 0;
        for (row, keys) in keys.chunks_exact(LANES).enumerate() {
            let mut any = false;
            for lane in 0..LANES {
                any |= keys[lane] == sought[lane];
            }
            to[count] = row as u32;
            count += usize::from(any);
        }
        count
    }
}

impl<const FMA: bool> Keys for Portable<FMA> {}

/// [`Keys::count`] of any number of rows.
#[inline(always)]
pub(super) fn count_keys<V: Keys>(keys: &[u16], bounds: &[u32; LANES]) -> [u32; LANES] {
    let mut short = [0u16; LANES];
    for lane in 0..LANES {
        short[lane] = bounds[lane] as u16;
    }
    let mut total = [0; LANES];
    for keys in keys.chunks(COUNTED * LANES) {
        let whole = keys.len() / (2 * LANES) * 2 * LANES;
        let counts = V::count(&keys[..whole], &short);
        for lane in 0..LANES {
            let odd = keys.get(whole + lane).is_some_and(|&key| key >= short[lane]);
            total[lane] += counts[lane] + u32::from(odd);
        }
    }
    total
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{COUNTED, Keys, LANES};
    use crate::vector::{Avx2, Avx512};

    // SAFETY, for every block below: as in `vector.rs`; loads and stores are of 16 or 32 numbers of a slice that has as many.
    impl Keys for Avx512 {
        #[inline(always)]
        fn store_keys(self, to: &mut [u16]) {
            let to = &mut to[..LANES];
            // SAFETY: as above. The sign goes with a shift to the left.
            unsafe {
                let keys =
                    _mm512_srli_epi32::<17>(_mm512_slli_epi32::<1>(_mm512_castps_si512(self.register())));
                _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(keys));
            }
        }

        #[inline(always)]
        fn count(keys: &[u16], bounds: &[u16; LANES]) -> [u32; LANES] {
            assert!(keys.len() <= COUNTED * LANES);
            // SAFETY: as above; half the rows are counted in each half of a register, so that 16 bits are enough.
            unsafe {
                let bounds = _mm512_broadcast_i64x4(_mm256_loadu_si256(bounds.as_ptr().cast()));
                let one = _mm512_set1_epi16(1);
                let mut counts = _mm512_setzero_si512();
                for pair in keys.chunks_exact(2 * LANES) {
                    let reaches = _mm512_cmpge_epi16_mask(_mm512_loadu_si512(pair.as_ptr().cast()), bounds);
                    counts = _mm512_mask_add_epi16(counts, reaches, counts, one);
                }
                let low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(counts));
                let high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64::<1>(counts));
                let mut out = [0u32; LANES];
                _mm512_storeu_si512(out.as_mut_ptr().cast(), _mm512_add_epi32(low, high));
                out
            }
        }

        #[inline(always)]
        fn rows_with(keys: &[u16], sought: &[u16; LANES], to: &mut [u32]) -> usize {
            assert!(to.len() > keys.len() / LANES);
            let mut count = 0;
            // SAFETY: as above.
            unsafe {
                let sought = _mm256_loadu_si256(sought.as_ptr().cast());
                for (row, keys) in keys.chunks_exact(LANES).enumerate() {
                    let equal = _mm256_cmpeq_epi16_mask(_mm256_loadu_si256(keys.as_ptr().cast()), sought);
                    to[count] = row as u32;
                    count += usize::from(equal != 0);
                }
            }
            count
        }
    }

    impl Keys for Avx2 {
        #[inline(always)]
        fn count(keys: &[u16], bounds: &[u16; LANES]) -> [u32; LANES] {
            assert!(keys.len() <= COUNTED * LANES);
            // SAFETY: as above; counts are kept of even and of odd rows, so that 16 bits are enough. Keys are below 2¹⁵ and
            // bounds at most that, less one for 'greater'.
            unsafe {
                let least =
                    _mm256_sub_epi16(_mm256_loadu_si256(bounds.as_ptr().cast()), _mm256_set1_epi16(1));
                let (mut even, mut odd) = (_mm256_setzero_si256(), _mm256_setzero_si256());
                for pair in keys.chunks_exact(2 * LANES) {
                    let first = _mm256_loadu_si256(pair.as_ptr().cast());
                    let second = _mm256_loadu_si256(pair[LANES..].as_ptr().cast());
                    even = _mm256_sub_epi16(even, _mm256_cmpgt_epi16(first, least));
                    odd = _mm256_sub_epi16(odd, _mm256_cmpgt_epi16(second, least));
                }
                let (mut a, mut b) = ([0u16; LANES], [0u16; LANES]);
                _mm256_storeu_si256(a.as_mut_ptr().cast(), even);
                _mm256_storeu_si256(b.as_mut_ptr().cast(), odd);
                let mut out = [0; LANES];
                for lane in 0..LANES {
                    out[lane] = u32::from(a[lane]) + u32::from(b[lane]);
                }
                out
            }
        }

        #[inline(always)]
        fn rows_with(keys: &[u16], sought: &[u16; LANES], to: &mut [u32]) -> usize {
            assert!(to.len() > keys.len() / LANES);
            let mut count = 0;
            // SAFETY: as above.
            unsafe {
                let sought = _mm256_loadu_si256(sought.as_ptr().cast());
                for (row, keys) in keys.chunks_exact(LANES).enumerate() {
                    let equal = _mm256_cmpeq_epi16(_mm256_loadu_si256(keys.as_ptr().cast()), sought);
                    to[count] = row as u32;
                    count += usize::from(_mm256_testz_si256(equal, equal) == 0);
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

    #[inline(always)]
    fn all_body<V: Keys>(
        x: &[f32],
        keys: &mut [u16],
        bounds: &[u32; LANES],
        rows: &mut [u32],
    ) -> ([u32; LANES], usize) {
        for (x, keys) in x.chunks_exact(LANES).zip(keys.chunks_exact_mut(LANES)) {
            V::load(x).store_keys(keys);
        }
        let sought = bounds.map(|bound| bound as u16);
        (count_keys::<V>(keys, bounds), V::rows_with(keys, &sought, rows))
    }

    dispatch! {
        fn all(x: &[f32], keys: &mut [u16], bounds: &[u32; LANES], rows: &mut [u32]) -> ([u32; LANES], usize) = vector all_body
    }

    #[test]
    fn every_instruction_set_counts_and_finds_the_same() {
        let mut random = Random::new(51);
        for width in [1, 2, 7, 300, 70_001] {
            let mut x = random.normals(width * LANES);
            (x[0], x[width * LANES - 1]) = (f32::NAN, f32::NEG_INFINITY);
            let key = |value: f32| (value.to_bits() & MAGNITUDE) >> 16;
            let mut bounds: [u32; LANES] = std::array::from_fn(|lane| key(x[width / 2 * LANES + lane]));
            (bounds[1], bounds[2], bounds[3]) = (1, 0x7fff, 0x3f80);
            let of_lane = |lane: usize| x.iter().skip(lane).step_by(LANES).map(|&value| key(value));
            let expected: Vec<u32> =
                (0..LANES).map(|lane| of_lane(lane).filter(|&k| k >= bounds[lane]).count() as u32).collect();
            let found: Vec<u32> = (0..width)
                .filter(|row| (0..LANES).any(|lane| key(x[row * LANES + lane]) == bounds[lane]))
                .map(|row| row as u32)
                .collect();
            for isa in crate::Isa::available() {
                let (mut keys, mut rows) = (vec![0; width * LANES], vec![0; width + 1]);
                let (counts, count) = all(isa, &x, &mut keys, &bounds, &mut rows);
                assert!(keys.iter().zip(&x).all(|(&k, &value)| u32::from(k) == key(value)), "{isa}");
                assert_eq!((&counts[..], &rows[..count]), (&expected[..], &found[..]), "{isa}: {width} rows");
            }
        }
    }
}
