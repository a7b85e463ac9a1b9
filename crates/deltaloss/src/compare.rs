//! From runs on disk to a comparison on disk.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use deltaloss_checkpoint::read_bounded;
use deltaloss_records::{
    Basis, ColumnPiece, ComparisonTables, ComparisonWriter, FolderKind, JoinReader, JoinedColumns, Role, Run,
    Split, StagedFolder,
};
use deltaloss_report::viewer;
use deltaloss_stats::{
    Accumulator, ByHalf, Classifier, CompareError, Comparison, FirstPass, Options, Rules, SecondPass,
    SecondRows, Setup, SetupModel, token_depths,
};
use rayon::prelude::*;

use crate::error::Error;

/// Rules have some thousand bytes.
const LARGEST_RULES: u64 = 16 << 20;

/// Rows joined at a time; two such pieces are in memory, one being read and one being worked on.
const PIECE_ROWS: usize = 128 * 1024;

/// Everything that a comparison's folder may hold.
pub(crate) const COMPARISON_ENTRIES: [&str; 11] = [
    "documents.parquet",
    "figures",
    "joined.parquet",
    "report.html",
    "report.md",
    "results.json",
    "tables",
    "tokens_b.parquet",
    "tokens_benchmark.parquet",
    "tokens_placebo.parquet",
    "vocabulary.parquet",
];

/// The folder of a comparison.
const COMPARISON: FolderKind = FolderKind {
    name: "comparison",
    marker: "results.json",
    schema: "deltaloss.results/",
    entries: &COMPARISON_ENTRIES,
    required: &["report.html"],
};

/// Which runs to compare, and how.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// The runs: role, folder, and the name shown in reports (the model's own by default). Role a and role b once
    /// each, any other at most once.
    pub runs: Vec<(Role, PathBuf, Option<String>)>,
    /// A file of category rules in place of the built-in ones.
    pub rules: Option<PathBuf>,
    /// Which numbers lead in the report, and what `delta` in `joined.parquet` is of; calibrated ones need a temperature of
    /// every run.
    pub basis: Basis,
    /// Thresholds, resamples and their seed; its basis is not looked at.
    pub statistics: Options,
}

impl CompareOptions {
    /// Compares the runs in two folders: Δ = loss of `a` − loss of `b`.
    pub fn new(a: impl Into<PathBuf>, b: impl Into<PathBuf>) -> Self {
        CompareOptions {
            runs: vec![(Role::A, a.into(), None), (Role::B, b.into(), None)],
            rules: None,
            basis: Basis::AsScored,
            statistics: Options::default(),
        }
    }

    /// Adds a run in another role.
    #[must_use]
    pub fn with(mut self, role: Role, run: impl Into<PathBuf>) -> Self {
        self.runs.push((role, run.into(), None));
        self
    }
}

/// Compares runs and writes the comparison to `out`, which appears when it is complete.
///
/// # Errors
/// `out` is taken (and `overwrite` is off, or it is no comparison), a run cannot be read, the runs do not belong
/// together, or the rules are none.
pub fn compare_runs(options: &CompareOptions, out: &Path, overwrite: bool) -> Result<Comparison, Error> {
    let folder = StagedFolder::new(out, COMPARISON, overwrite)?;
    let comparison = write_comparison(options, folder.path())?;
    folder.commit()?;
    Ok(comparison)
}

/// Compares runs and writes the comparison's files into a folder that exists.
///
/// # Errors
/// As [`compare_runs`].
pub fn write_comparison(options: &CompareOptions, folder: &Path) -> Result<Comparison, Error> {
    let rules = match &options.rules {
        None => Rules::builtin(),
        Some(path) => {
            let name = path.display().to_string();
            let bytes = read_bounded(path, LARGEST_RULES)?;
            let text = String::from_utf8(bytes)
                .map_err(|error| Error::Source { source_name: name.clone(), problem: error.to_string() })?;
            Rules::from_toml(&text, &name)?
        }
    };
    let mut runs = Vec::with_capacity(options.runs.len());
    for (role, path, label) in &options.runs {
        let label = match label {
            Some(label) => label.clone(),
            None => Run::open_info(path)?.model.name,
        };
        runs.push((*role, label, path.clone()));
    }
    make_labels_differ(&mut runs);
    let statistics = Options { basis: options.basis, ..options.statistics.clone() };
    let comparison = compare_in_pieces(runs, &rules, &statistics, folder)?;
    let documents = viewer::excerpts(&comparison, &ComparisonTables::open(folder)?)?;
    deltaloss_report::write_report(&comparison, &documents, folder)?;
    Ok(comparison)
}

/// Joins runs piece by piece into the tables of a folder, and computes the results in two passes: one over the runs, one over
/// that table; as scored and, where every run has a temperature, calibrated. Memory grows with documents, not with
/// their tokens.
fn compare_in_pieces(
    runs: Vec<(Role, String, PathBuf)>,
    rules: &Rules,
    options: &Options,
    folder: &Path,
) -> Result<Comparison, Error> {
    let mut reader = JoinReader::open(runs)?;
    let models: Vec<SetupModel> = reader
        .runs()
        .map(|(role, label, run, carried)| SetupModel {
            role,
            label: label.to_owned(),
            run: run.clone(),
            carried,
        })
        .collect();
    let roles: Vec<Role> = models.iter().map(|model| model.role).collect();
    // The oracle classes tokens by its entropies as scored on either basis.
    let compared = || models.iter().filter(|model| model.role != Role::Oracle);
    let calibrated = compared().all(|model| model.run.temperature.is_some());
    let bases = if calibrated { &[Basis::AsScored, Basis::Calibrated][..] } else { &[Basis::AsScored] };
    let first_pass = |&basis| FirstPass::new(&roles, rules, &Options { basis, ..options.clone() });
    let mut first_passes = bases.iter().map(first_pass).collect::<Result<Vec<_>, _>>()?;
    look_first(&mut reader, &mut first_passes, rules, options.basis, folder)?;
    let left_out = reader.left_out();
    let finish = |(pass, basis): (&FirstPass, &Basis)| -> Result<ByHalf, Error> {
        let mut columns = JoinedColumns::open(&folder.join("joined.parquet"), &roles, *basis, rules.names())?;
        let second_pass = look_again(pass, pass.second_pass(&models[0].run.window), &mut columns)?;
        Ok(pass.finish(&second_pass, &models, left_out)?)
    };
    let mut found = first_passes.iter().zip(bases).map(finish);
    // The models as scored come first.
    let as_scored = found.next().unwrap_or(Err(CompareError::NoRows { left_out }.into()))?;
    let calibrated = found.next().transpose()?;
    let setup = Setup {
        documents: reader.corpus_documents() as u64,
        tokens: 0,
        bytes: 0,
        left_out,
        rules: rules.name().to_owned(),
        basis: options.basis,
        models: compared().cloned().collect(),
        oracle: models.iter().find(|model| model.role == Role::Oracle).cloned(),
    };
    Ok(Comparison::new(setup, as_scored, calibrated))
}

/// The first pass: the join, piece by piece, goes into the tables of the folder and into what each basis gathers.
fn look_first(
    reader: &mut JoinReader,
    first_passes: &mut [FirstPass],
    rules: &Rules,
    basis: Basis,
    folder: &Path,
) -> Result<(), Error> {
    let mut classifier = Classifier::new(rules);
    let mut writer = None;
    let mut first_document = 0;
    let mut piece = reader.next_documents(PIECE_ROWS)?;
    while let Some(joined) = piece {
        let writer = match &mut writer {
            Some(writer) => writer,
            none => none.insert(ComparisonWriter::create(folder, &joined, basis, rules.names())?),
        };
        let (categories, depths) = (classifier.classify(&joined)?, token_depths(&joined)?);
        let next_document = reader.documents_read() as u32;
        let gather = |passes: &mut [FirstPass]| {
            passes.iter_mut().try_for_each(|pass| pass.add_join(&joined, first_document, &categories))
        };
        let (next, (written, gathered)) = rayon::join(
            || reader.next_documents(PIECE_ROWS),
            || {
                rayon::join(
                    || writer.write(&joined, first_document, &categories, &depths),
                    || gather(first_passes),
                )
            },
        );
        written?;
        gathered?;
        piece = next?;
        first_document = next_document;
    }
    Ok(writer.map_or(Ok(()), ComparisonWriter::close)?)
}

/// The second pass, over the table that the first has left.
fn look_again(
    first_pass: &FirstPass,
    mut second_pass: SecondPass,
    columns: &mut JoinedColumns,
) -> Result<SecondPass, Error> {
    let halves: HashMap<u32, Split> = first_pass.documents().into_iter().collect();
    let mut piece = columns.next_documents()?;
    while let Some(rows) = piece {
        let (next, found) =
            rayon::join(|| columns.next_documents(), || second_look(&second_pass, &rows, &halves));
        found.into_iter().for_each(|part| second_pass.merge(part));
        piece = next?;
    }
    Ok(second_pass)
}

/// The second pass over a piece, its documents divided among the threads.
fn second_look(
    second_pass: &SecondPass,
    rows: &ColumnPiece,
    halves: &HashMap<u32, Split>,
) -> Vec<SecondPass> {
    let mut documents = Vec::new();
    let mut start = 0;
    for run in rows.document.chunk_by(|left, right| left == right) {
        documents.push((run[0], start..start + run.len()));
        start += run.len();
    }
    let share = documents.len().div_ceil(rayon::current_num_threads()).max(1);
    let part = |documents: &[(u32, Range<usize>)]| {
        let mut part = second_pass.fresh();
        for (document, range) in documents {
            // Every document of the table was added in the first pass.
            let Some(&split) = halves.get(document) else { continue };
            let [losses, entropies] = [&rows.losses, &rows.entropies]
                .map(|columns| columns.iter().map(|column| &column[range.clone()]).collect::<Vec<_>>());
            part.add_rows(&SecondRows {
                document: *document,
                split,
                position: &rows.position[range.clone()],
                token: &rows.token[range.clone()],
                category: &rows.category[range.clone()],
                depth: &rows.depth[range.clone()],
                losses: &losses,
                entropies: &entropies,
                bytes: &rows.bytes[range.clone()],
                oracle: rows.oracle.as_ref().map(|entropies| &entropies[range.clone()]),
            });
        }
        part
    };
    documents.par_chunks(share).map(part).collect()
}

/// Two runs of one name cannot be told apart in a figure: those get their role beside it, until all differ.
fn make_labels_differ<T>(runs: &mut [(Role, String, T)]) {
    loop {
        let labels: Vec<String> = runs.iter().map(|(_, label, _)| label.clone()).collect();
        let shared = |label: &String| labels.iter().filter(|other| *other == label).count() > 1;
        let mut changed = false;
        for (role, label, _) in runs.iter_mut().filter(|(_, label, _)| shared(label)) {
            *label = format!("{label} ({})", role.name());
            changed = true;
        }
        if !changed {
            return;
        }
    }
}
