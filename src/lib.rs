//! A Redis-compatible server, a slot proxy and a command-line client: one thread, one event loop, one owner of all data.
//!
//! ```text
//! bin        server, proxy, client: flags -> Config -> run()
//! server     owns all state; given (client, bytes, now) it fills reply buffers: no socket, no clock, no file
//! commands   one command = one table row + one small function
//! keyspace   databases, entries, expiry
//! dict       the hash table and the blocks its entries live in
//! resp       request parser, reply writer, reply reader: bytes only
//! net        the event loop, the only user of mio
//! ```
//! Imports point down only; `net` and `resp` know nothing of the server.

pub mod clock;
pub mod config;
pub mod dict;
pub mod log;
pub mod net;
pub mod resp;
