//! The server group: what operators and tools ask of the server as a whole.

mod command;
mod config;
mod info;

use super::Command;

/// The group's rows.
pub const COMMANDS: &[Command] = &[
    command::COMMAND, //
    config::CONFIG,
    info::INFO,
];
