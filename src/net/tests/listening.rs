//! Listening, accepting, rejecting, and running out of file descriptors.

use super::*;

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
fn accepted_sockets_inherit_the_options_of_their_listener() {
    let mut fixture = Fixture::new();
    let _client = fixture.connect();
    fixture.until(|echo| echo.clients.len() == 1);
    let connection = fixture.event_loop.table.get_mut(Token(0)).unwrap();
    let Stream::Tcp(stream) = &connection.stream else { panic!("a TCP client") };
    let socket = SockRef::from(stream);
    let second = Duration::from_secs(1);
    assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), 300 * second);
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), 100 * second);
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(600 * second));
}

#[test]
fn small_packets_of_a_connection_can_be_gathered() {
    let mut fixture = Fixture::new();
    let _client = fixture.connect();
    fixture.until(|echo| echo.clients.len() == 1);
    fixture.echo.actions.gather_packets.push(Token(0));
    fixture.turn();
    let connection = fixture.event_loop.table.get_mut(Token(0)).unwrap();
    let Stream::Tcp(stream) = &connection.stream else { panic!("a TCP client") };
    assert!(!stream.nodelay().unwrap());
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
    let Stream::Tcp(stream) = &connection.stream else { panic!("a TCP client") };
    assert!(!SockRef::from(stream).keepalive().unwrap());
}

/// Runs in a process of its own, because the limit holds for all threads.
#[test]
fn running_out_of_file_descriptors_is_survived_without_spinning() {
    const IN_CHILD: &str = "NET_TEST_FEW_FILES";
    if std::env::var_os(IN_CHILD).is_none() {
        let name =
            "net::tests::listening::running_out_of_file_descriptors_is_survived_without_spinning";
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
