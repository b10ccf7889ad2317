//! What makes a client more than a sender of single requests. Most clients have none of it.

use super::pubsub::Subscriptions;
use super::transaction::Transaction;

/// The state of such a client. It goes when nothing of it is left.
#[derive(Debug, Default)]
pub struct Session {
    /// Between `MULTI` and `EXEC`.
    pub(super) transaction: Option<Transaction>,
    /// The link of its own, while it watches keys or waits for some.
    pub(super) private: Option<u32>,
    /// Keys are watched on that link.
    pub(super) watching: bool,
    /// How many times `WATCH` was sent there.
    pub(super) watches: u32,
    /// The slot they are in.
    pub(super) watched_slot: Option<u16>,
    /// Keys were watched on a link that was lost: they may have changed.
    pub(super) watch_lost: bool,
    /// Channels and patterns.
    pub(super) subscriptions: Option<Box<Subscriptions>>,
}

impl Session {
    /// Whether there is nothing in it.
    pub(super) fn is_over(&self) -> bool {
        self.transaction.is_none()
            && self.private.is_none()
            && self.subscriptions.is_none()
            && !self.watch_lost
    }
}
