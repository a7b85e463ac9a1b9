//! A comparison to try the report on: the numbers of the post where it gives them (its placebo, depths and grids
//! are made up), and awkward ones. Shared by the tests and the example.
#![allow(dead_code, reason = "the example and the tests each use a part")]

use deltaloss_records::Role;
use deltaloss_stats::{
    Brackets, Comparison, ConfidenceCell, ConfidenceRow, DeltaRow, EntropyDistribution, Estimate, Heatmap,
    IntervalNote, ModelSummary, Oracle, OracleBin, OracleTrend, Overall, PairCorrelation, PairSummary,
    RESULTS_SCHEMA, Sections,
};

#[path = "sample_halves.rs"]
mod halves;
mod heatmap;
mod setup;

pub(crate) use self::halves::halves;
use self::heatmap::heatmap;
use self::setup::{oracle, reliability, setup};

/// Role, label, mean loss, mean and median entropy, parameters, non-zero parameters.
type Model = (Role, &'static str, f64, f64, f64, u64, u64);

const MODELS: [Model; 4] = [
    (Role::A, "sparse", 2.205, 1.81, 1.59, 475_103_232, 6_553_600),
    (Role::B, "dense", 2.200, 1.97, 1.65, 50_331_648, 50_331_648),
    (Role::Benchmark, "benchmark dense", 2.437, 2.14, 1.83, 14_155_776, 14_155_776),
    (Role::Placebo, "dense twin", 2.203, 1.95, 1.64, 50_331_648, 50_331_648),
];

/// Category, tokens, loss of b, loss of a, Δ of the placebo.
const CATEGORIES: [(&str, u64, f64, f64, f64); 19] = [
    ("Logical operators", 1_065, 3.99, 3.67, -0.041),
    ("Compound closing brackets", 40_456, 2.09, 1.88, 0.012),
    ("Digits", 50_986, 1.76, 1.67, -0.018),
    ("Closing brackets", 21_099, 1.57, 1.49, 0.006),
    ("Arithmetic operators", 35_272, 2.58, 2.53, 0.009),
    ("Opening brackets", 20_378, 1.82, 1.78, -0.011),
    ("Compound opening brackets", 51_920, 2.27, 2.23, 0.004),
    ("Punctuation", 73_478, 1.73, 1.705, 0.002),
    ("Indentation", 50_782, 1.02, 1.0196, -0.003),
    ("Other", 320_398, 2.35, 2.362, 0.004),
    ("Common variable names", 81_789, 2.47, 2.50, 0.008),
    ("Comparison operators", 10_008, 2.56, 2.61, 0.022),
    ("Python keywords", 23_121, 1.90, 1.95, -0.014),
    ("Underscore patterns", 10_965, 3.35, 3.43, 0.031),
    ("Common builtins", 28_497, 2.75, 2.85, -0.009),
    ("Method calls", 8_692, 2.65, 2.825, 0.027),
    ("Control flow end", 7_742, 2.06, 2.28, 0.035),
    ("Multi-digit numbers", 8_451, 4.13, 4.39, 0.048),
    ("Control flow start", 25_045, 2.50, 2.85, 0.019),
];

const BRACKET_TOKENS: [(&str, u64, f64, f64, f64); 8] = [
    ("))", 1_811, 2.64, 2.175, -0.02),
    ("]]", 474, 3.29, 2.94, 0.06),
    ("])", 1_512, 2.30, 2.07, 0.01),
    (")]", 464, 2.71, 2.535, -0.03),
    ("}", 682, 1.39, 1.255, 0.02),
    ("]", 10_691, 1.57, 1.48, 0.007),
    (")", 9_726, 1.58, 1.52, 0.004),
    (" )", 43, 3.10, 3.72, -0.3),
];

const BRACKET_COUNTS: [(&str, u64, f64, f64, f64); 3] =
    [("3", 183, 3.05, 2.34, -0.05), ("2", 10_151, 2.51, 2.11, 0.014), ("1", 50_605, 1.79, 1.68, 0.007)];

const BRACKET_DEPTHS: [(&str, u64, f64, f64, f64); 5] = [
    ("1", 39_772, 1.70, 1.62, 0.006),
    ("2", 19_113, 2.14, 1.95, 0.011),
    ("3", 3_904, 2.41, 2.12, -0.012),
    ("4", 611, 2.87, 2.48, 0.04),
    ("5", 71, 3.40, 3.51, -0.22),
];

/// c, u, then N and Δ for a confident, b confident, placebo confident and b confident over placebo.
type Confidence = (f64, f64, [(u64, f64); 4]);

const CONFIDENCE: [Confidence; 12] = [
    (0.25, 1.0, [(7_263, -0.9), (4_490, 0.1), (5_004, -0.41), (4_871, 0.33)]),
    (0.25, 2.0, [(2_823, -2.0), (832, 0.4), (1_102, -0.94), (1_010, 0.71)]),
    (0.25, 3.0, [(1_534, -2.5), (186, 0.9), (251, -1.38), (240, 1.07)]),
    (0.5, 1.0, [(17_095, -0.5), (13_837, 0.1), (14_420, -0.27), (14_000, 0.22)]),
    (0.5, 2.0, [(5_649, -1.6), (2_253, 0.3), (2_655, -0.78), (2_540, 0.6)]),
    (0.5, 3.0, [(2_849, -2.2), (431, 1.0), (540, -1.21), (512, 1.02)]),
    (0.75, 1.0, [(31_411, -0.4), (28_010, 0.1), (28_630, -0.19), (28_204, 0.16)]),
    (0.75, 2.0, [(9_250, -1.3), (4_409, 0.3), (4_903, -0.61), (4_750, 0.49)]),
    (0.75, 3.0, [(4_302, -2.0), (839, 0.9), (1_005, -1.04), (970, 0.88)]),
    (1.0, 1.0, [(53_861, -0.3), (50_259, 0.1), (50_611, -0.13), (50_340, 0.11)]),
    (1.0, 2.0, [(14_479, -1.0), (7_837, 0.3), (8_320, -0.5), (8_104, 0.4)]),
    (1.0, 3.0, [(6_156, -1.8), (1_458, 0.7), (1_702, -0.9), (1_688, 0.75)]),
];

/// The post's numbers with a placebo and no interval, as the first version computes them.
pub(crate) fn comparison() -> Comparison {
    Comparison {
        schema: RESULTS_SCHEMA.to_owned(),
        setup: setup(),
        all: sections(),
        discovery: None,
        confirmation: None,
        calibrated: None,
    }
}

fn sections() -> Sections {
    Sections {
        documents: 4_982,
        tokens: 870_144,
        bytes: 2_714_849,
        intervals: IntervalNote::default(),
        overall: overall(),
        correlation: correlation(),
        categories: CATEGORIES.into_iter().map(delta_row).collect(),
        brackets: Brackets {
            by_token: BRACKET_TOKENS.into_iter().map(delta_row).collect(),
            by_count: BRACKET_COUNTS.into_iter().map(delta_row).collect(),
            by_depth: BRACKET_DEPTHS.into_iter().map(delta_row).collect(),
        },
        entropy: MODELS.iter().map(entropy).collect(),
        entropy_pairs: Vec::new(),
        confidence: CONFIDENCE.into_iter().map(confidence_row).collect(),
        reliability: MODELS.iter().map(reliability).collect(),
        oracle: None,
        held_fixed: None,
    }
}

/// Two models, no placebo, no benchmark.
pub(crate) fn one_pair() -> Comparison {
    let mut comparison = comparison();
    let pair = [Role::A, Role::B];
    comparison.setup.models.retain(|model| pair.contains(&model.role));
    comparison.all.overall.models.retain(|model| pair.contains(&model.role));
    comparison.all.overall.pairs.truncate(1);
    comparison.all.correlation.truncate(1);
    comparison.all.entropy.retain(|model| pair.contains(&model.role));
    for row in delta_rows(&mut comparison) {
        row.placebo_delta_nats = None;
    }
    for row in &mut comparison.all.confidence {
        row.placebo_confident = None;
        row.b_confident_over_placebo = None;
    }
    comparison
}

/// A run compared with itself: every Δ is zero, b's label equals a's.
pub(crate) fn identical() -> Comparison {
    let mut comparison = one_pair();
    for model in &mut comparison.setup.models {
        model.label = "same".into();
    }
    for model in &mut comparison.all.overall.models {
        *model = ModelSummary { role: model.role, label: "same".into(), ..summary(&MODELS[0]) };
    }
    comparison.all.overall.pairs = vec![pair(Role::A, Role::B, 0.0, 0.0, 0.0)];
    for row in delta_rows(&mut comparison) {
        row.loss_a_nats = row.loss_b_nats;
        row.delta_nats = Some(Estimate::point(0.0));
        row.share_of_gap = None;
    }
    for model in &mut comparison.all.entropy {
        *model = EntropyDistribution { role: model.role, label: "same".into(), ..entropy(&MODELS[0]) };
    }
    for row in &mut comparison.all.confidence {
        let none = ConfidenceCell::default();
        (row.a_confident, row.b_confident) = (none, none);
    }
    comparison
}

/// Nothing was joined: every list is empty or holds nothing.
pub(crate) fn empty() -> Comparison {
    let mut comparison = one_pair();
    comparison.all.overall = Overall { models: Vec::new(), pairs: Vec::new(), placebo_difference: None };
    comparison.setup.tokens = 0;
    comparison.setup.documents = 0;
    comparison.all.correlation.clear();
    comparison.all.categories.clear();
    comparison.all.brackets = Brackets { by_token: Vec::new(), by_count: Vec::new(), by_depth: Vec::new() };
    comparison.all.entropy.clear();
    comparison.all.confidence.clear();
    comparison
}

/// Labels, names and tokens chosen to break out of HTML, SVG, Markdown and CSV.
pub(crate) fn hostile() -> Comparison {
    let mut comparison = comparison();
    let nasty = [
        "</script><img src=x onerror=alert(1)>",
        "a|b`c*d_e\n\r\t\u{0}\u{1b}\u{202e}",
        "\"'&<!-- ]]>",
        "=cmd()",
    ];
    for (index, model) in comparison.setup.models.iter_mut().enumerate() {
        let text = nasty[index % nasty.len()];
        model.label = text.into();
        let run = &mut model.run;
        for field in [
            &mut run.model.name,
            &mut run.model.source,
            &mut run.model.sha256,
            &mut run.model.architecture,
            &mut run.tokenizer.name,
            &mut run.tokenizer.sha256,
            &mut run.corpus.name,
            &mut run.corpus.sha256,
            &mut run.window.mode,
            &mut run.engine.version,
            &mut run.engine.instruction_set,
        ] {
            *field = text.into();
        }
    }
    for (index, model) in comparison.all.overall.models.iter_mut().enumerate() {
        model.label = nasty[index % nasty.len()].into();
    }
    for (index, model) in comparison.all.entropy.iter_mut().enumerate() {
        model.label = nasty[index % nasty.len()].into();
    }
    comparison.setup.rules = nasty[0].into();
    for (index, row) in delta_rows(&mut comparison).enumerate() {
        row.name = nasty[index % nasty.len()].into();
    }
    comparison
}

/// Numbers that are huge, tiny, absent or not numbers at all, groups without tokens, labels of 60 characters.
pub(crate) fn extreme() -> Comparison {
    let mut comparison = comparison();
    let numbers = [1e300, -1e300, 1e-300, f64::NAN, f64::INFINITY, 0.0, -1e12];
    for (index, row) in delta_rows(&mut comparison).enumerate() {
        let number = numbers[index % numbers.len()];
        row.delta_nats = (index % 5 != 4)
            .then_some(Estimate { interval: Some([number, f64::MAX]), ..Estimate::point(number) });
        row.loss_a_nats = Some(Estimate::point(number));
        row.share_of_gap = Some(Estimate::point(number));
        row.placebo_delta_nats = Some(Estimate::point(-number));
        row.tokens = if index % 3 == 0 { 0 } else { u64::MAX };
    }
    for (index, model) in comparison.all.overall.models.iter_mut().enumerate() {
        model.mean_loss_nats = Estimate::point(numbers[index]);
        model.perplexity = Estimate::point(f64::INFINITY);
    }
    for (index, model) in comparison.setup.models.iter_mut().enumerate() {
        model.label = format!("{index} a model with a label of sixty characters or even a few more");
        model.run.elapsed_seconds = f64::NAN;
    }
    for model in &mut comparison.all.entropy {
        model.density_per_nat = model.density_per_nat.iter().map(|_| f64::NAN).collect();
        model.grid_nats.truncate(3);
    }
    for row in &mut comparison.all.confidence {
        row.a_confident = confidence_cell(u64::MAX, Estimate::point(1e300));
    }
    if let [first, second, third, ..] = &mut comparison.all.correlation[..] {
        first.heatmap_vocabulary =
            Heatmap { edges_nats: vec![f64::NAN; 4], counts: vec![vec![1; 9]; 9], outside: 1 };
        second.heatmap_vocabulary = Heatmap { edges_nats: vec![], counts: vec![], outside: 0 };
        third.heatmap_vocabulary.counts = vec![vec![u64::MAX; 30]; 3];
    }
    comparison
}

/// Wild numbers on few tokens among sober ones on many, in every analysis that has groups.
pub(crate) fn few() -> Comparison {
    let mut comparison = comparison();
    for (index, row) in delta_rows(&mut comparison).enumerate().filter(|(index, _)| index % 3 == 1) {
        let sign = if index % 2 == 0 { 1.0 } else { -1.0 };
        row.tokens = index as u64;
        row.delta_nats = Some(Estimate { interval: Some([-1.0, 9.0]), ..Estimate::point(7.0 * sign) });
        row.placebo_delta_nats = Some(Estimate::point(-5.0 * sign));
    }
    for (index, row) in comparison.all.confidence.iter_mut().enumerate().filter(|(index, _)| index % 3 != 0) {
        let cell = |delta| confidence_cell(index as u64, delta);
        row.a_confident = cell(Estimate { interval: Some([-8.0, 9.0]), ..Estimate::point(0.9) });
        row.b_confident = cell(Estimate::point(-3.65));
        row.placebo_confident = Some(cell(Estimate::point(-1.548)));
        row.b_confident_over_placebo = Some(cell(Estimate::point(1.477)));
    }
    comparison
}

/// The same comparison with an interval on every Δ.
pub(crate) fn with_intervals() -> Comparison {
    let mut comparison = comparison();
    let around = |estimate: &mut Estimate, half: f64| {
        estimate.interval = Some([estimate.value - half, estimate.value + half]);
    };
    for row in delta_rows(&mut comparison) {
        let half = 1.2 / (row.tokens as f64).sqrt();
        if let Some(delta) = &mut row.delta_nats {
            around(delta, half);
        }
    }
    for pair in &mut comparison.all.overall.pairs {
        around(&mut pair.mean_delta_nats, 0.004);
    }
    for model in &mut comparison.all.overall.models {
        around(&mut model.mean_loss_nats, 0.03);
        around(&mut model.mean_entropy_nats, 0.02);
    }
    for row in &mut comparison.all.confidence {
        for cell in [Some(&mut row.a_confident), Some(&mut row.b_confident), row.placebo_confident.as_mut()] {
            let Some(cell) = cell else { continue };
            let half = 3.0 / (cell.tokens as f64).sqrt();
            if let Some(delta) = &mut cell.delta_nats {
                around(delta, half);
            }
        }
    }
    comparison.all.intervals = IntervalNote {
        method: "percentile bootstrap by document".into(),
        level: 0.95,
        replicates: 2_000,
        seed: 1,
        documents: 3_000,
        fewest_documents: 10,
        none_because: None,
    };
    comparison
}

fn delta_rows(comparison: &mut Comparison) -> impl Iterator<Item = &mut DeltaRow> {
    let brackets = &mut comparison.all.brackets;
    let groups = [&mut brackets.by_token, &mut brackets.by_count, &mut brackets.by_depth];
    comparison.all.categories.iter_mut().chain(groups.into_iter().flatten())
}

fn bits_per_byte(loss: f64) -> f64 {
    loss / std::f64::consts::LN_2 * 870_144.0 / 2_714_849.0
}

fn summary(&(role, label, loss, mean, median, ..): &Model) -> ModelSummary {
    ModelSummary {
        role,
        label: label.into(),
        mean_loss_nats: Estimate::point(loss),
        bits_per_byte: Estimate::point(bits_per_byte(loss)),
        perplexity: Estimate::point(loss.exp()),
        top1_accuracy: Some(Estimate::point(0.62 - loss / 20.0)),
        mean_entropy_nats: Estimate::point(mean),
        median_entropy_nats: Estimate::point(median),
    }
}

fn overall() -> Overall {
    let pairs =
        vec![pair(Role::A, Role::B, 0.005, 0.483, 0.471), pair(Role::Placebo, Role::B, 0.003, 0.497, 0.492)];
    Overall { models: MODELS.iter().map(summary).collect(), pairs, placebo_difference: None }
}

fn pair(first: Role, second: Role, delta: f64, tokens: f64, documents: f64) -> PairSummary {
    PairSummary {
        first,
        second,
        mean_delta_nats: Estimate::point(delta),
        mean_delta_test: None,
        delta_nats_per_byte: Some(Estimate::point(delta * 870_144.0 / 2_714_849.0)),
        first_wins_tokens: Estimate::point(tokens),
        first_wins_documents: Estimate::point(documents),
        equivalence: None,
    }
}

/// Δ by the oracle's entropy as in the post: [mean entropy, Δ, Δ of the placebo] of each bin.
const ORACLE: [[f64; 3]; 9] = [
    [0.0, -0.055, 0.004],
    [0.02, -0.05, -0.002],
    [0.11, -0.041, 0.001],
    [0.38, -0.024, 0.003],
    [0.8, -0.008, -0.001],
    [1.3, 0.018, 0.002],
    [2.0, 0.06, 0.004],
    [3.0, 0.11, -0.003],
    [6.0, 0.13, 0.012],
];

/// Gives a comparison an oracle.
pub(crate) fn add_oracle(comparison: &mut Comparison) {
    comparison.setup.oracle = Some(oracle());
    let bins = ORACLE.iter().enumerate().map(|(index, &[entropy, delta, placebo])| {
        let name = (index + 1).to_string();
        let tokens = 870_144 / ORACLE.len() as u64;
        let mut row = delta_row((&name, tokens, 0.2 + entropy, 0.2 + entropy + delta, placebo));
        row.delta_nats = row
            .delta_nats
            .map(|delta| Estimate { interval: Some([delta.value - 0.012, delta.value + 0.012]), ..delta });
        OracleBin { up_to_nats: entropy * 1.3, mean_entropy_nats: entropy, row }
    });
    let trend = |slope: f64| OracleTrend {
        slope: Estimate { interval: Some([slope - 0.004, slope + 0.004]), ..Estimate::point(slope) },
        slope_test: None,
        intercept_nats: Estimate::point(-0.9 * slope),
        crossing_nats: Some(Estimate::point(0.9)),
    };
    comparison.all.oracle = Some(Oracle {
        label: "gpt-oss-20b".into(),
        tokens: 870_144,
        without_value: 1_203,
        bins: bins.collect(),
        crossings_nats: vec![0.954],
        trend: Some(trend(0.041)),
        placebo_trend: Some(trend(0.001)),
        slope_difference: Some(Estimate::point(0.04)),
        slope_difference_test: None,
    });
}

fn delta_row((name, tokens, loss_b, loss_a, placebo): (&str, u64, f64, f64, f64)) -> DeltaRow {
    DeltaRow {
        name: name.into(),
        tokens,
        vocabulary_entries: 1 + tokens % 97,
        documents: tokens.min(4_982),
        loss_a_nats: Some(Estimate::point(loss_a)),
        loss_b_nats: Some(Estimate::point(loss_b)),
        delta_nats: Some(Estimate::point(loss_a - loss_b)),
        share_of_gap: Some(Estimate::point((loss_a - loss_b) * tokens as f64 / (0.005 * 870_144.0))),
        placebo_delta_nats: Some(Estimate::point(placebo)),
        ..DeltaRow::default()
    }
}

fn entropy(&(role, label, _, mean, median, ..): &Model) -> EntropyDistribution {
    let grid: Vec<f64> = (0..=160).map(|i| f64::from(i) * 0.05).collect();
    let density =
        |x: f64| 0.42 * (-(x / 0.35)).exp() + 1.06 / mean * (x / mean + 0.2) * (-1.42 * x / mean).exp();
    EntropyDistribution {
        role,
        label: label.into(),
        mean_nats: Estimate::point(mean),
        median_nats: Estimate::point(median),
        share_below_0_2: Estimate::point(0.29 - mean / 12.0),
        density_per_nat: grid.iter().map(|x| density(*x)).collect(),
        grid_nats: grid,
        density_intervals_per_nat: None,
        density_standard_errors_per_nat: None,
    }
}

fn confidence_cell(tokens: u64, delta: Estimate) -> ConfidenceCell {
    ConfidenceCell { tokens, delta_nats: Some(delta), ..ConfidenceCell::default() }
}

fn confidence_row((c, u, cells): Confidence) -> ConfidenceRow {
    let [a, b, placebo, over_placebo] =
        cells.map(|(tokens, delta)| confidence_cell(tokens, Estimate::point(delta)));
    ConfidenceRow {
        confident_below_nats: c,
        uncertain_above_nats: u,
        a_confident: a,
        b_confident: b,
        placebo_confident: Some(placebo),
        b_confident_over_placebo: Some(over_placebo),
        a_difference: None,
        b_difference: None,
    }
}

fn correlation() -> Vec<PairCorrelation> {
    let pairs = [
        (Role::A, Role::B, 0.93),
        (Role::A, Role::Benchmark, 0.92),
        (Role::A, Role::Placebo, 0.931),
        (Role::B, Role::Benchmark, 0.95),
        (Role::B, Role::Placebo, 0.976),
        (Role::Benchmark, Role::Placebo, 0.949),
    ];
    pairs
        .into_iter()
        .map(|(x, y, r): (Role, Role, f64)| PairCorrelation {
            x,
            y,
            pearson_occurrences: Estimate::point(r - 0.07).into(),
            spearman_occurrences: Estimate::point(r - 0.03).into(),
            vocabulary_entries: 1_614,
            pearson_vocabulary: Estimate::point(r).into(),
            pearson_vocabulary_weighted: Estimate::point(r + 0.015).into(),
            heatmap_occurrences: heatmap([0.001, 20.0], 40_000, 1.25, 0.55),
            heatmap_vocabulary: heatmap([0.3, 20.0], 1_600, 0.55, 0.12 + (1.0 - r)),
        })
        .collect()
}
