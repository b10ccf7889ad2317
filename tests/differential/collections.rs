//! The rows of the groups whose values are collections or bits, and of transactions.
//!
//! Same notation as [`crate::groups`], which lists these tables. Commands that choose at random appear only where the
//! choice changes nothing (`SRANDMEMBER`) or is none (`SPOP` of everything).

use crate::groups::Row;

/// Bits of strings.
pub const BITMAP: &[Row] = &[
    (6, "SETBIT <key> <bit_offset> {0|1|1|2|x}"),
    (4, "GETBIT <key> <bit_offset>"),
    (6, "BITCOUNT <key> {<index> <index>|<index> <index> {BYTE|BIT|BAD}|<index>}?"),
    (6, "BITPOS <key> {0|1|2|x} {<index>|<index> <index>|<index> <index> {BYTE|BIT|BAD}}?"),
    (4, "BITOP {AND|OR|XOR|NOT|BAD} <key> {<key>}+"),
    (
        6,
        "BITFIELD <key> {GET <bit_type> <bit_place>|SET <bit_type> <bit_place> <integer>|INCRBY <bit_type> <bit_place> <integer>|OVERFLOW {WRAP|SAT|FAIL|BAD}}*",
    ),
    (3, "BITFIELD_RO <key> {GET <bit_type> <bit_place>|SET u8 0 1}*"),
];

/// Lists, and SORT.
pub const LIST: &[Row] = &[
    (6, "DEL a ; RPUSH a {<value>}+"),
    (8, "{RPUSH|LPUSH} <key> {<value>}+"),
    (3, "{RPUSHX|LPUSHX} <key> {<value>}+"),
    (6, "{LPOP|RPOP} <key> {<count>|<bad_count>}?"),
    (6, "LRANGE <key> <index> <index>"),
    (4, "LINDEX <key> <index>"),
    (4, "LINSERT <key> {BEFORE|AFTER|BAD} <value> <value>"),
    (3, "LLEN <key>"),
    (4, "LREM <key> <index> <value>"),
    (4, "LSET <key> <index> <value>"),
    (3, "LTRIM <key> <index> <index>"),
    (5, "LPOS <key> <value> {RANK <index>|COUNT {<count>|0|-1}|MAXLEN {<count>|0|-1}|BAD}*"),
    (3, "RPOPLPUSH <key> <key>"),
    (5, "LMOVE <key> <key> {LEFT|RIGHT|BAD} {LEFT|RIGHT}"),
    (4, "LMPOP <keys> {LEFT|RIGHT|BAD} {COUNT {<count>|<bad_count>}|BAD}*"),
    (1, "{BLPOP|BRPOP} {<key>}+ {0.001|0.001|-1|x|9223372036854775807}"),
    (1, "BLMOVE <key> <key> {LEFT|RIGHT} {LEFT|RIGHT} {0.001|-1|x}"),
    (1, "BRPOPLPUSH <key> <key> {0.001|-1|x}"),
    (1, "BLMPOP {0.001|-1|x} <keys> {LEFT|RIGHT} {COUNT <count>}?"),
    (
        4,
        "SORT <key> {ALPHA|ASC|DESC|LIMIT <small_index> <small_index>|GET #|GET <key>|STORE <key>|BAD}*",
    ),
    // BY without ALPHA: missing weights are equal, and only numeric sorting then falls back to the elements.
    (1, "SORT <key> BY key:* {DESC|GET #|STORE <key>}*"),
    (2, "SORT_RO <key> {ALPHA|ASC|DESC|LIMIT <small_index> <small_index>|GET #|STORE <key>}*"),
];

/// Hashes.
pub const HASH: &[Row] = &[
    (6, "DEL b ; HSET b {<small> <value>}+"),
    (8, "HSET <key> {<small> <value>}+"),
    (2, "HMSET <key> {<small> <value>}+"),
    (1, "HSET <key> <small> <value> <small>"),
    (4, "HSETNX <key> <small> <value>"),
    (5, "HGET <key> <small>"),
    (4, "HMGET <key> {<small>}+"),
    (5, "HDEL <key> {<small>}+"),
    (2, "HLEN <key>"),
    (2, "HKEYS <key>"),
    (2, "HVALS <key>"),
    (3, "HGETALL <key>"),
    (3, "HEXISTS <key> <small>"),
    (3, "HSTRLEN <key> <small>"),
    (6, "HINCRBY <key> <small> <integer>"),
    (6, "HINCRBYFLOAT <key> <small> <float>"),
    (3, "HRANDFIELD <key> {<index>|<count> WITHVALUES|<count> BAD}?"),
    (3, "HSCAN <key> {0|0|0|<cursor>} COUNT 1000 {MATCH <glob>|BAD}?"),
];

/// Sets.
pub const SET: &[Row] = &[
    (6, "DEL c ; SADD c {<value>}+"),
    (4, "SADD <key> {<integer>}+"),
    (6, "SADD <key> {<value>}+"),
    (5, "SREM <key> {<value>}+"),
    (3, "SMEMBERS <key>"),
    (2, "SCARD <key>"),
    (4, "SISMEMBER <key> <value>"),
    (3, "SMISMEMBER <key> {<value>}+"),
    (5, "SMOVE <key> <key> <value>"),
    (6, "{SINTER|SUNION|SDIFF} {<key>}+"),
    (4, "{SINTERSTORE|SUNIONSTORE|SDIFFSTORE} <key> {<key>}+"),
    (4, "SINTERCARD <keys> {LIMIT {<count>|0|-1|x}|BAD}*"),
    (3, "SRANDMEMBER <key> {<index>}?"),
    (2, "SPOP <key> {1000|0|-1|x} ; SCARD <key>"),
    (1, "DEL a ; SADD a <value> ; SPOP a"),
    (3, "SSCAN <key> {0|0|0|<cursor>} COUNT 1000 {MATCH <glob>|BAD}?"),
];

/// Sorted sets.
pub const SORTED_SET: &[Row] = &[
    (6, "DEL key:1 ; ZADD key:1 {<float> <small>}+"),
    (8, "ZADD <key> {<float> <value>}+"),
    (8, "ZADD <key> {NX|XX|GT|LT|CH|INCR}* {<float> <small>}+"),
    (5, "ZINCRBY <key> <float> <small>"),
    (4, "ZSCORE <key> <small>"),
    (3, "ZMSCORE <key> {<small>}+"),
    (2, "ZCARD <key>"),
    (4, "{ZRANK|ZREVRANK} <key> <small>"),
    (4, "ZREM <key> {<small>}+"),
    (4, "ZCOUNT <key> <score_bound> <score_bound>"),
    (3, "ZLEXCOUNT <key> <lex_bound> <lex_bound>"),
    (6, "ZRANGE <key> <index> <index> {REV|WITHSCORES|LIMIT 0 1|BAD}*"),
    (
        6,
        "ZRANGE <key> <score_bound> <score_bound> BYSCORE {REV|WITHSCORES|LIMIT <small_index> <small_index>}*",
    ),
    (
        5,
        "ZRANGE <key> <lex_bound> <lex_bound> BYLEX {REV|WITHSCORES|LIMIT <small_index> <small_index>}*",
    ),
    (
        4,
        "ZRANGESTORE <key> <key> {<index> <index>|<score_bound> <score_bound> BYSCORE|<lex_bound> <lex_bound> BYLEX} {REV|LIMIT 0 2}*",
    ),
    (2, "ZREVRANGE <key> <index> <index> {WITHSCORES}?"),
    (
        3,
        "{ZRANGEBYSCORE|ZREVRANGEBYSCORE} <key> <score_bound> <score_bound> {WITHSCORES|LIMIT <small_index> <small_index>|BAD}*",
    ),
    (
        3,
        "{ZRANGEBYLEX|ZREVRANGEBYLEX} <key> <lex_bound> <lex_bound> {LIMIT <small_index> <small_index>|BAD}*",
    ),
    (2, "ZREMRANGEBYRANK <key> <index> <index>"),
    (2, "ZREMRANGEBYSCORE <key> <score_bound> <score_bound>"),
    (2, "ZREMRANGEBYLEX <key> <lex_bound> <lex_bound>"),
    (4, "{ZPOPMIN|ZPOPMAX} <key> {<count>|<bad_count>}?"),
    (3, "ZMPOP <keys> {MIN|MAX|BAD} {COUNT {<count>|<bad_count>}}*"),
    (1, "{BZPOPMIN|BZPOPMAX} {<key>}+ {0.001|-1|x}"),
    (1, "BZMPOP {0.001|-1|x} <keys> {MIN|MAX} {COUNT <count>}?"),
    (
        5,
        "{ZUNION|ZINTER} <keys> {WEIGHTS <float>|WEIGHTS <float> <float>|AGGREGATE {SUM|MIN|MAX|BAD}|WITHSCORES|BAD}*",
    ),
    (
        3,
        "{ZUNIONSTORE|ZINTERSTORE} <key> <keys> {WEIGHTS <float>|WEIGHTS <float> <float>|AGGREGATE {SUM|MIN|MAX}|WITHSCORES}*",
    ),
    (2, "ZDIFF <keys> {WITHSCORES|WEIGHTS 1}*"),
    (2, "ZDIFFSTORE <key> <keys>"),
    (2, "ZINTERCARD <keys> {LIMIT {<count>|0|-1|x}|BAD}*"),
    (2, "ZRANDMEMBER <key> {<index>|<count> WITHSCORES|<count> BAD}?"),
    (2, "ZSCAN <key> {0|0|0|<cursor>} COUNT 1000 {MATCH <glob>|BAD}?"),
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
