//! Simulations at reduced size: intervals hold the truth as often as they say, tests discover nothing where nothing is,
//! the placebo's difference is centred on zero. `bench/simulation/` has them in full.
//!
//! Corpora are seeded, so that a test's outcome never changes by itself; bounds are four Monte Carlo standard errors
//! from what should be, wide enough to hold for other seeds too.

#[path = "../testing/simulation.rs"]
mod simulation;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use simulation::{Found, SLOPES, Scenario, corpus, estimates, results};

const DOCUMENTS: usize = 60;
const CORPORA: u64 = 200;
const TRUTH_DOCUMENTS: usize = 4_000;

type ByPlace = BTreeMap<String, Vec<Found>>;

static EFFECTS: LazyLock<ByPlace> = LazyLock::new(|| simulated(Scenario::Effects, 300));
static NULL: LazyLock<ByPlace> = LazyLock::new(|| simulated(Scenario::Null, 0));

/// The truth of each estimate: that of a corpus so large that its own error does not matter.
static TRUTH: LazyLock<BTreeMap<String, f64>> = LazyLock::new(|| {
    let large = results(&corpus(Scenario::Effects, TRUTH_DOCUMENTS, 0), 0, 1);
    estimates(&large).into_iter().map(|found| (found.place, found.value)).collect()
});

/// The estimates of many corpora by place.
fn simulated(scenario: Scenario, replicates: u32) -> ByPlace {
    let mut by_place = ByPlace::new();
    for seed in 1..=CORPORA {
        for found in estimates(&results(&corpus(scenario, DOCUMENTS, seed), replicates, seed)) {
            by_place.entry(found.place.clone()).or_default().push(found);
        }
    }
    by_place
}

fn share(found: &[Found], holds: impl Fn(&Found) -> bool) -> f64 {
    found.iter().filter(|found| holds(found)).count() as f64 / found.len() as f64
}

/// Four standard errors of a share of 0.95 over the corpora.
fn margin() -> f64 {
    4.0 * (0.95 * 0.05 / CORPORA as f64).sqrt()
}

/// Standard errors are as large as the estimates' spread, within four Monte Carlo errors of the latter and what the method
/// may be off.
fn assert_sized(place: &str, found: &[Found]) {
    let n = found.len() as f64;
    let mean = found.iter().map(|found| found.value).sum::<f64>() / n;
    let spread = (found.iter().map(|found| (found.value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let errors: Vec<f64> = found.iter().filter_map(|found| found.standard_error).collect();
    let error = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!(
        (error / spread - 1.0).abs() < 4.0 / (2.0 * n).sqrt() + 0.05,
        "{place}: {error}, spread {spread}"
    );
}

#[test]
fn intervals_hold_the_truth() {
    let places = [
        "/overall/models/a/mean_loss_nats",
        "/overall/models/b/bits_per_byte",
        "/overall/pairs/a-b/mean_delta_nats",
        "/overall/pairs/a-b/first_wins_tokens",
        "/overall/placebo_difference/mean_delta_nats",
        "/categories/Closing brackets/delta_nats",
        "/categories/Closing brackets/excess_nats",
        "/categories/Indentation/excess_difference_nats",
        "/brackets/by_depth/1/delta_nats",
        "/confidence/0.75-1/a_confident/delta_nats",
    ];
    for place in places {
        let (truth, found) = (TRUTH[place], &EFFECTS[place]);
        let resampled =
            share(found, |found| found.interval.is_some_and(|[low, high]| low <= truth && truth <= high));
        // Four errors of the corpora, and the 0.015 that the method may be off.
        assert!((resampled - 0.95).abs() < margin() + 0.015, "{place}: {resampled}");
    }
}

/// Of a gap that is clear; of an unclear one there is hardly ever an interval.
#[test]
fn shares_of_a_gap_are_covered_where_they_are_given() {
    let large = results(&corpus(Scenario::Gap, TRUTH_DOCUMENTS, 0), 0, 1);
    let truth: BTreeMap<String, f64> =
        estimates(&large).into_iter().map(|found| (found.place, found.value)).collect();
    let gap = simulated(Scenario::Gap, 300);
    for category in ["Closing brackets", "Indentation", "Opening brackets"] {
        let place = format!("/categories/{category}/share_of_gap");
        let (truth, found) = (truth[&place], &gap[&place]);
        let covered =
            share(found, |found| found.interval.is_some_and(|[low, high]| low <= truth && truth <= high));
        assert!((covered - 0.95).abs() < margin() + 0.015, "{place}: {covered}");
        assert_sized(&place, found);
        assert!(share(&EFFECTS[&place], |found| found.interval.is_some()) < 0.02, "{place}");
    }
}

#[test]
fn regression_effects_are_covered() {
    let mut slopes = 0;
    for (place, found) in EFFECTS.iter().filter(|(place, _)| place.starts_with("/held_fixed/pairs/a-b/")) {
        let truth = match place.split_once("/slopes/") {
            Some((_, name)) => {
                slopes += 1;
                let starts = [
                    "ln occurrences",
                    "ln tokens",
                    "bracket depth",
                    "occurred before",
                    "entropy of benchmark",
                ];
                SLOPES[starts.iter().position(|start| name.starts_with(start)).unwrap()]
            }
            None => TRUTH[place],
        };
        // The t interval.
        let covered =
            share(found, |found| found.interval.is_some_and(|[low, high]| low <= truth && truth <= high));
        assert!((covered - 0.95).abs() < margin() + 0.01, "{place}: {covered}");
        let bias = found.iter().map(|found| found.value - truth).sum::<f64>() / found.len() as f64;
        let error = found.iter().filter_map(|found| found.standard_error).sum::<f64>() / found.len() as f64;
        assert_sized(place, found);
        // The large corpus's own error adds to that of the mean over corpora.
        let bound = 4.0 * error * (1.0 / CORPORA as f64 + DOCUMENTS as f64 / TRUTH_DOCUMENTS as f64).sqrt();
        assert!(bias.abs() < bound, "{place}: bias {bias}, bound {bound}");
    }
    assert_eq!(slopes, SLOPES.len());
}

#[test]
fn nothing_is_discovered_where_nothing_is() {
    // By family and corpus: whether anything was discovered.
    let mut families: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
    for found in NULL.values().filter(|found| found.iter().any(|found| found.q_value.is_some())) {
        let family = families.entry(found[0].kind.as_str()).or_insert(vec![false; CORPORA as usize]);
        // A rare group is not in every corpus: its place in the list tells no corpus, but discoveries count all the same.
        for (corpus, found) in family.iter_mut().zip(found) {
            *corpus |= found.q_value.is_some_and(|q_value| q_value < 0.05);
        }
    }
    assert!(families.len() > 8, "{:?}", families.keys());
    for (family, corpora) in families {
        // With nothing to discover the false discovery rate is the chance of any discovery.
        let any = corpora.iter().filter(|any| **any).count() as f64 / CORPORA as f64;
        assert!(any < 0.05 + margin(), "{family}: {any}");
    }
}

#[test]
fn the_difference_from_the_placebo_is_centred_on_zero() {
    let places = NULL.iter().filter(|(place, _)| {
        place.contains("/placebo_difference/mean_delta")
            || place.ends_with("/difference_nats")
            || place.contains("/pairs/a-placebo/")
    });
    let mut checked = 0;
    for (place, found) in places.filter(|(_, found)| found.len() == CORPORA as usize) {
        let values = || found.iter().map(|found| found.value);
        let mean = values().sum::<f64>() / CORPORA as f64;
        let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / CORPORA as f64).sqrt();
        assert!(mean.abs() <= 4.0 * deviation / (CORPORA as f64).sqrt(), "{place}: {mean} ± {deviation}");
        checked += 1;
    }
    assert!(checked > 10, "{checked}");
}
