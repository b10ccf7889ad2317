//! Scripting: there is no engine for functions, so there are none. Tools that ask which there are, or that start from an
//! empty server with `FUNCTION FLUSH`, are told so; everything that would need an engine is an unknown subcommand.

use super::table::*;
use super::{Command, CommandError, CommandResult, Ctx, container, reply_help};
use crate::resp::Args;
use Arity::{AtLeast, Exactly};

/// The group's rows.
pub const COMMANDS: &[Command] = &[command("function", AtLeast(2), Flags::NONE, &[], container)
    .docs("7.0.0", "", "Depends on subcommand.", "A container for function commands.")
    .subcommands(&[
        command("flush", AtLeast(2), NOSCRIPT.and(WRITE), &[], flush)
            .docs(
                "7.0.0",
                "[ASYNC | SYNC]",
                "O(N) where N is the number of functions deleted",
                "Deletes all libraries and functions.",
            )
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
        command("help", Exactly(2), LOADING.and(STALE), &[], help).docs(
            "7.0.0",
            "",
            "O(1)",
            "Returns helpful text about the different subcommands.",
        ),
        command("list", AtLeast(2), NOSCRIPT, &[], list)
            .docs(
                "7.0.0",
                "[LIBRARYNAME library-name-pattern] [WITHCODE]",
                "O(N) where N is the number of functions",
                "Returns information about all libraries.",
            )
            .tips(&["nondeterministic_output_order"]),
    ])];

/// `FUNCTION FLUSH [ASYNC | SYNC]` -> `+OK`: afterwards there are no functions, as before. O(1).
fn flush(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let known =
        |mode: &[u8]| mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async");
    if args.len() > 3 || args.get(2).is_some_and(|mode| !known(mode)) {
        return Err(CommandError::Text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    ctx.reply.ok();
    Ok(())
}

/// `FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]` -> no libraries. O(1).
fn list(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let mut options = args.iter().skip(2);
    while let Some(option) = options.next() {
        let has_pattern = option.eq_ignore_ascii_case(b"libraryname");
        if has_pattern && options.next().is_none() {
            return Err(CommandError::Text("ERR library name argument was not given"));
        }
        if !has_pattern && !option.eq_ignore_ascii_case(b"withcode") {
            return Err(CommandError::Bytes([b"ERR Unknown argument ", option].concat()));
        }
    }
    ctx.reply.array(0);
    Ok(())
}

/// `FUNCTION HELP` -> the subcommands.
fn help(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let lines = [
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return general information on all the libraries.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all the libraries.",
    ];
    reply_help(ctx, "FUNCTION", &lines);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn there_are_no_functions() {
        let mut redis = TestServer::new();
        redis.run("FUNCTION FLUSH").is("+OK");
        redis.run("FUNCTION FLUSH SYNC").is("+OK");
        redis.run("FUNCTION LIST LIBRARYNAME x* WITHCODE").is("*0");
    }

    #[test]
    fn options_are_checked() {
        let mut redis = TestServer::new();
        redis.run("FUNCTION FLUSH NOW").is("-ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
        redis.run("FUNCTION LIST a").is("-ERR Unknown argument a");
        redis.run("FUNCTION LIST LIBRARYNAME").is("-ERR library name argument was not given");
        redis.run("FUNCTION LOAD x").is("-ERR unknown subcommand 'LOAD'. Try FUNCTION HELP.");
    }
}
