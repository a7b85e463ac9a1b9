//! What AbsTopK kept of a tile, a bit an entry: the way of the gradient.

use super::rows_of;
use super::turned::PANEL;
use crate::isa::dispatch;
use crate::vector::{LANES, Portable, Vector};

/// Operations on one bit a lane.
pub(super) trait Bits: Vector {
    /// A one where a lane is not zero; also where it is NaN.
    #[inline(always)]
    fn nonzero(self) -> u16 {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        let mut bits = 0;
        for (lane, value) in lanes.into_iter().enumerate() {
            bits |= u16::from(value != 0.0) << lane;
        }
        bits
    }

    /// The lane where its bit is one, else zero.
    #[inline(always)]
    fn only(self, bits: u16) -> Self {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        for (lane, value) in lanes.iter_mut().enumerate() {
            *value = if bits >> lane & 1 == 1 { *value } else { 0.0 };
        }
        Self::load(&lanes)
    }

    /// Writes the lanes whose bits are one, in order, to `to`, of which 16 may be overwritten.
    #[inline(always)]
    fn compress(self, bits: u16, to: &mut [f32]) {
        let (mut lanes, to) = ([0.0; LANES], &mut to[..LANES]);
        self.store(&mut lanes);
        let mut next = 0;
        for (lane, value) in lanes.into_iter().enumerate() {
            to[next.min(LANES - 1)] = value;
            next += usize::from(bits >> lane & 1 == 1);
        }
    }

    /// Writes `first` + the place of each one, times `PANEL`, ascending, to `to`, of which 16 may be overwritten.
    #[inline(always)]
    fn offsets_of(bits: u16, first: u32, to: &mut [u32]) {
        let to = &mut to[..LANES];
        let mut next = 0;
        for lane in 0..LANES {
            to[next.min(LANES - 1)] = (first + lane as u32) * PANEL as u32;
            next += usize::from(bits >> lane & 1 == 1);
        }
    }
}

impl<const FMA: bool> Bits for Portable<FMA> {}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Bits, LANES, PANEL};
    use crate::vector::{Avx2, Avx512};

    // SAFETY, for every block below: as in `vector.rs`; stores are of 16 numbers of a slice that was just cut to 16.
    impl Bits for Avx2 {
        #[inline(always)]
        fn nonzero(self) -> u16 {
            let [low, high] = self.registers();
            // SAFETY: as above.
            unsafe {
                let low = _mm256_cmp_ps::<_CMP_NEQ_UQ>(low, _mm256_setzero_ps());
                let high = _mm256_cmp_ps::<_CMP_NEQ_UQ>(high, _mm256_setzero_ps());
                (_mm256_movemask_ps(low) | _mm256_movemask_ps(high) << 8) as u16
            }
        }
    }

    impl Bits for Avx512 {
        #[inline(always)]
        fn nonzero(self) -> u16 {
            // SAFETY: as above.
            unsafe { _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(self.register(), _mm512_setzero_ps()) }
        }

        #[inline(always)]
        fn only(self, bits: u16) -> Self {
            // SAFETY: as above.
            Avx512::of(unsafe { _mm512_maskz_mov_ps(bits, self.register()) })
        }

        #[inline(always)]
        fn compress(self, bits: u16, to: &mut [f32]) {
            let to = &mut to[..LANES];
            // SAFETY: as above. A compressing store takes many times as long.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), _mm512_maskz_compress_ps(bits, self.register())) }
        }

        #[inline(always)]
        fn offsets_of(bits: u16, first: u32, to: &mut [u32]) {
            let to = &mut to[..LANES];
            // SAFETY: as above.
            unsafe {
                let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                let places = _mm512_add_epi32(lanes, _mm512_set1_epi32(first.cast_signed()));
                let places = _mm512_slli_epi32::<{ PANEL.ilog2() }>(places);
                _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(bits, places));
            }
        }
    }
}

/// Each lane's number of ones, as numbers.
#[inline(always)]
fn kept_bits<V: Bits>(x: &[f32], lanes: usize, first: usize, bits: &mut [u16]) -> [f32; LANES] {
    let groups = lanes / LANES;
    let (one, mut counts) = (V::splat(1.0), V::splat(0.0));
    for (x, bits) in x.chunks_exact(lanes).zip(bits.chunks_exact_mut(groups)) {
        let ones = V::load(&x[first..]).nonzero();
        counts = counts.add(one.only(ones));
        bits[first / LANES] = ones;
    }
    let mut out = [0.0; LANES];
    counts.store(&mut out);
    out
}

#[inline(always)]
fn lanes_kept_body<V: Bits>(x: &[f32], lanes: usize, k: usize, bits: &mut [u16]) {
    let width = rows_of("lanes_kept", x, lanes);
    let groups = lanes / LANES;
    assert_eq!(bits.len(), width * groups, "lanes_kept: bits are not [{width}][{groups}]");
    let k = k.min(width);
    for first in (0..lanes).step_by(LANES) {
        let counts = kept_bits::<V>(x, lanes, first, bits);
        for (lane, count) in counts.into_iter().enumerate() {
            let mut spare = k.saturating_sub(count as usize);
            if spare == 0 {
                continue;
            }
            for bits in bits.iter_mut().skip(first / LANES).step_by(groups) {
                if spare > 0 && *bits >> lane & 1 == 0 {
                    *bits |= 1 << lane;
                    spare -= 1;
                }
            }
        }
    }
}

dispatch! {
    /// Which entries of each lane of `x` `[width][lanes]` AbsTopK of `k` kept, after it: what is not zero, and where that is fewer than `k`,
    /// the first zeros, which tied. `bits` `[width][lanes / 16]`.
    pub fn lanes_kept(x: &[f32], lanes: usize, k: usize, bits: &mut [u16]) = vector lanes_kept_body
}

#[inline(always)]
fn lanes_mask_body<V: Bits>(bits: &[u16], d: &mut [f32]) {
    assert_eq!(bits.len() * LANES, d.len(), "lanes_mask: bits are not of d");
    for (&bits, d) in bits.iter().zip(d.chunks_exact_mut(LANES)) {
        V::load(d).only(bits).store(d);
    }
}

dispatch! {
    /// The gradient through AbsTopK: `d` `[width][lanes]` where an entry was kept (see [`lanes_kept`]), zero elsewhere. Exact.
    pub fn lanes_mask(bits: &[u16], d: &mut [f32]) = vector lanes_mask_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use crate::{Isa, SelectGuess, SelectScratch, lanes_abs_top_k};

    /// As many entries as AbsTopK is to keep, the larger first, of equal ones the lower.
    fn plain(lane: &[f32], k: usize) -> Vec<bool> {
        let mut order: Vec<usize> = (0..lane.len()).collect();
        order.sort_by(|&i, &j| lane[j].abs().total_cmp(&lane[i].abs()).then(i.cmp(&j)));
        let mut kept = vec![false; lane.len()];
        order.into_iter().take(k).for_each(|i| kept[i] = true);
        kept
    }

    #[test]
    fn the_gradient_passes_where_abs_top_k_kept() {
        let mut random = Random::new(63);
        for (width, lanes, k, zeros) in [
            (1, 16, 1, 0.0),
            (12, 16, 3, 0.0),
            (48, 64, 12, 0.5),
            (48, 64, 12, 0.9),
            (100, 48, 0, 0.0),
            (7, 32, 9, 0.3),
        ] {
            let x: Vec<f32> = random
                .normals(width * lanes)
                .into_iter()
                .map(|v| if random.uniform() < zeros { 0.0 } else { v })
                .collect();
            for isa in Isa::available() {
                let mut kept = x.clone();
                let mut scratch = SelectScratch::default();
                lanes_abs_top_k(isa, &mut kept, lanes, k, &mut SelectGuess::default(), &mut scratch);
                let mut bits = vec![0; width * lanes / LANES];
                lanes_kept(isa, &kept, lanes, k, &mut bits);
                let mut d = vec![2.0; x.len()];
                lanes_mask(isa, &bits, &mut d);
                for lane in 0..lanes {
                    let column = |x: &[f32]| x.iter().skip(lane).step_by(lanes).copied().collect::<Vec<_>>();
                    let expected: Vec<f32> =
                        plain(&column(&x), k).into_iter().map(|kept| if kept { 2.0 } else { 0.0 }).collect();
                    assert_eq!(column(&d), expected, "{isa}: {k} of {width}, lane {lane}");
                }
            }
        }
    }

    #[inline(always)]
    fn compress_body<V: Bits>(x: &[f32], bits: u16, values: &mut [f32], places: &mut [u32]) -> u16 {
        V::load(x).compress(bits, values);
        V::offsets_of(bits, 100, places);
        V::load(x).nonzero()
    }

    dispatch! { fn compress(x: &[f32], bits: u16, values: &mut [f32], places: &mut [u32]) -> u16 = vector compress_body }

    #[test]
    fn every_instruction_set_compresses_alike() {
        let x: Vec<f32> = (0..16).map(|i| if i % 5 == 0 { 0.0 } else { i as f32 }).collect();
        for isa in Isa::available() {
            for bits in [0, 1, 0x8000, 0xffff, 0b1010_0000_1100_0010] {
                let (mut values, mut places) = ([0.0; 16], [0; 16]);
                let nonzero = compress(isa, &x, bits, &mut values, &mut places);
                assert_eq!(nonzero, 0b0111_1011_1101_1110, "{isa}");
                let ones: Vec<usize> = (0..16).filter(|lane| bits >> lane & 1 == 1).collect();
                for (i, &lane) in ones.iter().enumerate() {
                    assert_eq!(
                        (values[i], places[i]),
                        (x[lane], (100 + lane as u32) * PANEL as u32),
                        "{isa}: {bits:b}"
                    );
                }
            }
        }
    }
}
