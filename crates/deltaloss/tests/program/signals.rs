//! Ctrl-C and its kin: nothing half-written stays.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// Starts scoring into `new/run`, sends `signal` some time after the first folder is made, and waits.
fn interrupt(folder: &Path, signal: &str, after: Duration) -> Output {
    let arguments =
        ["score", "--model", "builtin:sparse", "--corpus", "builtin:python-stdlib", "--out", "new/run"];
    let child = Command::new(env!("CARGO_BIN_EXE_deltaloss"))
        .current_dir(folder)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !folder.join("new").exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing was staged");
        std::thread::sleep(Duration::from_micros(100));
    }
    std::thread::sleep(after);
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    child.wait_with_output().unwrap()
}

#[test]
fn an_interrupted_scoring_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    // From the moment at which a folder is there that nothing else knows of yet.
    let moments = [0, 0, 0, 1, 2, 4, 8, 16, 32].map(Duration::from_millis);
    for (signal, after) in ["-INT", "-TERM", "-HUP"].into_iter().cycle().zip(moments) {
        let output = interrupt(folder.path(), signal, after);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal}: {said}");
        assert!(said.ends_with("interrupted; nothing was written\n"), "{signal}: {said}");
        assert!(names(folder.path()).is_empty(), "{signal}: {:?}", names(folder.path()));
    }
}
