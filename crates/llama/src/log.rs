//! What llama.cpp and ggml say of themselves: kept for error messages, never printed.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// How many of the last errors are kept.
const KEPT: usize = 4;

/// Runs `work` and gives what llama.cpp complained of on this thread meanwhile, its last words last.
pub(crate) fn overhear<T>(work: impl FnOnce() -> T) -> (T, String) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let outcome = tracing::subscriber::with_default(Listener { lines: Arc::clone(&lines) }, work);
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    let heard = if lines.is_empty() { "it gave no reason".to_owned() } else { lines.join("; ") };
    (outcome, heard)
}

struct Listener {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if !words.0.is_empty() && lines.last() != Some(&words.0) {
            if lines.len() == KEPT {
                lines.remove(0);
            }
            lines.push(words.0);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The event's message.
struct Words(String);

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.trim().clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" && self.0.is_empty() {
            self.0 = format!("{value:?}").trim().to_owned();
        }
    }
}
