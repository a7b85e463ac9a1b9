//! The tables of a comparison: the join, and beside it what finds a document in it and shows it.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema};

use crate::error::RecordsError;
use crate::joined::{Basis, Joined, JoinedModel, OwnTokens, Role};
use crate::joined_table::JoinedWriter;
use crate::table::{TokenColumns, token_schema};
use crate::write::{Table, TokenForm};

/// Text held back before a row group of documents is written: a reader of one document's text decodes a group's.
const GROUP_TEXT_BYTES: usize = 2 << 20;
/// Rows of such a group, at most.
const GROUP_DOCUMENTS: usize = 4096;
/// Rows of a run's own tokens encoded at a time.
const BATCH_ROWS: usize = 128 * 1024;
/// Vocabulary entries from here on keep no text; the largest vocabularies in use have some 300,000.
const LARGEST_TOKEN: u32 = 1 << 21;

/// Writes the tables of a comparison, piece by piece:
///
/// - `joined.parquet`, see [`JoinedWriter`];
/// - `documents.parquet`: every document with its text, where its rows stand in `joined.parquet`, and its totals: `delta` on the
///   comparison's basis, `loss_a`, … as scored, nats;
/// - `tokens_b.parquet` (`tokens_placebo.parquet`, …) where that run has other tokens than run a: its own, as in its run;
/// - `vocabulary.parquet`: vocabulary entries that occur, with the text that each stands for where it first occurs.
#[derive(Debug)]
pub struct ComparisonWriter {
    joined: JoinedWriter,
    basis: Basis,
    /// Rows of the join so far.
    rows: u64,
    documents: DocumentsTable,
    own: Vec<OwnTable>,
    vocabularies: Vec<Vocabulary>,
    vocabulary: Table,
}

impl ComparisonWriter {
    /// Starts the tables in a folder, for joins of the same runs as this one.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn create(
        folder: &Path,
        like: &Joined,
        basis: Basis,
        category_names: &[String],
    ) -> Result<Self, RecordsError> {
        let mut own = Vec::new();
        let mut vocabularies = vec![Vocabulary::of(Role::A)];
        for model in &like.models {
            if let Some(tokens) = &model.own {
                own.push(OwnTable::create(folder, model.role, tokens)?);
                vocabularies.push(Vocabulary::of(model.role));
            }
        }
        let path = folder.join("vocabulary.parquet");
        Ok(ComparisonWriter {
            joined: JoinedWriter::create(&folder.join("joined.parquet"), like, basis, category_names)?,
            basis,
            rows: 0,
            documents: DocumentsTable::create(folder, like)?,
            own,
            vocabularies,
            vocabulary: Table::create(path, vocabulary_schema(), TokenForm::Full)?,
        })
    }

    /// Adds the rows of a piece, as [`JoinedWriter::write`] does.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub fn write(
        &mut self,
        joined: &Joined,
        first_document: u32,
        category: &[u8],
        depth: &[u32],
    ) -> Result<(), RecordsError> {
        self.joined.write(joined, first_document, category, depth)?;
        let [a, b] = [&joined.models[0], &joined.models[1]].map(|model| model.on(self.basis));
        let deltas: Vec<f64> = match (a, b) {
            (Some([a, _]), Some([b, _])) => {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
            }
            // The join's table has refused them.
            _ => vec![0.0; joined.rows()],
        };
        let own: Vec<(&OwnTokens, u64)> = (self.own.iter())
            .filter_map(|table| {
                joined.model(table.role).and_then(|model| model.own.as_ref()).zip(Some(table.rows))
            })
            .collect();
        self.documents.add(joined, first_document, self.rows, &deltas, &own)?;
        self.rows += joined.rows() as u64;
        for row in 0..joined.rows() {
            self.vocabularies[0].add(joined.token[row], joined.token_bytes(row));
        }
        for (index, table) in self.own.iter_mut().enumerate() {
            let Some(own) = joined.model(table.role).and_then(|model| model.own.as_ref()) else { continue };
            self.vocabularies[index + 1].add_all(&own.columns, joined);
            table.write(own, first_document)?;
        }
        Ok(())
    }

    /// Finishes the tables.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn close(mut self) -> Result<(), RecordsError> {
        self.joined.close()?;
        self.documents.flush()?;
        self.documents.table.close()?;
        self.own.into_iter().try_for_each(|own| own.table.close())?;
        for vocabulary in &self.vocabularies {
            self.vocabulary.write(vocabulary.batch())?;
        }
        self.vocabulary.close()
    }
}

/// `documents.parquet` of a comparison.
#[derive(Debug)]
struct DocumentsTable {
    table: Table,
    schema: Arc<Schema>,
    waiting: Waiting,
}

/// Documents that are not written yet, column by column.
#[derive(Debug, Default)]
struct Waiting {
    document: Vec<u32>,
    name: Vec<String>,
    text: Vec<String>,
    split: Vec<&'static str>,
    first_row: Vec<u64>,
    rows: Vec<u32>,
    delta: Vec<f64>,
    /// `[model][document]`
    losses: Vec<Vec<f64>>,
    /// First row and rows in each run's own tokens, `[run][document]`.
    own: Vec<(Vec<u64>, Vec<u32>)>,
    text_bytes: usize,
}

impl DocumentsTable {
    fn create(folder: &Path, like: &Joined) -> Result<Self, RecordsError> {
        let schema = documents_schema(&like.models);
        let path = folder.join("documents.parquet");
        let table = Table::create(path, schema.clone(), TokenForm::Full)?;
        let waiting = Waiting::of(&like.models);
        Ok(DocumentsTable { table, schema: Arc::new(schema), waiting })
    }

    /// Adds the documents of a piece whose rows follow `rows_before` rows, and whose runs with tokens of their own have so many
    /// before.
    fn add(
        &mut self,
        joined: &Joined,
        first_document: u32,
        rows_before: u64,
        deltas: &[f64],
        own: &[(&OwnTokens, u64)],
    ) -> Result<(), RecordsError> {
        let mut own_at = vec![0; own.len()];
        for (document, index) in joined.documents.iter().zip(0u32..) {
            let waiting = &mut self.waiting;
            let rows = document.rows.clone();
            waiting.document.push(first_document + index);
            waiting.name.push(document.name.clone());
            waiting.text.push(document.text.clone());
            waiting.text_bytes += document.text.len();
            waiting.split.push(document.split.name());
            waiting.first_row.push(rows_before + rows.start as u64);
            waiting.rows.push(rows.len() as u32);
            waiting.delta.push(deltas[rows.clone()].iter().sum());
            for (losses, model) in waiting.losses.iter_mut().zip(&joined.models) {
                losses.push(model.loss[rows.clone()].iter().map(|loss| f64::from(*loss)).sum());
            }
            for (((tokens, before), at), to) in own.iter().zip(&mut own_at).zip(&mut waiting.own) {
                let first = *at;
                let column = &tokens.columns.document;
                *at += column[first..].iter().take_while(|document| **document == index).count();
                to.0.push(before + first as u64);
                to.1.push((*at - first) as u32);
            }
            if waiting.text_bytes >= GROUP_TEXT_BYTES || waiting.name.len() >= GROUP_DOCUMENTS {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what waits, as a row group.
    fn flush(&mut self) -> Result<(), RecordsError> {
        if self.waiting.name.is_empty() {
            return Ok(());
        }
        let fresh = Waiting {
            losses: vec![Vec::new(); self.waiting.losses.len()],
            own: vec![Default::default(); self.waiting.own.len()],
            ..Waiting::default()
        };
        let batch = RecordBatch::try_new(
            Arc::clone(&self.schema),
            std::mem::replace(&mut self.waiting, fresh).into_arrays(),
        );
        self.table.write(batch)?;
        self.table.end_group()
    }
}

impl Waiting {
    fn of(models: &[JoinedModel]) -> Self {
        let own = models.iter().filter(|model| model.own.is_some()).count();
        Waiting {
            losses: vec![Vec::new(); models.len()],
            own: vec![Default::default(); own],
            ..Waiting::default()
        }
    }

    /// Arrays for [`documents_schema`].
    fn into_arrays(self) -> Vec<ArrayRef> {
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.document)),
            Arc::new(StringArray::from(self.name)),
            Arc::new(StringArray::from(self.text)),
            Arc::new(StringArray::from(self.split)),
            Arc::new(UInt64Array::from(self.first_row)),
            Arc::new(UInt32Array::from(self.rows)),
            Arc::new(Float64Array::from(self.delta)),
        ];
        arrays.extend(self.losses.into_iter().map(|column| Arc::new(Float64Array::from(column)) as ArrayRef));
        for (first_row, rows) in self.own {
            arrays.push(Arc::new(UInt64Array::from(first_row)));
            arrays.push(Arc::new(UInt32Array::from(rows)));
        }
        arrays
    }
}

fn documents_schema(models: &[JoinedModel]) -> Schema {
    let field = |name: String, kind| Field::new(name, kind, false);
    let mut fields: Vec<Field> = [
        ("document", DataType::UInt32),
        ("name", DataType::Utf8),
        ("text", DataType::Utf8),
        ("split", DataType::Utf8),
        ("first_row", DataType::UInt64),
        ("rows", DataType::UInt32),
        ("delta", DataType::Float64),
    ]
    .into_iter()
    .map(|(name, kind)| field(name.to_owned(), kind))
    .collect();
    let roles = models.iter().map(|model| model.role.name());
    fields.extend(roles.map(|role| field(format!("loss_{role}"), DataType::Float64)));
    for role in models.iter().filter(|model| model.own.is_some()).map(|model| model.role.name()) {
        fields.push(field(format!("first_row_{role}"), DataType::UInt64));
        fields.push(field(format!("rows_{role}"), DataType::UInt32));
    }
    Schema::new(fields)
}

/// The tokens of a run that has others than run a.
#[derive(Debug)]
struct OwnTable {
    role: Role,
    table: Table,
    rows: u64,
}

impl OwnTable {
    fn create(folder: &Path, role: Role, like: &OwnTokens) -> Result<Self, RecordsError> {
        // A piece without tokens has no calibrated columns either; the first piece of a join has some.
        let schema = token_schema(like.columns.scores.calibrated.is_some(), like.has_guesses);
        let path = folder.join(format!("tokens_{}.parquet", role.name()));
        Ok(OwnTable { role, table: Table::create(path, schema, TokenForm::Full)?, rows: 0 })
    }

    fn write(&mut self, own: &OwnTokens, first_document: u32) -> Result<(), RecordsError> {
        let rows = own.columns.len();
        for start in (0..rows).step_by(BATCH_ROWS) {
            let mut columns = own.columns.rows(start..rows.min(start + BATCH_ROWS));
            columns.document.iter_mut().for_each(|document| *document += first_document);
            self.table.write(columns.to_batch(own.has_guesses))?;
        }
        self.rows += rows as u64;
        Ok(())
    }
}

/// The entries of a vocabulary that occur, by their id.
#[derive(Debug)]
struct Vocabulary {
    role: Role,
    entries: Vec<(u64, Box<[u8]>)>,
}

impl Vocabulary {
    fn of(role: Role) -> Self {
        Vocabulary { role, entries: Vec::new() }
    }

    fn add(&mut self, token: u32, bytes: &[u8]) {
        if token >= LARGEST_TOKEN {
            return;
        }
        let index = token as usize;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, (0, Box::default()));
        }
        let (occurrences, text) = &mut self.entries[index];
        *occurrences += 1;
        // A piece of a character may have no bytes in one place, and all of them in another.
        if text.is_empty() && !bytes.is_empty() {
            *text = bytes.into();
        }
    }

    /// Adds the tokens of a run over the documents of a join.
    fn add_all(&mut self, columns: &TokenColumns, joined: &Joined) {
        for row in 0..columns.len() {
            let text =
                joined.documents.get(columns.document[row] as usize).map_or("", |document| &document.text);
            let span = columns.byte_start[row] as usize..columns.byte_end[row] as usize;
            self.add(columns.token[row], text.as_bytes().get(span).unwrap_or_default());
        }
    }

    fn batch(&self) -> Result<RecordBatch, arrow_schema::ArrowError> {
        let found = || self.entries.iter().zip(0u32..).filter(|((occurrences, _), _)| *occurrences > 0);
        let role = self.role.name();
        RecordBatch::try_new(
            Arc::new(vocabulary_schema()),
            vec![
                Arc::new(StringArray::from_iter_values(found().map(|_| role))),
                Arc::new(UInt32Array::from_iter_values(found().map(|(_, token)| token))),
                Arc::new(UInt64Array::from_iter_values(found().map(|((occurrences, _), _)| *occurrences))),
                Arc::new(StringArray::from_iter_values(
                    found().map(|((_, bytes), _)| String::from_utf8_lossy(bytes)),
                )),
            ],
        )
    }
}

fn vocabulary_schema() -> Schema {
    Schema::new(vec![
        Field::new("vocabulary", DataType::Utf8, false),
        Field::new("token", DataType::UInt32, false),
        Field::new("occurrences", DataType::UInt64, false),
        Field::new("text", DataType::Utf8, false),
    ])
}
