//! The APPS layout: the input is the string in a row's `solutions`.

#![no_main]

mod common;

use deltaloss::corpus::{Corpus, CorpusOptions, CorpusSource, Solutions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push_str(&format!("\\u{:04x}", u32::from(c).min(0xffff))),
            c => escaped.push(c),
        }
    }
    let path = common::file(
        "apps.jsonl",
        format!("{{\"problem_id\": 7, \"solutions\": \"{escaped}\"}}\n").as_bytes(),
    );
    let source = CorpusSource::from_path(&path).unwrap();
    for solutions in [Solutions::First, Solutions::All] {
        let options = CorpusOptions { solutions, ..CorpusOptions::default() };
        if let Ok(documents) = Corpus::open(&source, options).and_then(|corpus| corpus.documents()) {
            for document in documents.flatten() {
                assert!(document.name.starts_with("apps/7/"), "{}", document.name);
            }
        }
    }
});
