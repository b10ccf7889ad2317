//! Where in which history the data is: what is kept with the data, so that replicas can go on after a restart.
//!
//! A master that starts with data of a known position begins a new history there, and remembers the old name up to it: a
//! replica that was exactly as far goes on, and one that has seen more, which this server has lost, does not. A replica goes
//! on with the history itself. A position is only kept where it is sure that the data is just that: in a snapshot, and in a
//! log that was ended in order.

use super::{Backlog, ReplId, Role};
use crate::log::Level;
use crate::persistence::aof::block::Place;
use crate::server::State;

/// A position in a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The history.
    pub replid: ReplId,
    /// Bytes of it.
    pub offset: u64,
    /// The database that the stream is in.
    pub db: usize,
}

impl From<Position> for Place {
    fn from(position: Position) -> Self {
        let mut replid = [0; 40];
        replid.copy_from_slice(position.replid.as_bytes());
        Self { replid, offset: position.offset, db: position.db as u64 }
    }
}

impl TryFrom<Place> for Position {
    type Error = ();

    fn try_from(place: Place) -> Result<Self, ()> {
        let replid = ReplId::parse(&place.replid).ok_or(())?;
        let db = usize::try_from(place.db).map_err(|_| ())?;
        Ok(Self { replid, offset: place.offset, db })
    }
}

impl State {
    /// Where the data is just now; `None` where nobody counts.
    pub fn stream_position(&mut self) -> Option<Position> {
        self.effects.settle();
        self.add_effects_to_log();
        self.replication.backlog.as_ref()?;
        let db = match self.replication.role {
            Role::Master => self.effects.selected().unwrap_or(0),
            Role::Replica(_) => self.replication.stream_db,
        };
        let history = &self.replication.history;
        Some(Position { replid: history.replid, offset: history.offset, db })
    }

    /// The data that was loaded is that of a position.
    pub(in crate::server) fn restore_position(&mut self, position: Position) {
        let history = &mut self.replication.history;
        history.offset = position.offset;
        if matches!(self.replication.role, Role::Replica(_)) {
            history.replid = position.replid;
            self.replication.stream_db = position.db;
        } else {
            history.replid2 = position.replid;
            history.second_offset =
                i64::try_from(position.offset).map_or(i64::MAX, |offset| offset + 1);
        }
        let (id, offset) = (position.replid, position.offset);
        self.replication.backlog = Some(Backlog::new(offset));
        self.replication.gate.reset(offset);
        self.replication.alone_since_us = Some(self.now.monotonic_us);
        self.effects.forget_selected();
        self.log(
            Level::Notice,
            format_args!("The data is that of replication ID {id} at offset {offset}: replicas that were there can go on"),
        );
    }
}
