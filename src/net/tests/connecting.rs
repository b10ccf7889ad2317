//! Connections that this side begins, and pauses in reading.

use std::net::TcpListener;

use super::*;

impl Fixture {
    /// Asks for a connection, and returns what it is called.
    fn connect_to(&mut self, address: SocketAddr) -> Token {
        let token = Token(self.echo.clients.insert(Pieces::default()) as u32);
        self.echo.actions.connect.push(Connect { token, address, source: None });
        token
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn a_connection_that_was_asked_for_carries_bytes_both_ways() {
    let mut fixture = Fixture::new();
    let (listener, address) = listener();
    let token = fixture.connect_to(address);
    fixture.echo.output(token).unwrap().push(b"hello");
    fixture.until(|echo| !echo.established.is_empty());
    let (mut other, from) = listener.accept().unwrap();
    let (made, peer) = fixture.echo.established[0].clone();
    assert_eq!((made, peer.address), (token, address.to_string()));
    assert_eq!(peer.local_address, from.to_string());
    other.set_nonblocking(true).unwrap();
    assert_eq!(fixture.read(&mut other, 5), b"hello");
    other.write_all(b"back").unwrap();
    assert_eq!(fixture.read(&mut other, 4), b"back");
    drop(other);
    fixture.until(|echo| !echo.disconnects.is_empty());
    assert!(matches!(fixture.echo.disconnects[0], (gone, Disconnect::PeerClosed) if gone == token));
}

#[test]
fn a_refused_connection_is_a_lost_one() {
    let mut fixture = Fixture::new();
    let (listener, address) = listener();
    drop(listener);
    let token = fixture.connect_to(address);
    fixture.until(|echo| !echo.disconnects.is_empty());
    let (gone, why) = &fixture.echo.disconnects[0];
    assert_eq!(*gone, token);
    assert!(
        matches!(why, Disconnect::Failed(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    );
    assert!(fixture.echo.established.is_empty());
}

#[test]
fn an_attempt_can_be_given_up_and_its_token_used_again() {
    let mut fixture = Fixture::new();
    let (listener, address) = listener();
    // From the moment of the request, whatever the kernel has said by then.
    let token = fixture.connect_to(address);
    fixture.echo.actions.close.push((token, Close::AfterWrite));
    fixture.turn();
    fixture.echo.actions.close.push((token, Close::AfterWrite));
    fixture.until(|echo| !echo.disconnects.is_empty());
    let again = fixture.connect_to(address);
    assert_eq!(again, token);
    fixture.until(|echo| !echo.established.is_empty());
    drop(listener);
}

#[test]
fn an_address_that_is_not_ours_cannot_be_the_source() {
    let mut fixture = Fixture::new();
    let (_listener, address) = listener();
    let token = Token(fixture.echo.clients.insert(Pieces::default()) as u32);
    let source = Some("192.0.2.1".parse().unwrap());
    fixture.echo.actions.connect.push(Connect { token, address, source });
    fixture.until(|echo| !echo.disconnects.is_empty());
    let why = &fixture.echo.disconnects[0].1;
    assert!(
        matches!(why, Disconnect::Failed(error) if error.kind() == io::ErrorKind::AddrNotAvailable)
    );
}

#[test]
fn who_is_paused_is_not_read_and_loses_nothing() {
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    fixture.until(|echo| echo.clients.len() == 1);
    fixture.echo.actions.pause_reading.push(Token(0));
    fixture.turn();
    client.write_all(b"first").unwrap();
    for _ in 0..20 {
        fixture.turn();
    }
    assert_eq!(fixture.echo.received_bytes, 0);
    fixture.echo.actions.resume_reading.push(Token(0));
    assert_eq!(fixture.read(&mut client, 5), b"first");
    client.write_all(b"second").unwrap();
    assert_eq!(fixture.read(&mut client, 6), b"second");
}
