//! Publishing.

use crate::commands::{CommandResult, Ctx};
use crate::resp::Args;
use crate::server::pubsub::Kind;

/// `PUBLISH channel message` -> to how many subscriptions it went. O(subscribers), and O(log patterns) for each prefix of
/// the channel that patterns begin with.
pub(super) fn publish(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let receivers = ctx.server.publish(Kind::Channel, args.bytes(1), args.bytes(2));
    ctx.propagate_message(args);
    ctx.reply.integer(receivers as i64);
    Ok(())
}

/// `SPUBLISH shardchannel message` -> to how many subscribers it went. O(subscribers).
pub(super) fn spublish(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let receivers = ctx.server.publish(Kind::ShardChannel, args.bytes(1), args.bytes(2));
    ctx.propagate_message(args);
    ctx.reply.integer(receivers as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn a_message_goes_to_channel_and_patterns() {
        let mut redis = TestServer::new();
        let (two, three) = (redis.connect(), redis.connect());
        redis.run_as(two, "SUBSCRIBE news.art");
        redis.run_as(two, "PSUBSCRIBE news.* *art sports.*");
        redis.run_as(three, "HELLO 3");
        redis.run_as(three, "PSUBSCRIBE news.*");
        redis.run("PUBLISH news.art hello").is(":4");
        redis.take(two).is(
            "*3 $7 message $8 news.art $5 hello *4 $8 pmessage $6 news.* $8 news.art $5 hello \
             *4 $8 pmessage $4 *art $8 news.art $5 hello",
        );
        redis.take(three).is(">4 $8 pmessage $6 news.* $8 news.art $5 hello");
        redis.run("PUBLISH nothing m").is(":0");
    }

    #[test]
    fn shard_channels_are_others_than_channels() {
        let mut redis = TestServer::new();
        let (two, three) = (redis.connect(), redis.connect());
        redis.run_as(two, "SSUBSCRIBE c");
        redis.run_as(three, "SUBSCRIBE c");
        redis.run_as(three, "PSUBSCRIBE *");
        redis.run("SPUBLISH c m").is(":1");
        redis.take(two).is("*3 $8 smessage $1 c $1 m");
        redis.take(three).is("");
        redis.run("PUBLISH c m").is(":2");
        redis.take(two).is("");
    }

    #[test]
    fn what_a_client_publishes_to_itself_comes_after_the_reply() {
        let mut redis = TestServer::new();
        let own = redis.connect();
        redis.run_as(own, "HELLO 3");
        redis.run_as(own, "SUBSCRIBE a");
        redis
            .receive(own, b"PING\r\nPUBLISH a 1\r\nPING\r\nPUBLISH a 2\r\n")
            .is("+PONG :1 >3 $7 message $1 a $1 1 +PONG :1 >3 $7 message $1 a $1 2");
        redis.run("PUBLISH a 3").is(":1");
        redis.run_as(own, "PING").is(">3 $7 message $1 a $1 3 +PONG");
    }

    #[test]
    fn channels_and_messages_are_any_bytes() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        redis.run_as(other, "SUBSCRIBE \"\"");
        redis.run_bytes(&[b"PUBLISH", b"", b"\r\n"]).is(":1");
        redis.take(other).is("*3 $7 message $0  $2");
    }
}
