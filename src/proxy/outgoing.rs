//! What waits to be sent: replies to a client, or requests to a node.

use std::io::IoSlice;

use super::requests::Requests;
use crate::net::OutputBuffer;
use crate::resp::Output;

/// The outgoing bytes of one connection.
#[derive(Debug)]
pub enum Outgoing {
    /// Of a client.
    Replies(Output),
    /// Of a link to a node.
    Requests(Requests),
}

impl OutputBuffer for Outgoing {
    fn len(&self) -> usize {
        match self {
            Self::Replies(output) => output.len(),
            Self::Requests(requests) => requests.sendable(),
        }
    }

    fn slices<'a>(&'a self, out: &mut [IoSlice<'a>], bytes_max: usize) -> usize {
        match self {
            Self::Replies(output) => output.slices(out, bytes_max),
            Self::Requests(requests) => requests.slices(out, bytes_max),
        }
    }

    fn consume(&mut self, bytes: usize) {
        match self {
            Self::Replies(output) => output.consume(bytes),
            Self::Requests(requests) => requests.sent(bytes),
        }
    }
}

impl Outgoing {
    /// The replies to a client. Panics if it is a link's.
    #[inline]
    pub fn replies(&mut self) -> &mut Output {
        match self {
            Self::Replies(output) => output,
            Self::Requests(_) => unreachable!("a client has replies"),
        }
    }

    /// The requests of a link. Panics if it is a client's.
    #[inline]
    pub fn requests(&mut self) -> &mut Requests {
        match self {
            Self::Requests(requests) => requests,
            Self::Replies(_) => unreachable!("a link has requests"),
        }
    }
}
