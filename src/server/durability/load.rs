//! Reading the files back, a part a turn: clients are answered `-LOADING` meanwhile, and a signal ends it.
//!
//! Commands of the log run as they ran when they were written: nothing expires, nothing is told to anybody, nothing is
//! counted. One that is not known, or whose number of arguments is wrong, stops the server: nothing after it could be
//! trusted.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::load_snapshot::{Target, is_snapshot, store_events};
use crate::commands::Ctx;
use crate::keyspace::{Candidate, Keyspace};
use crate::log::Level;
use crate::net::{Peer, Token};
use crate::persistence::aof::block::Place;
use crate::persistence::aof::{Damage, Reader, Tail};
use crate::persistence::rdb;
use crate::resp::{Args, Batch, Limits, Protocol, Reply, RequestParser};
use crate::server::replication::Position;
use crate::server::{Blocked, Phase, Server, State};

/// Bytes read from a file at a time: as many as are loaded in a millisecond or two, members of sorted sets too.
const PIECE_BYTES: usize = 16 << 10;
/// Time that a turn spends on loading, and a piece.
const TURN_US: u64 = 2_000;
/// Commands parsed before they are run.
const BATCH_REQUESTS: usize = 32;
/// How often the log tells how far it is.
const PROGRESS_EVERY_US: u64 = 5_000_000;

/// A file to be loaded.
pub struct Source {
    name: String,
    /// The log is continued in the last of these.
    is_incr: bool,
    file: Box<dyn Read + Send>,
    len: u64,
}

impl Source {
    pub(super) fn new(name: String, is_incr: bool, file: Box<dyn Read + Send>, len: u64) -> Self {
        Self { name, is_incr, file, len }
    }
}

/// How the last file ended.
#[derive(Clone, Default, Debug)]
pub(super) struct Ending {
    /// Where its sound part ends.
    pub sound_end: u64,
    /// The number of the next block.
    pub next_block: u64,
    /// A file before it whose end was cut off, and where its sound part ends.
    pub torn_before: Option<(String, u64)>,
    /// Where in a history of changes all that was loaded is.
    pub place: Option<Place>,
}

/// A load that is running.
pub struct Loading {
    sources: VecDeque<Source>,
    reader: Reader,
    /// The reader of the snapshot that the file is, or begins with.
    snapshot: Option<rdb::Reader>,
    target: Target,
    /// The first piece of the file has been seen.
    begun: bool,
    /// Who runs the commands.
    token: Token,
    ending: Ending,
    piece: Vec<u8>,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// Bytes that were loaded.
    pub loaded_bytes: u64,
    /// When it began, on both clocks.
    pub started: crate::clock::Now,
    told_us: u64,
    /// Commands that were refused.
    refused: u64,
    /// Who is answered when all is loaded.
    waiting: Option<(Token, u64)>,
}

impl Loading {
    /// Bytes that the data took where the snapshot was written, if it says so.
    pub fn rdb_used_bytes(&self) -> u64 {
        self.target.used_bytes
    }
}

impl Server {
    /// Goes on loading for some milliseconds. Nothing if nothing is being loaded.
    pub(in crate::server) fn load_some(&mut self) {
        let Some(mut loading) = self.state.durability.loading.take() else { return };
        let started_ns = self.state.environment.monotonic_ns();
        let outcome = loop {
            match self.load_piece(&mut loading) {
                Ok(true) => {}
                Ok(false) => break Ok(true),
                Err(message) => break Err(message),
            }
            let elapsed_ns = self.state.environment.monotonic_ns().saturating_sub(started_ns);
            if elapsed_ns > TURN_US * 1000 {
                break Ok(false);
            }
        };
        match outcome {
            Ok(false) => {
                self.state.tell_progress(&mut loading);
                self.state.durability.loading = Some(loading);
            }
            Ok(true) => self.all_loaded(&loading),
            Err(message) => self.state.cannot_start(&message),
        }
    }

    /// Loads a piece of the file that is being read. Returns whether there is more.
    fn load_piece(&mut self, loading: &mut Loading) -> Result<bool, String> {
        let Some(source) = loading.sources.front_mut() else { return Ok(false) };
        let count = match source.file.read(&mut loading.piece) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => {
                let error = crate::net::os_text(&error);
                return Err(format!(
                    "Unrecoverable error reading the append only file {}: {error}",
                    source.name
                ));
            }
        };
        loading.loaded_bytes += count as u64;
        if count > 0 {
            let piece = std::mem::take(&mut loading.piece);
            let fed = self.take_piece(loading, &piece[..count]);
            loading.piece = piece;
            return fed.map(|()| true);
        }
        self.end_of_file(loading)?;
        Ok(true)
    }

    /// A file may be commands, a snapshot, or a snapshot and then commands (a log of Redis 4 to 6).
    fn take_piece(&mut self, loading: &mut Loading, bytes: &[u8]) -> Result<(), String> {
        if !std::mem::replace(&mut loading.begun, true) && is_snapshot(bytes) {
            loading.snapshot = Some(self.state.snapshot_reader(&self.keyspace));
        }
        let Some(mut reader) = loading.snapshot.take() else {
            loading.reader.feed(bytes);
            return self.run_what_is_sound(loading);
        };
        reader.feed(bytes);
        let ended = store_events(&mut self.keyspace, &mut reader, &mut loading.target)
            .map_err(|error| bad_snapshot(loading, &error))?;
        if ended {
            loading.reader.feed(reader.rest());
            return self.run_what_is_sound(loading);
        }
        loading.snapshot = Some(reader);
        Ok(())
    }

    fn run_what_is_sound(&mut self, loading: &mut Loading) -> Result<(), String> {
        let mut reader = std::mem::take(&mut loading.reader);
        loop {
            match reader.next_commands() {
                Ok(Some(commands)) => self.run_commands(commands, loading)?,
                Ok(None) => break,
                Err(damage) => return Err(damaged(damage, loading)),
            }
        }
        loading.reader = reader;
        Ok(())
    }

    fn end_of_file(&mut self, loading: &mut Loading) -> Result<(), String> {
        if let Some(reader) = loading.snapshot.take() {
            reader.finish().map_err(|error| bad_snapshot(loading, &error.to_string()))?;
        }
        loading.begun = false;
        let reader = std::mem::take(&mut loading.reader);
        let (commands, tail) = reader.finish().map_err(|damage| damaged(damage, loading))?;
        self.run_commands(&commands, loading)?;
        // Each file begins in the first database.
        self.state.clients.get_mut(loading.token).db = 0;
        let source = loading.sources.pop_front().expect("it was read from");
        if tail.open && !source.is_incr && !tail.torn {
            return Err(format!(
                "Unexpected end of file reading the append only file {}: it was written whole, and its end is missing",
                source.name
            ));
        }
        if tail.torn {
            // The next file is made before this one is synced, and gets its first byte afterwards.
            let none_follows = loading.sources.iter().all(|later| later.len == 0);
            self.state.note_torn_tail(&source, tail, none_follows)?;
            loading.ending.torn_before = Some((source.name.clone(), tail.sound_end));
        }
        if source.is_incr {
            loading.ending.sound_end = tail.sound_end;
            loading.ending.next_block = tail.next_block;
            loading.ending.place = tail.place;
        }
        Ok(())
    }

    /// Runs commands, which are whole.
    fn run_commands(&mut self, commands: &[u8], loading: &mut Loading) -> Result<(), String> {
        let mut batch = Batch::default();
        let mut parser = RequestParser::new();
        let mut reply = Reply::new(Protocol::Resp2);
        let start = reply.output.mark();
        let mut done = 0;
        while done < commands.len() {
            let rest = &commands[done..];
            let parsed = parser.parse(rest, BATCH_REQUESTS, &Limits::TRUSTED, &mut batch);
            self.look_ahead(loading.token, &batch, rest);
            for request in 0..batch.len() {
                let args = batch.args(request, rest);
                let candidate = self.ahead.candidate(request);
                loading.refused += u64::from(!self.replay(
                    loading.token,
                    &args,
                    candidate.as_ref(),
                    &mut reply,
                )?);
                reply.output.truncate(start);
            }
            if parsed.consumed == 0 {
                return Err("Bad file format reading the append only file".to_string());
            }
            done += parsed.consumed;
        }
        Ok(())
    }

    /// Runs one command of the log. Returns whether it was accepted.
    fn replay(
        &mut self,
        token: Token,
        args: &Args<'_>,
        candidate: Option<&Candidate>,
        reply: &mut Reply,
    ) -> Result<bool, String> {
        let Self { keyspace, state, .. } = self;
        let name = args.bytes(0);
        if name.eq_ignore_ascii_case(b"multi") || name.eq_ignore_ascii_case(b"exec") {
            return Ok(true); // the reader gives out whole transactions
        }
        let shown = name.escape_ascii();
        let Ok(id) = state.find_command(args) else {
            return Err(format!("Unknown command '{shown}' reading the append only file"));
        };
        let registered = state.registry.get(id);
        let (command, first_key) = (registered.command, registered.first_key);
        if !command.arity.accepts(args.len()) {
            return Err(format!(
                "Wrong number of arguments for '{shown}' reading the append only file"
            ));
        }
        let mut db = keyspace.db(state.clients.get(token).db);
        if registered.parent.is_none() && (1..args.len()).contains(&first_key) {
            db.ahead = candidate.map(|candidate| (args.key(first_key), candidate));
        }
        let mut ctx = Ctx { db, server: state, token, reply, command, id, ready_key: None };
        let accepted = (command.handler)(&mut ctx, args).is_ok();
        if keyspace.has_garbage() {
            for garbage in keyspace.take_garbage() {
                state.environment.discard(Box::new(garbage));
            }
        }
        Ok(accepted)
    }

    fn all_loaded(&mut self, loading: &Loading) {
        self.state.clients.remove(loading.token);
        self.state.durability.facts.keys_loaded = loading.target.keys;
        let elapsed_us = self.state.environment.now().monotonic_us - loading.started.monotonic_us;
        let keys: usize = self.keyspace.databases().iter().map(|database| database.len()).sum();
        self.state.log(
            Level::Notice,
            format_args!(
                "DB loaded from disk: {keys} keys, {} bytes, {:.3} seconds",
                loading.loaded_bytes,
                elapsed_us as f64 / 1e6
            ),
        );
        if loading.refused > 0 {
            self.state.log(
                Level::Warning,
                format_args!(
                    "{} commands of the log were refused when they were run again",
                    loading.refused
                ),
            );
        }
        self.state.note_place(loading);
        match self.state.finish_loading(&mut self.keyspace, &loading.ending) {
            Ok(()) => self.state.reply_that_loaded(loading),
            Err(message) => self.state.cannot_start(&message),
        }
    }
}

impl State {
    /// Begins to load `sources`, of which there is at least one.
    pub fn begin_loading(&mut self, keyspace: &mut Keyspace, sources: Vec<Source>) {
        let now = self.now;
        let token = self.clients.connect(Peer::none(), now.monotonic_us, true);
        self.clients.get_mut(token).internal = true;
        keyspace.loading = true;
        keyspace.set_now_ms(now.unix_ms());
        self.effects.on = false;
        self.durability.loading = Some(Box::new(Loading {
            total_bytes: sources.iter().map(|source| source.len).sum(),
            sources: sources.into(),
            reader: Reader::default(),
            snapshot: None,
            target: Target::default(),
            begun: false,
            token,
            ending: Ending::default(),
            piece: vec![0; PIECE_BYTES],
            loaded_bytes: 0,
            started: now,
            told_us: now.monotonic_us,
            refused: 0,
            waiting: None,
        }));
    }

    /// All is loaded: opens the log for what will come.
    pub(super) fn finish_loading(
        &mut self,
        keyspace: &mut Keyspace,
        ending: &Ending,
    ) -> Result<(), String> {
        keyspace.loading = false;
        keyspace.set_now_ms(self.now.unix_ms());
        self.durability.loading = None;
        self.dirty = 0;
        self.effects.forget_command();
        self.apply_effect_readers();
        if self.durability.started {
            return Ok(()); // a reload
        }
        self.durability.started = true;
        if self.config.appendonly {
            let is_new = self.durability.manifest.files().next().is_none();
            let has_keys = keyspace.databases().iter().any(|database| !database.is_empty());
            self.open_log(ending)?;
            self.remove_leftovers();
            let bytes = self.log_len();
            self.note_base_len(bytes);
            // What came from a snapshot is not in the log yet.
            self.durability.facts.rewrite_scheduled = is_new && has_keys;
        }
        self.log(Level::Notice, format_args!("Ready to accept connections"));
        self.environment.tell_supervisor(Phase::Ready);
        Ok(())
    }

    /// `DEBUG RELOAD` or `LOADAOF`: this client is answered when all is loaded.
    pub fn reply_when_loaded(&mut self, token: Token) {
        let client = self.clients.get_mut(token);
        client.blocked = Some(Blocked::Loading);
        let waiting = (token, client.id);
        if let Some(loading) = &mut self.durability.loading {
            loading.waiting = Some(waiting);
        }
    }

    /// At the start: the data that was loaded may be that of a known place in a history. A base and the changes after it
    /// are so only by the last line of the changes.
    fn note_place(&mut self, loading: &Loading) {
        let from_log = self.config.appendonly && self.durability.manifest.files().next().is_some();
        let position = match from_log {
            true => loading.ending.place.and_then(|place| Position::try_from(place).ok()),
            false => loading.target.position(),
        };
        if let Some(position) = position.filter(|_| !self.durability.started) {
            self.restore_position(position);
        }
    }

    fn reply_that_loaded(&mut self, loading: &Loading) {
        let Some((token, id)) = loading.waiting else { return };
        if let Some(client) = self.clients.find_mut(token).filter(|client| client.id == id) {
            client.blocked = None;
            client.output.extend(b"+OK\r\n");
            self.write_later(token);
            self.continue_input(token);
        }
    }

    /// The file ends with something that was cut off: it is left out, where that is allowed.
    fn note_torn_tail(
        &mut self,
        source: &Source,
        tail: Tail,
        none_follows: bool,
    ) -> Result<(), String> {
        if !self.config.aof_load_truncated || !none_follows || !source.is_incr {
            return Err(format!(
                "Unexpected end of file reading the append only file {}. You can: 1) Make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and restart the server.",
                source.name
            ));
        }
        if tail.in_transaction {
            self.log(
                Level::Warning,
                format_args!(
                    "Revert incomplete MULTI/EXEC transaction from AOF file {}",
                    source.name
                ),
            );
        }
        self.log(
            Level::Warning,
            format_args!("!!! Warning: short read while loading the AOF file {}!!!", source.name),
        );
        self.log(
            Level::Warning,
            format_args!("AOF {} loaded anyway because aof-load-truncated is enabled: {} of {} bytes, the rest was cut off by a crash", source.name, tail.sound_end, source.len),
        );
        Ok(())
    }

    fn tell_progress(&mut self, loading: &mut Loading) {
        let now_us = self.now.monotonic_us;
        if now_us.saturating_sub(loading.told_us) >= PROGRESS_EVERY_US {
            loading.told_us = now_us;
            let (loaded, total) = (loading.loaded_bytes, loading.total_bytes);
            self.log(
                Level::Notice,
                format_args!(
                    "Loading: {loaded} of {total} bytes ({}%)",
                    loaded * 100 / total.max(1)
                ),
            );
        }
    }

    /// What is in the files cannot be loaded: the process ends, and leaves them as they are.
    fn cannot_start(&mut self, message: &str) {
        self.log(Level::Warning, format_args!("{message}"));
        self.actions.stop_accepting = true;
        self.actions.exit = Some(1);
    }
}

fn bad_snapshot(loading: &Loading, error: &str) -> String {
    let name = loading.sources.front().map_or("", |source| source.name.as_str());
    format!("Bad file format reading the RDB file {name}: {error}")
}

fn damaged(damage: Damage, loading: &Loading) -> String {
    let name = loading.sources.front().map_or("", |source| source.name.as_str());
    format!(
        "Bad file format reading the append only file {name}: {damage}. Make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>"
    )
}
