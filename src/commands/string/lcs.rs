//! `LCS`: the longest common subsequence of two strings, by dynamic programming.
//!
//! The table has a cell for each pair of prefixes: the length of their longest common subsequence. Walking it back from
//! the end gives the subsequence, and the runs of bytes that it is made of.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::keyspace::{StringValue, WrongType};
use crate::resp::number::parse_i64;
use crate::resp::{Args, Reply};

const NOT_STRINGS: CommandError =
    CommandError::Text("ERR The specified keys must contain string values");
const LEN_AND_IDX: CommandError =
    CommandError::Text("ERR If you want both the length and indexes, please just use IDX.");
const TOO_LONG: CommandError = CommandError::Text("ERR String too long for LCS");
const TOO_BIG: CommandError = CommandError::Text(
    "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
);
const NO_MEMORY: CommandError =
    CommandError::Text("ERR Insufficient memory, failed allocating transient memory for LCS");

/// The options of one call.
#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    min_match_len: i64,
    with_match_len: bool,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(word) = args.next() {
            match word.to_ascii_lowercase().as_slice() {
                b"len" => options.len = true,
                b"idx" => options.idx = true,
                b"withmatchlen" => options.with_match_len = true,
                b"minmatchlen" => {
                    let number = args.next().ok_or(CommandError::Syntax)?;
                    options.min_match_len = parse_i64(number).ok_or(CommandError::NotAnInteger)?;
                }
                _ => return Err(CommandError::Syntax),
            }
        }
        if options.len && options.idx { Err(LEN_AND_IDX) } else { Ok(options) }
    }
}

/// `LCS key1 key2 [option ...]` -> the longest common subsequence, its length, or where it is. Lengths multiplied.
pub(super) fn lcs(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    // A key that is due is removed when it is found, which may move others: the second one goes first.
    ctx.db.find(args.key(2));
    let slots = [ctx.db.find_read(args.key(1)), ctx.db.find_read(args.key(2))];
    let [one, other] = slots.map(|slot| match slot {
        None => Ok(StringValue::Bytes(b"")),
        Some(slot) => ctx.db.string(slot),
    });
    let (one, other) = (one.map_err(not_strings)?, other.map_err(not_strings)?);
    let options = Options::parse(args.tail(3))?;
    let (mut one_buffer, mut other_buffer) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (one, other) = (one.bytes(&mut one_buffer), other.bytes(&mut other_buffer));
    let table = Table::new(one, other, ctx.server.config.proto_max_bulk_len)?;
    if options.len {
        ctx.reply.integer(i64::from(table.common_len()));
    } else if options.idx {
        reply_runs(ctx.reply, &table, &options);
    } else {
        let parts: Vec<&[u8]> =
            table.runs().iter().rev().map(|run| &one[run.one..run.one + run.len]).collect();
        ctx.reply.bulk(&parts.concat());
    }
    Ok(())
}

fn not_strings(_: WrongType) -> CommandError {
    NOT_STRINGS
}

/// Bytes that both strings have, one after the other.
struct Run {
    one: usize,
    other: usize,
    len: usize,
}

struct Table<'a> {
    one: &'a [u8],
    other: &'a [u8],
    /// A row for each prefix of `one`, the empty one first; in it a cell for each prefix of `other`.
    cells: Vec<u32>,
}

impl<'a> Table<'a> {
    fn new(one: &'a [u8], other: &'a [u8], bytes_max: u64) -> Result<Self, CommandError> {
        let len_max = u32::MAX as usize - 1;
        if one.len() >= len_max || other.len() >= len_max {
            return Err(TOO_LONG);
        }
        let width = other.len() + 1;
        let count = (one.len() + 1).checked_mul(width).ok_or(NO_MEMORY)?;
        let size = (count as u64).checked_mul(size_of::<u32>() as u64).ok_or(NO_MEMORY)?;
        if size > bytes_max {
            return Err(TOO_BIG);
        }
        let mut cells: Vec<u32> = Vec::new();
        cells.try_reserve_exact(count).map_err(|_| NO_MEMORY)?;
        cells.resize(width, 0);
        for &byte in one {
            let above = cells.len() - width;
            let mut left = 0;
            cells.push(left);
            for (at, &other_byte) in other.iter().enumerate() {
                left = if byte == other_byte {
                    cells[above + at] + 1
                } else {
                    left.max(cells[above + at + 1])
                };
                cells.push(left);
            }
        }
        Ok(Self { one, other, cells })
    }

    fn cell(&self, one: usize, other: usize) -> u32 {
        self.cells[one * (self.other.len() + 1) + other]
    }

    fn common_len(&self) -> u32 {
        self.cell(self.one.len(), self.other.len())
    }

    /// What the subsequence is made of, last run first. Of several ways back, Redis's.
    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let (mut one, mut other) = (self.one.len(), self.other.len());
        while one > 0 && other > 0 {
            if self.one[one - 1] == self.other[other - 1] {
                (one, other) = (one - 1, other - 1);
                match runs.last_mut() {
                    Some(run) if (run.one, run.other) == (one + 1, other + 1) => {
                        *run = Run { one, other, len: run.len + 1 };
                    }
                    _ => runs.push(Run { one, other, len: 1 }),
                }
            } else if self.cell(one - 1, other) > self.cell(one, other - 1) {
                one -= 1;
            } else {
                other -= 1;
            }
        }
        runs
    }
}

fn reply_runs(reply: &mut Reply, table: &Table<'_>, options: &Options) {
    let mut runs = table.runs();
    runs.retain(|run| run.len as i64 >= options.min_match_len);
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(runs.len());
    for run in runs {
        reply.array(if options.with_match_len { 3 } else { 2 });
        for start in [run.one, run.other] {
            reply.array(2);
            reply.integer(start as i64);
            reply.integer((start + run.len - 1) as i64);
        }
        if options.with_match_len {
            reply.integer(run.len as i64);
        }
    }
    reply.bulk(b"len");
    reply.integer(i64::from(table.common_len()));
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    fn with(one: &str, other: &str) -> TestServer {
        let mut redis = TestServer::new();
        redis.run(&format!("MSET a {one} b {other}")).is("+OK");
        redis
    }

    #[test]
    fn lcs_finds_the_longest_common_subsequence() {
        let mut redis = with("ohmytext", "mynewtext");
        redis.run("LCS a b").is("$6 mytext");
        redis.run("LCS a b LEN").is(":6");
        redis.run("LCS a missing").is("$0");
        redis.run("LCS missing missing LEN").is(":0");
        let mut redis = with("1234", "24");
        redis.run("LCS a b").is("$2 24");
        redis.run("LCS a a").is("$4 1234");
    }

    #[test]
    fn idx_tells_where_it_is() {
        let mut redis = with("ohmytext", "mynewtext");
        redis
            .run("LCS a b IDX")
            .is("*4 $7 matches *2 *2 *2 :4 :7 *2 :5 :8 *2 *2 :2 :3 *2 :0 :1 $3 len :6");
        redis
            .run("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN")
            .is("*4 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6");
        redis.run("LCS a b IDX MINMATCHLEN 5").is("*4 $7 matches *0 $3 len :6");
        redis.run("LCS a missing IDX").is("*4 $7 matches *0 $3 len :0");
    }

    #[test]
    fn lcs_says_what_is_wrong() {
        let mut redis = with("abc", "abd");
        redis
            .run("LCS a b LEN IDX")
            .is("-ERR If you want both the length and indexes, please just use IDX.");
        redis.run("LCS a b FOO").is("-ERR syntax error");
        redis.run("LCS a b MINMATCHLEN").is("-ERR syntax error");
        redis.run("LCS a b MINMATCHLEN x").is("-ERR value is not an integer or out of range");
        redis.run("LCS a b IDX MINMATCHLEN -5").starts("*4 $7 matches *1 ");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut redis = TestServer::with(|config| config.proto_max_bulk_len = 1 << 20);
        redis.run(&format!("MSET a {0} b {0}", "x".repeat(512))).is("+OK");
        redis
            .run("LCS a b LEN")
            .is("-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
        redis.run(&format!("SET a {}", "x".repeat(510))).is("+OK");
        redis.run("LCS a b LEN").is(":510");
    }

    #[test]
    fn keys_that_are_due_are_empty() {
        let mut redis = with("abc", "abc");
        redis.run("SET a abc PX 10");
        redis.run("SET b abc PX 10");
        redis.advance_ms(11);
        redis.run("LCS a b LEN").is(":0");
    }
}
