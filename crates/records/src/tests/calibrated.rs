//! Runs with a temperature: columns that come and go together with it, and a join that carries them.

use super::*;

fn with_temperature(calibrated: bool) -> (DocumentRecord, Vec<TokenRecord>) {
    let (record, mut tokens) = document(0, 9, 0.0, |_| true);
    for token in tokens.iter_mut().filter(|_| calibrated) {
        token.score.calibrated = Some(CalibratedScore {
            loss_nats: token.score.loss_nats * 0.5,
            entropy_nats: 0.75,
            top_probability: 0.125,
        });
    }
    (record, tokens)
}

/// Writes a run whose `run.json` names this temperature.
fn write_at(
    folder: &Path,
    temperature: Option<f64>,
    document: &(DocumentRecord, Vec<TokenRecord>),
) -> PathBuf {
    let mut writer = RunWriter::create(folder, false).unwrap();
    writer.document(&document.0, &document.1).unwrap();
    let totals = Totals { tokens: document.1.len() as u64, ..Totals::default() };
    let calibration = CalibrationInfo {
        none_because: temperature.is_none().then(|| "it was too cold".into()),
        searched: [0.1, 10.0],
        at_edge: false,
        elapsed_seconds: 1.0,
        discovery: CalibrationHalf { mean_loss_calibrated_nats: temperature, ..CalibrationHalf::default() },
        confirmation: CalibrationHalf::default(),
    };
    writer.finish(&RunInfo { totals, temperature, calibration: Some(calibration), ..info("t") }).unwrap();
    folder.to_owned()
}

#[test]
fn calibrated_columns_are_read_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let document = with_temperature(true);
    let run = Run::open(&write_at(&folder.path().join("run"), Some(1.25), &document)).unwrap();
    assert_eq!(run.info.temperature, Some(1.25));
    assert_eq!(run.info.calibration.as_ref().unwrap().discovery.mean_loss_calibrated_nats, Some(1.25));
    let columns = run.tokens().unwrap();
    assert!((0..8).all(|row| columns.get(row) == document.1[row]));
    let file = fs::File::open(run.folder().join("tokens.parquet")).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let fields = builder.schema().fields().iter().skip(10);
    let fields: Vec<_> = fields.map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    assert_eq!(
        fields,
        ["loss_calibrated Float32", "entropy_calibrated Float32", "top_probability_calibrated Float32"]
    );
}

#[test]
fn a_run_of_a_version_without_calibration_still_reads() {
    let folder = tempfile::tempdir().unwrap();
    let run = write(&folder.path().join("run"), "t", &[with_temperature(false)]);
    let path = run.join("run.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(json.as_object_mut().unwrap().remove("calibration").is_some());
    fs::write(&path, json.to_string()).unwrap();
    let run = Run::open(&run).unwrap();
    assert_eq!((run.info.temperature, run.info.calibration.clone()), (None, None));
    assert!(run.info.no_temperature_because().contains("a version that fitted none"));
    assert_eq!(run.tokens().unwrap().scores.calibrated, None);
}

#[test]
fn columns_and_temperature_come_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let message = |name: &str, temperature: Option<f64>, document: &(DocumentRecord, Vec<TokenRecord>)| {
        let run = write_at(&folder.path().join(name), temperature, document);
        Run::open(&run).unwrap().tokens().unwrap_err().to_string()
    };
    let said = message("without", Some(1.25), &with_temperature(false));
    assert!(said.contains("tokens.parquet: column `loss_calibrated` is missing"), "{said}");
    let said = message("unnamed", None, &with_temperature(true));
    assert!(said.contains("column `loss_calibrated` is there, but run.json names no temperature"), "{said}");
    for (name, value) in [("nan", f32::NAN), ("infinite", f32::INFINITY)] {
        let mut damaged = with_temperature(true);
        damaged.1[3].score.calibrated.as_mut().unwrap().entropy_nats = value;
        let said = message(name, Some(1.25), &damaged);
        assert!(said.contains("row 3: calibrated loss 2, entropy") && said.contains("not finite"), "{said}");
    }
    // A table of calibrated and other rows has no meaning, and is not written.
    let mut mixed = with_temperature(true);
    mixed.1[5].score.calibrated = None;
    let mut writer = RunWriter::create(&folder.path().join("mixed"), false).unwrap();
    writer.document(&mixed.0, &mixed.1).unwrap();
    assert!(writer.finish(&info("t")).is_err());
    assert!(!folder.path().join("mixed").exists());
}

#[test]
fn a_temperature_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = write_at(&folder.path().join("run"), Some(1.25), &with_temperature(true));
    let path = run.join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    for bad in ["0.0", "-1.25", "\"hot\""] {
        fs::write(&path, text.replacen("\"temperature\": 1.25", &format!("\"temperature\": {bad}"), 1))
            .unwrap();
        let said = Run::open(&run).unwrap_err().to_string();
        assert!(said.contains("run.json"), "{said}");
        assert!(bad == "\"hot\"" || said.contains("where a positive number or null is due"), "{said}");
    }
}

#[test]
fn the_join_carries_both_and_takes_its_difference_on_one_basis() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = with_temperature(true);
    other.1.iter_mut().for_each(|token| token.score.loss_nats = 1.0);
    let mut other_calibrated = other.clone();
    for token in &mut other_calibrated.1 {
        token.score.calibrated.as_mut().unwrap().loss_nats = 3.0;
    }
    let open = |name: &str, temperature, document: &(DocumentRecord, Vec<TokenRecord>)| {
        Run::open(&write_at(&folder.path().join(name), temperature, document)).unwrap()
    };
    let a = open("a", Some(1.25), &with_temperature(true));
    let b = open("b", Some(0.5), &other_calibrated);
    let plain = open("plain", None, &with_temperature(false));
    let runs = |b: &Run| vec![(Role::A, "A".into(), a.clone()), (Role::B, "B".into(), b.clone())];
    let joined = join(runs(&b)).unwrap();
    assert_eq!(joined.models[0].on(Basis::AsScored).unwrap()[0][2], 3.0);
    assert_eq!(
        joined.models[0].on(Basis::Calibrated).unwrap(),
        [&[0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0][..], &[0.75; 8]]
    );
    let path = folder.path().join("joined.parquet");
    let names = ["all".to_owned()];
    let written = |joined: &Joined, basis: Basis| {
        let mut writer = JoinedWriter::create(&path, joined, basis, &names).unwrap();
        writer.write(joined, 0, &[0; 8], &[0; 8])?;
        writer.close()
    };
    for (basis, delta) in [(Basis::AsScored, 1.0 - 1.0), (Basis::Calibrated, 0.5 - 3.0)] {
        written(&joined, basis).unwrap();
        let file = fs::File::open(&path).unwrap();
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batch = reader.next().unwrap().unwrap();
        let float = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Float32Type>().value(0);
        let found = [float("loss_a"), float("loss_calibrated_a"), float("top_probability_calibrated_b")];
        assert_eq!(found, [1.0, 0.5, 0.125]);
        assert_eq!(batch.column_by_name("delta").unwrap().as_primitive::<Float64Type>().value(0), delta);
        let mut columns = JoinedColumns::open(&path, &[Role::A, Role::B], basis, &names).unwrap();
        let piece = columns.next_documents().unwrap().unwrap();
        assert_eq!(f64::from(piece.losses[0][0]) - f64::from(piece.losses[1][0]), delta);
        assert_eq!(piece.entropies[0][0], if basis == Basis::Calibrated { 0.75 } else { 0.5 });
    }
    let joined = join(runs(&plain)).unwrap();
    written(&joined, Basis::AsScored).unwrap();
    let file = fs::File::open(&path).unwrap();
    let schema = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().schema().clone();
    let has = |name: &str| schema.field_with_name(name).is_ok();
    assert!(has("loss_calibrated_a") && !has("loss_calibrated_b"));
    let said = written(&joined, Basis::Calibrated).unwrap_err().to_string();
    assert!(said.contains("the run of B has no temperature (it was too cold)"), "{said}");
    assert!(said.contains("--calibrated"), "{said}");
}
