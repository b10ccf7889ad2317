//! Links of one client: while it watches keys, or while a blocking command waits. Those that nobody needs any more are kept for
//! the next one.

use super::Proxy;
use super::client::{Hold, ReplyMode};
use super::dispatch::Request;
use super::link::{Manner, Stage, Traits, Use};
use super::slots::NodeId;
use crate::net::Close;

/// Links per node that are kept for the next client.
const IDLE_MAX: usize = 8;

impl Proxy {
    /// A blocking command: its client waits, and with it what it has sent after it.
    pub(super) fn block(&mut self, client: usize, request: &Request<'_>) {
        let slot = match self.slot_of(request) {
            Ok(slot) => slot.unwrap_or(0),
            Err(error) => return self.refuse_with(client, &error),
        };
        if !self.may_block(request) {
            return self.forward(client, request, slot);
        }
        if self.clients[client].reply_mode != ReplyMode::On {
            let reason = "nobody could tell when it has ended without a reply";
            return self.refuse(client, self.refusal(request.id, reason).as_bytes());
        }
        if self.waits_for_replies(client) {
            return;
        }
        match self.private_link(client, slot) {
            Ok(link) => {
                self.links[link as usize].blocks = true;
                let recipient = self.expect_reply(client, request.id);
                let traits = Traits { patient: true, ..request.traits() };
                self.send(link, request, recipient, slot, traits);
                self.clients[client].hold = Hold::Blocked;
            }
            Err(text) => self.refuse(client, text.as_bytes()),
        }
    }

    /// The reply that a client was blocked for is there.
    pub(super) fn unblock(&mut self, client: usize) {
        let session = self.session_mut(client);
        let (private, watching) = (session.private, session.watching);
        if let Some(link) = private {
            if let Some(state) = self.links.get_mut(link as usize) {
                state.blocks = false;
            }
            if !watching {
                self.session_mut(client).private = None;
                self.release_link(link);
            }
        }
        self.session_ends(client);
        self.end_hold(client, Hold::Blocked);
    }

    /// The client's own link to the node that has `slot`.
    pub(super) fn private_link(&mut self, client: usize, slot: u16) -> Result<u32, String> {
        let manner = self.clients[client].manner();
        if let Some(link) =
            self.clients[client].session.as_ref().and_then(|session| session.private)
        {
            return match self.links[link as usize].node_has(&self.slots, slot) {
                true => Ok(link),
                false => Err("ERR keys are watched on another node".to_owned()),
            };
        }
        let node =
            self.node_of(slot).ok_or_else(|| "CLUSTERDOWN Hash slot not served".to_owned())?;
        let link = self.take_private(node, manner)?;
        self.links[link as usize].owner = Some((client as u32, self.clients[client].id));
        self.session_mut(client).private = Some(link);
        Ok(link)
    }

    /// Takes a client's own link from it, which has nothing left to do but `request`, and gives it one to `node`.
    pub(super) fn exchange_private_link(
        &mut self,
        index: usize,
        node: NodeId,
        request: &[u8],
    ) -> Result<u32, String> {
        let link = &mut self.links[index];
        let (blocks, manner) = (std::mem::take(&mut link.blocks), link.manner);
        let owner = link.owner.take();
        self.release_link(index as u32);
        let new = self.take_private(node, manner)?;
        let link = &mut self.links[new as usize];
        (link.blocks, link.owner) = (blocks, owner);
        if let Some((client, _)) = owner {
            let session = self.session_mut(client as usize);
            session.private = Some(new);
            // What was watched before this request is not watched any more.
            let watches_first = session.watches == 1 && is_watch(request);
            session.watch_lost |= session.watching && !watches_first;
        }
        Ok(new)
    }

    /// A link to a node that is nobody's.
    fn take_private(&mut self, node: NodeId, manner: Manner) -> Result<u32, String> {
        if self.nodes.get(node).health.down.is_some() {
            return Err(self.down_text(node));
        }
        let idle = &mut self.nodes.get_mut(node).idle;
        let found = idle.iter().position(|&link| self.links[link as usize].manner == manner);
        Ok(match found {
            Some(position) => idle.swap_remove(position),
            None => self.open_link(node, Use::Private, manner),
        })
    }

    /// A link that its client does not need any more.
    pub(super) fn release_link(&mut self, link: u32) {
        let state = &mut self.links[link as usize];
        state.owner = None;
        let idle = &mut self.nodes.get_mut(state.node).idle;
        if state.stage == Stage::Closed {
            return;
        }
        if state.blocks || idle.len() >= IDLE_MAX {
            return self.drop_link(link);
        }
        idle.push(link);
    }

    /// Closes a link whose replies nobody waits for.
    pub(super) fn drop_link(&mut self, link: u32) {
        let state = &mut self.links[link as usize];
        let was_resolving = state.stage == Stage::Resolving;
        state.stage = Stage::Closed;
        state.waiting.clear();
        let (node, token) = (state.node, state.token);
        self.nodes.get_mut(node).forget_link(link);
        self.actions.close.push((token, Close::Now));
        if was_resolving {
            self.links.remove(link as usize); // the loop has never heard of it
        }
    }

    /// A client's own link was lost: what it has watched may have changed.
    pub(super) fn private_link_lost(&mut self, index: usize, owner: Option<(u32, u64)>) {
        let Some((client, id)) = owner else { return };
        let Some(state) = self.clients.get_mut(client as usize).filter(|state| state.id == id)
        else {
            return;
        };
        if let Some(session) = &mut state.session
            && session.private == Some(index as u32)
        {
            session.private = None;
            session.watch_lost |= std::mem::take(&mut session.watching);
            session.watched_slot = None;
        }
        self.session_ends(client as usize);
    }

    /// Ends all that makes a client more than a sender of single requests: it is gone, or begins anew.
    pub(super) fn end_session(&mut self, client: usize) {
        if self.clients.get(client).is_none_or(|state| state.session.is_none()) {
            return;
        }
        self.session_mut(client).transaction = None;
        self.forget_watched(client);
        self.unsubscribe_from_all(client);
        let session = self.session_mut(client);
        if let Some(link) = session.private.take() {
            self.release_link(link);
        }
        self.clients[client].session = None;
    }
}

/// Whether a request is `WATCH`.
fn is_watch(request: &[u8]) -> bool {
    let name = request.splitn(4, |&byte| byte == b'\n').nth(2);
    name.is_some_and(|name| name.eq_ignore_ascii_case(b"watch\r"))
}
