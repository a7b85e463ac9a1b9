//! Tests of the comparison as a whole: by hand, and what holds of any join.

use deltaloss_records::Role;
use proptest::prelude::*;

use super::*;
use crate::ConfidenceCell;
use crate::testing::{FOUR, any_join, close, compared, join_of, model_mut};

fn compare_all(joined: &Joined) -> Comparison {
    compared(joined, &Options::default())
}

#[test]
fn a_small_join_by_hand() {
    let mut join = join_of(&FOUR, &[&["if", " x", ":", "\n    ", "return", " x"], &[], &["x", ")"]]);
    model_mut(&mut join, Role::A).loss = vec![2.0, 1.0, 0.5, 0.25, 3.0, 2.0, 4.0, 1.0];
    model_mut(&mut join, Role::B).loss = vec![1.0, 1.5, 0.5, 0.5, 2.0, 2.5, 4.0, 1.25];
    model_mut(&mut join, Role::Placebo).loss = vec![1.0, 1.5, 0.5, 0.5, 2.0, 2.5, 4.0, 2.25];
    join.left_out = 3;
    let found = compare_all(&join);
    assert_eq!(found.schema, RESULTS_SCHEMA);
    let Setup { documents, tokens, bytes, left_out, rules, models } = &found.setup;
    assert_eq!((*documents, *tokens, *bytes, *left_out, rules.as_str()), (3, 8, 20, 3, "python"));
    assert_eq!(models.iter().map(|model| model.role).collect::<Vec<_>>(), FOUR);
    assert_eq!(models[1].run, join.models[1].run);

    assert_eq!(found.all.categories.len(), 19);
    let rows: Vec<(&str, u64, u64, f64, f64)> = found.all.categories[..6]
        .iter()
        .map(|row| {
            let delta = row.delta_nats.unwrap().value;
            (row.name.as_str(), row.tokens, row.documents, delta, row.share_of_gap.unwrap().value)
        })
        .collect();
    // The whole gap is 1 − 0.5 − 0.25 + 1 − 0.5 − 0.25 = 0.5 nats.
    assert_eq!(
        rows,
        [
            ("Common variable names", 3, 2, -1.0 / 3.0, -2.0),
            ("Indentation", 1, 1, -0.25, -0.5),
            ("Closing brackets", 1, 1, -0.25, -0.5),
            ("Punctuation", 1, 1, 0.0, 0.0),
            ("Control flow start", 1, 1, 1.0, 2.0),
            ("Control flow end", 1, 1, 1.0, 2.0),
        ]
    );
    assert_eq!(found.all.categories[0].vocabulary_entries, 2);
    assert_eq!(found.all.categories[2].placebo_delta_nats, Some(Estimate::point(1.0)));
    assert!(found.all.categories[6..].iter().all(|row| row.tokens == 0 && row.delta_nats.is_none()));
    // Two documents with rows: nothing carries an interval, and the results say why.
    assert!(
        found.all.intervals.none_because.as_ref().is_some_and(|why| why.contains("only 2 documents hold"))
    );
    assert_eq!(found.all.overall.pairs[0].equivalence, None);
    assert_eq!(found.all.correlation.len(), 6);
    assert_eq!((found.all.entropy.len(), found.all.confidence.len()), (4, 12));
    let first = &found.all.confidence[0];
    assert_eq!((first.confident_below_nats, first.uncertain_above_nats), (0.25, 1.0));
    assert_eq!(found.all.brackets.by_token[0].name, ")");
}

#[test]
fn tokens_are_classified_by_their_bytes_not_their_ids() {
    let mut join = join_of(&[Role::A, Role::B], &[&["é", ")", "x"]]);
    // Two tokens share the two bytes of é, under one vocabulary id.
    join.byte_end[0] = 1;
    (join.byte_start[1], join.token[1]) = (1, 0);
    let rules = Rules::builtin();
    let names: Vec<&str> = classify_rows(&join, &rules)
        .unwrap()
        .iter()
        .map(|&index| rules.names()[usize::from(index)].as_str())
        .collect();
    assert_eq!(names, ["Other", "Compound closing brackets", "Common variable names"]);
}

#[test]
fn arguments_that_do_not_fit() {
    let (join, rules) = (join_of(&[Role::A, Role::B], &[&["x", "y"]]), Rules::builtin());
    let refusal = |categories: &[u8], options: &Options| {
        compare(&join, &rules, categories, options).unwrap_err().to_string()
    };
    let usual = Options::default();
    assert!(refusal(&[0], &usual).contains("holds 1 values where the join has 2 rows"));
    assert!(refusal(&[0, 19], &usual).contains("row 1 has category 19 where rules `python` have 19"));
    let endless = Options { confident_below_nats: vec![0.5, f64::INFINITY], ..Options::default() };
    assert!(refusal(&[0, 0], &endless).contains("threshold inf in `confident_below_nats`"));
    let undefined = Options { uncertain_above_nats: vec![f64::NAN], ..Options::default() };
    assert!(refusal(&[0, 0], &undefined).contains("threshold NaN in `uncertain_above_nats`"));
    let alone = Joined { models: join.models[..1].to_vec(), ..join.clone() };
    assert!(matches!(classify_rows(&alone, &rules), Err(CompareError::TooFewModels { found: 1 })));
    assert!(matches!(compare(&alone, &rules, &[0, 0], &usual), Err(CompareError::TooFewModels { found: 1 })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn categories_partition_the_rows(join in any_join()) {
        let found = compare_all(&join);
        let rows = || found.all.categories.iter();
        let shares: Vec<f64> = rows().filter_map(|row| row.share_of_gap).map(|share| share.value).collect();
        prop_assert_eq!(rows().map(|row| row.tokens).sum::<u64>(), join.rows() as u64);
        prop_assert_eq!(shares.len(), 19, "a gap of exactly zero does not come up");
        let size: f64 = shares.iter().map(|share| share.abs()).sum();
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12 * size.max(1.0));
        let deltas: Vec<f64> = rows().filter_map(|row| row.delta_nats).map(|delta| delta.value).collect();
        prop_assert!(deltas.is_sorted());
        prop_assert!(found.all.categories[deltas.len()..].iter().all(|row| row.tokens == 0));
    }

    #[test]
    fn swapping_a_and_b_turns_the_signs(join in any_join()) {
        let mut swapped = join.clone();
        for model in &mut swapped.models {
            model.role = match model.role {
                Role::A => Role::B,
                Role::B => Role::A,
                other => other,
            };
        }
        let (one, other) = (compare_all(&join), compare_all(&swapped));
        prop_assert_eq!(one.all.overall.pairs[0].mean_delta_nats.value, -other.all.overall.pairs[0].mean_delta_nats.value);
        for row in &one.all.categories {
            let turned = other.all.categories.iter().find(|other| other.name == row.name).unwrap();
            let turned_delta = turned.delta_nats.map(|delta| Estimate::point(-delta.value));
            prop_assert_eq!(row.delta_nats, turned_delta);
            prop_assert_eq!(row.loss_a_nats, turned.loss_b_nats);
            prop_assert_eq!(row.share_of_gap, turned.share_of_gap);
        }
        for (row, turned) in one.all.confidence.iter().zip(&other.all.confidence) {
            prop_assert_eq!(row.a_confident.tokens, turned.b_confident.tokens);
            let delta = |cell: &ConfidenceCell| cell.delta_nats.map(|delta| delta.value);
            prop_assert_eq!(delta(&row.a_confident), delta(&turned.b_confident).map(|delta| -delta));
        }
        prop_assert_eq!(one.all.correlation[0].pearson_occurrences, other.all.correlation[0].pearson_occurrences);
    }

    #[test]
    fn results_survive_json(join in any_join()) {
        let found = compare_all(&join);
        let json = serde_json::to_string(&found).unwrap();
        let read: Comparison = serde_json::from_str(&json).unwrap();
        // serde_json reads a few doubles one bit off.
        let mean = |comparison: &Comparison| comparison.all.overall.models[0].mean_loss_nats.value;
        prop_assert!(close(mean(&read), mean(&found)));
        prop_assert_eq!(read.all.categories.len(), found.all.categories.len());
        prop_assert_eq!(&read.setup, &found.setup);
        prop_assert!(!json.contains("NaN"));
    }

    #[test]
    fn a_model_against_itself_has_no_gap(mut join in any_join()) {
        join.models[1].loss = join.models[0].loss.clone();
        let found = compare_all(&join);
        prop_assert_eq!(found.all.overall.pairs[0].mean_delta_nats.value, 0.0);
        prop_assert_eq!(found.all.overall.pairs[0].first_wins_documents.value, 0.0);
        prop_assert!(found.all.categories.iter().all(|row| row.share_of_gap.is_none()));
    }
}
