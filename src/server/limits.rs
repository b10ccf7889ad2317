//! What a client may cost: unsent bytes by class, idle time.

use super::{Client, Server, State};
use crate::log::Level;
use crate::net::Token;
use crate::resp::Reply;

/// Unsent bytes of a client that has not said who it is.
const UNAUTHENTICATED_OUTPUT_MAX: u64 = 1024;
/// Below this nothing is checked.
const SMALL: usize = UNAUTHENTICATED_OUTPUT_MAX as usize;

impl State {
    /// Closes the client if the bytes it was not sent yet pass a limit of its class.
    pub(super) fn check_output_limit(&mut self, token: Token) {
        let Some(client) = self.clients.find_mut(token) else { return };
        let len = client.output.len();
        if len > SMALL || client.over_soft_limit_since_us.is_some() {
            self.check_unsent(token, len);
        }
    }

    /// The same while replies are being written.
    #[inline]
    pub(super) fn check_reply_limit(&mut self, token: Token, reply: &Reply) {
        let len = reply.output.len();
        if len > SMALL {
            self.check_unsent(token, len);
        }
    }

    #[cold]
    fn check_unsent(&mut self, token: Token, len: usize) {
        let len = len as u64;
        let now_us = self.now.monotonic_us;
        let limit = self.config.client_output_buffer_limit.normal;
        let client = self.clients.get_mut(token);
        if client.closing {
            return;
        }
        let over_soft = limit.soft_bytes > 0 && len >= limit.soft_bytes;
        let since_us = match (over_soft, client.over_soft_limit_since_us) {
            (false, _) => None,
            (true, None) => Some(now_us),
            (true, since) => since,
        };
        client.over_soft_limit_since_us = since_us;
        let too_long =
            since_us.is_some_and(|since_us| now_us - since_us > limit.soft_seconds * 1_000_000);
        let hard = limit.hard_bytes > 0 && len >= limit.hard_bytes;
        let unauthenticated = !client.authenticated && len > UNAUTHENTICATED_OUTPUT_MAX;
        if !(hard || too_long || unauthenticated) {
            return;
        }
        self.stats.output_buffer_limit_disconnections += 1;
        let line = super::describe(self, self.clients.get(token));
        self.log(
            Level::Warning,
            format_args!(
                "Client {line} scheduled to be closed ASAP for overcoming of output buffer limits."
            ),
        );
        self.close_now(token);
    }

    fn timed_out(&self, client: &Client) -> bool {
        let idle_us = self.now.monotonic_us.saturating_sub(client.last_interaction_us);
        self.config.timeout > 0
            && client.blocked.is_none()
            && !client.monitor
            && idle_us > u64::from(self.config.timeout) * 1_000_000
    }
}

impl Server {
    /// Looks after all clients: soft limits that time makes hard, idle ones, buffers that are larger than needed.
    pub(super) fn look_after_clients(&mut self) {
        let state = &mut self.state;
        let tokens: Vec<Token> = state.clients.iter().map(|client| client.token).collect();
        for token in tokens {
            state.check_output_limit(token);
            let client = state.clients.get(token);
            if !client.closing && state.timed_out(client) {
                state.log(Level::Verbose, format_args!("Closing idle client"));
                state.close_now(token);
            }
            let client = state.clients.get_mut(token);
            client.query_peak = client.query.len();
        }
    }
}
