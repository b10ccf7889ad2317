//! Up to where collections are packed: the directives, in the words of the types.

use super::State;
use crate::types::limits::PackedLimits;
use crate::types::list::NodeLimit;

impl State {
    /// When a list is one listpack, and when a node of it is full.
    pub fn list_limit(&self) -> NodeLimit {
        let limit = NodeLimit::new(i64::from(self.config.list_max_listpack_size));
        match self.list_packed_threshold {
            None => limit,
            Some(bytes) => limit.with_packed_threshold(bytes),
        }
    }

    /// When a hash is a listpack.
    pub fn hash_packed(&self) -> PackedLimits {
        packed(self.config.hash_max_listpack_entries, self.config.hash_max_listpack_value)
    }

    /// How many members an intset has at most.
    pub fn set_intset_entries(&self) -> usize {
        size(self.config.set_max_intset_entries)
    }

    /// When a set is a listpack.
    pub fn set_packed(&self) -> PackedLimits {
        packed(self.config.set_max_listpack_entries, self.config.set_max_listpack_value)
    }

    /// When a sorted set is a listpack.
    pub fn zset_packed(&self) -> PackedLimits {
        packed(self.config.zset_max_listpack_entries, self.config.zset_max_listpack_value)
    }
}

fn packed(entries: u64, value_bytes: u64) -> PackedLimits {
    PackedLimits { entries: size(entries), value_bytes: size(value_bytes) }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
