//! A comparison with everything there is: halves, both bases, tests, calibration, a regression. Made from the other
//! samples so that its numbers are known: Δ is 0.01 more in the confirmation half and 0.01 less in the
//! discovery half than over all documents, and calibrated half of what it is as scored.

use deltaloss_records::Role;
use deltaloss_stats::{
    ByHalf, Comparison, ConfidenceCell, ConfidenceDifference, DeltaRow, EntropyPair, Estimate, HeldFixed,
    HeldFixedCategory, HeldFixedCovariate, HeldFixedPair, HeldFixedSlope, PairDifference, ReliabilityBin,
    ReliabilityDiagram, Sections, Test,
};

/// The comparison.
pub(crate) fn halves() -> Comparison {
    let mut comparison = super::with_intervals();
    for model in &mut comparison.setup.models {
        model.run.temperature = model.run.temperature.or(Some(1.05));
    }
    super::add_oracle(&mut comparison);
    let all = comparison.all.clone();
    let on = |factor: f64| ByHalf {
        all: sections(&all, 0.0, factor, 4_982),
        discovery: Some(sections(&all, -0.01, factor, 2_480)),
        confirmation: Some(sections(&all, 0.01, factor, 2_502)),
    };
    let calibrated = on(0.5);
    Comparison { calibrated: Some(calibrated), ..Comparison::new(comparison.setup, on(1.0), None) }
}

/// A two-sided test that holds exactly where the number is 0.05 or more from zero.
fn test(number: Option<Estimate>) -> Option<Test> {
    let p_value = if number?.value.abs() >= 0.05 { 1e-5 } else { 0.31 };
    Some(Test { degrees_of_freedom: 999, p_value, q_value: 1.1 * p_value })
}

/// `number` with an interval of the same width about another value.
fn moved(number: Estimate, value: f64) -> Estimate {
    let half = number.interval.map(|[low, high]| (high - low) / 2.0);
    let interval = half.map(|half| [value - half, value + half]);
    Estimate { value, interval, standard_error: half.map(|half| half / 1.96) }
}

fn less(one: Option<Estimate>, other: Option<Estimate>) -> Option<Estimate> {
    Some(moved(one?, one?.value - other?.value))
}

fn sections(all: &Sections, shift: f64, factor: f64, documents: u64) -> Sections {
    let mut found = all.clone();
    found.documents = documents;
    found.tokens = all.tokens * documents / 4_982;
    found.intervals.documents = documents;
    let change = |number: &mut Estimate| *number = moved(*number, factor * (number.value + shift));
    for pair in &mut found.overall.pairs {
        if pair.first == Role::A {
            change(&mut pair.mean_delta_nats);
        }
        pair.mean_delta_test = test(Some(pair.mean_delta_nats));
    }
    let [ours, placebo] = [0, 1].map(|index| found.overall.pairs[index].clone());
    let (one, other) = (ours.mean_delta_nats, placebo.mean_delta_nats);
    let difference = moved(one, one.value - other.value);
    found.overall.placebo_difference = Some(PairDifference {
        mean_delta_nats: difference,
        mean_delta_test: test(Some(difference)),
        first_wins_tokens: Estimate::point(-0.014),
        first_wins_documents: Estimate::point(-0.021),
    });
    let brackets = &mut found.brackets;
    let groups = [&mut brackets.by_token, &mut brackets.by_count, &mut brackets.by_depth];
    for row in found.categories.iter_mut().chain(groups.into_iter().flatten()) {
        row.delta_nats.iter_mut().for_each(change);
        fill(row, ours.mean_delta_nats.value);
    }
    if let Some(oracle) = &mut found.oracle {
        for bin in &mut oracle.bins {
            bin.row.delta_nats.iter_mut().for_each(change);
            fill(&mut bin.row, ours.mean_delta_nats.value);
        }
        for trend in [&mut oracle.trend, &mut oracle.placebo_trend].into_iter().flatten() {
            trend.slope.value *= factor;
            trend.slope_test = test(Some(trend.slope));
        }
    }
    for row in &mut found.confidence {
        for cell in [&mut row.a_confident, &mut row.b_confident] {
            cell.delta_nats.iter_mut().for_each(change);
            cell.delta_test = test(cell.delta_nats);
        }
        let difference = |ours: ConfidenceCell, placebo: Option<ConfidenceCell>| {
            let delta_nats = less(ours.delta_nats, placebo.and_then(|cell| cell.delta_nats));
            ConfidenceDifference { delta_nats, delta_test: test(delta_nats), ..Default::default() }
        };
        row.a_difference = Some(difference(row.a_confident, row.placebo_confident));
        row.b_difference = Some(difference(row.b_confident, row.b_confident_over_placebo));
    }
    for model in &mut found.reliability {
        diagram(&mut model.as_scored, 0.06);
        model.calibrated = model.calibrated.clone().or_else(|| Some(model.as_scored.clone()));
        model.calibrated.iter_mut().for_each(|found| diagram(found, 0.01));
    }
    found.entropy_pairs = vec![EntropyPair {
        first: Role::A,
        second: Role::B,
        mean_nats: Estimate::point(-0.16),
        mean_test: test(Some(Estimate::point(-0.16))),
        share_below_0_2: Estimate::point(0.013),
        share_below_0_2_test: test(Some(Estimate::point(0.013))),
    }];
    found.held_fixed = Some(held_fixed(&found));
    found
}

fn fill(row: &mut DeltaRow, overall: f64) {
    let whole = Some(Estimate::point(overall));
    row.delta_test = test(row.delta_nats);
    row.excess_nats = less(row.delta_nats, whole);
    row.excess_test = test(row.excess_nats);
    row.difference_nats = less(row.delta_nats, row.placebo_delta_nats);
    row.difference_test = test(row.difference_nats);
}

/// Fifteen bins whose accuracy lies `gap` above their probability in the middle; the last but one is rare.
fn diagram(found: &mut ReliabilityDiagram, gap: f64) {
    let end = |index: u32| f64::from(index) / 15.0;
    let bin = |index: u32| {
        let probability = (end(index) + end(index + 1)) / 2.0;
        let tokens = if index == 13 { 40 } else { 5_000 + 9_000 * u64::from(index) };
        let above = gap * (1.0 - (2.0 * probability - 1.0).abs());
        ReliabilityBin {
            above: end(index),
            up_to: end(index + 1),
            tokens: if index == 0 { 0 } else { tokens },
            mean_probability: (index > 0).then_some(probability),
            accuracy: (index > 0).then_some(probability + above),
            gap: (index > 0).then_some(Estimate::point(above)),
        }
    };
    found.bins = (0..15).map(bin).collect();
}

/// Held fixed, a category keeps half of its excess, and its sign; three covariates, one of them left out.
fn held_fixed(sections: &Sections) -> HeldFixed {
    let overall = sections.overall.pairs[0].mean_delta_nats.value;
    let names = [
        ("ln occurrences of the token among the joined tokens", None),
        ("bracket depth", None),
        ("occurred before in the window", Some("it is the same for every token")),
    ];
    let category = |row: &DeltaRow| {
        let raw = row.excess_nats.unwrap_or_else(|| Estimate::point(0.0));
        let excess = moved(raw, raw.value / 2.0);
        HeldFixedCategory {
            name: row.name.clone(),
            tokens: row.tokens,
            documents: row.documents,
            delta_nats: moved(raw, overall + raw.value / 2.0),
            excess_nats: Some(excess),
            excess_test: test(Some(excess)),
        }
    };
    let pair = |first, second| HeldFixedPair {
        first,
        second,
        r_squared: Some(0.087),
        slopes: names
            .iter()
            .map(|(name, dropped)| {
                let slope = dropped.is_none().then(|| Estimate::point(-0.06));
                HeldFixedSlope {
                    name: (*name).to_owned(),
                    delta_nats_per_unit: slope,
                    delta_test: test(slope),
                }
            })
            .collect(),
        categories: sections.categories.iter().map(category).collect(),
    };
    let covariate = |(name, dropped): &(&str, Option<&str>)| HeldFixedCovariate {
        name: (*name).to_owned(),
        mean: 2.5,
        standard_deviation: 1.25,
        dropped_because: dropped.map(str::to_owned),
    };
    HeldFixed {
        tokens: sections.tokens,
        documents: sections.documents,
        entropy_of: Role::Benchmark,
        covariates: names.iter().map(covariate).collect(),
        pairs: vec![pair(Role::A, Role::B), pair(Role::Placebo, Role::B), pair(Role::A, Role::Placebo)],
    }
}
