//! Models and corpora by name: downloaded where the name says so, else what they were.

use deltaloss_corpus::{Corpus, CorpusOptions, CorpusSource, extensions};
use deltaloss_lm::{NativeModel, NativeScorer};
use deltaloss_sources::{Download, Fetched, Settings, Source, Store, Want};

use crate::cache_folder::cache_folder;
use crate::error::Error;
use crate::scoring::{find_tokenizer, open_model, open_tokenizer, refuse_gguf};

/// What hears how a download goes on, and answers whether to go on.
pub type DownloadListener<'a> = dyn FnMut(Download<'_>) -> bool + 'a;

/// Downloads, kept in the cache folder.
#[derive(Clone, Debug)]
pub struct Downloads {
    /// None where there is no cache folder, which is no harm before something is to be downloaded.
    store: Option<Store>,
}

/// A model that is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPlace {
    /// What to open: as it was named, or a folder or file in the cache.
    pub path: String,
    /// The tokenizer's folder, where it lies elsewhere.
    pub tokenizer: Option<String>,
    /// Of a model that was downloaded: its own name, and where it came from with its revision.
    pub names: Option<(String, String)>,
}

impl Downloads {
    /// Downloads in the user's cache folder, from where the environment says; with `offline` only what is there already.
    pub fn new(offline: bool) -> Self {
        let settings = Settings::from_environment();
        let settings = Settings { offline: offline || settings.offline, ..settings };
        Downloads { store: cache_folder().ok().map(|folder| Store::new(folder.join("downloads"), settings)) }
    }

    /// Downloads in another place.
    pub fn of(store: Store) -> Self {
        Downloads { store: Some(store) }
    }

    fn fetch(
        &self,
        name: &Source,
        want: &Want<'_>,
        listener: &mut DownloadListener<'_>,
    ) -> Result<Fetched, Error> {
        match &self.store {
            Some(store) => Ok(store.fetch(name, want, listener)?),
            // Says what is missing.
            None => Ok(Store::new(cache_folder()?, Settings::default()).fetch(name, want, listener)?),
        }
    }

    /// Has a model on this machine: `csp:NAME` and `hf:ORG/REPO[@REVISION][:FILE]` are downloaded, what else is named stays as it is.
    ///
    /// # Errors
    /// The name is none, or its files cannot be had.
    pub fn model(&self, source: &str, listener: &mut DownloadListener<'_>) -> Result<ModelPlace, Error> {
        let Some(name) = Source::parse(source) else {
            return Ok(ModelPlace { path: source.to_owned(), tokenizer: None, names: None });
        };
        let name = name?;
        refuse_gguf(source)?;
        let fetched = self.fetch(&name, &Want::Model, listener)?;
        let own = match &name {
            Source::Hub(hub) => {
                let file = hub.file.as_deref().map(|file| file.trim_end_matches('/'));
                let path = file.unwrap_or(&hub.repository);
                let last = path.rsplit('/').next().unwrap_or(path);
                last.trim_end_matches(".gguf").to_owned()
            }
            Source::Csp(name) => name.clone(),
            _ => source.to_owned(),
        };
        Ok(ModelPlace {
            path: fetched.path.display().to_string(),
            tokenizer: fetched.tokenizer.map(|folder| folder.display().to_string()),
            names: Some((own, fetched.name)),
        })
    }

    /// Has a corpus on this machine: `hf:ORG/REPO[@REVISION][:FILE]` is downloaded (of a repository or folder the data sets, or
    /// what has one of `asked` extensions), what else is named stays as it is.
    ///
    /// # Errors
    /// The name is none, or its files cannot be had.
    pub fn corpus(
        &self,
        source: &str,
        asked: Option<&[String]>,
        listener: &mut DownloadListener<'_>,
    ) -> Result<CorpusSource, Error> {
        let name = match Source::parse(source) {
            Some(name @ (Ok(Source::Hub(_)) | Err(_))) => name?,
            Some(_) => {
                let problem = "names a model, not a corpus".to_owned();
                return Err(Error::Source { source_name: source.to_owned(), problem });
            }
            None => return Ok(CorpusSource::parse(source)?),
        };
        let has = |path: &str, extension: &str| {
            let ending = format!(".{}", extension.trim_start_matches('.').to_lowercase());
            path.to_lowercase().ends_with(&ending)
        };
        let fits = |path: &str| match asked {
            Some(asked) => asked.iter().any(|extension| has(path, extension)),
            None => extensions::DATA_SETS.iter().any(|extension| has(path, extension)),
        };
        let fetched = self.fetch(&name, &Want::DataSet(&fits), listener)?;
        Ok(CorpusSource::from_path(&fetched.path)?.named(&fetched.name))
    }
}

/// Opens a corpus, downloaded first where its name says so; without `downloads` only what is on this machine can be named.
///
/// # Errors
/// As [`Downloads::corpus`] and [`Corpus::open`].
pub fn open_corpus(
    source: &str,
    options: CorpusOptions,
    downloads: Option<&Downloads>,
    listener: &mut DownloadListener<'_>,
) -> Result<Corpus, Error> {
    let source = match downloads {
        Some(downloads) => downloads.corpus(source, options.extensions.as_deref(), listener)?,
        None => CorpusSource::parse(source)?,
    };
    Ok(Corpus::open(&source, options)?)
}

impl ModelPlace {
    /// Opens a model of the native engine with its tokenizer: the one named, else its own.
    ///
    /// # Errors
    /// As [`crate::open_scorer`].
    pub fn open(&self, tokenizer: Option<&str>) -> Result<NativeScorer, Error> {
        let files = open_model(&self.path)?;
        let native = NativeModel::load(&files, deltaloss_kernels::Isa::best())?;
        let tokenizer = match (tokenizer, &self.tokenizer) {
            (Some(source), _) => open_tokenizer(source)?,
            (None, Some(folder)) => open_tokenizer(folder)?.named(&native.config().tokenizer_name),
            (None, None) => find_tokenizer(&files, &native.config().tokenizer_name)?,
        };
        let mut scorer = NativeScorer::new(native, tokenizer)?;
        if let Some((name, source)) = &self.names {
            scorer.rename(name);
            scorer.set_source(source);
        }
        Ok(scorer)
    }
}
