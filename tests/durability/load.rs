//! Writers, and the check of what a restart has left of their writes.
//!
//! Every writer sends pairs: `APPEND journal TOKEN`, then `SET TOKEN value`. The journal is the order of execution, and
//! the reply to an APPEND, the length, says where in it the token must be. So after a restart it can be told for every
//! write whether it is there, once, in its place, and whether the whole is a prefix of what was executed:
//!
//! - the journal begins with what it was at the start, and goes on with each writer's tokens, one by one from the first;
//! - a token that was acknowledged, and had to survive, is where its reply has said;
//! - of each writer all keys are there that were set before the last of its tokens in the journal, and no other.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::RngExt as _;

use crate::support::connection::encode;
use crate::support::{DEADLINE, Raw, TestServer};

const WRITERS: usize = 4;
/// Pairs that a writer sends before it reads replies: up to this.
const PIPELINE_MAX: usize = 16;
/// Time between two pipelines: more writes would only make every restart longer.
const PAUSE: Duration = Duration::from_millis(2);
const TOKEN_BYTES: usize = 12;
/// Keys asked for at a time.
const MGET_KEYS: usize = 500;

fn token(writer: usize, number: u64) -> String {
    format!("{writer:02}-{number:08};")
}

/// A pair that was acknowledged, at least in part.
struct Acknowledged {
    number: u64,
    /// Length of the journal with this token.
    journal_len: usize,
    at: Instant,
    /// Whether the SET was answered, too.
    set: bool,
}

/// What became of one writer.
struct Written {
    first: u64,
    /// The number after the last one that was sent.
    next: u64,
    acknowledged: Vec<Acknowledged>,
}

/// A load that is running. It ends with the server, or by `stop`.
pub struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Written>>,
}

/// What was written to a data directory in its life.
#[derive(Default)]
pub struct Journal {
    text: Vec<u8>,
    keys: usize,
    next: [u64; WRITERS],
}

/// What a check has counted.
#[derive(Default, Debug)]
pub struct Count {
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Of these, the ones that are gone and were allowed to go.
    pub lost: usize,
}

/// Which writes must have survived.
#[derive(Clone, Copy)]
pub enum Promise {
    /// All that were acknowledged.
    All,
    /// All that were acknowledged before this.
    Before(Instant),
}

impl Load {
    /// Begins to write to `server`, on what `journal` says was written before.
    pub fn start(server: &TestServer, journal: &Journal) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let address = server.address();
        let start = |writer: usize| {
            let (stop, first) = (Arc::clone(&stop), journal.next[writer]);
            std::thread::spawn(move || {
                let mut written = Written { first, next: first, acknowledged: Vec::new() };
                // An error is the end of the server: what was answered before it counts.
                let _ = write(address, writer, &stop, &mut written);
                written
            })
        };
        let writers = (0..WRITERS).map(start).collect();
        Load { stop, writers }
    }

    /// Ends the load where it has not ended by itself.
    fn stop(self) -> Vec<JoinHandle<Written>> {
        self.stop.store(true, Ordering::Relaxed);
        self.writers
    }
}

fn write(
    address: SocketAddr,
    writer: usize,
    stop: &AtomicBool,
    written: &mut Written,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    while !stop.load(Ordering::Relaxed) {
        let pairs = rand::rng().random_range(1..=PIPELINE_MAX) as u64;
        let numbers = written.next..written.next + pairs;
        let mut requests = Vec::new();
        for number in numbers.clone() {
            let token = token(writer, number);
            requests.extend(encode(&[b"APPEND", b"journal", token.as_bytes()]));
            requests.extend(encode(&[b"SET", token.as_bytes(), value(&token).as_bytes()]));
        }
        written.next += pairs; // whether they arrive or not
        stream.write_all(&requests)?;
        for number in numbers {
            let journal_len = line(&mut replies, ":")?.parse().expect("a length");
            let at = Instant::now();
            written.acknowledged.push(Acknowledged { number, journal_len, at, set: false });
            line(&mut replies, "+OK")?;
            written.acknowledged.last_mut().expect("it was added").set = true;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn value(token: &str) -> String {
    format!("value of {token}")
}

/// The next line of a reply after `prefix`; an error when there is another one, or none that is whole.
fn line(replies: &mut BufReader<TcpStream>, prefix: &str) -> std::io::Result<String> {
    let mut line = String::new();
    replies.read_line(&mut line)?;
    let text = line.strip_suffix("\r\n").and_then(|line| line.strip_prefix(prefix));
    text.map(str::to_string).ok_or_else(|| std::io::Error::other(line.clone()))
}

impl Journal {
    /// Checks what `server` has after a restart against what `load` wrote before it.
    #[track_caller]
    pub fn check(&mut self, server: &TestServer, load: Load, promise: Promise) -> Count {
        let writers = load.stop().into_iter().map(|writer| writer.join().expect("no panic"));
        let writers: Vec<Written> = writers.collect();
        let mut client = server.connect();
        let text = client.run("GET journal").leaves().remove(0).into_bytes();
        assert!(text.starts_with(&self.text), "what was there at the start is not there any more");

        let present = tokens_by_writer(&text[self.text.len()..]);
        let mut count = Count::default();
        for (writer, written) in writers.iter().enumerate() {
            let there = present.get(&writer).cloned().unwrap_or_default();
            let expected: Vec<u64> = (written.first..).take(there.len()).collect();
            assert_eq!(there, expected, "writer {writer}: a hole, a double or another order");
            let end = written.first + there.len() as u64;
            assert!(end <= written.next, "writer {writer}: what was never sent");
            let keys = self.check_keys(&mut client, writer, written.first..end);
            check_acknowledged(writer, written, &text, keys, promise, &mut count);
            self.next[writer] = written.next;
        }
        self.text = text;
        let size = self.keys + usize::from(!self.text.is_empty());
        assert_eq!(client.run("DBSIZE").number(), size as i64, "keys that nobody has set");
        count
    }

    /// Of these pairs all keys are there, but perhaps the last. Returns the number after the last key.
    #[track_caller]
    fn check_keys(
        &mut self,
        client: &mut Raw,
        writer: usize,
        numbers: std::ops::Range<u64>,
    ) -> u64 {
        let tokens: Vec<String> = numbers.clone().map(|number| token(writer, number)).collect();
        let mut found = Vec::new();
        for tokens in tokens.chunks(MGET_KEYS) {
            let mut command = vec![&b"MGET"[..]];
            command.extend(tokens.iter().map(|token| token.as_bytes()));
            found.extend(client.command(&command).leaves());
        }
        let present = found.iter().filter(|value| !value.is_empty()).count();
        assert!(present + 1 >= tokens.len(), "writer {writer}: keys are missing");
        let sound = tokens.iter().zip(&found).take(present).all(|(key, text)| *text == value(key));
        assert!(sound, "writer {writer}: a wrong value");
        self.keys += present;
        numbers.start + present as u64
    }
}

/// The numbers of the tokens in a part of the journal, in their order.
fn tokens_by_writer(text: &[u8]) -> BTreeMap<usize, Vec<u64>> {
    let mut numbers = BTreeMap::<usize, Vec<u64>>::new();
    for token in text.chunks(TOKEN_BYTES) {
        let token = str::from_utf8(token).ok().and_then(|text| text.strip_suffix(';'));
        let (writer, number) = token.and_then(|text| text.split_once('-')).expect("a whole token");
        let number = number.parse().expect("a number");
        numbers.entry(writer.parse().expect("a writer")).or_default().push(number);
    }
    numbers
}

#[track_caller]
fn check_acknowledged(
    writer: usize,
    written: &Written,
    text: &[u8],
    next_key: u64,
    promise: Promise,
    count: &mut Count,
) {
    for acknowledged in &written.acknowledged {
        let &Acknowledged { number, journal_len, at, set } = acknowledged;
        let must_be_there = match promise {
            Promise::All => true,
            Promise::Before(point) => at < point,
        };
        let found = text.get(journal_len - TOKEN_BYTES..journal_len);
        let key_found = !set || number < next_key;
        let is_there = found == Some(token(writer, number).as_bytes());
        assert!(
            is_there || found.is_none(),
            "another write is in the place of an acknowledged one"
        );
        count.acknowledged += 1 + usize::from(set);
        count.lost += usize::from(!is_there) + usize::from(!key_found);
        assert!(
            !must_be_there || (is_there && key_found),
            "LOST: pair {number} of writer {writer}, acknowledged {:?} ago, journal of {} bytes",
            at.elapsed(),
            text.len()
        );
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
    }
}

/// Between `from` and `to` milliseconds.
pub fn random_ms(from: u64, to: u64) -> Duration {
    Duration::from_millis(rand::rng().random_range(from..to))
}
