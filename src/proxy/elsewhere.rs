//! Commands that nodes may have and the server has not: as much of their rows as routing needs. A command that the server
//! gets is taken from its own table. Also keys that no key specification finds.

use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx, Group, TABLES};
use crate::resp::Args;
use Arity::{AtLeast, Exactly};

/// Never called: these rows are only routed.
fn elsewhere(_: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    Err(CommandError::Syntax)
}

const fn row(name: &'static str, arity: Arity, flags: Flags, keys: &'static [KeySpec]) -> Command {
    command(name, arity, flags, keys, elsewhere)
}

const READS: &[KeySpec] = &[one(RO)];
const WRITES: &[KeySpec] = &[one(RW)];
const SECOND: &[KeySpec] = &[at(2, RW)];
const COUNTED: &[KeySpec] = &[counted(2, 1, RW)];
const NONE: &[KeySpec] = &[];
const SCRIPT: Flags = NOSCRIPT.and(NO_MANDATORY_KEYS);
const SCRIPT_RO: Flags = SCRIPT.and(READ);

const ROWS: &[Command] = &[
    row("bitcount", AtLeast(2), READ, READS),
    row("bitfield", AtLeast(2), WRITE, WRITES),
    row("bitfield_ro", AtLeast(2), READ, READS),
    row("bitop", AtLeast(4), WRITE, &[KeySpec::Range { first: 2, last: -1, step: 1, flags: RW }]),
    row("bitpos", AtLeast(3), READ, READS),
    row("getbit", Exactly(3), READ, READS),
    row("setbit", Exactly(4), WRITE, WRITES),
    row("geoadd", AtLeast(5), WRITE, WRITES),
    row("geodist", AtLeast(4), READ, READS),
    row("geohash", AtLeast(2), READ, READS),
    row("geopos", AtLeast(2), READ, READS),
    row("georadius", AtLeast(6), WRITE, WRITES),
    row("georadius_ro", AtLeast(6), READ, READS),
    row("georadiusbymember", AtLeast(5), WRITE, WRITES),
    row("georadiusbymember_ro", AtLeast(5), READ, READS),
    row("geosearch", AtLeast(7), READ, READS),
    row("geosearchstore", AtLeast(8), WRITE, &[one(OW), at(2, RO)]),
    row("pfadd", AtLeast(2), WRITE, WRITES),
    row("pfcount", AtLeast(2), READ, &[all(RO)]),
    row("pfmerge", AtLeast(2), WRITE, &[all(RW)]),
    row("eval", AtLeast(3), SCRIPT, COUNTED),
    row("eval_ro", AtLeast(3), SCRIPT_RO, COUNTED),
    row("evalsha", AtLeast(3), SCRIPT, COUNTED),
    row("evalsha_ro", AtLeast(3), SCRIPT_RO, COUNTED),
    row("fcall", AtLeast(3), SCRIPT, COUNTED),
    row("fcall_ro", AtLeast(3), SCRIPT_RO, COUNTED),
    row("script", AtLeast(2), Flags::NONE, NONE).subcommands(&[
        row("debug", AtLeast(3), NOSCRIPT, NONE),
        row("exists", AtLeast(3), NOSCRIPT, NONE),
        row("flush", AtLeast(2), NOSCRIPT, NONE),
        row("help", Exactly(2), Flags::NONE, NONE),
        row("kill", Exactly(2), NOSCRIPT, NONE),
        row("load", Exactly(3), NOSCRIPT, NONE),
        row("show", Exactly(3), NOSCRIPT, NONE),
    ]),
    row("function", AtLeast(2), Flags::NONE, NONE).subcommands(&[
        row("delete", Exactly(3), WRITE, NONE),
        row("dump", Exactly(2), NOSCRIPT, NONE),
        row("flush", AtLeast(2), WRITE, NONE),
        row("help", Exactly(2), Flags::NONE, NONE),
        row("kill", Exactly(2), NOSCRIPT, NONE),
        row("list", AtLeast(2), NOSCRIPT, NONE),
        row("load", AtLeast(3), WRITE, NONE),
        row("restore", AtLeast(3), WRITE, NONE),
        row("stats", Exactly(2), NOSCRIPT, NONE),
    ]),
    row("xack", AtLeast(4), WRITE, WRITES),
    row("xackdel", AtLeast(6), WRITE, WRITES),
    row("xadd", AtLeast(5), WRITE, WRITES),
    row("xautoclaim", AtLeast(6), WRITE, WRITES),
    row("xclaim", AtLeast(6), WRITE, WRITES),
    row("xdel", AtLeast(3), WRITE, WRITES),
    row("xdelex", AtLeast(5), WRITE, WRITES),
    row("xgroup", AtLeast(2), Flags::NONE, NONE).subcommands(&[
        row("create", AtLeast(5), WRITE, SECOND),
        row("createconsumer", Exactly(5), WRITE, SECOND),
        row("delconsumer", Exactly(5), WRITE, SECOND),
        row("destroy", Exactly(4), WRITE, SECOND),
        row("help", Exactly(2), Flags::NONE, NONE),
        row("setid", AtLeast(5), WRITE, SECOND),
    ]),
    row("xinfo", AtLeast(2), Flags::NONE, NONE).subcommands(&[
        row("consumers", Exactly(4), READ, SECOND),
        row("groups", Exactly(3), READ, SECOND),
        row("help", Exactly(2), Flags::NONE, NONE),
        row("stream", AtLeast(3), READ, SECOND),
    ]),
    row("xlen", Exactly(2), READ, READS),
    row("xpending", AtLeast(3), READ, READS),
    row("xrange", AtLeast(4), READ, READS),
    row("xread", AtLeast(4), READ.and(BLOCKING), NONE),
    row("xreadgroup", AtLeast(7), WRITE.and(BLOCKING), NONE),
    row("xrevrange", AtLeast(4), READ, READS),
    row("xsetid", AtLeast(3), WRITE, WRITES),
    row("xtrim", AtLeast(4), WRITE, WRITES),
    row("wait", Exactly(3), BLOCKING, NONE),
    row("waitaof", Exactly(4), BLOCKING, NONE),
    row("migrate", AtLeast(6), WRITE, NONE),
    row("monitor", Exactly(1), ADMIN, NONE),
    row("replicaof", Exactly(3), ADMIN, NONE),
    row("slaveof", Exactly(3), ADMIN, NONE),
    row("failover", AtLeast(1), ADMIN, NONE),
    row("cluster", AtLeast(2), Flags::NONE, NONE),
    row("readonly", Exactly(1), FAST, NONE),
    row("readwrite", Exactly(1), FAST, NONE),
    row("asking", Exactly(1), FAST, NONE),
];

/// The tables of the server, and those rows that it has not.
pub(super) fn tables() -> Vec<(Group, &'static [Command])> {
    let of_server = |name| TABLES.iter().flat_map(|(_, rows)| *rows).find(|row| row.name == name);
    // A container is better taken from where there is more in it.
    let has_more = |row: &Command| {
        of_server(row.name).is_none_or(|known| known.subcommands.len() < row.subcommands.len())
    };
    let extra = ROWS.iter().filter(|row| has_more(row));
    let mut tables: Vec<_> = extra.map(|row| (Group::Generic, std::slice::from_ref(row))).collect();
    tables.extend_from_slice(TABLES);
    tables
}

/// Whether a command without the flag of a write may change something: scripts may do anything.
pub(super) fn may_write(full_name: &str) -> bool {
    matches!(full_name, "eval" | "evalsha" | "fcall" | "publish" | "spublish" | "script|load")
}

/// Finds the positions of a request's keys; none, if the request cannot be right.
pub(super) type FindKeys = fn(&Args<'_>) -> Option<Vec<usize>>;

/// The positions of a request's keys, where no specification in the table tells them.
pub(super) fn keys_of(full_name: &str) -> Option<FindKeys> {
    match full_name {
        "xread" | "xreadgroup" => Some(stream_keys),
        "georadius" | "georadiusbymember" => Some(radius_keys),
        _ => None,
    }
}

/// `XREAD ... STREAMS key ... id ...`: half of what follows the word.
fn stream_keys(args: &Args<'_>) -> Option<Vec<usize>> {
    let first = option(args, 1, b"streams")? + 1;
    let keys = (args.len() - first) / 2;
    (keys > 0).then(|| (first..first + keys).collect())
}

/// `GEORADIUS key ... STORE key STOREDIST key`.
fn radius_keys(args: &Args<'_>) -> Option<Vec<usize>> {
    let mut keys = vec![1];
    for word in [b"store".as_slice(), b"storedist"] {
        let target = option(args, 5, word).map(|at| at + 1);
        keys.extend(target.filter(|&target| target < args.len()));
    }
    Some(keys)
}

/// Where the word `name` is, from argument `from` on.
fn option(args: &Args<'_>, from: usize, name: &[u8]) -> Option<usize> {
    let found = args.iter().skip(from).position(|word| word.eq_ignore_ascii_case(name))?;
    Some(from + found)
}

/// Whether a blocking command waits at all: those of streams do only with the option.
pub(super) fn may_block(name: &str, args: &Args<'_>) -> bool {
    !name.starts_with("xread") || option(args, 1, b"block").is_some()
}

/// Shard channels, which are placed like keys.
pub(super) fn shard_channels(command: &Command, args: &Args<'_>) -> Vec<usize> {
    match command.keys.first() {
        Some(&KeySpec::Range { first, last, flags, .. }) if flags.has(NOT_KEY) => {
            let last = if last < 0 { args.len().saturating_sub(1) } else { last as usize };
            (first..=last.min(args.len().saturating_sub(1))).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::proxy::routing::Commands;
    use crate::resp::OwnedArgs;

    #[test]
    fn keys_are_found_wherever_they_are() {
        let commands = Commands::new();
        for (request, keys) in [
            ("get k", "k"),
            ("mset a 1 b 2", "a b"),
            ("bitop and d s1 s2", "d s1 s2"),
            ("eval return 2 k1 k2 a", "k1 k2"),
            ("eval return 0 a", ""),
            ("xread COUNT 2 STREAMS s1 s2 0 0", "s1 s2"),
            ("xreadgroup GROUP g c BLOCK 0 streams s >", "s"),
            ("xgroup create s g $", "s"),
            ("xinfo stream s", "s"),
            ("georadius g 1 2 3 km STORE t", "g t"),
            ("georadiusbymember g m 3 km STOREDIST t", "g t"),
            ("geosearchstore d s FROMMEMBER m BYBOX 1 1 m", "d s"),
            ("sort l STORE t", "l t"),
            ("zunionstore d 2 a b WEIGHTS 1 2", "d a b"),
            ("sintercard 2 a b LIMIT 1", "a b"),
            ("blmpop 0 2 a b LEFT", "a b"),
            ("object encoding k", "k"),
            ("memory usage k", "k"),
            ("spublish c m", "c"),
            ("ssubscribe c d", "c d"),
        ] {
            let args: OwnedArgs = request.split(' ').map(str::as_bytes).collect();
            let args = args.args();
            let id = commands.registry.find_request(&args).unwrap();
            let positions = commands.key_positions(id, &args).unwrap();
            let found: Vec<&str> = positions
                .iter()
                .map(|&position| std::str::from_utf8(args.bytes(position)).unwrap())
                .collect();
            assert_eq!(found.join(" "), keys, "{request}");
        }
    }

    #[test]
    fn every_container_of_the_server_is_there() {
        let registry = Commands::new().registry;
        for name in [b"function|load".as_slice(), b"script|load", b"client|list", b"object|freq"] {
            assert!(registry.find_full_name(name).is_some(), "{}", name.escape_ascii());
        }
    }
}
