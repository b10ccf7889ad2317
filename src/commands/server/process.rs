//! The server as a process: its clock, its end.

use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::server::Shutdown;
use Arity::{AtLeast, Exactly};

const SHUTDOWN_FLAGS: Flags =
    ADMIN.and(NOSCRIPT).and(LOADING).and(STALE).and(NO_MULTI).and(ALLOW_BUSY);

/// The row of `SHUTDOWN`.
pub const SHUTDOWN: Command = command("shutdown", AtLeast(1), SHUTDOWN_FLAGS, &[], shutdown).docs(
    "1.0.0",
    "[[NOSAVE | SAVE] [NOW] [FORCE] | ABORT]",
    "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
    "Synchronously saves the database(s) to disk and shuts down the server.",
);

/// The row of `TIME`.
pub const TIME: Command = command("time", Exactly(1), LOADING.and(STALE).and(FAST), &[], time)
    .docs("2.6.0", "", "O(1)", "Returns the server time.")
    .tips(&["nondeterministic_output"]);

/// `TIME` -> Unix seconds, and the microseconds beyond. O(1).
fn time(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    // Not the time of the turn: who asks for microseconds wants them.
    let unix_us = ctx.server.environment.now().unix_us;
    ctx.reply.array(2);
    ctx.reply.bulk_integer((unix_us / 1_000_000) as i64);
    ctx.reply.bulk_integer((unix_us % 1_000_000) as i64);
    Ok(())
}

/// What the words after `SHUTDOWN` ask for.
#[derive(Default)]
struct ShutdownOptions {
    save: bool,
    no_save: bool,
    now: bool,
    force: bool,
    abort: bool,
}

impl ShutdownOptions {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        for word in args.iter().skip(1) {
            let option = match word.to_ascii_lowercase().as_slice() {
                b"save" => &mut options.save,
                b"nosave" => &mut options.no_save,
                b"now" => &mut options.now,
                b"force" => &mut options.force,
                b"abort" => &mut options.abort,
                _ => return Err(CommandError::Syntax),
            };
            *option = true;
        }
        let stops = options.save || options.no_save || options.now || options.force;
        if options.abort && stops || options.save && options.no_save {
            return Err(CommandError::Syntax);
        }
        Ok(options)
    }
}

/// `SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]` -> no reply: the connection ends with the process. `ABORT` -> `+OK`.
/// O(replicas).
fn shutdown(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let options = ShutdownOptions::parse(args)?;
    if options.abort {
        if !ctx.server.abort_shutdown(ctx.db.keyspace) {
            return Err(CommandError::Text("ERR No shutdown in progress."));
        }
        ctx.reply.ok();
        return Ok(());
    }
    let stop = Shutdown {
        save: match (options.save, options.no_save) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        force: options.force,
        now: options.now,
    };
    if ctx.server.shut_down(ctx.db.keyspace, &stop)? {
        ctx.server.close_after_write(ctx.token); // what it sent behind this command is not run
    } else {
        ctx.server.reply_if_no_shutdown(ctx.token);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use crate::persistence::testing::Fault;
    use crate::server::testing::TestServer;

    #[test]
    fn time_is_in_seconds_and_microseconds() {
        let mut redis = TestServer::new();
        redis.world.borrow_mut().now.unix_us += 42;
        redis.run("TIME").is("*2 $10 1700000000 $2 42");
        redis.run("TIME x").is("-ERR wrong number of arguments for 'time' command");
    }

    #[test]
    fn shutdown_stops_accepting_and_exits_with_zero_and_no_reply() {
        for line in ["SHUTDOWN", "shutdown nosave now force", "SHUTDOWN SAVE FORCE"] {
            let mut redis = TestServer::new();
            redis.run(line).is("");
            assert!(redis.actions.stop_accepting, "{line}");
            assert_eq!(redis.actions.exit, Some(0), "{line}");
        }
    }

    #[test]
    fn what_came_before_a_shutdown_is_answered_and_what_came_after_is_not_run() {
        let mut redis = TestServer::new();
        let client = redis.connect();
        redis.receive(client, b"SET k v\r\nSHUTDOWN\r\nSET l v\r\n").is("+OK");
        let keys: usize = redis.server.keyspace.databases().iter().map(|db| db.len()).sum();
        assert_eq!(keys, 1);
    }

    #[test]
    fn shutdown_refuses_what_it_cannot_mean() {
        let mut redis = TestServer::new();
        for line in ["SHUTDOWN later", "SHUTDOWN SAVE NOSAVE", "SHUTDOWN ABORT NOW"] {
            redis.run(line).is("-ERR syntax error");
        }
        redis.run("SHUTDOWN ABORT").is("-ERR No shutdown in progress.");
        let disk = redis.world.borrow().disk.clone();
        disk.fail(Fault::Append(0, ErrorKind::StorageFull));
        redis.run("SHUTDOWN SAVE").is("-ERR Errors trying to SHUTDOWN. Check logs.");
        assert_eq!(redis.actions.exit, None);
    }
}
