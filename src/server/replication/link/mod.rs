//! The link of a replica to its master.
//!
//! | file | what it does |
//! |---|---|
//! | `role` | this server becomes a replica, or a master again |
//! | `connection` | connects, gives up, tries again; what is sent each second |
//! | `handshake` | what the two say to each other before data flows |
//! | `payload` | the frame around the snapshot that the master sends |
//! | `full_sync` | that snapshot, into a keyspace of its own, which then takes the place of the old one |
//! | `stream` | the master's commands: run here, byte by byte counted, and passed on as they came |
//!
//! The connection is a client like any other, so that commands find all that they expect of one; but it is not looked
//! after like one, and what it is answered goes nowhere. Waiting for the next try, or for the name of a host, there is
//! none.

mod connection;
mod full_sync;
mod handshake;
mod payload;
mod role;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

use crate::config::MasterAddress;
use crate::net::Token;
use crate::server::State;

use full_sync::Transfer;
use handshake::Handshake;
use stream::Stream;

use super::Role;

/// Time between two tries to reach a master.
const RETRY_US: u64 = 1_000_000;
/// The same after data came that was of no use: a master works hard for each full sync.
const RETRY_US_MAX: u64 = 64_000_000;
/// A link that was up for this long is made anew at once.
const STABLE_US: u64 = 1_000_000;

/// What a replica knows of its master.
#[derive(Debug)]
pub struct Link {
    /// Where the master is.
    pub master: MasterAddress,
    /// How far the link is.
    phase: Phase,
    /// Whether this server's history may lead on; if not, all data is asked for.
    resumes: bool,
    /// Full syncs in a row whose data could not be used.
    useless_syncs: u32,
    /// Monotonic time of the last bytes from the master.
    last_io_us: u64,
    /// Since when it is down, on the monotonic clock, if it ever was up.
    down_since_us: Option<u64>,
    /// When the master is told next how far this server is.
    next_ack_us: u64,
    /// How far the log's device is.
    synced: Synced,
}

/// Which offset of the stream the log has on its device.
#[derive(Default, Debug)]
struct Synced {
    /// Offsets of the log, and of the stream when the log was there.
    waiting: VecDeque<(u64, u64)>,
    offset: Option<u64>,
}

impl Synced {
    /// The log had `added` bytes when the stream was at `offset`, and `synced` bytes of it are on the device by now.
    fn note(&mut self, added: u64, offset: u64, synced: u64) {
        if self.waiting.back() != Some(&(added, offset)) {
            self.waiting.push_back((added, offset));
        }
        while let Some(&(added, offset)) = self.waiting.front()
            && added <= synced
        {
            self.offset = Some(offset);
            self.waiting.pop_front();
        }
    }
}

/// How far the link is.
#[derive(Debug)]
enum Phase {
    /// Nothing happens until then.
    Waiting { until_us: u64 },
    /// The master's name is being looked up, for whoever asked with that number.
    Resolving { number: u64 },
    /// A connection is being made; these addresses are tried next.
    Connecting { token: Token, others: Vec<SocketAddr> },
    /// Connected; nothing is agreed upon yet.
    Handshake { token: Token, handshake: Box<Handshake> },
    /// All data comes in.
    FullSync { token: Token, transfer: Box<Transfer> },
    /// Commands come in.
    Streaming { token: Token, stream: Box<Stream> },
}

impl Phase {
    /// The connection, if there is one.
    fn token(&self) -> Option<Token> {
        match *self {
            Self::Waiting { .. } | Self::Resolving { .. } => None,
            Self::Connecting { token, .. }
            | Self::Handshake { token, .. }
            | Self::FullSync { token, .. }
            | Self::Streaming { token, .. } => Some(token),
        }
    }
}

impl Link {
    /// A link that is to be made at once.
    pub fn new(master: MasterAddress, now_us: u64) -> Self {
        Self {
            master,
            phase: Phase::Waiting { until_us: now_us },
            resumes: true,
            useless_syncs: 0,
            last_io_us: now_us,
            down_since_us: None,
            next_ack_us: now_us,
            synced: Synced::default(),
        }
    }

    /// Whether the master's commands come in: all else is down.
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Streaming { .. })
    }

    /// Whether all data is coming in.
    pub fn is_syncing(&self) -> bool {
        matches!(self.phase, Phase::FullSync { .. })
    }

    /// What `ROLE` calls its state.
    pub fn state_name(&self) -> &'static str {
        match self.phase {
            Phase::Waiting { .. } | Phase::Resolving { .. } => "connect",
            Phase::Connecting { .. } => "connecting",
            Phase::Handshake { .. } => "handshake",
            Phase::FullSync { .. } => "sync",
            Phase::Streaming { .. } => "connected",
        }
    }

    /// Bytes received that are in no command that has run.
    pub fn unapplied_bytes(&self) -> usize {
        match &self.phase {
            Phase::Streaming { stream, .. } => stream.waiting_bytes(),
            _ => 0,
        }
    }

    /// Whole seconds since the last bytes from the master, while the link is up.
    pub fn silent_s(&self, now_us: u64) -> Option<u64> {
        self.is_up().then(|| self.sync_silent_s(now_us))
    }

    /// Whole seconds since the last bytes from the master, whatever state the link is in.
    pub fn sync_silent_s(&self, now_us: u64) -> u64 {
        now_us.saturating_sub(self.last_io_us) / 1_000_000
    }

    /// Whole seconds since the link is down, if it was ever up.
    pub fn down_s(&self, now_us: u64) -> Option<u64> {
        self.down_since_us.map(|since_us| now_us.saturating_sub(since_us) / 1_000_000)
    }

    /// Of the data that is coming in: bytes in all, if that is known, and bytes that are here.
    pub fn sync_progress(&self) -> Option<(Option<u64>, u64)> {
        match &self.phase {
            Phase::FullSync { transfer, .. } => Some(transfer.progress()),
            _ => None,
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.master.host, self.master.port)
    }
}

impl State {
    /// The link to the master, if there is a master.
    pub fn link(&self) -> Option<&Link> {
        match &self.replication.role {
            Role::Replica(link) => Some(link),
            Role::Master => None,
        }
    }

    fn link_mut(&mut self) -> Option<&mut Link> {
        match &mut self.replication.role {
            Role::Replica(link) => Some(link),
            Role::Master => None,
        }
    }

    /// Whether `token` is the connection to the master.
    #[inline]
    pub(in crate::server) fn is_link(&self, token: Token) -> bool {
        self.link().is_some_and(|link| link.phase.token() == Some(token))
    }
}
