//! What a snapshot for replicas could not say in its format: commands that belong in the stream in front of whatever
//! changes the key next.
//!
//! The snapshot writes a key just before a command changes it, and leaves the commands here; the effects of that command
//! follow them. They name the database as it was when the snapshot began, so what has become of it since is kept.

use std::sync::{Arc, Mutex, PoisonError};

/// Commands with the database that each belongs to, numbered as it was when the snapshot began.
pub type Ahead = Arc<Mutex<Vec<(usize, Vec<u8>)>>>;

/// What becomes of databases.
#[derive(Clone, Copy, Debug)]
pub(super) enum Move {
    /// All keys of one are gone.
    Flushed(usize),
    /// Two are exchanged.
    Swapped(usize, usize),
}

/// Takes the commands out.
pub(super) struct AheadReader {
    commands: Ahead,
    /// Where each database is now; `None` if its keys are gone.
    now: Vec<Option<usize>>,
}

impl AheadReader {
    pub fn new(commands: Ahead, databases: usize) -> Self {
        Self { commands, now: (0..databases).map(Some).collect() }
    }

    /// The commands since the last call, with the database that each belongs to now.
    pub fn take(&mut self) -> impl Iterator<Item = (usize, Vec<u8>)> {
        let commands =
            std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner));
        let now = &self.now;
        commands.into_iter().filter_map(|(db, command)| Some(((*now.get(db)?)?, command)))
    }

    /// The stream has come to a point where this has happened.
    pub fn follow(&mut self, what: Move) {
        for place in &mut self.now {
            *place = match (what, *place) {
                (Move::Flushed(db), Some(now)) if now == db => None,
                (Move::Swapped(one, other), Some(now)) if now == one => Some(other),
                (Move::Swapped(one, other), Some(now)) if now == other => Some(one),
                (_, place) => place,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_go_to_where_the_database_is_now() {
        let ahead = Ahead::default();
        let mut reader = AheadReader::new(Arc::clone(&ahead), 3);
        let taken = |reader: &mut AheadReader| {
            (0..3).for_each(|db| ahead.lock().unwrap().push((db, vec![db as u8])));
            reader.take().map(|(db, command)| (db, command[0])).collect::<Vec<_>>()
        };
        assert_eq!(taken(&mut reader), [(0, 0), (1, 1), (2, 2)]);
        reader.follow(Move::Swapped(0, 2));
        assert_eq!(taken(&mut reader), [(2, 0), (1, 1), (0, 2)]);
        reader.follow(Move::Flushed(2));
        assert_eq!(taken(&mut reader), [(1, 1), (0, 2)]);
        reader.follow(Move::Swapped(2, 1));
        assert_eq!(taken(&mut reader), [(2, 1), (0, 2)]);
    }
}
