//! How each command travels: to the node of its keys, to several, to all, or nowhere, because the proxy answers it. Names,
//! arities, flags and keys are those of the command table; what the server does not have is in `elsewhere`.

use super::command_stats::CommandStats;
use super::{Proxy, admin, elsewhere, local, pubsub, refused};
use crate::commands::table::{BLOCKING, KeySpec, SUBSCRIBING, WRITE};
use crate::commands::{CommandError, CommandId, CommandResult, Registered, Registry};
use crate::resp::{Args, Reply};

/// Code for a command that the proxy answers itself: reads its arguments, replies. One that returns `Err` has written
/// nothing.
pub(super) type Handler = fn(&mut Proxy, usize, &Args<'_>, &mut Reply) -> CommandResult;

/// How the parts of a reply become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gather {
    /// `+OK`, if all parts are no errors.
    Ok,
    /// The sum of integers.
    Sum,
    /// The elements of arrays, in the order of the keys asked for.
    ByKey,
    /// The elements of arrays, one array after the other.
    Concatenated,
    /// Any part: they are all the same.
    Any,
    /// Any part that is not null, by chance.
    AnyThere,
    /// Arrays of 0 and 1: 1 where all of them have it.
    EachEverywhere,
}

/// The ways.
#[derive(Clone, Copy)]
pub(super) enum Travel {
    /// To the node that has its keys, which must be in one slot.
    Keys,
    /// Each key to its node, `step` arguments at a time; the replies are gathered.
    Split { step: usize, gather: Gather },
    /// To some node, always the same one.
    AnyNode,
    /// To all nodes; the replies are gathered.
    AllNodes(Gather),
    /// To one node after the other: `SCAN`.
    Scan,
    /// As `Keys`, but the node may let it wait: on a link of its own.
    Blocking,
    /// To the node that the channel belongs to.
    Publish,
    /// Has to do with transactions, and so with the client's session.
    Transaction,
    /// Subscribes or unsubscribes.
    Subscribing,
    /// Nowhere: the proxy answers.
    Here(Handler),
    /// Nowhere: it cannot work, for this reason.
    Refused(&'static str),
}

/// What is to be known of a command on its way.
pub(super) struct Route {
    pub travel: Travel,
    /// Position of its only key, if it has just one, at a place that is always the same; else 0.
    pub only_key: usize,
    /// It may change something.
    pub writes: bool,
}

/// All commands, and how they travel.
pub struct Commands {
    /// Names, arities, flags, keys.
    pub registry: Registry,
    routes: Vec<Route>,
    /// How often each was called, by number.
    pub calls: Vec<u64>,
    /// How its replies came, by number.
    pub stats: Vec<CommandStats>,
}

impl Commands {
    pub(super) fn new() -> Commands {
        let registry = Registry::new(&elsewhere::tables(), &[]).expect("nothing is renamed");
        let routes: Vec<Route> = registry.iter().map(|(_, registered)| route(registered)).collect();
        let count = routes.len();
        Commands {
            calls: vec![0; count],
            stats: vec![CommandStats::default(); count],
            registry,
            routes,
        }
    }

    /// Forgets what was counted; returns how many commands had replies.
    pub(super) fn reset_stats(&mut self) -> usize {
        self.calls.fill(0);
        let counted = self.stats.iter().filter(|stats| stats.replies > 0).count();
        self.stats.fill(CommandStats::default());
        counted
    }

    /// The way of a command.
    #[inline]
    pub(super) fn route(&self, id: CommandId) -> &Route {
        &self.routes[usize::from(id.0)]
    }

    /// The positions of a request's keys, by the table or by what the server's table cannot say.
    pub(super) fn key_positions(
        &self,
        id: CommandId,
        args: &Args<'_>,
    ) -> Result<Vec<usize>, CommandError> {
        let registered = self.registry.get(id);
        if let Some(find) = elsewhere::keys_of(&registered.full_name) {
            return find(args).ok_or(CommandError::Syntax);
        }
        let positions = registered.command.key_positions(args).unwrap_or_default();
        if positions.is_empty() {
            return Ok(elsewhere::shard_channels(registered.command, args));
        }
        Ok(positions.into_iter().map(|(position, _)| position).collect())
    }
}

fn route(registered: &Registered) -> Route {
    let command = registered.command;
    let only_key = match command.keys {
        &[KeySpec::Range { first, last, .. }] if last == first as i32 => first,
        _ => 0,
    };
    let travel = travel(registered);
    let is_simple = matches!(travel, Travel::Keys);
    Route {
        travel,
        only_key: if is_simple { only_key } else { 0 },
        writes: command.flags.has(WRITE) || elsewhere::may_write(&registered.full_name),
    }
}

fn travel(registered: &Registered) -> Travel {
    let name = registered.full_name.as_str();
    let here = local::HANDLERS.iter().chain(pubsub::HANDLERS).chain(admin::handlers());
    if let Some((_, handler)) = here.into_iter().find(|(known, _)| *known == name) {
        return Travel::Here(*handler);
    }
    if let Some((_, travel)) = SPECIAL.iter().find(|(known, _)| *known == name) {
        return *travel;
    }
    let command = registered.command;
    if command.flags.has(SUBSCRIBING) {
        Travel::Subscribing
    } else if let Some(reason) = refused::reason(name) {
        Travel::Refused(reason)
    } else if command.flags.has(BLOCKING) {
        Travel::Blocking
    } else if !command.keys.is_empty() || elsewhere::keys_of(name).is_some() {
        Travel::Keys
    } else if name.ends_with("|help") {
        Travel::AnyNode
    } else {
        Travel::Refused(refused::NO_KEYS)
    }
}

/// Commands that do not travel as their keys say.
const SPECIAL: &[(&str, Travel)] = &[
    ("mget", Travel::Split { step: 1, gather: Gather::ByKey }),
    ("mset", Travel::Split { step: 2, gather: Gather::Ok }),
    ("del", Travel::Split { step: 1, gather: Gather::Sum }),
    ("unlink", Travel::Split { step: 1, gather: Gather::Sum }),
    ("exists", Travel::Split { step: 1, gather: Gather::Sum }),
    ("touch", Travel::Split { step: 1, gather: Gather::Sum }),
    ("dbsize", Travel::AllNodes(Gather::Sum)),
    ("flushall", Travel::AllNodes(Gather::Ok)),
    ("flushdb", Travel::AllNodes(Gather::Ok)),
    ("keys", Travel::AllNodes(Gather::Concatenated)),
    ("randomkey", Travel::AllNodes(Gather::AnyThere)),
    ("script|load", Travel::AllNodes(Gather::Any)),
    ("script|exists", Travel::AllNodes(Gather::EachEverywhere)),
    ("script|flush", Travel::AllNodes(Gather::Ok)),
    ("function|load", Travel::AllNodes(Gather::Any)),
    ("function|delete", Travel::AllNodes(Gather::Ok)),
    ("function|flush", Travel::AllNodes(Gather::Ok)),
    ("function|restore", Travel::AllNodes(Gather::Ok)),
    ("function|list", Travel::AnyNode),
    ("function|dump", Travel::AnyNode),
    ("time", Travel::AnyNode),
    ("lolwut", Travel::AnyNode),
    ("scan", Travel::Scan),
    ("publish", Travel::Publish),
    ("spublish", Travel::Keys),
    ("multi", Travel::Transaction),
    ("exec", Travel::Transaction),
    ("discard", Travel::Transaction),
    ("watch", Travel::Transaction),
    ("unwatch", Travel::Transaction),
];
