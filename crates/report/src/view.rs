//! A comparison as the report sees it: names for roles, pairs by role, what is there and what is not.

use deltaloss_records::{Basis, Role};
use deltaloss_stats::{
    Comparison, DeltaRow, Estimate, ModelSummary, PairSummary, Sections, SetupModel, Test,
};

/// Groups with fewer tokens than this are drawn faint, do not set a scale, and are neither named nor counted in
/// sentences.
pub(crate) const FEW_TOKENS: u64 = 100;

/// What a difference is marked at, false discoveries among those marked.
const MARKED_BELOW: f64 = 0.05;

/// Documents that numbers are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    Discovery,
    Confirmation,
}

impl Part {
    const EVERY: [Part; 3] = [Part::Confirmation, Part::Discovery, Part::All];

    /// Its name in data files, that of its field in `results.json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::All => "all",
            Part::Discovery => "discovery",
            Part::Confirmation => "confirmation",
        }
    }
}

/// The name of a basis in data files, as `results.json` writes it.
pub(crate) fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::AsScored => "as_scored",
        Basis::Calibrated => "calibrated",
    }
}

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

    /// The sections of some documents on a basis, where there are any.
    pub(crate) fn sections(&self, basis: Basis, part: Part) -> Option<&'c Sections> {
        let comparison = self.comparison;
        let calibrated = comparison.calibrated.as_ref();
        match (basis, part) {
            (Basis::AsScored, Part::All) => Some(&comparison.all),
            (Basis::AsScored, Part::Discovery) => comparison.discovery.as_ref(),
            (Basis::AsScored, Part::Confirmation) => comparison.confirmation.as_ref(),
            (Basis::Calibrated, Part::All) => calibrated.map(|found| &found.all),
            (Basis::Calibrated, Part::Discovery) => calibrated?.discovery.as_ref(),
            (Basis::Calibrated, Part::Confirmation) => calibrated?.confirmation.as_ref(),
        }
    }

    /// The basis of the headline numbers.
    pub(crate) fn basis(&self) -> Basis {
        match self.comparison.calibrated {
            None => Basis::AsScored,
            Some(_) => self.comparison.setup.basis,
        }
    }

    /// The other basis, where there are numbers on it.
    pub(crate) fn other_basis(&self) -> Option<Basis> {
        self.comparison.calibrated.as_ref().map(|_| match self.basis() {
            Basis::AsScored => Basis::Calibrated,
            Basis::Calibrated => Basis::AsScored,
        })
    }

    /// The documents of the headline numbers: the confirmation half, or all where a half has too few of them.
    pub(crate) fn part(&self) -> Part {
        if self.halves_fall_short().is_none() { Part::Confirmation } else { Part::All }
    }

    /// Why the halves are not told apart, where they are not.
    pub(crate) fn halves_fall_short(&self) -> Option<String> {
        Part::EVERY[..2].iter().find_map(|part| {
            let name = part.name();
            match self.sections(self.basis(), *part) {
                None => Some(format!("the {name} half has no document")),
                Some(half) => {
                    let reason = half.intervals.none_because.as_ref()?;
                    Some(format!("the {name} half carries no intervals ({reason})"))
                }
            }
        })
    }

    /// The headline numbers.
    pub(crate) fn lead(&self) -> &'c Sections {
        self.sections(self.basis(), self.part()).unwrap_or(&self.comparison.all)
    }

    /// The discovery half's, where the headline numbers are the confirmation half's.
    pub(crate) fn beside(&self) -> Option<&'c Sections> {
        self.sections(self.basis(), Part::Discovery).filter(|_| self.part() == Part::Confirmation)
    }

    /// The headline documents on a basis.
    pub(crate) fn on(&self, basis: Basis) -> Option<&'c Sections> {
        self.sections(basis, self.part())
    }

    /// Every set of numbers with its basis and documents, the headline numbers first.
    pub(crate) fn sets(&self) -> Vec<(Basis, Part, &'c Sections)> {
        let bases = [Some(self.basis()), self.other_basis()];
        let every = bases.into_iter().flatten().flat_map(|basis| Part::EVERY.map(|part| (basis, part)));
        let found = every.filter_map(|(basis, part)| Some((basis, part, self.sections(basis, part)?)));
        let mut sets: Vec<_> = found.collect();
        sets.sort_by_key(|(basis, part, _)| (*basis, *part) != (self.basis(), self.part()));
        sets
    }

    /// The run with this role.
    pub(crate) fn model(&self, role: Role) -> Option<&'c SetupModel> {
        self.runs().find(|model| model.role == role)
    }

    /// Every run, the oracle's last.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &'c SetupModel> + Clone + use<'c> {
        self.comparison.setup.models.iter().chain(&self.comparison.setup.oracle)
    }

    /// The models with other tokens than a's, whose values were carried through the text.
    pub(crate) fn carried(&self) -> impl Iterator<Item = &'c SetupModel> + use<'c> {
        self.comparison.setup.models.iter().filter(|model| model.carried)
    }

    /// Whether a and b have different tokens.
    pub(crate) fn tokens_differ(&self) -> bool {
        self.carried().any(|model| model.role == Role::B)
    }

    /// The label of a role, with the role behind it where two models share a label.
    pub(crate) fn label(&self, role: Role) -> String {
        let Some(model) = self.model(role) else { return role.name().to_owned() };
        let label = model.label.trim();
        let twins = self.runs().filter(|other| other.label.trim() == label).count();
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
        self.lead().overall.models.iter().find(|summary| summary.role == role)
    }

    /// A model's expected calibration error on the comparison's basis.
    pub(crate) fn calibration_error(&self, role: Role) -> Option<Estimate> {
        let found = self.lead().reliability.iter().find(|found| found.role == role)?;
        let diagram = match self.basis() {
            Basis::AsScored => Some(&found.as_scored),
            Basis::Calibrated => found.calibrated.as_ref(),
        };
        diagram.map(|diagram| diagram.expected_calibration_error)
    }

    /// The summary of one pair.
    pub(crate) fn pair(&self, first: Role, second: Role) -> Option<&'c PairSummary> {
        pair_of(self.lead(), first, second)
    }

    /// Whether the differences of this comparison carry intervals.
    pub(crate) fn has_intervals(&self) -> bool {
        let pairs = self.lead().overall.pairs.iter().filter_map(|pair| estimate(pair.mean_delta_nats));
        let rows = self.lead().categories.iter().filter_map(|row| row.delta_nats);
        pairs.chain(rows).any(|estimate| estimate.interval.is_some())
    }
}

/// The summary of one pair in some sections.
pub(crate) fn pair_of(sections: &Sections, first: Role, second: Role) -> Option<&PairSummary> {
    sections.overall.pairs.iter().find(|pair| pair.first == first && pair.second == second)
}

/// Whether a number was tested and holds at q < 0.05: what is marked.
pub(crate) fn holds(test: Option<Test>) -> bool {
    test.is_some_and(|test| test.q_value < MARKED_BELOW)
}

/// The row of another table that is of the same group.
pub(crate) fn row_named<'r>(rows: &'r [DeltaRow], name: &str) -> Option<&'r DeltaRow> {
    rows.iter().find(|row| row.name == name)
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
