//! What a scoring has finished, kept part by part in a folder beside the run, so that a scoring that was killed goes on.
//!
//! `RUN.scoring/` holds `plan.json` (what the numbers depend on), `temperature.json` (once it is fitted), `part-N.parquet` with the token rows of some documents, and `part-N.json`, which is written last: a part without it does not
//! exist. Every file is written under another name, brought to the disk and renamed.

mod reading;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::reading::PartReader;
use crate::error::RecordsError;
use crate::locked::LockedFolder;
use crate::plan::{Fitted, Restored, Resumed, ScoringPlan};
use crate::record::TokenRecord;
use crate::run_info::Failure;
use crate::table::{TokenColumns, token_schema};
use crate::write::{Table, TokenForm};

/// The schema of `plan.json`.
const SCHEMA: &str = "deltaloss.scoring/1";
/// The temperature's file.
const TEMPERATURE: &str = "temperature.json";
/// A plan has some thousand bytes, a part's JSON more only by its failures.
const LARGEST_JSON: u64 = 64 << 20;
/// Rows buffered before they are encoded.
const BATCH_ROWS: usize = 8192;
/// A part is closed once it holds this share of all the time spent, so that their number grows with its logarithm.
const SHARE: f64 = 0.01;

/// `plan.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PlanFile {
    schema: String,
    plan: ScoringPlan,
}

/// `part-N.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PartInfo {
    /// The first document's index in the run.
    first_document: u32,
    documents: u32,
    rows: u64,
    /// Time that they took.
    seconds: f64,
    /// Those of the documents that failed.
    failures: Vec<Failure>,
}

/// The folder of a scoring that can be gone on with.
#[derive(Debug)]
pub(crate) struct Parts {
    folder: LockedFolder,
    /// Whether parts of another scoring are removed.
    overwrite: bool,
    least: Duration,
    fitted: Option<Fitted>,
    reader: Option<PartReader>,
    /// Parts on disk.
    finished: usize,
    writer: Option<PartWriter>,
    /// The next document that is written.
    next_document: u32,
    failures: Vec<Failure>,
    /// Since when scoring goes on, and what it had taken before.
    started: Instant,
    earlier_seconds: f64,
    /// When the part that is written now began.
    part_started: Instant,
}

/// The part that is being written.
#[derive(Debug)]
struct PartWriter {
    table: Table,
    buffer: TokenColumns,
    first_document: u32,
    rows: u64,
}

impl Parts {
    /// The parts of the run that will stand at `destination`; a part is closed after `least` or 1 % of the time spent,
    /// whichever is more.
    pub(crate) fn open(destination: &Path, overwrite: bool, least: Duration) -> Result<Self, RecordsError> {
        let mut name = destination.file_name().unwrap_or_default().to_owned();
        name.push(".scoring");
        let folder = LockedFolder::open(&destination.with_file_name(name), destination)?;
        let now = Instant::now();
        Ok(Parts {
            folder,
            overwrite,
            least,
            fitted: None,
            reader: None,
            finished: 0,
            writer: None,
            next_document: 0,
            failures: Vec::new(),
            started: now,
            earlier_seconds: 0.0,
            part_started: now,
        })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Finds what an earlier scoring by the same plan has left.
    pub(crate) fn begin(&mut self, plan: &ScoringPlan) -> Result<Resumed, RecordsError> {
        let path = self.path().join("plan.json");
        let exists = path.exists();
        // Another version's plan may have other entries: what it says of itself comes first.
        let found = read_json::<serde_json::Value>(&path).ok().filter(|found| found["schema"] == SCHEMA);
        let found = found.and_then(|found| serde_json::from_value::<PlanFile>(found).ok());
        let difference = match &found {
            Some(found) => found.plan.difference(plan),
            None => exists.then(|| "its plan.json is of another version, or damaged".to_owned()),
        };
        let temperature = self.path().join(TEMPERATURE);
        match (difference, found) {
            (Some(difference), _) if !self.overwrite => {
                return Err(RecordsError::OtherScoring { path: self.path().to_owned(), difference });
            }
            (None, Some(_)) => {}
            _ => self.folder.clear()?,
        }
        self.fitted = if temperature.exists() { Some(read_json(&temperature)?) } else { None };
        let infos = self.part_infos()?;
        self.finished = infos.len();
        self.earlier_seconds = infos.iter().map(|info| info.seconds).sum();
        let documents = infos.iter().map(|info| info.documents).sum();
        let plan = PlanFile { schema: SCHEMA.to_owned(), plan: plan.clone() };
        self.write_json("plan.json", &plan)?;
        self.next_document = documents;
        self.reader = Some(PartReader::new(self.path(), infos));
        Ok(Resumed { fitted: self.fitted.clone(), documents, elapsed_seconds: self.earlier_seconds })
    }

    /// Keeps the temperature.
    pub(crate) fn fitted(&mut self, fitted: &Fitted) -> Result<(), RecordsError> {
        // What took no time is fitted again.
        if self.fitted.is_none() && fitted.elapsed_seconds >= self.least.as_secs_f64() {
            self.write_json(TEMPERATURE, fitted)?;
            self.folder.keep();
        }
        self.fitted = Some(fitted.clone());
        self.started = Instant::now();
        self.part_started = self.started;
        Ok(())
    }

    /// What is kept of a document; they are asked for in order, until one is not there.
    pub(crate) fn restore(&mut self, document: u32) -> Result<Option<Restored>, RecordsError> {
        let calibrated = self.is_calibrated();
        match &mut self.reader {
            Some(reader) => reader.next(document, calibrated),
            None => Ok(None),
        }
    }

    /// Takes a document that is scored, unless it comes from here.
    pub(crate) fn document(
        &mut self,
        document: u32,
        tokens: &[TokenRecord],
        failure: Option<&Failure>,
    ) -> Result<(), RecordsError> {
        if document < self.next_document {
            return Ok(());
        }
        self.failures.extend(failure.cloned());
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let path = self.folder.path().join("part.partial");
                let schema = token_schema(self.fitted.as_ref().is_some_and(|f| f.beta.is_some()), true);
                let table = Table::create(path, schema, TokenForm::Full)?;
                none.insert(PartWriter {
                    table,
                    buffer: TokenColumns::default(),
                    first_document: document,
                    rows: 0,
                })
            }
        };
        writer.rows += tokens.len() as u64;
        for token in tokens {
            writer.buffer.push(*token);
            if writer.buffer.len() == BATCH_ROWS {
                writer.flush()?;
            }
        }
        self.next_document = document + 1;
        let spent = self.earlier_seconds + self.started.elapsed().as_secs_f64();
        let least = self.least.as_secs_f64().max(SHARE * spent);
        if self.part_started.elapsed().as_secs_f64() >= least { self.close_part() } else { Ok(()) }
    }

    fn is_calibrated(&self) -> bool {
        self.fitted.as_ref().is_some_and(|fitted| fitted.beta.is_some())
    }

    fn close_part(&mut self) -> Result<(), RecordsError> {
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        writer.flush()?;
        let info = PartInfo {
            first_document: writer.first_document,
            documents: self.next_document - writer.first_document,
            rows: writer.rows,
            seconds: self.part_started.elapsed().as_secs_f64(),
            failures: std::mem::take(&mut self.failures),
        };
        writer.table.close()?;
        let name = part_name(self.finished);
        self.settle("part.partial", &format!("{name}.parquet"))?;
        self.write_json(&format!("{name}.json"), &info)?;
        self.finished += 1;
        self.folder.keep();
        self.part_started = Instant::now();
        Ok(())
    }

    /// The run is at its place: nothing here is needed any more.
    pub(crate) fn remove(self) -> Result<(), RecordsError> {
        self.folder.remove()
    }

    /// Marks that the run is about to be moved to its place.
    pub(crate) fn mark_finished(&self) {
        // Only a convenience for a process that is killed between the two renames.
        let _ = fs::write(self.path().join(LockedFolder::FINISHED), "");
    }

    /// The parts that are whole, in order.
    fn part_infos(&self) -> Result<Vec<PartInfo>, RecordsError> {
        let mut infos: Vec<PartInfo> = Vec::new();
        let mut next = 0;
        loop {
            let path = self.path().join(format!("{}.json", part_name(infos.len())));
            if !path.exists() {
                break;
            }
            let info: PartInfo = read_json(&path)?;
            if info.first_document != next || next.checked_add(info.documents).is_none() {
                let first = info.first_document;
                return Err(RecordsError::Json {
                    path,
                    message: format!("begins with document {first}, where {next} is due"),
                });
            }
            next += info.documents;
            infos.push(info);
        }
        if !infos.is_empty() {
            self.folder.keep();
        }
        Ok(infos)
    }

    /// Writes a file whole or not at all.
    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RecordsError> {
        let partial = "json.partial";
        let path = self.path().join(partial);
        let write = || {
            let mut file = File::create(&path)?;
            serde_json::to_writer_pretty(&mut file, value)?;
            file.write_all(b"\n")
        };
        write().map_err(RecordsError::io(&path, "write it"))?;
        self.settle(partial, name)
    }

    /// Brings a file to the disk and gives it its name.
    fn settle(&self, partial: &str, name: &str) -> Result<(), RecordsError> {
        let (from, to) = (self.path().join(partial), self.path().join(name));
        let file = File::options().write(true).open(&from).map_err(RecordsError::io(&from, "open it"))?;
        file.sync_all().map_err(RecordsError::io(&from, "bring it to the disk"))?;
        fs::rename(&from, &to).map_err(RecordsError::io(&to, "move the finished file here"))
    }
}

impl PartWriter {
    fn flush(&mut self) -> Result<(), RecordsError> {
        if !self.buffer.is_empty() {
            self.table.write(self.buffer.to_batch(true))?;
        }
        self.buffer.clear();
        Ok(())
    }
}

fn part_name(index: usize) -> String {
    format!("part-{index:06}")
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, RecordsError> {
    let length = fs::metadata(path).map_err(RecordsError::io(path, "read it"))?.len();
    let bad = |message: String| RecordsError::Json { path: PathBuf::from(path), message };
    if length > LARGEST_JSON {
        return Err(bad(format!("{length} bytes are too many")));
    }
    let bytes = fs::read(path).map_err(RecordsError::io(path, "read it"))?;
    serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests;
