//! One connection: its socket, and what the loop knows about the socket's readiness and its end. The bytes in between
//! (query buffer, output) belong to the service.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use super::service::{Disconnect, OutputBuffer};

/// Most bytes one connection is sent in one turn, so that a 10 MB reply does not hold up the others.
pub(super) const WRITE_BYTES_PER_TURN: usize = 256 * 1024;

/// Pieces of output per `writev`.
const SLICES_PER_WRITE: usize = 64;
/// Output of so few bytes is mostly one piece: not worth filling a long list.
const FEW_BYTES: usize = 4096;

/// A connected socket.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// How a write attempt went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Written {
    pub bytes: usize,
    /// The socket took less than offered: it is full, and an edge will tell when it is not.
    pub blocked: bool,
    /// There may be more that can leave; only the budget ended this write.
    pub more: bool,
}

impl Stream {
    /// One read. Zero bytes: the peer has closed its side.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }

    /// One `send`, or `writev` if there is more than one piece.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Stream::Tcp(stream), [slice]) => stream.write(slice),
            (Stream::Tcp(stream), slices) => stream.write_vectored(slices),
            (Stream::Unix(stream), [slice]) => stream.write(slice),
            (Stream::Unix(stream), slices) => stream.write_vectored(slices),
        }
    }

    /// Writes what may leave of `output`, once and within the budget, and consumes what the socket took.
    #[inline]
    pub fn write_output(&mut self, output: &mut impl OutputBuffer) -> io::Result<Written> {
        if output.len() <= FEW_BYTES {
            self.write_pieces::<2>(output)
        } else {
            self.write_pieces::<SLICES_PER_WRITE>(output)
        }
    }

    fn write_pieces<const PIECES: usize>(
        &mut self,
        output: &mut impl OutputBuffer,
    ) -> io::Result<Written> {
        let mut slices = [IoSlice::new(&[]); PIECES];
        let used = output.slices(&mut slices, WRITE_BYTES_PER_TURN);
        let slices = &slices[..used];
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        if offered == 0 {
            return Ok(Written::default());
        }
        let bytes = match self.write(slices) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Written { bytes: 0, blocked: false, more: true });
            }
            Err(error) => return Err(error),
        };
        let blocked = bytes < offered;
        let more = !blocked && (used == PIECES || offered >= WRITE_BYTES_PER_TURN);
        output.consume(bytes);
        Ok(Written { bytes, blocked, more })
    }

    /// Ends `TCP_NODELAY`: what is small waits until what was sent before has arrived, or for more.
    pub fn gather_packets(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_nodelay(false),
            Stream::Unix(_) => Ok(()),
        }
    }

    /// Sends FIN after what is still in the kernel's send queue.
    pub fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// The error the socket has met outside of a call, if there is one. Taking clears it.
    pub fn take_error(&self) -> Option<io::Error> {
        match self {
            Stream::Tcp(stream) => stream.take_error(),
            Stream::Unix(stream) => stream.take_error(),
        }
        .unwrap_or_else(Some)
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
        }
    }
}

impl Source for Stream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.source().register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.source().reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }
}

/// Where a connection is on its way to the end. Only ever moves down this list.
#[derive(Debug)]
pub(super) enum Phase {
    /// We have asked for the connection; the kernel has not said yet what came of it.
    Connecting,
    /// Reading and writing.
    Open,
    /// The peer has sent its last byte but is owed replies: writing only.
    PeerFinished,
    /// The service wants it closed once the output has left: writing only, what comes in is not looked at.
    Flushing,
    /// Closes at the end of this turn; nothing more is read or written.
    Doomed {
        why: Disconnect,
        /// The peer may still be sending, and shall read our last bytes all the same.
        linger: bool,
    },
}

/// A connection of the table.
pub(super) struct Connection {
    pub stream: Stream,
    /// Tells this connection's events from those of an earlier one with the same token.
    pub generation: u32,
    pub phase: Phase,
    /// Is in the list of those to read from.
    pub read_queued: bool,
    /// Is in the list of those to write to.
    pub write_queued: bool,
    /// The socket is full: do not try before the WRITABLE edge.
    pub write_blocked: bool,
    /// The service wants nothing more for now.
    pub read_paused: bool,
    /// The kernel has reported the end (FIN or an error), and will not again: read on, even after a short read.
    pub end_in_sight: bool,
}

impl Connection {
    pub fn new(stream: Stream, generation: u32) -> Connection {
        Connection {
            stream,
            generation,
            phase: Phase::Open,
            read_queued: false,
            write_queued: false,
            write_blocked: false,
            read_paused: false,
            end_in_sight: false,
        }
    }
}
