//! ΔLoss of every category.

use deltaloss_records::Role;
use deltaloss_stats::Comparison;

use super::Figure;
use super::delta_panel::{DeltaPanel, DeltaPanels};
use crate::svg::Svg;
use crate::view::View;

/// Horizontal bars of ΔLoss by category, in the order of the comparison: where a wins most comes first.
pub fn categories(comparison: &Comparison) -> Figure {
    let view = View::new(comparison);
    let panel = DeltaPanel { title: None, heading: "Category", rows: &view.lead().categories, tokens: false };
    let mut panels = DeltaPanels::new(view, std::slice::from_ref(&panel));
    let mut svg = Svg::default();
    let bottom = panels.draw(&mut svg, 0.0, &panel);
    let height = panels.draw_key(&mut svg, bottom);
    let (a, b) = (view.label(Role::A), view.label(Role::B));
    let description = format!(
        "Horizontal bars, one per category, of the loss of {a} minus the loss of {b}; bars to the left mean that {a} is better."
    );
    Figure::new("categories", "ΔLoss by category".into(), description, height, svg)
}
