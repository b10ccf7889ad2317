//! The seam between the loop and what it serves: the server's core, or the proxy. No socket and no mio type crosses it,
//! so a test can drive a [`Service`] with bytes and a clock of its own.

use std::io::{self, IoSlice};
use std::time::Duration;

use super::connect::Connect;
use super::listener::ListenConfig;
use super::signals::Signal;
use crate::clock::Now;

/// A connection, as an index the service chose in [`Service::connected`] or [`Actions::connect`]: small numbers, because the loop keeps an array.
/// Taken from then until [`Service::disconnected`] returns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Token(pub u32);

/// The two ends of a new connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The client's end, as `CLIENT LIST` shows it: `127.0.0.1:1234`, `[::1]:1234`, `/path/of/socket:0`.
    pub address: String,
    /// Our end, in the same form.
    pub local_address: String,
    /// File descriptor, for `CLIENT LIST` only.
    pub fd: i32,
    /// Connected through the unix socket.
    pub is_unix: bool,
    /// On this machine: through the unix socket or a loopback address. What protected mode lets in.
    pub is_loopback: bool,
}

impl Peer {
    /// No connection: for commands that nobody sent.
    pub fn none() -> Self {
        Self {
            address: String::new(),
            local_address: String::new(),
            fd: -1,
            is_unix: false,
            is_loopback: true,
        }
    }
}

/// Why a connection ended.
#[derive(Debug)]
pub enum Disconnect {
    /// The peer closed its side, and has been sent what it was owed.
    PeerClosed,
    /// The socket failed (`ECONNRESET`, `EPIPE`, `ETIMEDOUT`, ...): every day's work, not worth a warning.
    Failed(io::Error),
    /// The service asked for it with [`Actions::close`].
    Requested,
}

/// How to end a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Close {
    /// At the end of this turn, whatever is still queued.
    Now,
    /// When the output has left. Nothing more is received. The peer can read all of it even if it is still sending. How
    /// long to wait for one that does not read is the service's decision: `Now` may follow.
    AfterWrite,
}

/// What the service wants from the loop; handed to [`Service::end_turn`] empty.
#[derive(Debug, Default)]
pub struct Actions {
    /// Connections whose output got something that may leave. Twice is as good as once. A connection whose socket was
    /// full needs no second mention: the loop goes on by itself when there is room.
    pub write: Vec<Token>,
    /// Connections to end.
    pub close: Vec<(Token, Close)>,
    /// Connections to make. Each is answered by [`Service::established`] or [`Service::disconnected`], sooner or later: who
    /// does not want to wait any longer closes it.
    pub connect: Vec<Connect>,
    /// Connections to read nothing more from: what they send stays in the kernel, and at last with the sender.
    pub pause_reading: Vec<Token>,
    /// Connections to read from again.
    pub resume_reading: Vec<Token>,
    /// Connections on which the kernel may gather small packets from now on: fewer of them, up to 40 ms later.
    pub gather_packets: Vec<Token>,
    /// Listen here from now on; the answer is [`Service::listen_result`]. Also how a new `tcp-keepalive` gets in.
    pub listen: Option<ListenConfig>,
    /// Close the listeners: from now on, connecting clients are refused by the kernel.
    pub stop_accepting: bool,
    /// Return this from [`EventLoop::run`](super::EventLoop::run) when the turn is over.
    pub exit: Option<i32>,
}

/// What the loop has done since it was made. `INFO` shows it; to reset a figure, subtract what it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoopStats {
    /// Turns begun.
    pub turns: u64,
    /// How long the previous turn took, without the wait for events. The longest is the service's to keep.
    pub last_turn_us: u64,
    /// Connections accepted, the rejected ones included.
    pub accepted: u64,
    /// Connections the service refused.
    pub rejected: u64,
    /// Calls to `accept` that failed.
    pub accept_errors: u64,
    /// Connections ended.
    pub disconnected: u64,
    /// Calls to `read`.
    pub reads: u64,
    /// Bytes read from clients.
    pub bytes_read: u64,
    /// Calls to `write`.
    pub writes: u64,
    /// Bytes written to clients.
    pub bytes_written: u64,
}

/// Bytes that wait to be sent to one connection.
pub trait OutputBuffer {
    /// Bytes queued, those that may not leave yet included. O(1).
    fn len(&self) -> usize;

    /// Whether nothing is queued. O(1).
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `out` from its start with the bytes that may leave now, in order, about `bytes_max` of them at most;
    /// returns how many entries it used. Bytes behind a gate are left out: the service names the connection in
    /// [`Actions::write`] again when the gate opens.
    fn slices<'a>(&'a self, out: &mut [IoSlice<'a>], bytes_max: usize) -> usize;

    /// Drops the first `bytes` bytes: they have been sent. At most what `slices` last gave.
    fn consume(&mut self, bytes: usize);
}

/// What an event loop drives. Calls come in the order of a turn: `begin_turn`; `signal`; `connected`, `established` and `received`;
/// `run_timers`; `end_turn`; `written`; `disconnected`. Nothing here may block.
pub trait Service {
    /// Where a connection's replies wait.
    type Output: OutputBuffer;

    /// A turn begins at `now`, the only time it will know.
    fn begin_turn(&mut self, now: Now, stats: &LoopStats);

    /// A client has connected: returns the token it shall have, or the bytes to send it (best effort) before the loop
    /// closes the connection. The token must be free.
    fn connected(&mut self, peer: Peer) -> Result<Token, Vec<u8>>;

    /// A connection from [`Actions::connect`] is made. What its output holds already leaves in this turn.
    fn established(&mut self, _token: Token, _peer: Peer) {}

    /// `bytes` came in, never empty. Parse and execute; replies only fill the output, and the token goes into
    /// [`Actions::write`] at the end of the turn.
    fn received(&mut self, token: Token, bytes: &[u8]);

    /// Whether a peer that has closed its sending side still waits for something: it is kept until this is false.
    /// Asked when it closes and after every write attempt. A service that answers later than it receives says so here.
    fn owes_reply(&mut self, token: Token) -> bool {
        self.output(token).is_some_and(|output| !output.is_empty())
    }

    /// The connection is gone: forget it. Called once for every connection that was given a token, however it ended, at
    /// the end of a turn, after which the token is free.
    fn disconnected(&mut self, token: Token, why: Disconnect);

    /// The output of a connection.
    fn output(&mut self, token: Token) -> Option<&mut Self::Output>;

    /// `bytes` bytes of the output have just left; they are consumed already.
    fn written(&mut self, token: Token, bytes: usize);

    /// A signal arrived. Several of one kind between two turns count as one.
    fn signal(&mut self, signal: Signal);

    /// How [`Actions::listen`] went. On an error the loop listens where it did before.
    fn listen_result(&mut self, result: Result<(), String>);

    /// Something the operator should read in the log, at most once a second: no file descriptor left to accept with, an
    /// optional address that could not be bound.
    fn warn(&mut self, text: &str);

    /// Runs the timers that are due; returns the time until the next one. Zero: there is work left over, do not wait.
    fn run_timers(&mut self) -> Option<Duration>;

    /// The turn's commands have run, its replies have not left: the place to hand its writes to the log.
    fn end_turn(&mut self, actions: &mut Actions);
}
