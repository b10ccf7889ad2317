//! Channels: messages for whoever listens at that moment. Nothing is stored.
//!
//! ```text
//! subscribe  (P|S)SUBSCRIBE and (P|S)UNSUBSCRIBE
//! publish    PUBLISH and SPUBLISH
//! listing    PUBSUB: what there are subscribers for
//! ```

mod listing;
mod publish;
mod subscribe;

use super::table::*;
use super::{Command, container};
use Arity::{AtLeast, Exactly};

const SUBSCRIBES: Flags = SUBSCRIBING.and(NOSCRIPT).and(LOADING).and(STALE);
const PUBLISHES: Flags = PUBSUB.and(LOADING).and(STALE).and(FAST);
const LISTS: Flags = PUBSUB.and(LOADING).and(STALE);

const SHARD_CHANNEL: &[KeySpec] = &[one(NOT_KEY)];
const SHARD_CHANNELS: &[KeySpec] = &[all(NOT_KEY)];

/// The group's rows.
pub const COMMANDS: &[Command] = &[
    command("psubscribe", AtLeast(2), SUBSCRIBES, &[], subscribe::psubscribe).docs(
        "2.0.0",
        "pattern [pattern ...]",
        "O(N) where N is the number of patterns to subscribe to.",
        "Listens for messages published to channels that match one or more patterns.",
    ),
    command("publish", Exactly(3), PUBLISHES, &[], publish::publish).docs(
        "2.0.0",
        "channel message",
        "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client).",
        "Posts a message to a channel.",
    ),
    command("pubsub", AtLeast(2), Flags::NONE, &[], container)
        .docs("2.8.0", "", "Depends on subcommand.", "A container for Pub/Sub commands.")
        .subcommands(PUBSUB_SUBCOMMANDS),
    command("punsubscribe", AtLeast(1), SUBSCRIBES, &[], subscribe::punsubscribe).docs(
        "2.0.0",
        "[pattern [pattern ...]]",
        "O(N) where N is the number of patterns to unsubscribe.",
        "Stops listening to messages published to channels that match one or more patterns.",
    ),
    command("spublish", Exactly(3), PUBLISHES, SHARD_CHANNEL, publish::spublish).docs(
        "7.0.0",
        "shardchannel message",
        "O(N) where N is the number of clients subscribed to the receiving shard channel.",
        "Posts a message to a shard channel.",
    ),
    command("ssubscribe", AtLeast(2), SUBSCRIBES, SHARD_CHANNELS, subscribe::ssubscribe).docs(
        "7.0.0",
        "shardchannel [shardchannel ...]",
        "O(N) where N is the number of shard channels to subscribe to.",
        "Listens for messages published to shard channels.",
    ),
    command("subscribe", AtLeast(2), SUBSCRIBES, &[], subscribe::subscribe).docs(
        "2.0.0",
        "channel [channel ...]",
        "O(N) where N is the number of channels to subscribe to.",
        "Listens for messages published to channels.",
    ),
    command("sunsubscribe", AtLeast(1), SUBSCRIBES, SHARD_CHANNELS, subscribe::sunsubscribe).docs(
        "7.0.0",
        "[shardchannel [shardchannel ...]]",
        "O(N) where N is the number of shard channels to unsubscribe.",
        "Stops listening to messages posted to shard channels.",
    ),
    command("unsubscribe", AtLeast(1), SUBSCRIBES, &[], subscribe::unsubscribe).docs(
        "2.0.0",
        "[channel [channel ...]]",
        "O(N) where N is the number of channels to unsubscribe.",
        "Stops listening to messages posted to channels.",
    ),
];

const PUBSUB_SUBCOMMANDS: &[Command] = &[
    command("channels", AtLeast(2), LISTS, &[], listing::channels).docs(
        "2.8.0",
        "[pattern]",
        "O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short channels and patterns)",
        "Returns the active channels.",
    ),
    command("help", Exactly(2), LOADING.and(STALE), &[], listing::help).docs(
        "6.2.0",
        "",
        "O(1)",
        "Returns helpful text about the different subcommands.",
    ),
    command("numpat", Exactly(2), LISTS, &[], listing::numpat).docs(
        "2.8.0",
        "",
        "O(1)",
        "Returns a count of unique pattern subscriptions.",
    ),
    command("numsub", AtLeast(2), LISTS, &[], listing::numsub).docs(
        "2.8.0",
        "[channel [channel ...]]",
        "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
        "Returns a count of subscribers to channels.",
    ),
    command("shardchannels", AtLeast(2), LISTS, &[], listing::shardchannels).docs(
        "7.0.0",
        "[pattern]",
        "O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively short shard channels).",
        "Returns the active shard channels.",
    ),
    command("shardnumsub", AtLeast(2), LISTS, &[], listing::shardnumsub).docs(
        "7.0.0",
        "[shardchannel [shardchannel ...]]",
        "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
        "Returns the count of subscribers of shard channels.",
    ),
];
