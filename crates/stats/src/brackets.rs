//! Analysis 4: closing brackets, by token, by how many a token holds, by nesting depth.

use std::borrow::Cow;

use deltaloss_records::Split;

use crate::groups::{GroupOf, GroupTable, Whole};
use crate::rows::{correct_columns, delta_rows, empty_row, sort_by_delta};
use crate::{Accumulator, Brackets, DeltaRow, DocumentRows};

#[cfg(test)]
mod tests;

/// Depths from here on share a row.
const DEEPEST: u32 = 6;

/// The sums of analysis 4.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BracketSums {
    by_token: GroupTable<String>,
    by_count: GroupTable<usize>,
    by_depth: GroupTable<u32>,
}

impl Accumulator for BracketSums {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        self.by_token.add(rows, |index, found| {
            found.extend(bracket_text(rows.token_bytes(index)).map(Cow::into_owned));
        });
        self.by_count.add(rows, |index, found| found.extend(bracket_count(rows.token_bytes(index))));
        self.by_depth.add(rows, |index, found| {
            if rows.token_bytes(index).iter().copied().any(is_closing) {
                found.push(rows.depth[index].min(DEEPEST));
            }
        });
    }

    fn merge(&mut self, other: Self) {
        self.by_token.merge(other.by_token);
        self.by_count.merge(other.by_count);
        self.by_depth.merge(other.by_depth);
    }
}

impl BracketSums {
    /// Computes analysis 4 of a set of documents.
    pub(crate) fn finish(&self, half: Option<Split>, whole: &Whole<'_>) -> Brackets {
        let mut by_token =
            delta_rows(&self.by_token.groups(half, whole.resamples), |text| text.clone(), whole);
        sort_by_delta(&mut by_token);
        let mut by_count =
            delta_rows(&self.by_count.groups(half, whole.resamples), |count| count.to_string(), whole);
        by_count.reverse();
        let by_depth = depth_rows(self.by_depth.groups(half, whole.resamples), whole);
        Brackets { by_token, by_count, by_depth }
    }
}

/// Depths 0 to 5, and 6 or more, whether or not they have tokens.
fn depth_rows(groups: Vec<GroupOf<u32>>, whole: &Whole<'_>) -> Vec<DeltaRow> {
    let name = |depth: &u32| match *depth {
        DEEPEST => format!("{depth}+"),
        depth => depth.to_string(),
    };
    let mut found = delta_rows(&groups, name, whole);
    let row = |depth: u32| match found.iter().position(|row| row.name == name(&depth)) {
        Some(index) => found.swap_remove(index),
        None => empty_row(&name(&depth), whole),
    };
    let mut rows: Vec<DeltaRow> = (0..=DEEPEST).map(row).collect();
    correct_columns(&mut rows);
    rows
}

fn is_closing(byte: u8) -> bool {
    matches!(byte, b')' | b']' | b'}')
}

/// The token itself where it is made only of closing brackets.
fn bracket_text(token: &[u8]) -> Option<Cow<'_, str>> {
    (!token.is_empty() && token.iter().copied().all(is_closing)).then(|| String::from_utf8_lossy(token))
}

/// How many closing brackets a token holds that is made only of them, colons and white space.
fn bracket_count(token: &[u8]) -> Option<usize> {
    let closing = token.iter().copied().filter(|byte| is_closing(*byte)).count();
    let others = |text: &str| {
        text.chars().all(|character| matches!(character, ')' | ']' | '}' | ':') || character.is_whitespace())
    };
    // Most tokens hold no bracket and are not decoded.
    (closing > 0 && std::str::from_utf8(token).is_ok_and(others)).then_some(closing)
}
