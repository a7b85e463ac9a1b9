//! For a terminal: the overall numbers and the categories, and a document's tokens.

mod colours;
mod document;

use deltaloss_records::{Basis, Role};
use deltaloss_stats::{Comparison, DeltaRow, Estimate};

use crate::escape;
use crate::format::{self, MARK, NumberFormat};
use crate::svg::is_wide;
use crate::terminal::colours::{BOLD, role_code};
use crate::view::{View, estimate, holds};
pub use colours::Colours;
pub use document::{Shade, terminal_document, terminal_documents};

/// Columns that a label keeps however narrow the terminal is.
const NARROWEST_LABEL: usize = 8;

/// From so many columns on, the categories' differences stand with their intervals.
const ROOM_FOR_INTERVALS: usize = 80;

/// A compact table of the overall numbers and the categories, at most `width` columns wide where the numbers
/// leave room for it (60 columns do). In colour, models have theirs, and what differs from zero has that of the better model.
pub fn terminal_summary(comparison: &Comparison, width: usize, colours: Colours) -> String {
    let view = View::new(comparison);
    let roles: Vec<Role> = view.lead().overall.models.iter().map(|model| model.role).collect();
    let mut out = grid(&overall_rows(view), width, |row, column| match (row, column) {
        (0, _) => colours.code(BOLD),
        (_, 0) => roles.get(row - 1).map_or("", |role| colours.code(role_code(*role))),
        _ => "",
    });
    for line in delta_lines(view) {
        out.push_str(&cut(&line, width));
        out.push('\n');
    }
    if !view.lead().categories.is_empty() {
        out.push('\n');
        let rows = category_rows(view, width);
        let delta = rows.first().and_then(|heads| heads.iter().position(|head| head == "Δ"));
        out.push_str(&grid(&rows, width, |row, column| match row.checked_sub(1) {
            None => colours.code(BOLD),
            Some(row) if Some(column) == delta => better(&view.lead().categories[row], colours),
            _ => "",
        }));
    }
    if view.lead().categories.iter().any(|row| row.delta_test.is_some()) {
        out.push_str(&cut("* differs from zero at q < 0.05 (Benjamini–Hochberg)", width));
        out.push('\n');
    }
    out
}

/// The code of the model that is better on a category, where its Δ differs from zero.
fn better(row: &DeltaRow, colours: Colours) -> &'static str {
    match estimate(row.delta_nats) {
        Some(delta) if holds(row.delta_test) => {
            colours.code(role_code(if delta.value < 0.0 { Role::A } else { Role::B }))
        }
        _ => "",
    }
}

/// What the numbers are about, and the mean differences of every pair on every basis.
fn delta_lines(view: View<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if view.beside().is_some() {
        let lead = view.lead();
        let documents = format::counted(lead.documents, "document", "documents");
        lines.push(format!("Confirmation half: {documents}, {} tokens.", format::count(lead.tokens)));
    }
    for basis in [Some(view.basis()), view.other_basis()].into_iter().flatten() {
        let Some(sections) = view.on(basis) else { continue };
        let aside = match (basis, view.other_basis()) {
            (Basis::Calibrated, _) => ", calibrated",
            (Basis::AsScored, Some(_)) => ", as scored",
            (Basis::AsScored, None) => "",
        };
        for pair in &sections.overall.pairs {
            let (first, second) = (view.short_label(pair.first), view.short_label(pair.second));
            let number = estimate(pair.mean_delta_nats);
            let number = NumberFormat::Delta.write_marked(number, holds(pair.mean_delta_test));
            lines.push(format!("Δ = {first} − {second}{aside}: {number}"));
        }
    }
    lines
}

fn overall_rows(view: View<'_>) -> Vec<Vec<String>> {
    let header = ["model", "loss", "bits/byte", "top-1", "entropy", "T", "ECE"].map(str::to_owned).to_vec();
    let rows = view.lead().overall.models.iter().map(|model| {
        let run = view.comparison.setup.models.iter().find(|found| found.role == model.role);
        let temperature = run.and_then(|run| run.run.temperature);
        vec![
            format!("{}: {}", model.role.name(), model.label),
            short(estimate(model.mean_loss_nats), NumberFormat::Nats),
            short(estimate(model.bits_per_byte), NumberFormat::Nats),
            short(estimate(model.top1_accuracy), NumberFormat::Share),
            short(estimate(model.mean_entropy_nats), NumberFormat::Nats),
            short(temperature.map(Estimate::point), NumberFormat::Nats),
            short(view.calibration_error(model.role), NumberFormat::Share),
        ]
    });
    std::iter::once(header).chain(rows).collect()
}

fn category_rows(view: View<'_>, width: usize) -> Vec<Vec<String>> {
    let with_interval = view.has_intervals() && width >= ROOM_FOR_INTERVALS;
    let mut header = vec!["category", "tokens"];
    if !with_interval {
        header.extend(["loss a", "loss b"]);
    }
    header.push("Δ");
    if with_interval {
        header.push("95 % interval");
    }
    if view.has_placebo() {
        header.push(if with_interval { "placebo" } else { "placebo Δ" });
    }
    let tested = view.lead().categories.iter().any(|row| row.delta_test.is_some());
    let rows = view.lead().categories.iter().map(|row| {
        let mut cells = vec![row.name.clone(), format::count(row.tokens)];
        if !with_interval {
            cells.extend(
                [row.loss_a_nats, row.loss_b_nats].map(|loss| short(estimate(loss), NumberFormat::Nats)),
            );
        }
        let mark = match (tested, holds(row.delta_test)) {
            (false, _) => "",
            (true, true) => MARK,
            (true, false) => " ",
        };
        cells.push(format!("{}{mark}", short(estimate(row.delta_nats), NumberFormat::Delta)));
        if with_interval {
            let interval = estimate(row.delta_nats).and_then(|delta| delta.interval);
            let written =
                |[low, high]: [f64; 2]| format!("[{}, {}]", format::delta(low), format::delta(high));
            cells.push(interval.map_or_else(|| format::ABSENT.to_owned(), written));
        }
        if view.has_placebo() {
            cells.push(short(estimate(row.placebo_delta_nats), NumberFormat::Delta));
        }
        cells
    });
    std::iter::once(header.into_iter().map(str::to_owned).collect()).chain(rows).collect()
}

/// An estimate without its interval: there is no room for it.
fn short(estimate: Option<Estimate>, format: NumberFormat) -> String {
    estimate.map_or_else(|| format::ABSENT.to_owned(), |estimate| format.write(estimate.value))
}

/// Rows with the first column flush left, the others flush right; the first gives way when space is short.
///
/// `code` gives the terminal's code that a cell of (row, column) is written in, or nothing.
fn grid(rows: &[Vec<String>], width: usize, code: impl Fn(usize, usize) -> &'static str) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widest = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| columns_of(&escape::visible(cell)))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let numbers: usize = widths.iter().skip(1).map(|width| width + 2).sum();
    let label = widths.first().copied().unwrap_or(0).min(width.saturating_sub(numbers).max(NARROWEST_LABEL));
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let code = code(number, index);
            if index == 0 {
                let text = cut(cell, label);
                colours::push(&mut out, code, &text);
                out.push_str(&" ".repeat(label.saturating_sub(columns_of(&text))));
            } else {
                let text = escape::visible(cell);
                out.push_str(&" ".repeat(2 + width - columns_of(&text).min(*width)));
                colours::push(&mut out, code, &text);
            }
        }
        let kept = out.trim_end().len();
        out.truncate(kept);
        out.push('\n');
    }
    out
}

/// Columns of a terminal that `text` takes.
fn columns_of(text: &str) -> usize {
    text.chars().map(|character| if is_wide(character) { 2 } else { 1 }).sum()
}

/// `text` made visible and cut to `width` columns with an ellipsis.
fn cut(text: &str, width: usize) -> String {
    let text = escape::visible(text);
    if columns_of(&text) <= width {
        return text;
    }
    let mut out = String::new();
    for character in text.chars() {
        if columns_of(&out) + columns_of(&character.to_string()) + 1 > width {
            break;
        }
        out.push(character);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn fits_eighty_columns() {
        for comparison in [
            sample::comparison(),
            sample::with_intervals(),
            sample::halves(),
            sample::one_pair(),
            sample::hostile(),
        ] {
            let text = terminal_summary(&comparison, 80, Colours::None);
            for line in text.lines() {
                assert!(columns_of(line) <= 80, "{line}");
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }

    #[test]
    fn holds_the_numbers() {
        let text = terminal_summary(&sample::comparison(), 80, Colours::None);
        assert!(text.contains("Δ = sparse − dense: +0.005"), "{text}");
        let line = text.lines().find(|line| line.starts_with("Digits")).unwrap();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            ["Digits", "50,986", "1.670", "1.760", "−0.090", "−0.018"]
        );
    }

    #[test]
    fn what_holds_is_marked_on_both_bases() {
        let text = terminal_summary(&sample::halves(), 80, Colours::None);
        assert!(text.contains("Confirmation half: 2,502 documents, 436,993 tokens.\n"), "{text}");
        assert!(text.contains("Δ = sparse − dense, as scored: +0.015 [+0.011, +0.019]\n"), "{text}");
        assert!(text.contains("Δ = sparse − dense, calibrated: +0.007 [+0.003, +0.011]\n"), "{text}");
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line("Digits").contains("  −0.080*  [−0.085, −0.075]   −0.018"), "{text}");
        assert!(line("Punctuation").contains("  −0.015   [−0.019, −0.011]   +0.002"), "{text}");
        assert!(text.ends_with("* differs from zero at q < 0.05 (Benjamini–Hochberg)\n"), "{text}");
        assert!(!terminal_summary(&sample::with_intervals(), 80, Colours::None).contains('*'));
    }

    #[test]
    fn intervals_stand_where_there_is_room() {
        let comparison = sample::with_intervals();
        let digits = |width| {
            let text = terminal_summary(&comparison, width, Colours::None);
            text.lines().find(|line| line.starts_with("Digits")).unwrap().to_owned()
        };
        assert!(digits(80).contains("−0.090  [−0."), "{}", digits(80));
        assert!(!digits(79).contains('['));
    }

    #[test]
    fn colour_changes_nothing_but_the_colours() {
        let plain = terminal_summary(&sample::halves(), 80, Colours::None);
        let mut coloured = terminal_summary(&sample::halves(), 80, Colours::Ansi);
        let line = coloured.lines().find(|line| line.starts_with("Digits")).unwrap();
        assert!(line.contains("\u{1b}[38;5;166m−0.080*\u{1b}[0m"), "{line:?}");
        let line = coloured.lines().find(|line| line.starts_with("Punctuation")).unwrap();
        assert!(!line.contains('\u{1b}'), "{line:?}");
        while let Some(start) = coloured.find('\u{1b}') {
            let end = start + coloured[start..].find('m').unwrap();
            coloured.replace_range(start..=end, "");
        }
        assert_eq!(coloured, plain);
    }

    #[test]
    fn labels_give_way_to_numbers() {
        let text = terminal_summary(&sample::comparison(), 60, Colours::None);
        assert!(
            text.contains("Compound closin…") || text.lines().all(|line| columns_of(line) <= 60),
            "{text}"
        );
        assert_eq!(cut("日本語のモデル", 5), "日本…");
    }
}
