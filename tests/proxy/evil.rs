//! A node that does not behave: a thread that listens, reads requests and answers as the test wants it to. What a node is asked
//! when the proxy meets it, it answers as a plain server would.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::DEADLINE;

/// What becomes of a request.
#[derive(Clone)]
pub enum Act {
    /// It is answered with these bytes, right or wrong.
    Reply(Vec<u8>),
    /// It is answered with these bytes, and then the connection ends.
    ReplyAndClose(Vec<u8>),
}

impl Act {
    /// A reply, `\r\n` written out as in the protocol.
    pub fn reply(bytes: impl AsRef<[u8]>) -> Act {
        Act::Reply(bytes.as_ref().to_vec())
    }
}

type Behaviour = dyn Fn(&[Vec<u8>]) -> Act + Send + Sync;

/// The node. It ends with the test.
pub struct Evil {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    behaviour: Box<Behaviour>,
    requests: Mutex<Vec<Vec<Vec<u8>>>>,
    ending: AtomicBool,
}

impl Evil {
    /// Listens, and answers each request as `behaviour` says, its words given.
    pub fn start(behaviour: impl Fn(&[Vec<u8>]) -> Act + Send + Sync + 'static) -> Evil {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            behaviour: Box::new(behaviour),
            requests: Mutex::new(Vec::new()),
            ending: AtomicBool::new(false),
        });
        let for_thread = shared.clone();
        let thread = std::thread::spawn(move || accept(&listener, &for_thread));
        Evil { address, shared, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests with that name it has got.
    pub fn count(&self, name: &str) -> usize {
        let requests = self.shared.requests.lock().expect("no test thread panics with it");
        requests.iter().filter(|words| words[0].eq_ignore_ascii_case(name.as_bytes())).count()
    }
}

impl Drop for Evil {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes the thread
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ending.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = shared.clone();
        std::thread::spawn(move || serve(stream, &shared));
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 64 * 1024]);
    let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
    let _ = stream.set_write_timeout(Some(DEADLINE));
    while !shared.ending.load(Ordering::SeqCst) {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(len) => bytes.extend_from_slice(&chunk[..len]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        }
        while let Some((words, len)) = request(&bytes) {
            bytes.drain(..len);
            if !act(&mut stream, shared, &words) {
                return;
            }
        }
    }
}

/// Whether the connection goes on.
fn act(stream: &mut TcpStream, shared: &Shared, words: &[Vec<u8>]) -> bool {
    let act = match meeting(words) {
        Some(reply) => Act::Reply(reply),
        None => {
            shared.requests.lock().expect("no test thread panics with it").push(words.to_vec());
            (shared.behaviour)(words)
        }
    };
    match act {
        Act::Reply(bytes) => stream.write_all(&bytes).is_ok(),
        Act::ReplyAndClose(bytes) => {
            let _ = stream.write_all(&bytes);
            false
        }
    }
}

/// The reply to what a proxy says when it meets a node.
fn meeting(words: &[Vec<u8>]) -> Option<Vec<u8>> {
    let word = |index: usize| words.get(index).map(|word| word.to_ascii_lowercase());
    match word(0)?.as_slice() {
        b"ping" => Some(b"+PONG\r\n".to_vec()),
        b"auth" | b"select" | b"client" | b"readonly" => Some(b"+OK\r\n".to_vec()),
        b"hello" => Some(b"%1\r\n$5\r\nproto\r\n:3\r\n".to_vec()),
        b"info" => Some(b"$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n".to_vec()),
        _ => None,
    }
}

/// The first request in `bytes` and its length, if it is whole. The proxy sends arrays of bulk strings only.
fn request(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let mut at = 0;
    let mut number = || {
        let end = at + bytes[at..].windows(2).position(|pair| pair == b"\r\n")?;
        let number: usize = std::str::from_utf8(&bytes[at + 1..end]).ok()?.parse().ok()?;
        at = end + 2;
        Some((number, at))
    };
    let (count, mut next) = number()?;
    let mut words = Vec::new();
    for _ in 0..count {
        let line_end = next + bytes[next..].windows(2).position(|pair| pair == b"\r\n")?;
        let len: usize = std::str::from_utf8(&bytes[next + 1..line_end]).ok()?.parse().ok()?;
        let start = line_end + 2;
        words.push(bytes.get(start..start + len)?.to_vec());
        next = start + len + 2;
        bytes.get(next - 1)?;
    }
    Some((words, next))
}

/// The reply of a node that echoes: what `GET key` and any other command with a key get is the key.
pub fn echo(words: &[Vec<u8>]) -> Vec<u8> {
    let key = words.get(1).map(Vec::as_slice).unwrap_or_default();
    [format!("${}\r\n", key.len()).as_bytes(), key, b"\r\n"].concat()
}
