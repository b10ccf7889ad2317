//! The proxy as the event loop drives it.

use std::time::Duration;

use super::client::Client;
use super::outgoing::Outgoing;
use super::{Proxy, client_token};
use crate::clock::Now;
use crate::log::Level;
use crate::net::{
    Actions, Close, Disconnect, LoopStats, OutputBuffer, Peer, Service, Signal, Token,
};

const TOO_MANY_CLIENTS: &[u8] = b"-ERR max number of clients reached\r\n";
/// Links and nodes are looked at so often while there is something to look at.
const CHECK_INTERVAL_US: u64 = 10_000;
/// Unread bytes below which a client's nodes are read from again.
const RESUME_BELOW_BYTES: usize = 256 * 1024;
/// Buffers kept for clients that have something to be sent.
const SPARE_BUFFERS_MAX: usize = 64;
const SPARE_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// What a token stands for.
enum Connection {
    Client(usize),
    Link(usize),
}

fn connection(token: Token) -> Connection {
    let index = token.0 as usize / 2;
    if token.0.is_multiple_of(2) { Connection::Client(index) } else { Connection::Link(index) }
}

impl Service for Proxy {
    type Output = Outgoing;

    fn begin_turn(&mut self, now: Now, stats: &LoopStats) {
        self.now = now;
        self.stats.longest_turn_us = self.stats.longest_turn_us.max(stats.last_turn_us);
        self.take_resolved();
    }

    fn connected(&mut self, peer: Peer) -> Result<Token, Vec<u8>> {
        self.stats.connections += 1;
        if self.clients.len() >= self.options.maxclients as usize {
            self.stats.rejected_connections += 1;
            return Err(TOO_MANY_CLIENTS.to_vec());
        }
        self.last_client_id += 1;
        let entry = self.clients.vacant_entry();
        let token = client_token(entry.key());
        let authenticated = self.options.requirepass.is_empty();
        let now_us = self.now.monotonic_us;
        entry.insert(Client::new(self.last_client_id, token, peer, now_us, authenticated));
        Ok(token)
    }

    fn established(&mut self, token: Token, _peer: Peer) {
        if let Connection::Link(link) = connection(token) {
            self.link_established(link);
        }
    }

    fn received(&mut self, token: Token, bytes: &[u8]) {
        match connection(token) {
            Connection::Client(client) => self.received_from_client(client, bytes),
            Connection::Link(link) => self.received_from_node(link, bytes),
        }
    }

    fn owes_reply(&mut self, token: Token) -> bool {
        let Connection::Client(client) = connection(token) else { return false };
        self.clients.get(client).is_some_and(|client| {
            let blocked = client.hold == super::client::Hold::Blocked;
            !client.closing
                && !blocked
                && (!client.replies.is_empty()
                    || client.go_on_pending
                    || client.hold != super::client::Hold::No
                    || !client.outgoing.is_empty())
        })
    }

    fn disconnected(&mut self, token: Token, why: Disconnect) {
        match connection(token) {
            Connection::Client(client) => self.client_disconnected(client),
            Connection::Link(link) => self.link_disconnected(link, &why),
        }
    }

    fn output(&mut self, token: Token) -> Option<&mut Outgoing> {
        match connection(token) {
            Connection::Client(client) => {
                self.clients.get_mut(client).map(|client| &mut client.outgoing)
            }
            Connection::Link(link) => self.links.get_mut(link).map(|link| &mut link.outgoing),
        }
    }

    fn written(&mut self, token: Token, bytes: usize) {
        if let Connection::Client(client) = connection(token) {
            self.stats.net_out += bytes as u64;
            self.client_was_sent(client);
        }
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Terminate => self.stop("SIGTERM"),
            Signal::Interrupt => self.stop("SIGINT"),
            Signal::Hangup => self.reload_nodes(),
            Signal::User1 => {}
        }
    }

    fn listen_result(&mut self, result: Result<(), String>) {
        if let Err(error) = result {
            self.log(Level::Warning, format_args!("{error}"));
        }
    }

    fn warn(&mut self, text: &str) {
        self.log(Level::Warning, format_args!("{text}"));
    }

    fn run_timers(&mut self) -> Option<Duration> {
        let now_us = self.now.monotonic_us;
        if now_us >= self.next_check_us {
            self.check_links();
            self.check_nodes();
            self.catch_up_subscriptions();
            self.check_stop();
            self.next_check_us = now_us + CHECK_INTERVAL_US;
        }
        self.ask_for_topology();
        let busy = !self.going_on.is_empty();
        Some(if busy { Duration::ZERO } else { self.time_to_next_check() })
    }

    fn end_turn(&mut self, actions: &mut Actions) {
        self.go_on();
        for token in &self.actions.write {
            match connection(*token) {
                Connection::Client(client) => {
                    if let Some(client) = self.clients.get_mut(client) {
                        client.write_pending = false;
                    }
                }
                Connection::Link(link) => {
                    if let Some(link) = self.links.get_mut(link) {
                        link.write_pending = false;
                    }
                }
            }
        }
        std::mem::swap(actions, &mut self.actions);
    }
}

impl Proxy {
    /// How long nothing has to be looked at: while requests are under way or nodes are away, not for long.
    fn time_to_next_check(&self) -> Duration {
        let now_us = self.now.monotonic_us;
        let checks = self.has_something_to_check().then_some(self.next_check_us);
        let asks = self.refresh.next_at_ms().map(|at_ms| at_ms.saturating_mul(1000));
        let next_us = [checks, asks].into_iter().flatten().min();
        Duration::from_micros(next_us.map_or(1_000_000, |at_us| at_us.saturating_sub(now_us)))
            .min(Duration::from_secs(1))
    }

    /// Lets clients go on whose requests had to wait.
    fn go_on(&mut self) {
        if std::mem::take(&mut self.links_eased) {
            for client in std::mem::take(&mut self.throttled) {
                self.end_hold(client, super::client::Hold::Link);
            }
        }
        if self.going_on.is_empty() {
            return;
        }
        for client in std::mem::take(&mut self.going_on) {
            if let Some(state) = self.clients.get_mut(client) {
                state.go_on_pending = false;
                self.run_kept(client);
            }
        }
    }

    /// Some of a client's output has left: what was held up for it goes on.
    fn client_was_sent(&mut self, client: usize) {
        let Some(state) = self.clients.get_mut(client) else { return };
        let unread = state.outgoing.len();
        state.replies.shrink();
        if unread == 0
            && let Some(buffer) = state.outgoing.replies().take_buffer()
            && self.spare_buffers.len() < SPARE_BUFFERS_MAX
            && buffer.capacity() <= SPARE_BUFFER_BYTES_MAX
        {
            self.spare_buffers.push(buffer);
        }
        if unread < RESUME_BELOW_BYTES && !state.paused_links.is_empty() {
            for link in std::mem::take(&mut state.paused_links) {
                self.resume_link(link as usize);
            }
        }
        self.continue_client(client);
    }

    fn client_disconnected(&mut self, client: usize) {
        self.end_session(client);
        let Some(state) = self.clients.try_remove(client) else { return };
        for link in state.paused_links {
            self.resume_link(link as usize);
        }
        self.going_on.retain(|&other| other != client);
        self.throttled.retain(|&other| other != client);
    }

    /// Reads the list of nodes again.
    fn reload_nodes(&mut self) {
        match self.environment.reload_nodes() {
            Some(Ok(nodes)) => {
                self.log(Level::Notice, format_args!("Received SIGHUP: {} nodes", nodes.len()));
                self.set_nodes(nodes);
            }
            Some(Err(error)) => {
                self.log(Level::Warning, format_args!("Received SIGHUP; the nodes stay: {error}"));
            }
            None => self.log(
                Level::Notice,
                format_args!("Received SIGHUP: there is no list of nodes to read"),
            ),
        }
    }

    /// Takes no more clients; ends when those that are there have been answered.
    fn stop(&mut self, signal: &str) {
        self.log(Level::Notice, format_args!("Received {signal}, shutting down"));
        if self.stopping_since_us.is_some() {
            self.actions.exit = Some(0); // told a second time: at once
            return;
        }
        self.stopping_since_us = Some(self.now.monotonic_us);
        self.actions.stop_accepting = true;
        let clients: Vec<usize> = self.clients.iter().map(|(client, _)| client).collect();
        for client in clients {
            match self.clients[client].hold {
                super::client::Hold::Blocked => self.close_client(client),
                _ => self.leave(client),
            }
        }
        self.next_check_us = 0;
    }

    /// Whether the end has come: nobody waits for a reply any more, or has waited too long.
    fn check_stop(&mut self) {
        let Some(since_us) = self.stopping_since_us else { return };
        let limit_us = u64::from(self.options.timeout_ms) * 1000;
        let over = self.now.monotonic_us.saturating_sub(since_us) >= limit_us;
        let owed = self.clients.iter().any(|(_, client)| {
            client.hold != super::client::Hold::Blocked && !client.replies.is_empty()
        });
        if owed && !over {
            return;
        }
        for (_, client) in &self.clients {
            self.actions.close.push((client.token, Close::AfterWrite));
        }
        self.actions.exit = Some(0);
        self.log(Level::Notice, format_args!("The proxy is now ready to exit, bye bye..."));
    }

    /// Whether there are requests under way, links that are being made, nodes that are away, or an end to come.
    fn has_something_to_check(&self) -> bool {
        self.stopping_since_us.is_some()
            || self.links.iter().any(|(_, link)| link.wants_checks())
            || self.nodes.iter().any(|node| node.is_member && node.health.down.is_some())
    }
}
