//! Models and corpora by name, from a server on loopback.

use super::*;

use server::{Request, Server, cut, good, status, whole};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The released layout with bundled models in it, and a data set of the hub in the APPS layout.
fn serve() -> Server {
    let assets = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    let read = move |path: String| std::fs::read(assets.join(path)).unwrap();
    let rows: String = (0..12)
        .map(|i| {
            let program = format!("def f{i}(x):\n    return [x + {i}] * 3\n\nprint(f{i}(4))\n");
            let solutions = serde_json::json!([program]).to_string();
            serde_json::json!({"problem_id": i, "solutions": solutions}).to_string() + "\n"
        })
        .collect();
    let listing = serde_json::json!({"sha": COMMIT, "siblings": [{"rfilename": "apps.py"}, {"rfilename": "train.jsonl"}]});
    let (listing, file) =
        (listing.to_string(), format!("/datasets/codeparrot/apps/resolve/{COMMIT}/train.jsonl"));
    Server::start(move |request: &Request| {
        let path = request.path.as_str();
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            ["", "csp", "models", name @ ("dense" | "dense-small"), "beeg_config.json"] => {
                whole(&read(format!("models/{name}/beeg_config.json")))
            }
            ["", "csp", "models", name @ ("dense" | "dense-small"), "final_model.pt"] => {
                // The connection breaks now and then.
                let content = read(format!("models/{name}/model.safetensors.zst"));
                let reply = good(request, &content, Some("\"v1\""));
                if request.nth < 2 { cut(&reply, 100_000) } else { reply }
            }
            ["", "csp", "tinypython", name] => whole(&read(format!("tokenizer/pycode_2k/{name}"))),
            ["", "api", "datasets", "codeparrot", "apps", ..] => whole(listing.as_bytes()),
            _ if path == file => whole(rows.as_bytes()),
            _ => status("404 Not Found"),
        }
    })
}

fn by_name(folder: &Path, server: &Server, arguments: &[&str]) -> Output {
    by_name_with(folder, server, arguments, &[])
}

fn by_name_with(folder: &Path, server: &Server, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = command(folder, arguments);
    command
        .env("DELTALOSS_CSP_ENDPOINT", format!("{}/csp", server.address))
        .env("HF_ENDPOINT", &server.address);
    command.env_remove("HF_TOKEN").env_remove("HF_HUB_OFFLINE").env("NO_PROXY", "127.0.0.1");
    command.env_remove("HUGGING_FACE_HUB_TOKEN").envs(variables.iter().copied());
    command.output().unwrap()
}

const EXPERIMENT: &str = "[corpus]\nsource = \"hf:codeparrot/apps:train.jsonl\"\n[models.a]\nsource = \"csp:dense\"\n\
                          [models.b]\nsource = \"csp:dense-small\"\n";

#[test]
fn an_experiment_by_name_runs_and_runs_again_offline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let server = serve();
    std::fs::write(path.join("study.toml"), EXPERIMENT).unwrap();
    let message = fails(path, &["run", "study.toml", "--offline"], 1);
    assert!(message.contains("is not in the cache") && message.contains("--offline"), "{message}");
    let output = by_name(path, &server, &["run", "study.toml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = path.join("deltaloss-study");
    let results = json(&out.join("results.json"));
    let run = &results["setup"]["models"][0]["run"];
    assert_eq!((&run["model"]["name"], &run["model"]["source"]), (&"dense".into(), &"csp:dense".into()));
    assert_eq!(run["corpus"]["name"], format!("hf:codeparrot/apps@{COMMIT}:train.jsonl"));
    assert_eq!(run["corpus"]["documents"], 12);
    assert_eq!(run["tokenizer"]["name"], "pycode_2k");

    // Nothing is asked for again, and nothing scored.
    let asked = server.requests().len();
    let again = by_name(path, &server, &["run", "study.toml", "--out", "again", "--offline"]);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.success() && said.matches("taken from the cache").count() == 2, "{said}");
    assert_eq!(server.requests().len(), asked);
    assert_eq!(json(&path.join("again/results.json"))["all"], results["all"]);

    // The same numbers as from the files themselves.
    let call = ["score", "--corpus", "hf:codeparrot/apps:train.jsonl", "--offline", "--out"];
    let named = by_name(path, &server, &[&call[..], &["named", "--model", "csp:dense"]].concat());
    assert!(named.status.success(), "{}", String::from_utf8_lossy(&named.stderr));
    let bundled = by_name(path, &server, &[&call[..], &["bundled", "--model", "builtin:dense"]].concat());
    assert!(bundled.status.success(), "{}", String::from_utf8_lossy(&bundled.stderr));
    let tokens = |run: &str| std::fs::read(path.join(run).join("tokens.parquet")).unwrap();
    assert_eq!(tokens("named"), tokens("bundled"));
    let inspected = by_name(path, &server, &["inspect", "csp:dense-small", "--offline"]);
    let said = String::from_utf8(inspected.stdout).unwrap();
    assert!(said.contains("tokenizer      pycode_2k, 2048 entries"), "{said}");
}

/// Before hours of downloads and scoring.
#[cfg(not(feature = "llama"))]
#[test]
fn what_this_build_cannot_run_is_said_before_anything_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let server = serve();
    let post = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../experiments/post.toml");
    let refused = |arguments: &[&str]| {
        let output = by_name(path, &server, arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(
            message.contains("does not run GGUF models") && message.contains("--features llama"),
            "{message}"
        );
        message
    };
    let message = refused(&["run", post.to_str().unwrap()]);
    assert!(message.contains("[oracle]") && message.contains("take [oracle] out of the file"), "{message}");
    let corpus = "builtin:python-stdlib";
    refused(&["score", "--model", "hf:org/repo:model.gguf", "--corpus", corpus, "--out", "run"]);
    assert!(server.requests().is_empty(), "{:?}", server.requests());
}

#[test]
fn models_and_tokenizers_learn_from_a_corpus_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let server = serve();
    let succeeds = |arguments: &[&str]| {
        let output = by_name(path, &server, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let refused = |arguments: &[&str]| {
        let output = by_name(path, &server, arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        message
    };
    let name = "hf:codeparrot/apps:train.jsonl";
    let tokenizer = ["train-tokenizer", "--corpus", name, "--size", "300", "--out"];
    let message = refused(&[&tokenizer[..], &["bpe", "--offline"]].concat());
    assert!(message.contains("is not in the cache") && message.contains("--offline"), "{message}");
    succeeds(&[&tokenizer[..], &["bpe"]].concat());
    let config = format!(
        "seed = 3\n[model]\nblock_size = 16\nn_layer = 1\nn_head = 1\nd_head = 8\nd_model = 8\n\
         [data]\ncorpus = \"{name}\"\ntokenizer = \"bpe\"\n[recipe]\nbatch_sequences = 2\nsteps = 3\n"
    );
    std::fs::write(path.join("tiny.toml"), &config).unwrap();
    // The data set is there by now.
    let asked = server.requests().len();
    succeeds(&["train", "tiny.toml", "--out", "model", "--offline"]);
    assert_eq!(server.requests().len(), asked);
    let data = json(&path.join("model/training.json"))["data"].clone();
    assert_eq!(
        (&data["documents"], &data["corpus"]),
        (&12.into(), &format!("hf:codeparrot/apps@{COMMIT}:train.jsonl").into())
    );
    let other = ["train", "tiny.toml", "--out", "other", "--corpus"];
    assert!(refused(&[&other[..], &["csp:dense"]].concat()).contains("names a model, not a corpus"));
    assert!(refused(&[&other[..], &["hf:no/set"]].concat()).contains("among the hub's data sets"));
    let again = refused(&["train", "tiny.toml", "--out", "model", "--corpus", "hf:no/set"]);
    assert!(again.contains("exists already"), "{again}");
    assert!(!path.join("other").exists() && !path.join("other.training").exists());
}

#[test]
fn what_is_not_there_is_said_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve();
    let refused = |model: &str, corpus: &str| {
        let call = ["score", "--model", model, "--corpus", corpus, "--out", "run"];
        let output = by_name(folder.path(), &server, &call);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(!message.contains("panicked"), "{message}");
        message
    };
    let stdlib = "builtin:python-stdlib";
    let message = refused("csp:dense3", stdlib);
    assert!(
        message.contains("/csp/models/dense3/beeg_config.json: there is no such file (404)"),
        "{message}"
    );
    assert!(message.contains("released are csp_yolo1"), "{message}");
    assert!(refused("csp:../x", stdlib).contains("a released model is csp:NAME"));
    assert!(refused("hf:x", stdlib).contains("a repository of the hub is hf:ORG/REPO"));
    assert!(refused("hf:no/model", stdlib).contains("it is looked for among the hub's models"));
    assert!(refused("builtin:dense", "hf:no/set").contains("it is looked for among the hub's data sets"));
    assert!(
        refused("builtin:dense", "hf:codeparrot/apps:x.jsonl")
            .contains("it has no file `x.jsonl`; there are apps.py, train.jsonl")
    );
    assert!(refused("builtin:dense", "csp:dense").contains("names a model, not a corpus"));
    let message = fails(folder.path(), &["tokenize", "--tokenizer", "hf:org/repo"], 1);
    assert!(message.contains("a tokenizer is not downloaded by itself"), "{message}");
    assert!(!folder.path().join("run").exists());
}

#[test]
fn the_environments_token_is_for_the_hub_alone_and_its_other_words_are_heard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let server = serve();
    let corpus = "hf:codeparrot/apps:train.jsonl";
    let score = |model: &str, out: &str, variables: &[(&str, &str)]| {
        let call = ["score", "--model", model, "--corpus", corpus, "--out", out, "--no-calibrate"];
        let output = by_name_with(path, &server, &call, variables);
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (scored, said) = score("builtin:dense-small", "run", &[("HF_HUB_OFFLINE", "1")]);
    assert!(!scored && said.contains("is not in the cache") && server.requests().is_empty(), "{said}");
    // A proxy that is none, and a host for which it is not.
    let variables =
        [("HF_TOKEN", " hf_secret\n"), ("HTTP_PROXY", "http://127.0.0.1:9"), ("NO_PROXY", "127.0.0.1")];
    let (scored, said) = score("csp:dense-small", "run", &variables);
    assert!(scored && !said.contains("hf_secret"), "{said}");
    let (mut hub, mut others) = (0, 0);
    for request in server.requests() {
        let token = request.header("authorization");
        if request.path.starts_with("/csp/") {
            others += 1;
            assert_eq!(token, None, "{request:?}");
        } else {
            hub += 1;
            assert_eq!(token, Some("Bearer hf_secret"), "{request:?}");
        }
    }
    assert!(hub == 2 && others >= 4, "{hub} {others}");
    // The older name, in a folder that has nothing yet.
    let cache = path.join("other");
    let variables = [("HUGGING_FACE_HUB_TOKEN", "hf_older"), ("DELTALOSS_CACHE", cache.to_str().unwrap())];
    let (scored, said) = score("builtin:dense-small", "again", &variables);
    assert!(scored, "{said}");
    assert_eq!(server.requests().last().unwrap().header("authorization"), Some("Bearer hf_older"));
}

#[test]
fn the_environments_proxy_is_used() {
    let folder = tempfile::tempdir().unwrap();
    // It stands for a host that is none; what it is asked is the whole address, or a tunnel to it.
    let proxy = Server::start(|_| status("502 Bad Gateway"));
    let call = ["score", "--model", "csp:dense", "--corpus", "builtin:python-stdlib", "--out", "run"];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_deltaloss"));
    command.current_dir(folder.path()).args(call).stderr(std::process::Stdio::null());
    command.env("DELTALOSS_CACHE", folder.path().join("cache"));
    command.env("DELTALOSS_CSP_ENDPOINT", "http://no-such-host.invalid");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, &proxy.address);
    }
    let mut child = command.env_remove("NO_PROXY").env_remove("no_proxy").spawn().unwrap();
    while proxy.requests().is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let asked = proxy.requests();
    assert!(!asked.is_empty() && asked[0].path.contains("no-such-host.invalid"), "{asked:?}");
}
