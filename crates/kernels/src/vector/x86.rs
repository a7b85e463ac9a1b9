//! AVX-512 and AVX2.

use std::arch::x86_64::*;

use super::{LANES, Vector};

/// One register.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

impl Avx512 {
    #[inline(always)]
    pub(crate) fn of(register: __m512) -> Self {
        Avx512(register)
    }
    #[inline(always)]
    pub(crate) fn register(self) -> __m512 {
        self.0
    }
}

// SAFETY, for every block below: `Avx512` is only used in code that runs after AVX-512 F was found (see the module),
// loads and stores are of 16 numbers of a slice that was just cut to 16.
impl Vector for Avx512 {
    const ACROSS: usize = 4;
    #[inline(always)]
    fn prefetch(from: &[f32], ahead: usize) {
        // SAFETY: a prefetch does nothing where its address is not there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(ahead).cast()) }
    }
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
    fn reciprocal(self) -> Self {
        // An approximation to 14 bits, and a step of Newton's: a division takes as long as twenty of these.
        // SAFETY: as above.
        Avx512(unsafe {
            let guess = _mm512_rcp14_ps(self.0);
            let off = _mm512_fnmadd_ps(self.0, guess, _mm512_set1_ps(1.0));
            _mm512_fmadd_ps(guess, off, guess)
        })
    }
    #[inline(always)]
    fn where_negative(self, of: Self, other: Self) -> Self {
        // SAFETY: as above.
        Avx512(unsafe {
            let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(of.0, _mm512_setzero_ps());
            _mm512_mask_mov_ps(other.0, negative, self.0)
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
    fn fraction(self) -> Self {
        // SAFETY: as above.
        Avx512(unsafe { _mm512_reduce_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(self.0) })
    }
    #[inline(always)]
    fn times_power_of_floor(self, of: Self) -> Self {
        // SAFETY: as above.
        Avx512(unsafe { _mm512_scalef_ps(self.0, of.0) })
    }
    #[inline(always)]
    fn magnitude(self) -> Self {
        // SAFETY: as above.
        Avx512(unsafe { _mm512_abs_ps(self.0) })
    }
    #[inline(always)]
    fn keep_reaching(self, bound: Self) -> Self {
        // SAFETY: as above.
        Avx512(unsafe {
            let bits = _mm512_castps_si512(_mm512_abs_ps(self.0));
            _mm512_maskz_mov_ps(_mm512_cmpge_epi32_mask(bits, _mm512_castps_si512(bound.0)), self.0)
        })
    }
    #[inline(always)]
    fn fill_first(self, count: usize, fill: f32) -> Self {
        let first = ((1u32 << count.min(LANES)) - 1) as u16;
        // SAFETY: as above.
        Avx512(unsafe { _mm512_mask_mov_ps(self.0, first, _mm512_set1_ps(fill)) })
    }
}

/// An expression for either register: a closure would be compiled by itself, without the instruction set, and called.
macro_rules! both {
    ($i:ident => $each:expr) => {
        [
            {
                let $i = 0;
                $each
            },
            {
                let $i = 1;
                $each
            },
        ]
    };
}

/// Two registers.
#[derive(Clone, Copy)]
pub(crate) struct Avx2([__m256; 2]);

impl Avx2 {
    #[inline(always)]
    pub(crate) fn of(registers: [__m256; 2]) -> Self {
        Avx2(registers)
    }
    #[inline(always)]
    pub(crate) fn registers(self) -> [__m256; 2] {
        self.0
    }
}

// SAFETY, for every block below: `Avx2` is only used in code that runs after AVX2 and FMA were found (see the
// module), loads and stores are of 16 numbers of a slice that was just cut to 16.
impl Vector for Avx2 {
    const ACROSS: usize = 1;
    #[inline(always)]
    fn prefetch(from: &[f32], ahead: usize) {
        // SAFETY: a prefetch does nothing where its address is not there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(ahead).cast()) }
    }
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
        Avx2(both!(i => unsafe { _mm256_fmadd_ps(self.0[i], by.0[i], plus.0[i]) }))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe { _mm256_add_ps(self.0[i], other.0[i]) }))
    }
    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe { _mm256_sub_ps(self.0[i], other.0[i]) }))
    }
    #[inline(always)]
    fn multiply(self, by: Self) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe { _mm256_mul_ps(self.0[i], by.0[i]) }))
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        // As for AVX-512.
        // SAFETY: as above.
        Avx2(both!(i => unsafe { _mm256_max_ps(other.0[i], self.0[i]) }))
    }
    #[inline(always)]
    fn zero_below(self, of: Self, bound: f32) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe {
            let keep = _mm256_cmp_ps::<_CMP_NLT_UQ>(of.0[i], _mm256_set1_ps(bound));
            _mm256_and_ps(keep, self.0[i])
        }))
    }
    #[inline(always)]
    fn reciprocal(self) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe { _mm256_div_ps(_mm256_set1_ps(1.0), self.0[i]) }))
    }
    #[inline(always)]
    fn where_negative(self, of: Self, other: Self) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe {
            let negative = _mm256_cmp_ps::<_CMP_LT_OQ>(of.0[i], _mm256_setzero_ps());
            _mm256_blendv_ps(other.0[i], self.0[i], negative)
        }))
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe {
            let exponent = _mm256_add_epi32(_mm256_castps_si256(self.0[i]), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        }))
    }
    #[inline(always)]
    fn fraction(self) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe { _mm256_sub_ps(self.0[i], _mm256_floor_ps(self.0[i])) }))
    }
    #[inline(always)]
    fn times_power_of_floor(self, of: Self) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe {
            let exponent = _mm256_slli_epi32::<23>(_mm256_cvtps_epi32(_mm256_floor_ps(of.0[i])));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0[i]), exponent))
        }))
    }
    #[inline(always)]
    fn magnitude(self) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0[i]) }))
    }
    #[inline(always)]
    fn keep_reaching(self, bound: Self) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe {
            let bits = _mm256_castps_si256(_mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0[i]));
            let below = _mm256_cmpgt_epi32(_mm256_castps_si256(bound.0[i]), bits);
            _mm256_andnot_ps(_mm256_castsi256_ps(below), self.0[i])
        }))
    }
    #[inline(always)]
    fn fill_first(self, count: usize, fill: f32) -> Self {
        // SAFETY: as above.
        Avx2(both!(i => unsafe {
            let lanes = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(8 * i));
            let first = _mm256_cmpgt_epi32(_mm256_set1_epi32(count.min(LANES) as i32), lanes);
            _mm256_blendv_ps(self.0[i as usize], _mm256_set1_ps(fill), _mm256_castsi256_ps(first))
        }))
    }
}
