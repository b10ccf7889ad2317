//! A data directory that outlives the servers which use it, so that one can find what another has left.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::TestServer;

/// The directory, removed with the test.
pub struct Data {
    folder: PathBuf,
}

impl Data {
    /// An empty one.
    pub fn new() -> Data {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mini-redis-data-{}-{count}", std::process::id());
        let folder = fs::canonicalize(std::env::temp_dir()).expect("there is one").join(name);
        let _ = fs::remove_dir_all(&folder); // left over from a killed process of the same id
        fs::create_dir(&folder).expect("the temporary directory is writable");
        Data { folder }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Its path as an argument.
    pub fn arg(&self) -> &str {
        self.folder.to_str().expect("a name of ours")
    }

    /// The file of the log that is added to, while there was no rewrite.
    pub fn log(&self) -> PathBuf {
        log_in(&self.folder)
    }

    /// Starts the server with a log in this directory.
    #[track_caller]
    pub fn start(&self, directives: &[&str]) -> TestServer {
        self.start_under(&[], directives)
    }

    /// As `start`, as the argument of `wrapper`.
    #[track_caller]
    pub fn start_under(&self, wrapper: &[&str], directives: &[&str]) -> TestServer {
        TestServer::start_under(wrapper, &[&with_log(self.arg()), directives].concat())
    }

    /// Starts a server that may be one that must refuse to start.
    pub fn spawn(&self, wrapper: &[&str], directives: &[&str]) -> TestServer {
        let directives = [&with_log(self.arg()), directives].concat();
        TestServer::spawn(wrapper, &directives, super::server::free_port())
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The file of the log that is added to in the data directory `folder`, while there was no rewrite.
pub fn log_in(folder: &Path) -> PathBuf {
    folder.join("appendonlydir/appendonly.aof.1.incr.aof")
}

/// The directives of a server that keeps a log, and nothing else, in a directory.
pub fn with_log(folder: &str) -> [&str; 6] {
    ["--dir", folder, "--appendonly", "yes", "--save", ""]
}
