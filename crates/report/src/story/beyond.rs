//! The sections that hold the differences against something: a change of seed, other documents.

use deltaloss_records::Role;

use super::sections::{delta_defined, legend};
use super::{Block, Section};
use crate::figures;
use crate::format::{self, NumberFormat};
use crate::prose::Prose;
use crate::tables;
use crate::view::{FEW_TOKENS, View, holds};

/// What goes beyond a change of seed; nothing without a placebo.
pub(super) fn placebo(view: View<'_>) -> Option<Section> {
    let figure = figures::placebo(view.comparison)?;
    let table = tables::placebo(view.comparison);
    let mut words = Prose::new()
        .text("Two models trained alike but for their seed differ too. ")
        .model(Role::Placebo, &view.label(Role::Placebo))
        .text(" is ")
        .model(Role::B, &view.label(Role::B))
        .text(" trained again: what Δ shows between these two, on the same tokens, is what a seed does by itself. The difference of the two Δ is what counts.");
    if let Some(found) = view.lead().overall.placebo_difference {
        let mark = if holds(found.mean_delta_test) {
            ", which differs from zero"
        } else {
            ", which is not shown to differ from zero"
        };
        words = words.text(format!(
            " Over all tokens it is {} nats{mark}.",
            NumberFormat::Delta.write_estimate(Some(found.mean_delta_nats))
        ));
    }
    let caption = Prose::new().text(format!("A bar is a category’s Δ less the placebo’s, ordered by it; whiskers are 95 % intervals of that difference, not of its parts. Categories with fewer than {FEW_TOKENS} tokens are faint and do not set the scale. One retraining stands for all: another could differ."));
    let tests = view.lead().categories.iter().any(|row| row.difference_test.is_some());
    let blocks = vec![
        Block::Paragraph(words),
        Block::Figure(figure, caption, vec![table.clone()]),
        Block::Table(table),
        legend(tests),
    ];
    Some(Section { id: "placebo", title: "Placebo", blocks })
}

/// Whether what the discovery half shows holds in the confirmation half; nothing where they are not told apart.
pub(super) fn confirmation(view: View<'_>) -> Option<Section> {
    let figure = figures::confirmation(view.comparison)?;
    let table = tables::confirmation(view.comparison);
    let discovery = view.beside()?;
    let shown = discovery.categories.iter().filter(|row| holds(row.delta_test)).count();
    let words = Prose::new().text(format!(
        "Whoever looks at many numbers finds some that stand out by chance. So the documents are halved by a hash of their text: what {} of the discovery half suggest, {} of the confirmation half have to show again. Of {} that differ from zero in the discovery half, the last column says which do so in both.",
        format::counted(discovery.documents, "document", "documents"),
        format::count(view.lead().documents),
        format::counted(shown as u64, "category", "categories"),
    ));
    let caption = delta_defined(view).text("Bars are the confirmation half, with its 95 % intervals; hollow marks the discovery half on its own documents. A mark beyond the whiskers contradicts nothing by itself, for it has an interval of its own; the table gives both.");
    let tests = view.lead().categories.iter().any(|row| row.delta_test.is_some());
    let blocks = vec![
        Block::Paragraph(words),
        Block::Figure(figure, caption, vec![table.clone()]),
        Block::Table(table),
        legend(tests),
    ];
    Some(Section { id: "confirmation", title: "Confirmation", blocks })
}
