//! Shards of a run made into one: the same files as if it had been scored at once.

use std::path::{Path, PathBuf};

use crate::error::RecordsError;
use crate::reader::RunReader;
use crate::record::{DocumentRecord, Split, TokenRecord};
use crate::run_info::{CorpusInfo, HalfSums, RunInfo, RunningTotals, ShardInfo};
use crate::write::{RunWriter, Sink, TokenForm};

/// Joins the shards of a run, given in any order, into a run at `out`. Its tables are, byte for byte, those of a run that was
/// scored at once, and so is `run.json` but for times (those of the shards are added) and threads.
///
/// # Errors
/// A folder is no shard, one is missing or given twice, they differ in model, tokenizer, corpus, windows, temperature or
/// engine; a shard is damaged; or `out` is taken (and `overwrite` is off, or it is no run) or cannot be written.
pub fn merge_shards(
    shards: &[PathBuf],
    out: &Path,
    form: TokenForm,
    overwrite: bool,
) -> Result<RunInfo, RecordsError> {
    let readers = open_in_order(shards)?;
    let Some((first, first_shard)) =
        readers.first().map(|(reader, shard)| (reader.info.clone(), shard.clone()))
    else {
        return Err(unfit("none was given".into()));
    };
    let mut merge = Merge {
        writer: RunWriter::create(out, overwrite)?.with_form(form),
        totals: RunningTotals::default(),
        halves: [HalfSums::default(); 2],
        documents: 0,
    };
    let mut info = first.clone();
    (info.failures, info.elapsed_seconds) = (Vec::new(), 0.0);
    let mut instruction_sets: Vec<String> = Vec::new();
    for (mut reader, shard) in readers {
        if shard.first_document != merge.documents {
            let (index, at, due) = (shard.index, shard.first_document, merge.documents);
            return Err(unfit(format!("shard {index} begins with document {at}, where {due} is due")));
        }
        for failure in &reader.info.failures {
            let mut failure = failure.clone();
            failure.document = failure.document.saturating_add(merge.documents);
            info.failures.push(failure);
        }
        info.elapsed_seconds += reader.info.elapsed_seconds;
        if !instruction_sets.contains(&reader.info.engine.instruction_set) {
            instruction_sets.push(reader.info.engine.instruction_set.clone());
        }
        merge.take(&mut reader)?;
    }
    if u64::from(merge.documents) != first_shard.corpus_documents {
        let (found, due) = (merge.documents, first_shard.corpus_documents);
        return Err(unfit(format!("they have {found} documents, the corpus {due}")));
    }
    info.shard = None;
    info.engine.instruction_set = instruction_sets.join(" and ");
    info.corpus = CorpusInfo {
        sha256: first_shard.corpus_sha256.clone(),
        documents: u64::from(merge.documents),
        ..info.corpus
    };
    if let Some(calibration) = &mut info.calibration {
        [calibration.discovery, calibration.confirmation] = merge.halves.map(|half| half.means());
    }
    info.totals = merge.totals.totals();
    info.tokens_per_second = info.totals.tokens as f64 / info.elapsed_seconds.max(f64::MIN_POSITIVE);
    merge.writer.finish(&info)?;
    Ok(info)
}

/// The shards in their order, all there and of one run.
fn open_in_order(folders: &[PathBuf]) -> Result<Vec<(RunReader, ShardInfo)>, RecordsError> {
    let mut readers = Vec::new();
    for folder in folders {
        let reader = RunReader::open(folder)?;
        let Some(shard) = reader.info.shard.clone() else {
            return Err(unfit(format!("{} is a whole run", folder.display())));
        };
        if !reader.has_guesses && reader.info.totals.tokens > 0 {
            return Err(unfit(format!("{} is a compact run", folder.display())));
        }
        readers.push((reader, shard));
    }
    readers.sort_by_key(|(_, shard)| shard.index);
    let Some((first, first_shard)) = readers.first() else { return Ok(readers) };
    for (reader, shard) in &readers {
        if let Some(problem) = difference((&first.info, first_shard), (&reader.info, shard)) {
            let (one, other) = (first.folder().display(), reader.folder().display());
            return Err(unfit(format!("{one} and {other} {problem}")));
        }
    }
    let found: Vec<u32> = readers.iter().map(|(_, shard)| shard.index).collect();
    if let Some(twice) = found.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(unfit(format!("shard {} is given twice", twice[0])));
    }
    let of = first_shard.of;
    if found.iter().any(|index| !(1..=of).contains(index)) {
        return Err(unfit(format!("their indexes are {found:?}, of {of}")));
    }
    if found.len() != of as usize {
        let missing = (1..=of).filter(|index| !found.contains(index)).take(10);
        let missing: Vec<String> = missing.map(|index| format!("{index}/{of}")).collect();
        return Err(unfit(format!(
            "{} of {of} are missing: {}",
            of as usize - found.len(),
            missing.join(", ")
        )));
    }
    Ok(readers)
}

/// In what two shards differ that should not.
fn difference(
    (one, shard): (&RunInfo, &ShardInfo),
    (other, other_shard): (&RunInfo, &ShardInfo),
) -> Option<String> {
    let same = [
        ("models", one.model.sha256 == other.model.sha256),
        ("tokenizers", one.tokenizer.sha256 == other.tokenizer.sha256),
        ("windows", one.window == other.window),
        (
            "temperatures; give all that of one, with --temperature-of",
            one.temperature.map(f64::to_bits) == other.temperature.map(f64::to_bits),
        ),
        ("engines", one.engine.version == other.engine.version),
        (
            "corpora, or numbers of shards",
            (shard.of, &shard.corpus_sha256, shard.corpus_documents)
                == (other_shard.of, &other_shard.corpus_sha256, other_shard.corpus_documents),
        ),
    ];
    same.iter().find(|(_, same)| !same).map(|(what, _)| format!("are of different {what}"))
}

struct Merge {
    writer: RunWriter,
    totals: RunningTotals,
    /// Discovery, confirmation.
    halves: [HalfSums; 2],
    documents: u32,
}

impl Merge {
    /// Appends a shard, document by document, to what the run is so far.
    fn take(&mut self, reader: &mut RunReader) -> Result<(), RecordsError> {
        loop {
            let (documents, columns) = reader.take(1)?;
            let Some(document) = documents.into_iter().next() else { break };
            let place = self.documents;
            self.documents = place
                .checked_add(1)
                .ok_or_else(|| unfit("they have more documents than a run can count".into()))?;
            let mut records: Vec<TokenRecord> = (0..columns.len()).map(|row| columns.get(row)).collect();
            records.iter_mut().for_each(|record| record.document = place);
            records.iter().for_each(|record| self.totals.add(record));
            if !records.is_empty() {
                let half = usize::from(document.split == Split::Confirmation);
                self.halves[half].add(&records);
            }
            self.writer.document(&DocumentRecord { document: place, ..document }, &records)?;
        }
        reader.check_end()
    }
}

fn unfit(problem: String) -> RecordsError {
    RecordsError::Shards { problem }
}
