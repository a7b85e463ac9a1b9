//! Where a sparse product overtakes the dense one: nanoseconds a token, median of many runs, by share of nonzero
//! weights. `cargo run --release -p deltaloss-kernels --example density`; `ISA=avx2` in front
//! takes another instruction set than the best.

#![allow(clippy::print_stdout, reason = "a program")]

use deltaloss_kernels::{Aligned, Csr, Packed, TILE, lanes_dense_product, lanes_sparse_product};

mod timing;

const RUNS: usize = 41;

fn median_ns(run: impl FnMut()) -> f64 {
    timing::least_and_median(RUNS, TILE, run).1
}

fn main() {
    let isa = timing::isa();
    println!("instruction set {isa}, {TILE} tokens, ns a token");
    println!("{:>12}  {:>8}  {:>8}  {:>8}", "K x N", "density", "sparse", "dense");
    for (k, n) in [(192, 576), (192, 768), (768, 192), (1024, 3072), (1024, 4096), (4096, 1024)] {
        let mut x = Aligned::zeros(TILE * k);
        x.iter_mut().enumerate().for_each(|(i, x)| *x = (i as f32 * 0.618).fract() - 0.5);
        let mut out = Aligned::zeros(TILE * n);
        for percent in [0.1, 1.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 100.0] {
            let keep = |i: usize| {
                let random = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                (random as f64) < percent / 100.0 * 2f64.powi(32)
            };
            let weight: Vec<f32> = (0..n * k).map(|i| if keep(i) { 0.1 } else { 0.0 }).collect();
            let csr = Csr::from_dense(&weight, n, k);
            let packed = Packed::new(&weight, n, k);
            let sparse = median_ns(|| lanes_sparse_product(isa, &x, &csr, None, TILE, &mut out));
            let dense = median_ns(|| lanes_dense_product(isa, &x, &packed, None, TILE, &mut out));
            println!("{:>12}  {percent:>6} %  {sparse:>8.0}  {dense:>8.0}", format!("{k} x {n}"));
        }
    }
}
