//! A folder of unfinished work that one process at a time may work in.

use std::cell::Cell;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::RecordsError;
use crate::staged::{Live, StagedFolder, forget, live, remove_empty};

/// How the names of entries begin that are worth keeping: what is settled of a scoring.
const WORTH_KEEPING: [&str; 2] = ["part-", "temperature"];

/// A folder that is locked as long as this lives. Where nothing in it is worth keeping, it goes away again.
#[derive(Debug)]
pub(crate) struct LockedFolder {
    path: PathBuf,
    /// The system lets go of it when the process ends, however it ends.
    lock: Option<File>,
    /// Whether the system knows locks here.
    guarded: bool,
    /// Parents that did not exist, outermost first.
    made: Vec<PathBuf>,
    keeps: Cell<bool>,
}

impl LockedFolder {
    /// The file that says that the work was finished.
    pub(crate) const FINISHED: &str = "finished";
    const LOCK: &str = "lock";

    /// Makes or takes up the folder at `path`, for what will stand at `destination`.
    pub(crate) fn open(path: &Path, destination: &Path) -> Result<Self, RecordsError> {
        let made: Vec<PathBuf> = path
            .ancestors()
            .skip(1)
            .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
            .map(Path::to_owned)
            .collect();
        let made: Vec<PathBuf> = made.into_iter().rev().collect();
        let busy = || RecordsError::Busy { path: destination.to_owned() };
        let mut live = live();
        // The process that had it may just be removing it.
        for _ in 0..100 {
            fs::create_dir_all(path).map_err(RecordsError::io(path, "create the folder"))?;
            let name = path.join(Self::LOCK);
            let lock = match File::options().create(true).truncate(false).write(true).open(&name) {
                Ok(lock) => lock,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(RecordsError::io(&name, "open")(error)),
            };
            let guarded = match lock.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => return Err(busy()),
                // A file system without locks: better unguarded than not at all.
                Err(TryLockError::Error(_)) => false,
            };
            if !is_same(&lock, &name) {
                continue;
            }
            live.push(Live { folder: path.to_owned(), made: made.clone(), kept: worth_keeping(path)? });
            drop(live);
            let keeps = Cell::new(true);
            let folder = LockedFolder { path: path.to_owned(), lock: Some(lock), guarded, made, keeps };
            folder.sweep(destination)?;
            folder.set_keeps(worth_keeping(path)?);
            return Ok(folder);
        }
        Err(busy())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a second process is kept out.
    pub(crate) fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// From now on there is something in it that is worth keeping.
    pub(crate) fn keep(&self) {
        if !self.keeps.get() {
            self.set_keeps(true);
        }
    }

    /// As [`LockedFolder::keep`], for one who holds the list of such folders.
    pub(crate) fn keep_among(&self, live: &mut [Live]) {
        self.set_keeps_among(true, live);
    }

    /// Whether it stays when it is dropped or abandoned.
    fn set_keeps(&self, keeps: bool) {
        self.set_keeps_among(keeps, &mut live());
    }

    fn set_keeps_among(&self, keeps: bool, live: &mut [Live]) {
        self.keeps.set(keeps);
        for live in live.iter_mut().filter(|live| live.folder == self.path) {
            live.kept = keeps;
        }
    }

    /// Cleans up behind a process that was killed: removes what it has left half-written, puts back what it had moved away,
    /// and removes everything where it had moved the finished folder to its place.
    fn sweep(&self, destination: &Path) -> Result<(), RecordsError> {
        let names = names(&self.path)?;
        let staged = |name: &String| name.starts_with('.') && name.ends_with(StagedFolder::SUFFIX);
        if names.iter().any(|name| name == Self::FINISHED) && !names.iter().any(staged) {
            return self.remove_entries(|_| true);
        }
        if let Some(name) = names.iter().find(|name| name.ends_with(StagedFolder::REPLACED))
            && !destination.exists()
        {
            let from = self.path.join(name);
            fs::rename(&from, destination).map_err(RecordsError::io(&from, "move it back"))?;
        }
        self.remove_entries(|name| {
            name == Self::FINISHED
                || name.ends_with(StagedFolder::SUFFIX)
                || name.ends_with(StagedFolder::REPLACED)
        })
    }

    /// Removes everything but the lock and what is being staged.
    pub(crate) fn clear(&self) -> Result<(), RecordsError> {
        self.remove_entries(|name| !name.ends_with(StagedFolder::SUFFIX))?;
        self.set_keeps(false);
        Ok(())
    }

    fn remove_entries(&self, chosen: impl Fn(&str) -> bool) -> Result<(), RecordsError> {
        let refused = RecordsError::io(&self.path, "remove what a killed process left in it");
        let remove = || {
            for entry in fs::read_dir(&self.path)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name == Self::LOCK || !chosen(&name) {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        remove().map_err(refused)
    }

    /// Removes the folder: its work is done.
    pub(crate) fn remove(mut self) -> Result<(), RecordsError> {
        self.keeps.set(true);
        self.made.clear();
        // Some systems do not remove a file that is open; elsewhere it is held to the end.
        if !cfg!(unix) {
            self.lock = None;
        }
        let held = forget(&self.path);
        let removed = fs::remove_dir_all(&self.path);
        // Dropping asks for it.
        drop(held);
        removed.map_err(RecordsError::io(&self.path, "remove the finished parts"))
    }
}

impl Drop for LockedFolder {
    fn drop(&mut self) {
        let _held = forget(&self.path);
        if self.keeps.get() {
            return;
        }
        if !cfg!(unix) {
            self.lock = None;
        }
        let _ = fs::remove_dir_all(&self.path);
        remove_empty(&self.made);
    }
}

fn names(folder: &Path) -> Result<Vec<String>, RecordsError> {
    let names = || -> std::io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    names().map_err(RecordsError::io(folder, "list it"))
}

fn worth_keeping(folder: &Path) -> Result<bool, RecordsError> {
    Ok(names(folder)?.iter().any(|name| WORTH_KEEPING.iter().any(|start| name.starts_with(start))))
}

/// Whether the open file is the one of that name.
#[cfg(unix)]
fn is_same(open: &File, name: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (open.metadata(), fs::metadata(name)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(_: &File, name: &Path) -> bool {
    name.exists()
}
