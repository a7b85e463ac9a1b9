//! Taking a model's tensors out of a checkpoint: by name and shape, counted, and refused where an entry is not finite.

use deltaloss_checkpoint::{Binder, Checkpoint, LoadReport};

use crate::error::LmError;

/// Counted while loading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightStatistics {
    /// Entries of all tensors that were used.
    pub parameters: u64,
    /// Those that are not zero.
    pub nonzero_parameters: u64,
    /// Linear layers, embeddings excluded.
    pub linear_layers: usize,
    /// Those stored sparse.
    pub sparse_layers: usize,
}

/// The tensors of one checkpoint.
pub(super) struct Tensors<'a> {
    name: &'a str,
    pub(super) binder: Binder<'a>,
    statistics: WeightStatistics,
}

impl<'a> Tensors<'a> {
    /// Tensors of the model `name`, whose names may carry `prefix`.
    pub(super) fn new(name: &'a str, checkpoint: &'a Checkpoint, prefix: &str) -> Self {
        let binder = Binder::with_prefix(checkpoint, prefix);
        Tensors { name, binder, statistics: WeightStatistics::default() }
    }

    /// The tensor's entries; empty where it is missing or of another shape, which `finish` reports.
    pub(super) fn take(&mut self, tensor: &str, shape: &[usize]) -> Result<Vec<f32>, LmError> {
        let values = self.binder.take_f32(tensor, shape)?;
        self.inspect(tensor, values).map(Option::unwrap_or_default)
    }

    /// The same for a tensor that need not be there.
    pub(super) fn take_optional(
        &mut self,
        tensor: &str,
        shape: &[usize],
    ) -> Result<Option<Vec<f32>>, LmError> {
        let values = self.binder.take_optional_f32(tensor, shape)?;
        self.inspect(tensor, values)
    }

    fn inspect(&mut self, tensor: &str, values: Option<Vec<f32>>) -> Result<Option<Vec<f32>>, LmError> {
        let Some(values) = values else { return Ok(None) };
        let (finite, nonzero) = survey(&values);
        if !finite && let Some(entry) = values.iter().position(|value| !value.is_finite()) {
            let (model, tensor, value) = (self.name.to_owned(), tensor.to_owned(), values[entry]);
            return Err(LmError::NonFiniteWeight { model, tensor, value, entry });
        }
        self.statistics.parameters += values.len() as u64;
        self.statistics.nonzero_parameters += nonzero;
        Ok(Some(values))
    }

    /// Fails where a tensor was missing, of another shape, or is left over.
    pub(super) fn finish(self) -> Result<(LoadReport, WeightStatistics), LmError> {
        let report = self.binder.finish()?;
        Ok((report, self.statistics))
    }
}

/// Whether all entries are finite, and how many are not zero: without leaving the loop early, which keeps it in vectors.
fn survey(values: &[f32]) -> (bool, u64) {
    const EXPONENT: u32 = 0x7f80_0000;
    let (mut finite, mut nonzero) = (true, 0);
    for chunk in values.chunks(1 << 16) {
        let mut count = 0u32;
        for value in chunk {
            finite &= value.to_bits() & EXPONENT != EXPONENT;
            count += u32::from(*value != 0.0);
        }
        nonzero += u64::from(count);
    }
    (finite, nonzero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_counts_what_is_not_zero_and_sees_what_is_not_finite() {
        let mut values: Vec<f32> = (0..200_000).map(|i| if i % 7 == 0 { i as f32 } else { -0.0 }).collect();
        assert_eq!(survey(&values), (true, 200_000 / 7));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            values[150_001] = bad;
            assert!(!survey(&values).0);
        }
    }
}
