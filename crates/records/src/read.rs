//! Reading a run back, distrusting every row.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{Array, RecordBatch};
use deltaloss_guard::{ParquetFile, catch_panic, check_parquet_footer};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use crate::error::RecordsError;
use crate::reader::RunReader;
use crate::record::{CalibratedScore, DocumentRecord, TokenRecord, TokenScore};
use crate::run_info::{RUN_SCHEMA, RunInfo};
use crate::table::{CALIBRATED, GUESSES, TokenColumns};

/// A `run.json` has some thousand bytes.
const LARGEST_INFO: u64 = 16 << 20;

/// Token rows decoded at a time.
pub(crate) const TOKEN_BATCH_ROWS: usize = 8192;
/// Documents decoded at a time, with their texts.
pub(crate) const DOCUMENT_BATCH_ROWS: usize = 64;

/// A finished run, its `run.json` and documents read; the token table is read by [`Run::tokens`].
#[derive(Clone, Debug)]
pub struct Run {
    folder: PathBuf,
    /// The contents of `run.json`.
    pub info: RunInfo,
    /// The documents in order.
    pub documents: Vec<DocumentRecord>,
}

impl Run {
    /// Opens the run in `folder`.
    ///
    /// # Errors
    /// The folder is no run, was written by another version, or its documents contradict themselves.
    pub fn open(folder: &Path) -> Result<Self, RecordsError> {
        let info = read_info(folder)?;
        let documents = read_documents(&folder.join("documents.parquet"))?;
        Ok(Run { folder: folder.to_owned(), info, documents })
    }

    /// Reads `run.json` alone.
    ///
    /// # Errors
    /// The folder is no run, or was written by another version.
    pub fn open_info(folder: &Path) -> Result<RunInfo, RecordsError> {
        read_info(folder)
    }

    /// The folder it was opened from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads the token table, from `tokens.parquet` or the parts in `tokens/` in name order.
    ///
    /// # Errors
    /// A file cannot be decoded, lacks a column, or has a row that does not follow the one before it, points
    /// outside its document's text, or is not finite.
    pub fn tokens(&self) -> Result<TokenColumns, RecordsError> {
        let mut reader = RunReader::open(&self.folder)?;
        let (_, columns) = reader.take(reader.documents)?;
        reader.check_end()?;
        Ok(columns)
    }
}

/// `tokens.parquet`, or the parts in `tokens/` in name order.
pub(crate) fn token_files(folder: &Path) -> Result<Vec<PathBuf>, RecordsError> {
    let single = folder.join("tokens.parquet");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let parts = folder.join("tokens");
    let mut files = Vec::new();
    if parts.is_dir() {
        for entry in fs::read_dir(&parts).map_err(RecordsError::io(&parts, "list it"))? {
            let path = entry.map_err(RecordsError::io(&parts, "list it"))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with("part-") && name.ends_with(".parquet") {
                files.push(path);
            }
        }
        // By length first, so that part-10 follows part-9.
        files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    }
    if files.is_empty() {
        return Err(RecordsError::NotARun { path: folder.to_owned(), missing: "tokens.parquet".into() });
    }
    Ok(files)
}

/// Decodes the rows of a batch of a run that has a temperature or none, and guesses or none; what it has not is zero.
pub(crate) fn append(
    batch: &RecordBatch,
    path: &Path,
    (has_temperature, has_guesses): (bool, bool),
    columns: &mut TokenColumns,
) -> Result<(), RecordsError> {
    let u32s = |name| integers(batch, name, path);
    let f32s = |name| floats(batch, name, path);
    let (document, position, token) = (u32s("document")?, u32s("position")?, u32s("token")?);
    let (byte_start, byte_end) = (u32s("byte_start")?, u32s("byte_end")?);
    let (loss, entropy) = (f32s("loss")?, f32s("entropy")?);
    let [rank_name, token_name, probability_name] = GUESSES;
    let guesses = match has_guesses {
        true => Some((u32s(rank_name)?, u32s(token_name)?, f32s(probability_name)?)),
        false => None,
    };
    let calibrated = calibrated_columns(batch, path, has_temperature, has_guesses)?;
    for i in 0..batch.num_rows() {
        columns.push(TokenRecord {
            document: document[i],
            position: position[i],
            token: token[i],
            byte_start: byte_start[i],
            byte_end: byte_end[i],
            score: TokenScore {
                loss_nats: loss[i],
                entropy_nats: entropy[i],
                rank: guesses.map_or(0, |(rank, ..)| rank[i]),
                top_token: guesses.map_or(0, |(_, top_token, _)| top_token[i]),
                top_probability: guesses.map_or(0.0, |(.., top_probability)| top_probability[i]),
                calibrated: calibrated.map(|(loss, entropy, top_probability)| CalibratedScore {
                    loss_nats: loss[i],
                    entropy_nats: entropy[i],
                    top_probability: top_probability.map_or(0.0, |column| column[i]),
                }),
            },
        });
    }
    Ok(())
}

/// Loss, entropy and, where the run has guesses, top probability at its temperature.
type CalibratedSlices<'a> = (&'a [f32], &'a [f32], Option<&'a [f32]>);

/// The columns at the run's temperature: present exactly where `run.json` has one.
fn calibrated_columns<'a>(
    batch: &'a RecordBatch,
    path: &Path,
    has_temperature: bool,
    has_guesses: bool,
) -> Result<Option<CalibratedSlices<'a>>, RecordsError> {
    if has_temperature {
        let [loss, entropy, top_probability] = CALIBRATED;
        let column = |name| floats(batch, name, path);
        let (loss, entropy) = (column(loss)?, column(entropy)?);
        return Ok(Some((loss, entropy, has_guesses.then(|| column(top_probability)).transpose()?)));
    }
    match CALIBRATED.into_iter().find(|name| batch.column_by_name(name).is_some()) {
        None => Ok(None),
        Some(column) => Err(RecordsError::Column {
            path: path.to_owned(),
            column: column.to_owned(),
            problem: "is there, but run.json names no temperature; score again".into(),
        }),
    }
}

/// What is wrong with a row of `document` (nothing where the run has none of that index among its `documents`) that
/// follows another.
pub(crate) fn check(
    record: &TokenRecord,
    document: Option<&DocumentRecord>,
    documents: usize,
    previous: Option<&TokenRecord>,
) -> Result<(), String> {
    if let Some(previous) = previous {
        let (here, before) = ((record.document, record.position), (previous.document, previous.position));
        if here <= before {
            return Err(format!("(document, position) {here:?} follows {before:?}; rows must ascend"));
        }
    }
    let Some(document) = document else {
        return Err(format!("document {} of {documents}", record.document));
    };
    let (start, end) = (record.byte_start as usize, record.byte_end as usize);
    if start > end || end > document.text.len() {
        let length = document.text.len();
        return Err(format!("bytes {start}..{end} of document `{}` of {length} bytes", document.name));
    }
    if record.position >= document.tokens {
        return Err(format!(
            "position {} of document `{}` of {} tokens",
            record.position, document.name, document.tokens
        ));
    }
    if !record.score.loss_nats.is_finite() || !record.score.entropy_nats.is_finite() {
        return Err(format!(
            "loss {} or entropy {} is not finite",
            record.score.loss_nats, record.score.entropy_nats
        ));
    }
    if let Some(CalibratedScore { loss_nats, entropy_nats, top_probability }) = record.score.calibrated
        && ![loss_nats, entropy_nats, top_probability].iter().all(|value| value.is_finite())
    {
        return Err(format!(
            "calibrated loss {loss_nats}, entropy {entropy_nats} or top probability {top_probability} is not finite"
        ));
    }
    Ok(())
}

pub(crate) fn read_info(folder: &Path) -> Result<RunInfo, RecordsError> {
    let path = folder.join("run.json");
    if !path.is_file() {
        return Err(RecordsError::NotARun { path: folder.to_owned(), missing: "run.json".into() });
    }
    let length = fs::metadata(&path).map_err(RecordsError::io(&path, "read it"))?.len();
    if length > LARGEST_INFO {
        return Err(RecordsError::Json {
            path,
            message: format!("{length} bytes are too many for a run.json"),
        });
    }
    let text = fs::read_to_string(&path).map_err(RecordsError::io(&path, "read it"))?;
    let bad =
        |error: serde_json::Error| RecordsError::Json { path: path.clone(), message: error.to_string() };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(bad)?;
    let found = value.get("schema").and_then(|schema| schema.as_str()).unwrap_or("(none)");
    if found != RUN_SCHEMA {
        return Err(RecordsError::Schema { path, found: found.to_owned(), expected: RUN_SCHEMA });
    }
    let info: RunInfo = serde_json::from_value(value).map_err(bad)?;
    match info.temperature {
        Some(temperature) if !(temperature.is_finite() && temperature > 0.0) => Err(RecordsError::Json {
            path,
            message: format!("a temperature of {temperature}, where a positive number or null is due"),
        }),
        _ => Ok(info),
    }
}

fn read_documents(path: &Path) -> Result<Vec<DocumentRecord>, RecordsError> {
    let mut documents: Vec<DocumentRecord> = Vec::new();
    for batch in batches(path, &[], DOCUMENT_BATCH_ROWS)? {
        append_documents(&batch?, path, 0, &mut documents)?;
    }
    Ok(documents)
}

/// Decodes the documents of a batch, which follow `before` that were handed on and those in `documents`.
pub(crate) fn append_documents(
    batch: &RecordBatch,
    path: &Path,
    before: usize,
    documents: &mut Vec<DocumentRecord>,
) -> Result<(), RecordsError> {
    let (index, tokens, scored) = (
        integers(batch, "document", path)?,
        integers(batch, "tokens", path)?,
        integers(batch, "scored", path)?,
    );
    let (names, texts, splits) =
        (strings(batch, "name", path)?, strings(batch, "text", path)?, strings(batch, "split", path)?);
    let truncated = column(batch, "truncated", path)?
        .as_boolean_opt()
        .ok_or_else(|| wrong_type(batch, "truncated", "Boolean", path))?;
    for i in 0..batch.num_rows() {
        let row = before + documents.len();
        let bad = |problem| RecordsError::Row { path: path.to_owned(), row, problem };
        if index[i] as usize != row {
            return Err(bad(format!("document {} where {row} is due", index[i])));
        }
        documents.push(DocumentRecord {
            document: index[i],
            name: names[i].to_owned(),
            text: texts[i].to_owned(),
            tokens: tokens[i],
            scored: scored[i],
            truncated: truncated.value(i),
            split: splits[i].parse().map_err(bad)?,
        });
    }
    Ok(())
}

/// Whether a token table has rank, top token and top probability; one that has only some is damaged, which shows when it
/// is read.
pub(crate) fn has_guesses(path: &Path) -> Result<bool, RecordsError> {
    let (_, metadata) = open_table(path)?;
    Ok(GUESSES.iter().any(|name| metadata.schema().field_with_name(name).is_ok()))
}

/// Opens a Parquet file, whose footer is looked at before the decoder sees it. The Arrow schema that the file may carry beside
/// Parquet's own is not read: nothing here needs it, and its decoder panics.
pub(crate) fn open_table(path: &Path) -> Result<(File, ArrowReaderMetadata), RecordsError> {
    let file = File::open(path).map_err(RecordsError::io(path, "open it"))?;
    let metadata = guarded(path, || {
        check_parquet_footer(&file).map_err(ParquetError::External)?;
        ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_skip_arrow_metadata(true))
    })?;
    Ok((file, metadata))
}

/// How many rows a Parquet file says it has.
pub(crate) fn row_count(path: &Path) -> Result<usize, RecordsError> {
    let rows = open_table(path)?.1.metadata().file_metadata().num_rows();
    usize::try_from(rows).map_err(|_| RecordsError::Parquet {
        path: path.to_owned(),
        message: format!("it says that it has {rows} rows"),
    })
}

/// The record batches of a Parquet file.
///
/// The decoder can panic on damaged bytes; that is an error like any other.
///
/// Only the columns named, or all where none is; so many rows at a time.
pub(crate) fn batches(
    path: &Path,
    columns: &[&str],
    rows: usize,
) -> Result<impl Iterator<Item = Result<RecordBatch, RecordsError>> + Send + use<>, RecordsError> {
    let (file, metadata) = open_table(path)?;
    let mut reader = guarded(path, || {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(ParquetFile(file), metadata);
        let mask = match columns {
            [] => ProjectionMask::all(),
            _ => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
        };
        builder.with_projection(mask).with_batch_size(rows).build()
    })?;
    let path = path.to_owned();
    let mut ended = false;
    Ok(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let batch = guarded(&path, || reader.next().transpose().map_err(ParquetError::from)).transpose();
        ended = !matches!(batch, Some(Ok(_)));
        batch
    }))
}

/// What the decoder gives, its errors and panics as errors.
pub(crate) fn guarded<T>(
    path: &Path,
    decode: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, RecordsError> {
    // After a panic nothing that it touched is used again.
    match catch_panic(decode) {
        Ok(outcome) => outcome.map_err(RecordsError::parquet(path)),
        Err(_) => Err(RecordsError::Parquet {
            path: path.to_owned(),
            message: "the decoder gave up on its bytes".into(),
        }),
    }
}

pub(crate) fn column<'a>(
    batch: &'a RecordBatch,
    name: &str,
    path: &Path,
) -> Result<&'a dyn Array, RecordsError> {
    let bad =
        |problem: String| RecordsError::Column { path: path.to_owned(), column: name.to_owned(), problem };
    let column = batch.column_by_name(name).ok_or_else(|| bad("is missing".into()))?;
    if column.null_count() > 0 {
        return Err(bad(format!("has {} null values", column.null_count())));
    }
    Ok(column.as_ref())
}

pub(crate) fn wrong_type(batch: &RecordBatch, name: &str, expected: &str, path: &Path) -> RecordsError {
    let found = batch.column_by_name(name).map(|column| column.data_type().to_string()).unwrap_or_default();
    RecordsError::Column {
        path: path.to_owned(),
        column: name.to_owned(),
        problem: format!("is {found}, not {expected}"),
    }
}

pub(crate) fn integers<'a>(
    batch: &'a RecordBatch,
    name: &str,
    path: &Path,
) -> Result<&'a [u32], RecordsError> {
    let array = column(batch, name, path)?.as_primitive_opt::<UInt32Type>();
    Ok(array.ok_or_else(|| wrong_type(batch, name, "UInt32", path))?.values())
}

pub(crate) fn floats<'a>(batch: &'a RecordBatch, name: &str, path: &Path) -> Result<&'a [f32], RecordsError> {
    let array = column(batch, name, path)?.as_primitive_opt::<Float32Type>();
    Ok(array.ok_or_else(|| wrong_type(batch, name, "Float32", path))?.values())
}

/// A column of numbers that may be null.
pub(crate) fn optional_floats(
    batch: &RecordBatch,
    name: &str,
    path: &Path,
) -> Result<Vec<Option<f32>>, RecordsError> {
    let missing = || RecordsError::Column {
        path: path.to_owned(),
        column: name.to_owned(),
        problem: "is missing".into(),
    };
    let array = batch.column_by_name(name).ok_or_else(missing)?.as_primitive_opt::<Float32Type>();
    Ok(array.ok_or_else(|| wrong_type(batch, name, "Float32", path))?.iter().collect())
}

/// A column of text in any of Arrow's three layouts: pandas and Polars write others than we do.
pub(crate) fn strings<'a>(
    batch: &'a RecordBatch,
    name: &str,
    path: &Path,
) -> Result<Vec<&'a str>, RecordsError> {
    let array = column(batch, name, path)?;
    // `column` has refused nulls.
    if let Some(array) = array.as_string_opt::<i32>() {
        return Ok(array.iter().flatten().collect());
    }
    if let Some(array) = array.as_string_opt::<i64>() {
        return Ok(array.iter().flatten().collect());
    }
    match array.as_string_view_opt() {
        Some(array) => Ok(array.iter().flatten().collect()),
        None => Err(wrong_type(batch, name, "a string column", path)),
    }
}
