//! The stream on its way to the replicas.
//!
//! What a turn has changed is appended to the backlog once, at its end, and a replica's output is filled from there, a
//! window at a time: who is behind costs no memory but that of the backlog. Nothing leaves before the log has it, so a
//! replica never has what this server could lose.
//!
//! A write to a replica's socket, and the replica's waking up, cost as much as all the rest of a small command. So what
//! follows soon after something was sent is gathered: a replica gets a write after a quiet millisecond at once, and under
//! load it gets one piece a millisecond. Whoever waits for acknowledgements waits for nothing more.

use std::collections::VecDeque;

use super::replica::{Phase, Replica};
use crate::net::Token;
use crate::resp::write_request;
use crate::server::State;

/// Bytes of the stream that a replica's output holds at most. More than the loop writes in a turn: so it is filled again
/// before it is empty.
const WINDOW_BYTES: usize = 512 << 10;
/// For so long after the stream was sent, what comes next is gathered,
const GATHER_US: u64 = 1_000;
/// unless there is so much of it.
const GATHER_BYTES: u64 = 32 << 10;

/// How far the stream may leave.
#[derive(Debug, Default)]
pub(super) struct StreamGate {
    /// Offset up to which the log has what the stream tells.
    open_to: u64,
    /// Offsets of the log, and what may leave when it has reached them.
    waiting: VecDeque<(u64, u64)>,
}

impl StreamGate {
    /// Offset up to which bytes may leave.
    pub fn open_to(&self) -> u64 {
        self.open_to
    }

    /// The stream has `end` bytes. `log`: how much was added to the log, and how far it has got; `None` if there is none.
    fn advance(&mut self, end: u64, log: Option<(u64, u64)>) {
        let Some((added, safe)) = log else {
            self.waiting.clear();
            self.open_to = end;
            return;
        };
        if self.waiting.back().map_or(self.open_to, |&(_, end)| end) < end {
            self.waiting.push_back((added, end));
        }
        while let Some(&(added, end)) = self.waiting.front()
            && added <= safe
        {
            self.open_to = end;
            self.waiting.pop_front();
        }
    }

    /// Another history is followed from `offset` on.
    pub fn reset(&mut self, offset: u64) {
        *self = Self { open_to: offset, waiting: VecDeque::new() };
    }
}

impl State {
    /// Whether effects are recorded depends on whether there is somebody who wants them.
    pub fn apply_effect_readers(&mut self) {
        self.effects.on = self.durability.loading.is_none() && self.has_effect_readers();
    }

    /// Whether effects go anywhere: into the log, or to replicas.
    pub(in crate::server) fn has_effect_readers(&self) -> bool {
        let is_fed = self.replication.backlog.is_some() && self.replication.is_master();
        self.durability.log.is_some() || is_fed
    }

    /// The effects of this server are a part of the stream. A replica passes on its master's bytes instead.
    pub(in crate::server) fn feed_effects(&mut self, effects: &[u8]) {
        if self.replication.backlog.is_some() && self.replication.is_master() {
            self.feed_replicas(effects);
        }
    }

    /// Bytes of the stream so far, with what this turn's commands have added to it.
    pub fn stream_offset(&self) -> u64 {
        let is_fed = self.replication.backlog.is_some() && self.replication.is_master();
        self.replication.history.offset + if is_fed { self.effects.len() as u64 } else { 0 }
    }

    /// A client's command has changed something: `WAIT` counts from here.
    #[inline]
    pub(in crate::server) fn note_write(&mut self, token: Token) {
        // What is written within EXEC gets its place in the stream with EXEC itself.
        if self.replication.backlog.is_some() && !self.in_exec {
            self.clients.get_mut(token).write_offset = self.stream_offset();
        }
    }

    /// Puts a command of the master's own into the stream, which no log gets: `PING`, `REPLCONF GETACK *`.
    pub(super) fn feed_command(&mut self, command: &[&[u8]]) {
        self.effects.settle();
        self.add_effects_to_log();
        let mut bytes = Vec::new();
        write_request(&mut bytes, command.iter().copied());
        self.feed_replicas(&bytes);
    }

    /// Asks all replicas to acknowledge, at the end of the turn.
    pub fn ask_for_acks(&mut self) {
        self.replication.acks_wanted = true;
    }

    /// At the end of a turn: what may leave goes to the replicas' outputs, and what nobody needs any more is forgotten.
    pub(in crate::server) fn send_stream(&mut self) {
        if self.replication.backlog.is_none() {
            return;
        }
        let now_us = self.now.monotonic_us;
        let mut is_due = now_us >= self.replication.gather_until_us;
        if std::mem::take(&mut self.replication.acks_wanted) && self.replication.is_master() {
            self.feed_command(&[b"REPLCONF", b"GETACK", b"*"]);
            is_due = true;
        }
        if !self.durability.is_over() {
            let log = self.durability.log.as_ref().map(|log| (log.added(), log.safe()));
            self.replication.gate.advance(self.replication.history.offset, log);
        }
        for index in 0..self.replication.replicas.len() {
            let token = self.replication.replicas[index];
            let is_sent = self.fill_output(token, is_due);
            if is_sent && is_due {
                self.replication.gather_until_us = now_us + GATHER_US;
            }
            if self.kept_for(token) > WINDOW_BYTES as u64 {
                self.check_unsent(token); // it is behind
            }
        }
        self.trim_backlog();
    }

    /// Before the end of the process: what was gathered goes to the replicas' outputs, too.
    pub(in crate::server) fn send_rest_of_stream(&mut self) {
        self.effects.settle();
        self.add_effects_to_log();
        self.replication.gather_until_us = 0;
        self.send_stream();
    }

    /// When the loop must take a turn to send what is gathered; `None` if there is nothing, or this turn sends it.
    pub(in crate::server) fn stream_due_us(&self) -> Option<u64> {
        let (due_us, end) = (self.replication.gather_until_us, self.stream_offset());
        let lacks =
            |(_, replica): (_, &Replica)| replica.phase == Phase::Online && replica.next < end;
        (self.now.monotonic_us < due_us && self.replicas().any(lacks)).then_some(due_us)
    }

    /// Fills a replica's output with what it is to get next, if it `is_due` or much. Returns whether there was something.
    fn fill_output(&mut self, token: Token, is_due: bool) -> bool {
        let end = self.replication.history.offset;
        let open_to = self.replication.gate.open_to();
        let client = self.clients.get_mut(token);
        let (Some(replica), Some(backlog)) = (&mut client.replica, &self.replication.backlog)
        else {
            return false;
        };
        if replica.phase != Phase::Online || client.closing {
            return false;
        }
        let room = WINDOW_BYTES.saturating_sub(client.output.len());
        let needed = if is_due { 1 } else { GATHER_BYTES };
        let is_sent = open_to.saturating_sub(replica.next) >= needed && room > 0;
        if is_sent {
            replica.next = backlog.read(replica.next, open_to, room, &mut client.output);
            self.write_later(token);
        }
        let client = self.clients.get_mut(token);
        let Some(replica) = &mut client.replica else { return false };
        replica.caught_up |= replica.next == end && client.output.len() < WINDOW_BYTES;
        is_sent
    }

    /// Bytes that a client was not sent yet; those that wait in the backlog count, too.
    pub(in crate::server) fn unsent_len(&self, token: Token) -> usize {
        let kept = usize::try_from(self.kept_for(token)).unwrap_or(usize::MAX);
        self.clients.get(token).output.len().saturating_add(kept)
    }

    /// Bytes of the backlog that a replica is still to get.
    fn kept_for(&self, token: Token) -> u64 {
        match self.clients.get(token).as_replica() {
            Some(replica) if replica.phase != Phase::WaitsForSnapshot => {
                self.replication.history.offset.saturating_sub(replica.next)
            }
            _ => 0,
        }
    }

    fn trim_backlog(&mut self) {
        let needs = |(_, replica): (_, &Replica)| match replica.phase {
            Phase::Client | Phase::WaitsForSnapshot => None,
            _ => Some(replica.next),
        };
        let needed = self.replicas().filter_map(needs).min();
        let size = self.config.repl_backlog_size;
        if let Some(backlog) = &mut self.replication.backlog {
            backlog.trim(size, needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StreamGate;

    #[test]
    fn the_stream_leaves_as_far_as_the_log_has_got() {
        let mut gate = StreamGate::default();
        gate.advance(100, Some((10, 10)));
        assert_eq!(gate.open_to(), 100);
        gate.advance(150, Some((20, 10)));
        gate.advance(150, Some((25, 10)));
        gate.advance(190, Some((30, 19)));
        assert_eq!(gate.open_to(), 100);
        gate.advance(190, Some((30, 20)));
        assert_eq!(gate.open_to(), 150);
        gate.advance(200, Some((40, 40)));
        assert_eq!(gate.open_to(), 200);
        gate.advance(300, Some((50, 40)));
        gate.advance(310, None);
        assert_eq!(gate.open_to(), 310, "there is no log any more");
    }
}
