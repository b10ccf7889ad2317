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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::command_records::CommandRecords;
use super::frame::Frame;
use super::rdb_records::RdbRecords;
use super::sink::RecordSink;
use super::{LogPaths, SharedDisk};
use crate::keyspace::{AccessPolicy, Keyspace};
use crate::log::Level;
use crate::persistence::aof::Manifest;
use crate::persistence::aof::manifest::LogFile;
use crate::persistence::disk::{self, DiskFile, Done, Lane};
use crate::persistence::rdb::{Format, Writer};
use crate::server::{Server, State};
use crate::version::REDIS_VERSION;

/// Bytes walked per turn.
const STEP_BYTES: usize = 128 << 10;
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
    /// The new file of changes is being made.
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
    file: Option<Arc<dyn DiskFile>>,
    temporary: PathBuf,
    /// A write has failed: the file must not get its name.
    broken: Arc<AtomicBool>,
    /// Bytes of the jobs that have not ended, oldest first.
    in_flight: VecDeque<usize>,
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
/// Time before a failed snapshot is tried again; it doubles with each rewrite that fails, because each leaves a file of
/// changes behind that the next one that works removes.
const RETRY_US: u64 = 5_000_000;
/// The longest such time.
const RETRY_US_MAX: u64 = 3_600_000_000;

impl Server {
    /// Begins a save in the background.
    fn begin_save(&mut self) -> io::Result<()> {
        let temporary = self
            .state
            .config
            .dir
            .join(format!("temp-{}.rdb", self.state.environment.process().pid));
        self.state.durability.facts.save_scheduled = false;
        self.state.log(Level::Notice, format_args!("Background saving started"));
        self.begin_walk(Purpose::Save, temporary, Manifest::default(), Vec::new())
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
        let (paths, disk) = (state.log_paths(), state.environment.disk());
        if !state.config.appendonly {
            let manifest = state.durability.manifest.clone();
            return self.begin_base(paths.temporary_base(), manifest, None);
        }
        let number = state.durability.next_snapshot();
        let mut manifest = state.durability.manifest.clone();
        let incr = manifest.next_incr();
        manifest.incr.push(LogFile { name: Manifest::incr_name(&paths.name, incr), number: incr });
        let text = manifest.to_string();
        let incr_path = paths.file(&manifest.incr.last().expect("it was added").name);
        state.durability.snapshot = Some(Box::new(Snapshot {
            number,
            purpose: Purpose::Rewrite,
            phase: Phase::Preparing,
            frame: Frame::Commands { next_block: 0 }, // none of it is written
            file: None,
            temporary: paths.temporary_base(),
            broken: Arc::default(),
            in_flight: VecDeque::from([0]),
            started_us: state.now.monotonic_us,
            dirty: state.dirty,
            manifest,
            history: Vec::new(),
            told_us: state.now.monotonic_us,
        }));
        let job = move || {
            let file = disk.create(&incr_path)?;
            disk::sync(&*file)?;
            match has_log {
                true => disk::replace(&*disk, &paths.manifest(), text.as_bytes()),
                false => disk.sync_directory(&paths.directory),
            }
        };
        state.environment.run_job(Lane::Files, Box::new(move || Done::Files(number, job())));
        Ok(())
    }

    /// The new file of changes is there: the log goes on in it, and the walk begins. If meanwhile no log is wanted any
    /// more, the base is all there will be.
    fn change_over(&mut self, snapshot: Snapshot) -> io::Result<()> {
        let state = &mut self.state;
        let (paths, disk) = (state.log_paths(), state.environment.disk());
        let manifest = snapshot.manifest;
        if !state.config.appendonly {
            return self.begin_base(snapshot.temporary, manifest, None);
        }
        let incr = manifest.incr.last().expect("it was added").clone();
        let file = disk.open(&paths.file(&incr.name))?;
        state.effects.settle();
        state.durability.manifest = manifest.clone();
        state.add_effects_to_log();
        match &mut state.durability.log {
            Some(log) => log.switch(file),
            None => state.start_log(file),
        }
        state.effects.forget_selected();
        self.begin_base(snapshot.temporary, manifest, Some(incr))
    }

    /// Begins the walk for a base that takes the place of all files of the log but `kept`.
    fn begin_base(
        &mut self,
        temporary: PathBuf,
        old: Manifest,
        kept: Option<LogFile>,
    ) -> io::Result<()> {
        let number = old.next_base();
        let name = Manifest::base_name(
            &self.state.config.appendfilename,
            number,
            self.state.config.aof_use_rdb_preamble,
        );
        let base = Some(LogFile { name, number });
        let names = old.files().map(|(_, file)| file.name.clone());
        let kept_name = kept.as_ref().map(|file| file.name.clone());
        let history = names.filter(|name| Some(name) != kept_name.as_ref()).collect();
        let manifest = Manifest { base, incr: kept.into_iter().collect(), history: Vec::new() };
        self.begin_walk(Purpose::Rewrite, temporary, manifest, history)
    }

    fn begin_walk(
        &mut self,
        purpose: Purpose,
        temporary: PathBuf,
        manifest: Manifest,
        history: Vec<String>,
    ) -> io::Result<()> {
        let Self { keyspace, state, .. } = self;
        let number = state.durability.next_snapshot();
        let file = state.environment.disk().create(&temporary)?;
        let mut frame = match purpose == Purpose::Rewrite && !state.config.aof_use_rdb_preamble {
            true => state.begin_commands(keyspace),
            false => state.begin_records(keyspace),
        };
        let mut head = Vec::new();
        state.write_head(&mut frame, Some(purpose), &mut head);
        let mut snapshot = Snapshot {
            number,
            purpose,
            phase: Phase::Walking,
            frame,
            file: Some(file),
            temporary,
            broken: Arc::default(),
            in_flight: VecDeque::new(),
            started_us: state.now.monotonic_us,
            dirty: state.dirty,
            manifest,
            history,
            told_us: state.now.monotonic_us,
        };
        snapshot.append(state, head);
        state.durability.snapshot = Some(Box::new(snapshot));
        Ok(())
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
                let (records, complete) = self.keyspace.snapshot_step(STEP_BYTES);
                let bytes = snapshot.frame.records(records);
                if complete {
                    snapshot.finish(&mut self.state, bytes);
                } else if !bytes.is_empty() {
                    snapshot.append(&mut self.state, bytes);
                }
            }
            Phase::Failed => {
                let (_, complete) = self.keyspace.snapshot_step(STEP_BYTES);
                if complete && snapshot.in_flight.is_empty() {
                    return self.state.snapshot_failed(&snapshot);
                }
            }
            _ => {}
        }
        self.state.durability.snapshot = Some(snapshot);
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
            (Ok(()), Phase::Preparing) => {
                let changed_over = self.change_over(*snapshot);
                if let Err(error) = changed_over {
                    self.state.rewrite_failed(&error);
                }
                return;
            }
            (Ok(()), Phase::Finishing) if snapshot.in_flight.is_empty() => {
                return self.state.snapshot_ended(*snapshot);
            }
            (Err(error), Phase::Preparing) => return self.state.rewrite_failed(&error),
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
        } else if self.state.durability.facts.save_scheduled
            && let Err(error) = self.begin_save()
        {
            self.state.save_failed(&error);
        }
    }
}

impl Snapshot {
    /// Has it lead to nothing.
    pub(super) fn fail(&mut self) {
        self.broken.store(true, Ordering::Relaxed);
        self.phase = Phase::Failed;
    }

    fn append(&mut self, state: &mut State, bytes: Vec<u8>) {
        let Some(file) = self.file.clone() else { return };
        self.in_flight.push_back(bytes.len());
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

fn install(
    disk: &SharedDisk,
    file: &dyn DiskFile,
    from: &std::path::Path,
    to: &std::path::Path,
) -> io::Result<()> {
    disk::sync(file)?;
    disk.rename(from, to)?;
    disk.sync_directory(to.parent().unwrap_or(std::path::Path::new(".")))
}

/// Gives the base its name, then makes it count, then takes away what it replaces: at each moment one whole log is there.
fn install_base(
    disk: &SharedDisk,
    file: &dyn DiskFile,
    temporary: &std::path::Path,
    paths: &LogPaths,
    manifest: &Manifest,
    history: &[String],
) -> io::Result<()> {
    let base = manifest.base.as_ref().map_or("", |file| file.name.as_str());
    install(disk, file, temporary, &paths.file(base))?;
    disk::replace(&**disk, &paths.manifest(), manifest.to_string().as_bytes())?;
    for name in history {
        // One that stays takes room and nothing else.
        let _ = disk.remove(&paths.file(name));
    }
    Ok(())
}

impl State {
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
                let facts = &mut self.durability.facts;
                facts.rewrite_ok = true;
                facts.rewrite_s = Some(elapsed_us / 1_000_000);
                facts.rewrites += 1;
                facts.rewrite_failures = 0;
                self.note_base_len();
            }
        }
    }

    fn saved(&mut self, dirty: u64, seconds: Option<u64>) {
        self.dirty = self.dirty.saturating_sub(dirty);
        let facts = &mut self.durability.facts;
        facts.last_save_s = self.now.unix_us / 1_000_000;
        facts.save_ok = true;
        facts.save_s = seconds.or(facts.save_s);
        facts.saves += 1;
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
        match snapshot.purpose {
            Purpose::Save => self.save_failed(&error),
            Purpose::Rewrite => self.rewrite_failed(&error),
        }
    }

    pub(super) fn save_failed(&mut self, error: &io::Error) {
        let error = crate::net::os_text(error);
        self.log(Level::Warning, format_args!("Background saving error: {error}"));
        self.durability.facts.save_ok = false;
        self.durability.facts.retry_us = self.now.monotonic_us + RETRY_US;
    }

    fn rewrite_failed(&mut self, error: &io::Error) {
        let error = crate::net::os_text(error);
        self.log(
            Level::Warning,
            format_args!("Background AOF rewrite terminated with error: {error}"),
        );
        let facts = &mut self.durability.facts;
        facts.rewrite_ok = false;
        let doublings = u32::try_from(facts.rewrite_failures).unwrap_or(u32::MAX).min(20);
        facts.rewrite_failures += 1;
        facts.retry_us = self.now.monotonic_us + (RETRY_US << doublings).min(RETRY_US_MAX);
    }
}
