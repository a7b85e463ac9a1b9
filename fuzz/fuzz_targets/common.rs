//! What the targets share: files in memory, and panics that are caught where the program catches them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use deltaloss::corpus::{Corpus, CorpusOptions, CorpusSource};
use tempfile::TempDir;

/// A folder of this process, in memory where the system has such.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // libFuzzer's hook ends the process at every panic, also at those of the Parquet decoder that are caught and made errors of.
        // Those that nobody catches still end it; for one to be read aloud, set the variable.
        if std::env::var_os("DELTALOSS_FUZZ_ALOUD").is_none() {
            std::panic::set_hook(Box::new(|_| {}));
        } else {
            std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
        }
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
    });
    folder.path()
}

/// Writes a file and gives its path.
#[allow(dead_code, reason = "every target has this module, and not every one a file")]
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Reads a corpus strictly, and with what cannot be used left out: the documents are the same until the first error.
#[allow(dead_code, reason = "every target has this module, and not every one a corpus")]
pub(crate) fn reads_alike(path: &Path) {
    let source = CorpusSource::from_path(path).unwrap();
    let read = |skip_unusable| {
        let options = CorpusOptions { skip_unusable, ..CorpusOptions::default() };
        let documents = Corpus::open(&source, options).and_then(|corpus| corpus.documents());
        let documents = documents.into_iter().flatten().map_while(Result::ok);
        // A small Parquet file may hold a great many.
        documents.take(1000).map(|document| (document.name, document.text)).collect::<Vec<_>>()
    };
    let (strict, lenient) = (read(false), read(true));
    assert!(lenient.starts_with(&strict), "{strict:?} and {lenient:?}");
}
