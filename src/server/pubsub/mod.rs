//! Publish and subscribe: who is subscribed to which channels, shard channels and patterns.
//!
//! ```text
//! topics     the channels, or the patterns, with their subscribers
//! patterns   which patterns match a channel
//! delivery   a message on its way to the subscribers
//! ```
//!
//! A client knows what it is subscribed to and its place in each list of subscribers, so that subscribing, unsubscribing
//! and disconnecting cost the same for each channel however many channels and clients there are. What is said to clients
//! is left to the commands.

mod delivery;
mod patterns;
#[cfg(test)]
mod tests;
mod topics;

use super::{Clients, State};
use crate::keyspace::HashKey;
use crate::net::Token;
use patterns::PatternIndex;
use topics::{Places, TopicId, Topics};

/// What a client can be subscribed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A channel: `SUBSCRIBE`.
    Channel,
    /// All channels that match a pattern: `PSUBSCRIBE`.
    Pattern,
    /// A channel of a hash slot: `SSUBSCRIBE`.
    ShardChannel,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Channel, Self::Pattern, Self::ShardChannel];
}

/// What one client is subscribed to.
#[derive(Default)]
pub struct Subscriptions {
    by_kind: [Places; 3],
}

impl Subscriptions {
    /// How many of one kind.
    pub fn len(&self, kind: Kind) -> usize {
        self.by_kind[kind as usize].len()
    }

    /// The number that is told to the client after it has subscribed or unsubscribed: channels and patterns are counted
    /// together, shard channels for themselves.
    fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.len(Kind::Channel) + self.len(Kind::Pattern),
            Kind::ShardChannel => self.len(kind),
        }
    }

    fn is_empty(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| self.len(kind) == 0)
    }

    /// Bytes of memory, about.
    pub fn memory_bytes(&self) -> usize {
        const BYTES_EACH: usize = 2 * size_of::<(TopicId, u32)>(); // nodes of a tree are about two thirds full
        let len: usize = Kind::ALL.into_iter().map(|kind| self.len(kind)).sum();
        size_of::<Self>() + len * BYTES_EACH
    }
}

/// Everything that somebody is subscribed to.
pub struct PubSub {
    by_kind: [Topics; 3],
    patterns: PatternIndex,
}

impl PubSub {
    /// Nobody is subscribed to anything. `hash_key` makes hashes of names unpredictable.
    pub fn new(hash_key: HashKey) -> Self {
        Self { by_kind: [(); 3].map(|()| Topics::new(hash_key)), patterns: PatternIndex::default() }
    }

    /// The channels, shard channels or patterns that have subscribers.
    pub fn topics(&self, kind: Kind) -> &Topics {
        &self.by_kind[kind as usize]
    }

    fn topics_mut(&mut self, kind: Kind) -> &mut Topics {
        &mut self.by_kind[kind as usize]
    }

    fn join(&mut self, places: &mut Places, token: Token, kind: Kind, name: &[u8]) {
        let (id, is_new) = self.topics_mut(kind).find_or_add(name);
        if is_new && kind == Kind::Pattern {
            self.patterns.add(id, name);
        }
        places.entry(id).or_insert_with(|| self.topics_mut(kind).join(id, token));
    }

    /// Removes the subscriber at `place`, and notes the new place of the one that is put there.
    fn leave(&mut self, clients: &mut Clients, kind: Kind, id: TopicId, place: u32) {
        let topics = &mut self.by_kind[kind as usize];
        if let Some(moved) = topics.leave(id, place) {
            let subscriptions = clients.get_mut(moved).subscriptions.as_mut();
            let subscriptions = subscriptions.expect("a subscriber has subscriptions");
            subscriptions.by_kind[kind as usize].insert(id, place);
        }
        if topics.is_deserted(id) {
            if kind == Kind::Pattern {
                self.patterns.remove(id, topics.name(id));
            }
            topics.remove(id);
        }
    }
}

impl State {
    /// Subscribes a client. Returns how many subscriptions it has now. O(log subscriptions).
    pub fn subscribe(&mut self, token: Token, kind: Kind, name: &[u8]) -> usize {
        let client = self.clients.get_mut(token);
        let subscriptions = client.subscriptions.get_or_insert_default();
        self.pubsub.join(&mut subscriptions.by_kind[kind as usize], token, kind, name);
        subscriptions.count(kind)
    }

    /// Unsubscribes a client, if it is subscribed. Returns how many subscriptions are left. O(log subscriptions).
    pub fn unsubscribe(&mut self, token: Token, kind: Kind, name: &[u8]) -> usize {
        let id = self.pubsub.topics(kind).find(name);
        let Some(subscriptions) = &mut self.clients.get_mut(token).subscriptions else { return 0 };
        let place = id.and_then(|id| Some((id, subscriptions.by_kind[kind as usize].remove(&id)?)));
        let left = subscriptions.count(kind);
        if let Some((id, place)) = place {
            self.left(token);
            self.pubsub.leave(&mut self.clients, kind, id, place);
        }
        left
    }

    /// Unsubscribes a client from everything of one kind. `tell` is given each name, and how many subscriptions are left.
    pub fn unsubscribe_all(
        &mut self,
        token: Token,
        kind: Kind,
        mut tell: impl FnMut(&[u8], usize),
    ) {
        let Some(subscriptions) = &mut self.clients.get_mut(token).subscriptions else { return };
        let places = std::mem::take(&mut subscriptions.by_kind[kind as usize]);
        let others = subscriptions.count(kind);
        self.left(token);
        for (done, (&id, &place)) in places.iter().enumerate() {
            tell(self.pubsub.topics(kind).name(id), others + places.len() - 1 - done);
            self.pubsub.leave(&mut self.clients, kind, id, place);
        }
    }

    /// How many subscriptions a client is told that it has.
    pub fn subscriptions_count(&self, token: Token, kind: Kind) -> usize {
        let subscriptions = self.clients.get(token).subscriptions.as_ref();
        subscriptions.map_or(0, |subscriptions| subscriptions.count(kind))
    }

    /// A client without subscriptions is a normal one again.
    fn left(&mut self, token: Token) {
        let client = self.clients.get_mut(token);
        if client.subscriptions.as_ref().is_some_and(|subscriptions| subscriptions.is_empty()) {
            client.subscriptions = None;
        }
    }

    /// Ends the subscriptions of a client that is gone, or that starts afresh.
    pub fn end_subscriptions(&mut self, subscriptions: Subscriptions) {
        for (kind, places) in Kind::ALL.into_iter().zip(subscriptions.by_kind) {
            for (id, place) in places {
                self.pubsub.leave(&mut self.clients, kind, id, place);
            }
        }
    }
}
