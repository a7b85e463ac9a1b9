//! Two tilings of any text.

use proptest::prelude::*;

use super::*;

/// A text, and tokens of it with a value each: spans that tile it from some byte to some other.
#[derive(Clone, Debug)]
struct Tiled {
    starts: Vec<u32>,
    ends: Vec<u32>,
    values: Vec<f32>,
}

impl Tiled {
    fn spans(&self) -> Spans<'_> {
        Spans::new(&self.starts, &self.ends).unwrap()
    }

    fn total(&self) -> f64 {
        self.values.iter().map(|&value| f64::from(value)).sum()
    }
}

fn tiled(bounds: &[u32], values: Vec<f32>) -> Tiled {
    let (starts, ends): (Vec<u32>, Vec<u32>) = bounds.windows(2).map(|pair| (pair[0], pair[1])).unzip();
    let values = values.into_iter().cycle().take(starts.len()).collect();
    Tiled { starts, ends, values }
}

/// Tokens that cut the text anywhere, also within characters, from a first to a last byte.
fn tiling(bytes: usize, whole: bool) -> impl Strategy<Value = Tiled> {
    let cuts = prop::collection::vec(0..=bytes as u32, 0..40);
    let values = prop::collection::vec(0f32..20.0, 1..50);
    (cuts, values).prop_map(move |(mut cuts, values)| {
        if whole {
            cuts.extend([0, bytes as u32]);
        }
        cuts.sort_unstable();
        cuts.dedup();
        tiled(&cuts, values)
    })
}

fn text() -> impl Strategy<Value = String> {
    // Characters of one to four bytes in every mixture.
    prop::collection::vec(
        prop_oneof![Just('a'), Just(' '), Just('é'), Just('語'), Just('🦀'), any::<char>()],
        1..40,
    )
    .prop_map(|characters| characters.into_iter().collect())
}

fn two_tilings(whole: bool) -> impl Strategy<Value = (String, Tiled, Tiled)> {
    text().prop_flat_map(move |text| {
        let bytes = text.len();
        (Just(text), tiling(bytes, whole), tiling(bytes, whole))
    })
}

/// By the definition, a byte at a time.
fn plain(from: &Tiled, to: &Tiled, text: &str) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
    let token_of = |byte: u32| {
        (0..from.starts.len()).find(|&token| from.starts[token] <= byte && byte < from.ends[token])
    };
    let bytes_of_character = |byte: u32| {
        let mut start = byte as usize;
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        text[start..].chars().next().unwrap().len_utf8()
    };
    let (mut means, mut sums) = (Vec::new(), Vec::new());
    for (&start, &end) in to.starts.iter().zip(&to.ends) {
        let tokens: Option<Vec<usize>> = (start..end).map(token_of).collect();
        let tokens = tokens.filter(|tokens| !tokens.is_empty());
        means.push(tokens.as_ref().map(|tokens| {
            let weights = (start..end).map(|byte| 1.0 / bytes_of_character(byte) as f64);
            let weights: Vec<f64> = weights.collect();
            let weighted = weights.iter().zip(tokens).map(|(w, &token)| w * f64::from(from.values[token]));
            weighted.sum::<f64>() / weights.iter().sum::<f64>()
        }));
        sums.push(tokens.map(|tokens| {
            let of_byte = |&token: &usize| {
                f64::from(from.values[token]) / f64::from(from.ends[token] - from.starts[token])
            };
            tokens.iter().map(of_byte).sum()
        }));
    }
    (means, sums)
}

fn agree(found: Option<f64>, due: Option<f64>, relative: f64) -> bool {
    match (found, due) {
        (None, None) => true,
        (Some(found), Some(due)) => (found - due).abs() <= relative * due.abs().max(1.0),
        _ => false,
    }
}

proptest! {
    #[test]
    fn both_follow_their_definitions((text, from, to) in two_tilings(false)) {
        let (means, sums) = plain(&from, &to, &text);
        let carried = carry_mean(from.spans(), &from.values, to.spans(), &text);
        for (found, due) in carried.iter().zip(means) {
            prop_assert!(agree(found.map(f64::from), due, 1e-6), "{found:?}, not {due:?}");
        }
        for (found, due) in carry_sum(from.spans(), &from.values, to.spans()).iter().zip(sums) {
            prop_assert!(agree(*found, due, 1e-12), "{found:?}, not {due:?}");
        }
    }

    #[test]
    fn totals_are_conserved((text, from, to) in two_tilings(true)) {
        let carried: Option<Vec<f64>> = carry_sum(from.spans(), &from.values, to.spans()).into_iter().collect();
        prop_assert!(carried.is_some(), "both tile {text:?}");
        let total: f64 = carried.unwrap().iter().sum();
        prop_assert!((total - from.total()).abs() <= 1e-12 * from.total().max(1.0));
    }

    #[test]
    fn one_tokenizer_carries_to_itself_unchanged((text, tokens, _) in two_tilings(false)) {
        let means = carry_mean(tokens.spans(), &tokens.values, tokens.spans(), &text);
        let sums = carry_sum(tokens.spans(), &tokens.values, tokens.spans());
        for (token, &value) in tokens.values.iter().enumerate() {
            prop_assert_eq!(means[token], Some(value));
            prop_assert_eq!(sums[token], Some(f64::from(value)));
        }
    }

    #[test]
    fn what_a_truncated_run_did_not_reach_has_no_value((text, from, to) in two_tilings(true), kept in 0usize..40) {
        let kept = kept.min(from.starts.len());
        let short = Tiled {
            starts: from.starts[..kept].to_vec(),
            ends: from.ends[..kept].to_vec(),
            values: from.values[..kept].to_vec(),
        };
        let reached = short.ends.last().copied().unwrap_or(0);
        let (whole, cut) = (carry_sum(from.spans(), &from.values, to.spans()), carry_sum(short.spans(), &short.values, to.spans()));
        let means = carry_mean(short.spans(), &short.values, to.spans(), &text);
        for (token, &end) in to.ends.iter().enumerate() {
            prop_assert_eq!(cut[token].is_some(), end <= reached);
            prop_assert_eq!(means[token].is_some(), end <= reached);
            if end <= reached {
                prop_assert_eq!(cut[token], whole[token]);
            }
        }
    }

    #[test]
    fn tokens_without_bytes_lose_nothing((text, from, to) in two_tilings(true), places in prop::collection::vec(0usize..40, 1..5)) {
        let mut from = from;
        for place in places {
            let place = place.min(from.starts.len());
            let byte = from.starts.get(place).copied().unwrap_or(*to.ends.last().unwrap());
            from.starts.insert(place, byte);
            from.ends.insert(place, byte);
            from.values.insert(place, 3.5);
        }
        let total: f64 = carry_sum(from.spans(), &from.values, to.spans()).into_iter().flatten().sum();
        prop_assert!((total - from.total()).abs() <= 1e-12 * from.total());
        // The other way round they keep their rows: with nothing of the sum, and a neighbour's mean.
        let sums = carry_sum(to.spans(), &to.values, from.spans());
        let means = carry_mean(to.spans(), &to.values, from.spans(), &text);
        let total: Option<f64> = sums.iter().copied().sum();
        prop_assert!((total.unwrap() - to.total()).abs() <= 1e-12 * to.total().max(1.0));
        for (token, mean) in means.iter().enumerate() {
            prop_assert!(to.values.contains(&mean.unwrap()) || from.starts[token] < from.ends[token]);
        }
    }
}

#[test]
fn entropies_by_hand() {
    // 'é' has two bytes: the tokens are "a", "éb" and the characters' mean is that of three.
    let text = "aéb";
    let from = tiled(&[0, 1, 4], vec![1.0, 4.0]);
    let to = tiled(&[0, 4], vec![0.0]);
    assert_eq!(carry_mean(from.spans(), &from.values, to.spans(), text), [Some(3.0)]);
    assert_eq!(carry_sum(from.spans(), &from.values, to.spans()), [Some(5.0)]);
    // Two tokens share a crab of four bytes, three and one: the crab is one character, so is the 'x'.
    let text = "🦀x";
    let from = tiled(&[0, 3, 4, 5], vec![4.0, 8.0, 1.0]);
    let to = tiled(&[0, 5], vec![0.0]);
    assert_eq!(carry_mean(from.spans(), &from.values, to.spans(), text), [Some(3.0)]);
}

#[test]
fn a_token_without_bytes_belongs_to_what_stands_before_it() {
    // The second of from's tokens is a piece of 'é', whose bytes the first holds.
    let from = Tiled { starts: vec![0, 2, 2], ends: vec![2, 2, 3], values: vec![1.0, 4.0, 0.5] };
    let to = tiled(&[0, 2, 3], vec![2.0, 3.0]);
    assert_eq!(carry_sum(from.spans(), &from.values, to.spans()), [Some(5.0), Some(0.5)]);
    assert_eq!(carry_sum(to.spans(), &to.values, from.spans()), [Some(2.0), Some(0.0), Some(3.0)]);
    assert_eq!(carry_mean(to.spans(), &to.values, from.spans(), "éx"), [Some(2.0), Some(2.0), Some(3.0)]);
    // In front of a text there is only what follows.
    let front = Tiled { starts: vec![0, 0], ends: vec![0, 3], values: vec![4.0, 1.0] };
    assert_eq!(carry_sum(front.spans(), &front.values, to.spans())[0], Some(4.0 + 2.0 / 3.0));
    // Beyond what was scored there is nothing.
    let short = tiled(&[0, 2], vec![1.0]);
    let late = Tiled { starts: vec![3], ends: vec![3], values: vec![1.0] };
    assert_eq!(carry_sum(short.spans(), &short.values, late.spans()), [None]);
}

#[test]
fn spans_that_overlap_or_go_back_are_refused() {
    for (starts, ends, at) in
        [(&[0, 1][..], &[2, 3][..], 1), (&[3, 1], &[4, 2], 1), (&[2], &[1], 0), (&[0, 4], &[4], 1)]
    {
        assert_eq!(Spans::new(starts, ends).unwrap_err().0, at);
    }
    assert!(Spans::new(&[0, 5, 5], &[2, 5, 9]).is_ok(), "gaps and tokens without bytes are no error");
    assert!(Spans::new(&[], &[]).unwrap().is_empty());
}
