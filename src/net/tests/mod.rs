//! The loop over real loopback sockets, one thread: the test turns the loop itself until what it waits for has happened.

mod connecting;
mod ending;
mod listening;
mod serving;

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use slab::Slab;
use socket2::SockRef;

use super::connection::{Stream, WRITE_BYTES_PER_TURN};
use super::event_loop::put_back_rest;
use super::*;
use crate::clock::Now;

const BIG_BYTES: usize = 10_000_000;

/// Output in pieces, with a gate.
#[derive(Default)]
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    len: usize,
    sent_of_first: usize,
    is_held: bool,
}

impl Pieces {
    fn push(&mut self, bytes: &[u8]) {
        self.pieces.push_back(bytes.to_vec());
        self.len += bytes.len();
    }
}

impl OutputBuffer for Pieces {
    fn len(&self) -> usize {
        self.len
    }

    fn slices<'a>(&'a self, out: &mut [IoSlice<'a>], bytes_max: usize) -> usize {
        let (mut used, mut bytes_left) = (0, if self.is_held { 0 } else { bytes_max });
        let mut skip = self.sent_of_first;
        for piece in &self.pieces {
            if used == out.len() || bytes_left == 0 {
                break;
            }
            let slice = &piece[skip..piece.len().min(skip + bytes_left)];
            skip = 0;
            bytes_left -= slice.len();
            out[used] = IoSlice::new(slice);
            used += 1;
        }
        used
    }

    fn consume(&mut self, bytes: usize) {
        self.len -= bytes;
        self.sent_of_first += bytes;
        while self.pieces.front().is_some_and(|piece| piece.len() <= self.sent_of_first) {
            self.sent_of_first -= self.pieces.pop_front().unwrap().len();
        }
    }
}

/// Sends back what it gets. `big`: sends 10 MB. `bye`: sends an error and closes. `kill`: closes. `hold`: sends `held`
/// when the test opens the gate. `busy`: takes a millisecond.
#[derive(Default)]
struct Echo {
    clients: Slab<Pieces>,
    peers: Vec<Peer>,
    established: Vec<(Token, Peer)>,
    actions: Actions,
    disconnects: Vec<(Token, Disconnect)>,
    received_bytes: usize,
    clients_max: Option<usize>,
    signals: Vec<Signal>,
    listen_results: Vec<Result<(), String>>,
    warnings: Vec<String>,
    stats: LoopStats,
}

impl Service for Echo {
    type Output = Pieces;

    fn begin_turn(&mut self, _now: Now, stats: &LoopStats) {
        self.stats = *stats;
    }

    fn connected(&mut self, peer: Peer) -> Result<Token, Vec<u8>> {
        if self.clients_max.is_some_and(|max| self.clients.len() >= max) {
            return Err(b"-ERR max number of clients reached\r\n".to_vec());
        }
        self.peers.push(peer);
        Ok(Token(self.clients.insert(Pieces::default()) as u32))
    }

    fn established(&mut self, token: Token, peer: Peer) {
        self.established.push((token, peer));
        self.actions.write.push(token);
    }

    fn received(&mut self, token: Token, bytes: &[u8]) {
        self.received_bytes += bytes.len();
        let output = &mut self.clients[token.0 as usize];
        match bytes.get(..4) {
            Some(b"big\n") => output.push(&vec![b'x'; BIG_BYTES]),
            Some(b"hold") => {
                output.is_held = true;
                output.push(b"held");
            }
            Some(b"bye\n") => {
                output.push(b"-ERR bye\r\n");
                self.actions.close.push((token, Close::AfterWrite));
            }
            Some(b"busy") => {
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(1) {}
                output.push(b"done");
            }
            Some(b"kill") => self.actions.close.push((token, Close::Now)),
            _ => bytes.chunks(3).for_each(|piece| output.push(piece)),
        }
        self.actions.write.push(token);
    }

    fn disconnected(&mut self, token: Token, why: Disconnect) {
        self.clients.remove(token.0 as usize);
        self.disconnects.push((token, why));
    }

    fn output(&mut self, token: Token) -> Option<&mut Pieces> {
        self.clients.get_mut(token.0 as usize)
    }

    fn written(&mut self, _token: Token, _bytes: usize) {}

    fn signal(&mut self, signal: Signal) {
        self.signals.push(signal);
    }

    fn listen_result(&mut self, result: Result<(), String>) {
        self.listen_results.push(result);
    }

    fn warn(&mut self, text: &str) {
        self.warnings.push(text.to_owned());
    }

    fn run_timers(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(5)) // so that a test never hangs in a turn
    }

    fn end_turn(&mut self, actions: &mut Actions) {
        *actions = std::mem::take(&mut self.actions);
    }
}

/// A loop with an echo service, on a port of its own.
struct Fixture {
    event_loop: EventLoop,
    echo: Echo,
    config: ListenConfig,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::listening(localhost(0))
    }

    fn listening(config: ListenConfig) -> Fixture {
        Fixture { event_loop: EventLoop::new(&config).unwrap(), echo: Echo::default(), config }
    }

    fn address(&self) -> SocketAddr {
        self.event_loop.local_addresses()[0]
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    fn turn(&mut self) {
        assert_eq!(self.event_loop.turn(&mut self.echo).unwrap(), None);
    }

    /// Turns until the condition holds.
    fn until(&mut self, mut holds: impl FnMut(&mut Echo) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds(&mut self.echo) {
            assert!(Instant::now() < deadline, "it never happened");
            self.turn();
        }
    }

    /// Turns until `stream` has got `count` bytes, or its end.
    fn read(&mut self, stream: &mut impl Read, count: usize) -> Vec<u8> {
        let mut got = Vec::new();
        self.until(|_| read_some(stream, &mut got, count).unwrap() || got.len() >= count);
        got
    }
}

/// Reads what is there, to `count` at most. Returns whether the stream has ended.
fn read_some(stream: &mut impl Read, got: &mut Vec<u8>, count: usize) -> io::Result<bool> {
    let mut buffer = vec![0; (count - got.len()).min(1 << 20)];
    match stream.read(&mut buffer) {
        Ok(bytes) => {
            got.extend_from_slice(&buffer[..bytes]);
            Ok(bytes == 0 && !buffer.is_empty())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

fn localhost(port: u16) -> ListenConfig {
    let bind = vec!["127.0.0.1".to_owned()];
    ListenConfig {
        bind,
        port: Some(port),
        backlog: 511,
        tcp_keepalive_s: 300,
        ..ListenConfig::default()
    }
}

fn scratch_path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("net-{}-{name}.sock", std::process::id()))
}
