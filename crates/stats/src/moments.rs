//! Correlation coefficients.

#[cfg(test)]
mod tests;

/// Pearson's r of the points (x, y), each counted `weights` times where weights are given.
///
/// Two passes in double precision. Nothing where r does not exist: fewer than two points, or all x or all y
/// equal.
pub(crate) fn pearson(x: &[f64], y: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    // Asked of the values, not of their variance, which rounding may leave a little above zero.
    let constant = |values: &[f64]| values.array_windows().all(|[left, right]| left == right);
    if x.len() < 2 || constant(x) || constant(y) {
        return None;
    }
    let weight = |index: usize| weights.map_or(1.0, |weights| weights[index]);
    let (mut total, mut sum_x, mut sum_y) = (0.0, 0.0, 0.0);
    for (index, (x, y)) in x.iter().zip(y).enumerate() {
        total += weight(index);
        sum_x += weight(index) * x;
        sum_y += weight(index) * y;
    }
    let (mean_x, mean_y) = (sum_x / total, sum_y / total);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (index, (x, y)) in x.iter().zip(y).enumerate() {
        let (dx, dy) = (x - mean_x, y - mean_y);
        xx += weight(index) * dx * dx;
        yy += weight(index) * dy * dy;
        xy += weight(index) * dx * dy;
    }
    let r = xy / (xx.sqrt() * yy.sqrt());
    r.is_finite().then(|| r.clamp(-1.0, 1.0))
}

/// Each value's rank from 1; equal values share the mean of their ranks. Pearson's r of ranks is Spearman's.
#[cfg(test)]
pub(crate) fn midranks(values: &[f32]) -> Vec<f64> {
    let mut sorted: Vec<(f32, usize)> = values.iter().copied().zip(0..).collect();
    sorted.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    // −0 and 0 are next to each other in this order and equal here.
    for equal in sorted.chunk_by(|left, right| left.0 == right.0) {
        let rank = below as f64 + (equal.len() + 1) as f64 / 2.0;
        for &(_, index) in equal {
            ranks[index] = rank;
        }
        below += equal.len();
    }
    ranks
}
