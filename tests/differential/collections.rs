//! The rows of the groups whose values are collections or bits, and of transactions.
//!
//! Same notation as [`crate::groups`], which lists these tables. Commands that choose at random appear only where the
//! choice changes nothing (`SRANDMEMBER`) or is none (`SPOP` of everything).

use crate::groups::Row;

/// Bits of strings.
pub const BITMAP: &[Row] = &[
    (6, "SETBIT <key> <bit_offset> {0|1|1|!2|!x}"),
    (4, "GETBIT <key> <bit_offset>"),
    (6, "BITCOUNT <key> {<index> <index>|<index> <index> {BYTE|BIT|!BAD}|<index>}?"),
    (6, "BITPOS <key> {0|1|!2|!x} {<index>|<index> <index>|<index> <index> {BYTE|BIT|!BAD}}?"),
    (4, "BITOP {AND|OR|XOR|NOT|!BAD} <key> {<key>}+"),
    (
        6,
        "BITFIELD <key> {GET <bit_type> <bit_place>|SET <bit_type> <bit_place> <integer>|INCRBY <bit_type> <bit_place> <integer>|OVERFLOW {WRAP|SAT|FAIL|!BAD}}*",
    ),
    (3, "BITFIELD_RO <key> {GET <bit_type> <bit_place>|SET u8 0 1}*"),
];

/// Lists.
pub const LIST: &[Row] = &[
    (6, "DEL a ; RPUSH a {<value>}+"),
    (
        3,
        "DEL a ; RPUSH a {<value>}+ ; LSET a <small_index> <value> ; LINSERT a {BEFORE|AFTER} <value> x",
    ),
    (8, "{RPUSH|LPUSH} <list_key> {<value>}+"),
    (3, "{RPUSHX|LPUSHX} <list_key> {<value>}+"),
    (6, "{LPOP|RPOP} <list_key> {<count>|!<bad_count>}?"),
    (6, "LRANGE <list_key> <index> <index>"),
    (4, "LINDEX <list_key> <index>"),
    (4, "LINSERT <list_key> {BEFORE|AFTER|!BAD} <value> <value>"),
    (3, "LLEN <list_key>"),
    (4, "LREM <list_key> <index> <value>"),
    (4, "LSET <list_key> <small_index> <value>"),
    (3, "LTRIM <list_key> <index> <index>"),
    (5, "LPOS <list_key> <value> {RANK <rank>|COUNT {<count>|0|!-1}|MAXLEN {<count>|0|!-1}|!BAD}*"),
    (3, "RPOPLPUSH <list_key> <list_key>"),
    (5, "LMOVE <list_key> <list_key> {LEFT|RIGHT|!BAD} {LEFT|RIGHT}"),
    (2, "{LPUSH|RPUSH} <list_key> {<value>}+ ; LTRIM <list_key> <small_index> <small_index>"),
    (
        3,
        "DEL a ; RPUSH a {<value>}+ {<value>}+ {<value>}+ ; LREM a <small_index> <value> ; LPOP a <count>",
    ),
    (4, "LMPOP <list_keys> {LEFT|RIGHT|!BAD} {COUNT {<count>|!<bad_count>}|!BAD}*"),
    // One row for all that block: Redis looks for timeouts that are due ten times a second.
    (
        1,
        "{{BLPOP|BRPOP} <list_key> <wait>|BLMOVE <list_key> <key> LEFT RIGHT <wait>|BRPOPLPUSH <list_key> <key> <wait>|BLMPOP <wait> <list_keys> LEFT}",
    ),
    (
        1,
        "DEL a ; RPUSH a {<value>}+ ; {BLPOP b a <wait>|BRPOP a b <wait>|BLMOVE a b LEFT RIGHT <wait>|BLMPOP <wait> 2 b a RIGHT COUNT 2}",
    ),
];

/// SORT, which works on lists among others.
pub const SORT: &[Row] = &[
    (6, "DEL a ; RPUSH a {<value>}+"),
    (
        4,
        "SORT <list_key> {ASC|DESC|LIMIT <small_index> <small_index>|GET #|GET <list_key>|STORE <list_key>|!BAD}*",
    ),
    // ALPHA compares with strcoll, to which everything after a zero byte is equal: only texts without one have an order.
    (
        2,
        "DEL a ; {RPUSH|SADD} a {<text>}+ ; {SORT|SORT_RO} a ALPHA {DESC|ASC|LIMIT <small_index> <small_index>|GET #}*",
    ),
    (1, "DEL a ; {RPUSH|SADD} a {<text>}+ {<text>}+ ; SORT a ALPHA {DESC|STORE <key>|LIMIT 1 3}*"),
    // BY without ALPHA: missing weights are equal, and only numeric sorting then falls back to the elements.
    (1, "SORT <list_key> BY key:* {DESC|GET #|STORE <list_key>}*"),
    (2, "SORT_RO <list_key> {ASC|DESC|LIMIT <small_index> <small_index>|GET #|STORE <list_key>}*"),
];

/// Hashes.
pub const HASH: &[Row] = &[
    (6, "DEL b ; HSET b {<small> <value>}+"),
    (8, "HSET <hash_key> {<small> <value>}+"),
    (2, "HMSET <hash_key> {<small> <value>}+"),
    (1, "HSET <hash_key> <small> <value> <small>"),
    (4, "HSETNX <hash_key> <small> <value>"),
    (5, "HGET <hash_key> <small>"),
    (4, "HMGET <hash_key> {<small>}+"),
    (5, "HDEL <hash_key> {<small>}+"),
    (2, "HLEN <hash_key>"),
    (2, "HKEYS <hash_key>"),
    (2, "HVALS <hash_key>"),
    (3, "HGETALL <hash_key>"),
    (3, "HEXISTS <hash_key> <small>"),
    (3, "HSTRLEN <hash_key> <small>"),
    (6, "HINCRBY <hash_key> <small> <integer>"),
    (6, "HINCRBYFLOAT <hash_key> <small> <float>"),
    (3, "HRANDFIELD <hash_key> {<index>|<count> WITHVALUES|<count> BAD}?"),
    (3, "HSCAN <hash_key> {0|0|0|!<cursor>} COUNT 1000 {MATCH <glob>|!BAD}?"),
];

/// Sets.
pub const SET: &[Row] = &[
    (6, "DEL c ; SADD c {<value>}+"),
    (4, "SADD <set_key> {<integer>}+"),
    (6, "SADD <set_key> {<value>}+"),
    (5, "SREM <set_key> {<value>}+"),
    (3, "SMEMBERS <set_key>"),
    (2, "SCARD <set_key>"),
    (4, "SISMEMBER <set_key> <value>"),
    (3, "SMISMEMBER <set_key> {<value>}+"),
    (5, "SMOVE <set_key> <set_key> <value>"),
    (6, "{SINTER|SUNION|SDIFF} {<set_key>}+"),
    (4, "{SINTERSTORE|SUNIONSTORE|SDIFFSTORE} <set_key> {<set_key>}+"),
    (4, "SINTERCARD <set_keys> {LIMIT {<count>|0|!-1|!x}|!BAD}*"),
    (3, "SRANDMEMBER <set_key> {<index>}?"),
    (2, "SPOP <set_key> {1000|0|!-1|!x} ; SCARD <set_key>"),
    (1, "DEL a ; SADD a <value> ; SPOP a"),
    (3, "SSCAN <set_key> {0|0|0|!<cursor>} COUNT 1000 {MATCH <glob>|!BAD}?"),
    (2, "SRANDMEMBER <set_key> {<count>|-3|-100|!-9223372036854775808|<count> BAD}"),
    (1, "SADD c 9223372036854775807 -9223372036854775808 1 ; OBJECT ENCODING c ; SADD c 01"),
    // Before SORT a number is read with a clean errno: Redis 7.0 takes one that an earlier command has left for its own.
    (
        2,
        "INCRBYFLOAT none x ; SORT <set_key> {ASC|DESC|LIMIT <small_index> <small_index>|GET #|GET <set_key>|STORE <set_key>|!BAD}*",
    ),
    (
        3,
        "DEL c ; SADD c {<integer>}+ ; INCRBYFLOAT none x ; SORT c {ASC|DESC|LIMIT <small_index> <small_index>|GET #|GET key:*|STORE <set_key>}*",
    ),
    (2, "DEL c ; SADD c 1 {<integer>}+ ; INCRBYFLOAT none x ; SORT c BY key:* {DESC|GET #}*"),
    // Without an order a set that is stored is sorted, by all bytes of its members.
    (
        2,
        "DEL a b ; SADD b {<value>}+ ; SORT b BY nosort {DESC|LIMIT <small_index> <small_index>}* STORE a ; SORT a BY nosort DESC",
    ),
];

/// Sorted sets.
pub const SORTED_SET: &[Row] = &[
    (6, "DEL key:1 ; ZADD key:1 {<float> <small>}+"),
    (
        3,
        "DEL a b ; ZADD a {<float> <small>}+ ; ZADD b {<float> <small>}+ ; {ZUNION|ZINTER} 2 a b {WEIGHTS <float> <float>|AGGREGATE {SUM|MIN|MAX}|WITHSCORES}* ; ZDIFF 2 a b",
    ),
    (8, "ZADD <zset_key> {<float> <value>}+"),
    (8, "ZADD <zset_key> {NX|XX|GT|LT|CH|INCR}* {<float> <small>}+"),
    (5, "ZINCRBY <zset_key> <float> <small>"),
    (4, "ZSCORE <zset_key> <small>"),
    (3, "ZMSCORE <zset_key> {<small>}+"),
    (2, "ZCARD <zset_key>"),
    // In a row of two, for a word too many is another error here: later versions know one.
    (4, "ZCARD <zset_key> ; {ZRANK|ZREVRANK} <zset_key> <small>"),
    (4, "ZREM <zset_key> {<small>}+"),
    (4, "ZCOUNT <zset_key> <score_bound> <score_bound>"),
    (6, "ZRANGE <zset_key> <index> <index> {REV|WITHSCORES|LIMIT 0 1|!BAD}*"),
    (
        6,
        "ZRANGE <zset_key> <score_bound> <score_bound> BYSCORE {REV|WITHSCORES|LIMIT <small_index> <small_index>}*",
    ),
    // Ranges by member are compared where Redis says what they are: in sets whose scores are all equal.
    (
        5,
        "DEL b ; ZADD b {0 <value>}+ ; ZRANGE b <lex_bound> <lex_bound> BYLEX {REV|WITHSCORES|LIMIT <small_index> <small_index>}*",
    ),
    (
        5,
        "DEL b ; ZADD b {0 <small>}+ ; {ZRANGEBYLEX|ZREVRANGEBYLEX} b <lex_bound> <lex_bound> {LIMIT <small_index> <small_index>|!BAD}*",
    ),
    (
        3,
        "DEL b ; ZADD b {1.5 <value>}+ ; {ZLEXCOUNT|ZREMRANGEBYLEX} b <lex_bound> <lex_bound> ; ZRANGESTORE <zset_key> b <lex_bound> <lex_bound> BYLEX {REV|LIMIT 0 2}*",
    ),
    (
        2,
        "{DEL b|SET b x} ; {ZLEXCOUNT|ZREMRANGEBYLEX|ZRANGEBYLEX|ZREVRANGEBYLEX} b <lex_bound> <lex_bound>",
    ),
    (
        4,
        "ZRANGESTORE <zset_key> <zset_key> {<index> <index>|<score_bound> <score_bound> BYSCORE} {REV|LIMIT 0 2}*",
    ),
    (2, "ZREVRANGE <zset_key> <index> <index> {WITHSCORES}?"),
    (
        3,
        "{ZRANGEBYSCORE|ZREVRANGEBYSCORE} <zset_key> <score_bound> <score_bound> {WITHSCORES|LIMIT <small_index> <small_index>|!BAD}*",
    ),
    (2, "ZREMRANGEBYRANK <zset_key> <index> <index>"),
    (2, "ZREMRANGEBYSCORE <zset_key> <score_bound> <score_bound>"),
    (4, "{ZPOPMIN|ZPOPMAX} <zset_key> {<count>|!<bad_count>}?"),
    (3, "ZMPOP <zset_keys> {MIN|MAX|!BAD} {COUNT {<count>|!<bad_count>}}*"),
    (
        1,
        "{{BZPOPMIN|BZPOPMAX} <zset_key> <key> <wait>|BZMPOP <wait> <zset_keys> {MIN|MAX} {COUNT <count>}?}",
    ),
    (
        5,
        "{ZUNION|ZINTER} <zset_keys> {WEIGHTS <float>|WEIGHTS <float> <float>|AGGREGATE {SUM|MIN|MAX|!BAD}|WITHSCORES|!BAD}*",
    ),
    (
        3,
        "{ZUNIONSTORE|ZINTERSTORE} <zset_key> <zset_keys> {WEIGHTS <float>|WEIGHTS <float> <float>|AGGREGATE {SUM|MIN|MAX}|WITHSCORES}*",
    ),
    (2, "ZDIFF <zset_keys> {WITHSCORES|WEIGHTS 1}*"),
    (2, "ZDIFFSTORE <zset_key> <zset_keys>"),
    (2, "ZINTERCARD <zset_keys> {LIMIT {<count>|0|!-1|!x}|!BAD}*"),
    (2, "ZRANDMEMBER <zset_key> {<index>|<count> WITHSCORES|<count> BAD}?"),
    (2, "ZSCAN <zset_key> {0|0|0|!<cursor>} COUNT 1000 {MATCH <glob>|!BAD}?"),
];

/// MULTI stays in one row with its EXEC: what is between them must be known not to need a rule of the allow-list.
pub const TRANSACTIONS: &[Row] = &[
    (4, "MULTI ; SET <key> <value> ; INCR <key> ; GET <key> ; EXEC"),
    (3, "MULTI ; MSET {<key> <value>}+ ; APPEND <key> <small> ; NOSUCH ; EXEC"),
    (2, "MULTI ; GET ; SET <key> <value> ; EXEC"),
    (2, "MULTI ; SELECT <db> ; SET <key> <value> ; DBSIZE ; EXEC"),
    (2, "MULTI ; DEL <key> ; FLUSHDB ; EXISTS {<key>}+ ; EXEC"),
    (2, "MULTI ; INCR <key> ; DISCARD"),
    (1, "MULTI ; MULTI ; WATCH <key> ; INCR <key> ; EXEC"),
    (1, "MULTI ; EXEC"),
    (1, "MULTI ; SET <key> <value> ; RESET"),
    (1, "MULTI ; HELLO 9 ; LCS a b IDX ; EXEC"),
    (1, "MULTI x ; EXEC x ; DISCARD x ; EXEC"),
    (3, "WATCH <key> ; SET <key> <value> ; MULTI ; INCR <key> ; EXEC"),
    (2, "WATCH {<key>}+ ; MULTI ; SET <key> <value> ; EXEC"),
    (1, "WATCH <key> ; FLUSHDB ; MULTI ; PING ; EXEC"),
    (1, "WATCH <key> ; SWAPDB 0 1 ; MULTI ; PING ; EXEC"),
    (1, "WATCH <key> ; EXPIREAT <key> 1 ; MULTI ; PING ; EXEC"),
    (1, "WATCH <key> ; INCR <key> ; UNWATCH ; MULTI ; PING ; EXEC"),
    (2, "WATCH {<key>}+"),
    (1, "EXEC"),
    (1, "DISCARD"),
    (1, "UNWATCH"),
];
