//! A connection to the target of `MIGRATE`: made when it is needed, kept for ten seconds after.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use super::transfer::Transfer;
use crate::net::{Connect, Disconnect, Peer, Token};
use crate::resp::ReplyReader;
use crate::server::{Server, State};

/// How long an idle connection is kept (Redis's `MIGRATE_SOCKET_CACHE_TTL`).
const KEPT_US: u64 = 10_000_000;
/// Connections kept beside those in use (Redis's `MIGRATE_SOCKET_CACHE_ITEMS`).
const KEPT_MAX: usize = 64;
/// Set in the numbers of lookups for links, so that nobody else asks with the same.
const LOOKUP: u64 = 1 << 63;

/// Where a connection is.
enum Phase {
    /// The address is being looked up.
    Resolving(u64),
    /// It is being made; if it fails, these are other addresses to try.
    Connecting(Token, VecDeque<SocketAddr>),
    Connected(Token),
}

/// A connection.
pub(super) struct Link {
    host: String,
    port: u16,
    phase: Phase,
    /// What it is used for at the moment.
    pub transfer: Option<Box<Transfer>>,
    /// The database that the target is in, if that is known.
    pub selected: Option<i64>,
    /// Bytes received that are no whole reply yet.
    pub received: Vec<u8>,
    pub reader: ReplyReader,
    /// When something has last happened.
    pub active_us: u64,
}

impl Link {
    pub fn token(&self) -> Option<Token> {
        match self.phase {
            Phase::Resolving(_) => None,
            Phase::Connecting(token, _) | Phase::Connected(token) => Some(token),
        }
    }

    pub fn is_resolving(&self, number: u64) -> bool {
        matches!(self.phase, Phase::Resolving(other) if other == number)
    }

    fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected(_))
    }
}

impl State {
    /// Sends through a connection that is idle, or a new one.
    pub(super) fn send_through_link(&mut self, host: String, port: u16, transfer: Transfer) {
        let now_us = self.now.monotonic_us;
        let is_idle = |link: &&mut Link| {
            (link.transfer.is_none() && link.is_connected())
                && (&link.host, link.port) == (&host, port)
        };
        let transfer = Some(Box::new(transfer));
        if let Some(link) = self.migrations.links.iter_mut().find(is_idle) {
            // What is sent is made in this turn's timers.
            (link.transfer, link.active_us) = (transfer, now_us);
            return;
        }
        self.drop_oldest_link();
        self.migrations.lookups += 1;
        let number = self.migrations.lookups | LOOKUP;
        self.environment.resolve(number, &host, port);
        self.migrations.links.push(Link {
            host,
            port,
            phase: Phase::Resolving(number),
            transfer,
            selected: None,
            received: Vec::new(),
            reader: ReplyReader::default(),
            active_us: now_us,
        });
    }

    fn drop_oldest_link(&mut self) {
        let idle = || self.migrations.links.iter().filter(|link| link.transfer.is_none());
        if idle().count() < KEPT_MAX {
            return;
        }
        if let Some(token) = idle().min_by_key(|link| link.active_us).and_then(Link::token) {
            self.drop_link(token);
        }
    }

    /// Forgets a connection and closes it.
    fn drop_link(&mut self, token: Token) {
        self.migrations.links.retain(|link| link.token() != Some(token));
        self.close_now(token);
    }

    /// The address of a target was looked up, or could not be.
    pub(in crate::server) fn target_resolved(
        &mut self,
        number: u64,
        addresses: io::Result<Vec<SocketAddr>>,
    ) {
        let is_it = |link: &Link| link.is_resolving(number);
        let Some(place) = self.migrations.links.iter().position(is_it) else { return };
        let addresses = addresses.unwrap_or_default().into();
        if !self.try_next_address(place, addresses) {
            let link = self.migrations.links.swap_remove(place);
            self.transfer_failed(link.transfer, "connecting to the client");
        }
    }

    /// Begins to connect to the first of these addresses. False if there is none.
    fn try_next_address(&mut self, place: usize, mut addresses: VecDeque<SocketAddr>) -> bool {
        let Some(address) = addresses.pop_front() else { return false };
        let token = self.clients.connect(Peer::none(), self.now.monotonic_us, true);
        self.clients.get_mut(token).internal = true;
        self.actions.connect.push(Connect { token, address, source: None });
        self.migrations.links[place].phase = Phase::Connecting(token, addresses);
        true
    }

    /// A connection is made.
    pub(in crate::server) fn target_connected(&mut self, token: Token, peer: Peer) {
        self.clients.get_mut(token).peer = peer;
        let Some(place) = self.migrations.place_of(token) else { return };
        let link = &mut self.migrations.links[place];
        (link.phase, link.active_us) = (Phase::Connected(token), self.now.monotonic_us);
    }

    /// Bytes have left through a connection.
    pub(in crate::server) fn target_was_sent(&mut self, token: Token) {
        if let Some(place) = self.migrations.place_of(token) {
            self.migrations.links[place].active_us = self.now.monotonic_us;
        }
    }

    /// A connection is gone, or could not be made. What was sent through it is sent once more through another one,
    /// unless the target may have done some of it.
    pub(in crate::server) fn target_disconnected(&mut self, token: Token, why: &Disconnect) {
        let Some(place) = self.migrations.place_of(token) else { return };
        let mut others = VecDeque::new();
        let link = &mut self.migrations.links[place];
        let was_connected = link.is_connected();
        if let Phase::Connecting(_, addresses) = &mut link.phase {
            others = std::mem::take(addresses);
        }
        if self.try_next_address(place, others) {
            return;
        }
        let link = self.migrations.links.swap_remove(place);
        let Some(mut transfer) = link.transfer else { return };
        if transfer.may_retry() && !matches!(why, Disconnect::Requested) {
            return self.send_through_link(link.host, link.port, *transfer);
        }
        let what = if was_connected { "reading to target instance" } else { WRITING };
        self.transfer_failed(Some(transfer), what);
    }
}

/// What Redis says of a target that refuses to be connected to: it notices when it writes.
const WRITING: &str = "writing to target instance";

impl Server {
    /// Sends what waits for a connection; gives up where the target has been silent for too long, and closes what nobody
    /// has used for a while.
    pub(in crate::server) fn look_after_migrations(&mut self) {
        if self.state.migrations.is_empty() {
            return;
        }
        let now_us = self.state.now.monotonic_us;
        for place in (0..self.state.migrations.links.len()).rev() {
            let link = &mut self.state.migrations.links[place];
            let silent_us = now_us.saturating_sub(link.active_us);
            match (&link.transfer, &link.phase) {
                (Some(transfer), Phase::Connected(token)) if transfer.is_unsent() => {
                    let token = *token;
                    self.send_transfer(token);
                }
                (Some(transfer), _) if silent_us >= transfer.timeout_us => self.time_out(place),
                (None, &Phase::Connected(token)) if silent_us >= KEPT_US => {
                    self.state.drop_link(token);
                }
                _ => {}
            }
        }
    }

    fn time_out(&mut self, place: usize) {
        let state = &mut self.state;
        let link = state.migrations.links.swap_remove(place);
        let unsent = |token: Token| !state.clients.get(token).output.is_empty();
        let what = match link.phase {
            Phase::Resolving(_) | Phase::Connecting(..) => "connecting to the client",
            Phase::Connected(token) if unsent(token) => WRITING,
            Phase::Connected(_) => "reading to target instance",
        };
        if let Some(token) = link.token() {
            state.close_now(token);
        }
        state.transfer_failed(link.transfer, what);
    }
}
