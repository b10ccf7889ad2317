//! The end of the process, by `SHUTDOWN` or a signal.
//!
//! What was executed is answered, what is to be kept is on the device, the listeners are closed, and the loop gives
//! clients the time to read their last replies. If something cannot be written the server stays, unless it is forced. A
//! second signal ends it at once: the log is whole at any time.

use super::State;
use crate::commands::CommandError;
use crate::config::ShutdownFlags;
use crate::config::value::{SHUTDOWN_FORCE, SHUTDOWN_NOSAVE, SHUTDOWN_SAVE};
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
}

impl Shutdown {
    /// What `shutdown-on-sigint` or `shutdown-on-sigterm` says.
    pub fn from_flags(flags: ShutdownFlags) -> Self {
        let has = |bit: u32| flags.0 & bit != 0;
        let save = match (has(SHUTDOWN_SAVE), has(SHUTDOWN_NOSAVE)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        Self { save, force: has(SHUTDOWN_FORCE) }
    }
}

impl State {
    /// Stops accepting, writes what is to be kept, sends what is queued, and ends the process with status 0. On an error
    /// nothing of that happens.
    pub fn shut_down(
        &mut self,
        keyspace: &mut Keyspace,
        stop: &Shutdown,
    ) -> Result<(), CommandError> {
        self.log(Level::Warning, format_args!("User requested shutdown..."));
        if let Err(message) = self.write_all(keyspace, stop) {
            let outcome = if stop.force { "exiting anyway" } else { "can't exit" };
            self.log(Level::Warning, format_args!("{message}, {outcome}"));
            if !stop.force {
                return Err(CommandError::Text("ERR Errors trying to SHUTDOWN. Check logs."));
            }
        }
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
            self.close_log()?;
        }
        if stop.save.unwrap_or(!self.config.save.is_empty()) {
            self.log(Level::Notice, format_args!("Saving the final RDB snapshot before exiting."));
            self.save_now(keyspace)
                .map_err(|error| format!("Error trying to save the DB: {error}"))?;
        }
        Ok(())
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
