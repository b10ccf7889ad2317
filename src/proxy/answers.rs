//! What the proxy says by itself: replies to commands that need no node, and refusals. They take their turn behind the
//! replies that are still to come.

use super::Proxy;
use super::client::{Client, ReplyMode};
use super::dispatch::Request;
use super::routing::Handler;
use crate::commands::{CommandError, CommandId};
use crate::net::OutputBuffer;
use crate::resp::Reply;

impl Proxy {
    /// Answers a request that needs no node.
    pub(super) fn answer_here(&mut self, client: usize, request: &Request<'_>, handler: Handler) {
        let mode = self.clients[client].reply_mode;
        let mut reply = Reply::new(self.clients[client].protocol);
        self.clients[client].last_command = Some(request.id);
        let result = handler(self, client, request.args, &mut reply);
        if let Err(error) = result {
            self.stats.errors += 1;
            error.reply(&mut reply);
        }
        self.stats.requests += 1;
        self.commands.calls[usize::from(request.id.0)] += 1;
        let Some(state) = self.clients.get_mut(client) else { return };
        state.requests += 1;
        if matches!(mode, ReplyMode::On | ReplyMode::SkipNext) {
            self.answer_client(client, &reply.output.to_vec());
        }
    }

    /// Gives a client the reply to the request at hand, when its turn comes.
    pub(super) fn answer_client(&mut self, client: usize, reply: &[u8]) {
        let Some(state) = self.clients.get_mut(client) else { return };
        if reply.is_empty() || state.closing {
            return;
        }
        let Client { replies, outgoing, .. } = state;
        replies.answer(reply, outgoing.replies());
        self.write_to_client(client);
    }

    /// The same, unless the client wants no replies.
    pub(super) fn answer_request(&mut self, client: usize, reply: &[u8]) {
        if !matches!(self.clients[client].reply_mode, ReplyMode::Off | ReplyMode::Skip) {
            self.answer_client(client, reply);
        }
    }

    /// Has what a client is owed sent at the end of the turn.
    #[inline]
    pub(super) fn write_to_client(&mut self, client: usize) {
        let state = &mut self.clients[client];
        if !state.write_pending && !state.outgoing.is_empty() {
            state.write_pending = true;
            self.actions.write.push(state.token);
        }
    }

    /// Answers the request at hand with an error; its text begins with the code.
    #[cold]
    pub(super) fn refuse(&mut self, client: usize, text: &[u8]) {
        self.refuse_with(client, &CommandError::Bytes(text.to_vec()));
    }

    #[cold]
    pub(super) fn refuse_with(&mut self, client: usize, error: &CommandError) {
        self.stats.errors += 1;
        let state = &self.clients[client];
        if matches!(state.reply_mode, ReplyMode::Off | ReplyMode::Skip) {
            return;
        }
        let mut reply = Reply::new(state.protocol);
        error.reply(&mut reply);
        self.answer_client(client, &reply.output.to_vec());
    }

    pub(super) fn refuse_travel(&mut self, client: usize, id: CommandId, reason: &str) {
        let text = self.refusal(id, reason);
        self.refuse(client, text.as_bytes());
    }

    /// The error for a command that cannot work through a proxy.
    pub(super) fn refusal(&self, id: CommandId, reason: &str) -> String {
        let name = self.commands.registry.get(id).full_name.replace('|', " ").to_uppercase();
        format!("ERR {name} is not available through the proxy: {reason}")
    }
}
