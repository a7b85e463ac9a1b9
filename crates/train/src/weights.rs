//! Linear layers made ready for a step: turned for the dense product, or compressed both ways where few weights are
//! left, so that neither the product nor its input gradient multiplies by zeros.

use deltaloss_kernels::{
    Csr, Isa, Kept, KeptScratch, Panels, SparseScratch, dense_product, dense_product_into, kept_product,
    kept_weight_gradient, sparse_product, sum_rows, transpose, weight_gradient,
};
use deltaloss_lm::SPARSE_BELOW;
use rayon::prelude::*;

use crate::layout::{LinearPlace, Places};

/// One layer's weights as the step needs them.
#[derive(Debug)]
pub(crate) struct Weights {
    storage: Storage,
    /// For what AbsTopK made mostly zero: `[inputs, outputs]`, and `[outputs, inputs]` for the way back.
    panels: Option<[Panels; 2]>,
}

#[derive(Debug)]
enum Storage {
    /// `[inputs, outputs]`; the stored `[outputs, inputs]` serves the way back.
    Dense(Vec<f32>),
    /// The weights, and their transpose for the way back.
    Sparse { forward: Csr, back: Csr },
}

/// Room for products, reused from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    sparse: SparseScratch,
    kept: KeptScratch,
}

/// All layers' weights: four a layer, then the unembedding.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) layers: Vec<[Weights; 4]>,
    pub(crate) unembedding: Weights,
}

impl Weights {
    fn new(place: &LinearPlace, parameters: &[f32], with_panels: bool) -> Self {
        let LinearPlace { outputs, inputs, ref weight, .. } = *place;
        let weight = &parameters[weight.clone()];
        let nonzero = weight.iter().filter(|&&w| w != 0.0).count();
        let turned = transpose(weight, outputs, inputs);
        let panels = with_panels
            .then(|| [Panels::new(&turned, inputs, outputs), Panels::new(weight, outputs, inputs)]);
        let storage = if (nonzero as f64) < SPARSE_BELOW * weight.len() as f64 {
            Storage::Sparse {
                forward: Csr::from_dense(weight, outputs, inputs),
                back: Csr::from_dense(&turned, inputs, outputs),
            }
        } else {
            Storage::Dense(turned)
        };
        Weights { storage, panels }
    }
}

impl Prepared {
    /// `with_panels` where AbsTopK acts.
    pub(crate) fn new(places: &Places, parameters: &[f32], with_panels: bool) -> Self {
        let linears: Vec<&LinearPlace> = places
            .layers
            .iter()
            .flat_map(|l| [&l.qkv, &l.attention_out, &l.mlp_in, &l.mlp_out])
            .chain([&places.unembedding])
            .collect();
        let make = |(index, place): (usize, &LinearPlace)| {
            // Nothing selects what the unembedding, which is last, reads.
            Weights::new(place, parameters, with_panels && index < 4 * places.layers.len())
        };
        let mut weights: Vec<Weights> =
            linears.into_par_iter().enumerate().with_max_len(1).map(make).collect();
        let empty = || Weights { storage: Storage::Dense(Vec::new()), panels: None };
        let unembedding = weights.pop().unwrap_or_else(empty);
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
    /// `out` `[T, outputs]` from `x` `[T, inputs]`; `kept`: what of x is not zero, where that is little.
    pub(crate) fn forward(&self, x: &[f32], kept: Option<&Kept>, scratch: &mut Scratch, out: &mut [f32]) {
        let LinearPlace { outputs, inputs, ref bias, .. } = *self.place;
        let bias = bias.clone().map(|range| &self.parameters[range]);
        if let (Some(kept), Some([panels, _])) = (kept, &self.weights.panels) {
            kept_product(self.isa, x, kept, panels, bias, &mut scratch.kept, out);
            return;
        }
        match &self.weights.storage {
            Storage::Dense(turned) => {
                let shape = [x.len() / inputs, inputs, outputs];
                match bias {
                    Some(_) => dense_product(x, turned, bias, shape, out),
                    None => dense_product_into(x, turned, shape, out),
                }
            }
            Storage::Sparse { forward, .. } => {
                sparse_product(self.isa, x, forward, bias, &mut scratch.sparse, out);
            }
        }
    }

    /// Adds the gradients of weight and bias to `gradient`, and writes the one in x to `d_x`. `d_out` comes with what of
    /// it is not zero, where that is little.
    pub(crate) fn backward(
        &self,
        x: &[f32],
        (d_out, kept): (&[f32], Option<&Kept>),
        scratch: &mut Scratch,
        gradient: &mut [f32],
        d_x: &mut [f32],
    ) {
        let LinearPlace { outputs, inputs, ref weight, ref bias } = *self.place;
        let tokens = x.len() / inputs;
        if let Some(bias) = bias {
            sum_rows(self.isa, d_out, &mut gradient[bias.clone()]);
        }
        let d_weight = &mut gradient[weight.clone()];
        match kept {
            Some(kept) => {
                kept_weight_gradient(self.isa, d_out, kept, x, inputs, &mut scratch.kept, d_weight);
            }
            None => weight_gradient(d_out, x, [tokens, inputs, outputs], d_weight),
        }
        if let (Some(kept), Some([_, panels])) = (kept, &self.weights.panels) {
            kept_product(self.isa, d_out, kept, panels, None, &mut scratch.kept, d_x);
            return;
        }
        match &self.weights.storage {
            Storage::Dense(_) => {
                let stored = &self.parameters[weight.clone()];
                dense_product_into(d_out, stored, [tokens, outputs, inputs], d_x);
            }
            Storage::Sparse { back, .. } => {
                sparse_product(self.isa, d_out, back, None, &mut scratch.sparse, d_x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use deltaloss_kernels::reference;

    use super::*;
    use crate::random::Random;
    use crate::selection::Selection;

    #[test]
    fn every_storage_gives_the_plain_product_and_its_gradients() {
        let shape @ [tokens, inputs, outputs] = [40, 24, 36];
        let mut random = Random::new(5, 0);
        let mut normals = |n: usize| (0..n).map(|_| random.normal() as f32).collect::<Vec<f32>>();
        let (mut x, mut d_out, mut parameters) =
            (normals(tokens * inputs), normals(tokens * outputs), normals(outputs * inputs + outputs));
        for (i, weight) in parameters[..outputs * inputs].iter_mut().enumerate() {
            *weight = if i % 11 == 0 { *weight } else { 0.0 };
        }
        let place = LinearPlace {
            weight: 0..outputs * inputs,
            bias: Some(outputs * inputs..parameters.len()),
            outputs,
            inputs,
        };
        let [mut kept_x, mut kept_d] = [Selection::default(), Selection::default()];
        kept_x.keep(Isa::Portable, &mut x, inputs, [Some(6)]);
        kept_d.keep(Isa::Portable, &mut d_out, outputs, [Some(9)]);
        let (weight, bias) = parameters.split_at(outputs * inputs);
        let expected = reference::product(&x, weight, Some(bias), tokens, inputs, outputs);
        let (d_x, d_weight, d_bias) = reference::product_gradients(&x, weight, &d_out, shape);
        let sparse = Weights::new(&place, &parameters, true);
        assert!(matches!(sparse.storage, Storage::Sparse { .. }));
        let dense = Weights { storage: Storage::Dense(transpose(weight, outputs, inputs)), panels: None };
        let weights = [&sparse, &dense];
        for (isa, weights, kept) in Isa::available()
            .into_iter()
            .flat_map(|isa| weights.map(|weights| (isa, weights)))
            .flat_map(|(isa, weights)| [false, true].map(|kept| (isa, weights, kept)))
        {
            let linear = Linear { isa, place: &place, weights, parameters: &parameters };
            let (kept_x, kept_d) = (kept_x.mostly_zero(), kept_d.mostly_zero());
            assert!(kept_x.is_some() && kept_d.is_some());
            let (mut out, mut back) = (vec![f32::NAN; expected.len()], vec![f32::NAN; x.len()]);
            let (mut gradient, mut scratch) = (vec![0.0; parameters.len()], Scratch::default());
            linear.forward(&x, kept_x.filter(|_| kept), &mut scratch, &mut out);
            let d_out = (&d_out[..], kept_d.filter(|_| kept));
            linear.backward(&x, d_out, &mut scratch, &mut gradient, &mut back);
            let all = [
                (&out[..], &expected),
                (&back[..], &d_x),
                (&gradient[place.weight.clone()], &d_weight),
                (&gradient[outputs * inputs..], &d_bias),
            ];
            for (actual, expected) in all {
                assert_eq!(actual.len(), expected.len());
                for (a, e) in actual.iter().zip(expected) {
                    assert!((a - e).abs() <= 2e-5, "{isa}: {a}, not {e}");
                }
            }
        }
    }
}
