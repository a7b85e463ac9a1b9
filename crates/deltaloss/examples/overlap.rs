//! How much of one corpus stands word for word in another: the share of its tokens that lie in a run of n tokens which the
//! other has too.
//!
//! `cargo run --release --example overlap -- TRAINING_CORPUS [EVALUATED_CORPUS]` prints a line for each n; the evaluated
//! corpus is `builtin:python-stdlib` by default. For a model card: a model may have learned such text by heart.

#![allow(clippy::print_stdout, reason = "a measurement prints")]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use deltaloss::corpus::{Corpus, CorpusOptions, CorpusSource};
use deltaloss::lm::Tokenizer;
use deltaloss::{BUNDLED_TOKENIZER, open_tokenizer};

const LENGTHS: [usize; 4] = [16, 32, 64, 128];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (training, evaluated) = match arguments.as_slice() {
        [training] => (training.as_str(), "builtin:python-stdlib"),
        [training, evaluated] => (training.as_str(), evaluated.as_str()),
        _ => {
            return Err(
                "give the training corpus, and the evaluated one if it is not the standard library".into()
            );
        }
    };
    let tokenizer = open_tokenizer(&format!("builtin:{BUNDLED_TOKENIZER}"))?;
    let mut documents = Vec::new();
    each(evaluated, &tokenizer, |tokens| documents.push(tokens))?;
    let total: usize = documents.iter().map(Vec::len).sum();
    let hasher = RandomState::new();
    // Where each run of n tokens is seen in the evaluated corpus: 64-bit hashes, of which some millions do not collide.
    let mut seen: Vec<HashMap<u64, bool>> = Vec::new();
    for n in LENGTHS {
        let runs = documents.iter().flat_map(|tokens| tokens.windows(n));
        seen.push(runs.map(|run| (hasher.hash_one(run), false)).collect());
    }
    let mut trained = 0;
    each(training, &tokenizer, |tokens| {
        trained += tokens.len();
        for (n, seen) in LENGTHS.into_iter().zip(&mut seen) {
            for run in tokens.windows(n) {
                if let Some(found) = seen.get_mut(&hasher.hash_one(run)) {
                    *found = true;
                }
            }
        }
    })?;
    println!("{} documents, {total} tokens, in {training} of {trained} tokens:", documents.len());
    for (n, seen) in LENGTHS.into_iter().zip(&seen) {
        let covered: usize = documents.iter().map(|tokens| covered(tokens, n, &hasher, seen)).sum();
        println!("in a common run of {n} tokens: {:.2} % of tokens", 100.0 * covered as f64 / total as f64);
    }
    Ok(())
}

/// Hears every document's tokens.
fn each(
    source: &str,
    tokenizer: &Tokenizer,
    mut hear: impl FnMut(Vec<u32>),
) -> Result<(), Box<dyn std::error::Error>> {
    let corpus = Corpus::open(&CorpusSource::parse(source)?, CorpusOptions::default())?;
    for document in corpus.documents()? {
        hear(tokenizer.encode(&document?.text)?.into_iter().map(|token| token.id).collect());
    }
    Ok(())
}

/// Tokens of a document that some found run of n tokens covers.
fn covered(tokens: &[u32], n: usize, hasher: &RandomState, seen: &HashMap<u64, bool>) -> usize {
    let (mut count, mut end) = (0, 0);
    for (start, run) in tokens.windows(n).enumerate() {
        if seen.get(&hasher.hash_one(run)) == Some(&true) {
            count += start + n - end.max(start);
            end = start + n;
        }
    }
    count
}
