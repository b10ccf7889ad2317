//! Replies as text: the client prints what Debian's redis-cli prints, but for the differences written down here.

mod support;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use support::{TestServer, skipped, works};

/// Commands of all groups, with replies of all shapes: in order, since later ones read what earlier ones have written.
const COMPARED: &[&str] = &[
    // Statuses and strings
    "FLUSHALL",
    "PING",
    r#"PING "hello world""#,
    r#"ECHO "\"\\'""#,
    r#"ECHO """#,
    r#"ECHO "line\nline\r\nend\t\a\b\x00\x01\x7f""#,
    r#"ECHO "no \xff\xfe UTF-8""#,
    "SET key value",
    "GET key",
    "GET nosuch",
    r#"SET tab "a\tb""#,
    "GET tab",
    "SET umlaut ä€\u{1f600}",
    "GET umlaut",
    "STRLEN umlaut",
    "MSET a 1 b 2.5 c 3",
    "MGET a nosuch c",
    "GETRANGE key 9 1",
    "INCRBYFLOAT b 0.25",
    "DECRBY a 9223372036854775807",
    "SET key other GET",
    "LCS key tab IDX WITHMATCHLEN",
    // Errors
    "NOSUCH with arguments",
    "GET",
    "INCR key",
    "LPUSH key x",
    "SET k v EX 0",
    "EXPIRE key soon",
    "CONFIG SET nosuch 1",
    "CLIENT NOSUCH",
    "RENAME nosuch other",
    "DISCARD",
    // Lists
    r#"RPUSH list one two "three words" "" five six seven eight nine ten eleven"#,
    "LRANGE list 0 -1",
    "LRANGE nosuch 0 -1",
    "LRANGE list 0 0",
    "LPOP nosuch 2",
    "LPOP list 2",
    "LPOS list nine COUNT 0",
    "LMPOP 2 nosuch list LEFT COUNT 2",
    "LMPOP 1 nosuch LEFT",
    "BLPOP nosuch 0.01",
    "BLPOP list 1",
    "SORT list ALPHA LIMIT 0 3",
    // Hashes
    r#"HSET hash f1 v1 f2 "" "with space" v3"#,
    "HGET hash f1",
    "HGETALL hash",
    "HGETALL nosuch",
    "HMGET hash f1 nosuch",
    "HSCAN hash 0",
    "HRANDFIELD hash 0 WITHVALUES",
    "HEXISTS hash f1",
    "HINCRBYFLOAT hash n 1.5",
    "HKEYS hash",
    // Sets
    "SADD numbers 1 2 3",
    "SADD words one",
    "SMEMBERS numbers",
    "SMEMBERS words",
    "SMEMBERS nosuch",
    "SMISMEMBER numbers 1 9",
    "SINTER numbers words",
    "SSCAN numbers 0",
    "SPOP nosuch",
    // Sorted sets
    "ZADD scores 1 one 2.5 two inf most -inf least",
    "ZADD scores INCR 0.1 one",
    "ZADD scores XX INCR 1 nosuch",
    "ZRANGE scores 0 -1",
    "ZRANGE scores 1 2 WITHSCORES",
    "ZRANGE nosuch 0 -1 WITHSCORES",
    "ZSCORE scores two",
    "ZMSCORE scores one nosuch",
    "ZSCORE scores most",
    "ZRANK scores two",
    "ZSCAN scores 0",
    "ZPOPMIN scores 0",
    "ZPOPMAX nosuch",
    "ZMPOP 1 nosuch MIN",
    "ZUNION 2 numbers nosuch WITHSCORES",
    // Keys
    "TYPE hash",
    "TTL key",
    "EXISTS key nosuch",
    "OBJECT ENCODING list",
    "OBJECT ENCODING nosuch",
    "KEYS n?mbers",
    "DBSIZE",
    "SCAN 0 MATCH nosuch* COUNT 1000",
    "COPY key copy",
    // Transactions
    "MULTI",
    "SET key 1",
    "GET key",
    "LPUSH key x",
    "HGETALL hash",
    "LRANGE list 0 2",
    "EXEC",
    "MULTI",
    "NOSUCH",
    "EXEC",
    "WATCH key",
    // The server
    "COMMAND GETKEYS MSET a 1 b 2",
    "COMMAND GETKEYSANDFLAGS MSET a 1 b 2",
    "COMMAND INFO get nosuch",
    "COMMAND DOCS append",
    "COMMAND COUNT",
    "CONFIG GET maxmemory*",
    "CONFIG GET nosuch",
    "PUBSUB NUMSUB a b",
    "PUBSUB CHANNELS",
    "CLIENT GETNAME",
    "ACL WHOAMI",
    "LATENCY LATEST",
    "MEMORY DOCTOR",
    "LATENCY DOCTOR",
    "WAIT 0 0",
    // Every type of RESP3
    "DEBUG PROTOCOL string",
    "DEBUG PROTOCOL integer",
    "DEBUG PROTOCOL double",
    "DEBUG PROTOCOL null",
    "DEBUG PROTOCOL array",
    "DEBUG PROTOCOL set",
    "DEBUG PROTOCOL map",
    "DEBUG PROTOCOL push",
    "DEBUG PROTOCOL verbatim",
    "DEBUG PROTOCOL true",
    "DEBUG PROTOCOL false",
    "DEBUG PROTOCOL bignum",
];

const FORMATS: &[&[&str]] = &[
    &["--no-raw"],
    &["--raw"],
    &["--csv"],
    &["--json"],
    &["-3", "--no-raw"],
    &["-3", "--raw"],
    &["-3", "--csv"],
    &["-2", "--json"],
];

/// Where the client does not do as redis-cli: the commands (or their beginning), the formats, and why. Beside these there are the
/// two rules of `as_ours`, and attributes (`DEBUG PROTOCOL attrib`), at which redis-cli 7.0 ends with a protocol error.
const DIFFERENCES: &[(&str, &[&str], &str)] = &[
    (
        "ECHO \"no ",
        &["--json"],
        "what is no UTF-8 becomes characters of the same numbers, so that the JSON is valid",
    ),
    ("ZSCORE scores most", &["--json"], "JSON has no infinity: it becomes a string"),
    ("DEBUG PROTOCOL bignum", &["-3"], "redis-cli 7.0 does not know big numbers, and ends"),
    ("DEBUG PROTOCOL bignum", &["--json"], "the same"),
    ("DEBUG PROTOCOL push", &["-3", "--no-raw"], "redis-cli shows pushes only at a terminal"),
    ("MEMORY DOCTOR", &["--json"], "a page of text is a string where JSON was asked for"),
    ("LATENCY DOCTOR", &["--json"], "as MEMORY DOCTOR"),
    ("MEMORY DOCTOR", &["--csv"], "a page of text is one field where CSV was asked for"),
    ("LATENCY DOCTOR", &["--csv"], "as MEMORY DOCTOR"),
];

/// What redis-cli prints, as the client does it: a raw error is one line and not two (on standard error, which is not seen
/// here), and an error in JSON is an object, because `error:"..."` is no JSON.
fn as_ours(theirs: &str, flags: &[&str]) -> String {
    if flags.contains(&"--raw") {
        let is_error = |line: &str| {
            ["ERR ", "WRONGTYPE ", "EXECABORT "].iter().any(|code| line.starts_with(code))
        };
        let mut lines = theirs.split_inclusive('\n').peekable();
        let mut text = String::new();
        while let Some(line) = lines.next() {
            text.push_str(line);
            if is_error(line) {
                lines.next_if_eq(&"\n");
            }
        }
        return text;
    }
    let mut parts = theirs.split("error:\"");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (error, rest) = part.split_once('"').expect("the error ends");
        text.push_str(&format!("{{\"error\":\"{error}\"}}{rest}"));
    }
    text
}

/// The commands, a transaction as a whole: within one no mark can be printed.
fn steps() -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut in_transaction = false;
    for &line in COMPARED {
        match steps.last_mut().filter(|_| in_transaction) {
            Some(step) => *step = format!("{step}\n{line}"),
            None => steps.push(line.to_owned()),
        }
        in_transaction = line == "MULTI" || (in_transaction && line != "EXEC");
    }
    steps
}

/// Printed between two steps: no reply holds it.
const MARK: &str = "-=#=-";

/// What `program` prints for each step, standard error included. All run in one process, one command a line.
fn printed(
    mut program: Command,
    address: SocketAddr,
    flags: &[&str],
    steps: &[String],
) -> Vec<String> {
    let (mut reader, writer) = std::io::pipe().expect("a descriptor is free");
    program.args(["-h", "127.0.0.1", "-p", &address.port().to_string()]).args(flags);
    program.env_remove("REDISCLI_AUTH").env("HOME", "/nonexistent").stdin(Stdio::piped());
    program.stdout(writer.try_clone().expect("a descriptor is free")).stderr(writer);
    let mut child = program.spawn().expect("it starts");
    drop(program); // and with it the writing ends of the pipe that are ours
    let mut stdin = child.stdin.take().expect("piped");
    let input: String = steps.iter().map(|step| format!("{step}\nPING {MARK}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("it prints");
    let _ = writer.join(); // it need not read all
    child.wait().expect("it ends");
    // The mark is printed as a status, in quotes or not.
    let text = String::from_utf8_lossy(&bytes).replace(&format!("\"{MARK}\""), MARK);
    // redis-cli tells how long a slow reply took.
    let is_time = |line: &str| {
        let seconds = line.strip_prefix('(').and_then(|line| line.strip_suffix("s)\n"));
        seconds.is_some_and(|seconds| seconds.parse::<f64>().is_ok())
    };
    let text: String = text.split_inclusive('\n').filter(|line| !is_time(line)).collect();
    let mut found: Vec<String> = text.split(&format!("{MARK}\n")).map(str::to_owned).collect();
    // Behind the last mark there is nothing, unless the program has ended before it came to it.
    found.pop_if(|rest| rest.is_empty());
    found
}

#[test]
fn replies_look_as_in_redis_cli() {
    if !works("redis-cli", &["--version"]) {
        return skipped("replies_look_as_in_redis_cli", "there is no redis-cli");
    }
    let steps = steps();
    let mut met = vec![false; DIFFERENCES.len()];
    let server = TestServer::start(&["--enable-debug-command", "yes", "--maxmemory", "1gb"]);
    for flags in FORMATS {
        let ours = Command::new(env!("CARGO_BIN_EXE_client"));
        let ours = printed(ours, server.address(), flags, &steps);
        let theirs = printed(Command::new("redis-cli"), server.address(), flags, &steps);
        assert_eq!((ours.len(), theirs.len()), (steps.len(), steps.len()), "{flags:?}");
        for (step, (ours, theirs)) in steps.iter().zip(ours.iter().zip(&theirs)) {
            let ours_expected = as_ours(theirs, flags);
            let known = DIFFERENCES.iter().position(|(command, formats, _)| {
                step.starts_with(command) && formats.iter().all(|format| flags.contains(format))
            });
            match known {
                Some(known) => met[known] |= *ours != ours_expected,
                None => assert_eq!(*ours, ours_expected, "{flags:?} {step}"),
            }
        }
    }
    for ((command, ..), met) in DIFFERENCES.iter().zip(met) {
        assert!(met, "{command}: there is no difference any more");
    }
}
