//! Every figure is well-formed and sober whatever it is given.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, ConfidenceCell, Estimate};

use super::*;
use crate::sample;
use crate::svg::{Shape, TEXT, shape_of};

fn every_sample() -> Vec<Comparison> {
    vec![
        sample::comparison(),
        sample::with_intervals(),
        sample::halves(),
        sample::few(),
        sample::one_pair(),
        sample::identical(),
        sample::empty(),
        sample::hostile(),
        sample::extreme(),
    ]
}

#[test]
fn every_figure_is_well_formed_with_sound_coordinates() {
    for comparison in every_sample() {
        for figure in figures(&comparison) {
            let svg = figure.to_svg();
            let document =
                roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{}: {error}", figure.name));
            let [width, height] = figure.size;
            for node in document.descendants() {
                for (name, limit) in [
                    ("x", width),
                    ("y", height),
                    ("cx", width),
                    ("cy", height),
                    ("x1", width),
                    ("x2", width),
                    ("y1", height),
                    ("y2", height),
                ] {
                    let Some(value) = node.attribute(name) else { continue };
                    let value: f64 = value.parse().unwrap();
                    assert!((-MARGIN..=limit).contains(&value), "{}: {name} = {value}", figure.name);
                }
                for name in ["width", "height", "r"] {
                    let value = node.attribute(name).map(|value| value.parse::<f64>());
                    assert!(
                        value.is_none_or(|value| value.is_ok_and(|value| value > 0.0)),
                        "{}: {name}",
                        figure.name
                    );
                }
            }
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", figure.name);
        }
    }
}

/// A text of a figure and the box it takes by our measure: left, top, right, bottom.
fn texts_of(figure: &Figure) -> Vec<(String, [f64; 4])> {
    let svg = figure.to_svg();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    texts
        .map(|node| {
            let class = node.attribute("class").unwrap();
            let text: String =
                node.children().filter_map(|child| child.text().filter(|_| child.is_text())).collect();
            let width = crate::svg::width_of(&text, class.contains("dl-code"));
            let place = |name| node.attribute(name).unwrap().parse::<f64>().unwrap();
            let (x, y) = (place("x"), place("y"));
            let before = match node.attribute("text-anchor") {
                Some("end") => width,
                Some("middle") => width / 2.0,
                _ => 0.0,
            };
            let (ascent, descent) = (TEXT * 0.74, TEXT * 0.2);
            let area = if node.has_attribute("transform") {
                [x - ascent, y - width + before, x + descent, y + before]
            } else {
                [x - before, y - ascent, x - before + width, y + descent]
            };
            (text, area)
        })
        .collect()
}

#[test]
fn labels_stay_inside_by_our_measure() {
    for comparison in every_sample() {
        for figure in figures(&comparison) {
            for (text, [left, top, right, bottom]) in texts_of(&figure) {
                let [width, height] = figure.size.map(|size| size - MARGIN);
                assert!(left >= -MARGIN && right <= width, "{}: {text} {left} {right}", figure.name);
                assert!(top >= -MARGIN && bottom <= height, "{}: {text} {top} {bottom}", figure.name);
            }
        }
    }
}

#[test]
fn no_text_lies_over_another() {
    for (sample, comparison) in every_sample().iter().enumerate() {
        for figure in figures(comparison) {
            let texts = texts_of(&figure);
            for (index, (one, a)) in texts.iter().enumerate() {
                for (other, b) in &texts[index + 1..] {
                    let overlap = a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
                    assert!(!overlap, "sample {sample}, {}: “{one}” {a:?} and “{other}” {b:?}", figure.name);
                }
            }
        }
    }
}

#[test]
fn grids_of_occurrences_have_readable_axes() {
    let figure = correlation(&sample::comparison(), Weighing::Occurrences);
    let texts = texts_of(&figure);
    let count = |wanted: &str| texts.iter().filter(|(text, _)| text == wanted).count();
    assert_eq!([count("0.001"), count("0.1")], [12, 12], "both axes of six grids");
    assert_eq!(count("0.01"), 0, "it would touch its neighbours");
}

#[test]
fn text_is_readable_in_a_column_of_a_paper() {
    let column_points = 12.0 / 2.54 * 72.0;
    assert!(TEXT * column_points / (WIDTH + 2.0 * MARGIN) >= 8.0);
    assert!(theme::FIGURE_CSS.contains(&format!("font-size:{TEXT}px")), "style sheet and layout disagree");
}

#[test]
fn roles_differ_without_colour() {
    let roles = [Role::A, Role::B, Role::Benchmark, Role::Placebo, Role::Oracle];
    let mut looks: Vec<(String, &str)> =
        roles.map(|role| (format!("{:?}", shape_of(role)), dashes_of(role))).to_vec();
    assert_eq!(looks[0].0, format!("{:?}", Shape::Circle));
    looks.sort();
    for pair in looks.windows(2) {
        assert_ne!(pair[0].0, pair[1].0);
    }
    let mut dashes: Vec<&str> = looks.iter().map(|look| look.1).collect();
    dashes.sort_unstable();
    dashes.dedup();
    assert_eq!(dashes.len(), roles.len());
}

#[test]
fn the_grid_draws_every_filled_cell_once() {
    let comparison = sample::one_pair();
    let filled = comparison.all.correlation[0]
        .heatmap_vocabulary
        .counts
        .iter()
        .flatten()
        .filter(|count| **count > 0)
        .count();
    let svg = correlation(&comparison, Weighing::Vocabulary).to_svg();
    assert!(filled > 50);
    assert_eq!(svg.matches("dl-cell heat-").count(), filled);
    assert!(svg.contains(">r = 0.930<") && svg.contains(">vocabulary entries<"));
    let svg = correlation(&comparison, Weighing::Occurrences).to_svg();
    assert!(svg.contains(">r = 0.860<") && svg.contains(">occurrences<"));
}

#[test]
fn bars_point_to_the_winner_and_carry_numbers() {
    let comparison = sample::comparison();
    let svg = categories(&comparison).to_svg();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let zero: f64 = document
        .descendants()
        .find(|node| node.attribute("class") == Some("dl-zero"))
        .and_then(|node| node.attribute("x1"))
        .unwrap()
        .parse()
        .unwrap();
    let bars = |class: &str| -> Vec<(f64, f64)> {
        let of_class = document
            .descendants()
            .filter(|node| node.has_tag_name("rect") && node.attribute("class") == Some(class));
        of_class
            .map(|node| {
                (
                    node.attribute("x").unwrap().parse().unwrap(),
                    node.attribute("width").unwrap().parse().unwrap(),
                )
            })
            .collect()
    };
    let (a, b) = (bars("fill-a"), bars("fill-b"));
    assert_eq!((a.len(), b.len()), (9, 10));
    assert!(a.iter().all(|(x, width)| (x + width - zero).abs() < 0.02));
    assert!(b.iter().all(|(x, _)| (x - zero).abs() < 0.02));
    for text in [">−0.320<", ">1,065<", ">← sparse better<", ">dense better →<"] {
        assert!(svg.contains(text), "{text}");
    }
    assert_eq!(svg.matches("hollow-placebo dl-mark").count(), 20, "one a row and one in the key");
    assert_eq!(svg.matches("class=\"dl-whisker\"").count(), 0);
    let whiskers = categories(&sample::with_intervals()).to_svg().matches("class=\"dl-whisker\"").count();
    assert_eq!(whiskers, 19 * 3);
}

#[test]
fn reliability_is_drawn_for_every_model_and_told_apart_without_colour() {
    assert_eq!(reliability(&sample::comparison()), None, "there is no bin to draw");
    let svg = reliability(&sample::halves()).unwrap().to_svg();
    // Fourteen bins with tokens: hollow as scored, filled calibrated; one of each in the key.
    for (model, key) in [("a", 1), ("b", 0), ("benchmark", 0), ("placebo", 0)] {
        for look in ["hollow", "fill"] {
            let marks = svg.matches(&format!("class=\"{look}-{model} dl-mark\"")).count();
            assert_eq!(marks, 14 + key, "{look} {model}");
        }
        let lines = svg.matches(&format!("class=\"dl-curve line-{model}\"")).count();
        let dashed = svg.split("<path ").filter(|path| {
            path.contains(&format!("class=\"dl-curve line-{model}\"")) && path.contains("stroke-dasharray")
        });
        assert_eq!((lines, dashed.count()), (2 + 2 * key, 1 + key), "{model}");
    }
    // The bin of 40 tokens is faint, as scored and calibrated.
    assert_eq!(svg.matches("<g class=\"dl-faint\">").count(), 4 * 2);
    assert!(svg.contains("calibrated, probability above 0.933 to 1.000: 131,000 tokens"));
    assert_eq!(svg.matches(">tokens by bin, at most 131,000<").count(), 4);
}

#[test]
fn what_holds_is_marked_beside_its_number() {
    let svg = categories(&sample::halves()).to_svg();
    assert_eq!(svg.matches(">*<").count(), 12);
    assert_eq!(svg.matches(">* differs from zero at q &lt; 0.05<").count(), 1);
    assert!(!categories(&sample::with_intervals()).to_svg().contains(">*"));
}

/// The places of the vertical lines of an axis' ticks.
fn grid_lines(svg: &str) -> Vec<(f64, f64)> {
    let document = roxmltree::Document::parse(svg).unwrap();
    let lines = document.descendants().filter(|node| node.attribute("class") == Some("dl-grid"));
    let place = |node: roxmltree::Node<'_, '_>, name| node.attribute(name).unwrap().parse::<f64>().unwrap();
    lines.map(|node| (place(node, "x1"), place(node, "x2"))).filter(|(from, to)| from == to).collect()
}

#[test]
fn few_tokens_are_faint_and_set_no_scale() {
    let mut one = sample::comparison();
    let mut other = one.clone();
    for (comparison, wild) in [(&mut one, -3.65), (&mut other, -0.2)] {
        comparison.all.confidence[4].b_confident = ConfidenceCell {
            tokens: 99,
            delta_nats: Some(Estimate::point(wild)),
            ..ConfidenceCell::default()
        };
        comparison.all.confidence[5].placebo_confident = Some(ConfidenceCell {
            tokens: 1,
            delta_nats: Some(Estimate::point(wild)),
            ..ConfidenceCell::default()
        });
    }
    let (one, other) = (confidence(&one).to_svg(), confidence(&other).to_svg());
    assert_eq!(grid_lines(&one), grid_lines(&other), "the scale depends on a cell with few tokens");
    assert_eq!(one.matches("<g class=\"dl-faint\">").count(), 2);
    assert_eq!(
        (one.matches("dl-arrow").count(), other.matches("dl-arrow").count()),
        (2 + 1, 1),
        "one in the style sheet"
    );
    assert!(one.contains(">−3.650<"), "the number is printed all the same");
    assert!(one.contains("beyond the scale") && !other.contains("beyond the scale"));
    let enough = |tokens| {
        let mut comparison = sample::comparison();
        comparison.all.confidence[4].b_confident =
            ConfidenceCell { tokens, delta_nats: Some(Estimate::point(-3.65)), ..ConfidenceCell::default() };
        grid_lines(&confidence(&comparison).to_svg())
    };
    assert_ne!(enough(99), enough(100));
}

#[test]
fn where_every_cell_has_few_tokens_they_set_the_scale() {
    let mut comparison = sample::few();
    comparison.all.confidence.retain(|row| row.a_confident.tokens < 100);
    let svg = confidence(&comparison).to_svg();
    assert!(!grid_lines(&svg).is_empty() && !svg.contains("beyond the scale"));
}

#[test]
fn groups_without_tokens_say_so() {
    let mut comparison = sample::one_pair();
    comparison.all.categories[3].tokens = 0;
    comparison.all.categories[3].delta_nats = None;
    assert!(categories(&comparison).to_svg().contains(&format!(">{}<", crate::format::ABSENT)));
    assert!(brackets(&sample::empty()).to_svg().contains("No such token in this corpus."));
}

#[test]
fn same_input_same_bytes() {
    for comparison in every_sample() {
        assert_eq!(figures(&comparison), figures(&comparison));
    }
}
