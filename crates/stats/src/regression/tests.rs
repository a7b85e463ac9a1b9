//! Tests of the regression: against statsmodels and numpy, against the design matrix written out, under changes that must
//! change nothing, where columns do not stand alone, and by simulation.

use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use serde_json::Value;

use super::fit::{Dropped, Fit};
use super::sums::COVARIATES;
use super::*;
use crate::testing::close;

/// A document's observations.
type Tokens = Vec<Observation>;

fn sums(documents: &[Tokens]) -> Vec<DocumentSums> {
    let sums =
        documents.iter().zip(0..).map(|(tokens, index)| DocumentSums::new(index, tokens.iter().copied()));
    sums.filter(|sums| !sums.categories.is_empty()).collect()
}

/// Fits one outcome of documents with three categories.
fn fit(documents: &[Tokens], weights: [f64; 2]) -> (Fit, [Option<Dropped>; COVARIATES]) {
    let sums = sums(documents);
    let documents: Vec<&DocumentSums> = sums.iter().collect();
    let design = Design::new(&documents, 3).unwrap();
    (design.fit(weights).unwrap(), design.dropped)
}

fn section(documents: &[Tokens]) -> HeldFixed {
    let sums = sums(documents);
    let documents: Vec<&DocumentSums> = sums.iter().collect();
    held_fixed(&documents, &["p", "q", "r"].map(str::to_owned), Role::Benchmark, true).unwrap()
}

/// The rows of `generate.py`.
fn golden_rows() -> Vec<Tokens> {
    let mut documents: Vec<Tokens> = Vec::new();
    for line in include_str!("../../testing/regression/rows.csv").lines() {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        documents.resize(documents.len().max(cells[0] as usize + 1), Vec::new());
        documents[cells[0] as usize].push(Observation {
            category: cells[1] as u32,
            x: cells[2..7].try_into().unwrap(),
            y: cells[7..9].try_into().unwrap(),
        });
    }
    documents
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn assert_near(found: f64, expected: &Value, what: &str) {
    let expected = number(expected);
    assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{what}: {found}, not {expected}");
}

fn assert_pair(found: &HeldFixedPair, expected: &Value) {
    assert_near(found.r_squared.unwrap(), &expected["r_squared"], "R²");
    for (index, slope) in found.slopes.iter().enumerate() {
        let (estimate, test) = (slope.delta_nats_per_unit.unwrap(), slope.delta_test.unwrap());
        assert_near(estimate.value, &expected["slopes"][index][0], &slope.name);
        assert_near(estimate.standard_error.unwrap(), &expected["slopes"][index][1], &slope.name);
        assert_near(test.p_value, &expected["slope_p"][index], &slope.name);
    }
    for (index, row) in found.categories.iter().enumerate() {
        let (excess, test) = (row.excess_nats.unwrap(), row.excess_test.unwrap());
        assert_near(row.delta_nats.value, &expected["adjusted"][index][0], &row.name);
        assert_near(row.delta_nats.standard_error.unwrap(), &expected["adjusted"][index][1], &row.name);
        assert_near(excess.value, &expected["excess"][index][0], &row.name);
        assert_near(excess.standard_error.unwrap(), &expected["excess"][index][1], &row.name);
        assert_near(test.p_value, &expected["p"][index], &row.name);
        assert_near(test.q_value, &expected["q"][index], &row.name);
        assert_eq!(Some(row.documents), expected["documents"][index].as_u64());
        assert_eq!(test.degrees_of_freedom, row.documents - 1);
        let [low, high] = excess.interval.unwrap();
        assert!(close(f64::midpoint(low, high), excess.value));
        let half = upper_quantile(0.025, row.documents - 1) * excess.standard_error.unwrap();
        assert!(close((high - low) / 2.0, half));
    }
}

#[test]
fn agrees_with_statsmodels_and_numpy() {
    let expected: Value =
        serde_json::from_str(include_str!("../../testing/regression/expected.json")).unwrap();
    let found = section(&golden_rows());
    assert_eq!((found.tokens, found.documents), (186, 14));
    let roles: Vec<_> = found.pairs.iter().map(|pair| (pair.first, pair.second)).collect();
    assert_eq!(roles, [(Role::A, Role::B), (Role::Placebo, Role::B), (Role::A, Role::Placebo)]);
    for (pair, name) in found.pairs.iter().zip(["first", "second", "difference"]) {
        assert_pair(pair, &expected[name]);
    }
    for (covariate, index) in found.covariates.iter().zip(0..) {
        assert_near(covariate.mean, &expected["mean"][index], &covariate.name);
        assert_near(covariate.standard_deviation, &expected["standard_deviation"][index], &covariate.name);
        assert_eq!(covariate.dropped_because, None);
    }
    assert_eq!(found.covariates[4].name, "entropy of benchmark, nats");
}

/// Slopes, adjusted means and excesses by the design matrix written out: [dummies, covariates], solved at once.
fn solved(rows: &[&Observation], kept: &[usize]) -> [Vec<f64>; 3] {
    let width = 3 + kept.len();
    let x = DMatrix::from_fn(rows.len(), width, |row, column| match column {
        0..3 => f64::from(u8::from(rows[row].category as usize == column)),
        _ => rows[row].x[kept[column - 3]],
    });
    let y = DVector::from_fn(rows.len(), |row, _| rows[row].y[0]);
    let theta = (x.transpose() * &x).try_inverse().unwrap() * x.transpose() * &y;
    let mean = x.row_mean();
    let at_mean = |category: usize| theta[category] + (3..width).map(|c| theta[c] * mean[c]).sum::<f64>();
    let adjusted: Vec<f64> = (0..3).map(at_mean).collect();
    let excess = adjusted.iter().map(|adjusted| adjusted - y.mean()).collect();
    [theta.iter().skip(3).copied().collect(), adjusted, excess]
}

/// The same, each with the standard error of leaving out one document at a time.
fn dense(documents: &[Tokens], kept: &[usize]) -> [Vec<(f64, f64)>; 3] {
    let without = |left_out: Option<usize>| {
        let stay = documents.iter().enumerate().filter(|(index, _)| Some(*index) != left_out);
        solved(&stay.flat_map(|(_, tokens)| tokens).collect::<Vec<_>>(), kept)
    };
    let with_tokens: Vec<usize> =
        (0..documents.len()).filter(|index| !documents[*index].is_empty()).collect();
    let left: Vec<[Vec<f64>; 3]> = with_tokens.iter().map(|&index| without(Some(index))).collect();
    let factor = (left.len() - 1) as f64 / left.len() as f64;
    let all = without(None);
    std::array::from_fn(|kind| {
        let values = all[kind].iter().enumerate();
        let squares = |(place, value): (usize, &f64)| {
            let squares: f64 = left.iter().map(|left| (left[kind][place] - value).powi(2)).sum();
            (*value, (squares * factor).sqrt())
        };
        values.map(squares).collect()
    })
}

/// Whether a coefficient is this value with this standard error, up to rounding of numbers of size `scale`.
fn same(found: Coefficient, (value, error): (f64, f64), scale: f64) -> bool {
    let near = |found: f64, expected: f64| (found - expected).abs() < 1e-7 * scale.max(expected.abs());
    near(found.value, value) && found.standard_error.is_some_and(|found| near(found, error))
}

fn token() -> impl Strategy<Value = Observation> {
    let x = (0.0..9.0, 0.0..5.0, 0u8..4, 0u8..2, 0.0..6.0);
    (0u32..3, x, -3.0..3.0, -3.0..3.0).prop_map(|(category, x, first, second)| Observation {
        category,
        x: [x.0, x.1, f64::from(x.2), f64::from(x.3), x.4],
        y: [first, second],
    })
}

/// At least twelve documents with tokens, each category in ten or more of them.
fn any_documents() -> impl Strategy<Value = Vec<Tokens>> {
    prop::collection::vec(prop::collection::vec(token(), 3..9), 12..18).prop_map(|mut documents| {
        for tokens in documents.iter_mut().take(11) {
            (0..3).for_each(|category| tokens[category as usize].category = category);
        }
        documents.insert(4, Vec::new());
        documents
    })
}

fn mapped(documents: &[Tokens], change: impl Fn(&mut Observation)) -> Vec<Tokens> {
    let mut documents = documents.to_vec();
    documents.iter_mut().flatten().for_each(change);
    documents
}

proptest! {
    #[test]
    fn agrees_with_the_design_matrix_written_out(documents in any_documents()) {
        let (found, dropped) = fit(&documents, [1.0, 0.0]);
        prop_assert_eq!(dropped, [None; COVARIATES]);
        let [slopes, adjusted, excess] = dense(&documents, &[0, 1, 2, 3, 4]);
        for (slope, expected) in found.slopes.iter().zip(slopes) {
            prop_assert!(same(slope.unwrap(), expected, 1.0), "{slope:?} {expected:?}");
        }
        for (row, (mean, excess)) in found.categories.iter().zip(adjusted.into_iter().zip(excess)) {
            prop_assert!(same(row.mean, mean, 1.0), "{row:?} {mean:?}");
            prop_assert!(same(row.excess, excess, 1.0), "{row:?} {excess:?}");
        }
    }

    #[test]
    fn what_must_not_matter_does_not(documents in any_documents(), shift in -5.0..5.0) {
        let (found, _) = fit(&documents, [1.0, 0.0]);
        let pair = |of: Coefficient| (of.value, of.standard_error.unwrap());
        // A constant added to the outcome, categories renamed, covariates in other units and mixed.
        let shifted = mapped(&documents, |token| token.y[0] += shift);
        let renamed = mapped(&documents, |token| token.category = (token.category + 1) % 3);
        let mixed = mapped(&documents, |token| {
            token.x[0] = 3.0 * token.x[0] - 7.0;
            token.x[3] += 0.5 * token.x[4];
        });
        let (shifted, _) = fit(&shifted, [1.0, 0.0]);
        let (renamed, _) = fit(&renamed, [1.0, 0.0]);
        let (mixed, _) = fit(&mixed, [1.0, 0.0]);
        for (index, row) in found.categories.iter().enumerate() {
            let (mean, error) = pair(row.mean);
            prop_assert!(same(shifted.categories[index].mean, (mean + shift, error), 1.0));
            for other in [&shifted.categories[index], &renamed.categories[(index + 1) % 3], &mixed.categories[index]] {
                prop_assert!(same(other.excess, pair(row.excess), 1.0), "{other:?} {row:?}");
            }
        }
        for (index, slope) in found.slopes.iter().enumerate() {
            let (value, error) = pair(slope.unwrap());
            prop_assert!(same(shifted.slopes[index].unwrap(), (value, error), 1.0));
            prop_assert!(same(renamed.slopes[index].unwrap(), (value, error), 1.0));
        }
        let (value, error) = pair(found.slopes[0].unwrap());
        prop_assert!(same(mixed.slopes[0].unwrap(), (value / 3.0, error / 3.0), 1.0));
        prop_assert!(close(mixed.r_squared.unwrap(), found.r_squared.unwrap()));
    }

    #[test]
    fn a_covariate_that_others_determine_is_left_out(documents in any_documents(), at in 1usize..5) {
        let changed = mapped(&documents, |token| {
            token.x[at] = 2.0 * token.x[at - 1] - 0.3 * token.x[0] + [1.0, -4.0, 0.7][token.category as usize];
        });
        let (found, dropped) = fit(&changed, [1.0, 0.0]);
        let expected = std::array::from_fn(|index| (index == at).then_some(Dropped::Collinear));
        prop_assert_eq!(dropped, expected);
        prop_assert_eq!(found.slopes[at], None);
        let kept: Vec<usize> = (0..5).filter(|index| *index != at).collect();
        let [slopes, _, excess] = dense(&changed, &kept);
        for (covariate, expected) in kept.iter().zip(slopes) {
            prop_assert!(same(found.slopes[*covariate].unwrap(), expected, 1.0));
        }
        for (row, expected) in found.categories.iter().zip(excess) {
            prop_assert!(same(row.excess, expected, 1.0), "{row:?} {expected:?}");
        }
    }
}

#[test]
fn columns_that_do_not_vary_are_left_out() {
    let documents = mapped(&golden_rows(), |token| {
        token.x[2] = 0.0;
        token.x[3] = [1.0, 0.0, 1.0][token.category as usize];
        token.x[4] = 0.1;
    });
    let (found, dropped) = fit(&documents, [1.0, 0.0]);
    let expected =
        [None, None, Some(Dropped::Constant), Some(Dropped::FixedByCategory), Some(Dropped::Constant)];
    assert_eq!(dropped, expected);
    let [slopes, _, excess] = dense(&documents, &[0, 1]);
    assert!(same(found.slopes[1].unwrap(), slopes[1], 1.0) && found.slopes[2].is_none());
    assert!(found.categories.iter().zip(excess).all(|(row, expected)| same(row.excess, expected, 1.0)));
    let said: Vec<_> = section(&documents).covariates.into_iter().map(|row| row.dropped_because).collect();
    assert_eq!(said[2].as_deref(), Some("it is the same for every token"));
    assert_eq!(said[3].as_deref(), Some("it is the same for every token of a category"));
    assert_eq!(said[0], None);
}

#[test]
fn with_nothing_held_fixed_it_is_the_plain_excess() {
    let documents = mapped(&golden_rows(), |token| token.x = [2.0; COVARIATES]);
    let (found, dropped) = fit(&documents, [1.0, 0.0]);
    assert_eq!(dropped, [Some(Dropped::Constant); COVARIATES]);
    let tokens = || documents.iter().flatten();
    let mean = tokens().map(|token| token.y[0]).sum::<f64>() / 186.0;
    for row in &found.categories {
        let of = |tokens: &Tokens| -> (f64, f64) {
            let own: Vec<f64> = tokens
                .iter()
                .filter(|token| token.category == row.category)
                .map(|token| token.y[0])
                .collect();
            (own.len() as f64, own.iter().sum())
        };
        let (count, sum) =
            documents.iter().map(of).fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        assert!(close(row.mean.value, sum / count) && close(row.excess.value, sum / count - mean));
        // The difference of two ratios without one document at a time.
        let (all, all_sum) = (186.0, 186.0 * mean);
        let squares: f64 = documents
            .iter()
            .map(|tokens| {
                let (own, own_sum) = of(tokens);
                let rest: f64 = tokens.iter().map(|token| token.y[0]).sum();
                let left = (sum - own_sum) / (count - own) - (all_sum - rest) / (all - tokens.len() as f64);
                (left - row.excess.value).powi(2)
            })
            .sum();
        assert!(close(row.excess.standard_error.unwrap(), (squares * 13.0 / 14.0).sqrt()));
    }
}

#[test]
fn a_covariate_that_one_document_alone_tells_is_left_out() {
    let varying = |documents: &[Tokens]| {
        let mut documents = documents.to_vec();
        for (tokens, index) in documents.iter_mut().zip(0..) {
            tokens.iter_mut().for_each(|token| token.x[2] = if index == 3 { token.x[2] } else { 1.0 });
        }
        documents
    };
    let documents = varying(&golden_rows());
    let (found, dropped) = fit(&documents, [1.0, 0.0]);
    assert_eq!(dropped, [None, None, Some(Dropped::OneDocument), None, None]);
    let [slopes, _, excess] = dense(&documents, &[0, 1, 3, 4]);
    assert!(found.slopes[2].is_none() && same(found.slopes[3].unwrap(), slopes[2], 1.0));
    assert!(found.categories.iter().zip(excess).all(|(row, expected)| same(row.excess, expected, 1.0)));
    let reason = section(&documents).covariates[2].dropped_because.clone();
    assert!(reason.is_some_and(|reason| reason.starts_with("one document alone tells it")));
}

#[test]
fn few_documents_tokens_or_categories_carry_no_error() {
    let all = golden_rows();
    // Nine documents: numbers, but no errors.
    let found = section(&all[..9]);
    let row = &found.pairs[0].categories[0];
    assert_eq!(
        (row.delta_nats.interval, row.excess_nats.unwrap().standard_error, row.excess_test),
        (None, None, None)
    );
    assert!(found.pairs[0].slopes.iter().all(|slope| slope.delta_test.is_none()));
    // A category in nine of fourteen documents; the others have theirs.
    let mut rare = all.clone();
    rare.iter_mut().skip(9).flatten().for_each(|token| token.category = token.category.min(1));
    let found = section(&rare);
    assert!(
        found.pairs[0].categories[2].excess_test.is_none()
            && found.pairs[0].categories[0].excess_test.is_some()
    );
    assert_eq!(found.pairs[0].categories[2].documents, 9);
    // No category but one: there is nothing to exceed.
    let found = section(&mapped(&all, |token| token.category = 1));
    let [only] = &found.pairs[0].categories[..] else { panic!("{found:?}") };
    assert_eq!((only.name.as_str(), only.excess_nats, only.excess_test), ("q", None, None));
    assert!(only.delta_nats.standard_error.is_some());
    // Ten documents of a token each, fewer than twice as many as columns: errors, but sound ones.
    let few: Vec<Tokens> = all.iter().take(10).map(|tokens| tokens[..1].to_vec()).collect();
    let few = mapped(&few, |token| token.category = 1);
    let found = section(&mapped(&few, |token| token.x[0] += token.y[0]));
    let slopes = found.pairs[0].slopes.iter().filter_map(|slope| slope.delta_nats_per_unit);
    let errors: Vec<f64> = slopes.filter_map(|slope| slope.standard_error).collect();
    assert!(!errors.is_empty() && errors.iter().all(|error| error.is_finite() && *error > 0.0), "{errors:?}");
    // Nothing at all.
    assert!(held_fixed(&[], &["p".to_owned()], Role::B, false).is_none());
}

#[test]
fn enormous_values_give_no_nonsense() {
    let huge = mapped(&golden_rows(), |token| {
        token.x[4] = f64::from(f32::MAX) * (1.0 - 0.1 * token.x[4]);
        token.y[0] *= f64::from(f32::MAX);
    });
    for pair in section(&huge).pairs {
        let numbers = pair.categories.iter().flat_map(|row| [Some(row.delta_nats), row.excess_nats]);
        let numbers = numbers.chain(pair.slopes.iter().map(|slope| slope.delta_nats_per_unit)).flatten();
        for number in numbers {
            assert!(
                number.value.is_finite() && number.standard_error.is_none_or(f64::is_finite),
                "{number:?}"
            );
        }
    }
}

#[test]
fn parts_merge_to_the_whole() {
    let empty = || Regression {
        occurrences: Arc::default(),
        windows: Windows::new(&WindowInfo {
            context: 4,
            mode: "chunk".to_owned(),
            stride: None,
            beginning_of_text: None,
        }),
        entropy_of: Role::B,
        entropy_place: Some(1),
        placebo: Some(2),
        documents: Vec::new(),
    };
    let (mut whole, mut odd, mut even) = (empty(), empty(), empty());
    for sums in sums(&golden_rows()) {
        whole.add(sums.clone());
        if sums.document % 2 == 1 { odd.add(sums) } else { even.add(sums) }
    }
    odd.merge(even);
    assert_eq!(odd.documents, whole.documents);
    let names = ["p", "q", "r"].map(str::to_owned);
    let some = whole.held_fixed(|document| document < 12, &names).unwrap();
    assert_eq!((some.documents, odd.held_fixed(|_| true, &names).unwrap().documents), (12, 14));
    assert_eq!(whole.held_fixed(|_| false, &names), None);
}

#[test]
fn the_control_is_a_model_outside_the_pair_where_there_is_one() {
    assert_eq!(entropy_control(&[Role::A, Role::B, Role::Placebo]), Role::B);
    assert_eq!(entropy_control(&[Role::A, Role::B, Role::Oracle]), Role::Oracle);
    assert_eq!(entropy_control(&[Role::A, Role::B, Role::Benchmark, Role::Oracle]), Role::Benchmark);
}
