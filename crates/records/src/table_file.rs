//! A Parquet file that is opened once and read here and there, by rows.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::ParquetError;

use crate::error::RecordsError;
use crate::read::{guarded, open_table};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;

/// A file whose footer is in memory, so that rows can be read without reading what stands before them.
pub(crate) struct TableFile {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// The first row of every row group, and the end of the last.
    starts: Vec<u64>,
}

impl std::fmt::Debug for TableFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TableFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl TableFile {
    pub(crate) fn open(path: &Path) -> Result<Self, RecordsError> {
        let (_, metadata) = open_table(path)?;
        let mut starts = vec![0];
        let mut rows = 0u64;
        for group in metadata.metadata().row_groups() {
            rows = u64::try_from(group.num_rows())
                .ok()
                .and_then(|count| rows.checked_add(count))
                .ok_or_else(|| RecordsError::Parquet {
                    path: path.to_owned(),
                    message: format!("a row group says that it has {} rows", group.num_rows()),
                })?;
            starts.push(rows);
        }
        Ok(TableFile { path: path.to_owned(), metadata, starts })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Rows of the file.
    pub(crate) fn rows(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.metadata.schema().field_with_name(column).is_ok()
    }

    /// Some rows of some columns, decoding no other row group than those that hold them.
    ///
    /// # Errors
    /// The file has fewer rows, or cannot be decoded.
    pub(crate) fn read(&self, columns: &[&str], rows: Range<u64>) -> Result<Vec<RecordBatch>, RecordsError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        if rows.end > self.rows() {
            return Err(RecordsError::Parquet {
                path: self.path.clone(),
                message: format!("rows {}..{} are due, but it has {}", rows.start, rows.end, self.rows()),
            });
        }
        let first = self.starts.partition_point(|start| *start <= rows.start) - 1;
        let last = self.starts.partition_point(|start| *start < rows.end) - 1;
        let (skipped, held) = (self.starts[first], self.starts[last + 1] - self.starts[first]);
        let range = (rows.start - skipped) as usize..(rows.end - skipped) as usize;
        // Clones of one handle share its place in the file, so that readers would get in each other's way.
        let file = File::open(&self.path).map_err(RecordsError::io(&self.path, "open it"))?;
        guarded(&self.path, || {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            let reader = builder
                .with_row_groups((first..=last).collect())
                .with_projection(mask)
                .with_row_selection(RowSelection::from_consecutive_ranges(
                    std::iter::once(range),
                    held as usize,
                ))
                .with_batch_size(BATCH_ROWS)
                .build()?;
            reader.map(|batch| batch.map_err(ParquetError::from)).collect()
        })
    }
}
