//! A stock Sentinel above our servers: three of them watch a master and two replicas, the master dies again and again, and
//! each time a replica takes its place, clients are told where it is, and the old master comes back as a replica.
//!
//! `MINI_REDIS_FAILOVERS` says how often, for each of redis-sentinel 7.0 and valkey-sentinel 9.1.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::peers::find_peer;
use support::server::free_port;
use support::{Raw, TestServer, holds_within, skipped};

/// Failovers in a row.
const FAILOVERS: usize = 3;
/// One takes a second or two on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(60);

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
             sentinel down-after-milliseconds group 500\nsentinel failover-timeout group 3000\n",
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
        std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
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

    fn try_run(&self, line: &str) -> Option<String> {
        let address = ([127, 0, 0, 1], self.port).into();
        std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        Some(Raw::connect(address).run(line).text())
    }

    fn info(&self) -> String {
        self.try_run("INFO replication").unwrap_or_default()
    }

    fn kill(&mut self) {
        self.server.take().expect("it runs").kill();
    }
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
        let known = || {
            sentinels.iter().all(|one| one.knows("REPLICAS") == 2 && one.knows("SENTINELS") == 2)
        };
        assert!(holds_within(PATIENCE, known), "{}", what("who watches whom"));
        let old = sentinels[0].master();
        let index = nodes.iter().position(|node| node.port == old).expect("one of ours");
        let in_sync = || nodes[index].info().matches("state=online").count() == 2;
        assert!(holds_within(PATIENCE, in_sync), "{}", what(&nodes[index].info()));
        let value = format!("value of round {round}");
        let mut client = nodes[index].server.as_ref().expect("it runs").connect();
        client.command(&[b"SET", format!("round:{round}").as_bytes(), value.as_bytes()]).is("+OK");
        client.run("WAIT 2 10000").is(":2");

        nodes[index].kill();
        let replaced = || sentinels.iter().all(|one| one.master() != old);
        assert!(holds_within(PATIENCE, replaced), "{}", what("nobody took its place"));
        let new = sentinels[0].master();
        let promoted = nodes.iter().find(|node| node.port == new).expect("one of ours");
        assert!(holds_within(PATIENCE, || promoted.info().contains("role:master")));
        for round in 0..=round {
            let value = promoted.try_run(&format!("GET round:{round}")).unwrap_or_default();
            assert_eq!(
                value,
                format!("value of round {round}"),
                "{}",
                what("an acknowledged write")
            );
        }
        promoted.server.as_ref().expect("it runs").connect().run("SET written after").is("+OK");

        // It comes back as what it was, and is told.
        nodes[index].start(old);
        let is_replica = || {
            let info = nodes[index].info();
            info.contains("role:slave")
                && info.contains(&format!("master_port:{new}"))
                && info.contains("master_link_status:up")
        };
        assert!(holds_within(PATIENCE, is_replica), "{}", what(&nodes[index].info()));
        let has_all = || nodes[index].try_run("GET written").as_deref() == Some("after");
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
