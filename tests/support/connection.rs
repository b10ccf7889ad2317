//! A raw connection: bytes out, bytes in, every wait with a deadline. It knows just enough RESP to find a reply's end.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::DEADLINE;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A client connection to the server under test.
pub struct Raw {
    stream: Stream,
    received: Vec<u8>,
}

impl Raw {
    /// Connects over TCP, `TCP_NODELAY` set.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("the server accepts");
        Raw::over_tcp(stream)
    }

    /// Wraps a TCP stream that is connected already.
    pub fn over_tcp(stream: TcpStream) -> Raw {
        stream.set_nodelay(true).expect("nodelay can be set");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout can be set");
        Raw { stream: Stream::Tcp(stream), received: Vec::new() }
    }

    /// Connects to a unix socket.
    #[track_caller]
    pub fn connect_unix(path: &Path) -> Raw {
        let stream = UnixStream::connect(path).expect("the server accepts on its unix socket");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout can be set");
        Raw { stream: Stream::Unix(stream), received: Vec::new() }
    }

    /// The local address of a TCP connection, as `CLIENT LIST` shows it in `addr=`.
    pub fn local_address(&self) -> SocketAddr {
        match &self.stream {
            Stream::Tcp(stream) => stream.local_addr().expect("a connected socket has an address"),
            Stream::Unix(_) => panic!("a unix socket has no TCP address"),
        }
    }

    /// A second handle of the same TCP connection, for a thread that only reads or only writes.
    pub fn second_handle(&self) -> TcpStream {
        match &self.stream {
            Stream::Tcp(stream) => stream.try_clone().expect("a descriptor is free"),
            Stream::Unix(_) => panic!("only TCP connections are split"),
        }
    }

    /// Sends all of `bytes`.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the server takes the bytes");
    }

    /// Sends all of `bytes`, for a peer that may hang up in the middle.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Ends our sending side; replies can still be read.
    pub fn finish_sending(&self) {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(std::net::Shutdown::Write),
        }
        .expect("the connection is open");
    }

    /// As `finish_sending`, for a peer that may have hung up.
    pub fn finish_sending_quietly(&self) {
        // Not connected any more is what the caller reckons with.
        let _ = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(std::net::Shutdown::Write),
        };
    }

    /// Bounds how long one `send` may block.
    pub fn set_write_timeout(&self, limit: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_write_timeout(Some(limit)),
            Stream::Unix(stream) => stream.set_write_timeout(Some(limit)),
        }
        .expect("a timeout can be set");
    }

    /// Sends one command as a RESP array.
    #[track_caller]
    pub fn send_command(&mut self, args: &[&[u8]]) {
        self.send(encode(args));
    }

    /// Sends one command and returns its reply.
    #[track_caller]
    pub fn command(&mut self, args: &[&[u8]]) -> Reply {
        self.send_command(args);
        self.reply()
    }

    /// As typed at a prompt: the words of `line` are the arguments.
    #[track_caller]
    pub fn run(&mut self, line: &str) -> Reply {
        let args: Vec<&[u8]> = line.split_ascii_whitespace().map(str::as_bytes).collect();
        self.command(&args)
    }

    /// The next reply, whole.
    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(len) = reply_len(&self.received) {
                return Reply(self.received.drain(..len).collect());
            }
            match self.receive(deadline) {
                Received::Bytes => {}
                other => {
                    panic!("{other:?} instead of a reply, after {:?}", escaped(&self.received))
                }
            }
        }
    }

    /// The next reply, if it comes within so many milliseconds. None: the server is silent, or has hung up.
    pub fn reply_within_ms(&mut self, limit_ms: u64) -> Option<Reply> {
        let deadline = Instant::now() + Duration::from_millis(limit_ms);
        loop {
            if let Some(len) = reply_len(&self.received) {
                return Some(Reply(self.received.drain(..len).collect()));
            }
            let Received::Bytes = self.receive(deadline) else { return None };
        }
    }

    /// The next bytes are exactly `expected`.
    #[track_caller]
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let deadline = Instant::now() + DEADLINE;
        while self.received.len() < expected.len() && expected.starts_with(&self.received) {
            match self.receive(deadline) {
                Received::Bytes => {}
                other => panic!(
                    "{other:?} after {:?}, expected {:?}",
                    escaped(&self.received),
                    escaped(expected)
                ),
            }
        }
        let len = expected.len().min(self.received.len());
        let found: Vec<u8> = self.received.drain(..len).collect();
        assert_eq!(escaped(&found), escaped(expected));
    }

    /// The server ends the connection without another byte.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        let rest = self.read_until_closed();
        assert!(rest.is_empty(), "closed as expected, but first came {:?}", escaped(&rest));
    }

    /// The server ends the connection; what it said before is returned.
    #[track_caller]
    pub fn read_until_closed(&mut self) -> Vec<u8> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.receive(deadline) {
                Received::Bytes => {}
                Received::Closed => return std::mem::take(&mut self.received),
                Received::Nothing => panic!("still open after {:?}", escaped(&self.received)),
            }
        }
    }

    /// Nothing has arrived, and the connection is open. Says nothing about what is still to come: first make the
    /// server show by other means that it has seen the request.
    #[track_caller]
    pub fn expect_silence(&mut self) {
        let seen = self.receive(Instant::now() + Duration::from_millis(1));
        assert!(
            matches!(seen, Received::Nothing) && self.received.is_empty(),
            "{seen:?} instead of silence: {:?}",
            escaped(&self.received)
        );
    }

    /// Whether the server has closed this connection, unread replies aside.
    pub fn is_closed(&mut self) -> bool {
        loop {
            match self.receive(Instant::now() + Duration::from_millis(1)) {
                Received::Bytes => self.received.clear(),
                Received::Closed => return true,
                Received::Nothing => return false,
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> Received {
        let mut chunk = [0; 64 * 1024];
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let result = match &mut self.stream {
            Stream::Tcp(stream) => {
                stream.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut chunk))
            }
            Stream::Unix(stream) => {
                stream.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut chunk))
            }
        };
        match result {
            Ok(0) => Received::Closed,
            Ok(len) => {
                self.received.extend_from_slice(&chunk[..len]);
                Received::Bytes
            }
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                Received::Closed
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Received::Nothing
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => self.receive(deadline),
            Err(e) => panic!("unexpected error on a test connection: {e}"),
        }
    }
}

#[derive(Debug)]
enum Received {
    Bytes,
    Closed,
    Nothing,
}

/// One whole reply, as it came over the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply(pub Vec<u8>);

impl Reply {
    /// Compares with `expected`, in which each `\r\n` but the last is written out.
    #[track_caller]
    pub fn is(&self, expected: &str) {
        assert_eq!(self.wire(), expected);
    }

    /// The reply on the wire begins so.
    #[track_caller]
    pub fn starts(&self, expected: &str) {
        let wire = self.wire();
        assert!(wire.starts_with(expected), "{wire:?} does not begin with {expected:?}");
    }

    /// The reply on the wire without its last line end, unprintable bytes escaped.
    pub fn wire(&self) -> String {
        escaped_but_crlf(self.0.strip_suffix(b"\r\n").unwrap_or(&self.0))
    }

    /// The payload of a bulk, verbatim, status, error or integer reply.
    #[track_caller]
    pub fn text(&self) -> String {
        let mut leaves = self.leaves();
        assert_eq!(leaves.len(), 1, "one value expected in {:?}", escaped(&self.0));
        leaves.remove(0)
    }

    /// The payload as a number.
    #[track_caller]
    pub fn number(&self) -> i64 {
        let text = self.text();
        text.parse().unwrap_or_else(|_| panic!("{text:?} should be a number"))
    }

    /// Whether the reply is an error.
    pub fn is_error(&self) -> bool {
        self.0.starts_with(b"-") || self.0.starts_with(b"!")
    }

    /// All values inside, nesting removed; nulls are empty.
    pub fn leaves(&self) -> Vec<String> {
        let mut leaves = Vec::new();
        let mut rest = &self.0[..];
        while let Some((line, after)) = split_line(rest) {
            rest = after;
            let text = String::from_utf8_lossy(&line[1..]).into_owned();
            match line[0] {
                b'*' | b'~' | b'>' | b'%' | b'|' => {}
                b'$' | b'=' | b'!' => match text.parse::<usize>() {
                    Ok(len) => {
                        leaves.push(String::from_utf8_lossy(&rest[..len]).into_owned());
                        rest = &rest[len + 2..];
                    }
                    Err(_) => leaves.push(String::new()),
                },
                _ => leaves.push(text),
            }
        }
        leaves
    }
}

/// A command as a RESP array of bulk strings.
pub fn encode(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// `encode` of the words of `line`.
pub fn encode_line(line: &str) -> Vec<u8> {
    encode(&line.split_ascii_whitespace().map(str::as_bytes).collect::<Vec<_>>())
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

/// Length of the first RESP2 or RESP3 reply in `bytes`, if it is complete. Panics on what is no reply.
pub fn reply_len(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let mut values_missing = 1;
    while values_missing > 0 {
        let (line, after) = split_line(rest)?;
        rest = after;
        let (kind, digits) = line.split_first().expect("a reply line is not empty");
        let count = || {
            let text = std::str::from_utf8(digits).expect("a length is text");
            text.parse::<i64>().unwrap_or_else(|_| panic!("bad length in reply: {text:?}"))
        };
        values_missing -= 1;
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
            b'$' | b'=' | b'!' => {
                if let Ok(len) = usize::try_from(count()) {
                    rest = rest.get(len + 2..)?;
                }
            }
            b'*' | b'~' | b'>' => values_missing += count().max(0),
            b'%' => values_missing += 2 * count(),
            b'|' => values_missing += 2 * count() + 1,
            _ => panic!("not a reply: {:?}", escaped(bytes)),
        }
    }
    Some(bytes.len() - rest.len())
}

/// `bytes` for a message: unprintable ones escaped, long ones cut.
pub fn escaped(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(400)];
    let cut = if shown.len() < bytes.len() {
        format!("... {} bytes", bytes.len())
    } else {
        String::new()
    };
    format!("{}{cut}", shown.escape_ascii())
}

fn escaped_but_crlf(bytes: &[u8]) -> String {
    bytes
        .escape_ascii()
        .to_string()
        .replace("\\'", "'")
        .replace("\\\"", "\"")
        .replace("\\r\\n", "\r\n")
}
