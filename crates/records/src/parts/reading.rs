//! The documents of finished parts, in order, distrusting every row.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;

use super::{PartInfo, part_name};
use crate::error::RecordsError;
use crate::plan::Restored;
use crate::read::{TOKEN_BATCH_ROWS, append, batches};
use crate::record::TokenRecord;
use crate::run_info::Failure;
use crate::table::TokenColumns;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, RecordsError>> + Send>;

/// Reads finished parts from front to back.
pub(super) struct PartReader {
    /// Those not begun, with their files.
    parts: VecDeque<(PathBuf, PartInfo)>,
    open: Option<OpenPart>,
}

struct OpenPart {
    path: PathBuf,
    batches: Batches,
    end: u32,
    rows_due: u64,
    failures: VecDeque<Failure>,
    rows: TokenColumns,
    next_row: usize,
}

impl std::fmt::Debug for PartReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PartReader").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

impl PartReader {
    pub(super) fn new(folder: &Path, infos: Vec<PartInfo>) -> Self {
        let path = |index: usize| folder.join(format!("{}.parquet", part_name(index)));
        let parts = infos.into_iter().enumerate().map(|(index, info)| (path(index), info)).collect();
        PartReader { parts, open: None }
    }

    /// The next document, which has this index; nothing where the parts end.
    pub(super) fn next(&mut self, document: u32, calibrated: bool) -> Result<Option<Restored>, RecordsError> {
        while self.open.as_ref().is_none_or(|part| document >= part.end) {
            if let Some(part) = self.open.take() {
                part.check_end()?;
            }
            let Some((path, info)) = self.parts.pop_front() else { return Ok(None) };
            self.open = Some(OpenPart {
                batches: Box::new(batches(&path, &[], TOKEN_BATCH_ROWS)?),
                path,
                end: info.first_document + info.documents,
                rows_due: info.rows,
                failures: info.failures.into(),
                rows: TokenColumns::default(),
                next_row: 0,
            });
        }
        match &mut self.open {
            Some(part) => part.document(document, calibrated).map(Some),
            None => Ok(None),
        }
    }
}

impl OpenPart {
    fn document(&mut self, document: u32, calibrated: bool) -> Result<Restored, RecordsError> {
        let mut tokens: Vec<TokenRecord> = Vec::new();
        while let Some(record) = self.peek(calibrated)? {
            if record.document > document {
                break;
            }
            let follows = tokens.last().is_none_or(|before: &TokenRecord| before.position < record.position);
            if record.document < document || !follows {
                return Err(self.damaged(format!("a row of document {} out of order", record.document)));
            }
            self.next_row += 1;
            self.rows_due = self.rows_due.wrapping_sub(1);
            tokens.push(record);
        }
        let failure = match self.failures.front() {
            Some(failure) if failure.document == document => self.failures.pop_front(),
            _ => None,
        };
        if tokens.is_empty() == failure.is_none() {
            return Err(self.damaged(format!("document {document} is neither scored nor failed, or both")));
        }
        Ok(Restored { tokens, failure })
    }

    fn peek(&mut self, calibrated: bool) -> Result<Option<TokenRecord>, RecordsError> {
        while self.next_row == self.rows.len() {
            let Some(batch) = self.batches.next() else { return Ok(None) };
            self.rows.clear();
            self.next_row = 0;
            append(&batch?, &self.path, (calibrated, true), &mut self.rows)?;
        }
        Ok(Some(self.rows.get(self.next_row)))
    }

    fn check_end(self) -> Result<(), RecordsError> {
        if self.rows_due == 0 && self.next_row == self.rows.len() && self.failures.is_empty() {
            return Ok(());
        }
        Err(self.damaged("it has other rows than when it was written".into()))
    }

    fn damaged(&self, problem: String) -> RecordsError {
        RecordsError::DamagedPart { path: self.path.clone(), problem }
    }
}
