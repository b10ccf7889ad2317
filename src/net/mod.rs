//! The event loop: the only user of `mio`. It moves bytes between sockets and a [`Service`] and knows nothing of Redis.
//!
//! ```text
//! service     what the loop drives, and what it is told: Service, Actions, Peer, LoopStats
//! event_loop  one turn: wait -> accept -> read -> timers -> write -> close
//! accept      the accept phase, and what to do without file descriptors
//! connect     connections that this side begins
//! table       which connection has which token, and which are ready
//! connection  one socket and what the loop knows about its readiness
//! lingering   sockets that have sent their last byte and wait for the peer's
//! listener    the listening sockets
//! bind        how one is made, and the options client sockets inherit from it
//! clock       reads the clocks
//! signals     SIGTERM and friends as events of the loop
//! ```
//! Readiness is edge-triggered: the kernel speaks up once, so whoever stops before a short read, a short write or
//! `WouldBlock` has to remember it. Every such place has a "still ready" list, and while one of them holds something the
//! next poll does not block.

mod accept;
mod bind;
mod clock;
mod connect;
mod connection;
mod event_loop;
mod lingering;
mod listener;
mod service;
mod signals;
mod table;
#[cfg(test)]
mod tests;
mod waker;

pub use bind::SocketError;
pub use clock::{clock_now, monotonic_ns};
pub use connect::Connect;
pub use event_loop::EventLoop;
pub use listener::{ListenConfig, ListenError};
pub use service::{Actions, Close, Disconnect, LoopStats, OutputBuffer, Peer, Service, Token};
pub use signals::Signal;
pub use waker::Waker;

use std::io;

/// What the operating system says about `error`, as C's `strerror` has it: without Rust's `(os error 98)`.
pub(crate) fn os_text(error: &io::Error) -> String {
    let text = error.to_string();
    // Name resolution has no errno; Redis prints the bare `gai_strerror` text.
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    text.rfind(" (os error ").map_or(text, |end| &text[..end]).to_owned()
}
