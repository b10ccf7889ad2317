//! A link: one connection to a node, and who waits for its replies. Replies come in the order of the requests; finding the
//! end of each is all that is done with them here.

use std::collections::VecDeque;

use super::outgoing::Outgoing;
use super::requests::Requests;
use super::slots::NodeId;
use crate::net::Token;
use crate::resp::{Protocol, ReplyEnd, ReplyError};

/// A reply from this length on is handed on in pieces instead of being collected.
const PIECES_FROM_BYTES: usize = 16 * 1024;

/// Who gets a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Recipient {
    /// A client, if it is still the one with that id, as the reply with that number.
    Client { index: u32, id: u32, number: u32 },
    /// A reply that is made up of several, as this part of it.
    Part { join: u32, part: u32 },
    /// A transaction.
    Transaction(u32),
    /// The proxy, which has asked for the topology with the question of that number.
    Topology(u32),
    /// Nobody: its client is gone, wants no replies, or was told an error.
    Nobody,
}

/// What is to be known of a request when its reply comes, or does not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Traits {
    /// It may change something, so it is not to be run twice.
    pub writes: bool,
    /// Was sent again once already.
    pub retried: bool,
    /// How often it was redirected.
    pub redirects: u8,
    /// Has no time limit: a blocking command.
    pub patient: bool,
    /// The number of its command, for the statistics.
    pub command: u16,
}

/// The number of no command: what the proxy asks by itself.
pub(super) const NO_COMMAND: u16 = u16::MAX;

/// A request that waits for its reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub recipient: Recipient,
    /// Length of the request.
    pub bytes: u32,
    /// When it was queued, on a clock that goes round.
    pub queued_us: u32,
    /// The slot of its keys; none: `u16::MAX`.
    pub slot: u16,
    pub traits: Traits,
}

/// No slot.
pub(super) const NO_SLOT: u16 = u16::MAX;

/// What a link is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    /// All clients; the number of the link among those.
    Shared(usize),
    /// One client at a time, or none yet.
    Private,
    /// Messages.
    Subscriptions,
    /// Questions of the proxy's own.
    Control,
}

/// What is spoken on a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Manner {
    pub protocol: Protocol,
    pub db: usize,
}

impl Manner {
    /// RESP2, database 0.
    pub const PLAIN: Self = Self { protocol: Protocol::Resp2, db: 0 };
}

/// How far a link has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The name of its host is being looked up.
    Resolving,
    /// The connection is being made.
    Connecting,
    /// So many replies to the greeting are missing.
    Greeting(u8),
    /// Requests are sent.
    Ready,
    /// It was given up, and goes at the end of the turn.
    Closed,
}

/// One connection to a node.
pub(super) struct Link {
    pub token: Token,
    pub node: NodeId,
    pub purpose: Use,
    pub manner: Manner,
    pub stage: Stage,
    /// Requests that are not sent, or not answered.
    pub outgoing: Outgoing,
    /// Who waits, in the order of the requests.
    pub waiting: VecDeque<Waiter>,
    /// Where the bytes that come stand.
    pub incoming: Incoming,
    /// A long reply for somebody who needs it whole.
    pub long_reply: Vec<u8>,
    /// When its stage began, on the monotonic clock.
    pub since_us: u64,
    /// The index and id of its client, if it is private and has one.
    pub owner: Option<(u32, u64)>,
    /// A blocking command waits on it.
    pub blocks: bool,
    /// Since when nothing is read from it, for the sake of which client.
    pub paused: Option<(u64, u32)>,
    /// When reading was last resumed, on the clock of the waiters.
    pub resumed_us: Option<u32>,
    /// Is named in the turn's list of those to write to.
    pub write_pending: bool,
    /// How many replies its greeting gets.
    pub greeting_replies: u8,
}

impl Link {
    pub fn new(token: Token, node: NodeId, purpose: Use, manner: Manner, now_us: u64) -> Link {
        Link {
            token,
            node,
            purpose,
            manner,
            stage: Stage::Resolving,
            outgoing: Outgoing::Requests(Requests::default()),
            waiting: VecDeque::new(),
            incoming: Incoming::default(),
            long_reply: Vec::new(),
            since_us: now_us,
            owner: None,
            blocks: false,
            paused: None,
            resumed_us: None,
            write_pending: false,
            greeting_replies: 0,
        }
    }

    /// Queues a request.
    #[inline]
    pub fn send(&mut self, request: &[u8], waiter: Waiter) {
        self.outgoing.requests().push(request);
        self.waiting.push_back(waiter);
    }

    /// Takes the first of those who wait, whose reply is there, and forgets its request. None: nobody waits, or the request
    /// has not even left, and what came answers nothing.
    #[inline]
    pub fn take_answered(&mut self) -> Option<Waiter> {
        let waiter = *self.waiting.front()?;
        let requests = self.outgoing.requests();
        if !requests.is_sent(waiter.bytes as usize) {
            return None;
        }
        requests.answered(waiter.bytes as usize);
        self.waiting.pop_front();
        Some(waiter)
    }
}

/// What [`Incoming::next`] has found at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// So many bytes are a whole reply.
    Whole(usize),
    /// With so many bytes the reply in [`Incoming::collected`] is whole.
    Collected(usize),
    /// So many bytes belong to a long reply; whether it ends with them. What was collected of it comes first.
    Long(usize, bool),
    /// All bytes belong to a reply that is not whole and was collected.
    Nothing,
}

/// Finds the replies in what a node sends. A short one is given out whole, a long one in pieces.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    end: ReplyEnd,
    /// The beginning of a reply that is not whole.
    pub collected: Vec<u8>,
    /// A reply is being given out in pieces.
    pub in_pieces: bool,
}

impl Incoming {
    /// Looks at `bytes`, which follow what was looked at before.
    #[inline]
    pub fn next(&mut self, bytes: &[u8]) -> Result<Piece, ReplyError> {
        let end = self.end.advance(bytes)?;
        if let Some(end) = end
            && self.collected.is_empty()
            && !self.in_pieces
        {
            return Ok(Piece::Whole(end));
        }
        Ok(self.next_in_part(bytes, end))
    }

    fn next_in_part(&mut self, bytes: &[u8], end: Option<usize>) -> Piece {
        let len = end.unwrap_or(bytes.len());
        if self.in_pieces || self.collected.len() + len >= PIECES_FROM_BYTES {
            self.in_pieces = end.is_none();
            return Piece::Long(len, end.is_some());
        }
        self.collected.extend_from_slice(&bytes[..len]);
        if end.is_some() { Piece::Collected(len) } else { Piece::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_replies_come_whole_and_long_ones_in_pieces() {
        let mut incoming = Incoming::default();
        assert_eq!(incoming.next(b"+OK\r\n:1\r\n"), Ok(Piece::Whole(5)));
        assert_eq!(incoming.next(b"$3\r\nab"), Ok(Piece::Nothing));
        assert_eq!(incoming.next(b"c\r\n+OK\r\n"), Ok(Piece::Collected(3)));
        assert_eq!(std::mem::take(&mut incoming.collected), b"$3\r\nabc\r\n");
        assert_eq!(incoming.next(b"$20000\r\n"), Ok(Piece::Nothing));
        assert_eq!(incoming.next(&[b'x'; 19_000]), Ok(Piece::Long(19_000, false)));
        assert_eq!(std::mem::take(&mut incoming.collected), b"$20000\r\n");
        assert_eq!(incoming.next(&[b'x'; 500]), Ok(Piece::Long(500, false)));
        let rest = [&[b'x'; 500][..], b"\r\n+OK\r\n"].concat();
        assert_eq!(incoming.next(&rest), Ok(Piece::Long(502, true)));
        assert_eq!(incoming.next(b"+OK\r\n"), Ok(Piece::Whole(5)));
    }
}
