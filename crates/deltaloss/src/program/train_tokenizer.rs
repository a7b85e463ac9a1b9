//! `deltaloss train-tokenizer`.

use deltaloss::corpus::CorpusOptions;

use super::arguments::TrainTokenizer;
use super::console::Console;
use super::failure::Failure;
use super::scoring::find_corpus;

pub(crate) fn run(call: &TrainTokenizer, offline: bool, console: &Console) -> Result<(), Failure> {
    let options = CorpusOptions { max_documents: call.max_documents, ..CorpusOptions::default() };
    let corpus = find_corpus(&call.corpus, options, offline, console)?;
    let size = deltaloss::train_tokenizer(&corpus, call.size as usize, &call.out)?;
    if (size as u64) < call.size {
        console
            .note(&format!("note: the corpus has pairs to merge for {size} entries only, not {}", call.size));
    }
    console.note(&format!("tokenizer of {size} entries: {}", call.out.display()));
    Ok(())
}
