//! The connections by token, and the lists of those with work to do. An event or the service puts a connection on a list;
//! a phase of the turn takes the list and puts back who is not finished. So the same list holds what is ready and what was
//! stopped early, in the order of arrival.

use std::io;

use mio::event::Event;
use mio::{Interest, Registry};

use super::connection::{Connection, Phase, Stream};
use super::service::{Disconnect, Token};

/// What an event of the poll is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    Signals,
    /// Another thread has something for the service.
    Waker,
    /// A listener, by id.
    Listener(u32),
    /// A socket in [`Lingering`](super::lingering::Lingering), by id.
    Lingering(u32),
    Client {
        token: Token,
        generation: u32,
    },
}

/// Client tokens stay below the four numbers taken by the others.
const TOKENS_MAX: u32 = u32::MAX - 4;
const SIGNALS: u32 = u32::MAX;
const LISTENER: u32 = u32::MAX - 1;
const LINGERING: u32 = u32::MAX - 2;
const WAKER: u32 = u32::MAX - 3;

impl Origin {
    /// Packs it into the number `mio` carries: the index below, generation or id above.
    pub fn encode(self) -> mio::Token {
        const { assert!(usize::BITS >= 64, "an event carries an index and a generation of 32 bits each") }
        let (high, low) = match self {
            Origin::Signals => (0, SIGNALS),
            Origin::Waker => (0, WAKER),
            Origin::Listener(id) => (id, LISTENER),
            Origin::Lingering(id) => (id, LINGERING),
            Origin::Client { token, generation } => (generation, token.0),
        };
        mio::Token(((high as usize) << 32) | low as usize)
    }

    /// The reverse of [`Origin::encode`].
    pub fn decode(token: mio::Token) -> Origin {
        let (high, low) = ((token.0 >> 32) as u32, token.0 as u32);
        match low {
            SIGNALS => Origin::Signals,
            WAKER => Origin::Waker,
            LISTENER => Origin::Listener(high),
            LINGERING => Origin::Lingering(high),
            index => Origin::Client { token: Token(index), generation: high },
        }
    }
}

/// All connections that have a token.
#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Option<Connection>>,
    last_generation: u32,
    /// To read from, each once.
    pub readable: Vec<Token>,
    /// To write to, each once.
    pub writable: Vec<Token>,
    /// Connections of ours that the kernel has said something about.
    pub decided: Vec<Token>,
    /// To close at the end of the turn, each once.
    pub doomed: Vec<Token>,
}

impl Table {
    /// Registers the socket and files it under `token`. Fails if the kernel will not watch one more (`ENOMEM`, `ENOSPC`).
    pub fn insert(
        &mut self,
        registry: &Registry,
        token: Token,
        mut stream: Stream,
    ) -> io::Result<()> {
        assert!(token.0 < TOKENS_MAX, "tokens are indexes of an array");
        let index = token.0 as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        assert!(self.slots[index].is_none(), "the service gave {token:?} to two connections");
        self.last_generation = self.last_generation.wrapping_add(1);
        let generation = self.last_generation;
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, Origin::Client { token, generation }.encode(), interest)?;
        self.slots[index] = Some(Connection::new(stream, generation));
        Ok(())
    }

    /// A connection of the table is one that we have asked for.
    pub fn expect_connection(&mut self, token: Token) {
        if let Some(connection) = self.get_mut(token) {
            connection.phase = Phase::Connecting;
        }
    }

    pub fn get_mut(&mut self, token: Token) -> Option<&mut Connection> {
        self.slots.get_mut(token.0 as usize)?.as_mut()
    }

    /// Takes a connection out; the token is free.
    pub fn remove(&mut self, token: Token) -> Option<Connection> {
        self.slots.get_mut(token.0 as usize)?.take()
    }

    /// Notes what an event says. One meant for an earlier connection with this token changes nothing.
    pub fn note_event(&mut self, token: Token, generation: u32, event: &Event) {
        let Some(connection) =
            self.get_mut(token).filter(|connection| connection.generation == generation)
        else {
            return;
        };
        if matches!(connection.phase, Phase::Connecting) {
            return self.decided.push(token);
        }
        let ended = event.is_error() || event.is_write_closed();
        if ended && !matches!(connection.phase, Phase::Open) {
            // Nobody reads from it any more, and there may be nothing to write yet: no call would come to see the error.
            let error =
                connection.stream.take_error().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
            return self.doom(token, Disconnect::Failed(error), false);
        }
        connection.end_in_sight |= ended || event.is_read_closed();
        if event.is_writable() && std::mem::take(&mut connection.write_blocked) {
            self.want_write(token);
        }
        if event.is_readable() || ended {
            self.want_read(token);
        }
    }

    /// Puts an open connection on the list of those to read from.
    pub fn want_read(&mut self, token: Token) {
        let Some(connection) = self.get_mut(token) else { return };
        let may_read = matches!(connection.phase, Phase::Open) && !connection.read_paused;
        if may_read && !connection.read_queued {
            connection.read_queued = true;
            self.readable.push(token);
        }
    }

    /// Stops or resumes reading from a connection. After a pause nobody knows whether there is something: it is tried.
    pub fn pause_reading(&mut self, token: Token, paused: bool) {
        let Some(connection) = self.get_mut(token) else { return };
        connection.read_paused = paused;
        self.want_read(token);
    }

    /// Puts a connection on the list of those to write to, unless its socket is full.
    pub fn want_write(&mut self, token: Token) {
        let Some(connection) = self.get_mut(token) else { return };
        let cannot = matches!(connection.phase, Phase::Connecting | Phase::Doomed { .. });
        if !cannot && !connection.write_blocked && !connection.write_queued {
            connection.write_queued = true;
            self.writable.push(token);
        }
    }

    /// Lets a connection flush, then close. What it is owed counts no more if the peer is gone already.
    pub fn flush_and_close(&mut self, token: Token) {
        let Some(connection) = self.get_mut(token) else { return };
        match connection.phase {
            Phase::Doomed { .. } => {}
            Phase::Connecting => self.doom(token, Disconnect::Requested, false),
            _ => {
                connection.phase = Phase::Flushing;
                self.want_write(token);
            }
        }
    }

    /// Whether a connection waits for its output to leave. O(connections).
    pub fn is_flushing(&self) -> bool {
        self.slots.iter().flatten().any(|connection| matches!(connection.phase, Phase::Flushing))
    }

    /// Marks a connection to be closed at the end of the turn. The first reason stands.
    pub fn doom(&mut self, token: Token, why: Disconnect, linger: bool) {
        let Some(connection) = self.get_mut(token) else { return };
        if !matches!(connection.phase, Phase::Doomed { .. }) {
            connection.phase = Phase::Doomed { why, linger };
            self.doomed.push(token);
        }
    }

    /// Whether a turn has something to do without any event.
    pub fn has_work(&self) -> bool {
        !self.readable.is_empty() || !self.writable.is_empty() || !self.doomed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_survives_the_trip_through_the_poll() {
        for high in [0, 1, u32::MAX] {
            for origin in [
                Origin::Listener(high),
                Origin::Lingering(high),
                Origin::Client { token: Token(0), generation: high },
                Origin::Client { token: Token(TOKENS_MAX - 1), generation: high },
            ] {
                assert_eq!(Origin::decode(origin.encode()), origin);
            }
        }
        assert_eq!(Origin::decode(Origin::Signals.encode()), Origin::Signals);
    }
}
