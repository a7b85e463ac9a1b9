//! Reading a run from front to back, some documents at a time, distrusting every row.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;

use crate::error::RecordsError;
use crate::read::{
    DOCUMENT_BATCH_ROWS, TOKEN_BATCH_ROWS, append, append_documents, batches, check, has_guesses, read_info,
    row_count, token_files,
};
use crate::record::{DocumentRecord, TokenRecord};
use crate::run_info::RunInfo;
use crate::table::TokenColumns;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, RecordsError>> + Send>;

/// A run being read: no more of it is in memory than the documents asked for and a batch of rows.
pub(crate) struct RunReader {
    folder: PathBuf,
    pub(crate) info: RunInfo,
    /// Documents of the run.
    pub(crate) documents: usize,
    /// Whether its token table has rank, top token and top probability; without, its records have zeros there.
    pub(crate) has_guesses: bool,
    document_batches: Batches,
    /// Documents read and not yet handed on.
    waiting: VecDeque<DocumentRecord>,
    /// Documents handed on.
    handed_on: usize,
    token_files: VecDeque<PathBuf>,
    token_batches: Option<(PathBuf, Batches)>,
    /// Rows decoded, of which those before `next_row` are handed on.
    rows: TokenColumns,
    next_row: usize,
    /// The last row handed on, and how many were.
    previous: Option<TokenRecord>,
    rows_handed_on: usize,
}

impl std::fmt::Debug for RunReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RunReader").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl RunReader {
    /// Opens the run in `folder`.
    pub(crate) fn open(folder: &Path) -> Result<Self, RecordsError> {
        let info = read_info(folder)?;
        let path = folder.join("documents.parquet");
        let documents = row_count(&path)?;
        let token_files = token_files(folder)?;
        let has_guesses = match token_files.first() {
            Some(path) => has_guesses(path)?,
            None => true,
        };
        Ok(RunReader {
            folder: folder.to_owned(),
            info,
            documents,
            has_guesses,
            document_batches: Box::new(batches(&path, &[], DOCUMENT_BATCH_ROWS)?),
            waiting: VecDeque::new(),
            handed_on: 0,
            token_files: token_files.into(),
            token_batches: None,
            rows: TokenColumns::default(),
            next_row: 0,
            previous: None,
            rows_handed_on: 0,
        })
    }

    /// The folder it was opened from.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads on until `documents` documents wait, or there are no more.
    fn read_documents(&mut self, documents: usize) -> Result<(), RecordsError> {
        let path = self.folder.join("documents.parquet");
        while self.waiting.len() < documents {
            let Some(batch) = self.document_batches.next() else { break };
            let mut found = Vec::new();
            append_documents(&batch?, &path, self.handed_on + self.waiting.len(), &mut found)?;
            self.waiting.extend(found);
        }
        Ok(())
    }

    /// How many documents, from the next on, hold `rows` rows or just more; at least one where there are any.
    pub(crate) fn documents_with(&mut self, rows: usize) -> Result<usize, RecordsError> {
        let (mut documents, mut held) = (0, 0usize);
        while held < rows {
            self.read_documents(documents + 1)?;
            let Some(document) = self.waiting.get(documents) else { break };
            held += document.scored as usize;
            documents += 1;
        }
        Ok(documents)
    }

    /// The next documents, at most so many, with their rows.
    pub(crate) fn take(
        &mut self,
        documents: usize,
    ) -> Result<(Vec<DocumentRecord>, TokenColumns), RecordsError> {
        self.read_documents(documents)?;
        let taken: Vec<DocumentRecord> = self.waiting.drain(..documents.min(self.waiting.len())).collect();
        let mut columns = TokenColumns::default();
        for document in &taken {
            let before = columns.len();
            while let Some(record) = self.next_of(document)? {
                columns.push(record);
            }
            let rows = columns.len() - before;
            if rows != document.scored as usize {
                let (name, scored) = (&document.name, document.scored);
                return Err(self.incomplete(format!(
                    "document `{name}` has {rows} rows in the token table, but {scored} scored"
                )));
            }
        }
        self.handed_on += taken.len();
        Ok((taken, columns))
    }

    /// The next row, if it is of this document or of one that is already past.
    fn next_of(&mut self, document: &DocumentRecord) -> Result<Option<TokenRecord>, RecordsError> {
        if !self.has_row()? {
            return Ok(None);
        }
        let record = self.rows.get(self.next_row);
        let exists = (record.document as usize) < self.documents;
        if exists && record.document > document.document {
            return Ok(None);
        }
        check(&record, exists.then_some(document), self.documents, self.previous.as_ref())
            .map_err(|problem| self.bad_row(problem))?;
        (self.next_row, self.rows_handed_on) = (self.next_row + 1, self.rows_handed_on + 1);
        self.previous = Some(record);
        Ok(Some(record))
    }

    /// Decodes more rows where none is left; whether there is one.
    fn has_row(&mut self) -> Result<bool, RecordsError> {
        while self.next_row == self.rows.len() {
            let Some((path, batches)) = &mut self.token_batches else {
                let Some(path) = self.token_files.pop_front() else { return Ok(false) };
                self.token_batches = Some((path.clone(), Box::new(batches(&path, &[], TOKEN_BATCH_ROWS)?)));
                continue;
            };
            match batches.next() {
                Some(batch) => {
                    self.rows.clear();
                    self.next_row = 0;
                    let has = (self.info.temperature.is_some(), self.has_guesses);
                    append(&batch?, path, has, &mut self.rows)?;
                }
                None if self.token_files.is_empty() => return Ok(false),
                None => self.token_batches = None,
            }
        }
        Ok(true)
    }

    /// Every row belongs to a document, and the run has as many as its totals say.
    pub(crate) fn check_end(&mut self) -> Result<(), RecordsError> {
        if self.has_row()? {
            let record = self.rows.get(self.next_row);
            let problem = check(&record, None, self.documents, self.previous.as_ref());
            return Err(self.bad_row(problem.err().unwrap_or_default()));
        }
        let (rows, tokens) = (self.rows_handed_on as u64, self.info.totals.tokens);
        if rows != tokens {
            return Err(self
                .incomplete(format!("{rows} rows in the token table, but run.json counts {tokens} tokens")));
        }
        Ok(())
    }

    fn bad_row(&self, problem: String) -> RecordsError {
        let path = self.token_batches.as_ref().map_or(&self.folder, |(path, _)| path);
        RecordsError::Row { path: path.clone(), row: self.rows_handed_on, problem }
    }

    fn incomplete(&self, problem: String) -> RecordsError {
        RecordsError::Incomplete { path: self.folder.clone(), problem }
    }
}
