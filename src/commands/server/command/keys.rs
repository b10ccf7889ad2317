//! `COMMAND GETKEYS`: which arguments of another command are keys. What cluster clients and proxies ask for commands they
//! do not know.

use super::describe::reply_key_flags;
use crate::commands::table::{
    ACCESS, Command, KeyFlags, NO_MANDATORY_KEYS, OW, RW, UPDATE, VARIABLE_FLAGS,
};
use crate::commands::{CommandError, CommandResult, Registry};
use crate::resp::{Args, Reply};

/// `COMMAND GETKEYS command [arg ...]` -> the arguments that are keys. O(arguments).
pub fn getkeys(registry: &Registry, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let keys = keys_of(registry, &args.tail(2))?;
    reply.array(keys.len());
    for (key, _) in keys {
        reply.bulk(key);
    }
    Ok(())
}

/// `COMMAND GETKEYSANDFLAGS command [arg ...]` -> pairs of a key and what the command does with it. O(arguments).
pub fn getkeysandflags(registry: &Registry, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let keys = keys_of(registry, &args.tail(2))?;
    reply.array(keys.len());
    for (key, flags) in keys {
        reply.array(2);
        reply.bulk(key);
        reply_key_flags(reply, flags);
    }
    Ok(())
}

fn keys_of<'a>(
    registry: &Registry,
    request: &Args<'a>,
) -> Result<Vec<(&'a [u8], KeyFlags)>, CommandError> {
    let Ok(id) = registry.find_request(request) else {
        return Err(CommandError::Text("ERR Invalid command specified"));
    };
    let command = registry.get(id).command;
    if command.keys.is_empty() {
        return Err(CommandError::Text("ERR The command has no key arguments"));
    }
    if !command.arity.accepts(request.len()) {
        return Err(CommandError::Text("ERR Invalid number of arguments specified for command"));
    }
    let positions = command.key_positions(request).unwrap_or_default();
    if positions.is_empty() && !command.flags.has(NO_MANDATORY_KEYS) {
        return Err(CommandError::Text("ERR Invalid arguments specified for command"));
    }
    let key = |(position, flags)| (request.key(position), effective_flags(command, request, flags));
    Ok(positions.into_iter().map(key).collect())
}

/// What a call does with its key where that depends on the other arguments.
fn effective_flags(command: &Command, request: &Args<'_>, flags: KeyFlags) -> KeyFlags {
    if flags.0 & VARIABLE_FLAGS.0 == 0 {
        return flags;
    }
    match command.name {
        "set" if request.iter().skip(3).any(|option| option.eq_ignore_ascii_case(b"get")) => {
            RW.and(ACCESS).and(UPDATE)
        }
        "set" => OW.and(UPDATE),
        _ => flags,
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn keys_are_found_where_the_row_says() {
        let mut redis = TestServer::new();
        for (request, keys) in [
            ("get k", "*1 $1 k"),
            ("mset a 1 b 2", "*2 $1 a $1 b"),
            ("del a b c", "*3 $1 a $1 b $1 c"),
            ("rename a b", "*2 $1 a $1 b"),
            ("object encoding k", "*1 $1 k"),
            ("lcs a b", "*2 $1 a $1 b"),
        ] {
            redis.run(&format!("COMMAND GETKEYS {request}")).is(keys);
        }
    }

    #[test]
    fn flags_of_set_depend_on_its_options() {
        let mut redis = TestServer::new();
        redis.run("COMMAND GETKEYSANDFLAGS set k v").is("*1 *2 $1 k *2 +OW +update");
        redis.run("COMMAND GETKEYSANDFLAGS set k v GeT").is("*1 *2 $1 k *3 +RW +access +update");
        redis
            .run("COMMAND GETKEYSANDFLAGS mset a 1 b 2")
            .is("*2 *2 $1 a *2 +OW +update *2 $1 b *2 +OW +update");
    }

    #[test]
    fn what_is_no_call_with_keys_is_refused() {
        let mut redis = TestServer::new();
        for (request, error) in [
            ("nosuch a b", "ERR Invalid command specified"),
            ("config nosuch x", "ERR Invalid command specified"),
            ("config get x", "ERR The command has no key arguments"),
            ("get", "ERR Invalid number of arguments specified for command"),
            ("get a b", "ERR Invalid number of arguments specified for command"),
        ] {
            redis.run(&format!("COMMAND GETKEYS {request}")).is(&format!("-{error}"));
            redis.run(&format!("COMMAND GETKEYSANDFLAGS {request}")).is(&format!("-{error}"));
        }
        redis
            .run("COMMAND GETKEYS")
            .is("-ERR wrong number of arguments for 'command|getkeys' command");
    }
}
