//! `MULTI` to `EXEC`: what is queued is kept here, and checked: it must be in one slot. `EXEC` sends all of it at once, so that no
//! request of another client comes in between, even on a link that many share. Watched keys need a link of their own.

use super::Proxy;
use super::client::Client;
use super::dispatch::{CROSSSLOT, NOT_SERVED, Request};
use super::link::{Manner, NO_COMMAND, NO_SLOT, Recipient, Traits, Waiter};
use super::routing::Travel;
use super::session::Session;
use super::slots::key_slot;
use crate::commands::CommandError;
use crate::commands::table::InMulti;
use crate::resp::{Args, Reply, write_request};

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";
const UNWATCH: &[u8] = b"*1\r\n$7\r\nUNWATCH\r\n";
/// Bytes that one transaction may have.
const BYTES_MAX: usize = 256 << 20;

/// What a client has queued.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    requests: Vec<u8>,
    lens: Vec<u32>,
    slot: Option<u16>,
    writes: bool,
    /// A request was refused: `EXEC` will be, too.
    has_failed: bool,
}

/// A transaction that was sent.
#[derive(Debug)]
pub(super) struct Pending {
    recipient: Recipient,
    missing: usize,
    transaction: Transaction,
    /// Where a node said that the slot is. Then nothing has run, and it is sent there once.
    moved: Option<Vec<u8>>,
    /// It is not sent a second time.
    retried: bool,
}

impl Proxy {
    /// What the client has queued, if it is between `MULTI` and `EXEC`.
    pub(super) fn transaction(&self, client: usize) -> Option<&Transaction> {
        self.clients.get(client)?.session.as_ref()?.transaction.as_ref()
    }

    /// A request was refused: so will be the transaction, if it was to be part of one.
    pub(super) fn fail_transaction(&mut self, client: usize) {
        let session = self.clients.get_mut(client).and_then(|client| client.session.as_mut());
        if let Some(transaction) = session.and_then(|session| session.transaction.as_mut()) {
            transaction.has_failed = true;
        }
    }

    /// What the client is told instead of `error` for a request that was refused before it was queued: an `EXEC` that is
    /// refused has ended its transaction.
    pub(super) fn refused_in_transaction(
        &mut self,
        client: usize,
        args: &Args<'_>,
        error: CommandError,
    ) -> CommandError {
        self.fail_transaction(client);
        let command = self.commands.registry.find(args.bytes(0));
        let in_multi = command.map(|id| self.commands.registry.get(id).command.in_multi);
        if in_multi != Some(InMulti::Executes) {
            return error;
        }
        if self.transaction(client).is_some() {
            self.end_transaction(client);
        }
        let reason = error.to_string();
        let reason = reason.strip_prefix("ERR ").unwrap_or(&reason);
        CommandError::Message(format!("EXECABORT Transaction discarded because of: {reason}"))
    }

    /// Queues a request, if it can be part of a transaction.
    pub(super) fn queue(&mut self, client: usize, request: &Request<'_>, travel: Travel) {
        match self.check_queued(client, request, travel) {
            Ok(slot) => self.add_queued(client, request, slot),
            Err(error) => {
                self.fail_transaction(client);
                self.refuse_with(client, &error);
            }
        }
    }

    /// The slot that a request needs; none: any will do.
    fn check_queued(
        &self,
        client: usize,
        request: &Request<'_>,
        travel: Travel,
    ) -> Result<Option<u16>, CommandError> {
        let name = self.commands.registry.get(request.id).full_name.as_str();
        let slot = match travel {
            Travel::Keys | Travel::Split { .. } | Travel::Blocking => self.slot_of(request)?,
            Travel::Publish => Some(key_slot(request.args.bytes(1))),
            Travel::Here(_) if matches!(name, "ping" | "echo") => None,
            Travel::Transaction | Travel::AnyNode => None,
            Travel::AllNodes(_) | Travel::Scan if self.is_one_server() => None,
            Travel::Refused(reason) => {
                return Err(CommandError::Message(self.refusal(request.id, reason)));
            }
            _ => {
                let reason = "not within a transaction";
                return Err(CommandError::Message(self.refusal(request.id, reason)));
            }
        };
        let session = self.clients[client].session.as_ref();
        let queued = session.and_then(|session| session.transaction.as_ref()?.slot);
        let watched = session.and_then(|session| session.watched_slot);
        for other in [queued, watched].into_iter().flatten() {
            if slot.is_some_and(|slot| !self.is_same_place(slot, other)) {
                return Err(CommandError::Text(CROSSSLOT));
            }
        }
        Ok(slot)
    }

    fn add_queued(&mut self, client: usize, request: &Request<'_>, slot: Option<u16>) {
        let Some(transaction) = self.session_mut(client).transaction.as_mut() else { return };
        let before = transaction.requests.len();
        match request.wire {
            Some(wire) => transaction.requests.extend_from_slice(wire),
            None => write_request(&mut transaction.requests, request.args.iter()),
        }
        transaction.lens.push((transaction.requests.len() - before) as u32);
        transaction.slot = transaction.slot.or(slot);
        transaction.writes |= request.writes;
        if transaction.requests.len() > BYTES_MAX {
            return self.close_client(client);
        }
        self.note_request(client, request.id);
        self.answer_request(client, b"+QUEUED\r\n");
    }

    /// `MULTI`, `EXEC`, `DISCARD`, `WATCH`, `UNWATCH`.
    pub(super) fn transaction_command(&mut self, client: usize, request: &Request<'_>) {
        let in_multi = self.transaction(client).is_some();
        let refused = match (self.commands.registry.get(request.id).command.name, in_multi) {
            ("multi", true) => "ERR MULTI calls can not be nested",
            ("watch", true) => "ERR WATCH inside MULTI is not allowed",
            ("exec", false) => "ERR EXEC without MULTI",
            ("discard", false) => "ERR DISCARD without MULTI",
            ("multi", false) => {
                self.session_mut(client).transaction = Some(Transaction::default());
                return self.answer_request(client, b"+OK\r\n");
            }
            ("watch", false) => return self.watch(client, request),
            ("exec", true) => return self.exec(client, request),
            ("discard", true) => return self.discard(client),
            _ => return self.unwatch(client),
        };
        self.refuse(client, refused.as_bytes());
    }

    fn end_transaction(&mut self, client: usize) {
        self.session_mut(client).transaction = None;
        self.forget_watched(client);
        self.session_ends(client);
    }

    fn discard(&mut self, client: usize) {
        self.end_transaction(client);
        self.answer_request(client, b"+OK\r\n");
    }

    fn exec(&mut self, client: usize, request: &Request<'_>) {
        if self.session_mut(client).watching && self.waits_for_replies(client) {
            return; // what went to other links may have changed what is watched
        }
        let session = self.session_mut(client);
        let watch_lost = std::mem::take(&mut session.watch_lost);
        let Some(transaction) = session.transaction.take() else { return };
        let (private, watched) = (session.private, session.watched_slot);
        let text: &[u8] = b"EXECABORT Transaction discarded because of previous errors.";
        if transaction.has_failed || watch_lost || transaction.lens.is_empty() && !session.watching
        {
            self.forget_watched(client);
            self.session_ends(client);
            let mut reply = Reply::new(self.clients[client].protocol);
            match (transaction.has_failed, watch_lost) {
                (true, _) => return self.refuse(client, text),
                (false, true) => reply.null_array(), // what was watched may have changed since
                (false, false) => reply.array(0),
            }
            return self.answer_request(client, &reply.output.to_vec());
        }
        let slot = transaction.slot.or(watched);
        let link = match private {
            Some(link) => Ok(link),
            None => self.link_for_any(self.clients[client].manner(), slot),
        };
        match link {
            Ok(link) => {
                let recipient = self.expect_reply(client, request.id);
                // What was watched is not watched elsewhere.
                self.send_transaction(link, recipient, transaction, private.is_some());
            }
            Err(text) => self.refuse(client, text.as_bytes()),
        }
        self.release_watching(client);
        self.session_ends(client);
    }

    /// The shared link for `slot`; for what has no keys, to the first of the nodes.
    pub(super) fn link_for_any(
        &mut self,
        manner: Manner,
        slot: Option<u16>,
    ) -> Result<u32, String> {
        match (slot, self.masters.first().copied()) {
            (Some(slot), _) => self.link_for(manner, slot),
            (None, Some(node)) => self.link_to(node, manner, 0),
            (None, None) => Err(String::from_utf8_lossy(NOT_SERVED).into_owned()),
        }
    }

    /// Sends `MULTI`, what was queued, and `EXEC`, in one piece.
    fn send_transaction(
        &mut self,
        link: u32,
        recipient: Recipient,
        transaction: Transaction,
        retried: bool,
    ) {
        let lens = [&[MULTI.len() as u32], &transaction.lens[..], &[EXEC.len() as u32]].concat();
        let block = [MULTI, &transaction.requests, EXEC].concat();
        let traits = Traits {
            writes: transaction.writes,
            retried: true,
            redirects: 0,
            patient: false,
            command: NO_COMMAND,
        };
        let slot = transaction.slot.unwrap_or(NO_SLOT);
        let pending = Pending { recipient, missing: lens.len(), transaction, moved: None, retried };
        let recipient = Recipient::Transaction(self.transactions.insert(pending) as u32);
        let queued_us = self.clock_us();
        let state = &mut self.links[link as usize];
        state.outgoing.requests().push(&block);
        for (index, &bytes) in lens.iter().enumerate() {
            let traits = Traits { writes: traits.writes && index + 1 == lens.len(), ..traits };
            let waiter = Waiter { recipient, bytes, queued_us, slot, traits };
            state.waiting.push_back(waiter);
        }
        let node = state.node;
        self.nodes.get_mut(node).stats.requests += lens.len() as u64;
        self.write_to_link(link);
    }

    /// A reply to a part of a transaction. The last one is the client's.
    pub(super) fn transaction_reply(&mut self, index: usize, reply: &[u8]) {
        let Some(pending) = self.transactions.get_mut(index) else { return };
        pending.missing -= 1;
        if reply.starts_with(b"-MOVED ") {
            pending.moved.get_or_insert_with(|| reply.to_vec());
        }
        if pending.missing > 0 {
            return;
        }
        let pending = self.transactions.remove(index);
        let was_refused = reply.starts_with(b"-EXECABORT") && !pending.retried;
        let Some(moved) = pending.moved.filter(|_| was_refused) else {
            return self.hand_over(pending.recipient, reply);
        };
        let manner = self.manner_of(pending.recipient);
        let link = match self.moved_to(&moved) {
            Some(node) => self.link_to(node, manner, pending.transaction.slot.unwrap_or(0)),
            None => return self.hand_over(pending.recipient, reply),
        };
        match link {
            Ok(link) => self.send_transaction(link, pending.recipient, pending.transaction, true),
            Err(text) => self.fail(pending.recipient, &text),
        }
    }

    fn watch(&mut self, client: usize, request: &Request<'_>) {
        let slot = match self.slot_of(request) {
            Ok(slot) => slot.unwrap_or(0),
            Err(error) => return self.refuse_with(client, &error),
        };
        let session = self.clients[client].session.as_ref();
        if let Some(watched) = session.and_then(|session| session.watched_slot)
            && !self.is_same_place(watched, slot)
        {
            return self.refuse(client, CROSSSLOT.as_bytes());
        }
        if !session.is_some_and(|session| session.watching) && self.waits_for_replies(client) {
            return; // what it has sent before must not change what it watches
        }
        match self.private_link(client, slot) {
            Ok(link) => {
                let session = self.session_mut(client);
                session.watching = true;
                session.watches += 1;
                session.watched_slot = Some(slot);
                let recipient = self.expect_reply(client, request.id);
                self.send(link, request, recipient, slot, request.traits());
            }
            Err(text) => self.refuse(client, text.as_bytes()),
        }
    }

    fn unwatch(&mut self, client: usize) {
        self.forget_watched(client);
        self.session_ends(client);
        self.answer_request(client, b"+OK\r\n");
    }

    /// Nothing is watched any more; the link goes back to the others.
    pub(super) fn forget_watched(&mut self, client: usize) {
        let queued_us = self.clock_us();
        let Some(session) = self.clients.get_mut(client).and_then(|client| client.session.as_mut())
        else {
            return;
        };
        session.watch_lost = false;
        if let (true, Some(link)) = (session.watching, session.private) {
            let waiter = Waiter {
                recipient: Recipient::Nobody,
                bytes: UNWATCH.len() as u32,
                queued_us,
                slot: NO_SLOT,
                traits: Traits {
                    writes: false,
                    retried: true,
                    redirects: 0,
                    patient: false,
                    command: NO_COMMAND,
                },
            };
            self.resend(link, waiter, UNWATCH);
        }
        self.release_watching(client);
    }

    /// The client's own link goes back to the others; what it sends next waits for what is under way there.
    fn release_watching(&mut self, client: usize) {
        let session = self.session_mut(client);
        let was_watching = std::mem::take(&mut session.watching);
        session.watched_slot = None;
        session.watches = 0;
        let Some(link) = session.private.filter(|_| was_watching) else { return };
        session.private = None;
        self.release_link(link);
        self.hold_until_answered(client);
    }

    /// The client's session; a new one, if it has none.
    pub(super) fn session_mut(&mut self, client: usize) -> &mut Session {
        self.clients[client].session.get_or_insert_default()
    }

    /// Drops a session that has nothing in it.
    pub(super) fn session_ends(&mut self, client: usize) {
        let Some(state) = self.clients.get_mut(client) else { return };
        if state.session.as_ref().is_some_and(|session| session.is_over()) {
            state.session = None;
        }
    }

    /// How a client's requests are spoken to nodes.
    fn manner_of(&self, recipient: Recipient) -> Manner {
        let Recipient::Client { index, .. } = recipient else { return Manner::PLAIN };
        self.clients.get(index as usize).map_or(Manner::PLAIN, Client::manner)
    }
}
