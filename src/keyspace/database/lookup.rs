//! Finding keys, one at once or many ahead of their turn.

use siphasher::sip::SipHasher13;

use super::{Database, HashKey};
use crate::dict::{Handle, Look, Slot};
use crate::keyspace::entry::Entry;

/// A key with its hash, which is computed once however often the key is looked up.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Its hash under the keyspace's secret.
    pub hash: u64,
}

/// A key that was found.
#[derive(Clone, Copy)]
pub(in crate::keyspace) struct Found {
    pub slot: Slot,
    pub handle: Handle,
    pub access: u32,
    pub expire_at_ms: Option<i64>,
}

impl Found {
    #[inline]
    fn new(slot: Slot, handle: Handle, entry: Entry<'_>) -> Self {
        Self { slot, handle, access: entry.access(), expire_at_ms: entry.expire_at_ms() }
    }
}

/// What the index said of a key before its turn came.
#[derive(Clone, Copy)]
pub struct Candidate {
    /// Its hash.
    pub hash: u64,
    /// What the index said.
    look: Look,
    /// Of which database.
    serial: u32,
}

impl Database {
    /// Where `key` is. O(1).
    #[inline]
    pub fn find(&self, name: Name<'_>) -> Option<Slot> {
        self.find_block(name).map(|found| found.slot)
    }

    /// Where `key` is, with what whoever goes on with it at once need not look up again.
    #[inline]
    pub(in crate::keyspace) fn find_block(&self, name: Name<'_>) -> Option<Found> {
        let mut found = None;
        let slot = self.dict.find(name.hash, |handle| {
            let entry = self.entry_in(handle);
            found = Some((handle, entry));
            entry.key() == name.key
        })?;
        found.map(|(handle, entry)| Found::new(slot, handle, entry))
    }

    /// The entry in a block.
    #[inline]
    pub(in crate::keyspace) fn entry_in(&self, handle: Handle) -> Entry<'_> {
        Entry::new(self.blocks.block(handle))
    }

    /// First step of fetching many keys at once: asks the processor for the bucket of a hash.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.dict.prefetch(hash);
    }

    /// Second step: finds the entry that most likely has that hash, and asks the processor for it.
    #[inline]
    pub fn candidate(&self, hash: u64) -> Candidate {
        let look = self.dict.look(hash);
        if let Some((_, handle)) = look.place {
            self.blocks.prefetch(handle);
        }
        Candidate { hash, look, serial: self.serial }
    }

    /// The same as `find_block`, for a key that was looked for ahead.
    #[inline]
    pub(in crate::keyspace) fn find_candidate(
        &self,
        name: Name<'_>,
        candidate: &Candidate,
    ) -> Option<Found> {
        if candidate.serial != self.serial || !self.dict.still_holds(&candidate.look) {
            return self.find_block(name);
        }
        let (slot, handle) = candidate.look.place?;
        let entry = self.entry_in(handle);
        if entry.key() == name.key {
            return Some(Found::new(slot, handle, entry));
        }
        self.find_block(name)
    }
}

/// The hash of a key under a secret.
#[inline]
pub(in crate::keyspace) fn hash(key: HashKey, bytes: &[u8]) -> u64 {
    SipHasher13::new_with_keys(key.0, key.1).hash(bytes)
}
