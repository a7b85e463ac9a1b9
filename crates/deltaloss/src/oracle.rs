//! The bundled oracle's run: what is packed of it, put together with the texts of the bundled corpus.

use std::collections::HashMap;
use std::path::Path;

use deltaloss_corpus::{Corpus, CorpusOptions, CorpusSource, hex, text_sha256};
use deltaloss_records::{DocumentRecord, Run, Split, write_documents};

use crate::bundled::{ORACLE_DOCUMENTS, ORACLE_RUN, ORACLE_TOKENS};
use crate::error::Error;

/// Writes to `out` the bundled oracle's run over the documents of another run. The whole of it is for a moment beside `out`,
/// in a folder that is not final yet.
pub(crate) fn write_oracle_run(scored: &Run, out: &Path) -> Result<(), Error> {
    let whole = out.with_extension("whole");
    std::fs::create_dir(&whole).map_err(|error| refused(&whole, &error))?;
    write_documents(&whole.join("documents.parquet"), &documents()?)?;
    for (name, bytes) in [("run.json", ORACLE_RUN), ("tokens.parquet", ORACLE_TOKENS)] {
        let path = whole.join(name);
        std::fs::write(&path, bytes).map_err(|error| refused(&path, &error))?;
    }
    let (documents, corpus) = (scored.documents.clone(), scored.info.corpus.clone());
    Run::open(&whole)?.write_selection(documents, corpus, out)?;
    std::fs::remove_dir_all(&whole).map_err(|error| refused(&whole, &error))
}

/// The documents of the whole run: their counts as packed, their texts from the bundled corpus.
fn documents() -> Result<Vec<DocumentRecord>, Error> {
    let library = Corpus::open(&CorpusSource::parse("builtin:python-stdlib")?, CorpusOptions::default())?;
    let mut texts = HashMap::new();
    for document in library.documents()? {
        let document = document?;
        texts.insert(hex(&text_sha256(&document.text)), document);
    }
    let rows = ORACLE_DOCUMENTS.lines().skip(1);
    rows.zip(0..)
        .map(|(row, document)| {
            let problem = || Error::Source {
                source_name: "the bundled oracle's run".into(),
                problem: format!(
                    "document {document} is none of the bundled corpus, or has no counts: `{row}`"
                ),
            };
            let cells: Vec<&str> = row.split('\t').collect();
            let [sha256, tokens, scored, truncated] = cells[..] else { return Err(problem()) };
            let found = texts.get(sha256).ok_or_else(problem)?;
            Ok(DocumentRecord {
                document,
                name: found.name.clone(),
                text: found.text.clone(),
                tokens: tokens.parse().map_err(|_| problem())?,
                scored: scored.parse().map_err(|_| problem())?,
                truncated: truncated == "true",
                split: Split::of(&text_sha256(&found.text)),
            })
        })
        .collect()
}

fn refused(path: &Path, error: &std::io::Error) -> Error {
    let source_name = path.display().to_string();
    Error::Source { source_name, problem: format!("the oracle's run cannot be unpacked there: {error}") }
}
