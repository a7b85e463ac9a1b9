//! `joined.parquet`: a join as a table, with the difference and each token's category.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema};

use crate::error::RecordsError;
use crate::joined::{Basis, Joined, JoinedModel, Role};
use crate::read::{batches, floats, integers, optional_floats, strings};
use crate::table::{CALIBRATED, SCORES, place_arrays, place_fields};
use crate::write::{Table, TokenForm};

/// Rows encoded at a time.
const BATCH_ROWS: usize = 128 * 1024;
/// The whole-numbered columns that a second pass looks at.
const OF_TOKENS: [&str; 4] = ["document", "position", "token", "depth"];
/// Where a token starts and ends.
const SPAN: [&str; 2] = ["byte_start", "byte_end"];
/// The column of the oracle.
const ORACLE: &str = "entropy_oracle";
/// Rows decoded at a time.
const COLUMN_ROWS: usize = 64 * 1024;

/// Writes a join, piece by piece: where each token stands, every run's columns with the role as suffix (`loss_a`,
/// `loss_b`, …; `rank_a`, … of the runs that have run a's tokens; `loss_calibrated_a`, … of those that have a
/// temperature), `entropy_oracle` (null where the oracle has no value) where there is an oracle, `delta` = loss of a − loss
/// of b on the comparison's basis in nats (Float64, exact), `category`, `split` (the half of its document), `depth`
/// (brackets open where the token starts) and `text` (its text, with U+FFFD for what is no UTF-8).
#[derive(Debug)]
pub struct JoinedWriter {
    table: Table,
    schema: Arc<Schema>,
    basis: Basis,
    category_names: Vec<String>,
}

impl JoinedWriter {
    /// Starts a table at `path` for joins of the same runs as this one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(
        path: &Path,
        like: &Joined,
        basis: Basis,
        category_names: &[String],
    ) -> Result<Self, RecordsError> {
        let mut fields = place_fields();
        for model in &like.models {
            fields.extend(model_columns(model, 0..0).into_iter().map(|(field, _)| field));
        }
        if like.oracle.is_some() {
            fields.push(Field::new(ORACLE, DataType::Float32, true));
        }
        fields.push(Field::new("delta", DataType::Float64, false));
        fields.push(Field::new("category", DataType::Utf8, false));
        fields.push(Field::new("split", DataType::Utf8, false));
        fields.push(Field::new("depth", DataType::UInt32, false));
        fields.push(Field::new("text", DataType::Utf8, false));
        let schema = Arc::new(Schema::new(fields));
        let table = Table::create(path.to_owned(), schema.as_ref().clone(), TokenForm::Full)?;
        Ok(JoinedWriter { table, schema, basis, category_names: category_names.to_vec() })
    }

    /// Adds the rows of a piece whose first document has index `first_document` in the corpus; `category[row]` indexes
    /// the names of the categories, `depth[row]` counts the brackets that are open where the token starts.
    ///
    /// # Errors
    /// The file cannot be written, or a or b has no losses on the comparison's basis.
    ///
    /// # Panics
    /// If the join has fewer than two models, or a row has no category or depth.
    pub fn write(
        &mut self,
        joined: &Joined,
        first_document: u32,
        category: &[u8],
        depth: &[u32],
    ) -> Result<(), RecordsError> {
        assert_eq!(category.len(), joined.rows(), "one category a row");
        assert_eq!(depth.len(), joined.rows(), "one depth a row");
        let [a, b] = [loss_on(&joined.models[0], self.basis)?, loss_on(&joined.models[1], self.basis)?];
        for start in (0..joined.rows()).step_by(BATCH_ROWS) {
            let rows = start..joined.rows().min(start + BATCH_ROWS);
            let document: Vec<u32> =
                joined.document[rows.clone()].iter().map(|document| first_document + document).collect();
            let place = [&joined.position, &joined.token, &joined.byte_start, &joined.byte_end];
            let [position, token, byte_start, byte_end] = place.map(|column| &column[rows.clone()]);
            let mut columns = place_arrays([&document, position, token, byte_start, byte_end]);
            for model in &joined.models {
                columns.extend(model_columns(model, rows.clone()).into_iter().map(|(_, array)| array));
            }
            if let Some(oracle) = &joined.oracle {
                let entropy = oracle.entropy[rows.clone()].iter().copied();
                columns.push(Arc::new(entropy.collect::<Float32Array>()));
            }
            let delta = rows.clone().map(|row| f64::from(a[row]) - f64::from(b[row]));
            columns.push(Arc::new(Float64Array::from_iter_values(delta)) as ArrayRef);
            let names = category[rows.clone()].iter().map(|&index| &self.category_names[usize::from(index)]);
            columns.push(Arc::new(StringArray::from_iter_values(names)));
            let split = |&document: &u32| joined.documents[document as usize].split.name();
            let splits = joined.document[rows.clone()].iter().map(split);
            columns.push(Arc::new(StringArray::from_iter_values(splits)));
            columns.push(Arc::new(UInt32Array::from_iter_values(depth[rows.clone()].iter().copied())));
            let text = rows.map(|row| String::from_utf8_lossy(joined.token_bytes(row)));
            columns.push(Arc::new(StringArray::from_iter_values(text)));
            self.table.write(RecordBatch::try_new(Arc::clone(&self.schema), columns))?;
        }
        Ok(())
    }

    /// Finishes the table.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn close(self) -> Result<(), RecordsError> {
        self.table.close()
    }
}

/// Some rows of a model's columns, each with its name and type.
fn model_columns(model: &JoinedModel, rows: Range<usize>) -> Vec<(Field, ArrayRef)> {
    let suffix = model.role.name();
    let floats = |name: &str, column: &[f32]| {
        let array: ArrayRef = Arc::new(Float32Array::from(column[rows.clone()].to_vec()));
        (Field::new(format!("{name}_{suffix}"), DataType::Float32, false), array)
    };
    let integers = |name: &str, column: &[u32]| {
        let array: ArrayRef = Arc::new(UInt32Array::from(column[rows.clone()].to_vec()));
        (Field::new(format!("{name}_{suffix}"), DataType::UInt32, false), array)
    };
    let [loss, entropy, rank, top_token, top_probability] = SCORES;
    let mut columns = vec![floats(loss, &model.loss), floats(entropy, &model.entropy)];
    if let Some(guesses) = &model.guesses {
        columns.push(integers(rank, &guesses.rank));
        columns.push(integers(top_token, &guesses.top_token));
        columns.push(floats(top_probability, &guesses.top_probability));
    }
    let [loss, entropy, top_probability] = CALIBRATED;
    if let Some(calibrated) = &model.calibrated {
        columns.extend([floats(loss, &calibrated.loss), floats(entropy, &calibrated.entropy)]);
    }
    let guesses = model.guesses.as_ref();
    columns.extend(
        guesses
            .and_then(|guesses| guesses.top_probability_calibrated.as_ref())
            .map(|column| floats(top_probability, column)),
    );
    columns
}

fn loss_on(model: &JoinedModel, basis: Basis) -> Result<&[f32], RecordsError> {
    match model.on(basis) {
        Some([loss, _]) => Ok(loss),
        None => Err(RecordsError::NoTemperature {
            run: model.label.clone(),
            because: model.run.no_temperature_because(),
        }),
    }
}

/// The columns of a joined table that a second pass looks at, losses and entropies on one basis, read from front to back.
pub struct JoinedColumns {
    path: PathBuf,
    /// Loss and entropy of each run.
    names: Vec<[&'static str; 2]>,
    categories: HashMap<String, u8>,
    oracle: bool,
    batches: Box<dyn Iterator<Item = Result<RecordBatch, RecordsError>> + Send>,
    /// Rows of the last document of the batch before, which may go on.
    rest: ColumnPiece,
}

/// Rows of a joined table: whole documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnPiece {
    /// Index of each row's document in the corpus.
    pub document: Vec<u32>,
    /// Index of each row's token in its document.
    pub position: Vec<u32>,
    /// Vocabulary ids.
    pub token: Vec<u32>,
    /// Indices in the names of the categories.
    pub category: Vec<u8>,
    /// Brackets open where each row's token starts.
    pub depth: Vec<u32>,
    /// Bytes of each token.
    pub bytes: Vec<u32>,
    /// Losses, nats, `[run][row]`.
    pub losses: Vec<Vec<f32>>,
    /// Entropies, nats, `[run][row]`.
    pub entropies: Vec<Vec<f32>>,
    /// The oracle's, nats, where there is an oracle, and nothing where it has no value.
    pub oracle: Option<Vec<Option<f32>>>,
}

impl std::fmt::Debug for JoinedColumns {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("JoinedColumns").field("path", &self.path).finish_non_exhaustive()
    }
}

impl JoinedColumns {
    /// Opens a table that a [`JoinedWriter`] of runs of these roles (that of the oracle among them where there is one) and of
    /// these categories has written.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(
        path: &Path,
        roles: &[Role],
        basis: Basis,
        category_names: &[String],
    ) -> Result<Self, RecordsError> {
        let oracle = roles.contains(&Role::Oracle);
        let roles: Vec<Role> = roles.iter().copied().filter(|role| *role != Role::Oracle).collect();
        let names: Vec<[&'static str; 2]> = roles.iter().map(|role| column_names(*role, basis)).collect();
        let mut read: Vec<&str> = OF_TOKENS
            .into_iter()
            .chain(SPAN)
            .chain(["category"])
            .chain(names.iter().flatten().copied())
            .collect();
        read.extend(oracle.then_some(ORACLE));
        let batches = Box::new(batches(path, &read, COLUMN_ROWS)?);
        Ok(JoinedColumns {
            path: path.to_owned(),
            names,
            categories: category_names.iter().cloned().zip(0..=u8::MAX).collect(),
            oracle,
            batches,
            rest: ColumnPiece::empty(roles.len(), oracle),
        })
    }

    /// The next documents; nothing at the end.
    ///
    /// # Errors
    /// The file cannot be decoded or lacks a column.
    pub fn next_documents(&mut self) -> Result<Option<ColumnPiece>, RecordsError> {
        let mut piece = std::mem::replace(&mut self.rest, ColumnPiece::empty(self.names.len(), self.oracle));
        for batch in self.batches.by_ref() {
            let batch = batch?;
            let of_tokens = [&mut piece.document, &mut piece.position, &mut piece.token, &mut piece.depth];
            for (column, name) in of_tokens.into_iter().zip(OF_TOKENS) {
                column.extend_from_slice(integers(&batch, name, &self.path)?);
            }
            let [starts, ends] = SPAN;
            let spans = integers(&batch, starts, &self.path)?.iter().zip(integers(&batch, ends, &self.path)?);
            piece.bytes.extend(spans.map(|(start, end)| end.saturating_sub(*start)));
            add_categories(&batch, &self.categories, &self.path, &mut piece.category)?;
            for (index, [loss, entropy]) in self.names.iter().enumerate() {
                piece.losses[index].extend_from_slice(floats(&batch, loss, &self.path)?);
                piece.entropies[index].extend_from_slice(floats(&batch, entropy, &self.path)?);
            }
            if let Some(oracle) = &mut piece.oracle {
                oracle.extend(optional_floats(&batch, ORACLE, &self.path)?);
            }
            // The last document may go on in the next batch.
            let last = piece.document.last().copied();
            let whole = piece.document.partition_point(|document| Some(*document) < last);
            if whole > 0 {
                self.rest = piece.split_off(whole);
                return Ok(Some(piece));
            }
        }
        Ok((!piece.document.is_empty()).then_some(piece))
    }
}

/// Appends the indices of a batch's categories.
fn add_categories(
    batch: &RecordBatch,
    categories: &HashMap<String, u8>,
    path: &Path,
    into: &mut Vec<u8>,
) -> Result<(), RecordsError> {
    for name in strings(batch, "category", path)? {
        let unknown = || RecordsError::Column {
            path: path.to_owned(),
            column: "category".into(),
            problem: format!("holds `{name}`, which is no category of the rules"),
        };
        into.push(*categories.get(name).ok_or_else(unknown)?);
    }
    Ok(())
}

impl ColumnPiece {
    fn empty(runs: usize, oracle: bool) -> Self {
        ColumnPiece {
            document: Vec::new(),
            position: Vec::new(),
            token: Vec::new(),
            category: Vec::new(),
            depth: Vec::new(),
            bytes: Vec::new(),
            losses: vec![Vec::new(); runs],
            entropies: vec![Vec::new(); runs],
            oracle: oracle.then(Vec::new),
        }
    }

    fn split_off(&mut self, row: usize) -> Self {
        let columns = |columns: &mut Vec<Vec<f32>>| columns.iter_mut().map(|c| c.split_off(row)).collect();
        ColumnPiece {
            document: self.document.split_off(row),
            position: self.position.split_off(row),
            token: self.token.split_off(row),
            category: self.category.split_off(row),
            depth: self.depth.split_off(row),
            bytes: self.bytes.split_off(row),
            losses: columns(&mut self.losses),
            entropies: columns(&mut self.entropies),
            oracle: self.oracle.as_mut().map(|entropies| entropies.split_off(row)),
        }
    }
}

/// The names of a role's losses and entropies on a basis.
fn column_names(role: Role, basis: Basis) -> [&'static str; 2] {
    let [as_scored, calibrated] = match role {
        Role::A => [["loss_a", "entropy_a"], ["loss_calibrated_a", "entropy_calibrated_a"]],
        Role::B => [["loss_b", "entropy_b"], ["loss_calibrated_b", "entropy_calibrated_b"]],
        Role::Benchmark => [
            ["loss_benchmark", "entropy_benchmark"],
            ["loss_calibrated_benchmark", "entropy_calibrated_benchmark"],
        ],
        Role::Placebo => {
            [["loss_placebo", "entropy_placebo"], ["loss_calibrated_placebo", "entropy_calibrated_placebo"]]
        }
        // Its one column is read apart.
        Role::Oracle => [[ORACLE; 2]; 2],
    };
    match basis {
        Basis::AsScored => as_scored,
        Basis::Calibrated => calibrated,
    }
}
