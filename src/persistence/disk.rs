//! What the core asks of a disk, so that a test can be one: files that only grow, names, and calls that wait.
//!
//! Calls that may wait for the device are made into jobs, which run elsewhere and tell what came of them.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::aof::log::Finished;

/// A file that is written at its end. Several threads may hold it.
pub trait DiskFile: Send + Sync {
    /// Writes some of `bytes` at the end; returns how many.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns when all that was written is on the device. After an error what was written may be gone, and a second
    /// call may say otherwise: it is not to be called again.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Length in bytes, and how many names the file has.
    fn facts(&self) -> io::Result<(u64, u64)>;
}

/// Names of files.
pub trait Disk: Send + Sync {
    /// Makes an empty file, in place of what is there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that is there.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file to be read from its start, and tells its length.
    fn read(&self, path: &Path) -> io::Result<(Box<dyn io::Read + Send>, u64)>;

    /// Gives a file another name, in place of what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file away.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in a directory are on the device.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory for its owner alone, if it is not there.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory.
    fn names(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
}

/// Where a job waits for its turn: jobs of one lane run one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    /// Syncs of the log, and writes that are synced.
    LogSync,
    /// Writes to the log while a sync is running.
    LogWrite,
    /// Snapshots, and the files of the log coming and going.
    Files,
    /// Names of hosts.
    Names,
}

/// Something that may take long.
pub type Job = Box<dyn FnOnce() -> Done + Send>;

/// What came of a job.
#[derive(Debug)]
pub enum Done {
    /// Of a job of the log.
    Log(Finished),
    /// Of a job on the files of the snapshot with this number.
    Files(u64, io::Result<()>),
    /// The addresses of a host, in the order in which to try them; for whoever asked with this number.
    Resolved(u64, io::Result<Vec<SocketAddr>>),
}

/// Writes all of `bytes`. On an error also how many were written.
pub fn append_all(file: &dyn DiskFile, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match file.append(&bytes[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

/// Calls that a signal has interrupted are made again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// Syncs; an interrupted call is made again.
pub fn sync(file: &dyn DiskFile) -> io::Result<()> {
    loop {
        match file.sync() {
            Err(error) if is_passing(&error) => {}
            result => return result,
        }
    }
}

/// Replaces a file, whole or not at all, and returns when it is on the device.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!("temp-{name}"));
    let file = disk.create(&temporary)?;
    append_all(&*file, bytes).map_err(|(_, error)| error)?;
    sync(&*file)?;
    disk.rename(&temporary, path)?;
    disk.sync_directory(directory)
}
