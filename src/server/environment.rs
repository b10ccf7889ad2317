//! What the core cannot have of itself, because a test must be able to give it: time, randomness, the process it lives
//! in, and the few files it writes.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::clock::Now;
use crate::config::Config;
use crate::log::Level;
use crate::persistence::disk::{Disk, Done, Job, Lane};

/// Facts about the process, for INFO and MEMORY.
#[derive(Clone, Default, Debug)]
pub struct ProcessFacts {
    /// Process number.
    pub pid: u32,
    /// Bytes allocated by the program.
    pub allocated_bytes: usize,
    /// Most bytes that were ever allocated.
    pub allocated_peak_bytes: usize,
    /// Bytes resident in memory.
    pub resident_bytes: usize,
    /// Bytes of memory in the machine.
    pub system_bytes: usize,
    /// Whether systemd has started it and is told about it.
    pub supervised: bool,
    /// User CPU time of the process, in microseconds.
    pub cpu_user_us: u64,
    /// System CPU time of the process, in microseconds.
    pub cpu_system_us: u64,
    /// User CPU time of this thread, in microseconds.
    pub thread_user_us: u64,
    /// System CPU time of this thread, in microseconds.
    pub thread_system_us: u64,
    /// Name, release and machine of the operating system.
    pub os: String,
    /// Path of the program.
    pub executable: String,
    /// Path of the configuration file, empty if there is none.
    pub config_file: String,
    /// Working directory.
    pub directory: String,
}

/// What a supervisor is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// All data is loaded: clients are served.
    Ready,
    /// The process is about to end.
    Stopping,
}

/// What the core is given from outside.
pub trait Environment {
    /// The time.
    fn now(&mut self) -> Now;

    /// Nanoseconds since some fixed point, to measure with.
    fn monotonic_ns(&mut self) -> u64;

    /// A number that nobody can guess.
    fn random(&mut self) -> u64;

    /// Stops everything for a while (`DEBUG SLEEP`).
    fn sleep_us(&mut self, duration_us: u64);

    /// Writes a line to the log.
    fn log(&mut self, level: Level, message: fmt::Arguments<'_>);

    /// Facts about the process.
    fn process(&mut self) -> ProcessFacts;

    /// Tells the program that supervises this one, if there is one.
    fn tell_supervisor(&mut self, phase: Phase);

    /// Bytes allocated by the program. Cheap.
    fn allocated_bytes(&mut self) -> usize;

    /// Drops something where it does not hold up the loop.
    fn discard(&mut self, garbage: Box<dyn Any + Send>);

    /// Number of things given to `discard` that are not dropped yet.
    fn discarding(&mut self) -> usize;

    /// Gives unused memory back to the system (`MEMORY PURGE`).
    fn purge_memory(&mut self);

    /// The disk with the data directory.
    fn disk(&mut self) -> Arc<dyn Disk>;

    /// Has a job run where it may wait. Jobs of one lane run one after the other.
    fn run_job(&mut self, lane: Lane, job: Job);

    /// Looks up the addresses of a host, of which `Done::Resolved` tells with the same number.
    fn resolve(&mut self, number: u64, host: &str, port: u16);

    /// Waits for a running job to end; `None` if there is none. Only where everybody has to wait anyway.
    fn wait_for_job(&mut self) -> Option<Done>;

    /// What came of the oldest job that has ended and was not asked for yet. A job that ends wakes the loop.
    fn finished_job(&mut self) -> Option<Done>;

    /// The text of the configuration file.
    fn read_config(&mut self) -> std::io::Result<String>;

    /// Replaces the configuration file, whole or not at all.
    fn write_config(&mut self, text: &str) -> std::io::Result<()>;

    /// Takes over those of the `changed` directives that the process acts on: log level, data directory, room for
    /// clients. If it cannot, the directive to blame and the reason; then the old values are handed over again.
    fn apply_config(
        &mut self,
        config: &Config,
        changed: &[&str],
    ) -> Result<(), (&'static str, String)>;
}
