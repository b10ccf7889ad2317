//! Commands that all nodes are asked: `KEYS`, `DBSIZE`, `FLUSHALL`, `SCRIPT LOAD`, `RANDOMKEY`; and `SCAN`, which goes through
//! one node after the other.

use super::Proxy;
use super::client::Hold;
use super::dispatch::{NOT_SERVED, Request};
use super::join::{Join, page};
use super::link::{NO_SLOT, Recipient};
use super::routing::Gather;
use super::slots::NodeId;
use crate::commands::CommandError;
use crate::resp::{Args, OwnedArgs};

/// A cursor has the position of the node above, and the cursor of the node in so many bits. It stays below 2^63, because
/// some clients keep it as a signed number.
const NODE_CURSOR_BITS: u32 = 53;
const NODES_MAX: u64 = 1 << (63 - NODE_CURSOR_BITS);

impl Proxy {
    /// Sends a request to all nodes that have slots.
    pub(super) fn ask_all_nodes(&mut self, client: usize, request: &Request<'_>, gather: Gather) {
        let masters = self.masters.clone();
        let manner = self.clients[client].manner();
        let mut links = Vec::with_capacity(masters.len());
        for &node in &masters {
            match self.link_to(node, manner, 0) {
                Ok(link) => links.push(link),
                Err(text) => return self.refuse(client, text.as_bytes()),
            }
        }
        if links.is_empty() {
            return self.refuse(client, NOT_SERVED);
        }
        // With several links to a node this one could overtake earlier requests on the others, and be overtaken.
        let may_overtake = self.options.connections > 1;
        if may_overtake && self.waits_for_replies(client) {
            return;
        }
        if links.iter().any(|&link| self.is_full(link)) {
            return self.throttle(client);
        }
        let recipient = self.expect_reply(client, request.id);
        let recipient_waits = recipient != Recipient::Nobody;
        if let [link] = links[..] {
            return self.send(link, request, recipient, NO_SLOT, request.traits());
        }
        let protocol = self.clients[client].protocol;
        let chance = self.environment.random();
        let join = Join::new(recipient, gather, links.len(), Vec::new(), protocol);
        let join = self.joins.insert(join.with_chance(chance)) as u32;
        for (part, link) in links.into_iter().enumerate() {
            let recipient = Recipient::Part { join, part: part as u32 };
            self.send(link, request, recipient, NO_SLOT, request.traits());
        }
        if may_overtake && recipient_waits {
            self.clients[client].hold = Hold::UntilAnswered;
        }
    }

    /// `SCAN cursor ...`: asks the node that the cursor is at.
    pub(super) fn scan(&mut self, client: usize, request: &Request<'_>) {
        if self.is_one_server() {
            let slot = 0;
            return self.forward(client, request, slot);
        }
        let Some((node, position, cursor)) = self.scan_position(request.args) else {
            return self.refuse_with(client, &CommandError::Text("ERR invalid cursor"));
        };
        let manner = self.clients[client].manner();
        let link = match self.link_to(node, manner, 0) {
            Ok(link) => link,
            Err(text) => return self.refuse(client, text.as_bytes()),
        };
        if self.is_full(link) {
            return self.throttle(client);
        }
        let recipient = self.expect_reply(client, request.id);
        let protocol = self.clients[client].protocol;
        let mut join = Join::new(recipient, Gather::Any, 1, Vec::new(), protocol);
        join.scan = Some(position);
        let join = self.joins.insert(join) as u32;
        let digits = cursor.to_string();
        let mut args: OwnedArgs = [request.args.bytes(0), digits.as_bytes()].into_iter().collect();
        request.args.tail(2).iter().for_each(|argument| args.push(argument));
        let of_node = Request { args: &args.args(), wire: None, ..*request };
        let recipient = Recipient::Part { join, part: 0 };
        self.send(link, &of_node, recipient, NO_SLOT, request.traits());
    }

    /// The node that a cursor is at, its position, and its own cursor.
    fn scan_position(&self, args: &Args<'_>) -> Option<(NodeId, usize, u64)> {
        let cursor: u64 = std::str::from_utf8(args.bytes(1)).ok()?.parse().ok()?;
        let position = usize::try_from(cursor >> NODE_CURSOR_BITS).ok()?;
        let node = *self.masters.get(position)?;
        Some((node, position, cursor & ((1 << NODE_CURSOR_BITS) - 1)))
    }

    /// A node's page as the client gets it: with the cursor of the next page, or of the next node's first.
    pub(super) fn scanned(&self, position: usize, reply: &[u8]) -> Vec<u8> {
        let Some((cursor, rest)) = page(reply) else { return reply.to_vec() };
        let last = position + 1 >= self.masters.len();
        let next = match (cursor, last) {
            (0, true) => 0,
            (0, false) => (position as u64 + 1) << NODE_CURSOR_BITS,
            _ => (position as u64) << NODE_CURSOR_BITS | cursor,
        };
        if cursor >> NODE_CURSOR_BITS != 0 || next >> NODE_CURSOR_BITS >= NODES_MAX {
            return b"-ERR the cursor of the node is too large to be passed on\r\n".to_vec();
        }
        let digits = next.to_string();
        [format!("*2\r\n${}\r\n{digits}\r\n", digits.len()).as_bytes(), rest].concat()
    }
}
