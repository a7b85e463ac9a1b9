//! AbsTopK's order of numbers.

/// The bits of a magnitude: those of non-negative f32 order as the numbers do.
pub(crate) const MAGNITUDE: u32 = 0x7fff_ffff;
