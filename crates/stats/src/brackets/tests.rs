//! Tests of analysis 4 by hand and against the rows.

use deltaloss_records::{Joined, Role};
use proptest::prelude::*;

use super::*;
use crate::testing::{analysed, any_join, close, join_of, model_mut};

fn analyse(join: &Joined) -> Brackets {
    analysed(join).brackets
}

/// Name, tokens, vocabulary entries, mean Δ.
fn short(rows: &[DeltaRow]) -> Vec<(&str, u64, u64, Option<f64>)> {
    rows.iter()
        .map(|row| {
            let delta = row.delta_nats.map(|delta| delta.value);
            (row.name.as_str(), row.tokens, row.vocabulary_entries, delta)
        })
        .collect()
}

#[test]
fn rows_by_hand() {
    let tokens = ["f", "(", "[(", "x", "))", ")", "\n", "))", "):\n", " ]", "a)", "]]]:", "f(x)", "} }"];
    let mut join = join_of(&[Role::A, Role::B], &[&tokens]);
    model_mut(&mut join, Role::A).loss =
        vec![0.0, 0.0, 0.0, 0.0, -1.0, 2.0, 0.0, -2.0, 1.0, 4.0, 8.0, -3.0, 16.0, 5.0];
    let found = analyse(&join);
    assert_eq!(short(&found.by_token), [("))", 2, 1, Some(-1.5)), (")", 1, 1, Some(2.0))]);
    assert_eq!(
        short(&found.by_count),
        [("3", 1, 1, Some(-3.0)), ("2", 3, 2, Some(2.0 / 3.0)), ("1", 3, 3, Some(7.0 / 3.0))]
    );
    // Depths: `))` at 3, `)` at 1, all later ones at 0.
    let depth_0 = (-2.0 + 1.0 + 4.0 + 8.0 - 3.0 + 16.0 + 5.0) / 7.0;
    assert_eq!(
        short(&found.by_depth),
        [
            ("0", 7, 7, Some(depth_0)),
            ("1", 1, 1, Some(2.0)),
            ("2", 0, 0, None),
            ("3", 1, 1, Some(-1.0)),
            ("4", 0, 0, None),
            ("5", 0, 0, None),
            ("6+", 0, 0, None),
        ]
    );
}

#[test]
fn depth_is_of_code_and_starts_anew_in_every_document() {
    let join = join_of(&[Role::A, Role::B], &[&["((((((", "(", "# )", "\n", "')", "'", ")"], &[")"]]);
    let found = analyse(&join);
    // `# )`, `')` and `)` at depth 7, the second document's at 0.
    assert_eq!((found.by_depth[6].tokens, found.by_depth[0].tokens), (3, 1));
}

#[test]
fn what_counts_as_brackets_and_white_space() {
    for (token, text, count) in [
        (&b")"[..], Some(")"), Some(1)),
        (b")]}", Some(")]}"), Some(3)),
        (b") ", None, Some(1)),
        (b":\n)\t\r\n:", None, Some(1)),
        ("\u{a0})".as_bytes(), None, Some(1)),
        (b"),", None, None),
        (b")(", None, None),
        (b":\n", None, None),
        (b"", None, None),
        (b")\xff", None, None),
    ] {
        assert_eq!(bracket_text(token).as_deref(), text, "{token:?}");
        assert_eq!(bracket_count(token), count, "{token:?}");
    }
}

#[test]
fn counts_are_ordered_as_numbers() {
    let join = join_of(&[Role::A, Role::B], &[&["))", "))))))))))", ")"]]);
    let names: Vec<String> = analyse(&join).by_count.into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["10", "2", "1"]);
}

proptest! {
    #[test]
    fn groups_hold_the_tokens_they_should(join in any_join()) {
        let found = analyse(&join);
        let tokens: Vec<&[u8]> = (0..join.rows()).map(|row| join.token_bytes(row)).collect();
        let total = |rows: &[DeltaRow]| rows.iter().map(|row| row.tokens).sum::<u64>();
        let holding = tokens.iter().filter(|token| token.iter().any(|byte| b")]}".contains(byte))).count();
        let only = tokens.iter().filter(|token| token.iter().all(|byte| b")]}".contains(byte))).count();
        prop_assert_eq!(total(&found.by_depth), holding as u64);
        prop_assert_eq!(total(&found.by_token), only as u64);
        prop_assert!(total(&found.by_count) >= total(&found.by_token));
        for row in &found.by_token {
            let deltas: Vec<f64> = (0..join.rows())
                .filter(|&index| tokens[index] == row.name.as_bytes())
                .map(|index| f64::from(join.models[0].loss[index]) - f64::from(join.models[1].loss[index]))
                .collect();
            prop_assert!(close(row.delta_nats.unwrap().value, deltas.iter().sum::<f64>() / deltas.len() as f64));
        }
        let values: Vec<f64> = found.by_token.iter().map(|row| row.delta_nats.unwrap().value).collect();
        prop_assert!(values.is_sorted());
    }
}
