//! `MODULE`: there are no modules, and a client that asks which ones are loaded is told so.

use super::container;
use crate::commands::table::*;
use crate::commands::{Command, CommandResult, Ctx, reply_help};
use crate::resp::Args;
use Arity::{AtLeast, Exactly};

/// The row of `MODULE`.
pub const MODULE: Command = command("module", AtLeast(2), Flags::NONE, &[], container)
    .docs("4.0.0", "", "Depends on subcommand.", "A container for module commands.")
    .subcommands(&[
        command("help", Exactly(2), LOADING.and(STALE), &[], help).docs(
            "5.0.0",
            "",
            "O(1)",
            "Returns helpful text about the different subcommands.",
        ),
        command("list", Exactly(2), ADMIN.and(NOSCRIPT), &[], list)
            .docs(
                "4.0.0",
                "",
                "O(N) where N is the number of loaded modules.",
                "Returns all loaded modules.",
            )
            .tips(&["nondeterministic_output_order"]),
    ]);

/// `MODULE HELP` -> the subcommands.
fn help(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    reply_help(ctx, "MODULE", &["LIST", "    Return a list of loaded modules."]);
    Ok(())
}

/// `MODULE LIST` -> no modules. O(1).
fn list(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.reply.array(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn there_are_no_modules() {
        let mut redis = TestServer::new();
        redis.run("MODULE LIST").is("*0");
        redis.run("MODULE LOAD x").is("-ERR unknown subcommand 'LOAD'. Try MODULE HELP.");
        redis.run("MODULE").is("-ERR wrong number of arguments for 'module' command");
    }
}
