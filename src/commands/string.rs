//! Strings.

use super::table::*;
use super::{Command, CommandResult, Ctx};
use crate::keyspace::{Expiry, NewString, StringValue};
use crate::resp::{Args, Reply};
use Arity::{AtLeast, Exactly};

/// The group's rows.
pub const COMMANDS: &[Command] = &[
    command("get", Exactly(2), READ.and(FAST), &[one(RO.and(ACCESS))], get).docs(
        "1.0.0",
        "key",
        "O(1)",
        "Returns the string value of a key.",
    ),
    command("set", AtLeast(3), WRITE.and(DENYOOM).and(QUICK), &[one(RW.and(ACCESS).and(UPDATE).and(VARIABLE_FLAGS))], set)
        .docs(
            "1.0.0",
            "key value",
            "O(1)",
            "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
        ),
];

/// Writes a string value, or null. Long values are sent from where they are.
fn reply_string(reply: &mut Reply, value: Option<StringValue<'_>>) {
    match value {
        None => reply.null(),
        Some(StringValue::Int(number)) => reply.bulk_integer(number),
        Some(StringValue::Bytes(bytes)) => reply.bulk(bytes),
        Some(StringValue::Shared(bytes)) => reply.bulk_shared(bytes),
    }
}

/// `GET key` -> the string, or null. O(1).
fn get(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let value = ctx.db.read_string(args.key(1))?;
    reply_string(ctx.reply, value);
    Ok(())
}

/// `SET key value` -> `+OK`. O(1).
fn set(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    ctx.db.set_string(args.key(1), NewString::encode(args.bytes(2)), Expiry::Clear);
    ctx.modified(args.key(1));
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn get_returns_what_was_set() {
        let mut redis = TestServer::new();
        redis.run("GET k").is("$-1");
        redis.run("SET k ab").is("+OK");
        redis.run("GET k").is("$2 ab");
    }
}
