//! What the viewer is told, and what it is embedded in.

use super::excerpts::in_report;
use super::payload::{DocumentItem, DocumentView, ModelView, shown};
use super::*;
use crate::{report_html, sample};

fn item(document: usize) -> DocumentItem {
    DocumentItem { document, name: format!("d{document}.py"), split: "discovery", tokens: 2, total: -0.5 }
}

/// A document of two tokens, with a name and a text that are up to no good.
fn hostile(document: usize) -> DocumentView {
    let evil = "</script><script>alert(1)</script><!--";
    let model = |role: &'static str| ModelView {
        role,
        loss: vec![1.0, 2.0],
        entropy: vec![1.0, 2.0],
        rank: Some(vec![0, 3]),
        top: Some(vec![7, 8]),
        guess: Some(vec![0, 1]),
        probability: Some(vec![0.5, 0.25]),
    };
    DocumentView {
        item: DocumentItem { name: evil.to_owned(), ..item(document) },
        from: 0,
        text: vec![evil.to_owned(), "x".to_owned()],
        gaps: vec![(0, "&amp;".to_owned())],
        pieces: vec![(1, "\\xc3".to_owned())],
        position: vec![1, 2],
        byte: vec![0, 9],
        delta: vec![-0.25, -0.25],
        category: vec![Some(0), None],
        depth: vec![0, 1],
        oracle: Some(vec![None, Some(1.5)]),
        models: vec![model("a"), model("b")],
        own: Vec::new(),
        guesses: vec![Some("g".to_owned()), None],
    }
}

#[test]
fn text_keeps_its_lines_and_nothing_that_acts_on_what_stands_around_it() {
    assert_eq!(shown("a\n\tb  c".as_bytes()), "a\n\tb  c");
    assert_eq!(shown("x\u{202e}y\u{0}\r\n\u{1b}[31m".as_bytes()), "x\\u{202e}y␀␍\n␛[31m");
    assert_eq!(shown(&"é".as_bytes()[..1]), "\\xc3");
    assert_eq!(shown(b"\xe2\x96ok"), "\\xe2\\x96ok");
    assert_eq!(shown(b""), "");
}

#[test]
fn hostile_documents_stay_data() {
    let page = report_html(&sample::comparison(), &[hostile(0)]);
    assert_eq!(page.matches("</script>").count(), 2, "the data's and the script's own ends");
    assert!(!page.contains("<!--") && !page.contains("alert(1)</"));
    let start = page.find("id=\"viewer-data\">").unwrap() + "id=\"viewer-data\">".len();
    let json = &page[start..start + page[start..].find("</script>").unwrap()];
    let data: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(data["documents"][0]["name"], "</script><script>alert(1)</script><!--");
    assert_eq!(data["documents"][0]["text"][1], "x");
    assert_eq!(data["documents"][0]["total"], -0.5);
    assert_eq!(data["documents"][0]["delta"][1], -0.25);
    assert_eq!(data["documents"][0]["oracle"][0], serde_json::Value::Null);
    // Only the pair's numbers are in the report.
    let roles: Vec<_> = data["comparison"]["models"].as_array().unwrap().iter().map(|m| &m["role"]).collect();
    assert_eq!(roles, ["a", "b"]);
    assert!(in_report("b") && !in_report("placebo"));
}

#[test]
fn a_report_without_documents_has_no_viewer() {
    let page = report_html(&sample::comparison(), &[]);
    assert!(!page.contains("viewer-data") && !page.contains("href=\"#tokens\""));
    assert!(report_html(&sample::comparison(), &[hostile(0)]).contains("href=\"#tokens\""));
}

#[test]
fn the_report_stays_small_whatever_the_documents() {
    let long = |document| DocumentView { text: vec!["x".repeat(400_000)], ..hostile(document) };
    let documents: Vec<DocumentView> = (0..9).map(long).collect();
    let page = report_html(&sample::comparison(), &documents);
    assert!(page.len() < 5_000_000, "{}", page.len());
    assert!(page.contains("\"document\":2") && !page.contains("\"document\":4"));
}

#[test]
fn the_page_loads_nothing_but_its_files() {
    let comparison = comparison_view(&sample::hostile());
    let files = viewer_files(&comparison);
    let paths: Vec<_> = files.iter().map(|file| file.path).collect();
    assert_eq!(paths, ["", "viewer.css", "viewer.js", "theme.js"]);
    let page = &files[0].contents;
    for loaded in ["src=\"theme.js\"", "src=\"viewer.js\"", "href=\"viewer.css\""] {
        assert_eq!(page.matches(loaded).count(), 1);
    }
    assert_eq!(page.matches("<script").count(), 2);
    assert!(!page.contains("<img") && !page.contains(" style="));
    // What the script asks for is there, and it writes no markup.
    let script = &files[2].contents;
    for part in script.split("byId(\"").skip(1) {
        let id = &part[..part.find('"').unwrap()];
        let known = page.contains(&format!("id=\"{id}\"")) || ["viewer-data", "tokens", "v-"].contains(&id);
        assert!(known, "{id}");
    }
    for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http"] {
        assert!(!script.contains(forbidden), "{forbidden}");
    }
}
