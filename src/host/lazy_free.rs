//! A thread that only gives memory back, big values' and the allocator's, so that it never holds up the loop.
//!
//! It is there while it has work and for a moment longer: the kernel and the C library take longer for every read and
//! write of a process that has threads.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::allocator::give_back_free_memory;

/// How long the thread waits for more work.
const IDLE: Duration = Duration::from_millis(500);

/// How far the thread stands back: as far as possible without being starved.
const NICENESS: i32 = 19;

/// What the thread is given.
enum Job {
    Drop(Garbage),
    GiveBackMemory,
}

/// Something to drop, counted until it is dropped, wherever that may be.
struct Garbage {
    _content: Box<dyn Any + Send>,
    _counted: Counted, // after the content
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hands work to the thread.
#[derive(Default)]
pub struct LazyFree {
    jobs: Option<Sender<Job>>,
    pending: Arc<AtomicUsize>,
}

impl LazyFree {
    /// Drops `content` on the thread.
    pub fn drop_there(&mut self, content: Box<dyn Any + Send>) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&self.pending));
        self.hand_over(Job::Drop(Garbage { _content: content, _counted: counted }));
    }

    /// Gives free memory back to the system on the thread.
    pub fn give_back_memory(&mut self) {
        self.hand_over(Job::GiveBackMemory);
    }

    /// How many of the things given to it are not dropped yet.
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    /// Without a thread the job is dropped here, and what is in it: slower, not wrong.
    fn hand_over(&mut self, job: Job) {
        let refused = match &self.jobs {
            Some(jobs) => jobs.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        let Some(job) = refused else { return };
        // It has not been started, or has gone.
        self.jobs = start().ok();
        if let Some(jobs) = &self.jobs {
            // It waits for a while before it goes.
            let _ = jobs.send(job);
        }
    }
}

fn start() -> io::Result<Sender<Job>> {
    let (sender, receiver) = channel();
    thread::Builder::new().name("lazy-free".into()).spawn(move || work(&receiver))?;
    Ok(sender)
}

/// Works until there has been nothing to do for a while. What comes in just then is dropped with the channel.
fn work(jobs: &Receiver<Job>) {
    // Where the two share a core, the loop goes first. (Linux has a niceness for each thread.) Without it nothing is wrong.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    while let Ok(job) = jobs.recv_timeout(IDLE) {
        match job {
            Job::Drop(garbage) => drop(garbage),
            Job::GiveBackMemory => give_back_free_memory(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn wait_for(what: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !what() {
            assert!(Instant::now() < deadline, "it does not happen");
            thread::yield_now();
        }
    }

    /// Remembers which thread drops it.
    struct Dropped(Arc<AtomicUsize>, thread::ThreadId);

    impl Drop for Dropped {
        fn drop(&mut self) {
            assert_ne!(thread::current().id(), self.1);
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn things_are_dropped_elsewhere_and_counted_until_then() {
        let (mut lazy_free, dropped) = (LazyFree::default(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..100 {
            lazy_free.drop_there(Box::new(Dropped(dropped.clone(), thread::current().id())));
            lazy_free.give_back_memory();
        }
        wait_for(|| lazy_free.pending() == 0);
        assert_eq!(dropped.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn a_thread_that_has_gone_is_started_again() {
        let (mut lazy_free, dropped) = (LazyFree::default(), Arc::new(AtomicUsize::new(0)));
        let (gone, _) = channel();
        lazy_free.jobs = Some(gone);
        for round in 1..=2 {
            lazy_free.drop_there(Box::new(Dropped(dropped.clone(), thread::current().id())));
            wait_for(|| dropped.load(Ordering::Relaxed) == round);
        }
    }
}
