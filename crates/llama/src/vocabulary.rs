//! Text to tokens with the byte span of each, by the model's own vocabulary.

use deltaloss_lm::Token;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

/// llama.cpp cuts text for some tokenizers by regular expressions that call themselves once a character of a piece, with some
/// 500 bytes of stack each, and ends the process where the stack does. A piece is at most two runs of one kind of character.
const LONGEST_RUN: usize = 200_000;
/// More than twice what that takes; memory is only taken where a text needs it.
const STACK_BYTES: usize = 512 << 20;

/// Where and why a text is not spelt out by its tokens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unspelt {
    pub(crate) byte: usize,
    pub(crate) problem: String,
}

/// Why texts could not be encoded.
#[derive(Debug)]
pub(crate) enum EncodeFailure {
    /// The text of this index is not spelt out by its tokens.
    Text(usize, Unspelt),
    /// No thread could be started.
    Thread(std::io::Error),
}

/// The bytes of every token of a model.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pieces: Vec<Vec<u8>>,
}

impl Vocabulary {
    pub(crate) fn new(model: &LlamaModel) -> Self {
        let vocab = model.vocab();
        let pieces = vocab.tokens().map(|token| vocab.token_to_piece(token, true, None)).collect();
        Vocabulary { pieces }
    }

    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The tokens of each text, by up to `threads` threads. The error is that of the first text that has one.
    pub(crate) fn encode(
        &self,
        model: &LlamaModel,
        texts: &[&str],
        threads: usize,
    ) -> Result<Vec<Vec<Token>>, EncodeFailure> {
        let share = texts.len().div_ceil(threads.max(1)).max(1);
        let work =
            |part: &[&str]| -> Vec<_> { part.iter().map(|text| self.encode_one(model, text)).collect() };
        let work = &work;
        let parts = std::thread::scope(|scope| {
            let spawn = |part| {
                std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, move || work(part))
            };
            let threads: Vec<_> = texts.chunks(share).map(spawn).collect::<std::io::Result<_>>()?;
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            Ok::<Vec<Vec<_>>, std::io::Error>(threads.into_iter().map(join).collect())
        })
        .map_err(EncodeFailure::Thread)?;
        let each = parts.into_iter().flatten().enumerate();
        each.map(|(text, tokens)| tokens.map_err(|unspelt| EncodeFailure::Text(text, unspelt))).collect()
    }

    fn encode_one(&self, model: &LlamaModel, text: &str) -> Result<Vec<Token>, Unspelt> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        if i32::try_from(text.len()).is_err() {
            let problem = format!("cannot take {} bytes at once; split the document", text.len());
            return Err(Unspelt { byte: 0, problem });
        }
        if let Some(byte) = overlong_run(text) {
            let problem = format!(
                "cannot take the run that begins there, of more than {LONGEST_RUN} letters, blanks or other characters; \
                 split it or take it out"
            );
            return Err(Unspelt { byte, problem });
        }
        // No special token is recognised: `<|endoftext|>` in a document is ordinary characters.
        let ids = model.vocab().tokenize(text.as_bytes(), false, false);
        let ids: Vec<u32> = ids.into_iter().map(|LlamaToken(id)| id as u32).collect();
        self.spans(text, ids)
    }

    /// Spans that tile `text`, from the tokens' own bytes.
    fn spans(&self, text: &str, ids: Vec<u32>) -> Result<Vec<Token>, Unspelt> {
        let bytes = text.as_bytes();
        let piece = |id: u32| self.pieces.get(id as usize).map_or(&[][..], Vec::as_slice);
        let total: usize = ids.iter().map(|&id| piece(id).len()).sum();
        // Tokenizers of SentencePiece's kind put a space in front of the text, which no document byte stands for.
        let mut added = usize::from(
            total == bytes.len() + 1
                && ids
                    .iter()
                    .map(|&id| piece(id))
                    .find(|piece| !piece.is_empty())
                    .is_some_and(|first| first[0] == b' '),
        );
        let mut at = 0;
        let mut tokens = Vec::with_capacity(ids.len());
        for id in ids {
            let mut spelt = piece(id);
            if !spelt.is_empty() {
                spelt = &spelt[added..];
                added = 0;
            }
            let rest = &bytes[at..];
            if !rest.starts_with(spelt) {
                let agree = rest.iter().zip(spelt).take_while(|(a, b)| a == b).count();
                return Err(unspelt(text, at + agree));
            }
            tokens.push(Token { id, bytes: at..at + spelt.len() });
            at += spelt.len();
        }
        if at == bytes.len() { Ok(tokens) } else { Err(unspelt(text, at)) }
    }
}

/// Where a run of more than [`LONGEST_RUN`] characters of one kind begins.
fn overlong_run(text: &str) -> Option<usize> {
    let (mut kind, mut start, mut length) = (0, 0, 0);
    for (at, letter) in text.char_indices() {
        let own = if letter.is_whitespace() {
            1
        } else if letter.is_alphabetic() {
            2
        } else {
            3
        };
        if own != kind {
            (kind, start, length) = (own, at, 0);
        }
        length += 1;
        if length > LONGEST_RUN {
            return Some(start);
        }
    }
    None
}

fn unspelt(text: &str, byte: usize) -> Unspelt {
    let start = text.floor_char_boundary(byte);
    let problem = match text[start..].chars().next() {
        Some(letter) => format!(
            "does not give back {letter:?} (U+{:04X}) there: it changes the text, or has no token for it. Take the \
             character out, or use a model whose tokenizer keeps every byte",
            u32::from(letter)
        ),
        None => "adds something to the text's end".to_owned(),
    };
    Unspelt { byte, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(pieces: &[&[u8]]) -> Vocabulary {
        Vocabulary { pieces: pieces.iter().map(|piece| piece.to_vec()).collect() }
    }

    fn spans(
        vocabulary: &Vocabulary,
        text: &str,
        ids: &[u32],
    ) -> Result<Vec<std::ops::Range<usize>>, Unspelt> {
        Ok(vocabulary.spans(text, ids.to_vec())?.into_iter().map(|token| token.bytes).collect())
    }

    #[test]
    fn spans_tile_the_text_inside_characters_too() {
        // é is 0xc3 0xa9.
        let vocabulary = vocabulary(&[b"a", b"\xc3", b"\xa9 ", b" a", b" "]);
        assert_eq!(spans(&vocabulary, "aé ", &[0, 1, 2]), Ok(vec![0..1, 1..2, 2..4]));
        assert_eq!(spans(&vocabulary, "", &[]), Ok(vec![]));
    }

    #[test]
    fn a_space_that_the_tokenizer_put_in_front_belongs_to_no_byte() {
        let vocabulary = vocabulary(&[b"a", b"\xc3", b"\xa9 ", b" a", b" "]);
        assert_eq!(spans(&vocabulary, "aa", &[3, 0]), Ok(vec![0..1, 1..2]));
        assert_eq!(spans(&vocabulary, "a a", &[4, 0, 3]), Ok(vec![0..0, 0..1, 1..3]));
        assert_eq!(spans(&vocabulary, " a", &[4, 3]), Ok(vec![0..0, 0..2]));
        assert_eq!(spans(&vocabulary, " aa", &[3, 0]), Ok(vec![0..2, 2..3]), "the document's own space");
    }

    #[test]
    fn runs_that_would_end_the_process_are_found() {
        let run = |letter: &str| letter.repeat(LONGEST_RUN);
        assert_eq!(overlong_run(&(run("é") + &run(" ") + &run("(") + &run("a"))), None);
        assert_eq!(overlong_run(&(run(" ") + &run("é") + "e ")), Some(LONGEST_RUN));
        assert_eq!(overlong_run(&("a1".to_owned() + &run("\n") + " ")), Some(2));
    }

    #[test]
    fn a_text_that_comes_back_changed_is_named_by_byte_and_character() {
        let vocabulary = vocabulary(&[b"a", b"e", b"<unk>"]);
        for (text, ids, byte, letter) in [
            ("aéa", &[0, 1, 0][..], 1, "'é'"),
            ("aA", &[0, 0], 1, "'A'"),
            ("a界", &[0, 2], 1, "U+754C"),
            ("aaa", &[0, 0], 2, "'a'"),
        ] {
            let error = spans(&vocabulary, text, ids).unwrap_err();
            assert!(error.byte == byte && error.problem.contains(letter), "{text}: {error:?}");
        }
        let error = spans(&vocabulary, "a", &[0, 1]).unwrap_err();
        assert!(error.problem.contains("adds something"), "{error:?}");
        assert!(spans(&vocabulary, "a", &[7]).is_err(), "an id beyond the vocabulary spells nothing");
    }
}
