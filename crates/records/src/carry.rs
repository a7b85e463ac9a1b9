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

    /// For every token of `others` without bytes hands over its index and the token here that stands in for its place: the one
    /// with the byte before it (a piece of a character that another piece holds stands at that character's end), or else
    /// with the byte at it.
    fn for_each_place(self, others: Spans<'_>, mut hand_over: impl FnMut(usize, usize)) {
        let bytes = |token: usize| self.ends[token] - self.starts[token];
        let with_bytes: Vec<usize> = (0..self.len()).filter(|&token| bytes(token) > 0).collect();
        let mut next = 0;
        for (index, (&place, &end)) in others.starts.iter().zip(others.ends).enumerate() {
            if end > place {
                continue;
            }
            // The first token that ends at the place or beyond.
            while next < with_bytes.len() && self.ends[with_bytes[next]] < place {
                next += 1;
            }
            let holds_before = |&token: &usize| self.starts[token] < place;
            let holds_at = |&token: &usize| self.starts[token] == place;
            let here = with_bytes.get(next).copied();
            if let Some(token) = here.filter(holds_before).or(here.filter(holds_at)) {
                hand_over(index, token);
            }
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
            None => 12.0 * f64::from(end - start),
            Some(twelfths) => {
                let bytes = &twelfths[start as usize..end as usize];
                bytes.iter().map(|&twelfths| u64::from(twelfths)).sum::<u64>() as f64
            }
        }
    }
}

/// Carries values by characters: for each token of `to` the mean of `values` over its characters. Nothing where a part of it
/// is covered by no token of `from`. A token without bytes gets the value of the token at its place.
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
    from.for_each_place(to, |index, token| carried[index] = Some(values[token]));
    carried
}

/// Carries values by bytes: each value of `from` is spread evenly over its token's bytes, and each token of `to` gets the
/// sum over its own. Nothing where a part of it is covered by no token of `from`.
///
/// What a token of `from` without bytes has goes to the token of `to` with the byte before its place, or else at it; a
/// token of `to` without bytes gets 0 where a token of `from` is at its place.
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
    to.for_each_place(from, |token, index| sums[index] += f64::from(values[token]));
    let whole = |index: usize| covered[index] > 0 && covered[index] == to.ends[index] - to.starts[index];
    let mut carried: Vec<Option<f64>> =
        sums.iter().enumerate().map(|(index, &sum)| whole(index).then_some(sum)).collect();
    from.for_each_place(to, |index, _| carried[index] = Some(0.0));
    carried
}
