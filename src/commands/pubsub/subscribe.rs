//! Subscribing and unsubscribing. There is no reply for the command as a whole: each channel is answered by a message.

use crate::commands::{CommandResult, Ctx};
use crate::resp::{Args, Reply};
use crate::server::pubsub::Kind;

/// `SUBSCRIBE channel [channel ...]` -> for each: `subscribe`, the channel, number of subscriptions. O(1) each.
pub(super) fn subscribe(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    join(ctx, args, Kind::Channel, b"subscribe")
}

/// `PSUBSCRIBE pattern [pattern ...]` -> for each: `psubscribe`, the pattern, number of subscriptions. O(1) each.
pub(super) fn psubscribe(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    join(ctx, args, Kind::Pattern, b"psubscribe")
}

/// `SSUBSCRIBE shardchannel [shardchannel ...]` -> for each: `ssubscribe`, the channel, number of subscriptions to shard
/// channels. O(1) each.
pub(super) fn ssubscribe(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    join(ctx, args, Kind::ShardChannel, b"ssubscribe")
}

/// `UNSUBSCRIBE [channel ...]` -> for each, or for all: `unsubscribe`, the channel, subscriptions left. O(1) each.
pub(super) fn unsubscribe(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    leave(ctx, args, Kind::Channel, b"unsubscribe")
}

/// `PUNSUBSCRIBE [pattern ...]` -> for each, or for all: `punsubscribe`, the pattern, subscriptions left. O(1) each.
pub(super) fn punsubscribe(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    leave(ctx, args, Kind::Pattern, b"punsubscribe")
}

/// `SUNSUBSCRIBE [shardchannel ...]` -> for each, or for all: `sunsubscribe`, the channel, subscriptions to shard channels
/// left. O(1) each.
pub(super) fn sunsubscribe(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    leave(ctx, args, Kind::ShardChannel, b"sunsubscribe")
}

fn join(ctx: &mut Ctx<'_>, args: &Args<'_>, kind: Kind, word: &[u8]) -> CommandResult {
    for name in args.tail(1).iter() {
        let subscriptions = ctx.server.subscribe(ctx.token, kind, name);
        tell(ctx.reply, word, Some(name), subscriptions);
    }
    Ok(())
}

fn leave(ctx: &mut Ctx<'_>, args: &Args<'_>, kind: Kind, word: &[u8]) -> CommandResult {
    for name in args.tail(1).iter() {
        let left = ctx.server.unsubscribe(ctx.token, kind, name);
        tell(ctx.reply, word, Some(name), left);
    }
    if args.len() == 1 {
        leave_all(ctx, kind, word);
    }
    Ok(())
}

/// Whoever is subscribed to nothing of that kind is answered, too.
fn leave_all(ctx: &mut Ctx<'_>, kind: Kind, word: &[u8]) {
    let Ctx { server, reply, token, .. } = ctx;
    let mut told = false;
    server.unsubscribe_all(*token, kind, |name, left| {
        tell(reply, word, Some(name), left);
        told = true;
    });
    if !told {
        let left = server.subscriptions_count(*token, kind);
        tell(reply, word, None, left);
    }
}

fn tell(reply: &mut Reply, word: &[u8], name: Option<&[u8]>, subscriptions: usize) {
    reply.push(3);
    reply.bulk(word);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.integer(subscriptions as i64);
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn each_channel_is_answered_with_the_number_of_subscriptions() {
        let mut redis = TestServer::new();
        redis
            .run("SUBSCRIBE a b a")
            .is("*3 $9 subscribe $1 a :1 *3 $9 subscribe $1 b :2 *3 $9 subscribe $1 a :2");
        redis.run("PSUBSCRIBE a*").is("*3 $10 psubscribe $2 a* :3");
        redis.run("SSUBSCRIBE a").is("*3 $10 ssubscribe $1 a :1");
        redis.run("UNSUBSCRIBE b c").is("*3 $11 unsubscribe $1 b :2 *3 $11 unsubscribe $1 c :2");
        redis.run("PUNSUBSCRIBE").is("*3 $12 punsubscribe $2 a* :1");
        redis.run("PUNSUBSCRIBE").is("*3 $12 punsubscribe $-1 :1");
        redis.run("SUNSUBSCRIBE").is("*3 $12 sunsubscribe $1 a :0");
        redis.run("UNSUBSCRIBE").is("*3 $11 unsubscribe $1 a :0");
        redis.run("UNSUBSCRIBE").is("*3 $11 unsubscribe $-1 :0");
        redis.run("UNSUBSCRIBE x").is("*3 $11 unsubscribe $1 x :0");
        redis.run("SUBSCRIBE").is("-ERR wrong number of arguments for 'subscribe' command");
    }

    #[test]
    fn in_resp3_the_answers_are_pushes() {
        let mut redis = TestServer::new();
        redis.run("HELLO 3");
        redis.run("SUBSCRIBE a").is(">3 $9 subscribe $1 a :1");
        redis.run("UNSUBSCRIBE a").is(">3 $11 unsubscribe $1 a :0");
        redis.run("SUNSUBSCRIBE").is(">3 $12 sunsubscribe _ :0");
    }

    #[test]
    fn unsubscribing_from_all_tells_the_number_left_after_each() {
        let mut redis = TestServer::new();
        redis.run("SUBSCRIBE a b c");
        redis.run("PSUBSCRIBE *");
        redis
            .run("UNSUBSCRIBE")
            .is("*3 $11 unsubscribe $1 a :3 *3 $11 unsubscribe $1 b :2 *3 $11 unsubscribe $1 c :1");
    }

    #[test]
    fn p25_a_subscribed_resp2_client_may_do_little_else() {
        let mut redis = TestServer::new();
        redis.run("SUBSCRIBE a");
        let refusal = "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
                       allowed in this context";
        redis.run("GET k").is(refusal);
        redis.run("CLIENT LIST").is(&refusal.replace("get", "client|list"));
        redis.run("PUBLISH a m").is(&refusal.replace("get", "publish"));
        redis.run("GET").is("-ERR wrong number of arguments for 'get' command");
        redis.run("PING").is("*2 $4 pong $0");
        redis.run("PING hello").is("*2 $4 pong $5 hello");
        redis.run("PING a b").is("-ERR wrong number of arguments for 'ping' command");
        redis.run("SSUBSCRIBE s").is("*3 $10 ssubscribe $1 s :1");
        redis.run("UNSUBSCRIBE");
        redis.run("GET k").is(refusal);
        redis.run("SUNSUBSCRIBE");
        redis.run("GET k").is("$-1");
        redis.run("PING").is("+PONG");
    }

    #[test]
    fn p25_a_subscribed_resp3_client_may_do_everything() {
        let mut redis = TestServer::new();
        redis.run("HELLO 3");
        redis.run("SUBSCRIBE a");
        redis.run("GET k").is("_");
        redis.run("PING").is("+PONG");
        redis.run("HELLO 2");
        redis.run("GET k").starts("-ERR Can't execute 'get'");
    }

    #[test]
    fn reset_and_quit_end_all_subscriptions() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        for end in ["RESET", "QUIT"] {
            redis.run_as(other, "SUBSCRIBE a b");
            redis.run_as(other, "PSUBSCRIBE a*");
            redis.run_as(other, "SSUBSCRIBE a");
            redis.run("PUBLISH a m").is(":2");
            redis.take(other);
            redis.run_as(other, end);
            redis.run("PUBLISH a m").is(":0");
            redis.run("SPUBLISH a m").is(":0");
            redis.run("PUBSUB CHANNELS").is("*0");
            redis.run("PUBSUB NUMPAT").is(":0");
        }
    }

    #[test]
    fn client_reply_off_does_not_silence_messages() {
        let mut redis = TestServer::new();
        let silent = redis.connect();
        redis.run_as(silent, "HELLO 3");
        redis.run_as(silent, "CLIENT REPLY OFF").is("");
        redis.run_as(silent, "SUBSCRIBE a").is(">3 $9 subscribe $1 a :1");
        redis.run_as(silent, "SUBSCRIBE").is("");
        redis.run_as(silent, "PUBLISH a m").is(">3 $7 message $1 a $1 m");
        redis.run("PUBLISH a m").is(":1");
        redis.take(silent).is(">3 $7 message $1 a $1 m");
        redis.run_as(silent, "UNSUBSCRIBE a").is(">3 $11 unsubscribe $1 a :0");
        redis.run_as(silent, "CLIENT REPLY ON").is("+OK");
        redis.run_as(silent, "CLIENT REPLY SKIP").is("");
        redis.run_as(silent, "PSUBSCRIBE *").is(">3 $10 psubscribe $1 * :1");
        redis.run_as(silent, "PING").is("+PONG");
    }
}
