//! One server's side of a case: sends a stream over a kept connection and collects an answer for every step.
//!
//! Consecutive commands go out in one write and their replies are read afterwards, which makes a case of fifty commands
//! cost two round trips. What two answers are compared by is in [`crate::allowed`].

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::peer::Peer;
use crate::reply::Reply;
use crate::step::{Arg, ReplyMode, Step};

/// The longest a reply may take; far above any command of the test on a busy machine.
const REPLY_DEADLINE: Duration = Duration::from_secs(5);
/// The calls after which a full `SCAN` counts as endless; the keyspaces of the test hold a few dozen keys.
const SCAN_CALLS_MAX: usize = 1000;

/// What one server did in answer to one step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It replied.
    Reply(Reply),
    /// No reply was due (`CLIENT REPLY`, empty requests).
    Silent,
    /// It replied and closed the connection, as the step asks for.
    Closed(Reply),
    /// It did not keep to the protocol: closed, hung, or sent something that is no reply. The stream ends here.
    Lost(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(reply) => write!(f, "{reply}"),
            Self::Silent => f.write_str("(no reply)"),
            Self::Closed(reply) => write!(f, "{reply} (and closed)"),
            Self::Lost(why) => write!(f, "(lost: {why})"),
        }
    }
}

/// A client connection with deadlines.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Takes over a connected socket.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_DEADLINE))?;
        stream.set_write_timeout(Some(REPLY_DEADLINE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends one step and reads its reply.
    pub fn request(&mut self, step: &Step) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        step.encode(&mut bytes);
        self.send(&bytes)?;
        self.read()
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    fn read(&mut self) -> io::Result<Reply> {
        Reply::read(&mut self.stream)
    }

    fn expect_end(&mut self) -> io::Result<()> {
        match self.stream.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(io::Error::other("bytes after the last reply")),
        }
    }

    /// `SCAN` until the cursor is back at 0: the sorted set of keys, or the first error.
    fn full_scan(&mut self, options: &[Arg]) -> io::Result<Reply> {
        let mut cursor = b"0".to_vec();
        let mut keys = Vec::new();
        for _ in 0..SCAN_CALLS_MAX {
            let mut args = vec![b"SCAN".to_vec(), cursor];
            args.extend_from_slice(options);
            let reply = self.request(&Step::Command(args))?;
            let [next, page] = reply.items() else { return Ok(reply) };
            keys.extend_from_slice(page.items());
            cursor = next.text().unwrap_or_default().to_vec();
            if cursor == b"0" {
                keys.sort();
                keys.dedup();
                return Ok(Reply::Aggregate { kind: b'~', items: keys });
            }
        }
        Err(io::Error::other("SCAN does not come back to cursor 0"))
    }

    /// `RANDOMKEY`, then whether that key exists; in an empty database the first reply.
    fn random_key(&mut self) -> io::Result<Reply> {
        let reply = self.request(&Step::command(&["RANDOMKEY"]))?;
        match reply.text() {
            Some(key) if !reply.is_error() => {
                self.request(&Step::Command(vec![b"EXISTS".to_vec(), key.to_vec()]))
            }
            _ => Ok(reply),
        }
    }
}

/// A server and the connection kept to it from case to case.
pub struct Session {
    /// The server.
    pub peer: Peer,
    connection: Option<Connection>,
    mode: ReplyMode,
}

impl Session {
    /// Connects on first use.
    pub fn new(peer: Peer) -> Self {
        Self { peer, connection: None, mode: ReplyMode::default() }
    }

    /// Runs a stream: one answer per step, fewer when an answer is [`Answer::Lost`].
    pub fn play(&mut self, steps: &[Step]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(steps.len());
        if let Err(error) = self.play_into(steps, &mut answers) {
            self.connection = None;
            let why = match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    self.peer.end();
                    format!("no reply within {REPLY_DEADLINE:?}")
                }
                _ => format!("{error}{}", self.peer.last_words()),
            };
            answers.push(Answer::Lost(why));
        }
        answers
    }

    fn play_into(&mut self, steps: &[Step], answers: &mut Vec<Answer>) -> io::Result<()> {
        let mut rest = steps;
        while !rest.is_empty() {
            let pipelined =
                rest.iter().position(|step| !step.can_be_pipelined()).unwrap_or(rest.len());
            self.pipeline(&rest[..pipelined], answers)?;
            rest = &rest[pipelined..];
            if let Some((step, after)) = rest.split_first() {
                answers.push(self.alone(step)?);
                rest = after;
            }
        }
        Ok(())
    }

    fn pipeline(&mut self, steps: &[Step], answers: &mut Vec<Answer>) -> io::Result<()> {
        let mut mode = self.mode;
        let mut bytes = Vec::new();
        steps.iter().for_each(|step| step.encode(&mut bytes));
        let connection = self.connection()?;
        connection.send(&bytes)?;
        for step in steps {
            answers.push(match mode.expects_reply(step) {
                true => Answer::Reply(connection.read()?),
                false => Answer::Silent,
            });
        }
        self.mode = mode;
        Ok(())
    }

    /// A step that needs the connection for itself. While `CLIENT REPLY` is off it is left out: a scan could not be
    /// followed, and Redis leaves a connection open when the reply it should close after is suppressed.
    fn alone(&mut self, step: &Step) -> io::Result<Answer> {
        if self.mode.is_silent() {
            return Ok(Answer::Silent);
        }
        let connection = self.connection()?;
        match step {
            Step::FullScan(options) => connection.full_scan(options).map(Answer::Reply),
            Step::RandomKey => connection.random_key().map(Answer::Reply),
            Step::Command(_) | Step::Raw(_) => {
                let reply = connection.request(step)?;
                connection.expect_end()?;
                self.connection = None;
                Ok(Answer::Closed(reply))
            }
        }
    }

    fn connection(&mut self) -> io::Result<&mut Connection> {
        if self.connection.is_none() {
            self.mode = ReplyMode::default();
            self.connection = Some(Connection::new(self.peer.connect()?)?);
        }
        Ok(self.connection.as_mut().expect("just connected"))
    }
}
