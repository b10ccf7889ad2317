//! Snapshots: `BGSAVE`, `SAVE`, and the base file of a rewritten log. One at a time.
//!
//! The keyspace is walked a little each turn, and what was walked is written by a job; the walk waits when the disk does
//! not keep up. The file gets its name when all of it is on the device, so there is a whole one at any time.
//!
//! A rewrite first starts a new file of changes, so that base and changes meet at one point in time: the turn in which
//! the log changes over and the snapshot begins.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::command_records::CommandRecords;
use super::frame::Frame;
use super::rdb_records::RdbRecords;
use super::sink::RecordSink;
use super::snapshot_files::{MadeFiles, NewIncr, install, install_base, make_files};
use crate::keyspace::{AccessPolicy, Keyspace};
use crate::log::Level;
use crate::persistence::aof::Manifest;
use crate::persistence::aof::manifest::LogFile;
use crate::persistence::disk::{self, DiskFile, Done, Lane};
use crate::persistence::rdb::{Format, Writer};
use crate::server::{Server, State};
use crate::version::REDIS_VERSION;

/// Bytes walked at a time.
const STEP_BYTES: usize = 16 << 10;
/// Bytes walked per turn, and time: what compresses well or is not in the processor's cache takes longer than others.
const TURN_BYTES: usize = 128 << 10;
const TURN_US: u64 = 1_000;
/// Bytes on their way to the disk beyond which the walk waits.
const IN_FLIGHT_BYTES_MAX: usize = 8 << 20;

/// What a snapshot is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// `dump.rdb`.
    Save,
    /// The base of the log.
    Rewrite,
}

/// Where a snapshot is.
#[derive(PartialEq, Eq, Debug)]
enum Phase {
    /// Its files are being made.
    Preparing,
    /// Keys are walked.
    Walking,
    /// The end is being written, and the file gets its name.
    Finishing,
    /// It has failed: the walk goes on for nothing, so that all entries are alike after it.
    Failed,
}

/// A snapshot that is being taken.
pub struct Snapshot {
    /// Which one it is: what comes of the jobs of another is not its concern.
    number: u64,
    /// What it is for.
    pub purpose: Purpose,
    phase: Phase,
    frame: Frame,
    /// What was made before it began.
    made: Arc<OnceLock<MadeFiles>>,
    file: Option<Arc<dyn DiskFile>>,
    temporary: PathBuf,
    /// A write has failed: the file must not get its name.
    broken: Arc<AtomicBool>,
    /// Bytes of the jobs that have not ended, oldest first.
    in_flight: VecDeque<usize>,
    /// Bytes of its file.
    bytes: u64,
    /// Monotonic time of its begin.
    pub started_us: u64,
    /// `dirty` when it began.
    dirty: u64,
    /// The files of the log when it is done.
    manifest: Manifest,
    history: Vec<String>,
    /// When the log last told how far it is.
    told_us: u64,
}

/// How often the log tells how far the walk is.
const PROGRESS_EVERY_US: u64 = 5_000_000;
impl Server {
    /// Begins a save in the background.
    fn begin_save(&mut self) {
        let state = &mut self.state;
        state.durability.facts.save_scheduled = false;
        state.log(Level::Notice, format_args!("Background saving started"));
        let name = format!("temp-{}.rdb", state.environment.process().pid);
        let temporary = state.config.dir.join(name);
        state.prepare_snapshot(Purpose::Save, temporary, Manifest::default(), None);
    }

    /// Begins a rewrite of the log in the background. While a log is kept, or is to be, the file that it will go on in is
    /// made first.
    fn begin_rewrite(&mut self) -> io::Result<()> {
        let state = &mut self.state;
        state.durability.facts.rewrite_scheduled = false;
        state.log(Level::Notice, format_args!("Background append only file rewriting started"));
        let has_log = state.durability.log.is_some();
        // Without a log its files are of an older one: they count until the new base does.
        if !has_log {
            state.read_manifest().map_err(io::Error::other)?;
        }
        let paths = state.log_paths();
        let temporary = paths.temporary_base();
        let mut manifest = state.durability.manifest.clone();
        if !state.config.appendonly {
            state.prepare_snapshot(Purpose::Rewrite, temporary, manifest, None);
            return Ok(());
        }
        let number = manifest.next_incr();
        let name = Manifest::incr_name(&paths.name, number);
        manifest.incr.push(LogFile { name: name.clone(), number });
        let incr = NewIncr {
            path: paths.file(&name),
            paths,
            manifest: has_log.then(|| manifest.to_string()),
        };
        state.prepare_snapshot(Purpose::Rewrite, temporary, manifest, Some(incr));
        Ok(())
    }

    /// The files that were to be made are there.
    fn begin_prepared(&mut self, mut snapshot: Snapshot) {
        let made = snapshot.made.get().expect("the job that makes them has ended well");
        let (file, incr) = (Arc::clone(&made.file), made.incr.clone());
        if snapshot.purpose == Purpose::Rewrite {
            let kept = incr.and_then(|incr| self.change_over(&snapshot.manifest, incr));
            snapshot.replace_all_but(kept, &self.state);
        }
        self.begin_walk(snapshot, file);
    }

    /// The log goes on in the new file of changes, which is returned. If meanwhile no log is wanted any more, the base is
    /// all there will be.
    fn change_over(&mut self, manifest: &Manifest, file: Arc<dyn DiskFile>) -> Option<LogFile> {
        let state = &mut self.state;
        if !state.config.appendonly {
            return None;
        }
        state.effects.settle();
        state.durability.manifest = manifest.clone();
        state.add_effects_to_log();
        match &mut state.durability.log {
            Some(log) => log.switch(file),
            None => state.start_log(file),
        }
        state.effects.forget_selected();
        manifest.incr.last().cloned()
    }

    fn begin_walk(&mut self, mut snapshot: Snapshot, file: Arc<dyn DiskFile>) {
        let Self { keyspace, state, .. } = self;
        let purpose = snapshot.purpose;
        snapshot.frame = match purpose == Purpose::Rewrite && !state.config.aof_use_rdb_preamble {
            true => state.begin_commands(keyspace),
            false => state.begin_records(keyspace),
        };
        let mut head = Vec::new();
        state.write_head(&mut snapshot.frame, Some(purpose), &mut head);
        snapshot.file = Some(file);
        snapshot.phase = Phase::Walking;
        snapshot.dirty = state.dirty;
        snapshot.append(state, head);
        state.durability.snapshot = Some(Box::new(snapshot));
    }

    /// Goes on with the snapshot. Nothing if none is being taken.
    pub(in crate::server) fn snapshot_some(&mut self) {
        let Some(mut snapshot) = self.state.durability.snapshot.take() else {
            return self.begin_scheduled();
        };
        let keeps_up = snapshot.in_flight.iter().sum::<usize>() < IN_FLIGHT_BYTES_MAX;
        match snapshot.phase {
            Phase::Walking if keeps_up => {
                self.tell_walked(&mut snapshot);
                let (records, complete) = self.walk_for_a_turn();
                let bytes = snapshot.frame.records(records);
                if complete {
                    snapshot.finish(&mut self.state, bytes);
                } else if !bytes.is_empty() {
                    snapshot.append(&mut self.state, bytes);
                }
            }
            Phase::Failed => {
                let (_, complete) = self.walk_for_a_turn();
                if complete && snapshot.in_flight.is_empty() {
                    return self.state.snapshot_failed(&snapshot);
                }
            }
            _ => {}
        }
        self.state.durability.snapshot = Some(snapshot);
    }

    /// Returns the records, and whether they are the last.
    fn walk_for_a_turn(&mut self) -> (Vec<u8>, bool) {
        let started_ns = self.state.environment.monotonic_ns();
        let (mut records, mut complete) = self.keyspace.snapshot_step(STEP_BYTES);
        while !complete && records.len() < TURN_BYTES {
            let elapsed_ns = self.state.environment.monotonic_ns().saturating_sub(started_ns);
            if elapsed_ns > TURN_US * 1000 {
                break;
            }
            let (more, is_complete) = self.keyspace.snapshot_step(STEP_BYTES);
            records.extend(more);
            complete = is_complete;
        }
        (records, complete)
    }

    fn tell_walked(&mut self, snapshot: &mut Snapshot) {
        let now_us = self.state.now.monotonic_us;
        if now_us.saturating_sub(snapshot.told_us) < PROGRESS_EVERY_US {
            return;
        }
        snapshot.told_us = now_us;
        let (done, keys) = self.keyspace.snapshot_progress();
        let percent = done * 100 / keys.max(1);
        self.state.log(Level::Notice, format_args!("Writing: {done} of {keys} keys ({percent}%)"));
    }

    /// Whether the snapshot has something to do without an event.
    pub(in crate::server) fn snapshot_has_work(&self) -> bool {
        self.state.durability.snapshot.as_ref().is_some_and(|snapshot| match snapshot.phase {
            Phase::Walking => snapshot.in_flight.iter().sum::<usize>() < IN_FLIGHT_BYTES_MAX,
            Phase::Failed => self.keyspace.has_snapshot(),
            Phase::Preparing | Phase::Finishing => false,
        })
    }

    /// A job on the files of a snapshot has ended.
    pub(super) fn files_job_ended(&mut self, number: u64, result: io::Result<()>) {
        if self.sync_write_ended(number, &result) {
            return;
        }
        let is_it = |snapshot: &mut Box<Snapshot>| snapshot.number == number;
        let Some(mut snapshot) = self.state.durability.snapshot.take_if(is_it) else { return };
        snapshot.in_flight.pop_front();
        match (result, &snapshot.phase) {
            (Ok(()), Phase::Preparing) => return self.begin_prepared(*snapshot),
            (Ok(()), Phase::Finishing) if snapshot.in_flight.is_empty() => {
                return self.state.snapshot_ended(*snapshot);
            }
            (Err(error), Phase::Preparing) => {
                return self.state.snapshot_not_taken(snapshot.purpose, &error);
            }
            (Err(error), _) => {
                let error = crate::net::os_text(&error);
                if snapshot.phase != Phase::Failed {
                    self.state.log(
                        Level::Warning,
                        format_args!("Write error saving DB on disk: {error}"),
                    );
                }
                snapshot.phase = Phase::Failed;
            }
            (Ok(()), _) => {}
        }
        self.state.durability.snapshot = Some(snapshot);
    }

    fn begin_scheduled(&mut self) {
        let durability = &self.state.durability;
        if durability.loading.is_some()
            || self.state.replication.full_sync.is_some()
            || self.state.now.monotonic_us < durability.facts.retry_us
        {
            return;
        }
        if self.state.durability.facts.rewrite_scheduled {
            if let Err(error) = self.begin_rewrite() {
                self.state.rewrite_failed(&error);
            }
        } else if self.state.durability.facts.save_scheduled {
            self.begin_save();
        }
    }
}

impl Snapshot {
    /// It is the base of a log whose other files are not needed then, but for `kept`.
    fn replace_all_but(&mut self, kept: Option<LogFile>, state: &State) {
        let old = std::mem::take(&mut self.manifest);
        let number = old.next_base();
        let config = &state.config;
        let name = Manifest::base_name(&config.appendfilename, number, config.aof_use_rdb_preamble);
        let names = old.files().map(|(_, file)| file.name.clone());
        let kept_name = kept.as_ref().map(|file| file.name.clone());
        self.history = names.filter(|name| Some(name) != kept_name.as_ref()).collect();
        self.manifest = Manifest {
            base: Some(LogFile { name, number }),
            incr: kept.into_iter().collect(),
            history: Vec::new(),
        };
    }

    /// Has it lead to nothing.
    pub(super) fn fail(&mut self) {
        self.broken.store(true, Ordering::Relaxed);
        self.phase = Phase::Failed;
    }

    fn append(&mut self, state: &mut State, bytes: Vec<u8>) {
        let Some(file) = self.file.clone() else { return };
        self.in_flight.push_back(bytes.len());
        self.bytes += bytes.len() as u64;
        let number = self.number;
        let broken = Arc::clone(&self.broken);
        let job = move || {
            disk::append_all(&*file, &bytes).map_err(|(_, error)| {
                broken.store(true, Ordering::Relaxed);
                error
            })
        };
        state.environment.run_job(Lane::Files, Box::new(move || Done::Files(number, job())));
    }

    /// Has the rest written, and the file get its name when all is on the device.
    fn finish(&mut self, state: &mut State, mut bytes: Vec<u8>) {
        self.frame.end(&mut bytes);
        self.append(state, bytes);
        self.phase = Phase::Finishing;
        let Some(file) = self.file.clone() else { return };
        let (disk, temporary) = (state.environment.disk(), self.temporary.clone());
        self.in_flight.push_back(0);
        let job: Box<dyn FnOnce() -> io::Result<()> + Send> = match self.purpose {
            Purpose::Save => {
                let path = state.dump_path();
                Box::new(move || install(&disk, &*file, &temporary, &path))
            }
            Purpose::Rewrite => {
                let (paths, manifest) = (state.log_paths(), self.manifest.clone());
                let history = self.history.clone();
                Box::new(move || {
                    install_base(&disk, &*file, &temporary, &paths, &manifest, &history)
                })
            }
        };
        let (number, broken) = (self.number, Arc::clone(&self.broken));
        let job = move || {
            if broken.load(Ordering::Relaxed) {
                return Err(io::Error::other("a part of it was not written"));
            }
            job()
        };
        state.environment.run_job(Lane::Files, Box::new(move || Done::Files(number, job())));
    }
}

impl State {
    /// Has the files made that a snapshot needs; it begins when they are there.
    fn prepare_snapshot(
        &mut self,
        purpose: Purpose,
        temporary: PathBuf,
        manifest: Manifest,
        incr: Option<NewIncr>,
    ) {
        let number = self.durability.next_snapshot();
        let made = Arc::new(OnceLock::new());
        self.durability.snapshot = Some(Box::new(Snapshot {
            number,
            purpose,
            phase: Phase::Preparing,
            frame: Frame::Commands { next_block: 0 }, // none of it is written
            made: Arc::clone(&made),
            file: None,
            temporary: temporary.clone(),
            broken: Arc::default(),
            in_flight: VecDeque::from([0]),
            bytes: 0,
            started_us: self.now.monotonic_us,
            dirty: self.dirty,
            manifest,
            history: Vec::new(),
            told_us: self.now.monotonic_us,
        }));
        let disk = self.environment.disk();
        let job = move || {
            let files = make_files(&*disk, &temporary, incr)?;
            made.set(files).map_err(|_| io::Error::other("they were made before"))
        };
        self.environment.run_job(Lane::Files, Box::new(move || Done::Files(number, job())));
    }

    /// Writes a snapshot at once, while everybody waits (`SAVE`).
    pub fn save_now(&mut self, keyspace: &mut Keyspace) -> io::Result<()> {
        let bytes = self.snapshot_bytes(keyspace);
        let (disk, path) = (self.environment.disk(), self.dump_path());
        let result = disk::replace(&*disk, &path, &bytes);
        match &result {
            Ok(()) => {
                self.log(Level::Notice, format_args!("DB saved on disk"));
                self.saved(self.dirty, None);
            }
            Err(error) => self.save_failed(error),
        }
        result
    }

    /// All data as a snapshot. No other may be running.
    pub fn snapshot_bytes(&mut self, keyspace: &mut Keyspace) -> Vec<u8> {
        let mut frame = self.begin_records(keyspace);
        let mut bytes = Vec::new();
        self.write_head(&mut frame, Some(Purpose::Save), &mut bytes);
        let (records, complete) = keyspace.snapshot_step(usize::MAX);
        debug_assert!(complete, "a walk without a limit comes to the end");
        bytes.extend(frame.records(records));
        frame.end(&mut bytes);
        bytes
    }

    /// Gives up the snapshot that is being taken, if there is one.
    pub fn abort_snapshot(&mut self, keyspace: &mut Keyspace) {
        self.abort_full_sync(keyspace);
        let Some(snapshot) = self.durability.snapshot.take() else { return };
        snapshot.broken.store(true, Ordering::Relaxed);
        let mut in_flight = snapshot.in_flight.len();
        while in_flight > 0 {
            match self.environment.wait_for_job() {
                Some(Done::Files(..)) => in_flight -= 1,
                Some(Done::Log(finished)) => self.log_job_ended(finished),
                Some(done) => self.durability.put_off.push(done),
                None => break,
            }
        }
        while !keyspace.snapshot_step(usize::MAX).1 {}
        // It is overwritten by the next one if it stays.
        let _ = self.environment.disk().remove(&snapshot.temporary);
    }

    /// Begins a snapshot as RDB records. None may be running.
    pub(super) fn begin_records(&self, keyspace: &mut Keyspace) -> Frame {
        // Expire times of fields are worth more than that Redis 7.0 can read the file.
        let format = match keyspace.has_field_expiry() {
            true => Format::Redis12,
            false => Format::Redis10,
        };
        let (config, access) = (&self.config, self.snapshot_access(keyspace));
        keyspace.begin_snapshot(|db, database| {
            let compresses = config.rdbcompression;
            Box::new(RecordSink::new(RdbRecords::new(db, database, format, compresses, access)))
        });
        Frame::Rdb(Writer::new(format, config.rdbcompression, config.rdbchecksum))
    }

    /// How the access clocks go into a snapshot, if they do.
    pub(in crate::server) fn snapshot_access(
        &self,
        keyspace: &Keyspace,
    ) -> Option<(AccessPolicy, i64)> {
        let policy = self.config.maxmemory_policy;
        let keeps_access = policy.is_lru() || policy.is_lfu();
        keeps_access.then(|| (keyspace.policy, keyspace.wall_ms()))
    }

    /// Begins a snapshot as commands. None may be running.
    fn begin_commands(&self, keyspace: &mut Keyspace) -> Frame {
        keyspace.begin_snapshot(|db, _| Box::new(RecordSink::new(CommandRecords::new(db))));
        Frame::Commands { next_block: 0 }
    }

    /// Writes what a snapshot says about itself; `None`: it is for replicas. While there is a stream, it says where in it
    /// it is.
    pub(in crate::server) fn write_head(
        &mut self,
        frame: &mut Frame,
        purpose: Option<Purpose>,
        out: &mut Vec<u8>,
    ) {
        let seconds = (self.now.unix_us / 1_000_000).to_string();
        let used = self.environment.allocated_bytes().to_string();
        let position = self.stream_position().map(|position| {
            (position.replid, position.offset.to_string(), position.db.to_string())
        });
        let base: &[u8] = if purpose == Some(Purpose::Rewrite) { b"1" } else { b"0" };
        let mut facts = vec![
            (&b"redis-ver"[..], REDIS_VERSION.as_bytes()),
            (b"redis-bits", b"64"),
            (b"ctime", seconds.as_bytes()),
            (b"used-mem", used.as_bytes()),
        ];
        if let Some((replid, offset, db)) = &position {
            facts.push((b"repl-stream-db", db.as_bytes()));
            facts.push((b"repl-id", replid.as_bytes()));
            facts.push((b"repl-offset", offset.as_bytes()));
        }
        facts.push((b"aof-base", base));
        frame.begin(out, facts);
    }

    /// Where the snapshot is.
    pub fn dump_path(&self) -> PathBuf {
        self.config.dir.join(&self.config.dbfilename)
    }

    fn snapshot_ended(&mut self, snapshot: Snapshot) {
        let elapsed_us = self.now.monotonic_us.saturating_sub(snapshot.started_us);
        match snapshot.purpose {
            Purpose::Save => {
                self.log(Level::Notice, format_args!("Background saving terminated with success"));
                self.saved(snapshot.dirty, Some(elapsed_us / 1_000_000));
            }
            Purpose::Rewrite => {
                self.log(
                    Level::Notice,
                    format_args!("Background AOF rewrite finished successfully"),
                );
                self.durability.manifest = snapshot.manifest;
                if let Some(log) = &mut self.durability.log {
                    log.start_afresh();
                }
                self.log_recovered();
                let bytes =
                    snapshot.bytes + self.durability.log.as_ref().map_or(0, |log| log.file().1);
                self.rewritten(bytes, elapsed_us / 1_000_000);
            }
        }
    }

    fn snapshot_failed(&mut self, snapshot: &Snapshot) {
        let (disk, temporary) = (self.environment.disk(), snapshot.temporary.clone());
        // Nobody waits for it, and one that stays is overwritten by the next snapshot.
        self.environment.run_job(
            Lane::Files,
            Box::new(move || {
                let _ = disk.remove(&temporary);
                Done::Files(0, Ok(()))
            }),
        );
        let error = io::Error::other("the snapshot was not written");
        self.snapshot_not_taken(snapshot.purpose, &error);
    }
}
