//! `ValueWriter`: one value, written in steps.
//!
//! Packed forms are copied as they are, where the format has them. What is no packed form is the number of its elements,
//! then the elements: a table's as a scan gives them, a sorted set's from the highest score down, as Redis does.

use super::encoder::{Encoder, length};
use super::format::{FieldForm, Format, node, type_number};
use crate::keyspace::{Piece, ValueRef};
use crate::types::hash::{Field, HashRef};
use crate::types::list::{Block, ListRef};
use crate::types::listpack;
use crate::types::set::SetRef;
use crate::types::sorted_set::SortedSetRef;

/// How Valkey writes that a field never expires.
const NEVER: i64 = -1;
/// Before all times: nothing has expired then.
const LONG_AGO_MS: i64 = i64::MIN;

/// Writes a value in steps. It has to stay what it is until it is complete.
#[derive(Debug)]
pub struct ValueWriter {
    type_number: u8,
    layout: Layout,
    /// What the expire times of fields are relative to, if they are.
    earliest_ms: i64,
    /// How far the elements are written, in the terms of the value; `None` before the first step.
    at: Option<u64>,
}

/// How the value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    /// One string: the string, the listpack or the intset.
    Text,
    /// As that, behind the earliest expire time of a field.
    TextAndEarliest,
    /// A listpack of fields and values, made of one with expire times.
    Pairs,
    /// Element by element.
    Elements,
    /// Field by field.
    Fields(FieldForm),
}

fn choose(format: Format, value: ValueRef<'_>) -> (u8, Layout) {
    match value {
        ValueRef::String(_) => (type_number::STRING, Layout::Text),
        ValueRef::List(_) => (type_number::LIST_QUICKLIST_2, Layout::Elements),
        ValueRef::Set(SetRef::Intset(_)) => (type_number::SET_INTSET, Layout::Text),
        ValueRef::Set(SetRef::Packed(_)) if format.has_listpack_sets() => {
            (type_number::SET_LISTPACK, Layout::Text)
        }
        ValueRef::Set(_) => (type_number::SET, Layout::Elements),
        ValueRef::SortedSet(SortedSetRef::Packed(_)) => {
            (type_number::SORTED_SET_LISTPACK, Layout::Text)
        }
        ValueRef::SortedSet(_) => (type_number::SORTED_SET_2, Layout::Elements),
        ValueRef::Hash(hash) => choose_for_hash(format, hash),
    }
}

fn choose_for_hash(format: Format, hash: HashRef<'_>) -> (u8, Layout) {
    let expires = hash.next_expiry_ms().is_some() && format.has_field_expiry();
    match hash {
        _ if expires && format == Format::Valkey80 => {
            (type_number::HASH_2, Layout::Fields(FieldForm::Behind))
        }
        HashRef::PackedEx(_) if expires => (type_number::HASH_LISTPACK_EX, Layout::TextAndEarliest),
        HashRef::Table(_) if expires => {
            (type_number::HASH_METADATA, Layout::Fields(FieldForm::BeforeRelative))
        }
        HashRef::Packed(_) => (type_number::HASH_LISTPACK, Layout::Text),
        HashRef::PackedEx(_) => (type_number::HASH_LISTPACK, Layout::Pairs),
        HashRef::Table(_) => (type_number::HASH, Layout::Fields(FieldForm::Plain)),
    }
}

impl ValueWriter {
    /// To write this value.
    pub fn new(format: Format, value: ValueRef<'_>) -> Self {
        let (type_number, layout) = choose(format, value);
        Self { type_number, layout, earliest_ms: earliest_ms(value), at: None }
    }

    /// Writes the number of its type. In files the key comes between it and the value.
    pub fn write_type(&self, out: &mut Vec<u8>) {
        out.push(self.type_number);
    }

    /// Writes elements until `out` has about `bytes_max` more; what is one string is written at once. Returns whether
    /// the value is complete. O(what is written).
    pub fn step(
        &mut self,
        value: ValueRef<'_>,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
        bytes_max: usize,
    ) -> bool {
        let form = match self.layout {
            Layout::Elements => FieldForm::Plain,
            Layout::Fields(form) => form,
            Layout::Text | Layout::TextAndEarliest | Layout::Pairs => {
                self.write_at_once(value, encoder, out);
                return true;
            }
        };
        let out_max = out.len().saturating_add(bytes_max.max(1));
        let mut at = Some(self.at.unwrap_or_else(|| {
            self.write_count(value, form, out);
            0
        }));
        while let Some(reached) = at {
            at = match value {
                ValueRef::List(list) => write_nodes(list, reached, encoder, out, out_max),
                ValueRef::Set(set) => write_members(set, reached, encoder, out),
                ValueRef::SortedSet(set) => write_scored(set, reached, encoder, out, out_max),
                ValueRef::Hash(hash) => self.write_fields(hash, form, reached, encoder, out),
                ValueRef::String(_) => None,
            };
            if at.is_some() && out.len() >= out_max {
                self.at = at;
                return false;
            }
        }
        true
    }

    /// Writes what stands before the pieces of a big value, and how many there are. [`write_piece`](Self::write_piece)
    /// writes them.
    pub fn write_head(&self, value: ValueRef<'_>, out: &mut Vec<u8>) {
        match (value, self.layout) {
            (ValueRef::String(string), _) => length(out, string.len() as u64),
            (_, Layout::Fields(form)) => self.write_count(value, form, out),
            _ => self.write_count(value, FieldForm::Plain, out),
        }
    }

    /// Writes a piece of a big value.
    pub fn write_piece(&self, piece: Piece<'_>, encoder: &mut Encoder, out: &mut Vec<u8>) {
        match piece {
            Piece::Text(bytes) => out.extend_from_slice(bytes),
            Piece::Block(block) => write_node(block, encoder, out),
            Piece::Member(member) => encoder.string(out, member),
            Piece::Scored(member, score) => {
                encoder.string(out, member);
                out.extend_from_slice(&score.to_le_bytes());
            }
            Piece::Field(field) => match self.layout {
                Layout::Fields(form) => self.write_field(&field, form, encoder, out),
                _ => unreachable!("a big hash is written field by field"),
            },
        }
    }

    fn write_at_once(&self, value: ValueRef<'_>, encoder: &mut Encoder, out: &mut Vec<u8>) {
        match value {
            ValueRef::String(string) => {
                encoder.string(out, string.bytes(&mut itoa::Buffer::new()));
            }
            ValueRef::Set(SetRef::Intset(bytes) | SetRef::Packed(bytes))
            | ValueRef::SortedSet(SortedSetRef::Packed(bytes))
            | ValueRef::Hash(HashRef::Packed(bytes)) => encoder.string(out, bytes),
            ValueRef::Hash(hash @ HashRef::PackedEx(_)) if self.layout == Layout::Pairs => {
                encoder.string(out, &pairs(hash));
            }
            ValueRef::Hash(HashRef::PackedEx(bytes)) => {
                out.extend_from_slice(&self.earliest_ms.to_le_bytes());
                encoder.string(out, bytes);
            }
            _ => unreachable!("the layout was chosen for this value"),
        }
    }

    /// Writes what stands before the elements.
    fn write_count(&self, value: ValueRef<'_>, form: FieldForm, out: &mut Vec<u8>) {
        let count = match value {
            ValueRef::List(list) => list.block_count(),
            ValueRef::Set(set) => set.len(),
            ValueRef::SortedSet(set) => set.len(),
            ValueRef::Hash(hash) => {
                if form == FieldForm::BeforeRelative {
                    out.extend_from_slice(&self.earliest_ms.to_le_bytes());
                }
                hash.len()
            }
            ValueRef::String(_) => 0,
        };
        length(out, count as u64);
    }

    /// Writes the fields of one step of a scan. Returns the next cursor.
    fn write_fields(
        &self,
        hash: HashRef<'_>,
        form: FieldForm,
        cursor: u64,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        let next = hash.scan(cursor, LONG_AGO_MS, |field| {
            self.write_field(&field, form, encoder, out);
        });
        (next != 0).then_some(next)
    }

    fn write_field(
        &self,
        field: &Field<'_>,
        form: FieldForm,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
    ) {
        if form == FieldForm::BeforeRelative {
            let relative =
                field.expire_at_ms.map_or(0, |at_ms| at_ms.saturating_sub(self.earliest_ms) + 1);
            length(out, relative.unsigned_abs());
        }
        write_pair(field, encoder, out);
        if form == FieldForm::Behind {
            out.extend_from_slice(&field.expire_at_ms.unwrap_or(NEVER).to_le_bytes());
        }
    }
}

/// The earliest expire time of a field, or one before it. No field expires at 0 or earlier. O(fields / 4,000).
fn earliest_ms(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::Hash(hash) => hash.next_expiry_ms().unwrap_or(0).max(0),
        _ => 0,
    }
}

/// The listpack of a hash's fields and values.
fn pairs(hash: HashRef<'_>) -> Vec<u8> {
    let mut pairs = listpack::new();
    for field in hash.iter_all() {
        listpack::append(&mut pairs, field.name);
        listpack::append(&mut pairs, field.value);
    }
    pairs
}

/// Writes nodes from number `reached` on. Returns the next number; `None` if there is none.
fn write_nodes(
    list: ListRef<'_>,
    mut reached: u64,
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
    out_max: usize,
) -> Option<u64> {
    for block in list.blocks_from(usize::try_from(reached).ok()?) {
        if out.len() >= out_max {
            return Some(reached);
        }
        write_node(block, encoder, out);
        reached += 1;
    }
    None
}

fn write_node(block: Block<'_>, encoder: &mut Encoder, out: &mut Vec<u8>) {
    let (kind, bytes) = match block {
        Block::Packed(bytes) => (node::PACKED, bytes),
        Block::Plain(text) => (node::PLAIN, text),
    };
    length(out, kind);
    encoder.string(out, bytes);
}

/// Writes the members of one step of a scan. Returns the next cursor.
fn write_members(
    set: SetRef<'_>,
    cursor: u64,
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
) -> Option<u64> {
    let mut buffer = itoa::Buffer::new();
    let next = set.scan(cursor, |member| encoder.string(out, member.text(&mut buffer)));
    (next != 0).then_some(next)
}

/// Writes members with scores, from the one that `reached` have higher scores than on down.
fn write_scored(
    set: SortedSetRef<'_>,
    mut reached: u64,
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
    out_max: usize,
) -> Option<u64> {
    let left = set.len().checked_sub(usize::try_from(reached).ok()?)?;
    let mut buffer = itoa::Buffer::new();
    for (member, score) in set.range(0..left).rev() {
        if out.len() >= out_max {
            return Some(reached);
        }
        encoder.string(out, member.text(&mut buffer));
        out.extend_from_slice(&score.to_le_bytes());
        reached += 1;
    }
    None
}

fn write_pair(field: &Field<'_>, encoder: &mut Encoder, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    encoder.string(out, field.name.text(&mut buffer));
    encoder.string(out, field.value.text(&mut buffer));
}
