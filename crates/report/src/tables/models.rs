//! The models apart and in pairs, on all tokens: who they are, their losses, their entropies.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, Equivalence, PairSummary, Sections};

use super::{of_sets, other_basis_heading};
use crate::format::NumberFormat::{Delta, Nats, Plain, Probability, Share, Significant};
use crate::table::{Cell, Column, Kind, Table};
use crate::view::{View, pair_of};

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
        number("temperature", "Temperature", Significant),
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
    let rows = View::new(comparison).runs().map(setup_row).collect();
    let caption = "The models, as they were scored. Temperature: what their logits are best divided by, fitted on the discovery half.".into();
    Table { name: "setup", caption, columns, rows, more_rows: Vec::new(), is_data: true }
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
    let view = View::new(comparison);
    let columns = vec![
        Column::new("role", "Role", Kind::Text),
        Column::new("model", "Model", Kind::Text),
        Column::new("mean_loss_nats", "Mean loss (nats)", Kind::Estimate(Nats)),
        Column::new("discovery", "Discovery half", Kind::Number(Nats))
            .only_on_page()
            .on_page_if(view.beside().is_some()),
        Column::new("other_basis", other_basis_heading(view), Kind::Number(Nats))
            .only_on_page()
            .on_page_if(view.other_basis().is_some()),
        Column::new("bits_per_byte", "Bits per byte", Kind::Estimate(Nats)),
        Column::new("perplexity", "Perplexity", Kind::Estimate(Significant)).only_in_file(),
        Column::new("top1_accuracy", "Top-1 accuracy", Kind::Estimate(Share)),
        Column::new("mean_entropy_nats", "Mean entropy (nats)", Kind::Estimate(Nats)),
        Column::new("median_entropy_nats", "Median entropy (nats)", Kind::Estimate(Nats)),
    ];
    let loss_in = |sections: Option<&Sections>, role| {
        let models = &sections?.overall.models;
        models.iter().find(|model| model.role == role).map(|model| model.mean_loss_nats.value)
    };
    let rows = |sections: &Sections| {
        let models = sections.overall.models.iter();
        models
            .map(|model| {
                vec![
                    Cell::Text(model.role.name().to_owned()),
                    Cell::Text(model.label.clone()),
                    Cell::estimate(model.mean_loss_nats),
                    Cell::Number(loss_in(view.beside(), model.role)),
                    Cell::Number(loss_in(view.other_basis().and_then(|basis| view.on(basis)), model.role)),
                    Cell::estimate(model.bits_per_byte),
                    Cell::estimate(model.perplexity),
                    Cell::estimate(model.top1_accuracy),
                    Cell::estimate(model.mean_entropy_nats),
                    Cell::estimate(model.median_entropy_nats),
                ]
            })
            .collect()
    };
    of_sets(view, "overall_models", "Each model on the joined tokens.".into(), columns, rows)
}

/// Pairs of models on the joined tokens, and what pair (a, b) shows beyond pair (placebo, b).
pub fn overall_pairs(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        Column::new("first", "First", Kind::Text),
        Column::new("second", "Second", Kind::Text),
        Column::new("mean_delta_nats", "Mean Δ, first − second (nats)", Kind::Tested(Delta)),
        Column::new("discovery", "Discovery half", Kind::Number(Delta))
            .only_on_page()
            .on_page_if(view.beside().is_some()),
        Column::new("other_basis", other_basis_heading(view), Kind::Tested(Delta))
            .only_on_page()
            .on_page_if(view.other_basis().is_some()),
        Column::new("delta_nats_per_byte", "Δ a byte (nats)", Kind::Estimate(Significant))
            .on_page_if(view.tokens_differ()),
        Column::new("first_wins_tokens", "Tokens the first wins", Kind::Estimate(Share)),
        Column::new("first_wins_documents", "Documents the first wins", Kind::Estimate(Share)),
        Column::new("equivalence_margin_nats", "Margin of equivalence (nats)", Kind::Number(Plain))
            .only_in_file(),
        Column::new("equivalence_p_value", "Equivalence, p", Kind::Number(Probability)),
        Column::new("equivalent", "Equivalent", Kind::Text),
    ];
    let rows = |sections: &Sections| {
        let mut rows: Vec<Vec<Cell>> =
            sections.overall.pairs.iter().map(|pair| pair_cells(view, pair)).collect();
        rows.extend(placebo_difference_cells(view, sections));
        rows
    };
    let mut caption = "Pairs of models. Δ < 0: the first has the lower loss.".to_owned();
    if view.lead().overall.placebo_difference.is_some() {
        caption.push_str(" The last row is what the first pair shows beyond the placebo’s: the difference of the two, in Δ and in the shares.");
    }
    if let Some(test) = view.lead().overall.pairs.iter().find_map(|pair| pair.equivalence) {
        caption.push_str(&format!(
            " Equivalence: two one-sided tests of |mean Δ| < {} nats.",
            Plain.write(test.margin_nats)
        ));
    }
    of_sets(view, "overall_pairs", caption, columns, rows)
}

fn pair_cells(view: View<'_>, pair: &PairSummary) -> Vec<Cell> {
    let again = |sections: Option<&Sections>| pair_of(sections?, pair.first, pair.second).cloned();
    let other = again(view.other_basis().and_then(|basis| view.on(basis)));
    vec![
        Cell::Text(view.label(pair.first)),
        Cell::Text(view.label(pair.second)),
        Cell::Tested(Some(pair.mean_delta_nats), pair.mean_delta_test),
        Cell::Number(again(view.beside()).map(|pair| pair.mean_delta_nats.value)),
        Cell::Tested(
            other.as_ref().map(|pair| pair.mean_delta_nats),
            other.as_ref().and_then(|pair| pair.mean_delta_test),
        ),
        Cell::estimate(pair.delta_nats_per_byte),
        Cell::estimate(pair.first_wins_tokens),
        Cell::estimate(pair.first_wins_documents),
        Cell::Number(pair.equivalence.map(|test| test.margin_nats)),
        Cell::Number(pair.equivalence.map(|test| test.p_value)),
        Cell::Text(pair.equivalence.map_or("not tested", equivalent_in_words).to_owned()),
    ]
}

fn placebo_difference_cells(view: View<'_>, sections: &Sections) -> Option<Vec<Cell>> {
    let found = sections.overall.placebo_difference?;
    let again = |sections: Option<&Sections>| sections?.overall.placebo_difference;
    let other = again(view.other_basis().and_then(|basis| view.on(basis)));
    let pair = |first| Cell::Text(format!("{} − {}", view.label(first), view.label(Role::B)));
    Some(vec![
        pair(Role::A),
        pair(Role::Placebo),
        Cell::Tested(Some(found.mean_delta_nats), found.mean_delta_test),
        Cell::Number(again(view.beside()).map(|found| found.mean_delta_nats.value)),
        Cell::Tested(other.map(|found| found.mean_delta_nats), other.and_then(|found| found.mean_delta_test)),
        Cell::Estimate(None),
        Cell::estimate(found.first_wins_tokens),
        Cell::estimate(found.first_wins_documents),
        Cell::Number(None),
        Cell::Number(None),
        Cell::Text("not tested".to_owned()),
    ])
}

fn equivalent_in_words(test: Equivalence) -> &'static str {
    if test.equivalent { "yes" } else { "not shown" }
}

/// Each model's entropy in four numbers.
pub fn entropy(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        Column::new("role", "Role", Kind::Text),
        Column::new("model", "Model", Kind::Text),
        Column::new("mean_nats", "Mean (nats)", Kind::Estimate(Nats)),
        Column::new("other_basis", other_basis_heading(view), Kind::Number(Nats))
            .only_on_page()
            .on_page_if(view.other_basis().is_some()),
        Column::new("median_nats", "Median (nats)", Kind::Estimate(Nats)),
        Column::new("share_below_0_2_nats", "Below 0.2 nats", Kind::Estimate(Share)),
    ];
    let rows = |sections: &Sections| {
        let other = view.other_basis().and_then(|basis| view.on(basis));
        let mean_on_other = |role| {
            let models = &other?.entropy;
            models.iter().find(|model| model.role == role).map(|model| model.mean_nats.value)
        };
        let models = sections.entropy.iter();
        models
            .map(|model| {
                vec![
                    Cell::Text(model.role.name().to_owned()),
                    Cell::Text(model.label.clone()),
                    Cell::estimate(model.mean_nats),
                    Cell::Number(mean_on_other(model.role)),
                    Cell::estimate(model.median_nats),
                    Cell::estimate(model.share_below_0_2),
                ]
            })
            .collect()
    };
    of_sets(view, "entropy", "Entropy of each model’s predictions.".into(), columns, rows)
}

/// Differences of two models' entropies.
pub fn entropy_pairs(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        Column::new("first", "First", Kind::Text),
        Column::new("second", "Second", Kind::Text),
        Column::new("mean_nats", "Mean, first − second (nats)", Kind::Tested(Delta)),
        Column::new("share_below_0_2_nats", "Below 0.2 nats, first − second", Kind::Tested(Share)),
    ];
    let rows = |sections: &Sections| {
        let pairs = sections.entropy_pairs.iter();
        pairs
            .map(|pair| {
                vec![
                    Cell::Text(view.label(pair.first)),
                    Cell::Text(view.label(pair.second)),
                    Cell::Tested(Some(pair.mean_nats), pair.mean_test),
                    Cell::Tested(Some(pair.share_below_0_2), pair.share_below_0_2_test),
                ]
            })
            .collect()
    };
    let caption = "Differences of two models’ entropies on the same tokens. Below zero in the mean: the first is the sharper.";
    of_sets(view, "entropy_pairs", caption.into(), columns, rows)
}

/// The density of each model's entropy, point by point.
pub fn entropy_density(comparison: &Comparison) -> Table {
    let view = View::new(comparison);
    let columns = vec![
        Column::new("role", "Role", Kind::Text),
        Column::new("model", "Model", Kind::Text),
        Column::new("entropy_nats", "Entropy (nats)", Kind::Number(Significant)),
        Column::new("density_per_nat", "Density (per nat)", Kind::Number(Significant)),
    ];
    let mut rows = Vec::new();
    for model in &view.lead().entropy {
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
    Table { name: "entropy_density", caption, columns, rows, more_rows: Vec::new(), is_data: true }
}
