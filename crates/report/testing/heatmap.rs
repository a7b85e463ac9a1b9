//! Made-up grids for the sample comparison.

use deltaloss_stats::Heatmap;

/// Points around the diagonal of log-losses, each adding a Zipf-like number of tokens.
pub(super) fn heatmap([low, high]: [f64; 2], points: u64, spread: f64, noise: f64) -> Heatmap {
    let edges: Vec<f64> = (0..=20).map(|i| low * (high / low).powf(f64::from(i) / 20.0)).collect();
    let mut counts = vec![vec![0u64; 20]; 20];
    let mut outside = 0;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut normal = move || -> f64 {
        (0..12)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1u64 << 53) as f64
            })
            .sum::<f64>()
            - 6.0
    };
    for point in 1..=points {
        let centre = 0.95 + spread * normal();
        let place = |log: f64| ((log - low.ln()) / (high / low).ln() * 20.0).floor();
        let (x, y) = (place(centre + noise * normal()), place(centre + noise * normal()));
        if (0.0..20.0).contains(&x) && (0.0..20.0).contains(&y) {
            counts[y as usize][x as usize] += 1 + 40_000 / (point * point.min(40));
        } else {
            outside += 1;
        }
    }
    Heatmap { edges_nats: edges, counts, outside }
}
