//! Tests of what is refused as a join.

use super::*;
use crate::testing::{FOUR, guesses_mut, join_of, model_mut};
use crate::{Options, Rules, classify_rows, compare};

/// What is said of a sound join of two documents after `spoil` changed it.
fn refusal(spoil: impl FnOnce(&mut Joined)) -> String {
    let mut join = join_of(&FOUR, &[&["ab", "c"], &[], &["d", "e", "f"]]);
    assert!(CheckedJoin::new(&join).is_ok());
    spoil(&mut join);
    CheckedJoin::new(&join).unwrap_err().to_string()
}

#[test]
fn joins_that_cannot_be_compared() {
    let table: Vec<(String, &[&str])> = vec![
        (refusal(|join| join.models.truncate(1)), &["at least two runs", "holds 1"]),
        (
            refusal(|join| join.models[1].role = Role::Oracle),
            &["no run has role b", "a, benchmark, placebo, oracle"],
        ),
        (refusal(|join| join.models[0].role = Role::Oracle), &["no run has role a"]),
        (
            refusal(|join| join.models[2].role = Role::Oracle),
            &["`model-benchmark` is an oracle among the models"],
        ),
        (
            refusal(|join| join.models[2].role = Role::A),
            &["two runs have role a", "`model-a`", "`model-benchmark`"],
        ),
        (
            refusal(|join| join.models[1].loss.truncate(4)),
            &["column `loss` of run `model-b` holds 4", "has 5 rows"],
        ),
        (
            refusal(|join| guesses_mut(&mut join.models[3]).rank.push(1)),
            &["column `rank` of run `model-placebo` holds 6"],
        ),
        (refusal(|join| join.position.clear()), &["column `position` of the join holds 0"]),
        (refusal(|join| join.documents[0].rows = 0..3), &["`d0.py`", "row 2", "names document 2, not 0"]),
        (refusal(|join| join.documents[2].rows = 3..5), &["`d2.py`", "should start at 2"]),
        (refusal(|join| join.documents[2].rows = 2..9), &["`d2.py`", "end within the join's 5 rows"]),
        (refusal(|join| drop(join.documents.pop())), &["`2`", "end at 2 where the join has 5"]),
        (
            refusal(|join| join.byte_end[1] = 4),
            &["`d0.py`", "position 1 spans bytes 2 to 4 of a text of 3 bytes"],
        ),
        (refusal(|join| join.byte_start[1] = 9), &["`d0.py`", "position 1 spans bytes 9 to 3"]),
        (
            refusal(|join| model_mut(join, Role::B).loss[3] = f32::NAN),
            &["loss of run `model-b` is NaN at document `d2.py`, position 1"],
        ),
        (
            refusal(|join| model_mut(join, Role::Benchmark).entropy[0] = f32::INFINITY),
            &["entropy of run `model-benchmark` is inf at document `d0.py`, position 0"],
        ),
    ];
    for (message, parts) in table {
        for part in parts {
            assert!(message.contains(part), "`{message}` lacks `{part}`");
        }
    }
}

#[test]
fn joins_without_tokens_or_bytes_are_refused_by_the_comparison() {
    let rules = Rules::builtin();
    let refusal = |join: &Joined| {
        let categories = classify_rows(join, &rules).unwrap();
        compare(join, &rules, &categories, &Options::default()).unwrap_err().to_string()
    };
    let empty = Joined { left_out: 7, ..join_of(&[Role::A, Role::B], &[&[], &[]]) };
    assert!(refusal(&empty).contains("no token was predicted by every run (7 by some only)"));
    let mut join = join_of(&FOUR, &[&["ab", "c"], &[], &["d", "e", "f"]]);
    join.byte_end = join.byte_start.clone();
    assert!(refusal(&join).contains("all 5 joined tokens have empty byte spans"));
}

#[test]
fn models_come_in_the_order_of_roles() {
    let join = join_of(&[Role::Placebo, Role::B, Role::A], &[&["ab", "é"]]);
    let checked = CheckedJoin::new(&join).unwrap();
    let roles: Vec<Role> = checked.models().iter().map(|model| model.role).collect();
    assert_eq!(roles, [Role::A, Role::B, Role::Placebo]);
    assert_eq!((checked.a().role, checked.b().role), (Role::A, Role::B));
    assert_eq!(checked.rows(), 2);
    assert_eq!(checked.token_bytes(1), "é".as_bytes());
}
