//! The data through the disk and back: what tests of snapshots and of the log begin with.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::Args;

const CANNOT_LOAD: CommandError =
    CommandError::Text("ERR Error trying to load the RDB dump, check server logs");

/// `DEBUG RELOAD [NOSAVE] [NOFLUSH] [MERGE]` -> `+OK` when the data was saved, dropped and loaded again. O(data).
pub fn reload(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (mut saves, mut flushes) = (true, true);
    for word in args.iter().skip(2) {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" => saves = false,
            b"noflush" => flushes = false,
            b"merge" => {} // what is loaded takes the place of what is there
            _ => {
                return Err(CommandError::Text(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    ctx.server.abort_snapshot(ctx.db.keyspace);
    if saves && ctx.server.save_now(ctx.db.keyspace).is_err() {
        return Err(CommandError::Text("ERR"));
    }
    let source = ctx.server.source_of_snapshot().ok_or(CANNOT_LOAD)?;
    if flushes {
        flush(ctx);
    }
    ctx.server.begin_loading(ctx.db.keyspace, vec![source]);
    ctx.server.reply_when_loaded(ctx.token);
    Ok(())
}

/// `DEBUG LOADAOF` -> `+OK` when the data was dropped and loaded from the log. O(data).
pub fn loadaof(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let failed = |message| CommandError::Message(format!("ERR {message}"));
    ctx.server.abort_snapshot(ctx.db.keyspace);
    ctx.server.sync_log().map_err(failed)?;
    let sources = ctx.server.sources_of_log().map_err(failed)?;
    flush(ctx);
    if sources.is_empty() {
        ctx.reply.ok();
        return Ok(());
    }
    ctx.server.begin_loading(ctx.db.keyspace, sources);
    ctx.server.reply_when_loaded(ctx.token);
    Ok(())
}

fn flush(ctx: &mut Ctx<'_>) {
    for index in 0..ctx.db.keyspace.databases_len() {
        ctx.db.keyspace.flush(index);
    }
}
