//! Outgoing connections. The kernel is asked to connect and says with the first event of the socket what came of it; until
//! then the connection is in the table like any other, in a phase of its own, and nothing is read or written.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use mio::net::TcpStream;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::bind::set_client_options;
use super::connection::{Phase, Stream};
use super::event_loop::EventLoop;
use super::listener::endpoint;
use super::service::{Disconnect, Peer, Service, Token};

/// Seconds of silence before the other end is probed, as with Redis's links.
const KEEPALIVE_S: u32 = 300;

/// A connection the service wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connect {
    /// What the connection shall be called: free now, taken from now on.
    pub token: Token,
    /// Where to.
    pub address: SocketAddr,
    /// Which of this machine's addresses it shall come from, if that matters.
    pub source: Option<IpAddr>,
}

impl EventLoop {
    /// Begins to connect. What cannot even begin is told as any lost connection.
    pub(super) fn connect(&mut self, connect: &Connect, service: &mut impl Service) {
        let begun = open(connect).and_then(|stream| {
            self.table.insert(self.poll.registry(), connect.token, Stream::Tcp(stream))
        });
        match begun {
            Ok(()) => self.table.expect_connection(connect.token),
            Err(error) => {
                service.disconnected(connect.token, Disconnect::Failed(error));
                self.timer_due_us = Some(0); // what the service does about it may need an `end_turn`
            }
        }
    }

    /// Looks at the connections about which the kernel has said something.
    pub(super) fn finish_connecting(&mut self, service: &mut impl Service) {
        for token in std::mem::take(&mut self.table.decided) {
            let Some(connection) = self.table.get_mut(token) else { continue };
            if !matches!(connection.phase, Phase::Connecting) {
                continue;
            }
            match outcome(&connection.stream) {
                Ok(Some(peer)) => {
                    connection.phase = Phase::Open;
                    service.established(token, peer);
                    // Edges that came with this one are not repeated.
                    self.table.want_read(token);
                    self.table.want_write(token);
                }
                Ok(None) => {}
                Err(error) => self.table.doom(token, Disconnect::Failed(error), false),
            }
        }
    }
}

fn open(connect: &Connect) -> io::Result<TcpStream> {
    let domain = Domain::for_address(connect.address);
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    set_client_options(&SockRef::from(&socket), KEEPALIVE_S)?;
    if let Some(source) = connect.source {
        socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
    }
    match socket.connect(&SockAddr::from(connect.address)) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => {}
        result => result?,
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// The two ends of a connection that was made; `None` while nobody knows.
fn outcome(stream: &Stream) -> io::Result<Option<Peer>> {
    if let Some(error) = stream.take_error() {
        return Err(error);
    }
    let Stream::Tcp(stream) = stream else { return Ok(None) };
    let address = match stream.peer_addr() {
        Ok(address) => address,
        Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(Peer {
        address: endpoint(address),
        local_address: stream.local_addr().map(endpoint).unwrap_or_default(),
        fd: stream.as_raw_fd(),
        is_unix: false,
        is_loopback: address.ip().to_canonical().is_loopback(),
    }))
}
