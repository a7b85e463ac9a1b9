//! Sixteen numbers side by side: one AVX-512 register, two of AVX2, or an array that the compiler may vectorise.
//!
//! For the kernels whose loops the compiler does not keep in registers by itself. [`dispatch`](crate::isa::dispatch)'s
//! `vector` form compiles a body once for each type here; nothing else may name [`Avx2`] or [`Avx512`], since their
//! operations are only sound (and only inlined) in code that is compiled for those instruction sets.

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// Sixteen f32.
pub(crate) trait Vector: Copy {
    /// The same number in every lane.
    fn splat(value: f32) -> Self;
    /// The first 16 of a slice that has as many.
    fn load(from: &[f32]) -> Self;
    /// Writes the lanes to the first 16 of a slice that has as many.
    fn store(self, to: &mut [f32]);
    /// `self · by + plus`, fused where the instruction set fuses.
    fn multiply_add(self, by: Self, plus: Self) -> Self;
    /// Sum.
    fn add(self, other: Self) -> Self;
    /// Difference.
    fn subtract(self, other: Self) -> Self;
    /// Product.
    fn multiply(self, by: Self) -> Self;
    /// `other` where it is larger, else `self`; also where either is NaN.
    fn larger(self, other: Self) -> Self;
    /// Zero in the lanes where `of` is below `bound`.
    fn zero_below(self, of: Self, bound: f32) -> Self;
    /// 2ⁿ where a lane is n + 1.5·2²³, n an integer from −126 to 127.
    fn power_of_two(self) -> Self;
    /// `fill` in the first `count` lanes.
    fn fill_first(self, count: usize, fill: f32) -> Self;
    /// Writes `first` + each place of a one among 16 ones and zeros, ascending, to `to`, of which 16 may be overwritten; gives
    /// their number.
    fn places(ones: &[u8], first: u32, to: &mut [u32]) -> usize {
        let to = &mut to[..LANES];
        let mut next = 0;
        for (place, &one) in ones[..LANES].iter().enumerate() {
            to[next.min(LANES - 1)] = first + place as u32;
            next += usize::from(one == 1);
        }
        next
    }
}

/// Lanes in an array; fused multiply-add where `FMA`.
#[derive(Clone, Copy)]
pub(crate) struct Portable<const FMA: bool>([f32; LANES]);

impl<const FMA: bool> Portable<FMA> {
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Portable(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl<const FMA: bool> Vector for Portable<FMA> {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Portable([value; LANES])
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let mut lanes = [0.0; LANES];
        lanes.copy_from_slice(&from[..LANES]);
        Portable(lanes)
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..LANES].copy_from_slice(&self.0);
    }
    #[inline(always)]
    fn multiply_add(self, by: Self, plus: Self) -> Self {
        Portable(std::array::from_fn(|lane| {
            crate::isa::multiply_add::<FMA>(self.0[lane], by.0[lane], plus.0[lane])
        }))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
    #[inline(always)]
    fn multiply(self, by: Self) -> Self {
        self.with(by, |a, b| a * b)
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.with(other, |a, b| if b > a { b } else { a })
    }
    #[inline(always)]
    fn zero_below(self, of: Self, bound: f32) -> Self {
        self.with(of, |a, of| if of < bound { 0.0 } else { a })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        Portable(self.0.map(|x| f32::from_bits(x.to_bits().wrapping_add(127) << 23)))
    }
    #[inline(always)]
    fn fill_first(mut self, count: usize, fill: f32) -> Self {
        self.0[..count.min(LANES)].fill(fill);
        self
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{LANES, Vector};

    /// One register.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512);

    // SAFETY, for every block below: `Avx512` is only used in code that runs after AVX-512 F was found (see the module),
    // loads and stores are of 16 numbers of a slice that was just cut to 16.
    impl Vector for Avx512 {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: as above.
            Avx512(unsafe { _mm512_set1_ps(value) })
        }
        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            let from = &from[..LANES];
            // SAFETY: as above.
            Avx512(unsafe { _mm512_loadu_ps(from.as_ptr()) })
        }
        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            let to = &mut to[..LANES];
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn multiply_add(self, by: Self, plus: Self) -> Self {
            // SAFETY: as above.
            Avx512(unsafe { _mm512_fmadd_ps(self.0, by.0, plus.0) })
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: as above.
            Avx512(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn subtract(self, other: Self) -> Self {
            // SAFETY: as above.
            Avx512(unsafe { _mm512_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn multiply(self, by: Self) -> Self {
            // SAFETY: as above.
            Avx512(unsafe { _mm512_mul_ps(self.0, by.0) })
        }
        #[inline(always)]
        fn larger(self, other: Self) -> Self {
            // The instruction gives its second operand unless the first is larger.
            // SAFETY: as above.
            Avx512(unsafe { _mm512_max_ps(other.0, self.0) })
        }
        #[inline(always)]
        fn zero_below(self, of: Self, bound: f32) -> Self {
            // SAFETY: as above.
            Avx512(unsafe {
                let keep = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(of.0, _mm512_set1_ps(bound));
                _mm512_maskz_mov_ps(keep, self.0)
            })
        }
        #[inline(always)]
        fn power_of_two(self) -> Self {
            // SAFETY: as above.
            Avx512(unsafe {
                let exponent = _mm512_add_epi32(_mm512_castps_si512(self.0), _mm512_set1_epi32(127));
                _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
            })
        }
        #[inline(always)]
        fn fill_first(self, count: usize, fill: f32) -> Self {
            let first = ((1u32 << count.min(LANES)) - 1) as u16;
            // SAFETY: as above.
            Avx512(unsafe { _mm512_mask_mov_ps(self.0, first, _mm512_set1_ps(fill)) })
        }
        #[inline(always)]
        fn places(ones: &[u8], first: u32, to: &mut [u32]) -> usize {
            let (ones, to) = (&ones[..LANES], &mut to[..LANES]);
            // SAFETY: as above; 16 bytes are read, 16 numbers written.
            unsafe {
                let ones = _mm_cmpeq_epi8_mask(_mm_loadu_si128(ones.as_ptr().cast()), _mm_set1_epi8(1));
                let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                let places = _mm512_add_epi32(lanes, _mm512_set1_epi32(first.cast_signed()));
                _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(ones, places));
                ones.count_ones() as usize
            }
        }
    }

    /// Two registers.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2([__m256; 2]);

    // SAFETY, for every block below: `Avx2` is only used in code that runs after AVX2 and FMA were found (see the
    // module), loads and stores are of 16 numbers of a slice that was just cut to 16.
    impl Vector for Avx2 {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: as above.
            Avx2([unsafe { _mm256_set1_ps(value) }; 2])
        }
        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            let from = &from[..LANES];
            // SAFETY: as above.
            Avx2(unsafe { [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))] })
        }
        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            let to = &mut to[..LANES];
            // SAFETY: as above.
            unsafe {
                _mm256_storeu_ps(to.as_mut_ptr(), self.0[0]);
                _mm256_storeu_ps(to.as_mut_ptr().add(8), self.0[1]);
            }
        }
        #[inline(always)]
        fn multiply_add(self, by: Self, plus: Self) -> Self {
            // SAFETY: as above.
            Avx2([0, 1].map(|i| unsafe { _mm256_fmadd_ps(self.0[i], by.0[i], plus.0[i]) }))
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: as above.
            Avx2([0, 1].map(|i| unsafe { _mm256_add_ps(self.0[i], other.0[i]) }))
        }
        #[inline(always)]
        fn subtract(self, other: Self) -> Self {
            // SAFETY: as above.
            Avx2([0, 1].map(|i| unsafe { _mm256_sub_ps(self.0[i], other.0[i]) }))
        }
        #[inline(always)]
        fn multiply(self, by: Self) -> Self {
            // SAFETY: as above.
            Avx2([0, 1].map(|i| unsafe { _mm256_mul_ps(self.0[i], by.0[i]) }))
        }
        #[inline(always)]
        fn larger(self, other: Self) -> Self {
            // As for AVX-512.
            // SAFETY: as above.
            Avx2([0, 1].map(|i| unsafe { _mm256_max_ps(other.0[i], self.0[i]) }))
        }
        #[inline(always)]
        fn zero_below(self, of: Self, bound: f32) -> Self {
            // SAFETY: as above.
            Avx2([0, 1].map(|i| unsafe {
                let keep = _mm256_cmp_ps::<_CMP_NLT_UQ>(of.0[i], _mm256_set1_ps(bound));
                _mm256_and_ps(keep, self.0[i])
            }))
        }
        #[inline(always)]
        fn power_of_two(self) -> Self {
            // SAFETY: as above.
            Avx2([0, 1].map(|i| unsafe {
                let exponent = _mm256_add_epi32(_mm256_castps_si256(self.0[i]), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
            }))
        }
        #[inline(always)]
        fn fill_first(self, count: usize, fill: f32) -> Self {
            let mut lanes = [0.0; LANES];
            self.store(&mut lanes);
            lanes[..count.min(LANES)].fill(fill);
            Self::load(&lanes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::dispatch;

    #[inline(always)]
    fn every_operation_body<V: Vector>(x: &[f32], y: &[f32], out: &mut Vec<[f32; LANES]>) {
        let (a, b) = (V::load(x), V::load(y));
        let results = [
            V::splat(3.5),
            a.multiply_add(b, a),
            a.add(b),
            a.subtract(b),
            a.multiply(b),
            a.larger(b),
            a.zero_below(b, 0.5),
            V::splat(12_582_912.0 - 3.0).power_of_two(),
            a.fill_first(0, 9.0),
            a.fill_first(5, 9.0),
            a.fill_first(99, 9.0),
        ];
        for result in results {
            let mut lanes = [0.0; LANES];
            result.store(&mut lanes);
            out.push(lanes);
        }
    }

    dispatch! {
        fn every_operation(x: &[f32], y: &[f32], out: &mut Vec<[f32; LANES]>) = vector every_operation_body
    }

    #[inline(always)]
    fn places_body<V: Vector>(ones: &[u8], first: u32, to: &mut [u32]) -> usize {
        V::places(ones, first, to)
    }

    dispatch! { fn places(ones: &[u8], first: u32, to: &mut [u32]) -> usize = vector places_body }

    #[test]
    fn places_are_those_of_the_ones() {
        for pattern in [0u32, 1, 0x8000, 0xffff, 0xa5c3, 0x0ff0] {
            let ones: Vec<u8> = (0..16).map(|bit| (pattern >> bit & 1) as u8).collect();
            let expected: Vec<u32> =
                (0..16).filter(|bit| pattern >> bit & 1 == 1).map(|bit| 100 + bit).collect();
            for isa in crate::Isa::available() {
                let mut to = [7; 17];
                let count = places(isa, &ones, 100, &mut to);
                assert_eq!(&to[..count], &expected, "{isa}: {pattern:x}");
                assert_eq!(to[16], 7);
            }
        }
    }

    #[test]
    fn every_operation_is_the_same_on_every_instruction_set() {
        let mut x: Vec<f32> = (0..20).map(|i| i as f32 * 0.75 - 5.0).collect();
        let mut y: Vec<f32> = (0..20).map(|i| (i * 7 % 20) as f32 * 0.5 - 3.0).collect();
        (x[3], y[5], x[7], y[9]) = (f32::NAN, f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
        for isa in crate::Isa::available() {
            let mut out = Vec::new();
            every_operation(isa, &x, &y, &mut out);
            // Products of these numbers are exact, so that fusing makes no difference.
            for lane in 0..LANES {
                let (a, b) = (x[lane], y[lane]);
                let expected = [
                    3.5,
                    a * b + a,
                    a + b,
                    a - b,
                    a * b,
                    if b > a { b } else { a },
                    if b < 0.5 { 0.0 } else { a },
                    0.125,
                    a,
                    if lane < 5 { 9.0 } else { a },
                    9.0,
                ];
                for (operation, expected) in expected.into_iter().enumerate() {
                    let found = out[operation][lane];
                    assert!(
                        found == expected || found.is_nan() && expected.is_nan(),
                        "{isa}: operation {operation}, lane {lane}: {found}, not {expected}"
                    );
                }
            }
        }
    }
}
