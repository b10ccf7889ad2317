//! Slots: which of the 16,384 a key belongs to, and which node has it. (Redis Cluster specification, "Key distribution".)

use crc16::{State, XMODEM};

/// How many slots there are.
pub const SLOTS: u16 = 16_384;

/// The slot of a key. If it has braces with something in between, only that is hashed (the hash tag), so that keys can be
/// kept together. O(length).
pub fn key_slot(key: &[u8]) -> u16 {
    State::<XMODEM>::calculate(hash_tag(key)) % SLOTS
}

/// What of a key decides: the bytes between the first `{` and the first `}` after it, unless there are none.
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else { return key };
    let rest = &key[open + 1..];
    match memchr::memchr(b'}', rest) {
        None | Some(0) => key,
        Some(close) => &rest[..close],
    }
}

/// The number of a node, for as long as the proxy runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u16);

/// Which node each slot is at.
pub struct SlotMap {
    /// Numbers of nodes: small, because requests look them up all over the map.
    nodes: Box<[u16]>,
}

/// The number of no node.
const NOBODY: u16 = u16::MAX;

fn known(node: u16) -> Option<NodeId> {
    (node != NOBODY).then_some(NodeId(node))
}

impl Default for SlotMap {
    fn default() -> Self {
        Self { nodes: vec![NOBODY; usize::from(SLOTS)].into_boxed_slice() }
    }
}

impl SlotMap {
    /// The node that has `slot`, if there is one. Panics if there is no such slot.
    #[inline]
    pub fn node(&self, slot: u16) -> Option<NodeId> {
        known(self.nodes[usize::from(slot)])
    }

    /// Notes that `slot` is at `node` now.
    pub fn set(&mut self, slot: u16, node: Option<NodeId>) {
        self.nodes[usize::from(slot)] = node.map_or(NOBODY, |node| node.0);
    }

    /// How many slots somebody has. O(slots).
    pub fn served(&self) -> usize {
        self.nodes.iter().filter(|node| **node != NOBODY).count()
    }

    /// How many slots `node` has. O(slots).
    pub fn count_of(&self, node: NodeId) -> usize {
        self.nodes.iter().filter(|owner| **owner == node.0).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x10_slots_are_those_of_cluster_keyslot() {
        // CLUSTER KEYSLOT of Redis 7.0.15.
        for (key, slot) in [
            (b"".as_slice(), 0),
            (b"foo", 12182),
            (b"bar", 5061),
            (b"hello", 866),
            (b"123456789", 12739),
            (b"{a}x", 15495),
            (b"a", 15495),
            (b"{}x", 10595),
            (b"{a", 10276),
            (b"a}{b}c", 3300),
            (b"b", 3300),
            (b"{{a}}b", 10276),
            (b"foo{bar}{zap}", 5061),
            (b"foo{}{bar}", 8363),
            (b"\x00\xff\r\n", 6261),
        ] {
            assert_eq!(key_slot(key), slot, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn slots_are_where_they_were_put() {
        let mut map = SlotMap::default();
        assert_eq!(map.served(), 0);
        for (slot, node) in [(0, 2), (1, 1), (5, 2), (SLOTS - 1, 7)] {
            map.set(slot, Some(NodeId(node)));
        }
        map.set(1, None);
        assert_eq!((map.node(5), map.node(1)), (Some(NodeId(2)), None));
        assert_eq!((map.served(), map.count_of(NodeId(2))), (3, 2));
    }
}
