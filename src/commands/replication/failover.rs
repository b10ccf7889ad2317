//! `FAILOVER`: this master and one of its replicas change places.

use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx};
use crate::config::MasterAddress;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use Arity::AtLeast;

/// The row of `FAILOVER`.
pub const FAILOVER: Command =
    command("failover", AtLeast(1), ADMIN.and(NOSCRIPT).and(STALE), &[], failover).docs(
        "6.2.0",
        "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]",
        "O(1)",
        "Starts a coordinated failover from a server to one of its replicas.",
    );

/// What the words after `FAILOVER` ask for.
#[derive(Default)]
struct Options {
    target: Option<(String, i64)>,
    timeout_ms: u64,
    force: bool,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let number = |at| parse_i64(args.bytes(at)).ok_or(CommandError::NotAnInteger);
        let mut at = 1;
        while at < args.len() {
            let left = args.len() - at;
            match args.bytes(at).to_ascii_lowercase().as_slice() {
                b"timeout" if left > 1 && options.timeout_ms == 0 => {
                    let timeout_ms = u64::try_from(number(at + 1)?).unwrap_or(0);
                    if timeout_ms == 0 {
                        let text = "ERR FAILOVER timeout must be greater than 0";
                        return Err(CommandError::Text(text));
                    }
                    options.timeout_ms = timeout_ms;
                    at += 2;
                }
                b"to" if left > 2 && options.target.is_none() => {
                    let host = String::from_utf8_lossy(args.bytes(at + 1)).into_owned();
                    options.target = Some((host, number(at + 2)?));
                    at += 3;
                }
                b"force" if !options.force => {
                    options.force = true;
                    at += 1;
                }
                _ => return Err(CommandError::Syntax),
            }
        }
        Ok(options)
    }
}

/// `FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]` -> `+OK`; writes wait until a replica has everything,
/// which then is the master. O(replicas).
fn failover(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() == 2 && args.bytes(1).eq_ignore_ascii_case(b"abort") {
        if ctx.server.replication.failover.is_none() {
            return Err(CommandError::Text("ERR No failover in progress."));
        }
        ctx.server.abort_failover(ctx.db.keyspace, "Failover manually aborted");
        ctx.reply.ok();
        return Ok(());
    }
    let options = Options::parse(args)?;
    let target = check(ctx, &options)?;
    let now_us = ctx.server.now.monotonic_us;
    let deadline_us = (options.timeout_ms > 0)
        .then(|| now_us.saturating_add(options.timeout_ms.saturating_mul(1000)));
    ctx.server.begin_failover(ctx.db.keyspace, target, deadline_us, options.force);
    ctx.reply.ok();
    Ok(())
}

/// Whether a failover is possible, in the order in which Redis asks.
fn check(ctx: &Ctx<'_>, options: &Options) -> Result<Option<MasterAddress>, CommandError> {
    let error = |text| Err(CommandError::Text(text));
    if ctx.server.replication.failover.is_some() {
        return error("ERR FAILOVER already in progress.");
    }
    if !ctx.server.replication.is_master() {
        return error("ERR FAILOVER is not valid when server is a replica.");
    }
    if ctx.server.replication.replicas.is_empty() {
        return error("ERR FAILOVER requires connected replicas.");
    }
    if options.force && (options.timeout_ms == 0 || options.target.is_none()) {
        return error(
            "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
        );
    }
    let Some((host, port)) = &options.target else { return Ok(None) };
    let not_there = "ERR FAILOVER target HOST and PORT is not a replica.";
    let replica = ctx.server.find_replica(host, *port).ok_or(CommandError::Text(not_there))?;
    if !replica.is_online() {
        return error("ERR FAILOVER target replica is not online.");
    }
    let port = u16::try_from(*port).map_err(|_| CommandError::Text(not_there))?;
    Ok(Some(MasterAddress { host: host.clone(), port }))
}
