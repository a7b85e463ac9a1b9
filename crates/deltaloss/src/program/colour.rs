//! Whether output has colours.

use std::io::IsTerminal;

use clap::ValueEnum;
use deltaloss::report::Colours;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColourChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Into a pipe or a file too
    Always,
    /// Not at all
    Never,
}

impl ColourChoice {
    /// For standard output. `NO_COLOR` counts unless it is empty (no-color.org).
    pub(crate) fn colours(self) -> Colours {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let coloured = match self {
            ColourChoice::Always => true,
            ColourChoice::Never => false,
            ColourChoice::Auto => std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
        };
        if coloured { Colours::Ansi } else { Colours::None }
    }
}
