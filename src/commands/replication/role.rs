//! `ROLE`: who this server follows, or who follows it.

use crate::commands::table::*;
use crate::commands::{Command, CommandResult, Ctx};
use crate::resp::Args;
use Arity::Exactly;

/// The row of `ROLE`.
pub const ROLE: Command =
    command("role", Exactly(1), NOSCRIPT.and(LOADING).and(STALE).and(FAST), &[], role)
        .docs("2.8.12", "", "O(1)", "Returns the replication role.")
        .categories(&["admin", "dangerous"]);

/// `ROLE` -> `master`, its offset, and of each replica host, port and offset; or `slave`, host and port of the master, the
/// state of the link, and the offset. O(replicas).
fn role(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let offset = ctx.server.replication.history.offset;
    if let Some(link) = ctx.server.link() {
        ctx.reply.array(5);
        ctx.reply.bulk(b"slave");
        ctx.reply.bulk(link.master.host.as_bytes());
        ctx.reply.integer(i64::from(link.master.port));
        ctx.reply.bulk(link.state_name().as_bytes());
        ctx.reply.integer(if link.is_up() { offset as i64 } else { -1 });
        return Ok(());
    }
    ctx.reply.array(3);
    ctx.reply.bulk(b"master");
    ctx.reply.integer(offset as i64);
    let replicas = || ctx.server.replicas().filter(|(_, replica)| replica.is_online());
    ctx.reply.array(replicas().count());
    for (client, replica) in replicas() {
        ctx.reply.array(3);
        ctx.reply.bulk(client.replica_host().as_bytes());
        ctx.reply.bulk(replica.listening_port.to_string().as_bytes());
        ctx.reply.bulk(replica.acked.to_string().as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn role_is_master_without_replicas() {
        TestServer::new().run("ROLE").is("*3 $6 master :0 *0");
    }
}
