//! `deltaloss show`: a comparison's documents in the terminal.

use deltaloss::OpenComparison;
use deltaloss::records::Role;
use deltaloss::report::viewer::{DocumentItem, DocumentOrder};
use deltaloss::report::{Colours, Shade, terminal_document, terminal_documents};
use serde::Serialize;

use super::arguments::{ShadeChoice, Show};
use super::comparing::WIDTH;
use super::failure::{Failure, say};

/// Documents listed where none is named, and names given where one fits several.
const LISTED: usize = 20;

pub(crate) fn run(call: &Show, colours: Colours) -> Result<(), Failure> {
    let comparison = OpenComparison::open(&call.comparison)?;
    let view = comparison.view();
    let Some(name) = &call.document else {
        let count = if call.json { usize::MAX } else { LISTED };
        let list = comparison.find(DocumentOrder::from(call.order), "", (0, count));
        return match call.json {
            true => say_json(&serde_json::json!({ "comparison": view, "documents": list })),
            false => say(&terminal_documents(&list, WIDTH, colours)),
        };
    };
    let shade = shade(call.shade);
    if !shade.is_in(&view) {
        return Err(Failure::Misuse("--shade names a run that this comparison does not have".into()));
    }
    let item = find(&comparison, name)?;
    let first = call.from.saturating_sub(1);
    let document = comparison.document(item.document, (first, call.tokens.unwrap_or(u32::MAX)))?;
    if call.json {
        return say_json(&serde_json::json!({ "comparison": view, "document": document }));
    }
    say(&terminal_document(&view, &document, shade, colours))
}

/// The document of this name; or the only one whose name holds it.
fn find(comparison: &OpenComparison, name: &str) -> Result<DocumentItem, Failure> {
    let documents = comparison.tables.documents();
    if let Some(index) = documents.iter().position(|document| document.name == name) {
        return Ok(DocumentItem::of(index, &documents[index]));
    }
    let mut found = comparison.find(DocumentOrder::Corpus, name, (0, LISTED));
    match (found.matching, found.documents.pop()) {
        (1, Some(item)) => Ok(item),
        (0, _) | (_, None) => Err(Failure::work(format!(
            "no document's name holds `{name}`; `deltaloss show` and the folder alone list them"
        ))),
        (matching, Some(last)) => {
            let names: Vec<String> =
                found.documents.into_iter().chain([last]).map(|item| item.name).collect();
            let more = if matching > names.len() { ", …" } else { "" };
            Err(Failure::work(format!(
                "{matching} documents' names hold `{name}`, name one of them: {}{more}",
                names.join(", ")
            )))
        }
    }
}

fn shade(choice: ShadeChoice) -> Shade {
    match choice {
        ShadeChoice::Delta => Shade::Delta,
        ShadeChoice::LossA => Shade::Loss(Role::A),
        ShadeChoice::LossB => Shade::Loss(Role::B),
        ShadeChoice::EntropyA => Shade::Entropy(Role::A),
        ShadeChoice::EntropyB => Shade::Entropy(Role::B),
        ShadeChoice::Oracle => Shade::Entropy(Role::Oracle),
    }
}

/// Writes a value as JSON, on one line.
pub(crate) fn say_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string(value).map_err(Failure::work)?;
    text.push('\n');
    say(&text)
}
