//! Colours of a terminal of 256, readable on dark and on light ground.

use deltaloss_records::Role;

/// Whether a terminal's text has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// Plain text.
    #[default]
    None,
    /// Escape sequences of ECMA-48, with the 256 colours that terminals have.
    Ansi,
}

impl Colours {
    /// The code, where there are colours.
    pub(super) fn code(self, code: &'static str) -> &'static str {
        match self {
            Colours::None => "",
            Colours::Ansi => code,
        }
    }
}

pub(super) const BOLD: &str = "1";
pub(super) const SOFT: &str = "2";

/// The code of a role's text: hues of the report, in the middle between black and white.
pub(super) fn role_code(role: Role) -> &'static str {
    match role {
        Role::A => "38;5;166",
        Role::B => "38;5;32",
        Role::Benchmark => "38;5;244",
        Role::Placebo => "38;5;35",
        Role::Oracle => "38;5;170",
    }
}

/// Codes of a role's shades, from weak to strong: black on a ground, whatever the terminal's own colours.
pub(super) fn shade_codes(role: Role) -> [&'static str; 5] {
    match role {
        Role::A => [
            "38;5;16;48;5;230",
            "38;5;16;48;5;223",
            "38;5;16;48;5;216",
            "38;5;16;48;5;209",
            "38;5;16;48;5;202",
        ],
        Role::B => {
            ["38;5;16;48;5;195", "38;5;16;48;5;153", "38;5;16;48;5;117", "38;5;16;48;5;75", "38;5;16;48;5;33"]
        }
        Role::Benchmark => [
            "38;5;16;48;5;255",
            "38;5;16;48;5;252",
            "38;5;16;48;5;249",
            "38;5;16;48;5;246",
            "38;5;16;48;5;243",
        ],
        Role::Placebo => {
            ["38;5;16;48;5;194", "38;5;16;48;5;157", "38;5;16;48;5;120", "38;5;16;48;5;78", "38;5;16;48;5;36"]
        }
        Role::Oracle => [
            "38;5;16;48;5;225",
            "38;5;16;48;5;219",
            "38;5;16;48;5;213",
            "38;5;16;48;5;207",
            "38;5;16;48;5;170",
        ],
    }
}

/// Appends `text` in a code; plainly where there is none.
pub(super) fn push(out: &mut String, code: &str, text: &str) {
    if code.is_empty() || text.is_empty() {
        out.push_str(text);
        return;
    }
    out.push_str(&format!("\u{1b}[{code}m{text}\u{1b}[0m"));
}
