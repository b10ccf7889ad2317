//! The log that is written: what is on its way to the disk, and what has arrived.
//!
//! Bytes go through four states: added, being written, written, synced; each has an offset that only grows, so that a
//! reply can wait for the offset it depends on. While no sync is running the loop writes by itself: a write goes to the
//! page cache. While one is, the writes go to another thread, for they may have to wait for it; what comes meanwhile is
//! written together. With `always` a job writes and syncs, and takes all that has come during the one before.
//!
//! A write that fails is tried again. A sync that fails is final for its file: the kernel has marked the pages clean.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::block::Line;
use crate::config::value::AppendFsync;
use crate::persistence::disk::{DiskFile, Done, Job, Lane, append_all, sync};

/// Time between two syncs with `everysec`.
const SYNC_EVERY_US: u64 = 1_000_000;
/// Bytes of memory that the buffer keeps between turns.
const BUFFER_KEPT_BYTES: usize = 1 << 20;

/// A file of the log and what is still to be written to it.
struct Segment {
    file: Arc<dyn DiskFile>,
    /// Bytes in the file: whole blocks, as long as nothing fails.
    len: u64,
    /// Offset of the log at which this file begins.
    begins: u64,
    buffer: Vec<u8>,
}

/// What came of a job of the log.
#[derive(Debug)]
pub struct Finished {
    /// The bytes that were to be written, if any, and what came of it.
    written: Option<(Vec<u8>, Result<(), WriteFailed>)>,
    /// If there was a sync: up to which offset, and what came of it.
    synced: Option<(u64, io::Result<()>)>,
}

/// A write that was not finished.
#[derive(Debug)]
pub struct WriteFailed {
    /// Why.
    pub error: io::Error,
    /// Bytes that were written.
    pub written: usize,
    /// Bytes that were to be written.
    pub expected: usize,
    /// The bytes that were written could not be taken back either.
    pub left: bool,
}

/// What has gone wrong.
#[derive(Debug)]
pub enum Failure {
    /// A write; it will be tried again.
    Write(WriteFailed),
    /// A sync; the file is not to be trusted any more.
    Sync(io::Error),
}

/// What there is to be told after a step.
#[derive(Default)]
pub struct Step {
    /// A job to be run.
    pub job: Option<(Lane, Job)>,
    /// Something has gone wrong.
    pub failure: Option<Failure>,
}

impl Step {
    fn job(lane: Lane, job: impl FnOnce() -> Finished + Send + 'static) -> Self {
        Self { job: Some((lane, Box::new(|| Done::Log(job())))), failure: None }
    }
}

/// The log.
pub struct Log {
    /// The file that is written, and after a change of files the one after it.
    segments: VecDeque<Segment>,
    policy: AppendFsync,
    next_block: u64,
    added: u64,
    written: u64,
    synced: u64,
    /// A job writes.
    writing: bool,
    /// A job syncs, since when.
    syncing_since_us: Option<u64>,
    last_sync_us: u64,
    /// The last write failed.
    write_failed: bool,
    /// A sync of these files has failed: they are not synced again.
    distrusted: bool,
}

impl Log {
    /// A log that goes on at the end of `file`, `len` bytes long. `next_block` is the number of the next block; the
    /// file must say already that blocks follow.
    pub fn new(file: Arc<dyn DiskFile>, len: u64, next_block: u64, policy: AppendFsync) -> Self {
        Self {
            segments: VecDeque::from([Segment { file, len, begins: 0, buffer: Vec::new() }]),
            policy,
            next_block,
            added: 0,
            written: 0,
            synced: 0,
            writing: false,
            syncing_since_us: None,
            last_sync_us: 0,
            write_failed: false,
            distrusted: false,
        }
    }

    /// Adds the commands of a turn as a block.
    pub fn add(&mut self, commands: &[u8]) {
        let segment = self.segments.back_mut().expect("there is always a file");
        let before = segment.buffer.len();
        segment.buffer.extend_from_slice(commands);
        Line::of_block(self.next_block, commands).write(&mut segment.buffer);
        self.added += (segment.buffer.len() - before) as u64;
        self.next_block += 1;
    }

    /// From here on what is added goes to another file, which is empty.
    pub fn switch(&mut self, file: Arc<dyn DiskFile>) {
        let begins = self.added;
        self.segments.push_back(Segment { file, len: 0, begins, buffer: Vec::new() });
        self.write_line(Line::Open(self.next_block));
    }

    /// Says in the file that blocks follow, or that no more follow.
    pub fn write_line(&mut self, line: Line) {
        let segment = self.segments.back_mut().expect("there is always a file");
        let before = segment.buffer.len();
        line.write(&mut segment.buffer);
        self.added += (segment.buffer.len() - before) as u64;
    }

    /// The number of the next block.
    pub fn next_block(&self) -> u64 {
        self.next_block
    }

    /// When the log is synced.
    pub fn policy(&self) -> AppendFsync {
        self.policy
    }

    /// Changes when the log is synced. Under `always` what was written before is synced before anything is answered.
    pub fn set_policy(&mut self, policy: AppendFsync) {
        self.policy = policy;
    }

    /// The offset that replies of this turn depend on.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// The offset that replies may depend on and leave.
    pub fn safe(&self) -> u64 {
        match self.policy {
            AppendFsync::Always => self.synced,
            AppendFsync::Everysec | AppendFsync::No => self.written,
        }
    }

    /// The offset up to which all is on the device.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// Whether all that was added is written and synced.
    pub fn is_synced(&self) -> bool {
        self.synced == self.added
    }

    /// Bytes that are not written yet.
    pub fn unwritten(&self) -> u64 {
        self.added - self.written
    }

    /// Whether a job is running.
    pub fn is_busy(&self) -> bool {
        self.writing || self.syncing_since_us.is_some()
    }

    /// Since when a sync is running, on the monotonic clock.
    pub fn syncing_since_us(&self) -> Option<u64> {
        self.syncing_since_us
    }

    /// The file that is added to, and its length with what is not written yet.
    pub fn file(&self) -> (&Arc<dyn DiskFile>, u64) {
        let segment = self.segments.back().expect("there is always a file");
        (&segment.file, segment.len + segment.buffer.len() as u64)
    }

    /// Bytes that are in the newest file.
    pub fn file_len_written(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.len)
    }

    /// Writes what was added, or has it written.
    pub fn flush(&mut self, now_us: u64) -> Step {
        if self.writing {
            return Step::default();
        }
        if let Some(step) = self.leave_finished_file(now_us) {
            return step;
        }
        let always = self.policy == AppendFsync::Always;
        let has_bytes = self.segments.front().is_some_and(|segment| !segment.buffer.is_empty());
        if !has_bytes {
            let sync_needed = always && self.synced < self.written;
            return if sync_needed { self.sync(now_us) } else { Step::default() };
        }
        match self.syncing_since_us {
            Some(_) if always => Step::default(), // the next job takes it
            None if always => self.write_and_sync(now_us),
            Some(_) => self.write_elsewhere(),
            None => self.write_here(),
        }
    }

    /// What is due by the clock: with `everysec` a sync, and a write that failed is tried again.
    pub fn tick(&mut self, now_us: u64, hold_syncs: bool) -> Step {
        let sync_due = self.policy == AppendFsync::Everysec
            && !hold_syncs
            && self.synced < self.written
            && now_us.saturating_sub(self.last_sync_us) >= SYNC_EVERY_US;
        if sync_due && self.syncing_since_us.is_none() && !self.write_failed {
            return self.sync(now_us);
        }
        if self.write_failed { self.flush(now_us) } else { Step::default() }
    }

    /// Syncs what was written, in a job. Nothing if one is running or a file is not to be trusted.
    pub fn sync(&mut self, now_us: u64) -> Step {
        if self.syncing_since_us.is_some() || self.distrusted {
            return Step::default();
        }
        let (file, up_to) = self.begin_sync(now_us);
        Step::job(Lane::LogSync, move || Finished {
            written: None,
            synced: Some((up_to, sync(&*file))),
        })
    }

    fn begin_sync(&mut self, now_us: u64) -> (Arc<dyn DiskFile>, u64) {
        self.syncing_since_us = Some(now_us);
        self.last_sync_us = now_us;
        let segment = self.segments.front().expect("there is always a file");
        (Arc::clone(&segment.file), self.written)
    }

    fn write_and_sync(&mut self, now_us: u64) -> Step {
        if self.distrusted {
            return Step::default();
        }
        let (file, _) = self.begin_sync(now_us);
        let (segment, buffer) = self.begin_write();
        let len = segment.len;
        let up_to = self.written + buffer.len() as u64;
        Step::job(Lane::LogSync, move || {
            let result = write(&*file, len, &buffer);
            let synced = result.is_ok().then(|| (up_to, sync(&*file)));
            Finished { written: Some((buffer, result)), synced }
        })
    }

    fn write_elsewhere(&mut self) -> Step {
        let (segment, buffer) = self.begin_write();
        let (len, file) = (segment.len, Arc::clone(&segment.file));
        Step::job(Lane::LogWrite, move || {
            let result = write(&*file, len, &buffer);
            Finished { written: Some((buffer, result)), synced: None }
        })
    }

    fn begin_write(&mut self) -> (&Segment, Vec<u8>) {
        self.writing = true;
        let segment = self.segments.front_mut().expect("there is always a file");
        let buffer = std::mem::take(&mut segment.buffer);
        (segment, buffer)
    }

    fn write_here(&mut self) -> Step {
        let segment = self.segments.front_mut().expect("there is always a file");
        let buffer = std::mem::take(&mut segment.buffer);
        let result = write(&*segment.file, segment.len, &buffer);
        let failure = self.write_ended(buffer, result);
        Step { job: None, failure }
    }

    /// A job has ended. What follows from it is done with the next `flush`.
    pub fn finished(&mut self, finished: Finished) -> Option<Failure> {
        let mut failure = None;
        let Finished { written, synced } = finished;
        let wrote_to_sync = written.is_some() && self.policy == AppendFsync::Always;
        if let Some((buffer, result)) = written {
            self.writing = false;
            failure = self.write_ended(buffer, result);
        }
        match synced {
            Some((up_to, Ok(()))) => {
                self.syncing_since_us = None;
                self.synced = self.synced.max(up_to);
            }
            Some((_, Err(error))) => {
                self.syncing_since_us = None;
                self.distrusted = true;
                failure = Some(Failure::Sync(error));
            }
            // It was to write and to sync, and could not write.
            None if wrote_to_sync && failure.is_some() => self.syncing_since_us = None,
            None => {}
        }
        failure
    }

    fn write_ended(
        &mut self,
        mut buffer: Vec<u8>,
        result: Result<(), WriteFailed>,
    ) -> Option<Failure> {
        let segment = self.segments.front_mut().expect("there is always a file");
        match result {
            Ok(()) => {
                segment.len += buffer.len() as u64;
                self.written += buffer.len() as u64;
                self.write_failed = false;
                if segment.buffer.is_empty() && buffer.capacity() <= BUFFER_KEPT_BYTES {
                    buffer.clear();
                    segment.buffer = buffer;
                }
                None
            }
            Err(failed) => {
                if failed.left {
                    buffer.drain(..failed.written);
                    segment.len += failed.written as u64;
                    self.written += failed.written as u64;
                }
                buffer.append(&mut segment.buffer);
                segment.buffer = buffer;
                self.write_failed = true;
                Some(Failure::Write(failed))
            }
        }
    }

    /// Whether the last write failed, and what was added since is still in memory only.
    pub fn write_failed(&self) -> bool {
        self.write_failed
    }

    /// Whether a sync has failed, so that only a new set of files can be trusted.
    pub fn is_distrusted(&self) -> bool {
        self.distrusted
    }

    /// A file with all data, written and synced elsewhere, has taken the place of all that came before the newest file.
    /// What has failed before is of no importance any more.
    pub fn start_afresh(&mut self) {
        if self.distrusted {
            let newest = self.segments.len() - 1;
            for old in self.segments.range_mut(..newest) {
                self.written += std::mem::take(&mut old.buffer).len() as u64;
            }
            self.distrusted = false;
            self.synced = self.synced.max(self.segments[newest].begins);
        }
    }

    /// Goes on to the next file when the one before is on the device: a log in which that file has lost its end, and the
    /// next one has something, would have a hole. The step is what has to come first.
    fn leave_finished_file(&mut self, now_us: u64) -> Option<Step> {
        let mut left = Vec::new();
        while let [finished, next, ..] = self.segments.make_contiguous()
            && finished.buffer.is_empty()
        {
            if self.synced >= next.begins {
                left.extend(self.segments.pop_front());
            } else if left.is_empty() {
                return Some(self.sync(now_us));
            } else {
                break;
            }
        }
        if left.is_empty() {
            return None;
        }
        // A file whose name is gone is freed when it is closed: if it is large, that takes a while.
        Some(Step::job(Lane::Files, move || {
            drop(left);
            Finished { written: None, synced: None }
        }))
    }
}

/// Writes at the end of a file of `len` bytes. What was written of a part is taken back if that is possible.
fn write(file: &dyn DiskFile, len: u64, bytes: &[u8]) -> Result<(), WriteFailed> {
    append_all(file, bytes).map_err(|(written, error)| {
        let left = written > 0 && file.truncate(len).is_err();
        WriteFailed { error, written, expected: bytes.len(), left }
    })
}
