//! Tests of the rules for crates, on manifests made up here.

use super::*;

const ROOT: &str = "\
[workspace]
members = []
[workspace.dependencies]
deltaloss-records = { path = \"crates/records\" }
columns = { package = \"parquet\", version = \"1\" }
";

/// A manifest of `deltaloss-NAME` (`deltaloss` for the empty name) with the workspace's lints.
fn manifest(name: &str, rest: &str) -> (String, String) {
    let package = if name.is_empty() { "deltaloss".to_owned() } else { format!("deltaloss-{name}") };
    let text = format!("[package]\nname = \"{package}\"\n[lints]\nworkspace = true\n{rest}");
    (format!("crates/{name}/Cargo.toml"), text)
}

/// The problems of one crate that stands beside `records` and `lm`.
fn of(name: &str, rest: &str) -> Vec<String> {
    let mut files = vec![("Cargo.toml".to_owned(), ROOT.to_owned()), manifest(name, rest)];
    files.extend(["records", "lm"].iter().filter(|other| **other != name).map(|other| manifest(other, "")));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    check(&Tree::of(&files)).iter().map(Problem::to_string).collect()
}

#[test]
fn allowed_edges_pass() {
    assert_eq!(
        of("lm", "[dependencies]\ndeltaloss-records = { workspace = true }\ntokenizers = \"1\"\n"),
        [""; 0]
    );
    assert_eq!(of("stats", "[dependencies]\ndeltaloss-records.workspace = true\nserde = \"1\"\n"), [""; 0]);
    assert_eq!(of("", "[dependencies]\ndeltaloss-lm = { path = \"../lm\" }\nclap = \"4\"\n"), [""; 0]);
    assert_eq!(of("corpus", "[dependencies]\nparquet = \"1\"\narrow-array = \"1\"\n"), [""; 0]);
}

#[test]
fn an_edge_beside_the_table_is_found_in_every_kind_of_table() {
    for table in [
        "dependencies",
        "dev-dependencies",
        "build-dependencies",
        "target.'cfg(unix)'.dependencies",
        "target.x86_64-unknown-linux-gnu.dev-dependencies",
    ] {
        for entry in [
            "deltaloss-lm = { workspace = true }",
            "short = { package = \"deltaloss-lm\", path = \"../lm\" }",
        ] {
            let found = of("stats", &format!("[{table}]\nserde = \"1\"\n{entry}\n"));
            assert_eq!(found.len(), 1, "[{table}] {entry}: {found:?}");
            let kind = table.rsplit('.').next().unwrap();
            assert!(found[0].starts_with(&format!("crates/stats/Cargo.toml:7: [{kind}] ")), "{found:?}");
            assert!(
                found[0].contains("`deltaloss-stats` uses `deltaloss-lm`, but may use deltaloss-records;")
            );
        }
    }
    let found = of("kernels", "[dependencies.deltaloss-records]\nworkspace = true\n");
    assert!(found.len() == 1 && found[0].contains("may use no crate of the workspace"), "{found:?}");
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    for (name, used, home) in [
        ("lm", "parquet", "deltaloss-corpus and deltaloss-guard and deltaloss-records"),
        ("stats", "arrow", "deltaloss-corpus and deltaloss-records"),
        ("report", "arrow-schema", "deltaloss-corpus and deltaloss-records"),
        ("lm", "clap", "deltaloss only"),
        ("lm", "clap_derive", "deltaloss only"),
        ("corpus", "indicatif", "deltaloss only"),
        ("", "ureq-proto", "deltaloss-sources only"),
        ("", "tokenizers", "deltaloss-lm only"),
    ] {
        let found = of(name, &format!("[dev-dependencies]\n{used} = \"1\"\n"));
        assert!(found.len() == 1 && found[0].contains(&format!("`{used}`")), "{name} {used}: {found:?}");
        assert!(found[0].contains(home), "{found:?}");
    }
    assert_eq!(of("lm", "[dependencies]\narrowhead = \"1\"\nclapper = \"1\"\n"), [""; 0]);
}

#[test]
fn a_crate_renamed_by_the_workspace_is_known_by_its_own_name() {
    let found = of("lm", "[dependencies]\ncolumns = { workspace = true }\n");
    assert!(found.len() == 1 && found[0].contains("uses `parquet`"), "{found:?}");
    assert_eq!(of("lm", "[dependencies]\ncolumns = \"1\"\n"), [""; 0]);
}

#[test]
fn a_crate_nobody_planned_is_asked_about() {
    let found = of("cloud", "");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("crates/cloud/Cargo.toml:2: crate `deltaloss-cloud` is not in the table"));
    assert!(found[0].contains("add it to the table and to ARCHITECTURE.md"), "{found:?}");
}

#[test]
fn every_crate_has_the_workspaces_lints() {
    for lints in ["", "[lints]\n", "[lints]\nworkspace = false\n", "[lints.rust]\nunsafe_code = \"allow\"\n"]
    {
        let text = format!("[package]\nname = \"deltaloss-lm\"\n{lints}");
        let found = check(&Tree::of(&[("Cargo.toml", ROOT), ("crates/lm/Cargo.toml", &text)]));
        assert!(found.len() == 1 && found[0].reason.contains("workspace's lints"), "{lints}: {found:?}");
    }
}

#[test]
fn what_is_no_manifest_is_said_where() {
    for (text, line) in [("[package]\nname = 1\n", 2), ("[package]\nname = \"x\"\n[dependencies]\nx = \n", 4)]
    {
        let found = check(&Tree::of(&[("crates/x/Cargo.toml", text)]));
        assert!(found.len() == 1 && found[0].reason.contains("no manifest"), "{found:?}");
        assert_eq!(found[0].line, Some(line), "{found:?}");
    }
}

#[test]
fn a_workspace_of_its_own_is_left_alone() {
    let fuzz = "[package]\nname = \"deltaloss-fuzz\"\n[workspace]\n[dependencies]\nparquet = \"1\"\n";
    let found = check(&Tree::of(&[("Cargo.toml", ROOT), ("fuzz/Cargo.toml", fuzz)]));
    let found: Vec<String> = found.iter().map(Problem::to_string).collect();
    assert!(!found.iter().any(|problem| problem.contains("fuzz")), "{found:?}");
}
