//! A comparison as the report sees it: names for roles, pairs by role, what is there and what is not.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, DeltaRow, Estimate, ModelSummary, PairSummary, SetupModel};

/// Groups with fewer tokens than this are drawn faint, do not set a scale, and are neither named nor counted in
/// sentences.
pub(crate) const FEW_TOKENS: u64 = 100;

/// A comparison with names that tell its models apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'c> {
    /// What is reported.
    pub(crate) comparison: &'c Comparison,
}

impl<'c> View<'c> {
    pub(crate) fn new(comparison: &'c Comparison) -> Self {
        View { comparison }
    }

    /// The run with this role.
    pub(crate) fn model(&self, role: Role) -> Option<&'c SetupModel> {
        self.comparison.setup.models.iter().find(|model| model.role == role)
    }

    /// The label of a role, with the role behind it where two models share a label.
    pub(crate) fn label(&self, role: Role) -> String {
        let Some(model) = self.model(role) else { return role.name().to_owned() };
        let label = model.label.trim();
        let twins = self.comparison.setup.models.iter().filter(|other| other.label.trim() == label).count();
        match (label.is_empty(), twins) {
            (true, _) => role.name().to_owned(),
            (false, 1) => label.to_owned(),
            (false, _) => format!("{label} ({})", role.name()),
        }
    }

    /// The label of a role, cut for a table's heading.
    pub(crate) fn short_label(&self, role: Role) -> String {
        let label = self.label(role);
        if label.chars().count() <= 24 {
            return label;
        }
        format!("{}…", label.chars().take(23).collect::<String>().trim_end())
    }

    pub(crate) fn has_placebo(&self) -> bool {
        self.model(Role::Placebo).is_some()
    }

    /// One model's summary on the joined tokens.
    pub(crate) fn summary(&self, role: Role) -> Option<&'c ModelSummary> {
        self.comparison.all.overall.models.iter().find(|summary| summary.role == role)
    }

    /// The summary of one pair.
    pub(crate) fn pair(&self, first: Role, second: Role) -> Option<&'c PairSummary> {
        self.comparison.all.overall.pairs.iter().find(|pair| pair.first == first && pair.second == second)
    }

    /// Whether the differences of this comparison carry intervals.
    pub(crate) fn has_intervals(&self) -> bool {
        let pairs =
            self.comparison.all.overall.pairs.iter().filter_map(|pair| estimate(pair.mean_delta_nats));
        let rows = self.comparison.all.categories.iter().filter_map(|row| row.delta_nats);
        pairs.chain(rows).any(|estimate| estimate.interval.is_some())
    }
}

/// An estimate that may be absent, whichever way its field says so.
pub(crate) fn estimate(field: impl Into<Option<Estimate>>) -> Option<Estimate> {
    field.into().filter(|estimate| estimate.value.is_finite())
}

/// The number of an estimate, where there is a finite one.
pub(crate) fn value(field: impl Into<Option<Estimate>>) -> Option<f64> {
    estimate(field).map(|estimate| estimate.value)
}

/// The Δ of a row, where there is one.
pub(crate) fn delta_of(row: &DeltaRow) -> Option<f64> {
    value(row.delta_nats)
}

/// What a role is, in words.
pub(crate) fn role_in_words(role: Role) -> &'static str {
    match role {
        Role::A => "a: the model whose advantages are looked for",
        Role::B => "b: the model it is compared with",
        Role::Benchmark => "benchmark: a third model that both are set beside",
        Role::Placebo => "placebo: a retrained twin of b",
        Role::Oracle => "oracle: a stronger model whose entropy classes the tokens",
    }
}
