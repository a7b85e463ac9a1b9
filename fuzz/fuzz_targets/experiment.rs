//! Experiment files and names of downloads.

#![no_main]

mod common;

use deltaloss::Experiment;
use deltaloss::sources::Source;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    common::folder();
    let text = String::from_utf8_lossy(data);
    let _ = Experiment::from_toml(&text, "fuzz.toml");
    if let Some(Ok(Source::Hub(name))) = Source::parse(&text) {
        // What is understood is shown as it was typed.
        assert_eq!(name.to_string(), text);
    }
});
