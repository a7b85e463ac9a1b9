//! Reading a comparison's tables document by document, without loading them whole.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt64Type};

use crate::error::RecordsError;
use crate::joined::{Basis, Role};
use crate::read::{column, floats, integers, optional_floats, strings, wrong_type};
use crate::record::Split;
use crate::table_file::TableFile;

/// Every role that has columns of its own in a join, in their order.
const ROLES: [Role; 4] = [Role::A, Role::B, Role::Benchmark, Role::Placebo];

/// The tables of a comparison, opened: the documents' names and totals are in memory, and the tables' footers.
#[derive(Debug)]
pub struct ComparisonTables {
    joined: TableFile,
    texts: TableFile,
    documents: Vec<DocumentEntry>,
    /// Role, whether its table has guesses, whether it has calibrated columns.
    models: Vec<(Role, bool, bool)>,
    has_oracle: bool,
    own: Vec<(Role, TableFile)>,
    vocabularies: HashMap<Role, HashMap<u32, String>>,
}

/// A document of a comparison, without its text.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentEntry {
    /// Its name in the corpus.
    pub name: String,
    /// Discovery or confirmation.
    pub split: Split,
    /// Its first row in `joined.parquet`.
    pub first_row: u64,
    /// Its rows there.
    pub rows: u32,
    /// Its total Δ on the comparison's basis, nats.
    pub delta_nats: f64,
    /// First row and rows in the tables of runs with tokens of their own.
    own: Vec<(u64, u32)>,
}

/// Some consecutive tokens of a document of a comparison; columns are equally long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DocumentTokens {
    /// The document's whole text.
    pub text: String,
    /// Index of each token in the document's token sequence under run a's tokenizer.
    pub position: Vec<u32>,
    /// Where each token starts in the text, bytes.
    pub byte_start: Vec<u32>,
    /// Where it ends, bytes.
    pub byte_end: Vec<u32>,
    /// Loss of a − loss of b on the comparison's basis, nats.
    pub delta: Vec<f64>,
    /// Each token's category.
    pub category: Vec<String>,
    /// Brackets open where it starts.
    pub depth: Vec<u32>,
    /// The models on these tokens, a first.
    pub models: Vec<TokensOfModel>,
    /// The oracle's entropies, where there is an oracle and it has a value, nats.
    pub oracle: Option<Vec<Option<f32>>>,
    /// The tokens, over the same bytes, of runs that have others than run a.
    pub own: Vec<TokensOfOther>,
}

/// What a model gives some tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct TokensOfModel {
    /// Its role.
    pub role: Role,
    /// Loss of each, nats.
    pub loss: Vec<f32>,
    /// Entropy of the distribution each was drawn from, nats.
    pub entropy: Vec<f32>,
    /// Ranks and likeliest entries, where the run has them for these tokens.
    pub guesses: Option<TokenGuesses>,
}

/// What a model thought likeliest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenGuesses {
    /// Entries with a strictly larger logit than each token.
    pub rank: Vec<u32>,
    /// The likeliest entry.
    pub top_token: Vec<u32>,
    /// Its probability.
    pub top_probability: Vec<f32>,
}

/// The own tokens of a run that has others than run a.
#[derive(Clone, Debug, PartialEq)]
pub struct TokensOfOther {
    /// Where each token starts in the text, bytes.
    pub byte_start: Vec<u32>,
    /// Where it ends, bytes.
    pub byte_end: Vec<u32>,
    /// What the run's model gives them.
    pub scores: TokensOfModel,
}

impl ComparisonTables {
    /// Opens the tables in the folder of a comparison.
    ///
    /// # Errors
    /// A file is missing, leads out of the folder, cannot be decoded, or contradicts another.
    pub fn open(folder: &Path) -> Result<Self, RecordsError> {
        let open = |name: &str| TableFile::open(&inside(folder, name)?);
        let (joined, texts) = (open("joined.parquet")?, open("documents.parquet")?);
        let has = |name: &str, role: Role| joined.has(&format!("{name}_{}", role.name()));
        let models: Vec<(Role, bool, bool)> = ROLES
            .into_iter()
            .filter(|role| matches!(role, Role::A | Role::B) || has("loss", *role))
            .map(|role| (role, has("top_token", role), has("loss_calibrated", role)))
            .collect();
        let own_roles = ROLES.into_iter().filter(|role| texts.has(&format!("rows_{}", role.name())));
        let own = own_roles
            .map(|role| Ok((role, open(&format!("tokens_{}.parquet", role.name()))?)))
            .collect::<Result<Vec<_>, RecordsError>>()?;
        let documents = read_documents(&texts, &joined, &own)?;
        let vocabularies = read_vocabularies(&open("vocabulary.parquet")?)?;
        let has_oracle = joined.has("entropy_oracle");
        Ok(ComparisonTables { joined, texts, documents, models, has_oracle, own, vocabularies })
    }

    /// The documents, in the order of the corpus.
    pub fn documents(&self) -> &[DocumentEntry] {
        &self.documents
    }

    /// Roles of the runs that have tokens of their own.
    pub fn own_roles(&self) -> impl Iterator<Item = Role> + '_ {
        self.own.iter().map(|(role, _)| *role)
    }

    /// The text that a vocabulary entry of this role's run stands for, where it occurs in the comparison's documents.
    pub fn entry_text(&self, role: Role, token: u32) -> Option<&str> {
        // Runs without tokens of their own have run a's.
        let of = if self.own_roles().any(|own| own == role) { role } else { Role::A };
        self.vocabularies.get(&of)?.get(&token).map(String::as_str)
    }

    /// Δ of every token of a document, nats.
    ///
    /// # Errors
    /// There is no such document, or the table cannot be decoded.
    pub fn deltas(&self, document: usize) -> Result<Vec<f64>, RecordsError> {
        let entry = self.entry(document)?;
        let rows = entry.first_row..entry.first_row + u64::from(entry.rows);
        let mut deltas = Vec::with_capacity(entry.rows as usize);
        for batch in self.joined.read(&["delta"], rows)? {
            deltas.extend_from_slice(doubles(&batch, "delta", self.joined.path())?);
        }
        Ok(deltas)
    }

    /// The tokens `tokens` of a document, counted from 0 among its joined ones and cut to those that there are; losses and
    /// entropies on a basis, where every run has it.
    ///
    /// # Errors
    /// There is no such document, or a table cannot be decoded or contradicts another.
    pub fn tokens(
        &self,
        document: usize,
        tokens: Range<u32>,
        basis: Basis,
    ) -> Result<DocumentTokens, RecordsError> {
        let entry = self.entry(document)?;
        let end = tokens.end.min(entry.rows);
        let rows = entry.first_row + u64::from(tokens.start.min(end))..entry.first_row + u64::from(end);
        let mut found = DocumentTokens { text: self.text(document)?, ..DocumentTokens::default() };
        found.oracle = self.has_oracle.then(Vec::new);
        let columns: Vec<Columns> = self
            .models
            .iter()
            .map(|model| Columns::of(model, basis, &format!("_{}", model.0.name())))
            .collect();
        found.models = columns.iter().map(Columns::empty).collect();
        let mut names = vec!["document", "position", "byte_start", "byte_end", "delta", "category", "depth"];
        names.extend(self.has_oracle.then_some("entropy_oracle"));
        names.extend(columns.iter().flat_map(Columns::names));
        let mut row = rows.start;
        for batch in self.joined.read(&names, rows)? {
            self.append(&batch, &columns, document, &mut found)?;
            check_spans(&batch, document, &found.text, self.joined.path(), row)?;
            row += batch.num_rows() as u64;
        }
        let bytes = match (found.byte_start.first(), found.byte_end.last()) {
            (Some(start), Some(end)) => *start..*end,
            _ => 0..0,
        };
        for (index, (role, table)) in self.own.iter().enumerate() {
            let own = own_tokens(table, *role, (document, entry.own[index]), &bytes, basis, &found.text)?;
            found.own.push(own);
        }
        Ok(found)
    }

    fn append(
        &self,
        batch: &RecordBatch,
        columns: &[Columns],
        document: usize,
        found: &mut DocumentTokens,
    ) -> Result<(), RecordsError> {
        let path = self.joined.path();
        if let Some(other) =
            integers(batch, "document", path)?.iter().find(|&&other| other as usize != document)
        {
            return Err(self.contradiction(format!("a row of document {other} where {document} is due")));
        }
        found.position.extend_from_slice(integers(batch, "position", path)?);
        found.byte_start.extend_from_slice(integers(batch, "byte_start", path)?);
        found.byte_end.extend_from_slice(integers(batch, "byte_end", path)?);
        found.delta.extend_from_slice(doubles(batch, "delta", path)?);
        found.category.extend(strings(batch, "category", path)?.into_iter().map(str::to_owned));
        found.depth.extend_from_slice(integers(batch, "depth", path)?);
        for (columns, model) in columns.iter().zip(&mut found.models) {
            columns.append(batch, path, model)?;
        }
        if let Some(oracle) = &mut found.oracle {
            oracle.extend(optional_floats(batch, "entropy_oracle", path)?);
        }
        Ok(())
    }

    fn text(&self, document: usize) -> Result<String, RecordsError> {
        let path = self.texts.path();
        let batches = self.texts.read(&["document", "text"], document as u64..document as u64 + 1)?;
        let Some(batch) = batches.first() else { return Err(self.contradiction("it has no text".into())) };
        if integers(batch, "document", path)? != [document as u32] {
            return Err(
                self.contradiction(format!("row {document} of documents.parquet is another document"))
            );
        }
        Ok(strings(batch, "text", path)?.concat())
    }

    fn entry(&self, document: usize) -> Result<&DocumentEntry, RecordsError> {
        let count = self.documents.len();
        self.documents
            .get(document)
            .ok_or_else(|| self.contradiction(format!("document {document} of {count}, counted from 0")))
    }

    fn contradiction(&self, problem: String) -> RecordsError {
        RecordsError::Parquet { path: self.joined.path().to_owned(), message: problem }
    }
}

/// A file of a folder, which must not lead out of it.
fn inside(folder: &Path, name: &str) -> Result<PathBuf, RecordsError> {
    let path = folder.join(name);
    if !path.exists() {
        let problem = if folder.join("results.json").is_file() {
            format!("has no {name}, so it was written by an earlier version; run `deltaloss compare` again")
        } else {
            "is not a comparison: it has no results.json. `deltaloss compare` makes comparisons".to_owned()
        };
        return Err(RecordsError::Unusable { path: folder.to_owned(), problem });
    }
    let resolve = |path: &Path| path.canonicalize().map_err(RecordsError::io(path, "find it"));
    if resolve(&path)?.parent() != Some(&resolve(folder)?) {
        let problem = "leads out of its folder, and is not read".to_owned();
        return Err(RecordsError::Unusable { path, problem });
    }
    Ok(path)
}

/// The names of a model's columns in a table.
struct Columns {
    role: Role,
    loss: String,
    entropy: String,
    /// Rank, top token, top probability.
    guesses: Option<[String; 3]>,
}

impl Columns {
    /// Of a role that has guesses, or calibrated columns, in a table where they end in `suffix`.
    fn of((role, guesses, calibrated): &(Role, bool, bool), basis: Basis, suffix: &str) -> Self {
        let at = if basis == Basis::Calibrated && *calibrated { "_calibrated" } else { "" };
        let guesses = guesses.then(|| {
            [format!("rank{suffix}"), format!("top_token{suffix}"), format!("top_probability{at}{suffix}")]
        });
        let [loss, entropy] = ["loss", "entropy"].map(|name| format!("{name}{at}{suffix}"));
        Columns { role: *role, loss, entropy, guesses }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let guesses = self.guesses.iter().flatten().map(String::as_str);
        [self.loss.as_str(), &self.entropy].into_iter().chain(guesses)
    }

    fn empty(&self) -> TokensOfModel {
        let guesses = self.guesses.as_ref().map(|_| TokenGuesses::default());
        TokensOfModel { role: self.role, loss: Vec::new(), entropy: Vec::new(), guesses }
    }

    fn append(&self, batch: &RecordBatch, path: &Path, to: &mut TokensOfModel) -> Result<(), RecordsError> {
        to.loss.extend_from_slice(floats(batch, &self.loss, path)?);
        to.entropy.extend_from_slice(floats(batch, &self.entropy, path)?);
        if let (Some([rank, token, probability]), Some(to)) = (&self.guesses, &mut to.guesses) {
            to.rank.extend_from_slice(integers(batch, rank, path)?);
            to.top_token.extend_from_slice(integers(batch, token, path)?);
            to.top_probability.extend_from_slice(floats(batch, probability, path)?);
        }
        Ok(())
    }
}

/// The tokens of another run that share bytes with `bytes`.
fn own_tokens(
    table: &TableFile,
    role: Role,
    (document, (first_row, rows)): (usize, (u64, u32)),
    bytes: &Range<u32>,
    basis: Basis,
    text: &str,
) -> Result<TokensOfOther, RecordsError> {
    let model = (role, table.has("top_token"), table.has("loss_calibrated"));
    let columns = Columns::of(&model, basis, "");
    let (mut starts, mut ends, mut scores) = (Vec::new(), Vec::new(), columns.empty());
    let names: Vec<&str> =
        ["document", "byte_start", "byte_end"].into_iter().chain(columns.names()).collect();
    let mut row = first_row;
    for batch in table.read(&names, first_row..first_row + u64::from(rows))? {
        check_spans(&batch, document, text, table.path(), row)?;
        row += batch.num_rows() as u64;
        let (start, end) =
            (integers(&batch, "byte_start", table.path())?, integers(&batch, "byte_end", table.path())?);
        // Rows ascend: those that reach into the bytes stand together.
        let from = end.partition_point(|end| *end <= bytes.start);
        let to = start.partition_point(|start| *start < bytes.end).max(from);
        let batch = batch.slice(from, to - from);
        starts.extend_from_slice(&start[from..to]);
        ends.extend_from_slice(&end[from..to]);
        columns.append(&batch, table.path(), &mut scores)?;
    }
    Ok(TokensOfOther { byte_start: starts, byte_end: ends, scores })
}

/// Every token of a batch belongs to the document, lies in its text, and follows the one before.
fn check_spans(
    batch: &RecordBatch,
    document: usize,
    text: &str,
    path: &Path,
    first_row: u64,
) -> Result<(), RecordsError> {
    let starts = integers(batch, "byte_start", path)?;
    let ends = integers(batch, "byte_end", path)?;
    let of = integers(batch, "document", path)?;
    let mut before = 0;
    for (index, ((start, end), of)) in starts.iter().zip(ends).zip(of).enumerate() {
        let fits =
            *start >= before && start <= end && *end as usize <= text.len() && *of as usize == document;
        if !fits {
            let row = usize::try_from(first_row).unwrap_or(usize::MAX).saturating_add(index);
            let bytes = text.len();
            let problem = format!(
                "bytes {start}..{end} of document {of}, where a token of document {document} (of {bytes} bytes) from byte {before} on is due"
            );
            return Err(RecordsError::Row { path: path.to_owned(), row, problem });
        }
        before = *end;
    }
    Ok(())
}

fn read_documents(
    texts: &TableFile,
    joined: &TableFile,
    own: &[(Role, TableFile)],
) -> Result<Vec<DocumentEntry>, RecordsError> {
    let own_names: Vec<[String; 2]> = own
        .iter()
        .map(|(role, _)| ["first_row", "rows"].map(|name| format!("{name}_{}", role.name())))
        .collect();
    let mut names = vec!["document", "name", "split", "first_row", "rows", "delta"];
    names.extend(own_names.iter().flatten().map(String::as_str));
    let path = texts.path();
    let mut documents: Vec<DocumentEntry> = Vec::new();
    for batch in texts.read(&names, 0..texts.rows())? {
        let (index, rows) = (integers(&batch, "document", path)?, integers(&batch, "rows", path)?);
        let (first_row, delta) = (longs(&batch, "first_row", path)?, doubles(&batch, "delta", path)?);
        let (name, split) = (strings(&batch, "name", path)?, strings(&batch, "split", path)?);
        let own_rows = own_names
            .iter()
            .map(|[first, rows]| Ok((longs(&batch, first, path)?, integers(&batch, rows, path)?)))
            .collect::<Result<Vec<_>, RecordsError>>()?;
        for i in 0..batch.num_rows() {
            let row = documents.len();
            let bad = |problem| RecordsError::Row { path: path.to_owned(), row, problem };
            if index[i] as usize != row {
                return Err(bad(format!("document {} where {row} is due", index[i])));
            }
            let entry = DocumentEntry {
                name: name[i].to_owned(),
                split: split[i].parse().map_err(bad)?,
                first_row: first_row[i],
                rows: rows[i],
                delta_nats: delta[i],
                own: own_rows.iter().map(|(first, rows)| (first[i], rows[i])).collect(),
            };
            let tables = std::iter::once((joined, (entry.first_row, entry.rows)))
                .chain(own.iter().map(|(_, table)| table).zip(entry.own.iter().copied()));
            for (table, (first, rows)) in tables {
                if first.checked_add(u64::from(rows)).is_none_or(|end| end > table.rows()) {
                    let (file, held) = (table.path().display(), table.rows());
                    return Err(bad(format!("{rows} rows from row {first} on of {file}, which has {held}")));
                }
            }
            if !entry.delta_nats.is_finite() {
                return Err(bad(format!("a total of {}", entry.delta_nats)));
            }
            documents.push(entry);
        }
    }
    Ok(documents)
}

fn read_vocabularies(table: &TableFile) -> Result<HashMap<Role, HashMap<u32, String>>, RecordsError> {
    let path = table.path();
    let mut vocabularies: HashMap<Role, HashMap<u32, String>> = HashMap::new();
    for batch in table.read(&["vocabulary", "token", "text"], 0..table.rows())? {
        let (of, tokens) = (strings(&batch, "vocabulary", path)?, integers(&batch, "token", path)?);
        for ((of, token), text) in of.into_iter().zip(tokens).zip(strings(&batch, "text", path)?) {
            if let Some(role) = ROLES.into_iter().find(|role| role.name() == of) {
                vocabularies.entry(role).or_default().insert(*token, text.to_owned());
            }
        }
    }
    Ok(vocabularies)
}

fn doubles<'a>(batch: &'a RecordBatch, name: &str, path: &Path) -> Result<&'a [f64], RecordsError> {
    let array = column(batch, name, path)?.as_primitive_opt::<Float64Type>();
    Ok(array.ok_or_else(|| wrong_type(batch, name, "Float64", path))?.values())
}

fn longs<'a>(batch: &'a RecordBatch, name: &str, path: &Path) -> Result<&'a [u64], RecordsError> {
    let array = column(batch, name, path)?.as_primitive_opt::<UInt64Type>();
    Ok(array.ok_or_else(|| wrong_type(batch, name, "UInt64", path))?.values())
}
