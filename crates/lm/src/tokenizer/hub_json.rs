//! `tokenizer.json`, the model hub's form, through the `tokenizers` crate.

use deltaloss_guard::catch_panic;
use serde::de::IgnoredAny;
use tokenizers::Tokenizer;

use super::Token;
use super::gpt2_pair::from_printable;
use crate::error::LmError;

#[derive(Debug)]
pub(super) struct HubJson {
    place: String,
    tokenizer: Tokenizer,
    size: usize,
}

impl HubJson {
    pub(super) fn new(json: &[u8], place: &str) -> Result<Self, LmError> {
        let bad = |problem: String| LmError::Tokenizer { file: place.to_owned(), problem };
        // Said better here than there, where much of what is no JSON is a panic.
        let _: IgnoredAny =
            serde_json::from_slice(json).map_err(|error| bad(format!("it is no JSON: {error}")))?;
        let mut tokenizer = catch_panic(|| Tokenizer::from_bytes(json))
            .map_err(|message| bad(format!("its parts contradict each other: {message}")))?
            .map_err(|error| bad(error.to_string()))?;
        // A document is scored whole, and as the characters it is made of.
        tokenizer.with_truncation(None).map_err(|error| bad(error.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.set_encode_special_tokens(true);
        let size = tokenizer.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        Ok(HubJson { place: place.to_owned(), tokenizer, size })
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    pub(super) fn encode(&self, text: &str) -> Result<Vec<Token>, LmError> {
        let bad = |problem: String| LmError::Tokenizer { file: self.place.clone(), problem };
        if let Some(start) = overlong_blank(text) {
            return Err(bad(format!(
                "the text has more than {LONGEST_BLANK} white-space characters in a row from byte {start}, more than \
                 the pattern matcher of this kind of tokenizer can take"
            )));
        }
        // Nothing in it changes by encoding but caches, which it leaves alone when it fails.
        let encoding = catch_panic(|| self.tokenizer.encode(text, false))
            .map_err(|message| bad(format!("its parts contradict each other: {message}")))?
            .map_err(|error| bad(error.to_string()))?;
        let ids = encoding.get_ids();
        let spans = byte_level_spans(encoding.get_tokens(), text)
            .unwrap_or_else(|| tiled(encoding.get_offsets(), text.len()));
        Ok(ids.iter().zip(spans).map(|(&id, bytes)| Token { id, bytes }).collect())
    }
}

/// The `tokenizers` crate cuts text with a backtracking matcher and, when that runs out of stack, leaves the rest of
/// the text uncut without a word; a run of blanks is what brings it there, at about a million.
const LONGEST_BLANK: usize = 200_000;

/// Where a run of more than [`LONGEST_BLANK`] white-space characters starts.
fn overlong_blank(text: &str) -> Option<usize> {
    let (mut start, mut run) = (0, 0);
    for (at, letter) in text.char_indices() {
        if !letter.is_whitespace() {
            run = 0;
            continue;
        }
        if run == 0 {
            start = at;
        }
        run += 1;
        if run > LONGEST_BLANK {
            return Some(start);
        }
    }
    None
}

/// Exact spans where the tokens are bytes in GPT-2's alphabet that spell out the text: only these can tell where
/// inside a character a token ends.
fn byte_level_spans(tokens: &[String], text: &str) -> Option<Vec<std::ops::Range<usize>>> {
    let mut end = 0;
    let mut spans = Vec::with_capacity(tokens.len());
    for token in tokens {
        let start = end;
        for letter in token.chars() {
            if text.as_bytes().get(end).copied() != from_printable(letter) {
                return None;
            }
            end += 1;
        }
        spans.push(start..end);
    }
    (end == text.len()).then_some(spans)
}

/// Spans from the tokenizer's own offsets, made to tile: a gap (white space that a normaliser dropped) goes to the
/// token after it, the end of the text to the last.
fn tiled(offsets: &[(usize, usize)], length: usize) -> Vec<std::ops::Range<usize>> {
    let mut reached = 0;
    let mut spans = Vec::with_capacity(offsets.len());
    for (index, &(_, end)) in offsets.iter().enumerate() {
        let last = index + 1 == offsets.len();
        let end = if last { length } else { end.clamp(reached, length) };
        spans.push(reached..end);
        reached = end;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_made_to_tile() {
        assert_eq!(tiled(&[(1, 3), (3, 3), (2, 5), (6, 7)], 9), [0..3, 3..3, 3..5, 5..9]);
        assert!(tiled(&[], 0).is_empty());
    }

    #[test]
    fn byte_level_tokens_give_spans_inside_characters() {
        // é is 0xc3 0xa9.
        let tokens = ["a".to_owned(), "Ã".into(), "©Ġ".into()];
        assert_eq!(byte_level_spans(&tokens, "aé "), Some(vec![0..1, 1..2, 2..4]));
        assert_eq!(byte_level_spans(&tokens, "aé"), None);
        assert_eq!(byte_level_spans(&["▁a".to_owned()], " a"), None);
    }

    #[test]
    fn a_run_of_blanks_that_would_silently_go_wrong_is_found() {
        let blank = " ".repeat(LONGEST_BLANK);
        assert_eq!(overlong_blank(&format!("{blank}x{blank}")), None);
        assert_eq!(overlong_blank(&format!("{blank}x{blank}\n")), Some(LONGEST_BLANK + 1));
    }

    #[test]
    fn what_is_no_tokenizer_is_refused() {
        let refused = |json: &str| HubJson::new(json.as_bytes(), "t.json").unwrap_err().to_string();
        assert!(refused("{}").starts_with("t.json: "), "{}", refused("{}"));
        // The library panics at a slip in the decoder.
        let slip = r#"{"version": "1.0", "decoder": {"type": bByteLevel"}, "model": {"type": "BPE", "vocab": {}, "merges": []}}"#;
        assert!(
            refused(slip).starts_with("t.json: it is no JSON: expected value at line 1"),
            "{}",
            refused(slip)
        );
    }
}
