//! `Error`: why bytes are no RDB, and where.

use std::fmt;

/// What is wrong, and the offset of the item it is wrong with, from the start of the file or payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    /// In bytes.
    pub offset: u64,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// The bytes end too early.
    Truncated,
    /// The file begins with neither `REDIS` nor `VALKEY` and a number.
    NotAnRdbFile,
    /// The version, sound as it may be, is not one that is read.
    Version(u32),
    /// Nothing is known under this number.
    UnknownType(u8),
    /// A stream.
    Stream,
    /// A value of a module.
    Module,
    /// A function as release candidates of Redis 7.0 wrote it.
    FunctionBeforeRelease,
    /// The state of a slot that Valkey was importing.
    SlotImport,
    /// A length that is none.
    Length,
    /// A string in an encoding that is not known.
    StringEncoding(u8),
    /// A compressed string that does not unpack to the length it should have.
    Compression,
    /// A damaged listpack.
    Listpack,
    /// A damaged intset.
    Intset,
    /// A damaged ziplist.
    Ziplist,
    /// A damaged zipmap.
    Zipmap,
    /// A node of a list that is of no known kind.
    Node,
    /// A member or field that comes twice.
    Duplicate,
    /// A collection without elements.
    Empty,
    /// A score that is no number.
    Score,
    /// An expire time of a field that cannot be one.
    FieldExpiry,
    /// The bytes are not those that the checksum was made of.
    Checksum,
    /// Bytes behind the end of a payload's value.
    TrailingBytes,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "it ends too early",
            Self::NotAnRdbFile => "this is no RDB file",
            Self::Version(version) => {
                return write!(f, "version {version} is not supported (1 to 12, and 80 of Valkey)");
            }
            Self::UnknownType(number) => return write!(f, "unknown type or opcode {number}"),
            Self::Stream => "streams are not supported",
            Self::Module => "values of modules are not supported",
            Self::FunctionBeforeRelease => {
                "functions of release candidates of Redis 7.0 are not supported"
            }
            Self::SlotImport => "slots that are being imported are not supported",
            Self::Length => "unknown kind of length",
            Self::StringEncoding(number) => return write!(f, "unknown string encoding {number}"),
            Self::Compression => "damaged LZF compression",
            Self::Listpack => "damaged listpack",
            Self::Intset => "damaged intset",
            Self::Ziplist => "damaged ziplist",
            Self::Zipmap => "damaged zipmap",
            Self::Node => "unknown kind of list node",
            Self::Duplicate => "a member or field comes twice",
            Self::Empty => "a collection without elements",
            Self::Score => "a score that is not a number",
            Self::FieldExpiry => "invalid expire time of a field",
            Self::Checksum => "wrong checksum",
            Self::TrailingBytes => "bytes behind the end",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at offset {}", self.problem, self.offset)
    }
}

impl std::error::Error for Error {}
