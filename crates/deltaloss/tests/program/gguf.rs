//! GGUF models, in a build with the feature `llama`.

use deltaloss::records::{DocumentRecord, Run};

use super::*;

fn tiny() -> PathBuf {
    fixtures().join("gpt-oss/tiny.gguf")
}

/// A folder with code to score.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("code")).unwrap();
    for (name, text) in [("a.py", "def f(x):\n    return x + 1\n"), ("b.py", "größe = '👩‍💻'\n")] {
        std::fs::write(folder.path().join("code").join(name), text).unwrap();
    }
    folder
}

const CALL: [&str; 6] = ["score", "--corpus", "code", "--out", "run", "--model"];

#[test]
fn a_gguf_model_is_scored_into_a_run_like_any_other() {
    let folder = folder();
    let model = tiny();
    let call = [&CALL[..], &[model.to_str().unwrap(), "--name", "Tiny", "--batch", "64"]].concat();
    succeeds(folder.path(), &call);
    let run = json(&folder.path().join("run/run.json"));
    assert_eq!(run["model"]["name"], "Tiny");
    assert_eq!(run["model"]["parameters"], 298_352);
    assert_eq!(run["tokenizer"]["name"], "gpt2/gpt-4o");
    assert_eq!(run["window"]["context"], 1024);
    assert_eq!(
        run["window"]["beginning_of_text"],
        serde_json::Value::Null,
        "its file says add_bos_token = false"
    );
    let engine = run["engine"]["version"].as_str().unwrap();
    assert!(engine.contains("weights widened to f32, 64 inputs at once, 0 layers on a GPU"), "{engine}");
    let (bytes, tokens) =
        (run["totals"]["bytes"].as_u64().unwrap(), run["totals"]["tokens"].as_u64().unwrap());
    assert!(tokens > 40 && bytes >= tokens, "{run}");
    let inspected = succeeds(folder.path(), &["inspect", "run"]);
    assert!(inspected.contains("all well-formed"), "{inspected}");

    let more =
        ["--overwrite", "--beginning-of-text", "--weights", "stored", "--context", "32", "--window", "slide"];
    succeeds(folder.path(), &[&call[..], &more[..]].concat());
    let run = json(&folder.path().join("run/run.json"));
    assert_eq!(run["window"]["beginning_of_text"], 349);
    assert_eq!(run["totals"]["tokens"], tokens + 2, "the first token of both documents too");
    assert!(run["engine"]["version"].as_str().unwrap().contains("weights as stored"));
    succeeds(folder.path(), &[&call[..], &["--overwrite", "--beginning-of-text=no"]].concat());
    assert_eq!(
        json(&folder.path().join("run/run.json"))["window"]["beginning_of_text"],
        serde_json::Value::Null
    );
}

#[test]
fn inspecting_a_gguf_model_reads_its_header() {
    let text = succeeds(&std::env::temp_dir(), &["inspect", tiny().to_str().unwrap()]);
    for part in ["gpt-oss, 4 layers, width 64", "1024 tokens", "298352", "352 entries"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn options_of_the_other_kind_of_model_are_misuse() {
    let folder = folder();
    let tiny = tiny();
    let gguf = tiny.to_str().unwrap();
    let fails = |more: &[&str], code| fails(folder.path(), &[&CALL[..], more].concat(), code);
    let message = fails(&[gguf, "--tokenizer", "code"], 2);
    assert!(message.contains("has its own tokenizer"), "{message}");
    let message = fails(&["builtin:sparse", "--gpu-layers", "3"], 2);
    assert!(message.contains("go with a .gguf model only"), "{message}");
    let message = fails(&[gguf, "--context", "1025"], 1);
    assert!(message.contains("a context of 1025, but tiny was made for 1024 at most"), "{message}");
    if cfg!(not(any(feature = "cuda", feature = "vulkan", feature = "metal"))) {
        let message = fails(&[gguf, "--gpu-layers", "3"], 1);
        assert!(message.contains("build with the feature cuda, vulkan or metal"), "{message}");
    }
    assert_eq!(names(folder.path()), ["code"]);
}

/// `inspect` and `check` of the model are as orderly.
#[test]
fn a_damaged_file_is_an_error_and_leaves_nothing() {
    let folder = folder();
    let path = folder.path().join("damaged.gguf");
    let bytes = std::fs::read(tiny()).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let call = [&CALL[..], &["damaged.gguf"]].concat();
    let message = fails(folder.path(), &call, 1);
    assert!(message.contains("damaged.gguf is not a model: it is truncated: tensor `"), "{message}");
    let message = fails(folder.path(), &["inspect", "damaged.gguf"], 1);
    assert!(message.contains("it is truncated"), "{message}");
    let message = fails(folder.path(), &["check", "damaged.gguf", "x"], 1);
    assert!(message.contains("`deltaloss score`"), "{message}");

    // Without this entry llama.cpp asserts that a tensor has no third side, and ends its process.
    let mut without_experts = bytes;
    let key = b"gpt-oss.expert_count";
    let at = without_experts.windows(key.len()).position(|part| part == key).unwrap();
    without_experts[at + key.len() - 1] = b'_';
    std::fs::write(&path, without_experts).unwrap();
    let message = fails(folder.path(), &call, 1);
    assert!(message.contains("damaged.gguf"), "{message}");
    assert_eq!(names(folder.path()), ["code", "damaged.gguf"]);
}

/// Any byte of the header may be wrong: the program ends in order, whatever llama.cpp does.
#[test]
fn no_wrong_byte_of_the_header_ends_the_program() {
    let folder = folder();
    let path = folder.path().join("wrong.gguf");
    let bytes = std::fs::read(tiny()).unwrap();
    let names = bytes.windows(16).position(|part| part == b"token_embd.weigh").unwrap();
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut refused = 0;
    for round in 0..60 {
        let mut wrong = bytes.clone();
        let at = if round % 3 == 0 { names + random(5000) } else { random(1200) };
        wrong[at] = [0, 1, 255, wrong[at] ^ (1 << random(8))][random(4)];
        std::fs::write(&path, &wrong).unwrap();
        let more = ["wrong.gguf", "--overwrite", "--no-calibrate", "--quiet"];
        let output = deltaloss(folder.path(), &[&CALL[..], &more].concat());
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        assert!(
            code == Some(0) || (code == Some(1) && message.starts_with("error: ")),
            "byte {at}: {message}"
        );
        refused += usize::from(code == Some(1));
    }
    assert!(refused > 20, "only {refused} of 60 were refused: what was changed does not matter");
}

#[test]
fn bytes_that_the_tokenizer_cannot_give_back_are_named_with_their_document() {
    let folder = folder();
    let mut bytes = std::fs::read(tiny()).unwrap();
    // The token of the letter q becomes another's, and a q is spelt by none.
    let table = bytes.windows(21).position(|part| part == b"tokenizer.ggml.tokens").unwrap();
    let one = [&1u64.to_le_bytes()[..], b"q"].concat();
    let at = table + bytes[table..].windows(9).position(|part| part == one).unwrap();
    bytes[at + 8] = 1;
    std::fs::write(folder.path().join("poor.gguf"), bytes).unwrap();
    std::fs::write(folder.path().join("code/c.py"), "x = 'q'\n").unwrap();
    let message = fails(folder.path(), &[&CALL[..], &["poor.gguf"]].concat(), 1);
    assert!(
        message.contains("c.py`, byte 5: the tokenizer gpt2/gpt-4o does not give back 'q' (U+0071)"),
        "{message}"
    );
    assert_eq!(names(folder.path()), ["code", "poor.gguf"]);
}

/// SmolLM2's GGUF file: in the folder named by `DELTALOSS_SMOLLM2`, or in `target/smollm2`.
fn smollm2() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder =
        std::env::var_os("DELTALOSS_SMOLLM2").map_or_else(|| root.join("target/smollm2"), PathBuf::from);
    let file = folder.join("SmolLM2-135M-Instruct.Q4_1.gguf");
    assert!(file.is_file(), "{} is not there: run `python3 fixtures/smollm2/download.py`", file.display());
    file
}

/// The three shortest of twelve documents of the demonstration, scored anew.
#[test]
fn the_bundled_oracles_run_is_what_scoring_gives() {
    let folder = tempfile::tempdir().unwrap();
    succeeds(folder.path(), &["demo", "--documents", "12", "--quiet"]);
    let bundled = Run::open(&folder.path().join("deltaloss-demo/runs/smollm2-135m-instruct")).unwrap();
    let columns = bundled.tokens().unwrap();
    let mut by_length: Vec<&DocumentRecord> =
        bundled.documents.iter().filter(|document| document.scored > 100).collect();
    by_length.sort_by_key(|document| (document.scored, document.document));
    std::fs::create_dir(folder.path().join("code")).unwrap();
    let mut sample = by_length[..3].to_vec();
    sample.sort_by_key(|document| document.document);
    for document in &sample {
        let name = format!("{:03}.py", document.document);
        std::fs::write(folder.path().join("code").join(name), &document.text).unwrap();
    }
    let context = bundled.info.window.context.to_string();
    let model = smollm2();
    let more = [model.to_str().unwrap(), "--context", &context, "--no-calibrate"];
    succeeds(folder.path(), &[&CALL[..], &more].concat());

    let again = Run::open(&folder.path().join("run")).unwrap();
    assert_eq!(again.info.model.sha256, bundled.info.model.sha256);
    let again = again.tokens().unwrap();
    let mut row = 0;
    for (place, document) in (0..).zip(sample) {
        let before: u32 = bundled.documents[..document.document as usize].iter().map(|d| d.scored).sum();
        let mut difference = 0.0;
        for at in before as usize..(before + document.scored) as usize {
            let (was, is) = (columns.get(at), again.get(row));
            // Tokens' ids are not packed: they would give away the texts.
            let here = (place, was.position, 0, was.byte_start, was.byte_end);
            assert_eq!((is.document, is.position, was.token, is.byte_start, is.byte_end), here);
            // Eleven bits are kept, and instruction sets round differently (docs/gguf.md).
            let near = |was: f32, is: f32| (was - is).abs() <= 0.02 + is.abs() / 2048.0;
            let (was, is) = (was.score, is.score);
            assert!(near(was.loss_nats, is.loss_nats), "{was:?} {is:?}");
            assert!(near(was.entropy_nats, is.entropy_nats), "{was:?} {is:?}");
            difference += f64::from(was.loss_nats - is.loss_nats);
            row += 1;
        }
        let mean = difference / f64::from(document.scored);
        assert!(mean.abs() < 1e-3, "{}: {mean}", document.name);
    }
    assert_eq!(row, again.len());
}
