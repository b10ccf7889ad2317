//! What the socket tests share: a server process of their own, raw connections to it, and a look at it through `/proc`.
//!
//! `MINI_REDIS_TEST_SERVER` names another program to test, for example Debian's `redis-server`: the tests are checked
//! against it. A test that real Redis is known to fail says so in its comment; there we promise more than Redis.

// Every test file compiles this module for itself and none uses all of it.
#![allow(dead_code)]

pub mod client;
pub mod cluster;
pub mod connection;
pub mod data;
pub mod drive;
pub mod keyspace;
pub mod namespace;
pub mod peers;
pub mod process;
pub mod proxy;
pub mod replication;
pub mod screen;
pub mod server;
pub mod strace;
pub mod wire;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub use connection::Raw;
pub use server::TestServer;

/// How long any single expectation may take on a busy machine before it counts as a hang.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Polls until `condition` holds. Panics with `what` when it does not within `DEADLINE`.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(DEADLINE, condition), "waited {DEADLINE:?} in vain until {what}");
}

/// Polls `condition` until it holds or `limit` has passed, and says which.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Serialises the tests that need much memory, many descriptors or a quiet processor, across threads and processes.
/// The lock is held until the returned file is dropped.
pub fn exclusive() -> File {
    let path: PathBuf = std::env::temp_dir().join("mini-redis-tests.lock");
    let file = File::options().create(true).append(true).open(path).expect("the lock file opens");
    file.lock().expect("the lock is free at some time");
    file
}

/// Says on the real standard error, which the test runner does not capture, that a test did not run, and why.
pub fn skipped(test: &str, why: &str) {
    // A closed stderr is no reason to fail.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// Whether `program args...` can be started and ends with 0.
pub fn works(program: &str, args: &[&str]) -> bool {
    let status = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Whether another program than ours is under test.
pub fn testing_another_server() -> bool {
    std::env::var_os("MINI_REDIS_TEST_SERVER").is_some()
}

/// Raises this process's limit of open descriptors and returns it.
pub fn raise_own_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Refused only without the right to do so; the old limit then holds.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
