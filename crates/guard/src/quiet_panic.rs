//! Catching a panic without the report that otherwise goes to standard error.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread's next panic is one that [`catch`] gives back.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `step`; a panic in it is not reported but given back, as its message.
///
/// Everything else is reported as before: panics outside of such a call, panics of other threads during one, and
/// a second panic in one, since that may end the process. Whatever `step` was working on must not be used again.
///
/// # Errors
/// `step` panicked; this is its message.
pub fn catch<T>(step: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |report| {
            if !QUIET.replace(false) {
                previous(report);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(step));
    QUIET.set(outer);
    result.map_err(|payload| message(payload.as_ref()))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let fixed = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    fixed.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::{env, thread};

    /// Set in the process that [`only_the_caught_panic_is_silent`] starts: the hook belongs to a whole process.
    const CHILD: &str = "DELTALOSS_TEST_QUIET_PANIC";

    #[test]
    fn only_the_caught_panic_is_silent() {
        if env::var_os(CHILD).is_some() {
            return panic_in_many_ways();
        }
        let name = "quiet_panic::tests::only_the_caught_panic_is_silent";
        let mut child = Command::new(env::current_exe().unwrap());
        let output = child.args(["--exact", "--nocapture", name]).env(CHILD, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let reports: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("reported: ")).collect();
        assert_eq!(reports, ["before", "after", "other thread", "second", "at last"], "{text}");
        assert!(!text.contains("silent"), "{text}");
    }

    #[test]
    fn quiet_ends_with_the_call() {
        assert_eq!(catch(|| QUIET.get()), Ok(true));
        assert!(!QUIET.get());
    }

    fn panic_in_many_ways() {
        panic::set_hook(Box::new(|report| {
            eprintln!("reported: {}", report.payload_as_str().unwrap_or_default());
        }));
        let loud = |text: &'static str| assert!(panic::catch_unwind(|| panic!("{text}")).is_err());
        loud("before");
        assert_eq!(catch(|| panic!("silent")), Err::<(), _>("silent".to_owned()));
        loud("after");
        assert_eq!(catch(|| panic!("silent {}", 2)), Err::<(), _>("silent 2".to_owned()));
        assert_eq!(catch(|| thread::spawn(|| panic!("other thread")).join().is_err()), Ok(true));
        let twice = || {
            assert!(panic::catch_unwind(|| panic!("silent")).is_err());
            panic!("second");
        };
        assert_eq!(catch(twice), Err::<(), _>("second".to_owned()));
        let nested =
            || (catch(|| panic!("silent")) == Err::<(), _>("silent".to_owned())).then(|| panic!("silent"));
        assert_eq!(catch(nested), Err::<Option<()>, _>("silent".to_owned()));
        loud("at last");
    }
}
