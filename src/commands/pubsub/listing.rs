//! `PUBSUB`: which channels and patterns have subscribers.

use crate::commands::{CommandError, CommandResult, Ctx, reply_help};
use crate::glob::Pattern;
use crate::resp::Args;
use crate::server::pubsub::Kind;

/// `PUBSUB CHANNELS [pattern]` -> the channels that have subscribers, in no order. O(channels).
pub(super) fn channels(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    list(ctx, args, Kind::Channel)
}

/// `PUBSUB SHARDCHANNELS [pattern]` -> the shard channels that have subscribers, in no order. O(shard channels).
pub(super) fn shardchannels(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    list(ctx, args, Kind::ShardChannel)
}

fn list(ctx: &mut Ctx<'_>, args: &Args<'_>, kind: Kind) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::wrong_subcommand(args.bytes(1), "PUBSUB"));
    }
    let pattern = args.get(2).map(Pattern::new);
    let array = ctx.reply.deferred();
    let mut len = 0;
    for name in ctx.server.pubsub.topics(kind).names() {
        if pattern.as_ref().is_none_or(|pattern| pattern.matches(name)) {
            ctx.reply.bulk(name);
            len += 1;
        }
    }
    ctx.reply.finish_array(array, len);
    Ok(())
}

/// `PUBSUB NUMSUB [channel ...]` -> each channel and how many are subscribed to it, not by pattern. O(1) each.
pub(super) fn numsub(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    count(ctx, args, Kind::Channel)
}

/// `PUBSUB SHARDNUMSUB [shardchannel ...]` -> each channel and how many are subscribed to it. O(1) each.
pub(super) fn shardnumsub(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    count(ctx, args, Kind::ShardChannel)
}

fn count(ctx: &mut Ctx<'_>, args: &Args<'_>, kind: Kind) -> CommandResult {
    let names = args.tail(2);
    ctx.reply.array(names.len() * 2);
    for name in names.iter() {
        ctx.reply.bulk(name);
        ctx.reply.integer(ctx.server.pubsub.topics(kind).subscribers_len(name) as i64);
    }
    Ok(())
}

/// `PUBSUB NUMPAT` -> number of patterns that have subscribers. O(1).
pub(super) fn numpat(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.reply.integer(ctx.server.pubsub.topics(Kind::Pattern).len() as i64);
    Ok(())
}

/// `PUBSUB HELP` -> what the subcommands do. O(1).
pub(super) fn help(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    reply_help(
        ctx,
        "PUBSUB",
        &[
            "CHANNELS [<pattern>]",
            "    Return the currently active channels matching a <pattern> (default: '*').",
            "NUMPAT",
            "    Return number of subscriptions to patterns.",
            "NUMSUB [<channel> ...]",
            "    Return the number of subscribers for the specified channels, excluding",
            "    pattern subscriptions(default: no channels).",
            "SHARDCHANNELS [<pattern>]",
            "    Return the currently active shard level channels matching a <pattern> (default: '*').",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    Return the number of subscribers for the specified shard level channel(s)",
        ],
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn only_what_has_subscribers_is_listed() {
        let mut redis = TestServer::new();
        let (two, three) = (redis.connect(), redis.connect());
        redis.run("PUBSUB CHANNELS").is("*0");
        for client in [two, three] {
            redis.run_as(client, "SUBSCRIBE news");
            redis.run_as(client, "PSUBSCRIBE n*");
        }
        redis.run_as(two, "SSUBSCRIBE shard");
        redis.run_as(two, "PSUBSCRIBE m*");
        redis.run("PUBSUB CHANNELS").is("*1 $4 news");
        redis.run("PUBSUB CHANNELS m*").is("*0");
        redis.run("PUBSUB NUMSUB news shard").is("*4 $4 news :2 $5 shard :0");
        redis.run("PUBSUB NUMSUB").is("*0");
        redis.run("PUBSUB NUMPAT").is(":2");
        redis.run("PUBSUB SHARDCHANNELS s*").is("*1 $5 shard");
        redis.run("PUBSUB SHARDNUMSUB news shard").is("*4 $4 news :0 $5 shard :1");
        let info = redis.run("INFO").0;
        for field in ["channels:1", "patterns:2", "clients:2", "shard_channels:1"] {
            assert!(
                info.contains(&format!(" pubsub_{field} ").replace("_shard", "shard")),
                "{field}"
            );
        }
    }

    #[test]
    fn too_many_words_are_refused() {
        let mut redis = TestServer::new();
        redis.run("PUBSUB").is("-ERR wrong number of arguments for 'pubsub' command");
        redis.run("PUBSUB CHANNELS a b").is(
            "-ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.",
        );
        redis
            .run("PUBSUB NUMPAT x")
            .is("-ERR wrong number of arguments for 'pubsub|numpat' command");
        redis.run("PUBSUB x").is("-ERR unknown subcommand 'x'. Try PUBSUB HELP.");
    }
}
