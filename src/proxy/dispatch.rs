//! One request: which command it is, whether it may run, and which way it goes. The usual way, one key and one node, is
//! short; everything else is looked at with more care.

use super::client::{Client, Hold, ReplyMode};
use super::link::{Manner, NO_SLOT, Recipient, Traits, Waiter};
use super::routing::Travel;
use super::slots::{NodeId, key_slot};
use super::{Proxy, elsewhere};
use crate::commands::table::{InMulti, NO_AUTH, NO_MANDATORY_KEYS, WHILE_SUBSCRIBED};
use crate::commands::{CommandError, CommandId};
use crate::resp::{Args, Protocol, write_request};

/// Bytes of requests that one link may have to do; who has more for it waits.
const LINK_BYTES_MAX: usize = 32 << 20;

pub(super) const CROSSSLOT: &str = "CROSSSLOT Keys in request don't hash to the same slot";

/// A request on its way.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub id: CommandId,
    pub args: &'a Args<'a>,
    /// As it came, if it can be passed on like that.
    pub wire: Option<&'a [u8]>,
    /// It may change something.
    pub writes: bool,
}

impl Request<'_> {
    pub fn traits(&self) -> Traits {
        Traits {
            writes: self.writes,
            retried: false,
            redirects: 0,
            patient: false,
            command: self.id.0,
        }
    }
}

impl Proxy {
    /// Sends a request of a client its way, or answers it. One that cannot go yet is `postponed`.
    #[inline]
    pub(super) fn request(&mut self, client: usize, args: &Args<'_>, wire: Option<&[u8]>) {
        if let Some(id) = self.commands.registry.find(args.bytes(0)) {
            let route = self.commands.route(id);
            let is_usual = route.only_key > 0 && self.clients[client].is_plain();
            if is_usual
                && self.commands.registry.get(id).command.arity.accepts(args.len())
                && let Some(key) = args.get(route.only_key)
            {
                let request = Request { id, args, wire, writes: route.writes };
                return self.forward(client, &request, key_slot(key));
            }
        }
        self.request_with_care(client, args, wire);
    }

    fn request_with_care(&mut self, client: usize, args: &Args<'_>, wire: Option<&[u8]>) {
        let id = match self.check(client, args) {
            Ok(id) => id,
            Err(error) => {
                let error = self.refused_in_transaction(client, args, error);
                self.refuse_with(client, &error);
                return self.request_ended(client);
            }
        };
        let route = self.commands.route(id);
        let (travel, writes) = (route.travel, route.writes);
        let request = Request { id, args, wire, writes };
        let in_multi = self.commands.registry.get(id).command.in_multi;
        if self.transaction(client).is_some() && in_multi == InMulti::Queued {
            self.queue(client, &request, travel);
        } else {
            self.send_its_way(client, &request, travel);
        }
        if !self.postponed {
            self.request_ended(client);
        }
    }

    /// A request has gone its way, in whatever form.
    fn request_ended(&mut self, client: usize) {
        let Some(state) = self.clients.get_mut(client) else { return };
        state.reply_mode = match state.reply_mode {
            ReplyMode::SkipNext => ReplyMode::Skip,
            ReplyMode::Skip => ReplyMode::On,
            same => same,
        };
    }

    fn send_its_way(&mut self, client: usize, request: &Request<'_>, travel: Travel) {
        // What goes to many nodes takes the shared links: it must not pass, or be passed by, what takes the client's own.
        let crosses = matches!(travel, Travel::Split { .. } | Travel::AllNodes(_) | Travel::Scan)
            && self.clients[client]
                .session
                .as_ref()
                .is_some_and(|session| session.private.is_some());
        if crosses && self.waits_for_replies(client) {
            return;
        }
        self.send_that_way(client, request, travel);
        if crosses && !self.postponed && self.clients.contains(client) {
            self.hold_until_answered(client);
        }
    }

    fn send_that_way(&mut self, client: usize, request: &Request<'_>, travel: Travel) {
        match travel {
            Travel::Keys => self.forward_by_keys(client, request),
            Travel::Split { step, gather } => self.split(client, request, step, gather),
            Travel::AnyNode => self.forward_to_any(client, request),
            Travel::AllNodes(gather) => self.ask_all_nodes(client, request, gather),
            Travel::Scan => self.scan(client, request),
            Travel::Blocking => self.block(client, request),
            Travel::Publish => self.forward(client, request, key_slot(request.args.bytes(1))),
            Travel::Transaction => self.transaction_command(client, request),
            Travel::Subscribing => self.subscribing_command(client, request),
            Travel::Here(handler) => self.answer_here(client, request, handler),
            Travel::Refused(reason) => self.refuse_travel(client, request.id, reason),
        }
    }

    /// Which command a request is, if it may run.
    fn check(&mut self, client: usize, args: &Args<'_>) -> Result<CommandId, CommandError> {
        let state = &mut self.clients[client];
        let registry = &self.commands.registry;
        let id = match registry.find_request(args) {
            Ok(id) => id,
            // Not even whether a command exists is told to a client that has not said who it is.
            Err(_) if !state.authenticated => return Err(CommandError::NoAuth),
            Err(unknown) => return Err(unknown),
        };
        let registered = registry.get(id);
        let flags = registered.command.flags;
        if !state.authenticated && !flags.has(NO_AUTH) {
            return Err(CommandError::NoAuth);
        }
        if !registered.command.arity.accepts(args.len()) {
            return Err(CommandError::WrongArity(registered.full_name.clone().into()));
        }
        if state.is_only_subscriber() && !flags.has(WHILE_SUBSCRIBED) {
            return Err(CommandError::Message(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context",
                registered.full_name
            )));
        }
        Ok(id)
    }

    /// The slot of a request's keys: none if it has no keys, an error if there are several.
    pub(super) fn slot_of(&self, request: &Request<'_>) -> Result<Option<u16>, CommandError> {
        let registered = self.commands.registry.get(request.id);
        let positions = self.commands.key_positions(request.id, request.args)?;
        let mut slots = positions.iter().map(|&position| key_slot(request.args.bytes(position)));
        let Some(first) = slots.next() else {
            return match registered.command.flags.has(NO_MANDATORY_KEYS) {
                true => Ok(None),
                // The node finds the words for what is wrong with it.
                false => Ok(request.args.get(1).map(key_slot)),
            };
        };
        if !slots.all(|slot| self.is_same_place(first, slot)) {
            return Err(CommandError::Text(CROSSSLOT));
        }
        Ok(Some(first))
    }

    /// Whether keys of two slots can be used by one command. Where there is just one server, all of them can.
    pub(super) fn is_same_place(&self, slot: u16, other: u16) -> bool {
        slot == other || self.is_one_server()
    }

    /// Whether behind the proxy there is just one plain server.
    pub(super) fn is_one_server(&self) -> bool {
        self.masters.len() == 1 && !self.is_cluster() && self.options.connections <= 1
    }

    fn forward_by_keys(&mut self, client: usize, request: &Request<'_>) {
        match self.slot_of(request) {
            Ok(Some(slot)) => self.forward(client, request, slot),
            Ok(None) => self.forward_to_any(client, request),
            Err(error) => self.refuse_with(client, &error),
        }
    }

    /// To the first of the nodes: what has no keys is always asked of the same one.
    fn forward_to_any(&mut self, client: usize, request: &Request<'_>) {
        let Some(&node) = self.masters.first() else { return self.refuse(client, NOT_SERVED) };
        let manner = self.clients[client].manner();
        match self.link_to(node, manner, 0) {
            Ok(link) => self.forward_on(client, request, link, NO_SLOT),
            Err(text) => self.refuse(client, text.as_bytes()),
        }
    }

    /// Passes a request on to the node that has `slot`.
    #[inline]
    pub(super) fn forward(&mut self, client: usize, request: &Request<'_>, slot: u16) {
        let state = &self.clients[client];
        if let Some(session) = &state.session
            && let Some(link) = session.private
            && self.links[link as usize].node_has(&self.slots, slot)
        {
            return self.forward_on(client, request, link, slot);
        }
        let manner = state.manner();
        let link = match self.reads_elsewhere && !request.writes {
            false => self.link_for(manner, slot),
            true => self.read_link_for(manner, slot),
        };
        match link {
            Ok(link) => self.forward_on(client, request, link, slot),
            Err(text) => self.refuse(client, text.as_bytes()),
        }
    }

    #[inline]
    fn forward_on(&mut self, client: usize, request: &Request<'_>, link: u32, slot: u16) {
        if self.is_full(link) {
            return self.throttle(client);
        }
        let recipient = self.expect_reply(client, request.id);
        self.send(link, request, recipient, slot, request.traits());
    }

    /// Queues a request on a link.
    #[inline]
    pub(super) fn send(
        &mut self,
        link: u32,
        request: &Request<'_>,
        recipient: Recipient,
        slot: u16,
        traits: Traits,
    ) {
        let queued_us = self.clock_us();
        let state = &mut self.links[link as usize];
        let requests = state.outgoing.requests();
        let bytes = match request.wire {
            Some(wire) => {
                requests.push(wire);
                wire.len()
            }
            None => {
                let estimate = request.args.iter().map(|argument| argument.len() + 32).sum();
                let chunk = requests.chunk_for(estimate);
                let before = chunk.len();
                write_request(chunk, request.args.iter());
                let len = chunk.len() - before;
                requests.added(len);
                len
            }
        };
        state.waiting.push_back(Waiter { recipient, bytes: bytes as u32, queued_us, slot, traits });
        let node = state.node;
        self.write_to_link(link);
        self.nodes.get_mut(node).stats.requests += 1;
    }

    /// Has a link's requests sent at the end of the turn.
    #[inline]
    pub(super) fn write_to_link(&mut self, link: u32) {
        let state = &mut self.links[link as usize];
        if !state.write_pending {
            state.write_pending = true;
            self.actions.write.push(state.token);
        }
    }

    /// Counts a request.
    #[inline]
    pub(super) fn note_request(&mut self, client: usize, id: CommandId) {
        self.stats.requests += 1;
        self.commands.calls[usize::from(id.0)] += 1;
        let state = &mut self.clients[client];
        state.requests += 1;
        state.last_command = Some(id);
    }

    /// The place of the reply to a client's request; nobody, if the client wants none.
    #[inline]
    pub(super) fn expect_reply(&mut self, client: usize, id: CommandId) -> Recipient {
        self.note_request(client, id);
        let state = &mut self.clients[client];
        if matches!(state.reply_mode, ReplyMode::Off | ReplyMode::Skip) {
            return Recipient::Nobody;
        }
        Recipient::Client {
            index: client as u32,
            id: state.id as u32,
            number: state.replies.expect(),
        }
    }

    /// Whether a link has so much to do that clients wait.
    #[inline]
    pub(super) fn is_full(&mut self, link: u32) -> bool {
        self.links[link as usize].outgoing.requests().held_bytes() >= LINK_BYTES_MAX
    }

    /// The request at hand waits until links have less to do.
    pub(super) fn throttle(&mut self, client: usize) {
        self.postpone(client, Hold::Link);
        self.throttled.push(client);
    }

    /// The request at hand waits until all replies before it are there. Whether it has to.
    pub(super) fn waits_for_replies(&mut self, client: usize) -> bool {
        let waits = !self.clients[client].replies.is_empty();
        if waits {
            self.postpone(client, Hold::UntilAnswered);
        }
        waits
    }

    /// The requests after the one at hand wait until all replies are there: they take other links than those before it, and
    /// must not come first.
    pub(super) fn hold_until_answered(&mut self, client: usize) {
        let state = &mut self.clients[client];
        if !state.replies.is_empty() && state.hold == Hold::No {
            state.hold = Hold::UntilAnswered;
        }
    }

    fn postpone(&mut self, client: usize, hold: Hold) {
        self.clients[client].hold = hold;
        self.postponed = true;
    }

    /// Whether a request may be answered late.
    pub(super) fn may_block(&self, request: &Request<'_>) -> bool {
        let name = self.commands.registry.get(request.id).command.name;
        elsewhere::may_block(name, request.args)
    }

    /// Whether the nodes are known to be those of a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        self.refresh.kind() == Some(super::refresh::Kind::Cluster)
    }

    /// The node that has `slot`.
    pub(super) fn node_of(&self, slot: u16) -> Option<NodeId> {
        self.slots.node(slot)
    }
}

/// The error where nobody has the slot.
pub(super) const NOT_SERVED: &[u8] = b"CLUSTERDOWN Hash slot not served";

impl Client {
    /// How its requests are spoken to nodes.
    #[inline]
    pub(super) fn manner(&self) -> Manner {
        Manner { protocol: self.protocol, db: self.db }
    }

    /// Whether it gets messages in the form of replies, and so may ask for little else.
    pub(super) fn is_only_subscriber(&self) -> bool {
        self.protocol == Protocol::Resp2
            && self.session.as_ref().is_some_and(|session| session.subscriptions.is_some())
    }
}
