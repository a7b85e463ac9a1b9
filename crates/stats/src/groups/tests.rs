//! Tests of the per-document sums: by hand, merging.

use deltaloss_records::Joined;
use proptest::prelude::*;

use super::*;
use crate::CheckedJoin;
use crate::testing::{any_join, join_of, model_mut};

/// Overlapping groups: all tokens, those of even vocabulary id, those of the third.
fn keys(rows: &DocumentRows<'_>, index: usize, found: &mut Vec<u8>) {
    found.push(0);
    found.extend(rows.token[index].is_multiple_of(2).then_some(1));
    found.extend((rows.token[index] == 2).then_some(2));
}

/// The groups of the documents that `holds`, each added to a table of its own and merged, last first if `backwards`.
fn collect(join: &Joined, holds: impl Fn(u32) -> bool) -> GroupTable<u8> {
    let checked = CheckedJoin::new(join).unwrap();
    let mut table = GroupTable::default();
    checked.for_each_document(0, &vec![0; join.rows()], |rows| {
        if holds(rows.document) {
            table.add(rows, |index, found| keys(rows, index, found));
        }
    });
    table
}

#[test]
fn sums_by_hand() {
    let mut join = join_of(&[Role::A, Role::B, Role::Placebo], &[&["x", "y", "x"], &[], &["z"]]);
    model_mut(&mut join, Role::A).loss = vec![1.0, 2.0, 4.0, 8.0];
    model_mut(&mut join, Role::B).loss = vec![2.0, 2.0, 2.0, 2.0];
    model_mut(&mut join, Role::Placebo).loss = vec![2.5, 2.0, 2.0, 1.0];
    let table = collect(&join, |_| true);
    let resamples = Resamples::new(&[0, 2], 10, 1);
    let found = table.groups(None, &resamples);
    let short = |of: &GroupOf<u8>| {
        let cells: Vec<(u32, [f64; SUMS])> =
            of.group.cells().iter().map(|cell| (cell.document, cell.sums)).collect();
        (of.key, of.vocabulary_entries, cells)
    };
    let (x, z) = ([2.0, 5.0, 4.0, 1.0, 0.5, 2.0], [1.0, 8.0, 2.0, 6.0, -1.0, 1.0]);
    assert_eq!(short(&found[0]), (0, 3, vec![(0, [3.0, 7.0, 6.0, 1.0, 0.5, 3.0]), (2, z)]));
    assert_eq!(short(&found[1]), (1, 2, vec![(0, x), (2, z)]));
    assert_eq!(short(&found[2]), (2, 1, vec![(2, z)]));
    assert_eq!(found[1].group.totals(), &[3.0, 13.0, 6.0, 7.0, -0.5, 3.0]);
    // Of the first document alone.
    assert_eq!(table.groups(None, &Resamples::new(&[0], 10, 1)).len(), 2);
}

proptest! {
    #[test]
    fn parts_merge_to_the_same_bits(join in any_join(), parts in prop::collection::vec(0usize..3, 8)) {
        let resamples = Resamples::new(&Vec::from_iter(0..join.documents.len() as u32), 10, 1);
        let short = |table: &GroupTable<u8>| {
            let groups = table.groups(None, &resamples).into_iter();
            groups.map(|of| (of.key, of.vocabulary_entries, of.group.cells().to_vec())).collect::<Vec<_>>()
        };
        let whole = short(&collect(&join, |_| true));
        // Documents are dealt to three parts in any pattern, and parts merged last first.
        let mut merged = GroupTable::default();
        for part in (0..3).rev() {
            merged.merge(collect(&join, |document| parts[document as usize] == part));
        }
        prop_assert_eq!(short(&merged), whole);
    }
}
