//! Parquet: one row a document, read one by one and only in the columns needed.

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use deltaloss_guard::{ParquetFile, catch_panic, check_parquet_footer};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use crate::corpus::Step;
use crate::error::{CorpusError, Place, Position, shown};
use crate::rows::{Cell, Row, RowReader, Steps};

/// Rows decoded at a time. A file of a few KB can repeat one value of megabytes, so two rows would be one too many;
/// a million short rows take a second all the same.
const BATCH_ROWS: usize = 1;

/// The documents of a Parquet file.
pub(crate) struct ParquetReader {
    path: PathBuf,
    name: String,
    rows: RowReader,
    all_columns: Vec<String>,
    /// None once it has ended or failed.
    batches: Option<ParquetRecordBatchReader>,
    /// The next batch's first row.
    row: u64,
    steps: Steps,
}

impl ParquetReader {
    /// Opens the file at `path`, called `name` in its documents' names.
    pub(crate) fn open(path: &Path, name: &str, rows: RowReader) -> Result<Self, CorpusError> {
        let place = || Place::new(path, Position::File);
        let file = File::open(path).map_err(CorpusError::io(path, "open it"))?;
        let metadata = decode(place, || {
            check_parquet_footer(&file)?;
            Ok(ArrowReaderMetadata::load(&file, options())?)
        })?;
        let all_columns: Vec<String> =
            metadata.schema().fields().iter().map(|field| field.name().clone()).collect();
        let wanted = rows.wanted(place(), &all_columns)?;
        let text = field(&metadata, wanted.text);
        if text.is_none_or(|(_, field)| *field.data_type() != DataType::Utf8) {
            return Err(wrong_type(path, &metadata, wanted.text, "text_column", "a column of strings"));
        }
        let name_column =
            wanted.name.filter(|column| field(&metadata, column).is_some_and(|(_, field)| is_name(field)));
        if let (Some(column), None, true) = (wanted.name, name_column, rows.name_was_asked_for()) {
            return Err(wrong_type(
                path,
                &metadata,
                column,
                "name_column",
                "a column of strings or integers",
            ));
        }
        let batches = decode(place, || batches(file, &metadata, wanted.text, name_column))?;
        let (path, name) = (path.to_owned(), name.to_owned());
        Ok(Self { path, name, rows, all_columns, batches: Some(batches), row: 0, steps: Steps::new() })
    }

    /// Decodes the next batch into steps; false at the end.
    fn read_batch(&mut self) -> Result<bool, CorpusError> {
        let Some(mut batches) = self.batches.take() else { return Ok(false) };
        let place = || Place::new(&self.path, Position::Row(self.row));
        let columns = self.rows.columns();
        let Some(rows) = decode(place, || {
            let batch = batches.next().transpose()?;
            Ok(batch.map(|batch| cells(&batch, columns)))
        })?
        else {
            return Ok(false);
        };
        self.batches = Some(batches);
        for cells in rows {
            let place = Place::new(&self.path, Position::Row(self.row));
            let fallback_name = format!("{}:{}", self.name, self.row);
            self.rows
                .read(Row { place, fallback_name, cells, all_columns: &self.all_columns }, &mut self.steps);
            self.row += 1;
        }
        Ok(true)
    }
}

impl Iterator for ParquetReader {
    type Item = Result<Step, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return Some(step);
            }
            match self.read_batch() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Types come from Parquet's own schema: one string type instead of Arrow's many, and no embedded Arrow
/// schema (a further format, in a file that may be hostile) to parse.
fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

/// A reader of the columns `text` and `name`.
fn batches(
    file: File,
    metadata: &ArrowReaderMetadata,
    text: &str,
    name: Option<&str>,
) -> Result<ParquetRecordBatchReader, BoxedError> {
    // Large offsets, since a batch may well hold more than 2 GiB of text.
    let fields = metadata.schema().fields().iter().map(|field| {
        let large = field.name() == text && *field.data_type() == DataType::Utf8;
        if large {
            Arc::new(field.as_ref().clone().with_data_type(DataType::LargeUtf8))
        } else {
            Arc::clone(field)
        }
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let metadata =
        ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options().with_schema(schema))?;
    let columns = [Some(text), name].into_iter().flatten();
    let roots: Vec<usize> = columns.filter_map(|column| Some(field(&metadata, column)?.0)).collect();
    let projection = ProjectionMask::roots(metadata.parquet_schema(), roots);
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(ParquetFile(file), metadata);
    Ok(builder.with_projection(projection).with_batch_size(BATCH_ROWS).build()?)
}

/// The first column called `column`, and its index.
fn field<'a>(metadata: &'a ArrowReaderMetadata, column: &str) -> Option<(usize, &'a Field)> {
    let mut fields = metadata.schema().fields().iter().map(AsRef::as_ref).enumerate();
    fields.find(|(_, field)| field.name() == column)
}

fn is_name(field: &Field) -> bool {
    field.data_type().is_integer() || *field.data_type() == DataType::Utf8
}

fn wrong_type(
    path: &Path,
    metadata: &ArrowReaderMetadata,
    column: &str,
    option: &'static str,
    expected: &'static str,
) -> CorpusError {
    let found = match field(metadata, column).map(|(_, field)| field.data_type()) {
        Some(DataType::Binary) => "of bytes not marked as text".to_owned(),
        Some(other) => shown(&format!("of type {other}")),
        None => "not there".to_owned(),
    };
    CorpusError::WrongColumnType { path: path.to_owned(), column: column.to_owned(), option, expected, found }
}

/// The values of `columns` in each row of a batch; none for a column that was not read.
fn cells(batch: &RecordBatch, columns: &[String]) -> Vec<Vec<Option<Cell>>> {
    let arrays: Vec<Option<&dyn Array>> =
        columns.iter().map(|column| batch.column_by_name(column).map(AsRef::as_ref)).collect();
    (0..batch.num_rows())
        .map(|row| arrays.iter().map(|array| Some(cell(*array.as_ref()?, row))).collect())
        .collect()
}

fn cell(array: &dyn Array, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::LargeUtf8 => Cell::Text(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Int8 => number::<Int8Type>(array, row),
        DataType::Int16 => number::<Int16Type>(array, row),
        DataType::Int32 => number::<Int32Type>(array, row),
        DataType::Int64 => number::<Int64Type>(array, row),
        DataType::UInt8 => number::<UInt8Type>(array, row),
        DataType::UInt16 => number::<UInt16Type>(array, row),
        DataType::UInt32 => number::<UInt32Type>(array, row),
        DataType::UInt64 => number::<UInt64Type>(array, row),
        _ => Cell::Other("a value of another type"),
    }
}

fn number<T: ArrowPrimitiveType<Native: ToString>>(array: &dyn Array, row: usize) -> Cell {
    Cell::Number(array.as_primitive::<T>().value(row).to_string())
}

type BoxedError = Box<dyn Error + Send + Sync>;

/// Runs a step of the Parquet decoder; what it refuses, and where it panics, is an error.
///
/// On files with a few bytes changed the decoder (59) panics about once in two hundred: it asserts some of
/// what a file claims. What it was working on is dropped afterwards, so nothing half-changed is used again.
fn decode<T>(
    place: impl Fn() -> Place,
    step: impl FnOnce() -> Result<T, BoxedError>,
) -> Result<T, CorpusError> {
    let detail = match catch_panic(step) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(message) => format!("the decoder panicked: {message}"),
    };
    Err(CorpusError::Parquet { place: place(), detail: shown(&detail) })
}

#[cfg(test)]
mod tests;
