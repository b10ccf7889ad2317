//! Links: choosing one for a request, opening it, and greeting the node. A link is opened when it is needed, and lets requests
//! leave when the node has answered the greeting.

use std::net::SocketAddr;

use super::dispatch::NOT_SERVED;
use super::link::{Link, Manner, Stage, Use};
use super::outgoing::Outgoing;
use super::requests::Requests;
use super::slots::{NodeId, SlotMap};
use super::{Proxy, link_token};
use crate::log::Level;
use crate::net::{Close, Connect, Disconnect};
use crate::resp::{Protocol, write_request};

/// Errors with which a node that is alive may answer a greeting: requests get them, too.
const ALIVE: [&[u8]; 3] = [b"-LOADING", b"-MASTERDOWN", b"-BUSY"];

impl Proxy {
    /// The shared link for requests with keys of `slot`; else the text of the error.
    #[inline]
    pub(super) fn link_for(&mut self, manner: Manner, slot: u16) -> Result<u32, String> {
        let Some(node) = self.slots.node(slot) else { return Err(not_served()) };
        self.link_to(node, manner, slot)
    }

    /// The shared link to a node for `slot`. A slot has always the same one, so that its requests stay in order.
    #[inline]
    pub(super) fn link_to(
        &mut self,
        node: NodeId,
        manner: Manner,
        slot: u16,
    ) -> Result<u32, String> {
        let state = self.nodes.get_mut(node);
        if state.health.down.is_some() {
            return Err(self.down_text(node));
        }
        let connections = self.options.connections as usize;
        let (number, place) = state.shared_link(manner, slot, connections);
        if let Some(link) = *place {
            return Ok(link);
        }
        let link = self.open_link(node, Use::Shared(number), manner);
        *self.nodes.get_mut(node).shared_link(manner, slot, connections).1 = Some(link);
        Ok(link)
    }

    /// The error for requests to a node that is not asked for now.
    #[cold]
    pub(super) fn down_text(&self, node: NodeId) -> String {
        let node = self.nodes.get(node);
        let why = node.health.down.as_deref().unwrap_or("lost");
        format!("{}: node {} is down ({why})", not_served(), node.address)
    }

    /// Begins to connect to a node.
    pub(super) fn open_link(&mut self, node: NodeId, purpose: Use, manner: Manner) -> u32 {
        let (greeting, replies) = self.greeting(manner);
        let now_us = self.now.monotonic_us;
        let entry = self.links.vacant_entry();
        let index = entry.key();
        let mut link = Link::new(link_token(index), node, purpose, manner, now_us);
        link.greeting_replies = replies;
        link.outgoing = Outgoing::Requests(Requests::with_greeting(greeting));
        entry.insert(link);
        self.connect_or_resolve(index);
        index as u32
    }

    /// What is said first on a link, and how many replies it gets.
    fn greeting(&self, manner: Manner) -> (Vec<u8>, u8) {
        let (user, password) = (&self.options.auth_user, &self.options.auth);
        let mut requests: Vec<Vec<&[u8]>> = Vec::new();
        let db = manner.db.to_string();
        match (manner.protocol, password.is_empty()) {
            (Protocol::Resp3, true) => requests.push(vec![b"HELLO", b"3"]),
            (Protocol::Resp3, false) => {
                let user: &[u8] = if user.is_empty() { b"default" } else { user };
                requests.push(vec![b"HELLO", b"3", b"AUTH", user, password]);
            }
            (Protocol::Resp2, false) if user.is_empty() => requests.push(vec![b"AUTH", password]),
            (Protocol::Resp2, false) => requests.push(vec![b"AUTH", user, password]),
            (Protocol::Resp2, true) if manner.db == 0 => requests.push(vec![b"PING"]),
            (Protocol::Resp2, true) => {}
        }
        if manner.db > 0 {
            requests.push(vec![b"SELECT", db.as_bytes()]);
        }
        let mut bytes = Vec::new();
        for request in &requests {
            write_request(&mut bytes, request.iter().copied());
        }
        (bytes, requests.len() as u8)
    }

    /// Connects to the next of the node's addresses, or has them looked up.
    fn connect_or_resolve(&mut self, index: usize) {
        let link = &mut self.links[index];
        let node = self.nodes.get_mut(link.node);
        if let Some(&address) = node.known.get(node.next_known % node.known.len().max(1)) {
            link.stage = Stage::Connecting;
            let connect = Connect { token: link.token, address, source: None };
            return self.actions.connect.push(connect);
        }
        link.stage = Stage::Resolving;
        if !node.resolving {
            node.resolving = true;
            let number = u64::from(node.id.0);
            self.environment.resolve(number, &node.address.host, node.address.port);
        }
    }

    /// Takes the look-ups of names that have ended.
    pub(super) fn take_resolved(&mut self) {
        while let Some((number, result)) = self.environment.resolved() {
            let Ok(number) = u16::try_from(number) else { continue };
            self.resolved(NodeId(number), result);
        }
    }

    fn resolved(&mut self, node: NodeId, result: std::io::Result<Vec<SocketAddr>>) {
        let state = self.nodes.get_mut(node);
        state.resolving = false;
        state.known = result.unwrap_or_default();
        let failed = state.known.is_empty();
        let waiting = self
            .links
            .iter()
            .filter(|(_, link)| link.node == node && link.stage == Stage::Resolving);
        let waiting: Vec<usize> = waiting.map(|(index, _)| index).collect();
        for index in waiting {
            if failed {
                self.lose_link(index, "its name is not known");
            } else {
                self.connect_or_resolve(index);
            }
        }
    }

    /// The connection is made: the greeting leaves.
    pub(super) fn link_established(&mut self, index: usize) {
        let now_us = self.now.monotonic_us;
        let Some(link) = self.links.get_mut(index) else { return };
        if link.stage == Stage::Closed {
            self.actions.close.push((link.token, Close::Now)); // it was given up before the loop knew of it
        } else if link.stage == Stage::Connecting {
            link.stage = Stage::Greeting(link.greeting_replies);
            link.since_us = now_us;
            self.write_to_link(index as u32);
        }
    }

    /// A reply to the greeting.
    pub(super) fn greeted(&mut self, index: usize, left: u8, reply: &[u8]) {
        if reply.first() == Some(&b'-') && !ALIVE.iter().any(|error| reply.starts_with(error)) {
            let text = String::from_utf8_lossy(reply[1..].trim_ascii_end()).into_owned();
            return self.lose_link(index, &text);
        }
        let now_us = self.now.monotonic_us;
        let link = &mut self.links[index];
        if left > 1 {
            link.stage = Stage::Greeting(left - 1);
            return;
        }
        link.stage = Stage::Ready;
        link.since_us = now_us;
        link.outgoing.requests().open();
        let queued_us = now_us as u32;
        link.waiting.iter_mut().for_each(|waiter| waiter.queued_us = queued_us);
        let node = self.nodes.get_mut(link.node);
        node.stats.connections += 1;
        if node.health.down.is_some() {
            node.health.answers();
            let address = node.address.clone();
            self.log(Level::Notice, format_args!("Node {address} answers"));
        }
        self.write_to_link(index as u32);
    }

    /// The connection of a link has ended.
    pub(super) fn link_disconnected(&mut self, index: usize, why: &Disconnect) {
        let Some(link) = self.links.get(index) else { return };
        if link.stage != Stage::Closed {
            let text = match why {
                Disconnect::PeerClosed => "it closed the connection".to_owned(),
                Disconnect::Failed(error) => crate::net::os_text(error),
                Disconnect::Requested => "closed".to_owned(),
            };
            self.lose_link(index, &text);
        }
        self.links.try_remove(index);
    }
}

#[cold]
fn not_served() -> String {
    String::from_utf8_lossy(NOT_SERVED).into_owned()
}

impl Link {
    /// Whether the node it leads to has `slot`.
    pub(super) fn node_has(&self, slots: &SlotMap, slot: u16) -> bool {
        slots.node(slot) == Some(self.node)
    }

    /// Whether time matters to it: it is being opened, or has requests under way.
    pub(super) fn wants_checks(&self) -> bool {
        !matches!(self.stage, Stage::Ready | Stage::Closed)
            || self.waiting.front().is_some_and(|waiter| !waiter.traits.patient)
    }
}
