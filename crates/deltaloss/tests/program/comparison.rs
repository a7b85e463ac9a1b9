//! `compare`: what belongs together, and what it writes.

use super::*;

fn score(folder: &Path, model: &str, corpus: &str, out: &str) {
    succeeds(folder, &["score", "--model", model, "--corpus", corpus, "--out", out, "--quiet"]);
}

fn write_code(folder: &Path, name: &str, value: u32) {
    std::fs::create_dir(folder.join(name)).unwrap();
    for i in 0..3 {
        let code = format!("def f{i}(x, y):\n    return [x, (y, {value})]\n\n\nprint(f{i}(1, 2))\n");
        std::fs::write(folder.join(name).join(format!("{i}.py")), code).unwrap();
    }
}

#[test]
fn runs_over_different_corpora_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_code(path, "one", 1);
    write_code(path, "two", 2);
    score(path, "builtin:dense", "one", "a");
    score(path, "builtin:dense-twin", "two", "b");
    let before = names(path);
    let message = fails(path, &["compare", "--a", "a", "--b", "b", "--out", "out"], 1);
    assert!(message.contains("different corpora: a scored `one`, b scored `two`"), "{message}");
    assert!(message.contains("document 0, `0.py` and `0.py`, differs"), "{message}");
    let message = fails(path, &["compare", "--a", "a", "--b", "one", "--out", "out"], 1);
    assert!(message.contains("one is not a run: it has no run.json"), "{message}");
    assert_eq!(names(path), before);
}

#[test]
fn a_moved_corpus_is_the_same_corpus() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_code(path, "one", 1);
    score(path, "builtin:dense", "one", "a");
    std::fs::rename(path.join("one"), path.join("elsewhere")).unwrap();
    score(path, "builtin:dense-twin", "elsewhere", "b");
    let said = succeeds(path, &["compare", "--a", "a", "--b", "b", "--out", "out"]);
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert_eq!(
        names(&path.join("out")),
        ["figures", "joined.parquet", "report.html", "report.md", "results.json", "tables"]
    );
}

#[test]
fn a_run_against_itself_differs_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_code(path, "one", 1);
    score(path, "builtin:dense", "one", "a");
    succeeds(path, &["compare", "--a", "a", "--b", "a", "--placebo", "a", "--out", "out"]);
    let results = json(&path.join("out/results.json"));
    let labels: Vec<_> =
        results["setup"]["models"].as_array().unwrap().iter().map(|m| m["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["dense (a)", "dense (b)", "dense (placebo)"]);
    assert_eq!(results["all"]["overall"]["pairs"][0]["mean_delta_nats"]["value"], 0.0);
    assert_eq!(results["all"]["overall"]["pairs"][0]["first_wins_tokens"]["value"], 0.0);
}

#[test]
fn labels_and_rules_are_the_users() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_code(path, "one", 1);
    score(path, "builtin:dense", "one", "a");
    score(path, "builtin:dense-twin", "one", "b");
    std::fs::write(
        path.join("rules.toml"),
        "[[category]]\nname = \"Defs\"\nwords = [\"def\"]\n\n[[category]]\nname = \"The rest\"\n",
    )
    .unwrap();
    let compare = [
        "compare",
        "--a",
        "a",
        "--b",
        "b",
        "--label",
        "a=<b>Mine</b>",
        "--rules",
        "rules.toml",
        "--out",
        "out",
    ];
    succeeds(path, &compare);
    let results = json(&path.join("out/results.json"));
    let mut categories: Vec<_> = results["all"]["categories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    categories.sort_unstable();
    assert_eq!(categories, ["Defs", "The rest"]);
    let html = std::fs::read_to_string(path.join("out/report.html")).unwrap();
    assert!(html.contains("&lt;b&gt;Mine&lt;/b&gt;") && !html.contains("<b>Mine</b>"));
    std::fs::write(path.join("rules.toml"), "[[category]]\nname = \"Defs\"\nwrods = [\"def\"]\n").unwrap();
    let before = names(path);
    let message = fails(path, &[&compare[..], &["--overwrite"]].concat(), 1);
    assert!(message.contains("rules.toml") && message.contains("wrods"), "{message}");
    assert_eq!(names(path), before, "the old comparison stays");
}
