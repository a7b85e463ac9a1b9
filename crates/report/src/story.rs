//! The report as a sequence of blocks, the same for the page and for Markdown.

use deltaloss_records::{Basis, Role};
use deltaloss_stats::{Comparison, Heatmap, IntervalNote, PairCorrelation, SetupModel};

use crate::caveats::window_difference;
use crate::figures::{self, Figure};
use crate::findings::findings;
use crate::format;
use crate::prose::{Prose, in_words};
use crate::table::{Cell, Column, Kind, Table};
use crate::tables::{self, Weighing};
use crate::view::{FEW_TOKENS, View, role_in_words};

/// What a comparison on the calibrated basis is about.
pub(crate) const CALIBRATED_IN_WORDS: &str = "Every loss, entropy and difference is that of the models calibrated: each model’s logits are divided by its own temperature, fitted on the discovery half.";

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
        basis: [Some(basis(view)), windows(view), Some(limits(view))].into_iter().flatten().collect(),
        sections: vec![
            setup(view),
            overall(view),
            correlation(view),
            categories(view),
            brackets(view),
            entropy(view),
            confidence(view),
            methods(view),
            provenance(view),
        ],
    }
}

/// What the numbers were computed on.
fn basis(view: View<'_>) -> Prose {
    let setup = &view.comparison.setup;
    let corpus =
        setup.models.first().map_or("a corpus without a name", |model| model.run.corpus.name.as_str());
    let prose = match setup.basis {
        Basis::AsScored => Prose::new(),
        Basis::Calibrated => Prose::new().strong(CALIBRATED_IN_WORDS).text(" "),
    };
    let mut prose = prose.text("Computed on ").strong(corpus).text(format!(
        ": {}, {} ({}) that every model predicted. ",
        format::counted(setup.documents, "document", "documents"),
        format::counted(setup.tokens, "token", "tokens"),
        format::counted(setup.bytes, "byte", "bytes"),
    ));
    if setup.left_out > 0 {
        let left_out = format::counted(setup.left_out, "token", "tokens");
        prose = prose.text(format!("{left_out} that only some of the models predicted are left out. "));
    }
    prose = prose.text("Models: ");
    for (index, model) in setup.models.iter().enumerate() {
        let end = if index + 1 == setup.models.len() { "." } else { "; " };
        prose =
            prose.model(model.role, &view.label(model.role)).text(format!("{}{end}", size_in_words(model)));
    }
    prose
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
        Prose::new().text("Brackets hold 95 % intervals over the choice of documents, each taken for itself: among many, some exclude zero by chance. A number without brackets carries none. ")
    } else {
        let why = match &view.comparison.all.intervals.none_because {
            Some(reason) => format!(": {reason}."),
            None => ".".to_owned(),
        };
        Prose::new().strong(format!("These numbers carry no intervals{why}")).text(
            " Tokens of one document are not independent of each other, so a small difference may come from the choice of documents. ",
        )
    };
    intervals.text("All of this holds for these models on this corpus; it does not say why one is better, nor that others of its kind would be.")
}

/// ΔLoss and its sign, for captions.
fn delta_defined(view: View<'_>) -> Prose {
    let (a, b) = (view.label(Role::A), view.label(Role::B));
    Prose::new()
        .text("Δ is the loss of ")
        .model(Role::A, &a)
        .text(" minus the loss of ")
        .model(Role::B, &b)
        .text(", in nats a token: below zero ")
        .model(Role::A, &a)
        .text(" is better, above zero ")
        .model(Role::B, &b)
        .text(". ")
}

fn placebo_defined(view: View<'_>) -> Prose {
    if !view.has_placebo() {
        return Prose::new();
    }
    Prose::new()
        .text("Hollow marks are the placebo, ")
        .model(Role::Placebo, &view.label(Role::Placebo))
        .text(" minus ")
        .model(Role::B, &view.label(Role::B))
        .text(" on tokens chosen the same way. ")
}

fn setup(view: View<'_>) -> Section {
    let roles: Vec<Prose> = view
        .comparison
        .setup
        .models
        .iter()
        .map(|model| {
            Prose::new()
                .model(model.role, &view.label(model.role))
                .text(format!(" – {}.", role_in_words(model.role)))
        })
        .collect();
    let blocks = vec![
        Block::Paragraph(delta_defined(view).text("Every model scored the same documents; the tables below are about the tokens that all of them predicted.")),
        Block::List(roles),
        Block::Table(tables::setup(view.comparison)),
    ];
    Section { id: "setup", title: "Setup", blocks }
}

fn overall(view: View<'_>) -> Section {
    let comparison = view.comparison;
    let models = tables::overall_models(comparison);
    let caption = Prose::new().text("Mean loss and mean entropy, one row per model. Further left is a lower loss, or a sharper model. The axes do not start at zero.");
    let blocks = vec![
        Block::Figure(figures::overall(comparison), caption, vec![models.clone()]),
        Block::Table(models),
        Block::Table(tables::overall_pairs(comparison)),
    ];
    Section { id: "overall", title: "Overall", blocks }
}

fn correlation(view: View<'_>) -> Section {
    let comparison = view.comparison;
    let caption = |what: &str, outside: u64| {
        let beyond = match outside {
            0 => String::new(),
            n => format!(
                " Up to {} tokens of a panel lie beyond the grid and are not drawn; r counts them.",
                format::count(n)
            ),
        };
        Prose::new().text(format!(
            "One panel per pair of models. {what}{beyond} Colour counts tokens on a logarithmic scale; on the dashed diagonal both losses are equal, below it the model on the y axis is better."
        ))
    };
    let entries = "A vocabulary entry lies at the mean losses of its occurrences and adds all of them to its cell; r counts every entry once.";
    let occurrences = "Each occurrence of a token lies at its own two losses; r is over occurrences.";
    let outside = |grid: fn(&PairCorrelation) -> &Heatmap| {
        comparison.all.correlation.iter().map(|pair| grid(pair).outside).max().unwrap_or(0)
    };
    let blocks = vec![
        Block::Paragraph(Prose::new().text(
            "Do the models fail on the same tokens? A correlation over vocabulary entries and one over occurrences are different numbers, so all are given and named.",
        )),
        Block::Figure(
            figures::correlation(comparison, Weighing::Vocabulary),
            caption(entries, outside(|pair| &pair.heatmap_vocabulary)),
            vec![tables::correlation_grid(comparison, Weighing::Vocabulary)],
        ),
        Block::Figure(
            figures::correlation(comparison, Weighing::Occurrences),
            caption(occurrences, outside(|pair| &pair.heatmap_occurrences)),
            vec![tables::correlation_grid(comparison, Weighing::Occurrences)],
        ),
        Block::Table(tables::correlation(comparison)),
    ];
    Section { id: "correlation", title: "Correlation of losses", blocks }
}

fn categories(view: View<'_>) -> Section {
    let table = tables::categories(view.comparison);
    let caption = delta_defined(view)
        .then(placebo_defined(view))
        .text(format!("Categories with fewer than {FEW_TOKENS} tokens are faint and do not set the scale."));
    let blocks = vec![
        Block::Figure(figures::categories(view.comparison), caption, vec![table.clone()]),
        Block::Table(table),
        Block::Paragraph(Prose::new().text(
            "The share of the gap is a category’s summed Δ over the summed Δ of all tokens. Where the models are nearly equal that total is small, and the shares are large and of both signs.",
        )),
    ];
    Section { id: "categories", title: "Categories of tokens", blocks }
}

fn brackets(view: View<'_>) -> Section {
    let tables = [
        tables::brackets_by_token(view.comparison),
        tables::brackets_by_count(view.comparison),
        tables::brackets_by_depth(view.comparison),
    ];
    let caption = delta_defined(view)
        .then(placebo_defined(view))
        .text(format!("Three panels on one scale. Groups with fewer than {FEW_TOKENS} tokens are faint and do not set it; a bar that goes on beyond it is broken off, and its number stands beside it."));
    let mut blocks = vec![
        Block::Paragraph(
            Prose::new().text("Which bracket closes is settled by what opened it; when it closes is not."),
        ),
        Block::Figure(figures::brackets(view.comparison), caption, tables.to_vec()),
    ];
    blocks.extend(tables.map(Block::Table));
    blocks.push(Block::Paragraph(Prose::new().text(
        "Closing brackets in strings and comments count too, and so do those of tokens such as () that open a bracket themselves. The depth counts brackets opened in code before the token and not yet closed, so a bracket in a string or comment, or one that its own token opened, can stand at depth 0.",
    )));
    Section { id: "brackets", title: "Closing brackets", blocks }
}

fn entropy(view: View<'_>) -> Section {
    let comparison = view.comparison;
    let caption = Prose::new().text(
        "How often each model’s predictive distribution has a given entropy: the area under a curve is one. Further left is sharper. The density is the slope of a smoothed cumulative histogram.",
    );
    let table = tables::entropy(comparison);
    let blocks = vec![
        Block::Figure(
            figures::entropy(comparison),
            caption,
            vec![tables::entropy_density(comparison), table.clone()],
        ),
        Block::Table(table),
    ];
    Section { id: "entropy", title: "Entropy", blocks }
}

fn confidence(view: View<'_>) -> Section {
    let table = tables::confidence(view.comparison);
    let caption = Prose::new()
        .text("A row is a pair of thresholds: one model’s entropy below c nats, the other’s above u. ")
        .then(delta_defined(view))
        .then(placebo_defined(view))
        .text(format!("The mark’s shape says which model is the confident one. Marks for fewer than {FEW_TOKENS} tokens are faint and do not set the scale; an arrow points to those beyond it."));
    let mut blocks = vec![Block::Paragraph(Prose::new().text(
        "When one model is confident and the other is not, how much better is the confident one? The tokens are chosen by the models’ own entropies, which by itself can favour the confident model.",
    ))];
    blocks.push(Block::Figure(figures::confidence(view.comparison), caption, vec![table.clone()]));
    blocks.push(Block::Table(table));
    Section { id: "confidence", title: "Confidence", blocks }
}

fn methods(view: View<'_>) -> Section {
    let items = [
        "Loss is −ln p of the token given what precedes it; entropy is −Σ p ln p of the predictive distribution over the whole vocabulary. Both are in nats.".to_owned(),
        "Bits per byte are the total loss in bits over the UTF-8 bytes of the tokens; perplexity is exp(mean loss); top-1 accuracy is the share of tokens that no vocabulary entry outranks.".to_owned(),
        format!("Tokens fall into categories by the rules “{}”; the first rule that matches decides, so the categories share no token.", view.comparison.setup.rules),
        format!("Sentences name and count only groups with at least {FEW_TOKENS} tokens. A difference that rounds to 0.000 counts as none."),
        match view.comparison.setup.basis {
            Basis::AsScored => "Losses and entropies are as the models gave them, not calibrated; the table of the models says how far that matters.".to_owned(),
            Basis::Calibrated => format!("{CALIBRATED_IN_WORDS} Expected calibration errors are given as scored and at the temperature."),
        },
        intervals_in_words(&view.comparison.all.intervals, view.has_intervals()),
        "The same numbers at full precision lie beside this report: results.json, tables/*.csv, figures/*.svg.".to_owned(),
    ];
    let blocks = vec![Block::List(items.into_iter().map(|item| Prose::new().text(item)).collect())];
    Section { id: "methods", title: "Methods", blocks }
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
        "Intervals, in brackets and as whiskers, are at 95 %: {}, {} of {}, seed {}. All documents count here; results.json has the discovery and the confirmation half apart. A number whose tokens lie in fewer than {} documents carries none, nor does a share of a gap that may have either sign. Beside each interval results.json and tables/*.csv give a standard error with documents as clusters (not for correlations over vocabulary entries that count each entry once); the tests in results.json and that of equivalence use it, with the t distribution.",
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

fn provenance(view: View<'_>) -> Section {
    let comparison = view.comparison;
    let runs = &comparison.setup.models;
    let (mut shared, mut own) = (Vec::new(), Vec::new());
    for (name, fact) in FACTS {
        let mut row = vec![Cell::Text(name.to_owned())];
        let cells: Vec<Cell> = runs.iter().map(fact).collect();
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
