//! The full simulation: how often intervals hold the truth, how often tests discover what is not there.
//!
//! `cargo run --release -p deltaloss-stats --example simulation -- OUT.tsv SCENARIO DOCUMENTS CORPORA [REPLICATES]`, with
//! SCENARIO `effects`, `gap` or `null`. Writes a row an estimate and prints a summary; `bench/simulation/README.md` explains both.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "../testing/simulation.rs"]
mod simulation;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;

use simulation::{Found, Scenario, corpus, estimates, results};

/// Documents of the corpus whose numbers are taken for the truth.
const TRUTH_DOCUMENTS: usize = 30_000;

/// What the corpora show of one estimate.
#[derive(Default)]
struct Tally {
    kind: String,
    truth: f64,
    corpora: f64,
    sum: f64,
    squares: f64,
    errors: f64,
    with_interval: f64,
    interval_holds: f64,
    with_error: f64,
    t_holds: f64,
    tested: f64,
    discovered: f64,
}

impl Tally {
    fn add(&mut self, found: &Found) {
        let off = found.value - self.truth;
        self.corpora += 1.0;
        self.sum += off;
        self.squares += off * off;
        if let Some([low, high]) = found.interval {
            self.with_interval += 1.0;
            self.interval_holds += f64::from(u8::from(low <= self.truth && self.truth <= high));
        }
        if let Some(error) = found.standard_error {
            self.with_error += 1.0;
            self.errors += error;
            let half = t_quantile(found.degrees_of_freedom) * error;
            self.t_holds += f64::from(u8::from(off.abs() <= half));
        }
        if let Some(q_value) = found.q_value {
            self.tested += 1.0;
            self.discovered += f64::from(u8::from(q_value < 0.05));
        }
    }

    fn bias(&self) -> f64 {
        self.sum / self.corpora
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.corpora - self.bias().powi(2)).max(0.0).sqrt()
    }
}

/// The 0.975 quantile of Student's t: the expansion of Cornish and Fisher in 1 / ν (Abramowitz and Stegun 1964,
/// 26.7.5), within 1e-4 from 9 degrees of freedom on.
fn t_quantile(degrees_of_freedom: u64) -> f64 {
    let (x, nu) = (1.959_963_984_540_054_f64, degrees_of_freedom as f64);
    let g1 = (x.powi(3) + x) / 4.0;
    let g2 = (5.0 * x.powi(5) + 16.0 * x.powi(3) + 3.0 * x) / 96.0;
    let g3 = (3.0 * x.powi(7) + 19.0 * x.powi(5) + 17.0 * x.powi(3) - 15.0 * x) / 384.0;
    let g4 = (79.0 * x.powi(9) + 776.0 * x.powi(7) + 1482.0 * x.powi(5) - 1920.0 * x.powi(3) - 945.0 * x)
        / 92160.0;
    x + g1 / nu + g2 / nu.powi(2) + g3 / nu.powi(3) + g4 / nu.powi(4)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, scenario, documents, corpora, rest @ ..] = &arguments[..] else {
        return Err("give OUT.tsv SCENARIO DOCUMENTS CORPORA [REPLICATES]".into());
    };
    let scenario = match scenario.as_str() {
        "effects" => Scenario::Effects,
        "gap" => Scenario::Gap,
        "null" => Scenario::Null,
        other => return Err(format!("`{other}` is no scenario: give `effects`, `gap` or `null`").into()),
    };
    let (documents, corpora): (usize, u64) = (documents.parse()?, corpora.parse()?);
    let replicates = rest.first().map_or(Ok(1000), |text| text.parse())?;
    let truth = results(&corpus(scenario, TRUTH_DOCUMENTS, 0), 0, 1);
    let mut tallies: BTreeMap<String, Tally> = (estimates(&truth).into_iter())
        .map(|found| (found.place, Tally { kind: found.kind, truth: found.value, ..Tally::default() }))
        .collect();
    let mut discovering: BTreeMap<String, f64> = BTreeMap::new();
    for seed in 1..=corpora {
        let found = estimates(&results(&corpus(scenario, documents, seed), replicates, seed));
        let mut families: BTreeMap<String, bool> = BTreeMap::new();
        for found in &found {
            // A row that the truth lacks is so rare that it has none.
            let Some(tally) = tallies.get_mut(&found.place) else { continue };
            tally.add(found);
            if let Some(q_value) = found.q_value {
                *families.entry(found.kind.clone()).or_default() |= q_value < 0.05;
            }
        }
        for (family, any) in families {
            *discovering.entry(family).or_default() += f64::from(u8::from(any));
        }
    }
    write_rows(out, &tallies)?;
    summarise(&tallies);
    println!("\nfamily of tests: share of corpora with any q < 0.05");
    for (family, count) in discovering {
        println!("{family:<60} {:.4}", count / corpora as f64);
    }
    Ok(())
}

fn write_rows(out: &str, tallies: &BTreeMap<String, Tally>) -> Result<(), Box<dyn Error>> {
    let mut text = String::from(
        "place\tcorpora\ttruth\tbias\tdeviation\tmean_standard_error\tcoverage_resampled\tcoverage_t\tdiscovered\n",
    );
    for (place, tally) in tallies.iter().filter(|(_, tally)| tally.corpora > 0.0) {
        let (bias, deviation) = (tally.bias(), tally.deviation());
        let error = tally.errors / tally.with_error;
        let (resampled, t) = (tally.interval_holds / tally.with_interval, tally.t_holds / tally.with_error);
        let discovered = tally.discovered / tally.tested;
        let place = place.escape_debug();
        writeln!(
            text,
            "{place}\t{}\t{:.6}\t{bias:.6}\t{deviation:.6}\t{error:.6}\t{resampled:.4}\t{t:.4}\t{discovered:.4}",
            tally.corpora, tally.truth
        )?;
    }
    std::fs::write(out, text)?;
    Ok(())
}

/// Least, mean and largest coverage of the estimates of a kind, and their largest bias in standard errors of the mean.
fn summarise(tallies: &BTreeMap<String, Tally>) {
    let mut kinds: BTreeMap<String, Vec<&Tally>> = BTreeMap::new();
    for tally in tallies.values() {
        // With few corpora a coverage says nothing.
        if tally.with_interval.max(tally.with_error) >= 200.0 {
            kinds.entry(tally.kind.clone()).or_default().push(tally);
        }
    }
    println!(
        "{:<60} {:>5}  {:<22}  {:<22}  bias/deviation",
        "kind", "rows", "resampled: least mean most", "t: least mean most"
    );
    for (kind, tallies) in kinds {
        let resampled = tallies.iter().map(|tally| tally.interval_holds / tally.with_interval);
        let t = tallies.iter().map(|tally| tally.t_holds / tally.with_error);
        let bias = tallies.iter().map(|tally| (tally.bias() / tally.deviation()).abs()).fold(0.0, f64::max);
        println!("{kind:<60} {:>5}  {:<22}  {:<22}  {bias:.3}", tallies.len(), range(resampled), range(t));
    }
}

fn range(shares: impl Iterator<Item = f64>) -> String {
    let shares: Vec<f64> = shares.filter(|share| share.is_finite()).collect();
    if shares.is_empty() {
        return "–".to_owned();
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let (least, most) =
        shares.iter().fold((1.0f64, 0.0f64), |(least, most), &share| (least.min(share), most.max(share)));
    format!("{least:.3} {mean:.3} {most:.3}")
}
