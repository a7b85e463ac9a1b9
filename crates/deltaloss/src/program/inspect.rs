//! `deltaloss inspect`.

use std::fmt::Write;
use std::path::Path;

use deltaloss::kernels::Isa;
use deltaloss::lm::{NativeModel, SPARSE_BELOW};
use deltaloss::records::Run;
use deltaloss::{ModelPlace, find_tokenizer, is_gguf, open_model, open_tokenizer};

use super::arguments::Inspect;
use super::console::Console;
use super::failure::{Failure, from_room, say};
use super::scoring::{calibration, find_model, summary};

pub(crate) fn run(call: &Inspect, offline: bool, console: &Console) -> Result<(), Failure> {
    let place = find_model(&call.what, offline, console)?;
    let path = Path::new(&place.path);
    if is_gguf(&place.path) {
        return super::gguf::inspect(path);
    }
    let text = if path.join("run.json").is_file() { inspect_run(path)? } else { inspect_model(&place)? };
    say(&text)
}

/// Rows of a name and a value.
pub(crate) fn rows(rows: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in rows {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name:<14} {value}");
    }
    text
}

fn inspect_run(path: &Path) -> Result<String, Failure> {
    let run = Run::open(path).map_err(from_room)?;
    // Reading every row checks every row.
    let tokens = run.tokens().map_err(from_room)?;
    let info = &run.info;
    let confirmation = run.documents.iter().filter(|d| d.split.name() == "confirmation").count();
    let truncated = run.documents.iter().filter(|d| d.truncated).count();
    let stride = info.window.stride.map_or_else(String::new, |stride| format!(", stride {stride}"));
    let front = match info.window.beginning_of_text {
        Some(token) => format!(", token {token} in front"),
        None => String::new(),
    };
    let mut text = rows(&[
        ("run", path.display().to_string()),
        ("model", format!("{} ({})", info.model.name, info.model.source)),
        ("", info.model.architecture.clone()),
        (
            "parameters",
            format!("{}, {} of them not zero", info.model.parameters, info.model.nonzero_parameters),
        ),
        ("tokenizer", format!("{}, {} entries", info.tokenizer.name, info.tokenizer.size)),
        ("corpus", format!("{}, sha256 {}", info.corpus.name, info.corpus.sha256)),
        (
            "documents",
            format!(
                "{} ({confirmation} confirmation, {truncated} truncated, {} left out)",
                run.documents.len(),
                info.corpus.skipped
            ),
        ),
        ("window", format!("{} inputs, {}{stride}{front}", info.window.context, info.window.mode)),
        (
            "engine",
            format!(
                "{} on {}, {} threads",
                info.engine.version, info.engine.instruction_set, info.engine.threads
            ),
        ),
        ("token table", format!("{} rows, all well-formed", tokens.len())),
    ]);
    text += &summary(info);
    text.push('\n');
    if let Some(line) = calibration(info) {
        text += &line;
        text.push('\n');
    }
    Ok(text)
}

fn inspect_model(place: &ModelPlace) -> Result<String, Failure> {
    let files = open_model(&place.path)?;
    let model = NativeModel::load(&files, Isa::best()).map_err(from_room)?;
    let (info, config, statistics) = (model.info(), model.config(), model.statistics());
    let share = 100.0 * info.nonzero_parameters as f64 / info.parameters.max(1) as f64;
    let tokenizer = match &place.tokenizer {
        Some(folder) => open_tokenizer(folder).map(|tokenizer| tokenizer.named(&config.tokenizer_name)),
        None => find_tokenizer(&files, &config.tokenizer_name),
    };
    let tokenizer = match tokenizer {
        Ok(tokenizer) if tokenizer.size() <= config.vocab_size => {
            format!("{}, {} entries", tokenizer.info().name, tokenizer.size())
        }
        Ok(tokenizer) => {
            let (name, size) = (&tokenizer.info().name, tokenizer.size());
            format!("{name}, {size} entries: more than the vocabulary of {}", config.vocab_size)
        }
        Err(error) => format!("{} (not found: {error})", config.tokenizer_name),
    };
    let mut text = rows(&[
        ("model", format!("{} ({})", info.name, info.source)),
        ("architecture", info.architecture.clone()),
        ("context", format!("{} tokens", config.block_size)),
        (
            "parameters",
            format!("{}, {} of them not zero ({share:.2} %)", info.parameters, info.nonzero_parameters),
        ),
        (
            "storage",
            format!(
                "{} of {} linear layers sparse (below {:.0} % nonzero)",
                statistics.sparse_layers,
                statistics.linear_layers,
                100.0 * SPARSE_BELOW
            ),
        ),
        ("tokenizer", tokenizer),
        ("sha256", info.sha256.clone()),
        ("kernels", model.isa().to_string()),
    ]);
    // Writing to a String does not fail.
    let _ = writeln!(text, "\n{}", model.report());
    Ok(text)
}
