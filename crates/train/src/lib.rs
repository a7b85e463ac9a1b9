//! Trains dense and weight-sparse models of the circuit-sparsity architecture by the published recipe (Gao et al. 2025,
//! arXiv 2511.13653), on plain processor cores.
//!
//! [`TrainConfig`] is the configuration file, [`train`] the whole training into a folder that `deltaloss score` reads,
//! [`Trainer`] the step by itself. A step is: forward, backward, the gradient divided by its root mean square over the
//! whole model, Adam, the projection to the entries of largest magnitude, weight decay. A *dense* model is the same with
//! everything kept. Embeddings, biases and the unembedding are projected like matrices; norms, positions and the bigram
//! table are not.
//!
//! For one instruction set the same seed gives the same bits for any number of threads ([`Trainer`] says how), and a
//! training that was killed and resumed ends with the same bits as one that was not.
//!
//! Every step is checked against what PyTorch computes (`tests/parity.rs`), every gradient against finite differences
//! (`kernels`). Position embeddings that are concatenated (`d_pos_emb`) are not trained here.

mod adam;
mod checkpoint;
mod config;
mod curve;
mod data;
mod error;
mod init;
mod keys;
mod layout;
mod network;
mod random;
mod room;
mod run;
mod schedule;
mod selection;
mod sparsify;
mod step;
mod tile;
mod weights;

pub use adam::{AdamConstants, Moments};
pub use config::{DataTable, ModelTable, RecipeTable, TrainConfig};
pub use data::DataInfo;
pub use error::TrainError;
pub use init::initial_parameters;
pub use keys::{nearest, refuse_unknown_keys};
pub use layout::{Kind, Layout, Parameter};
pub use run::{TrainProgress, TrainSummary, TrainingTokenizer, train};
pub use schedule::Schedule;
pub use step::{Batch, Recipe, StepReport, Trainer};
