//! The channels, or the patterns, that somebody is subscribed to, by name and by number, each with its subscribers.
//!
//! Names are in a `Table`, which grows in small steps however many there are. Whoever joins is told its place in the list
//! of subscribers, and has to bring it along when it leaves: so leaving is O(1) even where a million others stay.

use std::collections::BTreeMap;

use slab::Slab;

use crate::dict::Handle;
use crate::keyspace::HashKey;
use crate::net::Token;
use crate::types::table::{Record, Table};

/// Number of a channel or pattern while it has subscribers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TopicId(u32);

/// What a client is subscribed to, with its place among the subscribers. A tree: it never has to grow all at once.
pub type Places = BTreeMap<TopicId, u32>;

const ID_BYTES: usize = size_of::<u32>();
const LEN_BYTES: usize = size_of::<u64>();

/// A name in the table: number, length, bytes.
struct NameRecord;

impl Record for NameRecord {
    fn name(block: &[u8]) -> &[u8] {
        let (_, rest) = block.split_at(ID_BYTES);
        let (len, rest) = rest.split_first_chunk().expect("a record begins with its header");
        &rest[..u64::from_le_bytes(*len) as usize]
    }
}

fn id_of(block: &[u8]) -> TopicId {
    let id = block.first_chunk().expect("a record begins with its header");
    TopicId(u32::from_le_bytes(*id))
}

struct Topic {
    name: Handle,
    subscribers: Vec<Token>,
}

/// All channels, or all patterns, with subscribers.
pub struct Topics {
    names: Table<NameRecord>,
    topics: Slab<Topic>,
}

impl Topics {
    /// None.
    pub fn new(hash_key: HashKey) -> Self {
        Self { names: Table::new(hash_key, 0), topics: Slab::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// The one with that name, if it has subscribers. O(1).
    pub fn find(&self, name: &[u8]) -> Option<TopicId> {
        self.names.find(name).map(|slot| id_of(self.names.get(slot)))
    }

    /// The name of one that has subscribers.
    pub fn name(&self, id: TopicId) -> &[u8] {
        NameRecord::name(self.names.block(self.topics[id.0 as usize].name))
    }

    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().map(NameRecord::name)
    }

    /// How many clients are subscribed to it.
    pub fn subscribers_len(&self, name: &[u8]) -> usize {
        self.find(name).map_or(0, |id| self.topics[id.0 as usize].subscribers.len())
    }

    /// Takes the subscribers out, to be put back before anyone joins or leaves.
    pub fn take_subscribers(&mut self, id: TopicId) -> Vec<Token> {
        std::mem::take(&mut self.topics[id.0 as usize].subscribers)
    }

    /// Puts back what `take_subscribers` gave.
    pub fn put_subscribers(&mut self, id: TopicId, subscribers: Vec<Token>) {
        self.topics[id.0 as usize].subscribers = subscribers;
    }

    /// The one with that name, and whether it is new: then it has no subscriber, and waits for one to join.
    pub fn find_or_add(&mut self, name: &[u8]) -> (TopicId, bool) {
        if let Some(id) = self.find(name) {
            return (id, false);
        }
        let entry = self.topics.vacant_entry();
        let id = TopicId(u32::try_from(entry.key()).expect("memory ends before the numbers do"));
        let slot = self.names.insert(name, ID_BYTES + LEN_BYTES + name.len(), |block| {
            block[..ID_BYTES].copy_from_slice(&id.0.to_le_bytes());
            block[ID_BYTES..][..LEN_BYTES].copy_from_slice(&(name.len() as u64).to_le_bytes());
            block[ID_BYTES + LEN_BYTES..][..name.len()].copy_from_slice(name);
        });
        entry.insert(Topic { name: self.names.handle(slot), subscribers: Vec::new() });
        (id, true)
    }

    /// Adds a subscriber, which is not yet one. Returns its place.
    pub fn join(&mut self, id: TopicId, token: Token) -> u32 {
        let subscribers = &mut self.topics[id.0 as usize].subscribers;
        subscribers.push(token);
        (subscribers.len() - 1) as u32 // there are no more clients than tokens
    }

    /// Removes the subscriber at `place`. Returns who has taken that place instead. O(1).
    pub fn leave(&mut self, id: TopicId, place: u32) -> Option<Token> {
        let subscribers = &mut self.topics[id.0 as usize].subscribers;
        subscribers.swap_remove(place as usize);
        if subscribers.len() < subscribers.capacity() / 4 {
            subscribers.shrink_to(subscribers.len() * 2);
        }
        subscribers.get(place as usize).copied()
    }

    /// Whether nobody is subscribed to it any more.
    pub fn is_deserted(&self, id: TopicId) -> bool {
        self.topics[id.0 as usize].subscribers.is_empty()
    }

    /// Forgets one that nobody is subscribed to.
    pub fn remove(&mut self, id: TopicId) {
        debug_assert!(self.is_deserted(id));
        let topic = self.topics.remove(id.0 as usize);
        self.names.remove_handle(topic.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_there_as_long_as_it_has_subscribers() {
        let mut topics = Topics::new((1, 2));
        let (id, is_new) = topics.find_or_add(b"news");
        assert!(is_new);
        assert_eq!(topics.join(id, Token(7)), 0);
        assert_eq!(topics.find_or_add(b"news"), (id, false));
        assert_eq!(topics.join(id, Token(8)), 1);
        assert_eq!((topics.name(id), topics.subscribers_len(b"news")), (&b"news"[..], 2));
        assert_eq!(topics.leave(id, 0), Some(Token(8)));
        assert!(!topics.is_deserted(id));
        assert_eq!(topics.leave(id, 0), None);
        assert!(topics.is_deserted(id) && !topics.is_empty());
        topics.remove(id);
        assert!(topics.is_empty());
        assert_eq!((topics.find(b"news"), topics.names().count()), (None, 0));
    }

    #[test]
    fn names_may_be_empty_long_and_of_any_bytes() {
        let mut topics = Topics::new((1, 2));
        let names = [vec![], vec![0], vec![0, 0], vec![b'x'; 100_000], b"\xff\r\n".to_vec()];
        for name in &names {
            let (id, _) = topics.find_or_add(name);
            topics.join(id, Token(1));
        }
        for name in &names {
            let id = topics.find(name).expect("it was added");
            assert_eq!(topics.name(id), name.as_slice());
        }
        assert_eq!(topics.len(), names.len());
    }
}
