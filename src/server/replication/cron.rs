//! What happens to replicas by the clock: signs of life in both directions, and the end of a backlog that nobody needs.

use super::replica::{Phase, Replica};
use crate::log::Level;
use crate::net::Token;
use crate::server::State;

/// How often the cron of replication runs.
const EVERY_US: u64 = 1_000_000;

impl State {
    /// Once a second: pings, keepalives, who is silent for too long.
    pub(in crate::server) fn replication_cron(&mut self) {
        let now_us = self.now.monotonic_us;
        if now_us < self.replication.next_cron_us {
            return;
        }
        self.replication.next_cron_us = now_us + EVERY_US;
        let runs = self.replication.cron_runs;
        self.replication.cron_runs += 1;
        if self.replication.replicas.is_empty() {
            return self.free_idle_backlog(now_us);
        }
        let is_ping_due = runs.is_multiple_of(u64::from(self.config.repl_ping_replica_period));
        let fails_over = self.replication.failover.is_some() && self.pause.is_some();
        // During a failover the offset has to stand still.
        if is_ping_due && self.replication.is_master() && !fails_over {
            self.feed_command(&[b"PING"]);
        }
        for token in self.replication.replicas.clone() {
            self.keep_alive(token);
            self.drop_if_silent(token, now_us);
        }
    }

    /// A byte that means nothing, for a replica that waits for its snapshot. Within the stream it would count: the replica's
    /// offset would be ahead of this server's.
    fn keep_alive(&mut self, token: Token) {
        let client = self.clients.get_mut(token);
        let Some(replica) = &client.replica else { return };
        let waits = matches!(replica.phase, Phase::WaitsForSnapshot | Phase::WaitsForFile);
        if waits && !client.closing {
            client.output.extend(b"\n");
            self.write_later(token);
        }
    }

    fn drop_if_silent(&mut self, token: Token, now_us: u64) {
        let timeout_us = u64::from(self.config.repl_timeout) * 1_000_000;
        let client = self.clients.get_mut(token);
        let (is_sent, name) = (client.output.is_empty(), client.replica_name());
        let Some(replica) = &mut client.replica else { return };
        let is_late = |since_us: u64| now_us.saturating_sub(since_us) > timeout_us;
        let what = match replica.phase {
            Phase::Online | Phase::WaitsForAck
                if replica.has_snapshot && !replica.is_old && is_late(replica.acked_us) =>
            {
                "streaming sync"
            }
            Phase::TakesSnapshot | Phase::TakesFile if is_sent => {
                replica.took_us = now_us; // it has taken all there was
                return;
            }
            Phase::TakesSnapshot | Phase::TakesFile | Phase::WaitsForAck
                if !replica.has_snapshot && is_late(replica.took_us) =>
            {
                "full sync"
            }
            _ => return,
        };
        self.log(Level::Warning, format_args!("Disconnecting timedout replica ({what}): {name}"));
        self.close_now(token);
    }

    fn free_idle_backlog(&mut self, now_us: u64) {
        let ttl_us = self.config.repl_backlog_ttl.saturating_mul(1_000_000);
        let alone_us = self.replication.alone_since_us.map_or(0, |since_us| now_us - since_us);
        // A replica keeps it: it may have to be the master of those that follow its master now.
        let is_needed = !self.replication.is_master() || self.replication.backlog.is_none();
        if ttl_us == 0 || alone_us <= ttl_us || is_needed {
            return;
        }
        self.free_backlog();
        let ttl_s = self.config.repl_backlog_ttl;
        self.log(
            Level::Notice,
            format_args!(
                "Replication backlog freed after {ttl_s} seconds without connected replicas."
            ),
        );
    }

    /// Bytes were sent to a replica.
    pub(in crate::server) fn replica_took(&mut self, token: Token) {
        let now_us = self.now.monotonic_us;
        let Some(client) = self.clients.find_mut(token) else { return };
        let Some(replica) = &mut client.replica else { return };
        replica.took_us = now_us;
        if client.output.is_empty() && replica.phase == Phase::WaitsForAck {
            self.snapshot_is_sent(token);
        }
    }

    /// The end of the snapshot is in a replica's output.
    pub(super) fn snapshot_is_queued(&mut self, token: Token) {
        let now_us = self.now.monotonic_us;
        let client = self.clients.get_mut(token);
        let Some(replica) = &mut client.replica else { return };
        replica.took_us = now_us;
        // What came with its length is told from the stream by that.
        let by_length = replica.phase == Phase::TakesFile;
        replica.phase = if by_length { Phase::Online } else { Phase::WaitsForAck };
        replica.acked_us = now_us;
        let Replica { rdb_only, .. } = **replica;
        if rdb_only {
            let name = client.replica_name();
            self.log(
                Level::Notice,
                format_args!(
                    "RDB transfer completed, rdb only replica ({name}) should be disconnected asap"
                ),
            );
            return self.close_after_write(token);
        }
        if by_length {
            self.snapshot_is_sent(token);
        }
    }

    fn snapshot_is_sent(&mut self, token: Token) {
        let now_us = self.now.monotonic_us;
        let client = self.clients.get_mut(token);
        let name = client.replica_name();
        let Some(replica) = &mut client.replica else { return };
        if std::mem::replace(&mut replica.has_snapshot, true) {
            return;
        }
        replica.acked_us = now_us;
        self.log(Level::Notice, format_args!("Synchronization with replica {name} succeeded"));
    }
}
