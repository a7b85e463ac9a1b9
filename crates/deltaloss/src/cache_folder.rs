//! Where deltaloss keeps what can be had again: scored runs and downloads.

use std::env;
use std::path::PathBuf;

use crate::error::Error;

/// The environment's variable that names the folder.
const VARIABLE: &str = "DELTALOSS_CACHE";

/// The folder for what can be had again: the one that `DELTALOSS_CACHE` names, else `deltaloss` in the user's cache folder. It need
/// not exist.
///
/// # Errors
/// The variable is not set and there is no home folder.
pub fn cache_folder() -> Result<PathBuf, Error> {
    if let Some(folder) = named(VARIABLE) {
        return Ok(folder);
    }
    let home = || env::home_dir().filter(|home| home.is_absolute());
    let folder = if cfg!(windows) {
        named("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Caches"))
    } else {
        named("XDG_CACHE_HOME").or_else(|| home().map(|home| home.join(".cache")))
    };
    folder.map(|folder| folder.join("deltaloss")).ok_or_else(|| Error::Source {
        source_name: "the cache folder".into(),
        problem: format!("there is no home folder to put it into; name a folder with {VARIABLE}"),
    })
}

fn named(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
