//! Writing a run: documents and token records stream in, a finished folder comes out.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{ArrowError, Schema};
use half::f16;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::error::RecordsError;
use crate::parts::Parts;
use crate::plan::{Fitted, Restored, Resumed, ScoringPlan};
use crate::read::token_files;
use crate::record::{CalibratedScore, DocumentRecord, TokenRecord, TokenScore};
use crate::run_info::{Failure, RunInfo};
use crate::staged::{FolderKind, StagedFolder, resolve};
use crate::table::{CALIBRATED, TokenColumns, document_schema, token_schema};

/// Rows buffered before they are encoded, and rows of a row group: small enough that a reader can pick out a few
/// documents, large enough to compress.
const BATCH_ROWS: usize = 128 * 1024;
/// Text held back before a row group of documents is written.
const DOCUMENT_BATCH_BYTES: usize = 16 << 20;

/// Where scoring pushes what it finds: one call a document, in corpus order.
///
/// Scoring drives and the sink receives, so that a table on disk, a test's vector and a running mean are
/// interchangeable. An error stops the scoring and is handed back to its caller.
pub trait Sink {
    /// Receives a document and its predicted tokens in order.
    ///
    /// # Errors
    /// Whatever keeps the sink from taking them.
    fn document(&mut self, document: &DocumentRecord, tokens: &[TokenRecord]) -> Result<(), RecordsError>;

    /// Hears what the scoring depends on before anything is scored; answers what is kept of an earlier one.
    ///
    /// # Errors
    /// What is kept cannot be read, or belongs to another scoring.
    fn begin(&mut self, _plan: &ScoringPlan) -> Result<Resumed, RecordsError> {
        Ok(Resumed::default())
    }

    /// Hears the run's temperature, or why it has none, before the first document.
    ///
    /// # Errors
    /// It cannot be kept.
    fn fitted(&mut self, _fitted: &Fitted) -> Result<(), RecordsError> {
        Ok(())
    }

    /// What is kept of a document of this index. They are asked for in order, until the first that is not there; each is then received
    /// like any other.
    ///
    /// # Errors
    /// What is kept cannot be read.
    fn restore(&mut self, _document: u32) -> Result<Option<Restored>, RecordsError> {
        Ok(None)
    }

    /// Hears that the next document failed; it is then received without tokens.
    ///
    /// # Errors
    /// Whatever keeps the sink from taking note.
    fn failed(&mut self, _failure: &Failure) -> Result<(), RecordsError> {
        Ok(())
    }
}

/// A [`Sink`] that keeps everything in memory.
#[derive(Debug, Default)]
pub struct MemorySink {
    /// The documents received.
    pub documents: Vec<DocumentRecord>,
    /// Their tokens.
    pub tokens: TokenColumns,
}

impl Sink for MemorySink {
    fn document(&mut self, document: &DocumentRecord, tokens: &[TokenRecord]) -> Result<(), RecordsError> {
        self.documents.push(document.clone());
        tokens.iter().for_each(|token| self.tokens.push(*token));
        Ok(())
    }
}

/// How a run's token table is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenForm {
    /// All columns, as they are.
    #[default]
    Full,
    /// Without rank, top token and top probability, and with losses and entropies rounded to half precision (11 bits): some five
    /// bytes a token, for a run that only its losses and entropies are wanted of, as of an oracle's.
    Compact,
}

/// How a file of this schema is encoded.
fn properties(form: TokenForm, schema: &Schema) -> WriterProperties {
    let builder = WriterProperties::builder()
        .set_max_row_group_row_count(Some(BATCH_ROWS))
        .set_created_by(concat!("deltaloss ", env!("CARGO_PKG_VERSION")).to_owned());
    match form {
        TokenForm::Full => {
            let floats = schema.fields().iter().filter(|field| field.data_type().is_floating());
            let builder = builder.set_compression(Compression::ZSTD(ZstdLevel::default()));
            // Hardly any of them repeat: a dictionary would take time and room.
            floats
                .fold(builder, |builder, field| {
                    builder.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false)
                })
                .build()
        }
        TokenForm::Compact => {
            let ascending = ["document", "position", "byte_start", "byte_end"];
            let (floats, [loss, entropy, _]) = (["loss", "entropy"], CALIBRATED);
            let encoded = ascending
                .map(|name| (name, Encoding::DELTA_BINARY_PACKED))
                .into_iter()
                // Half of the bytes of a rounded number are zero or nearly so: apart from the others they take no room.
                .chain([floats[0], floats[1], loss, entropy].map(|name| (name, Encoding::BYTE_STREAM_SPLIT)));
            let builder = builder.set_compression(Compression::ZSTD(
                // The highest that needs no special memory: paid once, by who writes.
                ZstdLevel::try_new(19).unwrap_or_default(),
            ));
            encoded
                .fold(builder, |builder, (name, encoding)| {
                    let column = ColumnPath::from(name);
                    builder
                        .set_column_dictionary_enabled(column.clone(), false)
                        .set_column_encoding(column, encoding)
                })
                .build()
        }
    }
}

/// The score without its guesses, rounded to what a half-precision float holds.
fn in_half_precision(score: TokenScore) -> TokenScore {
    // What is not finite stays so, for a reader to refuse.
    let most = f16::MAX.to_f32();
    let half =
        |value: f32| f16::from_f32(if value.is_finite() { value.clamp(-most, most) } else { value }).to_f32();
    TokenScore {
        loss_nats: half(score.loss_nats),
        entropy_nats: half(score.entropy_nats),
        rank: 0,
        top_token: 0,
        top_probability: 0.0,
        calibrated: score.calibrated.map(|at| CalibratedScore {
            loss_nats: half(at.loss_nats),
            entropy_nats: half(at.entropy_nats),
            top_probability: 0.0,
        }),
    }
}

/// A [`Sink`] that writes a run's folder. Nothing stands under the final name before [`RunWriter::finish`].
#[derive(Debug)]
pub struct RunWriter {
    folder: StagedFolder,
    /// What is finished, for a scoring that goes on after a kill. Below the staged folder, which may lie in it.
    parts: Option<Parts>,
    /// That of the next document.
    failure: Option<Failure>,
    /// Opened with the first rows, which say whether there are calibrated columns.
    tokens: Option<Table>,
    form: TokenForm,
    token_buffer: TokenColumns,
    documents: Table,
    document_buffer: Vec<DocumentRecord>,
    buffered_text_bytes: usize,
}

impl RunWriter {
    /// Starts a run that will stand at `destination`; an existing run there is replaced only with `overwrite`.
    ///
    /// # Errors
    /// The destination is taken, or cannot be written.
    pub fn create(destination: &Path, overwrite: bool) -> Result<Self, RecordsError> {
        Self::of(StagedFolder::new(destination, FolderKind::RUN, overwrite)?, None)
    }

    /// As [`RunWriter::create`], of a run that can be gone on with after a kill: what is scored is kept in `DESTINATION.scoring` as well,
    /// in parts of `least` or 1 % of the time spent, whichever is more. With `overwrite`, parts of another scoring are removed.
    ///
    /// # Errors
    /// The destination is taken, another process works on it, or it cannot be written.
    pub fn resumable(destination: &Path, overwrite: bool, least: Duration) -> Result<Self, RecordsError> {
        let destination = resolve(destination)?;
        let parts = Parts::open(&destination, overwrite, least)?;
        let within = parts.path().to_owned();
        Self::of(StagedFolder::within(within, destination, FolderKind::RUN, overwrite)?, Some(parts))
    }

    fn of(folder: StagedFolder, parts: Option<Parts>) -> Result<Self, RecordsError> {
        let documents =
            Table::create(folder.path().join("documents.parquet"), document_schema(), TokenForm::Full)?;
        Ok(RunWriter {
            folder,
            parts,
            failure: None,
            tokens: None,
            form: TokenForm::Full,
            token_buffer: TokenColumns::default(),
            documents,
            document_buffer: Vec::new(),
            buffered_text_bytes: 0,
        })
    }

    /// Writes tokens in another form; to be said before the first document.
    #[must_use]
    pub fn with_form(self, form: TokenForm) -> Self {
        RunWriter { form, ..self }
    }

    fn flush_tokens(&mut self) -> Result<(), RecordsError> {
        let guesses = self.form == TokenForm::Full;
        let table = match &mut self.tokens {
            Some(table) => table,
            none => {
                let schema = token_schema(self.token_buffer.scores.calibrated.is_some(), guesses);
                let path = self.folder.path().join("tokens.parquet");
                none.insert(Table::create(path, schema, self.form)?)
            }
        };
        if !self.token_buffer.is_empty() {
            table.write(self.token_buffer.to_batch(guesses))?;
        }
        self.token_buffer.clear();
        Ok(())
    }

    fn flush_documents(&mut self) -> Result<(), RecordsError> {
        self.documents.write(document_batch(&self.document_buffer))?;
        // A row group ends here, so that no more text than this is held.
        self.documents.end_group()?;
        self.document_buffer.clear();
        self.buffered_text_bytes = 0;
        Ok(())
    }

    /// Writes `run.json` and moves the folder to its final place.
    ///
    /// # Errors
    /// The totals are not finite (JSON could not hold them), or the file system refuses; then nothing is left, but
    /// for a finished folder that cannot be moved, which is kept.
    pub fn finish(mut self, run: &RunInfo) -> Result<(), RecordsError> {
        let totals = &run.totals;
        if ![totals.mean_loss_nats, totals.mean_entropy_nats, totals.bits_per_byte]
            .iter()
            .all(|v| v.is_finite())
        {
            return Err(RecordsError::NonFiniteTotals { what: format!("{totals:?}") });
        }
        self.flush_tokens()?;
        self.flush_documents()?;
        if let Some(tokens) = self.tokens {
            tokens.close()?;
        }
        self.documents.close()?;
        write_info(self.folder.path(), run)?;
        if let Some(parts) = &self.parts {
            parts.mark_finished();
        }
        self.folder.commit()?;
        self.parts.map_or(Ok(()), Parts::remove)
    }
}

impl Sink for RunWriter {
    fn begin(&mut self, plan: &ScoringPlan) -> Result<Resumed, RecordsError> {
        self.parts.as_mut().map_or(Ok(Resumed::default()), |parts| parts.begin(plan))
    }

    fn fitted(&mut self, fitted: &Fitted) -> Result<(), RecordsError> {
        self.parts.as_mut().map_or(Ok(()), |parts| parts.fitted(fitted))
    }

    fn restore(&mut self, document: u32) -> Result<Option<Restored>, RecordsError> {
        self.parts.as_mut().map_or(Ok(None), |parts| parts.restore(document))
    }

    fn failed(&mut self, failure: &Failure) -> Result<(), RecordsError> {
        self.failure = Some(failure.clone());
        Ok(())
    }

    fn document(&mut self, document: &DocumentRecord, tokens: &[TokenRecord]) -> Result<(), RecordsError> {
        let failure = self.failure.take();
        if let Some(parts) = &mut self.parts {
            parts.document(document.document, tokens, failure.as_ref())?;
        }
        for token in tokens {
            self.token_buffer.push(match self.form {
                TokenForm::Full => *token,
                TokenForm::Compact => TokenRecord { score: in_half_precision(token.score), ..*token },
            });
            if self.token_buffer.len() == BATCH_ROWS {
                self.flush_tokens()?;
            }
        }
        self.buffered_text_bytes += document.text.len();
        self.document_buffer.push(document.clone());
        if self.buffered_text_bytes >= DOCUMENT_BATCH_BYTES {
            self.flush_documents()?;
        }
        Ok(())
    }
}

/// Writes `run.json` into a run's folder.
pub(crate) fn write_info(folder: &Path, run: &RunInfo) -> Result<(), RecordsError> {
    let path = folder.join("run.json");
    let mut json = serde_json::to_string_pretty(run)
        .map_err(|error| RecordsError::Json { path: path.clone(), message: error.to_string() })?;
    json.push('\n');
    std::fs::write(&path, json).map_err(RecordsError::io(&path, "write it"))
}

/// Copies a run's tables to `out`, which must not exist, under another `run.json`.
///
/// # Errors
/// The run cannot be read, or `out` cannot be written; what is there of it then has to be removed.
pub fn copy_run(run: &Path, out: &Path, info: &RunInfo) -> Result<(), RecordsError> {
    std::fs::create_dir_all(out).map_err(RecordsError::io(out, "create the folder"))?;
    let tokens = token_files(run)?;
    for from in tokens.iter().chain([&run.join("documents.parquet")]) {
        let to = out.join(from.strip_prefix(run).unwrap_or(from));
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(RecordsError::io(folder, "create the folder"))?;
        }
        std::fs::copy(from, &to).map_err(RecordsError::io(&to, "copy the run's table there"))?;
    }
    write_info(out, info)
}

/// Writes `documents.parquet` of a run on its own.
///
/// # Errors
/// It cannot be written; what is there of it then has to be removed.
pub fn write_documents(path: &Path, documents: &[DocumentRecord]) -> Result<(), RecordsError> {
    let mut table = Table::create(path.to_owned(), document_schema(), TokenForm::Full)?;
    table.write(document_batch(documents))?;
    table.close()
}

fn document_batch(documents: &[DocumentRecord]) -> Result<RecordBatch, ArrowError> {
    let integers = |f: fn(&DocumentRecord) -> u32| {
        Arc::new(documents.iter().map(f).collect::<UInt32Array>()) as ArrayRef
    };
    let strings = |f: fn(&DocumentRecord) -> &str| {
        Arc::new(StringArray::from_iter_values(documents.iter().map(f))) as ArrayRef
    };
    let truncated: BooleanArray = documents.iter().map(|d| Some(d.truncated)).collect();
    RecordBatch::try_new(
        Arc::new(document_schema()),
        vec![
            integers(|d| d.document),
            strings(|d| &d.name),
            strings(|d| &d.text),
            integers(|d| d.tokens),
            integers(|d| d.scored),
            Arc::new(truncated),
            strings(|d| d.split.name()),
        ],
    )
}

/// One Parquet file being written.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    writer: ArrowWriter<File>,
}

impl Table {
    pub(crate) fn create(path: PathBuf, schema: Schema, form: TokenForm) -> Result<Self, RecordsError> {
        let properties = properties(form, &schema);
        let file = File::create(&path).map_err(RecordsError::io(&path, "create it"))?;
        let writer = ArrowWriter::try_new(file, Arc::new(schema), Some(properties))
            .map_err(RecordsError::parquet(&path))?;
        Ok(Table { path, writer })
    }

    pub(crate) fn write(&mut self, batch: Result<RecordBatch, ArrowError>) -> Result<(), RecordsError> {
        let batch = batch
            .map_err(|error| RecordsError::Parquet { path: self.path.clone(), message: error.to_string() })?;
        self.writer.write(&batch).map_err(RecordsError::parquet(&self.path))
    }

    pub(crate) fn end_group(&mut self) -> Result<(), RecordsError> {
        self.writer.flush().map_err(RecordsError::parquet(&self.path))
    }

    pub(crate) fn close(self) -> Result<(), RecordsError> {
        self.writer.close().map(drop).map_err(RecordsError::parquet(&self.path))
    }
}
