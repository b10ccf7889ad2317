//! The proxy as a process, in front of real servers and of evil ones. Cases X01-X16 of the reliability catalogue.
//!
//! ```text
//! MINI_REDIS_PROXY_SEED   one seed to replay, instead of a fixed and a fresh one
//! ```

mod support;

// Paths, because the modules of a test's root file are otherwise looked for next to it, where each would be a test.
#[path = "proxy/admin.rs"]
mod admin;
#[path = "proxy/clients.rs"]
mod clients;
#[path = "proxy/cluster.rs"]
mod cluster;
#[path = "proxy/evil.rs"]
mod evil;
#[path = "proxy/failures.rs"]
mod failures;
#[path = "proxy/garbage.rs"]
mod garbage;
#[path = "proxy/mix.rs"]
mod mix;
#[path = "proxy/nearest.rs"]
mod nearest;
#[path = "proxy/order.rs"]
mod order;
#[path = "proxy/start_and_stop.rs"]
mod start_and_stop;
