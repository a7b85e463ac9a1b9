//! The scoring loop: what reaches the sink, for every way of cutting windows, and what stops it.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps in vain")]

mod common;

use std::path::{Path, PathBuf};

use deltaloss_corpus::{Corpus, CorpusOptions, CorpusSource};
use deltaloss_kernels::Isa;
use deltaloss_lm::{
    LmError, ModelFiles, NativeModel, NativeScorer, NonFinite, Progress, ScoreFailure, ScoreOptions, Scorer,
    Token, Tokenizer, Window, WindowMode, score,
};
use deltaloss_records::{EngineInfo, MemorySink, ModelInfo, RunInfo, TokenScore, TokenizerInfo};

/// A scorer whose tokens are bytes and whose "loss" tells what it saw: 1000 times the number of inputs before the
/// target in its window, plus the target.
struct Spy {
    model: ModelInfo,
    tokenizer: TokenizerInfo,
    context: usize,
    poison: Option<u8>,
}

impl Spy {
    fn new(context: usize) -> Self {
        let model = ModelInfo {
            name: "spy".into(),
            source: String::new(),
            sha256: String::new(),
            architecture: String::new(),
            parameters: 0,
            nonzero_parameters: 0,
        };
        let tokenizer = TokenizerInfo { name: "bytes".into(), sha256: String::new(), size: 257 };
        Spy { model, tokenizer, context, poison: None }
    }
}

impl Scorer for Spy {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    fn engine(&self) -> EngineInfo {
        EngineInfo { version: "spy".into(), instruction_set: "none".into(), threads: 1 }
    }

    fn tokenizer(&self) -> &TokenizerInfo {
        &self.tokenizer
    }

    fn context(&self) -> usize {
        self.context
    }

    fn beginning_of_text(&self) -> Option<u32> {
        Some(256)
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<Token>>, LmError> {
        let tokens = |text: &&str| {
            text.bytes().enumerate().map(|(i, byte)| Token { id: byte.into(), bytes: i..i + 1 }).collect()
        };
        Ok(texts.iter().map(tokens).collect())
    }

    fn score(
        &mut self,
        windows: &[Window<'_>],
        beta: Option<f32>,
    ) -> Result<Vec<Vec<TokenScore>>, ScoreFailure> {
        assert_eq!(beta, None, "it does not calibrate");
        let mut all = Vec::new();
        for (window, w) in windows.iter().enumerate() {
            assert!(w.inputs.len() == w.targets.len() && w.inputs.len() <= self.context);
            let mut list = Vec::new();
            for target in w.skip..w.targets.len() {
                if self.poison.is_some_and(|poison| w.targets[target] == u32::from(poison)) {
                    return Err(ScoreFailure::NonFinite(NonFinite { window, target }));
                }
                let loss_nats = (1000 * (target + 1)) as f32 + w.targets[target] as f32;
                list.push(TokenScore { loss_nats, entropy_nats: 0.5, ..TokenScore::default() });
            }
            all.push(list);
        }
        Ok(all)
    }
}

fn corpus_of(folder: &Path, texts: &[&str]) -> Corpus {
    corpus(folder, texts)
}

fn corpus(folder: &Path, texts: &[&str]) -> Corpus {
    for (i, text) in texts.iter().enumerate() {
        std::fs::write(folder.join(format!("{i}.py")), text).unwrap();
    }
    Corpus::open(&CorpusSource::from_path(folder).unwrap(), CorpusOptions::default()).unwrap()
}

fn run(
    scorer: &mut dyn Scorer,
    corpus: &Corpus,
    options: &ScoreOptions,
) -> Result<(RunInfo, MemorySink), LmError> {
    let mut sink = MemorySink::default();
    let info = score(scorer, corpus, options, &mut sink, &mut |_| true)?;
    Ok((info, sink))
}

fn mode(mode: WindowMode) -> ScoreOptions {
    ScoreOptions { mode, ..ScoreOptions::default() }
}

/// (position, inputs seen) of every record.
fn seen(sink: &MemorySink) -> Vec<(u32, u32)> {
    let columns = &sink.tokens;
    (0..columns.len()).map(|i| (columns.position[i], columns.scores.loss[i] as u32 / 1000)).collect()
}

#[test]
fn each_mode_records_the_tokens_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["abcdefg", "xy"]);
    let (info, sink) = run(&mut Spy::new(3), &corpus, &mode(WindowMode::Chunk)).unwrap();
    assert_eq!(seen(&sink), [(1, 1), (2, 2), (3, 3), (4, 1), (5, 2), (6, 3), (1, 1)]);
    assert_eq!((info.totals.tokens, info.totals.bytes, info.corpus.documents), (7, 7, 2));
    assert!(sink.documents.iter().all(|d| !d.truncated && d.scored == d.tokens - 1));

    let (_, sink) = run(&mut Spy::new(3), &corpus, &mode(WindowMode::Truncate)).unwrap();
    assert_eq!(seen(&sink), [(1, 1), (2, 2), (3, 3), (1, 1)]);
    assert_eq!(
        sink.documents.iter().map(|d| (d.tokens, d.scored, d.truncated)).collect::<Vec<_>>(),
        [(7, 3, true), (2, 1, false)]
    );

    let (info, sink) = run(&mut Spy::new(3), &corpus, &mode(WindowMode::Slide { stride: 1 })).unwrap();
    assert_eq!(seen(&sink), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 3), (6, 3), (1, 1)]);
    assert_eq!(info.window.stride, Some(1));
}

#[test]
fn beginning_of_text_predicts_the_first_token_too() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["abcd", "x"]);
    let options = ScoreOptions { beginning_of_text: Some(true), ..ScoreOptions::default() };
    let (info, sink) = run(&mut Spy::new(3), &corpus, &options).unwrap();
    assert_eq!(seen(&sink), [(0, 1), (1, 2), (2, 3), (3, 1), (0, 1)]);
    assert_eq!(sink.tokens.byte_start, [0, 1, 2, 3, 0]);
    assert_eq!(info.window.beginning_of_text, Some(256));
}

#[test]
fn records_point_at_their_token() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["abcdefg"]);
    let (_, sink) = run(&mut Spy::new(3), &corpus, &ScoreOptions::default()).unwrap();
    for i in 0..sink.tokens.len() {
        let record = sink.tokens.get(i);
        let text = sink.documents[0].text.as_bytes();
        assert_eq!(u32::from(text[record.byte_start as usize]), record.token);
        assert_eq!(record.score.loss_nats as u32 % 1000, record.token, "the loss is the one of this token");
    }
}

#[test]
fn documents_without_a_predictable_token_stop_it_or_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["abc", "", "x", "yz"]);
    let message = run(&mut Spy::new(3), &corpus, &ScoreOptions::default()).unwrap_err().to_string();
    assert!(message.contains("2 document(s) of fewer than 2 tokens"), "{message}");
    assert!(message.contains("`1.py` (0), `2.py` (1)") && message.contains("--skip-unusable"), "{message}");
    let options = ScoreOptions { skip_unusable: true, ..ScoreOptions::default() };
    let (info, sink) = run(&mut Spy::new(3), &corpus, &options).unwrap();
    assert_eq!((info.corpus.documents, info.corpus.skipped), (2, 2));
    assert_eq!(
        sink.documents.iter().map(|d| (d.document, d.name.as_str())).collect::<Vec<_>>(),
        [(0, "0.py"), (1, "3.py")]
    );
}

#[test]
fn a_corpus_of_nothing_usable_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["", "x"]);
    let options = ScoreOptions { skip_unusable: true, ..ScoreOptions::default() };
    let message = run(&mut Spy::new(3), &corpus, &options).unwrap_err().to_string();
    assert!(message.contains("has no document to score"), "{message}");
}

#[test]
fn a_loss_that_is_not_finite_names_document_and_position() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["abc", "abcdefg!h"]);
    for (mode, beginning_of_text) in
        [(WindowMode::Chunk, false), (WindowMode::Slide { stride: 2 }, false), (WindowMode::Chunk, true)]
    {
        let mut spy = Spy { poison: Some(b'!'), ..Spy::new(3) };
        let options =
            ScoreOptions { mode, beginning_of_text: Some(beginning_of_text), ..ScoreOptions::default() };
        let message = run(&mut spy, &corpus, &options).unwrap_err().to_string();
        assert!(message.contains("token 7 of document `1.py` is not finite"), "{message}");
    }
}

/// What is promised of instruction sets: the same losses within 1e-4 nats, not the same bits; within one, the same bits for any number
/// of threads.
#[test]
fn instruction_sets_agree_within_what_is_promised_and_each_with_itself() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/dense-small");
    let files = ModelFiles::open(&model).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = "def f(x):\n    return [g(y) for y in x if y > 0]\n\n".repeat(20);
    let corpus = corpus(folder.path(), &[&text, "import os\nprint(os.getcwd())\n"]);
    let losses = |isa: Isa, threads: usize| {
        let tokenizer = Tokenizer::open(&model.join("../../tokenizer/pycode_2k")).unwrap();
        let mut scorer = NativeScorer::new(NativeModel::load(&files, isa).unwrap(), tokenizer).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let options = ScoreOptions { calibrate: false, ..ScoreOptions::default() };
        pool.install(|| run(&mut scorer, &corpus, &options).unwrap().1.tokens.scores)
    };
    let best = losses(Isa::best(), 1);
    for isa in Isa::available() {
        let one = losses(isa, 1);
        assert_eq!(one, losses(isa, 3), "{isa}");
        let worst = one.loss.iter().zip(&best.loss).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-4, "{isa}: {worst} nats");
    }
}

#[test]
fn a_document_that_fails_is_left_out_whole_where_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    // The second fails in its second window, the fourth has the same text, the fifth fails in its first.
    let corpus = corpus(folder.path(), &["abc", "abcdefg!h", "hij", "abcdefg!h", "!!", "klmnop"]);
    let mut spy = Spy { poison: Some(b'!'), ..Spy::new(3) };
    let options = ScoreOptions { keep_going: true, ..ScoreOptions::default() };
    let (info, sink) = run(&mut spy, &corpus, &options).unwrap();
    let failed: Vec<_> = info.failures.iter().map(|f| (f.document, f.name.as_str(), f.position)).collect();
    assert_eq!(failed, [(1, "1.py", 7), (3, "3.py", 7), (4, "4.py", 1)]);
    let documents: Vec<_> = sink.documents.iter().map(|d| (d.tokens, d.scored)).collect();
    assert_eq!(documents, [(3, 2), (9, 0), (3, 2), (9, 0), (2, 0), (6, 5)]);
    // What is left is what the others alone would give.
    let alone = tempfile::tempdir().unwrap();
    let others = corpus_of(alone.path(), &["abc", "hij", "klmnop"]);
    let (expected, of_others) = run(&mut Spy::new(3), &others, &ScoreOptions::default()).unwrap();
    assert_eq!(info.totals, expected.totals);
    assert_eq!(sink.tokens.scores, of_others.tokens.scores);
    assert_eq!(info.calibration.unwrap().discovery, expected.calibration.unwrap().discovery);
    assert_eq!(info.corpus.documents, 6);

    let nothing = tempfile::tempdir().unwrap();
    let message = run(&mut spy, &corpus_of(nothing.path(), &["a!", "b!"]), &options).unwrap_err().to_string();
    assert!(
        message.contains("no document could be scored") && message.contains("token 1 of document `0.py`"),
        "{message}"
    );
}

#[test]
fn shards_have_every_document_once() {
    let folder = tempfile::tempdir().unwrap();
    // The empty one and the single letter are left out before documents are counted.
    let texts = ["abcdefgh", "", "ab", "cd", "x", "efghij", "kl", "mnop"];
    let corpus = corpus(folder.path(), &texts);
    let whole = ScoreOptions { skip_unusable: true, ..ScoreOptions::default() };
    let (info, all) = run(&mut Spy::new(3), &corpus, &whole).unwrap();
    assert_eq!(info.shard, None);
    for of in 1..=9 {
        let (mut documents, mut loss) = (Vec::new(), Vec::new());
        for index in 1..=of {
            let options = ScoreOptions { shard: Some((index, of)), ..whole.clone() };
            let (part, sink) = run(&mut Spy::new(3), &corpus, &options).unwrap();
            let shard = part.shard.unwrap();
            assert_eq!((shard.index, shard.of, shard.corpus_documents), (index, of, 6));
            assert_eq!(shard.corpus_sha256, info.corpus.sha256);
            assert_eq!(shard.first_document as usize, documents.len(), "{index}/{of}");
            assert_eq!(part.corpus.documents as usize, sink.documents.len());
            documents.extend(sink.documents.into_iter().map(|document| document.text));
            loss.extend(sink.tokens.scores.loss);
        }
        let expected: Vec<_> = all.documents.iter().map(|document| document.text.clone()).collect();
        assert_eq!(documents, expected, "{of} shards");
        assert_eq!(loss, all.tokens.scores.loss, "{of} shards");
    }
}

#[test]
fn windows_that_do_not_fit_are_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["abc"]);
    let message = |options: &ScoreOptions| run(&mut Spy::new(3), &corpus, options).unwrap_err().to_string();
    let long = ScoreOptions { context: Some(4), ..ScoreOptions::default() };
    assert!(message(&long).contains("a context of 4, but spy was made for 3"));
    assert!(message(&mode(WindowMode::Slide { stride: 4 })).contains("a stride of 4"));
}

/// A scorer that loses the last score of a window.
struct Forgetful(Spy);

impl Scorer for Forgetful {
    fn model(&self) -> &ModelInfo {
        self.0.model()
    }

    fn engine(&self) -> EngineInfo {
        self.0.engine()
    }

    fn tokenizer(&self) -> &TokenizerInfo {
        self.0.tokenizer()
    }

    fn context(&self) -> usize {
        self.0.context()
    }

    fn beginning_of_text(&self) -> Option<u32> {
        None
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<Token>>, LmError> {
        self.0.encode(texts)
    }

    fn score(
        &mut self,
        windows: &[Window<'_>],
        beta: Option<f32>,
    ) -> Result<Vec<Vec<TokenScore>>, ScoreFailure> {
        let mut scores = self.0.score(windows, beta)?;
        scores[0].pop();
        Ok(scores)
    }
}

#[test]
fn a_scorer_that_loses_a_score_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["abcdefg"]);
    let message =
        run(&mut Forgetful(Spy::new(3)), &corpus, &ScoreOptions::default()).unwrap_err().to_string();
    assert!(message.contains("gave [2, 3] scores for windows of [3, 3] targets"), "{message}");
}

#[test]
fn documents_on_both_sides_of_a_group_are_kept_apart() {
    // A group closes at 4 MiB of text: the first two documents fill one, the third begins the next.
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = ["a", "b", "c"].iter().map(|letter| letter.repeat(3 << 20)).collect();
    let corpus = corpus(folder.path(), &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let (info, sink) = run(&mut Spy::new(1 << 16), &corpus, &ScoreOptions::default()).unwrap();
    let each = (3u64 << 20) - 1;
    assert_eq!(info.totals.tokens, 3 * each);
    for (i, &token) in sink.tokens.token.iter().enumerate() {
        let document = (i as u64 / each) as u32;
        assert_eq!((sink.tokens.document[i], token), (document, u32::from(b'a') + document));
    }
}

#[test]
fn the_listener_can_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["abcdefg"]);
    let mut sink = MemorySink::default();
    let stop = |p: Progress| !matches!(p, Progress::Scored { .. });
    let mut stop = stop;
    let outcome = score(&mut Spy::new(3), &corpus, &ScoreOptions::default(), &mut sink, &mut stop);
    assert!(matches!(outcome, Err(LmError::Interrupted)));
}

#[test]
fn progress_counts_every_token() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &["abcdefg", "hij", "klmnopqrstuv"]);
    for mode in [WindowMode::Truncate, WindowMode::Chunk, WindowMode::Slide { stride: 2 }] {
        let (mut announced, mut counted, mut sink) = (0, 0, MemorySink::default());
        let options = ScoreOptions { mode, ..ScoreOptions::default() };
        let mut listen = |p: Progress| {
            match p {
                Progress::Started { tokens } => announced = tokens,
                Progress::Scored { tokens } => counted += tokens,
                _ => {}
            }
            true
        };
        let info = score(&mut Spy::new(3), &corpus, &options, &mut sink, &mut listen).unwrap();
        assert_eq!((announced, counted), (info.totals.tokens, info.totals.tokens), "{mode:?}");
    }
}

fn bundled(name: &str) -> NativeScorer {
    let assets = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    let files = ModelFiles::open(&assets.join("models").join(name)).unwrap();
    let model = NativeModel::load(&files, Isa::best()).unwrap();
    NativeScorer::new(model, Tokenizer::open(&assets.join("tokenizer/pycode_2k")).unwrap()).unwrap()
}

/// Real code: a few files of Python's standard library.
fn real_code() -> Corpus {
    let source = CorpusSource::parse("builtin:python-stdlib").unwrap();
    Corpus::open(&source, CorpusOptions { sample: Some(6), ..CorpusOptions::default() }).unwrap()
}

#[test]
fn the_numbers_do_not_depend_on_threads_or_neighbours() {
    for name in ["dense-small", "sparse"] {
        let runs: Vec<_> = [1, 2, 5]
            .into_iter()
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| run(&mut bundled(name), &real_code(), &ScoreOptions::default()).unwrap())
            })
            .collect();
        for (info, sink) in &runs[1..] {
            assert_eq!(sink.tokens, runs[0].1.tokens, "{name}");
            assert_eq!(info.totals, runs[0].0.totals, "{name}");
        }
        // One window alone gives what it gave among sixty-four.
        let (info, sink) = &runs[0];
        let beta = info.temperature.map(|temperature| (1.0 / temperature) as f32);
        let mut scorer = bundled(name);
        let text = sink.documents[1].text.as_str();
        let ids: Vec<u32> = scorer.encode(&[text]).unwrap()[0].iter().map(|t| t.id).collect();
        let alone =
            scorer.score(&[Window { inputs: &ids[..256], targets: &ids[1..257], skip: 0 }], beta).unwrap();
        let first = sink.documents[0].scored as usize;
        assert!(
            beta.is_some() && (0..256).all(|i| sink.tokens.scores.get(first + i) == alone[0][i]),
            "{name}"
        );
    }
}

#[test]
fn the_bundled_models_have_learned_python() {
    let chance = 2048f64.ln();
    for name in ["dense", "sparse", "dense-twin", "dense-small"] {
        let (info, _) = run(&mut bundled(name), &real_code(), &mode(WindowMode::Truncate)).unwrap();
        let loss = info.totals.mean_loss_nats;
        assert!(loss < chance - 2.5, "{name}: {loss} nats; guessing gives {chance}");
    }
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let files = ModelFiles::open(&common::own_fixtures().join("circuit-sparsity/dense_rms")).unwrap();
    let model = NativeModel::load(&files, Isa::best()).unwrap();
    let assets = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    let tokenizer = Tokenizer::open(&assets.join("tokenizer/pycode_2k")).unwrap();
    let message = NativeScorer::new(model, tokenizer).unwrap_err().to_string();
    assert!(message.contains("2048 entries") && message.contains("vocabulary of 160"), "{message}");
}
