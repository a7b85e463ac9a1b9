//! Reading a GGUF header: every length is compared with what is left of the file before memory is asked for.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use deltaloss_lm::LmError;
use sha2::{Digest, Sha256};

use super::kinds::{ARRAY, STRING, scalar_bytes};

/// The longest text that is kept; chat templates are the longest ones in use, some tens of kilobytes.
const LONGEST_TEXT: u64 = 16 << 20;

/// A metadata value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Unsigned {
        bits: u32,
        value: u64,
    },
    Signed(i64),
    Float,
    Flag(bool),
    Text(String),
    /// An array, of which only what can be checked is kept.
    Array {
        kind: u32,
        count: u64,
        hash: Digest256,
    },
}

/// A SHA-256.
#[derive(Clone)]
pub(super) struct Digest256([u8; 32]);

impl std::fmt::Debug for Digest256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&deltaloss_corpus::hex(&self.0[..4]))
    }
}

impl Value {
    /// A hash of the value and its type.
    pub(super) fn hash(&self) -> [u8; 32] {
        match self {
            Value::Array { hash, .. } => hash.0,
            other => Sha256::digest(format!("{other:?}")).into(),
        }
    }
}

pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    position: u64,
    length: u64,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, LmError> {
        let io = |action| {
            let path = path.to_owned();
            move |source| LmError::Io { path, action, source }
        };
        let file = File::open(path).map_err(io("open it"))?;
        let metadata = file.metadata().map_err(io("read it"))?;
        if !metadata.is_file() {
            let problem = "it is no file; name the .gguf file itself".into();
            return Err(LmError::NotAModel { path: path.to_owned(), problem });
        }
        Ok(Reader {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 20, file),
            position: 0,
            length: metadata.len(),
        })
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The file's length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn bad(&self, problem: impl Into<String>) -> LmError {
        LmError::NotAModel { path: self.path.clone(), problem: problem.into() }
    }

    fn fill(&mut self, buffer: &mut [u8], what: &str) -> Result<(), LmError> {
        if buffer.len() as u64 > self.length - self.position {
            return Err(self.bad(format!(
                "it ends at byte {} in the middle of {what}; it is truncated or damaged. Download or copy it again",
                self.length
            )));
        }
        self.file.read_exact(buffer).map_err(|source| LmError::Io {
            path: self.path.clone(),
            action: "read it",
            source,
        })?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N], LmError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, LmError> {
        self.bytes(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, LmError> {
        self.bytes(what).map(u64::from_le_bytes)
    }

    /// A length in bytes, then that many bytes of UTF-8.
    pub(super) fn string(&mut self, what: &str) -> Result<String, LmError> {
        let length = self.u64(what)?;
        self.text(length, what)
    }

    /// UTF-8 of `length` bytes.
    pub(super) fn text(&mut self, length: u64, what: &str) -> Result<String, LmError> {
        String::from_utf8(self.blob(length, what)?)
            .map_err(|_| self.bad(format!("{what} is not UTF-8; the file is damaged")))
    }

    fn blob(&mut self, length: u64, what: &str) -> Result<Vec<u8>, LmError> {
        if length > LONGEST_TEXT.min(self.length - self.position) {
            return Err(self.bad(format!(
                "{what} claims {length} bytes at byte {} of {}; it is truncated or damaged",
                self.position, self.length
            )));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    /// A value behind its type.
    pub(super) fn value(&mut self, key: &str) -> Result<Value, LmError> {
        let what = format!("metadata `{key}`");
        let kind = self.u32(&what)?;
        Ok(match kind {
            0 => Value::Unsigned { bits: 8, value: u64::from(self.bytes::<1>(&what)?[0]) },
            1 => Value::Signed(i64::from(i8::from_le_bytes(self.bytes(&what)?))),
            2 => Value::Unsigned { bits: 16, value: u64::from(u16::from_le_bytes(self.bytes(&what)?)) },
            3 => Value::Signed(i64::from(i16::from_le_bytes(self.bytes(&what)?))),
            4 => Value::Unsigned { bits: 32, value: u64::from(self.u32(&what)?) },
            5 => Value::Signed(i64::from(i32::from_le_bytes(self.bytes(&what)?))),
            6 => {
                self.bytes::<4>(&what)?;
                Value::Float
            }
            7 => Value::Flag(self.flag(&what)?),
            STRING => Value::Text(self.string(&what)?),
            ARRAY => self.array(&what)?,
            10 => Value::Unsigned { bits: 64, value: self.u64(&what)? },
            11 => Value::Signed(i64::from_le_bytes(self.bytes(&what)?)),
            12 => {
                self.bytes::<8>(&what)?;
                Value::Float
            }
            _ => {
                return Err(
                    self.bad(format!("{what} is of type {kind}, which GGUF does not have; it is damaged"))
                );
            }
        })
    }

    fn flag(&mut self, what: &str) -> Result<bool, LmError> {
        match self.bytes::<1>(what)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.bad(format!("{what} is {other}, not true or false"))),
        }
    }

    fn array(&mut self, what: &str) -> Result<Value, LmError> {
        let kind = self.u32(what)?;
        let count = self.u64(what)?;
        let least = if kind == STRING { Some(8) } else { scalar_bytes(kind) };
        let Some(least) = least else {
            return Err(self.bad(format!("{what} is an array of type {kind}, which cannot be read")));
        };
        let left = self.length - self.position;
        if count.checked_mul(least).is_none_or(|bytes| bytes > left) {
            return Err(self.bad(format!(
                "{what} claims {count} entries with {left} bytes left in the file; it is truncated or damaged"
            )));
        }
        let mut hash = Sha256::new();
        hash.update(kind.to_le_bytes());
        hash.update(count.to_le_bytes());
        if kind == STRING {
            for _ in 0..count {
                // Not always UTF-8: some tokenizers list pieces of characters as they are.
                let length = self.u64(what)?;
                let piece = self.blob(length, what)?;
                hash.update(length.to_le_bytes());
                hash.update(piece);
            }
        } else {
            let mut left = count * least;
            let mut buffer = vec![0; left.min(1 << 16) as usize];
            while left > 0 {
                let part = left.min(buffer.len() as u64) as usize;
                self.fill(&mut buffer[..part], what)?;
                hash.update(&buffer[..part]);
                left -= part as u64;
            }
        }
        Ok(Value::Array { kind, count, hash: Digest256(hash.finalize().into()) })
    }
}
