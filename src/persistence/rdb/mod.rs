//! RDB: the format of snapshots, of full syncs and of what `DUMP` gives out.
//!
//! ```text
//! file      "REDIS0010" | record ... record | 0xff | CRC-64 of all before (u64, 0 = none)
//! record    opcode and its operands, or [expire time] [idle time or frequency] type | key | value
//! payload   type | value | version (u16) | CRC-64 of all before (u64): DUMP
//! ```
//! [`Reader`] takes a file in pieces and yields [`Event`]s, [`Writer`] makes one in pieces, [`dump`] and [`restore`] are
//! for payloads. All of it is bytes in memory: no file, no client, no clock. What is read may come from anybody: every
//! length, every packed form and every name that must be unique is checked, and memory follows the bytes that have
//! arrived, never a length that was announced.
//!
//! Read are versions 1 to 12 of Redis and 80 of Valkey, written is what [`Format`] says. The format has no other
//! description than Redis's rdb.c and rdb.h; the parts of it are explained where they are read.

mod build;
mod checksum;
mod dump;
mod encoder;
mod error;
mod format;
mod input;
mod lzf;
mod read_packed;
mod read_value;
mod reader;
mod write_value;
mod writer;
mod ziplist;
mod zipmap;

pub use dump::{dump, restore};
pub use encoder::Encoder;
pub use error::{Error, Problem};
pub use format::{Family, Format, Version};
pub use reader::{Event, Key, Reader};
pub use write_value::ValueWriter;
pub use writer::{KeyWriter, Writer};

use crate::keyspace::{StringValue, ValueRef};
use crate::types::hash::{Hash, HashLimits};
use crate::types::limits::PackedLimits;
use crate::types::list::{List, NodeLimit};
use crate::types::set::{Set, SetLimits};
use crate::types::sorted_set::SortedSet;
use crate::types::table::HashKey;

/// A value that was read.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string.
    String(Vec<u8>),
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A sorted set.
    SortedSet(SortedSet),
    /// A hash. Fields that have expired are still in it: whoever removes them has to tell others.
    Hash(Hash),
}

impl Value {
    /// To write it.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::String(bytes) => ValueRef::String(StringValue::Bytes(bytes)),
            Self::List(list) => ValueRef::List(list.view()),
            Self::Set(set) => ValueRef::Set(set.as_ref()),
            Self::SortedSet(set) => ValueRef::SortedSet(set.as_ref()),
            Self::Hash(hash) => ValueRef::Hash(hash.as_ref()),
        }
    }
}

/// What decides the form of the collections that are read, as it does for those that commands make.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `list-max-listpack-size`.
    pub list: NodeLimit,
    /// `set-max-intset-entries`.
    pub set_intset_entries: usize,
    /// `set-max-listpack-entries` and `-value`.
    pub set: PackedLimits,
    /// `zset-max-listpack-entries` and `-value`.
    pub sorted_set: PackedLimits,
    /// `hash-max-listpack-entries` and `-value`.
    pub hash: PackedLimits,
    /// The secret of the tables' hash function.
    pub hash_key: HashKey,
    /// About now, in Unix milliseconds: tables index the expire times of fields relative to it.
    pub now_ms: i64,
}

impl Limits {
    fn for_sets(&self) -> SetLimits {
        SetLimits {
            intset_entries: self.set_intset_entries,
            packed: self.set,
            hash_key: self.hash_key,
        }
    }

    fn for_hashes(&self) -> HashLimits {
        HashLimits { packed: self.hash, hash_key: self.hash_key, now_ms: self.now_ms }
    }
}

#[cfg(test)]
mod tests;
