//! Clustered synthetic corpora whose truth is known, and what a comparison makes of them: shared by the tests and
//! the full simulation.
//!
//! A token's loss under a model is a part that all models share, a part that its document adds (so that tokens
//! of one document go together), and noise. Longer documents have larger losses, so that means over tokens are ratios
//! whose numerators and denominators go together, and tokens' probabilities differ by document. With
//! [`Scenario::Effects`], Δ of (a, b) follows the category, [`SLOPES`] and a constant; with [`Scenario::Gap`] also another
//! constant, so that the gap of all tokens is clear; with [`Scenario::Null`] a, b and the placebo are exchangeable.
#![allow(dead_code, reason = "the example and the tests each use a part")]

use std::collections::HashSet;

use deltaloss_records::{Joined, JoinedDocument, JoinedModel, Role, Split};
use deltaloss_stats::{Options, Rules, classify_rows, compare};
use serde_json::Value;

mod run_info;

use self::run_info::run_info;

/// Whether a differs from b.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Δ of (a, b) follows category and covariates.
    Effects,
    /// The same, and a is better by [`GAP_NATS`] on every token.
    Gap,
    /// It is zero but for noise.
    Null,
}

/// Tokens: text, weight in the corpus, Δ of (a, b) of its category, nats.
const TOKENS: [(&str, f64, f64); 18] = [
    ("x", 14.0, 0.0),
    ("y", 5.0, 0.0),
    ("foo", 12.0, -0.1),
    ("bar", 4.0, -0.1),
    ("\n    ", 10.0, -0.2),
    ("\n", 4.0, -0.2),
    (".", 8.0, 0.05),
    (",", 5.0, 0.05),
    (")", 6.0, 0.3),
    ("]", 2.0, 0.3),
    ("))", 3.0, 0.4),
    ("):", 1.5, 0.4),
    ("(", 8.0, 0.1),
    ("[", 2.5, 0.1),
    (" if", 3.0, 0.15),
    (" else", 1.5, 0.15),
    (" 12", 2.0, 0.0),
    (" 345", 1.0, 0.0),
];

/// The change of Δ of (a, b) for a unit of each covariate, nats: frequency, position, depth, repetition,
/// entropy.
pub(crate) const SLOPES: [f64; 5] = [0.0, -0.08, 0.05, -0.1, 0.1];

/// By how much a is better with [`Scenario::Gap`], nats.
const GAP_NATS: f64 = 0.5;

const ROLES: [Role; 4] = [Role::A, Role::B, Role::Benchmark, Role::Placebo];

/// Random numbers: xorshift64* (Vigna 2016). The crate's own generator is not public.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        // Seeds that are near each other start alike.
        for _ in 0..4 {
            random.uniform();
        }
        random
    }

    /// Between 0 and 1, neither.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// A corpus of so many documents of 30 to 120 tokens.
pub(crate) fn corpus(scenario: Scenario, documents: usize, seed: u64) -> Joined {
    let mut random = Random::new(seed);
    let mut join = Joined {
        documents: Vec::new(),
        document: Vec::new(),
        position: Vec::new(),
        token: Vec::new(),
        byte_start: Vec::new(),
        byte_end: Vec::new(),
        models: ROLES.map(empty_model).to_vec(),
        oracle: None,
        left_out: 0,
    };
    (0..documents).for_each(|document| add_document(&mut join, document, scenario, &mut random));
    join
}

fn add_document(join: &mut Joined, document: usize, scenario: Scenario, random: &mut Random) {
    let length = random.uniform();
    let weights = TOKENS.map(|(_, weight, _)| weight * (0.5 * random.normal()).exp());
    let total: f64 = weights.iter().sum();
    let shifts = [(); 4].map(|()| 0.25 * random.normal());
    let hard = 0.4 * random.normal() + 0.8 * (length - 0.5);
    let (first_row, mut text, mut depth) = (join.token.len(), String::new(), 0u32);
    let mut seen = HashSet::new();
    for position in 1..=30 + (90.0 * length) as u32 {
        let mut left = random.uniform() * total;
        let token = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        let token = token.unwrap_or(0);
        let (string, _, category) = TOKENS[token];
        let repeated = f64::from(u8::from(!seen.insert(token)));
        let base = 1.5 + 0.5 * hard + random.normal();
        let entropy = [(); 4].map(|()| (base + 0.3 * random.normal()).abs());
        let x = [0.0, f64::from(position).ln(), f64::from(depth), repeated, entropy[2]];
        let effect: f64 = 0.05 + category + SLOPES.iter().zip(x).map(|(slope, x)| slope * x).sum::<f64>();
        let common = 8.0 + 0.02 * token as f64 + hard + random.normal().abs();
        for (index, model) in join.models.iter_mut().enumerate() {
            let extra = match scenario {
                Scenario::Effects if index == 0 => effect,
                Scenario::Gap if index == 0 => effect - GAP_NATS,
                _ => 0.0,
            };
            let loss = common + shifts[index] + 0.6 * random.normal() + extra;
            model.loss.push(loss as f32);
            model.entropy.push(entropy[index] as f32);
            let guesses = model.guesses.get_or_insert_default();
            guesses.rank.push((random.uniform() * 4.0 + 0.3 * hard.abs()) as u32);
            guesses.top_token.push(0);
            guesses.top_probability.push(0.5);
        }
        join.document.push(document as u32);
        join.position.push(position);
        join.token.push(token as u32);
        join.byte_start.push(text.len() as u32);
        text.push_str(string);
        join.byte_end.push(text.len() as u32);
        for byte in string.bytes() {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    let split = if document.is_multiple_of(2) { Split::Discovery } else { Split::Confirmation };
    join.documents.push(JoinedDocument {
        name: document.to_string(),
        text,
        split,
        rows: first_row..join.token.len(),
    });
}

fn empty_model(role: Role) -> JoinedModel {
    JoinedModel {
        role,
        label: role.name().to_owned(),
        run: run_info(role.name(), TOKENS.len() as u64, 4096),
        carried: false,
        loss: Vec::new(),
        entropy: Vec::new(),
        guesses: None,
        calibrated: None,
        own: None,
    }
}

/// The results over all documents of a corpus, as they lie in `results.json`.
pub(crate) fn results(join: &Joined, replicates: u32, seed: u64) -> Value {
    let rules = Rules::builtin();
    let categories = classify_rows(join, &rules).expect("the corpus is sound");
    let options = Options { replicates, seed, ..Options::default() };
    let found = compare(join, &rules, &categories, &options).expect("the corpus is sound");
    serde_json::to_value(found.all).expect("results are plain data")
}

/// An estimate with what it says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Where it lies in the results, rows by their names.
    pub(crate) place: String,
    /// The table and column: the place without the row.
    pub(crate) kind: String,
    pub(crate) value: f64,
    pub(crate) interval: Option<[f64; 2]>,
    pub(crate) standard_error: Option<f64>,
    pub(crate) degrees_of_freedom: u64,
    /// The q-value of its test, where it was tested.
    pub(crate) q_value: Option<f64>,
}

/// Every estimate of a set of results.
pub(crate) fn estimates(results: &Value) -> Vec<Found> {
    let documents = results["documents"].as_u64().unwrap_or(0);
    let mut found = Vec::new();
    collect(results, &Place::default(), documents, &mut found);
    found
}

/// Where in the results, with and without the rows.
#[derive(Clone, Debug, Default)]
struct Place {
    place: String,
    kind: String,
}

impl Place {
    fn field(&self, key: &str) -> Self {
        Place { place: format!("{}/{key}", self.place), kind: format!("{} {key}", self.kind) }
    }

    /// A row of a table; pairs of models are kinds of their own.
    fn row(&self, name: &str, of_pair: bool) -> Self {
        let kind = if of_pair { format!("{} {name}", self.kind) } else { self.kind.clone() };
        Place { place: format!("{}/{name}", self.place), kind }
    }
}

fn collect(value: &Value, place: &Place, documents: u64, found: &mut Vec<Found>) {
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        let row = place.row(&name(item).unwrap_or(index.to_string()), item.get("first").is_some());
        collect(item, &row, documents, found);
    }
    let Some(fields) = value.as_object() else { return };
    let documents = fields.get("documents").and_then(Value::as_u64).unwrap_or(documents);
    for (key, item) in fields {
        let place = place.field(key);
        let Some(value) = item.get("value").and_then(Value::as_f64) else {
            collect(item, &place, documents, found);
            continue;
        };
        // `delta_nats` is tested by `delta_test`.
        let test = fields.get(&key.trim_end_matches("_per_unit").replace("_nats", "_test"));
        let of_test = |field: &str| test.and_then(|test| test.get(field));
        let freedom = of_test("degrees_of_freedom").and_then(Value::as_u64);
        found.push(Found {
            place: place.place,
            kind: place.kind.trim().to_owned(),
            value,
            interval: serde_json::from_value(item["interval"].clone()).ok().flatten(),
            standard_error: item["standard_error"].as_f64(),
            degrees_of_freedom: freedom.unwrap_or(documents.max(2) - 1),
            q_value: of_test("q_value").and_then(Value::as_f64),
        });
    }
}

/// What a row of a table is called.
fn name(row: &Value) -> Option<String> {
    let text = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| row.get(key).and_then(Value::as_f64).map(|number| number.to_string());
    let both = |left: Option<String>, right: Option<String>| Some(format!("{}-{}", left?, right?));
    text("name")
        .or_else(|| text("role"))
        .or_else(|| both(text("first"), text("second")))
        .or_else(|| both(text("x"), text("y")))
        .or_else(|| both(number("confident_below_nats"), number("uncertain_above_nats")))
}
