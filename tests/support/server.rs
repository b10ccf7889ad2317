//! A server process for one test: a free port, a directory of its own, its log, and a certain end.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{DEADLINE, Raw, holds_within, process};

/// The server program under test.
pub fn program() -> String {
    std::env::var("MINI_REDIS_TEST_SERVER")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_server").to_string())
}

/// A running server that ends with the test.
pub struct TestServer {
    child: Child,
    port: u16,
    ip: IpAddr,
    dir: PathBuf,
}

impl TestServer {
    /// Starts the server with `directives` (`["--maxclients", "10"]`) on a free port of 127.0.0.1, or on the first
    /// address of a `--bind` among them, and waits until it answers.
    #[track_caller]
    pub fn start(directives: &[&str]) -> TestServer {
        TestServer::start_under(&[], directives)
    }

    /// As `start`, but as the argument of `wrapper` (`["ip", "netns", "exec", NAME]`), which must end in `exec`, so
    /// that the server keeps the process id.
    #[track_caller]
    pub fn start_under(wrapper: &[&str], directives: &[&str]) -> TestServer {
        TestServer::start_program(&program(), wrapper, directives)
    }

    /// As `start_under`, but another program than the one under test.
    #[track_caller]
    pub fn start_program(program: &str, wrapper: &[&str], directives: &[&str]) -> TestServer {
        // Another process may take the port between our look and the server's bind.
        for _ in 0..5 {
            let server = TestServer::spawn_program(program, wrapper, directives, free_port());
            match server.wait_ready() {
                Ok(server) => return server,
                Err(log) if log.contains("ddress already in use") => {}
                Err(log) => panic!("the server did not start; its log:\n{log}"),
            }
        }
        panic!("no free port in five attempts");
    }

    /// As `start_program`, on a port that a server had which has ended.
    #[track_caller]
    pub fn start_program_on(program: &str, directives: &[&str], port: u16) -> TestServer {
        match TestServer::spawn_program(program, &[], directives, port).wait_ready() {
            Ok(server) => server,
            Err(log) => panic!("the server did not start again; its log:\n{log}"),
        }
    }

    /// Starts the server and does not wait for it: it may be one that must refuse to start.
    pub fn spawn(wrapper: &[&str], directives: &[&str], port: u16) -> TestServer {
        TestServer::spawn_program(&program(), wrapper, directives, port)
    }

    fn spawn_program(
        program: &str,
        wrapper: &[&str],
        directives: &[&str],
        port: u16,
    ) -> TestServer {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir =
            std::env::temp_dir().join(format!("mini-redis-test-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&dir); // left over from a killed process of the same id
        fs::create_dir_all(&dir).expect("the temporary directory is writable");

        let (args, ip) = command_line(program, wrapper, directives, port);
        let log = File::create(dir.join("server.log")).expect("the directory was made for us");
        let child = Command::new(&args[0])
            .args(&args[1..])
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor is free"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {args:?}: {e}"));
        TestServer { child, port, ip, dir }
    }

    /// Waits until this very process listens and answers; the log when it ends instead.
    fn wait_ready(mut self) -> Result<TestServer, String> {
        let start = Instant::now();
        let mut listens = false;
        while !listens {
            if self.child.try_wait().expect("it is our child").is_some()
                || start.elapsed() > DEADLINE
            {
                return Err(self.log());
            }
            listens =
                process::listening(self.pid()).iter().any(|address| address.port() == self.port);
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut client = self.connect();
        let mut answer = String::new();
        let loaded = holds_within(DEADLINE, || {
            answer = client.run("PING").wire();
            !answer.starts_with("-LOADING")
        });
        let ready = loaded && (answer == "+PONG" || answer.starts_with("-NOAUTH"));
        assert!(ready, "PING answered with {answer}");
        Ok(self)
    }

    /// A new connection to the server.
    #[track_caller]
    pub fn connect(&self) -> Raw {
        Raw::connect(self.address())
    }

    /// `count` connections, each of which has had an answer.
    pub fn connect_many(&self, count: usize) -> Vec<Raw> {
        let mut clients: Vec<Raw> = (0..count).map(|_| self.connect()).collect();
        for client in &mut clients {
            client.send("PING\r\n");
        }
        for client in &mut clients {
            client.expect("+PONG\r\n");
        }
        clients
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }

    /// The port given at the start.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The server's working directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the server has written to standard output and error so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("server.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the server lives");
    }

    /// Ends the process as a crash does: between any two instructions.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Waits until the process has said that it is ready, or has ended, and says whether it has ended.
    pub fn dies_before_it_is_ready(&mut self) -> bool {
        let ready = || self.log().contains("Ready to accept connections");
        assert!(holds_within(DEADLINE, || ready() || !process::exists(self.pid())), "neither");
        !ready()
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        let mut status = None;
        holds_within(DEADLINE, || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        status.unwrap_or_else(|| panic!("the server runs on; its log:\n{}", self.log()))
    }

    /// The server answers a new client and has not said anything that a crash says.
    #[track_caller]
    pub fn expect_alive(&mut self) {
        assert!(self.is_running(), "the server ended; its log:\n{}", self.log());
        let mut client = self.connect();
        client.send("PING\r\n");
        client.expect("+PONG\r\n");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let gone = |child: &mut Child| child.try_wait().is_ok_and(|status| status.is_some());
        if !gone(&mut self.child) {
            let pid = Pid::from_child(&self.child);
            // A stopped process takes SIGTERM only after SIGCONT. Both may come too late: then it is gone.
            let _ = kill_process(pid, Signal::TERM);
            let _ = kill_process(pid, Signal::CONT);
            if !holds_within(Duration::from_secs(5), || gone(&mut self.child)) {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        if std::thread::panicking() {
            eprintln!("--- log of the server on port {} ---\n{}", self.port, self.log());
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The words of the command, and the address on which the server will listen.
///
/// `directives` may begin with a configuration file. `--bind ""` among them leaves the choice to the server.
fn command_line(
    program: &str,
    wrapper: &[&str],
    directives: &[&str],
    port: u16,
) -> (Vec<String>, IpAddr) {
    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let port = port.to_string();
    let mut args = wrapper.to_vec();
    args.push(program);
    let (file, directives) = match directives.split_first() {
        Some((file, rest)) if !file.starts_with("--") => (Some(*file), rest),
        _ => (None, directives),
    };
    args.extend(file);
    args.extend(["--port", &port]);
    let mut ip = LOOPBACK;
    let mut bound = false;
    for pair in directives.chunks(2) {
        if pair[0] == "--bind" {
            bound = true;
            let first = pair[1].split(' ').next().and_then(|first| first.parse().ok());
            ip = first.unwrap_or(LOOPBACK);
        }
        if *pair != ["--bind", ""] {
            args.extend(pair);
        }
    }
    if !bound {
        args.extend(["--bind", "127.0.0.1"]);
    }
    (args.into_iter().map(str::to_string).collect(), ip)
}

/// A port that is free now, outside the range from which the kernel takes ports for outgoing connections.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Processes start at different places, so that parallel test programs seldom meet.
        let offset = std::process::id().wrapping_mul(97) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (offset % 12_000) as u16;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}
