//! JSON Lines: read strictly, and with what cannot be used left out; both give the same documents until the first error.

#![no_main]

mod common;

use deltaloss::corpus::{Corpus, CorpusOptions, CorpusSource};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let path = common::file("corpus.jsonl", data);
    let source = CorpusSource::from_path(&path).unwrap();
    let read = |skip_unusable| {
        let options = CorpusOptions { skip_unusable, ..CorpusOptions::default() };
        let documents = Corpus::open(&source, options).and_then(|corpus| corpus.documents());
        let documents = documents.into_iter().flatten();
        documents.map_while(Result::ok).map(|document| (document.name, document.text)).collect::<Vec<_>>()
    };
    let (strict, lenient) = (read(false), read(true));
    assert!(lenient.starts_with(&strict), "{strict:?} and {lenient:?}");
});
