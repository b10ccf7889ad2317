//! The proxy: many servers behind one address. A client sees one server; its requests go to the nodes that have their keys.
//!
//! ```text
//! service     the proxy as the event loop drives it: connections, turns, timers
//! input       bytes from clients -> requests
//! routing     how each command travels (elsewhere: rows that the server lacks; refused: what cannot work, and why)
//! dispatch    one request: answered here, forwarded, split, sent to all nodes     answers   what the proxy says by itself
//! replies     the order of a client's replies          requests  what waits to be sent to a node, or to be answered
//! client      a client                                 session   what makes one more than a sender of single requests
//! link        a connection to a node                   links     opening, greeting, choosing and losing one
//! nodes       the nodes and their health               slots     slots of keys, and where they are
//! delivery    replies of nodes -> those who wait       redirect  MOVED and ASK
//! readers     which node is read from
//! split       MGET and its like: parts                 join      parts -> one reply
//! all_nodes   KEYS, DBSIZE, SCAN and their like        failure   what becomes of requests whose link is lost
//! transaction MULTI to EXEC, WATCH                     private   links of one client: watched keys, blocking commands
//! pubsub      channels: one subscription upstream, many clients
//! command_stats  how long replies to each command took
//! topology, refresh   which node has which slots, and when to ask
//! local       PING, HELLO and their like               admin     INFO, CONFIG, CLIENT, COMMAND, ...
//! options     flags and file                           environment, process   what comes from outside
//! ```
//! Like the server it is sans-I/O: it is told the time and given bytes, and fills buffers; a test drives it without sockets.
//!
//! Links to the nodes are shared: requests of all clients follow each other on one connection, and the replies come in the
//! same order. There is a set of them for each protocol and database in use, so that a node gets and sends just what
//! the client would, and nothing is converted.

pub mod address;
mod admin;
mod all_nodes;
mod answers;
mod client;
mod command_stats;
mod delivery;
mod dispatch;
mod elsewhere;
mod environment;
mod failure;
mod input;
mod join;
mod link;
mod links;
mod local;
mod nodes;
pub mod options;
mod outgoing;
mod private;
mod process;
mod pubsub;
mod readers;
mod redirect;
pub mod refresh;
mod refused;
mod replies;
mod requests;
mod routing;
mod service;
mod session;
pub mod slots;
mod split;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod topology;
mod transaction;

use slab::Slab;

use self::address::Address;
use self::client::Client;
pub use self::environment::Environment;
use self::join::Join;
use self::link::Link;
use self::nodes::Nodes;
use self::options::Options;
use self::pubsub::Channels;
use self::refresh::Refresh;
use self::routing::Commands;
use self::slots::{NodeId, SlotMap};
use self::split::Splitter;
use self::topology::Topology;
use self::transaction::Pending;
use crate::clock::Now;
use crate::log::Level;
use crate::net::{Actions, Token};
use crate::resp::Batch;
pub use process::run;

/// Figures about the proxy as a whole.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Connections of clients accepted.
    pub connections: u64,
    /// Connections refused because there were too many.
    pub rejected_connections: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Bytes from clients.
    pub net_in: u64,
    /// Bytes to clients.
    pub net_out: u64,
    /// Error replies that the proxy gave by itself.
    pub errors: u64,
    /// Wrong passwords.
    pub auth_failures: u64,
    /// Clients closed because they had too much unread.
    pub output_limit_disconnections: u64,
    /// Reads sent again after their link was lost.
    pub retries: u64,
    /// The longest turn, in microseconds.
    pub longest_turn_us: u64,
}

/// The proxy.
pub struct Proxy {
    /// What it was told.
    pub options: Options,
    /// All commands, and how they travel.
    pub commands: Commands,
    /// Figures.
    pub stats: Stats,
    /// When it began, on the wall clock in microseconds.
    pub started_unix_us: u64,
    environment: Box<dyn Environment>,
    now: Now,
    clients: Slab<Client>,
    last_client_id: u64,
    links: Slab<Link>,
    nodes: Nodes,
    slots: SlotMap,
    /// The nodes that have slots, in the order of their slots.
    masters: Vec<NodeId>,
    /// Some reads go to other nodes than writes.
    reads_elsewhere: bool,
    /// When the nodes to read from are chosen next, on the monotonic clock.
    next_choice_us: u64,
    /// When those that are not read from are measured next.
    next_probe_us: u64,
    refresh: Refresh,
    slow_log: admin::SlowLog,
    joins: Slab<Join>,
    transactions: Slab<Pending>,
    channels: Channels,
    splitter: Splitter,
    actions: Actions,
    batch: Batch,
    spare_buffers: Vec<Vec<u8>>,
    /// Clients whose requests go on at the end of the turn.
    going_on: Vec<usize>,
    /// Clients held up by a link that has too much to do.
    throttled: Vec<usize>,
    /// Some link has less to do than before.
    links_eased: bool,
    /// The request at hand cannot run yet: it is run again later.
    postponed: bool,
    /// When links and nodes are looked at next, on the monotonic clock.
    next_check_us: u64,
    /// Is ending: nobody is let in, and whoever is answered is closed.
    stopping_since_us: Option<u64>,
}

impl Proxy {
    /// A proxy that has still to find its nodes.
    pub fn new(options: Options, environment: Box<dyn Environment>, now: Now) -> Proxy {
        let refresh = Refresh::new(
            options.nodes.clone(),
            u64::from(options.refresh_interval_ms),
            u64::from(options.timeout_ms),
        );
        let slow_log = admin::SlowLog::new(options.slowlog_log_slower_than);
        // Until the nodes have said what they are they are taken for plain servers. Those of a cluster redirect.
        let first_guess = Topology::even_split(&options.nodes);
        let mut proxy = Proxy {
            options,
            commands: Commands::new(),
            stats: Stats::default(),
            started_unix_us: now.unix_us,
            environment,
            now,
            clients: Slab::new(),
            last_client_id: 0,
            links: Slab::new(),
            nodes: Nodes::default(),
            slots: SlotMap::default(),
            masters: Vec::new(),
            reads_elsewhere: false,
            next_choice_us: 0,
            next_probe_us: 0,
            refresh,
            slow_log,
            joins: Slab::new(),
            transactions: Slab::new(),
            channels: Channels::default(),
            splitter: Splitter::default(),
            actions: Actions::default(),
            batch: Batch::new(),
            spare_buffers: Vec::new(),
            going_on: Vec::new(),
            throttled: Vec::new(),
            links_eased: false,
            postponed: false,
            next_check_us: 0,
            stopping_since_us: None,
        };
        proxy.apply_topology(&first_guess);
        proxy
    }

    /// Takes another list of nodes, and asks them what they are.
    pub fn set_nodes(&mut self, nodes: Vec<Address>) {
        self.apply_topology(&Topology::even_split(&nodes));
        self.options.nodes.clone_from(&nodes);
        self.refresh.set_seeds(nodes, self.now.monotonic_us / 1000);
    }

    /// The monotonic clock as waiters note it: it goes round after an hour.
    fn clock_us(&self) -> u32 {
        self.now.monotonic_us as u32
    }

    fn log(&mut self, level: Level, message: std::fmt::Arguments<'_>) {
        self.environment.log(level, message);
    }

    /// The client with that index, if it is still there.
    pub fn client(&self, client: usize) -> Option<&Client> {
        self.clients.get(client)
    }
}

/// Clients have even tokens, links odd ones.
fn client_token(client: usize) -> Token {
    Token(client as u32 * 2)
}

fn link_token(link: usize) -> Token {
    Token(link as u32 * 2 + 1)
}
