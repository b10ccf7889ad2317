//! From received bytes to executed requests.
//!
//! Requests are parsed in place, many at a time, and run in order. What is left, a part of a request or requests that
//! have to wait, stays in the client's query buffer; a client that waits for nothing has none.

use super::look_ahead::Ahead;
use super::{Server, State};
use crate::log::Level;
use crate::net::Token;
use crate::resp::{Batch, Limits, ProtocolError, Reply, RequestParser};

/// Requests parsed before they are run.
const BATCH_REQUESTS: usize = 32;
/// Bytes of waiting requests that are run for one client in one turn.
const WAITING_BYTES_PER_TURN: usize = 256 << 10;
/// Query buffer of a client that has not said who it is.
const UNAUTHENTICATED_QUERY_MAX: u64 = 1 << 20;
/// Bytes reserved for the rest of an argument: who announces one need not send it.
const RESERVED_AHEAD_MAX: usize = 64 << 10;
/// A query buffer's capacity is cut down to its content, or to this if that is more.
const QUERY_KEEP_BYTES: usize = 16 << 10;

/// Why running a client's requests ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stopped {
    /// There is no whole request left.
    NeedsMore,
    /// The client has to wait, or is to be closed.
    NotReady,
}

impl Server {
    /// Bytes arrived from a client: runs the requests in them.
    pub fn receive(&mut self, token: Token, bytes: &[u8]) {
        let now_us = self.state.now.monotonic_us;
        let Some(client) = self.state.clients.find_mut(token) else { return };
        client.net_in += bytes.len() as u64;
        client.last_interaction_us = now_us;
        if let Some(replica) = &mut client.replica {
            replica.acked_us = now_us; // an empty line is a sign of life, while it loads
        }
        self.state.stats.net_in += bytes.len() as u64;
        match client.query.is_empty() {
            true => self.take_in(token, bytes),
            false => self.take_in_more(token, bytes),
        }
    }

    /// The same when some were kept. An argument that has begun to arrive is completed on its own: what comes behind it is
    /// run where it is, not copied.
    fn take_in_more(&mut self, token: Token, bytes: &[u8]) {
        let client = self.state.clients.get(token);
        let lacking = client.parser.lacking(&client.query);
        let (end_of_argument, others) = bytes.split_at(lacking.min(bytes.len()));
        self.take_in(token, end_of_argument);
        self.take_in(token, others);
    }

    #[inline]
    fn take_in(&mut self, token: Token, bytes: &[u8]) {
        let Some(client) = self.state.clients.find_mut(token) else { return };
        if client.closing || bytes.is_empty() {
            return;
        }
        if client.query.is_empty() && client.is_ready() {
            let consumed = self.run_requests(token, bytes);
            if consumed < bytes.len() {
                self.keep(token, &bytes[consumed..]);
            }
        } else {
            let waits = client.input_pending;
            self.keep(token, bytes);
            if !waits {
                self.run_waiting(token, usize::MAX);
            }
        }
    }

    /// Keeps what cannot be run yet, if the client may have so much in waiting; else closes it.
    fn keep(&mut self, token: Token, bytes: &[u8]) {
        let client = self.state.clients.get_mut(token);
        if client.closing {
            return;
        }
        let len = client.query.len() + bytes.len();
        let limit = match client.authenticated {
            true => self.state.config.client_query_buffer_limit,
            false => self.state.config.client_query_buffer_limit.min(UNAUTHENTICATED_QUERY_MAX),
        };
        // The arguments found so far take memory, too: many of them may be empty.
        let held = len + client.parser.memory_bytes();
        // The rest of the argument goes where its beginning is, without moving that.
        let rest = client.parser.lacking(if client.query.is_empty() { bytes } else { &[] });
        let room = bytes.len() + rest.min(RESERVED_AHEAD_MAX);
        if held as u64 <= limit && client.query.try_reserve(room).is_ok() {
            client.query.extend_from_slice(bytes);
            client.query_peak = client.query_peak.max(len);
            return;
        }
        self.state.close_over_query_limit(token, len);
    }

    /// Runs requests that wait in the client's query buffer, up to about `bytes_max` of them. What is left over is
    /// continued in the next turn.
    fn run_waiting(&mut self, token: Token, bytes_max: usize) {
        let client = self.state.clients.get_mut(token);
        if !client.is_ready() || client.query.is_empty() {
            return;
        }
        client.query_peak = client.query_peak.max(client.query.len());
        let mut query = std::mem::take(&mut client.query);
        let part = query.len().min(bytes_max);
        let mut consumed = self.run_requests(token, &query[..part]);
        if consumed == 0 && part < query.len() && self.state.clients.get(token).is_ready() {
            consumed = self.run_requests(token, &query); // one request larger than the part
        }
        let client = self.state.clients.get_mut(token);
        let more = client.is_ready() && part < query.len() && consumed > 0;
        if client.closing || consumed == query.len() {
            query = Vec::new();
        } else if consumed > 0 {
            query.copy_within(consumed.., 0);
            query.truncate(query.len() - consumed);
            query.shrink_to(QUERY_KEEP_BYTES);
        }
        client.query = query;
        if more {
            self.state.continue_input(token);
        }
    }

    /// Goes on with clients whose requests had to wait: one part of each per turn.
    pub(super) fn run_pending_input(&mut self) {
        for token in std::mem::take(&mut self.state.pending_input) {
            if let Some(client) = self.state.clients.find_mut(token) {
                client.input_pending = false;
                self.run_waiting(token, WAITING_BYTES_PER_TURN);
            }
        }
    }

    /// Parses and runs the requests in `buffer`; returns how many bytes of it are done with.
    fn run_requests(&mut self, token: Token, buffer: &[u8]) -> usize {
        let mut batch = self.batch.take().unwrap_or_default();
        let mut reply = self.take_reply(token);
        let mut consumed = 0;
        self.state.clients.get_mut(token).in_flight = buffer.len();
        self.state.current = Some(token);
        loop {
            let (done, stopped) =
                self.run_batch(token, &buffer[consumed..], &mut batch, &mut reply);
            consumed += done;
            if let Some(stopped) = stopped {
                if stopped == Stopped::NotReady {
                    self.state.clients.get_mut(token).parser = RequestParser::new();
                }
                break;
            }
        }
        self.state.batches_ended();
        self.state.current = None;
        self.state.clients.get_mut(token).in_flight = 0;
        self.give_back_reply(token, reply);
        batch.clear();
        self.batch = Some(batch);
        consumed
    }

    /// Parses and runs one batch. Returns the bytes done with, and why there is nothing more to do, if so.
    fn run_batch(
        &mut self,
        token: Token,
        buffer: &[u8],
        batch: &mut Batch,
        reply: &mut Reply,
    ) -> (usize, Option<Stopped>) {
        let client = self.state.clients.get_mut(token);
        let bulk_len_max =
            usize::try_from(self.state.config.proto_max_bulk_len).unwrap_or(usize::MAX);
        let limits = Limits { bulk_len_max, authenticated: client.authenticated };
        // A client may say who it is in any request, and from then on other limits hold.
        let requests_max = if client.authenticated { BATCH_REQUESTS } else { 1 };
        let parsed = client.parser.parse(buffer, requests_max, &limits, batch);
        self.state.batch_starts(batch.len());
        self.look_ahead(token, batch, buffer);
        for request in 0..batch.len() {
            if batch.follows_empty(request) {
                self.state.clients.get_mut(token).end_reply_skip();
            }
            let (command, wire_bytes) = self.ahead.request(request);
            let candidate = self.ahead.candidate(request);
            let ahead = Ahead { command, candidate: candidate.as_ref(), wire_bytes };
            self.execute(token, &batch.args(request, buffer), &ahead, reply);
            if !self.state.clients.get(token).is_ready() {
                let blocked_before_it = self.state.take_postponed();
                let done = if blocked_before_it { request } else { request + 1 };
                let end = if done == 0 { 0 } else { batch.end(done - 1) };
                return (end, Some(Stopped::NotReady));
            }
        }
        if batch.follows_empty(batch.len()) {
            self.state.clients.get_mut(token).end_reply_skip();
        }
        if let Some(error) = parsed.error {
            self.refuse(token, &error, buffer, reply);
            return (parsed.consumed, Some(Stopped::NotReady));
        }
        let full = batch.len() == requests_max;
        (parsed.consumed, if full { None } else { Some(Stopped::NeedsMore) })
    }

    fn refuse(&mut self, token: Token, error: &ProtocolError, buffer: &[u8], reply: &mut Reply) {
        reply.error_bytes(&[b"ERR ", error.text().as_slice()].concat());
        let client = self.state.clients.get(token);
        let sample =
            String::from_utf8_lossy(&buffer[..buffer.len().min(128)]).escape_debug().to_string();
        let line = super::describe(&self.state, client);
        self.state.log(
            Level::Verbose,
            format_args!("Protocol error ({error}) from client: {line}. Query buffer: '{sample}'"),
        );
        self.state.close_after_write(token);
    }

    /// Takes the client's output to write replies into it. One without a buffer borrows a warm one.
    pub(super) fn take_reply(&mut self, token: Token) -> Reply {
        let client = self.state.clients.get_mut(token);
        let output = std::mem::take(&mut client.output);
        let mut reply = Reply { output, protocol: client.protocol };
        self.state.spare_buffers.lend_to(&mut reply.output);
        reply
    }

    pub(super) fn give_back_reply(&mut self, token: Token, mut reply: Reply) {
        if !self.state.clients.get(token).output.is_empty() {
            self.state.append_pushed(token, &mut reply);
        }
        let client = self.state.clients.get_mut(token);
        client.output = reply.output;
        if client.output.is_empty() {
            return self.state.spare_buffers.take_from(&mut client.output);
        }
        self.state.write_later(token);
        self.state.pushed = false;
    }
}

impl State {
    /// Closes a client that has too many bytes in waiting: received ones, or requests that it has queued.
    pub(super) fn close_over_query_limit(&mut self, token: Token, len: usize) {
        self.stats.query_buffer_limit_disconnections += 1;
        let line = super::describe(self, self.clients.get(token));
        self.log(
            Level::Warning,
            format_args!("Closing client that reached max query buffer length: {line} (qbuf initial bytes: {len})"),
        );
        self.close_now(token);
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn requests_cut_anywhere_are_run_as_whole_ones() {
        let value = "x".repeat(20_000);
        let set = |key: &str| format!("*3\r\n$3\r\nSET\r\n$1\r\n{key}\r\n$20000\r\n{value}\r\n");
        let requests = [set("a"), set("b"), "PING\r\n".to_string(), set("c")].concat();
        for piece_len in [1_000, 19_999, 20_000, 20_033, 32_768, 50_000] {
            let mut redis = TestServer::new();
            let client = redis.connect();
            for piece in requests.as_bytes().chunks(piece_len) {
                redis.server.receive(client, piece);
                let held = redis.server.state.clients.get(client).query.capacity();
                assert!(held <= 41_000 + piece_len, "{held} bytes for pieces of {piece_len}");
            }
            assert!(redis.server.state.clients.get(client).query.is_empty());
            assert_eq!(redis.sent(client), b"+OK\r\n+OK\r\n+PONG\r\n+OK\r\n");
            for key in ["a", "b", "c"] {
                redis.run(&format!("STRLEN {key}")).is(":20000");
            }
        }
    }
}
