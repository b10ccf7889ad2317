//! `CLIENT PAUSE`: commands wait, their clients stay connected and are served afterwards, in order. A shutdown, a failover
//! and a replica that is far behind pause writes, too; commands wait as long as anybody wants them to.

use super::{Blocked, Server, State};
use crate::commands::table::{Flags, MAY_REPLICATE, NEVER_PAUSED, WRITE};
use crate::keyspace::Keyspace;
use crate::net::Token;

/// What waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PauseKind {
    /// Commands that write.
    Write,
    /// All commands.
    All,
}

/// Why they wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PausePurpose {
    /// `CLIENT PAUSE`.
    Client,
    /// Replicas are to get everything before the process ends.
    Shutdown,
    /// A replica is to get everything before it becomes the master.
    Failover,
    /// A replica that is far behind is to catch up.
    Replica,
}

/// Number of purposes.
pub(super) const PURPOSES: usize = 4;

/// A pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pause {
    /// When it ends by itself, monotonic.
    pub until_us: u64,
    /// What waits.
    pub kind: PauseKind,
}

impl Pause {
    /// Both: the longer and the stricter.
    fn and(self, other: Self) -> Self {
        Self { until_us: self.until_us.max(other.until_us), kind: self.kind.max(other.kind) }
    }

    pub(super) fn holds_back(self, flags: Flags) -> bool {
        match self.kind {
            PauseKind::All => !flags.has(NEVER_PAUSED),
            PauseKind::Write => flags.has(WRITE) || flags.has(MAY_REPLICATE),
        }
    }
}

impl State {
    /// Begins the pause of a client's, or makes the one there is longer and stricter. Nothing expires meanwhile.
    pub fn pause_clients(&mut self, keyspace: &mut Keyspace, kind: PauseKind, until_us: u64) {
        self.pause_for(PausePurpose::Client, keyspace, kind, until_us);
    }

    /// The same for any purpose.
    pub fn pause_for(
        &mut self,
        purpose: PausePurpose,
        keyspace: &mut Keyspace,
        kind: PauseKind,
        until_us: u64,
    ) {
        let pause = &mut self.pauses[purpose as usize];
        let new = Pause { until_us, kind };
        *pause = Some(pause.map_or(new, |pause| pause.and(new)));
        self.follow_pauses(keyspace);
    }

    /// Ends the pause of a client's: what waited goes on in the next turn, unless it has to wait for something else.
    pub fn unpause_clients(&mut self, keyspace: &mut Keyspace) {
        self.unpause_for(PausePurpose::Client, keyspace);
    }

    /// The same for any purpose.
    pub fn unpause_for(&mut self, purpose: PausePurpose, keyspace: &mut Keyspace) {
        self.pauses[purpose as usize] = None;
        self.follow_pauses(keyspace);
        let waiting: Vec<Token> = self
            .clients
            .iter()
            .filter(|client| client.blocked == Some(Blocked::Paused))
            .map(|c| c.token)
            .collect();
        for token in waiting {
            self.clients.get_mut(token).blocked = None;
            self.continue_input(token);
        }
    }

    fn follow_pauses(&mut self, keyspace: &mut Keyspace) {
        self.pause = self.pauses.iter().flatten().copied().reduce(Pause::and);
        self.apply_role(keyspace);
    }

    /// When the next pause ends by itself, on the monotonic clock.
    pub(super) fn next_pause_end_us(&self) -> Option<u64> {
        self.pauses.iter().flatten().map(|pause| pause.until_us).min()
    }
}

impl Server {
    pub(super) fn end_pause_if_due(&mut self) {
        let now_us = self.state.now.monotonic_us;
        use PausePurpose::{Client, Failover, Replica, Shutdown};
        for purpose in [Client, Shutdown, Failover, Replica] {
            let pause = self.state.pauses[purpose as usize];
            if pause.is_some_and(|pause| pause.until_us <= now_us) {
                self.state.unpause_for(purpose, &mut self.keyspace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::keyspace::{Expiry, NewString};
    use crate::server::testing::TestServer;

    #[test]
    fn a_pause_of_writes_lets_reads_through() {
        let mut redis = TestServer::new();
        let writer = redis.connect();
        redis.run("CLIENT PAUSE 1000 WRITE").is("+OK");
        redis.run_as(writer, "SET k v").is("");
        redis.run("GET k").is("$-1");
        redis.run("SET k").is("-ERR wrong number of arguments for 'set' command");
        redis.advance_ms(999);
        redis.take(writer).is("");
        redis.advance_ms(1);
        redis.take(writer).is("+OK");
        redis.run("GET k").is("$1 v");
    }

    #[test]
    fn requests_behind_a_waiting_one_keep_their_order() {
        let mut redis = TestServer::new();
        let client = redis.connect();
        redis.run("CLIENT PAUSE 1000 WRITE").is("+OK");
        redis.receive(client, b"GET k\r\nSET k 1\r\nGET k\r\nSET k 2\r\nGET").is("$-1");
        redis.receive(client, b" k\r\n").is("");
        redis.advance_ms(1000);
        redis.take(client).is("+OK $1 1 +OK $1 2");
    }

    #[test]
    fn waiting_clients_go_on_together() {
        let mut redis = TestServer::new();
        let clients = [redis.connect(), redis.connect(), redis.connect()];
        redis.run("CLIENT PAUSE 60000 WRITE");
        for client in clients {
            redis.run_as(client, "SET k v").is("");
        }
        redis.run("CLIENT UNPAUSE").is("+OK");
        redis.advance_ms(0);
        for client in clients {
            redis.take(client).is("+OK");
        }
    }

    #[test]
    fn a_pause_of_all_holds_back_all_but_its_end() {
        let mut redis = TestServer::new();
        let (reader, other) = (redis.connect(), redis.connect());
        redis.run("CLIENT PAUSE 60000").is("+OK");
        redis.run_as(reader, "PING").is("");
        redis.run("CLIENT ID").is("");
        redis.run_as(other, "CLIENT UNPAUSE").is("+OK");
        redis.advance_ms(0);
        redis.take(reader).is("+PONG");
    }

    #[test]
    fn a_second_pause_makes_the_first_longer_and_stricter_only() {
        let mut redis = TestServer::new();
        let writer = redis.connect();
        redis.run("CLIENT PAUSE 1000 WRITE").is("+OK");
        redis.run("CLIENT PAUSE 10 WRITE").is("+OK");
        redis.run_as(writer, "SET k v").is("");
        redis.advance_ms(500);
        redis.take(writer).is("");
        redis.run("CLIENT PAUSE 600 ALL").is("+OK");
        redis.run("PING").is("");
        redis.advance_ms(599);
        redis.take(writer).is("");
        redis.advance_ms(1);
        redis.take(writer).is("+OK");
    }

    #[test]
    fn a_pause_hides_keys_that_are_due_but_keeps_them() {
        let mut redis = TestServer::new();
        let due_ms = redis.server.state.now.unix_ms() + 10;
        redis.server.keyspace.db(0).set_string(b"k", NewString::Int(1), Expiry::At(due_ms));
        redis.run("CLIENT PAUSE 50000 WRITE");
        redis.advance_ms(1000);
        redis.run("GET k").is("$-1");
        assert_eq!(redis.server.keyspace.stats.expired, 0);
        assert_eq!(redis.server.keyspace.databases()[0].len(), 1);
        redis.run("CLIENT UNPAUSE");
        redis.run("GET k").is("$-1");
        assert_eq!(redis.server.keyspace.stats.expired, 1);
    }
}
