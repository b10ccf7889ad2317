//! The connection itself: who it is, what it speaks, and what it may know of and do to the other ones.
//!
//! ```text
//! auth      AUTH, HELLO and the password
//! session   ECHO PING QUIT RESET SELECT
//! client    CLIENT: the table of subcommands, and those about the calling client; client_help: CLIENT HELP
//! listing   CLIENT LIST, INFO and KILL
//! filter    which clients LIST and KILL mean
//! pausing   CLIENT PAUSE, UNPAUSE, UNBLOCK
//! tracking  CLIENT TRACKING, CACHING, TRACKINGINFO, GETREDIR
//! ```

mod auth;
mod client;
mod client_help;
mod filter;
mod listing;
mod pausing;
mod session;
mod tracking;

use super::Command;
use super::table::*;
use Arity::{AtLeast, Exactly};

/// What all commands have that work whatever state server and client are in.
const ALWAYS: Flags = NOSCRIPT.and(LOADING).and(STALE).and(FAST).and(NO_AUTH).and(ALLOW_BUSY);

/// The group's rows.
pub const COMMANDS: &[Command] = &[
    command("auth", AtLeast(2), ALWAYS, &[], auth::auth).docs(
        "1.0.0",
        "[username] password",
        "O(N) where N is the number of passwords defined for the user",
        "Authenticates the connection.",
    ),
    command("client", AtLeast(2), Flags::NONE, &[], client_help::help)
        .docs("2.4.0", "", "Depends on subcommand.", "A container for client connection commands.")
        .subcommands(client::SUBCOMMANDS),
    command("echo", Exactly(2), LOADING.and(STALE).and(FAST), &[], session::echo).docs(
        "1.0.0",
        "message",
        "O(1)",
        "Returns the given string.",
    ),
    command("hello", AtLeast(1), ALWAYS, &[], auth::hello).docs(
        "6.0.0",
        "[protover [AUTH username password] [SETNAME clientname]]",
        "O(1)",
        "Handshakes with the server.",
    ),
    command("ping", AtLeast(1), FAST.and(WHILE_SUBSCRIBED), &[], session::ping)
        .docs("1.0.0", "[message]", "O(1)", "Returns the server's liveliness response.")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    command("quit", AtLeast(1), ALWAYS.and(WHILE_SUBSCRIBED), &[], session::quit)
        .docs("1.0.0", "", "O(1)", "Closes the connection.")
        .in_multi(InMulti::Ends),
    command("reset", Exactly(1), ALWAYS.and(WHILE_SUBSCRIBED), &[], session::reset)
        .docs("6.2.0", "", "O(1)", "Resets the connection.")
        .in_multi(InMulti::Ends),
    command(
        "select",
        Exactly(2),
        LOADING.and(STALE).and(FAST).and(ALLOW_BUSY),
        &[],
        session::select,
    )
    .docs("1.0.0", "index", "O(1)", "Changes the selected database."),
];

/// What an argument that is `ON` or `OFF` says, in any case.
fn on_or_off(argument: &[u8]) -> Result<bool, super::CommandError> {
    match argument {
        on if on.eq_ignore_ascii_case(b"on") => Ok(true),
        off if off.eq_ignore_ascii_case(b"off") => Ok(false),
        _ => Err(super::CommandError::Syntax),
    }
}
