//! The report's tables as data, written as CSV here, as HTML and Markdown elsewhere.

use std::fmt::Write as _;

use deltaloss_stats::{Estimate, Test};

use crate::format::{self, NumberFormat};
use crate::view::holds;

/// A table: the same data for the page, the Markdown and the CSV file.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// File name without its extension, also the anchor on the page.
    pub name: &'static str,
    /// What the table holds, in a sentence.
    pub caption: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
    /// Rows that only the CSV file has, after the others: of other documents, or on the other basis.
    pub more_rows: Vec<Vec<Cell>>,
    /// Whether it is data to sort and download; else a list of facts for the page alone.
    pub is_data: bool,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Heading in the CSV file, with its unit.
    pub key: &'static str,
    /// Heading on the page.
    pub heading: String,
    /// Heading over this column and its neighbours on the page.
    pub group: Option<String>,
    /// What its cells hold.
    pub kind: Kind,
    /// Whether the page shows it.
    pub on_page: bool,
    /// Whether the CSV file has it; not so where its numbers are those of other rows of that file.
    pub in_file: bool,
}

/// What the cells of a column hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Words.
    Text,
    /// The text of a token, shown as code with its white space visible.
    Token,
    /// A whole number.
    Count,
    /// A number without an interval.
    Number(NumberFormat),
    /// A number with room for an interval: four columns in the CSV file, the last the standard error.
    Estimate(NumberFormat),
    /// The same with a test: marked where it holds; six columns, the last two p and q.
    Tested(NumberFormat),
}

/// A cell of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words or a token.
    Text(String),
    /// A hash, shortened on the page.
    Hash(String),
    /// A whole number, where there is one.
    Count(Option<u64>),
    /// A number, where there is one.
    Number(Option<f64>),
    /// An estimate, where there is one.
    Estimate(Option<Estimate>),
    /// An estimate, where there is one, and its test, where it was tested.
    Tested(Option<Estimate>, Option<Test>),
}

impl Column {
    pub(crate) fn new(key: &'static str, heading: impl Into<String>, kind: Kind) -> Self {
        Column { key, heading: heading.into(), group: None, kind, on_page: true, in_file: true }
    }

    pub(crate) fn grouped(mut self, group: &str) -> Self {
        self.group = Some(group.to_owned());
        self
    }

    pub(crate) fn only_in_file(mut self) -> Self {
        self.on_page = false;
        self
    }

    /// Takes it from the page where it would say nothing.
    pub(crate) fn on_page_if(mut self, yes: bool) -> Self {
        self.on_page = self.on_page && yes;
        self
    }

    pub(crate) fn only_on_page(mut self) -> Self {
        self.in_file = false;
        self
    }

    /// Whether its cells are numbers, set flush right.
    pub fn is_numeric(&self) -> bool {
        !matches!(self.kind, Kind::Text | Kind::Token)
    }
}

impl Cell {
    pub(crate) fn estimate(field: impl Into<Option<Estimate>>) -> Self {
        Cell::Estimate(field.into())
    }

    /// The estimate of a cell that holds one.
    pub(crate) fn estimate_value(&self) -> Option<Estimate> {
        match self {
            Cell::Estimate(estimate) | Cell::Tested(estimate, _) => *estimate,
            _ => None,
        }
    }

    /// The number a table is sorted by, in full precision; none for words and for what is absent.
    pub(crate) fn sort_key(&self) -> Option<String> {
        let number = match self {
            Cell::Text(_) | Cell::Hash(_) => None,
            Cell::Count(count) => return count.map(|count| count.to_string()),
            Cell::Number(number) => *number,
            Cell::Estimate(estimate) | Cell::Tested(estimate, _) => estimate.map(|estimate| estimate.value),
        };
        number.filter(|number| number.is_finite()).map(format::exact)
    }

    /// The cell as the page shows it, before escaping.
    pub(crate) fn shown(&self, kind: Kind) -> String {
        match (self, kind) {
            (Cell::Text(text), _) => text.clone(),
            (Cell::Hash(hash), _) => format::short_hash(hash),
            (Cell::Count(count), _) => count.map_or_else(|| format::ABSENT.to_owned(), format::count),
            (Cell::Number(number), Kind::Number(format)) => {
                number.map_or_else(|| format::ABSENT.to_owned(), |number| format.write(number))
            }
            (Cell::Estimate(estimate), Kind::Estimate(format) | Kind::Tested(format)) => {
                format.write_estimate(*estimate)
            }
            (Cell::Tested(estimate, test), Kind::Tested(format)) => {
                format.write_marked(*estimate, holds(*test))
            }
            (Cell::Number(number), _) => {
                number.map_or_else(|| format::ABSENT.to_owned(), format::significant)
            }
            (Cell::Estimate(estimate) | Cell::Tested(estimate, _), _) => {
                NumberFormat::Significant.write_estimate(*estimate)
            }
        }
    }
}

impl Table {
    /// Name of its CSV file.
    pub fn file_name(&self) -> String {
        format!("{}.csv", self.name)
    }

    /// Columns that the page shows, with their indices.
    pub(crate) fn page_columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.on_page)
    }

    /// The whole table as CSV (RFC 4180, but lines end in `\n`): a header with units, numbers at full precision,
    /// an empty field where there is no number.
    pub fn to_csv(&self) -> String {
        let mut out = String::new();
        let in_file = || self.columns.iter().filter(|column| column.in_file);
        let ends = ["", "_low", "_high", "_standard_error", "_p_value", "_q_value"];
        let header = in_file().flat_map(|column| {
            ends[..fields_of(column.kind)].iter().map(|end| format!("{}{end}", column.key))
        });
        write_record(&mut out, header);
        for row in self.rows.iter().chain(&self.more_rows) {
            let cells = row.iter().zip(&self.columns).filter(|(_, column)| column.in_file);
            write_record(&mut out, cells.flat_map(|(cell, column)| csv_fields(cell, column.kind)));
        }
        out
    }
}

/// Columns of the CSV file that a column becomes.
fn fields_of(kind: Kind) -> usize {
    match kind {
        Kind::Estimate(_) => 4,
        Kind::Tested(_) => 6,
        Kind::Text | Kind::Token | Kind::Count | Kind::Number(_) => 1,
    }
}

fn csv_fields(cell: &Cell, kind: Kind) -> Vec<String> {
    let mut fields = match cell {
        Cell::Text(text) | Cell::Hash(text) => vec![text.clone()],
        Cell::Count(count) => vec![count.map(|count| count.to_string()).unwrap_or_default()],
        Cell::Number(number) => vec![number.map(format::exact).unwrap_or_default()],
        Cell::Estimate(estimate) => estimate_fields(*estimate),
        Cell::Tested(estimate, test) => {
            let mut fields = estimate_fields(*estimate);
            fields.extend(test.iter().flat_map(|test| [test.p_value, test.q_value]).map(format::exact));
            fields
        }
    };
    fields.resize(fields_of(kind), String::new());
    fields
}

fn estimate_fields(estimate: Option<Estimate>) -> Vec<String> {
    let Some(Estimate { value, interval, standard_error }) = estimate else {
        return vec![String::new(); fields_of(Kind::Estimate(NumberFormat::Nats))];
    };
    let [low, high] = interval.map_or([String::new(), String::new()], |ends| ends.map(format::exact));
    vec![format::exact(value), low, high, standard_error.map(format::exact).unwrap_or_default()]
}

fn write_record(out: &mut String, fields: impl Iterator<Item = String>) {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            out.push(',');
        }
        // Quotes also around fields with edge spaces: some readers trim them otherwise.
        if field.contains([',', '"', '\n', '\r']) || field.trim() != field {
            let _ = write!(out, "\"{}\"", field.replace('"', "\"\""));
        } else {
            out.push_str(&field);
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads CSV back as RFC 4180 has it.
    fn parse(csv: &str) -> Vec<Vec<String>> {
        let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
        let mut quoted = false;
        let mut characters = csv.chars().peekable();
        while let Some(character) = characters.next() {
            match (quoted, character) {
                (true, '"') if characters.peek() == Some(&'"') => field.extend(characters.next()),
                (_, '"') => quoted = !quoted,
                (false, ',') => record.push(std::mem::take(&mut field)),
                (false, '\n') => {
                    record.push(std::mem::take(&mut field));
                    records.push(std::mem::take(&mut record));
                }
                (_, other) => field.push(other),
            }
        }
        assert!(field.is_empty() && record.is_empty() && !quoted);
        records
    }

    fn table(rows: Vec<Vec<Cell>>) -> Table {
        let columns = vec![
            Column::new("token", "Token", Kind::Token),
            Column::new("tokens", "Tokens", Kind::Count),
            Column::new("delta_nats", "Δ", Kind::Estimate(NumberFormat::Delta)),
        ];
        Table { name: "t", caption: String::new(), columns, rows, more_rows: Vec::new(), is_data: true }
    }

    #[test]
    fn an_estimate_is_four_columns_and_absence_is_empty() {
        let with = Estimate { value: -0.1, interval: Some([-0.2, 1e-9]), standard_error: Some(0.05) };
        let csv = table(vec![
            vec![Cell::Text("))".into()), Cell::Count(Some(1811)), Cell::Estimate(Some(with))],
            vec![Cell::Text("\"\n,".into()), Cell::Count(None), Cell::estimate(Estimate::point(f64::NAN))],
            vec![Cell::Text(" ".into()), Cell::Count(Some(0)), Cell::Estimate(None)],
        ])
        .to_csv();
        assert_eq!(
            csv,
            "token,tokens,delta_nats,delta_nats_low,delta_nats_high,delta_nats_standard_error\n\
             )),1811,-0.1,-0.2,1e-9,0.05\n\"\"\"\n,\",,,,,\n\" \",0,,,,\n"
        );
    }

    proptest::proptest! {
        #[test]
        fn csv_reads_back(texts in proptest::collection::vec(proptest::prelude::any::<String>(), 0..5), value in proptest::num::f64::NORMAL) {
            let rows = texts
                .iter()
                .map(|text| vec![Cell::Text(text.clone()), Cell::Count(Some(7)), Cell::estimate(Estimate::point(value))])
                .collect();
            let records = parse(&table(rows).to_csv());
            proptest::prop_assert_eq!(records.len(), texts.len() + 1);
            for (record, text) in records[1..].iter().zip(&texts) {
                proptest::prop_assert_eq!(&record[0], text);
                proptest::prop_assert_eq!(record[2].parse::<f64>().unwrap().to_bits(), value.to_bits());
                proptest::prop_assert_eq!(&record[3], "");
            }
        }
    }
}
