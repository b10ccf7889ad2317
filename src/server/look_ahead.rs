//! What the requests of a batch will need, found out before the first of them is run.
//!
//! A command on a key waits for two cache misses: the bucket, and the entry. With many keys at hand the processor can
//! wait for many at a time. What was found is kept, so that nothing is done twice.

use super::Server;
use crate::commands::CommandId;
use crate::keyspace::Candidate;
use crate::net::Token;
use crate::resp::Batch;

/// What is known of a request.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a> {
    /// The command, or the container of the subcommand.
    pub command: Option<CommandId>,
    /// What the index says of its first key.
    pub candidate: Option<&'a Candidate>,
    /// Length of the request on the wire.
    pub wire_bytes: usize,
}

/// What is known of the requests of a batch.
#[derive(Default)]
pub(super) struct LookAhead {
    requests: Vec<(Option<CommandId>, usize)>,
    /// Of each request; of one without a key it means nothing.
    hashes: Vec<u64>,
    candidates: Vec<Candidate>,
}

impl LookAhead {
    /// The command of a request, and its length on the wire.
    #[inline]
    pub fn request(&self, index: usize) -> (Option<CommandId>, usize) {
        self.requests[index]
    }

    /// What the index says of the first key of a request. Means nothing of one without a key.
    #[inline]
    pub fn candidate(&self, index: usize) -> Option<Candidate> {
        self.candidates.get(index).copied()
    }
}

impl Server {
    /// Looks up the commands of a batch and fetches their first keys' buckets and entries.
    pub(super) fn look_ahead(&mut self, token: Token, batch: &Batch, buffer: &[u8]) {
        let LookAhead { requests, hashes, candidates } = &mut self.ahead;
        requests.clear();
        hashes.clear();
        candidates.clear();
        let registry = &self.state.registry;
        // Most pipelines repeat a command, which is looked up once.
        let mut last: (&[u8], Option<CommandId>, usize) = (b"", None, 0);
        let mut start = 0;
        for request in 0..batch.len() {
            let args = batch.args(request, buffer);
            let name = args.bytes(0);
            if name != last.0 {
                let command = registry.find(name);
                last = (name, command, command.map_or(0, |id| registry.get(id).first_key));
            }
            let (_, command, first_key) = last;
            let key = if first_key == 0 { None } else { args.get(first_key) };
            if key.is_none() && batch.len() == 1 {
                requests.push((command, batch.end(request)));
                return;
            }
            hashes.push(key.map_or(0, |key| self.keyspace.name(key).hash));
            requests.push((command, batch.end(request) - start));
            start = batch.end(request);
        }
        self.keyspace.look_ahead(self.state.clients.get(token).db, hashes, candidates);
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// One pipeline in which what was looked up ahead no longer holds when its turn comes.
    #[test]
    fn a_batch_sees_its_own_changes() {
        let mut redis = TestServer::new();
        let client = redis.connect();
        let batch = "SET a 1\r\nGET a\r\nGET b\r\nRENAME a b\r\nGET a\r\nGET b\r\nOBJECT ENCODING b\r\nSELECT 1\r\nGET b\r\n\
                     SET b 2\r\nSELECT 0\r\nGET b\r\nSWAPDB 0 1\r\nGET b\r\nFLUSHDB\r\nGET b\r\nSET a 3\r\nGET b\r\nGET a\r\n";
        let expected =
            "+OK $1 1 $-1 +OK $-1 $1 1 $3 int +OK $-1 +OK +OK $1 1 +OK $1 2 +OK $-1 +OK $-1 $1 3";
        redis.receive(client, batch.as_bytes()).is(expected);
    }
}
