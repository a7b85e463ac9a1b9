//! Files of a report.

use std::collections::BTreeMap;

use super::*;
use crate::sample;

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn writes_everything_and_the_same_twice() {
    let comparison = sample::comparison();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_report(&comparison, &[], one.path()).unwrap();
    write_report(&comparison, &[], two.path()).unwrap();
    write_report(&comparison, &[], two.path()).unwrap();
    let written = files(one.path());
    assert_eq!(written, files(two.path()));
    let names: Vec<&str> = written.keys().filter_map(|path| path.to_str()).collect();
    for name in [
        "results.json",
        "report.html",
        "report.md",
        "tables/categories.csv",
        "figures/correlation.svg",
        "figures/correlation.png",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    // Every figure as SVG and as PNG.
    assert_eq!(names.len(), 3 + 13 + 2 * 7);
    let read: Comparison = serde_json::from_slice(&written[Path::new("results.json")]).unwrap();
    assert_eq!(read.all.categories.len(), comparison.all.categories.len());
    let number = |comparison: &Comparison| comparison.all.categories[0].delta_nats.unwrap().value;
    assert!((number(&read) - number(&comparison)).abs() < 1e-15);
}

#[test]
fn awkward_comparisons_are_written_too() {
    for comparison in [sample::empty(), sample::identical(), sample::extreme(), sample::hostile()] {
        let folder = tempfile::tempdir().unwrap();
        write_report(&comparison, &[], folder.path()).unwrap();
        for (path, contents) in files(folder.path()) {
            if path.extension().is_some_and(|extension| extension == "png") {
                assert!(contents.starts_with(b"\x89PNG"), "{}", path.display());
                continue;
            }
            let text = String::from_utf8(contents).unwrap();
            if path.extension().is_some_and(|extension| extension == "csv") {
                assert!(
                    !text.contains("NaN") && !text.split(',').any(|field| field.trim() == "inf"),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        write_report(&sample::one_pair(), &[], &folder.path().join("absent")).unwrap_err().to_string();
    assert!(error.contains("results.json") && error.contains("check that the folder exists"), "{error}");
}
