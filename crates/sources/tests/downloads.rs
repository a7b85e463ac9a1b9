//! Downloads from a server that misbehaves in every way that servers do.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps in vain")]

mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deltaloss_sources::{Fetched, Settings, Source, SourceError, Store, Want};
use server::{Reply, Request, Server, cut, good, raw, status, whole};
use sha2::{Digest, Sha256};

const WEIGHTS: &str = "/models/toy/final_model.pt";

/// Bytes that no two places have alike.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn store(folder: &Path, server: &Server) -> Store {
    Store::new(folder, settings(server))
}

fn settings(server: &Server) -> Settings {
    Settings {
        csp_address: server.address.clone(),
        hub_address: server.address.clone(),
        hub_token: Some("secret".into()),
        first_wait: Duration::from_millis(1),
        ..Settings::default()
    }
}

fn fetch(store: &Store, name: &str) -> Result<Fetched, SourceError> {
    store.fetch(&Source::parse(name).unwrap()?, &Want::Model, &mut |_| true)
}

/// A server of a released model whose weights are answered by `weights`.
fn csp(weights: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request| match request.path.as_str() {
        WEIGHTS => weights(request),
        "/models/toy/beeg_config.json" => whole(b"{}"),
        "/tinypython/encoder.json" => whole(b"{\"a\": 0}"),
        "/tinypython/vocab.bpe" => whole(b"#version: 0.2\n"),
        _ => status("404 Not Found"),
    })
}

fn weights_path(folder: &Path) -> PathBuf {
    folder.join("csp/models/toy/final_model.pt")
}

fn partial_path(folder: &Path) -> PathBuf {
    folder.join("csp/models/toy/.final_model.pt.partial")
}

#[test]
fn a_model_is_downloaded_once_with_its_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let server = csp(|request| good(request, &content(100_000), Some("\"v1\"")));
    let mut heard = Vec::new();
    let source = Source::parse("csp:toy").unwrap().unwrap();
    let store = store(folder.path(), &server);
    let fetched = store
        .fetch(&source, &Want::Model, &mut |download| {
            heard.push((download.name.to_owned(), download.done_bytes, download.total_bytes));
            true
        })
        .unwrap();
    assert_eq!(fetched.path, folder.path().join("csp/models/toy"));
    assert_eq!(fetched.tokenizer, Some(folder.path().join("csp/tinypython")));
    assert_eq!(fs::read(weights_path(folder.path())).unwrap(), content(100_000));
    assert!(heard.contains(&("models/toy/final_model.pt".into(), 100_000, Some(100_000))), "{heard:?}");
    assert!(!partial_path(folder.path()).exists());
    // What lies beside is hidden.
    let visible =
        fs::read_dir(&fetched.path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut visible: Vec<_> = visible.filter(|name| !name.starts_with('.')).collect();
    visible.sort();
    assert_eq!(visible, ["beeg_config.json", "final_model.pt"]);
    let asked = server.requests().len();
    assert_eq!(asked, 4);
    fetch(&store, "csp:toy").unwrap();
    assert_eq!(server.requests().len(), asked, "nothing is asked again");
    // Nobody who may not know it hears the token.
    assert!(server.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_broken_connection_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let server = csp(|request| cut(&good(request, &content(300_000), Some("\"v1\"")), 70_000));
    fetch(&store(folder.path(), &server), "csp:toy").unwrap();
    assert_eq!(fs::read(weights_path(folder.path())).unwrap(), content(300_000));
    let starts: Vec<_> = server.of(WEIGHTS).iter().map(Request::start).collect();
    assert_eq!(starts, [None, Some(70_000), Some(140_000), Some(210_000), Some(280_000)]);
    assert!(server.of(WEIGHTS)[1..].iter().all(|request| request.header("if-range") == Some("\"v1\"")));
}

#[test]
fn what_is_there_of_it_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let sick = csp(|request| match request.nth {
        0 => cut(&good(request, &content(300_000), Some("\"v1\"")), 70_000),
        _ => status("503 Service Unavailable"),
    });
    let error = fetch(&store(folder.path(), &sick), "csp:toy").unwrap_err().to_string();
    assert!(error.contains("the server answers 503; given up after 6 tries without progress"), "{error}");
    assert!(error.contains("70000 bytes are kept, and the same command goes on from there"), "{error}");
    assert_eq!(sick.of(WEIGHTS).len(), 1 + 6);
    assert!(!weights_path(folder.path()).exists());
    // The same address, well again.
    let (address, well) = (sick.address.clone(), content(300_000));
    let proxy = csp(move |request| good(request, &well, Some("\"v1\"")));
    move_begun(folder.path(), &address, &proxy.address);
    fetch(&store(folder.path(), &proxy), "csp:toy").unwrap();
    assert_eq!(proxy.of(WEIGHTS)[0].start(), Some(70_000));
    assert_eq!(fs::read(weights_path(folder.path())).unwrap(), content(300_000));
}

/// As if the download had begun at another address.
fn move_begun(folder: &Path, from: &str, to: &str) {
    let path = folder.join("csp/models/toy/.final_model.pt.partial.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(from, to)).unwrap();
}

#[test]
fn a_server_without_ranges_sends_it_from_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let server = csp(|request| {
        let reply = raw(
            "200 OK",
            &[("Content-Length", "300000".into()), ("ETag", "\"v1\"".into())],
            &content(300_000),
        );
        if request.nth < 2 { cut(&reply, 100_000 + request.nth) } else { reply }
    });
    fetch(&store(folder.path(), &server), "csp:toy").unwrap();
    assert_eq!(fs::read(weights_path(folder.path())).unwrap(), content(300_000));
}

#[test]
fn pieces_that_were_not_asked_for_are_not_put_together() {
    for (what, range) in [
        ("another place", Some("bytes 5-299999/300000")),
        ("another length", Some("bytes 70000-299999/400000")),
        ("nonsense", Some("bytes from the middle")),
        ("nothing said", None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server = csp(move |request| match request.nth {
            0 => cut(&good(request, &content(300_000), Some("\"v1\"")), 70_000),
            1 => {
                let mut headers = vec![("Content-Length", "230000".to_owned()), ("ETag", "\"v1\"".into())];
                headers.extend(range.map(|range| ("Content-Range", range.to_owned())));
                raw("206 Partial Content", &headers, &vec![7; 230_000])
            }
            _ => good(request, &content(300_000), Some("\"v1\"")),
        });
        fetch(&store(folder.path(), &server), "csp:toy").unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(fs::read(weights_path(folder.path())).unwrap() == content(300_000), "{what}");
        assert_eq!(server.of(WEIGHTS)[2].start(), None, "{what}: from the beginning");
    }
}

#[test]
fn a_file_that_changed_between_two_pieces_is_taken_anew() {
    let new: Vec<u8> = content(200_000).into_iter().rev().collect();
    for etags in [Some(("\"v1\"", "\"v2\"")), None] {
        let folder = tempfile::tempdir().unwrap();
        let later = new.clone();
        let server = csp(move |request| match request.nth {
            0 => cut(&good(request, &content(200_000), etags.map(|(first, _)| first)), 70_000),
            _ => good(request, &later, etags.map(|(_, second)| second)),
        });
        fetch(&store(folder.path(), &server), "csp:toy").unwrap();
        assert!(fs::read(weights_path(folder.path())).unwrap() == new, "{etags:?}");
    }
}

#[test]
fn lies_about_the_length_are_found_out() {
    // More is promised than comes, every time.
    let folder = tempfile::tempdir().unwrap();
    let server = csp(|_| raw("200 OK", &[("Content-Length", "5000".into())], &content(100)));
    let error = fetch(&store(folder.path(), &server), "csp:toy").unwrap_err().to_string();
    assert!(error.contains(WEIGHTS) && error.contains("given up after 6 tries"), "{error}");
    assert!(!error.contains("are kept"), "nothing tells whether it is the same file: {error}");
    assert!(!weights_path(folder.path()).exists());

    // Nothing is said: an end is then no end.
    let folder = tempfile::tempdir().unwrap();
    let server = csp(|_| raw("200 OK", &[], &content(100)));
    let error = fetch(&store(folder.path(), &server), "csp:toy").unwrap_err().to_string();
    assert!(error.contains("does not say how long the file is"), "{error}");

    // Less than was published, or more.
    for length in [4_999usize, 5_001] {
        let folder = tempfile::tempdir().unwrap();
        let server = hub(move |_| whole(&content(length)), Some((5_000, hex(&content(5_000)))));
        let error = fetch(&store(folder.path(), &server), "hf:org/toy:model.gguf").unwrap_err().to_string();
        assert!(error.contains(&format!("it has {length} bytes, but 5000 are published")), "{error}");
    }
    // More than it says itself: what is beyond is not read.
    let folder = tempfile::tempdir().unwrap();
    let server = csp(|_| raw("200 OK", &[("Content-Length", "100".into())], &content(5_000)));
    fetch(&store(folder.path(), &server), "csp:toy").unwrap();
    assert_eq!(fs::read(weights_path(folder.path())).unwrap(), content(100));
}

#[test]
fn other_bytes_under_the_same_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let version = std::sync::Arc::new(AtomicUsize::new(0));
    let served = std::sync::Arc::clone(&version);
    let server = csp(move |_| whole(&content(1_000 + served.load(Ordering::SeqCst))));
    let store = store(folder.path(), &server);
    fetch(&store, "csp:toy").unwrap();
    fs::remove_file(weights_path(folder.path())).unwrap();
    fetch(&store, "csp:toy").unwrap();
    fs::remove_file(weights_path(folder.path())).unwrap();
    version.store(1, Ordering::SeqCst);
    let error = fetch(&store, "csp:toy").unwrap_err().to_string();
    assert!(error.contains(&hex(&content(1_000))) && error.contains(&hex(&content(1_001))), "{error}");
    assert!(
        error.contains("another file under the same name")
            && error.contains("to accept the new file, remove"),
        "{error}"
    );
    assert!(!weights_path(folder.path()).exists() && !partial_path(folder.path()).exists());
    fs::remove_file(folder.path().join("csp/models/toy/.final_model.pt.record.json")).unwrap();
    fetch(&store, "csp:toy").unwrap();
    assert_eq!(fs::read(weights_path(folder.path())).unwrap(), content(1_001));
}

#[test]
fn a_cached_file_that_was_changed_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = csp(|_| whole(&content(1_000)));
    let store = store(folder.path(), &server);
    fetch(&store, "csp:toy").unwrap();
    let path = weights_path(folder.path());
    let damaged = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        fetch(&store, "csp:toy").unwrap_err().to_string()
    };
    assert!(damaged(&content(999)).contains("it has 999 bytes, but 1000 were downloaded"));
    let error = damaged(&vec![0; 1_000]);
    assert!(
        error.contains("its SHA-256 is") && error.contains("Remove it to have it downloaded again"),
        "{error}"
    );
    // Touched only.
    fs::write(&path, content(1_000)).unwrap();
    fetch(&store, "csp:toy").unwrap();
    assert_eq!(server.of(WEIGHTS).len(), 1);
}

#[test]
fn refusals_are_told_apart_and_busy_servers_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = csp(|_| status("404 Not Found"));
    let error = fetch(&store(folder.path(), &server), "csp:toy").unwrap_err().to_string();
    assert!(error.contains("there is no such file (404)") && error.contains("csp_yolo1"), "{error}");
    assert_eq!(server.of(WEIGHTS).len(), 1);
    for code in ["401 Unauthorized", "403 Forbidden"] {
        let server = csp(move |_| status(code));
        let error = fetch(&store(folder.path(), &server), "csp:toy").unwrap_err().to_string();
        assert!(error.contains("access is refused") && error.contains("HF_TOKEN"), "{error}");
    }
    let server = csp(|_| status("400 Bad Request"));
    let error = fetch(&store(folder.path(), &server), "csp:toy").unwrap_err().to_string();
    assert!(error.contains("the server answers 400"), "{error}");
    for code in ["429 Too Many Requests", "503 Service Unavailable", "500 Internal Server Error"] {
        let folder = tempfile::tempdir().unwrap();
        let server = csp(move |request| match request.nth {
            0..=2 => raw(code, &[("Content-Length", "0".into()), ("Retry-After", "0".into())], b""),
            _ => good(request, &content(10), None),
        });
        fetch(&store(folder.path(), &server), "csp:toy").unwrap();
        assert_eq!(server.of(WEIGHTS).len(), 4);
    }
    // A range that the server does not have: from the beginning.
    let folder = tempfile::tempdir().unwrap();
    let server = csp(|request| match request.nth {
        0 => cut(&good(request, &content(300_000), Some("\"v1\"")), 70_000),
        1 => status("416 Range Not Satisfiable"),
        _ => good(request, &content(300_000), Some("\"v1\"")),
    });
    fetch(&store(folder.path(), &server), "csp:toy").unwrap();
    assert_eq!(server.of(WEIGHTS)[2].start(), None);
    assert_eq!(fs::read(weights_path(folder.path())).unwrap(), content(300_000));
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let settings = Settings {
        csp_address: address.clone(),
        hub_address: address.clone(),
        first_wait: Duration::from_millis(1),
        ..Settings::default()
    };
    let store = Store::new(folder.path(), settings);
    for name in ["csp:toy", "hf:org/toy"] {
        // While it is tried again, that is said.
        let mut troubles = Vec::new();
        let outcome = store.fetch(&Source::parse(name).unwrap().unwrap(), &Want::Model, &mut |download| {
            troubles.extend(download.trouble.map(str::to_owned));
            true
        });
        let error = outcome.unwrap_err().to_string();
        assert!(
            error.contains(&address) && error.contains("cannot be reached") && error.contains("--offline"),
            "{error}"
        );
        assert_eq!(troubles.len(), 5);
        assert!(
            troubles[4].contains("cannot be reached") && troubles[4].ends_with("asked again in 0 s (5 of 6)")
        );
        let stopped = store.fetch(&Source::parse(name).unwrap().unwrap(), &Want::Model, &mut |_| false);
        assert!(matches!(stopped, Err(SourceError::Interrupted)), "{stopped:?}");
    }
}

/// A repository `org/toy` at a commit, whose one large file is answered by `file`.
fn hub(
    file: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    published: Option<(usize, String)>,
) -> Server {
    let lfs =
        published.map(|(size, sha256)| format!(", \"lfs\": {{\"sha256\": \"{sha256}\", \"size\": {size}}}"));
    let lfs = lfs.unwrap_or_default();
    let listing = format!(
        "{{\"sha\": \"{COMMIT}\", \"siblings\": [{{\"rfilename\": \"README.md\", \"size\": 3}}, {{\"rfilename\": \"model.gguf\"{lfs}}}]}}"
    );
    Server::start(move |request| match request.path.as_str() {
        "/api/models/org/toy/revision/main?blobs=true" => whole(listing.as_bytes()),
        FILE | "/elsewhere/blob" => file(request),
        _ => status("404 Not Found"),
    })
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const FILE: &str = "/org/toy/resolve/0123456789abcdef0123456789abcdef01234567/model.gguf";

#[test]
fn published_hashes_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let server = hub(|_| whole(&content(500)), Some((500, hex(&content(500)))));
    let fetched = fetch(&store(folder.path(), &server), "hf:org/toy:model.gguf").unwrap();
    assert_eq!(fs::read(&fetched.path).unwrap(), content(500));
    assert_eq!(fetched.name, format!("hf:org/toy@{COMMIT}:model.gguf"));

    let folder = tempfile::tempdir().unwrap();
    let server = hub(|_| whole(&content(500)), Some((500, hex(b"other"))));
    let error = fetch(&store(folder.path(), &server), "hf:org/toy:model.gguf").unwrap_err().to_string();
    assert!(
        error.contains(&hex(b"other")) && error.contains("is published") && error.contains("thrown away"),
        "{error}"
    );
    let left = walk(folder.path());
    assert!(!left.iter().any(|path| path.contains("gguf")), "{left:?}");
}

fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path.display().to_string()) }
    }
    found
}

#[test]
fn redirects_are_followed_without_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let other = Server::start(|request| good(request, &content(500), Some("\"x\"")));
    let to = format!("{}/blob?signature=1", other.address);
    let moved = to.clone();
    let server = hub(
        move |request| match request.path.as_str() {
            FILE => raw(
                "302 Found",
                &[("Location", "/elsewhere/blob".into()), ("Content-Length", "0".into())],
                b"",
            ),
            _ => raw(
                "307 Temporary Redirect",
                &[("Location", moved.clone()), ("Content-Length", "0".into())],
                b"",
            ),
        },
        Some((500, hex(&content(500)))),
    );
    fetch(&store(folder.path(), &server), "hf:org/toy:model.gguf").unwrap();
    assert_eq!(server.of(FILE)[0].header("authorization"), Some("Bearer secret"));
    assert_eq!(other.requests().len(), 1);
    assert_eq!(other.requests()[0].header("authorization"), None, "the token is for the hub alone");

    let folder = tempfile::tempdir().unwrap();
    let round =
        hub(|_| raw("302 Found", &[("Location", FILE.into()), ("Content-Length", "0".into())], b""), None);
    let error = fetch(&store(folder.path(), &round), "hf:org/toy:model.gguf").unwrap_err().to_string();
    assert!(error.contains("redirects more than 10 times"), "{error}");
}

#[test]
fn what_a_repository_says_of_itself_is_not_trusted() {
    let refused = |listing: &str, due: &str| {
        let folder = tempfile::tempdir().unwrap();
        let listing = listing.replace("COMMIT", COMMIT);
        let server = Server::start(move |_| whole(listing.as_bytes()));
        let error = fetch(&store(folder.path(), &server), "hf:org/toy").unwrap_err().to_string();
        assert!(error.contains(due), "{due}: {error}");
        assert!(
            walk(folder.path()).iter().all(|path| path.ends_with("main.json")),
            "{:?}",
            walk(folder.path())
        );
    };
    let file = |name: &str| format!("{{\"sha\": \"COMMIT\", \"siblings\": [{{\"rfilename\": \"{name}\"}}]}}");
    refused("<html>", "the hub's answer is not understood");
    refused("{}", "names no commit");
    refused("{\"sha\": \"../../x\"}", "names no commit");
    refused(&file("../../../evil.json"), "leads out of its folder");
    refused(&file("/etc/passwd"), "has an empty part");
    refused(&file("a\\\\b"), "has a character");
    refused(&file("C:x"), "has a character");
    refused(&file("a\\u0000b"), "has a character");
    refused(
        "{\"sha\": \"COMMIT\", \"siblings\": [{\"rfilename\": \"a\", \"lfs\": {\"sha256\": \"x\"}}]}",
        "has the SHA-256 `x`",
    );
    refused(
        &file("big.gguf"),
        "no beeg_config.json or config.json; there are big.gguf: name one as hf:org/toy:FILE",
    );
    refused(&"[".repeat(100_000), "not understood");
}

#[test]
fn data_sets_are_whole_folders_single_files_or_what_fits() {
    let names = ["README.md", "data/a.jsonl", "data/b.jsonl", "data/c.bin", "loader.py", "other/d.jsonl"];
    let siblings: Vec<String> = names.iter().map(|name| format!("{{\"rfilename\": \"{name}\"}}")).collect();
    let listing = format!("{{\"sha\": \"{COMMIT}\", \"siblings\": [{}]}}", siblings.join(","));
    let server = Server::start(move |request| match request.path.as_str() {
        "/api/datasets/org/set/revision/refs%2Fpr%2F1?blobs=true"
        | "/api/datasets/org/set/revision/main?blobs=true" => whole(listing.as_bytes()),
        path => whole(path.as_bytes()),
    });
    let fits = |path: &str| path.ends_with(".jsonl");
    for (name, due) in [
        ("hf:org/set", &["data/a.jsonl", "data/b.jsonl", "other/d.jsonl"][..]),
        ("hf:org/set@refs/pr/1:data/", &["data/a.jsonl", "data/b.jsonl"]),
        ("hf:org/set:data/c.bin", &["data/c.bin"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::parse(name).unwrap().unwrap();
        let store = store(folder.path(), &server);
        let fetched = store.fetch(&source, &Want::DataSet(&fits), &mut |_| true).unwrap();
        let root = folder.path().join("hf/datasets/org/set").join(COMMIT);
        let mut found = walk(&root);
        found.retain(|path| !path.rsplit('/').next().unwrap().starts_with('.'));
        found.sort();
        let due: Vec<String> = due.iter().map(|file| root.join(file).display().to_string()).collect();
        assert_eq!(found, due, "{name}");
        assert!(fetched.path.exists() && fetched.name.contains(COMMIT), "{fetched:?}");
        let text = fs::read_to_string(&found[0]).unwrap();
        assert!(text.starts_with(&format!("/datasets/org/set/resolve/{COMMIT}/data/")), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::parse("hf:org/set:gone.jsonl").unwrap().unwrap();
    let error =
        store(folder.path(), &server).fetch(&source, &Want::DataSet(&fits), &mut |_| true).unwrap_err();
    assert!(
        error.to_string().contains("it has no file `gone.jsonl`; there are README.md, data/a.jsonl"),
        "{error}"
    );
}

#[test]
fn offline_uses_what_is_there_and_asks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let server = hub(|_| whole(&content(500)), None);
    let offline = Store::new(folder.path(), Settings { offline: true, ..settings(&server) });
    let error = fetch(&offline, "hf:org/toy:model.gguf").unwrap_err().to_string();
    assert!(error.contains("is not in the cache") && error.contains("--offline is set"), "{error}");
    let error = fetch(&offline, "csp:toy").unwrap_err().to_string();
    assert!(error.contains("models/toy/beeg_config.json is not in the cache"), "{error}");
    assert!(server.requests().is_empty());
    let online = fetch(&store(folder.path(), &server), "hf:org/toy:model.gguf").unwrap();
    let asked = server.requests().len();
    assert_eq!(fetch(&offline, "hf:org/toy:model.gguf").unwrap(), online);
    // The commit itself was never asked about.
    assert!(fetch(&offline, &format!("hf:org/toy@{COMMIT}:model.gguf")).is_err());
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn two_at_the_same_file_download_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = csp(|request| {
        std::thread::sleep(Duration::from_millis(100));
        good(request, &content(100_000), Some("\"v1\""))
    });
    let store = store(folder.path(), &server);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| fetch(&store, "csp:toy").unwrap());
        }
    });
    assert_eq!(server.of(WEIGHTS).len(), 1);
    assert_eq!(fs::read(weights_path(folder.path())).unwrap(), content(100_000));
}

#[test]
fn the_listener_can_stop_it_and_it_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let server = csp(|request| good(request, &content(2_000_000), Some("\"v1\"")));
    let store = store(folder.path(), &server);
    let source = Source::parse("csp:toy").unwrap().unwrap();
    let stopped = store.fetch(&source, &Want::Model, &mut |download| download.done_bytes < 1_000_000);
    assert!(matches!(stopped, Err(SourceError::Interrupted)), "{stopped:?}");
    fetch(&store, "csp:toy").unwrap();
    assert!(server.of(WEIGHTS)[1].start().unwrap() >= 1_000_000);
    assert_eq!(fs::read(weights_path(folder.path())).unwrap(), content(2_000_000));
}
