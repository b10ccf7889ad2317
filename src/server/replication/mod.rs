//! Replication: one stream of effects, which replicas follow.
//!
//! | file | what it does |
//! |---|---|
//! | `history` | names of histories, and how far this server is in its own |
//! | `backlog` | the latest bytes of the stream, once for all replicas |
//! | `link` | the other side: this server as the replica of a master |

pub mod backlog;
pub mod history;
pub mod link;

pub use backlog::Backlog;
pub use history::{History, ReplId};
pub use link::Link;

use super::{Environment, State};

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
}

impl Replication {
    /// A master without replicas.
    pub(super) fn new(replid: ReplId) -> Self {
        Self { role: Role::Master, history: History::new(replid), backlog: None, stream_db: 0 }
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

    /// Closes the connections of all replicas.
    pub fn disconnect_replicas(&mut self) {}

    /// Makes the backlog, if there is none.
    pub fn make_backlog(&mut self) {
        let offset = self.replication.history.offset;
        self.replication.backlog.get_or_insert_with(|| Backlog::new(offset));
    }
}
