//! Sixteen numbers side by side: one AVX-512 register, two of AVX2, or an array that the compiler may vectorise.
//!
//! For the kernels whose loops the compiler does not keep in registers by itself. [`dispatch`](crate::isa::dispatch)'s
//! `vector` form compiles a body once for each type here; nothing else may name [`Avx2`] or [`Avx512`], since their
//! operations are only sound (and only inlined) in code that is compiled for those instruction sets.
//! A closure, or a method without `#[inline(always)]`, is compiled by itself and without them: there each operation becomes a call
//! and each vector goes through memory, ten times as slow. `bench/score/cost.sh` shows it.

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// Sixteen f32.
pub(crate) trait Vector: Copy {
    /// Vectors that a kernel may keep side by side for each of six sums.
    const ACROSS: usize;
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
    /// 1 / the lane, within 2⁻²² relative for normal numbers up to 2¹²⁵.
    fn reciprocal(self) -> Self;
    /// `self` where `of` is negative, else `other`.
    fn where_negative(self, of: Self, other: Self) -> Self;
    /// 2ⁿ where a lane is n + 1.5·2²³, n an integer from −126 to 127.
    fn power_of_two(self) -> Self;
    /// The lane less the largest integer that is not above it, for lanes that are finite or NaN.
    fn fraction(self) -> Self;
    /// The lane times 2ⁿ, n the largest integer that is not above that of `of`, where the lane, `of` and the result are normal; NaN
    /// where the lane and `of` are.
    fn times_power_of_floor(self, of: Self) -> Self;
    /// Absolute values.
    fn magnitude(self) -> Self;
    /// Zero in the lanes where the bits of the magnitude are below those of `bound`, which is not negative.
    fn keep_reaching(self, bound: Self) -> Self;
    /// `fill` in the first `count` lanes.
    fn fill_first(self, count: usize, fill: f32) -> Self;
    /// Asks for the cache line of the number `ahead` of the first of a slice, which may lie beyond it, to be brought near.
    #[inline(always)]
    fn prefetch(_from: &[f32], _ahead: usize) {}
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

/// The largest integer that is not above a number; NaN for NaN. What has no instruction for that (`FMA` false) would call a function for each lane.
#[inline(always)]
fn floor<const FMA: bool>(x: f32) -> f32 {
    if FMA {
        return x.floor();
    }
    // 2²³ with the number's sign: added to less than itself, it leaves no room for a fraction.
    let round = 8_388_608f32.copysign(x);
    let nearest = x + round - round;
    let below = if nearest > x { nearest - 1.0 } else { nearest };
    if x.abs() < 8_388_608.0 { below } else { x }
}

impl<const FMA: bool> Vector for Portable<FMA> {
    const ACROSS: usize = 1;
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
    fn reciprocal(self) -> Self {
        Portable(self.0.map(|x| 1.0 / x))
    }
    #[inline(always)]
    fn where_negative(self, of: Self, other: Self) -> Self {
        Portable(std::array::from_fn(|lane| if of.0[lane] < 0.0 { self.0[lane] } else { other.0[lane] }))
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        Portable(self.0.map(|x| f32::from_bits(x.to_bits().wrapping_add(127) << 23)))
    }
    #[inline(always)]
    fn fraction(self) -> Self {
        Portable(self.0.map(|x| x - floor::<FMA>(x)))
    }
    #[inline(always)]
    fn times_power_of_floor(self, of: Self) -> Self {
        // Added to 1.5·2²³ an integer stands in the lowest bits.
        self.with(of, |a, of| {
            let power = (floor::<FMA>(of) + 12_582_912.0).to_bits() << 23;
            if of.is_nan() { of } else { f32::from_bits(a.to_bits().wrapping_add(power)) }
        })
    }
    #[inline(always)]
    fn magnitude(self) -> Self {
        Portable(self.0.map(f32::abs))
    }
    #[inline(always)]
    fn keep_reaching(self, bound: Self) -> Self {
        self.with(bound, |a, bound| if a.abs().to_bits() >= bound.to_bits() { a } else { 0.0 })
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
mod x86;

#[cfg(test)]
mod tests;
