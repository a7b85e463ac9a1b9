//! Numbers on cache-line boundaries, for what inner loops read vector by vector: a load across two lines costs two.

use std::ops::{Deref, DerefMut};

/// One cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A slice of f32 that starts on a cache line.
#[derive(Clone, Debug, Default)]
pub struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

impl Aligned {
    /// So many zeros.
    pub fn zeros(len: usize) -> Self {
        Aligned { lines: vec![Line::default(); len.div_ceil(16)], len }
    }

    /// Makes it at least so long; what is in it does not matter.
    pub fn at_least(&mut self, len: usize) {
        if self.len < len {
            *self = Aligned::zeros(len);
        }
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a line is 16 f32 without padding, there are at least `len` of them in the lines, which are borrowed
        // as long as the slice is.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_on_a_line_and_has_its_length() {
        for len in [0, 1, 15, 16, 17, 100] {
            let mut numbers = Aligned::zeros(len);
            assert_eq!(numbers.len(), len);
            assert!(numbers.as_ptr().addr().is_multiple_of(64));
            numbers.iter_mut().enumerate().for_each(|(i, number)| *number = i as f32);
            let copy = numbers.clone();
            assert!(copy.as_ptr().addr().is_multiple_of(64));
            assert!(copy.iter().enumerate().all(|(i, &number)| number == i as f32));
            numbers.at_least(20);
            assert_eq!(numbers.len(), len.max(20));
        }
    }
}
