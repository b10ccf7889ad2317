//! `MONITOR`: the connection becomes a log of all commands. What it shows is in `server::monitor`.

use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx};
use crate::resp::Args;

/// The row of `MONITOR`.
pub const MONITOR: Command = command(
    "monitor",
    Arity::Exactly(1),
    ADMIN.and(NOSCRIPT).and(LOADING).and(STALE),
    &[],
    monitor,
)
.docs("1.0.0", "", "", "Listens for all requests received by the server in real-time.");

/// `MONITOR` -> `+OK`, then a line for every command that runs. A second one has no reply at all. O(1).
fn monitor(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    if ctx.server.in_exec {
        return Err(CommandError::Text("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    if ctx.client().monitor {
        return Ok(());
    }
    ctx.client_mut().monitor = true;
    ctx.server.monitors.push(ctx.token);
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn a_watcher_sees_the_commands_of_all_clients() {
        let mut redis = TestServer::new();
        let watcher = redis.connect();
        redis.run_as(watcher, "MONITOR").is("+OK");
        redis.run("SET k v").is("+OK");
        redis.take(watcher).is(r#"+1700000000.000000 [0 127.0.0.1:50000] "SET" "k" "v""#);
        redis
            .run_as(watcher, "GET k")
            .is(concat!("$1 v ", r#"+1700000000.000000 [0 127.0.0.1:50000] "GET" "k""#));
    }

    #[test]
    fn commands_of_administrators_are_not_shown() {
        let mut redis = TestServer::new();
        let watcher = redis.connect();
        redis.run_as(watcher, "MONITOR").is("+OK");
        redis.run("SLOWLOG LEN").is(":0");
        redis.run("NO-SUCH-COMMAND").starts("-ERR unknown command");
        redis.take(watcher).is("");
    }

    #[test]
    fn a_second_monitor_has_no_reply() {
        let mut redis = TestServer::new();
        let watcher = redis.connect();
        redis.run_as(watcher, "MONITOR").is("+OK");
        redis.run_as(watcher, "MONITOR").is("");
        redis.run("SET k v").is("+OK");
        let seen = redis.take(watcher).0;
        assert_eq!(seen.matches("SET").count(), 1, "{seen}");
    }

    #[test]
    fn a_watcher_that_left_is_forgotten() {
        let mut redis = TestServer::new();
        let watcher = redis.connect();
        redis.run_as(watcher, "MONITOR").is("+OK");
        redis.server.state.close_now(watcher);
        redis.advance_ms(1);
        assert!(redis.server.state.monitors.is_empty());
        redis.run("SET k v").is("+OK");
    }
}
