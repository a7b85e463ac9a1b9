//! The cache, and how a name becomes files in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::SourceError;
use crate::file::{Wanted, have};
use crate::http::{Client, Listener};
use crate::hub::{ListedFile, Listing};
use crate::name::{HubName, Source};
use crate::record::{read, write};

/// Where the released circuit-sparsity models lie.
const CSP: &str = "https://openaipublic.blob.core.windows.net/circuit-sparsity";
/// The model hub.
const HUB: &str = "https://huggingface.co";
/// Their tokenizer's files.
const CSP_TOKENIZER: [&str; 2] = ["tinypython/encoder.json", "tinypython/vocab.bpe"];
/// Sizes and hashes that are published.
const CSP_PUBLISHED: [(&str, u64, &str); 1] = [(
    "models/csp_yolo1/final_model.pt",
    642_319_670,
    "a3a68c34c07ec2b72f3239043d9169d6af7225c3d197e31cc871a9c1aba04b5d",
)];
/// A model's configuration, weights and tokenizer in the hub's repositories; of each the first that is there.
const MODEL_FILES: [&[&[&str]]; 3] = [
    &[&["beeg_config.json"], &["config.json"]],
    &[&["final_model.pt"], &["model.safetensors"], &["model.safetensors.zst"]],
    &[&["vocab.bpe", "encoder.json"], &["tokenizer.json"]],
];

/// Where things are downloaded from, and by whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Use what is in the cache only.
    pub offline: bool,
    /// The address of the released models.
    pub csp_address: String,
    /// The hub's address.
    pub hub_address: String,
    /// A token for the hub; sent to no other host.
    pub hub_token: Option<String>,
    /// How long to wait before a second try.
    pub first_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            offline: false,
            csp_address: CSP.to_owned(),
            hub_address: HUB.to_owned(),
            hub_token: None,
            first_wait: Duration::from_secs(1),
        }
    }
}

impl Settings {
    /// With what the environment says: `HF_ENDPOINT` and `HF_TOKEN` for the hub, `HF_HUB_OFFLINE`, and `DELTALOSS_CSP_ENDPOINT` for a
    /// mirror of the released models. Proxies (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`) are always heard.
    pub fn from_environment() -> Self {
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let address = |name: &str, own: &str| {
            get(name).map_or_else(|| own.to_owned(), |value| value.trim().trim_end_matches('/').to_owned())
        };
        let yes = |value: String| matches!(value.to_lowercase().as_str(), "1" | "true" | "yes" | "on");
        Settings {
            offline: get("HF_HUB_OFFLINE").is_some_and(yes),
            csp_address: address("DELTALOSS_CSP_ENDPOINT", CSP),
            hub_address: address("HF_ENDPOINT", HUB),
            hub_token: get("HF_TOKEN")
                .or_else(|| get("HUGGING_FACE_HUB_TOKEN"))
                .map(|token| token.trim().to_owned()),
            ..Settings::default()
        }
    }
}

/// What a name is wanted for.
pub enum Want<'a> {
    /// A model with its tokenizer, or a `.gguf` file.
    Model,
    /// A data set: files whose names satisfy this, where the name leaves it open.
    DataSet(&'a dyn Fn(&str) -> bool),
}

/// How a download goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Download<'a> {
    /// The file.
    pub name: &'a str,
    /// Bytes that are there.
    pub done_bytes: u64,
    /// Bytes that it has.
    pub total_bytes: Option<u64>,
    /// Why nothing comes at the moment, in words, where the server is asked again.
    pub trouble: Option<&'a str>,
}

/// What was downloaded, in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The file, or the folder with the files.
    pub path: PathBuf,
    /// A folder with the tokenizer, where it is not in `path`.
    pub tokenizer: Option<PathBuf>,
    /// The name with its revision resolved to a commit, by which the same bytes are had again.
    pub name: String,
}

/// A folder of downloads.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    settings: Settings,
    client: Option<Client>,
}

impl Store {
    /// Downloads in `folder`, which need not exist.
    pub fn new(folder: impl Into<PathBuf>, settings: Settings) -> Self {
        let client = (!settings.offline).then(|| Client::new(settings.first_wait));
        Store { folder: folder.into(), settings, client }
    }

    /// Has what a name stands for. `progress` returns whether to go on.
    ///
    /// # Errors
    /// There is no such thing, it cannot be had, or the bytes that came are not those that are due.
    pub fn fetch(
        &self,
        source: &Source,
        want: &Want<'_>,
        progress: &mut dyn FnMut(Download<'_>) -> bool,
    ) -> Result<Fetched, SourceError> {
        match source {
            Source::Csp(name) => self.csp(name, progress),
            Source::Hub(name) => self.hub(name, want, progress),
        }
    }

    fn csp(&self, name: &str, listener: &mut Listener<'_>) -> Result<Fetched, SourceError> {
        let root = self.folder.join("csp");
        let model = [format!("models/{name}/beeg_config.json"), format!("models/{name}/final_model.pt")];
        for file in model.iter().map(String::as_str).chain(CSP_TOKENIZER) {
            let published = CSP_PUBLISHED.iter().find(|(path, ..)| *path == file);
            let wanted = Wanted {
                address: format!("{}/{file}", self.settings.csp_address),
                name: file.to_owned(),
                token: None,
                size_bytes: published.map(|(_, size, _)| *size),
                sha256: published.map(|(.., sha256)| (*sha256).to_owned()),
                hint: ": released are csp_yolo1, csp_yolo2, dense1_1x, dense1_2x, dense1_4x, csp_bridge1, csp_bridge2 and csp_sweep1_…",
            };
            have(self.client.as_ref(), &wanted, &root.join(file), listener)?;
        }
        Ok(Fetched {
            path: root.join("models").join(name),
            tokenizer: Some(root.join("tinypython")),
            name: format!("csp:{name}"),
        })
    }

    fn hub(
        &self,
        name: &HubName,
        want: &Want<'_>,
        listener: &mut Listener<'_>,
    ) -> Result<Fetched, SourceError> {
        let kind = match want {
            Want::Model => "models",
            Want::DataSet(_) => "datasets",
        };
        let root = self.folder.join("hf").join(kind).join(&name.repository);
        let listing = self.listing(name, kind, &root, listener)?;
        let chosen = choose(name, want, &listing)?;
        let folder = root.join(&listing.commit);
        let prefix = if kind == "datasets" { "datasets/" } else { "" };
        for file in &chosen {
            let HubName { repository, .. } = name;
            let path = escape(&file.path);
            let wanted = Wanted {
                address: format!(
                    "{}/{prefix}{repository}/resolve/{}/{path}",
                    self.settings.hub_address, listing.commit
                ),
                name: file.path.clone(),
                token: self.settings.hub_token.as_deref(),
                size_bytes: file.size_bytes,
                sha256: file.sha256.clone(),
                hint: "",
            };
            have(self.client.as_ref(), &wanted, &folder.join(&file.path), listener)?;
        }
        let resolved = HubName { revision: Some(listing.commit.clone()), ..name.clone() };
        let path = match &name.file {
            Some(file) => folder.join(file.trim_end_matches('/')),
            None => folder,
        };
        Ok(Fetched { path, tokenizer: None, name: resolved.to_string() })
    }

    /// What the repository holds: by what the hub says now, or said last where nothing may be asked.
    fn listing(
        &self,
        name: &HubName,
        kind: &str,
        root: &Path,
        listener: &mut Listener<'_>,
    ) -> Result<Listing, SourceError> {
        let HubName { repository, revision, .. } = name;
        let revision = revision.as_deref().unwrap_or("main");
        let kept = root.join("revisions").join(format!("{}.json", revision.replace('/', "%2F")));
        let is_commit = revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit());
        let known = read::<Listing>(&kept);
        match (&self.client, known) {
            // A commit never changes.
            (_, Some(listing)) if is_commit => return Ok(listing),
            (None, Some(listing)) => return Ok(listing),
            (None, None) => {
                let name = format!("hf:{repository}@{revision}");
                return Err(SourceError::Offline { name, cache: kept });
            }
            (Some(_), _) => {}
        }
        let Some(client) = &self.client else {
            return Err(SourceError::Offline { name: repository.clone(), cache: kept });
        };
        let address = format!(
            "{}/api/{kind}/{repository}/revision/{}?blobs=true",
            self.settings.hub_address,
            revision.replace('/', "%2F")
        );
        let hint = match kind {
            "models" => ": it is looked for among the hub's models",
            _ => ": it is looked for among the hub's data sets",
        };
        let bytes =
            client.get_small(&address, self.settings.hub_token.as_deref(), listener).map_err(|error| {
                match error {
                    SourceError::NotFound { address, status, .. } => {
                        SourceError::NotFound { address, status, hint }
                    }
                    error => error,
                }
            })?;
        let listing = Listing::parse(&bytes, repository)?;
        if let Some(folder) = kept.parent() {
            fs::create_dir_all(folder).map_err(SourceError::io(folder, "create the folder"))?;
        }
        write(&kept, &listing)?;
        Ok(listing)
    }
}

/// Which files of a repository are wanted.
fn choose<'a>(
    name: &HubName,
    want: &Want<'_>,
    listing: &'a Listing,
) -> Result<Vec<&'a ListedFile>, SourceError> {
    let refuse = |problem: String| SourceError::Repository { repository: name.repository.clone(), problem };
    let example = |fits: &dyn Fn(&str) -> bool| {
        let found: Vec<&str> =
            listing.files.iter().map(|file| file.path.as_str()).filter(|path| fits(path)).take(5).collect();
        if found.is_empty() { String::new() } else { format!("; there are {}", found.join(", ")) }
    };
    match (want, &name.file) {
        (_, Some(file)) if !file.ends_with('/') => match listing.file(file) {
            Some(file) => Ok(vec![file]),
            None => Err(refuse(format!("it has no file `{file}`{}", example(&|_| true)))),
        },
        (Want::DataSet(fits), folder) => {
            let folder = folder.as_deref().unwrap_or_default();
            let chosen: Vec<&ListedFile> = listing
                .files
                .iter()
                .filter(|file| file.path.starts_with(folder) && fits(&file.path))
                .collect();
            match chosen.is_empty() {
                true => Err(refuse(format!("it has no data set `{folder}`{}", example(&|_| true)))),
                false => Ok(chosen),
            }
        }
        (Want::Model, folder) => {
            let folder = folder.as_deref().unwrap_or_default();
            let mut chosen = Vec::new();
            for group in MODEL_FILES {
                let find = |names: &&[&str]| -> Option<Vec<&'a ListedFile>> {
                    names.iter().map(|name| listing.file(&format!("{folder}{name}"))).collect()
                };
                let Some(found) = group.iter().find_map(find) else {
                    let names: Vec<String> = group.iter().map(|names| names.join(" with ")).collect();
                    let gguf = example(&|path| path.to_lowercase().ends_with(".gguf"));
                    let hint = if gguf.is_empty() {
                        gguf
                    } else {
                        format!("{gguf}: name one as hf:{}:FILE", name.repository)
                    };
                    return Err(refuse(format!(
                        "it is no model in the circuit-sparsity layout, for it has no {}{hint}",
                        names.join(" or ")
                    )));
                };
                chosen.extend(found);
            }
            Ok(chosen)
        }
    }
}

/// A path as part of an address.
fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                escaped.push(char::from(byte))
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
