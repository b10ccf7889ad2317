//! What commands that wait for keys have in common: reading their time limit, and waiting.

use std::ops::Range;

use super::{CommandError, Ctx};
use crate::keyspace::Type;
use crate::resp::Args;
use crate::types::long_double::LongDouble;

/// Until when a command waits: monotonic microseconds, or for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeout(Option<u64>);

impl Timeout {
    /// Reads seconds, 0 for ever, as Redis's `getTimeoutFromObjectOrReply`: parts of a millisecond are rounded up. What is
    /// too much is out of range, as since 7.2; 7.0 takes it for negative.
    pub fn from_seconds(ctx: &Ctx<'_>, argument: &[u8]) -> Result<Self, CommandError> {
        let seconds = LongDouble::parse(argument)
            .ok_or(CommandError::Text("ERR timeout is not a float or out of range"))?;
        Self::from_ms(ctx, seconds.thousandfold_ceil())
    }

    /// Milliseconds, 0 for ever, as a number.
    pub fn from_ms(ctx: &Ctx<'_>, timeout_ms: i64) -> Result<Self, CommandError> {
        if timeout_ms.checked_add(ctx.now_ms()).is_none() {
            return Err(CommandError::Text("ERR timeout is out of range"));
        }
        let timeout_ms =
            u64::try_from(timeout_ms).map_err(|_| CommandError::Text("ERR timeout is negative"))?;
        let now_us = ctx.server.now.monotonic_us;
        let until_us = now_us.saturating_add(timeout_ms.saturating_mul(1000));
        Ok(Self((timeout_ms > 0).then_some(until_us)))
    }

    /// Until when, on the monotonic clock; `None`: for ever.
    pub fn until_us(self) -> Option<u64> {
        self.0
    }
}

impl Ctx<'_> {
    /// Whether the command may wait. Within a transaction, read from a log, or sent by the master, it may not: it has to
    /// reply that there is nothing.
    pub fn may_wait(&self) -> bool {
        let client = self.client();
        !self.server.in_exec && !client.internal && !client.is_master
    }

    /// Whether the command is to look at `key`: at all its keys at first, and when it has waited, only at the one that has
    /// changed.
    pub fn is_tried(&self, key: &[u8]) -> bool {
        self.ready_key.is_none_or(|ready| ready == key)
    }

    /// Ends the command without a reply. It is run again when one of the arguments `keys` has become the name of a key of
    /// type `kind`; when the time is over, the reply is a null array.
    pub fn wait_for_keys(
        &mut self,
        args: &Args<'_>,
        keys: Range<usize>,
        kind: Type,
        timeout: Timeout,
    ) {
        match self.ready_key {
            Some(_) => self.server.keep_waiting(self.token),
            None => self.server.block_on_keys(self.token, args, keys, kind, timeout.0),
        }
    }
}
