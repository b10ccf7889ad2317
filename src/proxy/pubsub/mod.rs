//! Channels: however many clients listen to one, there is one subscription to it at a node, and the proxy hands its messages
//! to each of them. Nothing is stored; messages that are published while a node is away are lost, as they would be
//! without a proxy.
//!
//! ```text
//! topics      channels, patterns and shard channels with their subscribers
//! subscribe   (P|S)SUBSCRIBE, (P|S)UNSUBSCRIBE, PUBSUB
//! upstream    subscriptions at the nodes: where, and what they send
//! ```
//! A channel belongs to the node of its slot, for publishers as for subscribers. A pattern is subscribed to at all plain
//! servers, each of which knows only what is published there, but at one node of a cluster, which knows all.

mod subscribe;
mod topics;
mod upstream;

pub(super) use subscribe::HANDLERS;
pub(super) use topics::{Channels, Subscriptions};
