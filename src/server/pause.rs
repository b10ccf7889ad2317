//! `CLIENT PAUSE`: commands wait, their clients stay connected and are served afterwards, in order.

use super::{Blocked, Server, State};
use crate::commands::table::{ALLOW_BUSY, Flags, MAY_REPLICATE, WRITE};
use crate::keyspace::Keyspace;
use crate::net::Token;

/// What waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum PauseKind {
    /// Commands that write.
    Write,
    /// All commands.
    All,
}

/// A pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pause {
    /// When it ends by itself, monotonic.
    pub until_us: u64,
    /// What waits.
    pub kind: PauseKind,
}

impl Pause {
    pub(super) fn holds_back(self, flags: Flags) -> bool {
        match self.kind {
            PauseKind::All => !flags.has(ALLOW_BUSY) || flags.has(WRITE),
            PauseKind::Write => flags.has(WRITE) || flags.has(MAY_REPLICATE),
        }
    }
}

impl State {
    /// Begins a pause, or makes the one there is longer and stricter. Nothing expires meanwhile.
    pub fn pause_clients(&mut self, keyspace: &mut Keyspace, kind: PauseKind, until_us: u64) {
        let (kind, until_us) = match self.pause {
            Some(pause) if pause.kind > kind => (pause.kind, until_us.max(pause.until_us)),
            Some(pause) => (kind, until_us.max(pause.until_us)),
            None => (kind, until_us),
        };
        self.pause = Some(Pause { until_us, kind });
        keyspace.expiry_frozen = true;
    }

    /// Ends the pause: what waited goes on in the next turn.
    pub fn unpause_clients(&mut self, keyspace: &mut Keyspace) {
        self.pause = None;
        keyspace.expiry_frozen = false;
        let waiting: Vec<Token> = self
            .clients
            .iter()
            .filter(|client| client.blocked == Some(Blocked::Paused))
            .map(|c| c.token)
            .collect();
        for token in waiting {
            self.clients.get_mut(token).blocked = None;
            self.continue_input(token);
        }
    }
}

impl Server {
    pub(super) fn end_pause_if_due(&mut self) {
        if self.state.pause.is_some_and(|pause| pause.until_us <= self.state.now.monotonic_us) {
            self.state.unpause_clients(&mut self.keyspace);
        }
    }
}
