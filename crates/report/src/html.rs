//! The report as one HTML file that needs nothing beside it: no network, no script or font from elsewhere.

mod bars;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deltaloss_stats::{Comparison, Estimate};
use sha2::{Digest, Sha256};

use self::bars::Bars;
use crate::escape::{markup, percent_encode, visible_token};
use crate::figures::Figure;
use crate::format::{ABSENT, MARK};
use crate::prose::Prose;
use crate::story::{Block, METHODS, Section, Story, of_figure, story};
use crate::table::{Cell, Column, Kind, Table};
use crate::theme;
use crate::viewer::{self, DocumentView};

const CSS: &str = include_str!("assets/report.css");
const THEME_SCRIPT: &str = include_str!("assets/theme.js");
const TABLES_SCRIPT: &str = include_str!("assets/report.js");

/// The most bytes of documents' tokens that a page holds, and the size it stays below with them.
const MOST_DOCUMENT_BYTES: usize = 1_600_000;
const MOST_PAGE_BYTES: usize = 4_800_000;

/// From so many columns with intervals on, a table sets them below their numbers: side by side they take too much room.
const STACKED_FROM: usize = 3;

/// Text of a cell that is no longer than this, such as a model's label, stays on one line.
const NAME_LENGTH: usize = 24;

/// The whole report as a self-contained page.
///
/// `documents` are there to look at token by token ([`viewer::excerpts`](crate::viewer::excerpts)), as many as fit.
pub fn report_html(comparison: &Comparison, documents: &[DocumentView]) -> String {
    let story = story(comparison);
    let script =
        [THEME_SCRIPT, TABLES_SCRIPT, if documents.is_empty() { "" } else { viewer::SCRIPT }].concat();
    let script = format!("\n{script}");
    let mut out = String::new();
    write_head(&mut out, &story, &script);
    out.push_str("<body>\n<a class=\"skip\" href=\"#answer\">Skip to the answer</a>\n");
    write_header(&mut out, &story);
    write_contents(&mut out, &story, !documents.is_empty());
    out.push_str("<main>\n");
    write_answer(&mut out, &story);
    let mut numbers = Numbers::default();
    for section in &story.sections {
        if section.id == METHODS && !documents.is_empty() {
            write_viewer(&mut out, comparison, documents);
        }
        write_section(&mut out, section, &mut numbers);
    }
    out.push_str("</main>\n<footer><p>Written by deltaloss. Everything in this file is in it: it loads nothing.</p></footer>\n");
    let _ = write!(out, "<script>{script}</script>\n</body>\n</html>\n");
    out
}

/// Numbers of the figures and tables so far.
#[derive(Default)]
struct Numbers {
    figures: usize,
    tables: usize,
}

/// Nothing may be loaded; no script and no style may take effect but the page's own, known by their hashes.
fn policy(script: &str, style: &str) -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
    let (script, style) = (hash(script), hash(style));
    format!(
        "default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; form-action 'none'"
    )
}

/// The documents to look at.
fn write_viewer(out: &mut String, comparison: &Comparison, documents: &[DocumentView]) {
    let room = MOST_PAGE_BYTES.saturating_sub(out.len()).min(MOST_DOCUMENT_BYTES);
    out.push_str(
        "<section id=\"tokens\">\n<h2>Tokens<a class=\"anchor\" href=\"#tokens\" aria-label=\"Link to this section\">#</a></h2>\n\
         <p>The most telling documents, token by token: those where either model wins most in total, of long ones the \
         stretch where it does. All documents: <code>deltaloss view</code> and the folder of this comparison. Point at \
         a token for its numbers, click to pin it, walk with the arrow keys, jump with a and b.</p>\n\
         <noscript><p>This part needs JavaScript.</p></noscript>\n",
    );
    out.push_str(&viewer::section(&viewer::comparison_view(comparison), documents, room));
    out.push_str("</section>\n");
}

fn write_head(out: &mut String, story: &Story, script: &str) {
    let style =
        [&theme::page_variables(), CSS, theme::FIGURE_CSS, &theme::heat_rules(), &viewer::style()].concat();
    let policy = policy(script, &style);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\" content=\"deltaloss\">\n\
         <title>{} – deltaloss</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{style}</style>\n</head>\n",
        markup(&story.plain_title),
    );
}

fn write_header(out: &mut String, story: &Story) {
    let _ = write!(
        out,
        "<header>\n<p class=\"kicker\">deltaloss report</p>\n<h1>{}</h1>\n\
         <p class=\"subtitle\">What one language model does better than the other, token by token.</p>\n\
         <button type=\"button\" id=\"theme\" hidden>Dark</button>\n</header>\n",
        story.title.to_html()
    );
}

fn write_contents(out: &mut String, story: &Story, has_viewer: bool) {
    out.push_str("<nav aria-labelledby=\"contents\">\n<h2 id=\"contents\">Contents</h2>\n<ol>\n<li><a href=\"#answer\">The answer</a></li>\n");
    for section in &story.sections {
        if section.id == METHODS && has_viewer {
            out.push_str("<li><a href=\"#tokens\">Tokens</a></li>\n");
        }
        let _ = writeln!(out, "<li><a href=\"#{}\">{}</a></li>", section.id, markup(section.title));
    }
    out.push_str("</ol>\n</nav>\n");
}

fn write_answer(out: &mut String, story: &Story) {
    out.push_str("<section id=\"answer\" class=\"answer\">\n<h2>The answer</h2>\n<ul>\n");
    for finding in &story.answer {
        let _ = writeln!(out, "<li>{}</li>", finding.to_html());
    }
    out.push_str("</ul>\n<div class=\"basis\">\n");
    for paragraph in &story.basis {
        let _ = writeln!(out, "<p>{}</p>", paragraph.to_html());
    }
    out.push_str("</div>\n</section>\n");
}

fn write_section(out: &mut String, section: &Section, numbers: &mut Numbers) {
    let _ = write!(
        out,
        "<section id=\"{}\">\n<h2>{}<a class=\"anchor\" href=\"#{0}\" aria-label=\"Link to this section\">#</a></h2>\n",
        section.id,
        markup(section.title)
    );
    for block in &section.blocks {
        match block {
            Block::Paragraph(prose) => {
                let _ = writeln!(out, "<p>{}</p>", prose.to_html());
            }
            Block::List(items) => {
                out.push_str("<ul>\n");
                for item in items {
                    let _ = writeln!(out, "<li>{}</li>", item.to_html());
                }
                out.push_str("</ul>\n");
            }
            Block::Figure(figure, caption, data) => write_figure(out, figure, caption, data, numbers),
            Block::Table(table) => write_table(out, table, numbers),
        }
    }
    out.push_str("</section>\n");
}

fn write_figure(out: &mut String, figure: &Figure, caption: &Prose, data: &[Table], numbers: &mut Numbers) {
    numbers.figures += 1;
    let _ = write!(
        out,
        "<figure id=\"figure-{}\">\n<div class=\"plate\">\n{}</div>\n<figcaption><p><b>Figure {}. {}.</b> {}</p>\n",
        figure.name,
        figure.inline(),
        numbers.figures,
        markup(&figure.title),
        caption.to_html()
    );
    out.push_str("<details><summary>Data of this figure</summary><ul>\n");
    for table in data {
        let _ = writeln!(out, "<li>{} – {}</li>", download_link(table), markup(&table.caption));
    }
    let _ = write!(
        out,
        "</ul></details>\n<details><summary>How it was computed</summary><p>{}</p></details>\n</figcaption>\n</figure>\n",
        markup(of_figure(figure.name))
    );
}

/// A link that holds the whole CSV file.
fn download_link(table: &Table) -> String {
    let name = markup(&table.file_name());
    format!(
        "<a class=\"download\" download=\"{name}\" href=\"data:text/csv;charset=utf-8,{}\">{name}</a>",
        percent_encode(&table.to_csv())
    )
}

fn write_table(out: &mut String, table: &Table, numbers: &mut Numbers) {
    numbers.tables += 1;
    let caption = format!("<b>Table {}.</b> {}", numbers.tables, markup(&table.caption));
    let label = format!("table-{}", table.name);
    let class = match (table.is_data, columns_with_intervals(table) >= STACKED_FROM) {
        (false, _) => "",
        (true, false) => " class=\"sortable\"",
        (true, true) => " class=\"sortable stacked\"",
    };
    let _ = write!(
        out,
        "<div class=\"table\" role=\"region\" tabindex=\"0\" aria-labelledby=\"{label}\">\n\
         <table{class}>\n<caption id=\"{label}\">{caption}</caption>\n"
    );
    write_table_head(out, table);
    out.push_str("<tbody>\n");
    if table.rows.is_empty() {
        let _ =
            writeln!(out, "<tr><td colspan=\"{}\">Nothing to show.</td></tr>", table.page_columns().count());
    }
    let bars: Vec<Option<Bars>> = (0..table.columns.len()).map(|index| Bars::of(table, index)).collect();
    for row in &table.rows {
        out.push_str("<tr>");
        for (place, (index, column)) in table.page_columns().enumerate() {
            if let Some(cell) = row.get(index) {
                out.push_str(&cell_html(cell, column, place == 0, bars.get(index).copied().flatten()));
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    if table.is_data {
        let _ = writeln!(out, "<p class=\"data\">{}</p>", download_link(table));
    }
}

/// Columns of the page that hold an interval somewhere.
fn columns_with_intervals(table: &Table) -> usize {
    let has_interval = |row: &Vec<Cell>, index| {
        let estimate = match row.get(index) {
            Some(Cell::Estimate(estimate) | Cell::Tested(estimate, _)) => *estimate,
            _ => None,
        };
        matches!(estimate, Some(Estimate { interval: Some(_), .. }))
    };
    table.page_columns().filter(|(index, _)| table.rows.iter().any(|row| has_interval(row, *index))).count()
}

fn write_table_head(out: &mut String, table: &Table) {
    let grouped = table.page_columns().any(|(_, column)| column.group.is_some());
    let class = |column: &Column| if column.is_numeric() { " class=\"number\"" } else { "" };
    out.push_str("<thead>\n<tr>");
    if grouped {
        let mut columns = table.page_columns().map(|(_, column)| column).peekable();
        while let Some(column) = columns.next() {
            let Some(group) = &column.group else {
                let _ = write!(
                    out,
                    "<th scope=\"col\" rowspan=\"2\"{} data-sort>{}</th>",
                    class(column),
                    markup(&column.heading)
                );
                continue;
            };
            let mut span = 1;
            while columns.next_if(|next| next.group.as_ref() == Some(group)).is_some() {
                span += 1;
            }
            let _ = write!(
                out,
                "<th scope=\"colgroup\" class=\"group\" colspan=\"{span}\">{}</th>",
                markup(group)
            );
        }
        out.push_str("</tr>\n<tr>");
    }
    for (_, column) in table.page_columns().filter(|(_, column)| !grouped || column.group.is_some()) {
        let _ = write!(out, "<th scope=\"col\"{} data-sort>{}</th>", class(column), markup(&column.heading));
    }
    out.push_str("</tr>\n</thead>\n");
}

fn cell_html(cell: &Cell, column: &Column, heads_row: bool, bars: Option<Bars>) -> String {
    let shown = cell.shown(column.kind);
    let inner = match (cell, column.kind) {
        (Cell::Hash(hash), _) => format!("<code title=\"{}\">{}</code>", markup(hash), markup(&shown)),
        (_, Kind::Token) => format!("<code>{}</code>", markup(&visible_token(&shown))),
        (Cell::Estimate(Some(_)) | Cell::Tested(Some(_), _), _) => {
            let drawn = cell.estimate_value().filter(|estimate| estimate.value.is_finite());
            let bar = bars.zip(drawn).map(|(bars, estimate)| bars.draw(estimate));
            format!(
                "{}{}",
                estimate_html(&shown, matches!(column.kind, Kind::Tested(_))),
                bar.unwrap_or_default()
            )
        }
        _ if shown == ABSENT => format!("<span class=\"absent\">{ABSENT}</span>"),
        _ => markup(&shown),
    };
    let sort = cell.sort_key().map(|key| format!(" data-value=\"{key}\"")).unwrap_or_default();
    match (heads_row, column.is_numeric()) {
        (true, true) => format!("<th scope=\"row\" class=\"number\"{sort}>{inner}</th>"),
        (true, false) => format!("<th scope=\"row\">{inner}</th>"),
        (false, true) => format!("<td class=\"number\"{sort}>{inner}</td>"),
        (false, false) if shown.chars().count() <= NAME_LENGTH => format!("<td class=\"name\">{inner}</td>"),
        (false, false) => format!("<td>{inner}</td>"),
    }
}

/// An estimate with its interval set smaller; numbers of a column with marks keep their room.
fn estimate_html(shown: &str, has_marks: bool) -> String {
    let (value, interval) = shown.split_once(' ').unwrap_or((shown, ""));
    let (number, mark) = match value.strip_suffix(MARK) {
        Some(number) => (number, MARK),
        None => (value, ""),
    };
    let mut out = markup(number);
    if has_marks {
        let _ = write!(out, "<span class=\"mark\">{mark}</span>");
    }
    if !interval.is_empty() {
        let _ = write!(out, " <span class=\"interval\">{}</span>", markup(interval));
    }
    out
}
