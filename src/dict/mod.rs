//! The hash table and the blocks its entries live in: what databases, big hashes and big sets stand on.
//!
//! ```text
//! Dict      finds, inserts, removes, scans, samples: one 8-byte slot per key, no pointer, no second table
//! Segment   some thousand keys in cache-line buckets: linear probing, grows and shrinks without touching an entry
//! Arena     blocks of bytes in size classes of 8 bytes, named by 40-bit handles
//! ```
//! A dict knows neither keys nor values: a slot holds 24 bits of the key's hash and a handle, and the caller compares
//! keys. An arena knows no contents. What an entry looks like belongs to the keyspace and to the types.

mod arena;
mod bucket;
mod buckets;
mod expiry_hints;
mod filling;
mod handle;
mod large;
mod memory;
mod page;
mod prefetch;
mod random;
mod scan;
mod segment;
mod shared;
mod sweep;
mod table;

pub use arena::Arena;
pub use handle::Handle;
pub use memory::Memory;
pub use shared::SharedBlocks;
pub use sweep::SweepResult;
pub use table::{Dict, Look, Rehash, Slot};
