//! Replication: whom this server follows, who follows it, and how far they are.

mod failover;
mod psync;
mod replconf;
mod replicaof;
mod role;
mod wait;

use super::Command;

pub use wait::{WAIT, WAITAOF};

/// The rows of the group of commands about the server.
pub const COMMANDS: &[Command] = &[
    failover::FAILOVER,
    psync::PSYNC,
    replconf::REPLCONF,
    replicaof::REPLICAOF,
    replicaof::SLAVEOF,
    role::ROLE,
    psync::SYNC,
];
