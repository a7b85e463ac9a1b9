//! What the programs that time kernels share.

use std::time::Instant;

use deltaloss_kernels::Isa;

/// The instruction set that the environment variable `ISA` names, else the best.
pub(crate) fn isa() -> Isa {
    std::env::var("ISA")
        .map_or(Ok(Isa::best()), |name| name.parse())
        .expect("ISA names an instruction set that this processor has")
}

/// Nanoseconds a token of so many runs (and one before them) of what does `tokens` at a time: the least and the median.
pub(crate) fn least_and_median(runs: usize, tokens: usize, mut run: impl FnMut()) -> (f64, f64) {
    run();
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e9 / tokens as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[0], times[runs / 2])
}
