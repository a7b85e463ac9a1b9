//! Linear layers made ready for a step: packed for the dense product and for its way back, or compressed both ways where few weights are
//! left, so that neither the product nor its input gradient multiplies by zeros.

use deltaloss_kernels::{
    Csr, Isa, Packed, Turned, lanes_dense_product, lanes_sparse_product, lanes_sum, lanes_weight_gradient, transpose,
};
use deltaloss_lm::SPARSE_BELOW;
use rayon::prelude::*;

use crate::layout::{LinearPlace, Places};
use crate::tile::{Tile, tiles};

/// One layer's weights as the step needs them: `[outputs, inputs]`, and `[inputs, outputs]` for the way back.
#[derive(Debug)]
pub(crate) enum Weights {
    Dense([Packed; 2]),
    Sparse([Csr; 2]),
}

/// All layers' weights: four a layer, then the unembedding.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) layers: Vec<[Weights; 4]>,
    pub(crate) unembedding: Weights,
}

impl Weights {
    fn new(place: &LinearPlace, parameters: &[f32]) -> Self {
        let LinearPlace { outputs, inputs, ref weight, .. } = *place;
        let weight = &parameters[weight.clone()];
        let nonzero = weight.iter().filter(|&&w| w != 0.0).count();
        let turned = transpose(weight, outputs, inputs);
        if (nonzero as f64) < SPARSE_BELOW * weight.len() as f64 {
            Weights::Sparse([Csr::from_dense(weight, outputs, inputs), Csr::from_dense(&turned, inputs, outputs)])
        } else {
            Weights::Dense([Packed::new(weight, outputs, inputs), Packed::new(&turned, inputs, outputs)])
        }
    }
}

impl Prepared {
    pub(crate) fn new(places: &Places, parameters: &[f32]) -> Self {
        let linears: Vec<&LinearPlace> = places
            .layers
            .iter()
            .flat_map(|l| [&l.qkv, &l.attention_out, &l.mlp_in, &l.mlp_out])
            .chain([&places.unembedding])
            .collect();
        let make = |place: &LinearPlace| Weights::new(place, parameters);
        let mut weights: Vec<Weights> = linears.into_par_iter().with_max_len(1).map(make).collect();
        let unembedding = weights.pop().unwrap_or_else(|| Weights::new(&places.unembedding, parameters));
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

/// A linear layer at work on one thread.
pub(crate) struct Linear<'a> {
    pub(crate) isa: Isa,
    pub(crate) place: &'a LinearPlace,
    pub(crate) weights: &'a Weights,
    pub(crate) parameters: &'a [f32],
}

impl Linear<'_> {
    /// `out` `[outputs][lanes]` from the tile `x` `[inputs][lanes]`.
    pub(crate) fn forward(&self, x: &[f32], lanes: usize, out: &mut [f32]) {
        let bias = self.place.bias.clone().map(|range| &self.parameters[range]);
        match self.weights {
            Weights::Dense([weight, _]) => lanes_dense_product(self.isa, x, weight, bias, lanes, out),
            Weights::Sparse([weight, _]) => lanes_sparse_product(self.isa, x, weight, bias, lanes, out),
        }
    }

    /// The gradient in the tile's input, `d_x` `[inputs][lanes]`, from the one in its output.
    pub(crate) fn input_gradient(&self, d: &[f32], lanes: usize, d_x: &mut [f32]) {
        match self.weights {
            Weights::Dense([_, turned]) => lanes_dense_product(self.isa, d, turned, None, lanes, d_x),
            Weights::Sparse([_, turned]) => lanes_sparse_product(self.isa, d, turned, None, lanes, d_x),
        }
    }

    /// Adds the gradients of weight and bias to `gradient`, from those in the outputs of some tokens, tile after tile, whose inputs
    /// are the turned lanes of `x` from `first` on.
    pub(crate) fn weight_gradient(&self, d: &[f32], x: &Turned, first: usize, gradient: &mut [f32]) {
        let LinearPlace { outputs, ref weight, ref bias, .. } = *self.place;
        lanes_weight_gradient(self.isa, d, x, first, &mut gradient[weight.clone()]);
        if let Some(bias) = bias {
            let bias = &mut gradient[bias.clone()];
            for tile in tiles(d.len() / outputs) {
                lanes_sum(self.isa, &d[Tile::part(tile, outputs)], tile.lanes, bias);
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
        let (x, d_out, dense) =
            (normals(tokens * inputs), normals(tokens * outputs), normals(outputs * inputs + outputs));
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
        for (parameters, isa) in
            [&dense, &sparse].into_iter().flat_map(|p| Isa::available().into_iter().map(move |isa| (p, isa)))
        {
            let (weight, bias) = parameters.split_at(outputs * inputs);
            let expected = reference::product(&x, weight, Some(bias), tokens, inputs, outputs);
            let (d_x, d_weight, d_bias) = reference::product_gradients(&x, weight, &d_out, shape);
            let weights = Weights::new(&place, parameters);
            assert_eq!(matches!(weights, Weights::Sparse(_)), parameters == &sparse);
            let linear = Linear { isa, place: &place, weights: &weights, parameters };
            let (x, d) = (window(&x, inputs), window(&d_out, outputs));
            let (mut out, mut back) = (vec![f32::NAN; d.len()], vec![f32::NAN; x.len()]);
            let (mut gradient, mut turned) = (vec![0.0; parameters.len()], Turned::default());
            turned.prepare(inputs, x.len() / inputs);
            for tile in tiles(tokens) {
                let (input, output) = (tile.part(inputs), tile.part(outputs));
                lanes_turn(isa, &x[input.clone()], tile.lanes, tile.first, &mut turned);
                linear.forward(&x[input.clone()], tile.lanes, &mut out[output.clone()]);
                linear.input_gradient(&d[output], tile.lanes, &mut back[input]);
            }
            linear.weight_gradient(&d, &turned, 0, &mut gradient);
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
