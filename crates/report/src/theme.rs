//! The colours of every figure and page, each with its light and its dark value, and the style sheets made of them.
//!
//! Style sheets are written with `var(--name)`. A page keeps the variables, so that its theme switch reaches
//! the figures inside it; a figure that stands alone gets plain values instead, since many
//! programs that read SVG know classes but no variables.

/// A colour variable: its name without the dashes, its value on light paper, its value on dark.
struct Colour(&'static str, &'static str, &'static str);

/// Roles follow Okabe and Ito's palette, which people with any colour vision can tell apart: a vermillion, b
/// blue, placebo bluish green, oracle reddish purple, benchmark grey. The dark values are their light relatives.
const COLOURS: [Colour; 14] = [
    Colour("page", "#ffffff", "#14171a"),
    Colour("raised", "#f6f7f8", "#1d2125"),
    Colour("ink", "#1b1f23", "#e6e9ec"),
    Colour("soft", "#57606a", "#a3adb8"),
    Colour("rule", "#d5dae0", "#373e46"),
    Colour("grid", "#e6e9ec", "#2a3036"),
    Colour("axis", "#8a939d", "#6f7984"),
    Colour("link", "#0a5da8", "#74b9f5"),
    Colour("a", "#c24e00", "#ff9257"),
    Colour("b", "#0072b2", "#5fb8ec"),
    Colour("benchmark", "#6a6f75", "#a9b0b7"),
    Colour("placebo", "#007a59", "#35cfa2"),
    Colour("oracle", "#a3497d", "#dd94bd"),
    Colour("focus", "#c24e00", "#ff9257"),
];

/// Steps of the sequential scale, `heat-0` (few) to `heat-11` (many).
pub(crate) const HEAT_STEPS: usize = 12;

/// Anchors of the sequential scale on light paper: pale to dark, so that many stands out from the page.
const HEAT_LIGHT: [[u8; 3]; 7] = [
    [0xc4, 0xe6, 0xc3],
    [0x8f, 0xd3, 0xb9],
    [0x55, 0xb9, 0xb6],
    [0x2f, 0x96, 0xae],
    [0x2c, 0x6d, 0x9c],
    [0x31, 0x43, 0x82],
    [0x2a, 0x15, 0x52],
];

/// The same on dark paper: dark to bright.
const HEAT_DARK: [[u8; 3]; 7] = [
    [0x41, 0x4a, 0x8c],
    [0x33, 0x68, 0x9a],
    [0x25, 0x88, 0x97],
    [0x2f, 0xa8, 0x84],
    [0x6b, 0xc6, 0x60],
    [0xb4, 0xdc, 0x3f],
    [0xfd, 0xec, 0x6a],
];

/// The style sheet of the figures, with variables.
pub(crate) const FIGURE_CSS: &str = include_str!("assets/figure.css");

/// Every variable with its value in one theme.
fn values(dark: bool) -> Vec<(String, String)> {
    let named = COLOURS.iter().map(|Colour(name, light, night)| {
        ((*name).to_owned(), (*if dark { night } else { light }).to_owned())
    });
    let anchors = if dark { &HEAT_DARK } else { &HEAT_LIGHT };
    let heat = (0..HEAT_STEPS).map(|step| {
        let at = step as f64 / (HEAT_STEPS - 1) as f64;
        (format!("heat-{step}"), interpolate(anchors, at))
    });
    named.chain(heat).collect()
}

/// The colour at `at` (0 to 1) of the way through the anchors.
fn interpolate(anchors: &[[u8; 3]; 7], at: f64) -> String {
    let place = at.clamp(0.0, 1.0) * 6.0;
    let left = (place.floor() as usize).min(5);
    let share = place - left as f64;
    mixed([anchors[left], anchors[left + 1]], share)
}

/// Declarations of every variable in one theme, for a rule's body.
fn declarations(dark: bool) -> String {
    let every = values(dark).into_iter().chain(shade_values(dark));
    every.map(|(name, value)| format!("--{name}:{value};")).collect()
}

/// The variables of a page: light, dark by preference, either by choice (`data-theme` on the root), light in print.
pub(crate) fn page_variables() -> String {
    let (light, dark) = (declarations(false), declarations(true));
    format!(
        ":root{{color-scheme:light;{light}}}\n\
         @media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n\
         :root[data-theme=dark]{{color-scheme:dark;{dark}}}\n\
         @media print{{:root:root:root{{color-scheme:light;{light}}}}}\n"
    )
}

/// The style sheet of a figure on light paper.
pub(crate) fn light_css() -> String {
    resolve(&format!("{FIGURE_CSS}{}", heat_rules()), false)
}

/// The style sheet of a figure that stands alone: plain values, the dark ones under a media query.
pub(crate) fn standalone_css() -> String {
    let heat: String = heat_rules();
    let rules = format!("{FIGURE_CSS}{heat}");
    format!(
        "{}@media (prefers-color-scheme:dark){{\n{}}}\n",
        resolve(&rules, false),
        resolve(&colour_rules_only(&rules), true)
    )
}

/// Roles that tokens are shaded for, and the steps of a shade.
const SHADED: [&str; 5] = ["a", "b", "benchmark", "placebo", "oracle"];

/// How much of a role's colour is in each step of its shade; in the dark less, for text has to stand out from it.
const SHADE_LIGHT: [f64; 5] = [0.12, 0.25, 0.38, 0.52, 0.68];
const SHADE_DARK: [f64; 5] = [0.13, 0.22, 0.32, 0.41, 0.5];

/// Tints of the categories: of ten, which come twice, the second time underlined.
const TINTS_LIGHT: [&str; 10] = [
    "#ffe0b8", "#cfe6f7", "#c9ecdd", "#fdf3b0", "#f3d3e4", "#e0dcf5", "#dfe8c4", "#f8cfc4", "#d3ecef",
    "#e3e3e3",
];
const TINTS_DARK: [&str; 10] = [
    "#5a3d12", "#17425f", "#134a39", "#544a10", "#572c45", "#3c3668", "#3d4a1c", "#5c2b20", "#16494f",
    "#43474c",
];

/// Backgrounds of tokens: one class a step of each role's shade, and one a category's tint.
pub(crate) fn shade_rules() -> String {
    let steps = SHADED.iter().flat_map(|role| {
        (1..=SHADE_LIGHT.len())
            .map(move |step| format!(".s-{role}-{step}{{background:var(--s-{role}-{step})}}\n"))
    });
    let tints = (0..TINTS_LIGHT.len()).map(|tint| format!(".c-{tint}{{background:var(--tint-{tint})}}\n"));
    steps.chain(tints).collect()
}

/// The variables that [`shade_rules`] names.
fn shade_values(dark: bool) -> Vec<(String, String)> {
    let named = |wanted: &str| {
        let found = COLOURS.iter().find(|Colour(name, ..)| *name == wanted);
        found.map_or("#000000", |Colour(_, light, night)| if dark { night } else { light })
    };
    let shares = if dark { SHADE_DARK } else { SHADE_LIGHT };
    let shades = SHADED.iter().flat_map(|role| {
        shares.iter().zip(1..).map(move |(share, step): (&f64, usize)| {
            (format!("s-{role}-{step}"), mixed([rgb(named("page")), rgb(named(role))], *share))
        })
    });
    let tints = if dark { TINTS_DARK } else { TINTS_LIGHT };
    shades
        .chain(tints.iter().zip(0..).map(|(tint, index)| (format!("tint-{index}"), (*tint).to_owned())))
        .collect()
}

/// The channels of `#rrggbb`.
fn rgb(hex: &str) -> [u8; 3] {
    [1, 3, 5]
        .map(|at| hex.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0))
}

/// The colour at `share` (0 to 1) of the way from one to another.
fn mixed([from, to]: [[u8; 3]; 2], share: f64) -> String {
    let mut out = String::from("#");
    for (from, to) in from.iter().zip(to) {
        let mixed = f64::from(*from) + (f64::from(to) - f64::from(*from)) * share;
        out.push_str(&format!("{:02x}", mixed.round() as u8));
    }
    out
}

/// One fill class a step of the sequential scale.
pub(crate) fn heat_rules() -> String {
    (0..HEAT_STEPS).map(|step| format!(".heat-{step}{{fill:var(--heat-{step})}}\n")).collect()
}

/// The rules that name a colour; the others do not change in the dark.
fn colour_rules_only(rules: &str) -> String {
    rules.lines().filter(|line| line.contains("var(--")).map(|line| format!("{line}\n")).collect()
}

/// `css` with every variable replaced by its value.
fn resolve(css: &str, dark: bool) -> String {
    values(dark)
        .iter()
        .fold(css.to_owned(), |css, (name, value)| css.replace(&format!("var(--{name})"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance as WCAG 2 defines it.
    fn luminance(hex: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn text_and_roles_stand_out_from_the_page_in_both_themes() {
        for dark in [false, true] {
            let values = values(dark);
            let colour = |name: &str| values.iter().find(|(n, _)| n == name).unwrap().1.clone();
            for name in ["ink", "soft", "link", "a", "b", "benchmark", "placebo", "oracle"] {
                let ratio = contrast(&colour(name), &colour("page"));
                assert!(ratio >= 4.5, "{name} (dark: {dark}): {ratio:.2}");
            }
        }
    }

    #[test]
    fn text_stands_out_from_every_shade_and_the_steps_differ() {
        for dark in [false, true] {
            let ink = values(dark).into_iter().find(|(name, _)| name == "ink").unwrap().1;
            let shades = shade_values(dark);
            for (name, value) in &shades {
                let ratio = contrast(&ink, value);
                assert!(ratio >= 4.5, "{name} (dark: {dark}): {ratio:.2}");
                assert!(shade_rules().contains(&format!("var(--{name})")));
            }
            for steps in shades[..25].chunks(5) {
                let ratios: Vec<f64> = steps.iter().map(|(_, value)| contrast(&ink, value)).collect();
                assert!(ratios.windows(2).all(|pair| pair[0] > pair[1]), "{ratios:?}");
            }
        }
    }

    #[test]
    fn the_sequential_scale_is_ordered_by_luminance() {
        for dark in [false, true] {
            let heat: Vec<f64> = values(dark)
                .iter()
                .filter(|(name, _)| name.starts_with("heat-"))
                .map(|(_, value)| luminance(value))
                .collect();
            assert_eq!(heat.len(), HEAT_STEPS);
            assert!(heat.windows(2).all(|w| if dark { w[0] < w[1] } else { w[0] > w[1] }), "{heat:?}");
        }
    }

    #[test]
    fn a_figure_that_stands_alone_needs_no_variable() {
        let css = standalone_css();
        assert!(!css.contains("var("), "{css}");
        assert!(css.contains("prefers-color-scheme:dark"));
    }
}
