//! Runs of different tokenizers, joined through the text.

use super::*;

/// A document of `text`, cut into tokens of `length` bytes of which those from the second on are predicted, up to byte
/// `reach`; a token's loss is its number of bytes times `per_byte`, its entropy its position.
fn cut(index: u32, text: &str, length: u32, per_byte: f32, reach: u32) -> (DocumentRecord, Vec<TokenRecord>) {
    let bytes = text.len() as u32;
    let tokens: Vec<TokenRecord> = (1..bytes.div_ceil(length))
        .filter(|position| (position + 1) * length <= reach)
        .map(|position| {
            let (byte_start, byte_end) = (position * length, ((position + 1) * length).min(bytes));
            let loss_nats = per_byte * (byte_end - byte_start) as f32;
            TokenRecord {
                document: index,
                position,
                token: position % 5,
                byte_start,
                byte_end,
                score: TokenScore {
                    loss_nats,
                    entropy_nats: position as f32,
                    rank: 0,
                    top_token: position % 5,
                    top_probability: 0.5,
                    calibrated: Some(CalibratedScore {
                        loss_nats: loss_nats / 2.0,
                        entropy_nats: 1.0,
                        top_probability: 0.5,
                    }),
                },
            }
        })
        .collect();
    let record = DocumentRecord {
        document: index,
        name: format!("d{index}"),
        text: text.to_owned(),
        tokens: bytes.div_ceil(length),
        scored: tokens.len() as u32,
        truncated: false,
        split: Split::of(&[index as u8; 32]),
    };
    (record, tokens)
}

fn write_cut(folder: &Path, name: &str, documents: &[(DocumentRecord, Vec<TokenRecord>)]) -> PathBuf {
    let path = folder.join(name);
    let mut writer = RunWriter::create(&path, false).unwrap();
    for (record, tokens) in documents {
        writer.document(record, tokens).unwrap();
    }
    let tokens = documents.iter().map(|(_, tokens)| tokens.len() as u64).sum();
    let totals = Totals { tokens, ..Totals::default() };
    writer.finish(&RunInfo { totals, temperature: Some(1.5), ..info(name) }).unwrap();
    path
}

pub(super) const TEXTS: [&str; 3] = ["0123456789ab", "éüé語🦀x", "abcdefghijklmnopqrstuvwx"];

fn documents(length: u32, per_byte: f32, reach: u32) -> Vec<(DocumentRecord, Vec<TokenRecord>)> {
    TEXTS.iter().zip(0..).map(|(text, index)| cut(index, text, length, per_byte, reach)).collect()
}

/// Opens a join of a (two bytes a token), b (three) and an oracle (four, up to byte `reach`).
pub(super) fn three(folder: &Path, reach: u32) -> JoinReader {
    let runs = [("a", Role::A, 2, 99), ("b", Role::B, 3, 99), ("seer", Role::Oracle, 4, reach)];
    let open = |(name, role, length, reach): (&str, Role, u32, u32)| {
        (role, name.to_owned(), write_cut(folder, name, &documents(length, length as f32, reach)))
    };
    JoinReader::open(runs.map(open).to_vec()).unwrap()
}

#[test]
fn losses_go_by_bytes_and_entropies_by_characters() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = three(folder.path(), 99);
    let joined = reader.next_documents(usize::MAX).unwrap().unwrap();
    // b's first predicted token starts at byte 3, within a's second: a's rows start with its third.
    let first: Vec<u32> = joined.documents.iter().map(|d| joined.byte_start[d.rows.start]).collect();
    assert_eq!(first, [4, 4, 4]);
    assert_eq!(joined.left_out, 3);
    let b = &joined.models[1];
    // Three nats a byte, two bytes a token; the run's temperature halves it.
    let whole = joined.documents[0].rows.clone();
    assert!(b.loss[whole.clone()].iter().all(|&loss| (loss - 6.0).abs() < 1e-6), "{:?}", &b.loss[whole]);
    assert!(b.calibrated.as_ref().unwrap().loss.iter().zip(&b.loss).all(|(half, loss)| half * 2.0 == *loss));
    // Bytes 4 and 5 lie in b's second token, 6 and 7 in its third, 8 in the third and 9 in the fourth.
    assert_eq!(b.entropy[..3], [1.0, 2.0, 2.5]);
    assert!(b.guesses.is_none() && joined.models[0].guesses.is_some());
    // The second text's bytes: é ü é of two, 語 of three, 🦀 of four, x. Its rows from byte 4 on are é; 語 but a byte; that byte
    // and a quarter of the crab; half of it; the last quarter and x.
    let of_text: Vec<f32> = b.entropy[joined.documents[1].rows.clone()].to_vec();
    let quarter_and_third = (2.0 / 3.0 + 3.0 / 4.0) / (1.0 / 3.0 + 1.0 / 4.0);
    let due = [1.0, 2.0, quarter_and_third, 3.0, 4.0];
    assert!(of_text.iter().zip(due).all(|(found, due)| (found - due).abs() < 1e-6), "{of_text:?} {due:?}");
    let roles: Vec<_> = reader.runs().map(|(role, .., carried)| (role, carried)).collect();
    assert_eq!(roles, [(Role::A, false), (Role::B, true), (Role::Oracle, true)]);
}

#[test]
fn what_the_oracle_did_not_reach_stays_without_a_value() {
    let folder = tempfile::tempdir().unwrap();
    let joined = three(folder.path(), 8).next_documents(usize::MAX).unwrap().unwrap();
    let oracle = joined.oracle.as_ref().unwrap();
    assert_eq!(oracle.label, "seer");
    assert_eq!(oracle.entropy[..4], [Some(1.0), Some(1.0), None, None]);
    assert_eq!(joined.models.len(), 2, "the oracle is no model");

    let path = folder.path().join("joined.parquet");
    let names = ["all".to_owned()];
    let mut writer = JoinedWriter::create(&path, &joined, Basis::AsScored, &names).unwrap();
    let rows = joined.rows();
    writer.write(&joined, 0, &vec![0; rows], &vec![0; rows]).unwrap();
    writer.close().unwrap();
    let file = fs::File::open(&path).unwrap();
    let schema = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().schema().clone();
    let has = |name: &str| schema.field_with_name(name).is_ok();
    assert!(has("rank_a") && has("top_probability_calibrated_a") && has("loss_calibrated_b"));
    assert!(!has("rank_b") && !has("top_probability_calibrated_b") && !has("loss_oracle"));
    let roles = [Role::A, Role::B, Role::Oracle];
    let mut columns = JoinedColumns::open(&path, &roles, Basis::Calibrated, &names).unwrap();
    let mut read = Vec::new();
    while let Some(piece) = columns.next_documents().unwrap() {
        assert_eq!((piece.losses.len(), piece.bytes.len()), (2, piece.token.len()));
        assert!(piece.bytes.iter().all(|&bytes| bytes == 2));
        read.extend(piece.oracle.unwrap());
    }
    assert_eq!(read, oracle.entropy);
}

#[test]
fn pieces_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let whole = three(folder.path(), 14).next_documents(usize::MAX).unwrap().unwrap();
    let other = tempfile::tempdir().unwrap();
    let mut reader = three(other.path(), 14);
    let (mut losses, mut entropies, mut left_out) = (vec![], vec![], 0);
    while let Some(piece) = reader.next_documents(1).unwrap() {
        assert_eq!(piece.documents.len(), 1);
        losses.extend_from_slice(&piece.models[1].loss);
        entropies.extend(piece.oracle.unwrap().entropy);
        left_out += piece.left_out;
    }
    assert_eq!((losses, entropies), (whole.models[1].loss.clone(), whole.oracle.unwrap().entropy));
    assert_eq!((left_out, reader.left_out()), (whole.left_out, whole.left_out));
}

#[test]
fn totals_of_what_both_cover_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    // a's tokens of one byte cover the same bytes as b's of three.
    let a = write_cut(folder.path(), "a", &documents(1, 1.0, 99));
    let b = write_cut(folder.path(), "b", &documents(3, 0.7, 99));
    let runs = vec![(Role::A, "a".to_owned(), a), (Role::B, "b".to_owned(), b)];
    let joined = JoinReader::open(runs).unwrap().next_documents(usize::MAX).unwrap().unwrap();
    let carried: f64 = joined.models[1].loss.iter().map(|&loss| f64::from(loss)).sum();
    let own: f64 = documents(3, 0.7, 99)
        .iter()
        .flat_map(|(_, tokens)| tokens)
        .map(|token| f64::from(token.score.loss_nats))
        .sum();
    assert!((carried - own).abs() < 1e-6 * own, "{carried} {own}");
}

#[test]
fn tokens_that_overlap_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let a = write_cut(folder.path(), "a", &documents(2, 1.0, 99));
    let mut damaged = documents(3, 1.0, 99);
    damaged[2].1[1].byte_start -= 2;
    let b = write_cut(folder.path(), "b", &damaged);
    let runs = vec![(Role::A, "a".to_owned(), a), (Role::B, "b".to_owned(), b)];
    let said = JoinReader::open(runs).unwrap().next_documents(usize::MAX).unwrap_err().to_string();
    assert!(
        said.contains(
            "document `d2`: row 1 of the document has bytes 4..9 after a token that ends at byte 6"
        ),
        "{said}"
    );
}

#[test]
fn two_files_of_nearly_one_vocabulary_are_two() {
    let folder = tempfile::tempdir().unwrap();
    let a = write_cut(folder.path(), "a", &documents(2, 1.0, 99));
    let same = write_cut(folder.path(), "same", &documents(2, 1.0, 99));
    let mut other = documents(2, 1.0, 99);
    other[2].1[1].token = 77;
    let other = write_cut(folder.path(), "other", &other);
    for (b, carried) in [(same, false), (other, true)] {
        let runs = vec![(Role::A, "a".to_owned(), a.clone()), (Role::B, "b".to_owned(), b)];
        let mut reader = JoinReader::open(runs).unwrap();
        // However small the pieces are, all are joined the same way.
        while let Some(piece) = reader.next_documents(1).unwrap() {
            assert_eq!((piece.models[1].carried, piece.models[1].guesses.is_none()), (carried, carried));
            assert_eq!(piece.models[1].loss, piece.models[0].loss);
        }
    }
}

#[test]
fn a_run_without_guesses_is_an_oracle_and_a_model_without_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let a = write_cut(folder.path(), "a", &documents(2, 1.0, 99));
    let path = folder.path().join("compact");
    let mut writer = RunWriter::create(&path, false).unwrap().with_form(TokenForm::Compact);
    let documents = documents(2, 0.5, 99);
    for (record, tokens) in &documents {
        writer.document(record, tokens).unwrap();
    }
    let tokens = documents.iter().map(|(_, tokens)| tokens.len() as u64).sum();
    let totals = Totals { tokens, ..Totals::default() };
    writer.finish(&RunInfo { totals, temperature: Some(1.5), ..info("a") }).unwrap();
    let file = fs::File::open(path.join("tokens.parquet")).unwrap();
    let schema = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().schema().clone();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names[5..7], ["loss", "entropy"]);
    assert!(!names.contains(&"rank") && names.contains(&"loss_calibrated"));
    let runs = vec![
        (Role::A, "a".to_owned(), a),
        (Role::B, "b".to_owned(), path.clone()),
        (Role::Oracle, "seer".to_owned(), path),
    ];
    let joined = JoinReader::open(runs).unwrap().next_documents(usize::MAX).unwrap().unwrap();
    let b = &joined.models[1];
    assert!(!b.carried && b.guesses.is_none() && b.calibrated.is_some());
    assert!(b.loss.iter().zip(&joined.models[0].loss).all(|(b, a)| b * 2.0 == *a));
    let entropies = joined.oracle.unwrap().entropy;
    assert!(entropies.iter().zip(&b.entropy).all(|(oracle, b)| *oracle == Some(*b)));
}
