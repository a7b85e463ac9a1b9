//! Joining runs token by token on (document, position).

use std::path::PathBuf;

use rayon::prelude::*;

use crate::error::RecordsError;
use crate::joined::{Joined, JoinedDocument, JoinedModel, Role};
use crate::read::Run;
use crate::reader::RunReader;
use crate::record::{DocumentRecord, TokenRecord};
use crate::run_info::RunInfo;
use crate::table::TokenColumns;

/// Joins runs over one corpus with one tokenizer; the models of the join are in order of their role.
///
/// A row is a token that every run predicted; tokens that only some predicted (their windows differ, say) are
/// counted in [`Joined::left_out`]. The whole join is in memory: [`JoinReader`] goes through it in pieces.
///
/// # Errors
/// Role a or b is missing or a role is given twice, different corpora or tokenizers, runs that contradict each other
/// on a token, or no common token.
pub fn join(runs: Vec<(Role, String, Run)>) -> Result<Joined, RecordsError> {
    let runs = runs.into_iter().map(|(role, label, run)| (role, label, run.folder().to_owned())).collect();
    let mut reader = JoinReader::open(runs)?;
    let joined = reader.next_documents(usize::MAX)?.ok_or(RecordsError::NothingJoined { left_out: 0 })?;
    reader.next_documents(usize::MAX)?;
    Ok(Joined { left_out: reader.left_out(), ..joined })
}

/// One run of a join that is read in pieces.
#[derive(Debug)]
struct Source {
    role: Role,
    label: String,
    reader: RunReader,
}

/// The next documents of one run.
struct Piece {
    documents: Vec<DocumentRecord>,
    columns: TokenColumns,
}

/// A join of runs that is read from front to back, so that only some documents are in memory at a time.
#[derive(Debug)]
pub struct JoinReader {
    sources: Vec<Source>,
    /// Documents read.
    documents: usize,
    rows: u64,
    left_out: u64,
    ended: bool,
}

impl JoinReader {
    /// Opens runs, given by role, label and folder.
    ///
    /// # Errors
    /// Role a or b is missing or a role is given twice, a folder holds no run, or the corpora differ in size.
    pub fn open(mut runs: Vec<(Role, String, PathBuf)>) -> Result<Self, RecordsError> {
        runs.sort_by_key(|(role, ..)| *role);
        check_roles(&runs)?;
        let open = |(role, label, folder): (Role, String, PathBuf)| {
            Ok(Source { role, label, reader: RunReader::open(&folder)? })
        };
        let sources: Vec<Source> = runs.into_iter().map(open).collect::<Result<_, RecordsError>>()?;
        for source in &sources[1..] {
            let counts = [sources[0].reader.documents, source.reader.documents];
            if counts[0] != counts[1] {
                let difference = format!("{} and {} documents", counts[0], counts[1]);
                return Err(different_corpora(&sources[0], source, difference));
            }
        }
        Ok(JoinReader { sources, documents: 0, rows: 0, left_out: 0, ended: false })
    }

    /// The runs in order of their role: role, label, provenance.
    pub fn runs(&self) -> impl Iterator<Item = (Role, &str, &RunInfo)> {
        self.sources.iter().map(|source| (source.role, source.label.as_str(), &source.reader.info))
    }

    /// Documents of the corpus.
    pub fn corpus_documents(&self) -> usize {
        self.sources[0].reader.documents
    }

    /// Documents read so far: the index in the corpus of the first one that comes next.
    pub fn documents_read(&self) -> usize {
        self.documents
    }

    /// Tokens so far that some run predicted and another did not.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The next documents, with about so many rows and at least one document; nothing at the end. Documents are counted
    /// from the first of the piece.
    ///
    /// # Errors
    /// A run cannot be read, texts or tokens of the runs differ, or the end is there and no token was joined.
    pub fn next_documents(&mut self, rows: usize) -> Result<Option<Joined>, RecordsError> {
        if self.ended {
            return Ok(None);
        }
        let documents = self.sources[0].reader.documents_with(rows)?;
        let pieces = self.take(documents)?;
        if documents == 0 {
            self.ended = true;
            self.sources.iter_mut().try_for_each(|source| source.reader.check_end())?;
            return match self.rows {
                0 => Err(RecordsError::NothingJoined { left_out: self.left_out }),
                _ => Ok(None),
            };
        }
        for (source, piece) in self.sources.iter().zip(&pieces).skip(1) {
            check_same_texts(&self.sources[0], &pieces[0], source, piece)?;
        }
        let columns: Vec<&TokenColumns> = pieces.iter().map(|piece| &piece.columns).collect();
        let (rows, left_out) = common_rows(&columns);
        check_same_tokens(&self.sources, &columns, &rows)?;
        let joined = gather(&self.sources, pieces, &rows, self.documents as u32, left_out);
        self.documents += documents;
        self.rows += joined.rows() as u64;
        self.left_out += left_out;
        Ok(Some(joined))
    }

    /// The next documents of every run, each run on a thread of its own.
    fn take(&mut self, documents: usize) -> Result<Vec<Piece>, RecordsError> {
        self.sources
            .par_iter_mut()
            .map(|source| {
                let (documents, columns) = source.reader.take(documents)?;
                Ok(Piece { documents, columns })
            })
            .collect()
    }
}

fn check_roles<T>(runs: &[(Role, String, T)]) -> Result<(), RecordsError> {
    let roles: Vec<Role> = runs.iter().map(|(role, ..)| *role).collect();
    if roles.starts_with(&[Role::A, Role::B]) && roles.windows(2).all(|pair| pair[0] != pair[1]) {
        return Ok(());
    }
    let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
    Err(RecordsError::Roles { found: if names.is_empty() { "none".into() } else { names.join(", ") } })
}

fn check_same_texts(
    first: &Source,
    ours: &Piece,
    second: &Source,
    theirs: &Piece,
) -> Result<(), RecordsError> {
    let mut pairs = ours.documents.iter().zip(&theirs.documents);
    let difference = if ours.documents.len() != theirs.documents.len() {
        // The files say otherwise.
        Some(format!("{} and {} documents", ours.documents.len(), theirs.documents.len()))
    } else {
        let differs = pairs.find(|(a, b)| a.text != b.text);
        differs.map(|(a, b)| format!("document {}, `{}` and `{}`, differs", a.document, a.name, b.name))
    };
    difference.map_or(Ok(()), |difference| Err(different_corpora(first, second, difference)))
}

fn different_corpora(first: &Source, second: &Source, difference: String) -> RecordsError {
    let scored = |source: &Source| {
        format!("{} scored `{}`", source.reader.folder().display(), source.reader.info.corpus.name)
    };
    RecordsError::DifferentCorpora { first: scored(first), second: scored(second), difference }
}

/// For each run the rows whose (document, position) every run has, and how many keys only some have.
fn common_rows(columns: &[&TokenColumns]) -> (Vec<Vec<usize>>, u64) {
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
    sources: &[Source],
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
    if first.info.tokenizer.sha256 != second.info.tokenizer.sha256 {
        let has = |run: &RunReader| format!("{} has `{}`", run.folder().display(), run.info.tokenizer.name);
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
    sources: &[Source],
    pieces: Vec<Piece>,
    rows: &[Vec<usize>],
    first_document: u32,
    left_out: u64,
) -> Joined {
    let pick = |column: &[u32]| rows[0].iter().map(|&row| column[row]).collect::<Vec<u32>>();
    let first = &pieces[0].columns;
    let mut document = pick(&first.document);
    document.iter_mut().for_each(|document| *document -= first_document);
    let (position, token) = (pick(&first.position), pick(&first.token));
    let (byte_start, byte_end) = (pick(&first.byte_start), pick(&first.byte_end));
    let mut documents = Vec::new();
    let mut models = Vec::new();
    for (index, (source, piece)) in sources.iter().zip(pieces).enumerate() {
        let scores = &piece.columns.scores;
        let floats = |column: &[f32]| rows[index].iter().map(|&row| column[row]).collect::<Vec<f32>>();
        let integers = |column: &[u32]| rows[index].iter().map(|&row| column[row]).collect::<Vec<u32>>();
        models.push(JoinedModel {
            role: source.role,
            label: source.label.clone(),
            run: source.reader.info.clone(),
            loss: floats(&scores.loss),
            entropy: floats(&scores.entropy),
            rank: integers(&scores.rank),
            top_token: integers(&scores.top_token),
            top_probability: floats(&scores.top_probability),
        });
        if index == 0 {
            let mut end = 0;
            for record in piece.documents {
                let start = end;
                let own = |&&d: &&u32| d == record.document - first_document;
                end += document[start..].iter().take_while(own).count();
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
