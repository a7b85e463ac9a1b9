//! What the viewer's server answers: the page's files, the report, and data by document. No path of a request is a path of
//! the file system.

use deltaloss::OpenComparison;
use deltaloss::report::viewer::{DocumentOrder, STRETCH_TOKENS, VIEWER_POLICY, ViewerFile, viewer_files};

use super::http::{Answer, Request};

/// Documents of a list sent at a time, at most.
const MOST_DOCUMENTS: usize = 1000;

/// A comparison with the viewer's files.
pub(crate) struct Routes {
    comparison: OpenComparison,
    files: Vec<ViewerFile>,
}

impl Routes {
    pub(crate) fn new(comparison: OpenComparison) -> Self {
        let files = viewer_files(&comparison.view());
        Routes { comparison, files }
    }

    pub(crate) fn answer(&self, request: &Request) -> Answer {
        let outcome = match request.path.as_str() {
            "/api/comparison" => json(&self.comparison.view()),
            "/api/documents" => self.documents(&request.query),
            "/api/document" => self.document(&request.query),
            // The report brings a policy of its own.
            "/report.html" => self.comparison.report().map_err(failed).map(|body| Answer {
                status: "200 OK",
                media_type: "text/html; charset=utf-8",
                policy: None,
                body,
            }),
            path => self.file(path).ok_or_else(|| Answer::words("404 Not Found", "there is nothing here")),
        };
        outcome.unwrap_or_else(|refusal| refusal)
    }

    fn file(&self, path: &str) -> Option<Answer> {
        let file = self.files.iter().find(|file| path.strip_prefix('/') == Some(file.path))?;
        let body = file.contents.clone().into_bytes();
        Some(Answer { status: "200 OK", media_type: file.media_type, policy: Some(VIEWER_POLICY), body })
    }

    fn documents(&self, query: &str) -> Result<Answer, Answer> {
        let order = match parameter(query, "order") {
            None => DocumentOrder::default(),
            Some(name) => {
                name.parse().map_err(|problem: String| Answer::words("400 Bad Request", &problem))?
            }
        };
        let from = number(query, "from")?.unwrap_or(0);
        let count = number(query, "count")?.unwrap_or(MOST_DOCUMENTS).min(MOST_DOCUMENTS);
        json(&self.comparison.find(order, &parameter(query, "find").unwrap_or_default(), (from, count)))
    }

    /// The stretch of a document that holds a token.
    fn document(&self, query: &str) -> Result<Answer, Answer> {
        let missing = || Answer::words("400 Bad Request", "`document` is missing");
        let document = number(query, "document")?.ok_or_else(missing)?;
        let token = number(query, "token")?.unwrap_or(0);
        let documents = self.comparison.tables.documents();
        let Some(entry) = documents.get(document) else {
            let words = format!("document {document} of {}, counted from 0", documents.len());
            return Err(Answer::words("404 Not Found", &words));
        };
        let last = entry.rows.saturating_sub(1);
        let token = u32::try_from(token).unwrap_or(u32::MAX).min(last);
        let from = token - token % STRETCH_TOKENS;
        json(&self.comparison.document(document, (from, STRETCH_TOKENS)).map_err(failed)?)
    }
}

fn json(value: &impl serde::Serialize) -> Result<Answer, Answer> {
    let body = serde_json::to_vec(value).map_err(failed)?;
    Ok(Answer { status: "200 OK", media_type: "application/json", policy: Some("default-src 'none'"), body })
}

fn failed(error: impl std::fmt::Display) -> Answer {
    Answer::words("500 Internal Server Error", &error.to_string())
}

fn number(query: &str, name: &str) -> Result<Option<usize>, Answer> {
    let Some(text) = parameter(query, name) else { return Ok(None) };
    let refused = |_| Answer::words("400 Bad Request", &format!("`{name}` is no number"));
    text.parse().map(Some).map_err(refused)
}

/// A parameter of a query as a form sends it: `+` is a space, `%41` a byte; what is no UTF-8 then is replaced.
fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.split_once('=').filter(|(found, _)| *found == name))?.1;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [byte, after @ ..] = rest {
        let code = match after {
            [high, low, ..] if *byte == b'%' => hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        bytes.push(code.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = "find=a%2Fb+c%C3%A9&from=12&order=&broken=%4&end=%";
        let found = |name| parameter(query, name);
        assert_eq!(found("find").as_deref(), Some("a/b cé"));
        assert_eq!(found("order").as_deref(), Some(""));
        assert_eq!(found("broken").as_deref(), Some("%4"));
        assert_eq!(found("end").as_deref(), Some("%"));
        assert_eq!(found("count"), None);
        assert_eq!(number(query, "from").unwrap(), Some(12));
        assert_eq!(number(query, "find").unwrap_err().status, "400 Bad Request");
        assert_eq!(number("from=-1", "from").unwrap_err().status, "400 Bad Request");
    }
}
