//! The end of the process, by `SHUTDOWN` or a signal.
//!
//! What was executed is answered, what is to be kept is on the device, the listeners are closed, and the loop gives
//! clients the time to read their last replies. If something cannot be written the server stays, unless it is forced. A
//! second signal ends it at once: the log is whole at any time.
//!
//! Replicas that are behind get some time to catch up, in which writes wait: what they have is what is left if this
//! machine does not come back.

use super::replication::replica::Replica;
use super::{Blocked, Client, PauseKind, PausePurpose, Phase, Server, State};
use crate::commands::CommandError;
use crate::config::ShutdownFlags;
use crate::config::value::{SHUTDOWN_FORCE, SHUTDOWN_NOSAVE, SHUTDOWN_NOW, SHUTDOWN_SAVE};
use crate::keyspace::Keyspace;
use crate::log::Level;
use crate::net::Token;

/// How the process is to end.
#[derive(Clone, Copy, Default, Debug)]
pub struct Shutdown {
    /// Whether a snapshot is written; `None`: if there are save points.
    pub save: Option<bool>,
    /// Ends even if not everything could be written.
    pub force: bool,
    /// Does not wait for replicas.
    pub now: bool,
}

/// A shutdown that waits for replicas.
pub(super) struct Pending {
    stop: Shutdown,
    deadline_us: u64,
    /// Offset of the stream that they are to have acknowledged.
    offset: u64,
    /// Clients that have asked for it, with the numbers of their connections.
    clients: Vec<(Token, u64)>,
}

const FAILED: CommandError = CommandError::Text("ERR Errors trying to SHUTDOWN. Check logs.");

impl Shutdown {
    /// What `shutdown-on-sigint` or `shutdown-on-sigterm` says.
    pub fn from_flags(flags: ShutdownFlags) -> Self {
        let has = |bit: u32| flags.0 & bit != 0;
        let save = match (has(SHUTDOWN_SAVE), has(SHUTDOWN_NOSAVE)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        Self { save, force: has(SHUTDOWN_FORCE), now: has(SHUTDOWN_NOW) }
    }
}

impl State {
    /// Begins to end the process: at once, or when replicas that are behind have caught up or `shutdown-timeout` is over.
    /// Returns whether it ends with this turn. On an error nothing happens.
    pub fn shut_down(
        &mut self,
        keyspace: &mut Keyspace,
        stop: &Shutdown,
    ) -> Result<bool, CommandError> {
        if self.shutdown.is_some() {
            return Ok(false);
        }
        self.log(Level::Warning, format_args!("User requested shutdown..."));
        let offset = self.stream_offset();
        if stop.now || self.config.shutdown_timeout == 0 || self.lagging_replicas(offset) == 0 {
            return self.finish_shutdown(keyspace, stop, offset).map(|()| true);
        }
        let wait_us = u64::from(self.config.shutdown_timeout) * 1_000_000;
        let deadline_us = self.now.monotonic_us.saturating_add(wait_us);
        self.shutdown = Some(Pending { stop: *stop, deadline_us, offset, clients: Vec::new() });
        self.ask_for_acks();
        self.pause_for(PausePurpose::Shutdown, keyspace, PauseKind::Write, u64::MAX);
        self.log(Level::Notice, format_args!("Waiting for replicas before shutting down."));
        Ok(false)
    }

    /// A client that has asked for a shutdown that waits is answered if it does not come about.
    pub fn reply_if_no_shutdown(&mut self, token: Token) {
        let client = self.clients.get_mut(token);
        client.blocked = Some(Blocked::Shutdown);
        let who = (token, client.id);
        if let Some(pending) = &mut self.shutdown {
            pending.clients.push(who);
        }
    }

    /// Gives up a shutdown that waits for replicas. Returns whether there was one.
    pub fn abort_shutdown(&mut self, keyspace: &mut Keyspace) -> bool {
        if self.shutdown.is_none() {
            return false;
        }
        self.cancel_shutdown(keyspace);
        self.log(Level::Notice, format_args!("Shutdown manually aborted."));
        true
    }

    fn cancel_shutdown(&mut self, keyspace: &mut Keyspace) {
        let Some(pending) = self.shutdown.take() else { return };
        for (token, id) in pending.clients {
            let client = self.clients.find_mut(token);
            let waits =
                |client: &&mut Client| client.id == id && client.blocked == Some(Blocked::Shutdown);
            if let Some(command) = client.filter(waits).and_then(|client| client.last_command) {
                self.end_wait(token, command, 0, Err(FAILED));
            }
        }
        self.unpause_for(PausePurpose::Shutdown, keyspace);
    }

    fn lagging_replicas(&self, offset: u64) -> usize {
        self.replicas().filter(|(_, replica)| replica.acked < offset).count()
    }

    fn tell_lag(&mut self, offset: u64) {
        let describe = |(client, replica): (&Client, &Replica)| {
            let online = replica.is_online();
            let lag_us = self.now.monotonic_us.saturating_sub(replica.acked_us);
            (replica.acked < offset).then(|| {
                format!(
                    "Lagging replica {} reported offset {} behind master, lag={}, state={}.",
                    client.replica_name(),
                    offset - replica.acked,
                    if online { lag_us / 1_000_000 } else { 0 },
                    replica.state()
                )
            })
        };
        let lines: Vec<String> = self.replicas().filter_map(describe).collect();
        let all = self.replicas().count();
        for line in &lines {
            self.log(Level::Warning, format_args!("{line}"));
        }
        if all > 0 {
            let in_sync = all - lines.len();
            self.log(
                Level::Notice,
                format_args!("{in_sync} of {all} replicas are in sync when shutting down."),
            );
        }
    }

    /// Stops accepting, writes what is to be kept, sends what is queued, and ends the process with status 0. On an error
    /// nothing of that happens.
    fn finish_shutdown(
        &mut self,
        keyspace: &mut Keyspace,
        stop: &Shutdown,
        offset: u64,
    ) -> Result<(), CommandError> {
        self.tell_lag(offset);
        if let Err(message) = self.write_all(keyspace, stop) {
            let outcome = if stop.force { "exiting anyway" } else { "can't exit" };
            self.log(Level::Warning, format_args!("{message}, {outcome}"));
            if !stop.force {
                return Err(FAILED);
            }
        }
        self.environment.tell_supervisor(Phase::Stopping);
        self.send_rest_of_stream();
        self.actions.stop_accepting = true;
        self.actions.exit = Some(0);
        // What would be executed from here on would be answered and not in the log.
        let tokens: Vec<Token> = self.clients.iter().map(|client| client.token).collect();
        tokens.into_iter().for_each(|token| self.close_after_write(token));
        self.log(Level::Warning, format_args!("Mini-Redis is now ready to exit, bye bye..."));
        Ok(())
    }

    fn write_all(&mut self, keyspace: &mut Keyspace, stop: &Shutdown) -> Result<(), String> {
        if self.durability.loading.is_some() {
            return Ok(()); // what is on the disk is more than what is in memory
        }
        self.abort_snapshot(keyspace);
        if self.durability.log.is_some() {
            self.log(Level::Notice, format_args!("Calling fsync() on the AOF file."));
            let position = self.stream_position();
            self.close_log(position)?;
        }
        if stop.save.unwrap_or(!self.config.save.is_empty()) {
            self.log(Level::Notice, format_args!("Saving the final RDB snapshot before exiting."));
            self.save_now(keyspace)
                .map_err(|error| format!("Error trying to save the DB: {error}"))?;
        }
        Ok(())
    }
}

impl Server {
    /// Goes on with a shutdown that waits for replicas.
    pub(super) fn shutdown_some(&mut self) {
        let Self { state, keyspace, .. } = self;
        let Some(pending) = &state.shutdown else { return };
        let (stop, offset, deadline_us) = (pending.stop, pending.offset, pending.deadline_us);
        let is_over = state.now.monotonic_us >= deadline_us;
        if (is_over || state.lagging_replicas(offset) == 0)
            && state.finish_shutdown(keyspace, &stop, offset).is_err()
        {
            state.cancel_shutdown(keyspace);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::net::{Close, Service as _, Signal};
    use crate::server::testing::TestServer;

    #[test]
    fn a_signal_ends_the_process_with_the_turn() {
        for (signal, name) in [(Signal::Terminate, "SIGTERM"), (Signal::Interrupt, "SIGINT")] {
            let mut redis = TestServer::new();
            redis.server.signal(signal);
            redis.advance_ms(0);
            assert!(redis.actions.stop_accepting);
            assert_eq!(redis.actions.exit, Some(0));
            let log = redis.world.borrow().log.clone();
            assert_eq!(log[0], format!("Received {name} scheduling shutdown..."));
            assert!(log.last().unwrap().contains("ready to exit"), "{log:?}");
        }
    }

    #[test]
    fn s01_after_a_signal_nothing_is_executed_that_the_log_would_not_have() {
        let mut redis = TestServer::new();
        redis.run("SET k v").is("+OK");
        redis.server.signal(Signal::Terminate);
        redis.run("SET k w").is("");
        assert_eq!(redis.actions.exit, Some(0));
        let is_flushed = |(_, close): &(_, Close)| *close == Close::AfterWrite;
        assert!(redis.actions.close.iter().all(is_flushed) && redis.actions.close.len() == 1);
    }
}
