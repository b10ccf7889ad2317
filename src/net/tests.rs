//! The loop over real loopback sockets, one thread: the test turns the loop itself until what it waits for has happened.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use slab::Slab;
use socket2::SockRef;

use super::*;
use crate::clock::Now;

const BIG_BYTES: usize = 10_000_000;

/// Output in pieces, with a gate.
#[derive(Default)]
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    sent_of_first: usize,
    is_held: bool,
}

impl Pieces {
    fn push(&mut self, bytes: &[u8]) {
        self.pieces.push_back(bytes.to_vec());
    }
}

impl OutputBuffer for Pieces {
    fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum::<usize>() - self.sent_of_first
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
        self.sent_of_first += bytes;
        while self.pieces.front().is_some_and(|piece| piece.len() <= self.sent_of_first) {
            self.sent_of_first -= self.pieces.pop_front().unwrap().len();
        }
    }
}

/// Sends back what it gets. `big`: sends 10 MB. `bye`: sends an error and closes. `kill`: closes. `hold`: sends `held`
/// when the test opens the gate.
#[derive(Default)]
struct Echo {
    clients: Slab<Pieces>,
    peers: Vec<Peer>,
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

#[test]
fn pipelined_bytes_come_back_in_order() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    let sent: Vec<u8> =
        (0..50_000u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    let mut left = &sent[..];
    let mut got = Vec::new();
    fixture.until(|_| {
        left = &left[client.write(left).unwrap_or(0)..];
        read_some(&mut client, &mut got, sent.len()).unwrap();
        got.len() == sent.len()
    });
    assert_eq!(got, sent);
    assert_eq!(fixture.event_loop.stats.bytes_written, sent.len() as u64);
}

#[test]
fn a_big_reply_to_a_slow_reader_leaves_the_others_served() {
    let mut fixture = Fixture::new();
    let (mut slow, mut other) = (fixture.connect(), fixture.connect());
    slow.write_all(b"big\n").unwrap();
    fixture.until(|echo| echo.stats.bytes_written > 0);
    let mut got = Vec::new();
    while got.len() < BIG_BYTES {
        other.write_all(b"ping").unwrap();
        assert_eq!(fixture.read(&mut other, 4), b"ping");
        read_some(&mut slow, &mut got, BIG_BYTES).unwrap();
    }
    assert!(got.iter().all(|&byte| byte == b'x'));
}

#[test]
fn a_turn_writes_no_more_than_its_budget_to_one_client() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    client.write_all(b"big\n").unwrap();
    let (mut got, mut before) = (Vec::new(), 0);
    while got.len() < BIG_BYTES {
        fixture.turn();
        let written = fixture.event_loop.stats.bytes_written;
        assert!(written - before <= connection::WRITE_BYTES_PER_TURN as u64);
        before = written;
        read_some(&mut client, &mut got, BIG_BYTES).unwrap();
    }
}

#[test]
fn a_half_closed_client_gets_its_replies_then_the_end() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    client.write_all(b"big\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(fixture.read(&mut client, BIG_BYTES + 1).len(), BIG_BYTES);
    assert!(matches!(fixture.echo.disconnects[..], [(Token(0), Disconnect::PeerClosed)]));
}

#[test]
fn a_half_closed_client_waits_behind_the_gate() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    client.write_all(b"hold").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    fixture.until(|echo| echo.received_bytes == 4);
    (0..5).for_each(|_| fixture.turn());
    assert!(fixture.echo.disconnects.is_empty());
    fixture.echo.clients[0].is_held = false;
    fixture.echo.actions.write.push(Token(0));
    assert_eq!(fixture.read(&mut client, 100), b"held");
}

#[test]
fn a_peer_that_dies_behind_the_gate_is_noticed() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    client.write_all(b"hold").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    fixture.until(|echo| echo.received_bytes == 4);
    fixture.turn();
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    fixture.until(|echo| !echo.disconnects.is_empty());
    assert!(matches!(fixture.echo.disconnects[..], [(Token(0), Disconnect::Failed(_))]));
}

#[test]
fn a_client_that_says_nothing_and_goes_is_forgotten_once() {
    let mut fixture = Fixture::new();
    drop(fixture.connect());
    fixture.until(|echo| !echo.disconnects.is_empty());
    (0..3).for_each(|_| fixture.turn());
    assert!(matches!(fixture.echo.disconnects[..], [(Token(0), Disconnect::PeerClosed)]));
}

#[test]
fn an_error_reply_survives_the_input_that_is_still_arriving() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    client.write_all(b"bye\n").unwrap();
    let flood = vec![b'x'; 4 << 20];
    let mut left = &flood[..];
    fixture.until(|_| {
        left = &left[client.write(left).unwrap_or(0)..];
        left.is_empty()
    });
    assert_eq!(fixture.read(&mut client, 100), b"-ERR bye\r\n");
    assert!(matches!(fixture.echo.disconnects[..], [(Token(0), Disconnect::Requested)]));
    assert!(!fixture.event_loop.lingering.is_empty(), "the client has not closed yet");
    drop(client);
    let deadline = Instant::now() + Duration::from_secs(1);
    while !fixture.event_loop.lingering.is_empty() && Instant::now() < deadline {
        fixture.turn();
    }
    assert!(fixture.event_loop.lingering.is_empty(), "closed with the client, not by its deadline");
}

#[test]
fn a_killed_client_reads_the_end() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    client.write_all(b"kill").unwrap();
    assert_eq!(fixture.read(&mut client, 100), b"");
    assert!(matches!(fixture.echo.disconnects[..], [(Token(0), Disconnect::Requested)]));
}

#[test]
fn a_rejected_client_reads_why_even_if_it_has_spoken() {
    let mut fixture = Fixture::new();
    fixture.echo.clients_max = Some(1);
    let mut first = fixture.connect();
    fixture.until(|echo| echo.clients.len() == 1);
    let mut second = fixture.connect();
    second.write_all(b"PING\r\n").unwrap();
    assert_eq!(fixture.read(&mut second, 100), b"-ERR max number of clients reached\r\n");
    first.write_all(b"ping").unwrap();
    assert_eq!(fixture.read(&mut first, 4), b"ping");
    assert_eq!((fixture.echo.stats.accepted, fixture.echo.stats.rejected), (2, 1));
}

#[test]
fn a_crowd_is_accepted_in_portions() {
    let mut fixture = Fixture::new();
    let mut crowd: Vec<TcpStream> = (0..150).map(|_| fixture.connect()).collect();
    fixture.turn();
    assert_eq!(fixture.echo.clients.len(), 64);
    fixture.turn();
    fixture.turn();
    assert_eq!(fixture.echo.clients.len(), 150, "no new edge is needed");
    for client in &mut crowd {
        client.write_all(b"hello").unwrap();
    }
    for client in &mut crowd {
        assert_eq!(fixture.read(client, 5), b"hello");
    }
}

#[test]
fn a_storm_of_resets_leaves_nothing_behind() {
    let mut fixture = Fixture::new();
    for round in 1..=10 {
        for _ in 0..50 {
            let mut client = fixture.connect();
            client.write_all(b"half a request").unwrap();
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        }
        fixture.until(|echo| echo.disconnects.len() == round * 50);
    }
    fixture.turn();
    assert!(fixture.echo.clients.is_empty() && fixture.event_loop.lingering.is_empty());
    assert_eq!((fixture.echo.stats.accepted, fixture.echo.stats.disconnected), (500, 500));
    assert!(fixture.echo.warnings.is_empty());
}

#[test]
fn accepted_sockets_inherit_the_options_of_their_listener() {
    let mut fixture = Fixture::new();
    let _client = fixture.connect();
    fixture.until(|echo| echo.clients.len() == 1);
    let connection = fixture.event_loop.table.get_mut(Token(0)).unwrap();
    let connection::Stream::Tcp(stream) = &connection.stream else { panic!("a TCP client") };
    let socket = SockRef::from(stream);
    let second = Duration::from_secs(1);
    assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), 300 * second);
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), 100 * second);
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(600 * second));
}

#[test]
fn a_peer_is_named_as_client_list_shows_it() {
    let path = scratch_path("peer");
    let config =
        ListenConfig { unix_socket: Some(path.clone()), unix_permissions: 0o700, ..localhost(0) };
    let mut fixture = Fixture::listening(config);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);

    let tcp = fixture.connect();
    let mut unix = UnixStream::connect(&path).unwrap();
    unix.set_nonblocking(true).unwrap();
    unix.write_all(b"through the file").unwrap();
    assert_eq!(fixture.read(&mut unix, 16), b"through the file");
    fixture.until(|echo| echo.peers.len() == 2);
    fixture.echo.peers.sort_by_key(|peer| peer.is_unix);
    let [first, second] = &fixture.echo.peers[..] else { panic!("two clients") };
    assert_eq!(first.address, tcp.local_addr().unwrap().to_string());
    assert_eq!(first.local_address, fixture.address().to_string());
    assert!(first.is_loopback && !first.is_unix);
    assert_eq!(second.address, format!("{}:0", path.display()));
    assert!(second.is_loopback && second.is_unix);

    drop(fixture);
    assert!(!path.exists(), "removed when nobody listens any more");
}

#[test]
fn a_stale_unix_socket_is_replaced_and_a_file_is_not() {
    let path = scratch_path("stale");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let config = ListenConfig { unix_socket: Some(path.clone()), ..ListenConfig::default() };
    drop(Fixture::listening(config.clone()));
    std::fs::write(&path, "precious").unwrap();
    let error = EventLoop::new(&config).err().unwrap().to_string();
    assert_eq!(error, "Failed opening Unix socket: bind: Address already in use");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_taken_address_is_reported_in_the_words_of_redis() {
    let fixture = Fixture::new();
    let port = fixture.address().port();
    let error = EventLoop::new(&localhost(port)).err().unwrap().to_string();
    let expected = format!(
        "Could not create server TCP listening socket 127.0.0.1:{port}: bind: Address already in use"
    );
    assert_eq!(error, expected);
    let nowhere = ListenConfig { port: None, ..localhost(0) };
    assert!(matches!(EventLoop::new(&nowhere), Err(ListenError::Nowhere)));
}

#[test]
fn an_optional_address_may_be_missing() {
    // 192.0.2.0/24 is kept for examples: no machine has it.
    let bind = |names: &[&str]| ListenConfig {
        bind: names.iter().map(ToString::to_string).collect(),
        ..localhost(0)
    };
    let mut fixture = Fixture::listening(bind(&["127.0.0.1", "-192.0.2.1"]));
    fixture.turn();
    let warning = "Warning: Could not create server TCP listening socket 192.0.2.1:0: bind: Cannot assign requested address";
    assert_eq!(fixture.echo.warnings, [warning]);
    assert!(EventLoop::new(&bind(&["127.0.0.1", "192.0.2.1"])).is_err());
    let two = Fixture::listening(bind(&["*", "-::*"]));
    assert!(two.address().ip().is_unspecified());
}

#[test]
fn listening_elsewhere_keeps_clients_and_an_error_keeps_everything() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    fixture.until(|echo| echo.clients.len() == 1);
    let (old, taken) = (fixture.address(), Fixture::new());

    fixture.echo.actions.listen = Some(localhost(taken.address().port()));
    fixture.until(|echo| !echo.listen_results.is_empty());
    assert!(
        fixture
            .echo
            .listen_results
            .pop()
            .unwrap()
            .unwrap_err()
            .ends_with("bind: Address already in use")
    );
    assert_eq!(fixture.address(), old);

    let free = taken.address().port();
    drop(taken);
    fixture.echo.actions.listen = Some(localhost(free));
    fixture.until(|echo| echo.listen_results.pop() == Some(Ok(())));
    assert_eq!(fixture.address().port(), free);
    assert_eq!(TcpStream::connect(old).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);

    // All addresses exclude the one we hold ourselves: the old listener has to go first.
    fixture.echo.actions.listen =
        Some(ListenConfig { bind: vec!["*".to_owned()], ..localhost(free) });
    fixture.until(|echo| echo.listen_results.pop() == Some(Ok(())));
    assert!(fixture.address().ip().is_unspecified());
    client.write_all(b"still here").unwrap();
    assert_eq!(fixture.read(&mut client, 10), b"still here");
}

#[test]
fn a_new_keepalive_reaches_the_next_client() {
    let mut fixture = Fixture::new();
    fixture.echo.actions.listen =
        Some(ListenConfig { tcp_keepalive_s: 0, ..fixture.config.clone() });
    let address = fixture.address();
    fixture.until(|echo| echo.listen_results.pop() == Some(Ok(())));
    assert_eq!(fixture.address(), address, "the same listener lives on");
    let _client = fixture.connect();
    fixture.until(|echo| echo.clients.len() == 1);
    let connection = fixture.event_loop.table.get_mut(Token(0)).unwrap();
    let connection::Stream::Tcp(stream) = &connection.stream else { panic!("a TCP client") };
    assert!(!SockRef::from(stream).keepalive().unwrap());
}

#[test]
fn nobody_gets_in_while_draining_and_the_exit_waits_for_the_last_words() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    fixture.until(|echo| echo.clients.len() == 1);
    let address = fixture.address();
    fixture.echo.actions.stop_accepting = true;
    fixture.turn();
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);

    client.write_all(b"bye\n").unwrap();
    fixture.until(|echo| echo.received_bytes == 4);
    fixture.echo.actions.exit = Some(7);
    assert_eq!(fixture.event_loop.run(&mut fixture.echo).unwrap(), 7);
    drop(fixture);
    client.set_nonblocking(false).unwrap();
    let mut last_words = String::new();
    client.read_to_string(&mut last_words).unwrap();
    assert_eq!(last_words, "-ERR bye\r\n");
}

#[test]
fn signals_are_events() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
    let mut fixture = Fixture::new();
    for number in [SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ] {
        signal_hook::low_level::raise(number).unwrap();
    }
    fixture.until(|echo| echo.signals.len() >= 4);
    for signal in [Signal::Hangup, Signal::Interrupt, Signal::Terminate, Signal::User1] {
        assert!(fixture.echo.signals.contains(&signal));
    }
}

/// Runs in a process of its own, because the limit holds for all threads.
#[test]
fn running_out_of_file_descriptors_is_survived_without_spinning() {
    const IN_CHILD: &str = "NET_TEST_FEW_FILES";
    if std::env::var_os(IN_CHILD).is_none() {
        let name = "net::tests::running_out_of_file_descriptors_is_survived_without_spinning";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", name]).env(IN_CHILD, "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let mut fixture = Fixture::new();
    let crowd: Vec<TcpStream> = (0..20).map(|_| fixture.connect()).collect();
    let highest = crowd.iter().map(std::os::fd::AsRawFd::as_raw_fd).max().unwrap();
    let limit = Rlimit { current: Some(highest as u64 + 6), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();

    let (start, mut turns) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(300) {
        fixture.turn();
        turns += 1;
    }
    let accepted = fixture.echo.clients.len();
    assert!((1..=6).contains(&accepted), "{accepted} accepted");
    assert!(turns < 100, "{turns} turns: the loop spins"); // the test's own timer makes 60
    assert_eq!(fixture.echo.warnings, ["Accepting client connection: accept: Too many open files"]);

    // Every client that leaves makes room for one that waits, without any new edge at the listener.
    for mut client in crowd {
        client.write_all(b"hello").unwrap();
        assert_eq!(fixture.read(&mut client, 5), b"hello");
    }
    fixture.until(|echo| echo.disconnects.len() == 20);
}
