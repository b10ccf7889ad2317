//! Writing the log: what is safe when, and what follows from a disk that fails.

use std::io::ErrorKind;
use std::path::Path;

use super::*;
use crate::persistence::disk::Disk as _;
use crate::persistence::testing::{Fault, MemoryDisk};

const COMMAND: &[u8] = b"*1\r\n$4\r\nPING\r\n";

struct Rig {
    disk: MemoryDisk,
    log: Log,
    jobs: VecDeque<(Lane, Job)>,
    failures: Vec<String>,
    now_us: u64,
}

impl Rig {
    fn new(policy: AppendFsync) -> Self {
        let disk = MemoryDisk::default();
        let file = disk.create(Path::new("log")).unwrap();
        disk.sync_directory(Path::new("")).unwrap();
        let log = Log::new(file, 0, 1, policy);
        Self { disk, log, jobs: VecDeque::new(), failures: Vec::new(), now_us: 10_000_000 }
    }

    fn note(&mut self, step: Step) {
        self.jobs.extend(step.job);
        self.note_failure(step.failure);
    }

    fn note_failure(&mut self, failure: Option<Failure>) {
        self.failures.extend(failure.map(|failure| match failure {
            Failure::Write(failed) => {
                format!("write {} of {}, left {}", failed.written, failed.expected, failed.left)
            }
            Failure::Sync(_) => "sync".to_string(),
        }));
    }

    /// A turn that adds a command, if it is told to.
    fn turn(&mut self, adds: bool) {
        if adds {
            self.log.add(COMMAND);
        }
        let step = self.log.flush(self.now_us);
        self.note(step);
        let step = self.log.tick(self.now_us, false);
        self.note(step);
    }

    /// The oldest job ends.
    fn end_job(&mut self) {
        let (_, job) = self.jobs.pop_front().expect("a job");
        let Done::Log(finished) = job() else { panic!("a job of the log") };
        let failure = self.log.finished(finished);
        self.note_failure(failure);
    }

    fn lanes(&self) -> Vec<Lane> {
        self.jobs.iter().map(|(lane, _)| *lane).collect()
    }

    /// Blocks in a file, all of which are sound.
    fn blocks(&self, path: &str) -> usize {
        let bytes = self.disk.bytes(path).unwrap_or_default();
        bytes.windows(4).filter(|window| *window == b"PING").count()
    }
}

#[test]
fn without_a_sync_the_turn_writes_by_itself() {
    let mut rig = Rig::new(AppendFsync::No);
    for turn in 1..5 {
        rig.turn(true);
        assert_eq!((rig.blocks("log"), rig.log.safe()), (turn, rig.log.added()));
    }
    assert!(rig.jobs.is_empty() && !rig.log.is_synced());
}

#[test]
fn d30_a_second_after_a_write_it_is_synced_though_nothing_follows() {
    let mut rig = Rig::new(AppendFsync::Everysec);
    rig.turn(true);
    assert_eq!(rig.lanes(), [Lane::LogSync]);
    rig.end_job();
    assert!(rig.log.is_synced());
    rig.turn(true);
    rig.now_us += 999_999;
    rig.turn(false);
    assert!(rig.jobs.is_empty());
    rig.now_us += 1;
    rig.turn(false);
    rig.end_job();
    assert!(rig.log.is_synced());
    rig.now_us += 5_000_000;
    rig.turn(false);
    assert!(rig.jobs.is_empty(), "there is nothing to sync");
}

#[test]
fn while_a_sync_runs_writes_go_elsewhere_and_what_comes_meanwhile_goes_together() {
    let mut rig = Rig::new(AppendFsync::Everysec);
    rig.turn(true);
    rig.turn(true);
    rig.turn(true);
    rig.turn(true);
    assert_eq!(rig.lanes(), [Lane::LogSync, Lane::LogWrite]);
    assert_eq!(rig.blocks("log"), 1);
    assert!(rig.log.safe() < rig.log.added());
    let sync = rig.jobs.pop_front().unwrap();
    rig.end_job();
    rig.turn(false);
    rig.end_job();
    assert_eq!((rig.blocks("log"), rig.log.safe()), (4, rig.log.added()));
    rig.jobs.push_back(sync);
    rig.end_job();
    assert!(!rig.log.is_synced(), "it covers what was written when it began");
    rig.turn(true);
    assert_eq!((rig.blocks("log"), rig.lanes().len()), (5, 0));
}

#[test]
fn always_syncs_before_anything_is_safe_and_many_turns_at_once() {
    let mut rig = Rig::new(AppendFsync::Always);
    rig.turn(true);
    let first = rig.log.added();
    assert_eq!((rig.lanes(), rig.log.safe()), (vec![Lane::LogSync], 0));
    (0..10).for_each(|_| rig.turn(true));
    rig.end_job();
    assert_eq!((rig.log.safe(), rig.disk.syncs()), (first, 2));
    rig.turn(false);
    rig.end_job();
    assert_eq!((rig.log.safe(), rig.disk.syncs()), (rig.log.added(), 3));
    rig.disk.cut_power();
    assert_eq!(rig.blocks("log"), 11);
}

#[test]
fn d36_a_change_to_always_syncs_what_was_written_before() {
    let mut rig = Rig::new(AppendFsync::No);
    rig.turn(true);
    rig.log.set_policy(AppendFsync::Always);
    assert_eq!(rig.log.safe(), 0);
    rig.turn(false);
    rig.end_job();
    assert_eq!(rig.log.safe(), rig.log.added());
}

#[test]
fn d12_a_short_write_is_taken_back_and_tried_again() {
    let mut rig = Rig::new(AppendFsync::No);
    rig.turn(true);
    let len = rig.disk.bytes("log").unwrap().len();
    rig.disk.fail(Fault::Append(5, ErrorKind::StorageFull));
    rig.log.add(COMMAND);
    let step = rig.log.flush(rig.now_us);
    rig.note(step);
    assert_eq!(rig.failures, [format!("write 5 of {len}, left false")]);
    assert_eq!(rig.disk.bytes("log").unwrap().len(), len);
    assert!(rig.log.write_failed() && rig.log.safe() < rig.log.added());
    rig.turn(true);
    assert_eq!((rig.blocks("log"), rig.log.safe()), (3, rig.log.added()));
    assert!(!rig.log.write_failed());
}

#[test]
fn d13_what_cannot_be_taken_back_is_continued() {
    let mut rig = Rig::new(AppendFsync::No);
    let mut other = Rig::new(AppendFsync::No);
    rig.disk.fail(Fault::Append(5, ErrorKind::StorageFull));
    rig.turn(true);
    rig.disk.fail(Fault::Append(7, ErrorKind::StorageFull));
    rig.disk.fail(Fault::Truncate(ErrorKind::Other));
    rig.turn(true);
    assert!(rig.failures.last().unwrap().ends_with("left true"));
    rig.turn(false);
    (0..2).for_each(|_| other.turn(true));
    assert_eq!(rig.disk.bytes("log"), other.disk.bytes("log"));
    assert_eq!(rig.log.safe(), rig.log.added());
}

#[test]
fn d31_an_interrupted_call_is_made_again() {
    let mut rig = Rig::new(AppendFsync::Always);
    rig.disk.fail(Fault::Append(3, ErrorKind::Interrupted));
    rig.disk.fail(Fault::Sync(ErrorKind::Interrupted));
    rig.turn(true);
    rig.end_job();
    assert!(rig.failures.is_empty() && rig.log.is_synced());
    assert_eq!(rig.blocks("log"), 1);
}

#[test]
fn after_a_failed_sync_the_file_is_not_synced_again_until_another_has_taken_its_place() {
    let mut rig = Rig::new(AppendFsync::Everysec);
    rig.disk.fail(Fault::Sync(ErrorKind::Other));
    rig.turn(true);
    rig.end_job();
    assert_eq!(rig.failures, ["sync"]);
    let syncs = rig.disk.syncs();
    rig.now_us += 5_000_000;
    rig.turn(true);
    assert!(rig.jobs.is_empty() && rig.log.is_distrusted());
    let file = rig.disk.create(Path::new("log2")).unwrap();
    rig.log.switch(file);
    rig.turn(true);
    assert_eq!(rig.disk.syncs(), syncs);
    rig.log.start_afresh();
    assert!(!rig.log.is_distrusted());
    // The old file is closed, then what has waited is written, then synced.
    for _ in 0..2 {
        rig.now_us += 5_000_000;
        rig.turn(false);
        while !rig.jobs.is_empty() {
            rig.end_job();
            rig.turn(false);
        }
    }
    assert!(rig.log.is_synced());
    assert_eq!((rig.blocks("log"), rig.blocks("log2")), (2, 1));
}

#[test]
fn the_file_before_is_written_to_its_end_and_synced_when_another_follows() {
    let mut rig = Rig::new(AppendFsync::Always);
    rig.turn(true);
    rig.turn(true);
    let file = rig.disk.create(Path::new("log2")).unwrap();
    rig.disk.sync_directory(Path::new("")).unwrap();
    rig.log.switch(file);
    rig.turn(true);
    for _ in 0..3 {
        rig.end_job();
        rig.turn(false);
    }
    while !rig.jobs.is_empty() {
        rig.end_job();
        rig.turn(false);
    }
    assert!(rig.log.is_synced() && rig.log.safe() == rig.log.added());
    rig.disk.cut_power();
    assert_eq!((rig.blocks("log"), rig.blocks("log2")), (2, 1));
}
