//! Parts of a scoring that was ended at awkward moments.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::RecordsError;
use crate::plan::{Fitted, ScoringPlan};
use crate::record::{DocumentRecord, Split, TokenRecord, TokenScore};
use crate::run_info::{Failure, WindowInfo};
use crate::write::{RunWriter, Sink};

fn plan(model: &str) -> ScoringPlan {
    let text = |text: &str| text.to_owned();
    ScoringPlan {
        model: text(model),
        tokenizer: text("t"),
        corpus: text("c"),
        window: WindowInfo { context: 8, mode: text("chunk"), stride: None, beginning_of_text: None },
        calibration: text("none"),
        engine: text("e"),
        shard: None,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn tokens(document: u32) -> Vec<TokenRecord> {
    let score =
        TokenScore { loss_nats: document as f32, entropy_nats: 0.5, rank: 3, ..TokenScore::default() };
    let at = |i| TokenRecord { document, position: i, token: i, byte_start: i, byte_end: i + 1, score };
    (1..4).map(at).collect()
}

/// Writes documents from `from` on, a part each; the third fails.
fn write(writer: &mut RunWriter, from: u32, to: u32) {
    for document in from..to {
        let failed = document == 2;
        if failed {
            writer.failed(&Failure { document, name: "x".into(), position: 1 }).unwrap();
        }
        let tokens = if failed { Vec::new() } else { tokens(document) };
        let record = DocumentRecord {
            document,
            name: "x".into(),
            text: "abcd".into(),
            tokens: 4,
            scored: tokens.len() as u32,
            truncated: failed,
            split: Split::Discovery,
        };
        // Far more than 1 % of all the time spent, after which a part is closed.
        std::thread::sleep(Duration::from_millis(20));
        writer.document(&record, &tokens).unwrap();
    }
}

fn open(out: &Path, overwrite: bool) -> Result<RunWriter, RecordsError> {
    RunWriter::resumable(out, overwrite, Duration::ZERO)
}

/// A scoring of `documents` documents that ended before it was finished.
fn unfinished(out: &Path, documents: u32) -> PathBuf {
    let mut writer = open(out, false).unwrap();
    writer.begin(&plan("m")).unwrap();
    writer.fitted(&Fitted::default()).unwrap();
    write(&mut writer, 0, documents);
    out.with_extension("scoring")
}

#[test]
fn documents_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let scoring = unfinished(&out, 4);
    assert_eq!(names(folder.path()), ["run.scoring"]);
    // Of the fifth only the table is there; of the sixth half of one.
    fs::write(scoring.join("part-000004.parquet"), "not the table").unwrap();
    fs::write(scoring.join("part.partial"), "half").unwrap();
    let mut writer = open(&out, false).unwrap();
    let resumed = writer.begin(&plan("m")).unwrap();
    assert_eq!(resumed.documents, 4);
    writer.fitted(&Fitted::default()).unwrap();
    for document in 0..4 {
        let restored = writer.restore(document).unwrap().unwrap();
        if document == 2 {
            assert_eq!((restored.tokens.len(), restored.failure.unwrap().position), (0, 1));
        } else {
            assert_eq!((restored.tokens, restored.failure), (tokens(document), None));
        }
    }
    assert_eq!(writer.restore(4).unwrap(), None);
    write(&mut writer, 0, 6);
    drop(writer);
    assert!(names(&scoring).contains(&"part-000005.json".to_owned()), "{:?}", names(&scoring));
}

#[test]
fn one_process_at_a_time_and_one_plan() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    unfinished(&out, 2);
    let mut first = open(&out, false).unwrap();
    assert!(matches!(open(&out, true), Err(RecordsError::Busy { .. })));
    let error = first.begin(&plan("another")).unwrap_err().to_string();
    assert!(error.contains("the model is another") && error.contains("--overwrite"), "{error}");
    drop(first);
    let mut writer = open(&out, true).unwrap();
    assert_eq!(writer.begin(&plan("another")).unwrap().documents, 0);
    drop(writer);
    assert!(names(folder.path()).is_empty(), "nothing was worth keeping: {:?}", names(folder.path()));
}

#[test]
fn a_kill_between_two_renames_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    // Before the move: the old run was out of the way, the new one not yet there.
    let scoring = unfinished(&out, 2);
    fs::create_dir_all(scoring.join(".run.x.replaced")).unwrap();
    fs::write(scoring.join(".run.x.replaced/run.json"), "{\"schema\": \"deltaloss.run/1\"}").unwrap();
    fs::write(scoring.join(".run.x.replaced/documents.parquet"), "").unwrap();
    fs::create_dir_all(scoring.join(".run.x.partial")).unwrap();
    fs::write(scoring.join("finished"), "").unwrap();
    let mut writer = open(&out, true).unwrap();
    assert_eq!(writer.begin(&plan("m")).unwrap().documents, 2, "the parts are still of use");
    drop(writer);
    assert_eq!(names(&out), ["documents.parquet", "run.json"], "the old run is back");
    // After the move: the parts are of no use any more.
    fs::write(scoring.join("finished"), "").unwrap();
    assert!(matches!(open(&out, false), Err(RecordsError::OutputExists { .. })));
    assert_eq!(names(folder.path()), ["run"]);
}

#[test]
fn parts_that_do_not_follow_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let scoring = unfinished(&out, 3);
    fs::copy(scoring.join("part-000000.json"), scoring.join("part-000001.json")).unwrap();
    let error = open(&out, false).unwrap().begin(&plan("m")).unwrap_err().to_string();
    assert!(error.contains("part-000001.json: begins with document 0, where 1 is due"), "{error}");
    fs::write(scoring.join("part-000001.json"), "{\"first_document\": 1").unwrap();
    let error = open(&out, false).unwrap().begin(&plan("m")).unwrap_err().to_string();
    assert!(error.contains("part-000001.json"), "{error}");
    assert!(scoring.exists(), "nothing is removed unasked");
}
