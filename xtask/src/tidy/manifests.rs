//! Rules for the crates: who may depend on whom, which outside crates belong where, and that every crate has
//! the workspace's lints.
//!
//! Cargo forbids circles; [`CRATES`] says which of the remaining edges are meant.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, Value};

use crate::tidy::{File, Problem, Tree};

/// This file, for messages.
const TABLE: &str = "xtask/src/tidy/manifests.rs";

/// Each crate of the workspace and those of the workspace's crates it may depend on, tests and build scripts
/// included.
const CRATES: [(&str, &[&str]); 13] = [
    ("deltaloss-guard", &[]),
    ("deltaloss-kernels", &[]),
    ("deltaloss-checkpoint", &[]),
    ("deltaloss-corpus", &["deltaloss-guard"]),
    ("deltaloss-records", &["deltaloss-guard"]),
    ("deltaloss-sources", &[]),
    (
        "deltaloss-lm",
        &[
            "deltaloss-kernels",
            "deltaloss-checkpoint",
            "deltaloss-corpus",
            "deltaloss-guard",
            "deltaloss-records",
        ],
    ),
    ("deltaloss-llama", &["deltaloss-kernels", "deltaloss-corpus", "deltaloss-records", "deltaloss-lm"]),
    ("deltaloss-stats", &["deltaloss-records"]),
    ("deltaloss-train", &["deltaloss-kernels", "deltaloss-checkpoint", "deltaloss-corpus", "deltaloss-lm"]),
    ("deltaloss-report", &["deltaloss-stats", "deltaloss-records"]),
    (
        "deltaloss",
        &[
            "deltaloss-kernels",
            "deltaloss-checkpoint",
            "deltaloss-corpus",
            "deltaloss-records",
            "deltaloss-lm",
            "deltaloss-llama",
            "deltaloss-sources",
            "deltaloss-stats",
            "deltaloss-report",
            "deltaloss-train",
        ],
    ),
    ("xtask", &["deltaloss-checkpoint"]),
];

/// Families of outside crates (`arrow` is `arrow` and `arrow-array` and the like) and the only crates that may
/// use them.
const CONFINED: [(&str, &[&str]); 7] = [
    ("parquet", &["deltaloss-corpus", "deltaloss-guard", "deltaloss-records"]),
    ("arrow", &["deltaloss-corpus", "deltaloss-records"]),
    ("clap", &["deltaloss"]),
    ("indicatif", &["deltaloss"]),
    ("llama-cpp", &["deltaloss-llama"]),
    ("tokenizers", &["deltaloss-lm"]),
    ("ureq", &["deltaloss-sources"]),
];

/// Crates whose tests may use a confined family: the program's tests read its tables as a user's notebook would.
const IN_TESTS: [(&str, &[&str]); 1] = [("deltaloss", &["parquet", "arrow"])];

/// What these rules read of a `Cargo.toml`.
#[derive(Debug, Deserialize)]
struct Manifest {
    package: Option<Package>,
    lints: Option<Lints>,
    workspace: Option<Workspace>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: Spanned<String>,
}

#[derive(Debug, Deserialize)]
struct Lints {
    workspace: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
struct Workspace {
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
}

/// The dependency tables of a manifest, and of each of its `[target]` tables.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Dependencies {
    dependencies: BTreeMap<Spanned<String>, Value>,
    dev_dependencies: BTreeMap<Spanned<String>, Value>,
    build_dependencies: BTreeMap<Spanned<String>, Value>,
    target: BTreeMap<String, Dependencies>,
}

/// A dependency as a manifest states it.
struct Dependency<'a> {
    table: &'static str,
    key: &'a Spanned<String>,
    value: &'a Value,
}

impl Dependencies {
    fn all(&self) -> Vec<Dependency<'_>> {
        let tables = [
            ("dependencies", &self.dependencies),
            ("dev-dependencies", &self.dev_dependencies),
            ("build-dependencies", &self.build_dependencies),
        ];
        let own = tables.into_iter().flat_map(|(table, entries)| {
            entries.iter().map(move |(key, value)| Dependency { table, key, value })
        });
        own.chain(self.target.values().flat_map(Dependencies::all)).collect()
    }
}

impl Dependency<'_> {
    /// The package's own name: its key, unless the entry, here or in the workspace's table, renames it.
    fn package<'a>(&'a self, workspace: &'a BTreeMap<String, Value>) -> &'a str {
        let key = self.key.get_ref();
        let inherited = self.value.get("workspace").and_then(Value::as_bool) == Some(true);
        let value = if inherited { workspace.get(key).unwrap_or(self.value) } else { self.value };
        value.get("package").and_then(Value::as_str).unwrap_or(key)
    }
}

/// Checks every `Cargo.toml`.
pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut manifests = Vec::new();
    for file in tree.files().iter().filter(|file| file.name() == "Cargo.toml") {
        match (toml::from_str::<Manifest>(&file.text), toml::from_str::<Dependencies>(&file.text)) {
            // A workspace of its own, such as `fuzz/`: none of these crates can depend on it.
            (Ok(manifest), _) if manifest.workspace.is_some() && manifest.package.is_some() => {}
            (Ok(manifest), Ok(dependencies)) => manifests.push((file, manifest, dependencies)),
            (Err(error), _) | (_, Err(error)) => {
                let start = error.span().map_or(0, |span| span.start);
                let reason = format!("this is no manifest: {}; correct it", error.message());
                problems.push(Problem::at_byte(file, start, reason));
            }
        }
    }
    let root = manifests.iter().find(|(file, ..)| file.path == "Cargo.toml");
    let nothing = BTreeMap::new();
    let shared = root
        .and_then(|(_, manifest, _)| manifest.workspace.as_ref())
        .map_or(&nothing, |workspace| &workspace.dependencies);
    let own: Vec<&str> = manifests
        .iter()
        .filter_map(|(_, manifest, _)| manifest.package.as_ref())
        .map(|package| package.name.get_ref().as_str())
        .collect();
    for (file, manifest, dependencies) in &manifests {
        let Some(package) = &manifest.package else { continue };
        problems.extend(lints(file, manifest));
        let name = package.name.get_ref();
        let Some((_, allowed)) = CRATES.iter().find(|(known, _)| known == name) else {
            let reason = format!(
                "crate `{name}` is not in the table of {TABLE}; add it to the table and to ARCHITECTURE.md"
            );
            problems.push(Problem::at_byte(file, package.name.span().start, reason));
            continue;
        };
        for dependency in dependencies.all() {
            let used = dependency.package(shared);
            let reason = edge(name, allowed, used, &own).or_else(|| confined(name, used, dependency.table));
            problems.extend(reason.map(|reason| {
                let reason = format!("[{}] {reason}", dependency.table);
                Problem::at_byte(file, dependency.key.span().start, reason)
            }));
        }
    }
    problems
}

fn lints(file: &File, manifest: &Manifest) -> Option<Problem> {
    let inherits = manifest.lints.as_ref().is_some_and(|lints| lints.workspace == Some(true));
    let reason = "the crate is without the workspace's lints; add `[lints]` with `workspace = true`";
    (!inherits).then(|| Problem::of_file(&file.path, reason))
}

/// Why crate `name` may not depend on the workspace's crate `used`.
fn edge(name: &str, allowed: &[&str], used: &str, own: &[&str]) -> Option<String> {
    if !own.contains(&used) || allowed.contains(&used) {
        return None;
    }
    let may = if allowed.is_empty() { "no crate of the workspace".to_owned() } else { allowed.join(", ") };
    Some(format!(
        "`{name}` uses `{used}`, but may use {may}; put the code where both may reach it, or, if the design is to \
         change, change the table of {TABLE} and ARCHITECTURE.md"
    ))
}

/// Why crate `name` may not depend on the outside crate `used`.
fn confined(name: &str, used: &str, table: &str) -> Option<String> {
    let (family, crates) = CONFINED.iter().find(|(family, _)| {
        used.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    })?;
    let in_tests = table == "dev-dependencies"
        && IN_TESTS.iter().any(|(tested, families)| *tested == name && families.contains(family));
    (!crates.contains(&name) && !in_tests).then(|| {
        format!(
            "`{name}` uses `{used}`, but `{family}` belongs in {} only; go through it",
            crates.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests;
