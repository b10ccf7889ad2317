//! `MGET`, `MSET`, `DEL` and their like: one request becomes one per place that has some of its keys. Places are links to plain
//! servers, which take keys of many slots at once, and slots of a cluster, whose nodes do not. What a command does on
//! several nodes is not done at one time.

use super::Proxy;
use super::dispatch::{CROSSSLOT, NOT_SERVED, Request};
use super::join::Join;
use super::link::{NO_SLOT, Recipient, Waiter};
use super::routing::Gather;
use super::slots::key_slot;
use crate::commands::CommandError;
use crate::resp::write_request_head;

/// The keys of one place.
#[derive(Clone, Copy, Debug)]
struct Group {
    link: u32,
    slot: u16,
    keys: u32,
    /// The first and last of its keys; each names the next one.
    first: u32,
    last: u32,
}

/// Where the keys of a request go. Its buffers are used again.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    groups: Vec<Group>,
    /// By place: the number of the request that has last named it, and the group it got.
    marks: Vec<(u32, u32)>,
    request: u32,
    /// For each key the next one of the same group.
    next: Vec<u32>,
    /// For each key its group.
    group_of: Vec<u32>,
}

impl Splitter {
    fn begin(&mut self) {
        self.groups.clear();
        self.next.clear();
        self.group_of.clear();
        self.request = self.request.wrapping_add(1);
        if self.request == 0 {
            self.marks.clear(); // numbers go round: none of the old ones may be met again
            self.request = 1;
        }
    }

    /// Adds the next key, which belongs to `place`.
    fn add(&mut self, place: usize, link: u32, slot: u16) {
        if place >= self.marks.len() {
            self.marks.resize(place + 1, (0, 0));
        }
        let key = self.next.len() as u32;
        self.next.push(u32::MAX);
        let (request, group) = self.marks[place];
        let group = if request == self.request {
            let known = &mut self.groups[group as usize];
            self.next[known.last as usize] = key;
            known.last = key;
            known.keys += 1;
            group
        } else {
            let group = self.groups.len() as u32;
            self.marks[place] = (self.request, group);
            self.groups.push(Group { link, slot, keys: 1, first: key, last: key });
            group
        };
        self.group_of.push(group);
    }
}

impl Proxy {
    /// Sends each key of a request, with what belongs to it, to its place.
    pub(super) fn split(
        &mut self,
        client: usize,
        request: &Request<'_>,
        step: usize,
        gather: Gather,
    ) {
        if !(request.args.len() - 1).is_multiple_of(step) {
            let name = self.commands.registry.get(request.id).full_name.clone();
            return self.refuse_with(client, &CommandError::WrongArity(name.into()));
        }
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.begin();
        match self.find_places(client, request, step, &mut splitter) {
            Ok(()) => self.send_parts(client, request, step, gather, &splitter),
            Err(text) => self.refuse(client, text.as_bytes()),
        }
        self.splitter = splitter;
    }

    /// Finds the place of each key; the text of an error, if that cannot be done.
    fn find_places(
        &mut self,
        client: usize,
        request: &Request<'_>,
        step: usize,
        splitter: &mut Splitter,
    ) -> Result<(), String> {
        let manner = self.clients[client].manner();
        let by_slot = self.is_cluster();
        let mut only_slot = None;
        for key in request.args.iter().skip(1).step_by(step) {
            let slot = key_slot(key);
            let first = *only_slot.get_or_insert(slot);
            if !self.options.cross_slot && !self.is_same_place(first, slot) {
                return Err(CROSSSLOT.to_owned());
            }
            if self.slots.node(slot).is_none() {
                return Err(String::from_utf8_lossy(NOT_SERVED).into_owned());
            }
            let link = self.link_for(manner, slot)?;
            let place = if by_slot { usize::from(slot) } else { link as usize };
            splitter.add(place, link, slot);
        }
        Ok(())
    }

    fn send_parts(
        &mut self,
        client: usize,
        request: &Request<'_>,
        step: usize,
        gather: Gather,
        splitter: &Splitter,
    ) {
        if splitter.groups.iter().any(|group| self.is_full(group.link)) {
            return self.throttle(client);
        }
        let recipient = self.expect_reply(client, request.id);
        if let [group] = splitter.groups[..] {
            return self.send(group.link, request, recipient, group.slot, request.traits());
        }
        let order = match gather {
            Gather::ByKey => splitter.group_of.clone(),
            _ => Vec::new(),
        };
        let protocol = self.clients[client].protocol;
        let join = Join::new(recipient, gather, splitter.groups.len(), order, protocol);
        let join = self.joins.insert(join) as u32;
        for (part, group) in splitter.groups.iter().enumerate() {
            let recipient = Recipient::Part { join, part: part as u32 };
            self.send_part(request, step, group, splitter, recipient);
        }
    }

    /// Queues the request for the keys of one group.
    fn send_part(
        &mut self,
        request: &Request<'_>,
        step: usize,
        group: &Group,
        splitter: &Splitter,
        recipient: Recipient,
    ) {
        let queued_us = self.clock_us();
        let args = request.args;
        let keys = || {
            let next =
                |&key: &u32| Some(splitter.next[key as usize]).filter(|&key| key != u32::MAX);
            std::iter::successors(Some(group.first), next)
        };
        let arguments_of = |key: u32| {
            let at = 1 + key as usize * step;
            args.head(at + step).tail(at).iter()
        };
        let estimate: usize =
            keys().flat_map(arguments_of).map(|argument| argument.len() + 32).sum();
        let link = &mut self.links[group.link as usize];
        let requests = link.outgoing.requests();
        let chunk = requests.chunk_for(estimate + 64);
        let before = chunk.len();
        write_request_head(chunk, 1 + group.keys as usize * step, args.bytes(0));
        for argument in keys().flat_map(arguments_of) {
            crate::resp::write_argument(chunk, argument);
        }
        let bytes = chunk.len() - before;
        requests.added(bytes);
        // Where the keys are of many slots, none of them tells where to send the request again: its link does.
        let slot =
            if group.keys == 1 || self.refresh.kind().is_some() { group.slot } else { NO_SLOT };
        let waiter =
            Waiter { recipient, bytes: bytes as u32, queued_us, slot, traits: request.traits() };
        link.waiting.push_back(waiter);
        let node = link.node;
        self.write_to_link(group.link);
        self.nodes.get_mut(node).stats.requests += 1;
    }
}
