//! A comparison's tables, written piece by piece and read back by document.

use std::sync::Arc;

use arrow_array::{Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema};

use super::carried::{TEXTS, three};
use super::*;
use crate::table_file::TableFile;
use crate::write::Table;

/// Writes the tables of a comparison of a (tokens of two bytes) with b (of three), some documents at a time.
fn write(folder: &Path, rows: usize) -> Vec<Joined> {
    let mut reader = three(folder, 99);
    let mut pieces: Vec<Joined> = Vec::new();
    let mut writer = None;
    let mut first_document = 0;
    while let Some(joined) = reader.next_documents(rows).unwrap() {
        let names = ["Category".to_owned()];
        let writer = writer.get_or_insert_with(|| {
            ComparisonWriter::create(folder, &joined, Basis::AsScored, &names).unwrap()
        });
        let depth: Vec<u32> = (0..joined.rows() as u32).collect();
        writer.write(&joined, first_document, &vec![0; joined.rows()], &depth).unwrap();
        first_document = reader.documents_read() as u32;
        pieces.push(joined);
    }
    writer.unwrap().close().unwrap();
    pieces
}

#[test]
fn documents_are_read_back_as_they_were_joined_whatever_the_pieces() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let joined = write(whole.path(), usize::MAX).remove(0);
    assert_eq!(write(parts.path(), 1).len(), 3);
    let tables = [&whole, &parts].map(|folder| ComparisonTables::open(folder.path()).unwrap());
    assert_eq!(tables[0].documents(), tables[1].documents());
    assert_eq!(tables[0].own_roles().collect::<Vec<_>>(), [Role::B]);
    for (index, document) in joined.documents.iter().enumerate() {
        let rows = document.rows.clone();
        let entry = &tables[0].documents()[index];
        assert_eq!((entry.name.as_str(), entry.rows as usize), (document.name.as_str(), rows.len()));
        let [a, b] = [&joined.models[0], &joined.models[1]];
        let delta: Vec<f64> =
            rows.clone().map(|row| f64::from(a.loss[row]) - f64::from(b.loss[row])).collect();
        assert_eq!(entry.delta_nats, delta.iter().sum::<f64>());
        for tables in &tables {
            let found = tables.tokens(index, 0..u32::MAX, Basis::AsScored).unwrap();
            assert_eq!(found.text, TEXTS[index]);
            assert_eq!(found.delta, delta);
            assert_eq!(tables.deltas(index).unwrap(), delta);
            assert_eq!(found.byte_start, joined.byte_start[rows.clone()]);
            assert_eq!(found.models[0].entropy, a.entropy[rows.clone()]);
            assert_eq!(found.models[0].guesses.as_ref().unwrap().rank.len(), rows.len());
            assert!(found.models[1].guesses.is_none(), "b has other tokens");
            assert_eq!(found.oracle.unwrap(), joined.oracle.as_ref().unwrap().entropy[rows.clone()]);
        }
        // b's own tokens over the bytes of a's, with guesses of b's.
        let own = &tables[1].tokens(index, 0..u32::MAX, Basis::AsScored).unwrap().own[0];
        assert_eq!(own.scores.role, Role::B);
        assert!(own.byte_end.iter().zip(&own.byte_start).all(|(end, start)| end - start <= 3));
        assert!(*own.byte_end.last().unwrap() as usize == TEXTS[index].len());
        assert_eq!(own.scores.loss.len(), own.byte_start.len());
        assert_eq!(own.scores.guesses.as_ref().unwrap().top_token.len(), own.byte_start.len());
    }
}

#[test]
fn a_stretch_and_a_basis_are_as_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 4);
    let tables = ComparisonTables::open(folder.path()).unwrap();
    let whole = tables.tokens(2, 0..u32::MAX, Basis::AsScored).unwrap();
    let some = tables.tokens(2, 3..5, Basis::AsScored).unwrap();
    assert_eq!(some.position, whole.position[3..5]);
    assert_eq!(some.models[1].loss, whole.models[1].loss[3..5]);
    // Only b's tokens that share bytes with these two, 10 to 14.
    assert_eq!([some.byte_start[0], some.byte_end[1]], [10, 14]);
    assert_eq!(some.own[0].byte_start, [9, 12]);
    assert!(tables.tokens(2, 90..99, Basis::AsScored).unwrap().position.is_empty());
    let calibrated = tables.tokens(2, 3..5, Basis::Calibrated).unwrap();
    assert_eq!(calibrated.models[0].loss[0] * 2.0, some.models[0].loss[0]);
    assert_eq!(calibrated.own[0].scores.loss[0] * 2.0, some.own[0].scores.loss[0]);
    let error = tables.tokens(3, 0..1, Basis::AsScored).unwrap_err().to_string();
    assert!(error.contains("document 3 of 3, counted from 0"), "{error}");
}

#[test]
fn a_vocabulary_knows_the_texts_of_what_occurs() {
    let folder = tempfile::tempdir().unwrap();
    let joined = write(folder.path(), 1);
    let tables = ComparisonTables::open(folder.path()).unwrap();
    // The first row's token is the first occurrence of its entry.
    let first = String::from_utf8_lossy(joined[0].token_bytes(0)).into_owned();
    assert_eq!(tables.entry_text(Role::A, joined[0].token[0]), Some(first.as_str()));
    assert_eq!(tables.entry_text(Role::Placebo, joined[0].token[0]), Some(first.as_str()), "a's tokens");
    assert_eq!(tables.entry_text(Role::B, 1), Some("345"));
    assert_eq!(tables.entry_text(Role::A, 77), None);
}

#[test]
fn tables_that_are_missing_or_lead_elsewhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |folder: &Path| ComparisonTables::open(folder).unwrap_err().to_string();
    assert!(refused(folder.path()).contains("is not a comparison"), "{}", refused(folder.path()));
    fs::write(folder.path().join("results.json"), "{}").unwrap();
    let error = refused(folder.path());
    assert!(error.contains("has no joined.parquet, so it was written by an earlier version"), "{error}");
    write(folder.path(), 99);
    fs::remove_file(folder.path().join("vocabulary.parquet")).unwrap();
    assert!(refused(folder.path()).contains("has no vocabulary.parquet"));
    #[cfg(unix)]
    {
        let outside = tempfile::tempdir().unwrap();
        write(outside.path(), 99);
        let link = folder.path().join("vocabulary.parquet");
        std::os::unix::fs::symlink(outside.path().join("vocabulary.parquet"), link).unwrap();
        let error = refused(folder.path());
        assert!(error.contains("leads out of its folder"), "{error}");
    }
    fs::write(folder.path().join("joined.parquet"), "PAR1 no PAR1").unwrap();
    assert!(refused(folder.path()).contains("joined.parquet: not a readable Parquet file"));
}

/// Writes a `documents.parquet` with one document of these rows.
fn forge(folder: &Path, index: u32, text: &str, (first_row, rows): (u64, u32), total: f64) {
    let field = |name: &str, kind| Field::new(name, kind, false);
    let schema = Schema::new(vec![
        field("document", DataType::UInt32),
        field("name", DataType::Utf8),
        field("text", DataType::Utf8),
        field("split", DataType::Utf8),
        field("first_row", DataType::UInt64),
        field("rows", DataType::UInt32),
        field("delta", DataType::Float64),
    ]);
    let path = folder.join("documents.parquet");
    let mut table = Table::create(path, schema.clone(), TokenForm::Full).unwrap();
    table
        .write(RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(UInt32Array::from(vec![index])),
                Arc::new(StringArray::from(vec!["forged"])),
                Arc::new(StringArray::from(vec![text])),
                Arc::new(StringArray::from(vec!["discovery"])),
                Arc::new(UInt64Array::from(vec![first_row])),
                Arc::new(UInt32Array::from(vec![rows])),
                Arc::new(Float64Array::from(vec![total])),
            ],
        ))
        .unwrap();
    table.close().unwrap();
}

#[test]
fn documents_that_contradict_the_join_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 99);
    let rows = TableFile::open(&folder.path().join("joined.parquet")).unwrap().rows();
    let refused = || ComparisonTables::open(folder.path()).unwrap_err().to_string();
    forge(folder.path(), 1, TEXTS[0], (0, 1), 0.0);
    assert!(refused().contains("document 1 where 0 is due"), "{}", refused());
    for first_row in [rows, u64::MAX] {
        forge(folder.path(), 0, TEXTS[0], (first_row, 1), 0.0);
        assert!(refused().contains(&format!("1 rows from row {first_row} on of")), "{}", refused());
    }
    forge(folder.path(), 0, TEXTS[0], (0, 1), f64::NAN);
    assert!(refused().contains("a total of NaN"), "{}", refused());
    let read = || {
        let tables = ComparisonTables::open(folder.path()).unwrap();
        tables.tokens(0, 0..9, Basis::AsScored).unwrap_err().to_string()
    };
    forge(folder.path(), 0, TEXTS[0], (rows - 1, 1), 0.0);
    assert!(read().contains("a row of document 2 where 0 is due"), "{}", read());
    forge(folder.path(), 0, "short", (0, 2), 0.0);
    assert!(
        read().contains("bytes 4..6 of document 0, where a token of document 0 (of 5 bytes)"),
        "{}",
        read()
    );
}
