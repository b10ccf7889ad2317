//! `REPLICAOF` and `SLAVEOF`: whom this server follows.

use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx};
use crate::config::MasterAddress;
use crate::log::Level;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::server::describe;
use Arity::Exactly;

const FLAGS: Flags = ADMIN.and(NOSCRIPT).and(STALE).and(NO_ASYNC_LOADING);
const SYNTAX: &str = "<host port | NO ONE>";
const SUMMARY: &str = "Configures a server as replica of another, or promotes it to a master.";

/// The row of `REPLICAOF`.
pub const REPLICAOF: Command =
    command("replicaof", Exactly(3), FLAGS, &[], replicaof).docs("5.0.0", SYNTAX, "O(1)", SUMMARY);

/// The row of `SLAVEOF`.
pub const SLAVEOF: Command = command("slaveof", Exactly(3), FLAGS, &[], replicaof).docs(
    "1.0.0",
    SYNTAX,
    "O(1)",
    "Sets a Redis server as a replica of another, or promotes it to being a master.",
);

/// `REPLICAOF host port` -> `+OK`, and the data here will be that of the master; `REPLICAOF NO ONE` -> `+OK`, and it is
/// this server's own. O(clients).
fn replicaof(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if ctx.client().is_master {
        return Err(CommandError::Text("ERR Command is not valid when client is a master."));
    }
    if ctx.server.replication.failover.is_some() {
        return Err(CommandError::Text("ERR REPLICAOF not allowed while failing over."));
    }
    let (host, port) = (args.bytes(1), args.bytes(2));
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        follow_nobody(ctx);
        ctx.reply.ok();
        return Ok(());
    }
    let master = address(host, port)?;
    let is_same = |link: &MasterAddress| {
        link.host.eq_ignore_ascii_case(&master.host) && link.port == master.port
    };
    if ctx.server.link().is_some_and(|link| is_same(&link.master)) {
        ctx.server.log(
            Level::Notice,
            format_args!("REPLICAOF would result into synchronization with the master we are already connected with. No operation performed."),
        );
        ctx.reply.simple("OK Already connected to specified master");
        return Ok(());
    }
    ctx.server.follow(ctx.db.keyspace, master);
    let client = describe(ctx.server, ctx.client());
    let link = ctx.server.link().map(ToString::to_string).unwrap_or_default();
    ctx.server.log(
        Level::Notice,
        format_args!("REPLICAOF {link} enabled (user request from '{client}')"),
    );
    ctx.reply.ok();
    Ok(())
}

fn follow_nobody(ctx: &mut Ctx<'_>) {
    if ctx.server.link().is_none() {
        return;
    }
    ctx.server.follow_nobody(ctx.db.keyspace);
    let client = describe(ctx.server, ctx.client());
    ctx.server
        .log(Level::Notice, format_args!("MASTER MODE enabled (user request from '{client}')"));
}

fn address(host: &[u8], port: &[u8]) -> Result<MasterAddress, CommandError> {
    let port = parse_i64(port).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(CommandError::Text("ERR Invalid master port"))?;
    let host = String::from_utf8(host.to_vec());
    let host = host.map_err(|_| CommandError::Text("ERR Invalid master host"))?;
    Ok(MasterAddress { host, port })
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn r24_a_port_that_is_none_is_refused() {
        let mut redis = TestServer::new();
        for port in ["x", "-1", "65536", "\"\"", "99999999999999999999"] {
            redis.run(&format!("REPLICAOF 127.0.0.1 {port}")).is("-ERR Invalid master port");
        }
        redis.run_bytes(&[b"SLAVEOF", b"\xff", b"1"]).is("-ERR Invalid master host");
        redis.run("REPLICAOF NO ONE").is("+OK");
        redis.run("CONFIG GET replicaof").is("*2 $9 replicaof $0");
    }

    #[test]
    fn the_configuration_follows() {
        let mut redis = TestServer::new();
        redis.world.borrow_mut().config_file = Some("port 1\n".to_string());
        redis.run("REPLICAOF 127.0.0.1 6380").is("+OK");
        redis.run("SLAVEOF 127.0.0.1 6380").is("+OK Already connected to specified master");
        redis.run("CONFIG GET replicaof").is("*2 $9 replicaof $14 127.0.0.1 6380");
        redis.run("CONFIG REWRITE").is("+OK");
        let file = |redis: &TestServer| redis.world.borrow().config_file.clone().unwrap();
        assert!(file(&redis).contains("\nreplicaof 127.0.0.1 6380\n"), "{}", file(&redis));
        redis.run("SLAVEOF no one").is("+OK");
        redis.run("CONFIG REWRITE").is("+OK");
        assert!(!file(&redis).contains("replicaof"), "{}", file(&redis));
    }
}
