//! The projection after each step: every weight matrix, bias and embedding keeps its entries of largest magnitude, and
//! each neuron of an attention or MLP matrix at least a few, whatever their magnitude.

use rayon::prelude::*;

use crate::layout::{Kind, Layout};

const MAGNITUDE: u32 = 0x7fff_ffff;

/// Projects every matrix, bias and embedding to `floor(fraction · size)` entries.
pub(crate) fn project(layout: &Layout, fraction: f64, min_alive_per_neuron: usize, parameters: &mut [f32]) {
    if fraction >= 1.0 {
        return;
    }
    let mut rest = parameters;
    let mut jobs = Vec::new();
    for parameter in layout.parameters() {
        let (own, behind) = rest.split_at_mut(parameter.range.len());
        rest = behind;
        jobs.push((parameter, own));
    }
    jobs.into_par_iter().with_max_len(1).for_each(|(parameter, values)| {
        let kept = (fraction * values.len() as f64).floor() as usize;
        let columns = parameter.shape.last().copied().unwrap_or(1);
        match parameter.kind {
            Kind::NeuronRows => keep_with_alive(values, columns, kept, min_alive_per_neuron, Neurons::Rows),
            Kind::NeuronColumns => {
                keep_with_alive(values, columns, kept, min_alive_per_neuron, Neurons::Columns);
            }
            Kind::Embedding | Kind::Bias => keep_with_alive(values, columns, kept, 0, Neurons::Rows),
            Kind::Plain | Kind::NormWeight | Kind::BigramTable | Kind::Positions | Kind::Frozen => {}
        }
    });
}

/// Which side of a matrix its neurons are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Neurons {
    Rows,
    Columns,
}

/// What stays whatever its magnitude, among magnitudes: larger than any.
const SAFE: u32 = u32::MAX;

/// Keeps the `alive` largest entries of each neuron, then the largest of the others up to `kept` in all (more only if
/// the neurons alone need more). Of equal magnitudes the lower index stays.
fn keep_with_alive(values: &mut [f32], columns: usize, kept: usize, alive: usize, neurons: Neurons) {
    if kept >= values.len() {
        return;
    }
    let mut magnitudes: Vec<u32> = values.iter().map(|value| value.to_bits() & MAGNITUDE).collect();
    let safe = match neurons {
        _ if alive == 0 => Vec::new(),
        Neurons::Rows => largest_of_rows(&magnitudes, columns, alive),
        Neurons::Columns => largest_of_columns(&magnitudes, columns, alive),
    };
    for &i in &safe {
        magnitudes[i] = SAFE;
    }
    let free = kept.saturating_sub(safe.len());
    // Nothing reaches SAFE but what is safe.
    let (threshold, mut tied) = if free == 0 { (SAFE - 1, 0) } else { threshold(&magnitudes, free) };
    for (value, magnitude) in values.iter_mut().zip(magnitudes) {
        if magnitude == threshold && tied > 0 {
            tied -= 1;
        } else if magnitude <= threshold {
            *value = 0.0;
        }
    }
}

/// The `k`-th largest of the magnitudes that are not `SAFE` (k > 0), and how many entries that equal it are among the k largest. Radix
/// selection by 11, 10 and 10 bits from the top: exact, three passes.
fn threshold(magnitudes: &[u32], k: usize) -> (u32, usize) {
    let (mut prefix, mut left) = (0u32, k);
    let mut fixed_bits = 1; // the sign
    for bits in [11, 10, 10] {
        let shift = 32 - fixed_bits - bits;
        // Neighbours are often in one bin: they are counted apart, so that none waits for the one before.
        let mut counts = vec![[0u32; APART]; 1 << bits];
        let mut count = |apart: usize, magnitude: u32| {
            // Also where it is SAFE, of which the first bit is not the sign's.
            if magnitude >> (shift + bits) == prefix {
                counts[(magnitude >> shift) as usize & ((1 << bits) - 1)][apart] += 1;
            }
        };
        let whole = magnitudes.chunks_exact(APART);
        whole.remainder().iter().for_each(|&magnitude| count(0, magnitude));
        for magnitudes in whole {
            for (apart, &magnitude) in magnitudes.iter().enumerate() {
                count(apart, magnitude);
            }
        }
        let total = |counts: &[u32; APART]| counts.iter().map(|&count| count as usize).sum::<usize>();
        let mut digit = counts.len() - 1;
        while digit > 0 && total(&counts[digit]) < left {
            left -= total(&counts[digit]);
            digit -= 1;
        }
        prefix = (prefix << bits) | digit as u32;
        fixed_bits += bits;
    }
    (prefix, left)
}

/// Counts kept of each bin.
const APART: usize = 4;

/// The places of the `alive` largest entries of each row.
fn largest_of_rows(magnitudes: &[u32], columns: usize, alive: usize) -> Vec<usize> {
    let (mut places, mut best) = (Vec::new(), Vec::new());
    for (r, row) in magnitudes.chunks(columns).enumerate() {
        best.clear();
        let mut least = None;
        for (i, &magnitude) in row.iter().enumerate() {
            if least.is_none_or(|least| magnitude > least) {
                least = insert(&mut best, alive, magnitude, r * columns + i);
            }
        }
        places.extend(best.iter().map(|&(_, place)| place));
    }
    places
}

/// The places of the `alive` largest entries of each column.
fn largest_of_columns(magnitudes: &[u32], columns: usize, alive: usize) -> Vec<usize> {
    let mut best = vec![Vec::new(); columns];
    // What an entry must exceed, side by side; before a column has enough nothing is asked of it.
    let mut least = vec![None; columns];
    for (r, row) in magnitudes.chunks(columns).enumerate() {
        for (c, (&magnitude, least)) in row.iter().zip(&mut least).enumerate() {
            if least.is_none_or(|least| magnitude > least) {
                *least = insert(&mut best[c], alive, magnitude, r * columns + c);
            }
        }
    }
    best.iter().flatten().map(|&(_, place)| place).collect()
}

/// Keeps `best` sorted, largest first, at most `alive` long; an equal magnitude that came earlier stays. Gives the least, once there are
/// enough.
fn insert(best: &mut Vec<(u32, usize)>, alive: usize, magnitude: u32, place: usize) -> Option<u32> {
    let at = best.iter().position(|&(other, _)| other < magnitude).unwrap_or(best.len());
    best.insert(at, (magnitude, place));
    best.truncate(alive);
    best.last().filter(|_| best.len() == alive).map(|&(least, _)| least)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By sorting.
    fn plain(values: &[f32], columns: usize, kept: usize, alive: usize, neurons: Neurons) -> Vec<f32> {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&i, &j| values[j].abs().total_cmp(&values[i].abs()).then(i.cmp(&j)));
        let neuron = |i: usize| if neurons == Neurons::Rows { i / columns } else { i % columns };
        let mut stays = vec![false; values.len()];
        let mut of_neuron = vec![0; values.len() + 1];
        for &i in &order {
            if of_neuron[neuron(i)] < alive {
                of_neuron[neuron(i)] += 1;
                stays[i] = true;
            }
        }
        let mut count = stays.iter().filter(|&&s| s).count();
        for &i in &order {
            if count < kept && !stays[i] {
                stays[i] = true;
                count += 1;
            }
        }
        values.iter().zip(stays).map(|(&v, s)| if s { v } else { 0.0 }).collect()
    }

    proptest! {
        #[test]
        fn equals_sorting(
            values in prop::collection::vec(prop_oneof![-3f32..3.0, Just(0.0), Just(1.0), Just(-1.0)], 1..24),
            columns in 1usize..9,
            fraction in 0.0..1.0,
            alive in 0usize..5,
            by_rows: bool,
        ) {
            let rows = values.len().div_ceil(columns);
            let values: Vec<f32> = values.iter().copied().cycle().take(rows * columns).collect();
            let kept = (fraction * values.len() as f64) as usize;
            let neurons = if by_rows { Neurons::Rows } else { Neurons::Columns };
            let mut fast = values.clone();
            keep_with_alive(&mut fast, columns, kept, alive, neurons);
            prop_assert_eq!(fast, plain(&values, columns, kept, alive, neurons));
        }
    }

    #[test]
    fn a_weak_neuron_stays_alive() {
        let mut values = [9.0, 8.0, 7.0, 0.1, 0.3, 0.2];
        keep_with_alive(&mut values, 3, 3, 1, Neurons::Rows);
        assert_eq!(values, [9.0, 8.0, 0.0, 0.0, 0.3, 0.0]);
        let mut values = [9.0, 0.1, 8.0, 0.3];
        keep_with_alive(&mut values, 2, 0, 1, Neurons::Columns);
        assert_eq!(values, [9.0, 0.0, 0.0, 0.3]);
    }
}
