//! From the bytes of nodes to those who wait for them. Of a reply nothing is looked at but its end, and the first bytes if it
//! is an error; a long one is handed on in pieces.

use super::Proxy;
use super::client::{Client, Hold};
use super::link::{Piece, Recipient, Stage, Use, Waiter};
use crate::log::Level;
use crate::net::{Close, OutputBuffer};

/// Unread bytes of a client from which on the link that sends it a long reply is not read from.
const PAUSE_FROM_BYTES: usize = 1 << 20;

impl Proxy {
    /// Bytes arrived from a node.
    pub(super) fn received_from_node(&mut self, index: usize, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(link) = self.links.get_mut(index) else { return };
            if link.stage == Stage::Closed {
                return;
            }
            let piece = match link.incoming.next(rest) {
                Ok(piece) => piece,
                Err(error) => return self.lose_link(index, &error.to_string()),
            };
            match piece {
                Piece::Whole(len) => {
                    let (reply, tail) = rest.split_at(len);
                    rest = tail;
                    self.reply(index, reply);
                }
                Piece::Collected(len) => {
                    rest = &rest[len..];
                    let reply = std::mem::take(&mut link.incoming.collected);
                    self.reply(index, &reply);
                }
                Piece::Long(len, ends) => {
                    let (piece, tail) = rest.split_at(len);
                    rest = tail;
                    let before = std::mem::take(&mut link.incoming.collected);
                    if !before.is_empty() {
                        self.long_reply(index, &before, false);
                    }
                    self.long_reply(index, piece, ends);
                }
                Piece::Nothing => return,
            }
        }
    }

    /// A whole reply: to who is the first to wait.
    #[inline]
    fn reply(&mut self, index: usize, reply: &[u8]) {
        let link = &mut self.links[index];
        let is_usual = link.stage == Stage::Ready && link.purpose != Use::Subscriptions;
        if !is_usual || matches!(reply[0], b'-' | b'>') {
            return self.unusual_reply(index, reply);
        }
        self.note_if_slow(index);
        let Some(waiter) = self.links[index].take_answered() else { return self.unasked(index) };
        self.note_reply(index, &waiter, false);
        self.hand_over(waiter.recipient, reply);
    }

    fn unusual_reply(&mut self, index: usize, reply: &[u8]) {
        let link = &mut self.links[index];
        if let Stage::Greeting(left) = link.stage {
            return self.greeted(index, left, reply);
        }
        if link.purpose == Use::Subscriptions {
            return self.message(index, reply);
        }
        if reply[0] == b'>' {
            return; // a message that nobody has asked for, and no reply
        }
        let node = link.node;
        if self.is_redirection(index, reply) {
            return self.redirect(index, reply);
        }
        self.note_if_slow(index);
        let Some(waiter) = self.links[index].take_answered() else { return self.unasked(index) };
        self.nodes.get_mut(node).stats.error_replies += 1;
        self.note_reply(index, &waiter, true);
        self.note_error(node, reply);
        self.hand_over(waiter.recipient, reply);
    }

    /// A reply that answers nothing: the link is out of step.
    #[cold]
    fn unasked(&mut self, index: usize) {
        self.lose_link(index, "it sent a reply to no request");
    }

    /// Figures, and the end of worries about the node.
    #[inline]
    fn note_reply(&mut self, index: usize, waiter: &Waiter, is_error: bool) {
        let took_us = self.clock_us().wrapping_sub(waiter.queued_us);
        let link = &self.links[index];
        let node = self.nodes.get_mut(link.node);
        node.stats.replied(took_us);
        if let Some(stats) = self.commands.stats.get_mut(usize::from(waiter.traits.command)) {
            stats.replied(took_us, is_error);
        }
        if node.health.down.is_some() {
            node.health.answers();
        }
        self.links_eased |= !self.throttled.is_empty();
    }

    /// Gives a whole reply to who has waited for it.
    #[inline]
    pub(super) fn hand_over(&mut self, recipient: Recipient, reply: &[u8]) {
        match recipient {
            Recipient::Client { index, id, number } => {
                self.deliver(index as usize, id, number, reply, true);
            }
            Recipient::Part { join, part } => self.part_came(join as usize, part as usize, reply),
            Recipient::Transaction(transaction) => {
                self.transaction_reply(transaction as usize, reply);
            }
            Recipient::Topology(number) => self.topology_answered(number, reply),
            Recipient::Nobody => {}
        }
    }

    /// A piece of a long reply.
    fn long_reply(&mut self, index: usize, piece: &[u8], ends: bool) {
        let clock_us = self.clock_us();
        let Some(link) = self.links.get_mut(index) else { return };
        if link.purpose == Use::Subscriptions && link.stage == Stage::Ready {
            link.long_reply.extend_from_slice(piece);
            if ends {
                let message = std::mem::take(&mut link.long_reply);
                self.message(index, &message);
            }
            return;
        }
        let Some(waiter) = link.waiting.front().copied() else { return self.unasked(index) };
        let is_sent = link.outgoing.requests().is_sent(waiter.bytes as usize);
        if link.stage != Stage::Ready || !is_sent {
            return self.unasked(index);
        }
        link.resumed_us = Some(clock_us); // it is coming: that counts as an answer in time
        if let Recipient::Client { index: client, id, number } = waiter.recipient {
            if ends {
                self.note_if_slow(index);
                self.links[index].take_answered();
                self.note_reply(index, &waiter, false);
            }
            self.deliver(client as usize, id, number, piece, ends);
            return self.pause_for(index, client as usize, id);
        }
        link.long_reply.extend_from_slice(piece);
        if ends {
            let reply = std::mem::take(&mut link.long_reply);
            self.note_if_slow(index);
            self.links[index].take_answered();
            self.note_reply(index, &waiter, false);
            self.hand_over(waiter.recipient, &reply);
        }
    }

    /// Gives a client a piece of its reply with that number, if it is still there.
    #[inline]
    fn deliver(&mut self, index: usize, id: u32, number: u32, piece: &[u8], ends: bool) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if client.id as u32 != id || client.closing {
            return;
        }
        let Client { outgoing, replies, .. } = client;
        if outgoing.is_empty()
            && !outgoing.replies().has_buffer()
            && let Some(buffer) = self.spare_buffers.pop()
        {
            outgoing.replies().lend_buffer(buffer);
        }
        replies.deliver(number, piece, ends, outgoing.replies());
        if !client.write_pending && !outgoing.is_empty() {
            client.write_pending = true;
            self.actions.write.push(client.token);
        }
        let waits = client.hold != Hold::No || client.leaving || !client.query.is_empty();
        if waits || piece.len() + client.unread_bytes() > PAUSE_FROM_BYTES {
            self.after_delivery(index);
        }
    }

    /// What may follow from a reply: the client's next requests, its end, or too much that it has not read.
    #[cold]
    fn after_delivery(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.unread_bytes() as u64 > self.options.output_bytes_max {
            self.stats.output_limit_disconnections += 1;
            let address = client.peer.address.clone();
            self.log(
                Level::Warning,
                format_args!("Closing client {address}: it does not read its replies"),
            );
            return self.close_client(index);
        }
        if client.replies.is_empty() {
            if client.leaving {
                self.actions.close.push((client.token, Close::AfterWrite));
            }
            if client.hold == Hold::Blocked {
                self.unblock(index);
            }
            self.end_hold(index, Hold::UntilAnswered);
        }
        self.continue_client(index);
    }

    /// Stops reading from a link whose long reply its client does not read as fast as it comes.
    fn pause_for(&mut self, link: usize, client: usize, id: u32) {
        let Some(state) = self.clients.get_mut(client) else { return };
        if state.id as u32 != id || state.outgoing.len() < PAUSE_FROM_BYTES {
            return;
        }
        let Some(link_state) = self.links.get_mut(link) else { return };
        if link_state.paused.is_none() {
            link_state.paused = Some((self.now.monotonic_us, client as u32));
            state.paused_links.push(link as u32);
            self.actions.pause_reading.push(link_state.token);
        }
    }

    /// Reads from a link again: its client has read enough, or is gone.
    pub(super) fn resume_link(&mut self, link: usize) {
        let clock_us = self.clock_us();
        let Some(state) = self.links.get_mut(link) else { return };
        if state.paused.take().is_some() {
            state.resumed_us = Some(clock_us);
            self.actions.resume_reading.push(state.token);
        }
    }
}
