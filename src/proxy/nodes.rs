//! The nodes: where they are, which links lead to them, and whether it is worth asking them.

use std::net::{IpAddr, SocketAddr};

use super::address::Address;
use super::command_stats::{BUCKETS, bucket};
use super::link::Manner;
use super::slots::NodeId;

/// Pause after a first failure,
const PAUSE_US: u64 = 100_000;
/// and after many. With chance added it is half as long or more.
const PAUSE_US_MAX: u64 = 5_000_000;

/// Nodes that can be known: more than a cluster may have, because those that have left keep their numbers.
const NODES_MAX: u16 = 8192;

/// Whether a node is asked.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Failures in a row.
    pub failures: u32,
    /// Why it is not asked, if it is not.
    pub down: Option<String>,
    /// When it is tried again, on the monotonic clock.
    pub retry_at_us: u64,
    /// A try is under way.
    pub trying: bool,
}

impl Health {
    /// Notes a failure: requests are refused until a try at a later time, set with some chance, has gone well.
    pub fn failed(&mut self, why: String, now_us: u64, random: u64) {
        let pause_us = (PAUSE_US << self.failures.min(16)).min(PAUSE_US_MAX);
        self.failures = self.failures.saturating_add(1);
        self.retry_at_us = now_us + pause_us / 2 + random % (pause_us / 2 + 1);
        self.trying = false;
        self.down = Some(why);
    }

    /// Notes that the node answers.
    pub fn answers(&mut self) {
        self.down = None;
        self.trying = false;
    }
}

/// Figures about a node.
#[derive(Clone, Debug, Default)]
pub struct NodeStats {
    /// Requests sent to it, or queued to be.
    pub requests: u64,
    /// Replies that it has sent.
    pub replies: u64,
    /// Error replies among them.
    pub error_replies: u64,
    /// Requests that got no reply of it.
    pub failed_requests: u64,
    /// Requests that took longer than they may.
    pub timeouts: u64,
    /// Requests that it has sent elsewhere.
    pub redirections: u64,
    /// Links that were made.
    pub connections: u64,
    /// Links that could not be made, or were lost.
    pub failed_connections: u64,
    /// How long replies took, in buckets of powers of two: bucket n counts those below 2^n microseconds, the last one all others.
    pub latency_us: [u64; BUCKETS],
    /// The sum of these times.
    pub latency_sum_us: u64,
}

impl NodeStats {
    /// Notes a reply that took so long.
    #[inline]
    pub fn replied(&mut self, took_us: u32) {
        self.replies += 1;
        self.latency_us[bucket(took_us)] += 1;
        self.latency_sum_us += u64::from(took_us);
    }
}

/// The shared links that are spoken on in one manner.
pub(super) struct Pool {
    pub manner: Manner,
    /// Slots are spread over them; opened when they are needed.
    pub links: Vec<Option<u32>>,
}

/// One node.
pub struct Node {
    /// Number.
    pub id: NodeId,
    /// Where it is.
    pub address: Address,
    /// Its addresses, as far as they are known.
    pub known: Vec<SocketAddr>,
    /// Which of them is tried next.
    pub next_known: usize,
    /// Its name is being looked up.
    pub resolving: bool,
    /// Whether it is asked.
    pub health: Health,
    /// Figures.
    pub stats: NodeStats,
    /// Belongs to the topology.
    pub is_member: bool,
    pub(super) pools: Vec<Pool>,
    /// Private links that nobody uses.
    pub(super) idle: Vec<u32>,
    /// The link with subscriptions.
    pub(super) subscriptions: Option<u32>,
    /// The link for questions of the proxy's own.
    pub(super) control: Option<u32>,
}

impl Node {
    fn new(id: NodeId, address: Address) -> Node {
        let known = address.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, address.port));
        Node {
            id,
            address,
            known: known.into_iter().collect(),
            next_known: 0,
            resolving: false,
            health: Health::default(),
            stats: NodeStats::default(),
            is_member: true,
            pools: Vec::new(),
            idle: Vec::new(),
            subscriptions: None,
            control: None,
        }
    }

    /// The place of the shared link for `slot` that is spoken on in that manner.
    #[inline]
    pub(super) fn shared_link(
        &mut self,
        manner: Manner,
        slot: u16,
        connections: usize,
    ) -> (usize, &mut Option<u32>) {
        let index = match self.pools.iter().position(|pool| pool.manner == manner) {
            Some(index) => index,
            None => {
                self.pools.push(Pool { manner, links: vec![None; connections.max(1)] });
                self.pools.len() - 1
            }
        };
        let links = &mut self.pools[index].links;
        let number = usize::from(slot) % links.len();
        (number, &mut links[number])
    }

    /// Forgets a link, wherever it is noted.
    pub(super) fn forget_link(&mut self, link: u32) {
        for place in self.pools.iter_mut().flat_map(|pool| &mut pool.links) {
            if *place == Some(link) {
                *place = None;
            }
        }
        self.idle.retain(|&idle| idle != link);
        for place in [&mut self.subscriptions, &mut self.control] {
            if *place == Some(link) {
                *place = None;
            }
        }
    }
}

/// All nodes that were ever known; their numbers stay.
#[derive(Default)]
pub struct Nodes {
    list: Vec<Node>,
}

impl Nodes {
    /// The node at `address`; a new one, if there is none yet. None: there are too many.
    pub fn find_or_add(&mut self, address: &Address) -> Option<NodeId> {
        if let Some(node) = self.list.iter_mut().find(|node| node.address == *address) {
            node.is_member = true;
            return Some(node.id);
        }
        let id = NodeId(u16::try_from(self.list.len()).ok().filter(|&id| id < NODES_MAX)?);
        self.list.push(Node::new(id, address.clone()));
        Some(id)
    }

    /// The node with that number.
    #[inline]
    pub fn get(&self, id: NodeId) -> &Node {
        &self.list[usize::from(id.0)]
    }

    /// The node with that number.
    #[inline]
    pub fn get_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.list[usize::from(id.0)]
    }

    /// All nodes.
    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.list.iter()
    }

    /// All nodes.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.list.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x14_pauses_grow_and_differ() {
        let mut health = Health::default();
        let mut pauses = Vec::new();
        for failure in 0..10 {
            health.failed("no".to_owned(), 0, 0x1234_5678 * failure);
            pauses.push(health.retry_at_us);
        }
        assert!((50_000..=100_000).contains(&pauses[0]), "{pauses:?}");
        assert!((2_500_000..=5_000_000).contains(&pauses[9]), "{pauses:?}");
        health.answers();
        assert_eq!(health.down, None);
    }

    #[test]
    fn a_node_is_known_by_its_address() {
        let mut nodes = Nodes::default();
        let address = Address::new("::1", 7001).unwrap();
        let id = nodes.find_or_add(&address).unwrap();
        assert_eq!(nodes.find_or_add(&address), Some(id));
        assert_ne!(nodes.find_or_add(&Address::new("a.example", 7001).unwrap()), Some(id));
        assert_eq!(nodes.get(id).known[0].to_string(), "[::1]:7001");
        assert!(nodes.get(NodeId(1)).known.is_empty());
    }
}
