//! `deltaloss merge`.

use deltaloss::records::{TokenForm, merge_shards};

use super::arguments::Merge;
use super::console::Console;
use super::failure::{Failure, from_room};
use super::scoring::summary;

pub(crate) fn run(call: &Merge, console: &Console) -> Result<(), Failure> {
    let form = if call.compact { TokenForm::Compact } else { TokenForm::Full };
    let run = merge_shards(&call.shards, &call.out, form, call.overwrite).map_err(from_room)?;
    console.note(&summary(&run));
    console.note(&format!("run: {}", call.out.display()));
    Ok(())
}
