//! A bug has shown itself in a panic: it is told without anybody's data, and the process ends.
//!
//! There is no going on: what the command that panicked has done is not known. What was executed before it is in the
//! log, as after a kill.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;

use crate::log::{Level, Log as _, Logger};

/// Has panics told in the log: where, and how it came there. The message is left out unless it is a fixed text, for one
/// that was put together may have keys or values in it. A panic of another thread ends the process at once.
pub(super) fn tell_panics(logger: &Logger) {
    let logger = std::sync::Mutex::new(logger.clone());
    let main = std::thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        if let Ok(mut logger) = logger.lock() {
            for line in report(info).lines() {
                logger.log(Level::Warning, format_args!("{line}"));
            }
        }
        if std::thread::current().id() != main {
            // Whoever waits for what this thread was doing would wait for ever.
            std::process::exit(1);
        }
    }));
}

fn report(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or("an unknown place".to_string(), ToString::to_string);
    let text = info.payload().downcast_ref::<&str>().unwrap_or(&"(a text that may hold data)");
    let backtrace = Backtrace::force_capture();
    format!(
        "=== BUG REPORT START ===\nThe server panicked at {place}: {text}\n{backtrace}\n=== BUG REPORT END ==="
    )
}
