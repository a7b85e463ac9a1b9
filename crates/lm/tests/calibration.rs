//! The run's temperature, through the scoring loop: known truths, kept logits, and when there is none.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps in vain")]

use std::path::{Path, PathBuf};

use deltaloss_corpus::{Corpus, CorpusOptions, CorpusSource};
use deltaloss_kernels::{Isa, LossRow, TemperedRow, loss_row_tempered, reference};
use deltaloss_lm::{
    LmError, LossSums, ModelFiles, NativeModel, NativeScorer, Progress, ScoreFailure, ScoreOptions, Scorer,
    Token, Tokenizer, Window, WindowMode, score,
};
use deltaloss_records::{
    CalibratedScore, EngineInfo, MemorySink, ModelInfo, RunInfo, Split, TokenScore, TokenizerInfo,
};

const LETTERS: usize = 26;

/// A model that knows the true distribution of [`text`], a chain of letters, and multiplies its logits by `sharpened`.
struct Chain {
    sharpened: f32,
    calibrates: bool,
    model: ModelInfo,
    tokenizer: TokenizerInfo,
}

impl Chain {
    fn new(sharpened: f32) -> Self {
        let model = ModelInfo {
            name: "chain".into(),
            source: String::new(),
            sha256: String::new(),
            architecture: String::new(),
            parameters: 0,
            nonzero_parameters: 0,
        };
        let tokenizer = TokenizerInfo { name: "letters".into(), sha256: String::new(), size: LETTERS as u64 };
        Chain { sharpened, calibrates: true, model, tokenizer }
    }

    fn logits(&self, letter: u32) -> Vec<f32> {
        true_logits(letter).map(|logit| logit as f32 * self.sharpened).to_vec()
    }

    fn rows(&self, window: &Window<'_>, betas: &[f32]) -> Vec<(LossRow, Vec<TemperedRow>)> {
        (window.skip..window.targets.len())
            .map(|i| {
                let mut tempered = vec![TemperedRow::default(); betas.len()];
                let logits = self.logits(window.inputs[i]);
                let target = window.targets[i] as usize;
                (loss_row_tempered(Isa::best(), &logits, target, betas, &mut tempered), tempered)
            })
            .collect()
    }
}

/// What follows a letter: some letters are all but certain, some open.
fn true_logits(letter: u32) -> [f64; LETTERS] {
    std::array::from_fn(|next| {
        let phase = f64::from(letter) * 1.7 + next as f64 * 2.3;
        phase.sin() * (1.0 + f64::from(letter % 5))
    })
}

/// `length` letters drawn from the chain.
fn text(seed: u64, length: usize) -> String {
    let mut state = seed;
    let mut uniform = || {
        // SplitMix64 (Steele et al. 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut letter = (uniform() * LETTERS as f64) as u32;
    let mut text = String::new();
    for _ in 0..length {
        text.push(char::from(b'a' + letter as u8));
        let odds = true_logits(letter).map(f64::exp);
        let mut left = uniform() * odds.iter().sum::<f64>();
        letter = odds
            .iter()
            .position(|odds| {
                left -= odds;
                left < 0.0
            })
            .unwrap_or(LETTERS - 1) as u32;
    }
    text
}

impl Scorer for Chain {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    fn engine(&self) -> EngineInfo {
        EngineInfo { version: "chain".into(), instruction_set: "none".into(), threads: 1 }
    }

    fn tokenizer(&self) -> &TokenizerInfo {
        &self.tokenizer
    }

    fn context(&self) -> usize {
        64
    }

    fn beginning_of_text(&self) -> Option<u32> {
        None
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<Token>>, LmError> {
        let token = |(i, byte)| Token { id: u32::from(byte - b'a'), bytes: i..i + 1 };
        Ok(texts.iter().map(|text| text.bytes().enumerate().map(token).collect()).collect())
    }

    fn score(
        &mut self,
        windows: &[Window<'_>],
        beta: Option<f32>,
    ) -> Result<Vec<Vec<TokenScore>>, ScoreFailure> {
        let token_score = |(row, tempered): (LossRow, Vec<TemperedRow>)| TokenScore {
            loss_nats: row.loss_nats as f32,
            entropy_nats: row.entropy_nats as f32,
            rank: row.rank,
            top_token: row.top,
            top_probability: row.top_probability as f32,
            calibrated: tempered.first().map(|row| CalibratedScore {
                loss_nats: row.loss_nats as f32,
                entropy_nats: row.entropy_nats as f32,
                top_probability: row.top_probability as f32,
            }),
        };
        let rows = |window| self.rows(window, beta.as_slice()).into_iter().map(token_score).collect();
        Ok(windows.iter().map(rows).collect())
    }

    fn calibrates(&self) -> bool {
        self.calibrates
    }

    fn loss_sums(
        &mut self,
        windows: &[Window<'_>],
        betas: &[f32],
    ) -> Result<Vec<Vec<LossSums>>, ScoreFailure> {
        let sum = |window| {
            let mut sums = vec![LossSums::default(); betas.len()];
            for (_, tempered) in self.rows(window, betas) {
                for (sum, row) in sums.iter_mut().zip(tempered) {
                    sum.loss_nats += row.loss_nats;
                    sum.entropy_nats += row.entropy_nats;
                }
            }
            sums
        };
        Ok(windows.iter().map(sum).collect())
    }
}

fn corpus(folder: &Path, texts: &[String]) -> Corpus {
    for (i, text) in texts.iter().enumerate() {
        std::fs::write(folder.join(format!("{i:04}.py")), text).unwrap();
    }
    Corpus::open(&CorpusSource::from_path(folder).unwrap(), CorpusOptions::default()).unwrap()
}

fn run(scorer: &mut dyn Scorer, corpus: &Corpus, options: &ScoreOptions) -> (RunInfo, MemorySink) {
    let mut sink = MemorySink::default();
    let info = score(scorer, corpus, options, &mut sink, &mut |_| true).unwrap();
    (info, sink)
}

/// The temperature that minimises the mean loss of these rows of logits and targets: golden section in plain f64.
fn best_temperature(rows: &[(Vec<f32>, usize)]) -> f64 {
    let loss = |place: f64| -> f64 {
        let beta = place.exp();
        let of_row = |(logits, target): &(Vec<f32>, usize)| {
            let max = logits.iter().copied().fold(f32::MIN, f32::max);
            let at = |l: f32| beta * (f64::from(l) - f64::from(max));
            logits.iter().map(|&l| at(l).exp()).sum::<f64>().ln() - at(logits[*target])
        };
        rows.iter().map(of_row).sum()
    };
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-1.5, 1.5);
    while high - low > 1e-6 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if loss(left) < loss(right) { high = right } else { low = left }
    }
    (-f64::midpoint(low, high)).exp()
}

#[test]
fn a_known_temperature_is_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..160).map(|seed| text(seed, 300)).collect();
    let corpus = corpus(folder.path(), &texts);
    let mut temperatures = Vec::new();
    for sharpened in [1.0, 1.3, 0.5] {
        let mut scorer = Chain::new(sharpened);
        let (info, sink) = run(&mut scorer, &corpus, &ScoreOptions::default());
        let found = info.temperature.unwrap();
        // Some 24,000 tokens: the standard error of T / sharpened is about 0.6 %.
        assert!((found / f64::from(sharpened) - 1.0).abs() < 0.02, "{found} for {sharpened}");
        temperatures.push(found / f64::from(sharpened));
        // To the digit what minimises the loss of the discovery half's logits, had they been kept.
        let mut kept = Vec::new();
        for document in sink.documents.iter().filter(|document| document.split == Split::Discovery) {
            let letters: Vec<u32> = document.text.bytes().map(|byte| u32::from(byte - b'a')).collect();
            kept.extend(letters.windows(2).map(|pair| (scorer.logits(pair[0]), pair[1] as usize)));
        }
        let expected = best_temperature(&kept);
        assert!((found - expected).abs() <= 1e-4, "{found}, not {expected}");
        check_provenance(&info, &sink);
        check_columns(&scorer, &info, &sink);
    }
    // The factor is divided out to within what the search may be off.
    let exact = |found: f64| (found - temperatures[0]).abs() <= 2e-4;
    assert!(temperatures.iter().all(|&found| exact(found)), "{temperatures:?}");
}

/// Both halves' numbers are those of the tokens, and on the discovery half mean loss and entropy meet.
fn check_provenance(info: &RunInfo, sink: &MemorySink) {
    let calibration = info.calibration.as_ref().unwrap();
    assert_eq!((calibration.none_because.as_ref(), calibration.at_edge), (None, false));
    for (half, split) in
        [(&calibration.discovery, Split::Discovery), (&calibration.confirmation, Split::Confirmation)]
    {
        let inside = |row: &usize| sink.documents[sink.tokens.document[*row] as usize].split == split;
        let rows: Vec<usize> = (0..sink.tokens.len()).filter(inside).collect();
        let mean =
            |column: &[f32]| rows.iter().map(|&row| f64::from(column[row])).sum::<f64>() / rows.len() as f64;
        let (scores, calibrated) = (&sink.tokens.scores, sink.tokens.scores.calibrated.as_ref().unwrap());
        assert_eq!(half.tokens, rows.len() as u64);
        assert_eq!(half.documents, sink.documents.iter().filter(|d| d.split == split).count() as u64);
        let close = |found: f64, column: &[f32]| {
            assert!((found - mean(column)).abs() < 1e-12, "{found}, not {}", mean(column));
        };
        close(half.mean_loss_nats, &scores.loss);
        close(half.mean_entropy_nats, &scores.entropy);
        close(half.mean_loss_calibrated_nats.unwrap(), &calibrated.loss);
        close(half.mean_entropy_calibrated_nats.unwrap(), &calibrated.entropy);
    }
    let half = &calibration.discovery;
    let (loss, entropy) =
        (half.mean_loss_calibrated_nats.unwrap(), half.mean_entropy_calibrated_nats.unwrap());
    assert!((loss - entropy).abs() < 1e-4, "mean loss {loss}, mean entropy {entropy}");
    assert!(loss <= half.mean_loss_nats);
}

/// Every calibrated value is that of the logits divided by the run's temperature.
fn check_columns(scorer: &Chain, info: &RunInfo, sink: &MemorySink) {
    let beta = (1.0 / info.temperature.unwrap()) as f32;
    for row in (0..sink.tokens.len()).step_by(97) {
        let record = sink.tokens.get(row);
        let text = sink.documents[record.document as usize].text.as_bytes();
        let before = u32::from(text[record.position as usize - 1] - b'a');
        let expected = reference::tempered_row(&scorer.logits(before), record.token as usize, beta);
        let found = record.score.calibrated.unwrap();
        assert!(
            (f64::from(found.loss_nats) - expected.loss_nats).abs() < 1e-5,
            "{found:?}, not {expected:?}"
        );
        assert!((f64::from(found.entropy_nats) - expected.entropy_nats).abs() < 1e-5, "{found:?}");
        assert!((f64::from(found.top_probability) - expected.top_probability).abs() < 1e-6, "{found:?}");
    }
}

fn bundled(name: &str) -> NativeScorer {
    let assets = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    let files = ModelFiles::open(&assets.join("models").join(name)).unwrap();
    let model = NativeModel::load(&files, Isa::best()).unwrap();
    NativeScorer::new(model, Tokenizer::open(&assets.join("tokenizer/pycode_2k")).unwrap()).unwrap()
}

#[test]
fn a_real_models_temperature_is_that_of_its_kept_logits_and_changes_nothing_else() {
    let source = CorpusSource::parse("builtin:python-stdlib").unwrap();
    let corpus =
        Corpus::open(&source, CorpusOptions { sample: Some(12), ..CorpusOptions::default() }).unwrap();
    let options = ScoreOptions { mode: WindowMode::Truncate, context: Some(160), ..ScoreOptions::default() };
    let plain_options = ScoreOptions { calibrate: false, ..options.clone() };
    for name in ["dense-small", "sparse"] {
        let mut scorer = bundled(name);
        let (info, mut sink) = run(&mut scorer, &corpus, &options);
        let mut kept = Vec::new();
        for document in sink.documents.iter().filter(|document| document.split == Split::Discovery) {
            let tokens = scorer.encode(&[&document.text]).unwrap().remove(0);
            let ids: Vec<u32> = tokens.iter().map(|token| token.id).take(161).collect();
            let logits = scorer.native_model().logits(&ids[..ids.len() - 1]).unwrap();
            let vocabulary = scorer.native_model().config().vocab_size;
            kept.extend(
                logits.chunks(vocabulary).zip(&ids[1..]).map(|(row, &next)| (row.to_vec(), next as usize)),
            );
        }
        assert_eq!(kept.len() as u64, info.calibration.as_ref().unwrap().discovery.tokens);
        let (found, expected) = (info.temperature.unwrap(), best_temperature(&kept));
        assert!((found - expected).abs() <= 1e-4, "{name}: {found}, not {expected}");
        check_provenance(&info, &sink);

        let (plain_info, plain) = run(&mut scorer, &corpus, &plain_options);
        assert_eq!(plain_info.temperature, None);
        assert_eq!(plain_info.totals, info.totals);
        assert!(sink.tokens.scores.calibrated.take().is_some());
        assert_eq!(plain.tokens, sink.tokens, "{name}: what is as scored does not change");
    }
}

#[test]
fn the_temperature_does_not_depend_on_threads() {
    let source = CorpusSource::parse("builtin:python-stdlib").unwrap();
    let corpus =
        Corpus::open(&source, CorpusOptions { sample: Some(8), ..CorpusOptions::default() }).unwrap();
    let options = ScoreOptions { mode: WindowMode::Slide { stride: 200 }, ..ScoreOptions::default() };
    let runs: Vec<_> = [1, 3]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&mut bundled("dense-small"), &corpus, &options))
        })
        .collect();
    assert!(runs[0].0.temperature.is_some());
    assert_eq!(runs[0].0.temperature, runs[1].0.temperature);
    assert_eq!(runs[0].1.tokens, runs[1].1.tokens);
}

#[test]
fn without_enough_to_fit_on_there_is_none_and_the_run_says_why() {
    let why = |texts: &[String], scorer: &mut Chain, options: &ScoreOptions| {
        let folder = tempfile::tempdir().unwrap();
        let (info, sink) = run(scorer, &corpus(folder.path(), texts), options);
        assert_eq!((info.temperature, sink.tokens.scores.calibrated), (None, None));
        let calibration = info.calibration.unwrap();
        assert_eq!(calibration.discovery.mean_loss_calibrated_nats, None);
        assert_eq!(calibration.discovery.tokens + calibration.confirmation.tokens, info.totals.tokens);
        calibration.none_because.unwrap()
    };
    let usual = ScoreOptions::default();
    let all: Vec<String> = (0..40).map(|seed| text(seed, 200)).collect();
    let of = |split: Split, texts: &[String]| -> Vec<String> {
        let is = |text: &&String| Split::of(&deltaloss_corpus::text_sha256(text)) == split;
        texts.iter().filter(is).cloned().collect()
    };
    let mut scorer = Chain::new(1.0);
    let confirmation = of(Split::Confirmation, &all);
    assert!(why(&confirmation, &mut scorer, &usual).contains("no document falls into the discovery half"));
    let few = of(Split::Discovery, &all)[..3].to_vec();
    let said = why(&few, &mut scorer, &usual);
    assert!(said.contains("597 tokens in 3 documents") && said.contains("at least 1000 in 2"), "{said}");
    let long: Vec<String> = (0..40).map(|seed| text(seed, 2000)).collect();
    let one = of(Split::Discovery, &long)[..1].to_vec();
    let said = why(&one, &mut scorer, &usual);
    assert!(said.contains("1999 tokens in 1 documents"), "{said}");
    let unasked = ScoreOptions { calibrate: false, ..ScoreOptions::default() };
    assert!(why(&all, &mut scorer, &unasked).contains("was not asked for"));
    let mut plain = Chain { calibrates: false, ..Chain::new(1.0) };
    assert!(why(&all, &mut plain, &usual).contains("does not score at other temperatures"));
    let mut flat = Chain::new(0.0);
    assert!(why(&all, &mut flat, &usual).contains("the same probability, whatever the temperature"));
}

#[test]
fn progress_counts_the_discovery_half_too_and_can_stop_there() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &(0..40).map(|seed| text(seed, 200)).collect::<Vec<_>>());
    let (mut announced, mut counted, mut sink) = (0, 0, MemorySink::default());
    let info = score(&mut Chain::new(1.0), &corpus, &ScoreOptions::default(), &mut sink, &mut |event| {
        match event {
            Progress::CalibrationStarted { tokens } => announced += tokens,
            Progress::Calibrated { tokens } => counted += tokens,
            _ => {}
        }
        true
    })
    .unwrap();
    assert_eq!((announced, counted), (counted, info.calibration.unwrap().discovery.tokens));
    let mut stop = |event| !matches!(event, Progress::Calibrated { .. });
    let outcome = score(&mut Chain::new(1.0), &corpus, &ScoreOptions::default(), &mut sink, &mut stop);
    assert!(matches!(outcome, Err(LmError::Interrupted)));
}
