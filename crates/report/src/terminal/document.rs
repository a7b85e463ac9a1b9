//! A document's tokens in a terminal: the text, shaded, with each line's Δ beside it.

use deltaloss_records::Role;

use super::colours::{self, BOLD, Colours, SOFT, role_code, shade_codes};
use super::{cut, grid};
use crate::format;
use crate::viewer::{ComparisonView, DocumentList, DocumentView};

/// Columns of a line's Δ.
const GUTTER: usize = 8;

/// What tokens are shaded by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shade {
    /// The difference of the losses.
    #[default]
    Delta,
    /// One model's loss.
    Loss(Role),
    /// One model's entropy, the oracle's among them.
    Entropy(Role),
}

impl Shade {
    /// Where the steps begin, nats.
    fn steps(self) -> [f64; 5] {
        match self {
            Shade::Delta => [0.1, 0.5, 1.0, 2.0, 4.0],
            Shade::Loss(_) => [0.5, 1.0, 2.0, 4.0, 8.0],
            Shade::Entropy(_) => [0.2, 0.5, 1.0, 2.0, 4.0],
        }
    }

    /// A token's value, where it has one.
    fn value(self, document: &DocumentView, token: usize) -> Option<f64> {
        let of = |role: Role| document.models.iter().find(|model| model.role == role.name());
        match self {
            Shade::Delta => document.delta.get(token).copied(),
            Shade::Entropy(Role::Oracle) => document.oracle.as_ref()?.get(token).copied()?,
            Shade::Loss(role) => of(role)?.loss.get(token).copied(),
            Shade::Entropy(role) => of(role)?.entropy.get(token).copied(),
        }
    }

    /// The code of a value; nothing below the first step.
    fn code(self, value: f64) -> &'static str {
        let role = match self {
            Shade::Delta if value < 0.0 => Role::A,
            Shade::Delta => Role::B,
            Shade::Loss(role) | Shade::Entropy(role) => role,
        };
        let step = self.steps().iter().filter(|step| value.abs() >= **step).count();
        step.checked_sub(1).map_or("", |step| shade_codes(role)[step])
    }

    /// Whether a comparison has what this shades by.
    pub fn is_in(self, comparison: &ComparisonView) -> bool {
        match self {
            Shade::Delta => true,
            Shade::Entropy(Role::Oracle) => comparison.oracle.is_some(),
            Shade::Loss(role) | Shade::Entropy(role) => {
                comparison.models.iter().any(|model| model.role == role.name())
            }
        }
    }
}

/// A document's tokens, shaded where there are colours; beside every line the sum of Δ of the tokens that begin in it. No
/// text in it can steer the terminal.
pub fn terminal_document(
    comparison: &ComparisonView,
    document: &DocumentView,
    shade: Shade,
    colours: Colours,
) -> String {
    let mut out = head(comparison, document, shade, colours);
    let mut line = Line { text: String::new(), delta: 0.0, tokens: 0 };
    let mut gaps = document.gaps.iter().peekable();
    for index in 0..=document.text.len() {
        while let Some((_, text)) = gaps.next_if(|(before, _)| *before <= index) {
            line.add(&mut out, text, colours.code(SOFT), colours);
        }
        let Some(text) = document.text.get(index) else { break };
        line.delta += document.delta.get(index).copied().unwrap_or(0.0);
        line.tokens += 1;
        let code = shade.value(document, index).map_or("", |value| colours.code(shade.code(value)));
        line.add(&mut out, text, code, colours);
    }
    if !line.text.is_empty() || line.tokens > 0 {
        line.end(&mut out, colours);
    }
    out
}

/// A line being put together.
struct Line {
    text: String,
    delta: f64,
    tokens: usize,
}

impl Line {
    fn add(&mut self, out: &mut String, text: &str, code: &str, colours: Colours) {
        for (part, piece) in text.split('\n').enumerate() {
            if part > 0 {
                self.end(out, colours);
            }
            colours::push(&mut self.text, code, piece);
        }
    }

    fn end(&mut self, out: &mut String, colours: Colours) {
        let delta = if self.tokens == 0 { String::new() } else { format::delta(self.delta) };
        let blanks = " ".repeat(GUTTER.saturating_sub(delta.chars().count()));
        colours::push(out, colours.code(SOFT), &format!("{blanks}{delta} │"));
        out.push_str(if self.text.is_empty() { "" } else { " " });
        out.push_str(&std::mem::take(&mut self.text));
        out.push('\n');
        (self.delta, self.tokens) = (0.0, 0);
    }
}

/// What the document is, and how to read what follows.
fn head(comparison: &ComparisonView, document: &DocumentView, shade: Shade, colours: Colours) -> String {
    let label = |role: Role| {
        let found = comparison.models.iter().find(|model| model.role == role.name());
        let oracle = comparison.oracle.as_deref().filter(|_| role == Role::Oracle);
        found.map(|model| model.label.as_str()).or(oracle).unwrap_or(role.name())
    };
    let mut out = String::new();
    colours::push(&mut out, colours.code(BOLD), &document.item.name);
    let shown = document.text.len();
    let tokens = match shown == document.item.tokens as usize {
        true => format::counted(u64::from(document.item.tokens), "token", "tokens"),
        false => format!(
            "tokens {} to {} of {}",
            format::count(u64::from(document.from) + 1),
            format::count(u64::from(document.from) + shown as u64),
            format::count(u64::from(document.item.tokens))
        ),
    };
    let (split, total) = (document.item.split, format::delta(document.item.total));
    out.push_str(&format!("  {split} half, {tokens}, total Δ {total} nats\n"));
    let steps = shade.steps();
    let swatches = |role: Role| {
        let mut out = String::new();
        for (step, code) in steps.iter().zip(shade_codes(role)) {
            colours::push(&mut out, colours.code(code), &format!(" {} ", format::plain(*step)));
        }
        out
    };
    let words = |text: &mut String, role: Role| {
        colours::push(text, colours.code(role_code(role)), label(role));
    };
    out.push_str("Left: each line’s Δ, the loss of ");
    words(&mut out, Role::A);
    out.push_str(" less that of ");
    words(&mut out, Role::B);
    out.push_str(", nats\n");
    if colours == Colours::Ansi {
        match shade {
            Shade::Delta => {
                words(&mut out, Role::A);
                out.push_str(&format!(" better by{}", swatches(Role::A)));
                out.push_str("  ");
                words(&mut out, Role::B);
                out.push_str(&format!(" by{} nats or more\n", swatches(Role::B)));
            }
            Shade::Loss(role) | Shade::Entropy(role) => {
                out.push_str(if matches!(shade, Shade::Loss(_)) { "loss of " } else { "entropy of " });
                words(&mut out, role);
                out.push_str(&format!("{} nats or more\n", swatches(role)));
            }
        }
    }
    out.push('\n');
    out
}

/// A list of documents with their totals.
pub fn terminal_documents(list: &DocumentList, width: usize, colours: Colours) -> String {
    let heads = ["document", "half", "tokens", "total Δ", "Δ a token"].map(str::to_owned).to_vec();
    let rows = list.documents.iter().map(|item| {
        vec![
            item.name.clone(),
            item.split.to_owned(),
            format::count(u64::from(item.tokens)),
            format::delta(item.total),
            if item.tokens == 0 {
                format::ABSENT.to_owned()
            } else {
                format::delta(item.total / f64::from(item.tokens))
            },
        ]
    });
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    let mut out = grid(&rows, width, |row, _| if row == 0 { colours.code(BOLD) } else { "" });
    let more = list.matching - list.documents.len().min(list.matching);
    if more > 0 {
        out.push_str(&cut(&format!("and {} more", format::count(more as u64)), width));
        out.push('\n');
    }
    out
}
