//! What a client may cost: unsent bytes by class, idle time.

use super::{Blocked, Client, ClientClass, Server, State};
use crate::log::Level;
use crate::net::Token;
use crate::resp::Reply;

/// Unsent bytes of a client that has not said who it is.
const UNAUTHENTICATED_OUTPUT_MAX: u64 = 1024;
/// Replies unread at which further requests of a client wait. Below the default limits: who pipelines without end and
/// reads meanwhile is not to be closed.
const UNREAD_MAX: usize = 32 << 20;
/// Below this nothing is checked.
const SMALL: usize = UNAUTHENTICATED_OUTPUT_MAX as usize;

impl Client {
    /// Notes how many bytes it was not sent yet. Returns whether they may be too many.
    #[inline]
    pub(super) fn note_unsent(&mut self) -> bool {
        let len = self.output.len();
        self.output_peak = self.output_peak.max(len);
        len > SMALL || self.over_soft_limit_since_us.is_some()
    }
}

impl State {
    /// The same while replies are being written.
    #[inline]
    pub(super) fn check_reply_limit(&mut self, token: Token, reply: &Reply) {
        let len = reply.output.len();
        if len > SMALL
            && (len >= self.unsent_checked_from || !self.clients.get(token).authenticated)
        {
            self.check_unsent_bytes(token, len);
        }
    }

    /// Unsent bytes at which a client is closed: what a command that makes its reply up, rather than reading it, must not
    /// pass.
    pub fn unsent_max(&self, token: Token) -> usize {
        let limits = &self.config.client_output_buffer_limit;
        let limit = match self.clients.get(token).class() {
            ClientClass::Normal | ClientClass::Master => limits.normal,
            ClientClass::Replica => limits.replica,
            ClientClass::Pubsub => limits.pubsub,
        };
        match limit.hard_bytes {
            0 => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }

    /// Follows the limits: below all of them a client that has said who it is need not be looked at.
    pub(super) fn apply_limit_config(&mut self) {
        let limits = &self.config.client_output_buffer_limit;
        let all = [limits.normal, limits.replica, limits.pubsub];
        let bytes = all.iter().flat_map(|limit| [limit.hard_bytes, limit.soft_bytes]);
        let least = bytes.filter(|&bytes| bytes > 0).min().unwrap_or(u64::MAX);
        self.unsent_checked_from = usize::try_from(least).unwrap_or(usize::MAX).min(UNREAD_MAX);
    }

    /// Closes the client if the bytes it was not sent yet pass a limit of its class.
    #[cold]
    pub(super) fn check_unsent(&mut self, token: Token) {
        let client = self.clients.get(token);
        let len = if client.is_replica() { self.unsent_len(token) } else { client.output.len() };
        self.check_unsent_bytes(token, len);
    }

    #[cold]
    fn check_unsent_bytes(&mut self, token: Token, len: usize) {
        let len = len as u64;
        let now_us = self.now.monotonic_us;
        let client = self.clients.get_mut(token);
        let limits = &self.config.client_output_buffer_limit;
        let limit = match client.class() {
            ClientClass::Normal | ClientClass::Master => limits.normal,
            ClientClass::Replica => limits.replica.at_least(self.config.repl_backlog_size),
            ClientClass::Pubsub => limits.pubsub,
        };
        if client.closing || client.internal {
            return;
        }
        let over_soft = limit.soft_bytes > 0 && len >= limit.soft_bytes;
        let since_us = match (over_soft, client.over_soft_limit_since_us) {
            (false, _) => None,
            (true, None) => Some(now_us),
            (true, since) => since,
        };
        client.over_soft_limit_since_us = since_us;
        let too_long =
            since_us.is_some_and(|since_us| now_us - since_us > limit.soft_seconds * 1_000_000);
        let hard = limit.hard_bytes > 0 && len >= limit.hard_bytes;
        let unauthenticated = !client.authenticated && len > UNAUTHENTICATED_OUTPUT_MAX;
        if !(hard || too_long || unauthenticated) {
            if len >= UNREAD_MAX as u64 && client.class() == ClientClass::Normal {
                client.blocked.get_or_insert(Blocked::Reading);
            }
            return;
        }
        let bytes = if limit.hard_bytes > 0 { limit.hard_bytes } else { limit.soft_bytes };
        if client.is_replica() && self.is_spared(token, len, bytes) {
            return;
        }
        self.stats.output_buffer_limit_disconnections += 1;
        let line = super::describe(self, self.clients.get(token));
        self.log(
            Level::Warning,
            format_args!(
                "Client {line} scheduled to be closed ASAP for overcoming of output buffer limits."
            ),
        );
        self.close_now(token);
    }

    /// A client whose requests wait for it to read was sent some bytes: they go on when it has half of what was too much.
    pub(super) fn client_has_read(&mut self, token: Token) {
        let client = self.clients.get_mut(token);
        if client.output.len() < UNREAD_MAX / 2 {
            client.blocked = None;
            self.continue_input(token);
        }
    }

    fn timed_out(&self, client: &Client) -> bool {
        let idle_us = self.now.monotonic_us.saturating_sub(client.last_interaction_us);
        self.config.timeout > 0
            && client.blocked.is_none_or(|blocked| blocked == Blocked::Reading)
            && !client.is_master
            && !client.input_pending // what it has asked for is yet to be run
            && !client.monitor
            && !client.is_replica()
            && client.subscriptions.is_none()
            && idle_us > u64::from(self.config.timeout) * 1_000_000
    }
}

impl Server {
    /// Looks after all clients: soft limits that time makes hard, idle ones, buffers that are larger than needed.
    pub(super) fn look_after_clients(&mut self) {
        let state = &mut self.state;
        let tokens: Vec<Token> = state.clients.iter().map(|client| client.token).collect();
        for token in tokens {
            if state.clients.get_mut(token).note_unsent() {
                state.check_unsent(token);
            }
            let client = state.clients.get(token);
            if !client.closing && state.timed_out(client) {
                state.log(Level::Verbose, format_args!("Closing idle client"));
                state.close_now(token);
            }
            let client = state.clients.get_mut(token);
            client.query_peak = client.query.len();
            client.output_peak = client.output.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OutputLimit;
    use crate::server::testing::TestServer;

    fn with_limit(hard_bytes: u64, soft_bytes: u64, soft_seconds: u64) -> TestServer {
        TestServer::with(|config| {
            let limit = OutputLimit { hard_bytes, soft_bytes, soft_seconds };
            config.client_output_buffer_limit.normal = limit;
        })
    }

    /// A request whose reply the client does not read.
    fn echo(redis: &mut TestServer, client: Token, bytes: usize) {
        let request = format!("ECHO {}\r\n", "x".repeat(bytes));
        redis.server.receive(client, request.as_bytes());
        redis.advance_ms(0);
    }

    #[test]
    fn a_client_over_the_hard_limit_is_closed() {
        let mut redis = with_limit(5000, 0, 0);
        let slow = redis.connect();
        echo(&mut redis, slow, 3000);
        assert!(redis.is_connected(slow));
        echo(&mut redis, slow, 3000);
        assert!(!redis.is_connected(slow));
        assert_eq!(redis.server.state.stats.output_buffer_limit_disconnections, 1);
        let log = redis.world.borrow().log.join("\n");
        assert!(log.contains("scheduled to be closed ASAP for overcoming of output buffer limits"));
    }

    #[test]
    fn a_batch_of_requests_stops_at_the_hard_limit() {
        let mut redis = with_limit(5000, 0, 0);
        let slow = redis.connect();
        let requests = format!("ECHO {}\r\n", "x".repeat(2000)).repeat(4) + "SET k v\r\n";
        redis.server.receive(slow, requests.as_bytes());
        redis.run("GET k").is("$-1");
        assert!(!redis.is_connected(slow));
    }

    #[test]
    fn a_client_that_has_not_read_its_replies_waits_for_more() {
        const MB: usize = 1 << 20;
        let mut redis = TestServer::new();
        redis.run_bytes(&[b"SET", b"big", &vec![b'x'; MB]]).is("+OK");
        let slow = redis.connect();
        redis.server.receive(slow, ("GET big\r\n".repeat(300) + "SET k v\r\n").as_bytes());
        redis.advance_ms(0);
        let unread = redis.server.state.clients.get(slow).output.len();
        assert!((UNREAD_MAX..UNREAD_MAX + 2 * MB).contains(&unread), "{unread} bytes");
        redis.server.receive(slow, b"PING\r\n"); // behind what waits
        redis.run("GET k").is("$-1");
        let reply_len = format!("${MB}\r\n").len() + MB + 2;
        let mut read = 0;
        while read < 300 * reply_len {
            let now = redis.sent(slow).len();
            assert!(now > 0 && now < UNREAD_MAX + 2 * MB, "{now} bytes after {read}");
            read += now;
            redis.advance_ms(0);
        }
        assert_eq!(read, 300 * reply_len + "+OK\r\n+PONG\r\n".len());
        redis.run("GET k").is("$1 v");
        assert!(redis.is_connected(slow));
    }

    #[test]
    fn a_client_is_closed_when_it_stays_over_the_soft_limit() {
        let mut redis = with_limit(0, 2000, 3);
        let slow = redis.connect();
        echo(&mut redis, slow, 3000);
        for _ in 0..3 {
            redis.advance_ms(1000);
            assert!(redis.is_connected(slow));
        }
        redis.advance_ms(1000); // nothing is asked or sent: the cron closes it
        assert!(!redis.is_connected(slow));
    }

    #[test]
    fn more_replies_do_not_start_the_soft_limit_anew() {
        let mut redis = with_limit(0, 2000, 3);
        let slow = redis.connect();
        echo(&mut redis, slow, 3000);
        for _ in 0..6 {
            redis.advance_ms(500);
            echo(&mut redis, slow, 100);
            assert!(redis.is_connected(slow));
        }
        redis.advance_ms(500);
        echo(&mut redis, slow, 100);
        assert!(!redis.is_connected(slow));
    }

    #[test]
    fn reading_ends_the_time_over_the_soft_limit() {
        let mut redis = with_limit(0, 2000, 3);
        let slow = redis.connect();
        for _ in 0..4 {
            echo(&mut redis, slow, 3000);
            redis.advance_ms(2000);
            redis.take(slow).starts("$3000");
        }
        assert!(redis.is_connected(slow));
    }

    #[test]
    fn l11_a_client_without_the_password_may_leave_a_kilobyte_unread() {
        let mut redis = TestServer::with(|config| config.requirepass = b"pw".to_vec());
        let flood = redis.connect();
        let refused = "-NOAUTH Authentication required.\r\n".len();
        for _ in 0..UNAUTHENTICATED_OUTPUT_MAX as usize / refused {
            redis.server.receive(flood, b"PING\r\n");
            redis.advance_ms(0);
        }
        assert!(redis.is_connected(flood));
        redis.server.receive(flood, b"PING\r\n");
        redis.advance_ms(0);
        assert!(!redis.is_connected(flood));
    }

    #[test]
    fn l11_the_limit_holds_within_a_pipeline_and_ends_with_auth() {
        let mut redis = TestServer::with(|config| config.requirepass = b"pw".to_vec());
        let (flood, honest) = (redis.connect(), redis.connect());
        redis.server.receive(flood, "PING\r\n".repeat(10_000).as_bytes());
        assert!(redis.server.state.clients.get(flood).output.len() < 1100);
        redis
            .server
            .receive(honest, ("AUTH pw\r\n".to_string() + &"PING\r\n".repeat(10_000)).as_bytes());
        redis.advance_ms(0);
        assert!(!redis.is_connected(flood));
        assert!(redis.is_connected(honest));
    }

    #[test]
    fn idle_clients_are_closed_after_the_timeout() {
        let mut redis = TestServer::with(|config| config.timeout = 10);
        let (idle, busy, watching) = (redis.connect(), redis.connect(), redis.connect());
        redis.server.state.clients.get_mut(watching).monitor = true;
        for _ in 0..10 {
            redis.advance_ms(1000);
            redis.run_as(busy, "PING").is("+PONG");
        }
        assert!(redis.is_connected(idle));
        redis.advance_ms(1000);
        assert!(!redis.is_connected(idle));
        assert!(redis.is_connected(busy));
        assert!(redis.is_connected(watching));
    }

    #[test]
    fn a_client_that_waits_is_not_idle() {
        let mut redis = TestServer::with(|config| config.timeout = 1);
        let waiting = redis.connect();
        redis.run("CLIENT PAUSE 5000 WRITE");
        redis.run_as(waiting, "SET k v").is("");
        redis.advance_ms(4000);
        assert!(redis.is_connected(waiting));
        redis.advance_ms(1000);
        redis.take(waiting).is("+OK");
    }
}
