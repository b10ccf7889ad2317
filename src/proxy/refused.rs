//! Commands that cannot work through a proxy, and why: each is refused with one clear error, before anything is sent.

/// For commands about a server as a whole.
pub(super) const NO_KEYS: &str = "it is about one server: ask the node itself";

const ONE_CONNECTION: &str = "it is about the connection to one server, and many clients share one";
const REPLICATION: &str = "replication is between servers: connect to the node itself";
const CLUSTER: &str = "the proxy hides the cluster: connect to a node to manage it";
const ALL_DATABASES: &str = "it cannot be done on all nodes at once";

const REASONS: &[(&str, &str)] = &[
    ("wait", ONE_CONNECTION),
    ("waitaof", ONE_CONNECTION),
    ("monitor", NO_KEYS),
    ("client|tracking", ONE_CONNECTION),
    ("client|caching", ONE_CONNECTION),
    ("client|trackinginfo", ONE_CONNECTION),
    ("client|getredir", ONE_CONNECTION),
    ("swapdb", ALL_DATABASES),
    ("sync", REPLICATION),
    ("psync", REPLICATION),
    ("replconf", REPLICATION),
    ("replicaof", REPLICATION),
    ("slaveof", REPLICATION),
    ("failover", REPLICATION),
    ("asking", CLUSTER),
    ("readonly", CLUSTER),
    ("readwrite", CLUSTER),
    ("restore-asking", CLUSTER),
    ("migrate", "it would take keys away from their slot"),
];

/// Why the command with that full name is refused, if it is.
pub(super) fn reason(name: &str) -> Option<&'static str> {
    REASONS.iter().find(|(known, _)| *known == name).map(|(_, reason)| *reason)
}
