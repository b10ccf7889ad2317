//! Whole databases: how many keys, none any more, exchanged.
//!
//! A flushed database is taken away as it is and its memory dropped by another thread, so `SYNC` and `ASYNC` differ in
//! nothing a client could measure.

use std::ops::Range;

use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use Arity::{AtLeast, Exactly};

/// The row of `DBSIZE`.
pub const DBSIZE: Command = command("dbsize", Exactly(1), READ.and(FAST), &[], dbsize)
    .docs("1.0.0", "", "O(1)", "Returns the number of keys in the database.")
    .categories(&["keyspace"])
    .tips(&["request_policy:all_shards", "response_policy:agg_sum"]);

/// The row of `FLUSHALL`.
pub const FLUSHALL: Command = command("flushall", AtLeast(1), WRITE, &[], flushall)
    .docs(
        "1.0.0",
        "[ASYNC | SYNC]",
        "O(N) where N is the total number of keys in all databases",
        "Removes all keys from all databases.",
    )
    .categories(&["keyspace", "dangerous"])
    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]);

/// The row of `FLUSHDB`.
pub const FLUSHDB: Command = command("flushdb", AtLeast(1), WRITE, &[], flushdb)
    .docs(
        "1.0.0",
        "[ASYNC | SYNC]",
        "O(N) where N is the number of keys in the selected database",
        "Removes all keys from the current database.",
    )
    .categories(&["keyspace", "dangerous"])
    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]);

/// The row of `SWAPDB`.
pub const SWAPDB: Command = command("swapdb", Exactly(3), WRITE.and(FAST), &[], swapdb)
    .docs(
        "4.0.0",
        "index1 index2",
        "O(N) where N is the count of clients watching or blocking on keys from both databases.",
        "Swaps two databases.",
    )
    .categories(&["keyspace", "dangerous"]);

/// `DBSIZE` -> number of keys, those that are due but not removed yet included. O(1).
fn dbsize(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.reply.integer(ctx.db.database().len() as i64);
    Ok(())
}

/// `FLUSHALL [ASYNC | SYNC]` -> `+OK`. O(databases).
fn flushall(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    check_mode(args)?;
    flush(ctx, 0..ctx.db.keyspace.databases_len());
    ctx.reply.ok();
    Ok(())
}

/// `FLUSHDB [ASYNC | SYNC]` -> `+OK`. O(1).
fn flushdb(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    check_mode(args)?;
    flush(ctx, ctx.db.index..ctx.db.index + 1);
    ctx.reply.ok();
    Ok(())
}

fn check_mode(args: &Args<'_>) -> CommandResult {
    let is_mode =
        |word: &[u8]| word.eq_ignore_ascii_case(b"sync") || word.eq_ignore_ascii_case(b"async");
    match args.len() {
        1 => Ok(()),
        2 if is_mode(args.bytes(1)) => Ok(()),
        _ => Err(CommandError::Syntax),
    }
}

fn flush(ctx: &mut Ctx<'_>, databases: Range<usize>) {
    for index in databases.clone() {
        ctx.server.dirty += ctx.db.keyspace.flush(index) as u64;
    }
    ctx.server.databases_flushed(databases);
}

/// `SWAPDB index1 index2` -> `+OK`. O(keys that clients wait for).
fn swapdb(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let first = number(args.bytes(1), "ERR invalid first DB index")?;
    let second = number(args.bytes(2), "ERR invalid second DB index")?;
    let databases = ctx.db.keyspace.databases_len();
    let in_range = |index| usize::try_from(index).ok().filter(|&index| index < databases);
    let (Some(first), Some(second)) = (in_range(first), in_range(second)) else {
        return Err(CommandError::DbIndexOutOfRange);
    };
    ctx.db.keyspace.swap(first, second);
    ctx.server.dirty += 1;
    ctx.server.blocked_keys.database_changed(first);
    ctx.server.blocked_keys.database_changed(second);
    if first != second {
        ctx.server.databases_swapped(ctx.db.keyspace, first, second);
    }
    ctx.reply.ok();
    Ok(())
}

/// A number that fits C's `int`, as Redis reads database numbers.
fn number(text: &[u8], refusal: &'static str) -> Result<i32, CommandError> {
    let number = parse_i64(text).and_then(|number| i32::try_from(number).ok());
    number.ok_or(CommandError::Text(refusal))
}

#[cfg(test)]
mod tests {
    use crate::keyspace::{Expiry, NewString};
    use crate::server::testing::TestServer;

    /// A server with a key in database 0.
    fn with_one_key() -> TestServer {
        let mut redis = TestServer::new();
        redis.run("SET k v").is("+OK");
        redis
    }

    #[test]
    fn flushdb_empties_one_database_and_flushall_all() {
        let mut redis = with_one_key();
        redis.run("SWAPDB 0 3").is("+OK");
        redis.run("SET other v").is("+OK");
        redis.run("FLUSHDB").is("+OK");
        redis.run("DBSIZE").is(":0");
        redis.run("SWAPDB 3 0").is("+OK");
        redis.run("DBSIZE").is(":1");
        redis.run("SWAPDB 3 0").is("+OK");
        redis.run("FLUSHALL ASYNC").is("+OK");
        redis.run("SWAPDB 3 0").is("+OK");
        redis.run("DBSIZE").is(":0");
    }

    #[test]
    fn flushed_memory_is_dropped_elsewhere() {
        let mut redis = with_one_key();
        redis.run("FLUSHDB SYNC").is("+OK");
        assert_eq!(redis.world.borrow().discarded, 1);
        redis.run("FLUSHDB sync").is("+OK");
        assert_eq!(redis.world.borrow().discarded, 1, "an empty database has nothing to drop");
    }

    #[test]
    fn flush_counts_the_removed_keys_as_changes() {
        let mut redis = with_one_key();
        redis.run("SET l v").is("+OK");
        let dirty = redis.server.state.dirty;
        redis.run("FLUSHALL").is("+OK");
        assert_eq!(redis.server.state.dirty, dirty + 2);
    }

    #[test]
    fn flush_takes_one_known_word() {
        let mut redis = with_one_key();
        for line in ["FLUSHALL now", "FLUSHALL async sync", "FLUSHDB \"\"", "FLUSHDB sync sync"] {
            redis.run(line).is("-ERR syntax error");
        }
        redis.run("DBSIZE").is(":1");
        redis.run("DBSIZE x").is("-ERR wrong number of arguments for 'dbsize' command");
    }

    #[test]
    fn swapdb_refuses_what_is_no_database() {
        let mut redis = with_one_key();
        redis.run("SWAPDB a 1").is("-ERR invalid first DB index");
        redis.run("SWAPDB 0 b").is("-ERR invalid second DB index");
        redis.run("SWAPDB 4294967296 0").is("-ERR invalid first DB index");
        redis.run("SWAPDB 0 16").is("-ERR DB index is out of range");
        redis.run("SWAPDB -1 0").is("-ERR DB index is out of range");
        redis.run("SWAPDB 0").is("-ERR wrong number of arguments for 'swapdb' command");
        redis.run("SWAPDB 0 0").is("+OK");
        redis.run("GET k").is("$1 v");
    }

    #[test]
    fn a_ttl_moves_with_its_database() {
        let mut redis = TestServer::new();
        let expire_at_ms = 1_700_000_000_100;
        let value = NewString::Bytes(b"v");
        redis.server.keyspace.db(0).set_string(b"k", value, Expiry::At(expire_at_ms));
        redis.run("SWAPDB 0 1").is("+OK");
        redis.run("GET k").is("$-1");
        redis.run("SWAPDB 1 0").is("+OK");
        redis.run("GET k").is("$1 v");
        redis.advance_ms(101);
        redis.run("GET k").is("$-1");
    }
}
