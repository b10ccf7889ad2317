//! The end of the process, by `SHUTDOWN` or a signal.
//!
//! It ends with the turn: what was executed has been answered by then, the listeners are closed, and the loop gives
//! clients the time to read their last replies. A request that was received but not run is lost with its connection.

use super::State;
use crate::log::Level;

impl State {
    /// Stops accepting, sends what is queued, and ends the process with status 0.
    pub fn shut_down(&mut self) {
        self.log(Level::Warning, format_args!("User requested shutdown..."));
        self.actions.stop_accepting = true;
        self.actions.exit = Some(0);
        self.log(Level::Warning, format_args!("Mini-Redis is now ready to exit, bye bye..."));
    }
}

#[cfg(test)]
mod tests {
    use crate::net::{Service as _, Signal};
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
            let first = format!("Received {name} scheduling shutdown...");
            assert_eq!(log[0], first);
            assert_eq!(log[1..].len(), 2, "{log:?}");
        }
    }

    #[test]
    fn what_was_executed_in_the_last_turn_is_answered() {
        let mut redis = TestServer::new();
        redis.server.signal(Signal::Terminate);
        redis.run("SET k v").is("+OK");
        assert_eq!(redis.actions.exit, Some(0));
        assert!(redis.actions.close.is_empty(), "the loop ends connections when all is sent");
    }
}
