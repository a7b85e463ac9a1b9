//! Runs written, read back, damaged and joined.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use crate::write::Table;
use crate::*;

mod calibrated;
mod carried;
mod hostile;
mod tables;

fn info(tokenizer: &str) -> RunInfo {
    RunInfo {
        schema: RUN_SCHEMA.into(),
        model: ModelInfo {
            name: "m".into(),
            source: "here".into(),
            sha256: "00".into(),
            architecture: "none".into(),
            parameters: 1,
            nonzero_parameters: 1,
        },
        tokenizer: TokenizerInfo { name: tokenizer.into(), sha256: tokenizer.into(), size: 9 },
        corpus: CorpusInfo { name: "c".into(), sha256: "11".into(), documents: 1, skipped: 0 },
        shard: None,
        failures: Vec::new(),
        window: WindowInfo { context: 8, mode: "chunk".into(), stride: None, beginning_of_text: None },
        temperature: None,
        calibration: None,
        engine: EngineInfo { version: "t".into(), instruction_set: "t".into(), threads: 1 },
        totals: Totals::default(),
        elapsed_seconds: 0.5,
        tokens_per_second: 2.0,
    }
}

/// A document of `n` one-byte tokens whose losses are `base` plus the position, predicted where `keep` says.
fn document(index: u32, n: u32, base: f32, keep: impl Fn(u32) -> bool) -> (DocumentRecord, Vec<TokenRecord>) {
    let tokens: Vec<TokenRecord> = (1..n)
        .filter(|&p| keep(p))
        .map(|p| TokenRecord {
            document: index,
            position: p,
            token: p % 7,
            byte_start: p,
            byte_end: p + 1,
            score: TokenScore {
                loss_nats: base + p as f32,
                entropy_nats: 0.5,
                rank: p,
                top_token: 3,
                top_probability: 0.25,
                calibrated: None,
            },
        })
        .collect();
    let record = DocumentRecord {
        document: index,
        name: format!("d{index}"),
        text: "x".repeat(n as usize),
        tokens: n,
        scored: tokens.len() as u32,
        truncated: false,
        split: Split::of(&[index as u8; 32]),
    };
    (record, tokens)
}

fn write(folder: &Path, tokenizer: &str, documents: &[(DocumentRecord, Vec<TokenRecord>)]) -> PathBuf {
    let mut writer = RunWriter::create(folder, false).unwrap();
    for (record, tokens) in documents {
        writer.document(record, tokens).unwrap();
    }
    let tokens = documents.iter().map(|(_, tokens)| tokens.len() as u64).sum();
    let totals = Totals { tokens, ..Totals::default() };
    writer.finish(&RunInfo { totals, ..info(tokenizer) }).unwrap();
    folder.to_owned()
}

fn open(folder: &Path, name: &str, tokenizer: &str, documents: &[(DocumentRecord, Vec<TokenRecord>)]) -> Run {
    Run::open(&write(&folder.join(name), tokenizer, documents)).unwrap()
}

#[test]
fn a_run_is_read_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    // More rows than one batch, and an empty document in the middle.
    let documents = [
        document(0, 100_000, 0.0, |_| true),
        document(1, 1, 0.0, |_| true),
        document(2, 60_000, 1.0, |_| true),
    ];
    let run = open(folder.path(), "run", "t", &documents);
    assert_eq!(run.info.totals.tokens, 99_999 + 59_999);
    assert_eq!(RunInfo { totals: Totals::default(), ..run.info.clone() }, info("t"));
    assert_eq!(run.documents, documents.iter().map(|(d, _)| d.clone()).collect::<Vec<_>>());
    let columns = run.tokens().unwrap();
    let expected: Vec<_> = documents.iter().flat_map(|(_, tokens)| tokens.clone()).collect();
    assert_eq!(columns.len(), expected.len());
    assert!((0..columns.len()).all(|row| columns.get(row) == expected[row]));
}

#[test]
fn a_selection_of_a_run_is_found_by_text() {
    let folder = tempfile::tempdir().unwrap();
    let all = [
        document(0, 20, 0.0, |_| true),
        document(1, 1, 0.0, |_| true),
        document(2, 30, 1.0, |p| p < 9),
        document(3, 12, 2.0, |p| p % 2 == 0),
    ];
    let run = open(folder.path(), "run", "t", &all);
    let asked = |index: u32, name: &str| {
        let tokens = (index + 1) % 2;
        DocumentRecord { name: name.into(), tokens, scored: tokens, ..document(index, 5, 0.0, |_| true).0 }
    };
    let mut documents =
        vec![asked(3, "last first"), asked(9, "unknown"), asked(1, "empty"), asked(0, "moved")];
    for (document, from) in documents.iter_mut().zip([3, 0, 1, 0]) {
        document.text = all[from].0.text.clone();
    }
    documents[1].text = "never scored".into();
    let corpus = CorpusInfo { name: "part".into(), documents: 4, ..info("t").corpus };
    let out = folder.path().join("part");
    let written = run.write_selection(documents.clone(), corpus.clone(), &out).unwrap();
    let part = Run::open(&out).unwrap();
    assert_eq!(part.info, written);
    assert_eq!((&part.info.corpus, part.info.totals.tokens), (&corpus, 5 + 19));
    let names: Vec<_> = part.documents.iter().map(|d| (d.name.as_str(), d.scored, d.truncated)).collect();
    assert_eq!(
        names,
        [("last first", 5, false), ("unknown", 0, true), ("empty", 0, false), ("moved", 19, false)]
    );
    let columns = part.tokens().unwrap();
    for (start, from, index) in [(0, 3, 0), (5, 0, 3)] {
        for (row, token) in all[from].1.iter().enumerate() {
            assert_eq!(columns.get(start + row), TokenRecord { document: index, ..*token });
        }
    }
    let losses: f64 = (0..24).map(|row| f64::from(columns.get(row).score.loss_nats)).sum();
    assert_eq!(part.info.totals.mean_loss_nats, losses / 24.0);
    assert_eq!(part.info.totals.bits_per_byte, losses / std::f64::consts::LN_2 / 24.0);
    assert!(matches!(run.write_selection(documents, corpus, &out), Err(RecordsError::OutputExists { .. })));
}

#[test]
fn the_schema_on_disk_is_the_documented_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = write(&folder.path().join("run"), "t", &[document(0, 5, 0.0, |_| true)]);
    let schema = |name: &str| {
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(fs::File::open(run.join(name)).unwrap()).unwrap();
        builder
            .schema()
            .fields()
            .iter()
            .map(|f| format!("{} {}", f.name(), f.data_type()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        schema("tokens.parquet"),
        [
            "document UInt32",
            "position UInt32",
            "token UInt32",
            "byte_start UInt32",
            "byte_end UInt32",
            "loss Float32",
            "entropy Float32",
            "rank UInt32",
            "top_token UInt32",
            "top_probability Float32"
        ]
    );
    assert_eq!(
        schema("documents.parquet"),
        [
            "document UInt32",
            "name Utf8",
            "text Utf8",
            "tokens UInt32",
            "scored UInt32",
            "truncated Boolean",
            "split Utf8"
        ]
    );
}

#[test]
fn nothing_stands_under_the_final_name_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut writer = RunWriter::create(&path, false).unwrap();
    let (record, tokens) = document(0, 5, 0.0, |_| true);
    writer.document(&record, &tokens).unwrap();
    assert!(!path.exists());
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn parts_are_read_in_name_order() {
    let folder = tempfile::tempdir().unwrap();
    let documents = [document(0, 5, 0.0, |_| true), document(1, 6, 0.0, |_| true)];
    let whole = open(folder.path(), "whole", "t", &documents);
    let parts = folder.path().join("parts");
    fs::create_dir_all(parts.join("tokens")).unwrap();
    for name in ["run.json", "documents.parquet"] {
        fs::copy(whole.folder().join(name), parts.join(name)).unwrap();
    }
    for (i, part) in documents.iter().enumerate() {
        let single = write(&folder.path().join(format!("single{i}")), "t", std::slice::from_ref(part));
        fs::copy(single.join("tokens.parquet"), parts.join(format!("tokens/part-0000{i}.parquet"))).unwrap();
    }
    assert_eq!(Run::open(&parts).unwrap().tokens().unwrap(), whole.tokens().unwrap());
}

#[test]
fn the_join_keeps_what_every_run_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let a = [document(0, 10, 0.0, |p| p < 6), document(1, 4, 0.0, |_| true), document(2, 4, 0.0, |_| false)];
    let b = [document(0, 10, 0.5, |p| p != 3), document(1, 4, 0.5, |_| true), document(2, 4, 0.5, |_| true)];
    let (run_a, run_b) = (open(folder.path(), "a", "t", &a), open(folder.path(), "b", "t", &b));
    let joined = join(vec![(Role::A, "A".into(), run_a), (Role::B, "B".into(), run_b)]).unwrap();
    assert_eq!(joined.document, [0, 0, 0, 0, 1, 1, 1]);
    assert_eq!(joined.position, [1, 2, 4, 5, 1, 2, 3]);
    assert_eq!(joined.left_out, 1 + 4 + 3);
    assert_eq!(joined.documents.iter().map(|d| d.rows.clone()).collect::<Vec<_>>(), [0..4, 4..7, 7..7]);
    assert!(joined.models[0].loss.iter().zip(&joined.models[1].loss).all(|(a, b)| b - a == 0.5));
    assert_eq!(joined.token_bytes(0), b"x");

    let path = folder.path().join("joined.parquet");
    let names = ["even".to_owned(), "odd".to_owned()];
    let mut writer = JoinedWriter::create(&path, &joined, Basis::AsScored, &names).unwrap();
    writer.write(&joined, 0, &[0, 1, 0, 1, 0, 1, 0], &[0, 1, 2, 3, 4, 5, 6]).unwrap();
    writer.close().unwrap();
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap().build().unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    let delta = batch.column_by_name("delta").unwrap().as_primitive::<Float64Type>();
    assert!(delta.values().iter().all(|&d| d == -0.5));
    let loss_b = batch.column_by_name("loss_b").unwrap().as_primitive::<Float32Type>();
    assert_eq!(loss_b.values(), &joined.models[1].loss[..]);
    let category = batch.column_by_name("category").unwrap().as_string::<i32>();
    assert_eq!(
        category.iter().flatten().collect::<Vec<_>>(),
        ["even", "odd", "even", "odd", "even", "odd", "even"]
    );
    let split = batch.column_by_name("split").unwrap().as_string::<i32>();
    let expected = joined.document.iter().map(|&index| joined.documents[index as usize].split.name());
    assert!(split.iter().flatten().eq(expected));
    let text = batch.column_by_name("text").unwrap().as_string::<i32>();
    let texts = (0..joined.rows()).map(|row| String::from_utf8_lossy(joined.token_bytes(row)));
    assert!(text.iter().flatten().eq(texts));
    // Read back by document.
    let mut columns = JoinedColumns::open(&path, &[Role::A, Role::B], Basis::AsScored, &names).unwrap();
    let (first, second) =
        (columns.next_documents().unwrap().unwrap(), columns.next_documents().unwrap().unwrap());
    assert_eq!((first.document, second.document), (vec![0; 4], vec![1; 3]));
    assert_eq!(second.losses[1], joined.models[1].loss[4..]);
    assert_eq!(first.entropies[0], joined.models[0].entropy[..4]);
    assert_eq!((first.position, first.token), (joined.position[..4].to_vec(), joined.token[..4].to_vec()));
    assert_eq!((second.category, second.depth), (vec![0, 1, 0], vec![4, 5, 6]));
    assert_eq!(columns.next_documents().unwrap(), None);
    // A table of other rules.
    let error = JoinedColumns::open(&path, &[Role::A, Role::B], Basis::AsScored, &names[..1])
        .unwrap()
        .next_documents()
        .unwrap_err();
    assert!(error.to_string().contains("`odd`, which is no category"), "{error}");
}

#[test]
fn a_join_in_pieces_is_the_whole_join() {
    let folder = tempfile::tempdir().unwrap();
    let a: Vec<_> = (0..30).map(|i| document(i, 3 + i * 7 % 11, 0.0, |p| p != 2)).collect();
    let b: Vec<_> = (0..30).map(|i| document(i, 3 + i * 7 % 11, 0.5, |p| p % 4 != 3)).collect();
    let folders = [write(&folder.path().join("a"), "t", &a), write(&folder.path().join("b"), "t", &b)];
    let [run_a, run_b] = [0, 1].map(|run: usize| Run::open(&folders[run]).unwrap());
    let whole = join(vec![(Role::A, "A".into(), run_a), (Role::B, "B".into(), run_b)]).unwrap();
    for rows in [1, 10, 50, 100_000] {
        let [a, b] = [0, 1].map(|run: usize| folders[run].clone());
        let runs = vec![(Role::B, "B".into(), b), (Role::A, "A".into(), a)];
        let mut reader = JoinReader::open(runs).unwrap();
        let (mut first, mut documents, mut losses, mut texts) = (0, vec![], vec![], vec![]);
        while let Some(piece) = reader.next_documents(rows).unwrap() {
            assert_eq!(piece.documents.last().unwrap().rows.end, piece.rows());
            documents.extend(piece.document.iter().map(|document| first + document));
            losses.extend_from_slice(&piece.models[1].loss);
            texts.extend(piece.documents.into_iter().map(|document| document.text));
            first = reader.documents_read() as u32;
        }
        assert_eq!((&documents, &losses), (&whole.document, &whole.models[1].loss));
        assert!(texts.iter().eq(whole.documents.iter().map(|document| &document.text)));
        assert_eq!((reader.left_out(), reader.documents_read()), (whole.left_out, 30));
        assert!(reader.next_documents(rows).unwrap().is_none());
    }
}

#[test]
fn runs_that_do_not_belong_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = open(folder.path(), "base", "t", &[document(0, 5, 0.0, |_| true)]);
    let longer = open(folder.path(), "longer", "t", &[document(0, 6, 0.0, |_| true)]);
    let more =
        open(folder.path(), "more", "t", &[document(0, 5, 0.0, |_| true), document(1, 5, 0.0, |_| true)]);
    let other = open(folder.path(), "other", "u", &[document(0, 5, 0.0, |_| true)]);
    let none = open(folder.path(), "none", "t", &[document(0, 5, 0.0, |_| false)]);
    let mut swapped = document(0, 5, 0.0, |_| true);
    swapped.1[2].token = 99;
    let swapped = open(folder.path(), "swapped", "t", &[swapped]);
    let message = |second: &Run| {
        join(vec![(Role::A, "A".into(), base.clone()), (Role::B, "B".into(), second.clone())])
            .unwrap_err()
            .to_string()
    };
    assert!(message(&longer).contains("document 0, `d0` and `d0`, differs"), "{}", message(&longer));
    assert!(message(&more).contains("1 and 2 documents"), "{}", message(&more));
    // One vocabulary in two files joins token by token; of two vocabularies one is carried.
    assert_eq!(
        join(vec![(Role::A, "A".into(), base.clone()), (Role::B, "B".into(), other)]).unwrap().rows(),
        4
    );
    let mut renamed = document(0, 5, 0.0, |_| true);
    renamed.1[2].token = 99;
    let renamed = open(folder.path(), "renamed", "u", &[renamed]);
    let carried = join(vec![(Role::A, "A".into(), base.clone()), (Role::B, "B".into(), renamed)]).unwrap();
    assert!(carried.models[1].guesses.is_none() && carried.models[0].guesses.is_some());
    assert!(message(&none).contains("no token was predicted by every run"), "{}", message(&none));
    assert!(message(&swapped).contains("token 99 of bytes 3..4"), "{}", message(&swapped));
}

#[test]
fn roles_are_put_in_order_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, base: f32| open(folder.path(), name, "t", &[document(0, 5, base, |_| true)]);
    let (a, b, c) = (run("a", 0.0), run("b", 0.5), run("c", 1.0));
    let role = |role: Role, run: &Run| (role, String::new(), run.clone());
    let joined = join(vec![role(Role::Placebo, &c), role(Role::B, &b), role(Role::A, &a)]).unwrap();
    assert_eq!(joined.models.iter().map(|m| m.role).collect::<Vec<_>>(), [Role::A, Role::B, Role::Placebo]);
    assert_eq!(joined.models[1].loss[0] - joined.models[0].loss[0], 0.5);
    for roles in
        [vec![role(Role::A, &a)], vec![role(Role::A, &a), role(Role::B, &b), role(Role::B, &c)], vec![]]
    {
        assert!(matches!(join(roles), Err(RecordsError::Roles { .. })));
    }
}

#[test]
fn missing_rows_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let full = document(0, 9, 0.0, |_| true);
    let short = (full.0.clone(), full.1[..5].to_vec());
    let run = open(folder.path(), "short", "t", &[short]);
    let message = run.tokens().unwrap_err().to_string();
    assert!(message.contains("document `d0` has 5 rows in the token table, but 8 scored"), "{message}");
    let mut beyond = full.clone();
    beyond.0.tokens = 8;
    let message = open(folder.path(), "beyond", "t", &[beyond]).tokens().unwrap_err().to_string();
    assert!(message.contains("position 8 of document `d0` of 8 tokens"), "{message}");
}

#[test]
fn totals_that_json_cannot_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let writer = RunWriter::create(&folder.path().join("run"), false).unwrap();
    let totals = Totals { mean_loss_nats: f64::INFINITY, ..Totals::default() };
    let outcome = writer.finish(&RunInfo { totals, ..info("t") });
    assert!(matches!(outcome, Err(RecordsError::NonFiniteTotals { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_no_run_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| Run::open(path).unwrap_err().to_string();
    assert!(message(folder.path()).contains("it has no run.json"));
    fs::write(folder.path().join("run.json"), "{\"schema\": \"deltaloss.run/9\"}").unwrap();
    assert!(message(folder.path()).contains("schema `deltaloss.run/9`"));
    fs::write(folder.path().join("run.json"), "{\"schema\": \"deltaloss.run/1\"}").unwrap();
    assert!(message(folder.path()).contains("missing field"));
    fs::write(folder.path().join("run.json"), "{").unwrap();
    assert!(message(folder.path()).contains("line 1"));
}

#[test]
fn damaged_tables_are_errors_that_name_the_row() {
    let folder = tempfile::tempdir().unwrap();
    let good = document(0, 5, 0.0, |_| true);
    let damage = |name: &str, change: fn(&mut Vec<TokenRecord>)| {
        let mut tokens = good.1.clone();
        change(&mut tokens);
        open(folder.path(), name, "t", &[(good.0.clone(), tokens)]).tokens().unwrap_err().to_string()
    };
    assert!(damage("order", |t| t.swap(1, 2)).contains("row 2: (document, position) (0, 2) follows (0, 3)"));
    assert!(damage("twice", |t| t[1] = t[0]).contains("row 1:"));
    assert!(damage("span", |t| t[3].byte_end = 6).contains("row 3: bytes 4..6 of document `d0` of 5 bytes"));
    assert!(damage("backwards", |t| t[3].byte_start = 9).contains("bytes 9..5"));
    assert!(damage("document", |t| t[3].document = 7).contains("document 7 of 1"));
    assert!(damage("nan", |t| t[0].score.loss_nats = f32::NAN).contains("row 0: loss NaN"));
}

#[test]
fn truncated_and_foreign_parquet_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let run = write(&folder.path().join("run"), "t", &[document(0, 50, 0.0, |_| true)]);
    let path = run.join("tokens.parquet");
    let bytes = fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(7) {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(Run::open(&run).unwrap().tokens().is_err(), "{length} bytes");
    }
    let schema = Arc::new(Schema::new(vec![Field::new("document", DataType::UInt32, false)]));
    let column = Arc::new(UInt32Array::from(vec![0])) as ArrayRef;
    let mut table = Table::create(path.clone(), schema.as_ref().clone(), TokenForm::Full).unwrap();
    table.write(RecordBatch::try_new(schema, vec![column])).unwrap();
    table.close().unwrap();
    let message = Run::open(&run).unwrap().tokens().unwrap_err().to_string();
    assert!(message.ends_with("column `position` is missing"), "{message}");
}

#[test]
fn damaged_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let run = write(
        &folder.path().join("run"),
        "t",
        &[document(0, 500, 0.0, |_| true), document(1, 30, 1.0, |_| true)],
    );
    let mut state = 7u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut refused = 0;
    for name in ["tokens.parquet", "documents.parquet"] {
        let path = run.join(name);
        let whole = fs::read(&path).unwrap();
        for _ in 0..600 {
            let mut bytes = whole.clone();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
            fs::write(&path, bytes).unwrap();
            refused += usize::from(Run::open(&run).and_then(|run| run.tokens()).is_err());
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(refused > 600, "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn joining_is_symmetric_in_its_rows(keep_a in prop::collection::vec(any::<bool>(), 40), keep_b in prop::collection::vec(any::<bool>(), 40)) {
        let folder = tempfile::tempdir().unwrap();
        let a = open(folder.path(), "a", "t", &[document(0, 40, 0.0, |p| keep_a[p as usize])]);
        let b = open(folder.path(), "b", "t", &[document(0, 40, 0.0, |p| keep_b[p as usize])]);
        let both = (1..40u32).filter(|&p| keep_a[p as usize] && keep_b[p as usize]).collect::<Vec<_>>();
        let either = (1..40).filter(|&p| keep_a[p] || keep_b[p]).count();
        match join(vec![(Role::A, String::new(), a), (Role::B, String::new(), b)]) {
            Ok(joined) => {
                prop_assert_eq!(&joined.position, &both);
                prop_assert_eq!(joined.left_out as usize, either - both.len());
            }
            Err(_) => prop_assert!(both.is_empty()),
        }
    }
}
