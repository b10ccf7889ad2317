//! A server process of the test: started on a free port, asked until it answers, ended by its own pid.
//!
//! Knows nothing of commands; any binary that takes Redis's `--directive value` flags will do.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::session::Connection;
use crate::step::Step;

/// How long a server may take until it answers PING.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// Ports another process may take between our choice and the server's bind.
const START_ATTEMPTS: usize = 5;
/// The end of a server's log that is shown when it has died.
const LOG_LINES_SHOWN: usize = 20;

/// One server, and the name it has in reports.
pub struct Peer {
    /// How reports call it.
    pub name: &'static str,
    command_line: Vec<String>,
    directory: PathBuf,
    process: Child,
    address: SocketAddr,
}

impl Peer {
    /// Starts `program` in an empty directory of its own, without persistence.
    pub fn start(name: &'static str, program: &str, flags: &[&str]) -> io::Result<Self> {
        Self::start_plain(name, program, &[&["--save", "", "--appendonly", "no"], flags].concat())
    }

    /// The same for a program that knows nothing of persistence.
    pub fn start_plain(name: &'static str, program: &str, flags: &[&str]) -> io::Result<Self> {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "differential-{}-{}",
            std::process::id(),
            name.replace(' ', "-")
        ));
        fs::create_dir_all(&directory)?;
        let command_line: Vec<String> =
            [program].iter().chain(flags).map(|&word| word.to_owned()).collect();
        let mut last_error = None;
        for _ in 0..START_ATTEMPTS {
            match spawn(&command_line, &directory) {
                Ok((process, address)) => {
                    return Ok(Self { name, command_line, directory, process, address });
                }
                Err(error) => last_error = Some(error),
            }
        }
        let log = log_tail(&directory);
        let _ = fs::remove_dir_all(&directory);
        let error = last_error.expect("there was an attempt");
        Err(io::Error::other(format!("{name} ({program}) does not start: {error}\n{log}")))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection; a server that has died is started again first.
    pub fn connect(&mut self) -> io::Result<TcpStream> {
        if self.process.try_wait()?.is_some() {
            (self.process, self.address) = spawn(&self.command_line, &self.directory)?;
        }
        TcpStream::connect(self.address)
    }

    /// Ends a server that no longer answers, so that the next `connect` starts it afresh.
    pub fn end(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// What the server said before it died; empty while it runs.
    pub fn last_words(&mut self) -> String {
        // A process that has just closed its sockets may not be a zombie yet.
        let deadline = Instant::now() + Duration::from_millis(200);
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                return format!(
                    "; {} has ended ({status}):\n{}",
                    self.name,
                    log_tail(&self.directory)
                );
            }
            if Instant::now() > deadline {
                return String::new();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.end();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn spawn(command_line: &[String], directory: &Path) -> io::Result<(Child, SocketAddr)> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let log = File::create(directory.join("server.log"))?;
    let (program, flags) = command_line.split_first().expect("starts with the program");
    let mut process = Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(flags)
        // SORT ALPHA follows the locale; bytes are what both can be held to.
        .env("LC_ALL", "C")
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    match wait_for_ping(&mut process, address) {
        Ok(()) => Ok((process, address)),
        Err(error) => {
            let _ = process.kill();
            let _ = process.wait();
            Err(error)
        }
    }
}

fn wait_for_ping(process: &mut Child, address: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + START_DEADLINE;
    while Instant::now() < deadline {
        if let Some(status) = process.try_wait()? {
            return Err(io::Error::other(format!("ended before it answered PING ({status})")));
        }
        let answered = TcpStream::connect(address)
            .and_then(Connection::new)
            .and_then(|mut connection| connection.request(&Step::command(&["PING"])));
        if answered.is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::other("no answer to PING in time"))
}

fn log_tail(directory: &Path) -> String {
    let log = fs::read(directory.join("server.log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}
