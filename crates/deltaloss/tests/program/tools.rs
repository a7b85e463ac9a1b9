//! `check`, `tokenize` and `inspect`.

use super::*;

#[test]
fn check_passes_on_every_fixture_and_fails_on_a_wrong_one() {
    let folder = tempfile::tempdir().unwrap();
    let cases = fixtures().join("circuit-sparsity");
    let mut checked = 0;
    for case in
        std::fs::read_dir(&cases).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        let expected = case.join("expected.safetensors");
        let said = succeeds(folder.path(), &["check", case.to_str().unwrap(), expected.to_str().unwrap()]);
        assert!(
            said.contains("logits   largest difference") && said.ends_with("within the tolerances\n"),
            "{said}"
        );
        checked += 1;
    }
    assert!(checked > 0);
    let own = own_fixtures().join("circuit-sparsity");
    let (model, wrong) = (own.join("dense_rms"), own.join("dense_bf16/expected.safetensors"));
    let message = fails(folder.path(), &["check", model.to_str().unwrap(), wrong.to_str().unwrap()], 1);
    assert!(message.contains("does not reproduce"), "{message}");
}

#[test]
fn check_says_what_a_reference_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let model = own_fixtures().join("circuit-sparsity/dense_rms");
    let weights = model.join("final_model.pt");
    let message = fails(folder.path(), &["check", model.to_str().unwrap(), weights.to_str().unwrap()], 1);
    assert!(message.contains("no reference for this model: it has no tensor `tokens`"), "{message}");
    let message = fails(folder.path(), &["check", model.to_str().unwrap(), "gone.safetensors"], 1);
    assert!(message.contains("gone.safetensors"), "{message}");
    let expected = model.join("expected.safetensors");
    let message = fails(folder.path(), &["check", "builtin:dense", expected.to_str().unwrap()], 1);
    assert!(message.contains("`logits` has shape") && message.contains("2048"), "{message}");
}

#[test]
fn tokenize_prints_the_references_ids() {
    let folder = tempfile::tempdir().unwrap();
    let cases = json(&fixtures().join("tokenizer/pycode_2k.json"));
    let assets = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets/tokenizer/pycode_2k");
    for case in cases.as_array().unwrap() {
        for tokenizer in ["builtin:pycode_2k", assets.to_str().unwrap()] {
            let text = case["text"].as_str().unwrap();
            let output =
                command(folder.path(), &["tokenize", "--tokenizer", tokenizer]).write_stdin(text).output();
            let ids: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
            assert_eq!(ids, case["ids"], "{text:?}");
        }
    }
}

#[test]
fn tokenize_names_the_byte_that_is_not_utf8() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path(), &["tokenize", "--tokenizer", "builtin:pycode_2k"])
        .write_stdin(b"ab\xff".as_slice())
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains("standard input is not UTF-8: byte 2"), "{message}");
}

#[test]
fn inspect_describes_models_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let said = succeeds(folder.path(), &["inspect", "builtin:sparse"]);
    for part in [
        "4 layers x 192",
        "AbsTopK 0.25 at 8 places",
        "2615744, 257994 of them not zero (9.86 %)",
        "pycode_2k, 2048",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let fixture = own_fixtures().join("circuit-sparsity/dense_rms");
    let said = succeeds(folder.path(), &["inspect", fixture.to_str().unwrap()]);
    assert!(said.contains("tinypython_2k (not found: "), "{said}");
    succeeds(
        folder.path(),
        &[
            "score",
            "--model",
            "builtin:dense-small",
            "--corpus",
            "builtin:python-stdlib",
            "--sample",
            "2",
            "--out",
            "run",
        ],
    );
    let said = succeeds(folder.path(), &["inspect", "run"]);
    assert!(said.contains("rows, all well-formed") && said.contains("sample of 2 documents"), "{said}");
    let message = fails(folder.path(), &["inspect", "nothing"], 1);
    assert!(message.contains("nothing is not a model"), "{message}");
}
