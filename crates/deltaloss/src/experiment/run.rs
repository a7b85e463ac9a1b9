//! Running an experiment: every model is scored, or its run taken from where it is kept, and the runs are compared.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use deltaloss_lm::{Progress, Scorer};
use deltaloss_records::{FolderKind, Role, Run, RunInfo, StagedFolder, TokenForm};
use deltaloss_sources::Download;
use deltaloss_stats::Comparison;

use super::cache::{Content, RunCache};
use super::render::Used;
use super::{Experiment, ModelTable, refuse, table_name};
use crate::bundled::ORACLE;
use crate::compare::{COMPARISON_ENTRIES, CompareOptions, write_comparison};
use crate::downloads::{Downloads, ModelPlace};
use crate::error::Error;
use crate::oracle::write_oracle_run;
use crate::scoring::{GgufOptions, is_gguf, open_gguf, refuse_gguf, score_to_folder};

/// The copy of the experiment beside its results.
const COPY: &str = "experiment.toml";

/// Everything that an experiment's folder may hold: what a comparison does, its runs and the copy.
const ENTRIES: [&str; COMPARISON_ENTRIES.len() + 2] = {
    let mut entries = [COPY; COMPARISON_ENTRIES.len() + 2];
    entries[0] = "runs";
    let mut index = 0;
    while index < COMPARISON_ENTRIES.len() {
        entries[index + 2] = COMPARISON_ENTRIES[index];
        index += 1;
    }
    entries
};

/// The folder of an experiment: a comparison with its runs.
const EXPERIMENT: FolderKind = FolderKind {
    name: "experiment",
    marker: "results.json",
    schema: "deltaloss.results/",
    entries: &ENTRIES,
    required: &["report.html", "runs"],
};

/// What an experiment is at.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ExperimentEvent<'a> {
    /// A model is being scored.
    Scoring {
        /// Its name.
        model: &'a str,
        /// How far it has come.
        progress: Progress,
    },
    /// A model was scored before, and its run is taken.
    Kept {
        /// Its name.
        model: &'a str,
    },
    /// A file is being downloaded.
    Downloading(Download<'a>),
    /// A model in GGUF form is about to be opened, which a caller may first try in a process that may end.
    OpeningGguf(&'a Path),
    /// The runs are being compared.
    Comparing,
}

/// How to run an experiment.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Replace an experiment that is there.
    pub overwrite: bool,
    /// Where runs are kept; nowhere by default.
    pub cache: Option<RunCache>,
    /// Where models and data sets by name come from; without, only what is on this machine can be named.
    pub downloads: Option<Downloads>,
}

/// Runs an experiment into `out`, which appears when it is complete: a comparison, its runs in `runs/`, and the experiment with
/// every default written out in `experiment.toml`. Runs are kept in the cache and taken from there. `hear` returns whether to
/// go on.
///
/// # Errors
/// `out` is taken (and is not to be replaced, or is no experiment), something that the experiment names cannot be
/// opened, scored or compared, or `hear` wanted to stop; then nothing is left behind but runs in the cache.
pub fn run_experiment(
    experiment: &Experiment,
    out: &Path,
    options: &RunOptions,
    hear: &mut dyn FnMut(ExperimentEvent<'_>) -> bool,
) -> Result<Comparison, Error> {
    run_into(experiment, (out, EXPERIMENT.name), options, hear)
}

/// As [`run_experiment`]; `kind` is what the folder is called in messages.
pub(crate) fn run_into(
    experiment: &Experiment,
    (out, kind): (&Path, &'static str),
    run: &RunOptions,
    hear: &mut dyn FnMut(ExperimentEvent<'_>) -> bool,
) -> Result<Comparison, Error> {
    let folder = StagedFolder::new(out, FolderKind { name: kind, ..EXPERIMENT }, run.overwrite)?;
    for (role, model) in experiment.cast() {
        look_up(role, model)?;
    }
    let mut places = Vec::new();
    for (_, model) in experiment.cast() {
        places.push(find(model, run.downloads.as_ref(), hear)?);
    }
    let corpus = experiment.open_corpus(run.downloads.as_ref(), hear)?;
    let cache = run.cache.as_ref();
    let content = cache.map(|_| Content::of(&corpus)).transpose()?;
    let mut stage =
        Stage { folder: folder.path(), names: BTreeSet::new(), runs: Vec::new(), used: Vec::new() };
    for ((role, model), place) in experiment.cast().into_iter().zip(places) {
        let place = match (&model.run, place) {
            (Some(run), _) => {
                stage.take_run(role, model, run)?;
                continue;
            }
            (None, Some(place)) => place,
            (None, None) => continue,
        };
        let mut scorer = open(model, &place, hear)?;
        let options = experiment.score_options(role, model, scorer.context());
        let (name, run) = stage.place(&scorer.model().name, role);
        let to = (run.as_path(), if model.is_compact(role) { TokenForm::Compact } else { TokenForm::Full });
        let mut progress = |progress| hear(ExperimentEvent::Scoring { model: &name, progress });
        let (info, kept) = match (cache, &content) {
            (Some(cache), Some(content)) => {
                cache.fetch(scorer.as_mut(), &corpus, content, &options, to, &mut progress)?
            }
            _ => (score_to_folder(scorer.as_mut(), &corpus, &options, to, false, &mut progress)?, false),
        };
        if kept && !hear(ExperimentEvent::Kept { model: &name }) {
            return Err(deltaloss_lm::LmError::Interrupted.into());
        }
        stage.add(role, model, run, &info, true);
    }
    if !hear(ExperimentEvent::Comparing) {
        return Err(deltaloss_lm::LmError::Interrupted.into());
    }
    let copy = folder.path().join(COPY);
    fs::write(&copy, experiment.render(&stage.used))
        .map_err(|error| refuse(&copy.display().to_string(), format!("cannot write it: {error}")))?;
    let statistics = experiment.statistics();
    let basis = statistics.basis;
    let rules = experiment.analyses.rules.clone();
    let options = CompareOptions { runs: stage.runs, rules, basis, statistics };
    let comparison = write_comparison(&options, folder.path())?;
    folder.commit()?;
    Ok(comparison)
}

/// The runs as they come.
struct Stage<'a> {
    folder: &'a Path,
    /// Names taken in `runs/`.
    names: BTreeSet<String>,
    runs: Vec<(Role, PathBuf, Option<String>)>,
    used: Vec<(Role, Used)>,
}

impl Stage<'_> {
    /// A name for a run of this model, and its folder.
    fn place(&mut self, model: &str, role: Role) -> (String, PathBuf) {
        let harmless = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let safe: String = model.chars().map(|c| if harmless(c) { c } else { '-' }).take(100).collect();
        // Neither hidden nor a way out.
        let mut name = safe.trim_start_matches('.').to_owned();
        if name.is_empty() {
            name = role.name().to_owned();
        }
        while !self.names.insert(name.to_lowercase()) {
            name = format!("{name}-{}", role.name());
        }
        let folder = self.folder.join("runs").join(&name);
        (name, folder)
    }

    /// A run that is there already, or the bundled one.
    fn take_run(&mut self, role: Role, model: &ModelTable, run: &str) -> Result<(), Error> {
        let path = match run.strip_prefix("builtin:") {
            None => PathBuf::from(run),
            Some(_) => {
                let Some((_, scored, _)) = self.runs.first() else {
                    return Err(refuse(run, "the bundled run is for the oracle".into()));
                };
                let scored = Run::open(scored)?;
                let (_, folder) = self.place(ORACLE, role);
                write_oracle_run(&scored, &folder)?;
                folder
            }
        };
        let info = Run::open_info(&path)?;
        self.add(role, model, path, &info, false);
        Ok(())
    }

    fn add(&mut self, role: Role, model: &ModelTable, run: PathBuf, info: &RunInfo, scored: bool) {
        let label = model.label.clone().unwrap_or_else(|| info.model.name.clone());
        let window = &info.window;
        let window = scored.then_some((window.context, window.beginning_of_text.is_some()));
        self.used.push((role, Used { label, window }));
        self.runs.push((role, run, model.label.clone()));
    }
}

/// Says what is not there before an hour is spent on what is.
fn look_up(role: Role, model: &ModelTable) -> Result<(), Error> {
    let place = |problem: String| refuse(&format!("[{}]", table_name(role)), problem);
    if let Some(run) = &model.run {
        return match run.strip_prefix("builtin:") {
            Some(ORACLE) if role == Role::Oracle => Ok(()),
            Some(_) => {
                Err(place(format!("run = \"{run}\": the one bundled run is builtin:{ORACLE}, an oracle")))
            }
            None => Ok(Run::open_info(Path::new(run)).map(drop)?),
        };
    }
    let source = model.source.as_deref().unwrap_or_default();
    refuse_gguf(source).map_err(|error| match role {
        Role::Oracle => place(format!("{error}; or take [oracle] out of the file to do without")),
        _ => place(error.to_string()),
    })?;
    let is_path = !["builtin:", "csp:", "hf:"].iter().any(|scheme| source.starts_with(scheme));
    if is_path && !Path::new(source).exists() {
        return Err(place(format!("source = \"{source}\": there is no such model folder or file")));
    }
    let (_, has_options) = model.gguf_options();
    if has_options && !is_gguf(source) && !source.starts_with("hf:") {
        return Err(place("gpu_layers, batch and weights go with a .gguf model only".into()));
    }
    Ok(())
}

/// Has a model on this machine; nothing for one whose run is there already.
fn find(
    model: &ModelTable,
    downloads: Option<&Downloads>,
    hear: &mut dyn FnMut(ExperimentEvent<'_>) -> bool,
) -> Result<Option<ModelPlace>, Error> {
    let Some(source) = &model.source else { return Ok(None) };
    match downloads {
        Some(downloads) => {
            let mut listener = |download: Download<'_>| hear(ExperimentEvent::Downloading(download));
            Ok(Some(downloads.model(source, &mut listener)?))
        }
        None => Ok(Some(ModelPlace { path: source.clone(), tokenizer: None, names: None })),
    }
}

fn open(
    model: &ModelTable,
    place: &ModelPlace,
    hear: &mut dyn FnMut(ExperimentEvent<'_>) -> bool,
) -> Result<Box<dyn Scorer>, Error> {
    let (options, has_options) = model.gguf_options();
    if is_gguf(&place.path) {
        let path = Path::new(&place.path);
        if model.tokenizer.is_some() {
            return Err(refuse(
                &place.path,
                "a .gguf model has its own tokenizer; leave tokenizer out".into(),
            ));
        }
        if !hear(ExperimentEvent::OpeningGguf(path)) {
            return Err(deltaloss_lm::LmError::Interrupted.into());
        }
        let (name, source) = place.names.clone().unzip();
        return open_gguf(path, &GgufOptions { name, source, ..options });
    }
    if has_options {
        return Err(refuse(&place.path, "gpu_layers, batch and weights go with a .gguf model only".into()));
    }
    Ok(Box::new(place.open(model.tokenizer.as_deref())?))
}
