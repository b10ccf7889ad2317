//! The append only file: Redis's multi-part format, with checksums in lines that Redis takes for comments.
//!
//! | file | what it holds |
//! |---|---|
//! | `manifest` | which files make up the log, and their order |
//! | `block` | the checksum lines |
//! | `item` | commands and comments in the bytes of a file |
//! | `log` | the file that is written: what is on its way, and what has arrived |
//! | `reader` | a file that is read back: what is sound, what is torn, what is damaged |
//! | `log` | the file that is written: what is on its way, and what has arrived |

pub mod block;
mod item;
pub mod log;

pub mod manifest;
pub mod reader;

pub use log::Log;
pub use manifest::{FileKind, Manifest};
pub use reader::{Damage, Reader, Tail};
