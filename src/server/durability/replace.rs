//! All data was replaced, as on a replica: what the log tells is of the past.

use super::Purpose;
use crate::log::Level;
use crate::server::State;

impl State {
    /// Ends the log, and has a new one begin with what is here now. Until its base is whole the old log stays as it is:
    /// a restart then finds all of the old data, never a part of either. Waits for the device.
    pub(in crate::server) fn replace_log(&mut self) {
        if !self.config.appendonly {
            return;
        }
        if let Some(snapshot) = &mut self.durability.snapshot
            && snapshot.purpose == Purpose::Rewrite
        {
            snapshot.fail();
        }
        if let Err(message) = self.close_log(None) {
            self.log(Level::Warning, format_args!("{message}"));
            self.durability.log = None;
            self.apply_effect_readers();
        }
        self.durability.refusal = None; // it was about the log that is gone
        self.durability.facts.rewrite_scheduled = true;
        self.durability.facts.retry_us = 0;
    }
}
