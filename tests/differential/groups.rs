//! The commands of the stream: one row per template, with its weight, by Redis command group.
//!
//! To cover a new command, add a row; to cover a new group, add a table and the read commands that show its values.

use proptest::prelude::*;
use proptest::strategy::Union;

use crate::collections::{BITMAP, HASH, LIST, SET, SORT, SORTED_SET, TRANSACTIONS};
use crate::step::{RawEffect, RawLine, Step};
use crate::template;

/// A weight and a template.
pub type Row = (u32, &'static str);

/// One group of commands.
pub struct Group {
    /// The name `MINI_REDIS_DIFF_GROUPS` knows it by.
    pub name: &'static str,
    /// Whether our server has these commands; if not, the group is tested only when asked for.
    exists: bool,
    /// Its commands.
    rows: &'static [Row],
    /// Commands that show a key's value, with the key at `%`; they are run on every key when a stream has ended.
    pub readers: &'static [&'static str],
}

/// Every group there is.
const GROUPS: &[Group] = &[
    Group { name: "string", exists: true, rows: STRING, readers: &["GET %"] },
    Group {
        name: "generic",
        exists: true,
        rows: GENERIC,
        readers: &["TYPE %", "OBJECT ENCODING %", "PEXPIRETIME %"],
    },
    Group { name: "connection", exists: true, rows: CONNECTION, readers: &[] },
    Group { name: "server", exists: true, rows: SERVER, readers: &[] },
    Group { name: "bitmap", exists: false, rows: BITMAP, readers: &["GET %"] },
    Group { name: "list", exists: true, rows: LIST, readers: &["LRANGE % 0 -1"] },
    Group { name: "sort", exists: false, rows: SORT, readers: &["LRANGE % 0 -1"] },
    Group { name: "hash", exists: true, rows: HASH, readers: &["HGETALL %"] },
    Group { name: "set", exists: true, rows: SET, readers: &["SMEMBERS %"] },
    Group {
        name: "sorted_set",
        exists: true,
        rows: SORTED_SET,
        readers: &["ZRANGE % 0 -1 WITHSCORES"],
    },
    Group { name: "transactions", exists: true, rows: TRANSACTIONS, readers: &[] },
];

/// The groups to test: those that exist, or those in the list `MINI_REDIS_DIFF_GROUPS` (`string,list`; `all`).
pub fn wanted() -> Vec<&'static Group> {
    match std::env::var("MINI_REDIS_DIFF_GROUPS").as_deref() {
        Ok("all") => GROUPS.iter().collect(),
        Ok(names) => names.split(',').map(find).collect(),
        Err(_) => GROUPS.iter().filter(|group| group.exists).collect(),
    }
}

/// The group called `name`; panics when there is none.
pub fn find(name: &str) -> &'static Group {
    GROUPS.iter().find(|group| group.name == name).unwrap_or_else(|| panic!("no group {name:?}"))
}

/// A strategy for the next step, or the next few that stay together.
pub fn row(groups: &[&Group]) -> BoxedStrategy<Vec<Step>> {
    let rows = groups.iter().flat_map(|group| group.rows);
    let mut choices: Vec<_> =
        rows.map(|&(weight, template)| (weight, template::steps(template))).collect();
    if groups.iter().any(|group| group.name == "connection") {
        choices.push((
            6,
            prop::sample::select(RAW_LINES).prop_map(|line| vec![Step::Raw(line)]).boxed(),
        ));
    }
    Union::new_weighted(choices).boxed()
}

const STRING: &[Row] = &[
    (14, "SET <key> <value>"),
    (
        14,
        "SET <key> <value> {NX|XX|GET|KEEPTTL|EX <seconds>|PX <millis>|EXAT <at_seconds>|PXAT <at_millis>|!BAD}*",
    ),
    // A time in the past is accepted and the key is gone at the next access, which must not be left to the cron.
    (1, "SET a x EXAT 1 ; EXISTS a"),
    (1, "SET b x PXAT 1000 KEEPTTL ; SET b x XX PXAT 1000 GET ; EXISTS b"),
    (12, "GET <key>"),
    (4, "GETDEL <key>"),
    (
        8,
        "GETEX <key> {PERSIST|EX <seconds>|PX <millis>|EXAT {<at_seconds>|!<past_at>}|PXAT {<at_millis>|!<past_at>}|!BAD}*",
    ),
    (4, "GETSET <key> <value>"),
    (4, "SETNX <key> <value>"),
    (3, "SETEX <key> <seconds> <value>"),
    (3, "PSETEX <key> <millis> <value>"),
    (6, "APPEND <key> <value>"),
    (3, "STRLEN <key>"),
    (6, "SETRANGE <key> <offset> <small>"),
    (6, "GETRANGE <key> <index> <index>"),
    (1, "SUBSTR <key> <index> <index>"),
    (6, "INCR <key>"),
    (4, "DECR <key>"),
    (6, "INCRBY <key> <integer>"),
    (5, "DECRBY <key> <integer>"),
    (8, "INCRBYFLOAT <key> <float>"),
    // Sums on which the precision of the arithmetic shows: Redis adds long doubles of 64 bits' mantissa.
    (3, "SET a <float> ; INCRBYFLOAT a <float> ; INCRBYFLOAT a <float>"),
    (3, "SET a <integer> ; INCRBY a <integer> ; DECRBY a <integer> ; OBJECT ENCODING a"),
    (5, "MGET {<key>}+"),
    (5, "MSET {<key> <value>}+"),
    (4, "MSETNX {<key> <value>}+"),
    (1, "MSET <key> <value> <key>"),
    (6, "LCS <key> <key> {LEN|IDX|WITHMATCHLEN|MINMATCHLEN <integer>|!BAD}*"),
    (2, "MSET a ohmytext b mynewtext ; LCS a b {LEN|IDX|WITHMATCHLEN|MINMATCHLEN <integer>}*"),
    (1, "SET huge <huge_value> {EX <seconds>|GET}?"),
    (1, "APPEND huge <huge_value>"),
    (1, "SETRANGE huge 20000 <small>"),
    (1, "GETRANGE huge <index> <index>"),
    (1, "GET huge"),
    (1, "STRLEN huge"),
];

const GENERIC: &[Row] = &[
    (6, "DEL {<any_key>}+"),
    (2, "UNLINK {<any_key>}+"),
    (4, "EXISTS {<any_key>}+"),
    (2, "TOUCH {<any_key>}+"),
    (3, "TYPE <any_key>"),
    (4, "RENAME <key> <key>"),
    (4, "RENAMENX <key> <key>"),
    (6, "COPY <key> <key> {DB {<db>|!<bad_db>}|REPLACE|!BAD}*"),
    (4, "MOVE <key> {<db>|<db>|<db>|!<bad_db>}"),
    // Relative times meet GT and LT only where the outcome does not depend on the milliseconds between two commands.
    (8, "EXPIRE <any_key> {<seconds>|<seconds>|!<extreme_seconds>} {NX|XX|!BAD}*"),
    (4, "PEXPIRE <any_key> {<millis>|<millis>|!<extreme_millis>} {NX|XX|!BAD}*"),
    (2, "{EXPIRE|PEXPIRE} <key> <past> {NX|XX|GT|LT}*"),
    (
        6,
        "EXPIREAT <any_key> {<at_seconds>|<at_seconds>|!<past_at>|!<extreme_seconds>} {NX|XX|GT|LT|!BAD}*",
    ),
    (
        6,
        "PEXPIREAT <any_key> {<at_millis>|<at_millis>|!<past_at>|!<extreme_millis>} {NX|XX|GT|LT|!BAD}*",
    ),
    (4, "PERSIST <any_key>"),
    (3, "TTL <any_key>"),
    (3, "PTTL <any_key>"),
    (3, "EXPIRETIME <any_key>"),
    (3, "PEXPIRETIME <any_key>"),
    (4, "KEYS <glob>"),
    (3, "@SCAN {MATCH <glob>|COUNT <count>|COUNT <count>|TYPE {string|list|nosuch|STRING}}*"),
    (2, "SCAN 0 COUNT 1000 {MATCH <glob>|COUNT <bad_count>|TYPE string|!BAD|!BAD x}*"),
    (1, "SCAN <cursor>"),
    (2, "@RANDOMKEY"),
    (4, "OBJECT ENCODING <any_key>"),
    (2, "OBJECT {REFCOUNT|IDLETIME|FREQ|!NOSUCH} <key>"),
];

const CONNECTION: &[Row] = &[
    (3, "PING {<small>}?"),
    (3, "ECHO <value>"),
    (5, "SELECT <db>"),
    (2, "SELECT <bad_db>"),
    (3, "HELLO {2|3}"),
    (
        2,
        // One option: Redis 7.0 carries out those before the one it refuses, here a refusal changes nothing.
        "HELLO {2|3|4|1|!-1|abc|9223372036854775808} {AUTH default <small>|AUTH nouser x|SETNAME <name>|AUTH x|!BAD}?",
    ),
    (1, "HELLO"),
    (1, "RESET"),
    (3, "CLIENT SETNAME <name>"),
    (3, "CLIENT GETNAME"),
    (2, "CLIENT NO-EVICT {ON|OFF|!BAD}"),
    (1, "CLIENT REPLY {ON|SKIP|!BAD}"),
    (1, "CLIENT REPLY SKIP ; SET <key> <value> ; GET <key>"),
    (1, "CLIENT REPLY OFF ; SET <key> <value> ; INCR <key> ; NOSUCH ; CLIENT REPLY ON"),
    (1, "CLIENT REPLY OFF ; CLIENT REPLY SKIP ; RESET ; GET <key>"),
    (1, "CLIENT ID"),
    (1, "CLIENT NOSUCH {<small>}*"),
    (2, "AUTH {<small>|default <small>|nouser <small>}"),
    (1, "AUTH a b c"),
    (4, "<unknown> {<value>}*"),
    (1, "QUIT"),
];

const SERVER: &[Row] = &[
    (3, "DBSIZE"),
    (1, "FLUSHDB {SYNC|ASYNC|!BAD}?"),
    (1, "FLUSHALL {SYNC|ASYNC|!BAD}?"),
    (3, "SWAPDB <db> {<db>|<db>|!<bad_db>}"),
    (1, "SWAPDB <bad_db> <db>"),
    (1, "TIME"),
    (3, "CONFIG GET {<directive>}+"),
    (1, "CONFIG {NOSUCH|SET} {<small>}*"),
    (3, "COMMAND INFO {<command>}+"),
    (
        2,
        "COMMAND LIST FILTERBY {PATTERN <command_glob>|PATTERN <command_glob>|MODULE nosuch|ACLCAT nosuch|!BAD x}",
    ),
    (1, "COMMAND LIST BAD"),
    (
        2,
        "COMMAND GETKEYS {GET <key>|SET <key> <value> GET|MSET {<key> <value>}+|DEL {<key>}+|LCS a b|COPY a b DB 1|PING x|<unknown> x}",
    ),
    (1, "COMMAND NOSUCH"),
];

/// Requests that are no array of bulk strings.
const RAW_LINES: &[RawLine] = &[
    replied(b"PING\r\n"),
    replied(b"PING\n"),
    replied(b"SET a inline\r\n"),
    replied(b"set  \"a\"   'single \\' quoted'  \r\n"),
    replied(b"SET a \"\\x00\\xff\\n\\t\\\\\\\"\"\r\n"),
    replied(b"  GET a\r\n"),
    replied(b"get \"\"\r\n"),
    replied(b"NOSUCH 'a b' c\r\n"),
    replied(b"SET a\r\n"),
    replied(b"*1\r\n$4\r\npInG\r\n"),
    replied(b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n"),
    RawLine { bytes: b"\r\n", effect: RawEffect::Nothing },
    RawLine { bytes: b"\n", effect: RawEffect::Nothing },
    RawLine { bytes: b"   \r\n", effect: RawEffect::Nothing },
    RawLine { bytes: b"*0\r\n", effect: RawEffect::Nothing },
    RawLine { bytes: b"*-1\r\n", effect: RawEffect::Nothing },
    closing(b"SET \"a\r\n"),
    closing(b"set \"a\"b c\r\n"),
    closing(b"set 'a'b c\r\n"),
    closing(b"*abc\r\n"),
    closing(b"*2147483648\r\n"),
    closing(b"*1\r\nGET\r\n"),
    closing(b"*1\r\n+GET\r\n"),
    closing(b"*1\r\n$-1\r\n"),
    closing(b"*1\r\n$x\r\n"),
    closing(b"*1\r\n$536870913\r\n"),
];

const fn replied(bytes: &'static [u8]) -> RawLine {
    RawLine { bytes, effect: RawEffect::Reply }
}

const fn closing(bytes: &'static [u8]) -> RawLine {
    RawLine { bytes, effect: RawEffect::Closes }
}
