//! The report as GitHub-flavoured Markdown, with its figures beside it.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use deltaloss_stats::Comparison;

use crate::escape;
use crate::story::{Block, of_figure, story};
use crate::table::{Cell, Column, Kind, Table};

/// The whole report as Markdown; images are `figures/*.svg`, data is `tables/*.csv`, both relative to the file.
pub fn report_markdown(comparison: &Comparison) -> String {
    let story = story(comparison);
    let mut out = format!(
        "# {}\n\nA deltaloss report: what one language model does better than the other, token by token.\n\n## The answer\n\n",
        story.title.to_markdown()
    );
    for finding in &story.answer {
        let _ = writeln!(out, "- {}", finding.to_markdown());
    }
    for paragraph in &story.basis {
        let _ = write!(out, "\n> {}\n", paragraph.to_markdown());
    }
    let mut figures = 0;
    for section in &story.sections {
        let _ = write!(out, "\n## {}\n", section.title);
        for block in &section.blocks {
            out.push('\n');
            match block {
                Block::Paragraph(prose) => {
                    let _ = writeln!(out, "{}", prose.to_markdown());
                }
                Block::List(items) => {
                    for item in items {
                        let _ = writeln!(out, "- {}", item.to_markdown());
                    }
                }
                Block::Figure(figure, caption, _) => {
                    figures += 1;
                    let title = escape::markdown(&figure.title);
                    let _ = write!(
                        out,
                        "![{title}](figures/{})\n\n**Figure {figures}. {title}.** {}\n\n<details><summary>How it was computed</summary>\n\n{}\n\n</details>\n",
                        figure.file_name(),
                        caption.to_markdown(),
                        escape::markdown(of_figure(figure.name))
                    );
                }
                Block::Table(table) => write_table(&mut out, table),
            }
        }
    }
    out
}

fn write_table(out: &mut String, table: &Table) {
    let _ = write!(out, "{}", escape::markdown(&table.caption));
    if table.is_data {
        let _ = write!(out, " ([{0}](tables/{0}))", table.file_name());
    }
    out.push_str("\n\n|");
    for (_, column) in table.page_columns() {
        let _ = write!(out, " {} |", heading(column));
    }
    out.push_str("\n|");
    for (_, column) in table.page_columns() {
        out.push_str(if column.is_numeric() { " ---: |" } else { " --- |" });
    }
    out.push('\n');
    for row in &table.rows {
        out.push('|');
        for (index, column) in table.page_columns() {
            let _ = write!(
                out,
                " {} |",
                row.get(index).map(|cell| cell_markdown(cell, column)).unwrap_or_default()
            );
        }
        out.push('\n');
    }
}

fn heading(column: &Column) -> String {
    let heading = escape::markdown(&column.heading);
    match &column.group {
        Some(group) => format!("{}: {heading}", escape::markdown(group)),
        None => heading,
    }
}

fn cell_markdown(cell: &Cell, column: &Column) -> String {
    let shown = cell.shown(column.kind);
    match (cell, column.kind) {
        (_, Kind::Token) => escape::markdown_code(&shown),
        _ => escape::markdown(&shown),
    }
}
