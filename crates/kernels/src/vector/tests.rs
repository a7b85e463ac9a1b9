//! Every operation on every instruction set.

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
        V::splat(1.25).times_power_of_floor(V::splat(-2.25)),
        V::splat(-1.25).times_power_of_floor(V::splat(3.0)),
        V::splat(f32::NAN).times_power_of_floor(V::splat(f32::NAN)),
        V::splat(-2.25).fraction(),
        V::splat(-3.0).fraction(),
        V::splat(f32::NAN).fraction(),
        V::splat(4.0).reciprocal(),
        b.where_negative(a, V::splat(2.0)),
        a.magnitude(),
        a.keep_reaching(V::splat(2.0)),
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
                1.25 / 8.0,
                -10.0,
                f32::NAN,
                0.75,
                0.0,
                f32::NAN,
                0.25,
                if a < 0.0 { b } else { 2.0 },
                a.abs(),
                if a.is_nan() || a.abs() >= 2.0 { a } else { 0.0 },
                a,
                if lane < 5 { 9.0 } else { a },
                9.0,
            ];
            for (operation, expected) in expected.into_iter().enumerate() {
                let found = out[operation][lane];
                assert!(
                    found == expected || (found.is_nan() && expected.is_nan()),
                    "{isa}: operation {operation}, lane {lane}: {found}, not {expected}"
                );
            }
        }
    }
}

#[inline(always)]
fn powers_body<V: Vector>(of: &[f32], out: &mut [f32]) {
    V::load(of).fraction().times_power_of_floor(V::load(of)).store(out);
}

dispatch! { fn powers(of: &[f32], out: &mut [f32]) = vector powers_body }

#[test]
fn a_number_that_is_none_stays_so_whatever_its_bits() {
    let bits = [
        0x7fc0_0000,
        0x7fc0_0001,
        0xffc0_0001,
        0x7fff_ffff,
        0xffff_ff80,
        0x7fe0_0123,
        0x7fc0_01ff,
        0xffc0_0100,
    ];
    let of: Vec<f32> = bits.iter().chain(&bits).map(|&bits| f32::from_bits(bits)).collect();
    for isa in crate::Isa::available() {
        let mut out = [0.0; LANES];
        powers(isa, &of, &mut out);
        assert!(out.iter().all(|v| v.is_nan()), "{isa}: {out:?}");
    }
}
