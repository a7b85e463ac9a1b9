//! The token viewer: documents as text, each token shaded by what two models make of it.
//!
//! One script drives it in two places: in the report, which holds the most telling documents, and on the page that `deltaloss
//! view` serves, which asks for any document. Both get the same JSON.

mod excerpts;
mod page;
mod payload;
#[cfg(test)]
mod tests;

pub use excerpts::{DocumentOrder, excerpts, find_documents};
pub(crate) use page::{SCRIPT, section, style};
pub use page::{VIEWER_POLICY, ViewerFile, viewer_files};
pub use payload::{ComparisonView, DocumentItem, DocumentList, DocumentView, comparison_view, document_view};

/// Tokens shown at a time; a page of more gets slow.
pub const STRETCH_TOKENS: u32 = 8192;
