//! The numbers of the format: versions, opcodes, and the types of values.

use super::Problem;

/// Behind the last key: the end, with the checksum.
pub(super) const EOF: u8 = 255;
/// The database of the keys that follow.
pub(super) const SELECT_DB: u8 = 254;
/// Expire time of the next key, in seconds.
pub(super) const EXPIRE_TIME: u8 = 253;
/// Expire time of the next key, in milliseconds.
pub(super) const EXPIRE_TIME_MS: u8 = 252;
/// How many keys the database has, and how many of them expire.
pub(super) const RESIZE_DB: u8 = 251;
/// A name and a text about the file.
pub(super) const AUX: u8 = 250;
/// Access frequency of the next key.
pub(super) const FREQ: u8 = 249;
/// Seconds since the last access of the next key.
pub(super) const IDLE: u8 = 248;
/// Data of a module that belong to no key.
pub(super) const MODULE_AUX: u8 = 247;
/// A function, before the release of Redis 7.0.
pub(super) const FUNCTION_BEFORE_RELEASE: u8 = 246;
/// The text of a library of functions.
pub(super) const FUNCTION_2: u8 = 245;
/// How many keys a slot has, and how many of them expire.
pub(super) const SLOT_INFO: u8 = 244;
/// A slot that is being imported, in files of Valkey.
pub(super) const SLOT_IMPORT: u8 = 243;

/// Redis's encodings of a string that is more than a length and bytes.
pub(super) mod string_encoding {
    pub const INT_8: u8 = 0;
    pub const INT_16: u8 = 1;
    pub const INT_32: u8 = 2;
    pub const LZF: u8 = 3;
}

/// Kinds of nodes of a list.
pub(super) mod node {
    /// A big element on its own.
    pub const PLAIN: u64 = 1;
    /// A listpack.
    pub const PACKED: u64 = 2;
}

/// The numbers of the types that are written. The others are in [`ValueType::from_number`].
pub(super) mod type_number {
    pub const STRING: u8 = 0;
    pub const SET: u8 = 2;
    pub const HASH: u8 = 4;
    pub const SORTED_SET_2: u8 = 5;
    pub const SET_INTSET: u8 = 11;
    pub const HASH_LISTPACK: u8 = 16;
    pub const SORTED_SET_LISTPACK: u8 = 17;
    pub const LIST_QUICKLIST_2: u8 = 18;
    pub const SET_LISTPACK: u8 = 20;
    pub const HASH_2: u8 = 22;
    pub const HASH_METADATA: u8 = 24;
    pub const HASH_LISTPACK_EX: u8 = 25;
}

/// How the value of a key is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ValueType {
    String,
    /// Strings, one after the other.
    List,
    Set,
    /// Members with scores.
    SortedSet(ScoreForm),
    /// Fields with values, and perhaps expire times.
    Hash(FieldForm),
    /// One string that holds all.
    Packed(PackedForm),
    /// Nodes of a list, each a string.
    Quicklist(NodeForm),
}

/// How the scores of a sorted set are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ScoreForm {
    /// In decimal, behind a byte of length (253: NaN, 254 and 255: the infinities).
    Text,
    /// Eight bytes.
    Binary,
}

/// Where the expire time of a field is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FieldForm {
    /// Nowhere.
    Plain,
    /// A length before the field, 0 = never (release candidates of Redis 7.4).
    BeforeAbsolute,
    /// As that, but 1 is the expire time that stands before the number of fields (Redis 7.4).
    BeforeRelative,
    /// Eight bytes behind the value, -1 = never (Valkey 9).
    Behind,
}

/// What is in the one string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PackedForm {
    ListZiplist,
    SetIntset,
    SetListpack,
    SortedSetZiplist,
    SortedSetListpack,
    HashZipmap,
    HashZiplist,
    HashListpack,
    /// Fields, values and expire times; before it the earliest expire time, if it is not of a release candidate.
    HashListpackEx {
        has_earliest: bool,
    },
}

/// What the nodes of a list are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NodeForm {
    Ziplist,
    /// A listpack or a big element; a number says which.
    Listpack,
}

impl ValueType {
    /// The type with this number in files of a family.
    pub fn from_number(number: u8, family: Family) -> Result<Self, Problem> {
        Ok(match number {
            0 => Self::String,
            1 => Self::List,
            2 => Self::Set,
            3 => Self::SortedSet(ScoreForm::Text),
            4 => Self::Hash(FieldForm::Plain),
            5 => Self::SortedSet(ScoreForm::Binary),
            6 | 7 => return Err(Problem::Module),
            9 => Self::Packed(PackedForm::HashZipmap),
            10 => Self::Packed(PackedForm::ListZiplist),
            11 => Self::Packed(PackedForm::SetIntset),
            12 => Self::Packed(PackedForm::SortedSetZiplist),
            13 => Self::Packed(PackedForm::HashZiplist),
            14 => Self::Quicklist(NodeForm::Ziplist),
            15 | 19 | 21 => return Err(Problem::Stream),
            16 => Self::Packed(PackedForm::HashListpack),
            17 => Self::Packed(PackedForm::SortedSetListpack),
            18 => Self::Quicklist(NodeForm::Listpack),
            20 => Self::Packed(PackedForm::SetListpack),
            22 if family == Family::Valkey => Self::Hash(FieldForm::Behind),
            22 => Self::Hash(FieldForm::BeforeAbsolute),
            23 if family == Family::Redis => {
                Self::Packed(PackedForm::HashListpackEx { has_earliest: false })
            }
            24 if family == Family::Redis => Self::Hash(FieldForm::BeforeRelative),
            25 if family == Family::Redis => {
                Self::Packed(PackedForm::HashListpackEx { has_earliest: true })
            }
            _ => return Err(Problem::UnknownType(number)),
        })
    }
}

/// Whose format it is. They are the same up to version 11.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// Redis, and Valkey before 9.
    Redis,
    /// Valkey from 9 on.
    Valkey,
}

/// The version of a file or payload that is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// Whose.
    pub family: Family,
    /// 1 to 12 of Redis, 80 of Valkey.
    pub number: u16,
}

impl Version {
    /// The version with this number, if it is read. Valkey's begin at 80.
    pub(super) fn from_number(number: u32) -> Option<Self> {
        let family = match number {
            1..=12 => Family::Redis,
            80 => Family::Valkey,
            _ => return None,
        };
        u16::try_from(number).ok().map(|number| Self { family, number })
    }

    /// Whether files end with a checksum.
    pub(super) fn has_checksum(self) -> bool {
        self.number >= 5
    }
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Format {
    /// Version 10, of Redis 7.0: read by all later ones and by every Valkey. It has no expire times of fields: those are
    /// left out.
    #[default]
    Redis10,
    /// Version 11, of Redis 7.2 and Valkey up to 8: sets may be listpacks. No expire times of fields either.
    Redis11,
    /// Version 12, of Redis 7.4 to 8.2. Not read by Valkey.
    Redis12,
    /// Version 80, of Valkey 9. Not read by Redis.
    Valkey80,
}

impl Format {
    /// What a file begins with.
    pub(super) fn magic(self) -> &'static [u8; 9] {
        match self {
            Self::Redis10 => b"REDIS0010",
            Self::Redis11 => b"REDIS0011",
            Self::Redis12 => b"REDIS0012",
            Self::Valkey80 => b"VALKEY080",
        }
    }

    /// The version of payloads.
    pub(super) fn number(self) -> u16 {
        match self {
            Self::Redis10 => 10,
            Self::Redis11 => 11,
            Self::Redis12 => 12,
            Self::Valkey80 => 80,
        }
    }

    /// Whether a set may be a listpack.
    pub(super) fn has_listpack_sets(self) -> bool {
        self != Self::Redis10
    }

    /// Whether fields may have expire times.
    pub fn has_field_expiry(self) -> bool {
        matches!(self, Self::Redis12 | Self::Valkey80)
    }
}
