//! The figures of the report, drawn by us as SVG in one look: one width, one text size, one colour and one
//! shape a role.

mod brackets;
mod categories;
mod confidence;
mod correlation;
mod delta_panel;
mod entropy;
mod marks;
mod oracle;
mod overall;
mod reliability;
#[cfg(test)]
mod tests;

use deltaloss_stats::Comparison;

pub use crate::png::PNG_WIDTH;
pub use brackets::brackets;
pub use categories::{categories, confirmation, placebo};
pub use confidence::confidence;
pub use correlation::correlation;
pub use entropy::entropy;
pub use oracle::oracle;
pub use overall::overall;
pub use reliability::reliability;

use crate::escape;
use crate::png;
use crate::svg::{MARGIN, Svg, WIDTH};
use crate::tables::Weighing;
use crate::theme;

/// A drawn figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// File name without its extension, also the anchor on the page.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: String,
    /// What it shows, for those who cannot see it.
    pub description: String,
    /// Width and height, user units; a unit is a CSS pixel at 100 %.
    pub size: [f64; 2],
    body: String,
}

impl Figure {
    pub(crate) fn new(name: &'static str, title: String, description: String, height: f64, svg: Svg) -> Self {
        Figure {
            name,
            title,
            description,
            size: [WIDTH + 2.0 * MARGIN, height.ceil() + 2.0 * MARGIN],
            body: svg.into_body(),
        }
    }

    /// Name of its SVG file.
    pub fn file_name(&self) -> String {
        format!("{}.svg", self.name)
    }

    /// The figure as a file of its own: it brings its colours, light and dark, and paints its paper.
    pub fn to_svg(&self) -> String {
        self.with_style(&theme::standalone_css())
    }

    fn with_style(&self, style: &str) -> String {
        let [width, height] = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" {} role=\"img\" aria-labelledby=\"title description\">\n\
             <title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n<style>\n{}</style>\n\
             <rect class=\"dl-page\" x=\"-{MARGIN}\" y=\"-{MARGIN}\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            self.extent(),
            escape::markup(&self.title),
            escape::markup(&self.description),
            style,
            self.body
        )
    }

    /// The figure as a PNG file of [`PNG_WIDTH`] pixels, on light paper, that says it is 12 cm wide: at that its text has some
    /// 8 points. Its text is set in DejaVu Sans, which the program brings along.
    ///
    /// # Errors
    /// The figure cannot be drawn, which is a defect: what was wrong.
    pub fn to_png(&self) -> Result<Vec<u8>, String> {
        png::render(&self.with_style(&theme::light_css()))
    }

    /// The figure for a page that holds the style sheet, so that the page's theme reaches it.
    pub(crate) fn inline(&self) -> String {
        let label = escape::markup(&format!("{}. {}", self.title, self.description));
        format!("<svg {} role=\"img\" aria-label=\"{label}\">\n{}</svg>\n", self.extent(), self.body)
    }

    fn extent(&self) -> String {
        let [width, height] = self.size;
        format!("width=\"{width}\" height=\"{height}\" viewBox=\"-{MARGIN} -{MARGIN} {width} {height}\"")
    }
}

/// Every figure that the comparison has numbers for, in the order of the report.
pub fn figures(comparison: &Comparison) -> Vec<Figure> {
    let always = vec![
        overall(comparison),
        correlation(comparison, Weighing::Vocabulary),
        correlation(comparison, Weighing::Occurrences),
        categories(comparison),
        brackets(comparison),
        entropy(comparison),
        confidence(comparison),
    ];
    let where_there =
        [oracle(comparison), placebo(comparison), reliability(comparison), confirmation(comparison)];
    always.into_iter().chain(where_there.into_iter().flatten()).collect()
}

/// The dash pattern of a role's line, so that lines are told apart without colour.
fn dashes_of(role: deltaloss_records::Role) -> &'static str {
    use deltaloss_records::Role;
    match role {
        Role::A => "",
        Role::B => "7 3",
        Role::Benchmark => "2 2.5",
        Role::Placebo => "9 3 2 3",
        Role::Oracle => "12 4",
    }
}
