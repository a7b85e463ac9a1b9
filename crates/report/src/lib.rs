//! Figures, tables and the self-contained report; computes no statistic.
//!
//! Everything here formats and draws what a [`Comparison`](deltaloss_stats::Comparison) holds. The same input
//! gives the same bytes, and no text from outside reaches HTML, SVG or Markdown unescaped.
//!
//! [`viewer`] is the token viewer, in the report and as `deltaloss view` serves it.
//!
//! [`write_report`] writes everything; [`report_html`], [`report_markdown`], [`terminal_summary`],
//! [`figures::figures`] and [`tables::tables`] give its parts.

mod caveats;
mod escape;
pub mod figures;
mod findings;
pub mod format;
mod html;
mod markdown;
mod png;
mod prose;
mod scale;
mod story;
mod svg;
pub mod table;
pub mod tables;
mod terminal;
mod theme;
mod view;
pub mod viewer;
mod write;

#[cfg(test)]
#[path = "../testing/sample.rs"]
mod sample;

pub use caveats::{failed_documents, window_difference};
pub use html::report_html;
pub use markdown::report_markdown;
pub use terminal::{Colours, Shade, terminal_document, terminal_documents, terminal_summary};
pub use write::{ReportError, write_report};
