//! `CLIENT LIST`, `CLIENT INFO` and `CLIENT KILL`.

use super::filter::{Filter, FilterReader};
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::net::Token;
use crate::resp::Args;
use crate::server::describe;

/// The options that both take.
macro_rules! filters {
    () => {
        "[TYPE <NORMAL | MASTER | PRIMARY | SLAVE | REPLICA | PUBSUB>] [ID client-id [client-id ...]] [USER username] \
         [ADDR ip:port] [LADDR ip:port] [SKIPME <YES | NO>] [MAXAGE maxage] [NAME name] [IDLE idle] [FLAGS flags] \
         [LIB-NAME lib-name] [LIB-VER lib-ver] [DB db] [CAPA capa] [IP ip] \
         [NOT-TYPE <NORMAL | MASTER | PRIMARY | SLAVE | REPLICA | PUBSUB>] [NOT-ID not-client-id [not-client-id ...]] \
         [NOT-USER not-username] [NOT-ADDR ip:port] [NOT-LADDR ip:port] [NOT-NAME not-name] [NOT-FLAGS not-flags] \
         [NOT-LIB-NAME not-lib-name] [NOT-LIB-VER not-lib-ver] [NOT-DB not-db] [NOT-CAPA not-capa] [NOT-IP not-ip]"
    };
}

/// Arguments of `CLIENT LIST`.
pub(super) const LIST_SYNTAX: &str = filters!();
/// Arguments of `CLIENT KILL`.
pub(super) const KILL_SYNTAX: &str = concat!("<ip:port | ", filters!(), ">");

/// `CLIENT INFO` -> the line of `CLIENT LIST` about the calling client. O(1).
pub(super) fn info(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    let line = describe(ctx.server, ctx.client()) + "\n";
    ctx.reply.verbatim("txt", line.as_bytes());
    Ok(())
}

/// `CLIENT LIST [filters]` -> a line for each client that passes all filters. O(N log N) of the connected clients.
pub(super) fn list(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let mut filter = Filter::new(false);
    // Redis 7.0 takes any number here: there is just no client 0.
    let (bad_id, id_min) = (CommandError::Text("ERR Invalid client ID"), i64::MIN);
    let databases = ctx.db.keyspace.databases_len();
    FilterReader { databases, bad_id, id_min, args: *args, next: 2 }.read(&mut filter)?;
    let mut lines = String::new();
    for client in filter.select(ctx.server, ctx.client().id) {
        lines.push_str(&describe(ctx.server, client));
        lines.push('\n');
    }
    ctx.reply.verbatim("txt", lines.as_bytes());
    Ok(())
}

/// `CLIENT KILL <ip:port | filters>` -> `+OK` for an address, else how many were closed. They are closed at the end of
/// the turn, the calling client after its reply. O(N log N) of the connected clients.
pub(super) fn kill(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() == 3 {
        if kill_matching(ctx, &Filter::by_address(args.bytes(2))) == 0 {
            return Err(CommandError::Text("ERR No such client"));
        }
        ctx.reply.ok();
        return Ok(());
    }
    let mut filter = Filter::new(true);
    let bad_id = CommandError::Text("ERR client-id should be greater than 0");
    let databases = ctx.db.keyspace.databases_len();
    FilterReader { databases, bad_id, id_min: 1, args: *args, next: 2 }.read(&mut filter)?;
    let killed = kill_matching(ctx, &filter);
    ctx.reply.integer(killed as i64);
    Ok(())
}

/// Closes the clients that pass; returns how many these are.
fn kill_matching(ctx: &mut Ctx<'_>, filter: &Filter) -> usize {
    let clients = filter.select(ctx.server, ctx.client().id);
    let mut killed = 0;
    for token in clients.iter().map(|client| client.token).collect::<Vec<Token>>() {
        if token == ctx.token {
            killed += usize::from(!ctx.client().closing);
            ctx.server.close_after_write(token);
        } else {
            killed += usize::from(!ctx.server.clients.get(token).doomed);
            ctx.server.close_now(token);
        }
    }
    killed
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn info_and_list_end_each_line() {
        let mut redis = TestServer::new();
        redis.run("CLIENT INFO").starts("$");
        assert!(redis.run("CLIENT INFO").0.ends_with('\n'));
        redis.run("HELLO 3");
        redis.run("CLIENT LIST").starts("=");
        assert_eq!(redis.run("CLIENT LIST ID 1 1").0.matches("\n").count(), 2);
        redis.run("CLIENT LIST ID 9").is("=4 txt:");
    }

    #[test]
    fn kill_closes_by_address() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        redis.server.state.clients.get_mut(other).peer.address = "10.0.0.1:5".into();
        redis.run("CLIENT KILL 10.0.0.1:6").is("-ERR No such client");
        redis.run("CLIENT KILL 10.0.0.1:5").is("+OK");
        assert!(!redis.is_connected(other));
        redis.run("CLIENT KILL 10.0.0.1:5").is("-ERR No such client");
    }

    #[test]
    fn kill_spares_the_caller_unless_told_otherwise() {
        let mut redis = TestServer::new();
        let (two, three) = (redis.connect(), redis.connect());
        redis.run_as(three, "CLIENT KILL TYPE normal USER default").is(":2");
        assert!(!redis.is_connected(two));
        redis.run_as(three, "CLIENT KILL ID 3").is(":0");
        redis.receive(three, b"CLIENT KILL SKIPME no ID 3 3\r\nSET k v\r\n").is(":1");
        assert!(!redis.is_connected(three));
    }

    #[test]
    fn kill_by_its_own_address_answers_first() {
        let mut redis = TestServer::new();
        let me = redis.connect();
        redis.run_as(me, "CLIENT KILL 127.0.0.1:50000").is("+OK");
        assert!(!redis.is_connected(me));
    }

    #[test]
    fn a_killed_client_is_gone_for_the_rest_of_the_turn() {
        let mut redis = TestServer::new();
        let (me, other) = (redis.connect(), redis.connect());
        redis
            .receive(me, b"CLIENT KILL ID 3 3\r\nCLIENT KILL ID 3\r\nCLIENT LIST ID 3\r\nPING\r\n")
            .is(":1 :0 $0  +PONG");
        assert!(!redis.is_connected(other));
    }

    #[test]
    fn a_killed_client_runs_nothing_more() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        redis.run("CLIENT PAUSE 1000 WRITE").is("+OK");
        redis.run_as(other, "SET k v").is("");
        redis.run("CLIENT KILL ID 2").is(":1");
        redis.advance_ms(1001);
        redis.run("GET k").is("$-1");
    }

    #[test]
    fn kill_refuses_bad_options() {
        let mut redis = TestServer::new();
        for (options, error) in [
            ("ID 10 wrong_arg", "ERR syntax error"),
            ("ID str", "ERR client-id should be greater than 0"),
            ("ID -1", "ERR client-id should be greater than 0"),
            ("ID 1 0", "ERR client-id should be greater than 0"),
            ("TYPE wrong", "ERR Unknown client type 'wrong'"),
            ("USER wrong", "ERR No such user 'wrong'"),
            ("SKIPME yes_or_no", "ERR syntax error"),
            ("ID", "ERR No such client"),
        ] {
            redis.run(&format!("CLIENT KILL {options}")).is(&format!("-{error}"));
        }
        redis.run("CLIENT KILL").is("-ERR wrong number of arguments for 'client|kill' command");
    }
}
