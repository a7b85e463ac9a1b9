//! The generator behind the resamples.
//!
//! Our own, since results are to stay the same bit for bit whatever a crate's next version does: SplitMix64
//! (Steele, Lea and Flood 2014), a counter hashed by two multiplications. Its period of 2⁶⁴ is far
//! beyond the documents times replicates drawn here.

/// A stream of random numbers.
pub(crate) struct Draws {
    state: u64,
}

impl Draws {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Draws { state: seed }
    }

    /// The next 64 random bits.
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A whole number below `bound`, each equally likely; `bound` must not be 0.
    ///
    /// The high half of a product (Lemire 2019), drawn again where the low half falls within what would favour some numbers.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            let low = product as u64;
            // The slow remainder, which is below `bound`, is needed for few draws.
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 64) as usize;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        // The published reference values for seed 1234567.
        let mut draws = Draws::new(1_234_567);
        let found = [draws.next(), draws.next(), draws.next()];
        assert_eq!(found, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn every_number_is_as_likely() {
        let mut draws = Draws::new(7);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[draws.below(7)] += 1;
        }
        // Chi-squared with 6 degrees of freedom: above 22.46 once in a thousand seeds.
        let chi: f64 = counts.iter().map(|&count| (f64::from(count) - 1e4).powi(2) / 1e4).sum();
        assert!(chi < 22.46, "{chi}: {counts:?}");
        assert_eq!(draws.below(1), 0);
    }
}
