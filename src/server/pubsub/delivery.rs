//! A message on its way: encoded once, found its subscribers, added to their output.
//!
//! RESP2 and RESP3 differ in the first byte of a message only, `*` or `>`, so one encoding serves all subscribers: a long
//! one is shared between their outputs, a short one copied. A subscriber that does not keep up is closed by the limits of
//! its class; the publisher never waits.

use bytes::{Buf as _, Bytes};

use super::{Kind, TopicId};
use crate::net::Token;
use crate::resp::{Protocol, Reply, write_request};
use crate::server::State;

impl State {
    /// Sends a message to all who are subscribed to a channel, or to a pattern that matches it; patterns are not for shard
    /// channels. Returns to how many subscriptions. O(subscribers), plus what `PatternIndex::matching` costs.
    pub fn publish(&mut self, kind: Kind, channel: &[u8], message: &[u8]) -> usize {
        let mut receivers = 0;
        if let Some(id) = self.pubsub.topics(kind).find(channel) {
            let word: &[u8] = match kind {
                Kind::ShardChannel => b"smessage",
                _ => b"message",
            };
            receivers += self.deliver(kind, id, &encoded(&[word, channel, message]));
        }
        if kind == Kind::Channel && !self.pubsub.topics(Kind::Pattern).is_empty() {
            for id in self.pubsub.patterns.matching(channel) {
                let pattern = self.pubsub.topics(Kind::Pattern).name(id);
                let message = encoded(&[b"pmessage", pattern, channel, message]);
                receivers += self.deliver(Kind::Pattern, id, &message);
            }
        }
        receivers
    }

    fn deliver(&mut self, kind: Kind, id: TopicId, message: &Bytes) -> usize {
        let subscribers = self.pubsub.topics_mut(kind).take_subscribers(id);
        for &subscriber in &subscribers {
            self.push(subscriber, message);
        }
        let receivers = subscribers.len();
        self.pubsub.topics_mut(kind).put_subscribers(id, subscribers);
        receivers
    }

    /// Sends a client what is no reply to any request: an array of which `rest` is all but the first byte. What the client
    /// that is running is sent comes after the reply of its command. One that is to be closed is sent nothing more.
    pub fn push(&mut self, token: Token, rest: &Bytes) {
        let Some(client) = self.clients.find_mut(token) else { return };
        if client.closing {
            return;
        }
        self.spare_buffers.lend_to(&mut client.output);
        let first = match client.protocol {
            Protocol::Resp2 => b'*',
            Protocol::Resp3 => b'>',
        };
        client.output.push_message(first, rest);
        client.pushes_unsent += 1;
        self.write_later(token);
    }

    /// What the running client was sent by its own command, or by a key that expired meanwhile, follows the reply.
    #[cold]
    pub(in crate::server) fn append_pushed(&mut self, token: Token, reply: &mut Reply) {
        self.pushed = false;
        let client = self.clients.get_mut(token);
        if !client.output.is_empty() {
            reply.output.append(&mut client.output);
            self.spare_buffers.take_from(&mut client.output);
        }
    }
}

/// An array of strings without its first byte.
fn encoded(words: &[&[u8]]) -> Bytes {
    const HEADER_BYTES: usize = 16;
    let words_bytes: usize = words.iter().map(|word| word.len() + HEADER_BYTES).sum();
    let mut message = Vec::with_capacity(HEADER_BYTES + words_bytes);
    write_request(&mut message, words.iter().copied());
    let mut message = Bytes::from(message);
    message.advance(1);
    message
}
