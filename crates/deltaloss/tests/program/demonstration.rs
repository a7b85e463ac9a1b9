//! `demo`, and its numbers recomputed from `joined.parquet` alone.

use std::collections::BTreeMap;
use std::fs::File;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, UInt32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::*;

/// `joined.parquet` as a notebook would see it.
#[derive(Default)]
struct Table {
    integers: BTreeMap<String, Vec<u32>>,
    floats: BTreeMap<String, Vec<f64>>,
    category: Vec<String>,
}

impl Table {
    fn read(path: &Path) -> Self {
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
        let mut table = Table::default();
        for batch in reader.map(Result::unwrap) {
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                let name = field.name().clone();
                if let Some(values) = column.as_primitive_opt::<UInt32Type>() {
                    table.integers.entry(name).or_default().extend(values.values());
                } else if let Some(values) = column.as_primitive_opt::<Float32Type>() {
                    table
                        .floats
                        .entry(name)
                        .or_default()
                        .extend(values.iter().map(|v| v.map_or(f64::NAN, f64::from)));
                } else if let Some(values) = column.as_primitive_opt::<Float64Type>() {
                    table.floats.entry(name).or_default().extend(values.values());
                } else if name == "split" {
                    let halves = column.as_string::<i32>();
                    assert!(halves.iter().all(|half| matches!(half, Some("discovery" | "confirmation"))));
                } else if name == "text" {
                    assert_eq!(column.as_string::<i32>().iter().flatten().count(), batch.num_rows());
                } else {
                    assert_eq!(name, "category");
                    table.category.extend(column.as_string::<i32>().iter().map(|v| v.unwrap().to_owned()));
                }
            }
        }
        table
    }

    fn float(&self, name: &str) -> &[f64] {
        &self.floats[name]
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0
}

fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (mean(x.iter().copied()), mean(y.iter().copied()));
    let sum = |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(y).map(|(&x, &y)| f(x - mx, y - my)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

/// Mean of `values` where `keep`, by key.
fn means_by<K: Ord + Clone>(keys: &[K], values: &[f64]) -> BTreeMap<K, (usize, f64)> {
    let mut sums: BTreeMap<K, (usize, f64)> = BTreeMap::new();
    for (key, value) in keys.iter().zip(values) {
        let entry = sums.entry(key.clone()).or_default();
        *entry = (entry.0 + 1, entry.1 + value);
    }
    sums.values_mut().for_each(|(count, sum)| *sum /= *count as f64);
    sums
}

#[track_caller]
fn assert_close(found: &Value, expected: f64, what: &str) {
    let found = found.get("value").unwrap_or(found).as_f64().unwrap_or_else(|| panic!("{what}: {found}"));
    assert!(
        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{what}: {found}, recomputed {expected}"
    );
}

fn check_overall(results: &Value, table: &Table) {
    for model in results["all"]["overall"]["models"].as_array().unwrap() {
        let role = model["role"].as_str().unwrap();
        let (loss, entropy) = (table.float(&format!("loss_{role}")), table.float(&format!("entropy_{role}")));
        assert_close(&model["mean_loss_nats"], mean(loss.iter().copied()), role);
        assert_close(&model["perplexity"], mean(loss.iter().copied()).exp(), role);
        assert_close(&model["mean_entropy_nats"], mean(entropy.iter().copied()), role);
        assert_close(&model["median_entropy_nats"], median(entropy), role);
        let hits = table.integers[&format!("rank_{role}")].iter().map(|&rank| f64::from(u8::from(rank == 0)));
        assert_close(&model["top1_accuracy"], mean(hits), role);
        let spans = table.integers["byte_end"].iter().zip(&table.integers["byte_start"]);
        let bytes: f64 = spans.map(|(end, start)| f64::from(end - start)).sum();
        assert_close(
            &model["bits_per_byte"],
            loss.iter().sum::<f64>() / std::f64::consts::LN_2 / bytes,
            role,
        );
    }
    let delta = table.float("delta");
    let pair = &results["all"]["overall"]["pairs"][0];
    assert_close(&pair["mean_delta_nats"], mean(delta.iter().copied()), "mean delta");
    assert_close(
        &pair["first_wins_tokens"],
        mean(delta.iter().map(|&d| f64::from(u8::from(d < 0.0)))),
        "tokens won",
    );
    let documents = means_by(&table.integers["document"], delta);
    let won = mean(documents.values().map(|&(_, d)| f64::from(u8::from(d < 0.0))));
    assert_close(&pair["first_wins_documents"], won, "documents won");
}

fn check_categories(results: &Value, table: &Table) {
    let delta = means_by(&table.category, table.float("delta"));
    let loss_a = means_by(&table.category, table.float("loss_a"));
    let twin: Vec<f64> = table
        .float("loss_placebo")
        .iter()
        .zip(table.float("loss_b"))
        .map(|(placebo, b)| placebo - b)
        .collect();
    let twin = means_by(&table.category, &twin);
    let total: f64 = table.float("delta").iter().sum();
    let rows = results["all"]["categories"].as_array().unwrap();
    assert_eq!(rows.len(), 19);
    let mut counted = 0;
    for row in rows {
        let name = row["name"].as_str().unwrap();
        let Some(&(count, mean)) = delta.get(name) else {
            assert_eq!(row["tokens"], 0, "{name}");
            continue;
        };
        counted += count;
        assert_eq!(row["tokens"].as_u64(), Some(count as u64), "{name}");
        assert_close(&row["delta_nats"], mean, name);
        assert_close(&row["loss_a_nats"], loss_a[name].1, name);
        assert_close(&row["placebo_delta_nats"], twin[name].1, name);
        assert_close(&row["share_of_gap"], mean * count as f64 / total, name);
    }
    assert_eq!(counted, table.category.len());
}

fn check_correlation(results: &Value, table: &Table) {
    let pairs = results["all"]["correlation"].as_array().unwrap();
    assert_eq!(pairs.len(), 6);
    for pair in pairs {
        let loss = |axis: &str| table.float(&format!("loss_{}", pair[axis].as_str().unwrap()));
        let (x, y) = (loss("x"), loss("y"));
        let what = format!("{} {}", pair["x"], pair["y"]);
        assert_close(&pair["pearson_occurrences"], pearson(x, y), &what);
        let types = |values: &[f64]| {
            means_by(&table.integers["token"], values).into_values().map(|(_, m)| m).collect::<Vec<_>>()
        };
        assert_close(&pair["pearson_vocabulary"], pearson(&types(x), &types(y)), &what);
        assert_eq!(pair["vocabulary_entries"].as_u64(), Some(types(x).len() as u64));
        let cells: u64 = pair["heatmap_occurrences"]["counts"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|row| row.as_array().unwrap())
            .map(|n| n.as_u64().unwrap())
            .sum();
        assert_eq!(cells + pair["heatmap_occurrences"]["outside"].as_u64().unwrap(), x.len() as u64);
    }
}

fn check_confidence(results: &Value, table: &Table) {
    let (entropy_a, entropy_b, delta) =
        (table.float("entropy_a"), table.float("entropy_b"), table.float("delta"));
    let rows = results["all"]["confidence"].as_array().unwrap();
    assert_eq!(rows.len(), 12);
    for row in rows {
        let (c, u) =
            (row["confident_below_nats"].as_f64().unwrap(), row["uncertain_above_nats"].as_f64().unwrap());
        for (cell, confident, uncertain) in
            [("a_confident", entropy_a, entropy_b), ("b_confident", entropy_b, entropy_a)]
        {
            let chosen: Vec<f64> = (0..delta.len())
                .filter(|&i| confident[i] < c && uncertain[i] > u)
                .map(|i| delta[i])
                .collect();
            assert_eq!(row[cell]["tokens"].as_u64(), Some(chosen.len() as u64), "{c} {u} {cell}");
            if !chosen.is_empty() {
                assert_close(&row[cell]["delta_nats"], mean(chosen.iter().copied()), cell);
            }
        }
    }
}

fn check_entropy(results: &Value, table: &Table) {
    for model in results["all"]["entropy"].as_array().unwrap() {
        let entropy = table.float(&format!("entropy_{}", model["role"].as_str().unwrap()));
        assert_close(&model["mean_nats"], mean(entropy.iter().copied()), "mean entropy");
        let low = mean(entropy.iter().map(|&e| f64::from(u8::from(e < 0.2))));
        assert_close(&model["share_below_0_2"], low, "share below 0.2");
    }
}

/// Nineteen in twenty tokens and more have the oracle's entropy; bins hold them all, and the trend is least squares.
fn check_oracle(results: &Value, table: &Table) {
    let oracle = &results["all"]["oracle"];
    let (entropy, delta) = (table.float("entropy_oracle"), table.float("delta"));
    let known: Vec<(f64, f64)> =
        entropy.iter().copied().zip(delta.iter().copied()).filter(|(entropy, _)| !entropy.is_nan()).collect();
    assert!(known.len() as f64 > 0.95 * delta.len() as f64, "{}", known.len());
    assert_eq!(oracle["tokens"].as_u64(), Some(known.len() as u64));
    assert_eq!(oracle["without_value"].as_u64(), Some((delta.len() - known.len()) as u64));
    let bins = oracle["bins"].as_array().unwrap();
    assert_eq!(bins.len(), 20);
    let mut from = f64::NEG_INFINITY;
    for bin in bins {
        let up_to = bin["up_to_nats"].as_f64().unwrap();
        let inside = || known.iter().filter(|(entropy, _)| *entropy > from && *entropy <= up_to);
        assert_eq!(bin["tokens"].as_u64(), Some(inside().count() as u64), "{bin}");
        assert_close(&bin["mean_entropy_nats"], mean(inside().map(|(entropy, _)| *entropy)), "mean entropy");
        assert_close(&bin["delta_nats"], mean(inside().map(|(_, delta)| *delta)), "bin");
        from = up_to;
    }
    let (mx, my) = (mean(known.iter().map(|(x, _)| *x)), mean(known.iter().map(|(_, y)| *y)));
    let products: f64 = known.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
    let squares: f64 = known.iter().map(|(x, _)| (x - mx).powi(2)).sum();
    assert_close(&oracle["trend"]["slope"], products / squares, "trend");
}

/// Errors of fifteen bins of (m − 1)/15 < p ≤ m/15, as scored and at each model's temperature.
fn check_reliability(results: &Value, table: &Table) {
    let models = results["all"]["reliability"].as_array().unwrap();
    assert_eq!(models.len(), 4);
    for model in models {
        let role = model["role"].as_str().unwrap();
        let top = &table.integers[&format!("top_token_{role}")];
        let hits: Vec<f64> = top
            .iter()
            .zip(&table.integers["token"])
            .map(|(top, token)| f64::from(u8::from(top == token)))
            .collect();
        for (diagram, column) in
            [("as_scored", "top_probability"), ("calibrated", "top_probability_calibrated")]
        {
            let probability = table.float(&format!("{column}_{role}"));
            let mut error = 0.0;
            for bin in 0..15 {
                let inside = |p: f64| p * 15.0 > f64::from(bin) && p * 15.0 <= f64::from(bin + 1);
                let rows = (0..hits.len()).filter(|&row| inside(probability[row]));
                error += rows.map(|row| hits[row] - probability[row]).sum::<f64>().abs();
            }
            let found = &model[diagram]["expected_calibration_error"];
            assert_close(found, error / hits.len() as f64, diagram);
            let sure = mean(probability.iter().copied()) - mean(hits.iter().copied());
            assert_close(&model[diagram]["overconfidence"], sure, diagram);
        }
    }
    for model in results["setup"]["models"].as_array().unwrap() {
        assert!((0.8..1.2).contains(&model["run"]["temperature"].as_f64().unwrap()), "{}", model["label"]);
    }
}

/// Brackets need the texts too, which lie in the run.
fn check_brackets(results: &Value, table: &Table, documents: &Path) {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(documents).unwrap()).unwrap().build().unwrap();
    let mut texts = Vec::new();
    for batch in reader.map(Result::unwrap) {
        texts.extend(
            batch.column_by_name("text").unwrap().as_string::<i32>().iter().map(|t| t.unwrap().to_owned()),
        );
    }
    let integers = |name: &str| &table.integers[name];
    let rows: Vec<String> = (0..table.category.len())
        .map(|i| {
            let text = texts[integers("document")[i] as usize].as_bytes();
            let span = integers("byte_start")[i] as usize..integers("byte_end")[i] as usize;
            String::from_utf8_lossy(&text[span]).into_owned()
        })
        .collect();
    let means = means_by(&rows, table.float("delta"));
    let only = |text: &str, allowed: &str| {
        text.chars().all(|c| allowed.contains(c)) && text.contains([')', ']', '}'])
    };
    let by_token = results["all"]["brackets"]["by_token"].as_array().unwrap();
    assert_eq!(by_token.len(), means.keys().filter(|text| only(text, ")]}")).count());
    for row in by_token {
        let (count, mean) = means[row["name"].as_str().unwrap()];
        assert_eq!(row["tokens"].as_u64(), Some(count as u64));
        assert_close(&row["delta_nats"], mean, "bracket token");
    }
    let mut by_count: BTreeMap<usize, (usize, f64)> = BTreeMap::new();
    for (text, (count, mean)) in means.iter().filter(|(text, _)| only(text, ")]}: \t\r\n")) {
        let entry = by_count.entry(text.matches([')', ']', '}']).count()).or_default();
        *entry = (entry.0 + count, entry.1 + mean * *count as f64);
    }
    for row in results["all"]["brackets"]["by_count"].as_array().unwrap() {
        let (count, sum) = by_count.remove(&row["name"].as_str().unwrap().parse().unwrap()).unwrap();
        assert_eq!(row["tokens"].as_u64(), Some(count as u64));
        assert_close(&row["delta_nats"], sum / count as f64, "bracket count");
    }
    assert!(by_count.is_empty());
}

#[test]
fn the_demo_writes_everything_and_its_numbers_can_be_recomputed() {
    let folder = tempfile::tempdir().unwrap();
    let said = succeeds(folder.path(), &["demo", "--documents", "12"]);
    assert!(
        said.contains("Closing brackets") && said.lines().all(|line| line.chars().count() <= 80),
        "{said}"
    );
    assert_eq!(names(folder.path()), ["deltaloss-demo"]);
    let out = folder.path().join("deltaloss-demo");
    assert_eq!(
        names(&out),
        [
            "documents.parquet",
            "experiment.toml",
            "figures",
            "joined.parquet",
            "report.html",
            "report.md",
            "results.json",
            "runs",
            "tables",
            "vocabulary.parquet"
        ]
    );
    let runs = ["dense", "dense-small", "dense-twin", "smollm2-135m-instruct", "sparse"];
    assert_eq!(names(&out.join("runs")), runs);
    for figure in ["overall", "correlation", "categories", "brackets", "entropy", "confidence", "oracle"] {
        let svg = std::fs::read_to_string(out.join("figures").join(format!("{figure}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") || svg.starts_with("<?xml"), "{figure}");
    }
    for table in [
        "overall_models",
        "overall_pairs",
        "correlation",
        "categories",
        "brackets_by_token",
        "entropy",
        "confidence",
        "oracle_bins",
    ] {
        assert!(out.join("tables").join(format!("{table}.csv")).is_file(), "{table}");
    }
    let html = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(html.len() < 5 << 20 && !html.contains("http://") && !html.contains("https://"));

    let (results, table) = (json(&out.join("results.json")), Table::read(&out.join("joined.parquet")));
    assert_eq!(results["setup"]["tokens"].as_u64(), Some(table.category.len() as u64));
    check_overall(&results, &table);
    check_categories(&results, &table);
    check_correlation(&results, &table);
    check_confidence(&results, &table);
    check_entropy(&results, &table);
    check_reliability(&results, &table);
    check_oracle(&results, &table);
    check_brackets(&results, &table, &out.join("runs/sparse/documents.parquet"));

    // A comparison must not replace the folder that its runs lie in.
    let (a, b) = ("deltaloss-demo/runs/sparse", "deltaloss-demo/runs/dense");
    let call = ["compare", "--a", a, "--b", b, "--out", "deltaloss-demo", "--overwrite"];
    let message = fails(folder.path(), &call, 1);
    assert!(message.contains("it holds `experiment.toml`, which no comparison does"), "{message}");

    // Again: replaced, and the same but for the clock.
    succeeds(folder.path(), &["demo", "--documents", "12", "--quiet", "--threads", "1"]);
    let again = json(&out.join("results.json"));
    for part in ["all", "discovery", "confirmation"] {
        assert!(results[part].is_object() && again[part] == results[part], "{part}");
    }
}

#[test]
fn a_folder_that_is_no_demonstration_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine");
    std::fs::create_dir(&mine).unwrap();
    std::fs::write(mine.join("results.json"), "{\"accuracy\": 0.9}").unwrap();
    std::fs::write(mine.join("thesis.tex"), "years of work").unwrap();
    let message = fails(folder.path(), &["demo", "--out", "mine"], 1);
    assert!(message.contains("it holds `thesis.tex`, which no demonstration does"), "{message}");
    std::fs::remove_file(mine.join("thesis.tex")).unwrap();
    let message = fails(folder.path(), &["demo", "--out", "mine"], 1);
    assert!(message.contains("it has no `report.html`"), "{message}");
    assert_eq!(names(&mine), ["results.json"]);
}
