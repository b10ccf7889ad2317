//! Placeholder.
use super::Command;
/// The group's rows.
pub const COMMANDS: &[Command] = &[];
