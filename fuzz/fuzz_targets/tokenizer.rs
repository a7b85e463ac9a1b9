//! Tokenizer files: `vocab.bpe` and `encoder.json` with a 0xff between them, or a `tokenizer.json`.

#![no_main]

mod common;

use deltaloss::lm::Tokenizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    common::folder();
    let tokenizer = match data.iter().position(|&byte| byte == 0xff) {
        Some(at) => Tokenizer::from_pair("fuzz", &data[..at], &data[at + 1..], "fuzz"),
        None => Tokenizer::open(&common::file("tokenizer.json", data)),
    };
    if let Ok(tokenizer) = tokenizer {
        for text in ["", "def f(x):\n    return x  # \u{e9}\u{1f600}\r\n\t", "   \n\n  a1234 'don't"] {
            if let Ok(tokens) = tokenizer.encode(text) {
                // Spans tile the text.
                let mut end = 0;
                for token in &tokens {
                    assert!(token.bytes.start == end && token.bytes.end >= end, "{tokens:?}");
                    end = token.bytes.end;
                }
                assert!(tokens.is_empty() || end == text.len(), "{tokens:?}");
            }
        }
    }
});
