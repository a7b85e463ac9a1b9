//! What each operation of a model costs: nanoseconds a token on one thread, least and median of many runs.
//! `cargo run --release -p deltaloss-kernels --example lanes [WORD …]` measures those whose
//! names hold the words; `ISA=avx2` in front takes another instruction set than the best.

#![allow(clippy::print_stdout, reason = "a program")]

use std::hint::black_box;

use deltaloss_kernels::*;

mod timing;

const RUNS: usize = 201;

fn measure(name: &str, work: f64, run: impl FnMut()) {
    if !std::env::args().skip(1).all(|wanted| name.contains(&wanted)) {
        return;
    }
    let (least, median) = timing::least_and_median(RUNS, TILE, run);
    println!("{name:40} {least:9.1} {median:9.1} ns a token, {:7.2} units/ns", work / least);
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

fn main() {
    let isa = timing::isa();
    println!("{isa}");
    for (k, n) in [(256, 1024), (512, 1536), (1024, 4096)] {
        let (x, weight, mut out) = (numbers(k * TILE), numbers(k * n), numbers(n * TILE));
        let packed = Packed::new(&weight, n, k);
        measure(&format!("dense {k} x {n} (units: flops)"), 2.0 * (k * n) as f64, || {
            lanes_dense_product(isa, &x, &packed, None, TILE, &mut out);
        });
        for share in [0.01, 0.034, 0.1, 0.2] {
            let kept: Vec<f32> = weight
                .iter()
                .enumerate()
                .map(|(i, &w)| if (i as f64 * 0.618_033_988_75).fract() < share { w } else { 0.0 })
                .collect();
            let csr = Csr::from_dense(&kept, n, k);
            measure(&format!("sparse {share} {k} x {n} (flops)"), 2.0 * csr.nonzero() as f64, || {
                lanes_sparse_product(isa, &x, &csr, None, TILE, &mut out);
            });
        }
    }
    for width in [192, 1024, 4096] {
        let (fresh, mut x) = (numbers(width * TILE), numbers(width * TILE));
        let (mut guess, mut scratch) = (SelectGuess::default(), SelectScratch::default());
        measure(&format!("copy {width} (entries)"), width as f64, || {
            black_box(&mut x).copy_from_slice(&fresh)
        });
        measure(&format!("AbsTopK {width}, with the copy (entries)"), width as f64, || {
            x.copy_from_slice(&fresh);
            lanes_abs_top_k(isa, &mut x, TILE, width / 4, &mut guess, &mut scratch);
        });
        measure(&format!("gelu {width}, with the copy (entries)"), width as f64, || {
            x.copy_from_slice(&fresh);
            gelu(isa, &mut x);
        });
        let weight = vec![1.0; width];
        let mut out = numbers(width * TILE);
        measure(&format!("rms norm {width} (entries)"), width as f64, || {
            lanes_rms_norm(isa, &x, &weight, 1e-7, TILE, &mut out);
        });
    }
    for (heads, d) in [(128, 8), (64, 16), (16, 16)] {
        let (tokens, width) = (256, heads * d);
        let (qkv, mut out) = (numbers(tokens * 3 * width), numbers(tokens * width));
        let mut scratch = AttentionScratch::default();
        let unread = vec![false; heads];
        let shape = AttentionShape { tokens, heads, head_width: d };
        measure(&format!("4 tiles: attention {heads} x {d} (pairs)"), 4.0 * 128.5 * heads as f64, || {
            lanes_attention(isa, &qkv, None, shape, &unread, &mut scratch, &mut out);
        });
    }
    let logits = numbers(2048 * TILE);
    let mut rows = numbers(2048 * TILE);
    measure("transpose 2048 (entries)", 2048.0, || rows_of_lanes(isa, &logits, TILE, &mut rows));
    measure("loss 2048 (entries)", 2048.0, || {
        for row in rows.chunks_exact(2048) {
            black_box(loss_row(isa, row, 7));
        }
    });
}
