//! Part of a run as a run of its own.

use std::collections::HashMap;
use std::path::Path;

use crate::error::RecordsError;
use crate::read::{Run, has_guesses, token_files};
use crate::record::DocumentRecord;
use crate::run_info::{CorpusInfo, RunInfo, RunningTotals};
use crate::write::{RunWriter, Sink, TokenForm};

impl Run {
    /// Writes to `out` what this run holds of `documents`, which it is searched for by text: a run over those documents, in their
    /// order and under their names, in the form of this one. One that it has not scored is there without tokens. Of what `run.json` says, totals are
    /// those of the new run; calibration, time and rate stay those of the scoring. Needs the run's tokens in memory.
    ///
    /// # Errors
    /// This run's token table cannot be read, or `out` is taken or cannot be written.
    pub fn write_selection(
        &self,
        documents: Vec<DocumentRecord>,
        corpus: CorpusInfo,
        out: &Path,
    ) -> Result<RunInfo, RecordsError> {
        let tokens = self.tokens()?;
        let has_guesses = token_files(self.folder())?.first().map_or(Ok(true), |path| has_guesses(path))?;
        let form = if has_guesses { TokenForm::Full } else { TokenForm::Compact };
        let mut first_row = 0;
        let mut known = HashMap::new();
        for document in &self.documents {
            let rows = first_row..first_row + document.scored as usize;
            first_row = rows.end;
            known.insert(document.text.as_str(), (document, rows));
        }
        let mut writer = RunWriter::create(out, false)?.with_form(form);
        let mut totals = RunningTotals::default();
        for (index, asked) in (0..).zip(documents) {
            let mut records = Vec::new();
            let mut document =
                DocumentRecord { document: index, tokens: 0, scored: 0, truncated: true, ..asked };
            if let Some((found, rows)) = known.get(document.text.as_str()) {
                records.extend(rows.clone().map(|row| tokens.get(row)));
                records.iter_mut().for_each(|record| record.document = index);
                let (tokens, scored, truncated) = (found.tokens, found.scored, found.truncated);
                document = DocumentRecord { tokens, scored, truncated, ..document };
            }
            records.iter().for_each(|record| totals.add(record));
            writer.document(&document, &records)?;
        }
        let info = RunInfo { corpus, totals: totals.totals(), ..self.info.clone() };
        writer.finish(&info)?;
        Ok(info)
    }
}
