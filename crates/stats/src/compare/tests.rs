//! Tests of the comparison as a whole: by hand, and what holds of any join.

use deltaloss_records::{JoinedDocument, JoinedOracle, Role};
use proptest::prelude::*;

use super::*;
use crate::testing::{
    FOUR, any_join, close, clustered, compared, guesses_mut, join_of, model_mut, with_oracle,
};
use crate::{ConfidenceCell, RESULTS_SCHEMA};

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
    let Setup { documents, tokens, bytes, left_out, rules, models, .. } = &found.setup;
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

/// The comparison from the join's documents dealt to parts, each with accumulators of its own, merged in an order.
fn in_parts(joined: &Joined, options: &Options, part_of: &dyn Fn(usize) -> usize, order: &[usize]) -> ByHalf {
    let rules = Rules::builtin();
    let categories = classify_rows(joined, &rules).unwrap();
    let join = CheckedJoin::new(joined).unwrap();
    let roles = roles_of(joined);
    let each = |take: &mut dyn FnMut(usize, &DocumentRows<'_>)| {
        for part in order {
            join.for_each_document(0, &categories, |rows| {
                if part_of(rows.document as usize) == *part {
                    take(*part, rows);
                }
            });
        }
    };
    let mut parts: Vec<FirstPass> =
        order.iter().map(|_| FirstPass::new(&roles, &rules, options).unwrap()).collect();
    each(&mut |part, rows| parts[part].add_document(rows));
    let mut first = FirstPass::new(&roles, &rules, options).unwrap();
    order.iter().for_each(|&part| first.merge(parts[part].clone()));
    let mut seconds: Vec<SecondPass> =
        order.iter().map(|_| first.second_pass(&join.a().run.window)).collect();
    each(&mut |part, rows| seconds[part].add_document(rows));
    let mut second = first.second_pass(&join.a().run.window);
    order.iter().for_each(|&part| second.merge(seconds[part].clone()));
    let models = joined.models.iter().map(|model| SetupModel {
        role: model.role,
        label: model.label.clone(),
        run: model.run.clone(),
        carried: false,
    });
    let oracle = joined.oracle.iter().map(|oracle| SetupModel {
        role: Role::Oracle,
        label: oracle.label.clone(),
        run: oracle.run.clone(),
        carried: true,
    });
    first.finish(&second, &models.chain(oracle).collect::<Vec<_>>(), joined.left_out).unwrap()
}

#[test]
fn parts_merged_in_any_order_give_the_same_bits() {
    let join = halved(&clustered(80, 21));
    let options = Options { replicates: 300, ..Options::default() };
    let whole = compared(&join, &options);
    assert!(whole.discovery.is_some() && whole.confirmation.is_some());
    for order in [[0, 1, 2], [2, 0, 1]] {
        let found = in_parts(&join, &options, &|document| document * 7 % 3, &order);
        assert_eq!(Comparison::new(whole.setup.clone(), found, None), whole);
    }
}

#[test]
fn threads_change_nothing() {
    // More rows than it takes to divide a join.
    let join = halved(&clustered(3_500, 4));
    assert!(join.rows() > FEWEST_ROWS_TO_DIVIDE);
    let options = Options { replicates: 20, ..Options::default() };
    let with_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| compared(&join, &options))
    };
    assert_eq!(with_threads(1), with_threads(3));
}

/// The join with every second document in the confirmation half, and with an oracle.
fn halved(join: &Joined) -> Joined {
    let mut join = join.clone();
    for (index, document) in join.documents.iter_mut().enumerate() {
        document.split = if index % 2 == 0 { Split::Discovery } else { Split::Confirmation };
    }
    with_oracle(&mut join, 77);
    join
}

/// The documents of one half alone.
fn only(join: &Joined, half: Split) -> Joined {
    let mut found = Joined { left_out: join.left_out, ..join_of(&FOUR, &[]) };
    found.oracle = join.oracle.clone().map(|oracle| JoinedOracle { entropy: Vec::new(), ..oracle });
    for document in join.documents.iter().filter(|document| document.split == half) {
        let (rows, start) = (document.rows.clone(), found.rows());
        let index = found.documents.len() as u32;
        found.document.extend(rows.clone().map(|_| index));
        found.position.extend_from_slice(&join.position[rows.clone()]);
        found.token.extend_from_slice(&join.token[rows.clone()]);
        found.byte_start.extend_from_slice(&join.byte_start[rows.clone()]);
        found.byte_end.extend_from_slice(&join.byte_end[rows.clone()]);
        for (ours, theirs) in found.models.iter_mut().zip(&join.models) {
            ours.loss.extend_from_slice(&theirs.loss[rows.clone()]);
            ours.entropy.extend_from_slice(&theirs.entropy[rows.clone()]);
            let (ours, theirs) = (guesses_mut(ours), theirs.guesses.as_ref().unwrap());
            ours.rank.extend_from_slice(&theirs.rank[rows.clone()]);
            ours.top_token.extend_from_slice(&theirs.top_token[rows.clone()]);
            ours.top_probability.extend_from_slice(&theirs.top_probability[rows.clone()]);
        }
        let entropy = |oracle: &JoinedOracle| oracle.entropy[rows.clone()].to_vec();
        if let (Some(ours), Some(theirs)) = (&mut found.oracle, &join.oracle) {
            ours.entropy.extend(entropy(theirs));
        }
        found.documents.push(JoinedDocument { rows: start..found.rows(), ..document.clone() });
    }
    found
}

#[test]
fn a_half_is_as_if_there_were_no_other() {
    let join = halved(&clustered(60, 8));
    let options = Options { replicates: 200, ..Options::default() };
    let whole = compared(&join, &options);
    for (half, found) in [(Split::Discovery, whole.discovery), (Split::Confirmation, whole.confirmation)] {
        let mut found = found.unwrap();
        let mut alone = compared(&only(&join, half), &options).all;
        // The grid of vocabulary entries is that of the discovery half in all panels. A token's frequency is that among all
        // joined tokens; here it is the same for every token of a category, so that nothing else depends on it.
        for sections in [&mut found, &mut alone] {
            let frequency = &mut sections.held_fixed.as_mut().unwrap().covariates[0];
            assert!(frequency.dropped_because.is_some());
            (frequency.mean, frequency.standard_deviation) = (0.0, 0.0);
            let pairs = sections.correlation.iter_mut().filter(|_| half == Split::Confirmation);
            pairs.for_each(|pair| pair.heatmap_vocabulary = pair.heatmap_occurrences.clone());
        }
        assert_eq!(found, alone);
        assert!(found.intervals.none_because.is_none());
    }
}

#[test]
fn a_half_of_few_documents_says_so_and_an_empty_one_is_none() {
    let mut join = clustered(40, 3);
    for document in join.documents.iter_mut().take(6) {
        document.split = Split::Confirmation;
    }
    let found = compared(&join, &Options { replicates: 50, ..Options::default() });
    let confirmation = found.confirmation.unwrap();
    // Every sixth document is empty.
    assert_eq!((confirmation.documents, confirmation.intervals.documents), (5, 5));
    assert!(confirmation.intervals.none_because.unwrap().contains("only 5 documents hold"));
    assert_eq!(confirmation.overall.pairs[0].mean_delta_nats.interval, None);
    assert!(confirmation.categories.iter().all(|row| row.delta_test.is_none()));
    assert!(found.all.overall.pairs[0].mean_delta_nats.interval.is_some());
    assert!(compared(&clustered(12, 3), &Options::default()).confirmation.is_none());
}

#[test]
fn pieces_of_other_roles_are_refused() {
    let (join, rules) = (join_of(&FOUR, &[&["x"]]), Rules::builtin());
    let mut first = FirstPass::new(&[Role::A, Role::B], &rules, &Options::default()).unwrap();
    let message = first.add_join(&join, 0, &[0]).unwrap_err().to_string();
    assert!(message.contains("a, b, benchmark, placebo") && message.contains("hold a, b;"), "{message}");
    assert!(FirstPass::new(&[Role::B, Role::A], &rules, &Options::default()).is_err());
    assert!(FirstPass::new(&[Role::A, Role::Placebo], &rules, &Options::default()).is_err());
}
