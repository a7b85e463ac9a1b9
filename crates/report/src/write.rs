//! The report as files in a folder.

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use deltaloss_stats::Comparison;
use rayon::prelude::*;

use crate::viewer::DocumentView;
use crate::{figures, html, markdown, tables};

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file or folder could not be written.
    #[error("cannot write {}: {error}; check that the folder exists, may be written to and has room", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A figure could not be drawn.
    #[error("cannot draw {}: {problem}; this is a defect of deltaloss, please report it", path.display())]
    Figure {
        /// The file meant for it.
        path: PathBuf,
        /// What was wrong.
        problem: String,
    },
    /// The results could not be put into JSON.
    #[error("cannot put the results into {}: {error}; this is a defect of deltaloss, please report it", path.display())]
    Json {
        /// The file meant for them.
        path: PathBuf,
        /// What the serialiser said.
        error: serde_json::Error,
    },
}

/// Writes `results.json`, `report.html`, `report.md`, `tables/*.csv`, `figures/*.svg` and `figures/*.png` into the existing folder
/// `out_dir`; the page holds `documents` ([`viewer::excerpts`](crate::viewer::excerpts)) to look at, as many as fit. Files of these names are replaced. The same comparison gives the same bytes.
///
/// # Errors
///
/// When a file or one of the two folders cannot be written; what was written before that stays.
pub fn write_report(
    comparison: &Comparison,
    documents: &[DocumentView],
    out_dir: &Path,
) -> Result<(), ReportError> {
    let path = out_dir.join("results.json");
    let mut results = serde_json::to_string_pretty(comparison)
        .map_err(|error| ReportError::Json { path: path.clone(), error })?;
    results.push('\n');
    write(&path, &results)?;
    write(&out_dir.join("report.html"), html::report_html(comparison, documents))?;
    write(&out_dir.join("report.md"), markdown::report_markdown(comparison))?;
    let folder = make_folder(out_dir, "tables")?;
    for table in tables::tables(comparison) {
        write(&folder.join(table.file_name()), table.to_csv())?;
    }
    let folder = make_folder(out_dir, "figures")?;
    let drawn = figures::figures(comparison);
    for figure in &drawn {
        write(&folder.join(figure.file_name()), figure.to_svg())?;
    }
    drawn.par_iter().try_for_each(|figure| {
        let path = folder.join(format!("{}.png", figure.name));
        let png = figure.to_png().map_err(|problem| ReportError::Figure { path: path.clone(), problem })?;
        write(&path, png)
    })?;
    Ok(())
}

fn make_folder(out_dir: &Path, name: &str) -> Result<PathBuf, ReportError> {
    let path = out_dir.join(name);
    match fs::create_dir(&path) {
        Err(_) if path.is_dir() => Ok(path),
        Err(error) => Err(ReportError::Write { path, error }),
        Ok(()) => Ok(path),
    }
}

fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<(), ReportError> {
    fs::write(path, contents).map_err(|error| ReportError::Write { path: path.to_owned(), error })
}
