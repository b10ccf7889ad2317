//! From the command line to a running loop, and out of it again with an exit status.

use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::fs::{FlockOperation, flock};

use super::allocator;
use super::daemon::{self, Process};
use super::disk::make_directory;
use super::environment::ProcessEnvironment;
use super::limits::raise_open_files;
use super::panic::tell_panics;
use super::supervisor::Supervisor;
use crate::config::Config;
use crate::config::file::{Loaded, Start, start};
use crate::log::{Level, Log, Logger, Role};
use crate::net::EventLoop;
use crate::server::{Server, listen_config};
use crate::version::VERSION;

/// Runs a server as the command line, the environment and the configuration file say, until it is told to stop.
/// Exit status: 0 after a stop, 1 when it could not start.
pub fn run() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let started = std::env::current_dir()
        .map_err(|error| format!("The working directory is gone: {error}"))
        .and_then(|cwd| start(&args, std::env::vars_os(), &cwd).map_err(|error| error.to_string()));
    match started {
        Ok(Start::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Start::Run(loaded)) => serve(*loaded),
        Err(message) => {
            eprintln!("{}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn serve(loaded: Loaded) -> ExitCode {
    let Loaded { mut config, file, warnings } = loaded;
    let (supervisor, complaint) = Supervisor::find(config.supervised);
    if config.daemonize && !supervisor.is_there() {
        match daemon::go_to_background() {
            Ok(Process::Foreground) => return ExitCode::SUCCESS,
            Ok(Process::Background) => {}
            Err(error) => {
                eprintln!("Can't start the daemon: {error}");
                return ExitCode::FAILURE;
            }
        }
        if config.pidfile.is_empty() {
            config.pidfile = daemon::PID_FILE.to_string();
        }
    }
    allocator::settle(config.disable_thp);
    let mut logger = Logger::new(config.loglevel, log_file(&config));
    let warnings = warnings.into_iter().chain(complaint);
    for warning in warnings {
        logger.log(Level::Notice, format_args!("{warning}"));
    }
    fit_maxclients(&mut config, &mut logger);
    let outcome = listen_and_run(config, file, supervisor, logger.clone());
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            logger.log(Level::Warning, format_args!("{message}"));
            ExitCode::FAILURE
        }
    }
}

/// Where the log goes, if not to the standard output.
pub(super) fn log_file(config: &Config) -> Option<PathBuf> {
    (!config.logfile.is_empty()).then(|| config.path(&config.logfile))
}

fn fit_maxclients(config: &mut Config, logger: &mut Logger) {
    let fitting = raise_open_files(config.maxclients);
    if fitting < config.maxclients {
        let wanted = config.maxclients;
        logger.log(
            Level::Warning,
            format_args!("maxclients has been reduced from {wanted} to {fitting}: the limit of open files is too low"),
        );
        config.maxclients = fitting;
    }
}

fn listen_and_run(
    config: Config,
    file: Option<PathBuf>,
    supervisor: Supervisor,
    mut logger: Logger,
) -> Result<u8, String> {
    let mut event_loop =
        EventLoop::new(&listen_config(&config)).map_err(|error| error.to_string())?;
    make_data_directory(&config)?;
    banner(&config, &event_loop, file.as_ref(), &mut logger);
    logger.role = Role::Master;
    let pid_file = write_pid_file(&config, &mut logger);
    let _lock = lock_data_directory(&config)?;
    let environment =
        ProcessEnvironment::new(logger.clone(), file, supervisor, &event_loop.waker());
    let mut server = Server::new(config, Box::new(environment))?;
    server.open_files()?;
    tell_panics(&logger);
    let ran = catch_unwind(AssertUnwindSafe(|| event_loop.run(&mut server)));
    let Ok(ran) = ran else { return Ok(end_after_panic(&mut server, &mut logger)) };
    let code = ran.map_err(|error| format!("The event loop failed: {error}"))?;
    if let Some(path) = pid_file {
        // A pid file that somebody else has removed is no failure of the stop.
        let _ = std::fs::remove_file(path);
    }
    Ok(u8::try_from(code).unwrap_or(1))
}

/// Brings what was executed to the log, as far as that is known to be whole. Returns the exit status.
fn end_after_panic(server: &mut Server, logger: &mut Logger) -> u8 {
    let synced = catch_unwind(AssertUnwindSafe(|| server.state.sync_log_after_panic()));
    let said = match synced {
        Ok(Ok(())) => "The append only file has all that was executed before",
        _ => "The append only file could not be written",
    };
    logger.log(Level::Warning, format_args!("{said}. Exiting..."));
    1
}

/// Makes the data directory, for its owner only, and sees that the log can be written.
fn make_data_directory(config: &Config) -> Result<(), String> {
    let directory = &config.dir;
    make_directory(directory).map_err(|error| {
        format!("Can't make the data directory '{}' (dir): {error}", directory.display())
    })?;
    if let Some(path) = log_file(config) {
        OpenOptions::new().append(true).create(true).open(&path).map_err(|error| {
            format!("Can't open the log file '{}' (logfile): {error}", path.display())
        })?;
    }
    Ok(())
}

/// Keeps other servers away from the data directory, as long as the result lives.
fn lock_data_directory(config: &Config) -> Result<File, String> {
    let directory = &config.dir;
    let failed = |what: &str, error: std::io::Error| {
        format!("Can't {what} the data directory '{}': {error}", directory.display())
    };
    let file = File::open(directory).map_err(|error| failed("open", error))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
        if error == rustix::io::Errno::WOULDBLOCK {
            format!("The data directory '{}' is in use by another server", directory.display())
        } else {
            failed("lock", error.into())
        }
    })?;
    Ok(file)
}

fn write_pid_file(config: &Config, logger: &mut Logger) -> Option<PathBuf> {
    if config.pidfile.is_empty() {
        return None;
    }
    let path = config.path(&config.pidfile);
    match std::fs::write(&path, format!("{}\n", std::process::id())) {
        Ok(()) => Some(path),
        Err(error) => {
            logger.log(
                Level::Warning,
                format_args!("Failed to write PID file {}: {error}", path.display()),
            );
            None
        }
    }
}

/// What an operator wants to see first: version, pid, addresses, data directory, limits.
fn banner(config: &Config, event_loop: &EventLoop, file: Option<&PathBuf>, logger: &mut Logger) {
    let mut say = |message: std::fmt::Arguments<'_>| logger.log(Level::Notice, message);
    say(format_args!("Mini-Redis {VERSION} is starting, pid {}", std::process::id()));
    match file {
        Some(path) => say(format_args!("Configuration: {}", path.display())),
        None => say(format_args!(
            "Configuration: defaults and flags only; `server redis.conf` reads a file"
        )),
    }
    let addresses: Vec<String> =
        event_loop.local_addresses().iter().map(ToString::to_string).collect();
    say(format_args!("Listening on {}", addresses.join(", ")));
    if !config.unixsocket.is_empty() {
        say(format_args!("Listening on the unix socket {}", config.unixsocket));
    }
    say(format_args!("Data directory: {}", config.dir.display()));
    let memory = match config.maxmemory {
        0 => "no limit".to_string(),
        bytes => format!("{bytes} bytes"),
    };
    say(format_args!(
        "Limits: {} clients, {} databases, memory: {memory}",
        config.maxclients, config.databases
    ));
    if rustix::process::geteuid().is_root() {
        logger.log(Level::Warning, format_args!("Running as root. A user of its own is safer."));
    }
}
