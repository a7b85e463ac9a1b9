//! One test for each way a file can lie. The file that they change is the tiny gpt-oss of the fixtures.

use std::path::PathBuf;

use super::*;

fn tiny() -> Vec<u8> {
    let folder = std::env::var_os("DELTALOSS_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures"), PathBuf::from);
    std::fs::read(folder.join("gpt-oss/tiny.gguf")).unwrap()
}

fn read(bytes: &[u8]) -> Result<GgufHeader, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    std::fs::write(&path, bytes).unwrap();
    GgufHeader::read(&path).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(bytes: &[u8], part: &str) {
    let error = read(bytes).unwrap_err();
    assert!(error.contains("m.gguf is not a model: ") && error.contains(part), "{error}");
}

/// Where the value behind `key` begins: its type, then the value.
fn behind(bytes: &[u8], key: &str) -> usize {
    let whole = [&(key.len() as u64).to_le_bytes()[..], key.as_bytes()].concat();
    bytes.windows(whole.len()).position(|part| part == whole).unwrap() + whole.len()
}

/// The tiny model with `value` over the bytes `skip` behind `key`.
fn changed(key: &str, skip: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = tiny();
    let at = behind(&bytes, key) + skip;
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

/// A header of metadata alone, in front of one tensor of 2 x 3 ones: the least that can be read.
fn small(entries: &[(&str, u32, Vec<u8>)]) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut bytes = [&b"GGUF"[..], &3u32.to_le_bytes(), &1u64.to_le_bytes()].concat();
    bytes.extend((entries.len() as u64).to_le_bytes());
    for (key, kind, value) in entries {
        bytes.extend(text(key));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(value);
    }
    bytes.extend(text("token_embd.weight"));
    bytes.extend([2u32.to_le_bytes(), 2u32.to_le_bytes(), 0u32.to_le_bytes()].concat());
    bytes.extend([3u32.to_le_bytes(), 0u32.to_le_bytes()].concat());
    bytes.extend([0u32.to_le_bytes(), 0u32.to_le_bytes(), 0u32.to_le_bytes()].concat());
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes.extend([1f32; 6].iter().flat_map(|one| one.to_le_bytes()));
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn number(number: u32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn texts(list: &[&str]) -> Vec<u8> {
    let mut bytes = [&kinds::STRING.to_le_bytes()[..], &(list.len() as u64).to_le_bytes()].concat();
    list.iter().for_each(|entry| bytes.extend(text(entry)));
    bytes
}

/// The least metadata of a model that scores text.
fn least() -> Vec<(&'static str, u32, Vec<u8>)> {
    vec![
        ("general.architecture", kinds::STRING, text("llama")),
        ("llama.context_length", 4, number(16)),
        ("llama.embedding_length", 4, number(2)),
        ("tokenizer.ggml.model", kinds::STRING, text("llama")),
        ("tokenizer.ggml.tokens", kinds::ARRAY, texts(&["a", "b", "c"])),
    ]
}

/// The least metadata with an entry more, or another.
fn with(key: &'static str, kind: u32, value: Vec<u8>) -> Vec<u8> {
    let mut entries = least();
    entries.retain(|(known, ..)| *known != key);
    entries.push((key, kind, value));
    small(&entries)
}

#[test]
fn a_header_says_what_is_in_the_file() {
    let header = read(&tiny()).unwrap();
    assert_eq!((header.vocabulary, header.context, header.parameters), (352, 1024, 298_352));
    assert_eq!(header.tokenizer, "gpt2/gpt-4o");
    assert_eq!(header.types, [("F32", 67), ("MXFP4", 12)]);
    assert_eq!(header.describe(), "gpt-oss, 4 layers, width 64, vocabulary 352, tensors: 67 F32 + 12 MXFP4");
    let header = read(&small(&least())).unwrap();
    assert_eq!((header.vocabulary, header.parameters), (3, 6));
}

#[test]
fn a_file_that_ends_anywhere_early_is_refused() {
    let bytes = tiny();
    let header = bytes.len() - 400_000;
    for end in (0..header).step_by(97).chain((header..bytes.len()).step_by(9973)).chain([bytes.len() - 1]) {
        let error = read(&bytes[..end]).unwrap_err();
        assert!(error.contains("truncated") || error.contains("it ends at byte"), "{end}: {error}");
    }
}

#[test]
fn other_formats_and_versions_are_named() {
    refused(b"PK\x03\x04 and so on, and on", "does not begin with GGUF");
    for (version, part) in [(1u32, "version 1"), (3 << 24, "big-endian"), (9, "version 9; versions 2 and 3")]
    {
        let mut bytes = tiny();
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        refused(&bytes, part);
    }
    let folder = tempfile::tempdir().unwrap();
    let error = GgufHeader::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("it is no file"), "{error}");
    let error = GgufHeader::read(&folder.path().join("gone.gguf")).unwrap_err().to_string();
    assert!(error.contains("gone.gguf: cannot open it"), "{error}");
}

#[test]
fn counts_that_cannot_be_are_refused_before_memory_is_asked_for() {
    for (at, value) in [(8, 0u64), (8, 1 << 40), (16, 1 << 40)] {
        let mut bytes = tiny();
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        refused(&bytes, "it claims");
    }
    let much = (1u64 << 60).to_le_bytes();
    refused(&changed("tokenizer.ggml.tokens", 8, &much), "bytes left in the file");
    refused(&changed("tokenizer.ggml.tokens", 16, &much), "claims 1152921504606846976 bytes");
    refused(&changed("general.name", 4, &much), "claims");
    refused(&changed("general.name", 0, &[99]), "of type 99");
    refused(&changed("tokenizer.ggml.tokens", 4, &[9]), "an array of type 9");
    refused(&changed("general.name", 12, &[0xff]), "not UTF-8");
    refused(&changed("tokenizer.ggml.add_bos_token", 4, &[7]), "is 7, not true or false");
}

#[test]
fn metadata_of_another_kind_and_twice_is_refused() {
    let twice = [least(), vec![("llama.context_length", 4, number(1))]].concat();
    refused(&small(&twice), "`llama.context_length` stands there twice");
    refused(&with("llama.context_length", 6, number(1)), "not a count");
    refused(&with("llama.context_length", 4, number(0)), "is 0");
    refused(&with("llama.embedding_length", 4, number(0)), "is missing or 0");
    refused(&with("general.alignment", 4, number(3)), "not a power of two");
    refused(&with("tokenizer.ggml.model", 4, number(3)), "not text");
    refused(&with("llama.attention.causal", 4, number(3)), "not true or false");
}

#[test]
fn a_tokenizer_whose_tables_disagree_is_refused() {
    let floats = |count: u32| [number(6), number(count), number(0), vec![0; 4 * count as usize]].concat();
    let signed = |count: u32| [number(5), number(count), number(0), vec![0; 4 * count as usize]].concat();
    refused(
        &with("tokenizer.ggml.scores", kinds::ARRAY, floats(2)),
        "2 entries of `tokenizer.ggml.scores` for 3",
    );
    refused(&with("tokenizer.ggml.scores", kinds::ARRAY, signed(3)), "not an array of type 6");
    refused(&with("tokenizer.ggml.token_type", kinds::ARRAY, signed(4)), "4 entries");
    refused(&with("tokenizer.ggml.tokens", kinds::ARRAY, texts(&[])), "no tokens");
    refused(&with("tokenizer.ggml.tokens", kinds::ARRAY, texts(&["a"])), "not one for each of 1 tokens");
    refused(&with("tokenizer.ggml.model", kinds::STRING, text("gpt2")), "no merges");
    refused(&with("tokenizer.ggml.model", kinds::STRING, text("none")), "no tokenizer");
    refused(&with("tokenizer.ggml.bos_token_id", 4, number(3)), "is 3, but there are 3 tokens");
    refused(&with("tokenizer.ggml.bos_token_id", 10, vec![0; 8]), "not a token's number");
    assert!(read(&with("tokenizer.ggml.bos_token_id", 4, number(2))).is_ok());
    assert!(read(&with("tokenizer.ggml.scores", kinds::ARRAY, floats(3))).is_ok());
}

#[test]
fn models_that_do_not_predict_a_next_token_are_refused() {
    refused(&with("general.architecture", kinds::STRING, text("nomic-bert")), "model for embeddings");
    refused(&with("llama.pooling_type", 4, number(1)), "model for embeddings");
    refused(&with("llama.attention.causal", 7, vec![0]), "does not predict a next token");
    refused(&with("general.architecture", kinds::STRING, text("t5")), "no decoder of text alone");
    refused(&with("general.type", kinds::STRING, text("mmproj")), "holds no model but `mmproj`");
    refused(&with("split.count", 2, vec![3, 0]), "one of 3 parts");
    assert!(read(&with("llama.pooling_type", 4, number(0))).is_ok());
    assert!(read(&with("split.count", 2, vec![1, 0])).is_ok());
}

#[test]
fn tensors_that_cannot_be_are_refused() {
    // An entry is its name, dimensions (u32), shape (u64 each), type (u32) and place (u64).
    let name = "blk.0.ffn_down_exps.weight";
    refused(&changed(name, 0, &[9]), "has 9 dimensions");
    refused(&changed(name, 0, &[0]), "has 0 dimensions");
    refused(&changed(name, 4, &[31]), "has a shape of [31, 64, 8] in type MXFP4");
    refused(&changed(name, 4, &[0]), "has a shape of [0, 64, 8]");
    refused(&changed(name, 11, &[255]), "has a shape of");
    refused(&changed(name, 28, &[200]), "of type 200, which is not known");
    refused(&changed(name, 32, &[1]), "begins at byte");
    refused(&changed(name, 28, &[8]), "begins at byte");
    refused(&changed("output.weight", 4, &[65]), "begins at byte");
}

#[test]
fn what_decides_how_text_is_cut_decides_the_tokenizers_hash() {
    let hash = |bytes: &[u8]| read(bytes).unwrap().tokenizer_sha256;
    let own = hash(&small(&least()));
    assert_eq!(
        own,
        hash(&with("tokenizer.ggml.bos_token_id", 4, number(2))),
        "which token stands in front does not"
    );
    assert_eq!(own, hash(&with("llama.context_length", 4, number(99))));
    assert_ne!(own, hash(&with("tokenizer.ggml.tokens", kinds::ARRAY, texts(&["a", "b", "d"]))));
    assert_ne!(own, hash(&with("tokenizer.ggml.tokens", kinds::ARRAY, texts(&["ab", "", "c"]))));
    assert_ne!(own, hash(&with("tokenizer.ggml.pre", kinds::STRING, text("gpt-4o"))));
}
