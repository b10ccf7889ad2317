//! Big values, shared: as they are now, to be read in parts while their owner changes them.
//!
//! Sharing takes microseconds, whatever is in the value: a reference for each page of a table (64 KiB), for each 128 nodes
//! of a list, for a string one. Whoever changes a part that is still shared copies that part first.

use std::ops::Range;

use bytes::Bytes;

use super::value::{StringValue, ValueRef};
use crate::dict::SharedBlocks;
use crate::types::hash::{Field, HashRef, field_of};
use crate::types::list::{Block, Chain, ListRef};
use crate::types::set::{SetRef, member_of};
use crate::types::sorted_set::{SortedSetRef, scored_of};

/// Collections that take less memory are not worth it: they are copied in the time of a few commands.
const COLLECTION_BYTES_MIN: usize = 64 << 10;
/// The same for strings, which lose their compression by it.
const STRING_BYTES_MIN: usize = 1 << 20;
/// Bytes of a string that are a part.
const STRING_PART_BYTES: usize = 64 << 10;

/// What a value is made of.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// Some bytes of a string; the others follow.
    Text(&'a [u8]),
    /// A node of a list.
    Block(Block<'a>),
    /// A member of a set.
    Member(&'a [u8]),
    /// A member of a sorted set.
    Scored(&'a [u8], f64),
    /// A field of a hash, expired or not.
    Field(Field<'a>),
}

/// A big value as it was when it was shared.
pub struct SharedValue(Rest);

/// What was not read yet.
enum Rest {
    String(Bytes, Range<usize>),
    List { chain: Box<Chain>, next: usize },
    Set(SharedBlocks),
    SortedSet(SharedBlocks),
    Hash(SharedBlocks),
}

impl SharedValue {
    /// Shares a value; `None` if it is not big. O(pages).
    pub fn of(value: ValueRef<'_>) -> Option<Self> {
        let is_big = |bytes: usize| bytes >= COLLECTION_BYTES_MIN;
        Some(Self(match value {
            ValueRef::String(StringValue::Shared(bytes)) if bytes.len() >= STRING_BYTES_MIN => {
                Rest::String(bytes.clone(), 0..bytes.len())
            }
            ValueRef::List(ListRef::Chain(chain)) if is_big(chain.heap_bytes()) => {
                Rest::List { chain: Box::new(chain.clone()), next: 0 }
            }
            ValueRef::Set(SetRef::Table(table)) if is_big(table.memory_bytes()) => {
                Rest::Set(table.share())
            }
            ValueRef::SortedSet(SortedSetRef::Tree(tree)) if is_big(tree.memory_bytes()) => {
                Rest::SortedSet(tree.share())
            }
            ValueRef::Hash(HashRef::Table(table)) if is_big(table.memory_bytes()) => {
                Rest::Hash(table.share())
            }
            _ => return None,
        }))
    }

    /// Hands some more pieces to `emit`: a page of a table, a node of a list, 64 KiB of a string. A table's come in no
    /// order. False if there are none. O(pieces), and the length of the list over 128 nodes.
    pub fn next(&mut self, mut emit: impl FnMut(Piece<'_>)) -> bool {
        match &mut self.0 {
            Rest::String(bytes, rest) => {
                let part = rest.start..rest.end.min(rest.start + STRING_PART_BYTES);
                rest.start = part.end;
                if !part.is_empty() {
                    emit(Piece::Text(&bytes[part.clone()]));
                }
                !part.is_empty()
            }
            Rest::List { chain, next } => {
                let block = chain.blocks_from(*next).next();
                *next += 1;
                block.map(|block| emit(Piece::Block(block))).is_some()
            }
            Rest::Set(blocks) => blocks.next_page(|block| emit(Piece::Member(member_of(block)))),
            Rest::SortedSet(blocks) => blocks.next_page(|block| {
                let (member, score) = scored_of(block);
                emit(Piece::Scored(member, score));
            }),
            Rest::Hash(blocks) => blocks.next_page(|block| emit(Piece::Field(field_of(block)))),
        }
    }
}

impl ValueRef<'_> {
    /// Hands all pieces of a value to `emit`. O(value).
    pub fn pieces(self, mut emit: impl FnMut(Piece<'_>)) {
        let mut buffer = itoa::Buffer::new();
        match self {
            Self::String(string) => emit(Piece::Text(string.bytes(&mut buffer))),
            Self::List(list) => list.blocks().for_each(|block| emit(Piece::Block(block))),
            Self::Set(set) => {
                set.iter().for_each(|member| emit(Piece::Member(member.text(&mut buffer))));
            }
            Self::SortedSet(set) => {
                for (member, score) in set.range(0..set.len()) {
                    emit(Piece::Scored(member.text(&mut buffer), score));
                }
            }
            Self::Hash(hash) => hash.iter_all().for_each(|field| emit(Piece::Field(field))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::{Expiry, Keyspace};
    use crate::types::limits::PackedLimits;
    use crate::types::sorted_set::SortedSet;

    const NONE_PACKED: PackedLimits = PackedLimits { entries: 0, value_bytes: 0 };

    #[test]
    fn a_shared_sorted_set_is_what_it_was_whatever_happens_to_the_key() {
        let mut keyspace = Keyspace::new(1, 1, 1000);
        let hash_key = keyspace.hash_key();
        let mut set = SortedSet::new(1, 1, NONE_PACKED, hash_key);
        for number in 0..20_000 {
            set.set(
                format!("member {number}").as_bytes(),
                f64::from(number),
                NONE_PACKED,
                hash_key,
            );
        }
        let mut db = keyspace.db(0);
        db.set_collection(b"z", set, Expiry::Clear);
        let slot = db.find(b"z").unwrap();
        let database = db.database();
        let mut shared = SharedValue::of(database.value(database.entry(slot))).expect("it is big");
        db.change_at(slot, |set: &mut SortedSet| set.remove_range(5..15_000, |_, _| {}));
        db.change_at(slot, |set: &mut SortedSet| {
            set.set(b"member 3", -7.0, NONE_PACKED, hash_key);
        });
        db.delete(b"z");
        let mut seen = vec![false; 20_000];
        let mut emit = |piece: Piece<'_>| {
            let Piece::Scored(member, score) = piece else { panic!("{piece:?}") };
            assert_eq!(member, format!("member {score}").as_bytes());
            assert!(!std::mem::replace(&mut seen[score as usize], true));
        };
        while shared.next(&mut emit) {}
        assert!(seen.iter().all(|&seen| seen));
    }
}
