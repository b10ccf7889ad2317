//! `DUMP` and `RESTORE`: a value as bytes that any Redis can make a value of.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::Recency;
use crate::persistence::rdb::{self, Encoder, Problem};
use crate::resp::Args;
use crate::resp::number::parse_i64;

const BAD_PAYLOAD: CommandError =
    CommandError::Text("ERR DUMP payload version or checksum are wrong");
const BAD_FORMAT: CommandError = CommandError::Text("ERR Bad data format");
const BAD_IDLETIME: CommandError = CommandError::Text("ERR Invalid IDLETIME value, must be >= 0");
const BAD_FREQ: CommandError =
    CommandError::Text("ERR Invalid FREQ value, must be >= 0 and <= 255");
const BUSY_KEY: CommandError = CommandError::Text("BUSYKEY Target key name already exists.");

/// `DUMP key` -> the value as bytes, or null. O(value).
pub(super) fn dump(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some(slot) = ctx.db.find_read(args.key(1)) else {
        ctx.reply.null();
        return Ok(());
    };
    let mut encoder = Encoder::new(ctx.server.config.rdbcompression);
    let database = ctx.db.database();
    let value = database.value(database.entry(slot));
    let payload = rdb::dump(value, &mut encoder);
    ctx.reply.bulk(&payload);
    Ok(())
}

/// What the words behind the payload of `RESTORE` ask for.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    recency: Recency,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut at = 4;
        while let Some(word) = args.get(at) {
            let number = || {
                let text = args.get(at + 1).ok_or(CommandError::Syntax)?;
                parse_i64(text).ok_or(CommandError::NotAnInteger)
            };
            match word.to_ascii_lowercase().as_slice() {
                b"replace" => options.replace = true,
                b"absttl" => options.absolute = true,
                b"idletime"
                    if !matches!(options.recency, Recency::Frequency(_)) && args.len() > at + 1 =>
                {
                    let seconds = u64::try_from(number()?).map_err(|_| BAD_IDLETIME)?;
                    options.recency = Recency::IdleSeconds(seconds);
                    at += 1;
                }
                b"freq"
                    if !matches!(options.recency, Recency::IdleSeconds(_))
                        && args.len() > at + 1 =>
                {
                    let frequency = u8::try_from(number()?).map_err(|_| BAD_FREQ)?;
                    options.recency = Recency::Frequency(frequency);
                    at += 1;
                }
                _ => return Err(CommandError::Syntax),
            }
            at += 1;
        }
        Ok(options)
    }
}

/// Whether it is one of the words that the log has anyway.
fn is_flag(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"replace") || word.eq_ignore_ascii_case(b"absttl")
}

/// `RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]` -> `+OK`. O(value).
pub(super) fn restore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, payload) = (args.key(1), args.bytes(3));
    let options = Options::parse(args)?;
    let exists = ctx.db.find_write(key).is_some();
    if exists && !options.replace {
        return Err(BUSY_KEY);
    }
    let ttl = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    if ttl < 0 {
        return Err(CommandError::Text("ERR Invalid TTL value, must be >= 0"));
    }
    let limits = ctx.server.rdb_limits(ctx.db.keyspace);
    let value = rdb::restore(payload, &limits).map_err(|error| match error.problem {
        Problem::Version(_) | Problem::Checksum => BAD_PAYLOAD,
        _ => BAD_FORMAT,
    })?;
    let base_ms = if options.absolute { 0 } else { ctx.now_ms() };
    let expire_at_ms = (ttl > 0).then(|| ttl.saturating_add(base_ms));
    if expire_at_ms.is_some_and(|at_ms| at_ms <= ctx.now_ms()) {
        // It would be gone at once.
        if ctx.db.delete(key) {
            ctx.modified(key);
            ctx.notify(KeyspaceEvents::GENERIC, "del", key);
            ctx.propagate(&[b"DEL", key]);
        }
        ctx.reply.ok();
        return Ok(());
    }
    let recency = options.recency;
    ctx.db.store(key, value, expire_at_ms);
    ctx.db.recall(key, recency);
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::GENERIC, "restore", key);
    let mut buffer = itoa::Buffer::new();
    let at_ms = buffer.format(expire_at_ms.unwrap_or(0)).as_bytes();
    let mut words = vec![&b"RESTORE"[..], key, at_ms, payload, b"REPLACE", b"ABSTTL"];
    // As they came: what is not checked twice cannot differ.
    words.extend((4..args.len()).map(|at| args.bytes(at)).filter(|word| !is_flag(word)));
    ctx.propagate(&words);
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::resp::Protocol;
    use crate::server::testing::TestServer;

    /// What `DUMP` gives out.
    fn payload(redis: &mut TestServer, key: &str) -> Vec<u8> {
        let client = redis.connect();
        let request = format!("DUMP {key}\r\n");
        let bytes = redis.receive_bytes(client, request.as_bytes());
        let start = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
        assert_eq!(redis.server.state.clients.get(client).protocol, Protocol::Resp2);
        bytes[start..bytes.len() - 2].to_vec()
    }

    #[test]
    fn every_type_goes_out_and_comes_back() {
        let mut redis = TestServer::new();
        for line in [
            "SET string value",
            "SET number 12345",
            "RPUSH list a b c",
            "SADD ints 1 2 3",
            "SADD words a b c",
            "ZADD zset 1 a 2.5 b",
            "HSET hash f v g w",
        ] {
            redis.run(line);
        }
        for key in ["string", "number", "list", "ints", "words", "zset", "hash"] {
            let bytes = payload(&mut redis, key);
            redis.run_bytes(&[b"RESTORE", b"copy", b"0", &bytes, b"REPLACE"]).is("+OK");
            let encoding = redis.run(&format!("OBJECT ENCODING {key}")).0;
            redis.run("OBJECT ENCODING copy").is(&encoding);
            assert_eq!(payload(&mut redis, "copy"), bytes, "{key}");
        }
    }

    #[test]
    fn restore_refuses_what_is_no_payload_and_a_key_that_is_there() {
        let mut redis = TestServer::new();
        redis.run("SET k v");
        let mut bytes = payload(&mut redis, "k");
        redis
            .run_bytes(&[b"RESTORE", b"k", b"0", &bytes])
            .is("-BUSYKEY Target key name already exists.");
        redis
            .run_bytes(&[b"RESTORE", b"l", b"-1", &bytes])
            .is("-ERR Invalid TTL value, must be >= 0");
        redis.run_bytes(&[b"RESTORE", b"l", b"0", &bytes, b"FREQ"]).is("-ERR syntax error");
        redis
            .run_bytes(&[b"RESTORE", b"l", b"0", &bytes, b"FREQ", b"256"])
            .is("-ERR Invalid FREQ value, must be >= 0 and <= 255");
        *bytes.last_mut().unwrap() ^= 1;
        redis
            .run_bytes(&[b"RESTORE", b"l", b"0", &bytes])
            .is("-ERR DUMP payload version or checksum are wrong");
        redis.run("EXISTS l").is(":0");
    }

    #[test]
    fn restore_says_when_or_how_often_the_key_was_used() {
        let mut redis = TestServer::new();
        redis.run("SET k v");
        let bytes = payload(&mut redis, "k");
        redis.run_bytes(&[b"RESTORE", b"l", b"0", &bytes, b"IDLETIME", b"1000"]).is("+OK");
        redis.run("OBJECT IDLETIME l").is(":1000");
        redis.run_bytes(&[b"RESTORE", b"m", b"0", &bytes, b"FREQ", b"7"]).is("+OK");
        redis.run("OBJECT IDLETIME m").is(":0");
        redis.run("CONFIG SET maxmemory-policy allkeys-lfu").is("+OK");
        redis.run_bytes(&[b"RESTORE", b"n", b"0", &bytes, b"freq", b"100"]).is("+OK");
        redis.run("OBJECT FREQ n").is(":100");
        redis
            .run_bytes(&[b"RESTORE", b"o", b"0", &bytes, b"FREQ", b"1", b"IDLETIME", b"1"])
            .is("-ERR syntax error");
    }

    #[test]
    fn restore_sets_an_expire_time() {
        let mut redis = TestServer::new();
        redis.run("SET k v");
        let bytes = payload(&mut redis, "k");
        redis.run_bytes(&[b"RESTORE", b"l", b"5000", &bytes]).is("+OK");
        redis.run("PTTL l").is(":5000");
        let at_ms = b"1700000009000";
        redis.run_bytes(&[b"RESTORE", b"m", at_ms, &bytes, b"ABSTTL"]).is("+OK");
        redis.run("PTTL m").is(":9000");
        redis.run_bytes(&[b"RESTORE", b"m", b"1", &bytes, b"ABSTTL", b"REPLACE"]).is("+OK");
        redis.run("EXISTS m").is(":0");
    }
}
