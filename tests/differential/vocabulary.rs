//! The words of the templates: few keys, so that they collide, and values at the borders of what Redis accepts.
//!
//! The first entry of a list is what a failing case shrinks to. Times are far away, so that both servers take the same
//! decisions although they do not read the clock at the same instant: nothing expires while a case runs, relative
//! times are hundreds of seconds apart, and absolute ones lie beyond every relative one.

use proptest::prelude::*;
use proptest::sample::select;

use crate::step::Arg;

/// Every key of the test but [`HUGE_KEY`].
pub const KEYS: &[&[u8]] = &[b"a", b"b", b"c", b"key:1", b"{t}x", b"", b"\x00\xff\r\n *"];

/// The one key with values of many kilobytes. It stays out of `<key>` because `LCS` takes quadratic time and memory.
pub const HUGE_KEY: &[u8] = b"huge";

const SMALL: &[&[u8]] = &[
    b"a",
    b"",
    b"b",
    b"abc",
    b"hello world",
    b"acbcabd",
    b"\x00\x01\xfe\xff",
    b"\r\n+OK\r\n",
    b"a\"b'c",
    b"true",
];

/// Texts at the borders of "is an integer": two's complement limits, leading zeros, signs, blanks.
const INTEGERS: &[&[u8]] = &[
    b"1",
    b"0",
    b"-1",
    b"9",
    b"10",
    b"9999",
    b"10000",
    b"2147483648",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775806",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"01",
    b"+1",
    b"-0",
    b" 1",
    b"1 ",
    b"0x10",
    b"",
    b"abc",
];

/// Texts at the borders of "is a float".
const FLOATS: &[&[u8]] = &[
    b"1.5",
    b"0.1",
    b"0.2",
    b"-2.25",
    b"3.0e3",
    b"5e-1",
    b".5",
    b"5.",
    b"1e17",
    b"-1e-7",
    b"123456789.123456789",
    b"1e20",
    b"0x1p3",
    b"-0.0",
    b"nan",
    b"inf",
    b"-inf",
    b"1e400",
    b"1e5000",
    b"1.5 ",
    b" 1.5",
    b"1.5x",
    b"e5",
];

const BAD_TIMES: &[&[u8]] =
    &[b"0", b"-1", b"abc", b"1.5", b"", b"9223372036854775807", b"-9223372036854775808"];

/// A strategy for the name of a key.
fn key(name: &str) -> Option<BoxedStrategy<Arg>> {
    Some(match name {
        "key" => prop_oneof![6 => list(&KEYS[..3]), 2 => list(&KEYS[3..])].boxed(),
        // Each type has a key where it is at home, and meets the others elsewhere.
        "list_key" => prop_oneof![3 => list(&[b"a"]), 2 => word("key")].boxed(),
        "hash_key" => prop_oneof![3 => list(&[b"b"]), 2 => word("key")].boxed(),
        "set_key" => prop_oneof![3 => list(&[b"c"]), 2 => word("key")].boxed(),
        "zset_key" => prop_oneof![3 => list(&[b"key:1"]), 2 => word("key")].boxed(),
        "any_key" => prop_oneof![9 => word("key"), 1 => list(&[HUGE_KEY])].boxed(),
        _ => return None,
    })
}

/// A strategy for `<name>`. Panics on a name that is not in the vocabulary.
pub fn word(name: &str) -> BoxedStrategy<Arg> {
    if let Some(key) = key(name) {
        return key;
    }
    match name {
        "value" => prop_oneof![8 => list(SMALL), 5 => list(INTEGERS), 2 => list(FLOATS), 2 => long()].boxed(),
        "huge_value" => Just(b"0123456789".repeat(2048)).boxed(),
        "integer" => prop_oneof![6 => list(&INTEGERS[..5]), 3 => list(INTEGERS)].boxed(),
        "float" => prop_oneof![6 => list(&FLOATS[..6]), 3 => list(FLOATS), 1 => list(INTEGERS)].boxed(),
        "small" => list(SMALL),
        "text" => list(&[b"a", b"", b"b", b"abc", b"ab", b"B", b"1", b"10", b"9", b" ", b"a b", b"\xff", b"true"]),
        "index" => prop_oneof![4 => (-3..4_i32).prop_map(number), 3 => (-12..12_i32).prop_map(number), 1 => list(INTEGERS)].boxed(),
        // Never -9223372036854775808, which Redis 7.0 negates, to get the same; later versions refuse it.
        "rank" => prop_oneof![
            6 => (-3..4_i32).prop_map(number),
            1 => list(&[b"9223372036854775807", b"-9223372036854775807", b"9223372036854775808", b"x", b""]),
        ]
        .boxed(),
        // Never 536870911: one byte there makes a string of exactly the 512 MB that are allowed.
        "offset" => prop_oneof![
            6 => (0..20_i32).prop_map(number),
            2 => list(&[b"300", b"600", b"-1", b"536870912", b"9223372036854775807", b"-9223372036854775808", b"x"]),
        ]
        .boxed(),
        "seconds" => prop_oneof![6 => list(&[b"100", b"1000", b"100000"]), 1 => list(BAD_TIMES)].boxed(),
        "millis" => prop_oneof![6 => list(&[b"100000", b"1000000", b"100000000"]), 1 => list(BAD_TIMES)].boxed(),
        "at_seconds" => prop_oneof![6 => list(&[b"4102444800", b"7258118400"]), 1 => list(BAD_TIMES)].boxed(),
        "at_millis" => {
            prop_oneof![6 => list(&[b"4102444800000", b"7258118400000", b"4102444800499"]), 1 => list(BAD_TIMES)].boxed()
        }
        // For EXPIRE and its kin alone, which delete the key at once.
        "past" => list(&[b"-1", b"0", b"-100", b"-9223372036854775808", b"-9223372036854775807"]),
        "past_at" => list(&[b"1", b"0", b"-1", b"1000000000"]),
        // 292 million years and what lies just beyond: seconds that overflow as milliseconds.
        "extreme_seconds" => list(&[b"9223370000000000", b"9223372036854775", b"9223372036854776", b"-9223372036854776"]),
        "extreme_millis" => list(&[b"9223370000000000000", b"9223372036854775807", b"9223372036854775808"]),
        "small_index" => prop_oneof![9 => list(&[b"0", b"1", b"2", b"-1"]), 1 => list(&[b"x", b"99"])].boxed(),
        "bit_offset" => {
            prop_oneof![6 => (0..70_i32).prop_map(number), 1 => list(&[b"4294967296", b"-1", b"x"])].boxed()
        }
        "bit_place" => prop_oneof![6 => (0..70_i32).prop_map(number), 2 => list(&[b"#0", b"#3", b"-1", b"#x"])].boxed(),
        "bit_type" => list(&[b"u8", b"i8", b"u4", b"i16", b"u63", b"i64", b"u1", b"i5", b"u64", b"i65", b"u0", b"x"]),
        // Of more milliseconds than an i64 has, Redis 7.0 says that they are negative: what C's cast makes of them.
        "wait" => prop_oneof![4 => list(&[b"0.001"]), 1 => list(&[b"-1", b"x", b"", b"-inf", b"nan", b"1e5000"])].boxed(),
        "score_bound" => list(&[
            b"-inf", b"+inf", b"0", b"(0", b"1.5", b"(1.5", b"-2.25", b"3000", b"inf", b"(inf", b"nan", b"x", b"", b"(",
        ]),
        "lex_bound" => list(&[b"-", b"+", b"[a", b"(a", b"[abc", b"(hello world", b"[", b"(", b"a", b"", b"[\xff"]),
        "db" => list(&[b"0", b"1", b"2"]),
        "bad_db" => list(&[b"16", b"-1", b"x", b"", b"2147483648", b"9223372036854775807", b"01"]),
        "count" => list(&[b"10", b"1", b"3", b"1000"]),
        "bad_count" => list(&[b"0", b"-1", b"x", b"9223372036854775808"]),
        "glob" => list(&[
            b"*", b"a", b"?", b"[ab]", b"[^a]*", b"[a-c]", b"key:*", b"*1", b"\\a", b"", b"[", b"[a", b"**", b"*{*", b"[b-a]",
        ]),
        "cursor" => list(&[b"x", b"0x", b" 0", b"1 ", b"18446744073709551616"]),
        "name" => list(&[b"name", b"", b"a b", b"a\nb", b"na\xefve", b"!~", b"x:1"]),
        "unknown" => list(&[b"NOSUCH", b"nosuch|x", b"", b"SE T", b"get\r\n+OK", b"\x00\xff", b"gett"]),
        "command" => list(&[b"GET", b"set", b"MSET", b"nosuch", b"EXPIRE", b"RENAME", b"Append", b"PING", b"lcs", b"COPY"]),
        "command_glob" => list(&[b"append", b"decr*", b"incr*", b"getd*", b"pexpire*", b"renam*", b"nosuch*", b"[e]cho"]),
        "directive" => list(&[
            b"maxmemory",
            b"maxmemory-policy",
            b"TIMEOUT",
            b"databases",
            b"appendonly",
            b"appendfsync",
            b"save",
            b"proto-max-bulk-len",
            b"set-max-intset-entries",
            b"nosuch",
            b"nosuch*",
            b"",
        ]),
        other => panic!("<{other}> is not in the vocabulary"),
    }
}

fn list(words: &[&[u8]]) -> BoxedStrategy<Arg> {
    select(words.iter().map(|word| word.to_vec()).collect::<Vec<_>>()).boxed()
}

/// Around the embstr border of 44 bytes, and long.
fn long() -> BoxedStrategy<Arg> {
    let patterns: Vec<&[u8]> = vec![b"x", b"ab", b"\x00\xff", b"abcdefghij"];
    (select(vec![44, 43, 45, 100, 255, 256, 1000, 2000]), select(patterns))
        .prop_map(|(length, pattern)| pattern.iter().copied().cycle().take(length).collect())
        .boxed()
}

fn number(number: i32) -> Arg {
    number.to_string().into_bytes()
}
