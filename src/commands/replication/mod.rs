//! Replication: whom this server follows.

mod replicaof;

use super::Command;

/// The rows.
pub const COMMANDS: &[Command] = &[replicaof::REPLICAOF, replicaof::SLAVEOF];
