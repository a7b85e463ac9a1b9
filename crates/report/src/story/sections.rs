//! The sections with the numbers: a paragraph, a figure and its tables each.

use deltaloss_records::{Basis, Role};
use deltaloss_stats::{Heatmap, PairCorrelation};

use super::{Block, Section};
use crate::figures;
use crate::findings::covariates_in_words;
use crate::format::{self, MARK};
use crate::prose::{Prose, in_words};
use crate::tables::{self, Weighing};
use crate::view::{FEW_TOKENS, View, role_in_words};

/// ΔLoss and its sign, for captions.
pub(super) fn delta_defined(view: View<'_>) -> Prose {
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

pub(super) fn setup(view: View<'_>) -> Section {
    let roles: Vec<Prose> = view
        .runs()
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

pub(super) fn overall(view: View<'_>) -> Section {
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

pub(super) fn correlation(view: View<'_>) -> Section {
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
        view.lead().correlation.iter().map(|pair| grid(pair).outside).max().unwrap_or(0)
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

pub(super) fn categories(view: View<'_>) -> Section {
    let table = tables::categories(view.comparison);
    let tests = view.lead().categories.iter().any(|row| row.delta_test.is_some());
    let caption = delta_defined(view)
        .then(placebo_defined(view))
        .text(format!("Categories with fewer than {FEW_TOKENS} tokens are faint and do not set the scale."));
    let blocks = vec![
        Block::Figure(figures::categories(view.comparison), caption, vec![table.clone()]),
        Block::Table(table),
        legend(tests),
        Block::Paragraph(Prose::new().text(
            "The share of the gap is a category’s summed Δ over the summed Δ of all tokens. Where the models are nearly equal that total is small, and the shares are large and of both signs.",
        )),
    ];
    Section { id: "categories", title: "Categories of tokens", blocks }
}

pub(super) fn brackets(view: View<'_>) -> Section {
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
    blocks.push(legend(view.lead().brackets.by_count.iter().any(|row| row.delta_test.is_some())));
    blocks.push(Block::Paragraph(Prose::new().text(
        "Closing brackets in strings and comments count too, and so do those of tokens such as () that open a bracket themselves. The depth counts brackets opened in code before the token and not yet closed, so a bracket in a string or comment, or one that its own token opened, can stand at depth 0.",
    )));
    Section { id: "brackets", title: "Closing brackets", blocks }
}

pub(super) fn entropy(view: View<'_>) -> Section {
    let comparison = view.comparison;
    let caption = Prose::new().text(
        "How often each model’s predictive distribution has a given entropy: the area under a curve is one. Further left is sharper. The density is the slope of a smoothed cumulative histogram.",
    );
    let table = tables::entropy(comparison);
    let mut blocks = vec![
        Block::Figure(
            figures::entropy(comparison),
            caption,
            vec![tables::entropy_density(comparison), table.clone()],
        ),
        Block::Table(table),
    ];
    let pairs = tables::entropy_pairs(comparison);
    if !pairs.rows.is_empty() {
        blocks.push(Block::Table(pairs));
    }
    Section { id: "entropy", title: "Entropy", blocks }
}

pub(super) fn confidence(view: View<'_>) -> Section {
    let table = tables::confidence(view.comparison);
    let caption = Prose::new()
        .text("A row is a pair of thresholds: one model’s entropy below c nats, the other’s above u. ")
        .then(delta_defined(view))
        .then(placebo_defined(view))
        .text(format!("The mark’s shape says which model is the confident one. Marks for fewer than {FEW_TOKENS} tokens are faint and do not set the scale; an arrow points to those beyond it."));
    let null = if view.has_placebo() {
        " The placebo in the place of a, with tokens chosen the same way, shows how far that goes; what counts is the difference to it."
    } else {
        " Without a placebo there is no telling how far that goes."
    };
    let mut blocks = vec![Block::Paragraph(Prose::new().text(
        "When one model is confident and the other is not, how much better is the confident one? The tokens are chosen by the models’ own entropies, which by itself can favour the confident model.",
    ).text(null))];
    blocks.push(Block::Figure(figures::confidence(view.comparison), caption, vec![table.clone()]));
    blocks.push(Block::Table(table));
    blocks.push(legend(view.lead().confidence.iter().any(|row| row.a_confident.delta_test.is_some())));
    Section { id: "confidence", title: "Confidence", blocks }
}

/// ΔLoss by a stronger model's entropy; nothing without one.
pub(super) fn oracle(view: View<'_>) -> Option<Section> {
    let found = view.lead().oracle.as_ref()?;
    let mut words = Prose::new()
        .text("How hard is a token for a better model? Each token has the mean entropy, over its characters, that ")
        .model(Role::Oracle, &view.label(Role::Oracle))
        .text(format!(
            " gave them, as scored: {} have one",
            format::counted(found.tokens, "token", "tokens")
        ));
    words = words.text(match found.without_value {
        0 => ", which are all.".to_owned(),
        without => {
            format!(", and {} that its own tokens do not cover are left out here.", format::count(without))
        }
    });
    let beside = match view.other_basis() {
        Some(Basis::Calibrated) => {
            ", so read this beside the calibrated numbers (in results.json and the CSV files)."
        }
        Some(Basis::AsScored) => {
            "; these numbers are calibrated, which takes a difference in sharpness alone out of them."
        }
        None => "; without temperatures that cannot be told from a difference in what the models know.",
    };
    let mut blocks = vec![Block::Paragraph(words.text(format!(
        " A low entropy means that little but the one token could follow; a high one that many could. Sharpness alone makes a model win on the one side and lose on the other{beside}"
    )))];
    let bins = tables::oracle_bins(view.comparison);
    if let Some(figure) = figures::oracle(view.comparison) {
        let caption = delta_defined(view)
            .then(placebo_defined(view))
            .text("A mark is a bin, at the mean entropy of its tokens; the shade has the colour of the model that is better there.");
        blocks.push(Block::Figure(figure, caption, vec![bins.clone()]));
    }
    let trend = tables::oracle_trend(view.comparison);
    let tests = found.bins.iter().any(|bin| bin.row.delta_test.is_some());
    blocks.extend([trend, bins].into_iter().filter(|table| !table.rows.is_empty()).map(Block::Table));
    blocks.push(legend(tests));
    Some(Section { id: "oracle", title: "Oracle entropy", blocks })
}

/// What the marks of the tables above say.
pub(super) fn legend(tests: bool) -> Block {
    Block::Paragraph(Prose::new().text(match tests {
        true => format!(
            "{MARK} differs from zero at q\u{a0}<\u{a0}0.05 (Benjamini–Hochberg among the tested numbers of the column); no mark: not shown, or not tested."
        ),
        false => "No number here was tested, so none is marked.".to_owned(),
    }))
}

/// What calibration changes; nothing where no run was calibrated and no diagram is there.
pub(super) fn calibration(view: View<'_>) -> Option<Section> {
    let comparison = view.comparison;
    let figure = figures::reliability(comparison);
    if comparison.calibrated.is_none() && figure.is_none() {
        return None;
    }
    let mut blocks = vec![Block::Paragraph(Prose::new().text(match comparison.calibrated {
        Some(_) => "A model that is surer than it is right pays for it in loss, whatever it knows. Dividing its logits by one number, its temperature, takes that out: the likeliest token stays the likeliest. Each model’s temperature is the one with the lowest mean loss on the discovery half.",
        None => "Not every run has a temperature, so there is no comparison of calibrated models; the diagrams say how far each model’s probabilities can be taken at their word.",
    }))];
    if comparison.calibrated.is_some() {
        blocks.push(Block::Table(tables::calibration(comparison)));
    }
    if let Some(figure) = figure {
        let caption = Prose::new().text(format!("Of the tokens whose likeliest candidate has a given probability, how many are that candidate? Above the diagonal a model is less sure than it could be, below it surer. Points of fewer than {FEW_TOKENS} tokens are faint and not joined."));
        blocks.push(Block::Figure(figure, caption, vec![tables::reliability(comparison)]));
    }
    if comparison.calibrated.is_some() {
        blocks.push(Block::Table(tables::calibration_deltas(comparison)));
        blocks.push(Block::Table(tables::calibration_confidence(comparison)));
        blocks.push(legend(view.lead().categories.iter().any(|row| row.delta_test.is_some())));
    }
    Some(Section { id: "calibration", title: "Calibration", blocks })
}

/// The categories with other things held fixed.
pub(super) fn held_fixed(view: View<'_>) -> Option<Section> {
    let found = view.lead().held_fixed.as_ref()?;
    let mut words = format!(
        "A category’s Δ may come from what else its tokens are: rare, early in the window, deep in brackets, new to the document, hard to predict. So Δ is regressed on the category together with {} (least squares over {}, errors by leaving out one document at a time).",
        covariates_in_words(view, found),
        format::counted(found.tokens, "token", "tokens"),
    );
    let dropped = found.covariates.iter().filter_map(|covariate| {
        Some(format!("{} ({})", covariate.name, covariate.dropped_because.as_ref()?))
    });
    let dropped: Vec<String> = dropped.collect();
    words.push_str(&match dropped.is_empty() {
        true => " Nothing was left out.".to_owned(),
        false => format!(" Left out: {}.", in_words(&dropped)),
    });
    if let Some(explained) = found.pairs.first().and_then(|pair| pair.r_squared) {
        words.push_str(&format!(
            " Together they explain {} of the variance of Δ over tokens.",
            format::share(explained)
        ));
    }
    words.push_str(" What is held fixed was chosen before any data were seen. A regression describes; it does not say what causes what.");
    let tests = found.pairs.iter().flat_map(|pair| &pair.categories).any(|row| row.excess_test.is_some());
    let blocks = vec![
        Block::Paragraph(Prose::new().text(words)),
        Block::Table(tables::held_fixed(view.comparison)),
        legend(tests),
        Block::Table(tables::held_fixed_slopes(view.comparison)),
    ];
    Some(Section { id: "held-fixed", title: "Held fixed", blocks })
}
