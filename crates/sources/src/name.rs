//! Names of things to download, and of files in them: whatever is in a name ends up in a path.

use std::fmt;

use crate::error::SourceError;

/// A name that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// `csp:NAME`: a released circuit-sparsity model.
    Csp(String),
    /// `hf:ORG/REPO[@REVISION][:FILE]`.
    Hub(HubName),
}

/// `ORG/REPO[@REVISION][:FILE]` of the model hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    /// `ORG/REPO`.
    pub repository: String,
    /// A branch, tag or commit; the main branch by default.
    pub revision: Option<String>,
    /// A file of the repository, or a folder of it with `/` at its end.
    pub file: Option<String>,
}

impl Source {
    /// Understands a name; nothing for what is none of these. A path that begins like one is given as `./csp:…`.
    ///
    /// # Errors
    /// It begins like a name and is none.
    pub fn parse(typed: &str) -> Option<Result<Source, SourceError>> {
        let refuse = |problem: String| SourceError::Name { typed: typed.to_owned(), problem };
        if let Some(name) = typed.strip_prefix("csp:") {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            let fits = !name.is_empty() && name.chars().all(plain) && check_part(name).is_ok();
            return Some(if fits {
                Ok(Source::Csp(name.to_owned()))
            } else {
                Err(refuse("a released model is csp:NAME, such as csp:csp_yolo1 or csp:dense1_2x".into()))
            });
        }
        let rest = typed.strip_prefix("hf:")?;
        Some(HubName::parse(rest).map(Source::Hub).map_err(refuse))
    }
}

impl HubName {
    fn parse(text: &str) -> Result<Self, String> {
        let (head, file) = match text.split_once(':') {
            Some((head, file)) => (head, Some(file.to_owned())),
            None => (text, None),
        };
        let (repository, revision) = match head.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision.to_owned())),
            None => (head, None),
        };
        let form = "a repository of the hub is hf:ORG/REPO[@REVISION][:FILE], such as hf:codeparrot/apps:train.jsonl";
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let parts: Vec<&str> = repository.split('/').collect();
        if parts.len() != 2 || !parts.iter().all(|part| part.chars().all(plain) && check_part(part).is_ok()) {
            return Err(form.to_owned());
        }
        if let Some(revision) = &revision {
            check_path(revision).map_err(|problem| format!("the revision {problem}; {form}"))?;
        }
        if let Some(file) = &file {
            check_path(file.trim_end_matches('/'))
                .map_err(|problem| format!("the file {problem}; {form}"))?;
        }
        Ok(HubName { repository: repository.to_owned(), revision, file })
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf:{}", self.repository)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{revision}")?;
        }
        match &self.file {
            Some(file) => write!(f, ":{file}"),
            None => Ok(()),
        }
    }
}

/// Whether a path with `/` between its parts stays below where it is put, on every system.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    if path.len() > 1000 {
        return Err(format!("has {} bytes, which no path has", path.len()));
    }
    path.split('/').try_for_each(|part| {
        check_part(part).map_err(|problem| format!("`{}` {problem}", path.escape_debug()))
    })
}

/// Whether a part of a path is a plain name.
fn check_part(part: &str) -> Result<(), &'static str> {
    match part {
        "" => Err("has an empty part"),
        "." | ".." => Err("leads out of its folder"),
        _ if part.len() > 255 => Err("has a part that is too long for a file's name"),
        _ if part.chars().any(|c| {
            c.is_control() || matches!(c, '\\' | ':' | '?' | '#' | '%' | '*' | '"' | '<' | '>' | '|')
        }) =>
        {
            Err("has a character that no file of a repository should have")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(typed: &str) -> HubName {
        match Source::parse(typed) {
            Some(Ok(Source::Hub(name))) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_are_understood() {
        assert_eq!(Source::parse("csp:csp_yolo1").unwrap().unwrap(), Source::Csp("csp_yolo1".into()));
        assert!(Source::parse("csp:csp_sweep1_1x_3.7Mnonzero_afrac0.250").unwrap().is_ok());
        assert!(Source::parse("builtin:x").is_none() && Source::parse("folder/csp:x").is_none());
        let name = hub("hf:codeparrot/apps");
        assert_eq!((name.repository.as_str(), &name.revision, &name.file), ("codeparrot/apps", &None, &None));
        let name = hub("hf:a/b@refs/pr/5:data/x.parquet");
        assert_eq!(
            (name.revision.as_deref(), name.file.as_deref()),
            (Some("refs/pr/5"), Some("data/x.parquet"))
        );
        assert_eq!(name.to_string(), "hf:a/b@refs/pr/5:data/x.parquet");
        assert_eq!(hub("hf:a/b:data/").file.as_deref(), Some("data/"));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for typed in [
            "csp:",
            "csp:..",
            "csp:a/b",
            "csp:a b",
            "csp:a%2fb",
            "hf:",
            "hf:a",
            "hf:a/b/c",
            "hf:../b",
            "hf:a/..",
            "hf:/b",
            "hf:a/b@",
            "hf:a/b@../x",
            "hf:a/b:",
            "hf:a/b:/etc/passwd",
            "hf:a/b:x/../../y",
            "hf:a/b:x\\y",
            "hf:a/b:x\0y",
            "hf:a/b:C:/x",
            "hf:a/b:x?y",
            "hf:a/b:x//y",
        ] {
            let error = Source::parse(typed).unwrap().unwrap_err().to_string();
            assert!(error.starts_with(typed) && error.contains("such as"), "{typed}: {error}");
        }
        assert!(check_path(&"a/".repeat(600)).is_err());
    }
}
