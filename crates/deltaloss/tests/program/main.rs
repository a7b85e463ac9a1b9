//! The program as a person uses it: arguments in; output, files and exit code out.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps in vain")]

mod bad_input;
mod calibration;
mod comparison;
mod demonstration;
mod downloads;
mod experiments;
#[cfg(feature = "llama")]
mod gguf;
#[cfg(unix)]
mod hostile;
#[cfg(unix)]
mod inert;
#[cfg(unix)]
mod resuming;
mod scoring;
#[path = "../../../sources/tests/server/mod.rs"]
mod server;
#[path = "../../testing/sharpen.rs"]
mod sharpen;
#[cfg(unix)]
mod signals;
mod tools;
mod training;
#[cfg(unix)]
mod viewing;

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;

/// Runs the program in `folder`.
fn deltaloss(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltaloss"));
    // Never the user's own cache.
    command.current_dir(folder).args(arguments).env("DELTALOSS_CACHE", folder.join("cache"));
    command
}

/// Runs the program, which must succeed; gives its standard output.
#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = deltaloss(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the program, which must fail with `code`; gives its standard error.
#[track_caller]
fn fails(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = deltaloss(folder, arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    assert!(!message.contains("panicked"), "{arguments:?}: {message}");
    message
}

/// Everything in a folder, hidden files too.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The folder named by `DELTALOSS_FIXTURES`, or the project's own.
fn fixtures() -> PathBuf {
    std::env::var_os("DELTALOSS_FIXTURES").map_or_else(own_fixtures, PathBuf::from)
}

/// The project's own fixtures, for tests that know what is in them.
fn own_fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}
