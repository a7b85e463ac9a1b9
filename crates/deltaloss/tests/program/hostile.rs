//! Corpora that somebody else put together: links, names, bytes and lines that no honest one has.

use std::os::unix::fs::symlink;

use super::*;

fn score<'a>(corpus: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let call = [
        "score",
        "--quiet",
        "--model",
        "builtin:dense-small",
        "--out",
        "run",
        "--overwrite",
        "--corpus",
        corpus,
    ];
    [&call[..], more].concat()
}

fn documents(folder: &Path) -> u64 {
    json(&folder.join("run/run.json"))["corpus"]["documents"].as_u64().unwrap()
}

#[test]
fn a_folder_of_cycles_and_ways_out_gives_its_own_files_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("secret.py"), "password = 'x'\n").unwrap();
    let corpus = path.join("corpus");
    std::fs::create_dir_all(corpus.join("a/b")).unwrap();
    std::fs::write(corpus.join("a/b/real.py"), "x = [1, 2, 3]\n").unwrap();
    for (to, at) in [
        ("..", "a/up"),
        (".", "a/b/loop"),
        ("../..", "a/b/two"),
        ("self.py", "self.py"),
        ("../secret.py", "out.py"),
        ("/etc", "etc"),
    ] {
        symlink(to, corpus.join(at)).unwrap();
    }
    succeeds(path, &score("corpus", &[]));
    assert_eq!(documents(path), 1);
}

#[test]
fn names_that_are_paths_or_control_a_terminal_stay_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let names_of =
        ["../../../etc/passwd", "/abs", "a\\b", "nul\u{0}byte", "\u{1b}[2Jclear", "\u{202e}txt.exe", ""];
    let row = |name: &str| {
        serde_json::json!({"text": "x = [1, 2]\n\u{0}\u{0}y = 3\n", "name": name}).to_string() + "\n"
    };
    std::fs::write(path.join("corpus.jsonl"), names_of.map(row).concat()).unwrap();
    succeeds(path, &score("corpus.jsonl", &["--name-column", "name"]));
    assert_eq!(documents(path), names_of.len() as u64);
    assert_eq!(names(path), ["corpus.jsonl", "run"]);
}

#[test]
fn a_line_of_a_gigabyte_is_refused_without_being_held() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // Sparse: it takes no room on the disk.
    let file = std::fs::File::create(path.join("long.jsonl")).unwrap();
    file.set_len(1 << 30).unwrap();
    let file = std::fs::File::create(path.join("long.py")).unwrap();
    file.set_len(1 << 30).unwrap();
    for corpus in ["long.jsonl", "long.py"] {
        // The longest line is 256 MiB, for which a buffer grows to 512; this much address space holds that, and no gigabyte.
        let call = score(corpus, &["--threads", "1"]).join(" ");
        let script = format!("ulimit -v 1000000; exec {} {call}", env!("CARGO_BIN_EXE_deltaloss"));
        let output =
            std::process::Command::new("sh").args(["-c", &script]).current_dir(path).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{corpus}: {message}");
        assert!(message.contains(corpus) && message.contains("bytes"), "{corpus}: {message}");
        assert!(!message.contains("panicked") && !path.join("run").exists(), "{corpus}: {message}");
    }
}
