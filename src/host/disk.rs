//! The real disk: files of the data directory, and a thread for each lane of jobs that may have to wait for it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::net::Waker;
use crate::persistence::disk::{Disk, DiskFile, Done, Job, Lane};

struct RealFile(File);

impl DiskFile for RealFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn facts(&self) -> io::Result<(u64, u64)> {
        let facts = self.0.metadata()?;
        Ok((facts.len(), facts.nlink()))
    }
}

/// The files of this machine.
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        // What was there may be in use by whoever had it open: it goes, instead of being cut.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let options = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Arc::new(RealFile(options)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(OpenOptions::new().append(true).open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<(Box<dyn io::Read + Send>, u64)> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok((Box::new(file), len))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        make_directory(path)
    }

    fn names(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
    }
}

/// Makes a directory, and those it is in, for their owner only, and brings their names to the device: what is synced in
/// a directory is of no use if the directory itself is gone after a power cut. Nothing if it is there.
pub fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    make_directory(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        // Somebody else was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        result => result?,
    }
    File::open(parent)?.sync_all()
}

/// The threads that run jobs, one a lane. They end with it.
pub struct Lanes {
    /// By lane; a thread is started for its first job, because a process without threads takes less time for every read
    /// and write.
    jobs: [Option<Sender<Job>>; 4],
    done_sender: Sender<Done>,
    done: Receiver<Done>,
    running: usize,
    waker: Waker,
}

impl Lanes {
    /// No threads yet. Each will wake the loop when a job has ended.
    pub fn new(waker: &Waker) -> Self {
        let (done_sender, done) = channel();
        Self { jobs: Default::default(), done_sender, done, running: 0, waker: waker.clone() }
    }

    /// Has a job run on the thread of its lane. If that cannot be started, here: slower, not wrong.
    pub fn run(&mut self, lane: Lane, job: Job) {
        let (index, name) = match lane {
            Lane::LogSync => (0, "log-sync"),
            Lane::LogWrite => (1, "log-write"),
            Lane::Files => (2, "files"),
            Lane::Names => (3, "names"),
        };
        self.running += 1;
        if self.jobs[index].is_none() {
            self.jobs[index] = self.start(name).ok();
        }
        if let Some(jobs) = &self.jobs[index] {
            jobs.send(job).expect("the thread of a lane lives as long as its sender");
        } else {
            self.done_sender.send(job()).expect("the receiver lives as long as the lanes");
            self.waker.wake();
        }
    }

    fn start(&self, name: &str) -> io::Result<Sender<Job>> {
        let (sender, jobs) = channel::<Job>();
        let (done, waker) = (self.done_sender.clone(), self.waker.clone());
        thread::Builder::new().name(name.into()).spawn(move || {
            for job in jobs {
                // Without a receiver the process is ending.
                if done.send(job()).is_err() {
                    return;
                }
                waker.wake();
            }
        })?;
        Ok(sender)
    }

    /// What has come of jobs since this was last asked.
    pub fn finished(&mut self) -> Option<Done> {
        let done = self.done.try_recv().ok()?;
        self.running -= 1;
        Some(done)
    }

    /// Waits for a job to end; `None` if none is running.
    pub fn wait(&mut self) -> Option<Done> {
        if self.running == 0 {
            return None;
        }
        self.running -= 1;
        self.done.recv().ok()
    }
}
