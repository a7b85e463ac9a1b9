//! What the blocks of ggml's types stand for (`ggml-common.h` and `ggml-quants.c` define them).

/// Turns one block's bytes into its weights.
pub(super) type Unpack = fn(&[u8], &mut [f32]);

/// How to unpack a type of tensor, by its number; nothing for those that are f32 or cannot be unpacked here.
pub(super) fn unpack(kind: u32) -> Option<Unpack> {
    Some(match kind {
        1 => |block, out| out[0] = half(&block[0..2]),
        2 => |block, out| quants_of_four(&block[2..], out, half(&block[0..2]), -8.0, 0.0),
        3 => |block, out| quants_of_four(&block[4..], out, half(&block[0..2]), 0.0, half(&block[2..4])),
        6 => |block, out| quants_of_five(&block[2..], out, half(&block[0..2]), -16.0, 0.0),
        7 => |block, out| quants_of_five(&block[4..], out, half(&block[0..2]), 0.0, half(&block[2..4])),
        8 => quants_of_eight,
        12 => |block, out| superblock(block, out, None),
        13 => |block, out| superblock(block, out, Some(&block[16..48])),
        14 => superblock_of_six,
        30 => |block, out| out[0] = half::bf16::from_le_bytes([block[0], block[1]]).to_f32(),
        39 => four_bit_floats,
        _ => return None,
    })
}

fn half(bytes: &[u8]) -> f32 {
    half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// Q4_0 and Q4_1: 32 weights, the low halves of 16 bytes and then the high ones.
fn quants_of_four(quants: &[u8], out: &mut [f32], scale: f32, zero: f32, least: f32) {
    for (i, &byte) in quants[..16].iter().enumerate() {
        out[i] = scale * (f32::from(byte & 15) + zero) + least;
        out[i + 16] = scale * (f32::from(byte >> 4) + zero) + least;
    }
}

/// Q5_0 and Q5_1: the fifth bits of all 32 come first.
fn quants_of_five(quants: &[u8], out: &mut [f32], scale: f32, zero: f32, least: f32) {
    let high = |i: usize| (quants[i / 8] >> (i % 8) & 1) << 4;
    for (i, &byte) in quants[4..20].iter().enumerate() {
        out[i] = scale * (f32::from(byte & 15 | high(i)) + zero) + least;
        out[i + 16] = scale * (f32::from(byte >> 4 | high(i + 16)) + zero) + least;
    }
}

/// Q8_0: a scale and 32 signed bytes.
fn quants_of_eight(block: &[u8], out: &mut [f32]) {
    let scale = half(&block[0..2]);
    for (weight, &quant) in out.iter_mut().zip(&block[2..34]) {
        *weight = scale * f32::from(quant.cast_signed());
    }
}

/// Q4_K and, with a fifth bit for each, Q5_K: eight groups of 32, whose scales and minima have six bits each.
fn superblock(block: &[u8], out: &mut [f32], fifth: Option<&[u8]>) {
    let (scale, least) = (half(&block[0..2]), half(&block[2..4]));
    let packed = &block[4..16];
    let quants = &block[if fifth.is_some() { 48 } else { 16 }..];
    for group in 0..8 {
        let (group_scale, group_least) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            let (low, a, b) = (packed[group + 4], packed[group - 4] >> 6, packed[group] >> 6);
            (low & 15 | a << 4, low >> 4 | b << 4)
        };
        let (scale, least) = (scale * f32::from(group_scale), least * f32::from(group_least));
        for i in 0..32 {
            let byte = quants[group / 2 * 32 + i];
            let low = if group % 2 == 0 { byte & 15 } else { byte >> 4 };
            let high = fifth.map_or(0, |bits| (bits[i] >> group & 1) << 4);
            out[group * 32 + i] = scale * f32::from(low | high) - least;
        }
    }
}

/// Q6_K: 256 weights of six bits, four and two of them apart, and a scale for each 16.
fn superblock_of_six(block: &[u8], out: &mut [f32]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let scale = half(&block[208..210]);
    for (at, weight) in out.iter_mut().enumerate() {
        let (half, within) = (at / 128, at % 128);
        let byte = low[half * 64 + within % 64];
        let four = if within < 64 { byte & 15 } else { byte >> 4 };
        let two = high[half * 32 + within % 32] >> (within / 32 * 2) & 3;
        let quant = f32::from(four | two << 4) - 32.0;
        *weight = scale * f32::from(scales[at / 16].cast_signed()) * quant;
    }
}

/// MXFP4: an exponent and 32 floats of four bits (OCP Microscaling Formats 1.0, E8M0 and E2M1).
fn four_bit_floats(block: &[u8], out: &mut [f32]) {
    const VALUES: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let value =
        |bits: u8| if bits & 8 == 0 { VALUES[usize::from(bits)] } else { -VALUES[usize::from(bits & 7)] };
    let scale = (f64::from(block[0]) - 127.0).exp2() as f32;
    for (i, &byte) in block[1..17].iter().enumerate() {
        out[i] = scale * value(byte & 15);
        out[i + 16] = scale * value(byte >> 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::kinds::TENSOR_TYPES;

    /// Random blocks with what the Python package gguf makes of them (`fixtures/gguf/make.py`).
    #[test]
    fn blocks_stand_for_what_the_gguf_package_says() {
        let folder = std::env::var_os("DELTALOSS_FIXTURES").map_or_else(
            || std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures"),
            std::path::PathBuf::from,
        );
        let text = std::fs::read_to_string(folder.join("gguf/blocks.json")).unwrap();
        let cases: Vec<(u32, Vec<u8>, Vec<f32>)> = serde_json::from_str(&text).unwrap();
        let mut seen = Vec::new();
        for (kind, bytes, expected) in cases {
            let known = TENSOR_TYPES.iter().find(|known| known.id == kind).unwrap();
            let unpack = unpack(kind).unwrap();
            let mut values = vec![0f32; expected.len()];
            let blocks = bytes.chunks_exact(known.block_bytes as usize);
            assert_eq!(blocks.len() * known.block as usize, expected.len(), "{}", known.name);
            for (block, values) in blocks.zip(values.chunks_exact_mut(known.block as usize)) {
                unpack(block, values);
            }
            for (at, (value, due)) in values.iter().zip(&expected).enumerate() {
                // The order of multiplications is free: two roundings.
                assert!(
                    (value - due).abs() <= 3e-7 * due.abs().max(1e-3),
                    "{} {at}: {value}, not {due}",
                    known.name
                );
            }
            seen.push(kind);
        }
        let known = (0..64).filter(|&kind| unpack(kind).is_some()).collect::<Vec<u32>>();
        assert_eq!(seen, known, "every type that is unpacked is tested");
    }
}
