//! Reading a value whole, or a part of it, and reading it for the last time.

use std::ops::Range;

use super::options::{GETEX, Lifetime, Options, expire_at_ms};
use super::reply_string;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::StringValue;
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// `GET key` -> the string, or null. O(1).
pub(super) fn get(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let value = ctx.db.read_string(args.key(1))?;
    reply_string(ctx.reply, value);
    Ok(())
}

/// `GETDEL key` -> the string, which is deleted, or null. O(1).
pub(super) fn getdel(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let found = ctx.db.find_read(key);
    let value = found.map(|slot| ctx.db.string(slot)).transpose()?;
    reply_string(ctx.reply, value);
    if let Some(slot) = found {
        ctx.delete(slot, key);
    }
    Ok(())
}

/// `GETEX key [option ...]` -> the string, whose expire time is changed, or null. O(1).
pub(super) fn getex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let options = Options::parse(args.tail(2), GETEX)?;
    let Some(slot) = ctx.db.find_read(key) else {
        ctx.reply.null();
        return Ok(());
    };
    let value = ctx.db.string(slot)?;
    let old_ms = ctx.db.expire_at_ms(slot);
    let new_ms = match options.lifetime {
        Lifetime::Until(clock, amount) => Some(expire_at_ms(ctx, clock, amount)?),
        Lifetime::Persist => None,
        Lifetime::Unsaid | Lifetime::Keep => old_ms,
    };
    reply_string(ctx.reply, Some(value));
    let now_ms = ctx.now_ms();
    let event = match options.lifetime {
        Lifetime::Until(..) if new_ms.is_some_and(|at_ms| at_ms <= now_ms) => {
            ctx.db.remove(slot);
            "del"
        }
        Lifetime::Until(..) => {
            ctx.db.set_expire_at(slot, new_ms);
            "expire"
        }
        Lifetime::Persist if old_ms.is_some() => {
            ctx.db.set_expire_at(slot, None);
            "persist"
        }
        _ => return Ok(()),
    };
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::GENERIC, event, key);
    match (event, new_ms) {
        ("expire", Some(at_ms)) => {
            ctx.propagate(&[b"PEXPIREAT", key, at_ms.to_string().as_bytes()]);
        }
        ("persist", _) => ctx.propagate(&[b"PERSIST", key]),
        _ => ctx.propagate(&[b"DEL", key]),
    }
    Ok(())
}

/// `STRLEN key` -> length in bytes, 0 if there is none. O(1).
pub(super) fn strlen(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let len = ctx.db.read_string(args.key(1))?.map_or(0, StringValue::len);
    ctx.reply.integer(len as i64);
    Ok(())
}

/// `GETRANGE key start end` -> the bytes from start to end, both included, negative from the end. Linear in them.
pub(super) fn getrange(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let start = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    let end = parse_i64(args.bytes(3)).ok_or(CommandError::NotAnInteger)?;
    match ctx.db.read_string(args.key(1))? {
        None => ctx.reply.bulk(b""),
        Some(StringValue::Shared(bytes)) => {
            ctx.reply.bulk_shared(&bytes.slice(byte_range(start, end, bytes.len())));
        }
        Some(value) => {
            let mut buffer = itoa::Buffer::new();
            let bytes = value.bytes(&mut buffer);
            ctx.reply.bulk(&bytes[byte_range(start, end, bytes.len())]);
        }
    }
    Ok(())
}

/// Which bytes of `len` are from `start` to `end`.
fn byte_range(start: i64, end: i64, len: usize) -> Range<usize> {
    // Redis turns negative positions that lie before the string into 0, unless they are in the wrong order.
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let position = |index: i64| match usize::try_from(index) {
        Ok(from_start) => from_start,
        Err(_) => len.saturating_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let end = position(end).saturating_add(1).min(len);
    position(start).min(end)..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::TestServer;

    #[test]
    fn get_returns_what_was_set() {
        let mut redis = TestServer::new();
        redis.run("GET k").is("$-1");
        redis.run("SET k ab").is("+OK");
        redis.run("GET k").is("$2 ab");
        redis.run("SET k -12").is("+OK");
        redis.run("GET k").is("$3 -12");
        redis.run("SET k \"\"").is("+OK");
        redis.run("GET k").is("$0");
        redis.run("GET k extra").is("-ERR wrong number of arguments for 'get' command");
    }

    #[test]
    fn getdel_returns_and_deletes() {
        let mut redis = TestServer::new();
        redis.run("GETDEL k").is("$-1");
        redis.run("SET k 12");
        redis.run("GETDEL k").is("$2 12");
        redis.run("GET k").is("$-1");
    }

    #[test]
    fn getex_sets_keeps_and_takes_away_the_expire_time() {
        let mut redis = TestServer::new();
        redis.run("SET k ab");
        redis.run("GETEX k PX 10").is("$2 ab");
        redis.run("GETEX k").is("$2 ab");
        redis.run("GETEX k PERSIST").is("$2 ab");
        redis.advance_ms(11);
        redis.run("GETEX k EX 1").is("$2 ab");
        redis.advance_ms(1000);
        redis.run("GET k").is("$2 ab");
        redis.advance_ms(1);
        redis.run("GETEX k EX 1").is("$-1");
    }

    #[test]
    fn getex_with_a_time_that_is_past_returns_and_deletes() {
        let mut redis = TestServer::new();
        for option in ["PXAT 1", "EXAT 1700000000"] {
            redis.run("SET k ab");
            redis.run(&format!("GETEX k {option}")).is("$2 ab");
            redis.run("GET k").is("$-1");
        }
    }

    #[test]
    fn getex_of_a_missing_key_does_not_look_at_the_time() {
        let mut redis = TestServer::new();
        redis.run("GETEX k EX 0").is("$-1");
        redis.run("GETEX k EX").is("-ERR syntax error");
    }

    #[test]
    fn getrange_cuts_what_is_outside() {
        let mut redis = TestServer::new();
        redis.run("SET k 12345");
        for (range, part) in [
            ("0 3", "$4 1234"),
            ("0 -1", "$5 12345"),
            ("-3 -1", "$3 345"),
            ("5 3", "$0"),
            ("5 5000", "$0"),
            ("-5000 10000", "$5 12345"),
            ("-5000 -4000", "$1 1"),
            ("-4000 -5000", "$0"),
            ("-9223372036854775808 9223372036854775807", "$5 12345"),
        ] {
            redis.run(&format!("GETRANGE k {range}")).is(part);
            redis.run(&format!("SUBSTR k {range}")).is(part);
        }
        redis.run("GETRANGE missing 0 -1").is("$0");
        redis.run("GETRANGE k 0 x").is("-ERR value is not an integer or out of range");
    }

    #[test]
    fn ranges_of_nothing_are_empty() {
        for (start, end) in [(0, 0), (0, -1), (-1, -1), (-2, 5), (i64::MIN, i64::MAX)] {
            assert_eq!(byte_range(start, end, 0), 0..0);
        }
    }

    #[test]
    fn getrange_of_a_long_value() {
        let mut redis = TestServer::new();
        let long = "x".repeat(5000) + "tail";
        redis.run(&format!("SET k {long}"));
        redis.run("GETRANGE k -4 -1").is("$4 tail");
        redis.run("GETRANGE k 0 4999").is(&format!("$5000 {}", "x".repeat(5000)));
    }

    #[test]
    fn strlen_counts_bytes() {
        let mut redis = TestServer::new();
        redis.run("STRLEN k").is(":0");
        redis.run("SET k -55");
        redis.run("STRLEN k").is(":3");
        redis.run_bytes(&[b"SET", b"k", &[0, 255, b'\r', b'\n']]).is("+OK");
        redis.run("STRLEN k").is(":4");
    }
}
