//! Commands about the proxy as a whole and about its clients: what it tells of itself, and what it can be told while it runs.
//!
//! ```text
//! client    CLIENT              config   CONFIG
//! command   COMMAND             info     INFO
//! slowlog   SLOWLOG             latency  LATENCY, and what is counted for each command
//! ```

mod client;
mod command;
mod config;
mod info;
mod latency;
mod slowlog;

use super::routing::Handler;
pub(super) use slowlog::SlowLog;

/// The commands, by full name.
pub(super) fn handlers() -> impl Iterator<Item = &'static (&'static str, Handler)> {
    [
        client::HANDLERS,
        command::HANDLERS,
        config::HANDLERS,
        info::HANDLERS,
        latency::HANDLERS,
        slowlog::HANDLERS,
    ]
    .into_iter()
    .flatten()
}
