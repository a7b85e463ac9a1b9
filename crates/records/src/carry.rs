//! Carrying values from one tokenizer's tokens to another's, through the text that both cover.
//!
//! *Entropies* go by characters, as in the post: every character (Unicode scalar) of a token has that token's value, and another's
//! token gets the mean over the characters of its span. A byte of a character of n bytes counts 1/n of a character, so that
//! tokens which split one have a defined mean too. *Losses* go by bytes: a token's loss is spread evenly over its bytes and
//! summed over the other's span, so that totals are conserved.
//!
//! Both walk the two lists of spans side by side: time is linear in the text and the tokens. Sums are made in double
//! precision, in the order of the text.

#[cfg(test)]
mod tests;

/// Where the tokens of one document stand in its text, bytes: starts and ends, equally long.
#[derive(Clone, Copy, Debug)]
pub struct Spans<'a> {
    starts: &'a [u32],
    ends: &'a [u32],
}

impl<'a> Spans<'a> {
    /// Tokens that ascend and do not overlap; there may be gaps between them.
    ///
    /// # Errors
    /// What is wrong, and the index of the token where it is.
    pub fn new(starts: &'a [u32], ends: &'a [u32]) -> Result<Self, (usize, String)> {
        if starts.len() != ends.len() {
            return Err((starts.len().min(ends.len()), "a token has a start or an end only".to_owned()));
        }
        let mut before = 0;
        for (index, (&start, &end)) in starts.iter().zip(ends).enumerate() {
            if start < before || end < start {
                return Err((
                    index,
                    format!("bytes {start}..{end} after a token that ends at byte {before}"),
                ));
            }
            before = end;
        }
        Ok(Spans { starts, ends })
    }

    /// How many tokens.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// For every token of `to` hands over its index and its part of each of these tokens, as (token, first byte, end); at last how
    /// many bytes of it these tokens cover in all.
    fn for_each_part(
        self,
        to: Spans<'_>,
        mut part: impl FnMut(usize, usize, [u32; 2]),
        mut done: impl FnMut(usize, u32),
    ) {
        let mut first = 0;
        for (index, (&start, &end)) in to.starts.iter().zip(to.ends).enumerate() {
            while first < self.len() && self.ends[first] <= start {
                first += 1;
            }
            let (mut token, mut covered) = (first, 0);
            while token < self.len() && self.starts[token] < end {
                let overlap = [self.starts[token].max(start), self.ends[token].min(end)];
                if overlap[0] < overlap[1] {
                    part(index, token, overlap);
                    covered += overlap[1] - overlap[0];
                }
                token += 1;
            }
            done(index, covered);
        }
    }
}

/// How much of a character each byte of a text is, in twelfths: 12, 6, 4 or 3.
#[derive(Clone, Debug)]
struct Characters {
    /// Nothing where every character has one byte.
    twelfths: Option<Vec<u8>>,
}

impl Characters {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Characters { twelfths: None };
        }
        let mut twelfths = Vec::with_capacity(text.len());
        for character in text.chars() {
            let bytes = character.len_utf8();
            twelfths.extend(std::iter::repeat_n((12 / bytes) as u8, bytes));
        }
        Characters { twelfths: Some(twelfths) }
    }

    fn in_bytes(&self, [start, end]: [u32; 2]) -> f64 {
        match &self.twelfths {
            None => f64::from(12 * (end - start)),
            Some(twelfths) => {
                let bytes = &twelfths[start as usize..end as usize];
                bytes.iter().map(|&twelfths| u64::from(twelfths)).sum::<u64>() as f64
            }
        }
    }
}

/// Carries values by characters: for each token of `to` the mean of `values` over its characters. Nothing where a part of it
/// is covered by no token of `from`, or it has no bytes.
///
/// # Panics
/// If there is not one value a token of `from`, or a span lies outside `text`.
pub fn carry_mean(from: Spans<'_>, values: &[f32], to: Spans<'_>, text: &str) -> Vec<Option<f32>> {
    assert_eq!(values.len(), from.len(), "one value a token");
    let characters = Characters::of(text);
    let mut carried = vec![None; to.len()];
    // Of the token at hand: Σ weight · value and Σ weight. `Cell`s, for both closures need them.
    let (sum, weights) = (std::cell::Cell::new(0.0), std::cell::Cell::new(0.0));
    from.for_each_part(
        to,
        |_, token, bytes| {
            let weight = characters.in_bytes(bytes);
            sum.set(sum.get() + weight * f64::from(values[token]));
            weights.set(weights.get() + weight);
        },
        |index, covered| {
            let (sum, weight) = (sum.take(), weights.take());
            if covered > 0 && covered == to.ends[index] - to.starts[index] {
                carried[index] = Some((sum / weight) as f32);
            }
        },
    );
    carried
}

/// Carries values by bytes: each value of `from` is spread evenly over its token's bytes, and each token of `to` gets the
/// sum over its own. Nothing where a part of it is covered by no token of `from`, or it has no bytes.
///
/// What a token of `from` without bytes has goes to the token of `to` that holds the byte at its place, or the byte before
/// it at the end of the tokens.
///
/// # Panics
/// If there is not one value a token of `from`.
pub fn carry_sum(from: Spans<'_>, values: &[f32], to: Spans<'_>) -> Vec<Option<f64>> {
    assert_eq!(values.len(), from.len(), "one value a token");
    let mut sums = vec![0.0; to.len()];
    let mut covered = vec![0; to.len()];
    from.for_each_part(
        to,
        |index, token, [start, end]| {
            let length = from.ends[token] - from.starts[token];
            // The whole of a token is its value, without rounding.
            let share = f64::from(end - start) / f64::from(length);
            sums[index] += share * f64::from(values[token]);
        },
        |index, bytes| covered[index] = bytes,
    );
    add_without_bytes(from, values, to, &mut sums);
    let whole = |index: usize| covered[index] > 0 && covered[index] == to.ends[index] - to.starts[index];
    sums.iter().enumerate().map(|(index, &sum)| whole(index).then_some(sum)).collect()
}

/// Adds the values of tokens without bytes.
fn add_without_bytes(from: Spans<'_>, values: &[f32], to: Spans<'_>, sums: &mut [f64]) {
    for (token, &value) in values.iter().enumerate() {
        let place = from.starts[token];
        if from.ends[token] > place {
            continue;
        }
        // The first token that ends beyond the place, or the last one that has bytes before it.
        let after = to.ends.partition_point(|&end| end <= place);
        let holds = |index: &usize| to.starts[*index] <= place && to.ends[*index] > place;
        let before = || (0..after).rev().find(|&index| to.ends[index] > to.starts[index]);
        let touches = |index: &usize| to.ends[*index] == place;
        let home = Some(after).filter(|&index| index < to.len()).filter(holds);
        if let Some(index) = home.or_else(|| before().filter(touches)) {
            sums[index] += f64::from(value);
        }
    }
}
