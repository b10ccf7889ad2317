//! A connected peer, as the server knows it, and the table of all of them.

use slab::Slab;

use super::blocking::WaitingRequest;
use super::pubsub::Subscriptions;
use super::replication::replica::Replica;
use super::{ClientTracking, Transaction, Watch};
use crate::commands::CommandId;
use crate::net::{Peer, Token};
use crate::resp::output::Mark;
use crate::resp::{Output, Protocol, RequestParser};

/// What is answered to a client (`CLIENT REPLY`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyMode {
    /// Every request.
    On,
    /// Nothing until told otherwise.
    Off,
    /// Nothing to the request after the one that is running.
    SkipNext,
    /// Nothing to the request that is running.
    Skip,
}

/// Why a client's requests wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocked {
    /// `CLIENT PAUSE` holds its next command back.
    Paused,
    /// `DEBUG RELOAD` waits for the data to be loaded.
    Loading,
    /// `CONFIG SET` of an address waits for the loop to listen there.
    Listening,
    /// Its command waits for keys.
    Keys,
    /// Its command waits for replicas, or for the log, to have what it has written.
    Acks,
    /// It has asked for a shutdown, which waits for replicas.
    Shutdown,
    /// `MIGRATE` waits for the keys to arrive.
    Migrating,
    /// It is to read the replies it has before it gets more.
    Reading,
}

impl Blocked {
    /// Whether its command has run, and is answered later.
    pub fn is_in_command(self) -> bool {
        matches!(self, Self::Keys | Self::Acks | Self::Shutdown)
    }
}

/// Classes of clients: `CLIENT LIST TYPE`, and what each may leave unread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientClass {
    /// Clients that send commands and read replies.
    Normal,
    /// Servers that follow this one.
    Replica,
    /// Clients that are sent messages.
    Pubsub,
    /// The server that this one follows.
    Master,
}

/// A connected peer. What each message that it is sent touches comes first, then what its requests do: a message to a
/// thousand subscribers waits for three cache lines of each, not five.
#[repr(C)]
pub struct Client {
    /// Bytes to send.
    pub output: Output,
    /// Most bytes of `output` of late.
    pub output_peak: usize,
    /// Since when its output is over the soft limit.
    pub over_soft_limit_since_us: Option<u64>,
    /// Messages added to its output since that was last empty.
    pub pushes_unsent: u64,
    /// Bytes sent.
    pub net_out: u64,
    /// Monotonic time of the last bytes received.
    pub last_interaction_us: u64,
    /// RESP version.
    pub protocol: Protocol,
    /// Whether it may run commands.
    pub authenticated: bool,
    /// What is answered.
    pub reply_mode: ReplyMode,
    /// It is to be closed once its output is sent, or at once; no further request is run.
    pub closing: bool,
    /// It is to be closed at the end of the turn, its output sent or not: for all others it is gone.
    pub doomed: bool,
    /// It is on the list of clients to write to at the end of the turn.
    pub write_pending: bool,
    /// It is on the list of clients whose received requests are to be run.
    pub input_pending: bool,
    /// Why its requests wait.
    pub blocked: Option<Blocked>,
    /// `CLIENT NO-TOUCH`.
    pub no_touch: bool,
    /// `CLIENT NO-EVICT`.
    pub no_evict: bool,
    /// `MONITOR`.
    pub monitor: bool,
    /// `CLIENT CAPA`: whether it understands `-REDIRECT`.
    pub capa_redirect: bool,
    /// It is on no list of clients: there is no connection, as it runs commands of the log, or none that is agreed upon.
    pub internal: bool,
    /// It is the connection to the master.
    pub is_master: bool,
    /// Offset of the stream after its last write, while there is a stream.
    pub write_offset: u64,
    /// What it has told about itself as a replica.
    pub replica: Option<Box<Replica>>,
    /// The last command it ran.
    pub last_command: Option<CommandId>,
    /// Selected database.
    pub db: usize,
    /// It is between `MULTI` and the end of `EXEC`.
    pub transaction: Option<Box<Transaction>>,
    /// What it is subscribed to, if to anything.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// `CLIENT TRACKING`.
    pub tracking: Option<Box<ClientTracking>>,
    /// Commands run.
    pub commands: u64,
    /// Bytes received.
    pub net_in: u64,
    /// Bytes received that are being run just now.
    pub in_flight: usize,
    /// Bytes received that are no whole request yet, or that wait.
    pub query: Vec<u8>,
    /// Largest `query` of late.
    pub query_peak: usize,
    /// How far the first request in `query` is understood.
    pub parser: RequestParser,
    /// How many parts of `output` wait for the log.
    pub gates: usize,
    /// Where the last part that waited for the log ends.
    pub held_to: Option<Mark>,
    /// `WATCH`.
    pub watch: Watch,
    /// Its command that waits for keys.
    pub waiting: Option<Box<WaitingRequest>>,
    /// Number of the connection since the start: never used twice.
    pub id: u64,
    /// Where it is in the loop.
    pub token: Token,
    /// Monotonic time of the connection.
    pub created_us: u64,
    /// `CLIENT SETNAME`.
    pub name: Vec<u8>,
    /// `CLIENT SETINFO lib-name`.
    pub lib_name: Vec<u8>,
    /// `CLIENT SETINFO lib-ver`.
    pub lib_ver: Vec<u8>,
    /// Addresses and socket.
    pub peer: Peer,
}

impl Client {
    /// Bytes of memory that the connection takes here.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.query.capacity()
            + self.output.memory_bytes()
            + self.name.len()
            + self.lib_name.len()
            + self.lib_ver.len()
            + self.waiting.as_ref().map_or(0, |waiting| waiting.memory_bytes())
            + self.transaction.as_ref().map_or(0, |transaction| transaction.used_bytes())
            + self.watch.memory_bytes()
            + self.subscriptions.as_ref().map_or(0, |subscriptions| subscriptions.memory_bytes())
    }

    /// What kind of client it is. One that monitors is normal.
    pub fn class(&self) -> ClientClass {
        if self.is_master {
            ClientClass::Master
        } else if self.is_replica() {
            ClientClass::Replica
        } else if self.subscriptions.is_some() {
            ClientClass::Pubsub
        } else {
            ClientClass::Normal
        }
    }

    /// Whether it can be told apart only by the command what answers a request and what is a message: it may then send
    /// only what has to do with subscriptions.
    pub fn is_only_subscriber(&self) -> bool {
        self.subscriptions.is_some() && self.protocol == Protocol::Resp2
    }

    /// Which client is told of invalid keys: 0 if it is itself, -1 if nobody is.
    pub fn redirect_id(&self) -> i64 {
        let redirect = self.tracking.as_ref().map(|tracking| tracking.redirect);
        redirect.map_or(-1, |redirect| redirect.map_or(0, |redirect| redirect.id as i64))
    }

    /// Makes it what it was when it connected (`RESET`); `authenticated` says whether no password is asked for. What
    /// the library told about itself stays, and so does `CLIENT REPLY SKIP` for the reply of this very command.
    pub fn reset(&mut self, authenticated: bool) {
        self.name = Vec::new();
        self.db = 0;
        self.protocol = Protocol::Resp2;
        self.authenticated = authenticated;
        self.no_evict = false;
        self.no_touch = false;
        self.monitor = false;
        if self.reply_mode != ReplyMode::Skip {
            self.reply_mode = ReplyMode::On;
        }
    }

    /// A request without arguments: `CLIENT REPLY SKIP` was about this one.
    pub fn end_reply_skip(&mut self) {
        if self.reply_mode == ReplyMode::Skip {
            self.reply_mode = ReplyMode::On;
        }
    }

    /// Whether its command has run, and is answered later.
    #[inline]
    pub fn waits_in_command(&self) -> bool {
        self.blocked.is_some_and(Blocked::is_in_command)
    }

    /// Whether its requests are run as they come.
    pub fn is_ready(&self) -> bool {
        self.blocked.is_none() && !self.closing
    }
}

/// All clients, by token.
#[derive(Default)]
pub struct Clients {
    slab: Slab<Box<Client>>,
    last_id: u64,
}

impl Clients {
    /// Takes in a new connection.
    pub fn connect(&mut self, peer: Peer, now_us: u64, authenticated: bool) -> Token {
        self.last_id += 1;
        let entry = self.slab.vacant_entry();
        let token = Token(entry.key() as u32);
        entry.insert(Box::new(Client {
            id: self.last_id,
            token,
            peer,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_ver: Vec::new(),
            capa_redirect: false,
            db: 0,
            protocol: Protocol::Resp2,
            authenticated,
            reply_mode: ReplyMode::On,
            no_evict: false,
            no_touch: false,
            monitor: false,
            transaction: None,
            watch: Watch::default(),
            tracking: None,
            subscriptions: None,
            replica: None,
            write_offset: 0,
            pushes_unsent: 0,
            blocked: None,
            waiting: None,
            closing: false,
            doomed: false,
            query: Vec::new(),
            in_flight: 0,
            parser: RequestParser::default(),
            output: Output::default(),
            gates: 0,
            held_to: None,
            internal: false,
            is_master: false,
            write_pending: false,
            input_pending: false,
            created_us: now_us,
            last_interaction_us: now_us,
            over_soft_limit_since_us: None,
            last_command: None,
            query_peak: 0,
            output_peak: 0,
            net_in: 0,
            net_out: 0,
            commands: 0,
        }));
        token
    }

    /// Forgets a client.
    pub fn remove(&mut self, token: Token) -> Option<Box<Client>> {
        self.slab.try_remove(token.0 as usize)
    }

    /// The client with that token, which must be connected.
    #[inline]
    pub fn get(&self, token: Token) -> &Client {
        &self.slab[token.0 as usize]
    }

    /// The client with that token, which must be connected.
    #[inline]
    pub fn get_mut(&mut self, token: Token) -> &mut Client {
        &mut self.slab[token.0 as usize]
    }

    /// The client with that token, if it is still connected.
    #[inline]
    pub fn find_mut(&mut self, token: Token) -> Option<&mut Client> {
        self.slab.get_mut(token.0 as usize).map(|client| &mut **client)
    }

    /// The client with that number, if it is still connected. O(clients).
    pub fn by_id(&mut self, id: u64) -> Option<&mut Client> {
        self.iter_mut().find(|client| client.id == id)
    }

    /// All clients, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.slab.iter().map(|(_, client)| &**client).filter(|client| !client.internal)
    }

    /// All clients, in no order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.slab.iter_mut().map(|(_, client)| &mut **client).filter(|client| !client.internal)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// The number given to the newest client.
    pub fn last_id(&self) -> u64 {
        self.last_id
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn a_number_is_never_used_twice_but_a_place_is() {
        let mut redis = TestServer::new();
        let first = redis.connect();
        redis.run_as(first, "CLIENT ID").is(":2");
        redis.run_as(first, "QUIT").is("+OK");
        let second = redis.connect();
        assert_eq!(first, second);
        redis.run_as(second, "CLIENT ID").is(":3");
        let clients = &mut redis.server.state.clients;
        assert!(clients.by_id(2).is_none());
        assert_eq!(clients.by_id(3).map(|client| client.token), Some(second));
        assert_eq!((clients.len(), clients.last_id()), (2, 3));
    }

    #[test]
    fn a_new_client_has_nothing_of_the_one_before_it() {
        let mut redis = TestServer::new();
        let first = redis.connect();
        redis.run_as(first, "HELLO 3 SETNAME first");
        redis.run_as(first, "SELECT 2");
        redis.run_as(first, "CLIENT REPLY OFF");
        redis.run("CLIENT KILL ID 2").is(":1");
        let second = redis.connect();
        redis.run_as(second, "CLIENT GETNAME").is("$-1");
        redis.run_as(second, "CLIENT LIST DB 0 ID 3").starts("$3");
    }
}
