//! Full synchronization: all data to those replicas that need them, straight from the walk over the keyspace.
//!
//! Replicas that come about the same time share one walk, which is one of those of which there is one at a time (`BGSAVE`,
//! the base of the log). Its pieces are shared by all outputs; when a replica does not take them fast enough, the walk
//! waits. What is written meanwhile stays in the backlog until they have the snapshot.
//!
//! A snapshot is announced with its length only to replicas that cannot do without (before Redis 2.8.18), or where
//! `repl-diskless-sync` is off. The length is not known before the end, so it goes into a file first: its size in memory
//! would be that of the data.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use super::replica::Phase;
use super::sync_sink::SyncSink;
use crate::keyspace::Keyspace;
use crate::log::Level;
use crate::net::Token;
use crate::persistence::disk::{self, DiskFile, Done, Lane};
use crate::persistence::rdb::{Format, Writer};
use crate::server::ahead::Ahead;
use crate::server::durability::Frame;
use crate::server::{Server, State};

/// Bytes of a piece, walked or read from the file. Few, so that the memory of those that were sent serves for the next: big
/// ones are fresh from the system, which may have to clear a huge page for them, longer than a turn may take.
const PIECE_BYTES: usize = 24 << 10;
/// Time after which no piece is begun in a turn, in nanoseconds,
const WALK_NS: u64 = 500_000;
/// and pieces after which none is.
const PIECES_PER_TURN: usize = 4;
/// Bytes in a replica's output beyond which the walk waits: there are more in the kernel.
const WAITING_BYTES_MAX: usize = 128 << 10;
/// Bytes on their way to the file beyond which it waits.
const UNWRITTEN_BYTES_MAX: usize = 8 << 20;

/// Where the snapshot goes.
enum Target {
    /// To the replicas; this ends it.
    Replicas { mark: [u8; 40] },
    /// Into a file.
    File(Box<Spool>),
}

/// A snapshot in a file.
struct Spool {
    file: Arc<dyn DiskFile>,
    path: std::path::PathBuf,
    len: u64,
    /// Writes that have not ended, and their bytes.
    writes: usize,
    unwritten: usize,
    broken: Arc<AtomicBool>,
    /// All of it is in the file, which is being read.
    reader: Option<Box<dyn Read + Send>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Keys are walked.
    Walking,
    /// All keys are written: the file is being sent, or will be.
    Sending,
    /// Nobody wants it any more: the walk goes on for nothing, so that all entries are alike after it.
    Abandoned,
}

/// A full synchronization that is going on.
pub struct FullSync {
    /// Which one it is: the number of its jobs.
    number: u64,
    step: Step,
    target: Target,
    frame: Frame,
    /// Offset of the stream that the snapshot stands for.
    offset: u64,
    /// Who gets it: number of the connection, too, because a place may be taken by another.
    replicas: Vec<(Token, u64)>,
}

impl std::fmt::Debug for FullSync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FullSync").field("step", &self.step).field("offset", &self.offset).finish()
    }
}

impl Server {
    /// Goes on with the full synchronization, or begins one that is due.
    pub(in crate::server) fn full_sync_some(&mut self) {
        let Some(mut sync) = self.state.replication.full_sync.take() else {
            if !self.state.replication.replicas.is_empty() {
                self.begin_full_sync_if_due();
            }
            return;
        };
        sync.forget_gone(&mut self.state);
        let is_done = match sync.step {
            Step::Walking if self.state.may_send(&sync) => sync.walk_some(self),
            Step::Sending => sync.send_file(&mut self.state),
            Step::Abandoned => {
                self.keyspace.snapshot_step(PIECE_BYTES).1 && sync.writes_left() == 0
            }
            Step::Walking => false,
        };
        if is_done {
            self.state.effects.set_ahead(None);
            sync.remove_file(&mut self.state);
        } else {
            self.state.replication.full_sync = Some(sync);
        }
    }

    /// Whether it has something to do without an event.
    pub(in crate::server) fn full_sync_has_work(&self) -> bool {
        let Some(sync) = &self.state.replication.full_sync else { return false };
        match sync.step {
            Step::Walking => self.state.may_send(sync) || self.state.gate_opens_soon(sync),
            Step::Sending => sync.has_file() && sync.has_room(&self.state),
            Step::Abandoned => self.keyspace.has_snapshot(),
        }
    }

    fn begin_full_sync_if_due(&mut self) {
        let Self { state, keyspace, .. } = self;
        let waiting = |phase: Phase| phase == Phase::WaitsForSnapshot;
        let who: Vec<Token> = state
            .replicas()
            .filter(|(client, replica)| waiting(replica.phase) && !client.closing)
            .map(|(client, _)| client.token)
            .collect();
        let is_busy = state.durability.snapshot.is_some()
            || state.durability.loading.is_some()
            || state.now.monotonic_us < state.replication.spared.sync_not_before_us;
        if who.is_empty() || is_busy || !state.full_sync_is_due(&who) {
            return;
        }
        // Who filters gets another snapshot than the others: it waits for the next one.
        let without_data = |state: &State, token: Token| {
            state.clients.get(token).as_replica().is_some_and(|replica| replica.without_data)
        };
        let first = without_data(state, who[0]);
        let who: Vec<Token> =
            who.into_iter().filter(|&token| without_data(state, token) == first).collect();
        if let Err(error) = state.begin_sync_walk(keyspace, &who, first) {
            let error = crate::net::os_text(&error);
            state.log(Level::Warning, format_args!("BGSAVE for replication failed: {error}"));
            for token in who {
                state.refuse_sync(token);
            }
        }
    }

    /// A write to the file of a full synchronization has ended. Returns whether the job was one of these.
    pub(in crate::server) fn sync_write_ended(
        &mut self,
        number: u64,
        result: &std::io::Result<()>,
    ) -> bool {
        let is_it = |sync: &&mut Box<FullSync>| sync.number == number;
        let Some(sync) = self.state.replication.full_sync.as_mut().filter(is_it) else {
            return false;
        };
        if let Target::File(spool) = &mut sync.target {
            spool.writes -= 1;
            if spool.writes == 0 {
                spool.unwritten = 0;
            }
        }
        if let Err(error) = result {
            let error = crate::net::os_text(error);
            sync.step = Step::Abandoned;
            for (token, id) in std::mem::take(&mut sync.replicas) {
                if self.state.clients.find_mut(token).is_some_and(|client| client.id == id) {
                    self.state.close_now(token);
                }
            }
            self.state.log(
                Level::Warning,
                format_args!("SYNC failed. The snapshot could not be written: {error}"),
            );
        }
        true
    }
}

impl State {
    /// Whether replicas have waited long enough for others to come, who would take part.
    fn full_sync_is_due(&self, who: &[Token]) -> bool {
        let config = &self.config;
        if !self.sends_directly(who) {
            return true;
        }
        let enough = config.repl_diskless_sync_max_replicas;
        let delay_us = u64::from(config.repl_diskless_sync_delay) * 1_000_000;
        let since = |token: &Token| {
            let client = self.clients.get(*token);
            client.as_replica().map_or(u64::MAX, |replica| replica.asked_us)
        };
        let first_us = who.iter().map(since).min().unwrap_or(u64::MAX);
        enough > 0 && who.len() >= enough as usize
            || self.now.monotonic_us.saturating_sub(first_us) >= delay_us
    }

    fn sends_directly(&self, who: &[Token]) -> bool {
        let takes_eof = |token: &Token| {
            self.clients.get(*token).as_replica().is_some_and(|replica| replica.takes_eof)
        };
        let filtered = |token: &Token| {
            self.clients.get(*token).as_replica().is_some_and(|replica| replica.without_data)
        };
        who.iter().all(takes_eof) && (self.config.repl_diskless_sync || who.iter().all(filtered))
    }

    fn begin_sync_walk(
        &mut self,
        keyspace: &mut Keyspace,
        who: &[Token],
        without_data: bool,
    ) -> std::io::Result<()> {
        let direct = self.sends_directly(who);
        let target = if direct { self.direct_target() } else { self.file_target()? };
        let target_name = if direct { "replicas sockets" } else { "disk" };
        self.log(
            Level::Notice,
            format_args!("Starting BGSAVE for SYNC with target: {target_name}"),
        );
        // All that was run so far is in the snapshot, and before its offset in the stream.
        self.effects.settle();
        self.add_effects_to_log();
        if self.replication.is_master() {
            self.effects.forget_selected();
        }
        let offset = self.replication.history.offset;
        let ahead = Ahead::default();
        let format = self.sync_format(keyspace);
        let compresses = self.config.rdbcompression;
        let access = self.snapshot_access(keyspace);
        if !without_data {
            keyspace.begin_snapshot(|db, database| {
                Box::new(SyncSink::new(db, database, format, compresses, access, &ahead))
            });
        }
        let says_ahead = keyspace.has_field_expiry() && !format.has_field_expiry();
        let databases = keyspace.databases().len();
        self.effects.set_ahead(says_ahead.then_some((ahead, databases)));
        let mut sync = FullSync {
            number: self.durability.next_snapshot(),
            step: Step::Walking,
            target,
            frame: Frame::Rdb(Writer::new(format, compresses, self.config.rdbchecksum)),
            offset,
            replicas: who.iter().map(|&token| (token, self.clients.get(token).id)).collect(),
        };
        for &token in who {
            self.announce_snapshot(token, &sync);
        }
        let mut head = Vec::new();
        self.write_head(&mut sync.frame, None, &mut head);
        sync.put(self, head);
        self.replication.full_sync = Some(Box::new(sync));
        Ok(())
    }

    /// Field expire times go as commands, which all that know them understand. What a replica of a replica gets must be
    /// what its master's master has sent, so there it is a snapshot that can say them.
    fn sync_format(&self, keyspace: &Keyspace) -> Format {
        match !self.replication.is_master() && keyspace.has_field_expiry() {
            true => Format::Redis12,
            false => Format::Redis10,
        }
    }

    fn direct_target(&mut self) -> Target {
        let mut mark = [0; 40];
        mark.copy_from_slice(super::random_replid(&mut *self.environment).as_bytes());
        Target::Replicas { mark }
    }

    fn file_target(&mut self) -> std::io::Result<Target> {
        let pid = self.environment.process().pid;
        let path = self.config.dir.join(format!("temp-repl-{pid}.rdb"));
        let file = self.environment.disk().create(&path)?;
        let (broken, reader) = (Arc::default(), None);
        Ok(Target::File(Box::new(Spool {
            file,
            path,
            len: 0,
            writes: 0,
            unwritten: 0,
            broken,
            reader,
        })))
    }

    /// Tells a replica where it will be when it has the snapshot.
    fn announce_snapshot(&mut self, token: Token, sync: &FullSync) {
        let (replid, offset, now_us) =
            (self.replication.history.replid, sync.offset, self.now.monotonic_us);
        let replica = self.replica_mut(token);
        (replica.next, replica.took_us) = (offset, now_us);
        replica.phase = match sync.target {
            Target::Replicas { .. } => Phase::TakesSnapshot,
            Target::File(_) => Phase::WaitsForFile,
        };
        let is_old = replica.is_old;
        let output = &mut self.clients.get_mut(token).output;
        if !is_old {
            output.extend(format!("+FULLRESYNC {replid} {offset}\r\n").as_bytes());
        }
        if let Target::Replicas { mark } = &sync.target {
            output.extend(&[b"$EOF:", &mark[..], b"\r\n"].concat());
        }
        self.write_later(token);
    }

    fn refuse_sync(&mut self, token: Token) {
        self.replica_mut(token).phase = Phase::Client;
        self.detach(token);
        let error = b"-ERR BGSAVE failed, replication can't continue\r\n";
        self.clients.get_mut(token).output.extend(error);
        self.write_later(token);
        self.close_after_write(token);
    }

    /// Whether the snapshot may go on: the log has all that it may tell, and there is room for more.
    fn may_send(&self, sync: &FullSync) -> bool {
        self.replication.gate.open_to() >= sync.offset && sync.has_room(self)
    }

    /// Whether the log will have what the snapshot tells at the end of this turn, and nobody will say so.
    fn gate_opens_soon(&self, sync: &FullSync) -> bool {
        self.replication.gate.open_to() < sync.offset
            && self.durability.refusal.is_none()
            && !self.durability.log.as_ref().is_some_and(|log| log.is_busy())
    }

    /// Gives up the snapshot for replicas that is being taken, if there is one: who was to get it is closed.
    pub(in crate::server) fn abort_full_sync(&mut self, keyspace: &mut Keyspace) {
        let Some(mut sync) = self.replication.full_sync.take() else { return };
        sync.forget_gone(self);
        for &(token, _) in &sync.replicas {
            self.close_now(token);
        }
        if sync.step != Step::Sending {
            while !keyspace.snapshot_step(PIECE_BYTES).1 {}
        }
        self.effects.set_ahead(None);
        sync.remove_file(self);
    }
}

impl FullSync {
    /// Leaves out those who have gone.
    fn forget_gone(&mut self, state: &mut State) {
        self.replicas.retain(|&(token, id)| {
            state.clients.find_mut(token).is_some_and(|client| client.id == id && !client.closing)
        });
        if self.replicas.is_empty() && self.step != Step::Abandoned {
            state.log(
                Level::Notice,
                format_args!(
                    "Diskless rdb transfer, last replica dropped, giving up the snapshot."
                ),
            );
            self.step = Step::Abandoned;
        }
    }

    fn has_room(&self, state: &State) -> bool {
        if let Target::File(spool) = &self.target
            && self.step == Step::Walking
        {
            return spool.unwritten < UNWRITTEN_BYTES_MAX;
        }
        let len = |&(token, _): &(Token, u64)| state.clients.get(token).output.len();
        self.replicas.iter().map(len).max().unwrap_or(0) < WAITING_BYTES_MAX
    }

    fn has_file(&self) -> bool {
        matches!(&self.target, Target::File(spool) if spool.writes == 0)
    }

    fn writes_left(&self) -> usize {
        match &self.target {
            Target::File(spool) => spool.writes,
            Target::Replicas { .. } => 0,
        }
    }

    /// Walks keys for a while. Returns whether that was all there is to do.
    fn walk_some(&mut self, server: &mut Server) -> bool {
        let end_ns = server.state.environment.monotonic_ns() + WALK_NS;
        for _ in 0..PIECES_PER_TURN {
            let is_done = self.walk(server);
            if is_done || self.step != Step::Walking {
                return is_done;
            }
            if server.state.environment.monotonic_ns() >= end_ns {
                break;
            }
        }
        false
    }

    /// Walks the keys of one piece. Returns whether that was all there is to do.
    fn walk(&mut self, server: &mut Server) -> bool {
        let (records, complete) = server.keyspace.snapshot_step(PIECE_BYTES);
        let state = &mut server.state;
        state.effects.add_ahead();
        let mut bytes = self.frame.records(records);
        if complete {
            self.frame.end(&mut bytes);
            if let Target::Replicas { mark } = &self.target {
                bytes.extend_from_slice(mark);
            }
        }
        if !bytes.is_empty() {
            self.put(state, bytes);
        }
        if !complete {
            return false;
        }
        match self.target {
            Target::Replicas { .. } => {
                self.replicas.iter().for_each(|&(token, _)| {
                    state.replica_mut(token).phase = Phase::WaitsForAck;
                });
                let replicas = std::mem::take(&mut self.replicas);
                replicas.into_iter().for_each(|(token, _)| state.snapshot_is_queued(token));
                true
            }
            Target::File(_) => {
                self.step = Step::Sending;
                false
            }
        }
    }

    /// Sends a piece of the snapshot to where it goes.
    fn put(&mut self, state: &mut State, bytes: Vec<u8>) {
        match &mut self.target {
            Target::Replicas { .. } => self.send(state, Bytes::from(bytes)),
            Target::File(spool) => {
                spool.len += bytes.len() as u64;
                spool.writes += 1;
                spool.unwritten += bytes.len();
                let (file, broken) = (Arc::clone(&spool.file), Arc::clone(&spool.broken));
                let number = self.number;
                let job = move || append_unless_broken(&*file, &bytes, &broken);
                state
                    .environment
                    .run_job(Lane::Files, Box::new(move || Done::Files(number, job())));
            }
        }
    }

    fn send(&self, state: &mut State, bytes: Bytes) {
        for &(token, _) in &self.replicas {
            state.clients.get_mut(token).output.push_shared(bytes.clone());
            state.write_later(token);
        }
    }

    /// Sends some of the file. Returns whether that was all of it.
    fn send_file(&mut self, state: &mut State) -> bool {
        if !self.has_file() || !self.has_room(state) {
            return false;
        }
        let Target::File(spool) = &mut self.target else { return true };
        let begins = spool.reader.is_none();
        let (len, piece) = (spool.len, spool.read(&*state.environment.disk()));
        if begins {
            for &(token, _) in &self.replicas {
                state.replica_mut(token).phase = Phase::TakesFile;
            }
            self.send(state, Bytes::from(format!("${len}\r\n").into_bytes()));
        }
        match piece {
            Ok(piece) if piece.is_empty() => {
                for (token, _) in std::mem::take(&mut self.replicas) {
                    state.snapshot_is_queued(token);
                }
                true
            }
            Ok(piece) => {
                self.send(state, Bytes::from(piece));
                false
            }
            Err(error) => {
                let error = crate::net::os_text(&error);
                state
                    .log(Level::Warning, format_args!("Read error sending DB to replica: {error}"));
                self.replicas.iter().for_each(|&(token, _)| state.close_now(token));
                true
            }
        }
    }

    fn remove_file(&mut self, state: &mut State) {
        if let Target::File(spool) = &self.target {
            let (disk, path) = (state.environment.disk(), spool.path.clone());
            // One that stays is overwritten by the next one.
            let job = move || drop(disk.remove(&path));
            state.environment.run_job(
                Lane::Files,
                Box::new(move || {
                    job();
                    Done::Files(0, Ok(()))
                }),
            );
        }
    }
}

impl Spool {
    fn read(&mut self, disk: &dyn disk::Disk) -> std::io::Result<Vec<u8>> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(disk.read(&self.path)?.0),
        };
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        reader.take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
        Ok(piece)
    }
}

fn append_unless_broken(
    file: &dyn DiskFile,
    bytes: &[u8],
    broken: &AtomicBool,
) -> std::io::Result<()> {
    use std::sync::atomic::Ordering::Relaxed;
    if broken.load(Relaxed) {
        return Err(std::io::Error::other("a part of it was not written"));
    }
    disk::append_all(file, bytes).map_err(|(_, error)| {
        broken.store(true, Relaxed);
        error
    })
}
