//! The server itself: its data as a whole, what it has noted of its work, what it is made of, how it ends.

mod acl;
pub mod command;
pub mod commandlog;
mod config;
mod debug;
mod flush;
mod info;
mod latency;
mod latency_report;
mod lolwut;
mod memory;
mod module;
mod monitor;
mod persistence;
mod process;

use super::{Command, container};

/// The group's rows.
pub const COMMANDS: &[Command] = &[
    acl::ACL,
    persistence::BGREWRITEAOF,
    persistence::BGSAVE,
    command::COMMAND,
    commandlog::COMMANDLOG,
    config::CONFIG,
    flush::DBSIZE,
    debug::DEBUG,
    flush::FLUSHALL,
    flush::FLUSHDB,
    info::INFO,
    persistence::LASTSAVE,
    latency::LATENCY,
    lolwut::LOLWUT,
    memory::MEMORY,
    module::MODULE,
    monitor::MONITOR,
    persistence::SAVE,
    process::SHUTDOWN,
    commandlog::SLOWLOG,
    flush::SWAPDB,
    process::TIME,
];
