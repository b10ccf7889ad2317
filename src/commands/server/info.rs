//! `INFO`.

use crate::commands::table::*;
use crate::commands::{Command, CommandResult, Ctx};
use crate::resp::Args;
use crate::server;

/// The row.
pub const INFO: Command = command("info", Arity::AtLeast(1), LOADING.and(STALE), &[], info)
    .docs(
        "1.0.0",
        "[section [section ...]]",
        "O(1)",
        "Returns information and statistics about the server.",
    )
    .categories(&["dangerous"])
    .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]);

/// `INFO [section ...]` -> lines of `field:value` under titles. O(clients + commands).
fn info(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let sections: Vec<&[u8]> = args.iter().skip(1).collect();
    ctx.server.stats.settle(ctx.server.config.latency_tracking);
    let text = server::info(ctx.server, ctx.db.keyspace, &sections);
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}
