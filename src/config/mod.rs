//! Configuration: typed values for the server, and one table of directives that everything else reads.
//!
//! | file | what it does |
//! |---|---|
//! | `table`, `kept`, `row` | one row per directive of Redis 7.0 and Valkey 9.1 |
//! | `directive`, `value`, `special` | how a value is read, checked and shown |
//! | `command` | `CONFIG GET` and `CONFIG SET` |
//! | `load`, `flags` | files, environment and command line into a [`Config`]; `help` prints the table |
//! | `rewrite` | `CONFIG REWRITE` |
//! | `file` | the only one that touches the file system |
//!
//! Applying a change (binding a port, resizing a log) is left to the server.

mod command;
pub mod directive;
pub mod file;
pub mod flags;
mod help;
mod kept;
pub mod load;
mod rewrite;
mod row;
mod special;
mod table;
pub mod value;
pub mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::log::Level;
pub use command::{Access, SetError};
use directive::{Directive, Origin};
pub use rewrite::{Written, rewrite};
pub use special::{KeyspaceEvents, MasterAddress, OutputLimit, OutputLimits, SavePoint};
pub use table::{GROUPS, directives, lookup};
use value::Value;
pub use value::{
    AppendFsync, MaxmemoryPolicy, ProtectedAction, ReplDisklessLoad, SanitizeDumpPayload,
    Supervised,
};

/// The struct, and a way to build it before the defaults of the table are set.
macro_rules! settings {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// Values of directives the server does not act on; a missing one is at its default.
            kept: BTreeMap<&'static str, Value>,
        }

        impl $name {
            fn blank() -> Self {
                Self { $($field: Default::default(),)* kept: BTreeMap::new() }
            }
        }
    };
}

settings! {
/// Every value the server uses, named after its directive. Cheap to read, some kilobytes to clone.
///
/// A directive without a field is accepted and kept: [`Config::get`] shows it.
pub struct Config {
    /// Addresses to listen on; `-` in front: may be missing; `*` and `::*`: all. Empty: no TCP.
    pub bind: Vec<String>,
    /// Refuse remote clients while no password is set.
    pub protected_mode: bool,
    /// TCP port, 0 for none.
    pub port: u16,
    /// Length of the kernel's queue of connections not yet accepted.
    pub tcp_backlog: i32,
    /// Path of the Unix socket, empty for none.
    pub unixsocket: String,
    /// Mode of the Unix socket, 0 to leave it to the umask.
    pub unixsocketperm: u32,
    /// Seconds after which an idle client is closed, 0 for never.
    pub timeout: u32,
    /// Seconds between TCP keepalive probes, 0 for none.
    pub tcp_keepalive: u32,
    /// Connections accepted per loop turn.
    pub max_new_connections_per_cycle: u32,
    /// Most clients at a time.
    pub maxclients: u32,
    /// Longest argument of a command in bytes.
    pub proto_max_bulk_len: u64,
    /// Most bytes of one client not yet executed.
    pub client_query_buffer_limit: u64,
    /// When a client that does not read its replies is closed.
    pub client_output_buffer_limit: OutputLimits,
    /// Number of databases.
    pub databases: u32,
    /// Runs of the cron per second, 1 to 500.
    pub hz: u32,
    /// Run the cron more often when many clients are connected.
    pub dynamic_hz: bool,
    /// Password of the default user, empty for none.
    pub requirepass: Vec<u8>,
    /// Who may use DEBUG.
    pub enable_debug_command: ProtectedAction,
    /// Who may change protected directives at run time.
    pub enable_protected_configs: ProtectedAction,
    /// Commands to hide (empty new name) or rename, from `rename-command` lines.
    pub rename_commands: Vec<(String, String)>,
    /// No keys and values in the log.
    pub hide_user_data_from_log: bool,
    /// Least level that is logged.
    pub loglevel: Level,
    /// Log file, empty for the standard output. See [`Config::path`].
    pub logfile: String,
    /// Go on in the background, unless somebody supervises.
    pub daemonize: bool,
    /// Who is told when the server is ready.
    pub supervised: Supervised,
    /// File for the process id, empty for none. See [`Config::path`].
    pub pidfile: String,
    /// Where the server runs, for clients that prefer what is near: INFO tells them.
    pub availability_zone: String,
    /// Directory of all data. Absolute after [`Config::resolve_dir`].
    pub dir: PathBuf,
    /// What [`Config::resolve_dir`] chose where no directory was given.
    pub default_dir: PathBuf,
    /// Whether the process goes without transparent huge pages.
    pub disable_thp: bool,
    /// Change the title of the process.
    pub set_proc_title: bool,
    /// Title of the process.
    pub proc_title_template: String,
    /// `oom-score-adj`: 0 `no`, 1 `yes` or `relative`, 2 `absolute`.
    pub oom_score_adj: OomScoreAdj,
    /// For a master, a replica, a child.
    pub oom_score_adj_values: [i32; 3],
    /// Seconds a shutdown waits for replicas.
    pub shutdown_timeout: u32,
    /// Flags of [`value::SHUTDOWN_FLAGS`] for SIGINT.
    pub shutdown_on_sigint: ShutdownFlags,
    /// Flags of [`value::SHUTDOWN_FLAGS`] for SIGTERM.
    pub shutdown_on_sigterm: ShutdownFlags,
    /// Most bytes of memory, 0 for no limit.
    pub maxmemory: u64,
    /// What to evict at the limit.
    pub maxmemory_policy: MaxmemoryPolicy,
    /// Keys looked at to find one to evict.
    pub maxmemory_samples: u32,
    /// Effort of one eviction round, 0 to 100.
    pub maxmemory_eviction_tenacity: u32,
    /// Most bytes of all clients' buffers; negative: percent of `maxmemory`; 0 for no limit.
    pub maxmemory_clients: i64,
    /// How slowly the access counter saturates.
    pub lfu_log_factor: u32,
    /// Minutes after which the access counter is decremented.
    pub lfu_decay_time: u32,
    /// CPU effort of the expiry walk, 1 to 10.
    pub active_expire_effort: u32,
    /// Free evicted values in the background.
    pub lazyfree_lazy_eviction: bool,
    /// Free expired values in the background.
    pub lazyfree_lazy_expire: bool,
    /// Free overwritten values in the background.
    pub lazyfree_lazy_server_del: bool,
    /// Let DEL behave like UNLINK.
    pub lazyfree_lazy_user_del: bool,
    /// Let FLUSHALL and FLUSHDB behave like their ASYNC forms.
    pub lazyfree_lazy_user_flush: bool,
    /// Microseconds from which a command is slow; 0 logs all, -1 none.
    pub slowlog_log_slower_than: i64,
    /// Entries of the slow log.
    pub slowlog_max_len: u64,
    /// Bytes from which a request is large, -1 for never.
    pub commandlog_request_larger_than: i64,
    /// Entries of the log of large requests.
    pub commandlog_large_request_max_len: u64,
    /// Bytes from which a reply is large, -1 for never.
    pub commandlog_reply_larger_than: i64,
    /// Entries of the log of large replies.
    pub commandlog_large_reply_max_len: u64,
    /// Milliseconds from which an event is sampled by LATENCY, 0 for never.
    pub latency_monitor_threshold: u64,
    /// Keep a latency histogram per command.
    pub latency_tracking: bool,
    /// Percentiles shown by `INFO latencystats`.
    pub latency_tracking_info_percentiles: Vec<f64>,
    /// Which keyspace notifications are published.
    pub notify_keyspace_events: KeyspaceEvents,
    /// Largest number of entries of a hash kept as a listpack.
    pub hash_max_listpack_entries: u64,
    /// Largest field or value in bytes of a hash kept as a listpack.
    pub hash_max_listpack_value: u64,
    /// Size of a list node: entries, or when negative -1 to -5 for 4 to 64 KB.
    pub list_max_listpack_size: i32,
    /// List nodes at either end that are not compressed, 0 for no compression.
    pub list_compress_depth: u32,
    /// Largest number of members of a set kept as an intset.
    pub set_max_intset_entries: u64,
    /// Largest number of members of a set kept as a listpack.
    pub set_max_listpack_entries: u64,
    /// Largest member in bytes of a set kept as a listpack.
    pub set_max_listpack_value: u64,
    /// Largest number of members of a sorted set kept as a listpack.
    pub zset_max_listpack_entries: u64,
    /// Largest member in bytes of a sorted set kept as a listpack.
    pub zset_max_listpack_value: u64,
    /// Largest HyperLogLog in bytes kept in the sparse form.
    pub hll_sparse_max_bytes: u64,
    /// Largest stream node in bytes, 0 for no limit.
    pub stream_node_max_bytes: u64,
    /// Most entries of a stream node, 0 for no limit.
    pub stream_node_max_entries: u64,
    /// Most keys remembered for client-side caching.
    pub tracking_table_max_keys: u64,
    /// Milliseconds after which a script answers BUSY.
    pub busy_reply_threshold: u64,
    /// How RESTORE payloads are checked.
    pub sanitize_dump_payload: SanitizeDumpPayload,
    /// When to write a snapshot.
    pub save: Vec<SavePoint>,
    /// File name of the snapshot.
    pub dbfilename: String,
    /// Compress strings in snapshots.
    pub rdbcompression: bool,
    /// Check the checksum of snapshots.
    pub rdbchecksum: bool,
    /// Refuse writes after a failed snapshot.
    pub stop_writes_on_bgsave_error: bool,
    /// Keep an append only file.
    pub appendonly: bool,
    /// Base of the file names of the append only file.
    pub appendfilename: String,
    /// Directory of the append only files, inside `dir`.
    pub appenddirname: String,
    /// When the append only file is synced.
    pub appendfsync: AppendFsync,
    /// Do not sync while a rewrite runs.
    pub no_appendfsync_on_rewrite: bool,
    /// Growth in percent that starts a rewrite, 0 for never.
    pub auto_aof_rewrite_percentage: u32,
    /// Least size in bytes for an automatic rewrite.
    pub auto_aof_rewrite_min_size: u64,
    /// Load a file whose last command is cut.
    pub aof_load_truncated: bool,
    /// Write the base file as RDB.
    pub aof_use_rdb_preamble: bool,
    /// Write timestamps into the file.
    pub aof_timestamp_enabled: bool,
    /// Our master, if we are a replica.
    pub replicaof: Option<MasterAddress>,
    /// User name for the master, empty for none.
    pub masteruser: String,
    /// Password for the master, empty for none.
    pub masterauth: Vec<u8>,
    /// Serve clients while the link to the master is down.
    pub replica_serve_stale_data: bool,
    /// Refuse writes of clients on a replica.
    pub replica_read_only: bool,
    /// A replica evicts nothing by itself.
    pub replica_ignore_maxmemory: bool,
    /// Order in which Sentinel promotes replicas, 0 for never.
    pub replica_priority: u32,
    /// Address told to the master, empty for the real one.
    pub replica_announce_ip: String,
    /// Port told to the master, 0 for the real one.
    pub replica_announce_port: u16,
    /// Show this replica to Sentinel.
    pub replica_announced: bool,
    /// Seconds after which a silent link is dropped.
    pub repl_timeout: u32,
    /// Seconds between pings to replicas.
    pub repl_ping_replica_period: u32,
    /// Bytes of the replication backlog.
    pub repl_backlog_size: u64,
    /// Seconds without replicas after which the backlog is freed, 0 for never.
    pub repl_backlog_ttl: u64,
    /// Send snapshots to replicas without a file.
    pub repl_diskless_sync: bool,
    /// Seconds to wait for more replicas before such a snapshot.
    pub repl_diskless_sync_delay: u32,
    /// Replicas that end the wait early, 0 for no such number.
    pub repl_diskless_sync_max_replicas: u32,
    /// How a replica loads such a snapshot.
    pub repl_diskless_load: ReplDisklessLoad,
    /// Let the kernel gather small packets to replicas.
    pub repl_disable_tcp_nodelay: bool,
    /// Refuse writes with fewer good replicas than this.
    pub min_replicas_to_write: u32,
    /// Seconds of lag up to which a replica is good, 0 for no check.
    pub min_replicas_max_lag: u32,
}
}

/// Number of the word of `oom-score-adj`.
pub type OomScoreAdj = value::Word;

/// Flags of `shutdown-on-sigint` and `shutdown-on-sigterm`.
pub type ShutdownFlags = value::Word;

impl Default for Config {
    /// Every directive at the default of its row.
    fn default() -> Self {
        let mut config = Self::blank();
        for row in directives() {
            row.set(&mut config, &row.default_args(), Origin::Start { again: false })
                .expect("a row's default is a value of its kind");
        }
        config.kept.clear();
        config
    }
}

impl Config {
    /// `hz` is a hint: it is moved into its limits instead of refused, as in Redis.
    fn clamp(&mut self) {
        self.hz = self.hz.clamp(1, 500);
    }

    /// Fixes the data directory before the server starts: `log/<port>` unless one was given, and absolute.
    pub fn resolve_dir(&mut self, cwd: &Path) {
        self.default_dir = cwd.join("log").join(self.port.to_string());
        let given = !self.dir.as_os_str().is_empty();
        self.dir = if given {
            special::without_dots(&cwd.join(&self.dir))
        } else {
            self.default_dir.clone()
        };
    }

    /// A file named in the configuration; a relative name counts from the data directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// One sentence for every directive that was given a value and has no effect here: for the log at start.
    pub fn warnings(&self) -> Vec<String> {
        let defaults = Config::default();
        let ignored = |row: &&Directive| !row.effect && row.get(self) != row.get(&defaults);
        let sentence = |row: &Directive| match row.sensitive {
            true => format!(
                "Configuration directive '{}' is accepted and kept, but has no effect.",
                row.name
            ),
            false => {
                let value = String::from_utf8_lossy(&row.get(self)).into_owned();
                format!(
                    "Configuration directive '{} {value}' is accepted and kept, but has no effect.",
                    row.name
                )
            }
        };
        directives().filter(ignored).map(sentence).collect()
    }
}
