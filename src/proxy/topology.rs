//! Which node has which slots. In front of a cluster its nodes say it (`topology/replies.rs`); plain servers share the
//! slots evenly in the order in which they were listed. Finding a request's node is left to `slots`, asking to `refresh`.

mod replies;

use std::ops::RangeInclusive;

use super::address::Address;
pub use replies::{TopologyError, cluster_shards, cluster_slots, is_cluster_enabled};

/// Slots of a cluster; a slot's number is below.
pub const SLOTS: u16 = 16_384;

/// Nodes that hold the same keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shard {
    /// Slots whose keys they hold, ascending.
    pub slots: Vec<RangeInclusive<u16>>,
    /// The node that takes writes.
    pub master: Address,
    /// The nodes that follow it and can be read from.
    pub replicas: Vec<Address>,
}

/// Which node has which slots. A slot that nobody has is served by nobody.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Topology {
    /// Each with other slots.
    pub shards: Vec<Shard>,
}

impl Topology {
    /// All slots, evenly over `masters`, in their order: the first ones have one slot more where it does not come out even.
    /// Without masters nobody has any. More masters than slots: the last ones have none.
    pub fn even_split(masters: &[Address]) -> Self {
        let count = masters.len().max(1);
        let (each, more) = (usize::from(SLOTS) / count, usize::from(SLOTS) % count);
        let mut next = 0;
        let mut shards = Vec::new();
        for (index, master) in masters.iter().enumerate() {
            let end = next + each + usize::from(index < more);
            let slots = (next < end).then(|| next as u16..=(end - 1) as u16);
            shards.push(Shard {
                slots: slots.into_iter().collect(),
                master: master.clone(),
                replicas: Vec::new(),
            });
            next = end;
        }
        Self { shards }
    }

    /// How many slots somebody has.
    pub fn slots_covered(&self) -> usize {
        self.shards.iter().flat_map(|shard| &shard.slots).map(|range| range.len()).sum()
    }

    /// All nodes, each once: masters first, in the order of their slots.
    pub fn nodes(&self) -> Vec<&Address> {
        let masters = self.shards.iter().map(|shard| &shard.master);
        let replicas = self.shards.iter().flat_map(|shard| &shard.replicas);
        let mut seen = std::collections::HashSet::new();
        masters.chain(replicas).filter(|&address| seen.insert(address)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: u16) -> Vec<Address> {
        (1..=count).map(|port| Address { host: "h".into(), port }).collect()
    }

    #[test]
    fn slots_are_split_evenly_in_the_order_of_the_list() {
        let split = Topology::even_split(&addresses(3));
        let slots: Vec<_> = split.shards.iter().map(|shard| shard.slots[0].clone()).collect();
        assert_eq!(slots, [0..=5461, 5462..=10_922, 10_923..=16_383]);
        assert_eq!(split.nodes(), addresses(3).iter().collect::<Vec<_>>());
        for count in [0, 1, 2, 7, 16_384, 20_000] {
            let split = Topology::even_split(&addresses(count));
            let covered = if count == 0 { 0 } else { usize::from(SLOTS) };
            assert_eq!(split.slots_covered(), covered, "{count}");
            assert_eq!(split.shards.len(), usize::from(count));
        }
    }
}
