//! Subscriptions at the nodes: one link per node, in RESP2, that carries nothing else. Its confirmations come in the order of
//! the requests; messages come in between.

use super::topics::Kind;
use crate::log::Level;
use crate::proxy::Proxy;
use crate::proxy::client::Hold;
use crate::proxy::dispatch::NOT_SERVED;
use crate::proxy::link::{Manner, NO_COMMAND, NO_SLOT, Recipient, Traits, Use, Waiter};
use crate::proxy::slots::{NodeId, key_slot};
use crate::resp::{Protocol, ReplyReader, Value, write_request};

/// Unread bytes of a subscriber at which it is closed: messages come whether it reads them or not.
const UNREAD_MAX: usize = 32 << 20;

impl Proxy {
    /// Why a topic cannot be subscribed to now, if it cannot.
    pub(super) fn cannot_subscribe(&self, kind: Kind, name: &[u8]) -> Option<String> {
        let wanted = self.nodes_for(kind, name);
        if wanted.is_empty() {
            return Some(String::from_utf8_lossy(NOT_SERVED).into_owned());
        }
        let down = wanted.into_iter().find(|&node| self.nodes.get(node).health.down.is_some());
        down.map(|node| self.down_text(node))
    }

    /// The nodes at which a topic has to be subscribed to.
    fn nodes_for(&self, kind: Kind, name: &[u8]) -> Vec<NodeId> {
        match kind {
            Kind::Pattern if !self.is_cluster() => self.masters.clone(),
            _ => self.node_of(key_slot(name)).into_iter().collect(),
        }
    }

    /// Subscribes to a topic at all nodes where it has to be and is not yet. What cannot be done now is done later.
    pub(super) fn subscribe_upstream(&mut self, kind: Kind, name: &[u8]) {
        let wanted = self.nodes_for(kind, name);
        self.channels.is_behind |= wanted.is_empty();
        for node in wanted {
            let key = (kind, name.to_vec());
            let Some(topic) = self.channels.topics.get_mut(&key) else { return };
            if topic.nodes.contains_key(&node) {
                continue;
            }
            if self.nodes.get(node).health.down.is_some() {
                self.channels.is_behind = true;
                continue;
            }
            topic.nodes.insert(node, false);
            self.say_upstream(node, kind.words()[0], name);
        }
    }

    pub(super) fn unsubscribe_upstream(&mut self, node: NodeId, kind: Kind, name: &[u8]) {
        if self.nodes.get(node).subscriptions.is_some() {
            self.say_upstream(node, kind.words()[1], name);
        }
    }

    fn say_upstream(&mut self, node: NodeId, word: &str, name: &[u8]) {
        let link = match self.nodes.get(node).subscriptions {
            Some(link) => link,
            None => {
                let link = self.open_link(node, Use::Subscriptions, Manner::PLAIN);
                self.nodes.get_mut(node).subscriptions = Some(link);
                link
            }
        };
        let mut request = Vec::new();
        write_request(&mut request, [word.as_bytes(), name].into_iter());
        let waiter = Waiter {
            recipient: Recipient::Nobody,
            bytes: request.len() as u32,
            queued_us: 0,
            slot: NO_SLOT,
            traits: Traits {
                writes: false,
                retried: true,
                redirects: 0,
                patient: false,
                command: NO_COMMAND,
            },
        };
        self.resend(link, waiter, &request);
    }

    /// A node has sent a message, a confirmation, or an error.
    pub(in crate::proxy) fn message(&mut self, index: usize, reply: &[u8]) {
        if reply.first() == Some(&b'-') {
            return self.subscription_refused(index, reply);
        }
        let mut reader = ReplyReader::default();
        let Ok(Some((Value::Array(words), _))) = reader.read(reply) else {
            return self.lose_link(index, "it sent what is no message");
        };
        let word = |at: usize| words.get(at).and_then(Value::as_bytes);
        let (Some((kind, which)), Some(name)) = (word(0).and_then(Kind::of_word), word(1)) else {
            return self.lose_link(index, "it sent what is no message");
        };
        match which {
            2 => self.spread(kind, name, reply),
            0 => self.subscribed(index, kind, name),
            _ => self.unsubscribed(index, kind, name),
        }
    }

    /// The first request that waits on a link, if it is the one that says `word` of `name`: it is answered.
    fn answered_upstream(&mut self, index: usize, word: &str, name: &[u8]) -> bool {
        let link = &mut self.links[index];
        let Some(waiter) = link.waiting.front().copied() else { return false };
        let mut expected = Vec::new();
        write_request(&mut expected, [word.as_bytes(), name].into_iter());
        let is_it = link.outgoing.requests().first(waiter.bytes as usize) == expected;
        is_it && link.take_answered().is_some()
    }

    fn subscribed(&mut self, index: usize, kind: Kind, name: &[u8]) {
        let node = self.links[index].node;
        if !self.answered_upstream(index, kind.words()[0], name) {
            return self.lose_link(index, "it confirmed what was not asked for");
        }
        let Some(topic) = self.channels.topics.get_mut(&(kind, name.to_vec())) else { return };
        topic.nodes.insert(node, true);
        if topic.is_confirmed() {
            let waiting = std::mem::take(&mut topic.unconfirmed);
            self.confirm(waiting);
        }
    }

    /// The end of a subscription: asked for, or because the slot of a shard channel has gone elsewhere.
    fn unsubscribed(&mut self, index: usize, kind: Kind, name: &[u8]) {
        let node = self.links[index].node;
        if self.answered_upstream(index, kind.words()[1], name) {
            return;
        }
        if let Some(topic) = self.channels.topics.get_mut(&(kind, name.to_vec())) {
            topic.nodes.remove(&node);
            self.channels.is_behind = true;
            let address = self.nodes.get(node).address.clone();
            self.refresh.node_failed(&address, self.now.monotonic_us / 1000);
        }
    }

    /// A node does not let us subscribe: those who wait for it are told.
    fn subscription_refused(&mut self, index: usize, reply: &[u8]) {
        let node = self.links[index].node;
        let bytes = self.links[index].waiting.front().map_or(0, |waiter| waiter.bytes as usize);
        let request = self.links[index].outgoing.requests().first(bytes).to_vec();
        if self.links[index].take_answered().is_none() {
            return self.lose_link(index, "it sent a reply to no request");
        }
        let mut reader = ReplyReader::default();
        let Ok(Some((Value::Array(words), _))) = reader.read(&request) else { return };
        let word = |at: usize| words.get(at).and_then(Value::as_bytes).unwrap_or_default();
        let Some((kind, 0)) = Kind::of_word(word(0)) else { return };
        let key = (kind, word(1).to_vec());
        if reply.starts_with(b"-MOVED ") && self.moved_to(reply).is_some() {
            if let Some(topic) = self.channels.topics.get_mut(&key) {
                topic.nodes.remove(&node);
            }
            return self.subscribe_upstream(kind, &key.1);
        }
        let Some(topic) = self.channels.topics.get_mut(&key) else { return };
        topic.nodes.remove(&node);
        let waiting = std::mem::take(&mut topic.unconfirmed);
        for refused in waiting {
            let client = refused.client as usize;
            topic_left(self, client, &key);
            let recipient =
                Recipient::Client { index: refused.client, id: refused.id, number: refused.number };
            self.hand_over(recipient, reply);
        }
    }

    /// Hands a message to all who listen.
    fn spread(&mut self, kind: Kind, name: &[u8], reply: &[u8]) {
        let Some(topic) = self.channels.topics.get(&(kind, name.to_vec())) else { return };
        let subscribers: Vec<usize> = topic.subscribers.iter().copied().collect();
        let push = [b">", &reply[1..]].concat(); // RESP3 differs in the first byte
        for client in subscribers {
            let is_resp3 =
                self.clients.get(client).is_some_and(|state| state.protocol == Protocol::Resp3);
            self.send_message(client, if is_resp3 { &push } else { reply });
        }
    }

    /// Sends a client a message: in between its replies, never within one.
    fn send_message(&mut self, client: usize, message: &[u8]) {
        let Some(state) = self.clients.get_mut(client) else { return };
        if state.unread_bytes() + message.len() > UNREAD_MAX {
            self.stats.output_limit_disconnections += 1;
            let address = state.peer.address.clone();
            self.log(
                Level::Warning,
                format_args!("Closing subscriber {address}: it does not read its messages"),
            );
            return self.close_client(client);
        }
        // Whoever waits for keys may wait long.
        if state.hold == Hold::Blocked && !state.replies.is_begun() {
            state.outgoing.replies().extend(message);
            return self.write_to_client(client);
        }
        self.answer_client(client, message);
    }

    /// The link with a node's subscriptions was lost: they are made again when it can be reached.
    pub(in crate::proxy) fn subscriptions_lost(&mut self, node: NodeId) {
        for topic in self.channels.topics.values_mut() {
            self.channels.is_behind |= topic.nodes.remove(&node).is_some();
        }
    }

    /// Slots are elsewhere: so are channels.
    pub(in crate::proxy) fn resubscribe(&mut self) {
        let keys: Vec<(Kind, Vec<u8>)> = self.channels.topics.keys().cloned().collect();
        for (kind, name) in keys {
            let wanted = self.nodes_for(kind, &name);
            let Some(topic) = self.channels.topics.get_mut(&(kind, name.clone())) else { continue };
            let gone = topic.nodes.keys().copied().filter(|node| !wanted.contains(node));
            let gone: Vec<NodeId> = gone.collect();
            gone.iter().for_each(|node| {
                topic.nodes.remove(node);
            });
            self.subscribe_upstream(kind, &name);
            gone.into_iter().for_each(|node| self.unsubscribe_upstream(node, kind, &name));
        }
    }

    /// Subscribes to what could not be subscribed to before.
    pub(in crate::proxy) fn catch_up_subscriptions(&mut self) {
        if std::mem::take(&mut self.channels.is_behind) {
            self.resubscribe();
        }
    }
}

/// A client does not listen to what it was refused.
fn topic_left(proxy: &mut Proxy, client: usize, key: &(Kind, Vec<u8>)) {
    if let Some(topic) = proxy.channels.topics.get_mut(key) {
        topic.subscribers.remove(&client);
        if topic.subscribers.is_empty() {
            proxy.channels.topics.remove(key);
        }
    }
    let session = proxy.clients.get_mut(client).and_then(|state| state.session.as_mut());
    if let Some(session) = session
        && let Some(subscriptions) = &mut session.subscriptions
    {
        subscriptions.names.remove(key);
        if subscriptions.names.is_empty() {
            session.subscriptions = None;
        }
    }
    proxy.session_ends(client);
}
