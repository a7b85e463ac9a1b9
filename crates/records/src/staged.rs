//! An output folder that appears whole or not at all.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::error::RecordsError;
use crate::locked::LockedFolder;
use crate::run_info::RUN_SCHEMA;

/// What kind of folder is written: which file marks it, and what else it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderKind {
    /// What it is called in messages.
    pub name: &'static str,
    /// A JSON file that every folder of this kind has.
    pub marker: &'static str,
    /// How the `schema` in the marker starts.
    pub schema: &'static str,
    /// Everything that a folder of this kind may hold.
    pub entries: &'static [&'static str],
    /// What it must hold beside the marker.
    pub required: &'static [&'static str],
}

impl FolderKind {
    /// A run.
    pub const RUN: FolderKind = FolderKind {
        name: "run",
        marker: "run.json",
        schema: RUN_SCHEMA,
        entries: &["run.json", "documents.parquet", "tokens.parquet", "tokens"],
        required: &["documents.parquet"],
    };

    /// Why `folder` is not one of this kind; `None` if it is, or is empty.
    fn difference(&self, folder: &Path) -> Option<String> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return Some(format!("it cannot be listed: {error}")),
        };
        let mut names = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => names.push(entry.file_name().to_string_lossy().into_owned()),
                Err(error) => return Some(format!("it cannot be listed: {error}")),
            }
        }
        names.sort();
        if names.is_empty() {
            return None;
        }
        if let Some(name) = names.iter().find(|name| !self.entries.contains(&name.as_str())) {
            return Some(format!("it holds `{name}`, which no {} does", self.name));
        }
        if let Some(name) = self.required.iter().find(|&&name| !names.iter().any(|found| found == name)) {
            return Some(format!("it has no `{name}`"));
        }
        let marker = fs::read(folder.join(self.marker)).ok();
        let marker: Option<serde_json::Value> = marker.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let schema =
            marker.as_ref().and_then(|marker| marker.get("schema")).and_then(|schema| schema.as_str());
        match schema {
            Some(schema) if schema.starts_with(self.schema) => None,
            _ => Some(format!("its {} is not one of deltaloss", self.marker)),
        }
    }
}

/// A folder that is written beside its final place and moved there when it is complete. Dropped before that, it
/// is removed, and so are the parents that were made for it. No second process stages the same place meanwhile, and what a
/// killed one has left there is removed by the next.
#[derive(Debug)]
pub struct StagedFolder {
    /// `None` once committed.
    staging: Option<TempDir>,
    /// What keeps a second process out, where this folder sees to that itself; around `staging`.
    lock: Option<LockedFolder>,
    destination: PathBuf,
    kind: FolderKind,
    overwrite: bool,
    /// Parents that did not exist, outermost first.
    made: Vec<PathBuf>,
}

/// A folder of unfinished work that exists now, and the parents that were made for it, outermost first.
pub(crate) struct Live {
    pub(crate) folder: PathBuf,
    pub(crate) made: Vec<PathBuf>,
    /// Whether it holds what a later scoring goes on from.
    pub(crate) kept: bool,
}

/// For [`abandon_staged_folders`].
static LIVE: Mutex<Vec<Live>> = Mutex::new(Vec::new());

/// The folders that [`abandon_staged_folders`] knows of. Held while one is made, so that no signal finds it unknown.
pub(crate) fn live() -> MutexGuard<'static, Vec<Live>> {
    // The list stays usable if a thread died with it.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a folder out of the list, which the answer holds, so that a signal waits until the folder is gone or in its place.
pub(crate) fn forget(folder: &Path) -> MutexGuard<'static, Vec<Live>> {
    let mut live = live();
    live.retain(|live| live.folder != folder);
    live
}

/// Removes every folder that is being staged, for a program that is about to exit on a signal, but for those from which a
/// later scoring goes on: the answer is these. A folder that is just being moved to its place is waited for. Whoever makes,
/// moves or drops one afterwards waits for the process to end, so the caller must end it.
pub fn abandon_staged_folders() -> Vec<PathBuf> {
    let mut kept = Vec::new();
    // The innermost first, should one lie in another.
    let mut all = live();
    all.sort_by_key(|live| live.folder.components().count());
    for live in all.drain(..).rev() {
        if live.kept {
            kept.push(live.folder);
            continue;
        }
        // A thread may still be writing there; a few rounds catch what it leaves.
        for _ in 0..5 {
            if fs::remove_dir_all(&live.folder).is_ok() {
                break;
            }
        }
        remove_empty(&live.made);
    }
    // Never let go: a thread that fails because its folder is gone must not speak before the caller does.
    std::mem::forget(all);
    kept
}

/// Removes folders, innermost first, up to one that is not empty.
pub(crate) fn remove_empty(made: &[PathBuf]) {
    for folder in made.iter().rev() {
        // Not empty, or gone: then it is not ours to remove.
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
}

impl StagedFolder {
    /// Stages `destination`, which may be an empty folder; with `overwrite` also one of the same kind that holds
    /// nothing foreign.
    ///
    /// # Errors
    /// The destination is taken or could not be replaced later, another process is staging it, or its parent cannot be written.
    pub fn new(destination: &Path, kind: FolderKind, overwrite: bool) -> Result<Self, RecordsError> {
        let destination = resolve(destination)?;
        check_free(&destination, kind, overwrite)?;
        let mut name = OsString::from(".");
        name.push(destination.file_name().unwrap_or_default());
        name.push(Self::SUFFIX);
        let lock = LockedFolder::open(&destination.with_file_name(name), &destination)?;
        if !lock.is_guarded() {
            // Nothing tells two processes apart: each stages in a folder of its own, and the last to finish notices.
            drop(lock);
            let parent = destination.parent().unwrap_or(Path::new("/")).to_owned();
            return Self::within(parent, destination, kind, overwrite);
        }
        let mut staged = Self::within(lock.path().to_owned(), destination, kind, overwrite)?;
        staged.lock = Some(lock);
        Ok(staged)
    }

    /// How the names of staging folders end.
    pub(crate) const SUFFIX: &str = ".partial";
    /// How the names of folders end that are being replaced.
    pub(crate) const REPLACED: &str = ".replaced";

    /// As [`StagedFolder::new`], of a destination that is resolved, staged in a folder on the same file system.
    pub(crate) fn within(
        parent: PathBuf,
        destination: PathBuf,
        kind: FolderKind,
        overwrite: bool,
    ) -> Result<Self, RecordsError> {
        check_free(&destination, kind, overwrite)?;
        let mut live = live();
        let mut made: Vec<PathBuf> =
            parent.ancestors().take_while(|ancestor| !ancestor.exists()).map(Path::to_owned).collect();
        made.reverse();
        fs::create_dir_all(&parent).map_err(RecordsError::io(&parent, "create the folder"))?;
        let name = destination.file_name().unwrap_or_default().to_string_lossy();
        let staging = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(Self::SUFFIX)
            .tempdir_in(&parent)
            .map_err(RecordsError::io(&parent, "make a folder in it"))?;
        live.push(Live { folder: staging.path().to_owned(), made: made.clone(), kept: false });
        Ok(StagedFolder { staging: Some(staging), lock: None, destination, kind, overwrite, made })
    }

    /// The folder to write into.
    pub fn path(&self) -> &Path {
        self.staging.as_ref().map_or(&self.destination, TempDir::path)
    }

    /// Moves the folder to its final place.
    ///
    /// # Errors
    /// The destination was taken meanwhile, or the system refuses the move. The finished work is then kept where it
    /// is, and the error names the place.
    pub fn commit(mut self) -> Result<(), RecordsError> {
        let Some(staging) = self.staging.take() else { return Ok(()) };
        let mut held = forget(staging.path());
        let staging = staging.keep();
        self.move_into_place(&staging).map_err(|error| RecordsError::Kept {
            problem: error.to_string(),
            destination: self.destination.clone(),
            kept: self.out_of_the_lock(staging, &mut held),
        })
    }

    /// Moves finished work beside its destination, where no later process takes it for what a killed one has left.
    fn out_of_the_lock(&self, staging: PathBuf, live: &mut [Live]) -> PathBuf {
        let Some(lock) = &self.lock else { return staging };
        let beside = self.destination.with_file_name(staging.file_name().unwrap_or_default());
        match fs::rename(&staging, &beside) {
            Ok(()) => beside,
            Err(_) => {
                lock.keep_among(live);
                staging
            }
        }
    }

    fn move_into_place(&self, staging: &Path) -> Result<(), RecordsError> {
        check_free(&self.destination, self.kind, self.overwrite)?;
        make_readable(staging)?;
        let old = if self.destination.exists() {
            // Out of the way first: a folder cannot be renamed onto a folder that holds something.
            let old = staging.with_extension("replaced");
            fs::rename(&self.destination, &old)
                .map_err(RecordsError::io(&self.destination, "move it away"))?;
            Some(old)
        } else {
            None
        };
        if let Err(error) = fs::rename(staging, &self.destination) {
            if let Some(old) = &old {
                fs::rename(old, &self.destination).map_err(RecordsError::io(old, "move it back"))?;
            }
            return Err(RecordsError::io(&self.destination, "move the finished folder here")(error));
        }
        match old {
            Some(old) => {
                fs::remove_dir_all(&old).map_err(RecordsError::io(&old, "remove the replaced folder"))
            }
            None => Ok(()),
        }
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        let Some(staging) = self.staging.take() else { return };
        let _held = forget(staging.path());
        drop(staging);
        remove_empty(&self.made);
    }
}

/// The folder that `destination` really names: absolute, links followed, no trailing dots.
pub(crate) fn resolve(destination: &Path) -> Result<PathBuf, RecordsError> {
    let unusable =
        |problem: &str| RecordsError::Unusable { path: destination.to_owned(), problem: problem.to_owned() };
    if fs::symlink_metadata(destination).is_ok() {
        let real = destination.canonicalize().map_err(RecordsError::io(destination, "follow the link"))?;
        let parent = real.parent().ok_or_else(|| unusable("is the root of the file system"))?;
        if is_mount_point(&real, parent) {
            return Err(unusable(
                "is a mount point and cannot be replaced as a whole; name a folder inside it",
            ));
        }
        return Ok(real);
    }
    let name = destination.file_name().ok_or_else(|| unusable("does not end in a folder's name"))?;
    let parent = match destination.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = std::path::absolute(parent).map_err(RecordsError::io(parent, "resolve it"))?;
    Ok(parent.join(name))
}

#[cfg(unix)]
fn is_mount_point(folder: &Path, parent: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(folder), fs::metadata(parent)) {
        (Ok(folder), Ok(parent)) => folder.dev() != parent.dev(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_mount_point(_: &Path, _: &Path) -> bool {
    false
}

fn check_free(destination: &Path, kind: FolderKind, overwrite: bool) -> Result<(), RecordsError> {
    if !destination.exists() {
        return Ok(());
    }
    let path = destination.to_owned();
    let empty = fs::read_dir(destination).is_ok_and(|mut entries| entries.next().is_none());
    match kind.difference(destination) {
        _ if empty => Ok(()),
        _ if !overwrite => Err(RecordsError::OutputExists { path }),
        None => Ok(()),
        Some(difference) => Err(RecordsError::NotOurs { path, kind: kind.name, difference }),
    }
}

/// Temporary folders are private; a finished one has the permissions of any other new folder.
fn make_readable(folder: &Path) -> Result<(), RecordsError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let probe = folder.join(".mode");
        fs::create_dir(&probe).map_err(RecordsError::io(&probe, "create the folder"))?;
        let mode =
            fs::metadata(&probe).map_err(RecordsError::io(&probe, "read its mode"))?.permissions().mode();
        fs::remove_dir(&probe).map_err(RecordsError::io(&probe, "remove the folder"))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(mode))
            .map_err(RecordsError::io(folder, "set its mode"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn marker(text: &str) -> String {
        format!("{{\"schema\": \"{RUN_SCHEMA}\", \"text\": \"{text}\"}}")
    }

    fn write(folder: &Path, text: &str) {
        fs::write(folder.join("run.json"), marker(text)).unwrap();
        fs::write(folder.join("documents.parquet"), "").unwrap();
    }

    fn stage(destination: &Path, overwrite: bool) -> Result<StagedFolder, RecordsError> {
        StagedFolder::new(destination, FolderKind::RUN, overwrite)
    }

    #[test]
    fn appears_when_committed_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        for out in ["deep/out", "deep/dotted/.", "deep/slashed/"] {
            let out = folder.path().join(out);
            let staged = stage(&out, false).unwrap();
            write(staged.path(), "1");
            assert!(!out.exists());
            staged.commit().unwrap();
            assert_eq!(fs::read_to_string(out.join("run.json")).unwrap(), marker("1"));
        }
        assert_eq!(names(&folder.path().join("deep")), ["dotted", "out", "slashed"]);
    }

    #[test]
    fn leaves_nothing_when_dropped_not_even_its_parents() {
        let folder = tempfile::tempdir().unwrap();
        drop(stage(&folder.path().join("new/deep/out"), false).unwrap());
        assert!(names(folder.path()).is_empty());
        fs::create_dir(folder.path().join("old")).unwrap();
        drop(stage(&folder.path().join("old/out"), false).unwrap());
        assert_eq!(names(folder.path()), ["old"]);
    }

    #[test]
    fn an_empty_folder_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        fs::create_dir(&out).unwrap();
        let staged = stage(&out, false).unwrap();
        write(staged.path(), "1");
        staged.commit().unwrap();
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn replaces_only_its_own_kind_and_only_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        fs::create_dir(&out).unwrap();
        let refused = |overwrite| stage(&out, overwrite).unwrap_err().to_string();
        // A marker of somebody else's making.
        fs::write(out.join("run.json"), "{\"accuracy\": 0.9}").unwrap();
        fs::write(out.join("documents.parquet"), "").unwrap();
        assert!(refused(true).contains("its run.json is not one of deltaloss"), "{}", refused(true));
        write(&out, "old");
        fs::write(out.join("thesis.tex"), "years of work").unwrap();
        assert!(refused(false).contains("exists already"), "{}", refused(false));
        assert!(refused(true).contains("it holds `thesis.tex`"), "{}", refused(true));
        fs::remove_file(out.join("thesis.tex")).unwrap();
        let staged = stage(&out, true).unwrap();
        write(staged.path(), "new");
        staged.commit().unwrap();
        assert_eq!(fs::read_to_string(out.join("run.json")).unwrap(), marker("new"));
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn a_place_is_staged_once_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("deep/out");
        let first = stage(&out, false).unwrap();
        // A lock is the open file's, so it holds within a process too.
        assert!(matches!(stage(&out, true), Err(RecordsError::Busy { .. })));
        let beside = stage(&folder.path().join("deep/other"), false).unwrap();
        drop(first);
        let second = stage(&out, false).unwrap();
        write(second.path(), "2");
        second.commit().unwrap();
        drop(beside);
        assert_eq!(names(&folder.path().join("deep")), ["out"]);
        assert_eq!(fs::read_to_string(out.join("run.json")).unwrap(), marker("2"));
    }

    #[test]
    fn what_a_killed_process_left_is_cleaned_up() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let left = folder.path().join(".out.partial");
        // Killed while it wrote.
        fs::create_dir_all(left.join(".out.abc.partial")).unwrap();
        fs::write(left.join(".out.abc.partial/joined.parquet"), "half").unwrap();
        fs::write(left.join("lock"), "").unwrap();
        drop(stage(&out, false).unwrap());
        assert!(names(folder.path()).is_empty());
        // Killed between the two moves: the old one is put back, and then replaced.
        fs::create_dir_all(left.join(".out.abc.partial")).unwrap();
        fs::create_dir_all(left.join(".out.abc.replaced")).unwrap();
        write(&left.join(".out.abc.replaced"), "old");
        assert!(matches!(stage(&out, false), Err(RecordsError::OutputExists { .. })));
        assert_eq!(fs::read_to_string(out.join("run.json")).unwrap(), marker("old"));
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn finished_work_is_kept_when_the_place_was_taken_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let staged = stage(&out, false).unwrap();
        write(staged.path(), "1");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("theirs"), "").unwrap();
        let Err(RecordsError::Kept { kept, .. }) = staged.commit() else { panic!("committed") };
        assert_eq!(fs::read_to_string(kept.join("run.json")).unwrap(), marker("1"));
        assert_eq!(names(&out), ["theirs"]);
        // Another attempt leaves it alone.
        assert!(stage(&out, true).is_err());
        fs::remove_dir_all(&out).unwrap();
        drop(stage(&out, false).unwrap());
        assert_eq!(names(folder.path()).len(), 1, "{:?}", names(folder.path()));
        assert!(kept.join("run.json").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        write(&real, "old");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let staged = stage(&link, true).unwrap();
        write(staged.path(), "new");
        staged.commit().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(real.join("run.json")).unwrap(), marker("new"));
        fs::remove_dir_all(&real).unwrap();
        assert!(stage(&link, true).is_err(), "a dangling link");
    }
}
