//! Which rows runs of one tokenizer have in common.

use std::path::Path;

use super::Source;
use crate::error::RecordsError;
use crate::reader::RunReader;
use crate::record::TokenRecord;
use crate::table::TokenColumns;

/// For each run the rows whose (document, position) every run has, and how many keys only some have.
pub(super) fn common_rows(columns: &[&TokenColumns]) -> (Vec<Vec<usize>>, u64) {
    let mut rows = vec![Vec::new(); columns.len()];
    let mut at = vec![0; columns.len()];
    let mut left_out = 0;
    let key = |run: usize, row: usize| -> Option<(u32, u32)> {
        Some((*columns[run].document.get(row)?, *columns[run].position.get(row)?))
    };
    loop {
        let keys: Vec<_> = (0..columns.len()).map(|run| key(run, at[run])).collect();
        let Some(lowest) = keys.iter().flatten().min().copied() else {
            return (rows, left_out);
        };
        let everywhere = keys.iter().all(|key| *key == Some(lowest));
        left_out += u64::from(!everywhere);
        for (run, key) in keys.iter().enumerate() {
            if *key == Some(lowest) {
                if everywhere {
                    rows[run].push(at[run]);
                }
                at[run] += 1;
            }
        }
    }
}

/// Runs must agree on what each token is. Two tokenizers of different files may (one vocabulary in two formats).
pub(super) fn check_same_tokens(
    sources: &[&Source],
    columns: &[&TokenColumns],
    rows: &[Vec<usize>],
) -> Result<(), RecordsError> {
    for other in 1..sources.len() {
        for (&row, &other_row) in rows[0].iter().zip(&rows[other]) {
            let (ours, theirs) = (columns[0].get(row), columns[other].get(other_row));
            let what = |r: &TokenRecord| (r.token, r.byte_start, r.byte_end);
            if what(&ours) != what(&theirs) {
                return Err(contradiction(
                    &sources[0].reader,
                    &ours,
                    &sources[other].reader,
                    &theirs,
                    other_row,
                ));
            }
        }
    }
    Ok(())
}

/// Rows looked at at a time.
const PIECE_ROWS: usize = 128 * 1024;

/// Whether two runs have the same tokens wherever both predicted one, and did so somewhere: then their tokenizers' files hold
/// one vocabulary. Reads until they differ.
pub(super) fn is_one_vocabulary(first: &Path, second: &Path) -> Result<bool, RecordsError> {
    let (mut first, mut second) = (RunReader::open(first)?, RunReader::open(second)?);
    let mut anywhere = false;
    loop {
        let documents = first.documents_with(PIECE_ROWS)?;
        if documents == 0 {
            return Ok(anywhere);
        }
        let ((_, ours), (_, theirs)) = (first.take(documents)?, second.take(documents)?);
        let (rows, _) = common_rows(&[&ours, &theirs]);
        let what = |columns: &TokenColumns, row: usize| {
            (columns.token[row], columns.byte_start[row], columns.byte_end[row])
        };
        if !rows[0].iter().zip(&rows[1]).all(|(&row, &other)| what(&ours, row) == what(&theirs, other)) {
            return Ok(false);
        }
        anywhere |= !rows[0].is_empty();
    }
}

/// What to say of two runs that disagree on a token.
fn contradiction(
    first: &RunReader,
    ours: &TokenRecord,
    second: &RunReader,
    theirs: &TokenRecord,
    row: usize,
) -> RecordsError {
    let say = |r: &TokenRecord| format!("token {} of bytes {}..{}", r.token, r.byte_start, r.byte_end);
    let place = format!("at document {}, position {}", ours.document, ours.position);
    RecordsError::Row {
        path: second.folder().to_owned(),
        row,
        problem: format!(
            "{}, but {} has {} {place}; the runs name the same tokenizer, so one of them is damaged: score it again",
            say(theirs),
            first.folder().display(),
            say(ours)
        ),
    }
}
