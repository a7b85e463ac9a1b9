//! Writes the sample report, to look at it: `cargo run --release -p deltaloss-report --example sample_report -- OUT [KIND]`.
//!
//! KIND is `post` (the default), `intervals`, `halves`, `few`, `one-pair`, `identical`, `empty`, `hostile` or `extreme`; or
//! `from RESULTS.json`, to write the report of a comparison that was computed before.
#![allow(clippy::print_stdout, reason = "an example shows what it made")]

#[path = "../testing/sample.rs"]
mod sample;

use std::error::Error;
use std::path::PathBuf;

use deltaloss_stats::Comparison;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = PathBuf::from(arguments.next().ok_or("name the folder to write to")?);
    let comparison = match arguments.next().as_deref() {
        None | Some("post") => sample::comparison(),
        Some("from") => read(&arguments.next().ok_or("name the results.json after `from`")?)?,
        Some("halves") => sample::halves(),
        Some("few") => sample::few(),
        Some("intervals") => sample::with_intervals(),
        Some("one-pair") => sample::one_pair(),
        Some("identical") => sample::identical(),
        Some("empty") => sample::empty(),
        Some("hostile") => sample::hostile(),
        Some("extreme") => sample::extreme(),
        Some(other) => return Err(format!("`{other}` is no kind of sample").into()),
    };
    std::fs::create_dir_all(&out)?;
    deltaloss_report::write_report(&comparison, &[], &out)?;
    print!("{}", deltaloss_report::terminal_summary(&comparison, 80, deltaloss_report::Colours::None));
    Ok(())
}

fn read(path: &str) -> Result<Comparison, Box<dyn Error>> {
    let json = std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    Ok(serde_json::from_str(&json).map_err(|error| format!("{path} holds no comparison: {error}"))?)
}
