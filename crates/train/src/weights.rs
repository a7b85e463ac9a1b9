//! Linear layers made ready for a step, each way as suits what it multiplies: compressed where few weights are left, in panels where AbsTopK
//! made the other operand mostly zero, else packed.

use deltaloss_kernels::{
    Csr, Isa, KeptScratch, Packed, Panels, Turned, lanes_dense_product, lanes_kept_product,
    lanes_kept_weight_gradient, lanes_sparse_product, lanes_sum, lanes_turn, lanes_turn_back,
    lanes_weight_gradient, transpose,
};
use deltaloss_lm::{Config, Place, SPARSE_BELOW};
use rayon::prelude::*;

use crate::layout::{LinearPlace, Places};
use crate::tile::{Tile, tiles};

/// Products leave zeros out where at most this share of their operand was kept; above it multiplying by them is faster
/// (`kernels/examples/training.rs`).
const MOSTLY_ZERO: f64 = 0.3;

/// A matrix `[outputs, inputs]` as its product needs it.
#[derive(Debug)]
enum Matrix {
    Dense(Packed),
    Sparse(Csr),
    /// For an operand that is mostly zero.
    Kept(Panels),
}

/// One layer's weights as the step needs them.
#[derive(Debug)]
pub(crate) struct Weights {
    /// `[outputs, inputs]`.
    forward: Matrix,
    /// `[inputs, outputs]`, for the way back.
    back: Matrix,
    /// Whether the gradient in the output is mostly zero.
    back_is_kept: bool,
}

/// All layers' weights: four a layer, then the unembedding.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) layers: Vec<[Weights; 4]>,
    pub(crate) unembedding: Weights,
}

impl Matrix {
    /// From a matrix and its transpose.
    fn new(matrix: &[f32], turned: &[f32], [outputs, inputs]: [usize; 2], sparse: bool, kept: bool) -> Self {
        if sparse {
            Matrix::Sparse(Csr::from_dense(matrix, outputs, inputs))
        } else if kept {
            Matrix::Kept(Panels::new(turned, outputs, inputs))
        } else {
            Matrix::Dense(Packed::new(matrix, outputs, inputs))
        }
    }
}

impl Weights {
    /// `kept`: whether the input, and whether the gradient in the output, are mostly zero.
    fn new(place: &LinearPlace, parameters: &[f32], [input_kept, output_kept]: [bool; 2]) -> Self {
        let LinearPlace { outputs, inputs, ref weight, .. } = *place;
        let weight = &parameters[weight.clone()];
        let nonzero = weight.iter().filter(|&&w| w != 0.0).count();
        let sparse = (nonzero as f64) < SPARSE_BELOW * weight.len() as f64;
        let turned = transpose(weight, outputs, inputs);
        Weights {
            forward: Matrix::new(weight, &turned, [outputs, inputs], sparse, input_kept),
            back: Matrix::new(&turned, weight, [inputs, outputs], sparse, output_kept),
            back_is_kept: output_kept,
        }
    }
}

/// Whether what AbsTopK leaves of some places side by side, each of `width`, is mostly zero.
fn mostly_zero(config: &Config, places: &[Place], width: usize) -> bool {
    let kept = |&place: &Place| {
        let kept = config.top_k.as_ref().and_then(|top_k| top_k.kept(place, width));
        kept.unwrap_or(width).min(width)
    };
    let kept: usize = places.iter().map(kept).sum();
    kept as f64 <= MOSTLY_ZERO * (places.len() * width) as f64
}

impl Prepared {
    pub(crate) fn new(config: &Config, places: &Places, parameters: &[f32]) -> Self {
        let (d, heads) = (config.d_model, config.heads_width());
        let qkv = [Place::AttentionQuery, Place::AttentionKey, Place::AttentionValue];
        let [attention_in, mlp_in] =
            [Place::AttentionIn, Place::MlpIn].map(|place| mostly_zero(config, &[place], d));
        let [attention_out, mlp_out] =
            [Place::AttentionOut, Place::MlpOut].map(|place| mostly_zero(config, &[place], d));
        let neurons = mostly_zero(config, &[Place::MlpNeuron], config.d_mlp);
        let kept = [
            [attention_in, mostly_zero(config, &qkv, heads)],
            [false, attention_out],
            [mlp_in, neurons],
            [neurons, mlp_out],
        ];
        let linears: Vec<(&LinearPlace, [bool; 2])> = places
            .layers
            .iter()
            .flat_map(|l| [&l.qkv, &l.attention_out, &l.mlp_in, &l.mlp_out].into_iter().zip(kept))
            .chain([(&places.unembedding, [false; 2])])
            .collect();
        let make = |(place, kept): (&LinearPlace, [bool; 2])| Weights::new(place, parameters, kept);
        let mut weights: Vec<Weights> = linears.into_par_iter().with_max_len(1).map(make).collect();
        let unembedding = weights.pop().unwrap_or_else(|| make((&places.unembedding, [false; 2])));
        let mut weights = weights.into_iter();
        let mut layers = Vec::new();
        while let (Some(a), Some(b), Some(c), Some(d)) =
            (weights.next(), weights.next(), weights.next(), weights.next())
        {
            layers.push([a, b, c, d]);
        }
        Prepared { layers, unembedding }
    }
}

/// Room for products of what was kept, reused from one to the next.
#[derive(Debug, Default)]
pub(crate) struct KeptWork {
    scratch: KeptScratch,
    /// An operand and a result.
    input: Turned,
    output: Turned,
}

/// A linear layer at work on one thread.
pub(crate) struct Linear<'a> {
    pub(crate) isa: Isa,
    pub(crate) place: &'a LinearPlace,
    pub(crate) weights: &'a Weights,
    pub(crate) parameters: &'a [f32],
}

impl Linear<'_> {
    fn bias(&self) -> Option<&[f32]> {
        self.place.bias.clone().map(|range| &self.parameters[range])
    }

    /// Writes a tile's part of the sequence's `out` from the tile `x` `[inputs][lanes]`; nothing where [`Linear::forward_kept`]
    /// does it.
    pub(crate) fn forward(&self, x: &[f32], tile: Tile, out: &mut [f32]) {
        self.product(&self.weights.forward, x, self.bias(), tile, &mut out[tile.part(self.place.outputs)]);
    }

    /// Writes the sequence's `out`, tile after tile, from what of the turned `x` is not zero; nothing where [`Linear::forward`] does it.
    pub(crate) fn forward_kept(&self, x: &Turned, work: &mut KeptWork, out: &mut [f32]) {
        if let Matrix::Kept(weight) = &self.weights.forward {
            work.output.prepare(self.place.outputs, x.lanes());
            lanes_kept_product(self.isa, x, weight, self.bias(), &mut work.scratch, &mut work.output);
            self.turn_back(&work.output, out);
        }
    }

    /// The gradient in a tile's input, its part of the sequence's `d_x`, from the one in its output; nothing where
    /// [`Linear::input_gradient_kept`] does it.
    pub(crate) fn input_gradient(&self, d: &[f32], tile: Tile, d_x: &mut [f32]) {
        self.product(&self.weights.back, d, None, tile, &mut d_x[tile.part(self.place.inputs)]);
    }

    /// The gradient in the sequence's input, `d_x`, from what is not zero of the one in its output, tile after tile; nothing where
    /// [`Linear::input_gradient`] does it.
    pub(crate) fn input_gradient_kept(&self, d: &[f32], work: &mut KeptWork, d_x: &mut [f32]) {
        if let Matrix::Kept(weight) = &self.weights.back {
            let lanes = d.len() / self.place.outputs;
            work.input.prepare(self.place.outputs, lanes);
            for tile in tiles(lanes) {
                lanes_turn(
                    self.isa,
                    &d[tile.part(self.place.outputs)],
                    tile.lanes,
                    tile.first,
                    &mut work.input,
                );
            }
            work.output.prepare(self.place.inputs, lanes);
            lanes_kept_product(self.isa, &work.input, weight, None, &mut work.scratch, &mut work.output);
            self.turn_back(&work.output, d_x);
        }
    }

    fn product(&self, matrix: &Matrix, x: &[f32], bias: Option<&[f32]>, tile: Tile, out: &mut [f32]) {
        match matrix {
            Matrix::Dense(weight) => lanes_dense_product(self.isa, x, weight, bias, tile.lanes, out),
            Matrix::Sparse(weight) => lanes_sparse_product(self.isa, x, weight, bias, tile.lanes, out),
            Matrix::Kept(_) => {}
        }
    }

    fn turn_back(&self, from: &Turned, out: &mut [f32]) {
        for tile in tiles(from.lanes()) {
            lanes_turn_back(self.isa, from, tile.first, tile.lanes, &mut out[tile.part(from.features())]);
        }
    }

    /// Adds the gradients of weight and bias to `gradient`, from those in the outputs of some tokens, tile after tile, whose inputs
    /// are the turned lanes of `x` from a first on.
    pub(crate) fn weight_gradient(
        &self,
        d: &[f32],
        (x, first): (&Turned, usize),
        work: &mut KeptWork,
        gradient: &mut [f32],
    ) {
        let LinearPlace { outputs, ref weight, ref bias, .. } = *self.place;
        let d_weight = &mut gradient[weight.clone()];
        if self.weights.back_is_kept && first == 0 && d.len() == outputs * x.lanes() {
            lanes_kept_weight_gradient(self.isa, d, x, &mut work.scratch, d_weight);
        } else {
            lanes_weight_gradient(self.isa, d, x, first, d_weight);
        }
        if let Some(bias) = bias {
            let bias = &mut gradient[bias.clone()];
            for tile in tiles(d.len() / outputs) {
                lanes_sum(self.isa, &d[tile.part(outputs)], tile.lanes, bias);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use deltaloss_kernels::{TILE, lanes_turn, reference};

    use super::*;
    use crate::random::Random;

    /// Rows `[tokens, features]` as tiles, one after the other.
    fn window(rows: &[f32], features: usize) -> Vec<f32> {
        let mut out = Vec::new();
        for tile in tiles(rows.len() / features) {
            let start = out.len();
            out.resize(start + features * tile.lanes, 0.0);
            for (lane, t) in tile.tokens().enumerate() {
                for i in 0..features {
                    out[start + i * tile.lanes + lane] = rows[t * features + i];
                }
            }
        }
        out
    }

    #[test]
    fn every_storage_gives_the_plain_product_and_its_gradients() {
        let shape @ [tokens, inputs, outputs] = [TILE + 20, 24, 36];
        let mut random = Random::new(5, 0);
        let mut normals = |n: usize| (0..n).map(|_| random.normal() as f32).collect::<Vec<f32>>();
        let (mut x, mut d_out, dense) =
            (normals(tokens * inputs), normals(tokens * outputs), normals(outputs * inputs + outputs));
        for (i, value) in x.iter_mut().chain(&mut d_out).enumerate() {
            *value = if i % 5 == 0 { *value } else { 0.0 };
        }
        let mut sparse = dense.clone();
        for (i, weight) in sparse[..outputs * inputs].iter_mut().enumerate() {
            *weight = if i % 11 == 0 { *weight } else { 0.0 };
        }
        let place = LinearPlace {
            weight: 0..outputs * inputs,
            bias: Some(outputs * inputs..sparse.len()),
            outputs,
            inputs,
        };
        let cases = [(&dense, false), (&dense, true), (&sparse, false), (&sparse, true)];
        for ((parameters, kept), isa) in
            cases.into_iter().flat_map(|case| Isa::available().into_iter().map(move |isa| (case, isa)))
        {
            let (weight, bias) = parameters.split_at(outputs * inputs);
            let expected = reference::product(&x, weight, Some(bias), tokens, inputs, outputs);
            let (d_x, d_weight, d_bias) = reference::product_gradients(&x, weight, &d_out, shape);
            let weights = Weights::new(&place, parameters, [kept; 2]);
            assert_eq!(matches!(weights.back, Matrix::Sparse(_)), parameters == &sparse);
            assert_eq!(matches!(weights.forward, Matrix::Kept(_)), kept && parameters == &dense);
            let linear = Linear { isa, place: &place, weights: &weights, parameters };
            let (x, d) = (window(&x, inputs), window(&d_out, outputs));
            let (mut out, mut back) = (vec![f32::NAN; d.len()], vec![f32::NAN; x.len()]);
            let (mut gradient, mut turned) = (vec![0.0; parameters.len()], Turned::default());
            turned.prepare(inputs, x.len() / inputs);
            for tile in tiles(tokens) {
                let x = &x[tile.part(inputs)];
                lanes_turn(isa, x, tile.lanes, tile.first, &mut turned);
                linear.forward(x, tile, &mut out);
                linear.input_gradient(&d[tile.part(outputs)], tile, &mut back);
            }
            let mut work = KeptWork::default();
            linear.forward_kept(&turned, &mut work, &mut out);
            linear.input_gradient_kept(&d, &mut work, &mut back);
            linear.weight_gradient(&d, (&turned, 0), &mut work, &mut gradient);
            // Past the last token an output is its bias.
            let (mut expected, d_x) = (window(&expected, outputs), window(&d_x, inputs));
            let last = tiles(tokens).next_back().unwrap();
            for (row, &bias) in expected[last.part(outputs)].chunks_exact_mut(last.lanes).zip(bias) {
                row[last.tokens().len()..].fill(bias);
            }
            let all = [
                (&out[..], &expected),
                (&back[..], &d_x),
                (&gradient[place.weight.clone()], &d_weight),
                (&gradient[outputs * inputs..], &d_bias),
            ];
            for (actual, expected) in all {
                assert_eq!(actual.len(), expected.len());
                for (a, e) in actual.iter().zip(expected) {
                    assert!((a - e).abs() <= 4e-5, "{isa}: {a}, not {e}");
                }
            }
        }
    }
}
