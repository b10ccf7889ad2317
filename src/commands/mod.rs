//! The commands: one row in a table and one small function each, a file per group.

mod blocking;
pub mod categories;
mod ctx;
mod error;
pub mod greeting;
mod help;
mod registry;
mod scan;
pub mod table;

mod connection;
mod generic;
mod hash;
mod list;
mod pubsub;
mod replication;
mod scripting;
mod server;
mod set;
mod sorted_set;
mod string;
mod transactions;

pub use blocking::Timeout;
pub use ctx::Ctx;
pub use error::{CommandError, CommandResult, shown};
pub use help::{reply_help, write_help};
pub use registry::{CommandId, Registered, Registry};
pub use server::{command as about, commandlog};
pub use table::{Command, Group};

use crate::resp::Args;

/// All tables.
pub const TABLES: &[(Group, &[Command])] = &[
    (Group::String, string::COMMANDS),
    (Group::List, list::COMMANDS),
    (Group::Set, set::COMMANDS),
    (Group::Hash, hash::COMMANDS),
    (Group::Generic, generic::COMMANDS),
    (Group::Generic, &[replication::WAIT, replication::WAITAOF]),
    (Group::Connection, connection::COMMANDS),
    (Group::Server, server::COMMANDS),
    (Group::Scripting, scripting::COMMANDS),
    (Group::SortedSet, sorted_set::COMMANDS),
    (Group::Transactions, transactions::COMMANDS),
    (Group::Pubsub, pubsub::COMMANDS),
    (Group::Server, replication::COMMANDS),
];

/// Stands in the rows of containers. Never called: the arity asks for a subcommand, and dispatch runs that.
fn container(_: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    Err(CommandError::Syntax)
}
