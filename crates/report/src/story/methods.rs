//! The sections that say how the numbers came about.

use deltaloss_records::Basis;
use deltaloss_stats::{IntervalNote, SetupModel};

use super::{Block, CALIBRATED_IN_WORDS, Section};
use crate::format;
use crate::prose::{Prose, in_words};
use crate::table::{Cell, Column, Kind, Table};
use crate::view::{FEW_TOKENS, View};

pub(super) fn methods(view: View<'_>) -> Section {
    let items = [
        "Loss is −ln p of the token given what precedes it; entropy is −Σ p ln p of the predictive distribution over the whole vocabulary. Both are in nats.".to_owned(),
        "Bits per byte are the total loss in bits over the UTF-8 bytes of the tokens; perplexity is exp(mean loss); top-1 accuracy is the share of tokens that no vocabulary entry outranks.".to_owned(),
        format!("Tokens fall into categories by the rules “{}”; the first rule that matches decides, so the categories share no token.", view.comparison.setup.rules),
        format!("Sentences name and count only groups with at least {FEW_TOKENS} tokens. A difference that rounds to 0.000 counts as none."),
        "A document’s half follows from the first bit of its text’s SHA-256, so it is the same in every run. Temperatures were fitted on the discovery half alone.".to_owned(),
        match view.basis() {
            Basis::AsScored => "Losses and entropies are as the models gave them, except where they are called calibrated: there each model’s logits are divided by its own temperature.".to_owned(),
            Basis::Calibrated => format!("{CALIBRATED_IN_WORDS} Numbers as scored are called so."),
        },
        intervals_in_words(&view.lead().intervals, view.has_intervals()),
        tests_in_words(),
        "The same numbers at full precision lie beside this report, those of either half, of all documents and on either basis: results.json, tables/*.csv, figures/*.svg.".to_owned(),
    ];
    let blocks = vec![Block::List(items.into_iter().map(|item| Prose::new().text(item)).collect())];
    Section { id: "methods", title: "Methods", blocks }
}

/// What a mark says.
fn tests_in_words() -> String {
    "An asterisk marks a number that differs from zero at q\u{a0}<\u{a0}0.05: a t test on its clustered standard error, and the Benjamini–Hochberg q-value among the tested numbers of its column. What carries none was not tested, or does not hold.".to_owned()
}

/// How the intervals were made.
fn intervals_in_words(note: &IntervalNote, are_there: bool) -> String {
    if !are_there {
        return match &note.none_because {
            Some(reason) => format!("No number carries an interval: {reason}."),
            None => "No number carries an interval.".to_owned(),
        };
    }
    format!(
        "Intervals, in brackets and as whiskers, are at 95 %: {}, {} of {}, seed {}. A number whose tokens lie in fewer than {} documents carries none, nor does a share of a gap within five standard errors of zero. Beside each interval results.json and tables/*.csv give a standard error with documents as clusters (not for correlations over vocabulary entries that count each entry once); all tests use it, with the t distribution.",
        note.method,
        format::counted(note.replicates, "resample", "resamples"),
        format::counted(note.documents, "document", "documents"),
        note.seed,
        note.fewest_documents
    )
}

/// A fact of a run's provenance: its name and its cell.
type Fact = (&'static str, fn(&SetupModel) -> Cell);

const FACTS: [Fact; 15] = [
    ("Source", |model| Cell::Text(model.run.model.source.clone())),
    ("Model SHA-256", |model| Cell::Hash(model.run.model.sha256.clone())),
    ("Tokenizer", |model| Cell::Text(model.run.tokenizer.name.clone())),
    ("Tokenizer SHA-256", |model| Cell::Hash(model.run.tokenizer.sha256.clone())),
    ("Vocabulary entries", |model| Cell::Count(Some(model.run.tokenizer.size))),
    ("Corpus", |model| Cell::Text(model.run.corpus.name.clone())),
    ("Corpus SHA-256", |model| Cell::Hash(model.run.corpus.sha256.clone())),
    ("Documents", |model| Cell::Count(Some(model.run.corpus.documents))),
    ("Documents skipped on request", |model| Cell::Count(Some(model.run.corpus.skipped))),
    ("Windows", |model| Cell::Text(window_in_words(model))),
    ("Temperature", |model| {
        Cell::Text(model.run.temperature.map_or_else(|| "not fitted".to_owned(), format::significant))
    }),
    ("Engine", |model| Cell::Text(model.run.engine.version.clone())),
    ("Instruction set", |model| Cell::Text(model.run.engine.instruction_set.clone())),
    ("Threads", |model| Cell::Count(Some(model.run.engine.threads.into()))),
    ("Scoring took", |model| {
        let seconds = format::duration(model.run.elapsed_seconds);
        Cell::Text(format!("{seconds}, {} tokens a second", format::rate(model.run.tokens_per_second)))
    }),
];

fn window_in_words(model: &SetupModel) -> String {
    let window = &model.run.window;
    let mut parts = vec![format!("{}, {} inputs", window.mode, format::count(window.context.into()))];
    parts.extend(window.stride.map(|stride| format!("stride {}", format::count(stride.into()))));
    parts.push(match window.beginning_of_text {
        Some(token) => format!("token {token} in front"),
        None => "nothing in front".to_owned(),
    });
    in_words(&parts)
}

pub(super) fn provenance(view: View<'_>) -> Section {
    let comparison = view.comparison;
    let runs: Vec<&SetupModel> = view.runs().collect();
    let (mut shared, mut own) = (Vec::new(), Vec::new());
    for (name, fact) in FACTS {
        let mut row = vec![Cell::Text(name.to_owned())];
        let cells: Vec<Cell> = runs.iter().map(|run| fact(run)).collect();
        let same =
            runs.len() > 1 && cells.windows(2).all(|pair| matches!(pair, [one, other] if one == other));
        row.extend(cells.into_iter().take(if same { 1 } else { usize::MAX }));
        if same { shared.push(row) } else { own.push(row) }
    }
    let fact = || Column::new("fact", "", Kind::Text);
    let shared_columns = vec![fact(), Column::new("value", "Every run", Kind::Text)];
    let mut own_columns = vec![fact()];
    own_columns.extend(runs.iter().map(|run| Column::new("value", view.short_label(run.role), Kind::Text)));
    let table = |name, caption: &str, columns, rows| Table {
        name,
        caption: caption.to_owned(),
        columns,
        rows,
        more_rows: Vec::new(),
        is_data: false,
    };
    let blocks = vec![
        Block::Paragraph(
            Prose::new().text("Hashes are cut to twelve characters; setup.csv holds them in full."),
        ),
        Block::Table(table("provenance_shared", "What the runs share.", shared_columns, shared)),
        Block::Table(table("provenance", "What is each run’s own.", own_columns, own)),
        Block::Paragraph(Prose::new().text(format!("Results schema: {}.", comparison.schema))),
    ];
    Section { id: "provenance", title: "Provenance", blocks }
}

/// How a figure's numbers were computed, in a sentence or two.
pub(crate) fn of_figure(name: &str) -> &'static str {
    match name {
        "overall" => {
            "Means over the joined tokens, every token once. Intervals resample documents, so a document’s tokens stay together."
        }
        "correlation" => {
            "The mean loss of each vocabulary entry under either model, in a grid of 20 by 20 cells on logarithmic axes. r is Pearson’s over the entries that occur, each counted once, of the losses themselves, not of their logarithms."
        }
        "correlation_occurrences" => {
            "Every joined token’s two losses. r is Pearson’s over tokens, of the losses themselves, not of their logarithms."
        }
        "categories" => {
            "A category’s Δ is the mean over its tokens of one model’s loss minus the other’s. Intervals resample documents; the mark is a t test on the document-clustered standard error, after Benjamini and Hochberg among all categories."
        }
        "brackets" => {
            "Means of Δ over the tokens of each row, as for categories. Depth counts brackets opened in code before the token and not yet closed, by a scan that knows strings and comments."
        }
        "entropy" => {
            "Entropies of every joined token are counted in narrow bins, the cumulative histogram is smoothed, and its slope is drawn."
        }
        "confidence" => {
            "Tokens are chosen by both models’ entropies at the thresholds of the row; Δ is the mean over them. The placebo takes the first model’s place, with tokens chosen anew by its own entropies."
        }
        "oracle" => {
            "The oracle’s entropies are carried to these tokens by characters and cut into bins of equal count; Δ is the mean in each. The trend is least squares over tokens, not over bins."
        }
        "placebo" => {
            "For every category the mean of (a − b) − (placebo − b), that is of a − placebo, with the intervals and tests of that difference itself, from the same resamples of documents."
        }
        "reliability" => {
            "Fifteen bins of equal width by the probability of the likeliest token; in each, the share of tokens that were it. The expected calibration error weights the bins’ distances from the diagonal by their tokens."
        }
        "confirmation" => {
            "The same means as in the figure of categories, on documents that have no part in one another. Temperatures were fitted on the discovery half alone."
        }
        _ => "The section on methods says how.",
    }
}
