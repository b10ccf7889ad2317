//! When it is time for a snapshot, and what came of the last ones.

use std::io;

use super::Purpose;
use crate::config::SavePoint;
use crate::log::Level;
use crate::persistence::aof::Log;
use crate::server::State;

/// Time before a failed snapshot is tried again; it doubles with each rewrite that fails, because each leaves a file of
/// changes behind that the next one that works removes.
const RETRY_US: u64 = 5_000_000;
/// The longest such time.
const RETRY_US_MAX: u64 = 3_600_000_000;

/// What came of snapshots.
#[derive(Debug)]
pub struct SnapshotFacts {
    /// Unix time of the last save.
    pub last_save_s: u64,
    /// Whether the last save worked.
    pub save_ok: bool,
    /// Whether the last rewrite worked.
    pub rewrite_ok: bool,
    /// Seconds that the last save took.
    pub save_s: Option<u64>,
    /// Seconds that the last rewrite took.
    pub rewrite_s: Option<u64>,
    /// Keys that were loaded from a snapshot.
    pub keys_loaded: u64,
    /// Saves that worked.
    pub saves: u64,
    /// Rewrites that worked.
    pub rewrites: u64,
    /// Rewrites that failed since one worked.
    pub rewrite_failures: u64,
    /// Monotonic time before which no failed snapshot is tried again.
    pub retry_us: u64,
    /// Length of the log's files after the last rewrite, or at the start.
    pub base_len: u64,
    /// Offset of the log at that time.
    pub base_added: u64,
    /// A rewrite begins when the snapshot that is running has ended.
    pub rewrite_scheduled: bool,
    /// A save begins when the snapshot that is running has ended.
    pub save_scheduled: bool,
}

impl Default for SnapshotFacts {
    fn default() -> Self {
        Self {
            last_save_s: 0,
            save_ok: true,
            rewrite_ok: true,
            save_s: None,
            rewrite_s: None,
            keys_loaded: 0,
            saves: 0,
            rewrites: 0,
            rewrite_failures: 0,
            retry_us: 0,
            base_len: 0,
            base_added: 0,
            rewrite_scheduled: false,
            save_scheduled: false,
        }
    }
}

impl State {
    /// Unix time of the last save, or of the start.
    pub fn last_save_s(&self) -> u64 {
        self.durability.facts.last_save_s.max(self.started.unix_us / 1_000_000)
    }

    /// Whether it is time for a snapshot, by the save points or by the growth of the log.
    pub(in crate::server) fn schedule_snapshots(&mut self) {
        let now_us = self.now.monotonic_us;
        let since_s = (self.now.unix_us / 1_000_000).saturating_sub(self.last_save_s());
        let added = self.durability.log.as_ref().map(|log| log.added());
        let durability = &self.durability;
        if durability.snapshot.is_some()
            || durability.loading.is_some()
            || now_us < durability.facts.retry_us
        {
            return;
        }
        let dirty = self.dirty;
        let is_due = |point: &SavePoint| dirty >= point.changes && since_s > point.seconds;
        let save_due = self.config.save.iter().any(is_due);
        let rewrite_due = added.is_some_and(|added| {
            let base_len = durability.facts.base_len.max(1);
            let grown = added.saturating_sub(durability.facts.base_added);
            let percent = u64::from(self.config.auto_aof_rewrite_percentage);
            percent > 0
                && durability.facts.base_len + grown > self.config.auto_aof_rewrite_min_size
                && grown.saturating_mul(100) / base_len >= percent
        });
        if save_due {
            self.log(
                Level::Notice,
                format_args!("{dirty} changes in {since_s} seconds. Saving..."),
            );
        }
        if rewrite_due {
            self.log(Level::Notice, format_args!("Starting automatic rewriting of AOF"));
        }
        self.look_at_log();
        self.durability.facts.save_scheduled |= save_due;
        self.durability.facts.rewrite_scheduled |= rewrite_due;
    }

    /// A rewrite has worked: so many bytes are in the log's files, and it took so many seconds.
    pub(super) fn rewritten(&mut self, bytes: u64, seconds: u64) {
        let facts = &mut self.durability.facts;
        facts.rewrite_ok = true;
        facts.rewrite_s = Some(seconds);
        facts.rewrites += 1;
        facts.rewrite_failures = 0;
        self.note_base_len(bytes);
    }

    /// What a rewrite is measured by: the bytes that are in the log's files now.
    pub(super) fn note_base_len(&mut self, bytes: u64) {
        self.durability.facts.base_len = bytes;
        self.durability.facts.base_added = self.durability.log.as_ref().map_or(0, Log::added);
    }

    /// A save has worked, of a snapshot at this count of changes; `None`: nobody has measured its time.
    pub(super) fn saved(&mut self, dirty: u64, seconds: Option<u64>) {
        self.dirty = self.dirty.saturating_sub(dirty);
        let facts = &mut self.durability.facts;
        facts.last_save_s = self.now.unix_us / 1_000_000;
        facts.save_ok = true;
        facts.save_s = seconds.or(facts.save_s);
        facts.saves += 1;
    }

    /// A snapshot was begun and will not be.
    pub(super) fn snapshot_not_taken(&mut self, purpose: Purpose, error: &io::Error) {
        match purpose {
            Purpose::Save => self.save_failed(error),
            Purpose::Rewrite => self.rewrite_failed(error),
        }
    }

    pub(super) fn save_failed(&mut self, error: &io::Error) {
        let error = crate::net::os_text(error);
        self.log(Level::Warning, format_args!("Background saving error: {error}"));
        self.durability.facts.save_ok = false;
        self.durability.facts.retry_us = self.now.monotonic_us + RETRY_US;
    }

    pub(super) fn rewrite_failed(&mut self, error: &io::Error) {
        let error = crate::net::os_text(error);
        self.log(
            Level::Warning,
            format_args!("Background AOF rewrite terminated with error: {error}"),
        );
        // Until one works no write is accepted, or none is kept: it is tried again.
        let is_needed = self.durability.log.as_ref().is_none_or(Log::is_distrusted);
        let facts = &mut self.durability.facts;
        facts.rewrite_scheduled |= is_needed && self.config.appendonly;
        facts.rewrite_ok = false;
        let doublings = u32::try_from(facts.rewrite_failures).unwrap_or(u32::MAX).min(20);
        facts.rewrite_failures += 1;
        facts.retry_us = self.now.monotonic_us + (RETRY_US << doublings).min(RETRY_US_MAX);
    }
}
