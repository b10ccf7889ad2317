//! A client of the proxy: what has come from it, what it waits for, and what it is.

use super::outgoing::Outgoing;
use super::replies::Replies;
use super::session::Session;
use crate::net::{OutputBuffer, Peer, Token};
use crate::resp::{Output, Protocol, RequestParser};

/// Requests of one client that nodes may be working on at a time.
pub(super) const IN_FLIGHT_MAX: usize = 1024;
/// Bytes that a client has not read, from which on no more of its requests are sent to nodes.
pub(super) const UNREAD_MAX: usize = 1 << 20;

/// Why a client's requests are not run for now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Hold {
    /// They are.
    #[default]
    No,
    /// The next one needs the replies of all before it.
    UntilAnswered,
    /// A link has too much to do.
    Link,
    /// A blocking command waits.
    Blocked,
}

/// Whether the replies of a client are sent to it: `CLIENT REPLY`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReplyMode {
    /// They are.
    #[default]
    On,
    /// They are not.
    Off,
    /// That of the next request is not; this one's is none.
    SkipNext,
    /// That of this request is not.
    Skip,
}

/// One client.
pub struct Client {
    /// Number, never used again.
    pub id: u64,
    /// Its connection.
    pub token: Token,
    /// Both ends of the connection.
    pub peer: Peer,
    /// What has come and was not run.
    pub query: Vec<u8>,
    /// How far the request at its front was read.
    pub parser: RequestParser,
    /// What it is to be sent.
    pub outgoing: Outgoing,
    /// What it waits for.
    pub replies: Replies,
    /// What it speaks, whatever is spoken with the nodes.
    pub protocol: Protocol,
    /// Database.
    pub db: usize,
    /// Has said who it is, or need not.
    pub authenticated: bool,
    /// `CLIENT SETNAME`.
    pub name: Vec<u8>,
    /// `CLIENT SETINFO lib-name`.
    pub library: Vec<u8>,
    /// `CLIENT SETINFO lib-ver`.
    pub library_version: Vec<u8>,
    /// `CLIENT REPLY`.
    pub reply_mode: ReplyMode,
    /// Why its requests are not run for now.
    pub hold: Hold,
    /// What makes it more than a sender of single requests: a transaction, watched keys, a link of its own,
    /// subscriptions.
    pub session: Option<Box<Session>>,
    /// Is being closed: nothing more is run or sent.
    pub closing: bool,
    /// Is to be closed when all its replies have left.
    pub leaving: bool,
    /// When it connected, on the monotonic clock.
    pub created_us: u64,
    /// When it last sent something.
    pub last_interaction_us: u64,
    /// The full name of its last command.
    pub last_command: Option<crate::commands::CommandId>,
    /// Requests run.
    pub requests: u64,
    /// Links that nothing is read from until it has read more.
    pub(super) paused_links: Vec<u32>,
    /// Is named in the turn's list of those to write to.
    pub(super) write_pending: bool,
    /// Is in the list of those whose requests go on.
    pub(super) go_on_pending: bool,
    /// Nothing is read from its connection for now.
    pub(super) read_paused: bool,
}

impl Client {
    pub(super) fn new(
        id: u64,
        token: Token,
        peer: Peer,
        now_us: u64,
        authenticated: bool,
    ) -> Client {
        Client {
            id,
            token,
            peer,
            query: Vec::new(),
            parser: RequestParser::new(),
            outgoing: Outgoing::Replies(Output::new()),
            replies: Replies::default(),
            protocol: Protocol::Resp2,
            db: 0,
            authenticated,
            name: Vec::new(),
            library: Vec::new(),
            library_version: Vec::new(),
            reply_mode: ReplyMode::On,
            hold: Hold::No,
            session: None,
            closing: false,
            leaving: false,
            created_us: now_us,
            last_interaction_us: now_us,
            last_command: None,
            requests: 0,
            paused_links: Vec::new(),
            write_pending: false,
            go_on_pending: false,
            read_paused: false,
        }
    }

    /// Whether its next request may run.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.hold == Hold::No
            && !self.closing
            && !self.leaving
            && self.replies.len() < IN_FLIGHT_MAX
            && self.unread_bytes() < UNREAD_MAX
    }

    /// Whether requests that had to wait may go on: later than one by one, so that they go on many at a time.
    pub(super) fn may_go_on(&self) -> bool {
        self.is_ready() && self.replies.len() <= IN_FLIGHT_MAX / 2
    }

    /// Whether a request is forwarded or answered without a look at anything but the request.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.session.is_none() && self.authenticated && self.reply_mode == ReplyMode::On
    }

    /// Bytes of replies that it has not read, or that wait for their turn.
    #[inline]
    pub fn unread_bytes(&self) -> usize {
        self.outgoing.len() + self.replies.early_bytes()
    }

    /// The connection as it was when it was made (`RESET`).
    pub(super) fn reset(&mut self, authenticated: bool) {
        self.protocol = Protocol::Resp2;
        self.db = 0;
        self.authenticated = authenticated;
        self.name.clear();
        self.reply_mode = ReplyMode::On;
    }
}
