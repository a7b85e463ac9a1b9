//! Makes the bundled oracle's files of a run over the standard library: all of the run but the texts and the tokens' ids,
//! which would give the texts away. The program has those already, and they are others' work.
//!
//! `cargo run --release --example pack_run -- RUN TO`, where RUN was scored with `--compact`.

#![allow(clippy::print_stdout, reason = "a program")]

use std::fs;
use std::path::{Path, PathBuf};

use deltaloss::corpus::{hex, text_sha256};
use deltaloss::records::{Run, RunWriter, Sink, TokenForm, TokenRecord};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, to] = arguments.as_slice() else { return Err("give the run, and where to".into()) };
    let to = Path::new(to);
    let run = Run::open(Path::new(run))?;
    let mut table = "sha256\ttokens\tscored\ttruncated\n".to_owned();
    for document in &run.documents {
        let (text, tokens) = (hex(&text_sha256(&document.text)), document.tokens);
        table += &format!("{text}\t{tokens}\t{}\t{}\n", document.scored, document.truncated);
    }
    fs::create_dir_all(to)?;
    fs::write(to.join("documents.tsv"), &table)?;
    let mut bytes = table.len() as u64;
    let scratch = tempfile::tempdir()?;
    let without_ids = write_without_ids(&run, &scratch.path().join("run"))?;
    for name in ["run.json", "tokens.parquet"] {
        bytes += fs::copy(without_ids.join(name), to.join(name))?;
    }
    println!(
        "{}: {} documents, {} tokens in {bytes} bytes",
        to.display(),
        run.documents.len(),
        run.info.totals.tokens
    );
    Ok(())
}

/// The same run with all tokens' ids zero.
fn write_without_ids(run: &Run, to: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let columns = run.tokens()?;
    let mut writer = RunWriter::create(to, false)?.with_form(TokenForm::Compact);
    let mut row = 0;
    for document in &run.documents {
        let end = row + document.scored as usize;
        let tokens: Vec<TokenRecord> =
            (row..end).map(|row| TokenRecord { token: 0, ..columns.get(row) }).collect();
        writer.document(document, &tokens)?;
        row = end;
    }
    writer.finish(&run.info)?;
    Ok(to.to_owned())
}
