//! `COMMAND`: the command table, told to clients.

mod describe;
mod docs;
mod keys;

pub use docs::docs;
pub use keys::{getkeys, getkeysandflags};

use crate::commands::help::write_help;
use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandId, CommandResult, Ctx, Registry};
use crate::glob::Pattern;
use crate::resp::{Args, Reply};
use Arity::{AtLeast, Exactly};
use describe::describe;

const FLAGS: Flags = LOADING.and(STALE);
const CONNECTION: &[&str] = &["connection"];
const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const THESE_COMMANDS: &str = "O(N) where N is the number of commands to look up";
const ITS_ARGUMENTS: &str = "O(N) where N is the number of arguments to the command";

/// The handler of what is told of the table alone, for which the proxy has the table, too.
macro_rules! told {
    ($tell:path) => {
        |ctx: &mut Ctx<'_>, args: &Args<'_>| $tell(&ctx.server.registry, args, ctx.reply)
    };
}

/// The row.
pub const COMMAND: Command = command("command", AtLeast(1), FLAGS, &[], told!(all))
    .docs(
        "2.8.13",
        "",
        "O(N) where N is the total number of Redis commands",
        "Returns detailed information about all commands.",
    )
    .categories(CONNECTION)
    .tips(ANY_ORDER)
    .subcommands(SUBCOMMANDS);

const SUBCOMMANDS: &[Command] = &[
    command("count", Exactly(2), FLAGS, &[], told!(count))
        .docs("2.8.13", "", "O(1)", "Returns a count of commands.")
        .categories(CONNECTION),
    command("docs", AtLeast(2), FLAGS, &[], told!(docs))
        .docs(
            "7.0.0",
            "[command-name [command-name ...]]",
            THESE_COMMANDS,
            "Returns documentary information about one, multiple or all commands.",
        )
        .categories(CONNECTION)
        .tips(ANY_ORDER),
    command("getkeys", AtLeast(3), FLAGS, &[], told!(getkeys))
        .docs(
            "2.8.13",
            "command [arg [arg ...]]",
            ITS_ARGUMENTS,
            "Extracts the key names from an arbitrary command.",
        )
        .categories(CONNECTION),
    command("getkeysandflags", AtLeast(3), FLAGS, &[], told!(getkeysandflags))
        .docs(
            "7.0.0",
            "command [arg [arg ...]]",
            ITS_ARGUMENTS,
            "Extracts the key names and access flags for an arbitrary command.",
        )
        .categories(CONNECTION),
    command("help", Exactly(2), FLAGS, &[], told!(help))
        .docs("5.0.0", "", "O(1)", "Returns helpful text about the different subcommands.")
        .categories(CONNECTION),
    command("info", AtLeast(2), FLAGS, &[], told!(info))
        .docs(
            "2.8.13",
            "[command-name [command-name ...]]",
            THESE_COMMANDS,
            "Returns information about one, multiple or all commands.",
        )
        .categories(CONNECTION)
        .tips(ANY_ORDER),
    command("list", AtLeast(2), FLAGS, &[], told!(list))
        .docs(
            "7.0.0",
            "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
            "O(N) where N is the total number of Redis commands",
            "Returns a list of command names.",
        )
        .categories(CONNECTION)
        .tips(ANY_ORDER),
];

/// The commands that can be called, without subcommands: `rename-command` may have taken some away.
fn callable(registry: &Registry) -> impl Iterator<Item = CommandId> {
    let commands = registry.iter().filter(|(_, registered)| registered.parent.is_none());
    commands
        .filter(|&(id, registered)| registry.find(registered.full_name.as_bytes()) == Some(id))
        .map(|(id, _)| id)
}

/// The command or subcommand that `name` means: `get`, or `client|list`.
fn find_full_name(registry: &Registry, name: &[u8]) -> Option<CommandId> {
    let mut words = name.split(|&byte| byte == b'|');
    let id = registry.find(words.next().unwrap_or_default())?;
    let found = match words.next() {
        None => Some(id),
        Some(subcommand) => registry.find_subcommand(id, subcommand),
    };
    if words.next().is_none() { found } else { None }
}

/// `COMMAND` -> what `COMMAND INFO` tells, of all commands. O(commands).
pub fn all(registry: &Registry, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    reply.array(callable(registry).count());
    for id in callable(registry) {
        describe(reply, registry, id);
    }
    Ok(())
}

/// `COMMAND COUNT` -> number of commands, subcommands not counted. O(commands).
pub fn count(registry: &Registry, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    reply.integer(callable(registry).count() as i64);
    Ok(())
}

/// `COMMAND INFO [name ...]` -> a description of each, null for what is no command. O(names).
pub fn info(registry: &Registry, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let names = args.tail(2);
    if names.is_empty() {
        return all(registry, args, reply);
    }
    reply.array(names.len());
    for name in names.iter() {
        match find_full_name(registry, name) {
            Some(id) => describe(reply, registry, id),
            None => reply.null(),
        }
    }
    Ok(())
}

/// Which commands `COMMAND LIST` names.
enum Filter<'a> {
    All,
    /// There are no modules, so nothing.
    Module,
    Category(&'a [u8]),
    Pattern(Pattern),
}

/// `COMMAND LIST [FILTERBY MODULE|ACLCAT|PATTERN value]` -> names, those of subcommands too. O(commands).
pub fn list(registry: &Registry, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let options: Vec<&[u8]> = args.iter().skip(2).collect();
    let filter = match options[..] {
        [] => Filter::All,
        [filterby, kind, value] if filterby.eq_ignore_ascii_case(b"filterby") => {
            match kind.to_ascii_lowercase().as_slice() {
                b"module" => Filter::Module,
                b"aclcat" => Filter::Category(value),
                b"pattern" => Filter::Pattern(Pattern::new_nocase(value)),
                _ => return Err(CommandError::Syntax),
            }
        }
        _ => return Err(CommandError::Syntax),
    };
    let commands = callable(registry)
        .flat_map(|id| std::iter::once(id).chain(registry.get(id).subcommands.iter().copied()));
    let names: Vec<&str> = commands
        .map(|id| registry.get(id))
        .filter(|registered| match &filter {
            Filter::All => true,
            Filter::Module => false,
            Filter::Category(wanted) => {
                registered.categories().any(|name| wanted.eq_ignore_ascii_case(name.as_bytes()))
            }
            Filter::Pattern(pattern) => pattern.matches(registered.full_name.as_bytes()),
        })
        .map(|registered| registered.full_name.as_str())
        .collect();
    reply.array(names.len());
    for name in names {
        reply.bulk(name.as_bytes());
    }
    Ok(())
}

/// `COMMAND HELP` -> what the subcommands do. O(1).
pub fn help(_: &Registry, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    write_help(
        reply,
        "COMMAND",
        &[
            "(no subcommand)",
            "    Return details about all Redis commands.",
            "COUNT",
            "    Return the total number of commands in this Redis server.",
            "LIST",
            "    Return a list of all commands in this Redis server.",
            "INFO [<command-name> ...]",
            "    Return details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "DOCS [<command-name> ...]",
            "    Return documentation details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "GETKEYS <full-command>",
            "    Return the keys from a full Redis command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Return the keys and the access flags from a full Redis command.",
        ],
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn info_answers_null_to_what_is_no_command() {
        let mut redis = TestServer::new();
        redis
            .run("COMMAND INFO nosuch get|key config|get|key config|nosuch")
            .is("*4 $-1 $-1 $-1 $-1");
        redis
            .run("COMMAND INFO CONFIG|help")
            .starts("*1 *10 $11 config|help :2 *2 +loading +stale :0");
        let all = redis.run("COMMAND").0;
        assert_eq!(redis.run("COMMAND INFO").0, all);
        let count = redis.run("COMMAND COUNT").0.replace(':', "*");
        assert!(all.starts_with(&format!("{count} ")), "{count}");
    }

    #[test]
    fn list_names_subcommands_and_filters() {
        let mut redis = TestServer::new();
        let all = redis.run("COMMAND LIST").0;
        assert!(all.contains("$3 set ") && all.contains("$10 config|get "), "{all}");
        for (filter, names) in [
            ("PATTERN SET", "*1 $3 set"),
            ("pattern config|re*", "*2 $16 config|resetstat $14 config|rewrite"),
            ("PATTERN no*such", "*0"),
            ("ACLCAT nosuch", "*0"),
            ("MODULE any", "*0"),
        ] {
            redis.run(&format!("COMMAND LIST filterby {filter}")).is(names);
        }
        let strings = redis.run("COMMAND LIST FILTERBY ACLCAT String").0;
        assert!(strings.contains("$3 get ") && !strings.contains("config"), "{strings}");
        for wrong in
            ["bad", "FILTERBY", "FILTERBY PATTERN", "FILTERBY bad x", "FILTERBY PATTERN a b"]
        {
            redis.run(&format!("COMMAND LIST {wrong}")).is("-ERR syntax error");
        }
    }

    #[test]
    fn a_command_taken_away_is_not_shown() {
        let take_away = |config: &mut crate::config::Config| {
            config.rename_commands =
                vec![("config".into(), String::new()), ("get".into(), "fetch".into())];
        };
        let (mut redis, mut plain) = (TestServer::with(take_away), TestServer::new());
        let names = redis.run("COMMAND LIST").0;
        assert!(!names.contains("config") && names.contains("$5 fetch "), "{names}");
        let count =
            |redis: &mut TestServer| redis.run("COMMAND COUNT").0[1..].parse::<u32>().unwrap();
        assert_eq!(count(&mut redis) + 1, count(&mut plain));
        redis.run("COMMAND INFO config get").is("*2 $-1 $-1");
    }

    #[test]
    fn help_is_framed() {
        let help = TestServer::new().run("COMMAND HELP").0;
        assert!(
            help.starts_with(
                "*21 +COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
            )
        );
        assert!(help.ends_with("+HELP +    Prints this help."), "{help}");
    }
}
