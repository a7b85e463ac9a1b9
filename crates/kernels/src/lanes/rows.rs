//! From features as rows to tokens as rows.

use super::rows_of;
use crate::isa::dispatch;
use crate::vector::{LANES, Portable, Vector};

/// Turning a square of 16 x 16.
pub(super) trait Turn: Vector {
    /// The transpose of sixteen rows.
    #[inline(always)]
    fn turn(rows: [Self; LANES]) -> [Self; LANES] {
        let mut lanes = [[0.0; LANES]; LANES];
        for (lanes, row) in lanes.iter_mut().zip(rows) {
            row.store(lanes);
        }
        let mut turned = rows;
        for (i, turned) in turned.iter_mut().enumerate() {
            let mut column = [0.0; LANES];
            for j in 0..LANES {
                column[j] = lanes[j][i];
            }
            *turned = Self::load(&column);
        }
        turned
    }
}

impl<const FMA: bool> Turn for Portable<FMA> {}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{LANES, Turn};
    use crate::vector::{Avx2, Avx512};

    impl Turn for Avx2 {
        #[inline(always)]
        fn turn(rows: [Self; LANES]) -> [Self; LANES] {
            let mut out = rows;
            // Squares of 8 x 8: rows from `top` on, their register `side`.
            for top in 0..2 {
                for side in 0..2 {
                    // SAFETY: as in `vector.rs`. As below, with halves in place of quarters.
                    unsafe {
                        let (mut a, mut b) = ([_mm256_setzero_ps(); 8], [_mm256_setzero_ps(); 8]);
                        for i in 0..4 {
                            let x = rows[8 * top + 2 * i].registers()[side];
                            let y = rows[8 * top + 2 * i + 1].registers()[side];
                            b[2 * i] = _mm256_unpacklo_ps(x, y);
                            b[2 * i + 1] = _mm256_unpackhi_ps(x, y);
                        }
                        for i in 0..2 {
                            for half in 0..2 {
                                let (x, y) = (b[4 * i + half], b[4 * i + half + 2]);
                                a[4 * i + 2 * half] = _mm256_shuffle_ps::<0x44>(x, y);
                                a[4 * i + 2 * half + 1] = _mm256_shuffle_ps::<0xee>(x, y);
                            }
                        }
                        for i in 0..4 {
                            let columns = [
                                _mm256_permute2f128_ps::<0x20>(a[i], a[4 + i]),
                                _mm256_permute2f128_ps::<0x31>(a[i], a[4 + i]),
                            ];
                            for (place, column) in [i, i + 4].into_iter().zip(columns) {
                                let mut registers = out[8 * side + place].registers();
                                registers[top] = column;
                                out[8 * side + place] = Avx2::of(registers);
                            }
                        }
                    }
                }
            }
            out
        }
    }

    impl Turn for Avx512 {
        #[inline(always)]
        fn turn(rows: [Self; LANES]) -> [Self; LANES] {
            let (mut a, mut b) = (rows, rows);
            // SAFETY: as in `vector.rs`. Pairs of rows are interleaved by single lanes, by pairs of lanes, then by quarters.
            unsafe {
                for i in 0..8 {
                    let (x, y) = (a[2 * i].register(), a[2 * i + 1].register());
                    b[2 * i] = Avx512::of(_mm512_unpacklo_ps(x, y));
                    b[2 * i + 1] = Avx512::of(_mm512_unpackhi_ps(x, y));
                }
                for i in 0..4 {
                    for half in 0..2 {
                        let x = _mm512_castps_pd(b[4 * i + half].register());
                        let y = _mm512_castps_pd(b[4 * i + half + 2].register());
                        a[4 * i + 2 * half] = Avx512::of(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)));
                        a[4 * i + 2 * half + 1] = Avx512::of(_mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
                    }
                }
                for i in 0..4 {
                    let [p, q, r, s] = [a[i], a[4 + i], a[8 + i], a[12 + i]];
                    let low = _mm512_shuffle_f32x4::<0x88>(p.register(), q.register());
                    let high = _mm512_shuffle_f32x4::<0xdd>(p.register(), q.register());
                    let low_2 = _mm512_shuffle_f32x4::<0x88>(r.register(), s.register());
                    let high_2 = _mm512_shuffle_f32x4::<0xdd>(r.register(), s.register());
                    b[i] = Avx512::of(_mm512_shuffle_f32x4::<0x88>(low, low_2));
                    b[i + 8] = Avx512::of(_mm512_shuffle_f32x4::<0xdd>(low, low_2));
                    b[i + 4] = Avx512::of(_mm512_shuffle_f32x4::<0x88>(high, high_2));
                    b[i + 12] = Avx512::of(_mm512_shuffle_f32x4::<0xdd>(high, high_2));
                }
            }
            b
        }
    }
}

#[inline(always)]
fn rows_of_lanes_body<V: Turn>(x: &[f32], lanes: usize, out: &mut [f32]) {
    let features = rows_of("rows_of_lanes", x, lanes);
    assert_eq!(x.len(), out.len(), "rows_of_lanes: lengths differ");
    let whole = features / LANES * LANES;
    for first in (0..lanes).step_by(LANES) {
        for start in (0..whole).step_by(LANES) {
            let mut rows = [V::splat(0.0); LANES];
            for i in 0..LANES {
                rows[i] = V::load(&x[(start + i) * lanes + first..]);
            }
            let rows = V::turn(rows);
            for i in 0..LANES {
                rows[i].store(&mut out[(first + i) * features + start..]);
            }
        }
        for feature in whole..features {
            for lane in first..first + LANES {
                out[lane * features + feature] = x[feature * lanes + lane];
            }
        }
    }
}

dispatch! {
    /// A tile `[features][lanes]` as rows `[lanes, features]`.
    pub fn rows_of_lanes(x: &[f32], lanes: usize, out: &mut [f32]) = vector rows_of_lanes_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, transpose};

    #[test]
    fn is_the_transpose() {
        for (features, lanes) in [(1, 16), (16, 16), (50, 64), (300, 48), (0, 32)] {
            let x: Vec<f32> = (0..features * lanes).map(|i| i as f32).collect();
            for isa in Isa::available() {
                let mut out = vec![f32::NAN; x.len()];
                rows_of_lanes(isa, &x, lanes, &mut out);
                assert_eq!(out, transpose(&x, features, lanes), "{isa}: {features} x {lanes}");
            }
        }
    }
}
