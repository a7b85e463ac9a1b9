//! `compare`: what belongs together, and what it writes.

use super::*;

pub(super) fn score(folder: &Path, model: &str, corpus: &str, out: &str) {
    succeeds(folder, &["score", "--model", model, "--corpus", corpus, "--out", out, "--quiet"]);
}

pub(super) fn write_code(folder: &Path, name: &str, value: u32) {
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
        [
            "documents.parquet",
            "figures",
            "joined.parquet",
            "report.html",
            "report.md",
            "results.json",
            "tables",
            "vocabulary.parquet"
        ]
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

/// Trains a tiny model with a vocabulary of its own, 300 entries learned from the corpus.
fn train_with_other_tokens(folder: &Path, corpus: &str) {
    let config = format!(
        "seed = 5\n[model]\nblock_size = 24\nn_layer = 1\nn_head = 2\nd_head = 8\nd_model = 16\n\
         [data]\ncorpus = \"{corpus}\"\ntokenizer = \"other\"\n[recipe]\nsteps = 20\nbatch_sequences = 2\n"
    );
    std::fs::write(folder.join("other.toml"), config).unwrap();
    succeeds(folder, &["train-tokenizer", "--corpus", corpus, "--size", "300", "--out", "other"]);
    succeeds(folder, &["train", "other.toml", "--out", "stranger"]);
}

#[test]
fn a_model_with_other_tokens_is_an_oracle_or_one_of_the_pair() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_code(path, "one", 1);
    for i in 3..30 {
        let code =
            format!("class C{i}:\n    def get(self, a, b={i}):\n        return {{'é{i}': [a, (b, {i})]}}\n");
        std::fs::write(path.join(format!("one/{i}.py")), code).unwrap();
    }
    train_with_other_tokens(path, "one");
    score(path, "builtin:dense", "one", "a");
    score(path, "builtin:dense-twin", "one", "b");
    score(path, "stranger", "one", "c");
    // An oracle that saw the first windows only.
    let short =
        ["--model", "stranger", "--corpus", "one", "--window", "truncate", "--no-calibrate", "--compact"];
    succeeds(path, &[&["score"], &short[..], &["--out", "seer", "--quiet"]].concat());
    let compare = |arguments: &[&str], out: &str| {
        let fixed = ["--out", out, "--quiet"];
        succeeds(path, &[&["compare", "--a", "a"], arguments, &fixed].concat());
        json(&path.join(out).join("results.json"))
    };
    let plain = compare(&["--b", "b"], "plain");
    let classed = compare(&["--b", "b", "--oracle", "seer"], "classed");
    // The oracle takes no token from the others' numbers.
    assert_eq!(classed["all"]["categories"], plain["all"]["categories"]);
    assert!(plain["all"]["oracle"].is_null() && plain["setup"]["oracle"].is_null());
    assert_eq!(classed["setup"]["oracle"]["label"], "stranger");
    let oracle = &classed["all"]["oracle"];
    let all = classed["all"]["tokens"].as_u64().unwrap();
    assert_eq!(oracle["tokens"].as_u64().unwrap() + oracle["without_value"].as_u64().unwrap(), all);
    // Equal entropies stay in one bin, so there may be fewer than twenty.
    let bins = oracle["bins"].as_array().unwrap();
    assert!((15..=20).contains(&bins.len()), "{}", bins.len());
    let binned: u64 = bins.iter().map(|bin| bin["tokens"].as_u64().unwrap()).sum();
    assert_eq!(binned, oracle["tokens"].as_u64().unwrap());
    // With no benchmark the oracle's entropy is held fixed, over the tokens that have one.
    assert!(oracle["without_value"].as_u64().unwrap() > 0);
    assert_eq!(classed["all"]["held_fixed"]["entropy_of"], "oracle");
    assert_eq!(classed["all"]["held_fixed"]["tokens"], oracle["tokens"]);
    assert!(path.join("classed/figures/oracle.svg").is_file());
    assert!(path.join("classed/tables/oracle_bins.csv").is_file());
    let html = std::fs::read_to_string(path.join("classed/report.html")).unwrap();
    assert!(html.contains("Oracle entropy") && html.contains("stranger"));

    let carried = compare(&["--b", "c", "--placebo", "b", "--oracle", "c"], "carried");
    let models = carried["setup"]["models"].as_array().unwrap();
    let flags: Vec<_> = models.iter().map(|model| model["carried"].as_bool().unwrap()).collect();
    assert_eq!(flags, [false, true, false]);
    let of_b = &carried["all"]["overall"]["models"][1];
    assert!(of_b["top1_accuracy"].is_null() && of_b["bits_per_byte"]["value"].as_f64().unwrap() > 1.0);
    assert!(carried["all"]["overall"]["pairs"][0]["delta_nats_per_byte"]["value"].is_number());
    // Bytes of the same text: total losses are those that c's own run has of them, but for the ends of documents.
    let own = json(&path.join("c/run.json"));
    let [found, due] = [of_b["bits_per_byte"]["value"].as_f64(), own["totals"]["bits_per_byte"].as_f64()];
    assert!((found.unwrap() / due.unwrap() - 1.0).abs() < 0.05, "{found:?} {due:?}");
    assert!(!carried["all"]["held_fixed"].is_null() && !carried["all"]["confidence"].is_null());
    let markdown = std::fs::read_to_string(path.join("carried/report.md")).unwrap();
    assert!(markdown.contains("stranger (b) has other tokens than dense"), "{markdown}");
    assert!(markdown.contains("Δ a byte"));
    // b's own tokens and their texts are in the comparison: it can be looked at without the runs.
    let show = ["show", "carried", "--document", "10.py", "--json"];
    let shown: serde_json::Value = serde_json::from_str(&succeeds(path, &show)).unwrap();
    let own = &shown["document"]["own"][0];
    assert_eq!(own["role"], "b");
    let joined = |tokens: &serde_json::Value| {
        let texts = tokens["text"].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
        let mut texts: Vec<&str> = texts.collect();
        for gap in tokens["gaps"].as_array().unwrap().iter().rev() {
            texts.insert(gap[0].as_u64().unwrap() as usize, gap[1].as_str().unwrap());
        }
        texts.concat()
    };
    // The tokens of either tokenizer, with the gaps between them, are the document; é is one character to both.
    let text = std::fs::read_to_string(path.join("one/10.py")).unwrap();
    assert_eq!(joined(&shown["document"]), text);
    assert_eq!(joined(own), text);
    assert_ne!(own["text"], shown["document"]["text"]);
    assert!(own["guess"].is_array() && shown["document"]["models"][1]["guess"].is_null());
    assert!(
        path.join("carried/tokens_b.parquet").is_file()
            && !path.join("carried/tokens_placebo.parquet").exists()
    );
    // An oracle over another corpus is refused by name.
    write_code(path, "two", 2);
    score(path, "builtin:dense", "two", "d");
    let message = fails(path, &["compare", "--a", "a", "--b", "b", "--oracle", "d", "--out", "out"], 1);
    assert!(message.contains("different corpora"), "{message}");
}
