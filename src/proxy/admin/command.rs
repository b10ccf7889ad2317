//! `COMMAND`: the proxy's table of commands, told in the words of the server.

use crate::commands::{CommandResult, about};
use crate::proxy::Proxy;
use crate::proxy::routing::Handler;
use crate::resp::{Args, Reply};

/// The handler of a reply that follows from the table alone.
macro_rules! told {
    ($tell:path) => {
        |proxy: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply| -> CommandResult {
            $tell(&proxy.commands.registry, args, reply)
        }
    };
}

/// The subcommands.
pub(super) const HANDLERS: &[(&str, Handler)] = &[
    ("command", told!(about::all)),
    ("command|count", told!(about::count)),
    ("command|docs", told!(about::docs)),
    ("command|getkeys", told!(about::getkeys)),
    ("command|getkeysandflags", told!(about::getkeysandflags)),
    ("command|help", told!(about::help)),
    ("command|info", told!(about::info)),
    ("command|list", told!(about::list)),
];
