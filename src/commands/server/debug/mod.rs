//! `DEBUG`: what tests and developers need and nobody else should have. Off unless `enable-debug-command` says so.

mod data;
mod digest;
mod protocol;
mod reload;

use std::ops::RangeInclusive;

use super::config::reply_rewritten;
use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx, reply_help};
use crate::config::Written;
use crate::config::value::ProtectedAction;
use crate::log::Level;
use crate::resp::Args;

/// The row of `DEBUG`. As in Redis its subcommands have no rows.
pub const DEBUG: Command =
    command("debug", Arity::AtLeast(2), ADMIN.and(NOSCRIPT).and(LOADING).and(STALE), &[], debug)
        .docs("1.0.0", "", "Depends on subcommand.", "A container for debugging commands.");

const NOT_ALLOWED: CommandError = CommandError::Text(
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local \
     connection, otherwise you need to set this option in the configuration file, and then restart the server.",
);

/// A subcommand: name in lower case, number of arguments with `DEBUG` and its own name, code, help.
struct Subcommand {
    name: &'static str,
    arguments: RangeInclusive<usize>,
    run: Handler,
    help: &'static [&'static str],
}

const fn subcommand(
    name: &'static str,
    arguments: RangeInclusive<usize>,
    run: Handler,
    help: &'static [&'static str],
) -> Subcommand {
    Subcommand { name, arguments, run, help }
}

const SUBCOMMANDS: &[Subcommand] = &[
    subcommand(
        "change-repl-id",
        2..=2,
        change_repl_id,
        &[
            "CHANGE-REPL-ID",
            "    Change the replication IDs of the instance.",
            "    Dangerous: should be used only for testing the replication subsystem.",
        ],
    ),
    subcommand(
        "config-rewrite-force-all",
        2..=2,
        config_rewrite_force_all,
        &[
            "CONFIG-REWRITE-FORCE-ALL",
            "    Like CONFIG REWRITE but writes all configuration options, including",
            "    keywords not listed in original configuration file or default values.",
        ],
    ),
    subcommand(
        "digest",
        2..=2,
        digest::digest,
        &["DIGEST", "    Output a hex signature representing the current DB content."],
    ),
    subcommand(
        "digest-value",
        2..=usize::MAX,
        digest::digest_value,
        &[
            "DIGEST-VALUE <key> [<key> ...]",
            "    Output a hex signature of the values of all the specified keys.",
        ],
    ),
    subcommand(
        "error",
        3..=3,
        protocol::error,
        &[
            "ERROR <string>",
            "    Return a Redis protocol error with <string> as message. Useful for clients",
            "    unit tests to simulate Redis errors.",
        ],
    ),
    subcommand("log", 3..=3, log, &["LOG <message>", "    Write <message> to the server log."]),
    subcommand(
        "htstats",
        3..=3,
        data::htstats,
        &["HTSTATS <dbid>", "    Return hash table statistics of the specified Redis database."],
    ),
    subcommand(
        "htstats-key",
        3..=3,
        data::htstats_key,
        &["HTSTATS-KEY <key>", "    Like HTSTATS but for the hash table stored at <key>'s value."],
    ),
    subcommand("panic", 2..=2, panic, &["PANIC", "    Crash the server simulating a panic."]),
    subcommand(
        "object",
        3..=3,
        data::object,
        &["OBJECT <key>", "    Show low level info about `key` and associated value."],
    ),
    subcommand(
        "pause-cron",
        3..=3,
        pause_cron,
        &["PAUSE-CRON <0|1>", "    Stop periodic cron job processing."],
    ),
    subcommand(
        "populate",
        3..=5,
        data::populate,
        &[
            "POPULATE <count> [<prefix>] [<size>]",
            "    Create <count> string keys named key:<num>. If <prefix> is specified then",
            "    it is used instead of the 'key' prefix.",
        ],
    ),
    subcommand(
        "protocol",
        3..=3,
        protocol::protocol,
        &[
            "PROTOCOL <type>",
            "    Reply with a test value of the specified type. <type> can be: string,",
            "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
            "    true, false.",
        ],
    ),
    subcommand(
        "reload",
        2..=usize::MAX,
        reload::reload,
        &[
            "RELOAD [option ...]",
            "    Save the RDB on disk and reload it back to memory. Valid <option> values:",
            "    * MERGE: conflicting keys will be loaded from RDB.",
            "    * NOFLUSH: the existing database will not be removed before load, but",
            "      conflicting keys will generate an exception and kill the server.",
            "    * NOSAVE: the database will be loaded from an existing RDB file.",
        ],
    ),
    subcommand(
        "loadaof",
        2..=2,
        reload::loadaof,
        &["LOADAOF", "    Flush the AOF buffers on disk and reload the AOF in memory."],
    ),
    subcommand(
        "quicklist-packed-threshold",
        3..=3,
        data::quicklist_packed_threshold,
        &[
            "QUICKLIST-PACKED-THRESHOLD <size>",
            "    Sets the threshold for elements to be inserted as plain vs packed nodes",
            "    Default value is the size limit of a node, allows values up to 4GB.",
            "    Setting to 0 restores to default.",
        ],
    ),
    subcommand(
        "set-active-expire",
        3..=3,
        set_active_expire,
        &[
            "SET-ACTIVE-EXPIRE <0|1>",
            "    Setting it to 0 disables expiring keys in background when they are not",
            "    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
            "    default.",
        ],
    ),
    subcommand(
        "sleep",
        3..=3,
        sleep,
        &["SLEEP <seconds>", "    Stop the server for <seconds>. Decimals allowed."],
    ),
];

/// `DEBUG subcommand [argument ...]`.
fn debug(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let allowed = match ctx.server.config.enable_debug_command {
        ProtectedAction::Yes => true,
        ProtectedAction::Local => ctx.client().peer.is_loopback,
        ProtectedAction::No => false,
    };
    if !allowed {
        return Err(NOT_ALLOWED);
    }
    let name = args.bytes(1);
    if args.len() == 2 && name.eq_ignore_ascii_case(b"help") {
        return help(ctx);
    }
    let found = SUBCOMMANDS.iter().find(|subcommand| {
        subcommand.name.as_bytes().eq_ignore_ascii_case(name)
            && subcommand.arguments.contains(&args.len())
    });
    match found {
        Some(subcommand) => (subcommand.run)(ctx, args),
        None => Err(CommandError::wrong_subcommand(name, "DEBUG")),
    }
}

/// `DEBUG HELP` -> the subcommands.
fn help(ctx: &mut Ctx<'_>) -> CommandResult {
    let lines: Vec<&str> =
        SUBCOMMANDS.iter().flat_map(|subcommand| subcommand.help).copied().collect();
    reply_help(ctx, "DEBUG", &lines);
    Ok(())
}

/// `DEBUG PANIC` -> no reply: the server logs where it was, brings the log to the device and exits with status 1.
fn panic(_: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    panic!("DEBUG PANIC was called");
}

/// `DEBUG CHANGE-REPL-ID` -> `+OK`: followers will not take this for the history they know.
fn change_repl_id(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.server.log(
        Level::Warning,
        format_args!("Changing replication IDs after receiving DEBUG change-repl-id"),
    );
    ctx.server.change_replid();
    ctx.reply.ok();
    Ok(())
}

/// `DEBUG CONFIG-REWRITE-FORCE-ALL` -> `+OK` once the configuration file has a line for every directive.
fn config_rewrite_force_all(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    reply_rewritten(ctx, Written::All)
}

/// `DEBUG LOG message` -> `+OK`.
fn log(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let message = String::from_utf8_lossy(args.bytes(2));
    ctx.server.log(Level::Warning, format_args!("DEBUG LOG: {message}"));
    ctx.reply.ok();
    Ok(())
}

/// `DEBUG PAUSE-CRON 0|1` -> `+OK`.
fn pause_cron(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    ctx.server.cron_paused = leading_number(args.bytes(2)) as i64 != 0;
    ctx.reply.ok();
    Ok(())
}

/// `DEBUG SET-ACTIVE-EXPIRE 0|1` -> `+OK`.
fn set_active_expire(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    ctx.server.active_expire = leading_number(args.bytes(2)) as i64 != 0;
    ctx.reply.ok();
    Ok(())
}

/// `DEBUG SLEEP seconds` -> `+OK`, when they are over. All clients wait.
fn sleep(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let seconds = leading_number(args.bytes(2));
    ctx.server.environment.sleep_us((seconds * 1e6) as u64);
    ctx.reply.ok();
    Ok(())
}

/// The number that a text begins with, 0 if it begins with none: Redis reads these arguments with `strtod` and `atoi`.
fn leading_number(text: &[u8]) -> f64 {
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+');
    let len = text.iter().take_while(|byte| is_part(byte)).count();
    std::str::from_utf8(&text[..len]).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::TestServer;

    /// A server that allows `DEBUG`.
    pub(super) fn debuggable() -> TestServer {
        TestServer::with(|config| config.enable_debug_command = ProtectedAction::Yes)
    }

    #[test]
    fn debug_is_off_unless_allowed() {
        let mut redis = TestServer::new();
        redis.run("DEBUG JMAP").is(&format!("-{NOT_ALLOWED}"));
        redis.run("DEBUG").is("-ERR wrong number of arguments for 'debug' command");
        redis.server.state.config.enable_debug_command = ProtectedAction::Local;
        redis.run("DEBUG SLEEP 0").is("+OK");
        redis.server.state.clients.iter_mut().for_each(|client| client.peer.is_loopback = false);
        redis.run("DEBUG SLEEP 0").starts("-ERR DEBUG command not allowed.");
    }

    #[test]
    fn unknown_subcommands_and_wrong_numbers_of_arguments_are_refused_alike() {
        let mut redis = debuggable();
        for (line, name) in
            [("DEBUG JMAP", "JMAP"), ("DEBUG error", "error"), ("DEBUG HELP x", "HELP")]
        {
            redis.run(line).is(&format!(
                "-ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP."
            ));
        }
    }

    #[test]
    fn sleep_stops_the_server_for_so_long() {
        let mut redis = debuggable();
        redis.run("DEBUG SLEEP 0.25").is("+OK");
        assert_eq!(redis.world.borrow().now.unix_us, 1_700_000_000_250_000);
        for nothing in ["0", "abc", "-1", "1-1"] {
            redis.run(&format!("DEBUG SLEEP {nothing}")).is("+OK");
        }
        assert_eq!(redis.world.borrow().now.unix_us, 1_700_000_000_250_000);
    }

    #[test]
    fn log_writes_to_the_log() {
        let mut redis = debuggable();
        redis.run("DEBUG LOG hello").is("+OK");
        assert_eq!(redis.world.borrow().log.last().unwrap(), "DEBUG LOG: hello");
    }

    #[test]
    fn change_repl_id_makes_a_new_one() {
        let mut redis = debuggable();
        let before = redis.server.state.replication.history.replid;
        redis.run("DEBUG CHANGE-REPL-ID").is("+OK");
        let after = redis.server.state.replication.history.replid;
        assert_ne!(after, before);
    }

    #[test]
    fn a_file_can_be_rewritten_with_all_directives() {
        let mut redis = debuggable();
        redis.world.borrow_mut().config_file = Some("hz 20\n".into());
        redis.run("DEBUG CONFIG-REWRITE-FORCE-ALL").is("+OK");
        let text = redis.world.borrow().config_file.clone().unwrap();
        assert!(text.contains("hz 10\n") && text.contains("\nmaxmemory 0\n"), "{text}");
    }

    #[test]
    fn help_names_every_subcommand() {
        let help = debuggable().run("DEBUG HELP").0;
        for subcommand in SUBCOMMANDS {
            assert!(help.contains(&format!("+{}", subcommand.name.to_ascii_uppercase())), "{help}");
        }
    }
}
