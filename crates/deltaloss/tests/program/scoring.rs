//! `score`.

use super::*;

const SMALL: [&str; 7] =
    ["score", "--model", "builtin:dense-small", "--corpus", "builtin:python-stdlib", "--sample", "4"];

fn score(folder: &Path, more: &[&str]) -> String {
    succeeds(folder, &[&SMALL, more].concat())
}

#[test]
fn a_run_is_the_folder_the_design_names() {
    let folder = tempfile::tempdir().unwrap();
    score(folder.path(), &["--out", "deep/run"]);
    let run = folder.path().join("deep/run");
    assert_eq!(names(&run), ["documents.parquet", "run.json", "tokens.parquet"]);
    assert_eq!(names(&folder.path().join("deep")), ["run"]);
    let info = json(&run.join("run.json"));
    for pointer in [
        "/schema",
        "/model/name",
        "/model/source",
        "/model/sha256",
        "/model/architecture",
        "/model/parameters",
        "/model/nonzero_parameters",
        "/tokenizer/name",
        "/tokenizer/sha256",
        "/tokenizer/size",
        "/corpus/name",
        "/corpus/sha256",
        "/corpus/documents",
        "/window/context",
        "/window/mode",
        "/window/stride",
        "/window/beginning_of_text",
        "/temperature",
        "/calibration/searched/1",
        "/calibration/at_edge",
        "/calibration/discovery/documents",
        "/calibration/discovery/mean_loss_calibrated_nats",
        "/calibration/confirmation/tokens",
        "/engine/version",
        "/engine/instruction_set",
        "/engine/threads",
        "/totals/tokens",
        "/totals/bytes",
        "/totals/mean_loss_nats",
        "/totals/mean_entropy_nats",
        "/totals/bits_per_byte",
        "/elapsed_seconds",
        "/tokens_per_second",
    ] {
        assert!(info.pointer(pointer).is_some(), "{pointer}");
    }
    assert_eq!(info["corpus"]["documents"], 4);
}

#[test]
fn threads_change_no_byte_of_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    for threads in ["1", "3"] {
        score(folder.path(), &["--out", threads, "--threads", threads]);
    }
    for table in ["tokens.parquet", "documents.parquet"] {
        let read = |run: &str| std::fs::read(folder.path().join(run).join(table)).unwrap();
        assert_eq!(read("1"), read("3"), "{table}");
    }
}

#[test]
fn window_modes_predict_what_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = |name: &str, more: &[&str]| {
        score(folder.path(), &[&["--out", name], more].concat());
        json(&folder.path().join(name).join("run.json"))["totals"]["tokens"].as_u64().unwrap()
    };
    let chunk = tokens("chunk", &[]);
    assert_eq!(tokens("slide", &["--window", "slide", "--stride", "200"]), chunk);
    assert_eq!(tokens("front", &["--beginning-of-text"]), chunk + 4);
    assert_eq!(tokens("truncate", &["--window", "truncate", "--context", "64"]), 4 * 64);
}

#[test]
fn an_existing_run_is_replaced_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    score(folder.path(), &["--out", "run", "--name", "first"]);
    let message = fails(folder.path(), &[&SMALL, &["--out", "run"][..]].concat(), 1);
    assert!(message.contains("run exists already") && message.contains("--overwrite"), "{message}");
    score(folder.path(), &["--out", "run", "--name", "second", "--overwrite"]);
    assert_eq!(json(&folder.path().join("run/run.json"))["model"]["name"], "second");
    assert_eq!(names(folder.path()), ["run"]);
}

#[test]
fn quiet_says_nothing_and_otherwise_one_summary() {
    let folder = tempfile::tempdir().unwrap();
    let output = deltaloss(folder.path(), &[&SMALL, &["--out", "a", "--quiet"][..]].concat());
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    let output = deltaloss(folder.path(), &[&SMALL, &["--out", "b"][..]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("mean loss") && said.contains("bits per byte") && said.lines().count() == 3,
        "{said}"
    );
}

#[test]
fn isa_names_the_instructions_to_compute_with() {
    let folder = tempfile::tempdir().unwrap();
    score(folder.path(), &["--no-calibrate", "--out", "best"]);
    score(folder.path(), &["--no-calibrate", "--isa", "portable", "--out", "portable"]);
    let [best, portable] = ["best", "portable"].map(|run| json(&folder.path().join(run).join("run.json")));
    assert_eq!(portable["engine"]["instruction_set"], "portable");
    let loss = |run: &serde_json::Value| run["totals"]["mean_loss_nats"].as_f64().unwrap();
    assert!((loss(&best) - loss(&portable)).abs() < 1e-5, "{} and {}", loss(&best), loss(&portable));
    let message = fails(folder.path(), &[&SMALL[..], &["--isa", "sse9", "--out", "none"]].concat(), 2);
    assert!(message.contains("sse9") && message.contains("this processor has portable"), "{message}");
}
