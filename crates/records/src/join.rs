//! Joining runs token by token: those of run a's tokenizer on (document, position), others through the text.

mod carried;
mod rows;

use std::path::PathBuf;

use rayon::prelude::*;

use self::carried::{Carried, carry, carry_entropy};
use self::rows::{check_same_tokens, common_rows, is_one_vocabulary};
use crate::error::RecordsError;
use crate::joined::{
    CalibratedLosses, Guesses, Joined, JoinedDocument, JoinedModel, JoinedOracle, OwnTokens, Role,
};
use crate::read::Run;
use crate::reader::RunReader;
use crate::record::DocumentRecord;
use crate::run_info::RunInfo;
use crate::table::{ScoreColumns, TokenColumns};

/// Joins runs over one corpus; the models of the join are in order of their role, the oracle apart.
///
/// A row is a token of run a that every run predicted; tokens that only some predicted (their windows differ, say) are
/// counted in [`Joined::left_out`]. A run with other tokens than a's has predicted a token of a where its own tokens
/// cover its bytes; its losses and entropies are carried ([`crate::carry_sum`], [`crate::carry_mean`]). What the oracle does
/// not cover stays, without a value. The whole join is in memory: [`JoinReader`] goes through it in pieces.
///
/// # Errors
/// Role a or b is missing or a role is given twice, different corpora, runs of one tokenizer that contradict each other
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
    /// Whether its tokens are others than run a's.
    carried: bool,
}

impl Source {
    fn joined(&self, (loss, entropy, calibrated, guesses): RowsOfModel) -> JoinedModel {
        let (role, label, run) = (self.role, self.label.clone(), self.reader.info.clone());
        let carried = self.carried;
        let guesses = guesses.filter(|_| self.reader.has_guesses);
        JoinedModel { role, label, run, carried, loss, entropy, calibrated, guesses, own: None }
    }
}

/// The next documents of one run.
struct Piece {
    documents: Vec<DocumentRecord>,
    columns: TokenColumns,
}

/// A join of runs that is read from front to back, so that only some documents are in memory at a time.
#[derive(Debug)]
pub struct JoinReader {
    /// By role, the oracle last.
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
            Ok(Source { role, label, reader: RunReader::open(&folder)?, carried: false })
        };
        let mut sources: Vec<Source> = runs.into_iter().map(open).collect::<Result<_, RecordsError>>()?;
        for source in &sources[1..] {
            let counts = [sources[0].reader.documents, source.reader.documents];
            if counts[0] != counts[1] {
                let difference = format!("{} and {} documents", counts[0], counts[1]);
                return Err(different_corpora(&sources[0], source, difference));
            }
        }
        let (first, others) = sources.split_at_mut(1);
        for source in others {
            source.carried = is_carried(&first[0], source)?;
        }
        Ok(JoinReader { sources, documents: 0, rows: 0, left_out: 0, ended: false })
    }

    /// The runs in order of their role, the oracle last: role, label, provenance, and whether its values are carried to other
    /// tokens.
    pub fn runs(&self) -> impl Iterator<Item = (Role, &str, &RunInfo, bool)> {
        self.sources.iter().map(|source| {
            let carried = source.carried;
            (source.role, source.label.as_str(), &source.reader.info, carried)
        })
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
        let joined = self.gather(pieces)?;
        self.documents += documents;
        self.rows += joined.rows() as u64;
        self.left_out += joined.left_out;
        Ok(Some(joined))
    }

    /// Joins the pieces of all runs.
    fn gather(&self, mut pieces: Vec<Piece>) -> Result<Joined, RecordsError> {
        let native: Vec<usize> = (0..pieces.len()).filter(|&index| !self.sources[index].carried).collect();
        let columns: Vec<&TokenColumns> = native.iter().map(|&index| &pieces[index].columns).collect();
        let (mut rows, mut left_out) = common_rows(&columns);
        let sources: Vec<&Source> = native.iter().map(|&index| &self.sources[index]).collect();
        check_same_tokens(&sources, &columns, &rows)?;
        let carried = self.carried(&pieces, &rows[0])?;
        // A row stays where every carried run covers it.
        let covered = |row: usize| carried.iter().flatten().all(|carried| carried.covers(row));
        let stays: Vec<bool> = (0..rows[0].len()).map(covered).collect();
        left_out += stays.iter().filter(|stays| !**stays).count() as u64;
        for rows in &mut rows {
            let mut stays = stays.iter();
            rows.retain(|_| stays.next() == Some(&true));
        }
        let oracle = self.oracle(&pieces, &rows[0])?;
        let mut rows_of = native.iter().zip(&rows);
        let mut models = Vec::new();
        for (index, source) in
            self.sources.iter().enumerate().filter(|(_, source)| source.role != Role::Oracle)
        {
            let values = match &carried[index] {
                Some(carried) => carried.rows(&stays),
                // Runs that are not carried are native, in this order.
                None => rows_of
                    .next()
                    .map(|(&native, rows)| native_rows(&pieces[native].columns.scores, rows))
                    .unwrap_or_default(),
            };
            let mut model = source.joined(values);
            if source.carried {
                let columns = own_tokens(&mut pieces[index], self.documents as u32);
                model.own = Some(OwnTokens { columns, has_guesses: source.reader.has_guesses });
            }
            models.push(model);
        }
        let first = pieces.swap_remove(0);
        Ok(place_rows(first, &rows[0], self.documents as u32, (models, oracle), left_out))
    }

    /// The values of runs with other tokens than run a's at rows of run a, `[run]`.
    fn carried(&self, pieces: &[Piece], rows: &[usize]) -> Result<Vec<Option<Carried>>, RecordsError> {
        let to = (&self.sources[0], &pieces[0]);
        let one = |(index, source): (usize, &Source)| {
            let carries = source.carried && source.role != Role::Oracle;
            carries.then(|| carry((source, &pieces[index]), to, rows)).transpose()
        };
        self.sources.iter().enumerate().map(one).collect()
    }

    /// The oracle's values at rows of run a.
    fn oracle(&self, pieces: &[Piece], rows: &[usize]) -> Result<Option<JoinedOracle>, RecordsError> {
        let Some(index) = self.sources.iter().position(|source| source.role == Role::Oracle) else {
            return Ok(None);
        };
        let source = &self.sources[index];
        let entropy = carry_entropy((source, &pieces[index]), (&self.sources[0], &pieces[0]), rows)?;
        Ok(Some(JoinedOracle { label: source.label.clone(), run: source.reader.info.clone(), entropy }))
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

/// Whether a run's values have to be carried to the first one's tokens. Those of the oracle are always, so that its tokens need
/// not be those that the others predicted; of two tokenizers of different files, unless they hold one vocabulary.
fn is_carried(first: &Source, source: &Source) -> Result<bool, RecordsError> {
    let [ours, theirs] = [first, source].map(|source| &source.reader.info.tokenizer.sha256);
    Ok(source.role == Role::Oracle
        || (ours != theirs && !is_one_vocabulary(first.reader.folder(), source.reader.folder())?))
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

/// Losses, entropies, both at the run's temperature, and guesses.
type RowsOfModel = (Vec<f32>, Vec<f32>, Option<CalibratedLosses>, Option<Guesses>);

/// Some rows of a run that has run a's tokens.
fn native_rows(scores: &ScoreColumns, rows: &[usize]) -> RowsOfModel {
    let floats = |column: &[f32]| rows.iter().map(|&row| column[row]).collect::<Vec<f32>>();
    let integers = |column: &[u32]| rows.iter().map(|&row| column[row]).collect::<Vec<u32>>();
    let calibrated = scores.calibrated.as_ref();
    let guesses = Guesses {
        rank: integers(&scores.rank),
        top_token: integers(&scores.top_token),
        top_probability: floats(&scores.top_probability),
        top_probability_calibrated: calibrated.map(|columns| floats(&columns.top_probability)),
    };
    let calibrated = calibrated
        .map(|columns| CalibratedLosses { loss: floats(&columns.loss), entropy: floats(&columns.entropy) });
    (floats(&scores.loss), floats(&scores.entropy), calibrated, Some(guesses))
}

/// The tokens of a run that are not run a's, its documents counted from the first of the piece.
fn own_tokens(piece: &mut Piece, first_document: u32) -> TokenColumns {
    let mut columns = std::mem::take(&mut piece.columns);
    columns.document.iter_mut().for_each(|document| *document -= first_document);
    columns
}

/// Some rows of run a, with what the models gave them.
fn place_rows(
    first: Piece,
    rows: &[usize],
    first_document: u32,
    (models, oracle): (Vec<JoinedModel>, Option<JoinedOracle>),
    left_out: u64,
) -> Joined {
    let pick = |column: &[u32]| rows.iter().map(|&row| column[row]).collect::<Vec<u32>>();
    let columns = &first.columns;
    let mut document = pick(&columns.document);
    document.iter_mut().for_each(|document| *document -= first_document);
    let (position, token) = (pick(&columns.position), pick(&columns.token));
    let (byte_start, byte_end) = (pick(&columns.byte_start), pick(&columns.byte_end));
    let mut documents = Vec::new();
    let mut end = 0;
    for record in first.documents {
        let start = end;
        let own = |&&d: &&u32| d == record.document - first_document;
        end += document[start..].iter().take_while(own).count();
        let rows = start..end;
        documents.push(JoinedDocument { name: record.name, text: record.text, split: record.split, rows });
    }
    Joined { documents, document, position, token, byte_start, byte_end, models, oracle, left_out }
}
