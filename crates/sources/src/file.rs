//! One file: from the cache, or downloaded to a temporary name, gone on with, verified, and renamed.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use ureq::Body;
use ureq::http::{Response, header};

use crate::error::SourceError;
use crate::http::{Client, Listener, NO_RANGE, TRIES, Trouble, broken, given_up};
use crate::record::{Begun, Record, beside, hash_file, hex, read, write};
use crate::store::Download;

/// How much is read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// A file to have.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) address: String,
    /// What it is called in messages and in progress.
    pub(crate) name: String,
    pub(crate) token: Option<&'a str>,
    /// Published size and SHA-256, as far as they are known.
    pub(crate) size_bytes: Option<u64>,
    pub(crate) sha256: Option<String>,
    /// What a missing file may mean.
    pub(crate) hint: &'static str,
}

/// Has the file at `path`. It is downloaded where it is not there, unless `client` is none.
pub(crate) fn have(
    client: Option<&Client>,
    wanted: &Wanted<'_>,
    path: &Path,
    listener: &mut Listener<'_>,
) -> Result<(), SourceError> {
    if is_there(wanted, path)? {
        return Ok(());
    }
    let Some(client) = client else {
        return Err(SourceError::Offline { name: wanted.name.clone(), cache: path.to_owned() });
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(SourceError::io(folder, "create the folder"))?;
    let partial = beside(path, ".partial");
    let file = File::options()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(&partial)
        .map_err(SourceError::io(&partial, "open it"))?;
    // Another process at the same file is waited for; it may have finished it.
    let _ = file.lock();
    if is_there(wanted, path)? {
        return Ok(());
    }
    let mut download = Running { client, wanted, path, partial: &partial, file, listener };
    let (size, sha256) = download.finish()?;
    download.settle(size, sha256)
}

/// Whether the file is in the cache, and still what was downloaded.
fn is_there(wanted: &Wanted<'_>, path: &Path) -> Result<bool, SourceError> {
    if !path.exists() {
        return Ok(false);
    }
    let record_path = beside(path, ".record.json");
    let mut record = match read::<Record>(&record_path) {
        Some(record) => record,
        // Copied there by hand, or its record is lost.
        None => {
            let size = fs::metadata(path).map_err(SourceError::io(path, "look it up"))?.len();
            Record::of(path, &wanted.address, (size, hash_file(path)?), wanted.sha256.is_some())?
        }
    };
    record.check(path, &record_path)?;
    if let Some(due) = &wanted.sha256
        && *due != record.sha256
    {
        let problem = format!("its SHA-256 is {}, but {due} is published", record.sha256);
        return Err(SourceError::Damaged { path: path.to_owned(), problem });
    }
    if !record_path.exists() {
        write(&record_path, &record)?;
    }
    Ok(true)
}

/// A download that is going on.
struct Running<'a, 'l> {
    client: &'a Client,
    wanted: &'a Wanted<'a>,
    path: &'a Path,
    partial: &'a Path,
    file: File,
    listener: &'a mut Listener<'l>,
}

impl Running<'_, '_> {
    /// Tries until the file is whole; gives its size and SHA-256.
    fn finish(&mut self) -> Result<(u64, String), SourceError> {
        let (mut tries, mut best) = (0, 0);
        loop {
            let problem = match self.attempt() {
                Ok(found) => return Ok(found),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing { problem, wait }) => {
                    tries += 1;
                    if tries < TRIES {
                        let (name, done_bytes) = (self.wanted.name.as_str(), self.length()?);
                        let download =
                            Download { name, done_bytes, total_bytes: self.wanted.size_bytes, trouble: None };
                        self.client.wait((tries, wait), &problem, download, self.listener)?;
                    }
                    problem
                }
            };
            let there = self.length()?;
            if there > best {
                (tries, best) = (0, there);
            } else if tries >= TRIES {
                let kept = if there > 0 && self.can_go_on() {
                    format!("; {there} bytes are kept, and the same command goes on from there")
                } else {
                    String::new()
                };
                let address = self.wanted.address.clone();
                return Err(SourceError::Failed { address, problem: given_up(&problem), kept });
            }
        }
    }

    /// Whether what is there can be told from the beginning of another file.
    fn can_go_on(&self) -> bool {
        let begun: Option<Begun> = read(&beside(self.partial, ".json"));
        begun.is_some_and(|begun| begun.etag.is_some() || begun.sha256.is_some())
    }

    fn length(&self) -> Result<u64, SourceError> {
        Ok(self.file.metadata().map_err(SourceError::io(self.partial, "look it up"))?.len())
    }

    /// Asks for what is missing and takes what comes.
    fn attempt(&mut self) -> Result<(u64, String), Trouble> {
        let final_error = Trouble::Final;
        let begun: Option<Begun> = read(&beside(self.partial, ".json"));
        let mut there = self.length().map_err(final_error)?;
        let known = begun.filter(|begun| {
            begun.address == self.wanted.address
                && begun.sha256 == self.wanted.sha256
                && (begun.etag.is_some() || begun.sha256.is_some())
        });
        if known.is_none() {
            there = self.cut(0).map_err(final_error)?;
        }
        let due = self.wanted.size_bytes.or(known.as_ref().and_then(|begun| begun.size_bytes));
        if due == Some(there) && there > 0 {
            return self.verify(there).map_err(final_error);
        }
        let mut headers = Vec::new();
        if there > 0 {
            headers.push(("range", format!("bytes={there}-")));
            if let Some(etag) = known.as_ref().and_then(|begun| begun.etag.clone()) {
                headers.push(("if-range", etag));
            }
        }
        let response = match self.client.get(&self.wanted.address, self.wanted.token, &headers) {
            Err(Trouble::Final(SourceError::NotFound { address, status, .. })) => {
                return Err(Trouble::Final(SourceError::NotFound {
                    address,
                    status,
                    hint: self.wanted.hint,
                }));
            }
            Err(Trouble::Passing { problem, wait }) if problem == NO_RANGE => {
                self.cut(0).map_err(final_error)?;
                return Err(Trouble::Passing { problem, wait });
            }
            outcome => outcome?,
        };
        let answer = Answer::of(&response);
        if answer.start != there {
            // The server sends the whole file again, or another one, or a piece that was not asked for.
            if answer.start != 0 {
                self.cut(0).map_err(final_error)?;
                let problem =
                    format!("the server sent bytes from {}, where {there} was asked for", answer.start);
                return Err(Trouble::Passing { problem, wait: None });
            }
            there = self.cut(0).map_err(final_error)?;
        }
        let total = self.total(&answer, known.as_ref(), there)?;
        let begun = Begun {
            address: self.wanted.address.clone(),
            etag: answer.etag.clone(),
            size_bytes: Some(total),
            sha256: self.wanted.sha256.clone(),
        };
        write(&beside(self.partial, ".json"), &begun).map_err(final_error)?;
        self.take(response, there, total)?;
        self.verify(total).map_err(final_error)
    }

    /// How long the whole file is, by what is published, what the server says now and what it said before.
    fn total(&mut self, answer: &Answer, before: Option<&Begun>, there: u64) -> Result<u64, Trouble> {
        let mismatch = |problem: String| {
            Trouble::Final(SourceError::Mismatch { address: self.wanted.address.clone(), problem })
        };
        match (self.wanted.size_bytes, answer.total) {
            (Some(due), Some(says)) if due != says => {
                Err(mismatch(format!("the server says that it has {says} bytes, but {due} are published")))
            }
            (Some(due), _) => Ok(due),
            (None, Some(says)) => match before.filter(|_| there > 0).and_then(|before| before.size_bytes) {
                Some(said) if said != says => {
                    self.cut(0).map_err(Trouble::Final)?;
                    let problem = format!("the server says {says} bytes, and said {said} before");
                    Err(Trouble::Passing { problem, wait: None })
                }
                _ => Ok(says),
            },
            (None, None) => Err(mismatch(
                "the server does not say how long the file is, so a broken connection could not be told from its end"
                    .into(),
            )),
        }
    }

    /// Appends what comes, up to `total` bytes and no more.
    fn take(&mut self, response: Response<Body>, mut there: u64, total: u64) -> Result<(), Trouble> {
        let partial = self.partial;
        let refused = |source| Trouble::Final(SourceError::io(partial, "write to it")(source));
        self.file.seek(SeekFrom::Start(there)).map_err(refused)?;
        let mut reader = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; CHUNK_BYTES];
        while there < total {
            if !self.hear(there, total) {
                return Err(Trouble::Final(SourceError::Interrupted));
            }
            let most = buffer.len().min(usize::try_from(total - there).unwrap_or(usize::MAX));
            match reader.read(&mut buffer[..most]) {
                Ok(0) => {
                    let problem = format!("the connection ended after {there} of {total} bytes");
                    return Err(Trouble::Passing { problem, wait: None });
                }
                Ok(read) => {
                    self.file.write_all(&buffer[..read]).map_err(refused)?;
                    there += read as u64;
                }
                Err(error) => return Err(Trouble::Passing { problem: broken(&error), wait: None }),
            }
        }
        self.hear(there, total);
        Ok(())
    }

    fn hear(&mut self, done_bytes: u64, total: u64) -> bool {
        let name = &self.wanted.name;
        (self.listener)(Download { name, done_bytes, total_bytes: Some(total), trouble: None })
    }

    /// Drops what is there beyond `length` bytes.
    fn cut(&mut self, length: u64) -> Result<u64, SourceError> {
        self.file.set_len(length).map_err(SourceError::io(self.partial, "cut it"))?;
        Ok(length)
    }

    /// Reads the whole file back and compares it with what is published, and with what came under this name before.
    fn verify(&mut self, total: u64) -> Result<(u64, String), SourceError> {
        let read_error = |source| SourceError::io(self.partial, "read it back")(source);
        self.file.sync_all().map_err(SourceError::io(self.partial, "bring it to the disk"))?;
        self.file.seek(SeekFrom::Start(0)).map_err(read_error)?;
        let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
        loop {
            let read = self.file.read(&mut buffer).map_err(SourceError::io(self.partial, "read it back"))?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            length += read as u64;
        }
        let sha256 = hex(&hash.finalize());
        let problem = if length != total {
            Some(format!("{length} bytes were written of {total}"))
        } else if let Some(due) = self.wanted.sha256.as_ref().filter(|due| **due != sha256) {
            Some(format!(
                "the bytes that came have the SHA-256 {sha256}, but {due} is published: they were changed on the way or on the \
                 server. They are thrown away"
            ))
        } else {
            self.differs_from_before(&sha256)
        };
        match problem {
            None => Ok((length, sha256)),
            Some(problem) => {
                self.cut(0)?;
                let _ = fs::remove_file(beside(self.partial, ".json"));
                let _ = fs::remove_file(self.partial);
                Err(SourceError::Mismatch { address: self.wanted.address.clone(), problem })
            }
        }
    }

    /// Where nothing is published, what came first is what is due.
    fn differs_from_before(&self, sha256: &str) -> Option<String> {
        let record_path = beside(self.path, ".record.json");
        let record: Record = read(&record_path)?;
        if record.sha256 == sha256 || record.address != self.wanted.address {
            return None;
        }
        Some(format!(
            "the bytes that came have the SHA-256 {sha256}, but were {} when this was first downloaded: the server has another file \
             under the same name. They are thrown away; to accept the new file, remove {}",
            record.sha256,
            record_path.display()
        ))
    }

    /// Gives the file its name, and records what it is.
    fn settle(self, size: u64, sha256: String) -> Result<(), SourceError> {
        fs::rename(self.partial, self.path)
            .map_err(SourceError::io(self.path, "move the finished file here"))?;
        let _ = fs::remove_file(beside(self.partial, ".json"));
        let published = self.wanted.sha256.is_some();
        let record = Record::of(self.path, &self.wanted.address, (size, sha256), published)?;
        write(&beside(self.path, ".record.json"), &record)
    }
}

/// What a server's headers say about what follows.
struct Answer {
    /// The first byte's place in the file.
    start: u64,
    /// The whole file's length.
    total: Option<u64>,
    /// What names this very content, where it is strong.
    etag: Option<String>,
}

impl Answer {
    fn of(response: &Response<Body>) -> Self {
        let text = |name: header::HeaderName| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let etag = text(header::ETAG).filter(|etag| etag.starts_with('"'));
        let length = text(header::CONTENT_LENGTH).and_then(|length| length.trim().parse::<u64>().ok());
        if response.status().as_u16() != 206 {
            return Answer { start: 0, total: length, etag };
        }
        // `bytes 100-199/200`; the total may be `*`.
        let range = text(header::CONTENT_RANGE).unwrap_or_default();
        let parts = range.strip_prefix("bytes ").and_then(|range| range.split_once('/'));
        let start = parts.and_then(|(range, _)| range.split_once('-')?.0.trim().parse().ok());
        let total = parts.and_then(|(_, total)| total.trim().parse().ok());
        // A piece that does not say where it belongs is of no use.
        let start = start.unwrap_or(u64::MAX);
        Answer { start, total: total.or(length.map(|length| start.saturating_add(length))), etag }
    }
}
