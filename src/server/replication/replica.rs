//! A replica, as its master knows it: what it has told about itself, and how far it is.

use crate::server::{Client, State};

/// How far the synchronization of a replica is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Phase {
    /// It has told something about itself, and is a client like others so far.
    #[default]
    Client,
    /// It needs all data, and waits for the snapshot to begin.
    WaitsForSnapshot,
    /// The snapshot is on its way into a file: what is sent is a sign of life.
    WaitsForFile,
    /// The snapshot is on its way to it while it is being made.
    TakesSnapshot,
    /// The snapshot is on its way to it from a file.
    TakesFile,
    /// The snapshot is sent; the stream begins when the replica has said that it has arrived, because it looks for the
    /// mark that ends it at the end of what it reads.
    WaitsForAck,
    /// It gets the stream.
    Online,
}

/// What a master knows of a replica.
#[derive(Debug, Default)]
pub struct Replica {
    /// `REPLCONF listening-port`; 0 if it has not said.
    pub listening_port: i64,
    /// `REPLCONF ip-address`.
    pub address: Option<String>,
    /// `REPLCONF capa eof`: a snapshot may come without its length.
    pub takes_eof: bool,
    /// `REPLCONF capa psync2`: the name of the history may change.
    pub takes_psync2: bool,
    /// `REPLCONF rdb-only`: it wants the snapshot and no stream.
    pub rdb_only: bool,
    /// `REPLCONF rdb-filter-only`: it wants no keys.
    pub without_data: bool,
    /// It came by `SYNC`: it acknowledges nothing.
    pub is_old: bool,
    /// How far its synchronization is.
    pub phase: Phase,
    /// Offset of the first byte of the stream that is not in its output yet.
    pub next: u64,
    /// Bytes of the stream that it has run.
    pub acked: u64,
    /// Bytes of the stream that it has in a log that is synced.
    pub log_acked: u64,
    /// Monotonic time of its last acknowledgement, and before the first one of its coming online.
    pub acked_us: u64,
    /// Monotonic time when it asked for all data.
    pub asked_us: u64,
    /// Monotonic time when it was last seen to take bytes of a snapshot, or had none to take.
    pub took_us: u64,
    /// It has taken its snapshot to the end.
    pub has_snapshot: bool,
    /// Since it came online it had all of the stream once: before that it is spared (see `spared`).
    pub caught_up: bool,
    /// That it is behind by more than the limit was told.
    pub lag_told: bool,
}

impl Replica {
    /// Whether it is more than a client.
    pub fn is_attached(&self) -> bool {
        self.phase != Phase::Client
    }

    /// The word for its state in `INFO`.
    pub fn state(&self) -> &'static str {
        match self.phase {
            Phase::Client => "",
            Phase::WaitsForSnapshot | Phase::WaitsForFile | Phase::TakesSnapshot => "wait_bgsave",
            Phase::TakesFile => "send_bulk",
            Phase::WaitsForAck | Phase::Online => "online",
        }
    }

    /// Whether it counts where replicas are counted that have something.
    pub fn is_online(&self) -> bool {
        matches!(self.phase, Phase::WaitsForAck | Phase::Online)
    }
}

impl Client {
    /// What is known of it as a replica, if it is one.
    pub fn as_replica(&self) -> Option<&Replica> {
        self.replica.as_deref().filter(|replica| replica.is_attached())
    }

    /// Whether it is a replica.
    #[inline]
    pub fn is_replica(&self) -> bool {
        self.as_replica().is_some()
    }

    /// The address at which a replica is to be reached: what it has said, else where it comes from.
    pub fn replica_host(&self) -> &str {
        let said = self.replica.as_ref().and_then(|replica| replica.address.as_deref());
        said.unwrap_or_else(|| host_of(&self.peer.address))
    }

    /// A replica's name in the log.
    pub fn replica_name(&self) -> String {
        let port = self.replica.as_ref().map_or(0, |replica| replica.listening_port);
        let host = self.replica_host();
        match port {
            0 => format!("{host}:<unknown-replica-port>"),
            port if host.contains(':') => format!("[{host}]:{port}"),
            port => format!("{host}:{port}"),
        }
    }
}

/// `127.0.0.1:5000` and `[::1]:5000` without the port.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

impl State {
    /// The replicas, in the order in which they came.
    pub fn replicas(&self) -> impl Iterator<Item = (&Client, &Replica)> {
        let clients = self.replication.replicas.iter().map(|&token| self.clients.get(token));
        clients.filter_map(|client| Some((client, client.as_replica()?)))
    }

    /// The replicas that have run the first `offset` bytes of the stream.
    pub fn count_acks(&self, offset: u64) -> usize {
        let has =
            |(_, replica): &(&Client, &Replica)| replica.is_online() && replica.acked >= offset;
        self.replicas().filter(has).count()
    }

    /// Those that have them in a log that is synced.
    pub fn count_log_acks(&self, offset: u64) -> usize {
        let has =
            |(_, replica): &(&Client, &Replica)| replica.is_online() && replica.log_acked >= offset;
        self.replicas().filter(has).count()
    }

    /// Replicas that have been heard of within `min-replicas-max-lag` seconds.
    pub fn good_replicas(&self) -> usize {
        let max_us = u64::from(self.config.min_replicas_max_lag) * 1_000_000;
        let is_good = |(_, replica): &(&Client, &Replica)| {
            // Redis counts whole seconds of a clock that it reads once a second.
            let lag_us = self.now.monotonic_us.saturating_sub(replica.acked_us);
            replica.is_online() && lag_us / 1_000_000 * 1_000_000 <= max_us
        };
        self.replicas().filter(is_good).count()
    }

    /// Whether there are replicas enough to write: always on a replica, and where nobody asks for any.
    pub fn has_good_replicas(&self) -> bool {
        let needed = self.config.min_replicas_to_write;
        needed == 0
            || self.config.min_replicas_max_lag == 0
            || !self.replication.is_master()
            || self.good_replicas() >= needed as usize
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_host_of_an_address_is_what_stands_before_the_port() {
        assert_eq!(host_of("127.0.0.1:6379"), "127.0.0.1");
        assert_eq!(host_of("[::1]:6379"), "::1");
        assert_eq!(host_of("/tmp/socket:0"), "/tmp/socket");
    }
}
