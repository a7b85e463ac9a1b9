//! The viewer's page and its files, and the viewer inside the report.

use super::excerpts::in_report;
use super::payload::{ComparisonView, DocumentView};
use crate::escape::markup;
use crate::theme;

const STYLE: &str = include_str!("../assets/viewer.css");
const PAGE_STYLE: &str = include_str!("../assets/viewer_page.css");
pub(crate) const SCRIPT: &str = include_str!("../assets/viewer.js");
const THEME_SCRIPT: &str = include_str!("../assets/theme.js");
/// The viewer's elements, which the script fills.
const FRAME: &str = include_str!("../assets/viewer.html");

/// What the viewer's own page may load and run: nothing but the files beside it.
pub const VIEWER_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the viewer's page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewerFile {
    /// Where the page finds it.
    pub path: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Its contents.
    pub contents: String,
}

/// The page that `deltaloss view` serves for a comparison, and the files that it loads. The page gets its data from
/// `api/comparison`, `api/documents` and `api/document`.
pub fn viewer_files(comparison: &ComparisonView) -> Vec<ViewerFile> {
    let title = markup(&comparison.title);
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} – tokens – deltaloss</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"viewer.css\">\n</head>\n\
         <body class=\"viewer-page\">\n<header>\n<p class=\"kicker\">deltaloss</p>\n<h1>{title}</h1>\n\
         <p class=\"links\"><a href=\"report.html\">Report</a></p>\n\
         <button type=\"button\" id=\"theme\" hidden>Dark</button>\n</header>\n<main>\n\
         <noscript><p>The viewer is a script; it needs JavaScript.</p></noscript>\n{FRAME}</main>\n\
         <script src=\"theme.js\"></script>\n<script src=\"viewer.js\"></script>\n</body>\n</html>\n"
    );
    let style = format!("{}{}{PAGE_STYLE}", theme::page_variables(), style());
    let file = |path, media_type, contents| ViewerFile { path, media_type, contents };
    vec![
        file("", "text/html; charset=utf-8", page),
        file("viewer.css", "text/css; charset=utf-8", style),
        file("viewer.js", "text/javascript; charset=utf-8", SCRIPT.to_owned()),
        file("theme.js", "text/javascript; charset=utf-8", THEME_SCRIPT.to_owned()),
    ]
}

/// The viewer's rules, with variables.
pub(crate) fn style() -> String {
    format!("{STYLE}{}", theme::shade_rules())
}

/// The viewer as a part of the report, with the documents that it holds; as many of them as `most_bytes` of data allow.
pub(crate) fn section(comparison: &ComparisonView, documents: &[DocumentView], most_bytes: usize) -> String {
    let mut comparison = comparison.clone();
    comparison.models.retain(|model| in_report(model.role));
    let mut written: Vec<String> = Vec::new();
    let mut bytes = 0;
    for document in documents {
        let json = inert_json(document);
        bytes += json.len() + 1;
        if bytes > most_bytes {
            break;
        }
        written.push(json);
    }
    format!(
        "{FRAME}<script type=\"application/json\" id=\"viewer-data\">{{\"comparison\":{},\"documents\":[{}]}}</script>\n",
        inert_json(&comparison),
        written.join(",")
    )
}

/// JSON that ends no script element and opens no comment, whatever its texts hold.
fn inert_json(value: &impl serde::Serialize) -> String {
    // Plain structs of strings and finite numbers: writing them does not fail.
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
