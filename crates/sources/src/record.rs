//! What is known of a file that was downloaded, beside it, and what a broken download has.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::SourceError;

/// Records have some hundred bytes.
const LARGEST: u64 = 1 << 20;

/// `.FILE.record.json`: what was downloaded under this name first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The address.
    pub(crate) address: String,
    /// The file's size.
    pub(crate) size_bytes: u64,
    /// SHA-256, hexadecimal.
    pub(crate) sha256: String,
    /// Whether that was published, or is only what came first.
    pub(crate) published: bool,
    /// When the file was last written to, as the system counts it: while it is the same, so is the file.
    pub(crate) modified_nanos: u64,
}

/// `.FILE.partial.json`: of what the bytes in `.FILE.partial` are the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) address: String,
    pub(crate) etag: Option<String>,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) sha256: Option<String>,
}

/// A file about the one at `path`, hidden, so that nobody takes it for part of a data set.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let of = path.file_name().unwrap_or_default();
    let dot = if of.as_encoded_bytes().starts_with(b".") { "" } else { "." };
    let mut name = std::ffi::OsString::from(dot);
    name.push(of);
    name.push(suffix);
    path.with_file_name(name)
}

/// Reads one of the small files; nothing where there is none, or none that is understood.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Writes one of them whole or not at all.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> Result<(), SourceError> {
    let text = serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    let temporary = beside(path, ".new");
    fs::write(&temporary, text).map_err(SourceError::io(&temporary, "write it"))?;
    fs::rename(&temporary, path).map_err(SourceError::io(path, "move the finished file here"))
}

impl Record {
    /// Of a file that is at its place now.
    pub(crate) fn of(
        path: &Path,
        address: &str,
        (size_bytes, sha256): (u64, String),
        published: bool,
    ) -> Result<Self, SourceError> {
        let modified_nanos = modified_nanos(path)?;
        Ok(Record { address: address.to_owned(), size_bytes, sha256, published, modified_nanos })
    }

    /// Whether the file is still what was downloaded: by its size and the time it was written, else by its bytes.
    pub(crate) fn check(&mut self, path: &Path, record_path: &Path) -> Result<(), SourceError> {
        let damaged = |problem: String| SourceError::Damaged { path: path.to_owned(), problem };
        let size = fs::metadata(path).map_err(SourceError::io(path, "look it up"))?.len();
        if size != self.size_bytes {
            return Err(damaged(format!("it has {size} bytes, but {} were downloaded", self.size_bytes)));
        }
        let modified = modified_nanos(path)?;
        if modified == self.modified_nanos {
            return Ok(());
        }
        let sha256 = hash_file(path)?;
        if sha256 != self.sha256 {
            return Err(damaged(format!(
                "its SHA-256 is {sha256}, but was {} when it was downloaded",
                self.sha256
            )));
        }
        self.modified_nanos = modified;
        // Only saves hashing it again.
        let _ = write(record_path, self);
        Ok(())
    }
}

fn modified_nanos(path: &Path) -> Result<u64, SourceError> {
    let modified = fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .map_err(SourceError::io(path, "look it up"))?;
    Ok(modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64))
}

/// SHA-256 of a file of any size, hexadecimal.
pub(crate) fn hash_file(path: &Path) -> Result<String, SourceError> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(SourceError::io(path, "open it"))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(SourceError::io(path, "read it"))? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
