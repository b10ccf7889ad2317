//! Changing a part of a value.

use bytes::Bytes;

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::{Expiry, NewString};
use crate::resp::Args;
use crate::resp::number::parse_i64;

const BAD_OFFSET: CommandError = CommandError::Text("ERR offset is out of range");

/// `APPEND key value` -> length in bytes after the append. Amortized O(1), plus a copy of the value.
pub(super) fn append(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, suffix) = (args.key(1), args.bytes(2));
    let len = match ctx.db.find_write(key) {
        None => {
            ctx.db.set_string_at(None, key, NewString::encode(suffix), Expiry::Clear);
            suffix.len()
        }
        Some(slot) => {
            let len = checked_len(ctx, ctx.db.string(slot)?.len(), suffix.len())?;
            ctx.db.edit_string_at(slot, |bytes| {
                reserve(bytes, suffix.len())?;
                bytes.extend_from_slice(suffix);
                Ok::<(), CommandError>(())
            })?;
            len
        }
    };
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::STRING, "append", key);
    ctx.reply.integer(len as i64);
    Ok(())
}

/// `SETRANGE key offset value` -> length in bytes afterwards. What was not there is zeros. Linear in the value, and in
/// the zeros.
pub(super) fn setrange(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, part) = (args.key(1), args.bytes(3));
    let offset = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    let offset = usize::try_from(offset).map_err(|_| BAD_OFFSET)?;
    let found = ctx.db.find_write(key);
    let len = found.map(|slot| ctx.db.string(slot)).transpose()?.map_or(0, |value| value.len());
    if part.is_empty() {
        ctx.reply.integer(len as i64);
        return Ok(());
    }
    let end = checked_len(ctx, offset, part.len())?;
    match found {
        None => {
            let mut bytes = Vec::new();
            overwrite(&mut bytes, offset, end, part)?;
            ctx.db.set_string_at(None, key, NewString::Shared(Bytes::from(bytes)), Expiry::Clear);
        }
        Some(slot) => {
            ctx.db.edit_string_at(slot, |bytes| overwrite(bytes, offset, end, part))?;
        }
    }
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::STRING, "setrange", key);
    ctx.reply.integer(len.max(end) as i64);
    Ok(())
}

fn overwrite(
    bytes: &mut Vec<u8>,
    offset: usize,
    end: usize,
    part: &[u8],
) -> Result<(), CommandError> {
    if end > bytes.len() {
        reserve(bytes, end - bytes.len())?;
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(part);
    Ok(())
}

/// The length of two parts together, if a string may be as long.
fn checked_len(ctx: &Ctx<'_>, len: usize, more: usize) -> Result<usize, CommandError> {
    let len_max = ctx.server.config.proto_max_bulk_len;
    len.checked_add(more).filter(|&len| len as u64 <= len_max).ok_or(CommandError::StringTooLong)
}

/// Memory that is not there is the client's misfortune, not the server's.
fn reserve(bytes: &mut Vec<u8>, more: usize) -> Result<(), CommandError> {
    bytes.try_reserve(more).map_err(|_| CommandError::OutOfMemory)
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    const TOO_LONG: &str = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";

    #[test]
    fn append_creates_then_extends() {
        let mut redis = TestServer::new();
        redis.run("APPEND k ab").is(":2");
        redis.run("APPEND k cd").is(":4");
        redis.run("APPEND k \"\"").is(":4");
        redis.run("GET k").is("$4 abcd");
        redis.run("SET n 12");
        redis.run("APPEND n 3").is(":3");
        redis.run("GET n").is("$3 123");
    }

    #[test]
    fn append_keeps_the_expire_time() {
        let mut redis = TestServer::new();
        redis.run("SET k ab PX 100").is("+OK");
        redis.run("APPEND k c").is(":3");
        redis.advance_ms(100); // a key lives through its last millisecond
        redis.run("GET k").is("$3 abc");
        redis.advance_ms(1);
        redis.run("GET k").is("$-1");
    }

    #[test]
    fn a_value_grows_from_short_to_long() {
        let mut redis = TestServer::new();
        let part = "x".repeat(100);
        for round in 1..=100 {
            redis.run(&format!("APPEND k {part}")).is(&format!(":{}", round * 100));
        }
        redis.run("SETRANGE k 9999 yz").is(":10001");
        redis.run("GETRANGE k 9997 -1").is("$4 xxyz");
    }

    #[test]
    fn setrange_fills_up_with_zeros() {
        let mut redis = TestServer::new();
        redis.run("SETRANGE k 2 ab").is(":4");
        redis.run("GET k").is("$4 \0\0ab");
        redis.run("SETRANGE k 1 x").is(":4");
        redis.run("SETRANGE k 5 y").is(":6");
        redis.run("GET k").is("$6 \0xab\0y");
        redis.run("SET n 1234");
        redis.run("SETRANGE n 1 99").is(":4");
        redis.run("GET n").is("$4 1994");
    }

    #[test]
    fn setrange_of_nothing_changes_nothing() {
        let mut redis = TestServer::new();
        redis.run("SETRANGE k 0 \"\"").is(":0");
        redis.run("GET k").is("$-1");
        redis.run("SET k abc PX 10");
        redis.run("SETRANGE k 9223372036854775807 \"\"").is(":3");
        redis.run("SETRANGE k 0 x").is(":3");
        redis.advance_ms(11);
        redis.run("GET k").is("$-1");
    }

    #[test]
    fn p19_what_would_be_too_long_is_refused() {
        let mut redis = TestServer::new();
        redis.run("SET k v");
        for key in ["k", "missing"] {
            redis.run(&format!("SETRANGE {key} 536870911 ab")).is(TOO_LONG);
            redis.run(&format!("SETRANGE {key} 9223372036854775807 a")).is(TOO_LONG);
            redis.run(&format!("SETRANGE {key} -1 a")).is("-ERR offset is out of range");
            redis
                .run(&format!("SETRANGE {key} x a"))
                .is("-ERR value is not an integer or out of range");
        }
        redis.run("MGET k missing").is("*2 $1 v $-1");
    }

    #[test]
    fn append_stops_at_the_limit() {
        let mut redis = TestServer::with(|config| config.proto_max_bulk_len = 1 << 20);
        redis.run("SETRANGE k 1048574 x").is(":1048575");
        redis.run("APPEND k y").is(":1048576");
        redis.run("APPEND k z").is(TOO_LONG);
        redis.run("STRLEN k").is(":1048576");
    }
}
