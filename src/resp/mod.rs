//! RESP, the wire protocol, as bytes only: no socket, no client, no command.
//!
//! ```text
//! request   bytes -> requests, whose arguments are spans of the query buffer (inline: the telnet form)
//! args      what was found: a batch of requests, the view of one request's arguments, its copies
//! reply     values -> bytes in an Output, as RESP2 or RESP3
//! value     bytes -> replies, for the client, the proxy and replication (element: one header at a time)
//! reply_end where replies end that pass by in pieces, for the proxy
//! number    the texts Redis accepts and prints as numbers
//! ```
//! Every parser is resumable: the caller keeps what was not consumed and calls again with more bytes behind it;
//! what was seen is not looked at again, and nothing is reserved from a length the peer only declared.

pub mod args;
pub mod element;
mod inline;
mod line;
pub mod number;
pub mod output;
pub mod reply;
mod reply_end;
pub mod request;
pub mod value;

pub use args::{Args, Batch, OwnedArgs, Span, write_argument, write_request, write_request_head};
pub use element::{ReplyError, ReplyScanner};
pub use inline::split_args;
pub use output::Output;
pub use reply::{Protocol, Reply};
pub use reply_end::ReplyEnd;
pub use request::{Limits, Parsed, ProtocolError, RequestParser};
pub use value::{ReplyReader, Value};

/// Longest string in bytes unless configured: 512 MB (`proto-max-bulk-len`).
pub const BULK_LEN_MAX_DEFAULT: usize = 512 << 20;
