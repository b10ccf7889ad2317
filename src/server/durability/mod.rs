//! Durability: what was acknowledged is in the log, and the log comes back after a restart.
//!
//! | file | what it does |
//! |---|---|
//! | `gate` | replies wait for the log |
//! | `append` | the effects of a turn go into the log; what happens when the disk fails |
//! | `start` | opens the files of the log, or makes them |
//! | `leftovers` | files that a crash has left |
//! | `load` | reads them back, a part a turn |
//! | `load_snapshot` | keys of a snapshot, into the keyspace |
//! | `snapshot` | `BGSAVE`, `SAVE` and the base file of a rewritten log |
//! | `snapshot_files` | the files of one, made and named by jobs |
//! | `schedule` | when it is time for a snapshot, and what came of the last ones |
//! | `replace` | a log of other data begins |
//! | `sink` | keys of a snapshot that wait to be written |
//! | `rdb_records`, `command_records` | keys of a snapshot, as RDB records, as commands |
//! | `frame` | records, as a file |

mod append;
mod command_records;
mod frame;
mod gate;
mod leftovers;
mod load;
mod load_snapshot;
mod rdb_records;
mod replace;
mod schedule;
mod sink;
mod snapshot;
mod snapshot_files;
mod start;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

pub(in crate::server) use frame::Frame;
pub use load::Loading;
pub use load_snapshot::{Target, store_events};
pub(in crate::server) use rdb_records::RdbRecords;
pub use schedule::SnapshotFacts;
pub(in crate::server) use sink::RecordSink;
pub use snapshot::{Purpose, Snapshot};

use crate::persistence::aof::{Log, Manifest};
use crate::persistence::disk::{Disk, Done};

/// What the server knows of its files.
#[derive(Default)]
pub struct Durability {
    /// The log, while one is kept.
    pub log: Option<Log>,
    /// The files of the log.
    pub manifest: Manifest,
    /// Replies that wait for the log.
    pub gates: gate::Gates,
    /// The load that is running.
    pub loading: Option<Box<Loading>>,
    /// The snapshot that is being taken.
    pub snapshot: Option<Box<Snapshot>>,
    snapshots_begun: u64,
    /// What came of snapshots.
    pub facts: SnapshotFacts,
    /// The log has failed for good: the process ends with the turn, and nothing more is answered.
    is_over: bool,
    /// The files that were there at the start are loaded.
    pub started: bool,
    /// What came of jobs while something else was waited for.
    put_off: Vec<Done>,
    /// Why writes are refused, in the words of the reply.
    pub refusal: Option<String>,
    /// When an error of the log was last told, on the monotonic clock.
    last_error_us: Option<u64>,
    /// Whether it was told that the running sync takes long.
    slow_sync_told: bool,
    /// The second that the last timestamp in the log says.
    timestamp_s: u64,
    /// Syncs that took so long that it was told.
    pub delayed_syncs: u64,
}

impl Durability {
    /// A number for the next snapshot; none has 0.
    pub(in crate::server) fn next_snapshot(&mut self) -> u64 {
        self.snapshots_begun += 1;
        self.snapshots_begun
    }

    /// Whether the log has failed for good, and nothing more is answered.
    pub(in crate::server) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether a save is running in the background.
    pub fn is_saving(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.purpose == Purpose::Save)
    }

    /// Whether some commands are refused because of it.
    #[inline]
    pub fn refuses_something(&self) -> bool {
        self.loading.is_some() || self.refusal.is_some() || !self.facts.save_ok
    }

    /// Whether the log is being rewritten.
    pub fn is_rewriting(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.purpose == Purpose::Rewrite)
    }
}

/// Where the files of the log are.
struct LogPaths {
    directory: PathBuf,
    name: String,
}

impl LogPaths {
    fn manifest(&self) -> PathBuf {
        self.directory.join(Manifest::file_name(&self.name))
    }

    /// A base that is not whole yet.
    fn temporary_base(&self) -> PathBuf {
        self.directory.join("temp-rewriteaof.rdb")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// The disk, shared with jobs.
type SharedDisk = Arc<dyn Disk>;
