//! What a value is, seen from outside: its type, and a view of its content.

use bytes::Bytes;

use crate::types::hash::HashRef;
use crate::types::list::ListRef;
use crate::types::set::SetRef;
use crate::types::sorted_set::SortedSetRef;

/// The types a user sees. The numbers are Redis's, as RDB and modules know them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Type {
    /// A string of bytes, or an integer.
    String = 0,
    /// A list.
    List = 1,
    /// A set.
    Set = 2,
    /// A sorted set.
    Zset = 3,
    /// A hash.
    Hash = 4,
    /// A stream.
    Stream = 6,
}

impl Type {
    const ALL: [Self; 6] =
        [Self::String, Self::List, Self::Set, Self::Zset, Self::Hash, Self::Stream];

    /// The type with Redis's number.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::String,
            1 => Self::List,
            2 => Self::Set,
            3 => Self::Zset,
            4 => Self::Hash,
            6 => Self::Stream,
            _ => return None,
        })
    }

    /// The type with Redis's name (`TYPE`, `SCAN ... TYPE`), in any case.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Redis's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::Zset => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }
}

/// A command for one type met a key of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongType;

/// A value of any type, borrowed from the keyspace.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// A string.
    String(StringValue<'a>),
    /// A list.
    List(ListRef<'a>),
    /// A set.
    Set(SetRef<'a>),
    /// A sorted set.
    SortedSet(SortedSetRef<'a>),
    /// A hash.
    Hash(HashRef<'a>),
}

impl ValueRef<'_> {
    /// Whether it is a hash with an expire time on a field, which not every format of files can hold.
    pub fn has_field_expiry(self) -> bool {
        matches!(self, Self::Hash(hash) if hash.next_expiry_ms().is_some())
    }
}

/// A string value, borrowed from the keyspace.
#[derive(Clone, Copy, Debug)]
pub enum StringValue<'a> {
    /// Stored as an integer; the string is its decimal form.
    Int(i64),
    /// The bytes, in the entry's block.
    Bytes(&'a [u8]),
    /// The bytes, in memory that replies can share.
    Shared(&'a Bytes),
}

impl<'a> StringValue<'a> {
    /// The bytes; an integer is written into `buffer`.
    pub fn bytes(self, buffer: &'a mut itoa::Buffer) -> &'a [u8] {
        match self {
            Self::Int(number) => buffer.format(number).as_bytes(),
            Self::Bytes(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    /// A copy of the bytes.
    pub fn to_vec(self) -> Vec<u8> {
        self.bytes(&mut itoa::Buffer::new()).to_vec()
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        match self {
            Self::Int(number) => itoa::Buffer::new().format(number).len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Shared(bytes) => bytes.len(),
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A string value to be stored.
#[derive(Clone, Debug)]
pub enum NewString<'a> {
    /// An integer.
    Int(i64),
    /// Bytes as a client sent them.
    Bytes(&'a [u8]),
    /// Bytes that came from editing a value: `OBJECT ENCODING` says `raw`.
    Edited(&'a [u8]),
    /// Bytes that are shared already: stored without a copy when they are long.
    Shared(Bytes),
}

impl<'a> NewString<'a> {
    /// What `SET` makes of bytes: an integer where they are the decimal form of one, as Redis's `tryObjectEncoding`.
    pub fn encode(bytes: &'a [u8]) -> Self {
        if bytes.len() <= 20
            && let Some(number) = crate::resp::number::parse_i64(bytes)
        {
            return Self::Int(number);
        }
        Self::Bytes(bytes)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Int(number) => StringValue::Int(*number).len(),
            Self::Bytes(bytes) | Self::Edited(bytes) => bytes.len(),
            Self::Shared(bytes) => bytes.len(),
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
