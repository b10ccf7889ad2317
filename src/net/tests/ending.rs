//! Every way a connection can end, and that nobody loses a reply or is forgotten twice.

use super::*;

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
