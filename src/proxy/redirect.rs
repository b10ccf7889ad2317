//! `MOVED` and `ASK`: a node of a cluster says that another one has the slot. The request goes there, a few times at most; what
//! was learned about the slot stays. The node has not run it, so writes may go on as well as reads.

use super::Proxy;
use super::address::Address;
use super::link::{NO_COMMAND, NO_SLOT, Recipient, Traits, Use, Waiter};
use super::nodes::Node;
use super::refresh::{Kind, Learned};
use super::slots::{NodeId, SLOTS};
use super::topology::Topology;
use crate::log::Level;

/// How often one request is redirected before its client is told.
const REDIRECTS_MAX: u8 = 5;
const ASKING: &[u8] = b"*1\r\n$6\r\nASKING\r\n";

/// What a redirection says.
#[derive(PartialEq, Eq, Debug)]
struct Redirection {
    /// For this request only.
    is_ask: bool,
    slot: u16,
    address: Address,
}

/// Reads `-MOVED 3999 127.0.0.1:6381`. An empty host means the node that says it.
fn parse(reply: &[u8], from: &Address) -> Option<Redirection> {
    let text = std::str::from_utf8(reply).ok()?.strip_suffix("\r\n")?;
    let mut words = text.split(' ');
    let is_ask = match words.next()? {
        "-MOVED" => false,
        "-ASK" => true,
        _ => return None,
    };
    let slot = words.next()?.parse().ok().filter(|slot| *slot < SLOTS)?;
    let place = words.next()?;
    let address = match place.strip_prefix(':').map(str::parse) {
        Some(Ok(port)) => Address::new(&from.host, port),
        _ => Address::parse(place),
    };
    Some(Redirection { is_ask, slot, address: address? })
}

impl Proxy {
    /// Whether a reply sends its request elsewhere, and the request may go on.
    pub(super) fn is_redirection(&self, index: usize, reply: &[u8]) -> bool {
        let is_one = reply.starts_with(b"-MOVED ") || reply.starts_with(b"-ASK ");
        let link = &self.links[index];
        is_one
            && self.refresh.kind() != Some(Kind::Plain)
            && match link.purpose {
                Use::Shared(_) => true,
                Use::Private => link.waiting.len() == 1 && link.owner.is_some(),
                _ => false,
            }
            && link.waiting.front().is_some_and(|waiter| {
                waiter.traits.redirects < REDIRECTS_MAX
                    && matches!(waiter.recipient, Recipient::Client { .. } | Recipient::Part { .. })
            })
    }

    /// Sends the first request of a link where its reply says.
    pub(super) fn redirect(&mut self, index: usize, reply: &[u8]) {
        let link = &mut self.links[index];
        let (from, manner) = (link.node, link.manner);
        let bytes = link.waiting.front().map_or(0, |waiter| waiter.bytes as usize);
        if !link.outgoing.requests().is_sent(bytes) {
            return self.lose_link(index, "it sent a reply to no request");
        }
        let request = link.outgoing.requests().first(bytes).to_vec();
        let Some(mut waiter) = link.take_answered() else { return };
        waiter.traits.redirects += 1;
        let stats = &mut self.nodes.get_mut(from).stats;
        stats.redirections += 1;
        stats.replies += 1;
        let target = parse(reply, &self.nodes.get(from).address)
            .and_then(|said| Some((self.nodes.find_or_add(&said.address)?, said)));
        let Some((node, said)) = target else { return self.hand_over(waiter.recipient, reply) };
        if !said.is_ask {
            self.slots.set(said.slot, Some(node));
            self.refresh.redirected(said.address, self.now.monotonic_us / 1000);
        }
        let slot = if waiter.slot == NO_SLOT { said.slot } else { waiter.slot };
        let link = match self.links[index].purpose {
            Use::Private => self.exchange_private_link(index, node, &request),
            _ => self.link_to(node, manner, slot),
        };
        match link {
            Ok(link) => {
                if said.is_ask {
                    self.resend(link, asking(&waiter), ASKING);
                }
                self.resend(link, waiter, &request);
            }
            Err(text) => self.fail(waiter.recipient, &text),
        }
    }

    /// Notes what a redirection without its request says: where the slot is now.
    pub(super) fn moved_to(&mut self, reply: &[u8]) -> Option<NodeId> {
        let from = Address { host: String::new(), port: 0 }; // an empty host leads nowhere
        let said = parse(reply, &from).filter(|_| self.refresh.kind() != Some(Kind::Plain))?;
        let node = self.nodes.find_or_add(&said.address)?;
        self.slots.set(said.slot, Some(node));
        self.refresh.redirected(said.address, self.now.monotonic_us / 1000);
        Some(node)
    }

    /// An error that says something about the node, not about the request.
    pub(super) fn note_error(&mut self, node: NodeId, reply: &[u8]) {
        let hints = [b"-READONLY".as_slice(), b"-CLUSTERDOWN", b"-MOVED", b"-MASTERDOWN"];
        if hints.iter().any(|hint| reply.starts_with(hint)) {
            let address = self.nodes.get(node).address.clone();
            self.refresh.node_failed(&address, self.now.monotonic_us / 1000);
        }
    }

    /// Asks a node for the topology, if it is time to.
    pub(super) fn ask_for_topology(&mut self) {
        let now_ms = self.now.monotonic_us / 1000;
        while let Some(ask) = self.refresh.due(now_ms) {
            let node = self.nodes.find_or_add(&ask.address);
            let Some(link) = node.and_then(|node| self.control_link(node)) else {
                self.refresh.failed(ask.number, now_ms);
                continue;
            };
            let waiter = Waiter {
                recipient: Recipient::Topology(ask.number as u32),
                bytes: ask.question.request().len() as u32,
                queued_us: 0,
                slot: NO_SLOT,
                traits: OWN,
            };
            self.resend(link, waiter, ask.question.request());
        }
    }

    /// The link to a node for questions of the proxy's own.
    pub(super) fn control_link(&mut self, node: NodeId) -> Option<u32> {
        let state = self.nodes.get_mut(node);
        if state.control.is_none() && state.health.down.is_none() {
            let link = self.open_link(node, Use::Control, super::link::Manner::PLAIN);
            self.nodes.get_mut(node).control = Some(link);
        }
        self.nodes.get(node).control
    }

    /// A node has said what it knows of the topology.
    pub(super) fn topology_answered(&mut self, number: u32, reply: &[u8]) {
        let now_ms = self.now.monotonic_us / 1000;
        let before = self.refresh.kind();
        if let Learned::Topology(kind, topology) =
            self.refresh.answered(u64::from(number), reply, now_ms)
        {
            if before != Some(kind) {
                let what = match kind {
                    Kind::Plain => "plain servers: the slots are split evenly between them",
                    Kind::Cluster => "those of a cluster: they say who has which slots",
                };
                self.log(Level::Notice, format_args!("The nodes are {what}"));
            }
            self.apply_topology(&topology);
        }
    }

    /// Takes over who has which slots.
    pub(super) fn apply_topology(&mut self, topology: &Topology) {
        self.nodes.iter_mut().for_each(Node::forget_role);
        let mut owners = vec![None; usize::from(SLOTS)];
        self.masters.clear();
        for shard in &topology.shards {
            let Some(node) = self.nodes.find_or_add(&shard.master) else { continue };
            for range in &shard.slots {
                owners[usize::from(*range.start())..=usize::from(*range.end())].fill(Some(node));
            }
            if !shard.slots.is_empty() {
                self.masters.push(node);
            }
            for address in &shard.replicas {
                let Some(replica) = self.nodes.find_or_add(address) else { continue };
                self.nodes.get_mut(replica).is_replica = true;
                self.nodes.get_mut(node).replicas.push(replica);
            }
        }
        self.choose_readers();
        let changed = (0..SLOTS).filter(|&slot| self.slots.node(slot) != owners[usize::from(slot)]);
        let changed = changed.collect::<Vec<_>>();
        for &slot in &changed {
            self.slots.set(slot, owners[usize::from(slot)]);
        }
        if !changed.is_empty() {
            self.log(
                Level::Notice,
                format_args!("{} slots are at other nodes than before", changed.len()),
            );
            self.resubscribe();
        }
    }
}

/// Requests of the proxy's own.
pub(super) const OWN: Traits =
    Traits { writes: false, retried: true, redirects: 0, patient: false, command: NO_COMMAND };

/// `ASKING` goes before a request; its reply is for nobody.
fn asking(waiter: &Waiter) -> Waiter {
    Waiter { recipient: Recipient::Nobody, bytes: ASKING.len() as u32, ..*waiter }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_are_read() {
        let from = Address::new("10.0.0.1", 7000).unwrap();
        let read = |text: &str| {
            parse(text.as_bytes(), &from)
                .map(|said| (said.is_ask, said.slot, said.address.to_string()))
        };
        assert_eq!(
            read("-MOVED 3999 127.0.0.1:6381\r\n"),
            Some((false, 3999, "127.0.0.1:6381".to_owned()))
        );
        assert_eq!(read("-ASK 0 ::1:6381\r\n"), Some((true, 0, "[::1]:6381".to_owned())));
        assert_eq!(read("-MOVED 1 :6381\r\n"), Some((false, 1, "10.0.0.1:6381".to_owned())));
        for wrong in [
            "-MOVED 16384 a:1\r\n",
            "-MOVED x a:1\r\n",
            "-MOVED 1\r\n",
            "-ERR no\r\n",
            "-MOVED 1 ?:1\r\n",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
