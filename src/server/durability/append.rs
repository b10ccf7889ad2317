//! The effects of a turn on their way into the log, and what happens when the disk fails.
//!
//! With `always` a failure ends the process: what was executed could neither be acknowledged nor taken back. With the
//! other policies writes are refused, replies that depend on what is not written wait, and the write is tried again.

use crate::config::value::AppendFsync;
use crate::log::Level;
use crate::persistence::aof::Log;
use crate::persistence::aof::block::Line;
use crate::persistence::aof::log::{Failure, Finished, Step, WriteFailed};
use crate::persistence::disk::Done;
use crate::server::replication::Position;
use crate::server::{Server, State};

/// Errors that repeat are told this often.
const ERRORS_TOLD_EVERY_US: u64 = 30_000_000;
/// A sync that takes longer is told.
const SLOW_SYNC_US: u64 = 2_000_000;

impl Server {
    /// What came of jobs since the last turn.
    pub(in crate::server) fn note_finished_jobs(&mut self) {
        for done in std::mem::take(&mut self.state.durability.put_off) {
            self.job_ended(done);
        }
        while let Some(done) = self.state.environment.finished_job() {
            self.job_ended(done);
        }
    }

    fn job_ended(&mut self, done: Done) {
        match done {
            Done::Log(finished) => self.state.log_job_ended(finished),
            Done::Files(number, result) => self.files_job_ended(number, result),
            // A replica's numbers are random, so that no two who ask have the same.
            Done::Resolved(number, addresses) if self.state.migrations.has_asked(number) => {
                self.state.target_resolved(number, addresses);
            }
            Done::Resolved(number, addresses) => self.state.master_resolved(number, addresses),
        }
    }
}

impl State {
    /// Hands the effects of this turn to the log; what depends on more than it has reached waits.
    pub(in crate::server) fn hand_to_log(&mut self) {
        self.effects.settle();
        self.advance_log();
        if self.durability.is_over {
            // Whatever was executed after the failure, in its turn, is in no file.
            self.hold_replies(u64::MAX);
            self.actions.write.clear();
        }
    }

    fn advance_log(&mut self) {
        // Where writes are refused since before this turn, there is none in it whose reply could tell too much, and
        // nobody knows when the log will get on: reads and refusals leave.
        let refusing = self.durability.refusal.is_some();
        self.add_effects_to_log();
        let now_us = self.now.monotonic_us;
        let Some(log) = &mut self.durability.log else { return };
        let step = log.flush(now_us);
        self.take_log_step(step);
        let Some(log) = &mut self.durability.log else { return };
        let hold_syncs =
            self.config.no_appendfsync_on_rewrite && self.durability.snapshot.is_some();
        let step = log.tick(now_us, hold_syncs);
        self.take_log_step(step);
        let Some(log) = &self.durability.log else { return };
        let (added, safe) = (log.added(), log.safe());
        if !self.durability.gates.is_empty() {
            self.release_replies(safe);
        }
        if safe < added && !refusing {
            self.hold_replies(added);
        }
        self.watch_slow_sync(now_us);
    }

    /// The effects so far are a block of the log, and a part of the stream.
    pub(in crate::server) fn add_effects_to_log(&mut self) {
        if self.effects.is_empty() || !self.has_effect_readers() {
            return;
        }
        let unlogged = self.effects.take_unlogged();
        let mut effects = self.effects.take();
        self.feed_effects(&effects);
        let Some(log) = &mut self.durability.log else { return self.effects.recycle(effects) };
        for range in unlogged.into_iter().rev() {
            effects.drain(range);
        }
        if effects.is_empty() {
            return self.effects.recycle(effects);
        }
        let now_s = self.now.unix_us / 1_000_000;
        if self.config.aof_timestamp_enabled && self.durability.timestamp_s != now_s {
            self.durability.timestamp_s = now_s;
            log.add(&[format!("#TS:{now_s}\r\n").as_bytes(), &effects].concat());
        } else {
            log.add(&effects);
        }
        self.effects.recycle(effects);
    }

    /// The offset of the log after all that was executed so far; 0 if there is no log.
    pub fn log_offset(&mut self) -> u64 {
        self.effects.settle();
        self.add_effects_to_log();
        self.durability.log.as_ref().map_or(0, Log::added)
    }

    /// Returns when all that was added is on the device.
    pub fn sync_log(&mut self) -> Result<(), String> {
        self.effects.settle();
        let failed = |error: &std::io::Error| {
            format!("Error writing the append only file: {}", crate::net::os_text(error))
        };
        let now_us = self.now.monotonic_us;
        loop {
            self.add_effects_to_log();
            let Some(log) = &mut self.durability.log else { return Ok(()) };
            if log.is_synced() && log.unwritten() == 0 {
                return Ok(());
            }
            let mut step = log.flush(now_us);
            if step.job.is_none() && step.failure.is_none() && !log.is_busy() {
                step = log.sync(now_us);
            }
            let (mut ran, mut failure) = (false, step.failure);
            if let Some((lane, job)) = step.job {
                self.environment.run_job(lane, job);
                ran = true;
            }
            if ran || log.is_busy() {
                match self.environment.wait_for_job() {
                    Some(Done::Log(finished)) => failure = log.finished(finished),
                    Some(done) => self.durability.put_off.push(done), // for the next turn
                    None => {}
                }
            } else if failure.is_none() && log.is_distrusted() {
                return Err("The append only file could not be synced before".to_string());
            }
            match failure {
                Some(Failure::Write(failed_write)) => return Err(failed(&failed_write.error)),
                Some(Failure::Sync(error)) => return Err(failed(&error)),
                None => {}
            }
        }
    }

    /// The same after a command has panicked: what it may have done is left out, all before it is in.
    pub fn sync_log_after_panic(&mut self) -> Result<(), String> {
        self.effects.forget_running();
        self.sync_log()
    }

    /// Ends the log: whoever writes to its file next may be another program. `position`: where in a history of changes it
    /// ends, if that is known.
    pub fn close_log(&mut self, position: Option<Position>) -> Result<(), String> {
        self.sync_log()?;
        let Some(log) = &mut self.durability.log else { return Ok(()) };
        log.write_line(Line::Close(log.next_block()));
        if let Some(position) = position {
            log.write_line(Line::At(position.into()));
        }
        if let Err(message) = self.sync_log() {
            if let Some(log) = &mut self.durability.log {
                log.write_line(Line::Open(log.next_block()));
            }
            return Err(message);
        }
        self.release_replies(u64::MAX);
        self.durability.log = None;
        self.apply_effect_readers();
        Ok(())
    }

    /// Follows `appendonly` and `appendfsync`.
    pub(in crate::server) fn apply_log_config(&mut self) {
        if let Some(log) = &mut self.durability.log {
            log.set_policy(self.config.appendfsync);
        }
        if !self.durability.started {
            return;
        }
        match (self.config.appendonly, self.durability.log.is_some()) {
            (true, false) => {
                self.durability.facts.rewrite_scheduled = true;
                self.durability.facts.retry_us = 0;
            }
            (false, true) => {
                if let Err(message) = self.close_log(None) {
                    self.log(Level::Warning, format_args!("{message}"));
                    self.durability.log = None;
                    self.apply_effect_readers();
                }
            }
            _ => {}
        }
    }

    fn take_log_step(&mut self, step: Step) {
        if let Some((lane, job)) = step.job {
            self.environment.run_job(lane, job);
        }
        match step.failure {
            Some(failure) => self.log_failed(failure),
            None => self.log_recovered(),
        }
    }

    pub(super) fn log_job_ended(&mut self, finished: Finished) {
        self.durability.slow_sync_told = false;
        let Some(log) = &mut self.durability.log else { return };
        match log.finished(finished) {
            Some(failure) => self.log_failed(failure),
            None => self.log_recovered(),
        }
    }

    fn log_failed(&mut self, failure: Failure) {
        let always = self.config.appendfsync == AppendFsync::Always;
        match failure {
            Failure::Write(failed) => self.write_failed(&failed, always),
            Failure::Sync(error) => {
                let error = crate::net::os_text(&error);
                if always {
                    self.log(Level::Warning, format_args!("Can't persist AOF for fsync error when the AOF fsync policy is 'always': {error}. Exiting..."));
                    return self.die();
                }
                self.log(Level::Warning, format_args!("Fail to fsync the AOF file: {error}"));
                self.durability.refusal =
                    Some(format!("MISCONF Errors writing to the AOF file: {error}"));
                // The old file is not to be trusted: all data goes into a new one.
                self.durability.facts.rewrite_scheduled = true;
            }
        }
    }

    fn write_failed(&mut self, failed: &WriteFailed, always: bool) {
        let error = crate::net::os_text(&failed.error);
        let now_us = self.now.monotonic_us;
        let last_us = self.durability.last_error_us;
        if last_us.is_none_or(|last_us| now_us - last_us >= ERRORS_TOLD_EVERY_US) || always {
            self.durability.last_error_us = Some(now_us);
            let WriteFailed { written, expected, .. } = failed;
            if *written == 0 {
                self.log(Level::Warning, format_args!("Error writing to the AOF file: {error}"));
            } else {
                self.log(Level::Warning, format_args!("Short write while writing to the AOF file: (nwritten={written}, expected={expected})"));
            }
            if failed.left {
                self.log(Level::Warning, format_args!("Could not remove short write from the append-only file.  The file may be corrupted."));
            }
        }
        if always {
            self.log(Level::Warning, format_args!("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."));
            return self.die();
        }
        self.durability.refusal = Some(format!("MISCONF Errors writing to the AOF file: {error}"));
    }

    /// Ends the process at the end of the turn. No reply that depends on the log leaves any more.
    fn die(&mut self) {
        self.durability.log = None;
        self.durability.is_over = true;
        self.actions.stop_accepting = true;
        self.actions.exit = Some(1);
    }

    /// A write that failed has worked.
    pub(super) fn log_recovered(&mut self) {
        let is_sound =
            |log: &crate::persistence::aof::Log| !log.write_failed() && !log.is_distrusted();
        if self.durability.refusal.is_some() && self.durability.log.as_ref().is_some_and(is_sound) {
            self.durability.refusal = None;
            self.durability.last_error_us = None;
            self.log(
                Level::Warning,
                format_args!("AOF write error looks solved, server can write again."),
            );
        }
    }

    /// Somebody may have taken the log away, or cut it: then all data goes into a new one.
    pub(in crate::server) fn look_at_log(&mut self) {
        let Some(log) = &self.durability.log else { return };
        if self.durability.snapshot.is_some() || log.is_busy() {
            return;
        }
        let (Ok((len, links)), expected) = (log.file().0.facts(), log.file_len_written()) else {
            return;
        };
        if links == 0 || len < expected {
            let what = if links == 0 { "was removed" } else { "was cut" };
            self.log(
                Level::Warning,
                format_args!(
                    "The AOF file {what} by somebody else. Writing a new one from memory."
                ),
            );
            self.durability.facts.rewrite_scheduled = true;
        }
    }

    fn watch_slow_sync(&mut self, now_us: u64) {
        let since_us = self.durability.log.as_ref().and_then(|log| log.syncing_since_us());
        if !self.durability.slow_sync_told
            && since_us.is_some_and(|since_us| now_us.saturating_sub(since_us) >= SLOW_SYNC_US)
        {
            self.durability.slow_sync_told = true;
            self.durability.delayed_syncs += 1;
            self.log(
                Level::Notice,
                format_args!("Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync to complete, this may slow down the server."),
            );
        }
    }
}
