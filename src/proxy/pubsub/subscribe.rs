//! `(P|S)SUBSCRIBE`, `(P|S)UNSUBSCRIBE`, and `PUBSUB`, which tells of this proxy's subscribers.

use super::topics::{Confirmation, Kind};
use crate::commands::CommandResult;
use crate::glob::Pattern;
use crate::proxy::Proxy;
use crate::proxy::dispatch::Request;
use crate::proxy::link::Recipient;
use crate::proxy::routing::Handler;
use crate::resp::{Args, Protocol, Reply};

/// The commands that ask who listens, by full name.
pub(in crate::proxy) const HANDLERS: &[(&str, Handler)] = &[
    ("pubsub|channels", channels),
    ("pubsub|numpat", numpat),
    ("pubsub|numsub", numsub),
    ("pubsub|shardchannels", shardchannels),
    ("pubsub|shardnumsub", shardnumsub),
];

impl Proxy {
    /// Subscribes or unsubscribes a client.
    pub(in crate::proxy) fn subscribing_command(&mut self, client: usize, request: &Request<'_>) {
        let name = self.commands.registry.get(request.id).command.name;
        let Some((kind, word)) = Kind::of_word(name.as_bytes()) else { return };
        self.note_request(client, request.id);
        let names: Vec<Vec<u8>> = request.args.iter().skip(1).map(<[u8]>::to_vec).collect();
        if word == 0 {
            names.into_iter().for_each(|name| self.subscribe(client, kind, name));
        } else {
            self.unsubscribe(client, kind, names);
        }
        self.session_ends(client);
    }

    fn subscribe(&mut self, client: usize, kind: Kind, name: Vec<u8>) {
        let is_known = self.channels.topics.contains_key(&(kind, name.clone()));
        if !is_known && let Some(text) = self.cannot_subscribe(kind, &name) {
            return self.refuse(client, text.as_bytes());
        }
        let subscriptions = self.session_mut(client).subscriptions.get_or_insert_default();
        subscriptions.names.insert((kind, name.clone()));
        let count = subscriptions.count(kind);
        let reply =
            confirmation(self.clients[client].protocol, kind.words()[0], Some(&name), count);
        let topic = self.channels.topics.entry((kind, name.clone())).or_default();
        topic.subscribers.insert(client);
        if topic.is_confirmed() {
            return self.answer_client(client, &reply);
        }
        let state = &mut self.clients[client];
        let number = state.replies.expect();
        let id = state.id as u32;
        topic.unconfirmed.push(Confirmation { client: client as u32, id, number, reply });
        self.subscribe_upstream(kind, &name);
    }

    fn unsubscribe(&mut self, client: usize, kind: Kind, mut names: Vec<Vec<u8>>) {
        let word = kind.words()[1];
        if names.is_empty() {
            names =
                self.subscribed_to(client, Some(kind)).into_iter().map(|(_, name)| name).collect();
        }
        let protocol = self.clients[client].protocol;
        if names.is_empty() {
            let count = self.count_of(client, kind);
            return self.answer_client(client, &confirmation(protocol, word, None, count));
        }
        for name in names {
            self.forget_subscription(client, kind, &name);
            let count = self.count_of(client, kind);
            self.answer_client(client, &confirmation(protocol, word, Some(&name), count));
        }
    }

    /// A client is gone, or begins anew: it listens to nothing.
    pub(in crate::proxy) fn unsubscribe_from_all(&mut self, client: usize) {
        for (kind, name) in self.subscribed_to(client, None) {
            self.forget_subscription(client, kind, &name);
        }
    }

    fn subscribed_to(&self, client: usize, only: Option<Kind>) -> Vec<(Kind, Vec<u8>)> {
        let session = self.clients.get(client).and_then(|client| client.session.as_ref());
        let subscriptions = session.and_then(|session| session.subscriptions.as_ref());
        let names = subscriptions.into_iter().flat_map(|subscriptions| &subscriptions.names);
        names.filter(|(kind, _)| only.is_none_or(|only| only == *kind)).cloned().collect()
    }

    fn count_of(&self, client: usize, kind: Kind) -> usize {
        let session = self.clients.get(client).and_then(|client| client.session.as_ref());
        let subscriptions = session.and_then(|session| session.subscriptions.as_ref());
        subscriptions.map_or(0, |subscriptions| subscriptions.count(kind))
    }

    fn forget_subscription(&mut self, client: usize, kind: Kind, name: &[u8]) {
        let key = (kind, name.to_vec());
        let session = self.session_mut(client);
        if let Some(subscriptions) = &mut session.subscriptions {
            subscriptions.names.remove(&key);
            if subscriptions.names.is_empty() {
                session.subscriptions = None;
            }
        }
        let Some(topic) = self.channels.topics.get_mut(&key) else { return };
        topic.subscribers.remove(&client);
        // Whoever unsubscribes at once is confirmed at once, in this order.
        let (mine, others) = std::mem::take(&mut topic.unconfirmed)
            .into_iter()
            .partition(|waiting| waiting.client as usize == client);
        topic.unconfirmed = others;
        let is_over = topic.subscribers.is_empty();
        self.confirm(mine);
        if is_over && let Some(topic) = self.channels.topics.remove(&key) {
            let nodes: Vec<_> = topic.nodes.into_keys().collect();
            nodes.into_iter().for_each(|node| self.unsubscribe_upstream(node, kind, name));
        }
    }

    /// Hands out replies that have waited for a subscription.
    pub(super) fn confirm(&mut self, waiting: Vec<Confirmation>) {
        for Confirmation { client, id, number, reply } in waiting {
            self.hand_over(Recipient::Client { index: client, id, number }, &reply);
        }
    }
}

/// What a client is told when it has subscribed or unsubscribed.
fn confirmation(protocol: Protocol, word: &str, name: Option<&[u8]>, count: usize) -> Vec<u8> {
    let mut reply = Reply::new(protocol);
    reply.push(3);
    reply.bulk(word.as_bytes());
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.integer(count as i64);
    reply.output.to_vec()
}

fn list(proxy: &Proxy, kind: Kind, args: &Args<'_>, reply: &mut Reply) {
    let pattern = args.get(2).map(Pattern::new);
    let names: Vec<&Vec<u8>> = proxy
        .channels
        .topics
        .keys()
        .filter(|(of, name)| {
            *of == kind && pattern.as_ref().is_none_or(|pattern| pattern.matches(name))
        })
        .map(|(_, name)| name)
        .collect();
    reply.array(names.len());
    names.into_iter().for_each(|name| reply.bulk(name));
}

fn count(proxy: &Proxy, kind: Kind, args: &Args<'_>, reply: &mut Reply) {
    let names = args.tail(2);
    reply.map(names.len());
    for name in names.iter() {
        let topic = proxy.channels.topics.get(&(kind, name.to_vec()));
        reply.bulk(name);
        reply.integer(topic.map_or(0, |topic| topic.subscribers.len() as i64));
    }
}

/// `PUBSUB CHANNELS [pattern]` -> the channels that clients of the proxy listen to.
fn channels(proxy: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    list(proxy, Kind::Channel, args, reply);
    Ok(())
}

/// `PUBSUB SHARDCHANNELS [pattern]` -> the shard channels that clients of the proxy listen to.
fn shardchannels(proxy: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    list(proxy, Kind::Shard, args, reply);
    Ok(())
}

/// `PUBSUB NUMSUB [channel ...]` -> each with the number of clients of the proxy that listen to it.
fn numsub(proxy: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    count(proxy, Kind::Channel, args, reply);
    Ok(())
}

/// `PUBSUB SHARDNUMSUB [channel ...]` -> the same for shard channels.
fn shardnumsub(proxy: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    count(proxy, Kind::Shard, args, reply);
    Ok(())
}

/// `PUBSUB NUMPAT` -> the number of patterns that clients of the proxy listen to.
fn numpat(proxy: &mut Proxy, _: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let patterns = proxy.channels.topics.keys().filter(|(kind, _)| *kind == Kind::Pattern);
    reply.integer(patterns.count() as i64);
    Ok(())
}
