//! Texts that configure: experiment files, trainings, category rules, models' configurations, and names of downloads.

#![no_main]

mod common;

use deltaloss::Experiment;
use deltaloss::lm::Config;
use deltaloss::sources::Source;
use deltaloss::stats::Rules;
use deltaloss::train::TrainConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    common::folder();
    let text = String::from_utf8_lossy(data);
    let _ = Experiment::from_toml(&text, "fuzz.toml");
    if let Ok(training) = TrainConfig::from_toml(&text, "fuzz.toml") {
        let _ = training.model_config(2048, "fuzz", "fuzz.toml");
    }
    if let Ok(rules) = Rules::from_toml(&text, "fuzz.toml") {
        for token in [&b"    return"[..], b"", b"\xff\x00"] {
            assert!(rules.classify(token) < rules.names().len());
        }
    }
    if let Ok(config) = Config::from_json(&text, "fuzz.json") {
        let _ = config.describe();
    }
    if let Some(Ok(Source::Hub(name))) = Source::parse(&text) {
        // What is understood is shown as it was typed.
        assert_eq!(name.to_string(), text);
    }
});
