//! Directives that are accepted, kept and shown, but change nothing here: threads, TLS, cluster, defragmentation, ...
//!
//! A file written for Redis or Valkey must start. Where ignoring a value would be dangerous, it is refused instead.
//!
//! What only Valkey knows and `CONFIG SET` refuses is hidden: programs written for Redis set again what `CONFIG GET *`
//! shows, but for the immutable names they know.

use super::directive::{Directive, Store};
use super::row::{self, checked_text};
use super::table::{INT_MAX, LONG_MAX, UINT_MAX};
use super::value;
use super::value::Choices;

const fn flag(name: &'static str, default: &'static str) -> Directive {
    row::flag(name, Store::Kept, default, "")
}

const fn number(name: &'static str, default: &'static str, min: i128, max: i128) -> Directive {
    row::number(name, Store::Kept, default, (min, max), "")
}

const fn memory(name: &'static str, default: &'static str, min: i128, max: i128) -> Directive {
    row::memory(name, Store::Kept, default, (min, max), "")
}

const fn choice(name: &'static str, default: &'static str, choices: Choices) -> Directive {
    row::choice(name, Store::Kept, default, choices, "")
}

const fn text(name: &'static str, default: &'static str) -> Directive {
    row::text(name, Store::Kept, default, "")
}

const SYSLOG_FACILITY: Choices = &[
    ("user", 0),
    ("local0", 1),
    ("local1", 2),
    ("local2", 3),
    ("local3", 4),
    ("local4", 5),
    ("local5", 6),
    ("local6", 7),
    ("local7", 8),
];
const ACL_PUBSUB_DEFAULT: Choices = &[("allchannels", 0), ("resetchannels", 1)];
const PROPAGATION_ERROR: Choices = &[("ignore", 0), ("panic", 1), ("panic-on-replicas", 2)];
const ENDPOINT_TYPE: Choices = &[("ip", 0), ("hostname", 1), ("unknown-endpoint", 2)];
const TLS_AUTH_CLIENTS: Choices = &[("no", 0), ("yes", 1), ("optional", 2)];
const TLS_AUTH_CLIENTS_USER: Choices = &[("CN", 0), ("URI", 1), ("off", 2)];
const LOG_FORMAT: Choices = &[("legacy", 0), ("logfmt", 1), ("json", 2)];
const LOG_TIMESTAMP_FORMAT: Choices = &[("legacy", 0), ("iso8601", 1), ("milliseconds", 2)];
const RDB_VERSION_CHECK: Choices = &[("strict", 0), ("relaxed", 1)];
const CONFIG_SAVE: Choices = &[("sync", 0), ("best-effort", 1)];

const NO_TLS: &str = "this server has no TLS: put a TLS proxy in front of it";
const NO_CLUSTER: &str =
    "this server is no cluster node: run the slot proxy in front of several servers";
const NO_ACL_FILE: &str = "this server has no ACL users but the default one: use requirepass";
const NO_DEFRAG: &str =
    "Active defragmentation cannot be enabled: this server has no allocator to defragment";

const INT_MIN: i128 = i32::MIN as i128;

#[rustfmt::skip] // A row is a line.
pub(super) const ROWS: &[Directive] = &[
    // Process
    flag("always-show-logo", "no").immutable(),
    flag("syslog-enabled", "no").immutable(),
    text("syslog-ident", "redis").immutable(),
    choice("syslog-facility", "local0", SYSLOG_FACILITY).immutable(),
    choice("log-format", "legacy", LOG_FORMAT),
    choice("log-timestamp-format", "legacy", LOG_TIMESTAMP_FORMAT),
    flag("crash-log-enabled", "yes"),
    flag("crash-memcheck-enabled", "yes"),
    flag("use-exit-on-panic", "no").hidden(),
    number("watchdog-period", "0", 0, INT_MAX).hidden(),
    text("ignore-warnings", ""),
    text("locale-collate", ""),
    flag("extended-redis-compatibility", "no"),
    text("hash-seed", "").immutable().hidden(),
    text("debug-context", "").hidden(),
    flag("enable-debug-assert", "no").immutable().hidden(),
    flag("debug-assert-enabled", "no").immutable().hidden(),
    // Threads
    number("io-threads", "1", 1, 128).immutable(),
    flag("io-threads-do-reads", "no").immutable(),
    number("prefetch-batch-max-size", "16", 0, 128),
    text("server_cpulist", "").hidden_alias("server-cpulist").immutable(),
    text("bio_cpulist", "").hidden_alias("bio-cpulist").immutable(),
    text("aof_rewrite_cpulist", "").hidden_alias("aof-rewrite-cpulist").immutable(),
    text("bgsave_cpulist", "").hidden_alias("bgsave-cpulist").immutable(),
    // Network
    text("bind-source-addr", ""),
    number("socket-mark-id", "0", 0, UINT_MAX).immutable(),
    text("unixsocketgroup", "").immutable().hidden(),
    flag("mptcp", "no").immutable().hidden(),
    number("max-new-tls-connections-per-cycle", "1", 1, 1000),
    text("rdma-bind", ""),
    number("rdma-port", "0", 0, 65535),
    number("rdma-rx-size", "1048576", 65536, 16 << 20).immutable().hidden(),
    number("rdma-completion-vector", "-1", -1, 1024).immutable().hidden(),
    // Access
    text("aclfile", "").immutable().refuse(NO_ACL_FILE),
    number("acllog-max-len", "128", 0, LONG_MAX),
    choice("acl-pubsub-default", "resetchannels", ACL_PUBSUB_DEFAULT),
    choice("enable-module-command", "no", value::ProtectedAction::CHOICES).immutable(),
    // Memory
    flag("activerehashing", "yes"),
    flag("jemalloc-bg-thread", "yes"),
    flag("activedefrag", "no").refuse_at_runtime(NO_DEFRAG),
    memory("active-defrag-ignore-bytes", "100mb", 1, LONG_MAX),
    number("active-defrag-threshold-lower", "10", 0, 1000),
    number("active-defrag-threshold-upper", "100", 0, 1000),
    number("active-defrag-cycle-min", "1", 1, 99),
    number("active-defrag-cycle-max", "25", 1, 99),
    number("active-defrag-cycle-us", "500", 0, 100_000),
    number("active-defrag-max-scan-fields", "1000", 1, LONG_MAX),
    // Files
    flag("rdb-del-sync-files", "no"),
    flag("rdb-save-incremental-fsync", "yes"),
    choice("rdb-version-check", "strict", RDB_VERSION_CHECK),
    number("rdb-key-save-delay", "0", INT_MIN, INT_MAX).hidden(),
    number("key-load-delay", "0", INT_MIN, INT_MAX).hidden(),
    memory("loading-process-events-interval-bytes", "2mb", 1024, INT_MAX).hidden(),
    flag("aof-rewrite-incremental-fsync", "yes"),
    flag("aof-disable-auto-gc", "no"),
    // Replication. Old data is always dropped by another thread, and no replica ends itself because of a command that it
    // could not run or log. A full sync takes one connection: nothing is forked, and the stream waits in the backlog.
    flag("replica-lazy-flush", "no").alias("slave-lazy-flush"),
    flag("replica-ignore-disk-write-errors", "no"),
    choice("propagation-error-behavior", "ignore", PROPAGATION_ERROR),
    flag("dual-channel-replication-enabled", "no"),
    flag("repl-mptcp", "no").immutable().hidden(),
    flag("import-mode", "no"),
    // Cluster
    flag("cluster-enabled", "no").immutable().refuse(NO_CLUSTER),
    text("cluster-config-file", "nodes.conf").immutable(),
    number("cluster-node-timeout", "15000", 0, LONG_MAX),
    number("cluster-port", "0", 0, 65535).immutable(),
    number("cluster-migration-barrier", "1", 0, INT_MAX),
    number("cluster-replica-validity-factor", "10", 0, INT_MAX).alias("cluster-slave-validity-factor"),
    flag("cluster-require-full-coverage", "yes"),
    flag("cluster-replica-no-failover", "no").alias("cluster-slave-no-failover"),
    flag("cluster-allow-replica-migration", "yes"),
    flag("cluster-allow-reads-when-down", "no"),
    flag("cluster-allow-pubsubshard-when-down", "yes"),
    memory("cluster-link-sendbuf-limit", "0", 0, u64::MAX as i128),
    choice("cluster-preferred-endpoint-type", "ip", ENDPOINT_TYPE),
    text("cluster-announce-ip", ""),
    text("cluster-announce-client-ipv4", ""),
    text("cluster-announce-client-ipv6", ""),
    checked_text("cluster-announce-hostname", Store::Kept, "", check_hostname, ""),
    text("cluster-announce-human-nodename", ""),
    number("cluster-announce-port", "0", 0, 65535),
    number("cluster-announce-tls-port", "0", 0, 65535),
    number("cluster-announce-bus-port", "0", 0, 65535),
    number("cluster-announce-client-port", "0", 0, 65535),
    number("cluster-announce-client-tls-port", "0", 0, 65535),
    number("cluster-blacklist-ttl", "60", 0, UINT_MAX),
    number("cluster-databases", "1", 1, INT_MAX).immutable().hidden(),
    number("cluster-manual-failover-timeout", "5000", 1, INT_MAX),
    number("cluster-ping-interval", "0", 0, LONG_MAX).hidden(),
    choice("cluster-config-save-behavior", "sync", CONFIG_SAVE),
    flag("cluster-slot-stats-enabled", "no"),
    number("cluster-slot-migration-log-max-len", "1000", 0, LONG_MAX),
    memory("slot-migration-max-failover-repl-bytes", "0", -1, LONG_MAX),
    // TLS
    number("tls-port", "0", 0, 65535).refuse(NO_TLS),
    flag("tls-replication", "no").refuse(NO_TLS),
    flag("tls-cluster", "no").refuse(NO_TLS),
    choice("tls-auth-clients", "yes", TLS_AUTH_CLIENTS),
    choice("tls-auth-clients-user", "off", TLS_AUTH_CLIENTS_USER),
    number("tls-auto-reload-interval", "0", 0, INT_MAX),
    flag("tls-prefer-server-ciphers", "no"),
    flag("tls-session-caching", "yes"),
    number("tls-session-cache-size", "20480", 0, INT_MAX),
    number("tls-session-cache-timeout", "300", 0, INT_MAX),
    text("tls-cert-file", ""),
    text("tls-key-file", ""),
    text("tls-key-file-pass", "").sensitive(),
    text("tls-client-cert-file", ""),
    text("tls-client-key-file", ""),
    text("tls-client-key-file-pass", "").sensitive(),
    text("tls-dh-params-file", ""),
    text("tls-ca-cert-file", ""),
    text("tls-ca-cert-dir", ""),
    text("tls-protocols", ""),
    text("tls-ciphers", ""),
    text("tls-ciphersuites", ""),
];

fn check_hostname(name: &str) -> Result<(), &'static str> {
    if name.len() >= 256 {
        return Err("Hostnames must be less than 256 characters");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if name.bytes().all(plain) {
        Ok(())
    } else {
        Err("Hostnames may only contain alphanumeric characters, hyphens or dots")
    }
}
