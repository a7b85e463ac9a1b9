//! `deltaloss check`.

use deltaloss::kernels::Isa;
use deltaloss::lm::{NativeModel, check};
use deltaloss::open_model;

use super::arguments::Check;
use super::console::Console;
use super::failure::{Failure, from_room, say};
use super::scoring::find_model;

pub(crate) fn run(call: &Check, offline: bool, console: &Console) -> Result<(), Failure> {
    let files = open_model(&find_model(&call.model, offline, console)?.path)?;
    let model = NativeModel::load(&files, Isa::best()).map_err(from_room)?;
    let report = check(&model, &call.expected).map_err(from_room)?;
    let said = say(&format!("{} on {}\n{report}\n", model.info().name, model.isa()));
    // Whether it passed must not depend on who listens.
    if !report.passed() {
        let expected = call.expected.display();
        return Err(Failure::work(format!(
            "{} does not reproduce {expected} within the tolerances",
            call.model
        )));
    }
    said?;
    say("within the tolerances\n")
}
