//! The end of the process.

use super::State;
use crate::log::Level;

impl State {
    /// Stops accepting, sends what is queued, and ends the process.
    pub fn shut_down(&mut self) {
        self.log(Level::Warning, format_args!("User requested shutdown..."));
        self.actions.stop_accepting = true;
        self.actions.exit = Some(0);
        self.log(Level::Warning, format_args!("Mini-Redis is now ready to exit, bye bye..."));
    }
}
