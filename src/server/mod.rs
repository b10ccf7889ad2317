//! The server as a state machine: it is given (client, bytes, now) and fills reply buffers.
//!
//! It has no socket, clock, file or random source of its own: `Environment` brings what it needs, the event loop moves
//! the bytes. So a test can run it with virtual time, and any run can be replayed.

mod ahead;
mod blocking;
mod client;
mod client_info;
mod cron;
mod dispatch;
mod durability;
mod effects;
mod encodings;
mod environment;
mod eviction;
mod info;
mod input;
mod latency;
mod limits;
mod look_ahead;
mod migrate;
mod monitor;
mod notify;
mod pause;
pub mod pubsub;
mod reconfigure;
pub mod replication;
mod service;
mod shutdown;
mod slowlog;
mod spare_buffers;
mod stats;
#[cfg(test)]
pub mod testing;
mod timing;
mod tracking;
mod transaction;
mod turns;
mod watch;

use std::fmt;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;

pub use blocking::{BlockedKeys, Unblock, WaitingRequest};
pub use client::{Blocked, Client, ClientClass, Clients, ReplyMode};
pub use client_info::describe;
pub use durability::Durability;
pub use effects::Effects;
pub use environment::{Environment, ProcessFacts};
pub use eviction::Eviction;
pub use info::{info, section, text};
pub use latency::{Latency, Spike, Spikes};
pub use migrate::{MigrateRequest, Migrations};
pub use monitor::quoted;
pub use pause::{Pause, PauseKind, PausePurpose};
pub use reconfigure::{listen_config, waits_for_loop};
pub use shutdown::Shutdown;
pub use slowlog::{CommandLog, LogEntry, LogKind, shortened};
pub use stats::{CommandStats, Stats};
pub use tracking::{ClientTracking, Redirect, Tracking, TrackingMode};
pub use transaction::{Transaction, execute_queued};
pub use turns::{Rate, TurnWork, Turns};
pub use watch::{Watch, WatchedKeys};

use crate::clock::Now;
use crate::commands::{Registry, TABLES};
use crate::config::Config;
use crate::keyspace::Keyspace;
use crate::log::Level;
use crate::net::{Actions, Close, LoopStats, Token};
use crate::resp::Batch;
use pubsub::PubSub;
use replication::Replication;
use spare_buffers::SpareBuffers;

/// A smaller backlog is taken for one of this size.
const REPL_BACKLOG_SIZE_MIN: u64 = 16 << 10;

/// All state: the data, and everything else.
pub struct Server {
    /// The data.
    pub keyspace: Keyspace,
    /// Everything else.
    pub state: State,
    /// Taken out while requests are run.
    batch: Option<Box<Batch>>,
    ahead: look_ahead::LookAhead,
}

/// Everything that is not data: what commands reach beside the keyspace.
pub struct State {
    /// Directives.
    pub config: Config,
    /// Commands by name.
    pub registry: Registry,
    /// Connected peers.
    pub clients: Clients,
    /// Counters.
    pub stats: Stats,
    /// Counters of the loop.
    pub loop_stats: LoopStats,
    /// What the loop's turns were like.
    pub turns: Turns,
    /// Bytes that were allocated before there was any client or key.
    pub startup_bytes: usize,
    /// Slow and large commands.
    pub command_log: CommandLog,
    /// Spikes by event.
    pub latency: Latency,
    /// What the core is given from outside.
    pub environment: Box<dyn Environment>,
    /// The time of this turn.
    pub now: Now,
    /// When the server started.
    pub started: Now,
    /// 40 hex digits that name this run.
    pub run_id: String,
    /// Those who follow this server, or whom it follows.
    pub replication: Replication,
    /// Repeatable random choices.
    pub random: SmallRng,
    /// Changes since the last save.
    pub dirty: u64,
    /// What is known of keys that may go when memory is short.
    pub eviction: Eviction,
    /// The files that outlive the process.
    pub durability: Durability,
    /// Keys on their way to other servers.
    pub migrations: Migrations,
    /// EXEC is running queued commands: none of them may wait.
    pub in_exec: bool,
    /// Keys that transactions depend on.
    pub watched: WatchedKeys,
    /// Client-side caching.
    pub tracking: Tracking,
    /// Whose requests are running.
    pub current: Option<Token>,
    /// What commands have changed, for those who repeat it.
    pub effects: Effects,
    /// Keys that clients wait for.
    pub blocked_keys: BlockedKeys,
    /// Why and how long clients have to wait: all reasons together, and each by itself.
    pub pause: Option<Pause>,
    pauses: [Option<Pause>; pause::PURPOSES],
    /// A shutdown that waits for replicas.
    shutdown: Option<shutdown::Pending>,
    /// `DEBUG SET-ACTIVE-EXPIRE`.
    pub active_expire: bool,
    /// `DEBUG PAUSE-CRON`.
    pub cron_paused: bool,
    /// `DEBUG QUICKLIST-PACKED-THRESHOLD`.
    pub list_packed_threshold: Option<usize>,
    /// Clients that watch all commands.
    pub monitors: Vec<Token>,
    /// Who is subscribed to what.
    pub pubsub: PubSub,
    /// What the loop is to do at the end of the turn.
    pub actions: Actions,
    /// Output was added to some client: the one that is running may have been sent something beside its reply.
    pushed: bool,
    pending_input: Vec<Token>,
    spare_buffers: SpareBuffers,
    spare_transaction: Option<Box<Transaction>>,
    postponed: bool,
    untimed: timing::Untimed,
    exact_timing: bool,
    large_request_from: u64,
    large_reply_from: u64,
    unsent_checked_from: usize,
    pending_listens: Vec<reconfigure::PendingListen>,
    next_cron_us: u64,
    next_clients_us: u64,
    expiry_left: bool,
    memory: cron::FreedMemory,
    commands_sampled: (u64, u64),
}

impl Server {
    /// A server with no data and no clients. Fails if `rename-command` names a command that is not there.
    pub fn new(config: Config, mut environment: Box<dyn Environment>) -> Result<Self, String> {
        let registry = Registry::new(TABLES, &config.rename_commands).map_err(|name| {
            format!("No such command, or the name is taken: '{name}' (rename-command)")
        })?;
        let now = environment.now();
        let mut keyspace =
            Keyspace::new(config.databases as usize, environment.random(), now.unix_ms());
        keyspace.set_now_ms(now.unix_ms());
        let mut state = State {
            stats: Stats::new(registry.len()),
            command_log: CommandLog::default(),
            latency: Latency::default(),
            clients: Clients::default(),
            loop_stats: LoopStats::default(),
            turns: Turns::default(),
            startup_bytes: 0,
            random: SmallRng::seed_from_u64(environment.random()),
            run_id: replication::random_replid(&mut *environment).to_string(),
            replication: Replication::new(replication::random_replid(&mut *environment)),
            environment,
            now,
            started: now,
            dirty: 0,
            eviction: Eviction::default(),
            durability: Durability::default(),
            migrations: Migrations::default(),
            in_exec: false,
            watched: WatchedKeys::new(keyspace.hash_key()),
            tracking: Tracking::new(keyspace.hash_key()),
            current: None,
            effects: Effects::default(),
            blocked_keys: BlockedKeys::default(),
            pause: None,
            pauses: [None; pause::PURPOSES],
            shutdown: None,
            active_expire: true,
            cron_paused: false,
            list_packed_threshold: None,
            monitors: Vec::new(),
            pubsub: PubSub::new(keyspace.hash_key()),
            pushed: false,
            actions: Actions::default(),
            pending_input: Vec::new(),
            spare_buffers: SpareBuffers::default(),
            spare_transaction: None,
            postponed: false,
            untimed: timing::Untimed::default(),
            exact_timing: false,
            large_request_from: u64::MAX,
            large_reply_from: u64::MAX,
            unsent_checked_from: 0,
            pending_listens: Vec::new(),
            next_cron_us: now.monotonic_us,
            next_clients_us: now.monotonic_us,
            expiry_left: false,
            memory: cron::FreedMemory::default(),
            commands_sampled: (now.monotonic_us, 0),
            config,
            registry,
        };
        state.apply_config(&mut keyspace);
        state.follow_configured(&mut keyspace);
        state.startup_bytes = state.environment.allocated_bytes();
        Ok(Self { keyspace, state, batch: None, ahead: look_ahead::LookAhead::default() })
    }
}

impl State {
    /// Hands the directives that others act on to them.
    pub fn apply_config(&mut self, keyspace: &mut Keyspace) {
        keyspace.policy.lfu = self.config.maxmemory_policy.is_lfu();
        keyspace.policy.log_factor = self.config.lfu_log_factor;
        keyspace.policy.decay_minutes = self.config.lfu_decay_time;
        self.eviction.start_afresh();
        self.apply_notice_config(keyspace);
        self.apply_timing_config();
        self.apply_log_config();
        self.apply_limit_config();
        self.config.repl_backlog_size = self.config.repl_backlog_size.max(REPL_BACKLOG_SIZE_MIN);
        if self.config.requirepass.is_empty() {
            // Nobody could give a password any more that was asked for one before.
            self.clients.iter_mut().for_each(|client| client.authenticated = true);
        }
    }

    /// Writes a line to the log.
    pub fn log(&mut self, level: Level, message: fmt::Arguments<'_>) {
        if level >= self.config.loglevel {
            self.environment.log(level, message);
        }
    }

    /// Output was added to a client: it is written at the end of the turn.
    pub fn write_later(&mut self, token: Token) {
        self.pushed = true;
        let Some(client) = self.clients.find_mut(token) else { return };
        if !client.write_pending {
            client.write_pending = true;
            self.actions.write.push(token);
        }
        if client.note_unsent() {
            self.check_unsent(token);
        }
    }

    /// Closes a client once its output is sent. No further request of it is run.
    pub fn close_after_write(&mut self, token: Token) {
        self.close(token, Close::AfterWrite);
    }

    /// Closes a client at the end of the turn. What it was not sent is lost.
    pub fn close_now(&mut self, token: Token) {
        self.close(token, Close::Now);
    }

    fn close(&mut self, token: Token, how: Close) {
        self.stop_waiting(token);
        if let Some(client) = self.clients.find_mut(token) {
            client.closing = true;
            client.doomed |= how == Close::Now;
            client.blocked = None;
            self.actions.close.push((token, how));
        }
    }

    /// Requests of this client wait that may run now: they are run in the next turn.
    pub fn continue_input(&mut self, token: Token) {
        if let Some(client) = self.clients.find_mut(token)
            && !client.input_pending
        {
            client.input_pending = true;
            self.pending_input.push(token);
        }
    }

    fn take_postponed(&mut self) -> bool {
        std::mem::take(&mut self.postponed)
    }
}
