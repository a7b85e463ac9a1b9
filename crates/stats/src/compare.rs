//! The comparison as a whole: classifying tokens, the two passes over the documents, and filling the results.

use std::collections::HashMap;

use deltaloss_records::{Basis, Joined, Role, Split, WindowInfo};
use rayon::prelude::*;

use crate::bootstrap::Resamples;
use crate::brackets::BracketSums;
use crate::confidence::ConfidenceSums;
use crate::correlation::CorrelationSums;
use crate::entropy::EntropySums;
use crate::groups::{GroupOf, GroupTable, Whole};
use crate::oracle::OracleEntropies;
use crate::overall::{Labelled, OverallSums};
use crate::ranks::{DistributionSums, PARTS, SecondPass};
use crate::regression::Regression;
use crate::reliability::ReliabilitySums;
use crate::rows::{delta_rows, empty_row, sort_by_delta};
use crate::{
    Accumulator, ByHalf, CheckedJoin, CompareError, Comparison, DeltaRow, DocumentRows, Estimate, Rules,
    Sections, Setup, SetupModel,
};

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

/// Joins of fewer rows are not worth dividing among threads.
const FEWEST_ROWS_TO_DIVIDE: usize = 1 << 14;

/// What a comparison leaves to choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// A model is confident of a token if its entropy is below this, nats: a row of analysis 6 for each.
    pub confident_below_nats: Vec<f64>,
    /// A model is uncertain of a token if its entropy is above this, nats: combined with each of the former.
    pub uncertain_above_nats: Vec<f64>,
    /// Resamples of the documents that intervals come from; 0 for no intervals. They take a byte a
    /// document each.
    pub replicates: u32,
    /// Seed of the resamples.
    pub seed: u64,
    /// For [`FirstPass`], which losses and entropies it is about; for [`compare`], which of the two lead in the report.
    /// Calibrated ones need a temperature of every run.
    pub basis: Basis,
}

impl Default for Options {
    /// The post's thresholds, and 2,000 resamples.
    fn default() -> Self {
        Options {
            confident_below_nats: vec![0.25, 0.5, 0.75, 1.0],
            uncertain_above_nats: vec![1.0, 2.0, 3.0],
            replicates: 2_000,
            // Any number would do; one that JSON readers with doubles only keep whole.
            seed: 20_080_901,
            basis: Basis::AsScored,
        }
    }
}

/// Tokens beyond this are forgotten by a [`Classifier`]: a damaged table may hold no two that are alike.
const MOST_KNOWN_TOKENS: usize = 1 << 20;

/// Gives tokens their categories, and remembers those of tokens that came before.
#[derive(Debug)]
pub struct Classifier<'r> {
    rules: &'r Rules,
    known: HashMap<Vec<u8>, u8>,
}

impl<'r> Classifier<'r> {
    /// By these rules.
    pub fn new(rules: &'r Rules) -> Self {
        Classifier { rules, known: HashMap::new() }
    }

    /// The index in the names of the rules of each row's category, `[row]`.
    ///
    /// # Errors
    ///
    /// When the join contradicts itself; see [`CheckedJoin::new`].
    pub fn classify(&mut self, joined: &Joined) -> Result<Vec<u8>, CompareError> {
        let join = CheckedJoin::new(joined)?;
        let mut classify = |row: usize| {
            let token = join.token_bytes(row);
            if let Some(&category) = self.known.get(token) {
                return category;
            }
            if self.known.len() >= MOST_KNOWN_TOKENS {
                self.known.clear();
            }
            // `Rules` holds at most 256 categories.
            let category = self.rules.classify(token) as u8;
            self.known.insert(token.to_vec(), category);
            category
        };
        Ok((0..join.rows()).map(&mut classify).collect())
    }
}

/// The index in `rules.names()` of each row's category, `[row]`.
///
/// # Errors
///
/// When the join contradicts itself; see [`CheckedJoin::new`].
pub fn classify_rows(joined: &Joined, rules: &Rules) -> Result<Vec<u8>, CompareError> {
    Classifier::new(rules).classify(joined)
}

/// Computes every analysis of a join that is in memory, as scored and, where every run has a temperature, calibrated; `categories` is what [`classify_rows`] made of it with these
/// rules. A join too large for that goes through [`FirstPass`] and [`SecondPass`] in pieces.
///
/// The result depends on nothing but the arguments.
///
/// # Errors
///
/// When the join is empty, lacks role a or b, contradicts itself or holds a value that is not finite; when
/// the categories do not fit the join and the rules; when a threshold is not finite.
pub fn compare(
    joined: &Joined,
    rules: &Rules,
    categories: &[u8],
    options: &Options,
) -> Result<Comparison, CompareError> {
    let join = CheckedJoin::on(joined, options.basis)?;
    let models = join.models().iter().map(|model| SetupModel {
        role: model.role,
        label: model.label.clone(),
        run: model.run.clone(),
        carried: model.carried,
    });
    let oracle = joined.oracle.as_ref().map(|oracle| SetupModel {
        role: Role::Oracle,
        label: oracle.label.clone(),
        run: oracle.run.clone(),
        carried: true,
    });
    let setup = Setup {
        models: models.collect(),
        oracle,
        documents: joined.documents.len() as u64,
        tokens: 0,
        bytes: 0,
        left_out: joined.left_out,
        rules: rules.name().to_owned(),
        basis: options.basis,
    };
    let on = |basis| {
        let join = CheckedJoin::on(joined, basis)?;
        let runs: Vec<SetupModel> = setup.models.iter().chain(&setup.oracle).cloned().collect();
        let roles: Vec<Role> = runs.iter().map(|run| run.role).collect();
        let mut first = FirstPass::new(&roles, rules, &Options { basis, ..options.clone() })?;
        first.add_join(joined, 0, categories)?;
        let mut second = first.second_pass(&join.a().run.window);
        join.for_each_document(0, categories, |rows| second.add_document(rows));
        first.finish(&second, &runs, setup.left_out)
    };
    let as_scored = on(Basis::AsScored)?;
    let has_temperatures = joined.models.iter().all(|model| model.calibrated.is_some());
    let calibrated = if has_temperatures { Some(on(Basis::Calibrated)?) } else { None };
    Ok(Comparison::new(setup, as_scored, calibrated))
}

/// The roles of a join's runs in order, the oracle's last.
fn roles_of(joined: &Joined) -> Vec<Role> {
    let mut roles: Vec<Role> = joined.models.iter().map(|model| model.role).collect();
    roles.extend(joined.oracle.as_ref().map(|_| Role::Oracle));
    roles.sort_unstable();
    roles
}

/// The first pass over the documents: every sum that needs no other first.
///
/// Memory grows with documents (some kilobytes each), not with their tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstPass {
    rules: String,
    categories: Vec<String>,
    roles: Vec<Role>,
    options: Options,
    /// Documents with rows.
    documents: Vec<(u32, Split)>,
    overall: OverallSums,
    whole: GroupTable<()>,
    by_category: GroupTable<u8>,
    brackets: BracketSums,
    confidence: ConfidenceSums,
    entropy: EntropySums,
    correlation: CorrelationSums,
    distributions: DistributionSums,
    reliability: ReliabilitySums,
    oracle: Option<OracleEntropies>,
}

impl FirstPass {
    /// A pass that has seen no document yet, over runs of these roles: a, b, then the others in the order of [`Role`], the oracle
    /// last where there is one.
    ///
    /// # Errors
    ///
    /// When role a or b is missing, roles are not in order, or a threshold is not finite.
    pub fn new(roles: &[Role], rules: &Rules, options: &Options) -> Result<Self, CompareError> {
        check_thresholds("confident_below_nats", &options.confident_below_nats)?;
        check_thresholds("uncertain_above_nats", &options.uncertain_above_nats)?;
        let in_order = roles.array_windows().all(|[left, right]| left < right);
        if let Some(role) = [Role::A, Role::B].into_iter().find(|role| !roles.contains(role) || !in_order) {
            let found: Vec<&str> = roles.iter().map(|role| role.name()).collect();
            return Err(CompareError::MissingRole { role, found: found.join(", ") });
        }
        let (has_oracle, models) = match roles.split_last() {
            Some((Role::Oracle, models)) => (true, models),
            _ => (false, roles),
        };
        let oracle = has_oracle.then(OracleEntropies::default);
        Ok(FirstPass { oracle, ..Self::empty(rules.name(), rules.names(), models, options) })
    }

    /// The same pass before it has seen any document.
    fn fresh(&self) -> Self {
        let oracle = self.oracle.as_ref().map(|_| OracleEntropies::default());
        FirstPass { oracle, ..Self::empty(&self.rules, &self.categories, &self.roles, &self.options) }
    }

    fn empty(rules: &str, categories: &[String], roles: &[Role], options: &Options) -> Self {
        FirstPass {
            rules: rules.to_owned(),
            categories: categories.to_vec(),
            roles: roles.to_vec(),
            options: options.clone(),
            documents: Vec::new(),
            overall: OverallSums::new(roles),
            whole: GroupTable::default(),
            by_category: GroupTable::default(),
            brackets: BracketSums::default(),
            confidence: ConfidenceSums::new(&options.confident_below_nats, &options.uncertain_above_nats),
            entropy: EntropySums::new(roles.len()),
            correlation: CorrelationSums::new(roles),
            distributions: DistributionSums::new(roles.len()),
            reliability: ReliabilitySums::new(roles.len()),
            oracle: None,
        }
    }

    /// Adds the documents of a join, of which the first has index `first_document` in the corpus.
    ///
    /// # Errors
    ///
    /// When the join contradicts itself or has other roles, or the categories do not fit it and the rules.
    pub fn add_join(
        &mut self,
        joined: &Joined,
        first_document: u32,
        categories: &[u8],
    ) -> Result<(), CompareError> {
        let join = CheckedJoin::on(joined, self.options.basis)?;
        let roles = roles_of(joined);
        let expected: Vec<Role> =
            self.roles.iter().copied().chain(self.oracle.as_ref().map(|_| Role::Oracle)).collect();
        if roles != expected {
            let names = |roles: &[Role]| roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
            return Err(CompareError::Roles { expected: names(&expected), found: names(&roles) });
        }
        self.check_categories(&join, categories)?;
        let threads = rayon::current_num_threads();
        if threads == 1 || join.rows() < FEWEST_ROWS_TO_DIVIDE {
            join.for_each_document(first_document, categories, |rows| self.add_document(rows));
            return Ok(());
        }
        let pieces = join.pieces(2 * threads);
        let parts: Vec<FirstPass> = pieces
            .into_par_iter()
            .map(|documents| {
                let mut part = self.fresh();
                join.for_documents(documents, first_document, categories, |rows| part.add_document(rows));
                part
            })
            .collect();
        parts.into_iter().for_each(|part| self.merge(part));
        Ok(())
    }

    fn check_categories(&self, join: &CheckedJoin<'_>, categories: &[u8]) -> Result<(), CompareError> {
        let (rows, names) = (join.rows(), self.categories.len());
        if categories.len() != rows {
            let reason = format!("it holds {} values where the join has {rows} rows", categories.len());
            return Err(CompareError::Categories { reason });
        }
        match categories.iter().position(|&category| usize::from(category) >= names) {
            Some(row) => {
                let found = categories[row];
                let reason =
                    format!("row {row} has category {found} where rules `{}` have {names}", self.rules);
                Err(CompareError::Categories { reason })
            }
            None => Ok(()),
        }
    }

    /// The second pass, which has to see the same documents. `window` is that of run a.
    pub fn second_pass(&self, window: &WindowInfo) -> SecondPass {
        let roles: Vec<Role> =
            self.roles.iter().copied().chain(self.oracle.as_ref().map(|_| Role::Oracle)).collect();
        let regression = Regression::new(self.correlation.occurrences(), window, &roles);
        let oracle = self.oracle.as_ref().map(|oracle| oracle.second_pass(&self.roles));
        SecondPass::new(&self.distributions, regression, oracle)
    }

    /// The documents with rows that were added, in order, with their halves.
    pub fn documents(&self) -> Vec<(u32, Split)> {
        let mut documents = self.documents.clone();
        documents.sort_unstable_by_key(|(document, _)| *document);
        documents
    }

    /// Computes the results on this pass's basis: `models` are the runs in the order of the roles, the oracle last where there
    /// is one, `left_out` the tokens that some run predicted and another did not.
    ///
    /// # Errors
    ///
    /// When no token was added, or no byte.
    pub fn finish(
        &self,
        second: &SecondPass,
        models: &[SetupModel],
        left_out: u64,
    ) -> Result<ByHalf, CompareError> {
        if self.documents.is_empty() {
            return Err(CompareError::NoRows { left_out });
        }
        let (oracle, models): (Vec<Labelled<'_>>, Vec<Labelled<'_>>) = models
            .iter()
            .map(|model| (model.role, model.label.as_str()))
            .partition(|(role, _)| *role == Role::Oracle);
        let oracle = oracle.first().map_or("", |(_, label)| *label);
        let mut parts = (0..PARTS.len()).map(|part| self.sections(part, second, (&models, oracle)));
        let (all, discovery, confirmation) =
            (parts.next().flatten(), parts.next().flatten(), parts.next().flatten());
        let Some(all) = all else { return Err(CompareError::NoRows { left_out }) };
        if all.bytes == 0 {
            return Err(CompareError::NoBytes { tokens: all.tokens });
        }
        Ok(ByHalf { all, discovery, confirmation })
    }

    /// Every analysis of one set of documents; nothing where it has no tokens.
    fn sections(
        &self,
        part: usize,
        second: &SecondPass,
        (models, oracle): (&[Labelled<'_>], &str),
    ) -> Option<Sections> {
        let half = PARTS[part];
        let of_set = self.documents().into_iter().filter(|(_, split)| half.is_none_or(|half| half == *split));
        let documents: Vec<u32> = of_set.map(|(document, _)| document).collect();
        let resamples = Resamples::new(&documents, self.options.replicates, self.options.seed);
        let group = self.whole.groups(half, &resamples).pop()?.group;
        let has_placebo = self.roles.contains(&Role::Placebo);
        let whole = Whole { group, resamples: &resamples, has_placebo };
        let medians: Vec<Estimate> =
            (0..models.len()).map(|model| second.median(part, model, &resamples)).collect();
        let [tokens, bytes] = self.overall.size(&resamples);
        Some(Sections {
            documents: documents.len() as u64,
            tokens,
            bytes,
            intervals: resamples.note(),
            overall: self.overall.finish(models, &medians, &resamples),
            correlation: self.correlation.finish(half, part, second, &resamples),
            categories: self.category_rows(half, &whole),
            brackets: self.brackets.finish(half, &whole),
            entropy: self.entropy.finish(half, models, &self.overall, &medians, &resamples),
            entropy_pairs: self.overall.entropy_pairs(models, &resamples),
            confidence: self.confidence.finish(half, &whole),
            oracle: second.oracle.as_ref().map(|sums| sums.finish(part, half, oracle, &whole)),
            reliability: self.reliability.finish(models, &resamples),
            held_fixed: second
                .regression
                .held_fixed(|document| resamples.contains(document), &self.categories),
        })
    }

    /// Analysis 3: every category, most negative Δ first, empty ones last.
    fn category_rows(&self, half: Option<Split>, whole: &Whole<'_>) -> Vec<DeltaRow> {
        let groups: Vec<GroupOf<u8>> = self.by_category.groups(half, whole.resamples);
        let mut rows = delta_rows(&groups, |&category| self.categories[usize::from(category)].clone(), whole);
        let absent = |name: &&String| !rows.iter().any(|row| row.name == **name);
        let empty: Vec<DeltaRow> =
            self.categories.iter().filter(absent).map(|name| empty_row(name, whole)).collect();
        rows.extend(empty);
        sort_by_delta(&mut rows);
        rows
    }
}

impl Accumulator for FirstPass {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        self.documents.push((rows.document, rows.split));
        self.overall.add_document(rows);
        self.whole.add(rows, |_, found| found.push(()));
        self.by_category.add(rows, |index, found| found.push(rows.category[index]));
        self.brackets.add_document(rows);
        self.confidence.add_document(rows);
        self.entropy.add_document(rows);
        self.correlation.add_document(rows);
        self.distributions.add_document(rows);
        self.reliability.add_document(rows);
        self.oracle.iter_mut().for_each(|oracle| oracle.add_document(rows));
    }

    fn merge(&mut self, other: Self) {
        self.documents.extend(other.documents);
        self.overall.merge(other.overall);
        self.whole.merge(other.whole);
        self.by_category.merge(other.by_category);
        self.brackets.merge(other.brackets);
        self.confidence.merge(other.confidence);
        self.entropy.merge(other.entropy);
        self.correlation.merge(other.correlation);
        self.distributions.merge(other.distributions);
        self.reliability.merge(other.reliability);
        if let (Some(ours), Some(theirs)) = (&mut self.oracle, other.oracle) {
            ours.merge(theirs);
        }
    }
}

fn check_thresholds(option: &'static str, thresholds: &[f64]) -> Result<(), CompareError> {
    match thresholds.iter().find(|threshold| !threshold.is_finite()) {
        Some(&value) => Err(CompareError::Threshold { option, value }),
        None => Ok(()),
    }
}
