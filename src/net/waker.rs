//! A way for other threads to end the loop's wait.

use std::sync::Arc;

/// Wakes the loop; clones wake the same one.
#[derive(Clone, Debug)]
pub struct Waker(pub(super) Arc<mio::Waker>);

impl Waker {
    /// Ends the wait, or the next one if the loop is not waiting. Costs a system call.
    pub fn wake(&self) {
        // The only failure is a counter at its maximum, which wakes the loop just as well.
        let _ = self.0.wake();
    }
}
