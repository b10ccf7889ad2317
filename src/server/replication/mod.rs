//! Replication: one stream of effects, which replicas follow.
//!
//! | file | what it does |
//! |---|---|
//! | `history` | names of histories, and how far this server is in its own |
//! | `backlog` | the latest bytes of the stream, once for all replicas |
//! | `stream` | from the effects of a turn to the outputs of the replicas |
//! | `replica` | what a master knows of a replica |
//! | `attach` | a client becomes a replica: partial or full synchronization |
//! | `full_sync`, `sync_sink` | all data to those who need them |
//! | `spared` | a replica that is far behind after its full synchronization |
//! | `acks` | `REPLCONF ACK`, and who waits for it: `WAIT`, `WAITAOF` |
//! | `position` | where the data is in the history, across a restart |
//! | `cron` | what happens by the clock |
//! | `failover` | `FAILOVER`: master and replica change places |
//! | `link` | the other side: this server as the replica of a master |

mod acks;
mod attach;
pub mod backlog;
mod cron;
mod failover;
mod full_sync;
pub mod history;
pub mod link;
mod position;
pub mod replica;
mod spared;
mod stream;
mod sync_sink;
#[cfg(test)]
mod tests;

pub use acks::{AckWaiter, Wanted};
pub use backlog::Backlog;
pub use failover::Failover;
pub use full_sync::FullSync;
pub use history::{History, ReplId};
pub use link::Link;
pub use position::Position;

use super::{Environment, State};
use crate::net::Token;

/// Whom this server follows.
#[derive(Debug, Default)]
pub enum Role {
    /// Nobody.
    #[default]
    Master,
    /// Another server.
    Replica(Box<Link>),
}

/// What the server knows of its replicas, and of its master.
#[derive(Debug)]
pub struct Replication {
    /// Whom it follows.
    pub role: Role,
    /// The history that it writes, or follows.
    pub history: History,
    /// The latest bytes of it, while somebody may ask for them: from the first replica on, and always on a replica.
    pub backlog: Option<Backlog>,
    /// On a replica: the database that the stream is in.
    pub stream_db: usize,
    /// The replicas, in the order in which they came.
    pub replicas: Vec<Token>,
    /// The full synchronization that is going on.
    pub full_sync: Option<Box<FullSync>>,
    /// Clients whose `WAIT` or `WAITAOF` is not answered yet.
    pub waiters: Vec<AckWaiter>,
    /// A `FAILOVER` that is going on.
    pub failover: Option<Failover>,
    /// How far the stream may leave.
    gate: stream::StreamGate,
    /// What replicas that are far behind ask of the others.
    spared: spared::Spared,
    /// Until then (monotonic) what is to leave is gathered.
    gather_until_us: u64,
    /// At the end of the turn all replicas are asked to acknowledge.
    acks_wanted: bool,
    /// Monotonic time since when there is no replica.
    alone_since_us: Option<u64>,
    /// When the cron of replication runs next, and how often it has run.
    next_cron_us: u64,
    cron_runs: u64,
}

impl Replication {
    /// A master without replicas.
    pub(super) fn new(replid: ReplId) -> Self {
        Self {
            role: Role::Master,
            history: History::new(replid),
            backlog: None,
            stream_db: 0,
            replicas: Vec::new(),
            full_sync: None,
            waiters: Vec::new(),
            failover: None,
            gate: stream::StreamGate::default(),
            spared: spared::Spared::default(),
            gather_until_us: 0,
            acks_wanted: false,
            alone_since_us: None,
            next_cron_us: 0,
            cron_runs: 0,
        }
    }

    /// Bytes of memory that the backlog takes. O(blocks of 64 KB).
    pub fn backlog_bytes(&self) -> usize {
        self.backlog.as_ref().map_or(0, Backlog::memory_bytes)
    }

    /// Whether the server follows nobody.
    #[inline]
    pub fn is_master(&self) -> bool {
        matches!(self.role, Role::Master)
    }
}

/// A name for a history that nobody else has.
pub(super) fn random_replid(environment: &mut dyn Environment) -> ReplId {
    ReplId::random(|| environment.random())
}

impl State {
    /// Begins a new history of changes: no replica that knows the old one can go on from there.
    pub fn change_replid(&mut self) {
        let replid = random_replid(&mut *self.environment);
        self.replication.history.restart(replid);
    }

    /// The stream goes on with `bytes`: of this server's own effects, or as its master sent them. They leave for the
    /// replicas at the end of the turn.
    pub fn feed_replicas(&mut self, bytes: &[u8]) {
        self.replication.history.offset += bytes.len() as u64;
        if let Some(backlog) = &mut self.replication.backlog {
            backlog.append(bytes);
        }
    }
}
