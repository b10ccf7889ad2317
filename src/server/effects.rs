//! Effects: what commands have changed, as commands that make the same changes wherever and whenever they are run.
//!
//! One stream feeds the log and the replicas. A command goes in as it came, or as what its handler said instead: with
//! absolute times, the members that chance took, or what a blocked client was given. What belongs together is between
//! MULTI and EXEC. Nothing is recorded while nobody wants the stream.

use std::ops::Range;

use super::ahead::{Ahead, AheadReader, Move};
use crate::resp::write_request;

/// The commands of this turn, and those of the command that is running.
#[derive(Default)]
pub struct Effects {
    /// Whether somebody wants the stream.
    pub on: bool,
    /// RESP: what is finished.
    stream: Vec<u8>,
    /// The database that the stream is in; `None` if whoever reads it may be in any.
    selected: Option<usize>,
    /// RESP of the command that is running, with the database of each effect and the end of its bytes.
    pending: Vec<u8>,
    ends: Vec<End>,
    /// Parts of the stream that are for replicas only.
    unlogged: Vec<Range<usize>>,
    /// Where a snapshot leaves what it could not say.
    ahead: Option<Box<AheadReader>>,
    /// What the pending effects make of databases.
    moves: Vec<Move>,
    /// The running command said what stands for it.
    replaced: bool,
    /// Inside of EXEC: effects stay pending until all commands have run.
    in_transaction: bool,
}

/// An effect that is pending.
struct End {
    db: usize,
    /// Where its bytes end.
    end: usize,
    /// Whether the log gets it, too.
    logged: bool,
}

impl Effects {
    /// Adds an effect of the command that is running. It is not recorded as it came any more.
    pub fn replace(&mut self, db: usize, command: &[&[u8]]) {
        self.replaced = true;
        if self.on {
            self.append(db, command.iter().copied(), true);
        }
    }

    /// Adds a message of the command that is running: replicas get it, the log does not. It needs no database.
    pub fn add_message(&mut self, db: usize, command: &[&[u8]]) {
        self.replaced = true;
        if self.on {
            let db = self.ends.last().map(|end| end.db).or(self.selected).unwrap_or(db);
            self.append(db, command.iter().copied(), false);
        }
    }

    /// The command that is running has changed nothing that others would have to be told of, or will have been told.
    pub fn replace_by_nothing(&mut self) {
        self.replaced = true;
    }

    /// Adds something that happened beside the command that is running: a key that has expired.
    pub fn add<'a>(&mut self, db: usize, command: impl ExactSizeIterator<Item = &'a [u8]>) {
        if self.on {
            self.append(db, command, true);
        }
    }

    /// A command has ended. `changed` says whether it has changed anything; if so, and unless it was replaced, it goes
    /// in as it came.
    pub fn command_ended<'a>(
        &mut self,
        db: usize,
        changed: bool,
        command: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        let replaced = std::mem::take(&mut self.replaced);
        if !self.on {
            return;
        }
        if changed && !replaced {
            self.append(db, command, true);
        }
        if !self.in_transaction {
            self.flush();
        }
    }

    /// What the command that is running has said is of no importance: it was run from a log.
    pub fn forget_command(&mut self) {
        self.replaced = false;
    }

    /// The command that is running will never end: nothing of it, nor of the transaction it is part of, is recorded.
    pub fn forget_running(&mut self) {
        self.pending.clear();
        self.ends.clear();
        self.in_transaction = false;
    }

    /// EXEC begins: what its commands change goes in together.
    pub fn transaction_begins(&mut self) {
        self.in_transaction = true;
    }

    /// EXEC has ended.
    pub fn transaction_ends(&mut self) {
        self.in_transaction = false;
        self.replaced = false;
        self.flush();
    }

    /// What has happened so far goes in now, even within a transaction: the stream ends here, or others than before get
    /// what follows.
    pub fn cut(&mut self) {
        if !self.ends.is_empty() {
            self.flush();
        }
    }

    /// What happened while no command was running does not wait for the next one.
    pub fn settle(&mut self) {
        if !self.ends.is_empty() && !self.in_transaction {
            self.flush();
        }
    }

    /// Takes the stream of this turn.
    pub fn take(&mut self) -> Vec<u8> {
        self.unlogged.clear();
        std::mem::take(&mut self.stream)
    }

    /// The parts of the stream that are not for the log.
    pub fn take_unlogged(&mut self) -> Vec<Range<usize>> {
        std::mem::take(&mut self.unlogged)
    }

    /// Bytes of the stream that were not taken yet.
    pub fn len(&self) -> usize {
        self.stream.len()
    }

    /// The database that the stream is in; `None` if it will say so before the next command.
    pub fn selected(&self) -> Option<usize> {
        self.selected
    }

    /// A snapshot of so many databases begins that may leave commands to be put in front of the next effects, or it has
    /// ended.
    pub fn set_ahead(&mut self, ahead: Option<(Ahead, usize)>) {
        self.add_ahead();
        self.ahead = ahead.map(|(ahead, databases)| Box::new(AheadReader::new(ahead, databases)));
    }

    /// Adds what a snapshot has left.
    pub fn add_ahead(&mut self) {
        let Some(mut ahead) = self.ahead.take() else { return };
        for (db, command) in ahead.take() {
            self.select(db);
            self.stream.extend_from_slice(&command);
        }
        self.ahead = Some(ahead);
    }

    /// The command that is running takes all keys out of a database.
    pub fn database_flushed(&mut self, db: usize) {
        if self.ahead.is_some() {
            self.moves.push(Move::Flushed(db));
        }
    }

    /// The command that is running exchanges two databases.
    pub fn databases_swapped(&mut self, one: usize, other: usize) {
        if self.ahead.is_some() {
            self.moves.push(Move::Swapped(one, other));
        }
    }

    /// Gives back a buffer that `take` gave, to be used again.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        const KEPT_BYTES_MAX: usize = 1 << 20;
        if self.stream.is_empty() && buffer.capacity() <= KEPT_BYTES_MAX {
            buffer.clear();
            self.stream = buffer;
        }
    }

    /// Whether there is something to take.
    pub fn is_empty(&self) -> bool {
        self.stream.is_empty()
    }

    /// Whoever reads the stream from here on is in no database that is known.
    pub fn forget_selected(&mut self) {
        self.selected = None;
    }

    fn append<'a>(
        &mut self,
        db: usize,
        command: impl ExactSizeIterator<Item = &'a [u8]>,
        logged: bool,
    ) {
        write_request(&mut self.pending, command);
        self.ends.push(End { db, end: self.pending.len(), logged });
    }

    fn select(&mut self, db: usize) {
        if self.selected != Some(db) {
            let mut digits = itoa::Buffer::new();
            let select: [&[u8]; 2] = [b"SELECT", digits.format(db).as_bytes()];
            write_request(&mut self.stream, select.into_iter());
            self.selected = Some(db);
        }
    }

    /// Moves what is pending to the stream.
    fn flush(&mut self) {
        self.add_ahead();
        let together = self.ends.len() > 1;
        let mut start = 0;
        let mut ends = std::mem::take(&mut self.ends);
        for (number, End { db, end, logged }) in ends.drain(..).enumerate() {
            self.select(db);
            if together && number == 0 {
                write_request(&mut self.stream, [&b"MULTI"[..]].into_iter());
            }
            let at = self.stream.len();
            self.stream.extend_from_slice(&self.pending[start..end]);
            if !logged {
                self.unlogged.push(at..self.stream.len());
            }
            start = end;
        }
        if together {
            write_request(&mut self.stream, [&b"EXEC"[..]].into_iter());
        }
        self.ends = ends;
        for what in std::mem::take(&mut self.moves) {
            self.ahead.iter_mut().for_each(|ahead| ahead.follow(what));
        }
        self.pending.clear();
        self.pending.shrink_to(PENDING_KEPT_BYTES);
    }
}

/// Bytes of memory that the effects of one command leave behind.
const PENDING_KEPT_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&[u8]> {
        line.split(' ').map(str::as_bytes).collect()
    }

    fn run(effects: &mut Effects, db: usize, line: &str) {
        effects.command_ended(db, true, words(line).into_iter());
    }

    /// The stream with a command a line.
    fn taken(effects: &mut Effects) -> String {
        let text = String::from_utf8(effects.take()).unwrap();
        let is_text = |line: &&str| !line.is_empty() && !line.starts_with(['*', '$']);
        text.split('*')
            .skip(1)
            .map(|command| command.split("\r\n").skip(1).filter(is_text).collect::<Vec<_>>())
            .map(|command| command.join(" "))
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn effects() -> Effects {
        Effects { on: true, ..Effects::default() }
    }

    #[test]
    fn a_database_is_selected_when_it_is_another_one() {
        let mut effects = effects();
        run(&mut effects, 0, "SET a 1");
        run(&mut effects, 0, "SET b 1");
        run(&mut effects, 3, "SET c 1");
        assert_eq!(taken(&mut effects), "SELECT 0; SET a 1; SET b 1; SELECT 3; SET c 1");
        run(&mut effects, 3, "SET d 1");
        assert_eq!(taken(&mut effects), "SET d 1");
        effects.forget_selected();
        run(&mut effects, 3, "SET d 1");
        assert_eq!(taken(&mut effects), "SELECT 3; SET d 1");
    }

    #[test]
    fn a_command_goes_in_as_it_came_or_as_what_stands_for_it() {
        let mut effects = effects();
        effects.command_ended(0, false, words("GET a").into_iter());
        assert!(effects.is_empty());
        effects.replace(0, &words("SREM s x"));
        run(&mut effects, 0, "SPOP s");
        assert_eq!(taken(&mut effects), "SELECT 0; SREM s x");
        effects.replace_by_nothing();
        run(&mut effects, 0, "SPOP s");
        assert!(effects.is_empty());
        run(&mut effects, 0, "SPOP s");
        assert_eq!(taken(&mut effects), "SPOP s");
    }

    #[test]
    fn what_belongs_together_is_a_transaction() {
        let mut effects = effects();
        effects.add(0, words("DEL gone").into_iter());
        run(&mut effects, 0, "SET a 1");
        assert_eq!(taken(&mut effects), "SELECT 0; MULTI; DEL gone; SET a 1; EXEC");
        effects.transaction_begins();
        run(&mut effects, 0, "SET a 1");
        run(&mut effects, 1, "SET b 1");
        assert!(effects.is_empty());
        effects.transaction_ends();
        assert_eq!(taken(&mut effects), "MULTI; SET a 1; SELECT 1; SET b 1; EXEC");
        effects.transaction_begins();
        effects.transaction_ends();
        assert!(effects.is_empty());
    }

    #[test]
    fn messages_are_in_the_stream_but_marked() {
        let mut effects = effects();
        run(&mut effects, 3, "SET a 1");
        let start = effects.len();
        effects.add_message(0, &words("PUBLISH c m"));
        run(&mut effects, 0, "PUBLISH c m");
        let end = effects.len();
        run(&mut effects, 3, "SET b 1");
        let unlogged = effects.take_unlogged();
        assert!(unlogged.len() == 1 && unlogged[0] == (start..end));
        assert_eq!(taken(&mut effects), "SELECT 3; SET a 1; PUBLISH c m; SET b 1");
    }

    #[test]
    fn what_a_snapshot_left_comes_before_the_command_that_met_it() {
        let mut effects = effects();
        let ahead = Ahead::default();
        effects.set_ahead(Some((std::sync::Arc::clone(&ahead), 16)));
        effects.replace(2, &words("HDEL h f"));
        let mut command = Vec::new();
        write_request(&mut command, words("HPEXPIREAT h 5 FIELDS 1 f").into_iter());
        ahead.lock().unwrap().push((1, command));
        run(&mut effects, 2, "HDEL h f");
        let expected = "SELECT 1; HPEXPIREAT h 5 FIELDS 1 f; SELECT 2; HDEL h f";
        assert_eq!(taken(&mut effects), expected);
    }

    #[test]
    fn nothing_is_kept_while_nobody_wants_it() {
        let mut effects = Effects::default();
        effects.replace(0, &words("SREM s x"));
        run(&mut effects, 0, "SPOP s");
        assert!(effects.is_empty() && effects.pending.is_empty());
    }
}
