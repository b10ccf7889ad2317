//! The loop: one `Poll`, one turn after the other, everything bounded. Says when things happen; what happens to the bytes is
//! the [`Service`]'s business. The accept phase is in `accept.rs`.
//!
//! The order within a turn is the design: replies leave after the service has handed their writes to the log, and
//! connections close last, so no token changes hands while its events are still queued.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Poll};

use super::accept::AcceptPause;
use super::clock::{LoopClock, monotonic_us};
use super::connection::Phase;
use super::lingering::Lingering;
use super::listener::{ListenConfig, ListenError, Listeners};
use super::service::{Actions, Close, Disconnect, LoopStats, OutputBuffer, Service, Token};
use super::signals::Signals;
use super::table::{Origin, Table};
use super::waker::Waker;
use crate::clock::Now;

/// Events taken per turn; the kernel keeps the others in order.
const EVENTS_PER_TURN: usize = 1024;
/// Most bytes one connection is read in one turn: some hundred small commands.
const READ_BYTES_PER_TURN: usize = 32 * 1024;
/// After this time a phase leaves the clients that are still on its list for the next turn: the replies of the first do
/// not wait for the commands of the last.
const PHASE_US: u64 = 1_000;
/// How many bytes a phase moves between two looks at the clock,
const BYTES_PER_CLOCK_READ: usize = 16 * 1024;
/// when each client counts as so many more.
const BYTES_PER_CLIENT: usize = 1024;
/// A wait that ends so much after its timeout was held up by something: the process was stopped, or the machine was.
const LATE_US: u64 = 100_000;
/// How long the process waits at its exit for peers to take what they are still to be sent.
const FLUSH_AT_EXIT_US: u64 = 2_000_000;
/// How long the process waits at its exit for peers to close, so that they have read their last reply.
const LINGER_AT_EXIT_US: u64 = 200_000;

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The event loop. One per thread; the process needs one.
pub struct EventLoop {
    pub(super) poll: Poll,
    events: Events,
    pub(super) table: Table,
    pub(super) lingering: Lingering,
    pub(super) listeners: Listeners,
    pub(super) accept_pause: AcceptPause,
    signals: Signals,
    clock: LoopClock,
    waker: Waker,
    pub(super) stats: LoopStats,
    /// Start of this turn.
    pub(super) now: Now,
    /// End of the last turn, on the monotonic clock.
    turn_ended_us: u64,
    /// When the service's next timer is due, on the monotonic clock.
    pub(super) timer_due_us: Option<u64>,
    /// The last turn was late and left the timers for this one.
    timers_put_off: bool,
    actions: Actions,
    /// What is read, on its way to the service. One for all connections.
    buffer: Box<[u8]>,
    /// The list a phase is working on: its allocation is kept.
    batch: Vec<Token>,
}

impl EventLoop {
    /// Listens, and from now on catches SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGXFSZ.
    pub fn new(listen: &ListenConfig) -> Result<EventLoop, ListenError> {
        let poll = Poll::new().map_err(ListenError::EventLoop)?;
        let signals = Signals::new(poll.registry(), Origin::Signals.encode())
            .map_err(ListenError::EventLoop)?;
        let waker = mio::Waker::new(poll.registry(), Origin::Waker.encode())
            .map_err(ListenError::EventLoop)?;
        let mut listeners = Listeners::default();
        listeners.listen(poll.registry(), listen)?;
        if listeners.sockets.is_empty() {
            return Err(ListenError::Nowhere);
        }
        let mut clock = LoopClock::default();
        let now = clock.now();
        Ok(EventLoop {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            table: Table::default(),
            lingering: Lingering::default(),
            listeners,
            accept_pause: AcceptPause::default(),
            signals,
            clock,
            waker: Waker(Arc::new(waker)),
            stats: LoopStats::default(),
            now,
            turn_ended_us: now.monotonic_us,
            timer_due_us: Some(0),
            timers_put_off: false,
            actions: Actions::default(),
            buffer: vec![0; READ_BYTES_PER_TURN].into_boxed_slice(),
            batch: Vec::new(),
        })
    }

    /// For other threads, to have the loop take a turn.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// The TCP addresses it listens on, with the ports the kernel chose.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.local_addresses()
    }

    /// Turns until the service wants to exit; returns its exit code. An error means that the poll itself is broken.
    pub fn run(&mut self, service: &mut impl Service) -> io::Result<i32> {
        loop {
            if let Some(code) = self.turn(service)? {
                self.finish_flushing(service)?;
                self.finish_lingering()?;
                return Ok(code);
            }
        }
    }

    /// One turn: waits for the first event, then does a bounded amount of everything that is ready. Returns the exit code
    /// if the service gave one.
    pub fn turn(&mut self, service: &mut impl Service) -> io::Result<Option<i32>> {
        let timeout = self.timeout();
        self.wait(timeout)?;
        self.now = self.clock.now();
        let is_late = self.is_late(timeout);
        self.stats.turns += 1;
        service.begin_turn(self.now, &self.stats);
        if self.note_events() {
            self.signals.pending().for_each(|signal| service.signal(signal));
        }
        self.finish_connecting(service);
        self.accept_ready_clients(service);
        self.read_ready_clients(service);
        self.run_timers(service, is_late);
        self.end_turn(service); // the turn's writes are in the log's hands: what depends on it stays behind its gate
        self.write_pending_clients(service);
        self.close_doomed_clients(service); // last, so no token is reused while its events are still queued
        self.turn_ended_us = monotonic_us();
        self.stats.last_turn_us = self.turn_ended_us.saturating_sub(self.now.monotonic_us);
        Ok(self.actions.exit.take())
    }

    /// How long the next poll may block: not at all while something was left over.
    fn timeout(&self) -> Option<Duration> {
        let can_accept = self.listeners.has_work() && !self.accept_pause.is_paused();
        if self.table.has_work() || self.lingering.has_work() || can_accept {
            return Some(Duration::ZERO);
        }
        let deadlines =
            [self.timer_due_us, self.lingering.next_deadline_us(), self.accept_pause.until_us()];
        let next_us = deadlines.into_iter().flatten().min()?;
        Some(Duration::from_micros(next_us.saturating_sub(self.turn_ended_us)))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            // A signal: a turn without events does no harm, and the timeout is computed afresh.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// Turns events into entries of the ready lists. Returns whether there are signals to report.
    fn note_events(&mut self) -> bool {
        let mut has_signals = false;
        for event in &self.events {
            match Origin::decode(event.token()) {
                Origin::Client { token, generation } => {
                    self.table.note_event(token, generation, event)
                }
                Origin::Listener(id) => self.listeners.note_event(id),
                Origin::Lingering(id) => self.lingering.note_event(id),
                Origin::Signals => has_signals = true,
                Origin::Waker => {} // the turn is what was asked for
            }
        }
        has_signals
    }

    /// Whether the turn began much later than it was to.
    fn is_late(&self, timeout: Option<Duration>) -> bool {
        let waited_us = self.now.monotonic_us.saturating_sub(self.turn_ended_us);
        timeout.is_some_and(|timeout| waited_us > micros(timeout).saturating_add(LATE_US))
    }

    /// A late turn knows only some of what has come in meanwhile. It leaves the timers for the next one, which knows all,
    /// so that nobody is taken for idle whose request is waiting.
    fn run_timers(&mut self, service: &mut impl Service, is_late: bool) {
        self.timers_put_off = is_late && !self.timers_put_off;
        if self.timers_put_off {
            self.timer_due_us = Some(0);
            return;
        }
        let due_in = service.run_timers();
        self.timer_due_us =
            due_in.map(|duration| self.now.monotonic_us.saturating_add(micros(duration)));
    }

    /// Reads once from everyone on the list, as long as there is time; who may have more goes back on it.
    fn read_ready_clients(&mut self, service: &mut impl Service) {
        std::mem::swap(&mut self.table.readable, &mut self.batch);
        let (mut served, mut phase) = (0, PhaseClock::default());
        while served < self.batch.len() && !phase.is_over() {
            let bytes_before = self.stats.bytes_read;
            self.read_client(self.batch[served], service);
            phase.served_client(self.stats.bytes_read - bytes_before);
            served += 1;
        }
        put_back_rest(&mut self.batch, served, &mut self.table.readable);
        if !self.lingering.is_empty()
            && self.lingering.discard(&mut self.buffer, self.now.monotonic_us)
        {
            self.accept_pause.end();
        }
    }

    fn read_client(&mut self, token: Token, service: &mut impl Service) {
        let Some(connection) = self.table.get_mut(token) else { return };
        connection.read_queued = false;
        if !matches!(connection.phase, Phase::Open) || connection.read_paused {
            return;
        }
        self.stats.reads += 1;
        match connection.stream.read(&mut self.buffer) {
            Ok(0) => self.peer_finished(token, service),
            Ok(bytes) => {
                let may_have_more = bytes == self.buffer.len() || connection.end_in_sight;
                self.stats.bytes_read += bytes as u64;
                service.received(token, &self.buffer[..bytes]);
                if may_have_more {
                    self.table.want_read(token);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                connection.end_in_sight = false
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.table.want_read(token),
            Err(error) => self.table.doom(token, Disconnect::Failed(error), false),
        }
    }

    /// The peer has sent its last byte. `printf 'GET k\r\n' | nc -N host 6379` still wants its reply.
    fn peer_finished(&mut self, token: Token, service: &mut impl Service) {
        if !service.owes_reply(token) {
            return self.table.doom(token, Disconnect::PeerClosed, false);
        }
        if let Some(connection) = self.table.get_mut(token) {
            connection.phase = Phase::PeerFinished;
        }
        self.table.want_write(token);
    }

    fn end_turn(&mut self, service: &mut impl Service) {
        service.end_turn(&mut self.actions);
        for token in self.actions.write.drain(..) {
            self.table.want_write(token);
        }
        for (token, close) in self.actions.close.drain(..) {
            match close {
                Close::Now => self.table.doom(token, Disconnect::Requested, false),
                Close::AfterWrite => self.table.flush_and_close(token),
            }
        }
        for token in self.actions.pause_reading.drain(..) {
            self.table.pause_reading(token, true);
        }
        for token in self.actions.resume_reading.drain(..) {
            self.table.pause_reading(token, false);
        }
        for token in self.actions.gather_packets.drain(..) {
            if let Some(connection) = self.table.get_mut(token) {
                let _ = connection.stream.gather_packets(); // else they leave as before
            }
        }
        for connect in std::mem::take(&mut self.actions.connect) {
            self.connect(&connect, service);
        }
        if let Some(config) = self.actions.listen.take() {
            let result = self.listeners.listen(self.poll.registry(), &config);
            service.listen_result(result.map_err(|error| error.to_string()));
            self.timer_due_us = Some(0); // a client may be waiting for the answer: it leaves with the next `end_turn`
        }
        if std::mem::take(&mut self.actions.stop_accepting) {
            self.listeners.close();
        }
    }

    /// Writes once to everyone on the list, as long as there is time; whose budget was used up goes back on it.
    fn write_pending_clients(&mut self, service: &mut impl Service) {
        std::mem::swap(&mut self.table.writable, &mut self.batch);
        let (mut served, mut phase) = (0, PhaseClock::default());
        while served < self.batch.len() && !phase.is_over() {
            let bytes_before = self.stats.bytes_written;
            self.write_client(self.batch[served], service);
            phase.served_client(self.stats.bytes_written - bytes_before);
            served += 1;
        }
        put_back_rest(&mut self.batch, served, &mut self.table.writable);
    }

    fn write_client(&mut self, token: Token, service: &mut impl Service) {
        let Some(connection) = self.table.get_mut(token) else { return };
        connection.write_queued = false;
        let stays_open = matches!(connection.phase, Phase::Open);
        if matches!(connection.phase, Phase::Doomed { .. }) {
            return;
        }
        let mut is_empty = true;
        if let Some(output) = service.output(token) {
            match connection.stream.write_output(output) {
                Ok(written) => {
                    is_empty = output.is_empty();
                    connection.write_blocked = written.blocked;
                    self.stats.writes += u64::from(written.bytes > 0);
                    self.stats.bytes_written += written.bytes as u64;
                    if written.bytes > 0 {
                        service.written(token, written.bytes);
                    }
                    if written.more {
                        self.table.want_write(token);
                    }
                }
                Err(error) => return self.table.doom(token, Disconnect::Failed(error), false),
            }
        }
        if !stays_open {
            self.finish_if_flushed(token, is_empty, service);
        }
    }

    /// Dooms a connection that was only waiting for its output to leave.
    fn finish_if_flushed(&mut self, token: Token, is_empty: bool, service: &mut impl Service) {
        match self.table.get_mut(token).map(|connection| &connection.phase) {
            Some(Phase::Flushing) if is_empty => {
                self.table.doom(token, Disconnect::Requested, true)
            }
            Some(Phase::PeerFinished) if !service.owes_reply(token) => {
                self.table.doom(token, Disconnect::PeerClosed, false);
            }
            _ => {}
        }
    }

    fn close_doomed_clients(&mut self, service: &mut impl Service) {
        if self.table.doomed.is_empty() {
            return;
        }
        std::mem::swap(&mut self.table.doomed, &mut self.batch);
        for index in 0..self.batch.len() {
            let token = self.batch[index];
            let Some(mut connection) = self.table.remove(token) else { continue };
            let Phase::Doomed { why, linger } = connection.phase else {
                unreachable!("only doomed connections are on this list");
            };
            if linger && connection.stream.deregister(self.poll.registry()).is_ok() {
                self.lingering.add(self.poll.registry(), connection.stream, self.now.monotonic_us);
            }
            self.stats.disconnected += 1;
            service.disconnected(token, why);
        }
        self.batch.clear();
        self.accept_pause.end(); // there are file descriptors again
        self.timer_due_us = Some(0); // what the service did about it may need an `end_turn`: do not wait
    }

    /// Sends the rest to connections that are closed after it, as long as their peers read.
    fn finish_flushing(&mut self, service: &mut impl Service) -> io::Result<()> {
        let deadline_us = monotonic_us().saturating_add(FLUSH_AT_EXIT_US);
        loop {
            let now_us = monotonic_us();
            if !self.table.is_flushing() || now_us >= deadline_us {
                return Ok(());
            }
            let can_go_on = !self.table.writable.is_empty() || self.lingering.has_work();
            let left_us = if can_go_on { 0 } else { deadline_us - now_us };
            self.wait(Some(Duration::from_micros(left_us)))?;
            self.note_events();
            self.write_pending_clients(service);
            self.close_doomed_clients(service);
            self.lingering.discard(&mut self.buffer, now_us);
        }
    }

    /// Gives peers the time to read their last reply before the process ends and the kernel resets what is open.
    fn finish_lingering(&mut self) -> io::Result<()> {
        let deadline_us = monotonic_us().saturating_add(LINGER_AT_EXIT_US);
        loop {
            let now_us = monotonic_us();
            if self.lingering.is_empty() || now_us >= deadline_us {
                return Ok(());
            }
            let all_read = !self.lingering.has_work();
            let left_us = if all_read { deadline_us - now_us } else { 0 };
            self.wait(Some(Duration::from_micros(left_us)))?;
            self.note_events();
            self.lingering.discard(&mut self.buffer, now_us);
        }
    }
}

/// Tells a phase when to stop. A short one never looks at the clock.
#[derive(Default)]
struct PhaseClock {
    /// Bytes moved since the last look, and what stands for the clients.
    bytes: usize,
    deadline_us: Option<u64>,
}

impl PhaseClock {
    /// A client was served, to whom or from whom so many bytes went.
    #[inline]
    fn served_client(&mut self, bytes: u64) {
        self.bytes += bytes as usize + BYTES_PER_CLIENT;
    }

    /// Whether the time is up. It runs from the first look.
    #[inline]
    fn is_over(&mut self) -> bool {
        if self.bytes < BYTES_PER_CLOCK_READ {
            return false;
        }
        self.bytes = 0;
        let now_us = monotonic_us();
        now_us >= *self.deadline_us.get_or_insert(now_us.saturating_add(PHASE_US))
    }
}

/// Ends a phase that served the first `served` of `batch`: the rest goes before those that have joined `list` meanwhile.
pub(super) fn put_back_rest(batch: &mut Vec<Token>, served: usize, list: &mut Vec<Token>) {
    if served < batch.len() {
        batch.drain(..served);
        batch.append(list);
        std::mem::swap(batch, list);
    }
    batch.clear();
}
