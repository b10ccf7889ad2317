//! A stock Sentinel above our servers: three of them watch a master and two replicas, the master dies again and again, and
//! each time a replica takes its place, clients are told where it is, and the old master comes back as a replica.
//!
//! `MINI_REDIS_FAILOVERS` says how often, for each of redis-sentinel 7.0 and valkey-sentinel 9.1.

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::connection::{encode_line, reply_len};
use support::peers::find_peer;
use support::server::free_port;
use support::{Raw, TestServer, holds_within, skipped};

/// Failovers in a row.
const FAILOVERS: usize = 3;
/// One takes about four seconds on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(90);

fn failovers() -> usize {
    let asked_for = std::env::var("MINI_REDIS_FAILOVERS").ok().and_then(|text| text.parse().ok());
    asked_for.unwrap_or(FAILOVERS)
}

/// A Sentinel that ends with the test.
struct Sentinel {
    child: Child,
    port: u16,
    dir: PathBuf,
}

impl Sentinel {
    fn start(program: &str, master: u16) -> Sentinel {
        let port = free_port();
        let dir = std::env::temp_dir().join(format!("mini-redis-sentinel-{}", port));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("the temporary directory is writable");
        let config = dir.join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor group 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds group 2000\nsentinel failover-timeout group 6000\n",
            dir.display()
        );
        fs::write(&config, text).expect("the directory was made for us");
        let log = fs::File::create(dir.join("log")).expect("the directory was made for us");
        let child = Command::new(program)
            .arg(&config)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("it was found");
        let sentinel = Sentinel { child, port, dir };
        assert!(holds_within(PATIENCE, || sentinel.try_ask("PING").is_some()), "no Sentinel");
        sentinel
    }

    fn try_ask(&self, line: &str) -> Option<Vec<String>> {
        let address = ([127, 0, 0, 1], self.port).into();
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        Some(Raw::connect(address).run(line).leaves())
    }

    fn ask(&self, line: &str) -> Vec<String> {
        self.try_ask(line).expect("the Sentinel lives")
    }

    /// The port of the master, as clients are told.
    fn master(&self) -> u16 {
        let told = self.ask("SENTINEL GET-MASTER-ADDR-BY-NAME group");
        told.get(1).and_then(|port| port.parse().ok()).expect("an address")
    }

    /// How many of something it knows: `SENTINEL REPLICAS group` has a name in each entry.
    fn knows(&self, what: &str) -> usize {
        let told = self.ask(&format!("SENTINEL {what} group"));
        told.iter().filter(|word| *word == "runid").count()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the Sentinel on port {} ---\n{}", self.port, self.log());
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A server in a directory that outlives its process.
struct Node {
    server: Option<TestServer>,
    port: u16,
    data: PathBuf,
}

impl Node {
    fn new(data: &Path, number: usize) -> Node {
        let data = data.join(number.to_string());
        fs::create_dir_all(&data).expect("the temporary directory is writable");
        Node { server: None, port: free_port(), data }
    }

    /// Starts it, as a replica unless `master` is its own port. So does an operator who does not know better: Sentinel
    /// tells it what it has missed.
    fn start(&mut self, master: u16) {
        let (data, master_port) = (self.data.display().to_string(), master.to_string());
        let mut directives = vec!["--dir", &data, "--repl-diskless-sync-delay", "0"];
        if master != self.port {
            directives.extend(["--role", "slave", "--master"]);
        }
        let address = format!("127.0.0.1:{master_port}");
        if master != self.port {
            directives.push(&address);
        }
        let server = TestServer::spawn(&[], &directives, self.port);
        assert!(holds_within(PATIENCE, || self.try_run("PING").is_some()), "{}", server.log());
        self.server = Some(server);
    }

    /// The reply; `None` if there is none: it may be dead, or Sentinel may just have closed all connections to it.
    fn try_run(&self, line: &str) -> Option<String> {
        let address = ([127, 0, 0, 1], self.port).into();
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(&encode_line(line)).ok()?;
        let (mut reply, mut piece) = (Vec::new(), [0; 4096]);
        while reply_len(&reply).is_none() {
            let count = stream.read(&mut piece).ok().filter(|&count| count > 0)?;
            reply.extend_from_slice(&piece[..count]);
        }
        let text = String::from_utf8_lossy(&reply).into_owned();
        let is_bulk = text.starts_with('$');
        let content = if is_bulk { text.split_once("\r\n")?.1 } else { &text };
        Some(content.strip_suffix("\r\n").unwrap_or(content).to_string())
    }

    fn info(&self) -> String {
        self.try_run("INFO replication").unwrap_or_default()
    }

    /// How many replicas have acknowledged all that this master has written.
    fn replicas_with_all_data(&self) -> usize {
        let info = self.info();
        let offset = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
        let has_all = format!("state=online,offset={},", offset.unwrap_or_default().trim_end());
        info.matches(&has_all).count()
    }

    fn kill(&mut self) {
        self.server.take().expect("it runs").kill();
    }
}

/// The node that all Sentinels name, if it says the same of itself.
fn agreed(sentinels: &[Sentinel], nodes: &[Node]) -> Option<usize> {
    let port = sentinels[0].master();
    let index = nodes.iter().position(|node| node.port == port)?;
    let is_agreed = sentinels.iter().all(|one| one.master() == port);
    (is_agreed && nodes[index].info().contains("role:master")).then_some(index)
}

fn died_and_was_replaced(sentinel_program: &str, name: &str) {
    let data = std::env::temp_dir().join(format!("mini-redis-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&data);
    let mut nodes: Vec<Node> = (0..3).map(|number| Node::new(&data, number)).collect();
    let first = nodes[0].port;
    nodes.iter_mut().for_each(|node| node.start(first));
    let sentinels: Vec<Sentinel> =
        (0..3).map(|_| Sentinel::start(sentinel_program, first)).collect();

    for round in 0..failovers() {
        let what = |what: &str| format!("{name}, failover {round}: {what}");
        // A machine that is busy enough may have Sentinel fail over by itself: who is the master is asked each time.
        let mut master = None;
        let all_is_well = || {
            master = agreed(&sentinels, &nodes);
            let in_sync = |index: usize| nodes[index].replicas_with_all_data() == 2;
            let known = |one: &Sentinel| one.knows("REPLICAS") == 2 && one.knows("SENTINELS") == 2;
            master.is_some_and(in_sync) && sentinels.iter().all(known)
        };
        assert!(holds_within(PATIENCE, all_is_well), "{}", what("who watches whom"));
        let old = master.expect("just found");
        let value = format!("value-{round}");
        let set = nodes[old].try_run(&format!("SET round:{round} {value}"));
        assert_eq!(set.as_deref(), Some("+OK"), "{}", what("SET"));
        let all_have_it = || nodes[old].replicas_with_all_data() == 2;
        assert!(holds_within(PATIENCE, all_have_it), "{}", what(&nodes[old].info()));

        nodes[old].kill();
        let mut master = None;
        let replaced = || {
            master = agreed(&sentinels, &nodes).filter(|&index| index != old);
            master.is_some()
        };
        assert!(holds_within(PATIENCE, replaced), "{}", what("nobody took its place"));
        let promoted = &nodes[master.expect("just found")];
        for round in 0..=round {
            let value = promoted.try_run(&format!("GET round:{round}")).unwrap_or_default();
            assert_eq!(value, format!("value-{round}"), "{}", what("an acknowledged write"));
        }
        promoted.try_run(&format!("SET written {round}"));

        // It comes back as what it was, and is told.
        let own_port = nodes[old].port;
        nodes[old].start(own_port);
        let is_replica = || {
            let info = nodes[old].info();
            info.contains("role:slave") && info.contains("master_link_status:up")
        };
        assert!(holds_within(PATIENCE, is_replica), "{}", what(&nodes[old].info()));
        let has_all = || nodes[old].try_run("GET written") == Some(round.to_string());
        assert!(holds_within(PATIENCE, has_all), "{}", what("the old master has not caught up"));
    }
    drop(sentinels);
    drop(nodes);
    let _ = fs::remove_dir_all(&data);
}

#[test]
fn redis_sentinel_fails_over_again_and_again() {
    match find_peer("redis-server", "v=7.0") {
        Some(program) => died_and_was_replaced(&program, "redis-sentinel"),
        None => {
            skipped("redis_sentinel_fails_over_again_and_again", "there is no redis-server 7.0")
        }
    }
}

#[test]
fn valkey_sentinel_fails_over_again_and_again() {
    match find_peer("valkey-sentinel", "9.1") {
        Some(program) => died_and_was_replaced(&program, "valkey-sentinel"),
        None => {
            skipped("valkey_sentinel_fails_over_again_and_again", "there is no valkey-sentinel 9.1")
        }
    }
}
