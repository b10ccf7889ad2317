//! `CLIENT PAUSE`, `CLIENT UNPAUSE` and `CLIENT UNBLOCK`: making requests wait, and ending a wait.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::server::{PauseKind, Unblock};

/// `CLIENT PAUSE timeout [WRITE | ALL]` -> `+OK`; for so many milliseconds all commands wait, or those that write. O(1).
pub(super) fn pause(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let kind = match fourth(args)? {
        None => PauseKind::All,
        Some(kind) if kind.eq_ignore_ascii_case(b"all") => PauseKind::All,
        Some(kind) if kind.eq_ignore_ascii_case(b"write") => PauseKind::Write,
        Some(_) => return Err(CommandError::Text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    };
    let timeout_ms = parse_timeout_ms(args.bytes(2), ctx.now_ms())?;
    let until_us = ctx.server.now.monotonic_us.saturating_add(timeout_ms.saturating_mul(1000));
    ctx.server.pause_clients(ctx.db.keyspace, kind, until_us);
    ctx.reply.ok();
    Ok(())
}

/// The argument after the first of a subcommand that takes two at most.
fn fourth<'a>(args: &Args<'a>) -> Result<Option<&'a [u8]>, CommandError> {
    if args.len() <= 4 {
        return Ok(args.get(3));
    }
    Err(CommandError::wrong_subcommand(args.bytes(1), "CLIENT"))
}

fn parse_timeout_ms(argument: &[u8], now_ms: i64) -> Result<u64, CommandError> {
    let timeout_ms = parse_i64(argument)
        .ok_or(CommandError::Text("ERR timeout is not an integer or out of range"))?;
    if timeout_ms.checked_add(now_ms).is_none() {
        return Err(CommandError::Text("ERR timeout is out of range"));
    }
    u64::try_from(timeout_ms).map_err(|_| CommandError::Text("ERR timeout is negative"))
}

/// `CLIENT UNPAUSE` -> `+OK`; what waited goes on. O(connected clients).
pub(super) fn unpause(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.server.unpause_clients(ctx.db.keyspace);
    ctx.reply.ok();
    Ok(())
}

/// `CLIENT UNBLOCK client-id [TIMEOUT | ERROR]` -> 1 if that client's command waited and does no more, else 0.
/// O(connected clients).
pub(super) fn unblock(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let how = match fourth(args)? {
        None => Unblock::Timeout,
        Some(reason) if reason.eq_ignore_ascii_case(b"timeout") => Unblock::Timeout,
        Some(reason) if reason.eq_ignore_ascii_case(b"error") => {
            Unblock::Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
        }
        Some(_) => return Err(BAD_REASON),
    };
    let id = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    let target = u64::try_from(id).ok().and_then(|id| ctx.server.clients.by_id(id));
    let target = target.map(|client| client.token);
    // What holds requests back before they are run, as a pause, cannot be ended so.
    let waited = target.is_some_and(|target| ctx.server.unblock_client(target, how));
    ctx.reply.integer(i64::from(waited));
    Ok(())
}

const BAD_REASON: CommandError =
    CommandError::Text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn pause_reads_a_time_and_a_mode() {
        let mut redis = TestServer::new();
        for (arguments, error) in [
            ("a", "timeout is not an integer or out of range"),
            ("1.5", "timeout is not an integer or out of range"),
            ("99999999999999999999", "timeout is not an integer or out of range"),
            ("9223372036854775807", "timeout is out of range"),
            ("-1", "timeout is negative"),
            ("-9223372036854775808", "timeout is negative"),
            ("x READ", "CLIENT PAUSE mode must be WRITE or ALL"),
        ] {
            redis.run(&format!("CLIENT PAUSE {arguments}")).is(&format!("-ERR {error}"));
        }
        redis.run("CLIENT PAUSE 1 ALL extra").is(
            "-ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.",
        );
        assert!(redis.server.state.pause.is_none());
        redis.run("CLIENT PAUSE 9000000000000000000 WRITE").is("+OK");
        redis.run("CLIENT UNPAUSE").is("+OK");
        redis.run("SET k v").is("+OK");
    }

    #[test]
    fn a_pause_of_no_time_is_over_at_once() {
        let mut redis = TestServer::new();
        redis.run("CLIENT PAUSE 0").is("+OK");
        redis.run("PING").is("+PONG");
    }

    #[test]
    fn unblock_finds_nobody_that_only_waits_for_the_end_of_a_pause() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        redis.run("CLIENT PAUSE 1000 WRITE");
        redis.run_as(other, "SET k v").is("");
        redis.run("CLIENT UNBLOCK 2 ERROR").is(":0");
        redis.run("CLIENT UNBLOCK 99").is(":0");
        redis.run("CLIENT UNBLOCK -1 timeout").is(":0");
        redis.run("CLIENT UNBLOCK a").is("-ERR value is not an integer or out of range");
        redis
            .run("CLIENT UNBLOCK 2 why")
            .is("-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        redis.run("CLIENT UNBLOCK 2 ERROR x").starts("-ERR unknown subcommand or wrong number");
        redis.run("CLIENT UNPAUSE");
        redis.advance_ms(0);
        redis.run("GET k").is("$1 v");
    }
}
