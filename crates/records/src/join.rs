//! Joining runs token by token on (document, position).

use crate::error::RecordsError;
use crate::joined::{Joined, JoinedDocument, JoinedModel, Role};
use crate::read::Run;
use crate::record::TokenRecord;
use crate::table::{CalibratedColumns, TokenColumns};

/// Joins runs over one corpus with one tokenizer; the models of the join are in order of their role.
///
/// A row is a token that every run predicted; tokens that only some predicted (their windows differ, say) are
/// counted in [`Joined::left_out`].
///
/// # Errors
/// Role a or b is missing or a role is given twice, different corpora or tokenizers, runs that contradict each other
/// on a token, or no common token.
pub fn join(mut runs: Vec<(Role, String, Run)>) -> Result<Joined, RecordsError> {
    runs.sort_by_key(|(role, ..)| *role);
    check_roles(&runs)?;
    let mut columns = Vec::with_capacity(runs.len());
    for (index, (_, _, run)) in runs.iter().enumerate() {
        if index > 0 {
            check_same_texts(&runs[0].2, run)?;
        }
        columns.push(run.tokens()?);
    }
    let (rows, left_out) = common_rows(&columns);
    if rows.first().is_none_or(Vec::is_empty) {
        return Err(RecordsError::NothingJoined { left_out });
    }
    check_same_tokens(&runs, &columns, &rows)?;
    Ok(gather(runs, columns, rows, left_out))
}

fn check_roles(runs: &[(Role, String, Run)]) -> Result<(), RecordsError> {
    let roles: Vec<Role> = runs.iter().map(|(role, ..)| *role).collect();
    if roles.starts_with(&[Role::A, Role::B]) && roles.windows(2).all(|pair| pair[0] != pair[1]) {
        return Ok(());
    }
    let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
    Err(RecordsError::Roles { found: if names.is_empty() { "none".into() } else { names.join(", ") } })
}

fn check_same_texts(first: &Run, second: &Run) -> Result<(), RecordsError> {
    let difference = if first.documents.len() != second.documents.len() {
        Some(format!("{} and {} documents", first.documents.len(), second.documents.len()))
    } else {
        let differs = first.documents.iter().zip(&second.documents).find(|(a, b)| a.text != b.text);
        differs.map(|(a, b)| format!("document {}, `{}` and `{}`, differs", a.document, a.name, b.name))
    };
    let scored = |run: &Run| format!("{} scored `{}`", run.folder().display(), run.info.corpus.name);
    if let Some(difference) = difference {
        return Err(RecordsError::DifferentCorpora {
            first: scored(first),
            second: scored(second),
            difference,
        });
    }
    Ok(())
}

/// For each run the rows whose (document, position) every run has, and how many keys only some have.
fn common_rows(columns: &[TokenColumns]) -> (Vec<Vec<usize>>, u64) {
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
fn check_same_tokens(
    runs: &[(Role, String, Run)],
    columns: &[TokenColumns],
    rows: &[Vec<usize>],
) -> Result<(), RecordsError> {
    for other in 1..runs.len() {
        for (&row, &other_row) in rows[0].iter().zip(&rows[other]) {
            let (ours, theirs) = (columns[0].get(row), columns[other].get(other_row));
            let what = |r: &TokenRecord| (r.token, r.byte_start, r.byte_end);
            if what(&ours) != what(&theirs) {
                return Err(contradiction(&runs[0].2, &ours, &runs[other].2, &theirs, other_row));
            }
        }
    }
    Ok(())
}

/// What to say of two runs that disagree on a token.
fn contradiction(
    first: &Run,
    ours: &TokenRecord,
    second: &Run,
    theirs: &TokenRecord,
    row: usize,
) -> RecordsError {
    let say = |r: &TokenRecord| format!("token {} of bytes {}..{}", r.token, r.byte_start, r.byte_end);
    let place = format!("at document {}, position {}", ours.document, ours.position);
    if first.info.tokenizer.sha256 != second.info.tokenizer.sha256 {
        let has = |run: &Run| format!("{} has `{}`", run.folder().display(), run.info.tokenizer.name);
        let difference = format!("{} and {} {place}", say(ours), say(theirs));
        return RecordsError::DifferentTokenizers { first: has(first), second: has(second), difference };
    }
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

fn gather(
    runs: Vec<(Role, String, Run)>,
    columns: Vec<TokenColumns>,
    rows: Vec<Vec<usize>>,
    left_out: u64,
) -> Joined {
    let pick = |column: &[u32]| rows[0].iter().map(|&row| column[row]).collect::<Vec<u32>>();
    let first = &columns[0];
    let document = pick(&first.document);
    let (position, token) = (pick(&first.position), pick(&first.token));
    let (byte_start, byte_end) = (pick(&first.byte_start), pick(&first.byte_end));
    let mut documents = Vec::new();
    let mut models = Vec::new();
    for (index, (role, label, run)) in runs.into_iter().enumerate() {
        let scores = &columns[index].scores;
        let floats = |column: &[f32]| rows[index].iter().map(|&row| column[row]).collect::<Vec<f32>>();
        let integers = |column: &[u32]| rows[index].iter().map(|&row| column[row]).collect::<Vec<u32>>();
        models.push(JoinedModel {
            role,
            label,
            run: run.info,
            loss: floats(&scores.loss),
            entropy: floats(&scores.entropy),
            rank: integers(&scores.rank),
            top_token: integers(&scores.top_token),
            top_probability: floats(&scores.top_probability),
            calibrated: scores.calibrated.as_ref().map(|columns| CalibratedColumns {
                loss: floats(&columns.loss),
                entropy: floats(&columns.entropy),
                top_probability: floats(&columns.top_probability),
            }),
        });
        if index == 0 {
            let mut end = 0;
            for record in run.documents {
                let start = end;
                end += document[start..].iter().take_while(|&&d| d == record.document).count();
                documents.push(JoinedDocument {
                    name: record.name,
                    text: record.text,
                    split: record.split,
                    rows: start..end,
                });
            }
        }
    }
    Joined { documents, document, position, token, byte_start, byte_end, models, left_out }
}
