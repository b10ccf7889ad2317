//! Snapshots and the log, on demand. The work is done in the background, a little each turn; only `SAVE` makes everybody
//! wait.

use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx};
use crate::resp::Args;
use Arity::{AtLeast, Exactly};

/// The row of `BGREWRITEAOF`.
pub const BGREWRITEAOF: Command = command(
    "bgrewriteaof",
    Exactly(1),
    ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING),
    &[],
    bgrewriteaof,
)
.docs("1.0.0", "", "O(1)", "Asynchronously rewrites the append-only file to disk.");

/// The row of `BGSAVE`.
pub const BGSAVE: Command =
    command("bgsave", AtLeast(1), ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING), &[], bgsave).docs(
        "1.0.0",
        "[SCHEDULE]",
        "O(1)",
        "Asynchronously saves the database(s) to disk.",
    );

/// The row of `LASTSAVE`.
pub const LASTSAVE: Command =
    command("lastsave", Exactly(1), LOADING.and(STALE).and(FAST), &[], lastsave)
        .docs(
            "1.0.0",
            "",
            "O(1)",
            "Returns the Unix timestamp of the last successful save to disk.",
        )
        .categories(&["admin", "dangerous"])
        .tips(&["nondeterministic_output"]);

/// The row of `SAVE`.
pub const SAVE: Command =
    command("save", Exactly(1), ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING).and(NO_MULTI), &[], save)
        .docs(
            "1.0.0",
            "",
            "O(N) where N is the total number of keys in all databases",
            "Synchronously saves the database(s) to disk.",
        );

const SAVE_IN_PROGRESS: CommandError =
    CommandError::Text("ERR Background save already in progress");

/// `BGREWRITEAOF` -> a text: whether it begins now or after the snapshot that is being taken. O(1).
fn bgrewriteaof(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let durability = &mut ctx.server.durability;
    if durability.is_rewriting() || durability.facts.rewrite_scheduled {
        return Err(CommandError::Text(
            "ERR Background append only file rewriting already in progress",
        ));
    }
    durability.facts.rewrite_scheduled = true;
    durability.facts.retry_us = 0;
    let waits = durability.is_saving() || ctx.server.replication.full_sync.is_some();
    ctx.reply.simple(match waits {
        true => "Background append only file rewriting scheduled",
        false => "Background append only file rewriting started",
    });
    Ok(())
}

/// `BGSAVE [SCHEDULE]` -> a text: whether it begins now or after the rewrite that is running. O(1).
fn bgsave(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let schedule = match args.get(1) {
        None => false,
        Some(word) if args.len() == 2 && word.eq_ignore_ascii_case(b"schedule") => true,
        Some(_) => return Err(CommandError::Syntax),
    };
    let durability = &mut ctx.server.durability;
    if durability.is_saving() || durability.facts.save_scheduled && !durability.is_rewriting() {
        return Err(SAVE_IN_PROGRESS);
    }
    if durability.is_rewriting() && !schedule {
        return Err(CommandError::Text(
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
        ));
    }
    durability.facts.save_scheduled = true;
    durability.facts.retry_us = 0;
    let waits = durability.is_rewriting() || ctx.server.replication.full_sync.is_some();
    ctx.reply.simple(match waits {
        true => "Background saving scheduled",
        false => "Background saving started",
    });
    Ok(())
}

/// `LASTSAVE` -> Unix time of the last save, or of the start when there was none. O(1).
fn lastsave(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.reply.integer(ctx.server.last_save_s() as i64);
    Ok(())
}

/// `SAVE` -> `+OK` when all data is in the file. O(data).
fn save(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    if ctx.server.durability.snapshot.is_some() || ctx.server.replication.full_sync.is_some() {
        return Err(SAVE_IN_PROGRESS);
    }
    if ctx.server.save_now(ctx.db.keyspace).is_err() {
        return Err(CommandError::Text("ERR"));
    }
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use crate::persistence::testing::{Fault, MemoryDisk};
    use crate::server::testing::TestServer;

    fn server(disk: &MemoryDisk) -> TestServer {
        let mut redis = TestServer::on_disk(disk, |config| {
            config.appendonly = false;
            config.dir = "data".into();
        });
        redis.server.open_files().unwrap();
        while redis.server.state.durability.loading.is_some() {
            redis.advance_ms(1);
        }
        redis
    }

    const DATA: &[&str] = &[
        "SET string value",
        "SET number 12 PX 100000",
        "RPUSH list a b c",
        "SADD set 1 2 3",
        "ZADD zset 1 a 2 b",
        "HSET hash f v",
    ];

    #[test]
    fn what_was_saved_is_there_after_a_restart() {
        for command in ["SAVE", "BGSAVE"] {
            let disk = MemoryDisk::default();
            let mut redis = server(&disk);
            DATA.iter().for_each(|line| {
                redis.run(line);
            });
            redis.run(command);
            (0..5).for_each(|_| redis.advance_ms(1));
            let digest = redis.run("DBSIZE").0;
            drop(redis);
            disk.cut_power();
            let mut redis = server(&disk);
            redis.run("DBSIZE").is(&digest);
            redis.run("LRANGE list 0 -1").is("*3 $1 a $1 b $1 c");
            redis.run("ZSCORE zset b").is("$1 2");
            redis.run("PTTL number").starts(":9");
        }
    }

    #[test]
    fn a_save_that_fails_leaves_the_old_file_and_refuses_writes() {
        let disk = MemoryDisk::default();
        let mut redis = server(&disk);
        redis.run("SET a 1");
        redis.run("SAVE").is("+OK");
        let saved = disk.bytes("data/dump.rdb");
        redis.run("SET a 2");
        disk.fail(Fault::Append(3, ErrorKind::StorageFull));
        redis.run("BGSAVE").is("+Background saving started");
        (0..5).for_each(|_| redis.advance_ms(1));
        assert_eq!(disk.bytes("data/dump.rdb"), saved);
        assert!(!disk.all_names().iter().any(|name| name.contains("temp")));
        redis.run("SET a 3").starts("-MISCONF Redis is configured to save RDB snapshots");
        redis.run("BGSAVE").is("+Background saving started");
        (0..5).for_each(|_| redis.advance_ms(1));
        redis.run("SET a 3").is("+OK");
        redis.run("LASTSAVE").is(":1700000000");
    }

    #[test]
    fn one_snapshot_at_a_time() {
        let disk = MemoryDisk::default();
        let mut redis = server(&disk);
        redis.world.borrow_mut().jobs_are_held = true;
        redis.run("BGSAVE").is("+Background saving started");
        redis.run("BGSAVE").is("-ERR Background save already in progress");
        redis.run("SAVE").is("-ERR Background save already in progress");
        redis.run("BGREWRITEAOF").is("+Background append only file rewriting scheduled");
        redis.run("BGSAVE x").is("-ERR syntax error");
        redis.world.borrow_mut().jobs_are_held = false;
        (0..9).for_each(|_| redis.advance_ms(1));
        assert!(redis.server.state.durability.snapshot.is_none());
    }
}
