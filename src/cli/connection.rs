//! One blocking connection: requests out, replies in, Ctrl-C noticed while waiting. Which commands to send, and what to do when
//! it breaks, is left to `session`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::address::Address;
use super::failure::Failure;
use super::interrupt::{Interrupt, LOOK_EVERY};
use crate::resp::{ReplyReader, Value, write_request};

/// Bytes asked for by one read.
const READ_LEN: usize = 64 * 1024;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection to a server, and the part of its replies that was received but not yet read.
pub struct Connection {
    stream: Stream,
    reader: ReplyReader,
    received: Vec<u8>,
    /// Where the unread part of `received` begins.
    at: usize,
    interrupt: Interrupt,
}

impl Connection {
    /// Connects; tries all addresses of a host name in turn, each for so long.
    pub fn open(
        address: &Address,
        timeout: Option<Duration>,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let stream = match address {
            Address::Tcp(host, port) => connect_tcp(host, *port, timeout).map(Stream::Tcp),
            Address::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
        };
        let connection = stream.and_then(|stream| {
            stream.set_timeouts(LOOK_EVERY)?;
            Ok(Self {
                stream,
                reader: ReplyReader::default(),
                received: Vec::new(),
                at: 0,
                interrupt: interrupt.clone(),
            })
        });
        connection.map_err(|cause| Failure::NoConnection { to: address.to_string(), cause })
    }

    /// Sends one request.
    pub fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<(), Failure> {
        let mut request = Vec::new();
        write_request(&mut request, words.iter().map(AsRef::as_ref));
        self.send_bytes(&request)
    }

    /// Sends bytes as they are. Ctrl-C ends the wait for a server that does not read them.
    pub fn send_bytes(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(len) => bytes = &bytes[len..],
                Err(error) if is_only_late(&error) => self.check_interrupt()?,
                Err(error) => return Err(Failure::ConnectionLost(error)),
            }
        }
        Ok(())
    }

    /// Waits for the next reply or push. After an error the connection is of no use.
    pub fn receive(&mut self) -> Result<Value, Failure> {
        loop {
            if let Some(value) = self.receive_for_a_moment()? {
                return Ok(value);
            }
            if self.interrupt.is_set() {
                return Err(Failure::Interrupted);
            }
        }
    }

    /// As `receive`, but gives up with `None` when nothing has come for a tenth of a second.
    pub fn receive_for_a_moment(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            if let Some(value) = self.already_received()? {
                return Ok(Some(value));
            }
            // A server that sends drop by drop must not keep Ctrl-C out.
            if !self.read_some()? || self.interrupt.is_set() {
                return Ok(None);
            }
        }
    }

    /// The next reply or push, if all of it has been read from the socket.
    pub fn already_received(&mut self) -> Result<Option<Value>, Failure> {
        let found = self.reader.read(&self.received[self.at..]).map_err(Failure::Protocol)?;
        Ok(found.map(|(value, len)| {
            self.at += len;
            value
        }))
    }

    /// What has been read from the socket and is no reply yet: bytes that are none are read here and then skipped.
    pub fn unread(&self) -> &[u8] {
        &self.received[self.at..]
    }

    /// Drops the first `len` bytes of `unread`.
    pub fn skip(&mut self, len: usize) {
        self.at += len;
    }

    /// Reads from the socket once. False if nothing came for a tenth of a second.
    pub fn read_some(&mut self) -> Result<bool, Failure> {
        match self.fill() {
            Ok(0) => Err(Failure::ConnectionLost(closed_by_server())),
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(true),
            Err(e) if is_only_late(&e) => Ok(false),
            Err(e) => Err(Failure::ConnectionLost(e)),
        }
    }

    /// Sends a request and waits for its reply; pushes before it are dropped.
    pub fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<Value, Failure> {
        self.send(words)?;
        loop {
            match self.receive()? {
                Value::Push(_) => {}
                value => return Ok(value),
            }
        }
    }

    /// Sends all requests at once and waits for their replies.
    pub fn ask_all(&mut self, requests: &[Vec<&[u8]>]) -> Result<Vec<Value>, Failure> {
        let mut bytes = Vec::new();
        for request in requests {
            write_request(&mut bytes, request.iter().copied());
        }
        self.send_bytes(&bytes)?;
        let mut replies = Vec::new();
        while replies.len() < requests.len() {
            match self.receive()? {
                Value::Push(_) => {}
                value => replies.push(value),
            }
        }
        Ok(replies)
    }

    /// `Interrupted` after Ctrl-C.
    pub fn check_interrupt(&self) -> Result<(), Failure> {
        if self.interrupt.is_set() { Err(Failure::Interrupted) } else { Ok(()) }
    }

    /// As `ask`, for a command whose error the client cannot go on after.
    pub fn demand<W: AsRef<[u8]>>(
        &mut self,
        command: &'static str,
        words: &[W],
    ) -> Result<Value, Failure> {
        let value = self.ask(words)?;
        match value.as_error() {
            None => Ok(value),
            Some(error) => Err(Failure::Refused {
                command,
                error: String::from_utf8_lossy(error).into_owned(),
            }),
        }
    }

    /// The address by which the server knows this connection, unless something between the two changes it.
    pub fn own_address(&self) -> Option<String> {
        match &self.stream {
            Stream::Tcp(stream) => stream.local_addr().ok().map(|address| address.to_string()),
            Stream::Unix(_) => None,
        }
    }

    /// A second handle of the socket, for a thread that only writes.
    pub fn writer(&self) -> io::Result<Box<dyn Write + Send>> {
        let stream = match &self.stream {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone()?),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone()?),
        };
        Ok(Box::new(PatientWriter(stream)))
    }

    /// Reads once, behind what is still unread.
    fn fill(&mut self) -> io::Result<usize> {
        self.received.drain(..self.at);
        self.at = 0;
        let len = self.received.len();
        self.received.resize(len + READ_LEN, 0);
        let result = self.stream.read(&mut self.received[len..]);
        self.received.truncate(len + *result.as_ref().unwrap_or(&0));
        result
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Stream {
    fn set_timeouts(&self, timeout: Duration) -> io::Result<()> {
        let timeout = Some(timeout);
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(timeout).and_then(|()| stream.set_write_timeout(timeout))
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(timeout).and_then(|()| stream.set_write_timeout(timeout))
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }
}

/// Waits as long as it takes: the timeouts belong to the socket, not to the handle.
struct PatientWriter(Stream);

impl Write for PatientWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if is_only_late(&error) => {}
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether it is no more than a timeout or a signal.
fn is_only_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn connect_tcp(host: &str, port: u16, timeout: Option<Duration>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        let connected = match timeout {
            Some(timeout) => TcpStream::connect_timeout(&address, timeout),
            None => TcpStream::connect(address),
        };
        match connected {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn closed_by_server() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "Server closed the connection")
}
