//! The server as a process: from a configuration to a running loop, and the real environment of the core.

mod disk;
mod environment;
mod lazy_free;
mod limits;
mod run;

pub use run::run;

/// All memory of the program, counted: what INFO calls `used_memory`.
#[global_allocator]
static ALLOCATOR: cap::Cap<mimalloc::MiMalloc> = cap::Cap::new(mimalloc::MiMalloc, usize::MAX);
