//! The directives with a typed field, by section of `redis.conf`; those that are only kept are in `kept`.
//!
//! Names, aliases, ranges and defaults are Redis 7.0's unless a line says why not.

use super::directive::{Directive, Store, Unit};
use super::kept;
use super::row::{
    at, checked_text, choice, flag, memory, number, number_in, secret, special, text,
};
use super::special::{
    BIND, CLIENT_OUTPUT_BUFFER_LIMIT, DEFAULT_BIND, DIR, LATENCY_TRACKING_INFO_PERCENTILES,
    NOTIFY_KEYSPACE_EVENTS, OOM_SCORE_ADJ_VALUES, OutputLimits, REPLICAOF, SAVE,
};
use super::value::{
    AppendFsync, LOG_LEVELS, MaxmemoryPolicy, OOM_SCORE_ADJ, ProtectedAction, ReplDisklessLoad,
    SHUTDOWN_FLAGS, SanitizeDumpPayload, Setting, Supervised,
};

/// Sections and their rows, in the order `--help` and `CONFIG GET *` show them.
pub const GROUPS: &[(&str, &[Directive])] = &[
    ("Network", NETWORK),
    ("General", GENERAL),
    ("Security", SECURITY),
    ("Memory", MEMORY),
    ("Monitoring", MONITORING),
    ("Encodings", ENCODINGS),
    ("Snapshots", SNAPSHOTS),
    ("Append only file", APPEND_ONLY),
    ("Replication", REPLICATION),
    ("Accepted and kept, without effect here", kept::ROWS),
];

/// Every row. O(1) per row.
pub fn directives() -> impl Iterator<Item = &'static Directive> {
    GROUPS.iter().flat_map(|(_, rows)| rows.iter())
}

/// Finds a row by either of its names, in any case; also returns the name that matched. O(rows).
pub fn lookup(name: &[u8]) -> Option<(&'static Directive, &'static str)> {
    let names = directives().flat_map(|row| row.names().map(move |own| (row, own)));
    names.into_iter().find(|(_, own)| own.as_bytes().eq_ignore_ascii_case(name))
}

impl Directive {
    /// Its name and its alias.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [Some(self.name), self.alias].into_iter().flatten()
    }

    /// Those of its names that a pattern of `CONFIG GET` may match.
    pub(super) fn shown_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let name = (!self.hidden).then_some(self.name);
        let alias = self.alias.filter(|_| !self.hidden && !self.alias_hidden);
        [name, alias].into_iter().flatten()
    }
}

pub(super) const INT_MAX: i128 = i32::MAX as i128;
pub(super) const UINT_MAX: i128 = u32::MAX as i128;
pub(super) const LONG_MAX: i128 = i64::MAX as i128;
const INT_MIN: i128 = i32::MIN as i128;
const ULONG_MAX: i128 = u64::MAX as i128;
const MB: i128 = 1 << 20;

#[rustfmt::skip] // A row is a line.
const NETWORK: &[Directive] = &[
    // Only loopback unless told otherwise: Redis itself listens on all interfaces when it has no file.
    special("bind", &BIND, DEFAULT_BIND, "addresses to listen on"),
    flag("protected-mode", at!(protected_mode), "yes", "refuse remote clients while no password is set"),
    number("port", at!(port), "6379", (0, 65535), "TCP port to listen on, 0 for none"),
    number("tcp-backlog", at!(tcp_backlog), "511", (0, INT_MAX), "length of the kernel's accept queue").immutable(),
    text("unixsocket", at!(unixsocket), "", "Unix socket to listen on").immutable(),
    number_in(Unit::Octal, "unixsocketperm", at!(unixsocketperm), "0", (0, 0o777), "mode of the Unix socket").immutable(),
    number("timeout", at!(timeout), "0", (0, INT_MAX), "seconds until an idle client is closed, 0 for never"),
    number("tcp-keepalive", at!(tcp_keepalive), "300", (0, INT_MAX), "seconds between keepalive probes, 0 for none"),
    number("max-new-connections-per-cycle", at!(max_new_connections_per_cycle), "10", (1, 1000), "connections accepted per loop turn"),
    number("maxclients", at!(maxclients), "10000", (1, UINT_MAX), "most clients at a time"),
    memory("proto-max-bulk-len", at!(proto_max_bulk_len), "512mb", (MB, LONG_MAX), "longest argument of a command"),
    memory("client-query-buffer-limit", at!(client_query_buffer_limit), "1gb", (MB, LONG_MAX), "most bytes of one client not yet executed"),
    special("client-output-buffer-limit", &CLIENT_OUTPUT_BUFFER_LIMIT, OutputLimits::DEFAULT, "close clients that do not read their replies"),
];

#[rustfmt::skip]
const GENERAL: &[Directive] = &[
    number("databases", at!(databases), "16", (1, INT_MAX), "number of databases").immutable(),
    number("hz", at!(hz), "10", (0, INT_MAX), "background runs per second, 1 to 500"),
    flag("dynamic-hz", at!(dynamic_hz), "yes", "more background runs with more clients"),
    choice("loglevel", at!(loglevel), "notice", LOG_LEVELS, "least important messages to log"),
    text("logfile", at!(logfile), "", "log file, \"\" for the standard output").immutable(),
    flag("hide-user-data-from-log", at!(hide_user_data_from_log), "yes", "no keys and values in the log"),
    flag("daemonize", at!(daemonize), "no", "go on in the background").immutable(),
    choice("supervised", at!(supervised), "no", Supervised::CHOICES, "tell systemd when it is ready").immutable(),
    text("pidfile", at!(pidfile), "", "file for the process id").immutable(),
    text("availability-zone", at!(availability_zone), "", "where it runs, for clients that prefer what is near"),
    special("dir", &DIR, "", "directory of all data, log/<port> unless given").multi(false).protected().deny_loading(),
    flag("disable-thp", at!(disable_thp), "no", "no huge pages: fewer long page faults, for more CPU time per command").immutable(),
    flag("set-proc-title", at!(set_proc_title), "yes", "change the title of the process").immutable().no_effect(),
    checked_text("proc-title-template", at!(proc_title_template), "{title} {listen-addr} {server-mode}", check_proc_title_template, "title of the process").no_effect(),
    choice("oom-score-adj", at!(oom_score_adj), "no", OOM_SCORE_ADJ, "tell the kernel whom to kill first").no_effect(),
    special("oom-score-adj-values", &OOM_SCORE_ADJ_VALUES, "0 200 800", "scores of master, replica, child").no_effect(),
    number("shutdown-timeout", at!(shutdown_timeout), "10", (0, INT_MAX), "seconds a shutdown waits for replicas"),
    choice("shutdown-on-sigint", at!(shutdown_on_sigint), "default", SHUTDOWN_FLAGS, "what SIGINT does").multi(true),
    choice("shutdown-on-sigterm", at!(shutdown_on_sigterm), "default", SHUTDOWN_FLAGS, "what SIGTERM does").multi(true),
];

#[rustfmt::skip]
const SECURITY: &[Directive] = &[
    secret("requirepass", at!(requirepass), "password of the default user"),
    choice("enable-debug-command", at!(enable_debug_command), "no", ProtectedAction::CHOICES, "who may use DEBUG").immutable(),
    choice("enable-protected-configs", at!(enable_protected_configs), "no", ProtectedAction::CHOICES, "who may change protected directives").immutable(),
];

#[rustfmt::skip]
const MEMORY: &[Directive] = &[
    memory("maxmemory", at!(maxmemory), "0", (0, ULONG_MAX), "most bytes of memory, 0 for no limit"),
    choice("maxmemory-policy", at!(maxmemory_policy), "noeviction", MaxmemoryPolicy::CHOICES, "what to evict at the limit"),
    number("maxmemory-samples", at!(maxmemory_samples), "5", (1, INT_MAX), "keys looked at to find one to evict"),
    number("maxmemory-eviction-tenacity", at!(maxmemory_eviction_tenacity), "10", (0, 100), "effort of one eviction round"),
    number_in(Unit::MemoryOrPercent, "maxmemory-clients", at!(maxmemory_clients), "0", (-100, LONG_MAX), "most bytes of all client buffers, 0 for no limit"),
    number("lfu-log-factor", at!(lfu_log_factor), "10", (0, INT_MAX), "how slowly the access counter saturates"),
    number("lfu-decay-time", at!(lfu_decay_time), "1", (0, INT_MAX), "minutes until the access counter decays"),
    number("active-expire-effort", at!(active_expire_effort), "1", (1, 10), "CPU effort of the expiry walk"),
    flag("lazyfree-lazy-eviction", at!(lazyfree_lazy_eviction), "no", "free evicted values in small steps"),
    flag("lazyfree-lazy-expire", at!(lazyfree_lazy_expire), "no", "free expired values in small steps"),
    flag("lazyfree-lazy-server-del", at!(lazyfree_lazy_server_del), "no", "free overwritten values in small steps"),
    flag("lazyfree-lazy-user-del", at!(lazyfree_lazy_user_del), "no", "DEL is UNLINK"),
    flag("lazyfree-lazy-user-flush", at!(lazyfree_lazy_user_flush), "no", "FLUSHALL is FLUSHALL ASYNC"),
    number("tracking-table-max-keys", at!(tracking_table_max_keys), "1000000", (0, LONG_MAX), "keys remembered for client-side caching"),
];

#[rustfmt::skip]
const MONITORING: &[Directive] = &[
    number("slowlog-log-slower-than", at!(slowlog_log_slower_than), "10000", (-1, LONG_MAX), "microseconds from which a command is slow, -1 for never").alias("commandlog-execution-slower-than"),
    number("slowlog-max-len", at!(slowlog_max_len), "128", (0, LONG_MAX), "entries of the slow log").alias("commandlog-slow-execution-max-len"),
    number("commandlog-request-larger-than", at!(commandlog_request_larger_than), "1048576", (-1, LONG_MAX), "bytes from which a request is large, -1 for never"),
    number("commandlog-large-request-max-len", at!(commandlog_large_request_max_len), "128", (0, LONG_MAX), "entries of the log of large requests"),
    number("commandlog-reply-larger-than", at!(commandlog_reply_larger_than), "1048576", (-1, LONG_MAX), "bytes from which a reply is large, -1 for never"),
    number("commandlog-large-reply-max-len", at!(commandlog_large_reply_max_len), "128", (0, LONG_MAX), "entries of the log of large replies"),
    number("latency-monitor-threshold", at!(latency_monitor_threshold), "0", (0, LONG_MAX), "milliseconds from which LATENCY samples an event, 0 for never"),
    flag("latency-tracking", at!(latency_tracking), "yes", "a latency histogram per command"),
    special("latency-tracking-info-percentiles", &LATENCY_TRACKING_INFO_PERCENTILES, "50 99 99.9", "percentiles in INFO latencystats"),
    special("notify-keyspace-events", &NOTIFY_KEYSPACE_EVENTS, "", "which changes of keys are published").multi(false),
    number("busy-reply-threshold", at!(busy_reply_threshold), "5000", (0, LONG_MAX), "milliseconds until a script answers BUSY").alias("lua-time-limit"),
];

#[rustfmt::skip]
const ENCODINGS: &[Directive] = &[
    number("hash-max-listpack-entries", at!(hash_max_listpack_entries), "512", (0, LONG_MAX), "largest hash kept as a listpack").alias("hash-max-ziplist-entries"),
    memory("hash-max-listpack-value", at!(hash_max_listpack_value), "64", (0, LONG_MAX), "its longest field or value").alias("hash-max-ziplist-value"),
    number("list-max-listpack-size", at!(list_max_listpack_size), "-2", (INT_MIN, INT_MAX), "entries of a list node, -1 to -5 for 4kb to 64kb").alias("list-max-ziplist-size"),
    number("list-compress-depth", at!(list_compress_depth), "0", (0, INT_MAX), "list nodes left alone at either end, 0 for no compression"),
    number("set-max-intset-entries", at!(set_max_intset_entries), "512", (0, LONG_MAX), "largest set kept as an intset"),
    number("set-max-listpack-entries", at!(set_max_listpack_entries), "128", (0, LONG_MAX), "largest set kept as a listpack"),
    number("set-max-listpack-value", at!(set_max_listpack_value), "64", (0, LONG_MAX), "its longest member"),
    number("zset-max-listpack-entries", at!(zset_max_listpack_entries), "128", (0, LONG_MAX), "largest sorted set kept as a listpack").alias("zset-max-ziplist-entries"),
    memory("zset-max-listpack-value", at!(zset_max_listpack_value), "64", (0, LONG_MAX), "its longest member").alias("zset-max-ziplist-value"),
    memory("hll-sparse-max-bytes", at!(hll_sparse_max_bytes), "3000", (0, LONG_MAX), "largest sparse HyperLogLog"),
    memory("stream-node-max-bytes", at!(stream_node_max_bytes), "4096", (0, LONG_MAX), "largest stream node, 0 for no limit"),
    number("stream-node-max-entries", at!(stream_node_max_entries), "100", (0, LONG_MAX), "entries of a stream node, 0 for no limit"),
    choice("sanitize-dump-payload", at!(sanitize_dump_payload), "no", SanitizeDumpPayload::CHOICES, "check dump payloads in full"),
];

#[rustfmt::skip]
const SNAPSHOTS: &[Directive] = &[
    special("save", &SAVE, "3600 1 300 100 60 10000", "when to write a snapshot, \"\" for never"),
    checked_text("dbfilename", at!(dbfilename), "dump.rdb", check_dbfilename, "file name of the snapshot").protected(),
    flag("rdbcompression", at!(rdbcompression), "yes", "compress strings in snapshots"),
    flag("rdbchecksum", at!(rdbchecksum), "yes", "checksum of snapshots").immutable(),
    flag("stop-writes-on-bgsave-error", at!(stop_writes_on_bgsave_error), "yes", "refuse writes after a failed snapshot"),
];

#[rustfmt::skip]
const APPEND_ONLY: &[Directive] = &[
    flag("appendonly", at!(appendonly), "yes", "log every write").deny_loading(),
    checked_text("appendfilename", at!(appendfilename), "appendonly.aof", check_appendfilename, "base of the file names").immutable(),
    checked_text("appenddirname", at!(appenddirname), "appendonlydir", check_appenddirname, "directory of the files, inside dir").immutable(),
    choice("appendfsync", at!(appendfsync), "everysec", AppendFsync::CHOICES, "when to sync"),
    flag("no-appendfsync-on-rewrite", at!(no_appendfsync_on_rewrite), "no", "no sync during a rewrite"),
    number("auto-aof-rewrite-percentage", at!(auto_aof_rewrite_percentage), "100", (0, INT_MAX), "growth that starts a rewrite, 0 for never"),
    memory("auto-aof-rewrite-min-size", at!(auto_aof_rewrite_min_size), "64mb", (0, LONG_MAX), "least size for a rewrite"),
    flag("aof-load-truncated", at!(aof_load_truncated), "yes", "load a file whose last command is cut"),
    flag("aof-use-rdb-preamble", at!(aof_use_rdb_preamble), "yes", "base file in RDB format"),
    flag("aof-timestamp-enabled", at!(aof_timestamp_enabled), "no", "timestamps in the file"),
];

#[rustfmt::skip]
const REPLICATION: &[Directive] = &[
    special("replicaof", &REPLICAOF, "no one", "be a replica of this master").alias("slaveof").immutable(),
    text("masteruser", at!(masteruser), "", "user name for the master").alias("primaryuser").sensitive(),
    secret("masterauth", at!(masterauth), "password for the master").alias("primaryauth"),
    flag("replica-serve-stale-data", at!(replica_serve_stale_data), "yes", "answer while the master is unreachable").alias("slave-serve-stale-data"),
    flag("replica-read-only", at!(replica_read_only), "yes", "refuse writes on a replica").alias("slave-read-only"),
    flag("replica-ignore-maxmemory", at!(replica_ignore_maxmemory), "yes", "a replica evicts nothing").alias("slave-ignore-maxmemory"),
    number("replica-priority", at!(replica_priority), "100", (0, INT_MAX), "order of promotion, 0 for never").alias("slave-priority"),
    text("replica-announce-ip", at!(replica_announce_ip), "", "address told to the master").alias("slave-announce-ip"),
    number("replica-announce-port", at!(replica_announce_port), "0", (0, 65535), "port told to the master").alias("slave-announce-port"),
    flag("replica-announced", at!(replica_announced), "yes", "show this replica to Sentinel"),
    number("repl-timeout", at!(repl_timeout), "60", (1, INT_MAX), "seconds until a silent link is dropped"),
    number("repl-ping-replica-period", at!(repl_ping_replica_period), "10", (1, INT_MAX), "seconds between pings to replicas").alias("repl-ping-slave-period"),
    memory("repl-backlog-size", at!(repl_backlog_size), "1mb", (1, LONG_MAX), "bytes kept for partial resyncs"),
    number("repl-backlog-ttl", at!(repl_backlog_ttl), "3600", (0, LONG_MAX), "seconds they are kept without replicas, 0 for ever"),
    flag("repl-diskless-sync", at!(repl_diskless_sync), "yes", "send snapshots without a file"),
    number("repl-diskless-sync-delay", at!(repl_diskless_sync_delay), "5", (0, INT_MAX), "seconds to wait for more replicas"),
    number("repl-diskless-sync-max-replicas", at!(repl_diskless_sync_max_replicas), "0", (0, INT_MAX), "replicas that end the wait"),
    // All data always comes straight from the socket and beside the old, which is served meanwhile: what `swapdb` asks for. A
    // choice that empties the keyspace first would lose what it has to a link that breaks.
    choice("repl-diskless-load", at!(repl_diskless_load), "disabled", ReplDisklessLoad::CHOICES, "load snapshots without a file").deny_loading().no_effect(),
    flag("repl-disable-tcp-nodelay", at!(repl_disable_tcp_nodelay), "no", "gather small packets to replicas, from their next full sync on"),
    number("min-replicas-to-write", at!(min_replicas_to_write), "0", (0, INT_MAX), "replicas needed to accept writes").alias("min-slaves-to-write"),
    number("min-replicas-max-lag", at!(min_replicas_max_lag), "10", (0, INT_MAX), "seconds of lag up to which a replica counts").alias("min-slaves-max-lag"),
];

fn is_base_name(name: &str) -> bool {
    !name.contains(['/', '\\'])
}

fn check_dbfilename(name: &str) -> Result<(), &'static str> {
    if is_base_name(name) { Ok(()) } else { Err("dbfilename can't be a path, just a filename") }
}

fn check_appendfilename(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("appendfilename can't be empty"),
        _ if !is_base_name(name) => Err("appendfilename can't be a path, just a filename"),
        _ => Ok(()),
    }
}

fn check_appenddirname(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("appenddirname can't be empty"),
        _ if !is_base_name(name) => Err("appenddirname can't be a path, just a dirname"),
        _ => Ok(()),
    }
}

/// Known variables in braces, and something that is not blank when the title itself is.
fn check_proc_title_template(template: &str) -> Result<(), &'static str> {
    let error = Err("template format is invalid or contains unknown variables");
    let mut rest = template;
    let mut blank = true;
    while let Some((before, after)) = rest.split_once('{') {
        blank &= before.trim().is_empty();
        if let Some(literal) = after.strip_prefix('{') {
            (blank, rest) = (false, literal);
            continue;
        }
        let Some((variable, tail)) = after.split_once('}') else { return error };
        match variable {
            "title" | "server-mode" | "unixsocket" => {}
            "listen-addr" | "config-file" | "port" | "tls-port" => blank = false,
            _ => return error,
        }
        rest = tail;
    }
    if blank && rest.trim().is_empty() { error } else { Ok(()) }
}
