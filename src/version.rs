//! The versions this server tells.

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of Redis that clients may take it for: the one whose commands and replies it has, and the one that Valkey
/// tells too.
pub const REDIS_VERSION: &str = "7.2.4";
