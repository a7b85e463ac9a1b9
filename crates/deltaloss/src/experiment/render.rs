//! An experiment with every default written out, as TOML that can be run again.

use std::fmt::Write;

use deltaloss_records::Role;

use super::{
    AnalysesTable, CorpusTable, Experiment, LeadChoice, ModeChoice, ModelTable, SolutionsChoice,
    WeightsChoice, table_name,
};
use crate::scoring::is_gguf;

/// What a model's scoring used where the file left it open.
#[derive(Clone, Debug)]
pub(super) struct Used {
    pub(super) label: String,
    /// Context and whether a beginning-of-text token stood in front, of a model that was scored.
    pub(super) window: Option<(u32, bool)>,
}

/// Lines of TOML: values, and comments in place of values that are not set.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn table(&mut self, name: &str) {
        let _ = writeln!(self.0, "\n[{name}]");
    }

    fn value(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    fn text(&mut self, key: &str, text: &str) {
        self.value(key, quoted(text));
    }

    /// A value, or what holds without one.
    fn or(&mut self, key: &str, value: Option<String>, without: &str) {
        match value {
            Some(value) => self.value(key, value),
            None => {
                let _ = writeln!(self.0, "# {key}: {without}");
            }
        }
    }
}

impl Experiment {
    /// The experiment with its defaults, and what each model of the cast used.
    pub(super) fn render(&self, used: &[(Role, Used)]) -> String {
        let mut lines = Lines::default();
        let version = env!("CARGO_PKG_VERSION");
        let _ = writeln!(lines.0, "# {}, with every default of deltaloss {version}", heading(&self.name));
        lines.or(
            "output",
            self.output.as_ref().map(|path| quoted(&path.to_string_lossy())),
            &format!("deltaloss-{}", self.name),
        );
        corpus(&mut lines, &self.corpus);
        lines.table("window");
        let mode = match self.window.mode {
            ModeChoice::Truncate => "truncate",
            ModeChoice::Chunk => "chunk",
            ModeChoice::Slide => "slide",
        };
        lines.text("mode", mode);
        let without = if mode == "slide" { "half the context" } else { "for slide" };
        lines.or("stride", self.window.stride.map(|stride| stride.to_string()), without);
        lines.or(
            "context",
            self.window.context.map(|context| context.to_string()),
            "each model's own, below",
        );
        let front = self.window.beginning_of_text.map(|front| front.to_string());
        lines.or("beginning_of_text", front, "each model's own, below");
        for (role, table) in self.cast() {
            lines.table(&table_name(role));
            let used = used.iter().find(|(of, _)| *of == role).map(|(_, used)| used);
            model(&mut lines, role, table, used);
        }
        analyses(&mut lines, &self.analyses);
        lines.0
    }
}

/// How the copy of an experiment of this name begins.
pub(crate) fn heading(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    format!("The experiment `{name}`")
}

fn corpus(lines: &mut Lines, table: &CorpusTable) {
    lines.table("corpus");
    lines.text("source", &table.source);
    lines.or(
        "text_column",
        table.text_column.as_deref().map(quoted),
        "text, content or code; solutions as in APPS",
    );
    lines.or("name_column", table.name_column.as_deref().map(quoted), "none");
    let list = |items: &Vec<String>| {
        let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
        format!("[{}]", items.join(", "))
    };
    lines.or(
        "extensions",
        table.extensions.as_ref().map(list),
        "data sets, or else source code and plain text",
    );
    let solutions = match table.solutions {
        SolutionsChoice::First => "first",
        SolutionsChoice::All => "all",
    };
    lines.text("solutions", solutions);
    lines.or("max_documents", table.max_documents.map(|n| n.to_string()), "all");
    lines.or("sample", table.sample.map(|n| n.to_string()), "all");
    lines.value("skip_unusable", table.skip_unusable);
    lines.value("keep_going", table.keep_going);
}

fn model(lines: &mut Lines, role: Role, table: &ModelTable, used: Option<&Used>) {
    let label = used.map(|used| used.label.clone()).or_else(|| table.label.clone());
    if let Some(run) = &table.run {
        lines.text("run", run);
        lines.or("label", label.as_deref().map(quoted), "the model's name");
        return;
    }
    let source = table.source.as_deref().unwrap_or_default();
    lines.text("source", source);
    lines.or("label", label.as_deref().map(quoted), "the model's name");
    lines.or("tokenizer", table.tokenizer.as_deref().map(quoted), "the model's own");
    let window = used.and_then(|used| used.window);
    let context = window.map(|(context, _)| context.to_string());
    lines.or("context", context.or(table.context.map(|n| n.to_string())), "[window]'s");
    let front = window.map(|(_, front)| front.to_string());
    lines.or("beginning_of_text", front.or(table.beginning_of_text.map(|b| b.to_string())), "[window]'s");
    lines.value("compact", table.is_compact(role));
    let (_, has_options) = table.gguf_options();
    if is_gguf(source) || has_options {
        lines.value("gpu_layers", table.gpu_layers.unwrap_or(0));
        lines.or("batch", table.batch.map(|n| n.to_string()), "512");
        let weights = table.weights.map(|weights| match weights {
            WeightsChoice::Stored => quoted("stored"),
            WeightsChoice::F32 => quoted("f32"),
        });
        lines.or(
            "weights",
            weights,
            "f32 without a GPU for models of up to a thousand million weights, else stored",
        );
    }
}

fn analyses(lines: &mut Lines, table: &AnalysesTable) {
    lines.table("analyses");
    lines.or("rules", table.rules.as_ref().map(|path| quoted(&path.to_string_lossy())), "the built-in ones");
    lines.value("calibrate", table.calibrate);
    let lead = match table.lead {
        LeadChoice::AsScored => "as-scored",
        LeadChoice::Calibrated => "calibrated",
    };
    lines.text("lead", lead);
    lines.value("confident_below_nats", format!("{:?}", table.confident_below_nats));
    lines.value("uncertain_above_nats", format!("{:?}", table.uncertain_above_nats));
    lines.value("replicates", table.replicates);
    lines.value("seed", table.seed);
}

/// A TOML string: JSON's escapes are among TOML's, which wants DEL escaped as well.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
