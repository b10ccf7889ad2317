//! A Redis-compatible server, a slot proxy and a command-line client: one thread, one event loop, one owner of all data.

pub mod clock;
pub mod command_syntax;
pub mod config;
pub mod dict;
pub mod glob;
pub mod log;
pub mod net;
pub mod resp;
pub mod types;
