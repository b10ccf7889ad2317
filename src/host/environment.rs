//! The real environment of the core: the clock, the kernel's random numbers, the process.

use std::any::Any;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid};
use rustix::system::uname;

use super::allocator::ALLOCATOR;
use super::disk::{Lanes, RealDisk};
use super::lazy_free::LazyFree;
use super::limits::raise_open_files;
use super::run::log_file;
use super::supervisor::Supervisor;
use crate::clock::Now;
use crate::config::Config;
use crate::log::{Level, Log, Logger};
use crate::net::{Waker, clock_now, monotonic_ns};
use crate::persistence::disk::{Disk, Done, Job, Lane};
use crate::server::{Environment, Phase, ProcessFacts};

/// Time, randomness, files and facts of this process.
pub struct ProcessEnvironment {
    started: Instant,
    logger: Logger,
    lazy_free: LazyFree,
    disk: Arc<RealDisk>,
    lanes: Lanes,
    config_file: Option<PathBuf>,
    supervisor: Supervisor,
    peak_bytes: usize,
}

impl ProcessEnvironment {
    /// The environment of a server that was configured by `config_file`.
    pub fn new(
        logger: Logger,
        config_file: Option<PathBuf>,
        supervisor: Supervisor,
        waker: &Waker,
    ) -> Self {
        Self {
            started: Instant::now(),
            logger,
            lazy_free: LazyFree::default(),
            disk: Arc::new(RealDisk),
            lanes: Lanes::new(waker),
            config_file,
            supervisor,
            peak_bytes: 0,
        }
    }

    fn config_path(&self) -> io::Result<&PathBuf> {
        self.config_file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Environment for ProcessEnvironment {
    fn now(&mut self) -> Now {
        clock_now()
    }

    fn monotonic_ns(&mut self) -> u64 {
        monotonic_ns()
    }

    fn random(&mut self) -> u64 {
        // Its keys come from the kernel and differ at each call.
        RandomState::new().hash_one(self.started)
    }

    fn sleep_us(&mut self, duration_us: u64) {
        std::thread::sleep(Duration::from_micros(duration_us));
    }

    fn log(&mut self, level: Level, message: fmt::Arguments<'_>) {
        self.logger.log(level, message);
    }

    fn process(&mut self) -> ProcessFacts {
        let supervised = self.supervisor.is_there();
        ProcessFacts {
            supervised,
            ..process_facts(&mut self.peak_bytes, self.config_file.as_deref())
        }
    }

    fn tell_supervisor(&mut self, phase: Phase) {
        if let Err(error) = self.supervisor.tell(phase) {
            self.log(Level::Warning, format_args!("systemd supervision error: {error}"));
        }
    }

    fn discard(&mut self, garbage: Box<dyn Any + Send>) {
        self.lazy_free.drop_there(garbage);
    }

    fn discarding(&mut self) -> usize {
        self.lazy_free.pending()
    }

    fn allocated_bytes(&mut self) -> usize {
        ALLOCATOR.allocated()
    }

    fn purge_memory(&mut self) {
        self.lazy_free.give_back_memory();
    }

    fn disk(&mut self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk) as Arc<dyn Disk>
    }

    fn run_job(&mut self, lane: Lane, job: Job) {
        self.lanes.run(lane, job);
    }

    fn resolve(&mut self, number: u64, host: &str, port: u16) {
        let host = host.to_owned();
        let job = move || {
            let addresses = (host.as_str(), port).to_socket_addrs();
            Done::Resolved(number, addresses.map(Iterator::collect))
        };
        self.lanes.run(Lane::Names, Box::new(job));
    }

    fn wait_for_job(&mut self) -> Option<Done> {
        self.lanes.wait()
    }

    fn finished_job(&mut self) -> Option<Done> {
        self.lanes.finished()
    }

    fn read_config(&mut self) -> io::Result<String> {
        std::fs::read_to_string(self.config_path()?)
    }

    fn write_config(&mut self, text: &str) -> io::Result<()> {
        crate::config::file::replace(self.config_path()?, text.as_bytes())
    }

    fn apply_config(
        &mut self,
        config: &Config,
        changed: &[&str],
    ) -> Result<(), (&'static str, String)> {
        if changed.contains(&"dir") && !config.dir.is_dir() {
            return Err(("dir", "No such file or directory".to_string()));
        }
        if changed.contains(&"maxclients") {
            let fitting = raise_open_files(config.maxclients);
            if fitting < config.maxclients {
                return Err((
                    "maxclients",
                    format!(
                        "The operating system is not able to handle the specified number of clients, try with {fitting}"
                    ),
                ));
            }
        }
        self.logger.level = config.loglevel;
        self.logger.file = log_file(config);
        Ok(())
    }
}

/// Facts about this process; `peak_bytes` is the most it was ever seen to have allocated.
pub fn process_facts(peak_bytes: &mut usize, config_file: Option<&Path>) -> ProcessFacts {
    let allocated_bytes = ALLOCATOR.allocated();
    *peak_bytes = (*peak_bytes).max(allocated_bytes);
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident_pages = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    let (cpu_user_us, cpu_system_us) = cpu_times_us("/proc/self/stat");
    let (thread_user_us, thread_system_us) = cpu_times_us("/proc/thread-self/stat");
    let path =
        |path: io::Result<PathBuf>| path.map(|p| p.display().to_string()).unwrap_or_default();
    ProcessFacts {
        pid: Pid::as_raw(Some(getpid())) as u32,
        allocated_bytes,
        allocated_peak_bytes: *peak_bytes,
        supervised: false,
        resident_bytes: resident_pages * rustix::param::page_size(),
        system_bytes: system_memory_bytes(),
        cpu_user_us,
        cpu_system_us,
        thread_user_us,
        thread_system_us,
        os: operating_system(),
        executable: path(std::env::current_exe()),
        config_file: config_file.map(|p| path(p.canonicalize())).unwrap_or_default(),
        directory: path(std::env::current_dir()),
    }
}

/// User and system time from a `stat` file of /proc, in microseconds.
fn cpu_times_us(path: &str) -> (u64, u64) {
    let us_per_tick = 1_000_000 / rustix::param::clock_ticks_per_second();
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The second field is the name in parentheses, which may hold anything; times are fields 14 and 15.
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks =
        |index| after_name.split(' ').nth(index).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    (ticks(12) * us_per_tick, ticks(13) * us_per_tick)
}

fn system_memory_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("MemTotal:"));
    let kib = line
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|kib| kib.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}

fn operating_system() -> String {
    let name = uname();
    let parts = [name.sysname(), name.release(), name.machine()];
    parts.map(|part| part.to_string_lossy().into_owned()).join(" ")
}
