//! What the targets share: a file in memory, and panics that are caught where the program catches them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A folder of this process, in memory where the system has such.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // libFuzzer's hook ends the process at every panic, also at those of the Parquet decoder that are caught and made errors of.
        // Those that nobody catches still end it.
        std::panic::set_hook(Box::new(|_| {}));
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
    });
    folder.path()
}

/// Writes a file and gives its path.
#[allow(dead_code)]
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
