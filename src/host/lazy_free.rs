//! A thread that only drops what it is given, so that giving back a big value's memory never holds up the loop.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// Hands things to the thread. The thread ends with the sender.
pub struct LazyFree {
    sender: Sender<Box<dyn Any + Send>>,
    pending: Arc<AtomicUsize>,
}

impl LazyFree {
    /// Starts the thread.
    pub fn start() -> std::io::Result<Self> {
        let (sender, receiver) = channel::<Box<dyn Any + Send>>();
        let pending = Arc::new(AtomicUsize::new(0));
        let dropped = Arc::clone(&pending);
        thread::Builder::new().name("lazy-free".into()).spawn(move || {
            for garbage in receiver {
                drop(garbage);
                dropped.fetch_sub(1, Ordering::Relaxed);
            }
        })?;
        Ok(Self { sender, pending })
    }

    /// Drops `garbage` on the thread.
    pub fn drop_there(&self, garbage: Box<dyn Any + Send>) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(garbage).is_err() {
            // Without the thread it is dropped here: slower, not wrong.
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many of the things given to it are not dropped yet.
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }
}
