//! Sockets that have sent their last byte. A `close` with unread input in the kernel, or input that arrives later, answers
//! with RST, and the peer's kernel may then throw away an error reply it has not read yet. So we send FIN, read and throw
//! away what still comes, and close when the peer has. (Apache and nginx call it "lingering close".)
//!
//! It is a courtesy, so it is bounded: in time, in bytes and in sockets, and it ends when file descriptors get scarce.

use std::collections::VecDeque;
use std::io;

use mio::{Interest, Registry};

use super::connection::Stream;
use super::table::Origin;

/// How long a peer may take to close.
const LINGER_US: u64 = 2_000_000;
/// How much it may still send: more than fits into both kernels' buffers.
const LINGER_BYTES: usize = 16 << 20;
/// How many sockets; further ones are closed at once.
const LINGERING_MAX: usize = 128;

struct Linger {
    id: u32,
    stream: Stream,
    deadline_us: u64,
    discarded_bytes: usize,
    ready: bool,
}

/// The sockets waiting for their peers to close, oldest first.
#[derive(Default)]
pub(super) struct Lingering {
    sockets: VecDeque<Linger>,
    last_id: u32,
}

impl Lingering {
    /// Ends the connection for writing and keeps it for its peer; `stream` must not be registered.
    pub fn add(&mut self, registry: &Registry, mut stream: Stream, now_us: u64) {
        if self.sockets.len() >= LINGERING_MAX || stream.shutdown_write().is_err() {
            return;
        }
        self.last_id = self.last_id.wrapping_add(1);
        let id = self.last_id;
        if registry
            .register(&mut stream, Origin::Lingering(id).encode(), Interest::READABLE)
            .is_ok()
        {
            let deadline_us = now_us.saturating_add(LINGER_US);
            self.sockets.push_back(Linger {
                id,
                stream,
                deadline_us,
                discarded_bytes: 0,
                ready: false,
            });
        }
    }

    /// A socket has input, or has ended.
    pub fn note_event(&mut self, id: u32) {
        if let Some(linger) = self.sockets.iter_mut().find(|linger| linger.id == id) {
            linger.ready = true;
        }
    }

    /// Throws away what has come in, one `buffer` per socket, and closes those that are done or out of time. Returns
    /// whether one was closed.
    pub fn discard(&mut self, buffer: &mut [u8], now_us: u64) -> bool {
        let before = self.sockets.len();
        self.sockets.retain_mut(|linger| {
            now_us < linger.deadline_us && (!linger.ready || linger.discard_once(buffer).is_ok())
        });
        self.sockets.len() < before
    }

    /// Closes all.
    pub fn clear(&mut self) {
        self.sockets.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Whether some socket was not read to its end.
    pub fn has_work(&self) -> bool {
        self.sockets.iter().any(|linger| linger.ready)
    }

    /// When the next one runs out of time, on the monotonic clock.
    pub fn next_deadline_us(&self) -> Option<u64> {
        self.sockets.front().map(|linger| linger.deadline_us)
    }
}

impl Linger {
    /// Reads once; an error means it is over.
    fn discard_once(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        match self.stream.read(buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            // No early stop at a short read: FIN may have come with it, and would not be reported again.
            Ok(bytes) => {
                self.discarded_bytes += bytes;
                if self.discarded_bytes > LINGER_BYTES {
                    Err(io::ErrorKind::QuotaExceeded.into())
                } else {
                    Ok(())
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.ready = false;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}
