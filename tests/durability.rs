//! Nothing acknowledged is lost, nothing wrong is loaded: the real server with its process killed, its disk full or
//! failing, its power cut, and its end asked for. Cases D and S of the reliability catalogue.
//!
//! What needs root, loop devices or `strace` is skipped with a line where that is missing.

mod support;

#[path = "durability/disk.rs"]
mod disk;
#[path = "durability/kill.rs"]
mod kill;
#[path = "durability/load.rs"]
mod load;
#[path = "durability/power.rs"]
mod power;
#[path = "durability/rewrite.rs"]
mod rewrite;
#[path = "durability/shutdown.rs"]
mod shutdown;
#[path = "durability/start.rs"]
mod start;
#[path = "durability/syscalls.rs"]
mod syscalls;
