//! `SLOWLOG`, and `COMMANDLOG` that also tells of large requests and replies. What is noted is in `server::slowlog`.

use super::container;
use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx, reply_help};
use crate::resp::number::parse_i64;
use crate::resp::{Args, Reply};
use crate::server::{CommandLog, LogEntry, LogKind};
use Arity::{AtLeast, Exactly};

/// Entries of `SLOWLOG GET` without a count.
const COUNT_DEFAULT: usize = 10;

const LOG_FLAGS: Flags = ADMIN.and(LOADING).and(STALE);
const GET_TIPS: &[&str] = &["request_policy:all_nodes", "nondeterministic_output"];
const LEN_TIPS: &[&str] =
    &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"];
const RESET_TIPS: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const HELP: Command = command("help", Exactly(2), LOADING.and(STALE), &[], container);
const HELP_SUMMARY: &str = "Shows helpful text about the different subcommands.";
const KIND_SYNTAX: &str = "<SLOW | LARGE-REQUEST | LARGE-REPLY>";

/// What `SLOWLOG HELP` says.
pub const SLOWLOG_HELP: &[&str] = &[
    "GET [<count>]",
    "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
    "    Entries are made of:",
    "    id, timestamp, time in microseconds, arguments array, client IP and port,",
    "    client name",
    "LEN",
    "    Return the length of the slowlog.",
    "RESET",
    "    Reset the slowlog.",
];

/// The row of `SLOWLOG`.
pub const SLOWLOG: Command = command("slowlog", AtLeast(2), Flags::NONE, &[], container)
    .docs("2.2.12", "", "Depends on subcommand.", "A container for slow log commands.")
    .subcommands(&[
        command("get", AtLeast(2), LOG_FLAGS, &[], slowlog_get)
            .docs(
                "2.2.12",
                "[count]",
                "O(N) where N is the number of entries returned",
                "Returns the slow log's entries.",
            )
            .tips(GET_TIPS),
        Command { handler: slowlog_help, ..HELP }.docs("6.2.0", "", "O(1)", HELP_SUMMARY),
        command("len", Exactly(2), LOG_FLAGS, &[], slowlog_len)
            .docs("2.2.12", "", "O(1)", "Returns the number of entries in the slow log.")
            .tips(LEN_TIPS),
        command("reset", Exactly(2), LOG_FLAGS, &[], slowlog_reset)
            .docs(
                "2.2.12",
                "",
                "O(N) where N is the number of entries in the slowlog",
                "Clears all entries from the slow log.",
            )
            .tips(RESET_TIPS),
    ]);

/// The row of `COMMANDLOG`.
pub const COMMANDLOG: Command = command("commandlog", AtLeast(2), Flags::NONE, &[], container)
    .docs("8.1.0", "", "Depends on subcommand.", "A container for command log commands.")
    .subcommands(&[
        command("get", Exactly(4), LOG_FLAGS, &[], commandlog_get)
            .docs(
                "8.1.0",
                "count <SLOW | LARGE-REQUEST | LARGE-REPLY>",
                "O(N) where N is the number of entries returned",
                "Returns the specified command log's entries.",
            )
            .tips(GET_TIPS),
        Command { handler: commandlog_help, ..HELP }.docs("8.1.0", "", "O(1)", HELP_SUMMARY),
        command("len", Exactly(3), LOG_FLAGS, &[], commandlog_len)
            .docs(
                "8.1.0",
                KIND_SYNTAX,
                "O(1)",
                "Returns the number of entries in the specified type of command log.",
            )
            .tips(LEN_TIPS),
        command("reset", Exactly(3), LOG_FLAGS, &[], commandlog_reset)
            .docs(
                "8.1.0",
                KIND_SYNTAX,
                "O(N) where N is the number of entries in the commandlog",
                "Clears all entries from the specified type of command log.",
            )
            .tips(RESET_TIPS),
    ]);

/// `SLOWLOG GET [count]` -> the newest entries; -1 means all. O(count).
fn slowlog_get(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let count = slowlog_count(args)?;
    reply_entries(ctx, LogKind::Slow, count);
    Ok(())
}

/// How many entries a `SLOWLOG GET` asks for.
pub fn slowlog_count(args: &Args<'_>) -> Result<usize, CommandError> {
    match args.len() {
        2 => Ok(COUNT_DEFAULT),
        3 => count(args.bytes(2)),
        _ => Err(wrong_arguments(args)),
    }
}

/// Redis has no subcommand row of that length and says so.
fn wrong_arguments(args: &Args<'_>) -> CommandError {
    CommandError::wrong_subcommand(args.bytes(1), "SLOWLOG")
}

/// `SLOWLOG LEN` -> number of entries. O(1).
fn slowlog_len(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    reply_len(ctx, LogKind::Slow);
    Ok(())
}

/// `SLOWLOG RESET` -> `+OK`. O(entries).
fn slowlog_reset(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    reset(ctx, LogKind::Slow);
    Ok(())
}

/// `SLOWLOG HELP` -> the subcommands.
fn slowlog_help(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    reply_help(ctx, "SLOWLOG", SLOWLOG_HELP);
    Ok(())
}

/// `COMMANDLOG GET count type` -> the newest entries of that kind; -1 means all. O(count).
fn commandlog_get(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let count = count(args.bytes(2))?;
    reply_entries(ctx, kind(args.bytes(3))?, count);
    Ok(())
}

/// `COMMANDLOG LEN type` -> number of entries. O(1).
fn commandlog_len(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_len(ctx, kind(args.bytes(2))?);
    Ok(())
}

/// `COMMANDLOG RESET type` -> `+OK`. O(entries).
fn commandlog_reset(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reset(ctx, kind(args.bytes(2))?);
    Ok(())
}

/// `COMMANDLOG HELP` -> the subcommands.
fn commandlog_help(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let lines = [
        "GET <count> <type>",
        "    Return top <count> entries of the specified <type> from the commandlog (-1 mean all).",
        "    Entries are made of:",
        "    id, timestamp,",
        "        time in microseconds for type of slow,",
        "        or size in bytes for type of large-request,",
        "        or size in bytes for type of large-reply",
        "    arguments array, client IP and port,",
        "    client name",
        "LEN <type>",
        "    Return the length of the specified type of commandlog.",
        "RESET <type>",
        "    Reset the specified type of commandlog.",
    ];
    reply_help(ctx, "COMMANDLOG", &lines);
    Ok(())
}

fn count(text: &[u8]) -> Result<usize, CommandError> {
    match parse_i64(text) {
        Some(-1) => Ok(usize::MAX),
        Some(count @ 0..) => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        _ => Err(CommandError::Text("ERR count should be greater than or equal to -1")),
    }
}

fn kind(word: &[u8]) -> Result<LogKind, CommandError> {
    match word.to_ascii_lowercase().as_slice() {
        b"slow" => Ok(LogKind::Slow),
        b"large-request" => Ok(LogKind::LargeRequest),
        b"large-reply" => Ok(LogKind::LargeReply),
        _ => Err(CommandError::Text(
            "ERR type should be one of the following: slow, large-request, large-reply",
        )),
    }
}

fn reply_len(ctx: &mut Ctx<'_>, kind: LogKind) {
    ctx.reply.integer(ctx.server.command_log.entries(kind).len() as i64);
}

fn reset(ctx: &mut Ctx<'_>, kind: LogKind) {
    ctx.server.command_log.reset(kind);
    ctx.reply.ok();
}

fn reply_entries(ctx: &mut Ctx<'_>, kind: LogKind, count: usize) {
    write_entries(ctx.reply, &ctx.server.command_log, kind, count);
}

/// Writes the newest `count` entries of a kind. O(count).
pub fn write_entries(reply: &mut Reply, log: &CommandLog, kind: LogKind, count: usize) {
    let entries = log.entries(kind);
    let count = count.min(entries.len());
    reply.array(count);
    for entry in entries.iter().take(count) {
        reply_entry(reply, entry);
    }
}

fn reply_entry(reply: &mut Reply, entry: &LogEntry) {
    reply.array(6);
    reply.integer(entry.id as i64);
    reply.integer(entry.time_s as i64);
    reply.integer(entry.value as i64);
    reply.array(entry.args.len());
    for argument in &entry.args {
        reply.bulk(argument);
    }
    reply.bulk(entry.client_address.as_bytes());
    reply.bulk(&entry.client_name);
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// A server that notes every command as slow.
    fn noting_all() -> TestServer {
        TestServer::with(|config| config.slowlog_log_slower_than = 0)
    }

    #[test]
    fn slowlog_get_shows_id_time_duration_arguments_and_client() {
        let mut redis = noting_all();
        redis.run("SET k v").is("+OK");
        redis
            .run("SLOWLOG GET")
            .is("*1 *6 :0 :1700000000 :0 *3 $3 SET $1 k $1 v $15 127.0.0.1:50000 $0");
    }

    #[test]
    fn slowlog_get_is_newest_first_and_ten_unless_told() {
        let mut redis = noting_all();
        for _ in 0..12 {
            redis.run("TIME");
        }
        redis.run("SLOWLOG GET 1").starts("*1 *6 :11 ");
        redis.run("SLOWLOG GET").starts("*10 *6 :12 ");
        redis.run("SLOWLOG GET -1").starts("*14 ");
        redis.run("SLOWLOG GET 0").is("*0");
    }

    #[test]
    fn slowlog_len_and_reset() {
        let mut redis = noting_all();
        redis.run("TIME");
        redis.run("SLOWLOG LEN").is(":1");
        redis.run("SLOWLOG RESET").is("+OK");
        redis.run("SLOWLOG LEN").is(":1"); // the RESET itself
        redis.run("SLOWLOG GET 1").starts("*1 *6 :3 "); // a number is never used again
    }

    #[test]
    fn slowlog_refuses_a_wrong_count() {
        let mut redis = TestServer::new();
        for count in ["-2", "x", "9223372036854775808"] {
            redis
                .run(&format!("SLOWLOG GET {count}"))
                .is("-ERR count should be greater than or equal to -1");
        }
        redis.run("SLOWLOG GET 1 2").is(
            "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
        );
        redis.run("SLOWLOG FOO").is("-ERR unknown subcommand 'FOO'. Try SLOWLOG HELP.");
        redis.run("SLOWLOG LEN x").is("-ERR wrong number of arguments for 'slowlog|len' command");
    }

    #[test]
    fn commandlog_notes_large_requests_and_replies_as_they_are_on_the_wire() {
        let mut redis = TestServer::with(|config| {
            config.commandlog_request_larger_than = 28;
            config.commandlog_reply_larger_than = 8;
        });
        redis.run("SET k v").is("+OK"); // 27 bytes, answered with 5
        redis.run("SET k vv").is("+OK");
        redis.run("GET k").is("$2 vv");
        redis.run("COMMANDLOG LEN large-request").is(":1");
        let request = "*1 *6 :0 :1700000000 :28 *3 $3 SET $1 k $2 vv $15 127.0.0.1:50000 $0";
        redis.run("COMMANDLOG GET -1 Large-Request").starts("*2 ");
        redis.run("COMMANDLOG RESET large-request").is("+OK");
        redis.run("SET k vv").is("+OK");
        redis.run("COMMANDLOG GET 1 LARGE-REQUEST").is(&request.replace(":0 :17", ":4 :17"));
        let reply = "$3 GET $1 k $15 127.0.0.1:50000 $0";
        assert!(redis.run("COMMANDLOG GET -1 large-reply").0.ends_with(reply));
    }

    #[test]
    fn commandlog_slow_is_the_slow_log() {
        let mut redis = noting_all();
        redis.run("TIME");
        redis.run("COMMANDLOG LEN SLOW").is(":1");
        redis.run("COMMANDLOG RESET slow").is("+OK");
        redis.run("SLOWLOG LEN").is(":1");
    }

    #[test]
    fn commandlog_refuses_other_types() {
        let mut redis = TestServer::new();
        let refused = "-ERR type should be one of the following: slow, large-request, large-reply";
        redis.run("COMMANDLOG GET 1 foo").is(refused);
        redis.run("COMMANDLOG LEN foo").is(refused);
        redis.run("COMMANDLOG RESET foo").is(refused);
        redis.run("COMMANDLOG GET x foo").is("-ERR count should be greater than or equal to -1");
        redis
            .run("COMMANDLOG GET 1")
            .is("-ERR wrong number of arguments for 'commandlog|get' command");
        redis.run("COMMANDLOG HELP").starts("*16 +COMMANDLOG <subcommand>");
    }
}
