//! Every table of a comparison: what the page shows and what `tables/*.csv` holds.

mod grid;

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, ConfidenceCell, DeltaRow, Equivalence};

use crate::format::NumberFormat::{Delta, Nats, Plain, Share, Significant};
use crate::table::{Cell, Column, Kind, Table};
use crate::view::View;

pub(crate) use grid::filled_cells;
pub use grid::{Weighing, correlation_grid};

/// Every table, in the order of the report.
pub fn tables(comparison: &Comparison) -> Vec<Table> {
    vec![
        setup(comparison),
        overall_models(comparison),
        overall_pairs(comparison),
        correlation(comparison),
        correlation_grid(comparison, Weighing::Vocabulary),
        correlation_grid(comparison, Weighing::Occurrences),
        categories(comparison),
        brackets_by_token(comparison),
        brackets_by_count(comparison),
        brackets_by_depth(comparison),
        entropy(comparison),
        entropy_density(comparison),
        confidence(comparison),
    ]
}

/// The models with their full provenance.
pub fn setup(comparison: &Comparison) -> Table {
    let text = |key, heading: &str| Column::new(key, heading, Kind::Text);
    let count = |key, heading: &str| Column::new(key, heading, Kind::Count);
    let number = |key, heading: &str, format| Column::new(key, heading, Kind::Number(format));
    let columns = vec![
        text("role", "Role"),
        text("label", "Label"),
        text("model", "Model").only_in_file(),
        text("source", "Source").only_in_file(),
        text("model_sha256", "Model SHA-256").only_in_file(),
        text("architecture", "Architecture"),
        count("parameters", "Parameters"),
        count("nonzero_parameters", "Non-zero parameters"),
        text("tokenizer", "Tokenizer").only_in_file(),
        text("tokenizer_sha256", "Tokenizer SHA-256").only_in_file(),
        count("vocabulary_entries", "Vocabulary").only_in_file(),
        text("corpus", "Corpus").only_in_file(),
        text("corpus_sha256", "Corpus SHA-256").only_in_file(),
        count("documents", "Documents").only_in_file(),
        count("documents_skipped", "Skipped").only_in_file(),
        text("window_mode", "Windows").only_in_file(),
        count("window_context_tokens", "Context").only_in_file(),
        count("window_stride_tokens", "Stride").only_in_file(),
        count("beginning_of_text", "Beginning of text").only_in_file(),
        number("temperature", "Temperature", Plain).only_in_file(),
        text("engine", "Engine").only_in_file(),
        text("instruction_set", "Instruction set").only_in_file(),
        count("threads", "Threads").only_in_file(),
        count("tokens", "Tokens scored"),
        count("bytes", "Bytes").only_in_file(),
        number("mean_loss_nats", "Mean loss (nats)", Nats).only_in_file(),
        number("mean_entropy_nats", "Mean entropy (nats)", Nats).only_in_file(),
        number("bits_per_byte", "Bits per byte", Nats).only_in_file(),
        number("elapsed_seconds", "Elapsed (s)", Significant).only_in_file(),
        number("tokens_per_second", "Tokens a second", Significant).only_in_file(),
    ];
    let rows = comparison.setup.models.iter().map(setup_row).collect();
    Table { name: "setup", caption: "The models, as they were scored.".into(), columns, rows, is_data: true }
}

fn setup_row(model: &deltaloss_stats::SetupModel) -> Vec<Cell> {
    let run = &model.run;
    let text = |text: &str| Cell::Text(text.to_owned());
    let count = |count: u64| Cell::Count(Some(count));
    vec![
        text(model.role.name()),
        text(&model.label),
        text(&run.model.name),
        text(&run.model.source),
        Cell::Hash(run.model.sha256.clone()),
        text(&run.model.architecture),
        count(run.model.parameters),
        count(run.model.nonzero_parameters),
        text(&run.tokenizer.name),
        Cell::Hash(run.tokenizer.sha256.clone()),
        count(run.tokenizer.size),
        text(&run.corpus.name),
        Cell::Hash(run.corpus.sha256.clone()),
        count(run.corpus.documents),
        count(run.corpus.skipped),
        text(&run.window.mode),
        count(run.window.context.into()),
        Cell::Count(run.window.stride.map(u64::from)),
        Cell::Count(run.window.beginning_of_text.map(u64::from)),
        Cell::Number(run.temperature),
        text(&run.engine.version),
        text(&run.engine.instruction_set),
        count(run.engine.threads.into()),
        count(run.totals.tokens),
        count(run.totals.bytes),
        Cell::Number(Some(run.totals.mean_loss_nats)),
        Cell::Number(Some(run.totals.mean_entropy_nats)),
        Cell::Number(Some(run.totals.bits_per_byte)),
        Cell::Number(Some(run.elapsed_seconds)),
        Cell::Number(Some(run.tokens_per_second)),
    ]
}

/// Each model on the joined tokens.
pub fn overall_models(comparison: &Comparison) -> Table {
    let columns = vec![
        Column::new("role", "Role", Kind::Text),
        Column::new("model", "Model", Kind::Text),
        Column::new("mean_loss_nats", "Mean loss (nats)", Kind::Estimate(Nats)),
        Column::new("bits_per_byte", "Bits per byte", Kind::Estimate(Nats)),
        Column::new("perplexity", "Perplexity", Kind::Estimate(Significant)),
        Column::new("top1_accuracy", "Top-1 accuracy", Kind::Estimate(Share)),
        Column::new("mean_entropy_nats", "Mean entropy (nats)", Kind::Estimate(Nats)),
        Column::new("median_entropy_nats", "Median entropy (nats)", Kind::Estimate(Nats)),
    ];
    let rows = comparison.all.overall.models.iter().map(|model| {
        vec![
            Cell::Text(model.role.name().to_owned()),
            Cell::Text(model.label.clone()),
            Cell::estimate(model.mean_loss_nats),
            Cell::estimate(model.bits_per_byte),
            Cell::estimate(model.perplexity),
            Cell::estimate(model.top1_accuracy),
            Cell::estimate(model.mean_entropy_nats),
            Cell::estimate(model.median_entropy_nats),
        ]
    });
    let caption = "Each model on the joined tokens.".into();
    Table { name: "overall_models", caption, columns, rows: rows.collect(), is_data: true }
}

/// Pairs of models on the joined tokens.
pub fn overall_pairs(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        Column::new("first", "First model", Kind::Text),
        Column::new("second", "Second model", Kind::Text),
        Column::new("mean_delta_nats", "Mean Δ, first − second (nats)", Kind::Estimate(Delta)),
        Column::new("first_wins_tokens", "Tokens the first wins", Kind::Estimate(Share)),
        Column::new("first_wins_documents", "Documents the first wins", Kind::Estimate(Share)),
        Column::new("equivalence_margin_nats", "Margin of equivalence (nats)", Kind::Number(Plain))
            .only_in_file(),
        Column::new("equivalence_p_value", "Equivalence, p", Kind::Number(Nats)),
        Column::new("equivalent", "Equivalent", Kind::Text),
    ];
    let rows = comparison.all.overall.pairs.iter().map(|pair| {
        vec![
            Cell::Text(view.label(pair.first)),
            Cell::Text(view.label(pair.second)),
            Cell::estimate(pair.mean_delta_nats),
            Cell::estimate(pair.first_wins_tokens),
            Cell::estimate(pair.first_wins_documents),
            Cell::Number(pair.equivalence.map(|test| test.margin_nats)),
            Cell::Number(pair.equivalence.map(|test| test.p_value)),
            Cell::Text(pair.equivalence.map_or("not tested", equivalent_in_words).to_owned()),
        ]
    });
    let mut caption = "Pairs of models. Δ < 0: the first has the lower loss.".to_owned();
    if let Some(test) = comparison.all.overall.pairs.iter().find_map(|pair| pair.equivalence) {
        caption.push_str(&format!(
            " Equivalence: two one-sided tests of |mean Δ| < {} nats.",
            Plain.write(test.margin_nats)
        ));
    }
    Table { name: "overall_pairs", caption, columns, rows: rows.collect(), is_data: true }
}

fn equivalent_in_words(test: Equivalence) -> &'static str {
    if test.equivalent { "yes" } else { "not shown" }
}

/// Correlations of every pair of models.
pub fn correlation(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        Column::new("x", "x", Kind::Text),
        Column::new("y", "y", Kind::Text),
        Column::new("pearson_vocabulary", "r, vocabulary entries", Kind::Estimate(Nats)),
        Column::new("pearson_vocabulary_weighted", "r, entries weighted by count", Kind::Estimate(Nats)),
        Column::new("pearson_occurrences", "r, occurrences", Kind::Estimate(Nats)),
        Column::new("spearman_occurrences", "Spearman’s ρ, occurrences", Kind::Estimate(Nats)),
        Column::new("vocabulary_entries", "Vocabulary entries", Kind::Count),
        Column::new("tokens_outside_grid_vocabulary", "Outside the grid, entries", Kind::Count)
            .only_in_file(),
        Column::new("tokens_outside_grid_occurrences", "Outside the grid, occurrences", Kind::Count)
            .only_in_file(),
    ];
    let rows = comparison.all.correlation.iter().map(|pair| {
        vec![
            Cell::Text(view.label(pair.x)),
            Cell::Text(view.label(pair.y)),
            Cell::estimate(pair.pearson_vocabulary),
            Cell::estimate(pair.pearson_vocabulary_weighted),
            Cell::estimate(pair.pearson_occurrences),
            Cell::estimate(pair.spearman_occurrences),
            Cell::Count(Some(pair.vocabulary_entries)),
            Cell::Count(Some(pair.heatmap_vocabulary.outside)),
            Cell::Count(Some(pair.heatmap_occurrences.outside)),
        ]
    });
    let caption = "Correlation of the models’ losses, four ways.".into();
    Table { name: "correlation", caption, columns, rows: rows.collect(), is_data: true }
}

/// ΔLoss of every category.
pub fn categories(comparison: &Comparison) -> Table {
    let caption = with_placebo(comparison, "ΔLoss by category, most negative first.");
    delta_table(
        comparison,
        "categories",
        caption,
        Column::new("category", "Category", Kind::Text),
        &comparison.all.categories,
    )
}

/// ΔLoss of every token made only of closing brackets.
pub fn brackets_by_token(comparison: &Comparison) -> Table {
    let caption = with_placebo(comparison, "Tokens made only of closing brackets.");
    let first = Column::new("token", "Token", Kind::Token);
    delta_table(comparison, "brackets_by_token", caption, first, &comparison.all.brackets.by_token)
}

/// ΔLoss by the number of closing brackets in a token.
pub fn brackets_by_count(comparison: &Comparison) -> Table {
    let caption = with_placebo(
        comparison,
        "Tokens of closing brackets, colons and white space, by how many closing brackets they hold.",
    );
    let first = Column::new("closing_brackets", "Closing brackets", Kind::Text);
    delta_table(comparison, "brackets_by_count", caption, first, &comparison.all.brackets.by_count)
}

/// ΔLoss of tokens that hold a closing bracket, by nesting depth.
pub fn brackets_by_depth(comparison: &Comparison) -> Table {
    let caption = with_placebo(
        comparison,
        "Tokens that hold a closing bracket, by the nesting depth where they start.",
    );
    let first = Column::new("depth", "Depth", Kind::Text);
    delta_table(comparison, "brackets_by_depth", caption, first, &comparison.all.brackets.by_depth)
}

/// A caption that says what the placebo's column is, where there is one.
fn with_placebo(comparison: &Comparison, caption: &str) -> String {
    let view = View::new(comparison);
    if !view.has_placebo() {
        return caption.to_owned();
    }
    format!("{caption} The placebo’s Δ is {} − {}.", view.label(Role::Placebo), view.label(Role::B))
}

fn delta_table(
    comparison: &Comparison,
    name: &'static str,
    caption: String,
    first: Column,
    rows: &[DeltaRow],
) -> Table {
    let view = View::new(comparison);
    let (a, b) = (view.short_label(Role::A), view.short_label(Role::B));
    let placebo = Column::new("placebo_delta_nats", "Placebo Δ (nats)", Kind::Estimate(Delta));
    let columns = vec![
        first,
        Column::new("tokens", "Tokens", Kind::Count),
        Column::new("vocabulary_entries", "Entries", Kind::Count),
        Column::new("documents", "Documents", Kind::Count),
        Column::new("loss_a_nats", format!("Loss, {a}"), Kind::Estimate(Nats)),
        Column::new("loss_b_nats", format!("Loss, {b}"), Kind::Estimate(Nats)),
        Column::new("delta_nats", "Δ (nats)", Kind::Estimate(Delta)),
        Column::new("share_of_gap", "Share of the gap", Kind::Estimate(Share)),
        if view.has_placebo() { placebo } else { placebo.only_in_file() },
    ];
    let rows = rows.iter().map(delta_cells).collect();
    Table { name, caption, columns, rows, is_data: true }
}

fn delta_cells(row: &DeltaRow) -> Vec<Cell> {
    vec![
        Cell::Text(row.name.clone()),
        Cell::Count(Some(row.tokens)),
        Cell::Count(Some(row.vocabulary_entries)),
        Cell::Count(Some(row.documents)),
        Cell::estimate(row.loss_a_nats),
        Cell::estimate(row.loss_b_nats),
        Cell::estimate(row.delta_nats),
        Cell::estimate(row.share_of_gap),
        Cell::estimate(row.placebo_delta_nats),
    ]
}

/// Each model's entropy in four numbers.
pub fn entropy(comparison: &Comparison) -> Table {
    let columns = vec![
        Column::new("role", "Role", Kind::Text),
        Column::new("model", "Model", Kind::Text),
        Column::new("mean_nats", "Mean (nats)", Kind::Estimate(Nats)),
        Column::new("median_nats", "Median (nats)", Kind::Estimate(Nats)),
        Column::new("share_below_0_2_nats", "Below 0.2 nats", Kind::Estimate(Share)),
    ];
    let rows = comparison.all.entropy.iter().map(|model| {
        vec![
            Cell::Text(model.role.name().to_owned()),
            Cell::Text(model.label.clone()),
            Cell::estimate(model.mean_nats),
            Cell::estimate(model.median_nats),
            Cell::estimate(model.share_below_0_2),
        ]
    });
    let caption = "Entropy of each model’s predictions.".into();
    Table { name: "entropy", caption, columns, rows: rows.collect(), is_data: true }
}

/// The density curves of the entropies, one row a point.
pub fn entropy_density(comparison: &Comparison) -> Table {
    let columns = vec![
        Column::new("role", "Role", Kind::Text),
        Column::new("model", "Model", Kind::Text),
        Column::new("entropy_nats", "Entropy (nats)", Kind::Number(Significant)),
        Column::new("density_per_nat", "Density (per nat)", Kind::Number(Significant)),
    ];
    let mut rows = Vec::new();
    for model in &comparison.all.entropy {
        for (entropy, density) in model.grid_nats.iter().zip(&model.density_per_nat) {
            rows.push(vec![
                Cell::Text(model.role.name().to_owned()),
                Cell::Text(model.label.clone()),
                Cell::Number(Some(*entropy)),
                Cell::Number(Some(*density)),
            ]);
        }
    }
    let caption = "Points of the density curves.".into();
    Table { name: "entropy_density", caption, columns, rows, is_data: true }
}

/// What happens where one model is confident and the other is not.
pub fn confidence(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let mut columns = vec![
        Column::new("confident_below_nats", "One below c", Kind::Number(Plain)),
        Column::new("uncertain_above_nats", "The other above u", Kind::Number(Plain)),
    ];
    let headings = [
        (Role::A, ["a_confident_tokens", "a_confident_delta_nats"]),
        (Role::B, ["b_confident_tokens", "b_confident_delta_nats"]),
        (Role::Placebo, ["placebo_confident_tokens", "placebo_confident_delta_nats"]),
        (Role::B, ["b_confident_over_placebo_tokens", "b_confident_over_placebo_delta_nats"]),
    ];
    for (index, (confident, [tokens, delta])) in headings.into_iter().enumerate() {
        let placebo = index >= 2;
        let other = match confident {
            Role::B if placebo => Role::Placebo,
            Role::B => Role::A,
            _ => Role::B,
        };
        let group = format!("{} confident, {} not", view.short_label(confident), view.short_label(other));
        let sign = if placebo { "Δ, placebo\u{a0}−\u{a0}b" } else { "Δ, a\u{a0}−\u{a0}b" };
        for column in
            [Column::new(tokens, "Tokens", Kind::Count), Column::new(delta, sign, Kind::Estimate(Delta))]
        {
            let column = column.grouped(&group);
            columns.push(if placebo && !view.has_placebo() { column.only_in_file() } else { column });
        }
    }
    let rows = comparison.all.confidence.iter().map(|row| {
        let mut cells =
            vec![Cell::Number(Some(row.confident_below_nats)), Cell::Number(Some(row.uncertain_above_nats))];
        let pairs = [
            Some(row.a_confident),
            Some(row.b_confident),
            row.placebo_confident,
            row.b_confident_over_placebo,
        ];
        cells.extend(pairs.into_iter().flat_map(confidence_cells));
        cells
    });
    let caption = "Tokens where one model’s entropy is below c nats and the other’s above u nats.".into();
    Table { name: "confidence", caption, columns, rows: rows.collect(), is_data: true }
}

fn confidence_cells(cell: Option<ConfidenceCell>) -> [Cell; 2] {
    [Cell::Count(cell.map(|cell| cell.tokens)), Cell::Estimate(cell.and_then(|cell| cell.delta_nats))]
}
