//! `COMMAND DOCS`: the documentation in the command table, with the arguments as a tree.

use super::{callable, find_full_name};
use crate::command_syntax::{Argument, ArgumentKind, parse};
use crate::commands::{CommandId, CommandResult, Registry};
use crate::resp::{Args, Reply};

/// `COMMAND DOCS [name ...]` -> a map from names to their documentation; what is no command is left out. O(names).
pub fn docs(registry: &Registry, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let names = args.tail(2);
    let ids: Vec<CommandId> = if names.is_empty() {
        callable(registry).collect()
    } else {
        names.iter().filter_map(|name| find_full_name(registry, name)).collect()
    };
    reply_docs_of(reply, registry, &ids);
    Ok(())
}

fn reply_docs_of(reply: &mut Reply, registry: &Registry, ids: &[CommandId]) {
    reply.map(ids.len());
    for &id in ids {
        reply.bulk(registry.get(id).full_name.as_bytes());
        reply_docs(reply, registry, id);
    }
}

fn reply_docs(reply: &mut Reply, registry: &Registry, id: CommandId) {
    let registered = registry.get(id);
    let command = registered.command;
    let arguments = parse(&registered.full_name, command.syntax)
        .expect("a test parses the syntax of every row");
    let texts = [
        ("summary", command.summary),
        ("since", command.since),
        ("group", registered.group.name()),
        ("complexity", command.complexity),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let has_subcommands = !registered.subcommands.is_empty();
    let fields =
        texts.clone().count() + usize::from(!arguments.is_empty()) + usize::from(has_subcommands);
    reply.map(fields);
    for (name, text) in texts {
        reply_text(reply, name, text);
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        let mut keys = Keys { seen: 0, specs: command.keys.len() };
        reply_arguments(reply, &arguments, &mut keys);
    }
    if has_subcommands {
        reply.bulk(b"subcommands");
        reply_docs_of(reply, registry, &registered.subcommands);
    }
}

fn reply_text(reply: &mut Reply, name: &str, text: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(text.as_bytes());
}

/// The arguments that are keys belong to the key specifications in the same order; the last one may find several.
struct Keys {
    seen: usize,
    specs: usize,
}

impl Keys {
    fn spec_of(&mut self, argument: &Argument<'_>) -> Option<usize> {
        if argument.kind != ArgumentKind::Key {
            return None;
        }
        self.seen += 1;
        self.seen.min(self.specs).checked_sub(1)
    }
}

fn reply_arguments(reply: &mut Reply, arguments: &[Argument<'_>], keys: &mut Keys) {
    reply.array(arguments.len());
    for argument in arguments {
        reply_argument(reply, argument, keys);
    }
}

fn reply_argument(reply: &mut Reply, argument: &Argument<'_>, keys: &mut Keys) {
    let spec = keys.spec_of(argument);
    let flags = [
        (argument.optional, "optional"),
        (argument.multiple, "multiple"),
        (argument.multiple_token, "multiple_token"),
    ];
    let flags: Vec<&str> =
        flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
    let group = matches!(argument.kind, ArgumentKind::OneOf | ArgumentKind::Block);
    let optional = [spec.is_some(), argument.token.is_some(), !flags.is_empty(), group];
    reply.map(2 + optional.into_iter().filter(|there| *there).count());
    reply_text(reply, "name", &argument.name);
    reply_text(reply, "type", argument.kind.as_str());
    if let Some(spec) = spec {
        reply.bulk(b"key_spec_index");
        reply.integer(spec as i64);
    }
    if let Some(token) = argument.token {
        reply_text(reply, "token", token);
    }
    if !flags.is_empty() {
        reply.bulk(b"flags");
        reply.set(flags.len());
        for flag in flags {
            reply.simple(flag);
        }
    }
    if group {
        reply.bulk(b"arguments");
        reply_arguments(reply, &argument.children, keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::TABLES;
    use crate::server::testing::TestServer;

    #[test]
    fn the_syntax_of_every_row_is_understood() {
        for (_, registered) in Registry::new(TABLES, &[]).unwrap().iter() {
            let syntax = registered.command.syntax;
            assert!(parse(&registered.full_name, syntax).is_ok(), "{syntax}");
        }
    }

    #[test]
    fn docs_tell_arguments_as_a_tree() {
        let mut redis = TestServer::new();
        redis.run("COMMAND DOCS nosuch get").is(
            "*2 $3 get *10 $7 summary $34 Returns the string value of a key. $5 since $5 1.0.0 $5 group $6 string \
             $10 complexity $4 O(1) $9 arguments *1 *6 $4 name $3 key $4 type $3 key $14 key_spec_index :0",
        );
        redis.run("COMMAND DOCS command|list").starts("*2 $12 command|list *10 $7 summary");
        let docs = redis.run("COMMAND DOCS command|list").0;
        assert!(
            docs.ends_with(
                "$9 arguments *1 *10 $4 name $8 filterby $4 type $5 oneof $5 token $8 FILTERBY $5 flags *1 +optional \
                 $9 arguments *3 *6 $4 name $11 module-name $4 type $6 string $5 token $6 MODULE \
                 *6 $4 name $8 category $4 type $6 string $5 token $6 ACLCAT \
                 *6 $4 name $7 pattern $4 type $7 pattern $5 token $7 PATTERN"
            ),
            "{docs}"
        );
    }

    #[test]
    fn containers_tell_their_subcommands_and_keys_their_specification() {
        let mut redis = TestServer::new();
        let docs = redis.run("COMMAND DOCS config").0;
        assert!(docs.contains("$11 subcommands *10 $10 config|get *10"), "{docs}");
        let docs = redis.run("COMMAND DOCS lcs").0;
        assert_eq!(docs.matches("$14 key_spec_index :0").count(), 2, "one specification, two keys");
        let docs = redis.run("COMMAND DOCS rename").0;
        assert!(docs.contains("$14 key_spec_index :1"), "{docs}");
    }
}
