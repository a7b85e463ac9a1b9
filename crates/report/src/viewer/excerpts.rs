//! Which documents a reader sees: all of them in an order, or those that the report holds.

use deltaloss_records::{ComparisonTables, DocumentEntry, RecordsError, Role};
use deltaloss_stats::Comparison;

use super::payload::{DocumentItem, DocumentList, DocumentView, document_view};

/// Tokens of an excerpt in the report.
const EXCERPT_TOKENS: u32 = 1200;
/// Documents that the report holds of either direction, at most.
const EXCERPTS: usize = 6;

/// An order of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DocumentOrder {
    /// The most negative total Δ first: where a wins.
    #[default]
    WinsOfA,
    /// The largest total Δ first: where b wins.
    WinsOfB,
    /// The largest total |Δ| first.
    Size,
    /// That of the corpus.
    Corpus,
}

impl std::str::FromStr for DocumentOrder {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "a" => Ok(DocumentOrder::WinsOfA),
            "b" => Ok(DocumentOrder::WinsOfB),
            "size" => Ok(DocumentOrder::Size),
            "corpus" => Ok(DocumentOrder::Corpus),
            other => Err(format!("`{other}` is no order of documents; there are a, b, size and corpus")),
        }
    }
}

/// Documents whose name holds `find` (in any case), in an order; those of a page of `count` from the `from`th on.
pub fn find_documents(
    entries: &[DocumentEntry],
    order: DocumentOrder,
    find: &str,
    (from, count): (usize, usize),
) -> DocumentList {
    let find = find.to_lowercase();
    let holds = |entry: &DocumentEntry| find.is_empty() || entry.name.to_lowercase().contains(&find);
    let mut found: Vec<usize> = (0..entries.len()).filter(|&index| holds(&entries[index])).collect();
    let delta = |index: usize| entries[index].delta_nats;
    // Stable: documents of one total stay in the order of the corpus.
    match order {
        DocumentOrder::WinsOfA => found.sort_by(|&x, &y| delta(x).total_cmp(&delta(y))),
        DocumentOrder::WinsOfB => found.sort_by(|&x, &y| delta(y).total_cmp(&delta(x))),
        DocumentOrder::Size => found.sort_by(|&x, &y| delta(y).abs().total_cmp(&delta(x).abs())),
        DocumentOrder::Corpus => {}
    }
    let page = found.iter().skip(from).take(count);
    let documents = page.map(|&index| DocumentItem::of(index, &entries[index])).collect();
    DocumentList { matching: found.len(), documents }
}

/// The most telling documents, for the report: those whose total Δ is furthest below zero and furthest above, by turns. Of a
/// long one the stretch where its Δ adds up to most in that direction.
///
/// # Errors
/// The tables cannot be decoded or contradict each other.
pub fn excerpts(
    comparison: &Comparison,
    tables: &ComparisonTables,
) -> Result<Vec<DocumentView>, RecordsError> {
    let entries = tables.documents();
    let best = |order| find_documents(entries, order, "", (0, EXCERPTS)).documents;
    let wins = |sign: f64| move |item: &DocumentItem| item.tokens > 0 && item.total * sign > 0.0;
    let of_a: Vec<_> = best(DocumentOrder::WinsOfA).into_iter().filter(wins(-1.0)).collect();
    let of_b: Vec<_> = best(DocumentOrder::WinsOfB).into_iter().filter(wins(1.0)).collect();
    let mut found = Vec::new();
    for turn in 0..EXCERPTS {
        for (items, sign) in [(&of_a, -1.0), (&of_b, 1.0)] {
            let Some(item) = items.get(turn) else { continue };
            let from = if item.tokens <= EXCERPT_TOKENS {
                0
            } else {
                telling_stretch(&tables.deltas(item.document)?, sign)
            };
            let mut view = document_view(comparison, tables, item.document, (from, EXCERPT_TOKENS))?;
            view.models.retain(|model| in_report(model.role));
            view.own.retain(|own| in_report(own.model.role));
            found.push(view);
        }
    }
    Ok(found)
}

/// Whether the report holds this role's numbers of every token; those of the others would double its size.
pub(crate) fn in_report(role: &str) -> bool {
    [Role::A, Role::B].iter().any(|pair| pair.name() == role)
}

/// Where the stretch of a document begins whose Δ, times `sign`, adds up to most.
fn telling_stretch(deltas: &[f64], sign: f64) -> u32 {
    let length = (EXCERPT_TOKENS as usize).min(deltas.len());
    let mut sum: f64 = deltas[..length].iter().sum();
    let (mut best, mut best_sum) = (0, sign * sum);
    for start in 1..=deltas.len() - length {
        sum += deltas[start + length - 1] - deltas[start - 1];
        if sign * sum > best_sum {
            (best, best_sum) = (start, sign * sum);
        }
    }
    best as u32
}
