//! A replica that is behind by more than its limit because of its full synchronization.
//!
//! To close it, as `client-output-buffer-limit replica` says, would mean to begin again, with the same end (Redis issue
//! 11534). It is spared until it has caught up, and the producer is slowed: beyond the limit, commands that write are served
//! half of the time. If that does not help, it is closed when it is behind by twice the limit, because memory has an end.
//! The next full synchronization then waits for a while: a loop of them would keep a master busy that has too much to do.

use crate::log::Level;
use crate::net::Token;
use crate::server::{PauseKind, PausePurpose, Server, State};

/// So long commands that write wait, and then so long they do not, in microseconds: a wait that hardly any client notices.
const SLICE_US: u64 = 10_000;

/// What replicas that are spared ask of the others.
#[derive(Debug, Default)]
pub(super) struct Spared {
    /// One of them is beyond its limit: producers are to be slowed.
    slows_writes: bool,
    /// Monotonic time before which commands that write do not wait again.
    next_pause_us: u64,
    /// Monotonic time before which no full synchronization begins.
    pub sync_not_before_us: u64,
}

impl State {
    /// Whether a replica that has passed a limit is spared: while it takes a snapshot, and until it has caught up with what
    /// was written meanwhile, unless it has passed twice the limit. Producers are slowed then.
    pub(in crate::server) fn is_spared(&mut self, token: Token, unsent: u64, limit: u64) -> bool {
        let client = self.clients.get_mut(token);
        let name = client.replica_name();
        let replica = client.replica.as_deref_mut();
        let Some(replica) = replica.filter(|replica| replica.is_attached() && !replica.caught_up)
        else {
            return false;
        };
        if unsent / 2 >= limit {
            self.give_replica_up(&name, unsent, limit);
            return false;
        }
        self.replication.spared.slows_writes = true;
        if !std::mem::replace(&mut replica.lag_told, true) {
            self.log(
                Level::Warning,
                format_args!(
                    "Replica {name} has {unsent} bytes to take after its full sync, more than the {limit} of client-output-buffer-limit. It is not closed: clients that write are slowed until it has caught up."
                ),
            );
        }
        true
    }

    fn give_replica_up(&mut self, name: &str, unsent: u64, limit: u64) {
        let seconds = self.config.repl_timeout;
        self.replication.spared.sync_not_before_us =
            self.now.monotonic_us + u64::from(seconds) * 1_000_000;
        self.log(
            Level::Warning,
            format_args!(
                "Replica {name} has {unsent} bytes to take after its full sync, more than twice the {limit} of client-output-buffer-limit, though clients that write are slowed. It is closed, and no other full sync begins for {seconds} seconds (repl-timeout)."
            ),
        );
    }
}

impl Server {
    /// Has commands that write wait for a slice, if a replica needs that and the slice after the last wait is over.
    pub(in crate::server) fn slow_writes(&mut self) {
        let Self { state, keyspace, .. } = self;
        let now_us = state.now.monotonic_us;
        let is_wanted = std::mem::take(&mut state.replication.spared.slows_writes);
        if state.pauses[PausePurpose::Replica as usize].is_some() {
            // It may end in this turn: the slice in which they do not wait begins then.
            state.replication.spared.next_pause_us = now_us + SLICE_US;
        } else if is_wanted && now_us >= state.replication.spared.next_pause_us {
            let until_us = now_us + SLICE_US;
            state.pause_for(PausePurpose::Replica, keyspace, PauseKind::Write, until_us);
        }
    }
}
