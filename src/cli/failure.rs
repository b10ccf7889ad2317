//! Why the client ends before its work is done, and the exit status that says so to a script.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::format::harmless;
use crate::resp::ReplyError;

/// What ended the work.
#[derive(Debug)]
pub enum Failure {
    /// The command line asks for something impossible: status 2.
    Usage(String),
    /// No connection to the server: status 3.
    NoConnection {
        /// Address as shown to a person.
        to: String,
        /// The first cause.
        cause: io::Error,
    },
    /// The connection ended in the middle of the work: status 3.
    ConnectionLost(io::Error),
    /// What the server sent is no RESP: status 3.
    Protocol(ReplyError),
    /// The server refused a command that the client itself needs: status 1.
    Refused {
        /// The command, without its arguments: they may hold a password.
        command: &'static str,
        /// The text of the error.
        error: String,
    },
    /// Standard input cannot be read: status 1.
    Input(io::Error),
    /// A file cannot be read or written: status 1.
    File {
        /// Its name.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Ctrl-C: status 130, as shells count it.
    Interrupted,
    /// Whoever read our output has gone, as `head` does: status 0, and no word about it.
    OutputClosed,
    /// Standard output cannot be written, because a disk is full for example: status 1.
    Output(io::Error),
}

impl Failure {
    /// The exit status of the process.
    pub fn status(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Refused { .. } | Self::Input(_) | Self::Output(_) | Self::File { .. } => 1,
            Self::Usage(_) => 2,
            Self::NoConnection { .. } | Self::ConnectionLost(_) | Self::Protocol(_) => 3,
            Self::Interrupted => 130,
        }
    }

    /// Whether there is anything to say about it.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::OutputClosed | Self::Interrupted)
    }

    /// A failed access to a file.
    pub fn file(path: &Path, cause: io::Error) -> Self {
        Self::File { path: path.to_owned(), cause }
    }

    /// A failed write to standard output.
    pub fn output(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Output(cause),
        }
    }

    /// Whether there is nobody left to tell anything on standard output.
    pub fn is_of_output(&self) -> bool {
        matches!(self, Self::OutputClosed | Self::Output(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::NoConnection { to, cause } => {
                write!(f, "Could not connect to Redis at {to}: {cause}")
            }
            Self::ConnectionLost(cause) => write!(f, "Connection lost: {cause}"),
            Self::Protocol(error) => write!(f, "{error}"),
            Self::Refused { command, error } => {
                write!(f, "{command} failed: {}", harmless(error.as_bytes()))
            }
            Self::Input(cause) => write!(f, "Cannot read the input: {cause}"),
            Self::File { path, cause } => write!(f, "{}: {cause}", path.display()),
            Self::Interrupted => f.write_str("Interrupted"),
            Self::OutputClosed => f.write_str("Output closed"),
            Self::Output(cause) => write!(f, "Cannot write the output: {cause}"),
        }
    }
}

impl std::error::Error for Failure {}
