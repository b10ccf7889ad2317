//! A Redis-compatible server, a slot proxy and a command-line client: one thread, one event loop, one owner of all data.
//!
//! ```text
//! bin        server, proxy, client: flags -> Config -> run()
//! proxy      many servers behind one address
//! cli        the command-line client: replies as text, the prompt
//! host       the server as a process: clock, files, signals
//! server     owns all state; given (client, bytes, now) it fills reply buffers: no socket, no clock, no file
//! commands   one command = one table row + one small function
//! keyspace   databases, entries, expiry
//! persistence the log of changes and snapshots, as bytes
//! types      plain data structures and arithmetic
//! dict       the hash table and the blocks its entries live in
//! config     the table of directives
//! net        the event loop, the only user of mio
//! resp       request parser, reply writer, reply reader: bytes only
//! ```
//! Imports point down only; `net` and `resp` know nothing of the server.

pub mod cli;
pub mod clock;
pub mod command_syntax;
pub mod commands;
pub mod config;
pub mod dict;
pub mod glob;
pub mod host;
pub mod keyspace;
pub mod log;
pub mod net;
pub mod persistence;
pub mod proxy;
pub mod resp;
pub mod server;
pub mod types;
pub mod version;
