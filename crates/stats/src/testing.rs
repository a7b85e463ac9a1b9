//! Joins for tests: small ones written by hand, and arbitrary ones.

use deltaloss_records::{Guesses, Joined, JoinedDocument, JoinedModel, JoinedOracle, Role, Split};
use proptest::prelude::*;

#[path = "../testing/run_info.rs"]
mod run_info;

use self::run_info::run_info;
use crate::bootstrap::TestDraws as Draws;
use crate::{Comparison, Options, Rules, Sections, classify_rows, compare};

/// Joins documents given as lists of token texts; ids are given out in order of first appearance. Losses and
/// entropies are zero, ranks one.
pub(crate) fn join_of(roles: &[Role], documents: &[&[&str]]) -> Joined {
    let mut join = Joined {
        documents: Vec::new(),
        document: Vec::new(),
        position: Vec::new(),
        token: Vec::new(),
        byte_start: Vec::new(),
        byte_end: Vec::new(),
        models: Vec::new(),
        oracle: None,
        left_out: 0,
    };
    let mut vocabulary: Vec<&str> = Vec::new();
    for (index, tokens) in documents.iter().enumerate() {
        let (first_row, mut text) = (join.rows(), String::new());
        for (position, token) in tokens.iter().enumerate() {
            let id = vocabulary.iter().position(|known| known == token).unwrap_or_else(|| {
                vocabulary.push(token);
                vocabulary.len() - 1
            });
            join.document.push(index as u32);
            join.position.push(position as u32);
            join.token.push(id as u32);
            join.byte_start.push(text.len() as u32);
            text.push_str(token);
            join.byte_end.push(text.len() as u32);
        }
        let rows = first_row..join.rows();
        join.documents.push(JoinedDocument {
            name: format!("d{index}.py"),
            text,
            split: Split::Discovery,
            rows,
        });
    }
    let rows = join.rows();
    join.models = roles.iter().map(|&role| model(role, rows)).collect();
    join
}

fn model(role: Role, rows: usize) -> JoinedModel {
    JoinedModel {
        role,
        label: format!("model-{}", role.name()),
        run: run_info(role.name(), 8, 8),
        carried: false,
        loss: vec![0.0; rows],
        entropy: vec![0.0; rows],
        guesses: Some(Guesses {
            rank: vec![1; rows],
            top_token: vec![0; rows],
            top_probability: vec![0.5; rows],
            top_probability_calibrated: None,
        }),
        calibrated: None,
        own: None,
    }
}

/// The comparison of a join by the built-in rules.
pub(crate) fn compared(join: &Joined, options: &Options) -> Comparison {
    let rules = Rules::builtin();
    compare(join, &rules, &classify_rows(join, &rules).unwrap(), options).unwrap()
}

/// Every analysis of all documents of a join, with few resamples.
pub(crate) fn analysed(join: &Joined) -> Sections {
    compared(join, &Options { replicates: 100, ..Options::default() }).all
}

/// The columns of a role that is there.
pub(crate) fn model_mut(join: &mut Joined, role: Role) -> &mut JoinedModel {
    join.models.iter_mut().find(|model| model.role == role).unwrap()
}

/// The guesses of a model of the join's tokens.
pub(crate) fn guesses_mut(model: &mut JoinedModel) -> &mut Guesses {
    model.guesses.as_mut().unwrap()
}

/// Gives a join an oracle: its entropies go with b's, and every ninth token has none.
pub(crate) fn with_oracle(join: &mut Joined, seed: u64) {
    let mut draws = Draws::new(seed);
    let of_b = join.model(Role::B).unwrap().entropy.clone();
    let entropy = of_b.into_iter().map(|entropy| {
        let own = f64::from(entropy) * 0.5 + normal(&mut draws).abs();
        (draws.below(9) > 0).then_some(own as f32)
    });
    let (label, run) = ("oracle".to_owned(), run_info("oracle", 8, 8));
    join.oracle = Some(JoinedOracle { label, run, entropy: entropy.collect() });
}

/// Roles of a whole comparison.
pub(crate) const FOUR: [Role; 4] = [Role::A, Role::B, Role::Benchmark, Role::Placebo];

const TOKENS: [&str; 16] = [
    ")", "]", "))", "):\n", ")\n", "(", "foo(", " if", "x", " 12", "\n    ", ".append", "'", "é", "return",
    ")]}",
];

/// Joins of one to six documents, some of them empty, with a and b and maybe a benchmark and a placebo.
pub(crate) fn any_join() -> impl Strategy<Value = Joined> {
    let cell = || (0f32..14.0, 0f32..10.0, 0u32..3);
    let token = move || (0..TOKENS.len(), [cell(), cell(), cell(), cell()]);
    let documents = prop::collection::vec(prop::collection::vec(token(), 0..20), 1..6);
    let first = prop::collection::vec(token(), 1..20);
    (2usize..=4, first, documents).prop_map(|(models, first, mut documents)| {
        documents.insert(documents.len() / 2, first);
        let texts: Vec<Vec<&str>> =
            documents.iter().map(|tokens| tokens.iter().map(|(token, _)| TOKENS[*token]).collect()).collect();
        let texts: Vec<&[&str]> = texts.iter().map(Vec::as_slice).collect();
        let mut join = join_of(&FOUR[..models], &texts);
        for (row, (_, cells)) in documents.iter().flatten().enumerate() {
            for (model, (loss, entropy, rank)) in join.models.iter_mut().zip(cells) {
                (model.loss[row], model.entropy[row]) = (*loss, *entropy);
                guesses_mut(model).rank[row] = *rank;
            }
        }
        join
    })
}

/// Whether two numbers agree to within rounding.
pub(crate) fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1.0)
}

/// A standard normal number (Box and Muller).
pub(crate) fn normal(draws: &mut Draws) -> f64 {
    let uniform = |draws: &mut Draws| (draws.below(1 << 53) as f64 + 0.5) / (1u64 << 53) as f64;
    let radius = (-2.0 * uniform(draws).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(draws)).cos()
}

/// Clustered losses over `documents` documents of 3 to 12 tokens, every sixth document empty.
pub(crate) fn clustered(documents: usize, seed: u64) -> Joined {
    let mut draws = Draws::new(seed);
    let names = ["x", ")", " if", " 12", "\n    "];
    let texts: Vec<Vec<&str>> = (0..documents)
        .map(|document| {
            let tokens = if document % 6 == 5 { 0 } else { 3 + draws.below(10) };
            (0..tokens).map(|_| names[draws.below(5)]).collect()
        })
        .collect();
    let texts: Vec<&[&str]> = texts.iter().map(Vec::as_slice).collect();
    let mut join = join_of(&FOUR, &texts);
    for model in &mut join.models {
        for document in &join.documents {
            let shift = 0.4 * normal(&mut draws);
            for row in document.rows.clone() {
                model.loss[row] = (2.0 + shift + 0.5 * normal(&mut draws)).max(0.0) as f32;
                model.entropy[row] = (1.5 + shift + normal(&mut draws)).max(0.0) as f32;
                guesses_mut(model).rank[row] = draws.below(3) as u32;
            }
        }
    }
    // A gap whose sign no resample turns.
    model_mut(&mut join, Role::B).loss.iter_mut().for_each(|loss| *loss += 1.5);
    join
}
