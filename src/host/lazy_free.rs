//! A thread that only drops what it is given, so that giving back a big value's memory never holds up the loop.

use std::any::Any;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// Hands things to the thread. The thread ends with the sender.
pub struct LazyFree {
    sender: Sender<Box<dyn Any + Send>>,
}

impl LazyFree {
    /// Starts the thread.
    pub fn start() -> std::io::Result<Self> {
        let (sender, receiver) = channel::<Box<dyn Any + Send>>();
        thread::Builder::new()
            .name("lazy-free".into())
            .spawn(move || receiver.into_iter().for_each(drop))?;
        Ok(Self { sender })
    }

    /// Drops `garbage` on the thread.
    pub fn drop_there(&self, garbage: Box<dyn Any + Send>) {
        // Without the thread it is dropped here: slower, not wrong.
        drop(self.sender.send(garbage));
    }
}
