//! `run`.

use super::*;

const MODELS: &str = "[models.a]\nsource = \"builtin:dense\"\n[models.b]\nsource = \"builtin:dense-small\"\n";

fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join("study.toml"), text).unwrap();
}

fn corpus(documents: u32) -> String {
    format!("[corpus]\nsource = \"builtin:python-stdlib\"\nsample = {documents}\n")
}

/// Runs the experiment and gives what it said on standard error.
#[track_caller]
fn run(folder: &Path, more: &[&str]) -> String {
    let output = deltaloss(folder, &[&["run", "study.toml"], more].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

fn kept(said: &str) -> usize {
    said.matches("its run is taken from the cache").count()
}

/// The numbers of `results.json`, without the runs' times.
fn numbers(out: &Path) -> Vec<serde_json::Value> {
    let results = json(&out.join("results.json"));
    ["all", "discovery", "confirmation", "calibrated"].map(|part| results[part].clone()).into()
}

#[test]
fn an_experiment_is_a_comparison_with_its_runs_and_its_defaults_written_out() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &format!("{}{MODELS}label = \"Small one\"\n", corpus(6)));
    let said = run(folder.path(), &[]);
    assert!(said.contains("Open deltaloss-study/report.html") && kept(&said) == 0, "{said}");
    let out = folder.path().join("deltaloss-study");
    let entries = [
        "documents.parquet",
        "experiment.toml",
        "figures",
        "joined.parquet",
        "report.html",
        "report.md",
        "results.json",
        "runs",
        "tables",
        "vocabulary.parquet",
    ];
    assert_eq!(names(&out), entries);
    assert_eq!(names(&out.join("runs")), ["dense", "dense-small"]);
    let copy = std::fs::read_to_string(out.join("experiment.toml")).unwrap();
    for line in [
        "mode = \"chunk\"",
        "context = 256",
        "beginning_of_text = false",
        "solutions = \"first\"",
        "skip_unusable = false",
        "label = \"Small one\"",
        "label = \"dense\"",
        "compact = false",
        "calibrate = true",
        "lead = \"as-scored\"",
        "replicates = 2000",
        "seed = 20080901",
        "# max_documents: all",
    ] {
        assert!(copy.lines().any(|found| found == line), "{line}: {copy}");
    }
    assert_eq!(json(&out.join("results.json"))["setup"]["models"][1]["label"], "Small one");

    // The copy is the same experiment; nothing is scored again; and the runs equal what `score` makes.
    std::fs::copy(out.join("experiment.toml"), folder.path().join("study.toml")).unwrap();
    assert_eq!(kept(&run(folder.path(), &["--out", "again"])), 2);
    assert_eq!(numbers(&folder.path().join("again")), numbers(&out));
    let call = [
        "score",
        "--model",
        "builtin:dense",
        "--corpus",
        "builtin:python-stdlib",
        "--sample",
        "6",
        "--out",
        "run",
    ];
    succeeds(folder.path(), &call);
    for table in ["tokens.parquet", "documents.parquet"] {
        let read = |run: &str| std::fs::read(folder.path().join(run).join(table)).unwrap();
        assert_eq!(read("run"), read("again/runs/dense"), "{table}");
    }
}

#[test]
fn a_second_run_scores_only_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let texts = folder.path().join("texts");
    std::fs::create_dir(&texts).unwrap();
    for name in ["a", "b", "c"] {
        std::fs::write(
            texts.join(name).with_extension("py"),
            format!("def {name}(x):\n    return [x] * 3\n"),
        )
        .unwrap();
    }
    let corpus = "[corpus]\nsource = \"texts\"\n";
    let again = |text: &str| {
        write(folder.path(), text);
        kept(&run(folder.path(), &["--overwrite"]))
    };
    let plain = format!("{corpus}{MODELS}");
    assert_eq!(again(&plain), 0);
    assert_eq!(again(&plain), 2);
    assert_eq!(
        again(&format!(
            "{plain}label = \"another\"\n[analyses]\nseed = 3\nconfident_below_nats = [0.1, 0.7]\n"
        )),
        2
    );
    assert_eq!(
        json(&folder.path().join("deltaloss-study/results.json"))["all"]["confidence"]
            .as_array()
            .unwrap()
            .len(),
        6
    );
    assert_eq!(again(&format!("{plain}context = 100\n")), 1, "another window of one model");
    assert_eq!(again(&format!("{plain}compact = true\n")), 1);
    assert_eq!(again(&format!("{plain}[analyses]\ncalibrate = false\n")), 0);
    let third = format!("{plain}[models.benchmark]\nsource = \"builtin:dense-twin\"\n");
    assert_eq!(again(&third), 2, "one model more");
    // A text changes, then a name alone.
    std::fs::write(texts.join("b.py"), "def b(x):\n    return [x] * 4\n").unwrap();
    assert_eq!(again(&plain), 0);
    std::fs::rename(texts.join("c.py"), texts.join("d.py")).unwrap();
    assert_eq!(again(&plain), 0);
    assert_eq!(kept(&run(folder.path(), &["--overwrite", "--no-cache"])), 0);
}

#[test]
fn a_run_that_is_there_already_takes_part() {
    let folder = tempfile::tempdir().unwrap();
    let call = [
        "score",
        "--model",
        "builtin:dense",
        "--corpus",
        "builtin:python-stdlib",
        "--sample",
        "4",
        "--out",
        "mine",
    ];
    succeeds(folder.path(), &call);
    let text = format!(
        "output = \"deep/out\"\n{}[models.a]\nrun = \"mine\"\n[models.b]\nsource = \"builtin:dense-small\"\n",
        corpus(4)
    );
    write(folder.path(), &text);
    run(folder.path(), &["--quiet"]);
    assert_eq!(names(&folder.path().join("deep/out/runs")), ["dense-small"]);
    assert!(folder.path().join("mine/run.json").exists());
    // Over other documents it does not fit, and nothing is left.
    write(folder.path(), &text.replace("sample = 4", "sample = 5").replace("deep/out", "other"));
    let message = fails(folder.path(), &["run", "study.toml"], 1);
    assert!(message.contains("different corpora"), "{message}");
    assert_eq!(names(folder.path()), ["cache", "deep", "mine", "study.toml"]);
}

#[test]
fn what_is_wrong_is_said_before_anything_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |text: &str| {
        write(folder.path(), text);
        let message = fails(folder.path(), &["run", "study.toml"], 1);
        assert_eq!(names(folder.path()), ["study.toml"], "{message}");
        message
    };
    let plain = format!("{}{MODELS}", corpus(2));
    let message = refused(&plain.replace("sample", "smaple"));
    assert!(
        message.contains("study.toml: [corpus] unknown key `smaple`; the nearest known is `sample` (line 3)"),
        "{message}"
    );
    let message = refused(&format!("{plain}[oracle]\nsource = \"models/gone\"\n"));
    assert!(message.contains("[oracle]: source = \"models/gone\": there is no such"), "{message}");
    let message = refused(&format!("{plain}[models.placebo]\nrun = \"runs/gone\"\n"));
    assert!(message.contains("runs/gone is not a run"), "{message}");
    let message = refused(&format!("{plain}[models.placebo]\nrun = \"builtin:x\"\n"));
    assert!(message.contains("[models.placebo]: run = \"builtin:x\": the one bundled run is"), "{message}");
    let message = refused(&format!("{plain}gpu_layers = 3\n"));
    assert!(
        message.contains("[models.b]: gpu_layers, batch and weights go with a .gguf model only"),
        "{message}"
    );
    let message = fails(folder.path(), &["run", "gone.toml"], 1);
    assert!(message.contains("gone.toml"), "{message}");
}

#[test]
fn somebody_elses_folder_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &format!("{}{MODELS}", corpus(2)));
    run(folder.path(), &["--out", "mine"]);
    let message = fails(folder.path(), &["run", "study.toml", "--out", "mine"], 1);
    assert!(message.contains("mine exists already") && message.contains("--overwrite"), "{message}");
    // The demonstration replaces its own folder unasked, but no other experiment.
    let message = fails(folder.path(), &["demo", "--documents", "2", "--out", "mine"], 1);
    assert!(message.contains("mine exists already"), "{message}");
    std::fs::write(folder.path().join("mine/thesis.tex"), "years of work").unwrap();
    let message = fails(folder.path(), &["run", "study.toml", "--out", "mine", "--overwrite"], 1);
    assert!(message.contains("it holds `thesis.tex`, which no experiment does"), "{message}");
}
