//! What a person gets wrong: a clear message, the right exit code, and nothing left behind.

use super::*;

/// `score` with a model and a corpus that must fail; nothing new may stand in the folder.
#[track_caller]
fn score_fails(folder: &Path, model: &str, corpus: &str, more: &[&str]) -> String {
    let before = names(folder);
    let message =
        // No test needs a network.
        fails(folder, &[&["score", "--offline", "--model", model, "--corpus", corpus, "--out", "out"], more].concat(), 1);
    assert_eq!(names(folder), before, "{message}");
    assert!(message.starts_with("error: "), "{message}");
    message
}

#[test]
fn models_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("code.py"), "x = 1\n").unwrap();
    std::fs::create_dir(path.join("empty")).unwrap();
    for (model, part) in [
        ("gone", "gone is not a model: there is no such folder"),
        ("empty", "empty is not a model: it has no beeg_config.json"),
        ("code.py", "it is a file; name the folder"),
        ("builtin:huge", "there are sparse, dense, dense-twin, dense-small"),
        ("csp:csp_yolo1", "models/csp_yolo1/beeg_config.json is not in the cache"),
        ("hf:openai/circuit-sparsity", "openai/circuit-sparsity@main is not in the cache"),
        (
            "model.gguf",
            if cfg!(feature = "llama") { "No such file" } else { "build --release --features llama" },
        ),
    ] {
        let message = score_fails(path, model, "code.py", &[]);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn configurations_the_engine_has_no_arithmetic_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("code.py"), "x = 1\n").unwrap();
    std::fs::create_dir(path.join("model")).unwrap();
    let fixture = own_fixtures().join("circuit-sparsity/dense_rms");
    std::fs::copy(fixture.join("final_model.pt"), path.join("model/final_model.pt")).unwrap();
    let mut config = json(&fixture.join("beeg_config.json"));
    config["use_tied_aux_matrix"] = true.into();
    std::fs::write(path.join("model/beeg_config.json"), config.to_string()).unwrap();
    let message = score_fails(path, "model", "code.py", &[]);
    assert!(message.contains("model/beeg_config.json: `use_tied_aux_matrix` is true"), "{message}");

    config["use_tied_aux_matrix"] = false.into();
    config["d_mlp"] = 100.into();
    std::fs::write(path.join("model/beeg_config.json"), config.to_string()).unwrap();
    let message = score_fails(path, "model", "code.py", &[]);
    for part in
        ["transformer.h.0.mlp.c_fc.weight", "[192, 48]", "[100, 48]", "transformer.h.2.mlp.c_proj.weight"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }

    let bytes = std::fs::read(path.join("model/final_model.pt")).unwrap();
    std::fs::write(path.join("model/final_model.pt"), &bytes[..bytes.len() / 2]).unwrap();
    let message = score_fails(path, "model", "code.py", &[]);
    assert!(message.contains("model/final_model.pt"), "{message}");
}

#[test]
fn models_without_their_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("code.py"), "x = 1\n").unwrap();
    let fixture = own_fixtures().join("circuit-sparsity/dense_rms");
    let model = fixture.to_str().unwrap();
    let message = score_fails(folder.path(), model, "code.py", &[]);
    assert!(message.contains("`tinypython_2k`") && message.contains("--tokenizer"), "{message}");
    let message = score_fails(folder.path(), model, "code.py", &["--tokenizer", "builtin:pycode_2k"]);
    assert!(message.contains("2048 entries") && message.contains("vocabulary of 160"), "{message}");
}

#[test]
fn corpora_that_cannot_be_scored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("nothing")).unwrap();
    std::fs::create_dir(path.join("short")).unwrap();
    std::fs::write(path.join("short/good.py"), "def f(x):\n    return x\n").unwrap();
    std::fs::write(path.join("short/__init__.py"), "").unwrap();
    std::fs::write(path.join("short/one.py"), "x").unwrap();
    std::fs::create_dir(path.join("latin")).unwrap();
    std::fs::write(path.join("latin/name.py"), b"caf\xe9 = 1\n").unwrap();
    std::fs::write(path.join("rows.jsonl"), "{\"text\": \"x = 1\\n\"}\n{\"body\": \"y = 2\\n\"}\n").unwrap();
    std::fs::write(path.join("broken.jsonl"), "{\"text\": \"x = 1\\n\"}\n{\"text\": \n").unwrap();
    for (corpus, parts) in [
        ("gone", &["gone"][..]),
        ("nothing", &["nothing"]),
        (
            "short",
            &["2 document(s) of fewer than 2 tokens", "`__init__.py` (0)", "`one.py` (1)", "--skip-unusable"],
        ),
        ("latin", &["name.py", "UTF-8", "3"]),
        ("rows.jsonl", &["rows.jsonl", "2", "body"]),
        ("broken.jsonl", &["broken.jsonl", "2"]),
        ("builtin:go", &["python-stdlib"]),
        ("hf:codeparrot/apps", &["hf:codeparrot/apps"]),
    ] {
        let message = score_fails(path, "builtin:dense-small", corpus, &[]);
        for part in parts {
            assert!(message.contains(part), "{corpus}: {part}: {message}");
        }
    }
    succeeds(
        path,
        &["score", "--model", "builtin:dense-small", "--corpus", "short", "--out", "run", "--skip-unusable"],
    );
    let corpus = &json(&path.join("run/run.json"))["corpus"];
    assert_eq!((corpus["documents"].as_u64(), corpus["skipped"].as_u64()), (Some(1), Some(2)));
}

#[test]
fn calls_that_make_no_sense_exit_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let score = ["score", "--model", "builtin:dense", "--corpus", "builtin:python-stdlib", "--out", "out"];
    for more in [
        &["--stride", "5"][..],
        &["--window", "sideways"],
        &["--threads", "0"],
        &["--context", "0"],
        &["--no-such-flag"],
    ] {
        fails(path, &[&score, more].concat(), 2);
    }
    fails(path, &["compare", "--a", "x", "--out", "y"], 2);
    fails(path, &["compare", "--a", "x", "--b", "y", "--out", "z", "--label", "c=Name"], 2);
    let message =
        fails(path, &["compare", "--a", "x", "--b", "y", "--out", "z", "--label", "placebo=Twin"], 2);
    assert!(message.contains("there is no --placebo"), "{message}");
    fails(path, &["frobnicate"], 2);
    fails(path, &[], 2);
    assert!(names(path).is_empty());
}

#[test]
fn windows_beyond_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let message = score_fails(folder.path(), "builtin:dense", "builtin:python-stdlib", &["--context", "257"]);
    assert!(message.contains("a context of 257, but dense was made for 256"), "{message}");
    let message = score_fails(
        folder.path(),
        "builtin:dense",
        "builtin:python-stdlib",
        &["--window", "slide", "--stride", "300"],
    );
    assert!(message.contains("a stride of 300 does not fit a context of 256"), "{message}");
}
