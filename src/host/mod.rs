//! The server as a process: from a configuration to a running loop, and the real environment of the core.

mod allocator;
mod daemon;
mod disk;
mod environment;
mod lazy_free;
mod limits;
mod panic;
mod run;
mod supervisor;

pub use environment::process_facts;
pub use run::run;
