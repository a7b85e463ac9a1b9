//! Why a join cannot be compared.

use deltaloss_records::Role;

/// Why a join cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Fewer than two runs.
    #[error("a comparison needs at least two runs, a and b; the join holds {found}")]
    TooFewModels {
        /// How many it holds.
        found: usize,
    },
    /// No run has this role.
    #[error("no run has role {}; the join holds {found}", role.name())]
    MissingRole {
        /// The missing role.
        role: Role,
        /// The roles there are.
        found: String,
    },
    /// Two runs have this role.
    #[error("two runs have role {}: `{first}` and `{second}`; give each run a role of its own", role.name())]
    DuplicateRole {
        /// The role.
        role: Role,
        /// The label of the first run with it.
        first: String,
        /// The label of the second.
        second: String,
    },
    /// The oracle is given as one of the models.
    #[error(
        "run `{label}` is an oracle among the models; an oracle's entropies class the tokens, and stand in a join's `oracle`"
    )]
    OracleAmongModels {
        /// The run's label.
        label: String,
    },
    /// A piece of a join has other runs than the pieces before it.
    #[error(
        "a piece of the join holds the roles {found} where those before it hold {expected}; join the runs anew"
    )]
    Roles {
        /// The roles of the first piece.
        expected: String,
        /// Those of this one.
        found: String,
    },
    /// A calibrated comparison of a run without a temperature.
    #[error(
        "run `{label}` has no temperature ({because}), so it cannot be compared calibrated; \
         score it again on a corpus that gives one, or leave out --calibrated"
    )]
    NotCalibrated {
        /// The run's label.
        label: String,
        /// Why it has none.
        because: String,
    },
    /// The join is empty.
    #[error(
        "no token was predicted by every run ({left_out} by some only), so there is nothing to compare; \
         score the runs on the same documents"
    )]
    NoRows {
        /// Tokens that only some runs predicted.
        left_out: u64,
    },
    /// All tokens are empty strings.
    #[error(
        "all {tokens} joined tokens have empty byte spans, so there are no bytes to divide by; \
         score the runs anew"
    )]
    NoBytes {
        /// How many tokens.
        tokens: u64,
    },
    /// A column has the wrong length.
    #[error(
        "column `{column}` of {owner} holds {found} values where the join has {expected} rows; \
         score the run anew"
    )]
    ColumnLength {
        /// The run's label, or the join.
        owner: String,
        /// The column.
        column: &'static str,
        /// Its length.
        found: usize,
        /// The join's rows.
        expected: usize,
    },
    /// Rows and documents do not fit together.
    #[error("document `{document}`: {reason}; join the runs anew")]
    Document {
        /// The document's name, or its index where it has none.
        document: String,
        /// What does not fit.
        reason: String,
    },
    /// A loss, entropy or probability is infinite or no number.
    #[error(
        "{column} of run `{label}` is {value} at document `{document}`, position {position}, \
         where a finite number is due; score the run anew"
    )]
    NonFinite {
        /// The run's label.
        label: String,
        /// The column.
        column: &'static str,
        /// The document's name.
        document: String,
        /// The token's index in the document.
        position: u32,
        /// What was found.
        value: f32,
    },
    /// The category column was not made by these rules from this join.
    #[error(
        "the category column does not fit: {reason}; \
         make it with `classify_rows` from this join and these rules"
    )]
    Categories {
        /// What does not fit.
        reason: String,
    },
    /// A threshold is infinite or no number.
    #[error("threshold {value} in `{option}` is not finite; give thresholds in nats")]
    Threshold {
        /// The option.
        option: &'static str,
        /// What was found.
        value: f64,
    },
}
