//! A comparison on disk, opened to look at its documents.

use std::path::{Path, PathBuf};

use deltaloss_checkpoint::read_bounded;
use deltaloss_records::ComparisonTables;
use deltaloss_report::viewer::{
    ComparisonView, DocumentList, DocumentOrder, DocumentView, comparison_view, document_view, find_documents,
};
use deltaloss_stats::{Comparison, RESULTS_SCHEMA};

use crate::error::Error;

/// Some megabytes, most of them grids and densities.
const LARGEST_RESULTS: u64 = 256 << 20;
/// A report has up to 5 MB.
const LARGEST_REPORT: u64 = 64 << 20;

/// A comparison's results, and its tables opened: its documents are read one at a time.
#[derive(Debug)]
pub struct OpenComparison {
    folder: PathBuf,
    /// The contents of `results.json`.
    pub comparison: Comparison,
    /// The tables.
    pub tables: ComparisonTables,
}

impl OpenComparison {
    /// Opens the comparison in `folder`.
    ///
    /// # Errors
    /// The folder is no comparison, was written by another version, or its files contradict each other.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("results.json");
        let refused = |problem: String| Error::Source { source_name: folder.display().to_string(), problem };
        if !path.is_file() {
            return Err(refused(
                "not a comparison: it has no results.json. `deltaloss compare` and `deltaloss demo` make comparisons"
                    .into(),
            ));
        }
        let bytes = read_bounded(&path, LARGEST_RESULTS)?;
        let bad = |error: serde_json::Error| {
            refused(format!("its results.json is not one of this version: {error}"))
        };
        // The schema first: another version's fields would be complained about one by one.
        #[derive(serde::Deserialize)]
        struct Schema {
            schema: String,
        }
        let Schema { schema } = serde_json::from_slice(&bytes).map_err(bad)?;
        if schema != RESULTS_SCHEMA {
            return Err(refused(format!(
                "its results.json has the schema `{schema}`, but this version reads `{RESULTS_SCHEMA}`; run `deltaloss compare` again"
            )));
        }
        let comparison: Comparison = serde_json::from_slice(&bytes).map_err(bad)?;
        let tables = ComparisonTables::open(folder)?;
        Ok(OpenComparison { folder: folder.to_owned(), comparison, tables })
    }

    /// What the viewer is told of the whole.
    pub fn view(&self) -> ComparisonView {
        comparison_view(&self.comparison)
    }

    /// Documents whose name holds `find`, in an order: those of a page of (first, count).
    pub fn find(&self, order: DocumentOrder, find: &str, page: (usize, usize)) -> DocumentList {
        find_documents(self.tables.documents(), order, find, page)
    }

    /// Some tokens of a document: (first, count), counted among its joined ones.
    ///
    /// # Errors
    /// There is no such document, or the tables contradict each other.
    pub fn document(&self, document: usize, tokens: (u32, u32)) -> Result<DocumentView, Error> {
        Ok(document_view(&self.comparison, &self.tables, document, tokens)?)
    }

    /// The report's page.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn report(&self) -> Result<Vec<u8>, Error> {
        Ok(read_bounded(&self.folder.join("report.html"), LARGEST_REPORT)?)
    }
}
