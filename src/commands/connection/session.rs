//! `ECHO`, `PING`, `QUIT`, `RESET`, `SELECT`: the small commands about one's own connection.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// `ECHO message` -> the message. O(1).
pub(super) fn echo(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    ctx.reply.bulk(args.bytes(1));
    Ok(())
}

/// `PING [message]` -> `+PONG`, or the message; to a RESP2 client that is subscribed `pong` and the message. O(1).
pub(super) fn ping(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    match args.len() {
        1 | 2 if ctx.client().is_only_subscriber() => {
            ctx.reply.array(2);
            ctx.reply.bulk(b"pong");
            ctx.reply.bulk(args.get(1).unwrap_or_default());
        }
        1 => ctx.reply.simple("PONG"),
        2 => ctx.reply.bulk(args.bytes(1)),
        _ => {
            let name = ctx.server.registry.get(ctx.id).full_name.clone();
            return Err(CommandError::WrongArity(name.into()));
        }
    }
    Ok(())
}

/// `QUIT` -> `+OK`, then the connection ends; what was sent after it is not run. O(1).
pub(super) fn quit(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.reply.ok();
    ctx.server.close_after_write(ctx.token);
    Ok(())
}

/// `RESET` -> `+RESET`, from a client that is as it was when it connected. O(1).
pub(super) fn reset(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    let open = ctx.server.config.requirepass.is_empty();
    let token = ctx.token;
    ctx.server.monitors.retain(|&watcher| watcher != token);
    ctx.server.end_transaction(token);
    ctx.server.disable_tracking(token);
    if let Some(subscriptions) = ctx.client_mut().subscriptions.take() {
        ctx.server.end_subscriptions(*subscriptions);
    }
    ctx.client_mut().reset(open);
    ctx.reply.protocol = ctx.client().protocol;
    ctx.reply.simple("RESET");
    Ok(())
}

/// `SELECT index` -> `+OK`; the client's commands are about that database from now on. O(1).
pub(super) fn select(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let index = parse_i64(args.bytes(1)).ok_or(CommandError::NotAnInteger)?;
    if i32::try_from(index).is_err() {
        let text = "ERR value is out of range, value must between -2147483648 and 2147483647";
        return Err(CommandError::Text(text));
    }
    let databases = ctx.db.keyspace.databases_len();
    let index = usize::try_from(index).ok().filter(|&index| index < databases);
    ctx.client_mut().db = index.ok_or(CommandError::DbIndexOutOfRange)?;
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn ping_and_echo_return_what_they_are_given() {
        let mut redis = TestServer::new();
        redis.run("PING").is("+PONG");
        redis.run("ping redis").is("$5 redis");
        redis.run("ECHO \"\"").is("$0");
        redis.run("PING a b").is("-ERR wrong number of arguments for 'ping' command");
        redis.run("ECHO").is("-ERR wrong number of arguments for 'echo' command");
    }

    #[test]
    fn p27_requests_after_quit_are_not_run() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        redis.receive(other, b"QUIT now please\r\nSET k v\r\n").is("+OK");
        assert!(!redis.is_connected(other));
        redis.run("GET k").is("$-1");
    }

    #[test]
    fn select_changes_the_database_of_one_client() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        redis.run("SELECT 15").is("+OK");
        redis.run("SET k v").is("+OK");
        redis.run_as(other, "GET k").is("$-1");
        redis.run("SELECT 16").is("-ERR DB index is out of range");
        redis.run("SELECT -1").is("-ERR DB index is out of range");
        redis.run("SELECT one").is("-ERR value is not an integer or out of range");
        redis
            .run("SELECT 2147483648")
            .is("-ERR value is out of range, value must between -2147483648 and 2147483647");
        redis.run("GET k").is("$1 v");
    }

    #[test]
    fn reset_makes_the_client_a_new_one() {
        let mut redis = TestServer::new();
        redis.run("HELLO 3 SETNAME me");
        redis.run("SELECT 5");
        redis.run("CLIENT NO-EVICT on").is("+OK");
        redis.run("CLIENT NO-TOUCH on").is("+OK");
        redis.run("RESET").is("+RESET");
        redis.run("CLIENT GETNAME").is("$-1");
        redis.run("CLIENT LIST NOT-NAME me DB 0 FLAGS N").starts("$");
        redis.run("GET k").is("$-1");
    }

    #[test]
    fn reset_asks_for_the_password_again() {
        let mut redis = TestServer::with(|config| config.requirepass = b"pw".to_vec());
        redis.run("AUTH pw").is("+OK");
        redis.run("RESET").is("+RESET");
        redis.run("PING").is("-NOAUTH Authentication required.");
    }

    #[test]
    fn reset_is_answered_by_a_client_that_wanted_no_replies() {
        let mut redis = TestServer::new();
        redis.run("CLIENT REPLY OFF").is("");
        redis.run("RESET").is("+RESET");
        redis.run("PING").is("+PONG");
        redis.run("CLIENT REPLY SKIP").is("");
        redis.run("RESET").is("");
        redis.run("PING").is("+PONG");
    }
}
