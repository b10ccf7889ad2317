//! What is listened to, and by whom.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::proxy::slots::NodeId;

/// What kind of thing is listened to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(in crate::proxy) enum Kind {
    /// A channel.
    Channel,
    /// All channels that match a pattern.
    Pattern,
    /// A channel of one shard.
    Shard,
}

impl Kind {
    /// The commands and messages of this kind: to subscribe, to unsubscribe, and what a message is called.
    pub fn words(self) -> [&'static str; 3] {
        match self {
            Kind::Channel => ["subscribe", "unsubscribe", "message"],
            Kind::Pattern => ["psubscribe", "punsubscribe", "pmessage"],
            Kind::Shard => ["ssubscribe", "sunsubscribe", "smessage"],
        }
    }

    /// The kind that `word` is about, and which of the three words it is.
    pub fn of_word(word: &[u8]) -> Option<(Kind, usize)> {
        [Kind::Channel, Kind::Pattern, Kind::Shard].into_iter().find_map(|kind| {
            let same = |known: &&str| known.as_bytes().eq_ignore_ascii_case(word);
            kind.words().iter().position(same).map(|index| (kind, index))
        })
    }
}

/// A reply that waits for a subscription to be confirmed.
#[derive(Debug)]
pub(super) struct Confirmation {
    pub client: u32,
    pub id: u32,
    /// Number of the reply.
    pub number: u32,
    pub reply: Vec<u8>,
}

/// One channel or pattern.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Topic {
    /// Indexes of clients.
    pub(super) subscribers: BTreeSet<usize>,
    /// At which nodes it is subscribed to; whether they have confirmed it.
    pub(super) nodes: HashMap<NodeId, bool>,
    /// Who waits for that.
    pub(super) unconfirmed: Vec<Confirmation>,
}

impl Topic {
    /// Whether a subscriber would get all messages.
    pub(super) fn is_confirmed(&self) -> bool {
        !self.nodes.is_empty() && self.nodes.values().all(|&confirmed| confirmed)
    }
}

/// All that clients listen to.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Channels {
    pub(super) topics: BTreeMap<(Kind, Vec<u8>), Topic>,
    /// Some topic is not subscribed to where it should be.
    pub(super) is_behind: bool,
}

/// What one client listens to.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Subscriptions {
    pub(super) names: BTreeSet<(Kind, Vec<u8>)>,
}

impl Subscriptions {
    /// The number that replies about a kind tell: shard channels are counted by themselves.
    pub(super) fn count(&self, kind: Kind) -> usize {
        let is_shard = kind == Kind::Shard;
        self.names.iter().filter(|(kind, _)| (*kind == Kind::Shard) == is_shard).count()
    }
}
