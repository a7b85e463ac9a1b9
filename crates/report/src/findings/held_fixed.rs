//! Which categories still stand out with other things held fixed, in a sentence.

use deltaloss_records::Role;
use deltaloss_stats::{HeldFixed, HeldFixedCategory};

use super::part_of;
use crate::prose::{Prose, in_words};
use crate::view::{FEW_TOKENS, View, holds, row_named, value};

/// How many of the categories that stand out as they are do so with the covariates held fixed.
pub(super) fn held_fixed(view: View<'_>) -> Option<Prose> {
    let found = view.lead().held_fixed.as_ref()?;
    let pair = found.pairs.first()?;
    let raw = |category: &HeldFixedCategory| {
        let row = row_named(&view.lead().categories, &category.name)?;
        value(row.excess_nats).filter(|_| holds(row.excess_test) && row.tokens >= FEW_TOKENS)
    };
    let tested = |category: &&HeldFixedCategory| category.excess_test.is_some();
    let standing: Vec<(f64, &HeldFixedCategory)> = pair
        .categories
        .iter()
        .filter(tested)
        .filter_map(|category| Some((raw(category)?, category)))
        .collect();
    if standing.is_empty() {
        return None;
    }
    let stays = |(raw, category): &&(f64, &HeldFixedCategory)| {
        holds(category.excess_test) && value(category.excess_nats).is_some_and(|excess| excess * raw > 0.0)
    };
    let part = part_of(standing.iter().filter(stays).count(), standing.len(), ["category", "categories"]);
    Some(Prose::new().text("With ").text(covariates_in_words(view, found)).strong(" held fixed").text(format!(
        ", {part} whose Δ differs from that of all tokens at q\u{a0}<\u{a0}0.05 still differ so, with the same sign. A regression describes; it does not say what causes what."
    )))
}

/// What is held fixed, by short names where they are known.
pub(crate) fn covariates_in_words(view: View<'_>, found: &HeldFixed) -> String {
    let kept = found.covariates.iter().filter(|covariate| covariate.dropped_because.is_none());
    let names: Vec<String> =
        kept.map(|covariate| short_name(view, &covariate.name, found.entropy_of)).collect();
    in_words(&names)
}

/// `frequency` for `ln occurrences of the token among the joined tokens`.
fn short_name(view: View<'_>, name: &str, entropy_of: Role) -> String {
    let known = [
        ("ln occurrences", "the token’s frequency"),
        ("ln tokens before", "its position in the window"),
        ("bracket depth", "bracket depth"),
        ("occurred before", "whether it occurred before"),
    ];
    match known.into_iter().find(|(start, _)| name.starts_with(start)) {
        Some((_, short)) => short.to_owned(),
        None if name.starts_with("entropy") => format!("the entropy of {}", view.label(entropy_of)),
        None => name.to_owned(),
    }
}
