//! One and the same model at two temperatures, from the weights to the comparison: what it seems to be better at as scored,
//! and that nothing of it is left when both are calibrated.

use super::*;

fn score(folder: &Path, model: &str, out: &str, more: &[&str]) {
    let call = ["score", "--model", model, "--tokenizer", "builtin:pycode_2k", "--corpus"];
    let corpus = ["builtin:python-stdlib", "--sample", "12", "--out", out];
    succeeds(folder, &[&call[..], &corpus, more].concat());
}

fn compare(folder: &Path, out: &str, more: &[&str]) -> serde_json::Value {
    succeeds(folder, &[&["compare", "--a", "sharpened", "--b", "flat", "--out", out], more].concat());
    json(&folder.join(out).join("results.json"))
}

fn number(value: &serde_json::Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(|found| found.as_f64()).unwrap_or_else(|| panic!("{pointer}"))
}

#[test]
fn a_sharpened_copy_wins_where_it_is_confident_until_both_are_calibrated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // Underconfident, as dense models with little data are; its copy's logits are 1.2 times as large.
    sharpen::sharpen("builtin:dense-small", 0.8, &path.join("models/flat")).unwrap();
    sharpen::sharpen("builtin:dense-small", 0.8 * 1.2, &path.join("models/sharpened")).unwrap();
    score(path, "models/flat", "flat", &[]);
    score(path, "models/sharpened", "sharpened", &[]);
    let runs = ["flat", "sharpened"].map(|run| json(&path.join(run).join("run.json")));
    let [flat, sharpened] = runs.each_ref().map(|run| number(run, "/temperature"));
    assert!((sharpened / flat - 1.2).abs() < 2e-4, "{sharpened} and {flat}");
    let after = runs.map(|run| number(&run, "/calibration/confirmation/mean_loss_calibrated_nats"));
    assert!((after[0] - after[1]).abs() < 1e-6, "{after:?}");

    let as_scored = compare(path, "as-scored", &[]);
    assert_eq!(as_scored["setup"]["basis"], "as_scored");
    let confident = |results: &serde_json::Value| -> Vec<(u64, u64, Option<f64>)> {
        let rows = results["all"]["confidence"].as_array().unwrap().iter();
        rows.map(|row| {
            let tokens = |cell: &str| row[cell]["tokens"].as_u64().unwrap();
            let delta = row["a_confident"]["delta_nats"]["value"].as_f64();
            (tokens("a_confident"), tokens("b_confident"), delta)
        })
        .collect()
    };
    // The sharper copy is the confident one of every pair, and wins those tokens.
    let cells = confident(&as_scored);
    let filled: Vec<_> = cells.iter().filter(|(tokens, ..)| *tokens >= 100).collect();
    assert!(filled.len() >= 2, "{cells:?}");
    assert!(filled.iter().all(|(_, of_b, delta)| *of_b == 0 && delta.unwrap() < -0.05), "{cells:?}");
    assert!(number(&as_scored, "/all/overall/pairs/0/mean_delta_nats/value") < -0.05);
    let error = |results: &serde_json::Value, model: usize, diagram: &str| {
        number(results, &format!("/all/reliability/{model}/{diagram}/expected_calibration_error/value"))
    };
    assert!(error(&as_scored, 1, "as_scored") > 2.0 * error(&as_scored, 1, "calibrated"));
    assert!((error(&as_scored, 0, "calibrated") - error(&as_scored, 1, "calibrated")).abs() < 1e-3);

    let calibrated = compare(path, "calibrated", &["--calibrated"]);
    assert_eq!(calibrated["setup"]["basis"], "calibrated");
    // Both comparisons hold both bases, and the same numbers; only what leads differs.
    for part in ["all", "discovery", "confirmation", "calibrated"] {
        assert!(calibrated[part].is_object() && calibrated[part] == as_scored[part], "{part}");
    }
    let calibrated = &calibrated["calibrated"];
    assert_eq!(calibrated["all"]["reliability"], as_scored["all"]["reliability"]);
    assert!(number(calibrated, "/all/overall/pairs/0/mean_delta_nats/value").abs() < 1e-6);
    for row in calibrated["all"]["categories"].as_array().unwrap() {
        let delta = row["delta_nats"]["value"].as_f64().unwrap_or_default();
        assert!(delta.abs() < 1e-5, "{}: {delta}", row["name"]);
    }
    let cells = confident(calibrated);
    assert!(cells.iter().all(|(of_a, of_b, _)| of_a + of_b <= 1), "{cells:?}");
    let leads_with_calibrated = |out: &str| {
        let page = std::fs::read_to_string(path.join(out).join("report.html")).unwrap();
        page.contains("Every loss, entropy and difference is that of the models calibrated")
    };
    assert!(leads_with_calibrated("calibrated") && !leads_with_calibrated("as-scored"));
}

#[test]
fn a_calibrated_comparison_names_the_run_that_has_no_temperature() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    score(path, "builtin:dense-small", "with", &[]);
    score(path, "builtin:dense-small", "without", &["--no-calibrate", "--name", "unfitted"]);
    let compare = ["compare", "--a", "with", "--b", "without", "--out", "out"];
    let message = fails(path, &[&compare[..], &["--calibrated"]].concat(), 1);
    assert!(message.contains("unfitted") && message.contains("has no temperature"), "{message}");
    assert!(
        message.contains("calibration was not asked for") && message.contains("--calibrated"),
        "{message}"
    );
    assert_eq!(names(path), ["with", "without"]);
    // As scored the two are the same run, and joined.parquet has the calibrated columns of one.
    succeeds(path, &compare);
    let results = json(&path.join("out/results.json"));
    assert_eq!(number(&results, "/all/overall/pairs/0/mean_delta_nats/value"), 0.0);
    let said = succeeds(path, &["inspect", "without"]);
    assert!(said.contains("no temperature: calibration was not asked for"), "{said}");
    let said = succeeds(path, &["inspect", "with"]);
    assert!(said.contains("temperature 0.9") && said.contains("confirmation half"), "{said}");
}
