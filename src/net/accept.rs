//! The accept phase of a turn, and what to do when the system has no file descriptor left: an edge-triggered listener
//! reports a waiting connection once, so whoever gives up has to come back by itself, but not in a busy loop.

use std::io;

use rustix::io::Errno;

use super::connection::Stream;
use super::event_loop::EventLoop;
use super::service::{Disconnect, Service};

/// Connections accepted per listener and turn; one costs some 20 us.
const ACCEPTS_PER_TURN: usize = 64;
/// Failed accepts per listener and turn. A failure may leave the connection in the queue (EPERM from a security module),
/// so going on for ever would spin.
const ACCEPT_ERRORS_PER_TURN: usize = 16;
/// The pause after a failure that will not go away by trying again at once.
const ACCEPT_RETRY_US: u64 = 100_000;
/// At most one warning in this time.
const WARNING_INTERVAL_US: u64 = 1_000_000;

/// Whether accepting is suspended, and when it was last complained about.
#[derive(Default)]
pub(super) struct AcceptPause {
    until_us: Option<u64>,
    next_warning_us: u64,
}

impl AcceptPause {
    pub fn is_paused(&self) -> bool {
        self.until_us.is_some()
    }

    /// When to try again, on the monotonic clock.
    pub fn until_us(&self) -> Option<u64> {
        self.until_us
    }

    /// Tries again in the next turn: the reason for the pause may be gone.
    pub fn end(&mut self) {
        self.until_us = None;
    }

    /// Whether a warning may be written now.
    fn may_warn(&mut self, now_us: u64) -> bool {
        let may = now_us >= self.next_warning_us;
        if may {
            self.next_warning_us = now_us.saturating_add(WARNING_INTERVAL_US);
        }
        may
    }
}

/// How one listener's share of the phase ended.
enum Accepted {
    /// The queue is empty; an edge will tell when it is not.
    Drained,
    /// The budget is used up.
    MayHaveMore,
    /// No use in trying before something changes.
    Stuck,
}

impl EventLoop {
    /// Accepts from the listeners that have somebody waiting.
    pub(super) fn accept_ready_clients(&mut self, service: &mut impl Service) {
        for warning in self.listeners.warnings.drain(..) {
            service.warn(&warning);
        }
        if self.accept_pause.until_us.is_some_and(|until_us| self.now.monotonic_us < until_us) {
            return;
        }
        self.accept_pause.end();
        for index in 0..self.listeners.sockets.len() {
            if !self.listeners.sockets[index].ready {
                continue;
            }
            match self.accept_from(index, service) {
                Accepted::Drained => self.listeners.sockets[index].ready = false,
                Accepted::MayHaveMore => {}
                Accepted::Stuck => {
                    let retry_us = self.now.monotonic_us.saturating_add(ACCEPT_RETRY_US);
                    self.accept_pause.until_us = Some(retry_us);
                }
            }
        }
    }

    fn accept_from(&mut self, index: usize, service: &mut impl Service) -> Accepted {
        let mut errors = 0;
        for _ in 0..ACCEPTS_PER_TURN {
            let error = match self.accept_one(index, service) {
                Ok(()) => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Accepted::Drained;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            self.stats.accept_errors += 1;
            errors += 1;
            if self.accept_pause.may_warn(self.now.monotonic_us) {
                service.warn(&format!(
                    "Accepting client connection: accept: {}",
                    super::os_text(&error)
                ));
            }
            if is_exhausted(&error) && !self.lingering.is_empty() {
                self.lingering.clear(); // the file descriptors nobody will miss
            } else if is_exhausted(&error) || errors == ACCEPT_ERRORS_PER_TURN {
                return Accepted::Stuck;
            }
        }
        Accepted::MayHaveMore
    }

    /// Accepts one connection and introduces it to the service.
    fn accept_one(&mut self, index: usize, service: &mut impl Service) -> io::Result<()> {
        let (stream, peer) = self.listeners.sockets[index].accept()?;
        self.stats.accepted += 1;
        match service.connected(peer) {
            Ok(token) => {
                let registered = self.table.insert(self.poll.registry(), token, stream);
                registered.inspect_err(|error| {
                    // It never was in the table, so nobody else will say so.
                    service.disconnected(token, Disconnect::Failed(error.kind().into()));
                })
            }
            Err(reply) => {
                self.reject(stream, &reply);
                Ok(())
            }
        }
    }

    /// Sends the reason, as far as it goes, and closes.
    fn reject(&mut self, mut stream: Stream, reply: &[u8]) {
        self.stats.rejected += 1;
        if !reply.is_empty() && stream.write(&[io::IoSlice::new(reply)]).is_ok() {
            self.lingering.add(self.poll.registry(), stream, self.now.monotonic_us);
        }
    }
}

/// Whether the process or the system has run out of something, so that the next `accept` would fail as well.
fn is_exhausted(error: &io::Error) -> bool {
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::NOSPC];
    Errno::from_io_error(error).is_some_and(|errno| exhausted.contains(&errno))
}
