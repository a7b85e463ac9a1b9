//! ΔLoss of closing brackets: by token, by how many brackets a token holds, by depth.

use deltaloss_records::Role;
use deltaloss_stats::Comparison;

use super::Figure;
use super::delta_panel::{DeltaPanel, DeltaPanels, Quantity};
use crate::svg::Svg;
use crate::view::View;

/// Three panels of bars on one scale.
pub fn brackets(comparison: &Comparison) -> Figure {
    let view = View::new(comparison);
    let brackets = &view.lead().brackets;
    let panel = |title, heading, rows, tokens| DeltaPanel { title: Some(title), heading, rows, tokens };
    let panels = [
        panel("Tokens made only of closing brackets", "Token", &brackets.by_token[..], true),
        panel("By closing brackets in the token", "Closing brackets", &brackets.by_count[..], false),
        panel("By nesting depth where the token starts", "Depth", &brackets.by_depth[..], false),
    ];
    let mut layout = DeltaPanels::new(view, &panels, Quantity::Delta);
    let mut svg = Svg::default();
    let mut bottom = 0.0;
    for panel in &panels {
        bottom = layout.draw(&mut svg, bottom, panel) + 14.0;
    }
    let height = layout.draw_key(&mut svg, bottom - 10.0);
    let (a, b) = (view.label(Role::A), view.label(Role::B));
    let description = format!(
        "Three panels of horizontal bars of the loss of {a} minus the loss of {b} on closing brackets: by token, by the number of brackets in a token, and by nesting depth."
    );
    Figure::new("brackets", "ΔLoss on closing brackets".into(), description, height, svg)
}
