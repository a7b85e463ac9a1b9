//! What a reader must know before believing a comparison.

use deltaloss_records::WindowInfo;
use deltaloss_stats::{Comparison, SetupModel};

use crate::format::counted;

/// How the windows of the runs differ, in words; `None` if they do not. Models that see different lengths of text
/// before a token are not compared on the same task. Between tokenizers lengths are bytes, and a quarter more or less is the
/// same.
pub fn window_difference(comparison: &Comparison) -> Option<String> {
    let models = &comparison.setup.models;
    let first = models.first()?;
    let other = models.iter().find(|model| differs(model, first))?;
    let say = |model: &SetupModel| {
        let window = &model.run.window;
        let stride = window.stride.map_or_else(String::new, |stride| format!(", stride {stride}"));
        let front = if window.beginning_of_text.is_some() { ", beginning-of-text in front" } else { "" };
        let bytes = if other.carried { format!(" (some {:.0} bytes)", bytes(model)) } else { String::new() };
        format!("{} with {} inputs{bytes}, {}{stride}{front}", model.label, window.context, window.mode)
    };
    Some(format!("the runs were scored with different windows: {}, {}", say(first), say(other)))
}

/// How many documents a model or the oracle could not score, in words; `None` if there are none.
pub fn failed_documents(comparison: &Comparison) -> Option<String> {
    let models = comparison.setup.models.iter().chain(&comparison.setup.oracle);
    let failed: Vec<String> = models
        .filter(|model| !model.run.failures.is_empty())
        .map(|model| {
            let count = counted(model.run.failures.len() as u64, "document", "documents");
            format!("{} failed on {count}", model.label)
        })
        .collect();
    if failed.is_empty() {
        return None;
    }
    Some(format!("{}: a loss there is not finite, and nothing of them is in any number", failed.join(", ")))
}

/// Text in a window, on average.
fn bytes(model: &SetupModel) -> f64 {
    let totals = &model.run.totals;
    f64::from(model.run.window.context) * totals.bytes as f64 / totals.tokens.max(1) as f64
}

/// Which token stands in front may differ between vocabularies; whether one does may not.
fn differs(model: &SetupModel, first: &SetupModel) -> bool {
    let (ours, theirs) = (&model.run.window, &first.run.window);
    let kind = |window: &WindowInfo| (window.mode.clone(), window.beginning_of_text.is_some());
    let lengths = |window: &WindowInfo| (window.context, window.stride);
    let near = |ratio: f64| (0.75..=1.25).contains(&ratio);
    kind(ours) != kind(theirs)
        || if model.carried { !near(bytes(model) / bytes(first)) } else { lengths(ours) != lengths(theirs) }
}

#[cfg(test)]
mod tests {
    use deltaloss_records::{Failure, Totals};

    use super::*;
    use crate::sample;

    #[test]
    fn documents_that_failed_are_counted_by_model() {
        let mut comparison = sample::comparison();
        assert_eq!(failed_documents(&comparison), None);
        assert!(!crate::report_html(&comparison, &[]).contains("not finite"));
        let failure = |document| Failure { document, name: "x".into(), position: 3 };
        comparison.setup.models[1].run.failures = vec![failure(0), failure(4)];
        let said = failed_documents(&comparison).unwrap();
        assert!(said.starts_with("dense failed on 2 documents: "), "{said}");
        assert!(crate::report_html(&comparison, &[]).contains("dense failed on 2 documents"));
        assert!(crate::report_markdown(&comparison).contains("dense failed on 2 documents"));
    }

    #[test]
    fn only_a_difference_that_matters_is_told() {
        let mut comparison = sample::comparison();
        assert_eq!(window_difference(&comparison), None);
        // Another vocabulary has another number for its beginning of text.
        comparison.setup.models[0].run.window.beginning_of_text = Some(0);
        for model in &mut comparison.setup.models[1..] {
            model.run.window.beginning_of_text = Some(9);
        }
        assert_eq!(window_difference(&comparison), None);
        comparison.setup.models[1].run.window.context = 32;
        let said = window_difference(&comparison).unwrap();
        assert!(said.contains("sparse with ") && said.contains("dense with 32 inputs"), "{said}");
        let html = crate::report_html(&comparison, &[]);
        // With tokens of its own, a window of about as many bytes is the same.
        let (context, of_a) =
            (comparison.setup.models[0].run.window.context, &comparison.setup.models[0].run.totals);
        let doubled = Totals { bytes: 2 * of_a.bytes, ..of_a.clone() };
        let other = &mut comparison.setup.models[1];
        (other.carried, other.run.totals, other.run.window.context) = (true, doubled, context / 2);
        assert_eq!(window_difference(&comparison), None);
        comparison.setup.models[1].run.window.context = context;
        let said = window_difference(&comparison).unwrap();
        assert!(said.contains("inputs (some "), "{said}");
        assert!(html.contains("Not the same task: the runs were scored with different windows"));
    }
}
