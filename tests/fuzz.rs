//! Case P29 of the reliability catalogue: whatever comes over the network, the server lives, answers and stays small.
//!
//! Four streams of noise with seeds: three fixed ones and a new one, printed, that `MINI_REDIS_FUZZ_SEED` repeats.
//! `MINI_REDIS_FUZZ_SECONDS` makes it longer than the ten seconds of an ordinary run.

mod support;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use support::{TestServer, process};

/// `xorshift64*` by Sebastiano Vigna: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Commands and options. Not among them is what ends or stops the server by design, such as SHUTDOWN and CLIENT PAUSE.
#[rustfmt::skip] // a table of words
const WORDS: &[&str] = &[
    "GET", "SET", "SETEX", "PSETEX", "SETNX", "GETSET", "GETDEL", "GETEX", "MGET", "MSET", "MSETNX", "APPEND",
    "STRLEN", "SETRANGE", "GETRANGE", "SUBSTR", "INCR", "DECR", "INCRBY", "DECRBY", "INCRBYFLOAT", "LCS",
    "DEL", "UNLINK", "EXISTS", "TYPE", "KEYS", "SCAN", "RENAME", "RENAMENX", "COPY", "MOVE", "SELECT",
    "SWAPDB", "DBSIZE", "RANDOMKEY", "TOUCH", "OBJECT", "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "TTL",
    "PTTL", "EXPIRETIME", "PEXPIRETIME", "PERSIST", "PING", "ECHO", "HELLO", "AUTH", "RESET", "COMMAND",
    "CONFIG", "INFO", "SLOWLOG", "LATENCY", "MEMORY", "FLUSHDB", "TIME", "LOLWUT", "CLIENT", "SETBIT",
    "GETBIT", "BITCOUNT", "BITOP", "BITPOS", "BITFIELD", "DUMP", "RESTORE", "MULTI", "EXEC", "DISCARD",
    "WATCH", "UNWATCH", "LPUSH", "RPOP", "LRANGE", "HSET", "HGETALL", "SADD", "SRANDMEMBER", "ZADD", "ZRANGE",
    "ZRANGEBYLEX",
];
#[rustfmt::skip] // a table of words
const OPTIONS: &[&str] = &[
    "EX", "PX", "EXAT", "PXAT", "NX", "XX", "GT", "LT", "GET", "KEEPTTL", "PERSIST", "MATCH", "COUNT", "TYPE",
    "IDX", "LEN", "MINMATCHLEN", "WITHMATCHLEN", "ENCODING", "REFCOUNT", "FREQ", "IDLETIME", "HELP", "INFO",
    "LIST", "DOCS", "GETKEYS", "USAGE", "STATS", "ID", "GETNAME", "SETNAME", "AUTH", "ASYNC", "DB", "REPLACE",
    "RESETSTAT", "HISTOGRAM", "DOCTOR", "string", "default", "AND", "u8",
];
#[rustfmt::skip] // a table of words
const VALUES: &[&str] = &[
    "a", "b", "c", "d", "key:1", "key:2", "", "0", "1", "-1", "2", "3", "16", "100", "1.5", "-0", "nan",
    "inf", "1e308", "65535", "65536", "1048575", "1048576", "536870911", "2147483647", "2147483648",
    "-2147483649", "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "18446744073709551615", "*", "?", "[a-", "[^", "\\", "a*a*a*b", "\r\n", "+OK\r\n", "\0", "\u{ff}\u{fe}",
];

/// A command line that often makes sense.
fn command(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = 1 + random.below(6);
    bytes.extend(format!("*{count}\r\n").as_bytes());
    for i in 0..count {
        let arg = match (i, random.below(4)) {
            (0, _) => random.pick(WORDS),
            (_, 0) => random.pick(OPTIONS),
            _ => random.pick(VALUES),
        };
        bytes.extend(format!("${}\r\n{arg}\r\n", arg.len()).as_bytes());
    }
    bytes
}

/// Damages a few bytes: flips, digits, deletions, doublings.
fn mutate(stream: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(4) {
        if stream.is_empty() {
            return;
        }
        let at = random.below(stream.len());
        match random.below(5) {
            0 => stream[at] ^= 1 << random.below(8),
            1 => stream[at] = b"0123456789-+*$\r\n"[random.below(16)],
            2 => drop(stream.remove(at)),
            3 => stream.truncate(at),
            _ => {
                let end = (at + random.below(40)).min(stream.len());
                let copy = stream[at..end].to_vec();
                stream.splice(at..at, copy);
            }
        }
    }
}

/// What one connection sends.
fn stream(random: &mut Random) -> Vec<u8> {
    if random.below(8) == 0 {
        let len = random.below(20_000);
        return (0..len).map(|_| random.next() as u8).collect();
    }
    let mut stream: Vec<u8> = (0..random.below(60)).flat_map(|_| command(random)).collect();
    if random.below(2) == 0 {
        mutate(&mut stream, random);
    }
    stream
}

/// Sends `bytes` in two parts and reads until the server is done with them or goes quiet.
fn attack(address: SocketAddr, bytes: &[u8], random: &mut Random) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(Duration::from_secs(5)))?;
    let middle = random.below(bytes.len() + 1);
    socket.write_all(&bytes[..middle])?;
    if random.below(2) == 0 {
        socket.set_read_timeout(Some(Duration::from_millis(1)))?;
        // Read or not, the second part must be taken.
        let _ = socket.read(&mut [0; 512]);
    }
    socket.write_all(&bytes[middle..])?;
    if random.below(4) == 0 {
        return Ok(()); // gone without reading
    }
    socket.shutdown(std::net::Shutdown::Write)?;
    socket.set_read_timeout(Some(support::DEADLINE))?;
    let mut sink = vec![0; 1 << 16];
    while socket.read(&mut sink)? > 0 {}
    Ok(())
}

fn fuzz(server: &mut TestServer, seed: u64, limit: Duration) {
    let mut random = Random(seed | 1);
    let start = Instant::now();
    let mut connections = 0;
    while start.elapsed() < limit {
        let bytes = stream(&mut random);
        if let Err(e) = attack(server.address(), &bytes, &mut random) {
            use std::io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
            let hung_up = matches!(e.kind(), BrokenPipe | ConnectionReset | NotConnected);
            assert!(
                hung_up,
                "seed {seed}, connection {connections}: {e}\n{}",
                bytes.escape_ascii()
            );
        }
        connections += 1;
        assert!(
            server.is_running(),
            "seed {seed}: the server died of connection {connections}: {}\n{}",
            bytes.escape_ascii(),
            server.log()
        );
    }
    println!("seed {seed}: {connections} connections");
}

/// Replies may be as long as this: `SRANDMEMBER key -9223372036854775807` ends where the limit is.
const LIMIT: [&str; 2] = ["--client-output-buffer-limit", "normal 64mb 0 0"];

#[test]
fn p29_noise_does_not_kill() {
    let seconds = std::env::var("MINI_REDIS_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let limit = Duration::from_secs(seconds.unwrap_or(10));
    let chosen = std::env::var("MINI_REDIS_FUZZ_SEED").ok().and_then(|s| s.parse().ok());
    let seeds = match chosen {
        Some(seed) => vec![seed],
        None => vec![1, 2, 3, RandomState::new().build_hasher().finish()],
    };
    println!("seeds {seeds:?}");
    // Small values, so that a SETRANGE of half a gigabyte is an error and not a measurement of the machine.
    let mut server =
        TestServer::start(&["--proto-max-bulk-len", "1mb", "--save", "", LIMIT[0], LIMIT[1]]);
    let share = limit / seeds.len() as u32;
    for seed in seeds {
        fuzz(&mut server, seed, share);
    }
    server.expect_alive();
    let mut client = server.connect();
    client.run("FLUSHALL").is("+OK");
    support::wait_until("all noisy clients have left", || {
        client.run("CLIENT LIST").text().lines().count() == 1
    });
    client.run("SET k v").is("+OK");
    client.run("GET k").is("$1\r\nv");
    let peak = process::peak_rss_bytes(server.pid());
    println!("{peak} bytes resident at the peak");
    assert!(peak < 256 << 20, "{peak} bytes resident at the peak");
}
