//! `deltaloss train`.

use deltaloss::{Downloads, TrainEvent, TrainOptions, train_model};

use super::arguments::Train;
use super::console::Console;
use super::failure::Failure;

pub(crate) fn run(call: &Train, offline: bool, console: &Console) -> Result<(), Failure> {
    let name = call.out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let downloads = Some(Downloads::new(offline));
    let options = TrainOptions { corpus: call.corpus.clone(), resume: call.resume, downloads };
    let mut download_bar = console.downloads();
    // Made when there is something that Ctrl-C has to save.
    let mut bar = None;
    let outcome = train_model(&call.config, &call.out, &options, &mut |event| match event {
        TrainEvent::Training(progress) => {
            bar.get_or_insert_with(|| console.training_bar(&name)).hear(progress)
        }
        TrainEvent::Downloading(download) => download_bar.hear(download),
        _ => true,
    });
    drop((bar, download_bar));
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
