//! Writes runs with made-up scores, of any size: `synthetic_runs OUT DOCUMENTS TOKENS NAME...` writes a run OUT/NAME for
//! each name, all over the same DOCUMENTS documents of TOKENS tokens. For measuring `compare` (bench/compare).

use std::error::Error;
use std::path::Path;

use deltaloss_records::{
    CorpusInfo, DocumentRecord, EngineInfo, ModelInfo, RUN_SCHEMA, RunInfo, RunWriter, Sink, Split,
    TokenRecord, TokenScore, TokenizerInfo, Totals, WindowInfo,
};

/// Vocabulary entries.
const VOCABULARY: u32 = 2_048;

/// Entries with closing brackets, one in sixteen.
const BRACKETS: [&str; 4] = [")", "])", "):\n", "))"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, documents, tokens, names @ ..] = &arguments[..] else {
        return Err("usage: synthetic_runs OUT DOCUMENTS TOKENS NAME...".into());
    };
    let (documents, tokens) = (documents.parse()?, tokens.parse()?);
    for (index, name) in names.iter().enumerate() {
        write(&Path::new(out).join(name), name, documents, tokens, index as u64)?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, documents: u32, tokens: u32, run: u64) -> Result<(), Box<dyn Error>> {
    let mut writer = RunWriter::create(folder, false)?;
    let mut totals = Totals::default();
    for document in 0..documents {
        let (record, rows) = make(document, tokens, run);
        totals.tokens += rows.len() as u64;
        totals.bytes += record.text.len() as u64;
        writer.document(&record, &rows)?;
    }
    writer.finish(&info(name, u64::from(documents), totals))?;
    Ok(())
}

/// SplitMix64 as a function of a counter.
fn hash(counter: u64) -> u64 {
    let mixed = counter.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn uniform(counter: u64) -> f64 {
    (hash(counter) >> 11) as f64 / (1u64 << 53) as f64
}

/// A document and its rows: the tokens are the same in every run, the scores are not.
fn make(document: u32, tokens: u32, run: u64) -> (DocumentRecord, Vec<TokenRecord>) {
    let (mut text, mut rows) = (String::new(), Vec::with_capacity(tokens as usize));
    for position in 0..tokens {
        let at = u64::from(document) << 32 | u64::from(position) << 3;
        // Zipf-like: small ids are frequent.
        let token = (f64::from(VOCABULARY).powf(uniform(at)) as u32 - 1).min(VOCABULARY - 1);
        let byte_start = text.len() as u32;
        match token % 16 {
            3 => text.push_str(BRACKETS[token as usize / 16 % 4]),
            _ => text.push_str(&format!(" t{token}")),
        }
        let hardness = -uniform(at | 1).ln() * (0.5 + f64::from(token).ln_1p() / 4.0);
        let own = uniform(hash(at | 2).wrapping_add(run));
        let score = TokenScore {
            loss_nats: (hardness * (0.7 + 0.6 * own)) as f32,
            entropy_nats: (2.0 * hardness * uniform(hash(at | 3).wrapping_add(run))) as f32,
            rank: (hardness * 2.0) as u32,
            top_token: token,
            top_probability: 0.5,
            calibrated: None,
        };
        rows.push(TokenRecord { document, position, token, byte_start, byte_end: text.len() as u32, score });
    }
    let split = if hash(u64::from(document)) & 1 == 0 { Split::Discovery } else { Split::Confirmation };
    let name = format!("{document}.py");
    (DocumentRecord { document, name, text, tokens, scored: tokens, truncated: false, split }, rows)
}

fn info(name: &str, documents: u64, totals: Totals) -> RunInfo {
    let text = |text: &str| text.to_owned();
    RunInfo {
        schema: text(RUN_SCHEMA),
        model: ModelInfo {
            name: text(name),
            source: text("made up"),
            sha256: text("none"),
            architecture: text("none"),
            parameters: 0,
            nonzero_parameters: 0,
        },
        tokenizer: TokenizerInfo { name: text("made up"), sha256: text("none"), size: u64::from(VOCABULARY) },
        corpus: CorpusInfo { name: text("made up"), sha256: text("none"), documents, skipped: 0 },
        shard: None,
        failures: Vec::new(),
        window: WindowInfo { context: 256, mode: text("chunk"), stride: None, beginning_of_text: None },
        temperature: None,
        calibration: None,
        engine: EngineInfo { version: text("none"), instruction_set: text("none"), threads: 1 },
        totals,
        elapsed_seconds: 0.0,
        tokens_per_second: 0.0,
    }
}
