//! One step of training: loss and gradient of a batch, the gradient scaled, Adam, the projection, weight decay, in this
//! order.
//!
//! A batch is cut into a fixed number of groups of sequences. A group's sequences run one after the other on one thread
//! and add to the group's own gradient; the groups' gradients are then added in order. So the result depends on
//! the number of groups, which is part of the recipe, and not on threads.

use std::sync::{Mutex, PoisonError};

use deltaloss_kernels::Isa;
use deltaloss_lm::Config;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::adam::{AdamConstants, Moments, adam_step, decay, root_mean_square};
use crate::layout::{Layout, Places};
use crate::network::{Network, Sequence};
use crate::room::Room;
use crate::schedule::Schedule;
use crate::sparsify::project;
use crate::weights::Prepared;

/// Entries added in one go.
const CHUNK: usize = 8192;

/// What a step needs to know beside the model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Rates and fractions.
    pub schedule: Schedule,
    /// The optimizer's constants.
    pub adam: AdamConstants,
    /// Entries that every neuron of an attention or MLP matrix keeps.
    pub min_alive_per_neuron: usize,
    /// Groups of sequences whose gradients are summed apart; as many threads find work.
    pub gradient_groups: usize,
}

/// A batch: sequences of `context + 1` tokens, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// All sequences' tokens.
    pub tokens: &'a [u32],
    /// Tokens of a sequence: inputs and one more.
    pub sequence_tokens: usize,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// The step, from 0.
    pub step: u64,
    /// Mean loss of the batch before the update, nats.
    pub loss_nats: f64,
    /// Root mean square of the gradient over all trained parameters.
    pub gradient_rms: f64,
    /// The learning rate used.
    pub learning_rate: f64,
    /// The fraction kept.
    pub kept_fraction: f64,
}

/// A group's buffers.
#[derive(Debug, Default)]
struct Group {
    gradient: Vec<f32>,
    losses: Vec<f64>,
}

/// A model in training.
#[derive(Debug)]
pub struct Trainer {
    config: Config,
    layout: Layout,
    places: Places,
    isa: Isa,
    /// The next step.
    step: u64,
    parameters: Vec<f32>,
    moments: Moments,
    gradient: Vec<f32>,
    groups: Vec<Group>,
    /// Rooms that no sequence is in: as many come to be as threads work.
    rooms: Mutex<Vec<Room>>,
}

impl Trainer {
    /// A model with these parameters (in the order of its [`Layout`]), about to take step 0.
    pub fn new(config: Config, train_positions: bool, parameters: Vec<f32>, isa: Isa) -> Self {
        let total = parameters.len();
        Self::resume(config, train_positions, parameters, Moments::zeros(total), 0, isa)
    }

    /// A model in the middle of its training, about to take step `step`.
    pub fn resume(
        config: Config,
        train_positions: bool,
        parameters: Vec<f32>,
        moments: Moments,
        step: u64,
        isa: Isa,
    ) -> Self {
        let (layout, places) = Layout::with_places(&config, train_positions);
        assert_eq!(parameters.len(), layout.total(), "parameters do not fill the layout");
        assert_eq!(moments.first.len(), layout.total(), "moments do not fill the layout");
        assert_eq!(moments.second.len(), layout.total(), "moments do not fill the layout");
        let gradient = vec![0.0; layout.total()];
        let (groups, rooms) = (Vec::new(), Mutex::default());
        Trainer { config, layout, places, isa, step, parameters, moments, gradient, groups, rooms }
    }

    /// The model's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the parameters lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The parameters.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// The optimizer's moments.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The gradient of the last batch, before it was scaled.
    pub fn gradient(&self) -> &[f32] {
        &self.gradient
    }

    /// The next step.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Mean loss of a batch, nats, and its gradient (see [`Trainer::gradient`]); changes no parameter.
    pub fn loss_and_gradient(&mut self, batch: Batch<'_>, gradient_groups: usize) -> f64 {
        let length = batch.sequence_tokens;
        assert!(length >= 2 && batch.tokens.len().is_multiple_of(length), "no whole sequences");
        let sequences: Vec<&[u32]> = batch.tokens.chunks_exact(length).collect();
        let targets = sequences.len() * (length - 1);
        let scale = 1.0 / targets as f32;
        let count = gradient_groups.clamp(1, sequences.len().max(1));
        self.groups.resize_with(count, Group::default);
        let prepared = Prepared::new(&self.config, &self.places, &self.parameters);
        let network = Network {
            isa: self.isa,
            config: &self.config,
            places: &self.places,
            parameters: &self.parameters,
            prepared: &prepared,
        };
        let (total, rooms) = (self.layout.total(), &self.rooms);
        let free = || rooms.lock().unwrap_or_else(PoisonError::into_inner);
        self.groups.par_iter_mut().with_max_len(1).enumerate().for_each(|(index, group)| {
            group.gradient.clear();
            group.gradient.resize(total, 0.0);
            group.losses.clear();
            let mut room = free().pop().unwrap_or_default();
            let own = index * sequences.len() / count..(index + 1) * sequences.len() / count;
            for sequence in &sequences[own] {
                let (inputs, targets) = (&sequence[..length - 1], &sequence[1..]);
                let sequence = Sequence { inputs, targets, scale };
                group.losses.push(network.sequence(sequence, &mut room, &mut group.gradient));
            }
            free().push(room);
        });
        let groups = &self.groups;
        self.gradient.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, sum)| {
            for (index, group) in groups.iter().enumerate() {
                let part = &group.gradient[chunk * CHUNK..][..sum.len()];
                if index == 0 {
                    sum.copy_from_slice(part);
                } else {
                    for (sum, part) in sum.iter_mut().zip(part) {
                        *sum += part;
                    }
                }
            }
        });
        groups.iter().flat_map(|group| &group.losses).sum::<f64>() / targets as f64
    }

    /// Takes the next step. Loss and gradient that are not finite leave the model as it was: see
    /// [`StepReport::is_finite`].
    pub fn take_step(&mut self, recipe: &Recipe, batch: Batch<'_>) -> StepReport {
        let loss_nats = self.loss_and_gradient(batch, recipe.gradient_groups);
        let gradient_rms = root_mean_square(&self.gradient, self.layout.trained());
        let (learning_rate, kept_fraction) =
            (recipe.schedule.learning_rate(self.step), recipe.schedule.kept_fraction(self.step));
        let report = StepReport { step: self.step, loss_nats, gradient_rms, learning_rate, kept_fraction };
        if !report.is_finite() {
            return report;
        }
        adam_step(
            &recipe.adam,
            self.step,
            learning_rate,
            gradient_rms,
            &self.gradient,
            &mut self.moments,
            &mut self.parameters,
        );
        project(&self.layout, kept_fraction, recipe.min_alive_per_neuron, &mut self.parameters);
        decay(&self.layout, &recipe.adam, learning_rate, &mut self.parameters);
        self.step += 1;
        report
    }
}

impl StepReport {
    /// Whether loss and gradient are finite; they are not in a run that diverged.
    pub fn is_finite(&self) -> bool {
        self.loss_nats.is_finite() && self.gradient_rms.is_finite()
    }
}
