//! `train` and `train-tokenizer`.

use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// A tiny model and enough text for a few batches a pass.
fn prepare(folder: &Path, recipe: &str) {
    let corpus = folder.join("corpus");
    std::fs::create_dir(&corpus).unwrap();
    for i in 0..40 {
        let text: String = (0..30)
            .map(|line| format!("def f{}(x, y):\n    return x * {} + y[{line}]\n\n", i * 7 + line, line * i))
            .collect();
        std::fs::write(corpus.join(format!("{i}.py")), text).unwrap();
    }
    let config = format!(
        "seed = 3\n[model]\nblock_size = 32\nn_layer = 2\nn_head = 2\nd_head = 8\nd_model = 16\nafrac = 0.5\n\
         sink = true\nenable_bigram_table = false\n\
         [data]\ncorpus = \"corpus\"\ntokenizer = \"builtin:pycode_2k\"\n\
         [recipe]\nbatch_sequences = 6\nkept_fraction = 0.3\nmin_alive_per_neuron = 2\n{recipe}"
    );
    std::fs::write(folder.join("tiny.toml"), config).unwrap();
}

fn weights(folder: &Path, model: &str) -> Vec<u8> {
    std::fs::read(folder.join(model).join("model.safetensors")).unwrap()
}

#[test]
fn a_model_is_trained_scored_and_the_same_for_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, "steps = 60\n");
    succeeds(folder, &["train", "tiny.toml", "--out", "one", "--threads", "1"]);
    succeeds(folder, &["train", "tiny.toml", "--out", "deep/two", "--threads", "2"]);
    assert_eq!(
        names(&folder.join("one")),
        [
            "beeg_config.json",
            "encoder.json",
            "loss.csv",
            "loss.svg",
            "model.safetensors",
            "training.json",
            "vocab.bpe"
        ]
    );
    assert_eq!(names(&folder.join("deep")), ["two"]);
    assert_eq!(weights(folder, "one"), weights(folder, "deep/two"));
    let training = json(&folder.join("one/training.json"));
    assert_eq!(training["steps"], 60);
    assert_eq!(training["tokens"], 60 * 6 * 32);
    assert_eq!(training["data"]["documents"], 40);
    // 0.3 of each matrix, exactly.
    assert_eq!(training["nonzero_by_tensor"]["transformer.h.1.mlp.c_fc.weight"], 64 * 16 * 3 / 10);
    let csv = std::fs::read_to_string(folder.join("one/loss.csv")).unwrap();
    let losses: Vec<f64> =
        csv.lines().skip(1).map(|row| row.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert_eq!(losses.len(), 60);
    assert!((losses[0] - 2048f64.ln()).abs() < 0.1, "{losses:?}");
    assert!(losses[59] < losses[0] - 1.0, "{losses:?}");
    succeeds(folder, &["score", "--model", "one", "--corpus", "corpus", "--out", "run"]);
    let run = json(&folder.join("run/run.json"));
    let scored = run["totals"]["mean_loss_nats"].as_f64().unwrap();
    assert!((scored - losses[59]).abs() < 1.0, "{scored} {}", losses[59]);
    assert_eq!(run["model"]["nonzero_parameters"], training["nonzero_parameters"]);
    assert!(fails(folder, &["train", "tiny.toml", "--out", "one"], 1).contains("exists already"));
}

#[test]
fn a_killed_training_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, "steps = 400\ncheckpoint_every_steps = 20\n");
    let checkpoint = folder.join("killed.training/checkpoint.safetensors");
    // Killed twice, wherever it is after a checkpoint.
    let mut kills = 0;
    for _ in 0..2 {
        let before = std::fs::metadata(&checkpoint).and_then(|m| m.modified()).ok();
        let mut child = Process::new(env!("CARGO_BIN_EXE_deltaloss"))
            .current_dir(folder)
            .args(["train", "tiny.toml", "--out", "killed", "--resume"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while std::fs::metadata(&checkpoint).and_then(|m| m.modified()).ok() == before
            && child.try_wait().unwrap().is_none()
        {
            assert!(start.elapsed() < Duration::from_secs(60), "no checkpoint");
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        kills += usize::from(!child.wait().unwrap().success());
    }
    assert!(kills > 0, "the training was over before it could be killed");
    let message = fails(folder, &["train", "tiny.toml", "--out", "killed"], 1);
    assert!(message.contains("unfinished training") && message.contains("--resume"), "{message}");
    succeeds(folder, &["train", "tiny.toml", "--out", "killed", "--resume", "--threads", "2"]);
    succeeds(folder, &["train", "tiny.toml", "--out", "whole", "--threads", "1"]);
    assert_eq!(weights(folder, "killed"), weights(folder, "whole"));
    assert!(!folder.join("killed.training").exists());
    let curve = |model: &str| std::fs::read(folder.join(model).join("loss.csv")).unwrap();
    assert_eq!(curve("killed"), curve("whole"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_another_configuration_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, "steps = 100000\ncheckpoint_every_steps = 1000000\n");
    let child = Process::new(env!("CARGO_BIN_EXE_deltaloss"))
        .current_dir(folder)
        .args(["train", "tiny.toml", "--out", "model"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !folder.join("model.training").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "training does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    // It stands still, so that what a second one says is said at once.
    let signal = |name: &str| {
        assert!(Process::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
    };
    while !folder.join("model.training/lock").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    signal("-STOP");
    let message = fails(folder, &["train", "tiny.toml", "--out", "model", "--resume"], 1);
    assert!(message.contains("model is being trained by another process"), "{message}");
    signal("-CONT");
    signal("-INT");
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(message.contains("saved in") && message.contains("--resume"), "{message}");
    assert_eq!(names(folder), ["corpus", "model.training", "tiny.toml"]);
    let config = std::fs::read_to_string(folder.join("tiny.toml")).unwrap();
    std::fs::write(folder.join("other.toml"), config.replace("seed = 3", "seed = 4")).unwrap();
    let message = fails(folder, &["train", "other.toml", "--out", "model", "--resume"], 1);
    assert!(message.contains("its configuration is another one"), "{message}");
}

#[test]
fn a_diverging_training_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, "steps = 300\npeak_learning_rate = 1000.0\n");
    let message = fails(folder, &["train", "tiny.toml", "--out", "model"], 1);
    assert!(message.contains("diverged at step") && message.contains("peak_learning_rate"), "{message}");
    assert!(!folder.join("model").exists());
}

#[test]
fn what_is_wrong_with_a_configuration_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, "peak_learnin_rate = 1\n");
    let train = |config: &str| fails(folder, &["train", config, "--out", "model"], 1);
    assert!(train("tiny.toml").contains("the nearest known is `peak_learning_rate`"));
    assert!(train("none.toml").contains("none.toml: cannot read it"));
    let config = std::fs::read_to_string(folder.join("tiny.toml")).unwrap();
    let config = config.replace("peak_learnin_rate = 1\n", "");
    for (from, to, message) in [
        ("corpus = \"corpus\"", "corpus = \"nowhere\"", "nowhere"),
        ("builtin:pycode_2k", "builtin:other", "no such bundled tokenizer"),
        ("block_size = 32", "block_size = 1000000", "fewer than one sequence"),
        ("afrac = 0.5", "afrac = 5.0", "afrac is 5"),
    ] {
        std::fs::write(folder.join("changed.toml"), config.replace(from, to)).unwrap();
        let error = train("changed.toml");
        assert!(error.contains(message), "{error}");
    }
    assert!(!folder.join("model").exists());
}

#[test]
fn a_tokenizer_is_trained_and_a_model_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, "steps = 3\n");
    succeeds(folder, &["train-tokenizer", "--corpus", "corpus", "--size", "400", "--out", "bpe"]);
    assert_eq!(names(&folder.join("bpe")), ["encoder.json", "vocab.bpe"]);
    let text = "def f1(x, y):\n    return x * 漢\n";
    let mut tokenize = command(folder, &["tokenize", "--tokenizer", "bpe"]);
    let output = tokenize.write_stdin(text).output().unwrap();
    let ids: Vec<u32> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(3 * ids.len() < 2 * text.len() && ids.iter().all(|&id| id < 399), "{ids:?}");
    let config = std::fs::read_to_string(folder.join("tiny.toml")).unwrap();
    std::fs::write(folder.join("own.toml"), config.replace("builtin:pycode_2k", "bpe")).unwrap();
    succeeds(folder, &["train", "own.toml", "--out", "model"]);
    assert_eq!(json(&folder.join("model/beeg_config.json"))["vocab_size"], 400);
    succeeds(folder, &["inspect", "model"]);
    let again = fails(folder, &["train-tokenizer", "--corpus", "corpus", "--size", "400", "--out", "bpe"], 1);
    assert!(again.contains("exists already"), "{again}");
    fails(folder, &["train-tokenizer", "--corpus", "corpus", "--size", "20", "--out", "x"], 2);
}
