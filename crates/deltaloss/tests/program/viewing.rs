//! `view` and `show`: documents of a comparison, in the browser and in the terminal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use super::comparison::{score, write_code};
use super::*;

/// A folder with a small comparison, `out`.
fn compared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_code(path, "code", 7);
    let evil = "# \u{202e}</script><img src=x onerror=alert(1)>\nx = '\u{1b}[31m'\n";
    std::fs::write(path.join("code/evil <b>.py"), evil).unwrap();
    score(path, "builtin:dense", "code", "a");
    score(path, "builtin:dense-twin", "code", "b");
    succeeds(path, &["compare", "--a", "a", "--b", "b", "--out", "out", "--quiet"]);
    folder
}

/// A viewer that runs until it is dropped.
struct Viewer {
    child: Child,
    /// `127.0.0.1:PORT`
    address: String,
}

impl Viewer {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_deltaloss"))
            .current_dir(folder)
            .args(["view", "out"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().strip_suffix('/').unwrap().to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        Viewer { child, address }
    }

    /// Sends bytes; gives the whole answer.
    fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Status and body of a page.
    fn get(&self, path: &str) -> (u16, String) {
        let answer = self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_viewer_serves_the_comparison_and_nothing_else() {
    let folder = compared();
    std::fs::write(folder.path().join("out/figures/secret.txt"), "secret").unwrap();
    let viewer = Viewer::start(folder.path());
    let (status, page) = viewer.get("/");
    assert!(status == 200 && page.contains("<title>dense against dense-twin"), "{page}");
    for path in ["/viewer.js", "/viewer.css", "/theme.js", "/report.html"] {
        assert_eq!(viewer.get(path).0, 200, "{path}");
    }
    let list = viewer.json("/api/documents?order=corpus&count=2");
    assert_eq!((list["matching"].as_u64(), list["documents"].as_array().unwrap().len()), (Some(4), 2));
    let evil = viewer.json("/api/documents?find=EVIL+%3Cb");
    assert_eq!(evil["matching"], 1);
    let document =
        viewer.json(&format!("/api/document?document={}&token=3", evil["documents"][0]["document"]));
    assert_eq!(document["name"], "evil <b>.py");
    let text: String =
        document["text"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.contains("</script><img"), "{text:?}");
    assert_eq!(document["models"].as_array().unwrap().len(), 2);
    assert_eq!(document["delta"].as_array().unwrap().len(), document["tokens"].as_u64().unwrap() as usize);
    // Neither files beside the named ones nor such outside are there, however the path is written.
    for path in [
        "/results.json",
        "/joined.parquet",
        "/figures/secret.txt",
        "/../a/run.json",
        "/%2e%2e/a/run.json",
        "/..%2fa/run.json",
        "//etc/passwd",
        "/report.html/../../a/run.json",
        "/api/document/../comparison",
    ] {
        let (status, body) = viewer.get(path);
        assert_eq!((status, body.as_str()), (404, "there is nothing here\n"), "{path}");
    }
    let (status, body) = viewer.get("/api/document?document=99");
    assert_eq!((status, body.as_str()), (404, "document 99 of 4, counted from 0\n"));
    for query in
        ["document", "document?document=-1", "document?document=x", "documents?order=z", "documents?from=1e3"]
    {
        assert_eq!(viewer.get(&format!("/api/{query}")).0, 400, "{query}");
    }
}

#[test]
fn the_viewer_answers_only_to_this_machine() {
    let folder = compared();
    let viewer = Viewer::start(folder.path());
    let refused = viewer.send("GET /api/comparison HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 403 ") && !refused.contains("dense"), "{refused}");
    assert!(viewer.send("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 403 "));
    let post = format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", viewer.address);
    assert!(viewer.send(&post).starts_with("HTTP/1.1 405 "));
    assert!(viewer.send("no request\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(20_000));
    assert!(viewer.send(&long).starts_with("HTTP/1.1 431 "));
    let head = viewer.send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("Content-Security-Policy: default-src 'none'; script-src 'self';"), "{head}");
    // Half a request keeps no other from its answer.
    let mut waiting = TcpStream::connect(&viewer.address).unwrap();
    waiting.write_all(b"GET / HT").unwrap();
    assert_eq!(viewer.get("/").0, 200);
}

#[test]
fn ctrl_c_stops_the_viewer() {
    let folder = compared();
    for signal in ["-INT", "-TERM"] {
        let mut viewer = Viewer::start(folder.path());
        let killed = Command::new("kill").args([signal, &viewer.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert_eq!(viewer.child.wait().unwrap().code(), Some(0));
        let mut said = String::new();
        viewer.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.ends_with("stopped\n"), "{said}");
        assert!(TcpStream::connect(&viewer.address).is_err());
    }
}

#[test]
fn what_is_no_comparison_is_refused_with_what_to_do() {
    let folder = compared();
    let path = folder.path();
    for command in ["view", "show"] {
        let message = fails(path, &[command, "a"], 1);
        assert!(message.contains("a: not a comparison: it has no results.json"), "{message}");
    }
    let results = std::fs::read_to_string(path.join("out/results.json")).unwrap();
    std::fs::write(
        path.join("out/results.json"),
        results.replace("deltaloss.results/", "deltaloss.results/1"),
    )
    .unwrap();
    let message = fails(path, &["view", "out"], 1);
    assert!(
        message.contains("has the schema `deltaloss.results/1") && message.contains("compare` again"),
        "{message}"
    );
    std::fs::write(path.join("out/results.json"), &results).unwrap();
    std::fs::remove_file(path.join("out/documents.parquet")).unwrap();
    let message = fails(path, &["show", "out"], 1);
    assert!(
        message.contains("has no documents.parquet, so it was written by an earlier version"),
        "{message}"
    );
}

#[test]
fn show_prints_a_document_for_people_pipes_and_machines() {
    let folder = compared();
    let path = folder.path();
    let list = succeeds(path, &["show", "out"]);
    assert!(list.starts_with("document ") && list.lines().count() == 5, "{list}");
    let plain = succeeds(path, &["show", "out", "--document", "1.py"]);
    assert!(!plain.contains('\u{1b}'), "a pipe gets no colours");
    let code: Vec<&str> =
        plain.lines().filter_map(|line| line.split_once(" │").map(|(_, code)| code)).collect();
    assert_eq!(code[..2], [" def f1(x, y):", "     return [x, (y, 7)]"]);
    let coloured = succeeds(path, &["show", "out", "--document", "1.py", "--color", "always"]);
    assert!(coloured.contains("\u{1b}[38;5;16;48;5;"));
    // A part that only one name holds is enough; nothing in a text steers the terminal.
    let evil = succeeds(path, &["show", "out", "--document", "evil", "--shade", "loss-a"]);
    assert!(!evil.contains(['\u{1b}', '\u{202e}']) && evil.contains("\\u{202e}</script>"), "{evil}");
    let message = fails(path, &["show", "out", "--document", ".py"], 1);
    assert!(message.contains("4 documents' names hold `.py`, name one of them: 0.py, 1.py"), "{message}");
    let message = fails(path, &["show", "out", "--document", "absent"], 1);
    assert!(message.contains("no document's name holds `absent`"), "{message}");
    let message = fails(path, &["show", "out", "--document", "1.py", "--shade", "oracle"], 2);
    assert!(message.contains("--shade names a run that this comparison does not have"), "{message}");
    let some = ["show", "out", "--document", "1.py", "--from", "3", "--tokens", "4", "--json"];
    let json: serde_json::Value = serde_json::from_str(&succeeds(path, &some)).unwrap();
    assert_eq!(
        (json["document"]["from"].as_u64(), json["document"]["text"].as_array().unwrap().len()),
        (Some(2), 4)
    );
    assert_eq!(json["comparison"]["models"][1]["label"], "dense-twin");
}

#[test]
fn compare_prints_its_results_for_machines() {
    let folder = compared();
    let path = folder.path();
    let said = succeeds(path, &["compare", "--a", "a", "--b", "b", "--out", "again", "--json", "--quiet"]);
    assert_eq!(said, std::fs::read_to_string(path.join("again/results.json")).unwrap());
    let coloured =
        succeeds(path, &["compare", "--a", "a", "--b", "b", "--out", "more", "--color", "always", "--quiet"]);
    assert!(coloured.contains("\u{1b}[38;5;166ma: dense"), "{coloured}");
}
