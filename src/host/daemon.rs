//! `daemonize yes`: the server goes on without the terminal and the program that have started it.
//!
//! Redis forks, which would need `unsafe`. Here the program is started once more with the same arguments, in a session
//! of its own, and the first one ends.

use std::io;
use std::process::{Command, Stdio};

/// In the environment of the process that is the daemon.
const MARK: &str = "_MINI_REDIS_DAEMON";

/// Where a daemon without `pidfile` writes its number, as Redis's does.
pub const PID_FILE: &str = "/var/run/redis.pid";

/// Which of the two processes this is.
pub enum Process {
    /// The one that was started first, which has nothing to do any more.
    Foreground,
    /// The one that serves.
    Background,
}

/// Starts the daemon, or finds that this process is it.
///
/// # Errors
/// The program could not be started once more.
pub fn go_to_background() -> io::Result<Process> {
    if std::env::var_os(MARK).is_some() {
        // Fails only if it has a session of its own already.
        let _ = rustix::process::setsid();
        return Ok(Process::Background);
    }
    Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(MARK, "yes")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Process::Foreground)
}
