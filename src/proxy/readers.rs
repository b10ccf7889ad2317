//! Reads from replicas: which of the nodes that have a slot is read from. Writes always go to the master, and what goes to a replica
//! sees writes as late as it does. Where a replica cannot be reached, or is not ready, its master is read from.

use super::Proxy;
use super::link::{Manner, NO_SLOT, Recipient, Use, Waiter};
use super::nodes::Node;
use super::options::ReadFrom;
use super::redirect::OWN;
use super::slots::NodeId;

/// The nodes to read from are chosen anew so often.
const CHOICE_INTERVAL_US: u64 = 100_000;
/// For `nearest` the nodes that are not read from are asked for a `PING` so often: else nobody knew how near they are.
const PROBE_INTERVAL_US: u64 = 1_000_000;
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
/// What a replica answers while it has not all data of its master.
const NOT_READY: [&[u8]; 2] = [b"-LOADING", b"-MASTERDOWN"];

impl Proxy {
    /// The shared link for a read of keys of `slot`. A slot has the same reader as long as it can be reached.
    pub(super) fn read_link_for(&mut self, manner: Manner, slot: u16) -> Result<u32, String> {
        let Some(master) = self.slots.node(slot) else { return self.link_for(manner, slot) };
        let readers = &self.nodes.get(master).readers;
        let Some(&reader) = readers.get(usize::from(slot) % readers.len().max(1)) else {
            return self.link_to(master, manner, slot);
        };
        match self.link_to(reader, manner, slot) {
            Err(_) if reader != master => self.link_to(master, manner, slot),
            link => link,
        }
    }

    /// Chooses the nodes to read from, if it is time to.
    pub(super) fn check_readers(&mut self) {
        if self.now.monotonic_us >= self.next_choice_us {
            self.choose_readers();
        }
        if self.options.read_from == ReadFrom::Nearest
            && self.now.monotonic_us >= self.next_probe_us
        {
            self.next_probe_us = self.now.monotonic_us + PROBE_INTERVAL_US;
            self.probe_others();
        }
    }

    /// Chooses the nodes to read from, for each master: none means itself.
    pub(super) fn choose_readers(&mut self) {
        self.next_choice_us = self.now.monotonic_us + CHOICE_INTERVAL_US;
        let read_from = self.options.read_from;
        for master in self.masters.clone() {
            let replicas = self.nodes.get(master).replicas.iter().copied();
            let is_up = |node: &NodeId| self.nodes.get(*node).health.down.is_none();
            let readers: Vec<NodeId> = match read_from {
                ReadFrom::Master => Vec::new(),
                ReadFrom::Replica => replicas.filter(is_up).collect(),
                ReadFrom::Nearest => std::iter::once(master)
                    .chain(replicas)
                    .filter(is_up)
                    .min_by_key(|&node| self.distance_us(master, node))
                    .into_iter()
                    .collect(),
            };
            self.nodes.get_mut(master).readers = readers;
        }
        self.reads_elsewhere =
            self.masters.iter().any(|&master| !self.nodes.get(master).readers.is_empty());
    }

    /// How far a node is. The one that is read from counts as nearer than it is: another one has to be worth it, because a client
    /// that changes over may go back in time.
    fn distance_us(&self, master: NodeId, node: NodeId) -> u64 {
        let us = self.nodes.get(node).stats.recent_us();
        let is_reader = self.nodes.get(master).readers.first() == Some(&node);
        if is_reader { us - us / 4 } else { us }
    }

    /// Measures the nodes that could be read from and are not. The answer is noted like any other.
    fn probe_others(&mut self) {
        for master in self.masters.clone() {
            let state = self.nodes.get(master);
            if state.replicas.is_empty() {
                continue;
            }
            let all = std::iter::once(master).chain(state.replicas.iter().copied());
            let others: Vec<NodeId> = all.filter(|node| !state.readers.contains(node)).collect();
            for node in others {
                let Some(link) = self.control_link(node) else { continue };
                if !self.links[link as usize].waiting.is_empty() {
                    continue; // its answer to the last one, or to another question, will tell
                }
                let bytes = PING.len() as u32;
                let recipient = Recipient::Nobody;
                let waiter = Waiter { recipient, bytes, queued_us: 0, slot: NO_SLOT, traits: OWN };
                self.resend(link, waiter, PING);
            }
        }
    }

    /// Whether a reply says that a replica cannot answer yet, and its request may go to the master.
    pub(super) fn is_unready_replica(&self, index: usize, reply: &[u8]) -> bool {
        let link = &self.links[index];
        NOT_READY.iter().any(|code| reply.starts_with(code))
            && self.nodes.get(link.node).is_replica
            && matches!(link.purpose, Use::Shared(_))
            && link.waiting.front().is_some_and(|waiter| {
                waiter.slot != NO_SLOT
                    && matches!(waiter.recipient, Recipient::Client { .. } | Recipient::Part { .. })
            })
    }

    /// Sends the first request of a link to the master of its slot.
    pub(super) fn ask_the_master(&mut self, index: usize) {
        let link = &mut self.links[index];
        let manner = link.manner;
        let bytes = link.waiting.front().map_or(0, |waiter| waiter.bytes as usize);
        if !link.outgoing.requests().is_sent(bytes) {
            return self.lose_link(index, "it sent a reply to no request");
        }
        let request = link.outgoing.requests().first(bytes).to_vec();
        let Some(waiter) = link.take_answered() else { return };
        match self.link_for(manner, waiter.slot) {
            Ok(link) => self.resend(link, waiter, &request),
            Err(text) => self.fail(waiter.recipient, &text),
        }
    }
}

impl Node {
    /// Becomes a node of which nothing is known but where it is.
    pub(super) fn forget_role(&mut self) {
        (self.is_member, self.is_replica) = (false, false);
        self.replicas.clear();
        self.readers.clear();
    }
}
