//! Diagrams by hand, their coverage, and what holds of any join.

use deltaloss_records::{Basis, CalibratedLosses, Joined, Role};
use proptest::prelude::*;

use super::*;
use crate::bootstrap::TestDraws as Draws;
use crate::testing::{any_join, close, compared, guesses_mut, join_of, model_mut};
use crate::{CheckedJoin, Comparison, Options, Sections};

const PAIR: [Role; 2] = [Role::A, Role::B];

/// Gives a run's rows these probabilities of the likeliest entry, and says which rows are hits.
fn set(join: &mut Joined, role: Role, rows: &[(f32, bool)]) {
    let tokens = join.token.clone();
    let model = guesses_mut(model_mut(join, role));
    model.top_probability = rows.iter().map(|(probability, _)| *probability).collect();
    let top = rows.iter().zip(tokens).map(|((_, hit), token)| if *hit { token } else { token + 1 });
    model.top_token = top.collect();
}

fn of_a(comparison: &Comparison) -> &Reliability {
    &comparison.all.reliability[0]
}

fn few() -> Options {
    Options { replicates: 60, ..Options::default() }
}

#[test]
fn a_small_diagram_by_hand() {
    let mut join = join_of(&PAIR, &[&["a", "b", "c"], &["d", "e"]]);
    // Bins: 0.9 and 0.93 in the fourteenth, 0.5 in the eighth, 0.2 (just above 3/15 as a float) in the fourth, 1 in the last.
    set(&mut join, Role::A, &[(0.9, true), (0.93, false), (0.5, true), (0.2, false), (1.0, true)]);
    let found = compared(&join, &few());
    let Reliability { role, as_scored, calibrated, .. } = of_a(&found);
    assert_eq!((*role, calibrated.as_ref()), (Role::A, None));
    let filled: Vec<(usize, u64)> = as_scored
        .bins
        .iter()
        .enumerate()
        .filter(|(_, bin)| bin.tokens > 0)
        .map(|(i, b)| (i, b.tokens))
        .collect();
    assert_eq!(filled, [(3, 1), (7, 1), (13, 2), (14, 1)]);
    let bin = &as_scored.bins[13];
    assert_eq!((bin.above, bin.up_to), (13.0 / 15.0, 14.0 / 15.0));
    assert!(close(bin.mean_probability.unwrap(), (f64::from(0.9f32) + f64::from(0.93f32)) / 2.0));
    assert_eq!(bin.accuracy, Some(0.5));
    let gap = |hits: f64, probability: f64| (hits - probability).abs();
    let expected = gap(0.0, f64::from(0.2f32))
        + gap(1.0, 0.5)
        + gap(1.0, f64::from(0.9f32) + f64::from(0.93f32))
        + gap(1.0, 1.0);
    assert!(close(as_scored.expected_calibration_error.value, expected / 5.0));
    let sure: f64 = [0.9f32, 0.93, 0.5, 0.2, 1.0].iter().map(|&p| f64::from(p)).sum();
    assert!(close(as_scored.overconfidence.value, (sure - 3.0) / 5.0));
    // Two documents: no interval, no standard error.
    assert_eq!(as_scored.expected_calibration_error.interval, None);
    assert_eq!(as_scored.bins[13].gap.unwrap().standard_error, None);
    assert_eq!(as_scored.bins[0].gap, None);
}

#[test]
fn ends_of_bins_belong_to_the_lower_one() {
    assert_eq!(
        [0.0, 1.0 / 15.0, 1.0000001 / 15.0, 0.2, 0.999, 1.0, 1.5, -3.0].map(bin_of),
        [0, 0, 1, 2, 14, 14, 14, 0]
    );
    assert_eq!(bin_of(f64::NAN), 0);
}

/// Thirty documents of some tokens each; a document has its own rate of hits about the probability named.
fn simulated(draws: &mut Draws, overconfident: f64) -> Joined {
    let texts: Vec<Vec<&str>> = (0..30).map(|_| vec!["x"; 15 + draws.below(20)]).collect();
    let texts: Vec<&[&str]> = texts.iter().map(Vec::as_slice).collect();
    let mut join = join_of(&PAIR, &texts);
    let mut rows = Vec::new();
    let mut uniform = || draws.below(1 << 20) as f64 / f64::from(1 << 20);
    for text in &texts {
        let shift = 0.2 * (uniform() - 0.5);
        for _ in 0..text.len() {
            let probability = 0.45 + 0.4 * uniform();
            rows.push((probability as f32, uniform() < probability - overconfident + shift));
        }
    }
    set(&mut join, Role::A, &rows);
    join
}

/// Run a's diagram alone, as scored.
fn diagram_of(join: &Joined, replicates: u32) -> ReliabilityDiagram {
    let mut sums = ReliabilitySums::new(join.models.len());
    let categories = vec![0; join.rows()];
    CheckedJoin::new(join).unwrap().for_each_document(0, &categories, |rows| sums.add_document(rows));
    let documents: Vec<u32> = (0..join.documents.len() as u32).collect();
    sums.diagram(0, &Resamples::new(&documents, replicates, 5)).unwrap()
}

#[test]
fn intervals_hold_a_known_error_about_as_often_as_they_say() {
    let mut draws = Draws::new(77);
    let (mut of_error, mut of_gap, mut of_bin) = (0, 0, 0);
    let repetitions = 150;
    for _ in 0..repetitions {
        // Every bin is as much too sure, so the error is that much.
        let join = simulated(&mut draws, 0.2);
        let diagram = diagram_of(&join, 200);
        let holds = |estimate: Estimate, truth: f64| {
            let [low, high] = estimate.interval.unwrap();
            usize::from(low <= truth && truth <= high)
        };
        of_error += holds(diagram.expected_calibration_error, 0.2);
        of_gap += holds(diagram.overconfidence, 0.2);
        of_bin += holds(diagram.bins[9].gap.unwrap(), -0.2);
        let error = diagram.expected_calibration_error;
        let [low, high] = error.interval.unwrap();
        let ratio = (high - low) / (2.0 * 1.96 * error.standard_error.unwrap());
        assert!((0.7..1.3).contains(&ratio), "interval and standard error agree: {ratio}");
    }
    // At 95 %, 150 repetitions give fewer than 128 or more than 149.9 once in ten thousand or so; documents are few.
    for (what, held) in [("error", of_error), ("overconfidence", of_gap), ("bin", of_bin)] {
        assert!((128..=149).contains(&held), "{what}: {held} of {repetitions}");
    }
}

#[test]
fn a_temperature_adds_a_diagram_and_the_basis_leaves_both_alone() {
    let mut draws = Draws::new(3);
    let mut join = simulated(&mut draws, 0.2);
    for model in &mut join.models {
        let rows = model.loss.len();
        model.calibrated = Some(CalibratedLosses { loss: vec![0.25; rows], entropy: vec![0.125; rows] });
        let guesses = guesses_mut(model);
        let cooler = guesses.top_probability.iter().map(|p| p - 0.2).collect();
        guesses.top_probability_calibrated = Some(cooler);
    }
    let [found, leading] =
        [Basis::AsScored, Basis::Calibrated].map(|basis| compared(&join, &Options { basis, ..few() }));
    // The basis asked for is said, and changes nothing else: both are there.
    assert_eq!([found.setup.basis, leading.setup.basis], [Basis::AsScored, Basis::Calibrated]);
    assert_eq!((&found.all, &found.calibrated), (&leading.all, &leading.calibrated));
    let calibrated = found.calibrated.as_ref().unwrap();
    assert_eq!(found.all.reliability, calibrated.all.reliability);
    // It is what a comparison of models with these losses would be.
    let mut at_temperature = join.clone();
    for model in &mut at_temperature.models {
        let columns = model.calibrated.take().unwrap();
        (model.loss, model.entropy) = (columns.loss, columns.entropy);
        guesses_mut(model).top_probability_calibrated = None;
    }
    let mut again = compared(&at_temperature, &few());
    assert_eq!(again.calibrated, None);
    again.all.reliability = calibrated.all.reliability.clone();
    assert_eq!(again.all, calibrated.all);
    let diagram = of_a(&found).calibrated.as_ref().unwrap();
    let gap = diagram.overconfidence.value;
    assert!((gap + 0.2 - of_a(&found).as_scored.overconfidence.value).abs() < 1e-6, "{gap}");
    assert!(diagram.expected_calibration_error.value < 0.1);
    let model = |sections: &Sections| {
        let model = &sections.overall.models[0];
        [model.mean_loss_nats.value, model.mean_entropy_nats.value, model.median_entropy_nats.value]
    };
    assert_eq!(model(&found.all), [0.0, 0.0, 0.0]);
    assert_eq!(model(&calibrated.all), [0.25, 0.125, 0.125]);
}

#[test]
fn a_run_without_a_temperature_is_named() {
    let mut join = simulated(&mut Draws::new(4), 0.0);
    model_mut(&mut join, Role::A).calibrated = Some(CalibratedLosses::default());
    let rules = crate::Rules::builtin();
    let categories = vec![0; join.rows()];
    let refusal = |join: &Joined, basis| {
        crate::compare(join, &rules, &categories, &Options { basis, ..few() }).unwrap_err().to_string()
    };
    let said = refusal(&join, Basis::AsScored);
    assert!(said.contains("column `loss_calibrated`") && said.contains("holds 0 values"), "{said}");
    model_mut(&mut join, Role::A).calibrated = None;
    let said = refusal(&join, Basis::Calibrated);
    assert!(said.contains("run `model-a` has no temperature"), "{said}");
    assert!(said.contains("a version that fitted none") && said.contains("--calibrated"), "{said}");
    let wide = vec![f32::NAN; join.rows()];
    guesses_mut(model_mut(&mut join, Role::A)).top_probability = wide;
    let said = refusal(&join, Basis::AsScored);
    assert!(said.contains("top_probability of run `model-a` is NaN"), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_error_is_what_its_bins_say(join in any_join(), hits in prop::collection::vec((0f32..=1.0, any::<bool>()), 200)) {
        let mut join = join;
        let rows: Vec<(f32, bool)> = (0..join.rows()).map(|row| hits[row % hits.len()]).collect();
        set(&mut join, Role::A, &rows);
        let found = compared(&join, &few());
        let Reliability { as_scored, .. } = of_a(&found);
        let weighted = as_scored.bins.iter().filter_map(|bin| {
            Some(bin.tokens as f64 * (bin.accuracy? - bin.mean_probability?).abs())
        });
        let tokens = as_scored.bins.iter().map(|bin| bin.tokens).sum::<u64>();
        prop_assert_eq!(tokens, join.rows() as u64);
        let expected = weighted.sum::<f64>() / tokens as f64;
        prop_assert!(close(as_scored.expected_calibration_error.value, expected));
        prop_assert!(as_scored.overconfidence.value.abs() <= expected + 1e-12);
        for bin in as_scored.bins.iter().filter(|bin| bin.tokens > 0) {
            let gap = bin.accuracy.unwrap() - bin.mean_probability.unwrap();
            prop_assert!((bin.gap.unwrap().value - gap).abs() < 1e-12);
        }
        let rate = rows.iter().filter(|(_, hit)| *hit).count() as f64 / rows.len() as f64;
        let mean = rows.iter().map(|(p, _)| f64::from(*p)).sum::<f64>() / rows.len() as f64;
        prop_assert!((as_scored.overconfidence.value - (mean - rate)).abs() < 1e-12);
    }
}
