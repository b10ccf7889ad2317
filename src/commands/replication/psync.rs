//! `PSYNC` and `SYNC`: a client becomes a replica.

use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx};
use crate::log::Level;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::server::describe;
use Arity::{AtLeast, Exactly};

const FLAGS: Flags = ADMIN.and(NOSCRIPT).and(NO_ASYNC_LOADING).and(NO_MULTI);
const SUMMARY: &str = "An internal command used in replication.";

/// The row of `PSYNC`.
pub const PSYNC: Command = command("psync", AtLeast(3), FLAGS, &[], psync).docs(
    "2.8.0",
    "replicationid offset",
    "",
    SUMMARY,
);

/// The row of `SYNC`.
pub const SYNC: Command =
    command("sync", Exactly(1), FLAGS, &[], sync).docs("1.0.0", "", "", SUMMARY);

/// `PSYNC replicationid offset [FAILOVER]` -> `+CONTINUE replicationid`, and the stream from the byte with the number
/// `offset`; or, when a snapshot begins, `+FULLRESYNC replicationid offset`, the snapshot, and the stream. With
/// `FAILOVER` this server becomes the master of who asks. O(1) beside the data.
fn psync(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if is_none_of_its_business(ctx) {
        return Ok(());
    }
    let (replid, number) = (args.bytes(1), parse_i64(args.bytes(2)));
    let takes_over = args.get(3).is_some_and(|word| word.eq_ignore_ascii_case(b"failover"));
    if takes_over {
        take_over(ctx, replid)?;
    }
    check(ctx)?;
    let Some(next) = number else {
        let name = ctx.client().replica_name();
        ctx.server.log(
            Level::Warning,
            format_args!("Replica {name} asks for synchronization but with a wrong offset"),
        );
        return Err(CommandError::NotAnInteger);
    };
    if let Some(own) = ctx.server.continue_replica(ctx.token, replid, next) {
        ctx.server.stats.sync_partial_ok += 1;
        match ctx.server.replica_mut(ctx.token).takes_psync2 {
            true => ctx.reply.simple(&format!("CONTINUE {own}")),
            false => ctx.reply.simple("CONTINUE"),
        }
        return Ok(());
    }
    if replid.first() != Some(&b'?') {
        ctx.server.stats.sync_partial_err += 1;
    }
    ctx.server.resync_replica(ctx.token);
    Ok(())
}

/// `SYNC` -> a snapshot and the stream, as before Redis 2.8. O(1) beside the data.
fn sync(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    if is_none_of_its_business(ctx) {
        return Ok(());
    }
    check(ctx)?;
    ctx.server.replica_mut(ctx.token).is_old = true;
    ctx.server.resync_replica(ctx.token);
    Ok(())
}

/// Whoever is a replica already, or watches all commands, is not answered.
fn is_none_of_its_business(ctx: &Ctx<'_>) -> bool {
    ctx.client().is_replica() || ctx.client().monitor
}

/// This server becomes the master of the history that it has followed.
fn take_over(ctx: &mut Ctx<'_>, replid: &[u8]) -> CommandResult {
    let shown = String::from_utf8_lossy(&replid[..replid.len().min(64)]).into_owned();
    let shown = shown.escape_debug();
    ctx.server.log(Level::Warning, format_args!("Failover request received for replid {shown}."));
    if ctx.server.replication.is_master() {
        return Err(CommandError::Text("ERR PSYNC FAILOVER can't be sent to a master."));
    }
    if !ctx.server.replication.history.replid.is(replid) {
        return Err(CommandError::Text("ERR PSYNC FAILOVER replid must match my replid."));
    }
    ctx.server.follow_nobody(ctx.db.keyspace);
    let client = describe(ctx.server, ctx.client());
    ctx.server
        .log(Level::Notice, format_args!("MASTER MODE enabled (failover request from '{client}')"));
    Ok(())
}

/// What both need.
fn check(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.server.replication.failover.is_some() {
        return Err(CommandError::Text("NOMASTERLINK Can't SYNC while failing over"));
    }
    if ctx.server.link().is_some_and(|link| !link.is_up()) {
        let text = "NOMASTERLINK Can't SYNC while not connected with my master";
        return Err(CommandError::Text(text));
    }
    // What follows is no replies, so all replies must have left.
    if !ctx.reply.output.is_empty() {
        return Err(CommandError::Text("ERR SYNC and PSYNC are invalid with pending output"));
    }
    let filters = ctx
        .client()
        .replica
        .as_deref()
        .is_some_and(|replica| replica.without_data && !replica.takes_eof);
    if filters {
        return Err(CommandError::Text("ERR Filtered replica requires EOF capability"));
    }
    let name = ctx.client().replica_name();
    ctx.server.log(Level::Notice, format_args!("Replica {name} asks for synchronization"));
    Ok(())
}
