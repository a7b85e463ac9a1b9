//! The report as a sequence of blocks, the same for the page and for Markdown.

mod beyond;
mod methods;
mod sections;

use deltaloss_records::{Basis, Role};
use deltaloss_stats::{Comparison, SetupModel};

pub(crate) use methods::of_figure;

use crate::caveats::{failed_documents, window_difference};
use crate::figures::Figure;
use crate::findings::findings;
use crate::format;
use crate::prose::{Prose, in_words};
use crate::table::Table;
use crate::view::View;

/// What a comparison on the calibrated basis is about.
pub(crate) const CALIBRATED_IN_WORDS: &str = "Every loss, entropy and difference is that of the models calibrated: each model’s logits are divided by its own temperature, fitted on the discovery half.";

/// The section that the viewer stands before.
pub(crate) const METHODS: &str = "methods";

/// A report before it is written.
pub(crate) struct Story {
    /// `a against b`.
    pub(crate) title: Prose,
    /// The title without markup.
    pub(crate) plain_title: String,
    /// The answer, finding by finding.
    pub(crate) answer: Vec<Prose>,
    /// What the answer rests on and how far it goes.
    pub(crate) basis: Vec<Prose>,
    /// The rest, in the order of the post.
    pub(crate) sections: Vec<Section>,
}

/// A section with a heading.
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) blocks: Vec<Block>,
}

/// A piece of a section.
pub(crate) enum Block {
    Paragraph(Prose),
    List(Vec<Prose>),
    /// A figure, how to read it, and the tables that hold its data.
    Figure(Figure, Prose, Vec<Table>),
    Table(Table),
}

/// Builds the report.
pub(crate) fn story(comparison: &Comparison) -> Story {
    let view = View::new(comparison);
    let (a, b) = (view.label(Role::A), view.label(Role::B));
    Story {
        title: Prose::new().model(Role::A, &a).text(" against ").model(Role::B, &b),
        plain_title: format!("{a} against {b}"),
        answer: findings(view),
        basis: [
            Some(basis(view)),
            carried_in_words(view).map(|words| Prose::new().text(words)),
            windows(view),
            Some(limits(view)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        sections: sections(view),
    }
}

fn sections(view: View<'_>) -> Vec<Section> {
    let mut found = vec![
        sections::setup(view),
        sections::overall(view),
        sections::correlation(view),
        sections::categories(view),
        sections::brackets(view),
        sections::entropy(view),
        sections::confidence(view),
    ];
    found.extend(sections::oracle(view));
    found.extend(beyond::placebo(view));
    found.extend(sections::calibration(view));
    found.extend(sections::held_fixed(view));
    found.extend(beyond::confirmation(view));
    found.extend([methods::methods(view), methods::provenance(view)]);
    found
}

/// Which documents the headline numbers are about, and why.
pub(crate) fn halves_in_words(view: View<'_>) -> String {
    let documents = |count| format::counted(count, "document", "documents");
    match (view.halves_fall_short(), view.beside()) {
        (None, Some(discovery)) => format!(
            "The numbers on this page are those of the confirmation half, {} with {}, which took no part in fitting anything; where the discovery half’s stand beside them ({}), they are called so. All documents together are in the CSV files and in results.json.",
            documents(view.lead().documents),
            format::counted(view.lead().tokens, "token", "tokens"),
            documents(discovery.documents),
        ),
        (why, _) => format!(
            "The numbers on this page are those of all documents; discovery and confirmation are not told apart: {}.",
            why.unwrap_or_else(|| "there are no halves".to_owned())
        ),
    }
}

/// What the numbers were computed on.
fn basis(view: View<'_>) -> Prose {
    let setup = &view.comparison.setup;
    let corpus =
        setup.models.first().map_or("a corpus without a name", |model| model.run.corpus.name.as_str());
    let prose = match view.basis() {
        Basis::AsScored => Prose::new(),
        Basis::Calibrated => Prose::new().strong(CALIBRATED_IN_WORDS).text(" "),
    };
    let mut prose = prose.text("Computed on ").strong(corpus).text(format!(
        ": {}, {} ({}) that every model predicted. ",
        format::counted(setup.documents, "document", "documents"),
        format::counted(setup.tokens, "token", "tokens"),
        format::counted(setup.bytes, "byte", "bytes"),
    ));
    if let Some(failed) = failed_documents(view.comparison) {
        prose = prose.strong(&failed).text(". ");
    }
    if setup.left_out > 0 {
        let left_out = format::counted(setup.left_out, "token", "tokens");
        prose = prose.text(format!("{left_out} that only some of the models predicted are left out. "));
    }
    prose = prose.text(format!("{} Models: ", halves_in_words(view)));
    let runs = view.runs().count();
    for (index, model) in view.runs().enumerate() {
        let end = if index + 1 == runs { "." } else { "; " };
        prose =
            prose.model(model.role, &view.label(model.role)).text(format!("{}{end}", size_in_words(model)));
    }
    prose
}

/// How values came to the tokens of a, where some model has others.
pub(crate) fn carried_in_words(view: View<'_>) -> Option<String> {
    let labels: Vec<String> = view.carried().map(|model| view.label(model.role)).collect();
    let (has, its) = if labels.len() == 1 { ("has", "its") } else { ("have", "their") };
    (!labels.is_empty()).then(|| {
        format!(
            "{} {has} other tokens than {}: {its} losses were spread evenly over the bytes of {its} own tokens and summed over those of {}, which keeps totals, and {its} entropies are means over characters. What {its} own tokens were guessed to be says nothing of others, so there is no accuracy and no reliability diagram.{}",
            in_words(&labels),
            view.label(Role::A),
            view.label(Role::A),
            if view.tokens_differ() { " Δ is given by the byte too." } else { "" },
        )
    })
}

/// ` (475.1 million parameters, 6.55 million of them not zero)`.
fn size_in_words(model: &SetupModel) -> String {
    let info = &model.run.model;
    let (all, nonzero) = (format::parameters(info.parameters), format::parameters(info.nonzero_parameters));
    if nonzero == all {
        return format!(" ({all} parameters)");
    }
    format!(" ({all} parameters, {nonzero} of them not zero)")
}

/// A warning where the models did not see the same text before a token.
fn windows(view: View<'_>) -> Option<Prose> {
    let difference = window_difference(view.comparison)?;
    let warning = format!("Not the same task: {difference}.");
    Some(Prose::new().strong(&warning).text(
        " A model that sees more of the text before a token has the easier task; score the runs alike before reading on.",
    ))
}

/// How far the numbers go.
fn limits(view: View<'_>) -> Prose {
    let intervals = if view.has_intervals() {
        Prose::new().text("Brackets hold 95 % intervals over the choice of documents, each taken for itself: among many, some exclude zero by chance. An asterisk marks what differs from zero at q\u{a0}<\u{a0}0.05, which allows for how many were tested. ")
    } else {
        let why = match &view.lead().intervals.none_because {
            Some(reason) => format!(": {reason}."),
            None => ".".to_owned(),
        };
        Prose::new().strong(format!("These numbers carry no intervals{why}")).text(
            " Tokens of one document are not independent of each other, so a small difference may come from the choice of documents. ",
        )
    };
    intervals.text("All of this holds for these models on this corpus; it does not say why one is better, nor that others of its kind would be.")
}
