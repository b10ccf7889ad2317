//! Keys of any type.

mod dump;
pub(super) mod expire;
mod keys;
mod migrate;
mod object;
mod scan;
mod sort;
mod transfer;

use super::Command;
use super::table::*;
use Arity::{AtLeast, Exactly};

/// Set expire times: the value stays as it is.
const SETS_EXPIRE: &[KeySpec] = &[one(RW.and(UPDATE))];
/// Read what is kept beside the value.
const READS: &[KeySpec] = &[one(RO.and(ACCESS))];
/// The key of an `OBJECT` subcommand.
const OBJECT_KEY: &[KeySpec] = &[at(2, RO)];
/// Counts of many keys, which a proxy adds up.
const SUMMED: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

/// What `SORT` works on, instead of keys in general.
const SORT_CATEGORIES: &[&str] = &["set", "sortedset", "list", "dangerous"];
const SORT_PATTERNS: KeySpec = KeySpec::Unknown {
    notes: "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
    option: None,
    flags: RO.and(ACCESS),
};
const SORT_STORE: KeySpec = KeySpec::Unknown {
    notes: "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array",
    option: Some("store"),
    flags: OW.and(UPDATE),
};
const SORT_COMPLEXITY: &str = "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).";

const MIGRATE_KEYS: KeySpec = KeySpec::Keyword {
    word: "KEYS",
    options_at: 6,
    flags: RW.and(ACCESS).and(DELETE).and(INCOMPLETE),
};

/// The group's rows.
pub const COMMANDS: &[Command] = &[
    command("copy", AtLeast(3), WRITE.and(DENYOOM), &[at(1, RO.and(ACCESS)), at(2, OW.and(UPDATE))], transfer::copy)
        .docs(
            "6.2.0",
            "source destination [DB destination-db] [REPLACE]",
            "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
            "Copies the value of a key to a new key.",
        ),
    command("dump", Exactly(2), READ, &[one(RO.and(ACCESS))], dump::dump)
        .docs(
            "2.6.0",
            "key",
            "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
            "Returns a serialized representation of the value stored at a key.",
        )
        .tips(&["nondeterministic_output"]),
    command(
        "migrate",
        AtLeast(6),
        WRITE.and(NO_MULTI),
        &[at(3, RW.and(ACCESS).and(DELETE)), MIGRATE_KEYS],
        migrate::migrate,
    )
    .docs(
        "2.6.0",
        "host port key|\"\" destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] [KEYS key [key ...]]",
        "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two instances is performed.",
        "Atomically transfers a key from one instance to another.",
    )
    .categories(&["dangerous"])
    .tips(&["nondeterministic_output"]),
    command("restore", AtLeast(4), WRITE.and(DENYOOM), &[one(OW.and(UPDATE))], dump::restore)
        .docs(
            "2.6.0",
            "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
            "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
            "Creates a key from the serialized representation of a value.",
        )
        .categories(&["dangerous"]),
    command("del", AtLeast(2), WRITE, &[all(RM.and(DELETE))], keys::del)
        .docs(
            "1.0.0",
            "key [key ...]",
            "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, sorted set or hash. Removing a single key that holds a string value is O(1).",
            "Deletes one or more keys.",
        )
        .tips(SUMMED),
    command("exists", AtLeast(2), READ.and(FAST), &[all(RO)], keys::exists)
        .docs(
            "1.0.0",
            "key [key ...]",
            "O(N) where N is the number of keys to check.",
            "Determines whether one or more keys exist.",
        )
        .tips(SUMMED),
    command("expire", AtLeast(3), WRITE.and(FAST), SETS_EXPIRE, expire::expire).docs(
        "1.0.0",
        "key seconds [NX | XX | GT | LT]",
        "O(1)",
        "Sets the expiration time of a key in seconds.",
    ),
    command("expireat", AtLeast(3), WRITE.and(FAST), SETS_EXPIRE, expire::expireat).docs(
        "1.2.0",
        "key unix-time-seconds [NX | XX | GT | LT]",
        "O(1)",
        "Sets the expiration time of a key to a Unix timestamp.",
    ),
    command("expiretime", Exactly(2), READ.and(FAST), READS, expire::expiretime).docs(
        "7.0.0",
        "key",
        "O(1)",
        "Returns the expiration time of a key as a Unix timestamp.",
    ),
    command("keys", Exactly(2), READ, &[], keys::keys)
        .docs(
            "1.0.0",
            "pattern",
            "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length.",
            "Returns all key names that match a pattern.",
        )
        .categories(&["dangerous"])
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    command("move", Exactly(3), WRITE.and(FAST), &[one(RW.and(ACCESS).and(UPDATE))], transfer::move_to_db).docs(
        "1.0.0",
        "key db",
        "O(1)",
        "Moves a key to another database.",
    ),
    command("object", AtLeast(2), Flags::NONE, &[], object::object)
        .docs("2.2.3", "", "Depends on subcommand.", "A container for object introspection commands.")
        .subcommands(OBJECT),
    command("persist", Exactly(2), WRITE.and(FAST), SETS_EXPIRE, expire::persist).docs(
        "2.2.0",
        "key",
        "O(1)",
        "Removes the expiration time of a key.",
    ),
    command("pexpire", AtLeast(3), WRITE.and(FAST), SETS_EXPIRE, expire::pexpire).docs(
        "2.6.0",
        "key milliseconds [NX | XX | GT | LT]",
        "O(1)",
        "Sets the expiration time of a key in milliseconds.",
    ),
    command("pexpireat", AtLeast(3), WRITE.and(FAST), SETS_EXPIRE, expire::pexpireat).docs(
        "2.6.0",
        "key unix-time-milliseconds [NX | XX | GT | LT]",
        "O(1)",
        "Sets the expiration time of a key to a Unix milliseconds timestamp.",
    ),
    command("pexpiretime", Exactly(2), READ.and(FAST), READS, expire::pexpiretime).docs(
        "7.0.0",
        "key",
        "O(1)",
        "Returns the expiration time of a key as a Unix milliseconds timestamp.",
    ),
    command("pttl", Exactly(2), READ.and(FAST), READS, expire::pttl)
        .docs("2.6.0", "key", "O(1)", "Returns the expiration time in milliseconds of a key.")
        .tips(&["nondeterministic_output"]),
    command("randomkey", Exactly(1), READ, &[], keys::randomkey)
        .docs("1.0.0", "", "O(1)", "Returns a random key name from the database.")
        .tips(&["request_policy:all_shards", "response_policy:special", "nondeterministic_output"]),
    command("rename", Exactly(3), WRITE, &[at(1, RW.and(ACCESS).and(DELETE)), at(2, OW.and(UPDATE))], transfer::rename)
        .docs("1.0.0", "key newkey", "O(1)", "Renames a key and overwrites the destination."),
    command(
        "renamenx",
        Exactly(3),
        WRITE.and(FAST),
        &[at(1, RW.and(ACCESS).and(DELETE)), at(2, OW.and(INSERT))],
        transfer::renamenx,
    )
    .docs(
        "1.0.0",
        "key newkey",
        "O(1)",
        "Renames a key only when the target key name doesn't exist.",
    ),
    command("scan", AtLeast(2), READ, &[], scan::scan)
        .docs(
            "2.8.0",
            "cursor [MATCH pattern] [COUNT count] [TYPE type]",
            "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
            "Iterates over the key names in the database.",
        )
        .tips(&["nondeterministic_output", "request_policy:special", "response_policy:special"]),
    command("sort", AtLeast(2), WRITE.and(DENYOOM), &[one(RO.and(ACCESS)), SORT_PATTERNS, SORT_STORE], sort::sort)
        .docs(
            "1.0.0",
            "key [BY by-pattern] [LIMIT offset count] [GET get-pattern [GET get-pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]",
            SORT_COMPLEXITY,
            "Sorts the elements in a list, a set, or a sorted set, optionally storing the result.",
        )
        .outside_group_category()
        .categories(SORT_CATEGORIES),
    command("sort_ro", AtLeast(2), READ, &[one(RO.and(ACCESS)), SORT_PATTERNS], sort::sort_ro)
        .docs(
            "7.0.0",
            "key [BY by-pattern] [LIMIT offset count] [GET get-pattern [GET get-pattern ...]] [ASC | DESC] [ALPHA]",
            SORT_COMPLEXITY,
            "Returns the sorted elements of a list, a set, or a sorted set.",
        )
        .outside_group_category()
        .categories(SORT_CATEGORIES),
    command("touch", AtLeast(2), READ.and(FAST), &[all(RO)], keys::touch)
        .docs(
            "3.2.1",
            "key [key ...]",
            "O(N) where N is the number of keys that will be touched.",
            "Returns the number of existing keys out of those specified after updating the time they were last accessed.",
        )
        .tips(SUMMED),
    command("ttl", Exactly(2), READ.and(FAST), READS, expire::ttl)
        .docs("1.0.0", "key", "O(1)", "Returns the expiration time in seconds of a key.")
        .tips(&["nondeterministic_output"]),
    command("type", Exactly(2), READ.and(FAST), &[one(RO)], keys::type_of).docs(
        "1.0.0",
        "key",
        "O(1)",
        "Determines the type of value stored at a key.",
    ),
    command("unlink", AtLeast(2), WRITE.and(FAST), &[all(RM.and(DELETE))], keys::del)
        .docs(
            "4.0.0",
            "key [key ...]",
            "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.",
            "Asynchronously deletes one or more keys.",
        )
        .tips(SUMMED),
];

const OBJECT: &[Command] = &[
    command("encoding", Exactly(3), READ, OBJECT_KEY, object::encoding)
        .docs("2.2.3", "key", "O(1)", "Returns the internal encoding of an object.")
        .tips(&["nondeterministic_output"]),
    command("freq", Exactly(3), READ, OBJECT_KEY, object::freq)
        .docs(
            "4.0.0",
            "key",
            "O(1)",
            "Returns the logarithmic access frequency counter of an object.",
        )
        .tips(&["nondeterministic_output"]),
    command("help", Exactly(2), LOADING.and(STALE), &[], object::help).docs(
        "6.2.0",
        "",
        "O(1)",
        "Returns helpful text about the different subcommands.",
    ),
    command("idletime", Exactly(3), READ, OBJECT_KEY, object::idletime)
        .docs("2.2.3", "key", "O(1)", "Returns the time since the last access to an object.")
        .tips(&["nondeterministic_output"]),
    command("refcount", Exactly(3), READ, OBJECT_KEY, object::refcount)
        .docs("2.2.3", "key", "O(1)", "Returns the reference count of a value of a key.")
        .tips(&["nondeterministic_output"]),
];
