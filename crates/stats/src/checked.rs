//! A join whose parts have been found to fit together, so that the analyses can index without looking.

use std::ops::Range;

use deltaloss_records::{Basis, Joined, JoinedDocument, JoinedModel, Role};

use crate::nesting::nesting_depths;
use crate::{CompareError, DocumentRows, GuessRows, ModelRows};

#[cfg(test)]
mod tests;

/// How many brackets are open where each row's token starts, `[row]`.
///
/// # Errors
///
/// When the join contradicts itself; see [`CheckedJoin::new`].
pub fn token_depths(joined: &Joined) -> Result<Vec<u32>, CompareError> {
    let join = CheckedJoin::new(joined)?;
    let (mut scratch, mut depths) = (Vec::new(), Vec::with_capacity(join.rows()));
    join.documents().iter().for_each(|document| join.add_depths(document, &mut scratch, &mut depths));
    Ok(depths)
}

/// A join that was checked: columns are as long as the join, documents tile the rows, spans lie in the
/// texts, roles are distinct with a and b among them, losses and entropies are finite.
#[derive(Clone, Debug)]
pub struct CheckedJoin<'a> {
    joined: &'a Joined,
    /// In the order of [`Role`]: a, b, then the others.
    models: Vec<&'a JoinedModel>,
    /// Loss and entropy of each on the basis asked for.
    on_basis: Vec<[&'a [f32]; 2]>,
}

impl<'a> CheckedJoin<'a> {
    /// Checks a join.
    ///
    /// # Errors
    ///
    /// When the join lacks a role or contradicts itself; see [`CompareError`].
    pub fn new(joined: &'a Joined) -> Result<Self, CompareError> {
        Self::on(joined, Basis::AsScored)
    }

    /// Checks a join, of which the losses and entropies on a basis are to be taken.
    ///
    /// # Errors
    ///
    /// As [`CheckedJoin::new`], or when a run has no temperature on the calibrated basis.
    pub fn on(joined: &'a Joined, basis: Basis) -> Result<Self, CompareError> {
        let models = models_by_role(joined)?;
        check_lengths(joined)?;
        check_documents(joined)?;
        let on_basis = models.iter().map(|model| model.on(basis).ok_or_else(|| not_calibrated(model)));
        let on_basis = on_basis.collect::<Result<_, _>>()?;
        let checked = CheckedJoin { joined, models, on_basis };
        checked.check_finite()?;
        Ok(checked)
    }

    /// The join.
    pub fn joined(&self) -> &'a Joined {
        self.joined
    }

    /// How many tokens were joined.
    pub fn rows(&self) -> usize {
        self.joined.rows()
    }

    /// The documents of the corpus.
    pub fn documents(&self) -> &'a [JoinedDocument] {
        &self.joined.documents
    }

    /// The runs: a, b, then the others in the order of [`Role`].
    pub fn models(&self) -> &[&'a JoinedModel] {
        &self.models
    }

    /// Run a.
    pub fn a(&self) -> &'a JoinedModel {
        self.models[0]
    }

    /// Run b.
    pub fn b(&self) -> &'a JoinedModel {
        self.models[1]
    }

    /// The placebo, if one takes part.
    pub fn placebo(&self) -> Option<&'a JoinedModel> {
        self.joined.model(Role::Placebo)
    }

    /// The bytes of row `row`'s token.
    pub fn token_bytes(&self, row: usize) -> &'a [u8] {
        self.joined.token_bytes(row)
    }

    /// Hands over every document with rows; the first has index `first_document` in the corpus.
    ///
    /// `categories` must have a category for each row.
    pub(crate) fn for_each_document(
        &self,
        first_document: u32,
        categories: &[u8],
        take: impl FnMut(&DocumentRows<'_>),
    ) {
        self.for_documents(0..self.documents().len(), first_document, categories, take);
    }

    /// Appends the depths of a document's tokens; `scratch` becomes those of its bytes.
    fn add_depths(&self, document: &JoinedDocument, scratch: &mut Vec<u32>, of_tokens: &mut Vec<u32>) {
        if document.rows.is_empty() {
            return;
        }
        nesting_depths(document.text.as_bytes(), scratch);
        // A token without bytes may stand at the end of the text.
        let depth = |&start: &u32| scratch.get(start as usize).or(scratch.last()).copied().unwrap_or(0);
        of_tokens.extend(self.joined.byte_start[document.rows.clone()].iter().map(depth));
    }

    /// Hands over the documents of a range that have rows.
    pub(crate) fn for_documents(
        &self,
        documents: Range<usize>,
        first_document: u32,
        categories: &[u8],
        mut take: impl FnMut(&DocumentRows<'_>),
    ) {
        let (mut depths, mut of_tokens) = (Vec::new(), Vec::new());
        for (index, document) in documents.clone().zip(&self.documents()[documents]) {
            let rows = document.rows.clone();
            if rows.is_empty() {
                continue;
            }
            of_tokens.clear();
            self.add_depths(document, &mut depths, &mut of_tokens);
            let models = self.models.iter().zip(&self.on_basis).map(|(model, [loss, entropy])| ModelRows {
                role: model.role,
                loss: &loss[rows.clone()],
                entropy: &entropy[rows.clone()],
                guesses: model.guesses.as_ref().map(|guesses| GuessRows {
                    rank: &guesses.rank[rows.clone()],
                    top_token: &guesses.top_token[rows.clone()],
                    top_probability: &guesses.top_probability[rows.clone()],
                    top_probability_calibrated: guesses
                        .top_probability_calibrated
                        .as_ref()
                        .map(|column| &column[rows.clone()]),
                }),
            });
            take(&DocumentRows {
                document: first_document + index as u32,
                split: document.split,
                text: &document.text,
                position: &self.joined.position[rows.clone()],
                token: &self.joined.token[rows.clone()],
                byte_start: &self.joined.byte_start[rows.clone()],
                byte_end: &self.joined.byte_end[rows.clone()],
                category: &categories[rows.clone()],
                depth: &of_tokens,
                models: &models.collect::<Vec<_>>(),
                oracle: self.joined.oracle.as_ref().map(|oracle| &oracle.entropy[rows.clone()]),
            });
        }
    }

    /// Divides the documents into at most `most` ranges of about as many rows.
    pub(crate) fn pieces(&self, most: usize) -> Vec<Range<usize>> {
        let rows = self.rows().div_ceil(most.max(1)).max(1);
        let mut pieces = Vec::new();
        let mut start = 0;
        for (index, document) in self.documents().iter().enumerate() {
            let first = self.documents()[start].rows.start;
            if document.rows.end - first >= rows || index + 1 == self.documents().len() {
                pieces.push(start..index + 1);
                start = index + 1;
            }
        }
        pieces
    }

    fn check_finite(&self) -> Result<(), CompareError> {
        for model in &self.models {
            for (column, values) in float_columns(model) {
                if let Some(row) = values.iter().position(|value| !value.is_finite()) {
                    return Err(self.non_finite(&model.label, column, row, values[row]));
                }
            }
        }
        let Some(oracle) = &self.joined.oracle else { return Ok(()) };
        let mut values = oracle.entropy.iter().enumerate();
        match values.find_map(|(row, value)| Some((row, value.filter(|value| !value.is_finite())?))) {
            Some((row, value)) => Err(self.non_finite(&oracle.label, "entropy", row, value)),
            None => Ok(()),
        }
    }

    fn non_finite(&self, label: &str, column: &'static str, row: usize, value: f32) -> CompareError {
        CompareError::NonFinite {
            label: label.to_owned(),
            column,
            document: self.joined.documents[self.joined.document[row] as usize].name.clone(),
            position: self.joined.position[row],
            value,
        }
    }
}

/// A model's columns of floats that are there, with their names.
fn float_columns(model: &JoinedModel) -> Vec<(&'static str, &Vec<f32>)> {
    let mut columns = vec![("loss", &model.loss), ("entropy", &model.entropy)];
    columns.extend(
        model.calibrated.iter().flat_map(|columns| {
            [("loss_calibrated", &columns.loss), ("entropy_calibrated", &columns.entropy)]
        }),
    );
    if let Some(guesses) = &model.guesses {
        columns.push(("top_probability", &guesses.top_probability));
        let calibrated = guesses.top_probability_calibrated.iter();
        columns.extend(calibrated.map(|column| ("top_probability_calibrated", column)));
    }
    columns
}

fn not_calibrated(model: &JoinedModel) -> CompareError {
    CompareError::NotCalibrated { label: model.label.clone(), because: model.run.no_temperature_because() }
}

fn models_by_role(joined: &Joined) -> Result<Vec<&JoinedModel>, CompareError> {
    let mut models: Vec<&JoinedModel> = joined.models.iter().collect();
    if models.len() < 2 {
        return Err(CompareError::TooFewModels { found: models.len() });
    }
    models.sort_by_key(|model| model.role);
    if let Some([first, second]) = models.array_windows().find(|[first, second]| first.role == second.role) {
        return Err(CompareError::DuplicateRole {
            role: first.role,
            first: first.label.clone(),
            second: second.label.clone(),
        });
    }
    for role in [Role::A, Role::B] {
        if joined.model(role).is_none() {
            let found: Vec<&str> = models.iter().map(|model| model.role.name()).collect();
            return Err(CompareError::MissingRole { role, found: found.join(", ") });
        }
    }
    if let Some(oracle) = models.iter().find(|model| model.role == Role::Oracle) {
        return Err(CompareError::OracleAmongModels { label: oracle.label.clone() });
    }
    Ok(models)
}

fn check_lengths(joined: &Joined) -> Result<(), CompareError> {
    let shared = [
        ("document", joined.document.len()),
        ("position", joined.position.len()),
        ("byte_start", joined.byte_start.len()),
        ("byte_end", joined.byte_end.len()),
    ];
    let of_join = shared.map(|(column, found)| ("the join".to_owned(), column, found));
    let of_models = joined.models.iter().flat_map(|model| {
        let mut columns: Vec<(&'static str, usize)> =
            float_columns(model).into_iter().map(|(column, values)| (column, values.len())).collect();
        columns.extend(
            model
                .guesses
                .iter()
                .flat_map(|guesses| [("rank", guesses.rank.len()), ("top_token", guesses.top_token.len())]),
        );
        columns.into_iter().map(|(column, found)| (format!("run `{}`", model.label), column, found))
    });
    let of_oracle = joined.oracle.iter();
    let of_oracle =
        of_oracle.map(|oracle| (format!("run `{}`", oracle.label), "entropy", oracle.entropy.len()));
    let expected = joined.rows();
    match of_join.into_iter().chain(of_models).chain(of_oracle).find(|(_, _, found)| *found != expected) {
        Some((owner, column, found)) => Err(CompareError::ColumnLength { owner, column, found, expected }),
        None => Ok(()),
    }
}

/// Documents tile the rows, rows name their document, spans lie in its text.
fn check_documents(joined: &Joined) -> Result<(), CompareError> {
    let mut next = 0;
    for (index, document) in joined.documents.iter().enumerate() {
        let error = |reason| CompareError::Document { document: document.name.clone(), reason };
        let rows = document.rows.clone();
        if rows.start != next || rows.end < rows.start || rows.end > joined.rows() {
            return Err(error(format!(
                "its rows are {rows:?} where they should start at {next} and end within the join's {} rows",
                joined.rows()
            )));
        }
        next = rows.end;
        for row in rows {
            let (start, end) = (joined.byte_start[row], joined.byte_end[row]);
            if joined.document[row] as usize != index {
                let found = joined.document[row];
                return Err(error(format!(
                    "row {row} is within its rows but names document {found}, not {index}"
                )));
            }
            if start > end || end as usize > document.text.len() {
                return Err(error(format!(
                    "the token at position {} spans bytes {start} to {end} of a text of {} bytes",
                    joined.position[row],
                    document.text.len()
                )));
            }
        }
    }
    if next != joined.rows() {
        let document = joined.documents.len().to_string();
        let reason = format!("the documents' rows end at {next} where the join has {}", joined.rows());
        return Err(CompareError::Document { document, reason });
    }
    Ok(())
}
