//! Why a command was refused. The texts are Redis's own, byte for byte, because clients match on them.

use std::borrow::Cow;
use std::fmt;

use crate::config::SetError;
use crate::keyspace::WrongType;
use crate::resp::Reply;

/// A refused command: the reply is `-` and this text, the connection lives on, and nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommandError {
    /// The key holds another type.
    WrongType,
    /// An argument or a value is no 64-bit integer.
    NotAnInteger,
    /// An argument or a value is no number.
    NotAFloat,
    /// Options that do not go together, or are unknown.
    Syntax,
    /// The key must exist.
    NoSuchKey,
    /// An index or offset beyond what there can be.
    OutOfRange,
    /// The number of arguments of `command` (or `command|subcommand`).
    WrongArity(Cow<'static, str>),
    /// An expire time of `command` that is no time.
    InvalidExpire(&'static str),
    /// A string longer than `proto-max-bulk-len`.
    StringTooLong,
    /// A database number that is not there.
    DbIndexOutOfRange,
    /// The client has not said who it is.
    NoAuth,
    /// It said it wrongly.
    WrongPass,
    /// Memory is used up.
    OutOfMemory,
    /// A text that only one command uses, code word included.
    Text(&'static str),
    /// The same, made up of parts.
    Message(String),
    /// The same, with bytes of the client's in it that need not be UTF-8.
    Bytes(Vec<u8>),
}

/// What a handler returns.
pub type CommandResult = Result<(), CommandError>;

/// Bytes of a client's that an error repeats at most.
const QUOTED_MAX: usize = 128;

/// What C's `%.*s` prints: up to `max` bytes, and no further than a NUL.
pub fn shown(bytes: &[u8], max: usize) -> &[u8] {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    &bytes[..end.min(max)]
}

impl CommandError {
    /// An error that repeats bytes of the client's between two texts.
    pub fn quoting(before: &str, bytes: &[u8], after: &str) -> Self {
        Self::Bytes([before.as_bytes(), shown(bytes, QUOTED_MAX), after.as_bytes()].concat())
    }

    /// Redis's text where a subcommand of `container` has another number of arguments than any form of it.
    pub fn wrong_subcommand(subcommand: &[u8], container: &str) -> Self {
        let before = "ERR unknown subcommand or wrong number of arguments for '";
        Self::quoting(before, subcommand, &format!("'. Try {container} HELP."))
    }

    /// Writes the error reply.
    pub fn reply(&self, reply: &mut Reply) {
        match self {
            Self::Bytes(text) => reply.error_bytes(text),
            _ => reply.error(self),
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::NotAnInteger => "ERR value is not an integer or out of range",
            Self::NotAFloat => "ERR value is not a valid float",
            Self::Syntax => "ERR syntax error",
            Self::NoSuchKey => "ERR no such key",
            Self::OutOfRange => "ERR index out of range",
            Self::WrongArity(name) => {
                return write!(f, "ERR wrong number of arguments for '{name}' command");
            }
            Self::InvalidExpire(name) => {
                return write!(f, "ERR invalid expire time in '{name}' command");
            }
            Self::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Self::DbIndexOutOfRange => "ERR DB index is out of range",
            Self::NoAuth => "NOAUTH Authentication required.",
            Self::WrongPass => "WRONGPASS invalid username-password pair or user is disabled.",
            Self::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            Self::Text(text) => text,
            Self::Message(text) => text,
            Self::Bytes(text) => return f.write_str(&String::from_utf8_lossy(text)),
        };
        f.write_str(text)
    }
}

impl From<SetError> for CommandError {
    fn from(error: SetError) -> Self {
        match error {
            SetError::Unknown { name } => {
                let before = "ERR Unknown option or number of arguments for CONFIG SET - '";
                Self::quoting(before, &name, "'")
            }
            _ => Self::Message(error.to_string()),
        }
    }
}

impl From<WrongType> for CommandError {
    fn from(_: WrongType) -> Self {
        Self::WrongType
    }
}
