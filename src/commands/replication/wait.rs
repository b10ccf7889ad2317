//! `WAIT` and `WAITAOF`: until what the client has written is in other places, too.

use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx, Timeout};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::server::replication::Wanted;
use Arity::Exactly;

const TIPS: &[&str] = &["request_policy:all_shards", "response_policy:agg_min"];

/// The row of `WAIT`.
pub const WAIT: Command = command("wait", Exactly(3), BLOCKING, &[], wait)
    .docs(
        "3.0.0",
        "numreplicas timeout",
        "O(1)",
        "Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed.",
    )
    .categories(&["connection"])
    .outside_group_category()
    .tips(TIPS);

/// The row of `WAITAOF`.
pub const WAITAOF: Command = command("waitaof", Exactly(4), BLOCKING, &[], waitaof)
    .docs(
        "7.2.0",
        "numlocal numreplicas timeout",
        "O(1)",
        "Blocks until all of the preceding write commands sent by the connection are written to the append-only file of the master and/or replicas.",
    )
    .categories(&["connection"])
    .outside_group_category()
    .tips(TIPS);

/// `WAIT numreplicas timeout` -> how many replicas have run what this client has written so far; as soon as there are
/// enough, or after so many milliseconds (0: never). O(replicas).
fn wait(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if !ctx.server.replication.is_master() {
        return Err(CommandError::Text(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.",
        ));
    }
    let replicas = parse_i64(args.bytes(1)).ok_or(CommandError::NotAnInteger)?;
    let timeout = timeout(ctx, args.bytes(2))?;
    wait_for(ctx, Wanted::Replicas(replicas), timeout);
    Ok(())
}

/// `WAITAOF numlocal numreplicas timeout` -> whether the log of this server has what this client has written so far on
/// the device (0 or 1), and the logs of how many replicas; as `WAIT`. O(replicas).
fn waitaof(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let range = |argument: &[u8], most: i64, refusal: &'static str| match parse_i64(argument) {
        None => Err(CommandError::NotAnInteger),
        Some(number) if (0..=most).contains(&number) => Ok(number),
        Some(_) => Err(CommandError::Text(refusal)),
    };
    let local = range(args.bytes(1), 1, "ERR value is out of range, value must between 0 and 1")?;
    let replicas = range(args.bytes(2), i64::MAX, "ERR value is out of range, must be positive")?;
    let timeout = timeout(ctx, args.bytes(3))?;
    if !ctx.server.replication.is_master() {
        return Err(CommandError::Text(
            "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.",
        ));
    }
    if local > 0 && ctx.server.durability.log.is_none() {
        return Err(CommandError::Text(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    let log_offset = ctx.server.log_offset();
    wait_for(ctx, Wanted::Logs { local, log_offset, replicas }, timeout);
    Ok(())
}

fn timeout(ctx: &Ctx<'_>, argument: &[u8]) -> Result<Timeout, CommandError> {
    let text = "ERR timeout is not an integer or out of range";
    let timeout_ms = parse_i64(argument).ok_or(CommandError::Text(text))?;
    Timeout::from_ms(ctx, timeout_ms)
}

fn wait_for(ctx: &mut Ctx<'_>, wanted: Wanted, timeout: Timeout) {
    let may_wait = ctx.may_wait();
    ctx.server.wait_for_acks(ctx.token, wanted, timeout.until_us(), may_wait, ctx.reply);
}
