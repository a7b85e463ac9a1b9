//! `deltaloss train`.

use deltaloss::train_model;

use super::arguments::Train;
use super::console::Console;
use super::failure::Failure;

pub(crate) fn run(call: &Train, console: &Console) -> Result<(), Failure> {
    let name = call.out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut bar = console.training_bar(&name);
    let corpus = call.corpus.as_deref();
    let outcome =
        train_model(&call.config, corpus, &call.out, call.resume, &mut |progress| bar.hear(progress));
    drop(bar);
    let summary = outcome?;
    console.note(&format!(
        "{name}: training loss {:.4} nats over the last steps; {} steps, {} tokens in {:.1} s ({:.0} tokens/s); {} \
         parameters, {} of them not zero",
        summary.loss_nats,
        summary.steps,
        summary.tokens,
        summary.elapsed_seconds,
        summary.tokens as f64 / summary.elapsed_seconds.max(1e-9),
        summary.parameters,
        summary.nonzero_parameters
    ));
    console.note(&format!("model: {}", call.out.display()));
    Ok(())
}
