//! The header of a GGUF file, read and checked before llama.cpp sees the file: lengths against what is there, tensors
//! against the file's end, the tokenizer's tables against each other.
//!
//! Layout: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian.

pub(crate) mod kinds;
mod reader;

use std::collections::BTreeMap;
use std::path::Path;

use deltaloss_lm::LmError;

use self::kinds::{TENSOR_TYPES, TensorType};
use self::reader::{Reader, Value};

/// What has to stand in the first four bytes.
const MAGIC: u32 = u32::from_le_bytes(*b"GGUF");
/// llama.cpp's own bounds, with room: files in use have some 50 entries and 2,000 tensors.
const MOST_ENTRIES: u64 = 1 << 16;
const MOST_TENSORS: u64 = 1 << 20;
/// The longest tensor name that llama.cpp holds.
const LONGEST_NAME: u64 = 63;
const MOST_DIMENSIONS: u32 = 4;

/// The tokenizer's entries that say how text is cut; two models that agree in them have one tokenizer.
const TOKENIZER_ENTRIES: [&str; 10] = [
    "model",
    "pre",
    "tokens",
    "scores",
    "token_type",
    "merges",
    "add_space_prefix",
    "remove_extra_whitespaces",
    "escape_whitespaces",
    "precompiled_charsmap",
];

/// What a GGUF file says of itself.
#[derive(Debug)]
pub struct GgufHeader {
    /// `general.architecture`.
    pub architecture: String,
    /// Entries of the vocabulary.
    pub vocabulary: u64,
    /// Inputs that the model was trained on at most.
    pub context: u64,
    /// Weights in the file.
    pub parameters: u64,
    /// The tensors' types with how many there are of each, most frequent first.
    pub types: Vec<(&'static str, usize)>,
    /// Kind of the tokenizer and of its rule for cutting text: `gpt2/smollm`.
    pub tokenizer: String,
    /// SHA-256 of what decides how text is cut, hexadecimal.
    pub tokenizer_sha256: String,
    layers: Option<u64>,
    width: Option<u64>,
    pub(crate) layout: Layout,
}

/// A tensor's entry.
#[derive(Debug)]
pub(crate) struct TensorEntry {
    pub(crate) name: String,
    pub(crate) kind: &'static TensorType,
    pub(crate) shape: Vec<u64>,
    pub(crate) elements: u64,
    pub(crate) bytes: u64,
    /// From the start of the weights.
    pub(crate) offset: u64,
}

/// Where things lie in the file.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Bytes from the file's start to the first tensor's entry.
    pub(crate) metadata_bytes: u64,
    pub(crate) alignment: u64,
    /// Where the weights begin.
    pub(crate) weights: u64,
    pub(crate) tensors: Vec<TensorEntry>,
}

impl GgufHeader {
    /// Reads and checks the header of the file at `path`.
    ///
    /// # Errors
    /// The file is truncated, damaged, of another format or version, in several parts, or holds a model that cannot
    /// score text: one for embeddings, one with an encoder, one without a tokenizer.
    pub fn read(path: &Path) -> Result<Self, LmError> {
        let mut reader = Reader::open(path)?;
        let version = Self::check_start(&mut reader)?;
        let tensors = reader.u64("the number of tensors")?;
        let entries = reader.u64("the number of metadata entries")?;
        if tensors == 0 || tensors > MOST_TENSORS || entries > MOST_ENTRIES {
            return Err(reader.bad(format!(
                "it claims {tensors} tensors and {entries} metadata entries (GGUF version {version}); it is damaged, \
                 or holds no model"
            )));
        }
        let mut metadata = BTreeMap::new();
        for _ in 0..entries {
            let key = reader.string("a metadata key")?;
            if key.is_empty() || key.len() > 1 << 16 {
                return Err(reader.bad(format!("a metadata key of {} bytes", key.len())));
            }
            let value = reader.value(&key)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(reader.bad(format!("metadata `{key}` stands there twice")));
            }
        }
        let metadata = Metadata { entries: metadata, path };
        let metadata_bytes = reader.position();
        let list = (0..tensors).map(|_| read_tensor(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        let alignment = metadata.alignment()?;
        let weights = reader.position().next_multiple_of(alignment);
        check_places(&reader, alignment, weights, &list)?;
        metadata.describe(Layout { metadata_bytes, alignment, weights, tensors: list })
    }

    fn check_start(reader: &mut Reader) -> Result<u32, LmError> {
        let magic = reader.u32("its first four bytes")?;
        if magic != MAGIC {
            return Err(reader.bad("it does not begin with GGUF; name a model in GGUF form"));
        }
        let version = reader.u32("the version")?;
        match version {
            2 | 3 => Ok(version),
            1 => {
                Err(reader
                    .bad("it is GGUF version 1, which llama.cpp no longer reads; convert the model again"))
            }
            _ if version & 0xffff == 0 => {
                Err(reader.bad("it is big-endian GGUF; convert it to little-endian"))
            }
            _ => Err(reader.bad(format!("it is GGUF version {version}; versions 2 and 3 can be read"))),
        }
    }

    /// The architecture in words.
    pub fn describe(&self) -> String {
        let mut words = vec![self.architecture.clone()];
        words.extend(self.layers.map(|layers| format!("{layers} layers")));
        words.extend(self.width.map(|width| format!("width {width}")));
        words.push(format!("vocabulary {}", self.vocabulary));
        let types: Vec<String> = self.types.iter().map(|(name, count)| format!("{count} {name}")).collect();
        words.push(format!("tensors: {}", types.join(" + ")));
        words.join(", ")
    }
}

fn read_tensor(reader: &mut Reader) -> Result<TensorEntry, LmError> {
    let length = reader.u64("the length of a tensor's name")?;
    if length == 0 || length > LONGEST_NAME {
        return Err(reader.bad(format!("a tensor's name of {length} bytes")));
    }
    let name = reader.text(length, "a tensor's name")?;
    let dimensions = reader.u32("a tensor's number of dimensions")?;
    if dimensions == 0 || dimensions > MOST_DIMENSIONS {
        return Err(reader
            .bad(format!("tensor `{name}` has {dimensions} dimensions; 1 to {MOST_DIMENSIONS} are known")));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        shape.push(reader.u64("a tensor's shape")?);
    }
    let kind = reader.u32("a tensor's type")?;
    let offset = reader.u64("a tensor's place")?;
    let Some(kind) = TENSOR_TYPES.iter().find(|known| known.id == kind) else {
        return Err(reader.bad(format!(
            "tensor `{name}` is of type {kind}, which is not known; the file is damaged or newer than this version"
        )));
    };
    let elements = shape.iter().try_fold(1u64, |product, &side| product.checked_mul(side));
    let elements = elements.filter(|&elements| elements > 0 && elements < 1 << 60);
    let Some(elements) = elements.filter(|_| shape[0] % kind.block == 0) else {
        return Err(reader.bad(format!("tensor `{name}` has a shape of {shape:?} in type {}", kind.name)));
    };
    Ok(TensorEntry { bytes: elements / kind.block * kind.block_bytes, name, kind, shape, elements, offset })
}

/// Every tensor lies within the file, aligned, where the one before it ends.
fn check_places(
    reader: &Reader,
    alignment: u64,
    weights: u64,
    tensors: &[TensorEntry],
) -> Result<(), LmError> {
    let mut due = 0u64;
    for tensor in tensors {
        let TensorEntry { name, bytes, offset, .. } = tensor;
        if *offset != due {
            return Err(reader.bad(format!(
                "tensor `{name}` begins at byte {offset} of the weights, but the one before it ends at {due}"
            )));
        }
        let end = weights.saturating_add(offset.saturating_add(*bytes));
        if end > reader.length() {
            return Err(reader.bad(format!(
                "it is truncated: tensor `{name}` ends at byte {end}, the file at {}. Download or copy it again",
                reader.length()
            )));
        }
        due = (offset + bytes).next_multiple_of(alignment);
    }
    Ok(())
}

/// The metadata, by key.
struct Metadata<'a> {
    entries: BTreeMap<String, Value>,
    path: &'a Path,
}

impl Metadata<'_> {
    fn bad(&self, problem: impl Into<String>) -> LmError {
        LmError::NotAModel { path: self.path.to_owned(), problem: problem.into() }
    }

    fn alignment(&self) -> Result<u64, LmError> {
        match self.entries.get("general.alignment") {
            None => Ok(32),
            Some(Value::Unsigned { bits: 32, value }) if value.is_power_of_two() && *value <= 1 << 20 => {
                Ok(*value)
            }
            Some(other) => {
                Err(self.bad(format!("metadata `general.alignment` is {other:?}, not a power of two")))
            }
        }
    }

    fn count(&self, key: &str) -> Result<Option<u64>, LmError> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(Value::Unsigned { value, .. }) => Ok(Some(*value)),
            Some(Value::Signed(value)) if *value >= 0 => Ok(Some(value.unsigned_abs())),
            Some(other) => Err(self.bad(format!("metadata `{key}` is {other:?}, not a count"))),
        }
    }

    fn text(&self, key: &str) -> Result<Option<&str>, LmError> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.bad(format!("metadata `{key}` is {other:?}, not text"))),
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, LmError> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.bad(format!("metadata `{key}` is {other:?}, not true or false"))),
        }
    }

    /// The length of an array whose entries are of type `kind`.
    fn array(&self, key: &str, kind: u32) -> Result<Option<u64>, LmError> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(Value::Array { kind: found, count, .. }) if *found == kind => Ok(Some(*count)),
            Some(other) => {
                Err(self.bad(format!("metadata `{key}` is {other:?}, not an array of type {kind}")))
            }
        }
    }

    fn describe(&self, layout: Layout) -> Result<GgufHeader, LmError> {
        let tensors = layout.tensors.as_slice();
        if let Some(parts) = self.count("split.count")?.filter(|&parts| parts > 1) {
            return Err(self.bad(format!(
                "it is one of {parts} parts; merge them into one file with `llama-gguf-split --merge`"
            )));
        }
        let Some(architecture) = self.text("general.architecture")? else {
            return Err(self.bad("it has no general.architecture: it holds no language model"));
        };
        let own = |key: &str| self.count(&format!("{architecture}.{key}"));
        self.check_scores_text(architecture)?;
        let vocabulary = self.check_tokenizer()?;
        let context = match own("context_length")? {
            Some(context @ 1..=0x7fff_ffff) => context,
            other => {
                let found = other.map_or("missing".to_owned(), |context| context.to_string());
                return Err(self.bad(format!("metadata `{architecture}.context_length` is {found}")));
            }
        };
        self.check_shape(architecture, tensors, vocabulary)?;
        let mut types: Vec<(&'static str, usize)> = Vec::new();
        for tensor in tensors {
            match types.iter_mut().find(|(name, _)| *name == tensor.kind.name) {
                Some((_, count)) => *count += 1,
                None => types.push((tensor.kind.name, 1)),
            }
        }
        types.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
        let model = self.text("tokenizer.ggml.model")?.unwrap_or_default();
        let pre = self.text("tokenizer.ggml.pre")?.map(|pre| format!("/{pre}"));
        Ok(GgufHeader {
            architecture: architecture.to_owned(),
            vocabulary,
            context,
            parameters: tensors.iter().map(|tensor| tensor.elements).fold(0, u64::saturating_add),
            types,
            tokenizer: format!("{model}{}", pre.unwrap_or_default()),
            tokenizer_sha256: self.tokenizer_hash(),
            layers: own("block_count")?,
            width: own("embedding_length")?,
            layout,
        })
    }

    /// Whether the model predicts next tokens.
    fn check_scores_text(&self, architecture: &str) -> Result<(), LmError> {
        let embeds = ["bert", "embedding", "encoder"].iter().any(|word| architecture.contains(word))
            || self.flag(&format!("{architecture}.attention.causal"))? == Some(false)
            || self.count(&format!("{architecture}.pooling_type"))?.is_some_and(|pooling| pooling != 0);
        if embeds {
            return Err(self.bad(format!(
                "it is a model for embeddings or of text in both directions (architecture {architecture}): it does not \
                 predict a next token; name a generative model"
            )));
        }
        if ["t5", "clip", "mmproj", "adapter"].contains(&architecture)
            || architecture.starts_with("wavtokenizer")
        {
            return Err(self.bad(format!(
                "architecture {architecture} is no decoder of text alone; name a generative model"
            )));
        }
        if let Some(kind) = self.text("general.type")?.filter(|kind| *kind != "model") {
            return Err(self.bad(format!("it holds no model but `{kind}`")));
        }
        Ok(())
    }

    /// Sizes by which llama.cpp divides, and the embedding's agreement with the vocabulary.
    fn check_shape(
        &self,
        architecture: &str,
        tensors: &[TensorEntry],
        vocabulary: u64,
    ) -> Result<(), LmError> {
        let Some(width) = self.count(&format!("{architecture}.embedding_length"))?.filter(|&width| width > 0)
        else {
            return Err(self.bad(format!("metadata `{architecture}.embedding_length` is missing or 0")));
        };
        for name in ["token_embd.weight", "output.weight"] {
            let Some(tensor) = tensors.iter().find(|tensor| tensor.name == name) else {
                if name == "output.weight" {
                    continue; // tied to the embedding
                }
                return Err(self.bad(format!("it has no tensor `{name}`")));
            };
            if Some(tensor.elements) != width.checked_mul(vocabulary) {
                return Err(self.bad(format!(
                    "tensor `{name}` has {} entries, not one for each of {vocabulary} tokens and {width} of width",
                    tensor.elements
                )));
            }
        }
        Ok(())
    }

    /// The tokenizer's tables agree with each other; gives the number of tokens.
    fn check_tokenizer(&self) -> Result<u64, LmError> {
        let model = self.text("tokenizer.ggml.model")?;
        if model.is_none_or(|model| ["none", "no_vocab", "test"].contains(&model)) {
            return Err(self.bad("it has no tokenizer; convert the model again, with its vocabulary"));
        }
        let Some(tokens) = self.array("tokenizer.ggml.tokens", kinds::STRING)?.filter(|&tokens| tokens > 0)
        else {
            return Err(self.bad("its tokenizer has no tokens"));
        };
        if tokens > 1 << 28 {
            return Err(self.bad(format!("its tokenizer claims {tokens} tokens")));
        }
        for (key, kind) in [("scores", kinds::FLOAT), ("token_type", kinds::SIGNED)] {
            let key = format!("tokenizer.ggml.{key}");
            let count = self.array(&key, kind)?;
            if let Some(count) = count.filter(|&count| count != tokens) {
                return Err(self.bad(format!("{count} entries of `{key}` for {tokens} tokens")));
            }
        }
        let merges = self.array("tokenizer.ggml.merges", kinds::STRING)?;
        if model == Some("gpt2") && merges.is_none() {
            return Err(self.bad("its tokenizer has no merges (`tokenizer.ggml.merges`)"));
        }
        for (key, value) in &self.entries {
            let special = key.starts_with("tokenizer.ggml.") && key.ends_with("_token_id");
            if special && !matches!(value, Value::Unsigned { bits: 32, .. }) {
                return Err(self.bad(format!("metadata `{key}` is {value:?}, not a token's number")));
            }
            if let (true, Value::Unsigned { value, .. }) = (special, value)
                && *value >= tokens
                && *value != u64::from(u32::MAX)
            {
                return Err(self.bad(format!("metadata `{key}` is {value}, but there are {tokens} tokens")));
            }
        }
        Ok(tokens)
    }

    fn tokenizer_hash(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        for key in TOKENIZER_ENTRIES {
            if let Some(value) = self.entries.get(&format!("tokenizer.ggml.{key}")) {
                hash.update(key.as_bytes());
                hash.update([0]);
                hash.update(value.hash());
            }
        }
        deltaloss_corpus::hex(&hash.finalize())
    }
}

#[cfg(test)]
mod tests;
