//! Parquet files of every kind, written here.

use super::*;
use crate::corpus::Document;
use crate::options::{CorpusOptions, SkipReason, Solutions};
use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, DictionaryArray, Float64Array, Int64Array, LargeStringArray, StringArray,
    StringViewArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::fs;

fn bytes_of(columns: Vec<(&str, ArrayRef)>, compression: Compression) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    );
    let batch = batch.unwrap();
    let properties =
        WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(100));
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn read(bytes: &[u8], options: &CorpusOptions) -> Result<Vec<Step>, CorpusError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    fs::write(&path, bytes).unwrap();
    ParquetReader::open(&path, "x.parquet", RowReader::new(options))?.collect()
}

fn read_columns(columns: Vec<(&str, ArrayRef)>, options: &CorpusOptions) -> Result<Vec<Step>, CorpusError> {
    read(&bytes_of(columns, Compression::SNAPPY), options)
}

fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(texts))
}

fn step(name: &str, text: &str) -> Step {
    Step::Document(Document { name: name.to_owned(), text: text.to_owned() })
}

#[track_caller]
fn says(result: Result<Vec<Step>, CorpusError>, parts: &[&str]) {
    let text = result.unwrap_err().to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

#[test]
fn every_string_type_and_every_codec() {
    let texts = ["a\r\n", "", "€ é"];
    let dictionary: DictionaryArray<Int32Type> = texts.into_iter().collect();
    let arrays: [ArrayRef; 4] = [
        strings(texts),
        Arc::new(LargeStringArray::from_iter_values(texts)),
        Arc::new(StringViewArray::from_iter_values(texts)),
        Arc::new(dictionary),
    ];
    let expected = [step("x.parquet:0", "a\r\n"), step("x.parquet:1", ""), step("x.parquet:2", "€ é")];
    for array in arrays {
        assert_eq!(read_columns(vec![("text", array)], &CorpusOptions::default()).unwrap(), expected);
    }
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(Default::default()),
    ];
    for codec in codecs {
        let bytes = bytes_of(vec![("text", strings(texts))], codec);
        assert_eq!(read(&bytes, &CorpusOptions::default()).unwrap(), expected, "{codec:?}");
    }
}

#[test]
fn rows_keep_their_order_over_batches_and_row_groups() {
    let texts: Vec<String> = (0..1000).map(|row| format!("text {row}")).collect();
    let steps =
        read_columns(vec![("content", strings(texts.iter().map(String::as_str)))], &CorpusOptions::default());
    let expected: Vec<Step> = (0..1000).map(|row| step(&format!("x.parquet:{row}"), &texts[row])).collect();
    assert_eq!(steps.unwrap(), expected);
}

#[test]
fn names_and_columns() {
    let columns = || {
        vec![
            ("other", Arc::new(Float64Array::from(vec![1.0, 2.0])) as ArrayRef),
            ("id", Arc::new(Int64Array::from(vec![Some(-7), None]))),
            ("text", strings(["a", "b"])),
            ("body", strings(["c", "d"])),
        ]
    };
    let expected = [step("-7", "a"), step("x.parquet:1", "b")];
    assert_eq!(read_columns(columns(), &CorpusOptions::default()).unwrap(), expected);
    let of = |text: &str, name: &str| CorpusOptions {
        text_column: Some(text.to_owned()),
        name_column: Some(name.to_owned()),
        ..Default::default()
    };
    assert_eq!(read_columns(columns(), &of("body", "text")).unwrap(), [step("a", "c"), step("b", "d")]);
    assert_eq!(read_columns(columns(), &of("body", "body")).unwrap(), [step("c", "c"), step("d", "d")]);
    says(
        read_columns(columns(), &of("body", "id")),
        &["x.parquet, row 1 (counting from 0)", "\"id\"", "null"],
    );
    says(
        read_columns(columns(), &of("body", "nope")),
        &["no column \"nope\"", "\"other\", \"id\", \"text\", \"body\""],
    );
    says(
        read_columns(columns(), &of("body", "other")),
        &["\"other\"", "Float64", "strings or integers", "name_column"],
    );
    says(
        read_columns(columns(), &of("nope", "id")),
        &["x.parquet: no column \"nope\"", "\"body\"", "text_column"],
    );
    // A default name column of a type that names nothing is passed over.
    let columns =
        vec![("name", Arc::new(Float64Array::from(vec![1.0])) as ArrayRef), ("text", strings(["a"]))];
    assert_eq!(read_columns(columns, &CorpusOptions::default()).unwrap(), [step("x.parquet:0", "a")]);
}

#[test]
fn nested_columns_beside_the_text_are_passed_over() {
    let mut lists = ListBuilder::new(MapBuilder::new(None, StringBuilder::new(), Int64Builder::new()));
    for row in 0..2 {
        lists.values().keys().append_value("key");
        lists.values().values().append_value(row);
        lists.values().append(true).unwrap();
        lists.append(true);
    }
    let columns = vec![("meta", Arc::new(lists.finish()) as ArrayRef), ("text", strings(["a", "b"]))];
    let expected = [step("x.parquet:0", "a"), step("x.parquet:1", "b")];
    assert_eq!(read_columns(columns, &CorpusOptions::default()).unwrap(), expected);
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a")]);
    let columns = vec![("solutions", Arc::new(lists.finish()) as ArrayRef)];
    says(
        read_columns(columns, &CorpusOptions::default()),
        &["\"solutions\" is of type List", "column of strings"],
    );
}

#[test]
fn what_is_no_text_is_named() {
    let columns = vec![("text", Arc::new(Int64Array::from(vec![1])) as ArrayRef)];
    says(
        read_columns(columns, &CorpusOptions::default()),
        &["x.parquet", "\"text\"", "Int64", "column of strings"],
    );
    let columns = vec![("text", Arc::new(BinaryArray::from_vec(vec![b"a"])) as ArrayRef)];
    says(
        read_columns(columns, &CorpusOptions::default()),
        &["\"text\"", "of bytes not marked as text", "string column"],
    );
    let columns = vec![("x", strings(["a"]))];
    says(read_columns(columns, &CorpusOptions::default()), &["no column with text", "there are: \"x\""]);
    let texts = StringArray::from_iter((0..70).map(|row| (row != 66).then_some("a")));
    let columns = vec![("text", Arc::new(texts) as ArrayRef)];
    says(
        read_columns(columns, &CorpusOptions::default()),
        &["row 66 (counting from 0)", "\"text\" should hold a string", "null"],
    );
}

#[test]
fn the_apps_layout() {
    let columns = || {
        vec![
            ("problem_id", Arc::new(Int64Array::from(vec![3, 4, 5, 6])) as ArrayRef),
            ("question", strings(["?", "?", "?", "?"])),
            (
                "solutions",
                Arc::new(StringArray::from(vec![Some("[\"a\", \"b\"]"), Some(""), None, Some("[\"c\"]")])),
            ),
        ]
    };
    let none = || Step::Skipped(SkipReason::NoSolution);
    let first = [step("apps/3/0", "a"), none(), none(), step("apps/6/0", "c")];
    assert_eq!(read_columns(columns(), &CorpusOptions::default()).unwrap(), first);
    let all = CorpusOptions { solutions: Solutions::All, ..Default::default() };
    assert_eq!(read_columns(columns(), &all).unwrap()[1], step("apps/3/1", "b"));
    let columns = vec![
        ("problem_id", Arc::new(Int64Array::from(vec![3, 17])) as ArrayRef),
        ("solutions", strings(["[]", "{}"])),
    ];
    says(
        read_columns(columns, &CorpusOptions::default()),
        &["row 1 (counting from 0), problem 17", "JSON list of strings"],
    );
}

fn golden() -> Vec<u8> {
    let texts: Vec<String> =
        (0..200).map(|row| format!("text {} {}", row % 7, "x".repeat(row % 50))).collect();
    let text = strings(texts.iter().map(String::as_str));
    let id = Arc::new(Int64Array::from_iter_values(0..200)) as ArrayRef;
    bytes_of(vec![("id", id), ("text", text)], Compression::SNAPPY)
}

#[test]
fn damaged_files_are_errors() {
    let bytes = golden();
    assert_eq!(read(&bytes, &CorpusOptions::default()).unwrap().len(), 200);
    for cut in [0, 3, 4, 11, 12, bytes.len() / 2, bytes.len() - 9, bytes.len() - 1] {
        says(
            read(&bytes[..cut], &CorpusOptions::default()),
            &["x.parquet: cannot read it as Parquet: ", "damaged"],
        );
    }
    let text = "x".repeat(40);
    let mut bytes = bytes_of(vec![("text", strings([text.as_str()]))], Compression::UNCOMPRESSED);
    let at = bytes.windows(40).position(|window| window == text.as_bytes()).unwrap();
    bytes[at + 5] = 0xff;
    says(read(&bytes, &CorpusOptions::default()), &["x.parquet, row 0", "UTF-8"]);
}

#[test]
fn no_damage_makes_it_panic() {
    let bytes = golden();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..3000 {
        let mut damaged = bytes.clone();
        for _ in 0..=next(3) {
            let at = next(damaged.len());
            damaged[at] = [0, 0xff, 0x7f, 0x80, next(256) as u8][next(5)];
        }
        if let Ok(steps) = read(&damaged, &CorpusOptions::default()) {
            assert!(steps.len() <= 100_000);
        }
    }
}

#[test]
fn a_panic_of_the_decoder_is_an_error() {
    let place = || Place::new(Path::new("x.parquet"), Position::File);
    assert_eq!(decode(place, || Ok(1)).unwrap(), 1);
    let error = decode::<()>(place, || panic!("index out of bounds")).unwrap_err().to_string();
    assert!(
        error.contains("x.parquet: cannot read it as Parquet: the decoder panicked: index out"),
        "{error}"
    );
}

/// The golden file with a footer that claims so many row groups.
fn claims_row_groups(varint: &[u8]) -> Vec<u8> {
    let mut bytes = golden();
    // Field 3: 200 rows; field 4: a list of 2 structs.
    let at = bytes.windows(5).position(|window| window == [0x16, 0x90, 0x03, 0x19, 0x2c]).unwrap() + 4;
    bytes.splice(at..=at, [&[0xfc], varint].concat());
    let length_at = bytes.len() - 8;
    let length: [u8; 4] = bytes[length_at..length_at + 4].try_into().unwrap();
    let length = u32::from_le_bytes(length) + varint.len() as u32;
    bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    bytes
}

#[test]
fn a_footer_cannot_claim_more_row_groups_than_it_has_room_for() {
    assert_eq!(read(&claims_row_groups(&[2]), &CorpusOptions::default()).unwrap().len(), 200);
    let most = claims_row_groups(&[0xff, 0xff, 0xff, 0xff, 0x07]);
    says(read(&most, &CorpusOptions::default()), &["x.parquet: cannot read it as Parquet: ", "row groups"]);
}

/// Found by fuzzing: what a page's header claims beyond the file's end was passed over number by number.
#[test]
fn a_page_header_cannot_claim_more_than_the_file_has() {
    let mut bytes = bytes_of(vec![("text", strings(["a", "b"]))], Compression::UNCOMPRESSED);
    // Behind the magic bytes, field 9, which nobody knows: a list of 2³¹ − 1 doubles.
    bytes[4..11].copy_from_slice(&[0x99, 0xf7, 0xff, 0xff, 0xff, 0xff, 0x07]);
    says(read(&bytes, &CorpusOptions::default()), &["x.parquet", "a page's header holds a list"]);
}
