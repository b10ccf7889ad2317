//! Masters and replicas under load: the real servers that ours is paired with, a load with effects of every kind, and
//! the comparison at its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::keyspace::keyspace_of;
use super::peers::find_peer;
use super::{Raw, TestServer, skipped, wait_until};

/// A kind of server that can be there or not.
pub struct PeerKind {
    program: &'static str,
    /// What it says of its version.
    version: &'static str,
    pub has_field_expiry: bool,
}

pub const REDIS_7: PeerKind =
    PeerKind { program: "redis-server", version: "v=7.0.", has_field_expiry: false };
pub const REDIS_8: PeerKind =
    PeerKind { program: "redis8-server", version: "v=8.", has_field_expiry: true };
pub const VALKEY_9: PeerKind =
    PeerKind { program: "valkey-server", version: "v=9.", has_field_expiry: true };

impl PeerKind {
    /// A server of that kind that saves nothing by itself, if there is the program.
    pub fn start(&self, test: &str, flags: &[&str]) -> Option<TestServer> {
        let Some(path) = find_peer(self.program, self.version) else {
            skipped(test, &format!("{} ({}) is not there", self.program, self.version));
            return None;
        };
        Some(TestServer::start_program(&path, &[], &[&["--save", ""], flags].concat()))
    }
}

/// A field of `INFO`.
pub fn info(client: &mut Raw, field: &str) -> String {
    let text = client.run("INFO everything").text();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    lines.next().unwrap_or_default().trim().to_string()
}

/// Whether a replica has its master.
pub fn is_up(replica: &mut Raw) -> bool {
    info(replica, "master_link_status") == "up"
}

/// Waits until the replica is where the master is.
#[track_caller]
pub fn wait_in_sync(master: &mut Raw, replica: &mut Raw) {
    wait_until("the replica is where the master is", || {
        let same = ["master_replid", "master_repl_offset"];
        is_up(replica) && same.iter().all(|field| info(master, field) == info(replica, field))
    });
}

/// Waits for that, and asserts that both have the same.
#[track_caller]
pub fn expect_equal(master: &mut Raw, replica: &mut Raw, has_field_expiry: bool) {
    thread::sleep(SHORT); // what is short-lived is gone, or hidden, on both
    wait_in_sync(master, replica);
    let (given, taken) =
        (keyspace_of(master, has_field_expiry), keyspace_of(replica, has_field_expiry));
    for (key, content) in &given {
        assert_eq!(taken.get(key), Some(content), "{:?}", String::from_utf8_lossy(&key.1));
    }
    assert_eq!(taken.len(), given.len());
}

/// No key and no field of the load lives longer, or else much longer.
const SHORT: Duration = Duration::from_millis(100);
/// Between two rounds of a load: a test build is slower than its peers.
const PAUSE: Duration = Duration::from_millis(3);

/// A client that writes until it is told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Load {
    /// Begins to write to `server`.
    pub fn on(server: &TestServer, has_field_expiry: bool) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, mut client) = (stop.clone(), server.connect());
        let thread = thread::spawn(move || {
            let mut round = 0;
            while !told.load(Ordering::SeqCst) {
                write_some(&mut client, round, has_field_expiry);
                round += 1;
                thread::sleep(PAUSE);
            }
            round
        });
        Load { stop, thread }
    }

    /// Ends the load; how many rounds there were.
    pub fn stop(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("the load has failed")
    }
}

/// Commands of every type, many of them with effects that are other than themselves.
fn write_some(client: &mut Raw, round: usize, has_field_expiry: bool) {
    let n = round % 17;
    let mut lines = vec![
        format!("SELECT {}", if round.is_multiple_of(5) { 3 } else { 0 }),
        format!("SET load:string:{n} value-{round} EX 1000"),
        format!("SET load:short:{round} x PX {}", 1 + round % 50),
        format!("APPEND load:text:{n} {round}"),
        "INCR load:counter".to_string(),
        "INCRBYFLOAT load:float 0.1".to_string(),
        format!("RPUSH load:list:{n} a{round} b{round} c"),
        format!("LMOVE load:list:{n} load:list:other LEFT RIGHT"),
        format!("LTRIM load:list:other -{} -1", 10 + n),
        format!("SADD load:set:{n} {round} x y z"),
        format!("SPOP load:set:{n} 2"),
        format!("ZADD load:zset:{n} {round} m{round} 2 two"),
        format!("ZINCRBY load:zset:{n} 0.5 two"),
        format!("ZPOPMIN load:zset:{n}"),
        format!("HSET load:hash:{n} f{round} {round} same x"),
        format!("HINCRBYFLOAT load:hash:{n} sum 1.5"),
        "MULTI".to_string(),
        "INCR load:one".to_string(),
        "PUBLISH channel message".to_string(),
        "INCR load:two".to_string(),
        format!("EXPIRE load:string:{n} {}", 100 + n),
        "EXEC".to_string(),
        format!("GETDEL load:text:{}", (n + 3) % 17),
        format!("RENAME load:counter load:counter:{}", n % 3),
        "PUBLISH channel message".to_string(),
    ];
    if has_field_expiry {
        lines.push(format!("HPEXPIRE load:hash:{n} {} FIELDS 1 f{round}", 1 + round % 90));
        lines.push(format!("HEXPIRE load:hash:{n} 1000 FIELDS 1 same"));
    }
    let count = lines.len();
    client.send(lines.join("\r\n") + "\r\n");
    (0..count).for_each(|_| drop(client.reply()));
}
