//! Ctrl-C as a flag that waiting loops look at, so that a mode can end with its summary and a subscription without the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

use signal_hook::consts::SIGINT;
use signal_hook::flag;

/// How often a waiting loop looks at the flag.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Whether Ctrl-C was pressed. All clones are the same flag.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Catches SIGINT. A second one, while nobody has looked at the first, ends the process with status 130.
    pub fn install() -> io::Result<Self> {
        let interrupt = Self::default();
        flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&interrupt.0))?;
        flag::register(SIGINT, Arc::clone(&interrupt.0))?;
        Ok(interrupt)
    }

    /// Whether it was pressed since the last `clear`.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// As if it were pressed.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Forgets that it was pressed.
    pub fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Sleeps for `time`, or until Ctrl-C.
    pub fn sleep(&self, time: Duration) {
        let end = Instant::now() + time;
        while !self.is_set() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(LOOK_EVERY));
        }
    }
}
