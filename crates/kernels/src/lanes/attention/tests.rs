//! Attention against the reference operation, and what it leaves out.

use super::*;
use crate::lanes::testing::{rows, tiles};
use crate::testing::{Random, assert_close_rows};
use crate::{Isa, reference};

/// The fast version on rows `[T, 3·H·D]`, giving `[T, H·D]`.
fn attend(isa: Isa, qkv: &[f32], sink: Option<&[f32]>, shape: AttentionShape) -> Vec<f32> {
    let width = shape.heads * shape.head_width;
    let tiles = tiles(qkv, 3 * width, 7.0);
    let data: Vec<f32> = tiles.iter().flat_map(|(_, tile)| tile).copied().collect();
    let mut out = vec![f32::NAN; data.len() / 3];
    let unread = vec![false; shape.heads];
    lanes_attention(isa, &data, sink, shape, &unread, &mut AttentionScratch::default(), &mut out);
    let mut start = 0;
    let mut all = Vec::new();
    for (i, (lanes, _)) in tiles.iter().enumerate() {
        let tokens = TILE.min(shape.tokens - i * TILE);
        all.extend(rows(&out[start..][..lanes * width], *lanes, tokens));
        start += lanes * width;
    }
    all
}

const SHAPES: [(usize, usize, usize); 8] =
    [(1, 1, 1), (5, 2, 3), (17, 6, 4), (33, 2, 9), (64, 3, 16), (65, 2, 8), (130, 2, 40), (256, 1, 8)];

#[test]
fn equals_the_reference() {
    let mut random = Random::new(46);
    for (tokens, heads, head_width) in SHAPES {
        let shape = AttentionShape { tokens, heads, head_width };
        for scale in [0.5, 2.0, 5.0] {
            let qkv: Vec<f32> =
                random.normals(tokens * 3 * heads * head_width).iter().map(|v| v * scale).collect();
            let sink: Vec<f32> = random.normals(heads).iter().map(|v| v * scale * scale).collect();
            for sink in [None, Some(&sink[..])] {
                let expected = reference::causal_attention(&qkv, sink, shape);
                for isa in Isa::available() {
                    let out = attend(isa, &qkv, sink, shape);
                    assert_close_rows(&out, &expected, expected.len(), 1e-5, isa);
                }
            }
        }
    }
}

/// Sparse queries and keys, some blocks of which are zero in all features of a head, and some features in all keys.
#[test]
fn what_is_zero_is_left_out_exactly() {
    let mut random = Random::new(47);
    for (tokens, heads, d) in SHAPES {
        let shape = AttentionShape { tokens, heads, head_width: d };
        let width = heads * d;
        let mut qkv = random.normals(tokens * 3 * width);
        for (t, row) in qkv.chunks_exact_mut(3 * width).enumerate() {
            for (i, value) in row.iter_mut().enumerate() {
                let (part, feature) = (i / width, i % width);
                let block_is_zero = part == 0 && (t / 32 + feature / d) % 2 == 0;
                let key_is_zero = part == 1 && feature % 3 == 1;
                if block_is_zero || key_is_zero || random.uniform() < 0.75 {
                    *value = 0.0;
                }
            }
        }
        let sink = random.normals(heads);
        for sink in [None, Some(&sink[..])] {
            let expected = reference::causal_attention(&qkv, sink, shape);
            for isa in Isa::available() {
                let out = attend(isa, &qkv, sink, shape);
                assert_close_rows(&out, &expected, expected.len(), 1e-5, isa);
            }
        }
    }
}

#[test]
fn a_token_does_not_depend_on_later_ones() {
    let mut random = Random::new(48);
    let (heads, head_width) = (2, 8);
    let row = 3 * heads * head_width;
    // Scores whose bounds are all small, some of them, and none.
    for scale in [1.0, 2.5, 30.0] {
        let qkv: Vec<f32> = random.normals(200 * row).iter().map(|v| v * scale).collect();
        for isa in Isa::available() {
            let all = attend(isa, &qkv, None, AttentionShape { tokens: 200, heads, head_width });
            for tokens in [1, 16, 31, 64, 65, 130, 199] {
                let shape = AttentionShape { tokens, heads, head_width };
                let few = attend(isa, &qkv[..tokens * row], None, shape);
                assert_eq!(few, all[..few.len()], "{isa}: {tokens} tokens, scale {scale}");
            }
        }
    }
}

/// As in the reference, zero times infinity is no number, though AbsTopK zeroed every query's entry.
#[test]
fn what_is_zero_does_not_leave_out_what_is_not_finite() {
    let mut random = Random::new(53);
    let shape = AttentionShape { tokens: 100, heads: 1, head_width: 4 };
    for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let mut qkv = random.normals(100 * 12);
        qkv.chunks_exact_mut(12).for_each(|token| token[2] = 0.0);
        qkv[40 * 12 + 4 + 2] = bad;
        for isa in Isa::available() {
            let out = attend(isa, &qkv, None, shape);
            assert!(out[..32 * 4].iter().all(|v| v.is_finite()), "{isa}: {bad}");
            assert!(out[40 * 4..].iter().all(|v| v.is_nan()), "{isa}: {bad}");
        }
    }
}

#[test]
fn a_bound_that_cannot_be_computed_is_not_taken_for_a_small_one() {
    let shape = AttentionShape { tokens: 3, heads: 1, head_width: 1 };
    // |query|² is zero in f32 and |key|² infinite; the scores are 0, 1e7 and 5e6.
    let qkv = [1e-23, 0.0, 1.0, 1e-23, 1e30, 2.0, 1e-23, 5e29, 3.0];
    let expected = reference::causal_attention(&qkv, None, shape);
    for isa in Isa::available() {
        assert_close_rows(&attend(isa, &qkv, None, shape), &expected, expected.len(), 1e-5, isa);
    }
}

#[test]
fn heads_that_nothing_reads_are_zero_whatever_was_there() {
    let mut random = Random::new(49);
    let shape = AttentionShape { tokens: 20, heads: 2, head_width: 4 };
    let (lanes, tile) = tiles(&random.normals(20 * 24), 24, 0.0).remove(0);
    for isa in Isa::available() {
        let mut out = vec![f32::NAN; lanes * 8];
        let scratch = &mut AttentionScratch::default();
        lanes_attention(isa, &tile, None, shape, &[true, false], scratch, &mut out);
        assert!(
            out[..4 * lanes].iter().all(|&v| v == 0.0) && out[4 * lanes..].iter().all(|&v| v.is_finite())
        );
    }
}

#[test]
fn a_poisoned_key_or_value_is_seen_from_its_token_on() {
    let shape = AttentionShape { tokens: 40, heads: 1, head_width: 2 };
    for isa in Isa::available() {
        for part in [2, 4] {
            let mut qkv = vec![1.0; 40 * 6];
            qkv[35 * 6 + part..][..2].fill(f32::NAN); // token 35's key or value
            let out = attend(isa, &qkv, None, shape);
            assert!(out[..32 * 2].iter().all(|v| v.is_finite()), "{isa}: {out:?}");
            assert!(out[35 * 2..].iter().all(|v| v.is_nan()), "{isa}: {out:?}");
        }
    }
}
