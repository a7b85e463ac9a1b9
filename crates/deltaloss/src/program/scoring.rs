//! `deltaloss score`.

use std::path::Path;
use std::time::Duration;

use deltaloss::corpus::{Corpus, CorpusOptions};
use deltaloss::lm::Scorer;
use deltaloss::records::{Run, RunInfo, TokenForm};
use deltaloss::{
    Downloads, GgufOptions, ModelPlace, Progress, ScoreOptions, WindowMode, is_gguf, open_corpus, open_gguf,
    score_in_parts,
};

use super::arguments::{GgufChoice, Mode, Score, WeightForm, WindowChoice};
use super::console::Console;
use super::failure::{Failure, from_room};
use super::gguf::try_out;

pub(crate) fn run(call: &Score, offline: bool, console: &Console) -> Result<(), Failure> {
    if call.compact && call.shard.is_some() {
        let problem = "--compact goes with `deltaloss merge`: shards keep everything until they are one run";
        return Err(Failure::Misuse(problem.into()));
    }
    let table = call.corpus_options.table(&call.corpus, call.skip_unusable);
    let corpus = find_corpus(&call.corpus, table.options(), offline, console)?;
    let place = find_model(&call.model, offline, console)?;
    let mut scorer = if is_gguf(&place.path) { gguf(call, &place)? } else { native(call, &place, console)? };
    let options = ScoreOptions {
        skip_unusable: call.skip_unusable,
        calibrate: !call.no_calibrate,
        keep_going: call.keep_going,
        shard: call.shard,
        temperature_of: call.temperature_of.as_deref().map(temperature_of).transpose()?,
        ..options(&call.window, scorer.context())?
    };
    let bar = console.bar(&scorer.model().name);
    let form = if call.compact { TokenForm::Compact } else { TokenForm::Full };
    let to = (call.out.as_path(), form);
    let least = Duration::from_secs_f64(call.part_seconds);
    let mut goes_on = false;
    let run =
        score_in_parts(scorer.as_mut(), &corpus, &options, to, (call.overwrite, least), &mut |progress| {
            if matches!(progress, Progress::Restored { .. }) && !goes_on {
                goes_on = true;
                console.note("going on from what was scored before");
            }
            bar.hear(progress)
        });
    drop(bar);
    let run = run.map_err(Failure::from).inspect_err(|_| {
        let mut name = call.out.file_name().unwrap_or_default().to_owned();
        name.push(".scoring");
        let kept = call.out.with_file_name(name);
        if kept.exists() && !call.out.exists() {
            console.note(&format!("note: what was scored until then is in {}", kept.display()));
        }
    })?;
    console.note(&summary(&run));
    if let Some(failure) = run.failures.first() {
        console.note(&format!(
            "note: {} document(s) FAILED and have no numbers, first `{}`: the loss of its token {} is not finite",
            run.failures.len(),
            failure.name,
            failure.position
        ));
    }
    if let Some(line) = calibration(&run) {
        console.note(&line);
    }
    console.note(&format!("run: {}", call.out.display()));
    Ok(())
}

/// The run whose temperature is taken.
fn temperature_of(run: &Path) -> Result<Box<RunInfo>, Failure> {
    Ok(Box::new(Run::open_info(run).map_err(from_room)?))
}

/// A model that our own engine runs.
fn native(call: &Score, place: &ModelPlace, console: &Console) -> Result<Box<dyn Scorer>, Failure> {
    let GgufChoice { gpu_layers, batch, weights } = &call.gguf;
    if gpu_layers.is_some() || batch.is_some() || weights.is_some() {
        let problem = "--gpu-layers, --batch and --weights go with a .gguf model only";
        return Err(Failure::Misuse(problem.into()));
    }
    let mut scorer = place.open(call.tokenizer.as_deref())?;
    if let Some(name) = &call.name {
        scorer.rename(name);
    }
    let unused = &scorer.native_model().report().unused;
    if !unused.is_empty() {
        let names: Vec<_> = unused.iter().map(|tensor| tensor.name.as_str()).take(3).collect();
        console.note(&format!(
            "note: {} tensors of {} are not used ({}{}); `deltaloss inspect` lists them",
            unused.len(),
            call.model,
            names.join(", "),
            if unused.len() > names.len() { ", …" } else { "" }
        ));
    }
    Ok(Box::new(scorer))
}

/// A model that llama.cpp runs.
fn gguf(call: &Score, place: &ModelPlace) -> Result<Box<dyn Scorer>, Failure> {
    if call.tokenizer.is_some() {
        return Err(Failure::Misuse("a .gguf model has its own tokenizer; leave --tokenizer out".into()));
    }
    let options = GgufOptions {
        gpu_layers: call.gguf.gpu_layers,
        batch: call.gguf.batch.map(|batch| batch as usize),
        widen: call.gguf.weights.map(|form| form == WeightForm::F32),
        name: call.name.clone().or_else(|| place.names.as_ref().map(|(name, _)| name.clone())),
        source: place.names.as_ref().map(|(_, source)| source.clone()),
    };
    let path = Path::new(&place.path);
    if cfg!(feature = "llama") {
        try_out(path)?;
    }
    Ok(open_gguf(path, &options)?)
}

/// A model on this machine, downloaded if it is named so.
pub(crate) fn find_model(source: &str, offline: bool, console: &Console) -> Result<ModelPlace, Failure> {
    let mut bar = console.downloads();
    Ok(Downloads::new(offline).model(source, &mut |download| bar.hear(download))?)
}

/// A corpus on this machine, downloaded if it is named so.
pub(crate) fn find_corpus(
    source: &str,
    options: CorpusOptions,
    offline: bool,
    console: &Console,
) -> Result<Corpus, Failure> {
    let mut bar = console.downloads();
    Ok(open_corpus(source, options, Some(&Downloads::new(offline)), &mut |download| bar.hear(download))?)
}

fn options(choice: &WindowChoice, longest: usize) -> Result<ScoreOptions, Failure> {
    let context = choice.context.map(|context| context as usize);
    let mode = match (choice.mode, choice.stride) {
        (Mode::Truncate, None) => WindowMode::Truncate,
        (Mode::Chunk, None) => WindowMode::Chunk,
        (Mode::Slide, stride) => {
            let half = context.unwrap_or(longest).div_ceil(2);
            WindowMode::Slide { stride: stride.map_or(half, |stride| stride as usize) }
        }
        (_, Some(_)) => return Err(Failure::Misuse("--stride goes with --window slide only".into())),
    };
    let beginning_of_text = choice.beginning_of_text;
    Ok(ScoreOptions { mode, context, beginning_of_text, ..ScoreOptions::default() })
}

/// What a run's calibration came to, in one line; nothing for a run of a version that had none.
pub(crate) fn calibration(run: &RunInfo) -> Option<String> {
    let info = run.calibration.as_ref()?;
    let Some(temperature) = run.temperature else {
        return Some(format!("no temperature: {}", run.no_temperature_because()));
    };
    let edge = if info.at_edge {
        let [lowest, highest] = info.searched;
        format!(
            ", an END OF THE RANGE searched ({lowest} to {highest}): the best one lies at it or beyond, so the \
             calibrated columns are not the model's best"
        )
    } else {
        String::new()
    };
    let confirmation = match info.confirmation.mean_loss_calibrated_nats {
        Some(after) => {
            format!(
                "; it takes the confirmation half's mean loss from {:.4} to {after:.4} nats",
                info.confirmation.mean_loss_nats
            )
        }
        None => String::new(),
    };
    Some(format!(
        "temperature {temperature:.4}, fitted on {} tokens of {} documents in {:.1} s{edge}{confirmation}",
        info.discovery.tokens, info.discovery.documents, info.elapsed_seconds
    ))
}

/// What a run came to, in one line.
pub(crate) fn summary(run: &RunInfo) -> String {
    let totals = &run.totals;
    let mut skipped =
        if run.corpus.skipped > 0 { format!(", {} left out", run.corpus.skipped) } else { String::new() };
    if !run.failures.is_empty() {
        skipped += &format!(", {} FAILED", run.failures.len());
    }
    format!(
        "{}: mean loss {:.4} nats, mean entropy {:.4} nats, {:.4} bits per byte; {} tokens of {} documents{} in {:.1} s ({:.0} tokens/s)",
        run.model.name,
        totals.mean_loss_nats,
        totals.mean_entropy_nats,
        totals.bits_per_byte,
        totals.tokens,
        run.corpus.documents,
        skipped,
        run.elapsed_seconds,
        run.tokens_per_second
    )
}
