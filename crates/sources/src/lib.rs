//! Models and data sets by name: `csp:NAME` and `hf:ORG/REPO[@REVISION][:FILE]`, downloaded once and kept.
//!
//! A file is downloaded under another name, gone on with where a connection broke, checked against its published SHA-256 and size where
//! those are known, and renamed when it is whole. What is not published is recorded on first use: later downloads under
//! that name must be the same bytes. Whatever a server says is checked against what it sends; nothing here knows what is in the
//! files.

mod error;
mod file;
mod http;
mod hub;
mod name;
mod record;
mod store;

pub use error::SourceError;
pub use name::{HubName, Source};
pub use store::{Download, Fetched, Settings, Store, Want};
