//! What each operation of a training step costs: nanoseconds a token on one thread, least and median of many runs.
//! `cargo run --release -p deltaloss-kernels --example training [WORD …]` measures those whose names hold the words; `ISA=avx2`
//! in front takes another instruction set than the best.

#![allow(clippy::print_stdout, reason = "a program")]

use std::hint::black_box;

use deltaloss_kernels::*;

mod timing;

const RUNS: usize = 101;
const TOKENS: usize = 256;

/// `work`: units a token.
fn measure(name: &str, work: f64, run: impl FnMut()) {
    if !std::env::args().skip(1).all(|wanted| name.contains(&wanted)) {
        return;
    }
    let (least, median) = timing::least_and_median(RUNS, TOKENS, run);
    println!("{name:56} {least:9.1} {median:9.1} ns a token, {:7.2} units/ns", work / least);
}

fn numbers(count: usize) -> Aligned {
    let mut out = Aligned::zeros(count);
    let mut state = 1u64;
    for out in out.iter_mut() {
        // Roughly normal, of twelve uniforms.
        *out = (0..12).fold(-6.0, |sum, _| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            sum + (state >> 40) as f32 / (1u64 << 24) as f32
        });
    }
    out
}

/// The tiles of a matrix of the window.
fn tiles(features: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
    (0..TOKENS).step_by(TILE).map(move |first| (first, first * features..(first + TILE) * features))
}

/// A window's matrix of which AbsTopK kept a quarter.
fn kept_quarter(isa: Isa, features: usize) -> Aligned {
    let mut x = numbers(features * TOKENS);
    let (mut guess, mut scratch) = (SelectGuess::default(), SelectScratch::default());
    for (_, tile) in tiles(features) {
        lanes_abs_top_k(isa, &mut x[tile], TILE, features / 4, &mut guess, &mut scratch);
    }
    x
}

fn turned(isa: Isa, x: &[f32], features: usize) -> Turned {
    let mut turned = Turned::default();
    turned.prepare(features, TOKENS);
    for (first, tile) in tiles(features) {
        lanes_turn(isa, &x[tile], TILE, first, &mut turned);
    }
    turned
}

fn products(isa: Isa) {
    for (k, n) in [(128, 512), (192, 768), (768, 192), (192, 2048)] {
        let (x, d, weight) = (numbers(k * TOKENS), numbers(n * TOKENS), numbers(k * n));
        let (mut out, mut d_weight) = (numbers(n * TOKENS), vec![0.0; n * k]);
        let (packed, mut x_turned) = (Packed::new(&weight, n, k), turned(isa, &x, k));
        let flops = 2.0 * (k * n) as f64;
        measure(&format!("dense {k} x {n} (flops)"), flops, || {
            for ((_, input), (_, output)) in tiles(k).zip(tiles(n)) {
                lanes_dense_product(isa, &x[input], &packed, None, TILE, &mut out[output]);
            }
        });
        measure(&format!("weight gradient {k} x {n} (flops)"), flops, || {
            lanes_weight_gradient(isa, &d, &x_turned, 0, &mut d_weight);
        });
        measure(&format!("turn {k} (entries)"), k as f64, || {
            for (first, tile) in tiles(k) {
                lanes_turn(isa, &x[tile], TILE, first, &mut x_turned);
            }
        });
        measure(&format!("sum {n} (entries)"), n as f64, || {
            for (_, tile) in tiles(n) {
                lanes_sum(isa, &d[tile], TILE, &mut d_weight[..n]);
            }
        });
        let (d_kept, x_kept) = (kept_quarter(isa, n), turned(isa, &kept_quarter(isa, k), k));
        let (mut scratch, mut out_turned) = (KeptScratch::default(), turned(isa, &out, n));
        measure(&format!("weight gradient of a quarter {k} x {n} (dense flops)"), flops, || {
            lanes_kept_weight_gradient(isa, &d_kept, &x_turned, &mut scratch, &mut d_weight);
        });
        let panels = Panels::new(&transpose(&weight, n, k), n, k);
        measure(&format!("product of a quarter {k} x {n} (dense flops)"), flops, || {
            lanes_kept_product(isa, &x_kept, &panels, None, &mut scratch, &mut out_turned);
        });
        let sparse: Vec<f32> =
            weight.iter().enumerate().map(|(i, &w)| if i * 7 % 10 == 3 { w } else { 0.0 }).collect();
        let csr = Csr::from_dense(&sparse, n, k);
        measure(&format!("tenth of weights {k} x {n} (dense flops)"), flops, || {
            for ((_, input), (_, output)) in tiles(k).zip(tiles(n)) {
                lanes_sparse_product(isa, &x[input], &csr, None, TILE, &mut out[output]);
            }
        });
    }
}

fn attention(isa: Isa) {
    for (heads, head_width) in [(8, 16), (12, 16), (16, 8)] {
        let width = heads * head_width;
        let shape = AttentionShape { tokens: TOKENS, heads, head_width };
        for (what, qkv) in
            [("", numbers(3 * width * TOKENS)), (" of a quarter", kept_quarter(isa, 3 * width))]
        {
            let (d_out, mut out, mut d_qkv) =
                (numbers(width * TOKENS), numbers(width * TOKENS), numbers(3 * width * TOKENS));
            let mut normalisers = numbers(2 * heads * TOKENS);
            let (mut forward, mut back) = (ForwardScratch::default(), GradientScratch::default());
            // Half of the pairs, two and five products.
            let flops = 4.0 * (TOKENS * width) as f64 / 2.0;
            measure(&format!("attention{what} {heads} x {head_width} (flops)"), flops, || {
                lanes_attention_forward(isa, &qkv, None, shape, &mut forward, &mut out, &mut normalisers);
            });
            let of = Attended { qkv: &qkv, sink: None, shape, out: &out, normalisers: &normalisers };
            measure(&format!("attention gradient{what} {heads} x {head_width} (flops)"), 2.5 * flops, || {
                lanes_attention_gradient(isa, of, &d_out, &mut back, &mut d_qkv, None);
            });
        }
    }
}

fn entries(isa: Isa) {
    for width in [192, 768] {
        let (x, mut d, mut out) = (numbers(width * TOKENS), numbers(width * TOKENS), numbers(width * TOKENS));
        let (weight, mut d_weight) = (vec![1.0; width], vec![0.0; width]);
        measure(&format!("gelu with slope {width} (entries)"), width as f64, || {
            gelu_with_slope(isa, &mut d, &mut out)
        });
        measure(&format!("rms norm gradient {width} (entries)"), width as f64, || {
            for (_, tile) in tiles(width) {
                let d = (&x[tile.clone()], TILE);
                lanes_rms_norm_gradient(
                    isa,
                    &x[tile.clone()],
                    &weight,
                    1e-7,
                    d,
                    &mut out[tile],
                    &mut d_weight,
                );
            }
        });
        let (mut guess, mut scratch) = (SelectGuess::default(), SelectScratch::default());
        measure(&format!("AbsTopK {width}, with a copy (entries)"), width as f64, || {
            out.copy_from_slice(&x);
            for (_, tile) in tiles(width) {
                lanes_abs_top_k(isa, &mut out[tile], TILE, width / 4, &mut guess, &mut scratch);
            }
        });
        let mut bits = vec![0; width * TOKENS / 16];
        measure(&format!("kept bits {width} (entries)"), width as f64, || {
            for ((_, tile), bits) in tiles(width).zip(bits.chunks_mut(width * TILE / 16)) {
                lanes_kept(isa, &out[tile], TILE, width / 4, bits);
            }
        });
        measure(&format!("mask {width} (entries)"), width as f64, || lanes_mask(isa, &bits, &mut d));
    }
    let (logits, mut d) = (numbers(2048 * TILE), numbers(2048 * TILE));
    let targets = [7; TILE];
    measure("cross entropy 2048, with a copy (entries)", 2048.0, || {
        for _ in 0..TOKENS / TILE {
            d.copy_from_slice(&logits);
            black_box(lanes_cross_entropy_gradient(isa, &mut d, &targets, TILE, 1.0));
        }
    });
}

fn main() {
    let isa = timing::isa();
    println!("{isa}");
    products(isa);
    attention(isa);
    entries(isa);
}
