//! The proxy as a process: from the command line to a running loop, and what it needs of the system.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::address::Address;
use super::options::start::{Start, Started, nodes_of_file, start};
use super::{Environment, Proxy};
use crate::host::process_facts;
use crate::log::{Level, Log, Logger, Role};
use crate::net::{EventLoop, ListenConfig, Waker, clock_now};
use crate::server::ProcessFacts;
use crate::version::VERSION;

/// What came of a look-up.
type Resolved = (u64, io::Result<Vec<SocketAddr>>);

/// Log, chance and names of this process.
struct ProcessEnvironment {
    logger: Logger,
    waker: Waker,
    sender: Sender<Resolved>,
    receiver: Receiver<Resolved>,
    file: Option<PathBuf>,
    nodes_are_flags: bool,
    peak_bytes: usize,
}

impl ProcessEnvironment {
    fn new(logger: Logger, waker: Waker, file: Option<PathBuf>, nodes_are_flags: bool) -> Self {
        let (sender, receiver) = channel();
        Self { logger, waker, sender, receiver, file, nodes_are_flags, peak_bytes: 0 }
    }
}

impl Environment for ProcessEnvironment {
    fn random(&mut self) -> u64 {
        RandomState::new().hash_one(0) // its keys come from the kernel and differ at each call
    }

    fn log(&mut self, level: Level, message: fmt::Arguments<'_>) {
        self.logger.log(level, message);
    }

    fn process(&mut self) -> ProcessFacts {
        process_facts(&mut self.peak_bytes, self.file.as_deref())
    }

    fn set_log_level(&mut self, level: Level) {
        self.logger.level = level;
    }

    fn resolve(&mut self, number: u64, host: &str, port: u16) {
        let (sender, waker, host) = (self.sender.clone(), self.waker.clone(), host.to_owned());
        let look_up = move || {
            let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
            // The proxy may have ended meanwhile: then nobody wants to know.
            let _ = sender.send((number, found));
            waker.wake();
        };
        if let Err(error) = std::thread::Builder::new().spawn(look_up) {
            let _ = self.sender.send((number, Err(error)));
        }
    }

    fn resolved(&mut self) -> Option<Resolved> {
        self.receiver.try_recv().ok()
    }

    fn reload_nodes(&mut self) -> Option<Result<Vec<Address>, String>> {
        let path = self.file.as_deref().filter(|_| !self.nodes_are_flags)?;
        Some(nodes_of_file(path))
    }
}

/// Runs a proxy as the command line and the configuration file say, until it is told to stop. Exit status: 0 after a stop,
/// 1 when it could not start.
pub fn run() -> ExitCode {
    match start(std::env::args_os()) {
        Ok(Start::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Start::Run(started)) => match serve(*started) {
            Ok(code) => ExitCode::from(code),
            Err(message) => {
                eprintln!("{message}");
                ExitCode::FAILURE
            }
        },
        Err(message) => {
            eprintln!("{}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn serve(started: Started) -> Result<u8, String> {
    let Started { options, file: config_file, nodes_are_flags } = started;
    let file = (!options.logfile.is_empty()).then(|| options.logfile.clone().into());
    let mut logger = Logger::new(options.loglevel, file);
    logger.role = Role::Proxy;
    let listen = ListenConfig {
        bind: options.bind.clone(),
        port: Some(options.port),
        backlog: options.tcp_backlog,
        unix_socket: None,
        unix_permissions: 0,
        tcp_keepalive_s: options.tcp_keepalive,
    };
    let mut event_loop = EventLoop::new(&listen).map_err(|error| error.to_string())?;
    let addresses: Vec<String> =
        event_loop.local_addresses().iter().map(ToString::to_string).collect();
    let (pid, addresses) = (std::process::id(), addresses.join(", "));
    logger.log(
        Level::Notice,
        format_args!("Mini-Redis proxy {VERSION} is starting, pid {pid}, on {addresses}"),
    );
    let environment =
        ProcessEnvironment::new(logger, event_loop.waker(), config_file, nodes_are_flags);
    let mut proxy = Proxy::new(options, Box::new(environment), clock_now());
    let code =
        event_loop.run(&mut proxy).map_err(|error| format!("The event loop failed: {error}"))?;
    Ok(u8::try_from(code).unwrap_or(1))
}
