//! The Markdown holds together whatever is put into it.

use super::*;
use crate::sample;

/// Cells of a Markdown table's line.
fn cells(line: &str) -> usize {
    line.matches('|').count() - line.matches("\\|").count() - 1
}

#[test]
fn tables_keep_their_columns_whatever_the_text() {
    let samples = [
        (sample::comparison(), 12),
        (sample::hostile(), 12),
        (sample::extreme(), 12),
        (sample::with_intervals(), 12),
        (sample::halves(), 22),
    ];
    for (comparison, expected) in samples {
        let text = report_markdown(&comparison);
        let mut columns = None;
        let mut tables = 0;
        for line in text.lines() {
            if !line.starts_with('|') {
                columns = None;
                continue;
            }
            tables += usize::from(columns.is_none());
            assert_eq!(cells(line), *columns.get_or_insert(cells(line)), "{line}");
        }
        assert_eq!(tables, expected);
    }
}

#[test]
fn every_image_and_link_names_a_file_that_is_written() {
    let comparison = sample::halves();
    let text = report_markdown(&comparison);
    for figure in crate::figures::figures(&comparison) {
        assert!(text.contains(&format!("](figures/{})", figure.file_name())), "{}", figure.name);
    }
    let names: Vec<String> = crate::tables::tables(&comparison).iter().map(Table::file_name).collect();
    for link in text.split("](tables/").skip(1) {
        let name = link.split(')').next().unwrap();
        assert!(names.iter().any(|known| known == name), "{name}");
    }
}

#[test]
fn hostile_text_stays_text() {
    let text = report_markdown(&sample::hostile());
    assert!(!text.contains("<img") && !text.contains("</script"));
    assert!(!text.chars().any(|c| c != '\n' && c.is_control()));
}

#[test]
fn tokens_are_code() {
    assert!(report_markdown(&sample::comparison()).contains("\n| `))` | 1,811 |"));
}

#[test]
fn strong_text_is_strong_whatever_its_edges() {
    let text = report_markdown(&sample::comparison());
    assert!(text.starts_with("# **sparse** against **dense**\n"), "{}", text.lines().next().unwrap());
    assert!(report_markdown(&sample::identical()).starts_with("# <b>same (a)</b> against <b>same (b)</b>\n"));
}
