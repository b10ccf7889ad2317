//! From the bytes of clients to requests. They are parsed in place, many at a time, and each goes its way at once; what is
//! left, a part of a request or requests that have to wait, stays with the client.

use super::Proxy;
use super::client::Hold;
use crate::net::Close;
use crate::resp::{Limits, RequestParser};

/// Requests parsed before they are run.
const BATCH_REQUESTS: usize = 32;
/// Bytes of waiting requests from which on nothing more is read from their client.
const PAUSE_FROM_BYTES: usize = 256 * 1024;
/// Longest request of a client that has not said who it is.
const UNAUTHENTICATED_QUERY_MAX: usize = 1 << 20;
/// Longest request, beside the limit of each argument.
const QUERY_MAX: usize = 1 << 30;

impl Proxy {
    /// Bytes arrived from a client: runs the requests in them.
    pub(super) fn received_from_client(&mut self, client: usize, bytes: &[u8]) {
        let now_us = self.now.monotonic_us;
        self.stats.net_in += bytes.len() as u64;
        let Some(state) = self.clients.get_mut(client) else { return };
        state.last_interaction_us = now_us;
        if state.closing || state.leaving {
            return;
        }
        if state.query.is_empty() && state.is_ready() {
            let consumed = self.run_requests(client, bytes);
            self.keep(client, &bytes[consumed..]);
        } else {
            self.keep(client, bytes);
            self.run_kept(client);
        }
    }

    /// Keeps what cannot be run yet. A client that goes on sending while its requests wait is not read from.
    fn keep(&mut self, client: usize, bytes: &[u8]) {
        let Some(state) = self.clients.get_mut(client) else { return };
        if bytes.is_empty() || state.closing || state.leaving {
            return;
        }
        let limit = if state.authenticated { QUERY_MAX } else { UNAUTHENTICATED_QUERY_MAX };
        let len = state.query.len() + bytes.len() + state.parser.memory_bytes();
        if len > limit || state.query.try_reserve(bytes.len()).is_err() {
            return self.close_client(client);
        }
        state.query.extend_from_slice(bytes);
        if !state.is_ready() && state.query.len() >= PAUSE_FROM_BYTES && !state.read_paused {
            state.read_paused = true;
            self.actions.pause_reading.push(state.token);
        }
    }

    /// Runs requests that wait.
    pub(super) fn run_kept(&mut self, client: usize) {
        let Some(state) = self.clients.get_mut(client) else { return };
        if state.query.is_empty() || !state.is_ready() {
            return;
        }
        let mut query = std::mem::take(&mut state.query);
        let consumed = self.run_requests(client, &query);
        let Some(state) = self.clients.get_mut(client) else { return };
        if consumed == query.len() || state.closing || state.leaving {
            query = Vec::new();
        } else if consumed > 0 {
            query.drain(..consumed);
            query.shrink_to(PAUSE_FROM_BYTES);
        }
        state.query = query;
        let keeps_much = !state.is_ready() && state.query.len() >= PAUSE_FROM_BYTES;
        if state.read_paused && !keeps_much {
            state.read_paused = false;
            self.actions.resume_reading.push(state.token);
        }
    }

    /// Parses and runs the requests in `buffer`; returns how many bytes of it are done with.
    fn run_requests(&mut self, client: usize, buffer: &[u8]) -> usize {
        let mut batch = std::mem::take(&mut self.batch);
        let mut consumed = 0;
        loop {
            let rest = &buffer[consumed..];
            let state = &mut self.clients[client];
            let limits = Limits {
                bulk_len_max: usize::try_from(self.options.proto_max_bulk_len)
                    .unwrap_or(usize::MAX),
                authenticated: state.authenticated,
            };
            let requests_max = if state.authenticated { BATCH_REQUESTS } else { 1 };
            let parsed = state.parser.parse(rest, requests_max, &limits, &mut batch);
            let mut start = 0;
            let mut stopped = false;
            for index in 0..batch.len() {
                let args = batch.args(index, rest);
                self.request(client, &args, batch.wire_bytes(index, start, rest));
                if std::mem::take(&mut self.postponed) {
                    stopped = true;
                    break;
                }
                start = batch.end(index);
                if !self.clients[client].is_ready() {
                    stopped = true;
                    break;
                }
            }
            if stopped {
                self.clients[client].parser = RequestParser::new();
                consumed += start;
                break;
            }
            consumed += parsed.consumed;
            if let Some(error) = parsed.error {
                self.refuse(client, &[b"ERR ", error.text().as_slice()].concat());
                self.leave(client);
                break;
            }
            if batch.len() < requests_max {
                break;
            }
        }
        batch.clear();
        self.batch = batch;
        consumed
    }

    /// Ends a client's wait, if that is what it waits for.
    pub(super) fn end_hold(&mut self, client: usize, hold: Hold) {
        let Some(state) = self.clients.get_mut(client) else { return };
        if state.hold == hold {
            state.hold = Hold::No;
            self.continue_client(client);
        }
    }

    /// Notes that a client may have requests that can run now.
    pub(super) fn continue_client(&mut self, client: usize) {
        let Some(state) = self.clients.get_mut(client) else { return };
        if !state.go_on_pending && !state.query.is_empty() && state.may_go_on() {
            state.go_on_pending = true;
            self.going_on.push(client);
        }
    }

    /// The client is closed when it has been sent all its replies; nothing more of it is run.
    pub(super) fn leave(&mut self, client: usize) {
        let state = &mut self.clients[client];
        state.leaving = true;
        state.query = Vec::new();
        if state.replies.is_empty() {
            self.actions.close.push((state.token, Close::AfterWrite));
        }
    }

    /// Closes a client at once.
    pub(super) fn close_client(&mut self, client: usize) {
        let Some(state) = self.clients.get_mut(client) else { return };
        state.closing = true;
        state.query = Vec::new();
        self.actions.close.push((state.token, Close::Now));
    }
}
