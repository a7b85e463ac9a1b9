//! Products whose one operand is mostly zero because AbsTopK made it so: what was kept is multiplied, the zeros are not.
//!
//! What was kept differs from token to token, so such a product works from lists: each entry of one is a broadcast multiply-add of a row of 64
//! numbers of the other operand, whose sums stay in registers. As much of that operand is in work as fits the first-level cache.

#![allow(clippy::needless_range_loop, reason = "loops of constant length over what is to stay in registers")]

use super::kept::Bits;
use super::turned::{PANEL, Turned, tiles_of};
use super::weight_gradient::{BLOCK, add_to_row};
use super::{lanes_of, load, store};
use crate::aligned::Aligned;
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

/// Vectors of a panel.
const ACROSS: usize = PANEL / LANES;
/// Panels of features in work together: 48 KiB of weights, all of a first-level cache, for lists that are long (`examples/training.rs`).
const PANELS: usize = 3;

/// A matrix `[N, K]` in panels, ready to be multiplied by what was kept.
#[derive(Clone, Debug)]
pub struct Panels {
    outputs: usize,
    inputs: usize,
    /// `[N / PANEL, rounded up][K][PANEL]`, zeros beyond N.
    panels: Aligned,
}

impl Panels {
    /// Cuts a matrix that lies turned, `[K, N]` row-major.
    pub fn new(turned: &[f32], outputs: usize, inputs: usize) -> Self {
        assert_eq!(turned.len(), outputs * inputs, "Panels: matrix is not [{inputs}, {outputs}]");
        let mut panels = Aligned::zeros(outputs.div_ceil(PANEL) * inputs * PANEL);
        for (k, row) in turned.chunks_exact(outputs.max(1)).enumerate() {
            for (panel, part) in row.chunks(PANEL).enumerate() {
                panels[(panel * inputs + k) * PANEL..][..part.len()].copy_from_slice(part);
            }
        }
        Panels { outputs, inputs, panels }
    }
}

/// Lists worked through side by side where the instruction set has the registers: they are made as long as the longest, with zeros, so that
/// one end of a loop is guessed wrong for all of them.
const LISTS: usize = 4;

/// Outputs whose weight gradients are in work together: their lists and sums stay in the second-level cache.
const OUTPUTS: usize = 192;

/// Room for products of what was kept: lists of entries.
#[derive(Clone, Debug, Default)]
pub struct KeptScratch {
    /// Entries that a list has room for.
    room: usize,
    /// Of each list.
    lengths: Vec<u32>,
    /// Lists by their lengths, so that those of a group have about one.
    order: Vec<u32>,
    /// Where lists of each length begin in the order.
    starts: Vec<u32>,
    /// Of each entry, the row it meets, times `PANEL`.
    offsets: Vec<u32>,
    values: Vec<f32>,
}

impl KeptScratch {
    /// Makes room for so many lists of up to so many entries.
    fn prepare(&mut self, lists: usize, entries: usize) {
        self.room = entries + LANES;
        self.lengths.clear();
        let len = lists * self.room;
        if self.values.len() < len {
            self.offsets.resize(len, 0);
            self.values.resize(len, 0.0);
        }
    }

    /// Where the next list begins.
    #[inline(always)]
    fn begin(&self) -> usize {
        self.lengths.len() * self.room
    }

    /// Appends what is not zero of a vector whose first lane meets row `row`, at entry `next`, and gives the entry after it.
    #[inline(always)]
    fn append<V: Bits>(&mut self, vector: V, row: usize, next: usize) -> usize {
        let bits = vector.nonzero();
        vector.compress(bits, &mut self.values[next..]);
        V::offsets_of(bits, row as u32, &mut self.offsets[next..]);
        next + bits.count_ones() as usize
    }

    /// Ends the list whose entries end before `next`.
    #[inline(always)]
    fn end(&mut self, next: usize) {
        self.lengths.push((next - self.begin()) as u32);
    }

    /// Puts the lists in order, and makes those of a group equally long with entries of zero.
    fn finish(&mut self) {
        let KeptScratch { room, lengths, order, starts, offsets, values } = self;
        starts.clear();
        starts.resize(*room + 1, 0);
        lengths.iter().for_each(|&length| starts[length as usize + 1] += 1);
        for length in 1..starts.len() {
            starts[length] += starts[length - 1];
        }
        order.resize(lengths.len(), 0);
        for (list, &length) in lengths.iter().enumerate() {
            order[starts[length as usize] as usize] = list as u32;
            starts[length as usize] += 1;
        }
        for group in order.chunks(LISTS) {
            let longest = group.last().map_or(0, |&last| lengths[last as usize] as usize);
            for &list in group {
                let (start, length) = (list as usize * *room, lengths[list as usize] as usize);
                values[start + length..start + longest].fill(0.0);
                offsets[start + length..start + longest].fill(0);
                lengths[list as usize] = longest as u32;
            }
        }
    }

    /// Values and offsets of a list.
    #[inline(always)]
    fn list(&self, list: u32) -> (&[f32], &[u32]) {
        let (start, length) = (list as usize * self.room, self.lengths[list as usize] as usize);
        (&self.values[start..][..length], &self.offsets[start..][..length])
    }
}

/// `sums[l] + Σ_i values[i]·rows[offsets[i]..]` for `L` lists, equally long.
#[inline(always)]
fn add_rows<V: Vector, const L: usize>(
    mut sums: [[V; ACROSS]; L],
    scratch: &KeptScratch,
    group: &[u32],
    rows: &[f32],
) -> [[V; ACROSS]; L] {
    let mut lists = [scratch.list(group[0]); L];
    for l in 0..L {
        lists[l] = scratch.list(group[l]);
    }
    for i in 0..lists[0].0.len() {
        for l in 0..L {
            let (value, row): (_, [V; ACROSS]) =
                (V::splat(lists[l].0[i]), load(rows, lists[l].1[i] as usize));
            for v in 0..ACROSS {
                sums[l][v] = value.multiply_add(row[v], sums[l][v]);
            }
        }
    }
    sums
}

/// A list for each token of what is not zero in panels `panels` of x.
#[inline(always)]
fn list_tokens<V: Bits>(x: &Turned, panels: std::ops::Range<usize>, scratch: &mut KeptScratch) {
    scratch.prepare(x.lanes(), panels.len() * PANEL);
    for t in 0..x.lanes() {
        let mut next = scratch.begin();
        for panel in panels.clone() {
            let row = x.panel(panel, t, 1);
            for v in 0..ACROSS {
                let first = (panel - panels.start) * PANEL + v * LANES;
                next = scratch.append(V::load(&row[v * LANES..]), first, next);
            }
        }
        scratch.end(next);
    }
    scratch.finish();
}

/// `L` tokens, whose lists are `group`.
#[inline(always)]
fn tokens<V: Vector, const L: usize>(
    start: Option<[V; ACROSS]>,
    scratch: &KeptScratch,
    group: &[u32],
    rows: &[f32],
    out: &mut [f32],
) {
    let mut sums = [[V::splat(0.0); ACROSS]; L];
    for l in 0..L {
        sums[l] = match start {
            Some(start) => start,
            None => load(out, group[l] as usize * PANEL),
        };
    }
    let sums = add_rows(sums, scratch, group, rows);
    for l in 0..L {
        store(sums[l], out, group[l] as usize * PANEL);
    }
}

#[inline(always)]
fn lanes_kept_product_body<V: Bits>(
    x: &Turned,
    weight: &Panels,
    bias: Option<&[f32]>,
    scratch: &mut KeptScratch,
    out: &mut Turned,
) {
    let Panels { outputs, inputs, ref panels } = *weight;
    assert_eq!(
        [x.features(), out.features()],
        [inputs, outputs],
        "lanes_kept_product: x or out does not fit"
    );
    assert_eq!(x.lanes(), out.lanes(), "lanes_kept_product: x and out have other lanes");
    assert!(bias.is_none_or(|bias| bias.len() == outputs), "lanes_kept_product: bias is not [{outputs}]");
    let lanes = x.lanes();
    for start in (0..inputs.div_ceil(PANEL)).step_by(PANELS) {
        let end = inputs.div_ceil(PANEL).min(start + PANELS);
        list_tokens::<V>(x, start..end, scratch);
        let rows = start * PANEL..inputs.min(end * PANEL);
        for (index, panel) in panels.chunks_exact(inputs * PANEL).enumerate() {
            let panel = &panel[rows.start * PANEL..rows.end * PANEL];
            let mut first = [0.0; PANEL];
            if let Some(bias) = bias {
                let part = &bias[index * PANEL..outputs.min((index + 1) * PANEL)];
                first[..part.len()].copy_from_slice(part);
            }
            let first: Option<[V; ACROSS]> = if start == 0 { Some(load(&first, 0)) } else { None };
            let out = out.panel_mut(index, 0, lanes);
            let groups = scratch.order.chunks_exact(if V::ACROSS >= LISTS { LISTS } else { 1 });
            for group in groups {
                if V::ACROSS >= LISTS {
                    tokens::<V, LISTS>(first, scratch, group, panel, out);
                } else {
                    tokens::<V, 1>(first, scratch, group, panel, out);
                }
            }
        }
    }
}

dispatch! {
    /// `out[t, n] = bias[n] + Σ_k weight[n, k]·x[t, k]` over the k where x is not zero, of a whole window; x and out are turned. Entries that are
    /// zero are not read. Within (K + 2)·2⁻²⁴ of the sum of the terms' magnitudes, bias included.
    pub fn lanes_kept_product(x: &Turned, weight: &Panels, bias: Option<&[f32]>, scratch: &mut KeptScratch, out: &mut Turned)
        = vector lanes_kept_product_body
}

/// `L` outputs, whose lists are `group`; `rows` begins at the first column of list 0's.
#[inline(always)]
fn outputs<V: Vector, const L: usize>(
    scratch: &KeptScratch,
    group: &[u32],
    x: &[f32],
    rows: &mut [f32],
    (inputs, width): (usize, usize),
) {
    let sums = add_rows([[V::splat(0.0); ACROSS]; L], scratch, group, x);
    for l in 0..L {
        let row = &mut rows[group[l] as usize * inputs..];
        if width == PANEL {
            // A length that is known.
            add_to_row(sums[l], &mut row[..PANEL]);
        } else {
            add_to_row(sums[l], &mut row[..width]);
        }
    }
}

#[inline(always)]
fn lanes_kept_weight_gradient_body<V: Bits>(
    d: &[f32],
    x: &Turned,
    scratch: &mut KeptScratch,
    d_weight: &mut [f32],
) {
    let inputs = x.features();
    let Some(rows) = d_weight.len().checked_div(inputs) else { return };
    let Some(lanes) = d.len().checked_div(rows) else { return };
    assert_eq!(d_weight.len(), rows * inputs, "lanes_kept_weight_gradient: d_weight is not [N, {inputs}]");
    assert!(
        d.len() == rows * lanes && lanes == lanes_of(lanes) && lanes == x.lanes(),
        "lanes_kept_weight_gradient: d has not {rows} rows of x's lanes"
    );
    for (chunk, d_weight) in d_weight.chunks_mut(OUTPUTS * inputs).enumerate() {
        for start in (0..lanes).step_by(BLOCK) {
            let count = BLOCK.min(lanes - start);
            let d = &d[start * rows..][..count * rows];
            list_outputs::<V>(d, count, chunk * OUTPUTS..rows.min((chunk + 1) * OUTPUTS), scratch);
            for panel in 0..inputs.div_ceil(PANEL) {
                let (x, column) = (x.panel(panel, start, count), panel * PANEL);
                let size = (inputs, PANEL.min(inputs - column));
                let d_weight = &mut d_weight[column..];
                let mut groups = scratch.order.chunks_exact(if V::ACROSS >= LISTS { LISTS } else { 1 });
                for group in &mut groups {
                    if V::ACROSS >= LISTS {
                        outputs::<V, LISTS>(scratch, group, x, d_weight, size);
                    } else {
                        outputs::<V, 1>(scratch, group, x, d_weight, size);
                    }
                }
                for list in groups.remainder().chunks(1) {
                    outputs::<V, 1>(scratch, list, x, d_weight, size);
                }
            }
        }
    }
}

/// A list for each of some outputs of the tokens where d, the tiles of one block, is not zero.
#[inline(always)]
fn list_outputs<V: Bits>(
    d: &[f32],
    lanes: usize,
    outputs: std::ops::Range<usize>,
    scratch: &mut KeptScratch,
) {
    let rows = d.len() / lanes;
    scratch.prepare(outputs.len(), lanes);
    for output in outputs {
        let mut next = scratch.begin();
        for (first, count) in tiles_of(lanes) {
            let row = &d[first * rows + output * count..][..count];
            for lane in (0..count).step_by(LANES) {
                next = scratch.append(V::load(&row[lane..]), first + lane, next);
            }
        }
        scratch.end(next);
    }
    scratch.finish();
}

dispatch! {
    /// [`lanes_weight_gradient`](crate::lanes_weight_gradient) of all lanes of x, over the (t, n) where d is not zero; the same bound.
    pub fn lanes_kept_weight_gradient(d: &[f32], x: &Turned, scratch: &mut KeptScratch, d_weight: &mut [f32])
        = vector lanes_kept_weight_gradient_body
}

#[cfg(test)]
mod tests {
    use super::super::testing::{rows_of_window, turned, window};
    use super::super::turned::lanes_turn_back;
    use super::*;
    use crate::testing::{Random, assert_product};
    use crate::{Isa, transpose};

    /// Rows `[tokens, width]` of which about `share` is not zero.
    fn sparse(random: &mut Random, count: usize, share: f32) -> Vec<f32> {
        random.normals(count).into_iter().map(|v| if random.uniform() < share { v } else { 0.0 }).collect()
    }

    const SHAPES: [([usize; 3], f32); 9] = [
        ([1, 1, 1], 1.0),
        ([3, 5, 7], 0.5),
        ([4, 6, 3], 0.0),
        ([17, 64, 64], 1.0),
        ([24, 130, 65], 0.25),
        ([130, 192, 100], 0.25),
        ([256, 48, 192], 0.1),
        ([129, 700, 30], 0.3),
        ([70, 30, 401], 0.25),
    ];

    #[test]
    fn the_product_equals_the_reference() {
        let mut random = Random::new(51);
        for (shape @ [t, k, n], share) in SHAPES {
            let x = sparse(&mut random, t * k, share);
            let (weight, bias) = (random.normals(n * k), random.normals(n));
            let panels = Panels::new(&transpose(&weight, n, k), n, k);
            for isa in Isa::available() {
                for bias in [None, Some(&bias[..])] {
                    let (x_turned, lanes) = (turned(isa, &x, k), lanes_of(t));
                    let (mut out, mut scratch) = (Turned::default(), KeptScratch::default());
                    out.prepare(n, lanes);
                    lanes_kept_product(isa, &x_turned, &panels, bias, &mut scratch, &mut out);
                    let mut back = vec![f32::NAN; n * lanes];
                    for (first, count) in tiles_of(lanes) {
                        lanes_turn_back(isa, &out, first, count, &mut back[first * n..(first + count) * n]);
                    }
                    assert_product(&rows_of_window(&back, t), &x, &weight, bias, shape);
                }
            }
        }
    }

    #[test]
    fn the_weight_gradient_equals_the_reference_and_adds() {
        let mut random = Random::new(52);
        for ([t, n, k], share) in SHAPES {
            let (d, x) = (sparse(&mut random, t * n, share), random.normals(t * k));
            for isa in Isa::available() {
                let (x_turned, d_lanes) = (turned(isa, &x, k), window(&d, n));
                let (mut sum, mut scratch) = (vec![0.0; n * k], KeptScratch::default());
                lanes_kept_weight_gradient(isa, &d_lanes, &x_turned, &mut scratch, &mut sum);
                assert_product(&sum, &transpose(&d, t, n), &transpose(&x, t, k), None, [n, t, k]);
                let once = sum.clone();
                lanes_kept_weight_gradient(isa, &d_lanes, &x_turned, &mut scratch, &mut sum);
                let close = |a: f32, b: f32| (a - b).abs() <= 1e-5 * (1.0 + b.abs()) * (t as f32).sqrt();
                assert!(sum.iter().zip(&once).all(|(&a, &b)| close(a, 2.0 * b)), "{isa}: [{t}, {n}, {k}]");
            }
        }
    }
}
