//! The `HELP` subcommand of the commands that have subcommands.

use super::Ctx;
use crate::resp::Reply;

/// Writes the help of `command` (in capitals): a line that says what it is, `lines`, and what `HELP` does.
pub fn reply_help(ctx: &mut Ctx<'_>, command: &str, lines: &[&str]) {
    write_help(ctx.reply, command, lines);
}

/// The same where there is no call to answer.
pub fn write_help(reply: &mut Reply, command: &str, lines: &[&str]) {
    reply.array(lines.len() + 3);
    reply.simple(&format!("{command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for line in lines.iter().chain(&["HELP", "    Prints this help."]) {
        reply.simple(line);
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn help_has_a_heading_and_ends_with_itself() {
        let mut redis = TestServer::new();
        let help = redis.run("MODULE HELP");
        help.starts("*5 +MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are: +LIST ");
        assert!(help.0.ends_with(" +HELP +    Prints this help."), "{}", help.0);
    }
}
