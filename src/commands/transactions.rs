//! Transactions: commands that run together, or not at all if what they depend on has changed meanwhile. The queue and
//! the watched keys are the server's.

use super::table::*;
use super::{Command, CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::server::execute_queued;
use Arity::{AtLeast, Exactly};

const USUAL: Flags = NOSCRIPT.and(LOADING).and(STALE);
const QUICKLY: Flags = USUAL.and(FAST).and(ALLOW_BUSY);

/// The group's rows. `MULTI` and `WATCH` refuse themselves within `MULTI`, and the transaction goes on: so it is in
/// Redis 7.0, where later servers fail the transaction.
pub const COMMANDS: &[Command] = &[
    command("discard", Exactly(1), QUICKLY, &[], discard)
        .docs(
            "2.0.0",
            "",
            "O(N), when N is the number of queued commands",
            "Discards a transaction.",
        )
        .in_multi(InMulti::Ends),
    command("exec", Exactly(1), USUAL.and(SKIP_SLOWLOG), &[], exec)
        .docs(
            "1.2.0",
            "",
            "Depends on commands in the transaction",
            "Executes all commands in a transaction.",
        )
        .in_multi(InMulti::Executes),
    command("multi", Exactly(1), QUICKLY, &[], multi)
        .docs("1.2.0", "", "O(1)", "Starts a transaction.")
        .in_multi(InMulti::Runs),
    command("unwatch", Exactly(1), QUICKLY, &[], unwatch).docs(
        "2.2.0",
        "",
        "O(1)",
        "Forgets about watched keys of a transaction.",
    ),
    command("watch", AtLeast(2), QUICKLY, &[all(RO)], watch)
        .docs(
            "2.2.0",
            "key [key ...]",
            "O(1) for every key.",
            "Monitors changes to keys to determine the execution of a transaction.",
        )
        .in_multi(InMulti::Runs),
];

/// `MULTI` -> `+OK`; what follows is queued. O(1).
fn multi(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    if ctx.client().transaction.is_some() {
        return Err(CommandError::Text("ERR MULTI calls can not be nested"));
    }
    ctx.server.begin_transaction(ctx.token);
    ctx.reply.ok();
    Ok(())
}

/// `EXEC` -> the replies of all queued commands, or a null array if a watched key has changed.
fn exec(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    execute_queued(ctx)
}

/// `DISCARD` -> `+OK`; what was queued is forgotten, and nothing is watched any more. O(queued commands).
fn discard(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    if ctx.client().transaction.is_none() {
        return Err(CommandError::Text("ERR DISCARD without MULTI"));
    }
    ctx.server.end_transaction(ctx.token);
    ctx.reply.ok();
    Ok(())
}

/// `WATCH key [key ...]` -> `+OK`; the next `EXEC` does nothing if one of the keys has changed by then. O(keys).
fn watch(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if ctx.client().transaction.is_some() {
        return Err(CommandError::Text("ERR WATCH inside MULTI is not allowed"));
    }
    // After a change there is nothing more to find out.
    if !ctx.client().watch.changed {
        let db = ctx.db.index;
        for key in args.iter().skip(1) {
            let is_there = ctx.db.keyspace.holds(db, key);
            ctx.server.watch(ctx.token, db, key, is_there);
        }
    }
    ctx.reply.ok();
    Ok(())
}

/// `UNWATCH` -> `+OK`; nothing is watched any more, and no change is remembered. O(watched keys).
fn unwatch(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.server.unwatch(ctx.token);
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn p21_commands_in_the_wrong_place_say_so_and_change_nothing() {
        let mut redis = TestServer::new();
        redis.run("EXEC").is("-ERR EXEC without MULTI");
        redis.run("DISCARD").is("-ERR DISCARD without MULTI");
        redis.run("MULTI").is("+OK");
        redis.run("MULTI").is("-ERR MULTI calls can not be nested");
        redis.run("WATCH k").is("-ERR WATCH inside MULTI is not allowed");
        redis.run("UNWATCH").is("+QUEUED");
        redis.run("PING").is("+QUEUED");
        redis.run("EXEC").is("*2 +OK +PONG");
        redis.run("WATCH").is("-ERR wrong number of arguments for 'watch' command");
    }

    #[test]
    fn p24_a_watched_key_that_changes_stops_the_transaction() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        redis.run("SET k v").is("+OK");
        for change in ["SET k v", "DEL k", "SET k w PX 1", "FLUSHALL", "SWAPDB 0 1"] {
            redis.run("SET k v").is("+OK");
            redis.run("WATCH other k").is("+OK");
            redis.run_as(other, change).is(if change == "DEL k" { ":1" } else { "+OK" });
            redis.run("MULTI").is("+OK");
            redis.run("SET k mine").is("+QUEUED");
            redis.run("EXEC").is("*-1");
            redis.run("MULTI").is("+OK");
            redis.run("EXEC").is("*0");
        }
        redis.server.state.clients.iter_mut().for_each(|client| {
            client.protocol = crate::resp::Protocol::Resp3;
        });
        redis.run("WATCH k").is("+OK");
        redis.run("SET k own").is("+OK");
        redis.run("MULTI").is("+OK");
        redis.run("EXEC").is("_");
    }

    #[test]
    fn discard_unwatch_and_reset_forget_the_change() {
        let mut redis = TestServer::new();
        for end in ["DISCARD", "RESET"] {
            redis.run("WATCH k").is("+OK");
            redis.run("SET k v").is("+OK");
            redis.run("MULTI").is("+OK");
            redis.run("SET k w").is("+QUEUED");
            redis.run(end).starts("+");
            redis.run("MULTI").is("+OK");
            redis.run("GET k").is("+QUEUED");
            redis.run("EXEC").is("*1 $1 v");
        }
        redis.run("WATCH k").is("+OK");
        redis.run("SET k v").is("+OK");
        redis.run("UNWATCH").is("+OK");
        redis.run("MULTI").is("+OK");
        redis.run("EXEC").is("*0");
    }

    #[test]
    fn quit_within_a_transaction_ends_the_connection() {
        let mut redis = TestServer::new();
        let client = redis.connect();
        redis.receive(client, b"MULTI\r\nSET k v\r\nQUIT\r\nEXEC\r\n").is("+OK +QUEUED +OK");
        assert!(!redis.is_connected(client));
        redis.run("GET k").is("$-1");
    }

    #[test]
    fn commands_that_are_about_the_connection_take_effect_within() {
        let mut redis = TestServer::new();
        let client = redis.connect();
        let requests = b"MULTI\r\nSELECT 3\r\nSET k v\r\nHELLO 3\r\nGET none\r\nEXEC\r\nGET k\r\n";
        let reply = redis.receive(client, requests).0;
        assert!(reply.ends_with(" _ $1 v"), "{reply}");
    }
}
