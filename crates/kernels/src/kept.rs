//! Products whose one operand is mostly zero because AbsTopK made it so: what was kept is multiplied, the zeros are not.
//!
//! A row's kept entries are scattered, so a product gathers rows of the other operand: each kept entry is one broadcast
//! multiply-add over 64 columns, which stay in registers. The other operand is cut into panels of 64 columns and blocks of 128
//! rows that fit the first-level cache. Entries that were not kept are not read, so a NaN there, or one that they would
//! have met, does not reach the result.

use crate::aligned::Aligned;
use crate::isa::{Isa, dispatch};
use crate::vector::{LANES, Vector};

/// Columns of a panel.
const PANEL: usize = 64;
/// Vectors of a panel.
const ACROSS: usize = PANEL / LANES;
/// Rows of a panel that are worked through together: 32 KB.
const BLOCK: usize = 128;

/// Which entries of each row of a matrix `[T, width]` AbsTopK kept: as many in every row.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    width: usize,
    per_row: usize,
    /// `[T, per_row]`, ascending in each row.
    columns: Vec<u32>,
}

impl Kept {
    /// Reads a mask `[T, width]` (see [`abs_top_k_mask`](crate::abs_top_k_mask)) with `per_row` ones in every row.
    pub fn fill(&mut self, isa: Isa, mask: &[u8], width: usize, per_row: usize) {
        assert!(
            width > 0 && mask.len().is_multiple_of(width),
            "Kept: {} entries in rows of {width}",
            mask.len()
        );
        let tokens = mask.len() / width;
        (self.width, self.per_row) = (width, per_row);
        // Room for what is written behind the last.
        self.columns.resize(tokens * per_row + LANES, 0);
        fill_columns(isa, mask, width, per_row, &mut self.columns);
        self.columns.truncate(tokens * per_row);
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.columns.clear();
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    fn rows(&self) -> std::slice::ChunksExact<'_, u32> {
        self.columns.chunks_exact(self.per_row.max(1))
    }
}

#[inline(always)]
fn fill_columns_body<V: Vector>(mask: &[u8], width: usize, per_row: usize, columns: &mut [u32]) {
    for (t, mask) in mask.chunks_exact(width).enumerate() {
        let mut next = t * per_row;
        let mut whole = mask.chunks_exact(LANES);
        let mut first = 0;
        for ones in &mut whole {
            next += V::places(ones, first, &mut columns[next..]);
            first += LANES as u32;
        }
        for &one in whole.remainder() {
            columns[next] = first;
            first += 1;
            next += usize::from(one == 1);
        }
        assert_eq!(next, (t + 1) * per_row, "Kept: row {t} of the mask has not {per_row} ones");
    }
}

dispatch! {
    /// [`Kept::fill`]'s work.
    fn fill_columns(mask: &[u8], width: usize, per_row: usize, columns: &mut [u32]) = vector fill_columns_body
}

/// A matrix `[K, N]` in panels, ready to be multiplied by many rows.
#[derive(Clone, Debug, Default)]
pub struct Panels {
    rows: usize,
    columns: usize,
    /// `[panels][K][PANEL]`; beyond N zero.
    panels: Aligned,
}

impl Panels {
    /// Cuts a row-major `[rows, columns]` matrix.
    pub fn new(matrix: &[f32], rows: usize, columns: usize) -> Self {
        assert_eq!(matrix.len(), rows * columns, "Panels: matrix is not [{rows}, {columns}]");
        let mut panels = Aligned::zeros(columns.div_ceil(PANEL) * rows * PANEL);
        if rows > 0 {
            for (index, panel) in panels.chunks_exact_mut(rows * PANEL).enumerate() {
                copy_columns(matrix, columns, index * PANEL, panel);
            }
        }
        Panels { rows, columns, panels }
    }
}

/// Copies columns `first..` of a matrix in rows of `width` to a panel, as many rows as that has.
#[inline(always)]
fn copy_columns(matrix: &[f32], width: usize, first: usize, panel: &mut [f32]) {
    let count = PANEL.min(width - first);
    let rows = matrix.chunks_exact(width).zip(panel.chunks_exact_mut(PANEL));
    if count == PANEL {
        for (row, panel) in rows {
            // A length that is known needs no call.
            panel[..PANEL].copy_from_slice(&row[first..][..PANEL]);
        }
        return;
    }
    for (row, panel) in rows {
        panel[..count].copy_from_slice(&row[first..][..count]);
        panel[count..].fill(0.0);
    }
}

/// Room for products of kept entries, reused between calls.
#[derive(Clone, Debug, Default)]
pub struct KeptScratch {
    /// Where each row's entries of each block begin, `[T][blocks + 1]`; or where a column's tokens begin, `[N + 1]`.
    starts: Vec<u32>,
    /// Tokens by column.
    tokens: Vec<u32>,
    /// Kept values, by row or by column.
    values: Vec<f32>,
    panel: Aligned,
}

type Sums<V> = [V; ACROSS];

// Closures are avoided in what follows: one that is not inlined is not compiled for the instruction set.

/// A row's columns of a panel from `first` on; beyond the row's end zeros.
#[inline(always)]
fn load<V: Vector>(row: &[f32], first: usize) -> Sums<V> {
    let own = &row[first..];
    let mut sums = [V::splat(0.0); ACROSS];
    if own.len() >= PANEL {
        for v in 0..ACROSS {
            sums[v] = V::load(&own[v * LANES..]);
        }
    } else {
        let mut whole = [0.0; PANEL];
        whole[..own.len()].copy_from_slice(own);
        for v in 0..ACROSS {
            sums[v] = V::load(&whole[v * LANES..]);
        }
    }
    sums
}

/// Writes what [`load`] reads.
#[inline(always)]
fn store<V: Vector>(sums: Sums<V>, row: &mut [f32], first: usize) {
    let own = &mut row[first..];
    if own.len() >= PANEL {
        for v in 0..ACROSS {
            sums[v].store(&mut own[v * LANES..]);
        }
    } else {
        let mut whole = [0.0; PANEL];
        for v in 0..ACROSS {
            sums[v].store(&mut whole[v * LANES..]);
        }
        own.copy_from_slice(&whole[..own.len()]);
    }
}

/// `sums += value·panel[row]`.
#[inline(always)]
fn add_row<V: Vector>(sums: &mut Sums<V>, value: f32, row: u32, panel: &[f32]) {
    let (value, row) = (V::splat(value), &panel[row as usize * PANEL..][..PANEL]);
    for v in 0..ACROSS {
        sums[v] = value.multiply_add(V::load(&row[v * LANES..]), sums[v]);
    }
}

/// `sums + Σ values[i]·panel[rows[i]]`, in two sums in turn, to hide the latency of a multiply-add.
#[inline(always)]
fn add_rows<V: Vector>(sums: Sums<V>, values: &[f32], rows: &[u32], panel: &[f32]) -> Sums<V> {
    let (mut even, mut odd) = (sums, [V::splat(0.0); ACROSS]);
    let (mut pairs, mut pair_values) = (rows.chunks_exact(2), values.chunks_exact(2));
    for (rows, values) in (&mut pairs).zip(&mut pair_values) {
        add_row(&mut even, values[0], rows[0], panel);
        add_row(&mut odd, values[1], rows[1], panel);
    }
    for (&last, &value) in pairs.remainder().iter().zip(pair_values.remainder()) {
        add_row(&mut even, value, last, panel);
    }
    for v in 0..ACROSS {
        even[v] = even[v].add(odd[v]);
    }
    even
}

/// `[T][blocks + 1]`: where in its row the entries of each block of `BLOCK` columns begin.
fn block_starts(kept: &Kept, starts: &mut Vec<u32>) {
    let blocks = kept.width.div_ceil(BLOCK);
    starts.clear();
    for row in kept.rows() {
        let mut at = 0;
        for block in 0..blocks {
            starts.push(at as u32);
            while at < row.len() && (row[at] as usize) < (block + 1) * BLOCK {
                at += 1;
            }
        }
        starts.push(row.len() as u32);
    }
}

#[inline(always)]
fn kept_product_body<V: Vector>(
    x: &[f32],
    kept: &Kept,
    weight: &Panels,
    bias: Option<&[f32]>,
    scratch: &mut KeptScratch,
    out: &mut [f32],
) {
    let (k, n) = (weight.rows, weight.columns);
    assert!(k > 0 && n > 0 && x.len().is_multiple_of(k), "kept_product: x has no rows of {k}");
    let tokens = x.len() / k;
    assert_eq!(kept.columns.len(), tokens * kept.per_row, "kept_product: kept has not {tokens} rows");
    assert_eq!(kept.width, k, "kept_product: kept is not of rows of {k}");
    assert_eq!(out.len(), tokens * n, "kept_product: out is not [{tokens}, {n}]");
    assert!(bias.is_none_or(|bias| bias.len() == n), "kept_product: bias is not [{n}]");
    if kept.per_row == 0 {
        for out in out.chunks_exact_mut(n) {
            match bias {
                Some(bias) => out.copy_from_slice(bias),
                None => out.fill(0.0),
            }
        }
        return;
    }
    let KeptScratch { starts, values, .. } = scratch;
    block_starts(kept, starts);
    values.clear();
    for (x, kept) in x.chunks_exact(k).zip(kept.rows()) {
        values.extend(kept.iter().map(|&column| x[column as usize]));
    }
    let blocks = k.div_ceil(BLOCK);
    for (index, panel) in weight.panels.chunks_exact(k * PANEL).enumerate() {
        let zero = [V::splat(0.0); ACROSS];
        let bias = bias.map_or(zero, |bias| load::<V>(bias, index * PANEL));
        for block in 0..blocks {
            let rows =
                values.chunks_exact(kept.per_row).zip(kept.rows()).zip(starts.chunks_exact(blocks + 1));
            for (((values, kept), starts), out) in rows.zip(out.chunks_exact_mut(n)) {
                let own = starts[block] as usize..starts[block + 1] as usize;
                let start = if block > 0 { load::<V>(out, index * PANEL) } else { bias };
                let sums = add_rows(start, &values[own.clone()], &kept[own], panel);
                store(sums, out, index * PANEL);
            }
        }
    }
}

dispatch! {
    /// `out[t, n] = bias[n] + Σ_k x[t, k]·weight[k, n]` over the k that were kept in row t: x `[T, K]`, out `[T, N]`. Within
    /// (K + 2)·2⁻²⁴ of the sum of the terms' magnitudes, bias included.
    pub fn kept_product(
        x: &[f32],
        kept: &Kept,
        weight: &Panels,
        bias: Option<&[f32]>,
        scratch: &mut KeptScratch,
        out: &mut [f32],
    ) = vector kept_product_body
}

/// Sorts the kept entries of a block of rows by column: tokens (counted from the block's first) and values.
fn by_column(d_out: &[f32], columns: &[u32], per_row: usize, n: usize, scratch: &mut KeptScratch) {
    let KeptScratch { starts, tokens, values, .. } = scratch;
    starts.clear();
    starts.resize(n + 1, 0);
    for &column in columns {
        starts[column as usize + 1] += 1;
    }
    for column in 0..n {
        starts[column + 1] += starts[column];
    }
    tokens.resize(columns.len(), 0);
    values.resize(columns.len(), 0.0);
    for (t, (row, columns)) in d_out.chunks_exact(n).zip(columns.chunks_exact(per_row)).enumerate() {
        for &column in columns {
            let column = column as usize;
            let at = starts[column] as usize;
            tokens[at] = t as u32;
            values[at] = row[column];
            starts[column] += 1;
        }
    }
    // Each start has moved to the next column's.
    starts.copy_within(..n, 1);
    starts[0] = 0;
}

#[inline(always)]
fn kept_weight_gradient_body<V: Vector>(
    d_out: &[f32],
    kept: &Kept,
    x: &[f32],
    inputs: usize,
    scratch: &mut KeptScratch,
    d_weight: &mut [f32],
) {
    let n = kept.width;
    if kept.per_row == 0 || inputs == 0 {
        return;
    }
    let tokens = kept.columns.len() / kept.per_row;
    assert_eq!(d_out.len(), tokens * n, "kept_weight_gradient: d_out is not [{tokens}, {n}]");
    assert_eq!(x.len(), tokens * inputs, "kept_weight_gradient: x is not [{tokens}, {inputs}]");
    assert_eq!(d_weight.len(), n * inputs, "kept_weight_gradient: d_weight is not [{n}, {inputs}]");
    for first in (0..tokens).step_by(BLOCK) {
        let count = BLOCK.min(tokens - first);
        let columns = &kept.columns[first * kept.per_row..][..count * kept.per_row];
        by_column(&d_out[first * n..][..count * n], columns, kept.per_row, n, scratch);
        let KeptScratch { starts, tokens, values, panel } = &mut *scratch;
        panel.at_least(BLOCK * PANEL);
        for column in (0..inputs).step_by(PANEL) {
            copy_columns(&x[first * inputs..][..count * inputs], inputs, column, panel);
            for (own, d_weight) in starts.windows(2).zip(d_weight.chunks_exact_mut(inputs)) {
                let own = own[0] as usize..own[1] as usize;
                let sums = load::<V>(d_weight, column);
                store(add_rows(sums, &values[own.clone()], &tokens[own], panel), d_weight, column);
            }
        }
    }
}

dispatch! {
    /// Adds the gradient of a product in its weight, `d_weight[n, k] += Σ_t d_out[t, n]·x[t, k]`, over the (t, n) that were
    /// kept: d_out `[T, N]`, x `[T, K = inputs]`, d_weight `[N, K]`. Within (T + 2)·2⁻²⁴ of the sum of the terms' magnitudes, what was there
    /// before included.
    pub fn kept_weight_gradient(
        d_out: &[f32],
        kept: &Kept,
        x: &[f32],
        inputs: usize,
        scratch: &mut KeptScratch,
        d_weight: &mut [f32],
    ) = vector kept_weight_gradient_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_product};
    use crate::{Isa, abs_top_k_mask, transpose};

    /// A matrix `[tokens, width]` of which AbsTopK kept `k` a row.
    fn kept(random: &mut Random, tokens: usize, width: usize, k: usize) -> (Vec<f32>, Kept) {
        let mut x = random.normals(tokens * width);
        let mut mask = vec![0; x.len()];
        abs_top_k_mask(Isa::Portable, &mut x, width, k, &mut mask);
        let mut kept = Kept::default();
        kept.fill(Isa::Portable, &mask, width, k.min(width));
        (x, kept)
    }

    const SHAPES: [([usize; 3], usize); 8] = [
        ([1, 1, 1], 1),
        ([3, 5, 7], 2),
        ([4, 6, 3], 0),
        ([17, 64, 64], 64),
        ([24, 130, 65], 33),
        ([130, 192, 100], 48),
        ([256, 48, 192], 12),
        ([129, 700, 30], 175),
    ];

    #[test]
    fn the_product_equals_the_reference() {
        let mut random = Random::new(51);
        for (shape @ [t, k, n], per_row) in SHAPES {
            let (x, kept) = kept(&mut random, t, k, per_row);
            let (weight, bias) = (random.normals(n * k), random.normals(n));
            let panels = Panels::new(&transpose(&weight, n, k), k, n);
            for isa in Isa::available() {
                for bias in [None, Some(&bias[..])] {
                    let (mut out, mut scratch) = (vec![f32::NAN; t * n], KeptScratch::default());
                    kept_product(isa, &x, &kept, &panels, bias, &mut scratch, &mut out);
                    assert_product(&out, &x, &weight, bias, shape);
                }
            }
        }
    }

    #[test]
    fn the_weight_gradient_equals_the_reference_and_adds() {
        let mut random = Random::new(52);
        for ([t, n, k], per_row) in SHAPES {
            let (d_out, kept) = kept(&mut random, t, n, per_row);
            let x = random.normals(t * k);
            for isa in Isa::available() {
                let (mut sum, mut scratch) = (vec![0.0; n * k], KeptScratch::default());
                kept_weight_gradient(isa, &d_out, &kept, &x, k, &mut scratch, &mut sum);
                assert_product(&sum, &transpose(&d_out, t, n), &transpose(&x, t, k), None, [n, t, k]);
                let once = sum.clone();
                kept_weight_gradient(isa, &d_out, &kept, &x, k, &mut scratch, &mut sum);
                let close = |a: f32, b: f32| (a - b).abs() <= 1e-5 * (1.0 + b.abs()) * (t as f32).sqrt();
                assert!(sum.iter().zip(&once).all(|(&a, &b)| close(a, 2.0 * b)), "{isa}: [{t}, {n}, {k}]");
            }
        }
    }

    #[test]
    fn every_instruction_set_reads_a_mask_alike() {
        let mut random = Random::new(53);
        for (tokens, width, k) in [(1, 1, 1), (3, 16, 5), (7, 33, 8), (5, 100, 0), (9, 192, 48)] {
            let (x, plain) = kept(&mut random, tokens, width, k);
            let mask: Vec<u8> = x.iter().map(|&value| u8::from(value != 0.0)).collect();
            for isa in Isa::available() {
                let mut kept = Kept::default();
                kept.fill(isa, &mask, width, k);
                assert_eq!(kept.columns, plain.columns, "{isa}");
                assert_eq!(kept.columns.len(), tokens * k);
            }
        }
    }

    #[test]
    #[should_panic(expected = "row 1 of the mask has not 1 ones")]
    fn a_mask_with_other_counts_is_refused() {
        Kept::default().fill(Isa::best(), &[1, 0, 1, 1], 2, 1);
    }
}
