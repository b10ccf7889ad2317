//! The server as a process: from a configuration to a running loop, and the real environment of the core.

mod allocator;
mod disk;
mod environment;
mod lazy_free;
mod limits;
mod panic;
mod run;

pub use environment::process_facts;
pub use run::run;
